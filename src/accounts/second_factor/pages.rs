//! Account → Second factor.

use actix_session::Session;
use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    qr_code::QrImage,
    recovery_code::RecoveryCode,
    service::{Activation, AppSetUp, FactorStatus, SECOND_FACTOR, SecondFactors, find_status},
};
use crate::{
    accounts::sign_in::extractor::{MaybeSignedIn, flash},
    db::Db,
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
        format::{
            plural,
            time::{self, DisplayTime},
        },
        middleware::compression::mark_secret,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum size of a form, in bytes.
const FORM_LIMIT: usize = 4 * 1024;
const TITLE: &str = "Second factor";
const WRONG_CODE: &str =
    "That code is wrong. Enter the one your app shows now. If it fails again, check your phone’s clock.";

#[derive(Template)]
#[template(path = "accounts/second_factor/index.html")]
struct StatusPage {
    layout: PageLayout,
    /// `None` if the second factor is not on.
    status: Option<StatusView>,
    /// The active client, if it requires a second factor and the user has none.
    required_by: Option<String>,
}

struct StatusView {
    since: DisplayTime,
    codes_left: i64,
    has_few_codes: bool,
}

impl StatusView {
    fn new(status: &FactorStatus) -> Self {
        Self {
            since: status.activated_at.into(),
            codes_left: status.recovery_codes_left,
            has_few_codes: status.has_few_codes(),
        }
    }

    /// Says how few recovery codes are left, if they are few.
    fn warning(&self) -> Option<String> {
        match self.codes_left {
            0 => Some("No recovery codes are left.".to_owned()),
            left if self.has_few_codes => {
                Some(format!("Only {left} recovery {} left.", plural(left, "code")))
            }
            _ => None,
        }
    }
}

#[derive(Template)]
#[template(path = "accounts/second_factor/set_up.html")]
struct SetUpPage {
    layout: PageLayout,
    form: FormState,
    app: AppSetUp,
    image: QrImage,
}

#[derive(Template)]
#[template(path = "accounts/second_factor/recovery_codes.html")]
struct RecoveryCodesPage {
    layout: PageLayout,
    message: Message,
    codes: Vec<String>,
}

pub(crate) async fn show(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (user, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let user_id = user.user_id;
    let status = db.run(move |connection| find_status(connection, user_id)).await?;
    let status = status.as_ref().map(StatusView::new);
    let required_by = user.needs_second_factor().map(|client| client.name.clone());
    respond(StatusCode::OK, &StatusPage { layout, status, required_by })
}

pub(crate) async fn set_up(
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
    factors: Data<SecondFactors>,
) -> Result<HttpResponse, AppError> {
    let (user, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let user_id = user.user_id;
    match db.run(move |connection| factors.begin_set_up(connection, user_id)).await? {
        Some(app) => SetUpPage::respond(StatusCode::OK, layout, FormState::default(), app),
        None => leave(&session, Message::warning("Your second factor is on already.")),
    }
}

pub(crate) async fn turn_on(
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
    factors: Data<SecondFactors>,
) -> Result<HttpResponse, AppError> {
    let (user, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let (context, code) = (user.audit_context(), fields.text("code").to_owned());
    let turned_on = db.run(move |connection| factors.turn_on(connection, &context, &code, time::now()));
    match turned_on.await? {
        Activation::Done(codes) => RecoveryCodesPage::respond(
            layout,
            "Your second factor is on. Store your recovery codes now.",
            &codes,
        ),
        Activation::WrongCode(app) => {
            let form = FormState::default().refuse("code", WRONG_CODE);
            SetUpPage::respond(StatusCode::UNPROCESSABLE_ENTITY, layout, form, app)
        }
        Activation::NotBegun => leave(&session, Message::error("The set-up took too long. Begin again.")),
    }
}

pub(crate) async fn create_recovery_codes(
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
    factors: Data<SecondFactors>,
) -> Result<HttpResponse, AppError> {
    let (user, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let context = user.audit_context();
    match db.run(move |connection| factors.create_recovery_codes(connection, &context)).await? {
        Some(codes) => RecoveryCodesPage::respond(
            layout,
            "These codes replace your earlier ones. Store them now.",
            &codes,
        ),
        None => leave(&session, Message::error("Set up a second factor first.")),
    }
}

pub(crate) async fn turn_off(
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
    factors: Data<SecondFactors>,
) -> Result<HttpResponse, AppError> {
    let (user, _layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let context = user.audit_context();
    let was_on = db.run(move |connection| factors.turn_off(connection, &context)).await?;
    leave(
        &session,
        if was_on {
            Message::success("Your second factor is off.")
        } else {
            Message::warning("Your second factor was off already.")
        },
    )
}

/// Back to the page of the second factor, with a message.
fn leave(session: &Session, message: Message) -> Result<HttpResponse, AppError> {
    flash(session, message)?;
    Ok(see_other(SECOND_FACTOR))
}

impl SetUpPage {
    fn respond(
        status: StatusCode,
        layout: PageLayout,
        form: FormState,
        app: AppSetUp,
    ) -> Result<HttpResponse, AppError> {
        let image = QrImage::new(&app.url);
        let mut response = respond(status, &Self { layout, form, app, image })?;
        mark_secret(&mut response);
        Ok(response)
    }

    /// The secret in groups that are easy to type.
    fn secret_groups(&self) -> Vec<&str> {
        let secret = &self.app.secret;
        (0..secret.len())
            .step_by(4)
            .filter_map(|start| secret.get(start..(start + 4).min(secret.len())))
            .collect()
    }
}

impl RecoveryCodesPage {
    fn respond(layout: PageLayout, message: &str, codes: &[RecoveryCode]) -> Result<HttpResponse, AppError> {
        let codes = codes.iter().map(RecoveryCode::to_text).collect();
        let mut response =
            respond(StatusCode::OK, &Self { layout, message: Message::success(message), codes })?;
        mark_secret(&mut response);
        Ok(response)
    }
}
