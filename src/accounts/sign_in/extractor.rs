//! Who is logged in: what a handler asks for.

use std::future::{Ready, ready};

use actix_session::{Session, SessionExt as _};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    audit::{Actor, AuditContext},
    error::AppError,
    ids::ClientId,
    web::page::{NavSection, PageLayout, Visitor},
};

/// The entry under which the store hands over who is logged in.
pub(crate) const SIGNED_IN: &str = "signed_in";
/// The entry under which logging in hands over where it came from.
pub(crate) const PLACE: &str = "place";
/// The entry for the message of the page before.
pub(crate) const FLASH: &str = "flash";

/// The sentence of [`SignedIn::require_client`] for most forms.
pub(crate) const OTHER_CLIENT: &str =
    "This form was opened for another client. Open the page again and check which client is active.";

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Owner,
    /// Makes and deletes keys.
    Admin,
    /// Reads.
    Member,
}

/// What the database knew of a user and the active client when the request arrived: what the store hands over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignInRow {
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) client_id: String,
    pub(crate) client_name: String,
    pub(crate) role: String,
}

impl SignInRow {
    pub(crate) fn client(&self) -> ClientId {
        ClientId::from_database(self.client_id.clone())
    }
}

/// The user and the active client behind a request, as the database knew them when it arrived.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user.
    pub user_id: Uuid,
    known: SignInRow,
    trail: AuditContext,
}

impl SignedIn {
    /// The active client.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.known.client()
    }

    /// What the user leaves in the audit log with this request.
    #[must_use]
    pub fn trail(&self) -> AuditContext {
        self.trail.clone()
    }

    /// The user's role in the active client.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.known.role.as_str() {
            "owner" => Role::Owner,
            "admin" => Role::Admin,
            _ => Role::Member,
        }
    }

    /// Whether the user is an owner or admin of the active client.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        matches!(self.role(), Role::Owner | Role::Admin)
    }

    /// Answers 403 with this sentence unless the user is an owner or admin of the active client.
    pub(crate) fn require_admin(&self, refusal: &'static str) -> Result<(), AppError> {
        if self.is_admin() { Ok(()) } else { Err(AppError::Forbidden(refusal)) }
    }

    /// Answers 409 with this sentence if the form was rendered for another client than the active one. Without this
    /// check, a form from one tab would act on the client that was chosen in another tab.
    pub(crate) fn require_client(
        &self,
        form_client: Option<&str>,
        refusal: &'static str,
    ) -> Result<(), AppError> {
        match form_client {
            Some(form_client) if form_client != self.client().as_str() => {
                Err(AppError::Conflict(refusal.into()))
            }
            _ => Ok(()),
        }
    }

    /// Who sent this request. Leaves the visitor behind, too: an error page has nothing else to know one by.
    fn of(request: &HttpRequest) -> Option<Self> {
        let known = request.get_session().get::<SignInRow>(SIGNED_IN).ok().flatten()?;
        let trail = AuditContext::of(request, Actor::User(known.user_id)).ok()?;
        let signed_in = Self { user_id: known.user_id, known, trail };
        request.extensions_mut().insert(signed_in.visitor());
        Some(signed_in)
    }

    fn visitor(&self) -> Visitor {
        Visitor {
            name: self.known.name.clone(),
            email: self.known.email.clone(),
            client_name: self.known.client_name.clone(),
            client_id: self.known.client_id.clone(),
            may_manage: self.is_admin(),
        }
    }
}

/// The frame of a page for whoever is looking; takes the message of the page before.
#[derive(Debug)]
pub struct MaybeSignedIn {
    /// Who is logged in, if anybody.
    pub signed_in: Option<SignedIn>,
    flash: Option<String>,
}

impl MaybeSignedIn {
    /// The frame of the page `title`.
    #[must_use]
    pub fn layout(self, title: &'static str, section: NavSection) -> PageLayout {
        PageLayout {
            title,
            section,
            visitor: self.signed_in.as_ref().map(SignedIn::visitor),
            flash: self.flash,
        }
    }

    /// Who is logged in, and the frame of the page `title`.
    ///
    /// # Errors
    /// [`AppError::SignedOut`] when nobody is.
    pub fn required(
        self,
        title: &'static str,
        section: NavSection,
    ) -> Result<(SignedIn, PageLayout), AppError> {
        let signed_in = self.signed_in.clone().ok_or(AppError::SignedOut)?;
        Ok((signed_in, self.layout(title, section)))
    }
}

impl FromRequest for MaybeSignedIn {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let session = request.get_session();
        let signed_in = SignedIn::of(request);
        let flash = session.get::<String>(FLASH).ok().flatten();
        if flash.is_some() {
            session.remove(FLASH);
        }
        ready(Ok(Self { signed_in, flash }))
    }
}

impl FromRequest for SignedIn {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::of(request).ok_or(AppError::SignedOut))
    }
}

/// Logs the browser in under a new id, whatever id it came with.
///
/// # Errors
/// [`AppError::Broken`] when the state cannot be written.
pub fn sign_in(
    session: &Session,
    user_id: Uuid,
    client: &ClientId,
    trail: &AuditContext,
) -> Result<(), AppError> {
    session.clear();
    session.renew();
    let known = SignInRow {
        user_id,
        client_id: client.as_str().to_owned(),
        // The store reads only the two ids; the rest is joined when the next request arrives.
        name: String::new(),
        email: String::new(),
        client_name: String::new(),
        role: String::new(),
    };
    session.insert(PLACE, trail.place()).map_err(AppError::broken)?;
    session.insert(SIGNED_IN, known).map_err(AppError::broken)
}

/// Leaves a message for the next page.
///
/// # Errors
/// [`AppError::Broken`] when the state cannot be written.
pub fn leave_message(session: &Session, message: &str) -> Result<(), AppError> {
    session.insert(FLASH, message).map_err(AppError::broken)
}
