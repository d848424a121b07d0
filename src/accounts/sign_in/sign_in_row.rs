//! What is read for a sign-in on every request.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{accounts::membership::role::Role, ids::ClientId};

/// The user and the clients of a sign-in, as stored when the request arrived.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SignInRow {
    pub(crate) user_id: Uuid,
    pub(crate) name: String,
    pub(crate) email: String,
    /// The active client. `None` if the user is not a member of any client.
    pub(crate) active: Option<ClientMembership>,
    /// The other clients that the user is a member of, by name.
    pub(crate) others: Vec<ClientMembership>,
    /// The key of the sign-in in its table. It signs nobody in.
    pub(crate) id_hash: Vec<u8>,
    /// Whether the user logged in, or entered the password or a code again, within the last hour.
    pub(crate) is_recent: bool,
    /// Whether the user's second factor is on.
    pub(crate) has_second_factor: bool,
}

/// A client that the user is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMembership {
    pub client_id: ClientId,
    pub name: String,
    pub role: Role,
    /// Whether members need a second factor.
    pub requires_second_factor: bool,
}
