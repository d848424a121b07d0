//! The extractors for the visitor of a page.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_session::{Session, SessionExt as _};
use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, dev::Payload, http::header::USER_AGENT, web::Data,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    accounts::{
        login::user_agent::USER_AGENT_MAX,
        membership::{permission::Permission, role::Role},
    },
    audit::{Actor, AuditContext},
    config::{Settings, SignUpPolicy},
    error::AppError,
    ids::ClientId,
    web::page::{ClientOption, LayoutUser, NavSection, PageLayout, message::Message},
};

pub use super::sign_in_row::ClientMembership;
pub(crate) use super::sign_in_row::SignInRow;

/// Entry of the session state with the [`SignInRow`].
pub(crate) const SIGNED_IN: &str = "signed_in";
/// Entry of the session state with the [`SignInOrigin`] of a login.
pub(crate) const ORIGIN: &str = "origin";
/// Entry of the session state with a form that was lost with an earlier sign-in.
pub(crate) const LOST_FORM: &str = "lost_form";
/// Entry of the session state with the message for the next page.
pub(crate) const FLASH: &str = "flash";
/// Entry of the session state with the client that becomes the active one. It is never loaded, so that a request that
/// changes something else does not undo a switch that happened meanwhile.
pub(crate) const SWITCH_TO: &str = "switch_to";

const NO_CLIENT: &str = "This form does not say for which client it was opened. Open the page again and send the form from there.";
pub(super) const OTHER_CLIENT: &str =
    "This form was opened for another client. Open the page again and check which client is active.";

/// Where a login came from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SignInOrigin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) user_agent: String,
    /// Whether the user is notified by mail, because the browser had not logged in to the account before.
    pub(crate) is_new_device: bool,
}

impl SignInOrigin {
    /// The origin of this request.
    #[must_use]
    pub fn new(request: &HttpRequest, context: &AuditContext) -> Self {
        let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.unwrap_or_default().chars().take(USER_AGENT_MAX).collect();
        Self { user_agent, ..Self::of_context(context) }
    }

    fn of_context(context: &AuditContext) -> Self {
        let (address, request_id) = context.place();
        Self { address, request_id, ..Self::default() }
    }

    /// The same origin, reported by mail if the device is new.
    #[must_use]
    pub fn from_new_device(mut self, is_new_device: bool) -> Self {
        self.is_new_device = is_new_device;
        self
    }
}

/// The user of a request, also one who is not a member of any client.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    pub user_id: Uuid,
    row: SignInRow,
    context: AuditContext,
    may_create_clients: bool,
}

