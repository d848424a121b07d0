//! The extractors for the visitor of a page.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_session::{Session, SessionExt as _};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header::USER_AGENT};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    accounts::{device_name::USER_AGENT_MAX, role::Role},
    audit::{Actor, AuditContext},
    error::AppError,
    ids::ClientId,
    web::page::{LayoutUser, NavSection, PageLayout, message::Message},
};

/// Entry of the session state with the [`SignInRow`].
pub(crate) const SIGNED_IN: &str = "signed_in";
/// Entry of the session state with the [`SignInOrigin`] of a login.
pub(crate) const ORIGIN: &str = "origin";
/// Entry of the session state with a form that was lost with an earlier sign-in.
pub(crate) const LOST_FORM: &str = "lost_form";
/// Entry of the session state with the message for the next page.
pub(crate) const FLASH: &str = "flash";

const NO_CLIENT: &str = "This form does not say for which client it was opened. Open the page again and send the form from there.";
const OTHER_CLIENT: &str =
    "This form was opened for another client. Open the page again and check which client is active.";

/// The user and the active client of a sign-in, as stored when the request arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignInRow {
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) client_id: ClientId,
    pub(crate) client_name: String,
    pub(crate) role: Role,
    /// The key of the sign-in in its table. It signs nobody in.
    pub(crate) id_hash: Vec<u8>,
    /// Whether the user logged in within the last hour, which counts as a confirmation of the password.
    pub(crate) is_recent: bool,
}

/// Where a login came from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SignInOrigin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) user_agent: String,
    /// Whether the user is told by mail, because the browser had not logged in to the account before.
    pub(crate) is_new_device: bool,
}

impl SignInOrigin {
    /// The origin of this request.
    #[must_use]
    pub fn new(request: &HttpRequest, context: &AuditContext) -> Self {
        let (address, request_id) = context.place();
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.unwrap_or_default().chars().take(USER_AGENT_MAX).collect();
        Self { address, request_id, user_agent, is_new_device: false }
    }

    /// The same origin, reported by mail if the device is new.
    #[must_use]
    pub fn from_new_device(mut self, is_new_device: bool) -> Self {
        self.is_new_device = is_new_device;
        self
    }
}

impl SignInRow {
    pub(crate) fn client(&self) -> ClientId {
        self.client_id.clone()
    }
}

/// The user and the active client of a request, as stored when it arrived.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user.
    pub user_id: Uuid,
    row: SignInRow,
    context: AuditContext,
}

impl SignedIn {
    /// The active client.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.row.client()
    }

    /// The context of audit records that this request writes.
    #[must_use]
    pub fn audit_context(&self) -> AuditContext {
        self.context.clone()
    }

    /// The user's role in the active client.
    #[must_use]
    pub fn role(&self) -> Role {
        self.row.role
    }

    /// The user's email.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.row.email
    }

    /// Whether the user logged in within the last hour.
    pub(crate) fn is_recent(&self) -> bool {
        self.row.is_recent
    }

    /// The key of this sign-in in its table.
    pub(crate) fn id_hash(&self) -> &[u8] {
        &self.row.id_hash
    }

    /// Whether the user is an owner or admin of the active client.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        matches!(self.role(), Role::Owner | Role::Admin)
    }

    /// Refuses with 403 and this message unless the user is an owner or admin of the active client.
    pub(crate) fn require_admin(&self, refusal: &'static str) -> Result<(), AppError> {
        if self.is_admin() { Ok(()) } else { Err(AppError::Forbidden(refusal)) }
    }

    /// Refuses a form whose field `clientId` is absent (400) or names another client than the active one (409).
    /// Without this check, a form from one tab would act on the client that was chosen in another tab.
    pub(super) fn require_client(&self, form_client: &str) -> Result<(), AppError> {
        match form_client {
            "" => Err(AppError::Malformed(NO_CLIENT.into())),
            named if named != self.row.client_id.as_str() => Err(AppError::Conflict(OTHER_CLIENT.into())),
            _ => Ok(()),
        }
    }

    /// Reads the sign-in of the request. Also attaches the [`LayoutUser`] to the request, because error pages have no other
    /// way to show who is signed in.
    fn from_request_state(request: &HttpRequest) -> Option<Self> {
        let row = request.get_session().get::<SignInRow>(SIGNED_IN).ok().flatten()?;
        let context = AuditContext::for_actor(request, Actor::User(row.user_id)).ok()?;
        let signed_in = Self { user_id: row.user_id, row, context };
        request.extensions_mut().insert(signed_in.visitor());
        Some(signed_in)
    }

    fn visitor(&self) -> LayoutUser {
        LayoutUser {
            name: self.row.name.clone(),
            email: self.row.email.clone(),
            client_name: self.row.client_name.clone(),
            client_id: self.row.client_id.to_string(),
            may_manage: self.is_admin(),
        }
    }
}

/// The visitor of a page, signed in or not. Extracting it consumes the message that the previous page left.
#[derive(Debug)]
pub struct MaybeSignedIn {
    /// `None` if the visitor is not signed in.
    pub signed_in: Option<SignedIn>,
    flash: Option<Message>,
}

impl MaybeSignedIn {
    /// The layout of the page with this title.
    #[must_use]
    pub fn layout(self, title: &'static str, section: NavSection) -> PageLayout {
        PageLayout {
            title,
            section,
            visitor: self.signed_in.as_ref().map(SignedIn::visitor),
            flash: self.flash,
        }
    }

    /// The user, and the layout of the page with this title.
    ///
    /// # Errors
    /// [`AppError::SignedOut`] if the visitor is not signed in.
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
        let signed_in = SignedIn::from_request_state(request);
        let flash = session.get::<Message>(FLASH).ok().flatten();
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
        ready(Self::from_request_state(request).ok_or(AppError::SignedOut))
    }
}

/// Signs the browser in under a new session id, so that an id from before cannot be used to follow it (session fixation).
///
/// # Errors
/// [`AppError::Broken`] if the session state cannot be written.
pub fn sign_in(
    session: &Session,
    user_id: Uuid,
    client: &ClientId,
    origin: &SignInOrigin,
) -> Result<(), AppError> {
    session.clear();
    session.renew();
    let row = SignInRow {
        user_id,
        client_id: client.clone(),
        // The store reads only the two ids; the rest is joined when the next request arrives.
        name: String::new(),
        email: String::new(),
        client_name: String::new(),
        role: Role::Member,
        id_hash: Vec::new(),
        is_recent: true,
    };
    session.insert(ORIGIN, origin).map_err(AppError::broken)?;
    session.insert(SIGNED_IN, row).map_err(AppError::broken)
}

/// Shows a message once, on the next page. Plain text is a success.
///
/// # Errors
/// [`AppError::Broken`] if the session state cannot be written.
pub fn flash(session: &Session, message: impl Into<Message>) -> Result<(), AppError> {
    session.insert(FLASH, message.into()).map_err(AppError::broken)
}
