//! Settings → API Keys: the table, and the form that makes a key. What is done to one key is in `key_pages.rs`, to
//! several in `several_pages.rs`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Data,
};
use askama::Template;

use super::{form::KeyForm, row::KeyRow};
use crate::{
    accounts::{MaybeSignedIn, OTHER_CLIENT, SignedIn},
    api_keys::{
        auth::credentials::Authenticator,
        client_key::ClientKey,
        error::KeyChangeError,
        key::{KeyStatus, WARNED_DAYS},
        lifetime::KeyLifetime,
        list_query::{KeyListQuery, KeySort},
        new_key::NewKey,
        service::{self, KeyActor},
        store::{self, KeyPage},
    },
    db::Db,
    error::AppError,
    random, usage,
    web::{
        body::FormFields,
        format::grouped,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

pub(crate) const INDEX: &str = "/settings/api-keys";
/// Forms of this room have at most so many bytes.
pub(crate) const FORM_LIMIT: usize = 16 * 1024;
pub(crate) const ADMINS_ONLY: &str =
    "Only owners and admins of the client make, change, replace and delete API keys.";

#[derive(Template)]
#[template(path = "api_keys/list.html")]
struct KeyListPage {
    layout: PageLayout,
    keys: Vec<KeyRow>,
    client_id: String,
    form: KeyForm,
    form_nonce: String,
    may_manage: bool,
    /// What just happened to the key that is shown, in a sentence.
    made: Option<String>,
    /// A form sent twice made one key; its text cannot be shown again.
    is_repeat: bool,
    query: KeyListQuery,
    total: String,
    /// The addresses of the pages before and after.
    newer: Option<String>,
    older: Option<String>,
    /// Keys that are about to expire, a few of them.
    expiring: Vec<KeyRow>,
    /// How many there are.
    expiring_total: i64,
}

impl KeyListPage {
    /// Whether the client has no key at all.
    fn has_none(&self) -> bool {
        self.keys.is_empty() && !self.query.is_narrow()
    }
}

/// What the list shows beside the keys.
#[derive(Default)]
struct FormOutcome {
    form: KeyForm,
    made: Option<(ClientKey, String)>,
    is_repeat: bool,
    query: KeyListQuery,
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let query = KeyListQuery::parse(request.query_string());
    if let Some(cut) = query.without_secret() {
        return Ok(see_other(&format!("{INDEX}?{}", cut.text())));
    }
    show_list(StatusCode::OK, visitor, &db, FormOutcome { query, ..FormOutcome::default() }).await
}

async fn show_list(
    status: StatusCode,
    visitor: MaybeSignedIn,
    db: &Db,
    outcome: FormOutcome,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API Keys", NavSection::ApiKeys)?;
    let (client, query) = (signed_in.client(), outcome.query.clone());
    let (page, expiring, usage) = db
        .run(move |connection| {
            let page = store::list(connection, &client, &query)?;
            let expiring = store::expiring(connection, &client)?;
            let usage = usage::of_keys(connection, &client)?;
            Ok::<_, AppError>((page, expiring, usage))
        })
        .await?;
    let (made, sentence) = outcome.made.unzip();
    let total = page.total;
    let (newer, older) = neighbours(&outcome.query, &page);
    let row = |key: crate::api_keys::ApiKey| {
        let used = usage.get(&key.public_key);
        KeyRow::of(key, used).showing(made.as_ref())
    };
    let page = KeyListPage {
        layout,
        keys: page.keys.into_iter().map(row).collect(),
        client_id: signed_in.client().to_string(),
        form: outcome.form,
        form_nonce: new_nonce()?,
        may_manage: signed_in.is_admin(),
        made: sentence,
        is_repeat: outcome.is_repeat,
        query: outcome.query,
        total: grouped(total),
        newer,
        older,
        expiring_total: expiring.total,
        expiring: expiring.keys.into_iter().map(row).collect(),
    };
    respond(status, &page)
}

/// The addresses of the pages before and after this one.
fn neighbours(query: &KeyListQuery, page: &KeyPage) -> (Option<String>, Option<String>) {
    let address = |page: u32| {
        let text = KeyListQuery { page, ..query.clone() }.text();
        if text.is_empty() { INDEX.to_owned() } else { format!("{INDEX}?{text}") }
    };
    let before = page.page.checked_sub(1).filter(|before| *before > 0).map(address);
    let has_more = i64::from(page.page) * i64::from(query.per_page) < page.total;
    (before, has_more.then(|| address(page.page + 1)))
}

pub(crate) async fn create(
    visitor: MaybeSignedIn,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
    gate: Data<Authenticator>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    authorize_change(&signed_in, &fields)?;
    let mut form = KeyForm::read(&fields);
    let Some(plan) = form.plan() else { return refuse(visitor, &db, form).await };
    let manager = manager(&signed_in);
    let (key, new_key) = NewKey::generate(gate.hasher(), &manager.client, fields.get("formNonce"))?;
    let made = format!("The key “{}” is ready.", plan.name);
    match run(&db, move |connection| service::create(connection, &manager, &plan, &new_key)).await? {
        Ok(_key) => show_made(visitor, &db, key, made).await,
        Err(error) if form.refuse(&error) => refuse(visitor, &db, form).await,
        Err(error) => repeat_or_fail(visitor, &db, error).await,
    }
}

async fn refuse(visitor: MaybeSignedIn, db: &Db, form: KeyForm) -> Result<HttpResponse, AppError> {
    let outcome = FormOutcome { form, ..FormOutcome::default() };
    show_list(StatusCode::UNPROCESSABLE_ENTITY, visitor, db, outcome).await
}

/// The key is shown in this very answer: a redirect would have to keep it somewhere in between.
pub(crate) async fn show_made(
    visitor: MaybeSignedIn,
    db: &Db,
    key: ClientKey,
    sentence: String,
) -> Result<HttpResponse, AppError> {
    let outcome = FormOutcome { made: Some((key, sentence)), ..FormOutcome::default() };
    let mut response = show_list(StatusCode::OK, visitor, db, outcome).await?;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(crate) async fn repeat_or_fail(
    visitor: MaybeSignedIn,
    db: &Db,
    error: KeyChangeError,
) -> Result<HttpResponse, AppError> {
    if !matches!(error, KeyChangeError::FormUsed) {
        return Err(error.into());
    }
    let outcome = FormOutcome { is_repeat: true, ..FormOutcome::default() };
    show_list(StatusCode::OK, visitor, db, outcome).await
}

/// Runs a change whose refusals are answers, not failures.
pub(crate) async fn run<T: Send + 'static>(
    db: &Db,
    work: impl FnOnce(&mut diesel::PgConnection) -> Result<T, KeyChangeError> + Send + 'static,
) -> Result<Result<T, KeyChangeError>, AppError> {
    db.run(move |connection| Ok::<_, AppError>(work(connection))).await
}

/// Refuses members, and forms that were rendered for another client.
pub(crate) fn authorize_change(
    signed_in: &SignedIn,
    fields: &FormFields<FORM_LIMIT>,
) -> Result<(), AppError> {
    signed_in.require_admin(ADMINS_ONLY)?;
    signed_in.require_client(fields.get("clientId"), OTHER_CLIENT)
}

pub(crate) fn manager(signed_in: &SignedIn) -> KeyActor {
    KeyActor { client: signed_in.client(), trail: signed_in.trail() }
}

pub(crate) fn new_nonce() -> Result<String, AppError> {
    random::text(random::BASE62, 22).map_err(AppError::broken)
}
