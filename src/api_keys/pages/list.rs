//! Settings → API Keys: the list, and the form that creates a key.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{form::KeyForm, row::KeyView};
use crate::{
    accounts::{MaybeSignedIn, Permission, SignedIn},
    api_keys::{
        auth::key_authenticator::KeyAuthenticator,
        client_key::ClientKey,
        error::KeyChangeError,
        key::{KeyStatus, WARNED_DAYS},
        lifetime::KeyLifetime,
        list_query::{KeyListQuery, KeySort},
        new_key::HashedKey,
        service::{self, KeyChangeActor},
        store::{self, KeyPage},
    },
    db::Db,
    error::AppError,
    random, usage,
    web::{
        body::FormFields,
        format::grouped,
        middleware::compression::mark_secret,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

pub(crate) const INDEX: &str = "/settings/api-keys";
/// Maximum size of a form about keys, in bytes.
pub(crate) const FORM_LIMIT: usize = 16 * 1024;
/// Maximum number of keys of a list without search and filters.
const UNFILTERED_MAX: usize = 5;
const ALREADY_SENT: &str = "This form has already created a key, which is not shown again. If you have not copied it, replace \
     it: you get a new key with the same name.";

#[derive(Template)]
#[template(path = "api_keys/list.html")]
struct KeyListPage {
    layout: PageLayout,
    keys: Vec<KeyView>,
    client_id: String,
    form: KeyForm,
    form_nonce: String,
    may_manage: bool,
    /// The result of the form.
    message: Option<Message>,
    /// Whether the table shows a whole key, which leaves no room for its other columns.
    has_new_key: bool,
    query: KeyListQuery,
    total: String,
    newer: Option<String>,
    older: Option<String>,
    /// The first few keys that are about to expire.
    expiring: Vec<KeyView>,
    /// The number of all that are about to expire.
    expiring_total: i64,
}

impl KeyListPage {
    /// Whether the client has no keys, and not only none that match.
    fn has_none(&self) -> bool {
        self.keys.is_empty() && !self.query.is_narrowed()
    }

    /// Whether to offer search and filters. A short list needs none.
    fn has_filters(&self) -> bool {
        self.keys.len() > UNFILTERED_MAX || self.query != KeyListQuery::default()
    }
}

/// What the list shows besides the keys: a refused form, a new key, or that the form was sent before.
#[derive(Default)]
struct KeyFormOutcome {
    form: KeyForm,
    new_key: Option<KeyToShow>,
    is_repeat: bool,
    query: KeyListQuery,
}

/// A new key, which is shown only once.
pub(crate) struct KeyToShow {
    pub(crate) key: ClientKey,
    /// The message above it.
    pub(crate) message: String,
}

pub(crate) async fn index(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let query = KeyListQuery::parse(request.query_string());
    if let Some(query) = query.without_secret() {
        return Ok(see_other(&format!("{INDEX}?{}", query.to_query_string())));
    }
    show_list(StatusCode::OK, visitor, &db, KeyFormOutcome { query, ..KeyFormOutcome::default() }).await
}

async fn show_list(
    status: StatusCode,
    visitor: MaybeSignedIn,
    db: &Db,
    outcome: KeyFormOutcome,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API Keys", NavSection::ApiKeys)?;
    let (client, query) = (signed_in.client(), outcome.query.clone());
    let (page, expiring, usage) = db
        .run(move |connection| {
            let page = store::list(connection, &client, &query)?;
            let expiring = store::list_expiring(connection, &client)?;
            let shown = page.keys.iter().chain(&expiring.keys);
            let shown: Vec<_> = shown.map(|key| key.public_key.clone()).collect();
            let usage = usage::load_key_activities(connection, &client, &shown)?;
            Ok::<_, AppError>((page, expiring, usage))
        })
        .await?;
    let (new_key, ready) = outcome.new_key.map(|new| (new.key, new.message)).unzip();
    let total = page.total;
    let (newer, older) = page_links(&outcome.query, &page);
    let row = |key: crate::api_keys::ApiKey| {
        let used = usage.get(&key.public_key);
        KeyView::new(key, used).with_whole_key(new_key.as_ref())
    };
    let keys: Vec<KeyView> = page.keys.into_iter().map(row).collect();
    let message = if outcome.is_repeat {
        Some(Message::warning(ALREADY_SENT))
    } else {
        ready.map(|ready| Message::success(new_key_text(&ready, &keys)))
    };
    let page = KeyListPage {
        layout,
        keys,
        client_id: signed_in.client().to_string(),
        form: outcome.form,
        form_nonce: generate_form_nonce(),
        may_manage: signed_in.may(Permission::ManageKeys),
        message,
        has_new_key: new_key.is_some(),
        query: outcome.query,
        total: grouped(total),
        newer,
        older,
        expiring_total: expiring.total,
        expiring: expiring.keys.into_iter().map(row).collect(),
    };
    respond(status, &page)
}

/// The message above a new key, below the request to copy it.
fn new_key_text(ready: &str, keys: &[KeyView]) -> String {
    let end = keys.iter().find(|key| key.whole_key.is_some()).map(|key| format!(" It {}.", key.end));
    format!("{ready}{}", end.unwrap_or_default())
}

/// Links to the pages before and after this one.
fn page_links(query: &KeyListQuery, page: &KeyPage) -> (Option<String>, Option<String>) {
    let address = |page: u32| {
        let text = KeyListQuery { page, ..query.clone() }.to_query_string();
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
    authenticator: Data<KeyAuthenticator>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let mut form = KeyForm::from_fields(&fields);
    let Some(request) = form.parse() else { return show_refused_form(visitor, &db, form).await };
    let actor = key_actor(&signed_in);
    let (key, new_key) = HashedKey::generate(authenticator.hasher(), &actor.client, fields.get("formNonce"));
    let message = format!("The key “{}” is ready.", request.name);
    match run_change(&db, move |connection| service::create(connection, &actor, &request, &new_key)).await? {
        Ok(_key) => show_new_key(visitor, &db, KeyToShow { key, message }).await,
        Err(error) if form.refuse(&error) => show_refused_form(visitor, &db, form).await,
        Err(error) => show_repeat_or_fail(visitor, &db, error).await,
    }
}

async fn show_refused_form(visitor: MaybeSignedIn, db: &Db, form: KeyForm) -> Result<HttpResponse, AppError> {
    let outcome = KeyFormOutcome { form, ..KeyFormOutcome::default() };
    show_list(StatusCode::UNPROCESSABLE_ENTITY, visitor, db, outcome).await
}

/// Shows the key in this response, because a redirect would have to store it in between.
pub(crate) async fn show_new_key(
    visitor: MaybeSignedIn,
    db: &Db,
    new_key: KeyToShow,
) -> Result<HttpResponse, AppError> {
    let outcome = KeyFormOutcome { new_key: Some(new_key), ..KeyFormOutcome::default() };
    let mut response = show_list(StatusCode::OK, visitor, db, outcome).await?;
    mark_secret(&mut response);
    Ok(response)
}

pub(crate) async fn show_repeat_or_fail(
    visitor: MaybeSignedIn,
    db: &Db,
    error: KeyChangeError,
) -> Result<HttpResponse, AppError> {
    if !matches!(error, KeyChangeError::FormUsed) {
        return Err(error.into());
    }
    let outcome = KeyFormOutcome { is_repeat: true, ..KeyFormOutcome::default() };
    show_list(StatusCode::OK, visitor, db, outcome).await
}

/// Runs a change. Its refusals are returned inside, because the caller shows them in the page.
pub(crate) async fn run_change<T: Send + 'static>(
    db: &Db,
    work: impl FnOnce(&mut diesel::PgConnection) -> Result<T, KeyChangeError> + Send + 'static,
) -> Result<Result<T, KeyChangeError>, AppError> {
    db.run(move |connection| Ok::<_, AppError>(work(connection))).await
}

pub(crate) fn key_actor(signed_in: &SignedIn) -> KeyChangeActor {
    KeyChangeActor { client: signed_in.client(), context: signed_in.audit_context() }
}

pub(crate) fn generate_form_nonce() -> String {
    random::alphanumeric(22)
}
