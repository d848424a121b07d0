//! Who changes the keys of a client.

use uuid::Uuid;

use super::PublicKey;
use crate::accounts::ClientId;

/// Who changes the keys of a client.
#[derive(Clone, Debug)]
pub struct Manager {
    /// The client that owns the keys.
    pub client: ClientId,
    /// Who acts for it.
    pub actor: Actor,
}

/// Who acts for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user, who is owner or admin.
    User(Uuid),
    /// A program, with a key that may manage keys. It gives no more than it has.
    Key(PublicKey),
    /// Whoever may run the command line.
    CommandLine,
}

impl Actor {
    pub(super) const fn user(&self) -> Option<Uuid> {
        if let Self::User(user) = self { Some(*user) } else { None }
    }

    pub(super) fn key(&self) -> Option<&str> {
        if let Self::Key(key) = self { Some(key.as_str()) } else { None }
    }
}
