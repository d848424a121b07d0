//! Who changes the keys of a client.

use crate::{audit::Trail, ids::ClientId};

/// Who changes the keys of a client.
#[derive(Clone, Debug)]
pub struct Manager {
    /// The client that owns the keys.
    pub client: ClientId,
    /// Who acts for it: a user who is owner or admin, a key that may manage keys and gives no more than it has, or
    /// whoever may run the command line.
    pub trail: Trail,
}
