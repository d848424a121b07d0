//! The question form at the end of `/docs`.

use std::{
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{HeaderValue, RETRY_AFTER},
    },
    web::Data,
};
use askama::Template;
use prometheus::IntCounter;

use super::store::{self, NewQuestion};
use crate::{
    accounts::{DisplayName, EmailAddress, MaybeSignedIn},
    api_keys::ClientKey,
    config::Settings,
    db::Db,
    error::AppError,
    mail::Outbox,
    metrics::RefusalMetrics,
    rate_limits::SharedLimits,
    web::{
        app_data::app_data,
        body::{FormFields, form::FormState},
        connection::client_address::{client_address, rate_limit_address},
        limits::limit_kind::LimitKind,
        page::{NavSection, PageLayout, respond},
    },
};

/// Maximum size of the form, in bytes: room for 5000 characters of up to 4 bytes, percent-encoded.
const FORM_LIMIT: usize = 64 * 1024;
/// Maximum length of a question, in characters.
const QUESTION_MAX: usize = 5000;

/// Limits the questions of an address.
pub(crate) struct QuestionThrottle {
    limits: Arc<SharedLimits>,
    refusals: IntCounter,
}

impl QuestionThrottle {
    pub(crate) fn new(limits: Arc<SharedLimits>, metrics: &RefusalMetrics) -> Self {
        Self { limits, refusals: metrics.counter(LimitKind::Questions) }
    }

    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    fn count(&self, address: IpAddr) -> Result<(), AppError> {
        let taken = self.limits.take_attempt(LimitKind::Questions, address, Instant::now());
        taken.map(|_status| ()).map_err(|status| {
            self.refusals.inc();
            AppError::TooMany(status.reset_seconds)
        })
    }
}

#[derive(Template)]
#[template(path = "questions/answer.html")]
struct QuestionPage {
    layout: PageLayout,
    form: FormState,
    is_thanks: bool,
    has_failed: bool,
}

pub(crate) async fn create(
    _counted: QuestionRateLimit,
    visitor: MaybeSignedIn,
    fields: FormFields<FORM_LIMIT>,
    services: QuestionServices,
) -> Result<HttpResponse, AppError> {
    let layout = visitor.layout("Question", NavSection::Documentation);
    let mut page = QuestionPage { layout, form: keep_values(&fields), is_thanks: true, has_failed: false };
    // A honeypot: people cannot see this field, but spam programs fill it in. They get thanks, and nothing is stored.
    if fields.get("website").is_some() {
        return respond(StatusCode::OK, &page);
    }
    let Some(question) = parse(&mut page.form, &fields) else {
        page.is_thanks = false;
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let QuestionServices { db, outbox, settings } = services;
    let operator = settings.operator_email.as_ref().map(ToString::to_string);
    let stored =
        db.run(move |connection| store::create(connection, &outbox, operator.as_deref(), &question)).await;
    match stored {
        Ok(()) => respond(StatusCode::OK, &page),
        Err(error) => {
            tracing::error!(cause = ?error, "A question was not stored");
            page.is_thanks = false;
            page.has_failed = true;
            let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, &page)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            Ok(response)
        }
    }
}

/// Extractor of what storing and sending a question needs.
pub(crate) struct QuestionServices {
    db: Data<Db>,
    outbox: Data<Outbox>,
    settings: Data<Settings>,
}

impl FromRequest for QuestionServices {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready((|| {
            Ok(Self { db: app_data(request)?, outbox: app_data(request)?, settings: app_data(request)? })
        })())
    }
}

/// Extractor that refuses requests above the limit, before their body is read.
pub(crate) struct QuestionRateLimit;

impl FromRequest for QuestionRateLimit {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let trusted =
            request.app_data::<Data<Settings>>().map_or(&[][..], |settings| &settings.trusted_proxies);
        let throttle = request.app_data::<Data<QuestionThrottle>>();
        let address = rate_limit_address(client_address(request, trusted));
        ready(throttle.map_or(Ok(()), |throttle| throttle.count(address)).map(|()| Self))
    }
}

fn keep_values(fields: &FormFields<FORM_LIMIT>) -> FormState {
    FormState::default()
        .keep("name", fields.text("name"))
        .keep("email", fields.text("email"))
        .keep("question", fields.text("question"))
}

fn parse(form: &mut FormState, fields: &FormFields<FORM_LIMIT>) -> Option<NewQuestion> {
    let name = form.check("name", fields.text("name").parse::<DisplayName>());
    let email = form.check("email", EmailAddress::parse_deliverable(fields.text("email")));
    let question = form.check("question", parse_question(fields.text("question")));
    Some(NewQuestion { name: name?.as_str().to_owned(), email: email?, question: question? })
}

fn parse_question(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("Write your question.");
    }
    if text.chars().count() > QUESTION_MAX {
        return Err("Use at most 5,000 characters.");
    }
    if text.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
        return Err("Remove the control characters.");
    }
    let words = text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
    if words.into_iter().any(|word| word.parse::<ClientKey>().is_ok()) {
        return Err("Your question contains a whole API key. Remove it, and replace that key.");
    }
    Ok(text.to_owned())
}
