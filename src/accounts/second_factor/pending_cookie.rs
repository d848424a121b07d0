//! The first step of a login with a second factor: the password was right, and the page for the code follows.
//!
//! A cookie names the pending login. It works without JavaScript, signs nobody in, and is of no use without a code.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
};
use uuid::Uuid;

use super::pending_login::{self, PENDING_MINUTES};
use crate::{
    accounts::{links::link_token::LinkToken, login::after_login::LoginReturn},
    db::Db,
    error::AppError,
    web::page::see_other,
};

/// The page for the code.
const CODE_PAGE: &str = "/login/second-factor";

/// Stores the pending login and sends the browser to the page for the code.
pub(in crate::accounts) async fn ask_for_code(
    db: &Db,
    is_https: bool,
    user_id: Uuid,
    password_hash: String,
    login_return: &LoginReturn,
) -> Result<HttpResponse, AppError> {
    let login_return = login_return.to_json()?;
    let create = move |connection: &mut diesel::PgConnection| {
        pending_login::create(connection, user_id, &password_hash, &login_return)
    };
    let token = db.run(create).await?;
    let mut response = see_other(CODE_PAGE);
    set_cookie(&mut response, &build_cookie(token.expose().to_owned(), is_https))?;
    Ok(response)
}

/// The token of the pending login that the cookie names.
pub(super) fn read_cookie(request: &HttpRequest, is_https: bool) -> Option<LinkToken> {
    request.cookie(cookie_name(is_https))?.value().parse().ok()
}

/// Removes the cookie, because the login is completed or over.
pub(super) fn remove_cookie(response: &mut HttpResponse, is_https: bool) -> Result<(), AppError> {
    let mut cookie = build_cookie(String::new(), is_https);
    cookie.make_removal();
    set_cookie(response, &cookie)
}

fn set_cookie(response: &mut HttpResponse, cookie: &Cookie<'_>) -> Result<(), AppError> {
    response.add_cookie(cookie).map_err(|error| AppError::broken(error.to_string()))
}

/// The `__Host-` prefix (RFC 6265bis) keeps subdomains from setting the cookie, and needs https.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-uptok_login" } else { "uptok_login" }
}

fn build_cookie(value: String, is_https: bool) -> Cookie<'static> {
    Cookie::build(cookie_name(is_https), value)
        .path("/")
        .max_age(Duration::minutes(PENDING_MINUTES.into()))
        .http_only(true)
        .secure(is_https)
        .same_site(SameSite::Strict)
        .finish()
}
