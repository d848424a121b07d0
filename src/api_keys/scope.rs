//! What a key may do. What is not named is denied.

/// A scope, as it stands in the form, in the database and in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reads sessions.
    SessionsRead,
    /// Records sessions.
    SessionsWrite,
    /// Makes, changes and deletes keys of the client, none of which may do more than the key itself.
    KeysManage,
}

impl Scope {
    /// Every scope, in the order of the form.
    pub const ALL: [Self; 3] = [Self::SessionsRead, Self::SessionsWrite, Self::KeysManage];

    /// The scope as text: `sessions:read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::KeysManage => "keys:manage",
        }
    }
}
