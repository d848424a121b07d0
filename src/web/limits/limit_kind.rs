//! The rate limits, by what they limit.

/// A rate limit that refuses requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LimitKind {
    /// Requests of a key.
    Key,
    /// Bad keys of an address, and keys at addresses outside their networks.
    BadKeys,
    /// Attempts of an address to log in or register.
    LoginAddress,
    /// Attempts to log in to an account.
    LoginAccount,
    /// Questions of an address.
    Questions,
}

impl LimitKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Key, Self::BadKeys, Self::LoginAddress, Self::LoginAccount, Self::Questions];

    /// In labels and in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::BadKeys => "bad_keys",
            Self::LoginAddress => "login_address",
            Self::LoginAccount => "login_account",
            Self::Questions => "questions",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
