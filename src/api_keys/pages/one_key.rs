//! Settings → API Keys → one key: changing, replacing and deleting it.

use std::slice;

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
        FORM_LIMIT, INDEX, KeyToShow, generate_form_nonce, key_actor, run_change, show_new_key,
        show_repeat_or_fail,
    },
    row::{KeyView, draw_sparkline},
};
use crate::{
    accounts::{MaybeSignedIn, Permission, SignedIn, flash},
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
    usage::{self, DailyRequests},
    web::{
        body::FormFields,
        page::{NavSection, PageLayout, message::Message, respond, see_other, sparkline::Sparkline},
    },
};

#[derive(Template)]
#[template(path = "api_keys/one_key.html")]
struct OneKeyPage {
    layout: PageLayout,
    key: KeyView,
    sparkline: Sparkline,
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
    /// The one that is preselected.
    grace: GracePeriod,
}

impl OneKeyPage {
    fn new(layout: PageLayout, found: FoundKey, form: KeyForm, may_manage: bool) -> Self {
        Self { layout, key: found.row, sparkline: draw_sparkline(&found.days), form, may_manage }
    }
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API key", NavSection::ApiKeys)?;
    let found = find_key(&signed_in, &public_key, &db).await?;
    let form = KeyForm::from_key(&found.key);
    respond(StatusCode::OK, &OneKeyPage::new(layout, found, form, signed_in.may(Permission::ManageKeys)))
}

pub(crate) async fn change(
    visitor: MaybeSignedIn,
    session: Session,
    public_key: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("API key", NavSection::ApiKeys)?;
    let before = find_key(&signed_in, &public_key, &db).await?;
    let key = parse_public_key(&public_key)?;
    let mut form = KeyForm::from_changes(&fields, &before.key);
    let Some(rights) = form.rights() else {
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &OneKeyPage::new(layout, before, form, true));
    };
    let actor = key_actor(&signed_in);
    let changed = db.run(move |connection| service::change(connection, &actor, &key, &rights)).await?;
    let after = changed.after;
    let message = format!("The key “{}” was saved. The changes apply from its next request.", after.name);
    flash(&session, &message)?;
    Ok(see_other(&format!("{INDEX}/{}", after.public_key)))
}

pub(crate) async fn confirm_delete(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Delete API key", NavSection::ApiKeys)?;
    let key = find_key(&signed_in, &public_key, &db).await?.row;
    respond(StatusCode::OK, &DeleteKeyPage { layout, key })
}

pub(crate) async fn delete(
    signed_in: SignedIn,
    session: Session,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let key = parse_public_key(&public_key)?;
    let actor = key_actor(&signed_in);
    let deleted = db.run(move |connection| service::delete(connection, &actor, &key)).await?;
    let message = match deleted {
        KeyDeletion::Now(key) => Message::success(format!(
            "The key “{}” was deleted. Programs that use it are refused from now on.",
            key.name
        )),
        KeyDeletion::Before(key) => {
            Message::warning(format!("The key “{}” had already been deleted.", key.name))
        }
    };
    flash(&session, message)?;
    Ok(see_other(INDEX))
}

pub(crate) async fn confirm_replacement(
    visitor: MaybeSignedIn,
    session: Session,
    public_key: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Replace API key", NavSection::ApiKeys)?;
    let key = find_key(&signed_in, &public_key, &db).await?.row;
    if let Some(by) = &key.replaced_by {
        flash(&session, Message::warning(format!("This key has already been replaced by {by}.")))?;
        return Ok(see_other(&format!("{INDEX}/{}", key.public_key)));
    }
    let is_used = key.used.as_ref().is_some_and(|used| used.is_of_this_week);
    let page = ReplaceKeyPage {
        layout,
        key,
        form_nonce: generate_form_nonce(),
        graces: GracePeriod::ALL,
        // A program that uses the key needs time to get the new one.
        grace: if is_used { GracePeriod::Day } else { GracePeriod::None },
    };
    respond(StatusCode::OK, &page)
}

pub(crate) async fn replace(
    visitor: MaybeSignedIn,
    public_key: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
    authenticator: Data<KeyAuthenticator>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
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

/// The key in the path, and how pages show it.
struct FoundKey {
    key: ApiKey,
    row: KeyView,
    days: Vec<DailyRequests>,
}

async fn find_key(signed_in: &SignedIn, public_key: &str, db: &Db) -> Result<FoundKey, AppError> {
    let key = parse_public_key(public_key)?;
    let client = signed_in.client();
    db.run(move |connection| {
        let found = store::find(connection, &client, &key)?;
        let activities = usage::load_key_activities(connection, &client, slice::from_ref(&key))?;
        let days = usage::load_daily_requests(connection, &client, &key, found.as_of.date_naive())?;
        Ok::<_, AppError>(FoundKey {
            row: KeyView::new(found.clone(), activities.get(&key)),
            key: found,
            days,
        })
    })
    .await
}

fn parse_public_key(public_key: &str) -> Result<PublicKey, AppError> {
    public_key.parse().map_err(|_malformed| AppError::NotFound)
}
