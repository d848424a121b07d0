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

impl Role {
    /// The role as pages show it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Member => "Member",
        }
    }

    /// The role in a sentence.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Owner => "an owner",
            Self::Admin => "an admin",
            Self::Member => "a member",
        }
    }
}

impl<'de> serde::Deserialize<'de> for Role {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
