//! What a member may do in a client.

use crate::db::sql::text_enum;

text_enum! {
    /// The role of a user in a client.
    Role {
        /// May do everything.
        Owner = "owner",
        /// Creates and deletes keys.
        Admin = "admin",
        /// Reads.
        Member = "member",
    }
}

impl<'de> serde::Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
