//! Who does something, and from where: what a handler takes along to its store.

use std::{
    future::{Ready, ready},
    net::IpAddr,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use uuid::Uuid;

use super::chain::ChainKey;
use crate::{
    config::Settings,
    error::AppError,
    ids::{ClientId, PublicKey},
    web::{client_address::client_address, request_log::request_id},
};

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user who is logged in.
    User(Uuid),
    /// A program.
    Key(PublicKey),
    /// Whoever runs `uptok`.
    CommandLine,
    /// Uptok by itself.
    System,
    /// Nobody we know.
    Visitor,
}

impl Actor {
    /// The word for it in a record.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::CommandLine => "command_line",
            Self::System => "system",
            Self::Visitor => "visitor",
        }
    }

    /// Which one.
    pub(crate) fn id(&self) -> Option<String> {
        match self {
            Self::User(user_id) => Some(user_id.to_string()),
            Self::Key(public_key) => Some(public_key.to_string()),
            Self::CommandLine | Self::System | Self::Visitor => None,
        }
    }
}

/// What the records of one request have in common, and the key they are hashed with.
///
/// [`SignedIn::audit_context`](crate::accounts::SignedIn::audit_context) is that of a page. A handler that knows nobody asks for it like
/// for any argument.
#[derive(Clone, Debug)]
pub struct AuditContext {
    pub(crate) chain: ChainKey,
    pub(crate) actor: Actor,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Uuid>,
}

impl AuditContext {
    /// Of what nobody sent: the command line, the system.
    #[must_use]
    pub fn new(chain: &ChainKey, actor: Actor) -> Self {
        Self { chain: chain.clone(), actor, address: None, request_id: None }
    }

    /// What `actor` leaves with this request.
    ///
    /// # Errors
    /// [`AppError::Broken`] when the application does not provide the chain.
    pub fn of(request: &HttpRequest, actor: Actor) -> Result<Self, AppError> {
        let parts = request.app_data::<Data<ChainKey>>().zip(request.app_data::<Data<Settings>>());
        let (chain, settings) =
            parts.ok_or_else(|| AppError::broken("app.rs does not provide what the audit log needs"))?;
        let address = client_address(request, &settings.trusted_proxies);
        Ok(Self::new(chain, actor).from_place(Some(address), request_id(request)))
    }

    /// From the same place, by this one.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// By this one if it is nobody we know: who registers becomes a user.
    #[must_use]
    pub fn else_by(self, actor: Actor) -> Self {
        if self.actor == Actor::Visitor { self.by(actor) } else { self }
    }

    /// From this place, as a request's that is over by now.
    #[must_use]
    pub fn from_place(mut self, address: Option<IpAddr>, request_id: Option<Uuid>) -> Self {
        self.address = address;
        self.request_id = request_id;
        self
    }

    /// Where it came from: the address and the id of the request.
    #[must_use]
    pub fn place(&self) -> (Option<IpAddr>, Option<Uuid>) {
        (self.address, self.request_id)
    }

    /// The user behind it, if it is one.
    #[must_use]
    pub fn user_id(&self) -> Option<Uuid> {
        if let Actor::User(user_id) = self.actor { Some(user_id) } else { None }
    }

    /// The public key of the program behind it, if it is one.
    #[must_use]
    pub fn public_key(&self) -> Option<&PublicKey> {
        if let Actor::Key(public_key) = &self.actor { Some(public_key) } else { None }
    }

    /// [`ChainKey::pseudonym`].
    #[must_use]
    pub fn pseudonym(&self, client: &ClientId, text: &str) -> String {
        self.chain.pseudonym(client, text)
    }
}

/// What a visitor leaves: whoever knows more of the caller says so with [`AuditContext::by`].
impl FromRequest for AuditContext {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::of(request, Actor::Visitor))
    }
}
