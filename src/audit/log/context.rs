//! Who caused an event, and from where: handlers pass it to their stores.

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
    web::{connection::client_address::client_address, middleware::request_log::request_id},
};

/// Who caused an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user.
    User(Uuid),
    /// A program, by its API key.
    Key(PublicKey),
    /// A person who ran `uptok`.
    CommandLine,
    /// Uptok itself, such as a background job.
    System,
    /// A person who is not signed in.
    Visitor,
}

impl Actor {
    /// The value in a record.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::CommandLine => "command_line",
            Self::System => "system",
            Self::Visitor => "visitor",
        }
    }

    /// The id of the user, or the public key.
    pub(crate) fn id(&self) -> Option<String> {
        match self {
            Self::User(user_id) => Some(user_id.to_string()),
            Self::Key(public_key) => Some(public_key.to_string()),
            Self::CommandLine | Self::System | Self::Visitor => None,
        }
    }
}

/// What all records of a request have in common, and the key they are hashed with.
///
/// Pages for users get it from their sign-in; other handlers extract it, with [`Actor::Visitor`].
#[derive(Clone, Debug)]
pub struct AuditContext {
    pub(crate) chain: ChainKey,
    pub(crate) actor: Actor,
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<Uuid>,
}

impl AuditContext {
    /// A context outside of requests: of the command line or the system.
    #[must_use]
    pub fn new(chain: &ChainKey, actor: Actor) -> Self {
        Self { chain: chain.clone(), actor, address: None, request_id: None }
    }

    /// The context of a request by this actor.
    ///
    /// # Errors
    /// [`AppError::Broken`] if the application lacks the key or the settings.
    pub fn for_actor(request: &HttpRequest, actor: Actor) -> Result<Self, AppError> {
        let app_data = request.app_data::<Data<ChainKey>>().zip(request.app_data::<Data<Settings>>());
        let (chain, settings) =
            app_data.ok_or_else(|| AppError::broken("app.rs does not provide what the audit log needs"))?;
        let address = client_address(request, &settings.trusted_proxies);
        Ok(Self::new(chain, actor).from_place(Some(address), request_id(request)))
    }

    /// The same context with another actor.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Replaces a visitor by this actor, such as a user who has just registered. Keeps any other actor.
    #[must_use]
    pub fn else_by(self, actor: Actor) -> Self {
        if self.actor == Actor::Visitor { self.by(actor) } else { self }
    }

    /// The same context with the address and id of a request, which may be over by now.
    #[must_use]
    pub fn from_place(mut self, address: Option<IpAddr>, request_id: Option<Uuid>) -> Self {
        self.address = address;
        self.request_id = request_id;
        self
    }

    /// The address and the id of the request.
    #[must_use]
    pub fn place(&self) -> (Option<IpAddr>, Option<Uuid>) {
        (self.address, self.request_id)
    }

    /// Returns `None` if the actor is no user.
    #[must_use]
    pub fn user_id(&self) -> Option<Uuid> {
        if let Actor::User(user_id) = self.actor { Some(user_id) } else { None }
    }

    /// Returns `None` if the actor is no program.
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

/// Extracts the context of a visitor. Handlers that authenticate callers set the actor with [`AuditContext::by`].
impl FromRequest for AuditContext {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::for_actor(request, Actor::Visitor))
    }
}
