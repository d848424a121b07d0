//! The secret in a single-use link.

use std::{fmt, str::FromStr};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::random;

/// Characters of a token: 190 bits.
const LENGTH: usize = 32;

/// 32 random characters of 0-9A-Za-z. Only their SHA-256 is stored, so a copy of the database opens no link.
#[derive(Clone)]
pub struct LinkToken(SecretString);

impl LinkToken {
    /// A new token.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::alphanumeric(LENGTH).into())
    }

    /// The token as it is in the link.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// SHA-256 of the token, 32 bytes, as stored. A slow hash is not needed, because the token cannot be guessed.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.expose().as_bytes()).to_vec()
    }
}

/// The text is not a token. Says nothing about it, because it may be the most part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link has {LENGTH} characters of 0-9A-Za-z at its end")]
pub struct MalformedToken;

impl FromStr for LinkToken {
    type Err = MalformedToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_token = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_token { Ok(Self(text.to_owned().into())) } else { Err(MalformedToken) }
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_has_one_digest() {
        let token = LinkToken::generate();
        let read: LinkToken = token.expose().parse().unwrap();

        assert_eq!(read.digest(), token.digest());
        assert_eq!(token.digest().len(), 32);
        assert_ne!(LinkToken::generate().digest(), token.digest());
    }

    #[test]
    fn a_truncated_or_changed_token_is_refused() {
        let token = "a".repeat(32);
        for text in [
            &token[1..],
            &format!("{token}a"),
            "",
            &token.replacen('a', "-", 1),
            &token.replacen("aa", "é", 1),
        ] {
            assert!(text.parse::<LinkToken>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_never_prints() {
        let token = LinkToken::generate();
        assert_eq!(format!("{token:?}"), "LinkToken(…)");
    }
}
