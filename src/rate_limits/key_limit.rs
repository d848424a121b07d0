//! What identifies the bucket of a key.

use std::num::NonZeroU32;

use crate::ids::{ClientId, PublicKey};

/// The limit of a key. Once it is changed it is another limit, of which nothing is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyLimit {
    pub(crate) client: ClientId,
    pub(crate) public_key: PublicKey,
    pub(crate) per_minute: NonZeroU32,
}