impl SignedInUser {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.row.name
    }

    #[must_use]
    pub fn email(&self) -> &str {
        &self.row.email
    }

    /// Whether the user logged in, or entered the password or a code again, within the last hour.
    pub(crate) fn is_recent(&self) -> bool {
        self.row.is_recent
    }

    /// Whether the user's second factor is on.
    pub(crate) fn has_second_factor(&self) -> bool {
        self.row.has_second_factor
    }

    /// The active client, if it requires a second factor and the user has none.
    pub(crate) fn needs_second_factor(&self) -> Option<&ClientMembership> {
        self.row.active.as_ref().filter(|client| self.lacks_second_factor(client))
    }

    /// Whether this client of the user requires a second factor that the user does not have. Its data is then hidden from
    /// the user.
    pub(crate) fn lacks_second_factor(&self, client: &ClientMembership) -> bool {
        client.requires_second_factor && !self.has_second_factor()
    }

    /// The key of this sign-in in its table.
    pub(crate) fn id_hash(&self) -> &[u8] {
        &self.row.id_hash
    }

    /// The other clients that the user is a member of, by name.
    #[must_use]
    pub fn other_clients(&self) -> &[ClientMembership] {
        &self.row.others
    }

    /// The client with this id, if the user is a member of it.
    #[must_use]
    pub fn find_client(&self, client_id: &str) -> Option<&ClientMembership> {
        let mut clients = self.row.active.iter().chain(&self.row.others);
        clients.find(|client| client.client_id.as_str() == client_id)
    }

    /// Whether the installation lets every user create clients.
    #[must_use]
    pub fn may_create_clients(&self) -> bool {
        self.may_create_clients
    }

    /// The context of audit records that this request writes.
    #[must_use]
    pub fn audit_context(&self) -> AuditContext {
        self.context.clone()
    }

    /// Reads the sign-in of the request. Also attaches the [`LayoutUser`] to the request, because error pages have no other
    /// way to show who is signed in.
    fn from_request_state(request: &HttpRequest) -> Option<Self> {
        let row = request.get_session().get::<SignInRow>(SIGNED_IN).ok().flatten()?;
        let context = AuditContext::for_actor(request, Actor::User(row.user_id)).ok()?;
        let settings = request.app_data::<Data<Settings>>();
        let may_create_clients = settings.is_some_and(|it| it.sign_up == SignUpPolicy::Open);
        let user = Self { user_id: row.user_id, row, context, may_create_clients };
        request.extensions_mut().insert(user.visitor());
        Some(user)
    }

    fn visitor(&self) -> LayoutUser {
        let active = self.row.active.as_ref();
        let option = |client: &ClientMembership| ClientOption {
            client_id: client.client_id.to_string(),
            name: client.name.clone(),
        };
        let may = |permission: Permission| active.is_some_and(|it| permission.is_granted_to(it.role));
        LayoutUser {
            user_id: self.user_id.to_string(),
            name: self.row.name.clone(),
            email: self.row.email.clone(),
            client_name: active.map(|it| it.name.clone()).unwrap_or_default(),
            client_id: active.map(|it| it.client_id.to_string()).unwrap_or_default(),
            may_manage: may(Permission::ReadAuditLog),
            may_manage_client: may(Permission::ManageClient),
            may_create_clients: self.may_create_clients,
            other_clients: self.row.others.iter().map(option).collect(),
        }
    }

    /// Makes another client the active one, for this request and from then on.
    pub(super) fn activate(mut self, session: &Session, client: &ClientMembership) -> Result<(), AppError> {
        switch_client(session, &client.client_id, &self.context)?;
        self.row.others.retain(|other| other.client_id != client.client_id);
        self.row.others.extend(self.row.active.replace(client.clone()));
        session.insert(SIGNED_IN, self.row).map_err(AppError::broken)
    }
}

/// The user and the active client of a request, as stored when it arrived.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user.
    pub user_id: Uuid,
    user: SignedInUser,
    active: ClientMembership,
}

impl SignedIn {
    fn from_user(user: SignedInUser) -> Option<Self> {
        let active = user.row.active.clone()?;
        Some(Self { user_id: user.user_id, user, active })
    }

    /// The active client.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.active.client_id.clone()
    }

    /// Whether members of the active client need a second factor.
    #[must_use]
    pub fn requires_second_factor(&self) -> bool {
        self.active.requires_second_factor
    }

    /// The name of the active client.
    #[must_use]
    pub fn client_name(&self) -> &str {
        &self.active.name
    }

    /// The user, with all clients.
    #[must_use]
    pub fn user(&self) -> &SignedInUser {
        &self.user
    }

    /// The context of audit records that this request writes.
    #[must_use]
    pub fn audit_context(&self) -> AuditContext {
        self.user.audit_context()
    }

    /// The user's role in the active client.
    #[must_use]
    pub fn role(&self) -> Role {
        self.active.role
    }

    /// Whether the user's role in the active client permits this.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        permission.is_granted_to(self.role())
    }

    /// Refuses with 403 what the user's role in the active client does not permit. The table of page routes does so for
    /// each route, before its handler runs.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), AppError> {
        if self.may(permission) { Ok(()) } else { Err(AppError::Forbidden(permission.refusal())) }
    }

    /// Refuses a form whose field `clientId` is absent (400) or names another client than the active one (409).
    /// Without this check, a form from one tab would act on the client that was chosen in another tab.
    pub(super) fn require_client(&self, form_client: &str) -> Result<(), AppError> {
        match form_client {
            "" => Err(AppError::Malformed(NO_CLIENT.into())),
            named if named != self.active.client_id.as_str() => Err(AppError::Conflict(OTHER_CLIENT.into())),
            _ => Ok(()),
        }
    }
}

