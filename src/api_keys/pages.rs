//! Settings → API Keys.

use actix_session::Session;
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Path, ServiceConfig, get, post, resource},
};
use askama::Template;

use super::{
    ClientKey, Deleted, Gate, Grace, Key, KeyError, KeyName, KeyQuery, Lifetime, Manager, NewKey, Plan,
    PublicKey, Rights, Scope, changes, list,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn, leave_message},
    db::Db,
    error::AppError,
    random,
    web::{
        body::Fields,
        clock::Moment,
        form::FormState,
        page::{Layout, Section, respond, see_other},
    },
};

const INDEX: &str = "/settings/api-keys";
/// Forms of this room have at most so many bytes.
const FORM_LIMIT: usize = 16 * 1024;
const NO_RIGHT: &str = "Only owners and admins of the client make, replace and delete API keys.";

/// The addresses of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/settings").route(get().to(async || see_other(INDEX))))
        .service(resource(INDEX).route(get().to(index)).route(post().to(create)))
        .service(
            resource("/settings/api-keys/{public_key}/delete")
                .route(get().to(confirm_delete))
                .route(post().to(delete)),
        )
        .service(
            resource("/settings/api-keys/{public_key}/replacement")
                .route(get().to(confirm_replacement))
                .route(post().to(replace)),
        );
}

#[derive(Template)]
#[template(path = "api_keys/index.html")]
struct Index {
    layout: Layout,
    keys: Vec<Row>,
    client_id: String,
    form: FormState,
    form_nonce: String,
    may_manage: bool,
    /// Each scope, and whether its box is ticked.
    scopes: Vec<(&'static str, bool)>,
    /// What just happened to the key that is shown, in a sentence.
    made: Option<String>,
    /// A form sent twice made one key; its text cannot be shown again.
    is_repeat: bool,
}

/// One key in the table.
struct Row {
    name: String,
    public_key: String,
    client_id: String,
    created: Moment,
    scopes: String,
    /// The whole key, in the answer to Generate Key and never again.
    whole_key: Option<String>,
}

#[derive(Template)]
#[template(path = "api_keys/delete.html")]
struct Delete {
    layout: Layout,
    key: Row,
}

#[derive(Template)]
#[template(path = "api_keys/replacement.html")]
struct Replacement {
    layout: Layout,
    key: Row,
    form_nonce: String,
}

impl From<Key> for Row {
    fn from(key: Key) -> Self {
        Self {
            name: key.name,
            public_key: key.public_key,
            client_id: key.client_id,
            created: key.created_at.into(),
            scopes: key.scopes.join(", "),
            whole_key: None,
        }
    }
}

/// What the list shows beside the keys.
struct Outcome {
    form: FormState,
    scopes: Vec<Scope>,
    made: Option<(ClientKey, String)>,
    is_repeat: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Self { form: FormState::default(), scopes: vec![Scope::SessionsRead], made: None, is_repeat: false }
    }
}

async fn index(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    show_list(StatusCode::OK, visitor, &db, Outcome::default()).await
}

async fn show_list(
    status: StatusCode,
    visitor: MaybeSignedIn,
    db: &Db,
    outcome: Outcome,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API Keys", Section::ApiKeys)?;
    let client = signed_in.client();
    let client_id = client.to_string();
    let query = KeyQuery::default();
    let page = db.run(move |connection| list::list(connection, &client, &query)).await?;
    let mut keys: Vec<Row> = page.keys.into_iter().map(Row::from).collect();
    let made = outcome.made.map(|(key, sentence)| {
        if let Some(row) = keys.iter_mut().find(|row| row.public_key == key.public().as_str()) {
            row.whole_key = Some(key.expose());
        }
        sentence
    });
    let page = Index {
        layout,
        keys,
        client_id,
        form: outcome.form,
        form_nonce: new_nonce()?,
        scopes: Scope::ALL.map(|scope| (scope.as_str(), outcome.scopes.contains(&scope))).to_vec(),
        may_manage: signed_in.may_manage_keys(),
        made,
        is_repeat: outcome.is_repeat,
    };
    respond(status, &page)
}

async fn create(
    visitor: MaybeSignedIn,
    fields: Fields<FORM_LIMIT>,
    db: Data<Db>,
    gate: Data<Gate>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    refuse_without_right(&signed_in, &fields)?;
    let scopes = chosen_scopes(&fields);
    let mut form = FormState::default().keep("name", fields.text("name"));
    let name = form.check("name", fields.text("name").parse::<KeyName>());
    if scopes.is_empty() {
        form = form.refuse("scopes", "Choose at least one.");
    }
    let Some(name) = name.filter(|_| !scopes.is_empty()) else {
        return refuse(visitor, &db, form, scopes).await;
    };
    let manager = manager(&signed_in);
    let (key, new_key) = NewKey::generate(gate.hasher(), &manager.client, fields.get("formNonce"))?;
    let made = format!("The key “{name}” is ready.");
    let rights = Rights { scopes: scopes.clone(), ..Rights::default() };
    let plan = Plan { name, lifetime: Lifetime::default(), rights };
    match run(&db, move |connection| changes::create(connection, &manager, &plan, &new_key)).await? {
        Ok(_key) => show_made(visitor, &db, key, made).await,
        Err(error) => match error.field() {
            Some((field, message)) => refuse(visitor, &db, form.refuse(field, message), scopes).await,
            None => repeat_or_fail(visitor, &db, error).await,
        },
    }
}

