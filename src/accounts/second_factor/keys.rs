//! What protects second factors in the database: a cipher for secrets, a keyed hash for recovery codes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

use super::{recovery_code::RecoveryCode, totp_secret::TotpSecret};
use crate::secret::{DerivedKeyPurpose, InstallationSecret, RowCipher};

/// Both keys are derived from `UPTOK_SECRET`, so a copy of the database computes no code.
pub(super) struct SecondFactorKeys {
    cipher: RowCipher,
    mac: Hmac<Sha256>,
}

impl SecondFactorKeys {
    /// Derives the keys.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub(super) fn new(secret: &InstallationSecret) -> Self {
        let mac = Hmac::new_from_slice(&secret.derive(DerivedKeyPurpose::RecoveryCodes));
        Self {
            cipher: RowCipher::new(secret, DerivedKeyPurpose::SecondFactors),
            mac: mac.expect("HMAC takes a key of any length"),
        }
    }

    pub(super) fn encrypt_secret(&self, user_id: Uuid, secret: &TotpSecret) -> Vec<u8> {
        self.cipher.encrypt(user_id, secret.as_bytes())
    }

    /// Returns `None` if it was encrypted for another user or with another `UPTOK_SECRET`.
    pub(super) fn decrypt_secret(&self, user_id: Uuid, stored: &[u8]) -> Option<TotpSecret> {
        TotpSecret::from_bytes(&self.cipher.decrypt(user_id, stored)?)
    }

    /// 32 bytes. Both parts have a fixed length, so they cannot be shifted against each other.
    pub(super) fn hash_code(&self, user_id: Uuid, code: &RecoveryCode) -> Vec<u8> {
        let mut mac = self.mac.clone();
        mac.update(user_id.as_bytes());
        mac.update(code.expose().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_hashes_belong_to_one_user_and_one_installation() {
        let keys = |secret: &str| SecondFactorKeys::new(&InstallationSecret::new(secret.repeat(32).into()));
        let (ada, eve) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (secret, code) = (TotpSecret::generate(), RecoveryCode::generate());
        let stored = keys("a").encrypt_secret(ada, &secret);
        let hash = keys("a").hash_code(ada, &code);

        assert_eq!(keys("a").decrypt_secret(ada, &stored).unwrap().as_bytes(), secret.as_bytes());
        assert!(keys("a").decrypt_secret(eve, &stored).is_none());
        assert!(keys("b").decrypt_secret(ada, &stored).is_none());
        assert_eq!(hash.len(), 32);
        assert_eq!(keys("a").hash_code(ada, &code), hash);
        assert_ne!(keys("a").hash_code(eve, &code), hash);
        assert_ne!(keys("b").hash_code(ada, &code), hash);
    }
}