/// The visitor of a page, signed in or not. Extracting it consumes the message that the previous page left.
#[derive(Debug)]
pub struct MaybeSignedIn {
    /// `None` if the visitor is not signed in, or is not a member of any client.
    pub signed_in: Option<SignedIn>,
    /// `None` if the visitor is not signed in.
    pub user: Option<SignedInUser>,
    flash: Option<Message>,
}

impl MaybeSignedIn {
    /// The layout of the page with this title.
    #[must_use]
    pub fn layout(self, title: &'static str, section: NavSection) -> PageLayout {
        PageLayout {
            title,
            section,
            visitor: self.user.as_ref().map(SignedInUser::visitor),
            flash: self.flash,
        }
    }

    /// The user with the active client, and the layout of the page with this title.
    ///
    /// # Errors
    /// [`AppError::SignedOut`] if the visitor is not signed in, [`AppError::NoClient`] if the user has no client.
    pub fn required(
        self,
        title: &'static str,
        section: NavSection,
    ) -> Result<(SignedIn, PageLayout), AppError> {
        let refusal = if self.user.is_some() { AppError::NoClient } else { AppError::SignedOut };
        let signed_in = self.signed_in.clone().ok_or(refusal)?;
        Ok((signed_in, self.layout(title, section)))
    }

    /// The user, also one without a client, and the layout of the page with this title.
    ///
    /// # Errors
    /// [`AppError::SignedOut`] if the visitor is not signed in.
    pub fn required_user(
        self,
        title: &'static str,
        section: NavSection,
    ) -> Result<(SignedInUser, PageLayout), AppError> {
        let user = self.user.clone().ok_or(AppError::SignedOut)?;
        Ok((user, self.layout(title, section)))
    }
}

impl FromRequest for MaybeSignedIn {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let session = request.get_session();
        let user = SignedInUser::from_request_state(request);
        let flash = session.get::<Message>(FLASH).ok().flatten();
        if flash.is_some() {
            session.remove(FLASH);
        }
        ready(Ok(Self { signed_in: user.clone().and_then(SignedIn::from_user), user, flash }))
    }
}

impl FromRequest for SignedInUser {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::from_request_state(request).ok_or(AppError::SignedOut))
    }
}

impl FromRequest for SignedIn {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let user = SignedInUser::from_request_state(request).ok_or(AppError::SignedOut);
        ready(user.and_then(|user| Self::from_user(user).ok_or(AppError::NoClient)))
    }
}

/// Signs the browser in under a new session id, so that an id from before cannot be used to follow it (session fixation).
///
/// # Errors
/// [`AppError::Broken`] if the session state cannot be written.
pub fn sign_in<'a>(
    session: &Session,
    user_id: Uuid,
    client: impl Into<Option<&'a ClientId>>,
    origin: &SignInOrigin,
) -> Result<(), AppError> {
    session.clear();
    session.renew();
    // The store reads only the two ids; the rest is joined when the next request arrives.
    let active = client.into().map(|client| ClientMembership {
        client_id: client.clone(),
        name: String::new(),
        role: Role::Member,
        requires_second_factor: false,
    });
    let row = SignInRow {
        user_id,
        name: String::new(),
        email: String::new(),
        active,
        others: Vec::new(),
        id_hash: Vec::new(),
        is_recent: true,
        has_second_factor: false,
    };
    session.insert(ORIGIN, origin).map_err(AppError::broken)?;
    session.insert(SIGNED_IN, row).map_err(AppError::broken)
}

/// Makes a client of the user the active one of the sign-in, from the next request on.
///
/// # Errors
/// [`AppError::Broken`] if the session state cannot be written.
pub(crate) fn switch_client(
    session: &Session,
    client: &ClientId,
    context: &AuditContext,
) -> Result<(), AppError> {
    session.insert(ORIGIN, SignInOrigin::of_context(context)).map_err(AppError::broken)?;
    session.insert(SWITCH_TO, client).map_err(AppError::broken)
}

/// Shows a message once, on the next page. Plain text is a success.
///
/// # Errors
/// [`AppError::Broken`] if the session state cannot be written.
pub fn flash(session: &Session, message: impl Into<Message>) -> Result<(), AppError> {
    session.insert(FLASH, message.into()).map_err(AppError::broken)
}
