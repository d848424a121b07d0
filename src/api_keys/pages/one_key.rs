//! Settings → API Keys → one key: changing, replacing and deleting it.

use actix_session::Session;
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;

use super::{
    form::KeyForm,
    list::{
        ADMINS_ONLY, FORM_LIMIT, INDEX, KeyToShow, generate_form_nonce, key_actor, run_change, show_new_key,
        show_repeat_or_fail,
    },
    row::KeyView,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn, flash},
    api_keys::{
        auth::key_authenticator::KeyAuthenticator,
        key::{ApiKey, KeyDeletion, KeyStatus},
        lifetime::GracePeriod,
        new_key::HashedKey,
        service, store,
    },
    db::Db,
    error::AppError,
    ids::PublicKey,
    usage,
    web::{
        body::FormFields,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

#[derive(Template)]
#[template(path = "api_keys/one_key.html")]
struct OneKeyPage {
    layout: PageLayout,
    key: KeyView,
    form: KeyForm,
    may_manage: bool,
}

#[derive(Template)]
#[template(path = "api_keys/delete.html")]
struct DeleteKeyPage {
    layout: PageLayout,
    key: KeyView,
}

#[derive(Template)]
#[template(path = "api_keys/replacement.html")]
struct ReplaceKeyPage {
    layout: PageLayout,
    key: KeyView,
    form_nonce: String,
    graces: [GracePeriod; GracePeriod::ALL.len()],
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API key", NavSection::ApiKeys)?;
    let (key, row) = find_key(&signed_in, &public_key, &db).await?;
    let page =
        OneKeyPage { layout, form: KeyForm::from_key(&key), key: row, may_manage: signed_in.is_admin() };
    respond(StatusCode::OK, &page)
}

pub(crate) async fn change(
    visitor: MaybeSignedIn,
    session: Session,
    public_key: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API key", NavSection::ApiKeys)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let (before, row) = find_key(&signed_in, &public_key, &db).await?;
    let key = parse_public_key(&public_key)?;
    let mut form = KeyForm::from_changes(&fields, &before);
    let Some(rights) = form.rights() else {
        let page = OneKeyPage { layout, key: row, form, may_manage: true };
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let actor = key_actor(&signed_in);
    let changed = db.run(move |connection| service::change(connection, &actor, &key, &rights)).await?;
    let after = changed.after;
    let message = format!("The key “{}” is changed. That holds from its next request on.", after.name);
    flash(&session, &message)?;
    Ok(see_other(&format!("{INDEX}/{}", after.public_key)))
}

pub(crate) async fn confirm_delete(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Delete API key", NavSection::ApiKeys)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let (_key, key) = find_key(&signed_in, &public_key, &db).await?;
    respond(StatusCode::OK, &DeleteKeyPage { layout, key })
}

pub(crate) async fn delete(
    signed_in: SignedIn,
    session: Session,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    signed_in.require_admin(ADMINS_ONLY)?;
    let key = parse_public_key(&public_key)?;
    let actor = key_actor(&signed_in);
    let deleted = db.run(move |connection| service::delete(connection, &actor, &key)).await?;
    let message = match deleted {
        KeyDeletion::Now(key) => {
            format!("The key “{}” is deleted. Programs that use it are refused from now on.", key.name)
        }
        KeyDeletion::Before(key) => format!("The key “{}” was deleted already.", key.name),
    };
    flash(&session, &message)?;
    Ok(see_other(INDEX))
}

pub(crate) async fn confirm_replacement(
    visitor: MaybeSignedIn,
    session: Session,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Replace API key", NavSection::ApiKeys)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let (_key, key) = find_key(&signed_in, &public_key, &db).await?;
    if let Some(by) = &key.replaced_by {
        flash(&session, &format!("This key was replaced already, by {by}."))?;
        return Ok(see_other(&format!("{INDEX}/{}", key.public_key)));
    }
    respond(
        StatusCode::OK,
        &ReplaceKeyPage { layout, key, form_nonce: generate_form_nonce(), graces: GracePeriod::ALL },
    )
}

pub(crate) async fn replace(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
    authenticator: Data<KeyAuthenticator>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let old = parse_public_key(&public_key)?;
    let grace: GracePeriod =
        fields.text("graceSeconds").parse().map_err(|error: crate::api_keys::GracePeriodError| {
            AppError::invalid("graceSeconds", error.to_string())
        })?;
    let actor = key_actor(&signed_in);
    let (key, new_key) = HashedKey::generate(authenticator.hasher(), &actor.client, fields.get("formNonce"));
    match run_change(&db, move |connection| service::replace(connection, &actor, &old, grace, &new_key))
        .await?
    {
        Ok(replaced) => {
            let new_key = KeyToShow { key, message: replacement_message(&replaced.old) };
            show_new_key(visitor, &db, new_key).await
        }
        Err(error) => show_repeat_or_fail(visitor, &db, error).await,
    }
}

fn replacement_message(old: &ApiKey) -> String {
    let row = KeyView::new(old.clone(), None);
    match (old.status(), row.ends_at) {
        (KeyStatus::Replaced, Some(ends)) if old.deleted_at.is_none() => {
            format!("The new key “{}” is ready. The old one {}, on {}.", old.name, row.end, ends.text)
        }
        _ => format!("The new key “{}” is ready. The old one is refused from now on.", old.name),
    }
}

/// The key in the path, and how the page shows it.
async fn find_key(signed_in: &SignedIn, public_key: &str, db: &Db) -> Result<(ApiKey, KeyView), AppError> {
    let key = parse_public_key(public_key)?;
    let client = signed_in.client();
    let (key, usage) = db
        .run(move |connection| {
            let found = store::find(connection, &client, &key)?;
            let usage = usage::load_key_use(connection, &client, &key)?;
            Ok::<_, AppError>((found, usage))
        })
        .await?;
    Ok((key.clone(), KeyView::new(key, Some(&usage))))
}

fn parse_public_key(public_key: &str) -> Result<PublicKey, AppError> {
    public_key.parse().map_err(|_malformed| AppError::NotFound)
}
