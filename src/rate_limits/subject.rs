//! The addresses and accounts whose attempts are limited, without their names.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    secret::{DerivedKeyPurpose, InstallationSecret},
    web::limits::limit_kind::LimitKind,
};

/// Length of a hash, in bytes.
const HASH_LENGTH: usize = 16;

/// An address or account in one of the limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AttemptSubject {
    pub(super) kind: LimitKind,
    pub(super) hash: Vec<u8>,
}

/// Hashes subjects: HMAC-SHA-256 (RFC 2104) under a key derived from `UPTOK_SECRET`, truncated. Without the key nobody can
/// try addresses until one matches a row.
pub(super) struct SubjectHasher(Hmac<Sha256>);

impl SubjectHasher {
    pub(super) fn new(secret: &InstallationSecret) -> Self {
        let key = secret.derive(DerivedKeyPurpose::RateLimits);
        Self(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
    }

    /// A NUL follows the kind, and no kind contains one.
    pub(super) fn hash(&self, kind: LimitKind, name: &str) -> AttemptSubject {
        let mut mac = self.0.clone();
        for part in [kind.as_str(), "\0", name] {
            mac.update(part.as_bytes());
        }
        AttemptSubject { kind, hash: mac.finalize().into_bytes()[..HASH_LENGTH].to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_secret_kind_and_name() {
        let hash = |secret: &str, kind, name| {
            SubjectHasher::new(&InstallationSecret::new(secret.repeat(32).into())).hash(kind, name)
        };
        let first = hash("a", LimitKind::BadKeys, "192.0.2.7");

        assert_eq!(first, hash("a", LimitKind::BadKeys, "192.0.2.7"));
        assert_ne!(first.hash, hash("b", LimitKind::BadKeys, "192.0.2.7").hash);
        assert_ne!(first.hash, hash("a", LimitKind::Questions, "192.0.2.7").hash);
        assert_ne!(first.hash, hash("a", LimitKind::BadKeys, "192.0.2.8").hash);
        assert_eq!(first.hash.len(), 16);
    }
}