/// The ticked boxes. A form without boxes, posted by a program, asks for a key that reads.
fn chosen_scopes(fields: &Fields<FORM_LIMIT>) -> Vec<Scope> {
    if fields.get("chooseScopes").is_none() {
        return vec![Scope::SessionsRead];
    }
    Scope::ALL.into_iter().filter(|scope| fields.get(scope.as_str()).is_some()).collect()
}

async fn refuse(
    visitor: MaybeSignedIn,
    db: &Db,
    form: FormState,
    scopes: Vec<Scope>,
) -> Result<HttpResponse, AppError> {
    let outcome = Outcome { form, scopes, ..Outcome::default() };
    show_list(StatusCode::UNPROCESSABLE_ENTITY, visitor, db, outcome).await
}

/// The key is shown in this very answer: a redirect would have to keep it somewhere in between.
async fn show_made(
    visitor: MaybeSignedIn,
    db: &Db,
    key: ClientKey,
    sentence: String,
) -> Result<HttpResponse, AppError> {
    let outcome = Outcome { made: Some((key, sentence)), ..Outcome::default() };
    let mut response = show_list(StatusCode::OK, visitor, db, outcome).await?;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn repeat_or_fail(visitor: MaybeSignedIn, db: &Db, error: KeyError) -> Result<HttpResponse, AppError> {
    if !matches!(error, KeyError::FormUsed) {
        return Err(error.into());
    }
    let outcome = Outcome { is_repeat: true, ..Outcome::default() };
    show_list(StatusCode::OK, visitor, db, outcome).await
}

/// Runs a change whose refusals are answers, not failures.
async fn run<T: Send + 'static>(
    db: &Db,
    work: impl FnOnce(&mut diesel::PgConnection) -> Result<T, KeyError> + Send + 'static,
) -> Result<Result<T, KeyError>, AppError> {
    db.run(move |connection| Ok::<_, AppError>(work(connection))).await
}

fn refuse_without_right(signed_in: &SignedIn, fields: &Fields<FORM_LIMIT>) -> Result<(), AppError> {
    if !signed_in.may_manage_keys() {
        return Err(AppError::Forbidden(NO_RIGHT));
    }
    // A form rendered for one client must not make a key in another that was chosen in a second tab.
    match fields.get("clientId") {
        Some(rendered_for) if rendered_for != signed_in.client().as_str() => Err(AppError::Conflict(
            "This form was opened for another client. Open the page again and check which client is active."
                .into(),
        )),
        _ => Ok(()),
    }
}

fn manager(signed_in: &SignedIn) -> Manager {
    Manager { client: signed_in.client(), trail: signed_in.trail() }
}

fn new_nonce() -> Result<String, AppError> {
    random::text(random::BASE62, 22).map_err(AppError::broken)
}

async fn confirm_delete(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Delete API key", Section::ApiKeys)?;
    let key = living_key(&signed_in, &public_key, &db).await?;
    respond(StatusCode::OK, &Delete { layout, key })
}

async fn confirm_replacement(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Replace API key", Section::ApiKeys)?;
    let key = living_key(&signed_in, &public_key, &db).await?;
    respond(StatusCode::OK, &Replacement { layout, key, form_nonce: new_nonce()? })
}

async fn living_key(signed_in: &SignedIn, public_key: &str, db: &Db) -> Result<Row, AppError> {
    if !signed_in.may_manage_keys() {
        return Err(AppError::Forbidden(NO_RIGHT));
    }
    let key = parse_public_key(public_key)?;
    let client = signed_in.client();
    db.run(move |connection| list::find(connection, &client, &key)).await.map(Row::from)
}

fn parse_public_key(text: &str) -> Result<PublicKey, AppError> {
    text.parse().map_err(|_malformed| AppError::NotFound)
}

async fn delete(
    signed_in: SignedIn,
    session: Session,
    public_key: Path<String>,
    fields: Fields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    refuse_without_right(&signed_in, &fields)?;
    let key = parse_public_key(&public_key)?;
    let manager = manager(&signed_in);
    let deleted = db.run(move |connection| changes::delete(connection, &manager, &key)).await?;
    let message = match deleted {
        Deleted::Now(key) => {
            format!("The key “{}” is deleted. Programs that use it are refused from now on.", key.name)
        }
        Deleted::Before(key) => format!("The key “{}” was deleted already.", key.name),
    };
    leave_message(&session, &message)?;
    Ok(see_other(INDEX))
}

async fn replace(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    fields: Fields<FORM_LIMIT>,
    db: Data<Db>,
    gate: Data<Gate>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    refuse_without_right(&signed_in, &fields)?;
    let old = parse_public_key(&public_key)?;
    let manager = manager(&signed_in);
    let (key, new_key) = NewKey::generate(gate.hasher(), &manager.client, fields.get("formNonce"))?;
    let grace = Grace::None;
    match run(&db, move |connection| changes::replace(connection, &manager, &old, grace, &new_key)).await? {
        Ok(replaced) => {
            let name = replaced.new.name;
            let sentence = format!("The new key “{name}” is ready. The old one is refused from now on.");
            show_made(visitor, &db, key, sentence).await
        }
        Err(error) => repeat_or_fail(visitor, &db, error).await,
    }
}
