//! What a key may do. What is not named is denied.

/// A scope, as it stands in the form, in the database and in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Reads sessions.
    SessionsRead,
    /// Records sessions.
    SessionsWrite,
}

impl Scope {
    /// Every scope, in the order of the form.
    pub const ALL: [Self; 2] = [Self::SessionsRead, Self::SessionsWrite];

    /// The scope as text: `sessions:read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
        }
    }
}
