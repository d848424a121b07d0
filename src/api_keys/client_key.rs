//! The key itself: `uptok_<public 12>_<secret 32><crc 6>`, 57 characters.
//!
//! NEVER CHANGE THIS FORM OR THE HASH OF EXISTING KEYS: it would revoke every key there is. A new hash gets a new
//! `hash_version` beside the old one.

use std::{
    hash::{BuildHasher as _, RandomState},
    str::FromStr,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::{
    ids::{ClientId, MalformedKey, PublicKey, is_base62},
    random,
    secret::{DerivedKeyPurpose, InstallationSecret},
    text::is_deceptive,
};

/// The digits of the checksum, in the order of ASCII.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;

/// A whole key. `Debug` does not show its secret.
#[derive(Clone, Debug)]
pub struct ClientKey {
    public: PublicKey,
    secret: SecretString,
}

impl ClientKey {
    /// Generates a key with 71 public and 190 secret random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self { public: PublicKey::generate(), secret: random::alphanumeric(SECRET_LENGTH).into() }
    }

    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The text of the whole key, to be shown once.
    #[must_use]
    pub fn expose(&self) -> String {
        let body = format!("{}_{}", self.public, self.secret.expose_secret());
        let checksum = checksum(&body);
        body + &checksum
    }

    /// 64 bits that identify the whole key in memory. Without `secret` they say nothing about it.
    pub(crate) fn fingerprint(&self, secret: &RandomState) -> u64 {
        secret.hash_one((self.public.as_str(), self.secret.expose_secret()))
    }
}

impl FromStr for ClientKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let split = PublicKey::LENGTH;
        let (public, rest) = text.split_at_checked(split).ok_or(MalformedKey)?;
        let public = public.parse()?;
        let rest = rest.strip_prefix('_').ok_or(MalformedKey)?;
        if rest.len() != SECRET_LENGTH + CHECKSUM_LENGTH || !is_base62(rest) {
            return Err(MalformedKey);
        }
        let (body, given) = text.split_at(text.len() - CHECKSUM_LENGTH);
        if checksum(body) != given {
            return Err(MalformedKey);
        }
        Ok(Self { public, secret: SecretString::from(&rest[..SECRET_LENGTH]) })
    }
}

/// Removes what copying leaves around a key: white space, line ends, invisible characters and quotes.
pub(crate) fn trim_pasted_key(text: &str) -> &str {
    const QUOTES: &str = "\"'`“”„‟‘’‚‛«»‹›＂「」″";
    text.trim_matches(|it: char| it.is_whitespace() || is_deceptive(it) || QUOTES.contains(it))
}

/// CRC-32 (ISO-HDLC) in base 62, left-padded with `0` to 6 characters.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let value = usize::try_from(rest % 62).expect("a remainder below 62 fits");
        *digit = char::from(BASE62[value]);
        rest /= 62;
    }
    digits.iter().collect()
}

/// Hashes keys for storage: HMAC-SHA-256 (RFC 2104) with a key derived from `UPTOK_SECRET`.
///
/// Not argon2, because it would slow down every API call, and a secret of 190 random bits cannot be guessed.
/// Keyed, so that write access to the table is not enough to create a key or to move one to another client.
#[derive(Clone)]
pub struct KeyHasher {
    mac: Hmac<Sha256>,
}

impl KeyHasher {
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn new(secret: &InstallationSecret) -> Self {
        let mac = Hmac::new_from_slice(&secret.derive(DerivedKeyPurpose::ApiKeys))
            .expect("HMAC takes a key of any length");
        Self { mac }
    }

    /// The 32 bytes that are stored for `key` of `client`. A NUL follows each part, and no part contains one, so parts
    /// cannot be shifted against each other.
    #[must_use]
    pub fn hash(&self, key: &ClientKey, client: &ClientId) -> Vec<u8> {
        let mut mac = self.mac.clone();
        for part in ["uptok-key-v1", key.public.as_str(), client.as_str(), key.secret.expose_secret()] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.finalize().into_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hasher() -> KeyHasher {
        KeyHasher::new(&InstallationSecret::new("0123456789abcdef0123456789abcdef".into()))
    }

    #[test]
    fn a_new_key_has_the_documented_form_and_parses() {
        let key = ClientKey::generate();
        let text = key.expose();

        assert_eq!(text.len(), 57);
        assert!(text.starts_with(&format!("{}_", key.public())));
        assert_eq!(text.parse::<ClientKey>().unwrap().expose(), text);
    }

    #[test]
    fn a_pasted_key_loses_what_is_around_it() {
        let key = ClientKey::generate().expose();
        for (before, after) in [
            ("", ""),
            (" ", "\r\n"),
            ("\u{feff}", "\n"),
            ("\"", "\""),
            ("'", "'"),
            ("„", "“"),
            ("\u{a0}\t“", "” \n\n"),
        ] {
            assert_eq!(trim_pasted_key(&format!("{before}{key}{after}")), key);
        }
        assert_eq!(trim_pasted_key("“ \u{feff}”\n"), "");
        assert_eq!(trim_pasted_key("a b"), "a b");
    }

    #[test]
    fn the_checksum_is_that_of_other_programs() {
        // Computed with Python: zlib.crc32 in base 62.
        assert_eq!(checksum("uptok_AAAAAAAAAAAA_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"), "2UZv2W");
    }

    #[test]
    fn a_key_never_prints_its_secret() {
        let key = ClientKey::generate();
        let text = key.expose();
        assert!(!format!("{key:?}").contains(&text[19..51]));
    }

    #[test]
    fn the_hash_binds_key_client_and_installation() {
        let (key, other) = (ClientKey::generate(), ClientKey::generate());
        let (ours, theirs) = (ClientId::generate(), ClientId::generate());
        let hash = hasher().hash(&key, &ours);

        assert_eq!(hash.len(), 32);
        assert_eq!(hash, hasher().hash(&key, &ours));
        assert_ne!(hash, hasher().hash(&key, &theirs));
        assert_ne!(hash, hasher().hash(&other, &ours));
        let elsewhere = KeyHasher::new(&InstallationSecret::new("x".repeat(32).into()));
        assert_ne!(hash, elsewhere.hash(&key, &ours));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(position in 0_usize..57, letter in "[0-9A-Za-z]") {
            let text = ClientKey::generate().expose();
            let mut changed = text.clone();
            changed.replace_range(position..=position, &letter);
            prop_assert_eq!(changed.parse::<ClientKey>().is_ok(), changed == text);
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in ".{0,80}") {
            prop_assert!(text.parse::<ClientKey>().is_err());
        }
    }
}
