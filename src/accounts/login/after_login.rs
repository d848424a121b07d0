//! Where a login leads: to the page that the visitor wanted, or to the form that was lost.

use actix_session::Session;
use actix_web::{HttpRequest, web::Data};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{
        links::link_token::LinkToken,
        login::interrupted_form::InterruptedForm,
        sign_in::{
            cookie_store::cookie_name,
            extractor::{LOST_FORM, flash},
        },
    },
    error::AppError,
    web::{body::urlencoded::parse_pairs, local_path::LocalPath, page_paths::PagePaths},
};

/// The page after a login that wanted no other.
pub(crate) const HOME: &str = "/settings/api-keys";
/// The page that shows a lost form again.
pub(crate) const CONTINUE: &str = "/login/continue";
/// The field and the query parameter with the path that the visitor wanted.
const NEXT: &str = "next";
/// Tells users why they had to log in.
const LOGGED_OUT: &str = "You had been logged out, and are back on the page you wanted.";

/// What the login page carries to the end of the login.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginReturn {
    pub(crate) path: Option<LocalPath>,
    pub(crate) form: Option<InterruptedForm>,
    /// Whether the browser was logged in before: it still has the cookie.
    pub(crate) was_logged_in: bool,
    /// The invitation that is accepted with the login: the SHA-256 of the token of its link. No field of a form sets it.
    pub(crate) invitation_digest: Option<Vec<u8>>,
}

/// A [`LoginReturn`] as it is stored while a login waits for a code.
#[derive(Default, Serialize, Deserialize)]
struct StoredReturn {
    path: Option<String>,
    form: Option<InterruptedForm>,
    was_logged_in: bool,
    #[serde(default)]
    invitation_digest: Option<Vec<u8>>,
}

impl LoginReturn {
    /// From the query string of the login page.
    pub(crate) fn from_query(request: &HttpRequest, is_https: bool) -> Self {
        let pairs = parse_pairs(request.query_string().as_bytes()).unwrap_or_default();
        let next = pairs.iter().find(|(name, _)| name == NEXT);
        let path = next.and_then(|(_, value)| find_page(request, value));
        Self { path, was_logged_in: has_sign_in_cookie(request, is_https), ..Self::default() }
    }

    /// From the fields of the login form.
    pub(crate) fn from_fields<'a>(
        request: &HttpRequest,
        is_https: bool,
        fields: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
    ) -> Self {
        let next = fields.clone().find(|(name, _)| *name == NEXT);
        Self {
            path: next.and_then(|(_, value)| find_page(request, value)),
            form: InterruptedForm::from_carried(fields),
            was_logged_in: has_sign_in_cookie(request, is_https),
            invitation_digest: None,
        }
    }

    /// Accepts an invitation.
    pub(crate) fn to_invitation(token: &LinkToken) -> Self {
        Self { invitation_digest: Some(token.digest()), ..Self::default() }
    }

    /// Names and values of hidden fields.
    pub(crate) fn hidden_fields(&self) -> Vec<(String, String)> {
        let path = self.path.iter().map(|path| (NEXT.to_owned(), path.to_string()));
        path.chain(self.form.iter().flat_map(InterruptedForm::carried_fields)).collect()
    }

    /// As JSON, for the database.
    pub(crate) fn to_json(&self) -> Result<String, AppError> {
        let stored = StoredReturn {
            path: self.path.as_ref().map(ToString::to_string),
            form: self.form.clone(),
            was_logged_in: self.was_logged_in,
            invitation_digest: self.invitation_digest.clone(),
        };
        serde_json::to_string(&stored).map_err(AppError::broken)
    }

    /// What [`Self::to_json`] wrote, or nothing if it cannot be read.
    pub(crate) fn from_json(json: &str) -> Self {
        let stored: StoredReturn = serde_json::from_str(json).unwrap_or_default();
        Self {
            path: stored.path.and_then(|path| path.parse().ok()),
            form: stored.form,
            was_logged_in: stored.was_logged_in,
            invitation_digest: stored.invitation_digest,
        }
    }

    /// Leaves a note or the form for the next page, and returns its path. Call it after the sign-in.
    pub(crate) fn finish(self, session: &Session) -> Result<String, AppError> {
        if let Some(form) = self.form.filter(InterruptedForm::has_visible_fields) {
            session.insert(LOST_FORM, form).map_err(AppError::broken)?;
            return Ok(CONTINUE.to_owned());
        }
        let Some(path) = self.path else { return Ok(HOME.to_owned()) };
        if self.was_logged_in {
            flash(session, LOGGED_OUT)?;
        }
        Ok(path.to_string())
    }
}

/// The page that the visitor wanted. A path that answers only POST would end in an error.
fn find_page(request: &HttpRequest, wanted: &str) -> Option<LocalPath> {
    request.app_data::<Data<PagePaths>>()?.find_page(wanted)
}

/// Whether the browser sends a sign-in, which may have ended.
pub(crate) fn has_sign_in_cookie(request: &HttpRequest, is_https: bool) -> bool {
    request.cookie(cookie_name(is_https)).is_some()
}
