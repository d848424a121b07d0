//! Account → Sign-ins.

use actix_session::Session;
use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::form::FORM_LIMIT;
use crate::{
    accounts::{
        login::user_agent::describe_device,
        sign_in::{
            extractor::{MaybeSignedIn, SignedInUser, flash},
            table::SIGN_INS,
            user_sign_ins::{self, SignInListing},
        },
    },
    db::Db,
    error::AppError,
    web::{
        body::FormFields,
        format::{
            hex, plural,
            time::{self, RelativeTime},
        },
        page::{NavSection, PageLayout, respond, see_other},
    },
};

#[derive(Template)]
#[template(path = "accounts/sign_ins.html")]
struct SignInsPage {
    layout: PageLayout,
    rows: Vec<SignInView>,
}

/// A row of the table.
struct SignInView {
    /// What the form to end it sends: the key in the table, in hexadecimal digits. It signs nobody in.
    id: String,
    device: String,
    address: String,
    first_seen: RelativeTime,
    last_seen: RelativeTime,
    is_this_device: bool,
}

impl SignInView {
    fn new(listing: &SignInListing, this: &[u8]) -> Self {
        let address = listing.address.map(|network| network.addr().to_string());
        Self {
            id: hex(&listing.id_hash),
            device: describe_device(listing.user_agent.as_deref().unwrap_or_default()),
            address: address.unwrap_or_else(|| "–".to_owned()),
            first_seen: RelativeTime::new(listing.created_at, time::now()),
            last_seen: RelativeTime::new(listing.last_seen_at, time::now()),
            is_this_device: listing.id_hash == this,
        }
    }
}

pub(crate) async fn index(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user("Sign-ins", NavSection::Account)?;
    let user_id = signed_in.user_id;
    let listings = db.run(move |connection| user_sign_ins::list(connection, user_id)).await?;
    let this = signed_in.id_hash();
    let mut rows: Vec<_> = listings.iter().map(|listing| SignInView::new(listing, this)).collect();
    rows.sort_by_key(|row| !row.is_this_device);
    respond(StatusCode::OK, &SignInsPage { layout, rows })
}

pub(crate) async fn end(
    signed_in: SignedInUser,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let id_hash = parse_id(fields.text("signIn")).ok_or(AppError::NotFound)?;
    if id_hash == signed_in.id_hash() {
        session.purge();
        return Ok(see_other("/login"));
    }
    let (context, user_id) = (signed_in.audit_context(), signed_in.user_id);
    let ended =
        db.run(move |connection| user_sign_ins::end_one(connection, &context, user_id, &id_hash)).await?;
    flash(&session, if ended { "The sign-in has ended." } else { "The sign-in had ended already." })?;
    Ok(see_other(SIGN_INS))
}

pub(crate) async fn end_others(
    signed_in: SignedInUser,
    session: Session,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (context, user_id) = (signed_in.audit_context(), signed_in.user_id);
    let this = signed_in.id_hash().to_vec();
    let ended =
        db.run(move |connection| user_sign_ins::end_all(connection, &context, user_id, Some(&this))).await?;
    let count = i128::try_from(ended).unwrap_or_default();
    flash(&session, format!("{ended} other {} ended.", plural(count, "sign-in")))?;
    Ok(see_other(SIGN_INS))
}

/// The key of a sign-in from 64 hexadecimal digits.
fn parse_id(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let pairs = (0..32).map(|index| u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok());
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_anything_else_refused() {
        let key: Vec<u8> = (0..32).collect();
        assert_eq!(parse_id(&hex(&key)), Some(key));
        for text in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
