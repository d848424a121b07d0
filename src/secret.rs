//! The secret of an installation, from which all keys are derived (HKDF-SHA-256, RFC 5869).

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, ensure};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::{config::SECRET_LENGTH_MIN, random};

/// The purpose of a derived key. A key that leaks does not reveal those for other purposes.
#[derive(Clone, Copy, Debug)]
pub enum DerivedKeyPurpose {
    /// Signs the sign-in cookie.
    SignInCookie,
    /// Signs the device cookie.
    DeviceCookie,
    /// Keyed hash of API keys, version 1.
    ApiKeys,
    /// Keyed hashes that chain the records of the audit log.
    AuditLog,
    /// Encrypts mail in the outbox.
    Outbox,
    /// Keyed hashes of addresses and accounts whose attempts are limited.
    RateLimits,
    /// Encrypts the secrets of authenticator apps.
    SecondFactors,
    /// Keyed hash of recovery codes.
    RecoveryCodes,
}

/// `UPTOK_SECRET`: at least 32 characters.
#[derive(Clone, Debug)]
pub struct InstallationSecret(SecretString);

impl InstallationSecret {
    /// Does not check the length; the settings have done so.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self(secret)
    }

    /// Reads the file `secret` in `data_dir`. Creates it with a random secret and mode 0600 if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read or written, is accessible to other users, or is shorter than [`SECRET_LENGTH_MIN`].
    pub fn read_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("secret");
        if !path.try_exists()? {
            create_secret_file(data_dir, &path)?;
        }
        let mode = fs::metadata(&path)?.permissions().mode();
        ensure!(mode.trailing_zeros() >= 6, "{} can be read by others: run chmod 600 on it", path.display());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            text.trim().len() >= SECRET_LENGTH_MIN,
            "{} is damaged: it needs at least {SECRET_LENGTH_MIN} characters",
            path.display()
        );
        Ok(Self(SecretString::from(text.trim().to_owned())))
    }

    /// Returns 64 bytes, always the same for the same secret and purpose.
    ///
    /// # Panics
    /// Never: HKDF-SHA-256 supports up to 8160 bytes.
    #[must_use]
    pub fn derive(&self, purpose: DerivedKeyPurpose) -> [u8; 64] {
        let label: &[u8] = match purpose {
            DerivedKeyPurpose::SignInCookie => b"uptok sign-in cookie v1",
            DerivedKeyPurpose::DeviceCookie => b"uptok device cookie v1",
            DerivedKeyPurpose::ApiKeys => b"uptok api keys v1",
            DerivedKeyPurpose::AuditLog => b"uptok audit log v1",
            DerivedKeyPurpose::Outbox => b"uptok outbox v1",
            DerivedKeyPurpose::RateLimits => b"uptok rate limits v1",
            DerivedKeyPurpose::SecondFactors => b"uptok second factors v1",
            DerivedKeyPurpose::RecoveryCodes => b"uptok recovery codes v1",
        };
        let mut key = [0; 64];
        Hkdf::<Sha256>::new(None, self.0.expose_secret().as_bytes())
            .expand(label, &mut key)
            .expect("64 bytes are fewer than HKDF-SHA-256 can give");
        key
    }
}

/// Bytes of the random nonce before the ciphertext.
const NONCE_LENGTH: usize = 24;
/// Bytes of the key of a cipher.
const CIPHER_KEY_LENGTH: usize = 32;

/// Encrypts what is stored in the database with `XChaCha20-Poly1305`, under a key derived for one purpose. A ciphertext is
/// bound to the id of its row: moved to another row, it does not decrypt.
#[derive(Clone)]
pub(crate) struct RowCipher(XChaCha20Poly1305);

impl RowCipher {
    pub(crate) fn new(secret: &InstallationSecret, purpose: DerivedKeyPurpose) -> Self {
        let key = secret.derive(purpose);
        let cipher = XChaCha20Poly1305::new_from_slice(&key[..CIPHER_KEY_LENGTH]);
        Self(cipher.expect("the key has the length of the cipher"))
    }

    /// The nonce and the ciphertext.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(crate) fn encrypt(&self, row_id: Uuid, plain: &[u8]) -> Vec<u8> {
        let nonce = XNonce::generate();
        let payload = Payload { msg: plain, aad: row_id.as_bytes() };
        let encrypted = self.0.encrypt(&nonce, payload).expect("a row is shorter than the cipher allows");
        [nonce.as_slice(), &encrypted].concat()
    }

    /// Returns `None` if it was encrypted for another row or purpose, or with another secret.
    pub(crate) fn decrypt(&self, row_id: Uuid, stored: &[u8]) -> Option<Vec<u8>> {
        let (nonce, encrypted) = stored.split_at_checked(NONCE_LENGTH)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let payload = Payload { msg: encrypted, aad: row_id.as_bytes() };
        self.0.decrypt(&nonce, payload).ok()
    }
}

/// Writes a new secret to a temporary file and links it to `path`, unless that exists. The link is atomic, so two
/// processes that start at once use the same secret, and a crash never leaves an incomplete one.
fn create_secret_file(data_dir: &Path, path: &Path) -> anyhow::Result<()> {
    let text = random::alphanumeric(64);
    let temporary = data_dir.join(format!("secret.{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    let link_result = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match link_result {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_purpose_and_by_secret() {
        let one = InstallationSecret::new("a".repeat(32).into());
        let two = InstallationSecret::new("b".repeat(32).into());
        assert_ne!(one.derive(DerivedKeyPurpose::ApiKeys), one.derive(DerivedKeyPurpose::SignInCookie));
        assert_ne!(one.derive(DerivedKeyPurpose::ApiKeys), two.derive(DerivedKeyPurpose::ApiKeys));
        assert_eq!(one.derive(DerivedKeyPurpose::ApiKeys), one.derive(DerivedKeyPurpose::ApiKeys));
    }

    #[test]
    fn only_the_same_row_purpose_and_secret_decrypt() {
        let cipher = |secret: &str, purpose| {
            RowCipher::new(&InstallationSecret::new(secret.repeat(32).into()), purpose)
        };
        let outbox = cipher("a", DerivedKeyPurpose::Outbox);
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let stored = outbox.encrypt(id, b"a canary");

        assert_eq!(outbox.decrypt(id, &stored).unwrap(), b"a canary");
        assert!(outbox.decrypt(other, &stored).is_none());
        assert!(cipher("a", DerivedKeyPurpose::SecondFactors).decrypt(id, &stored).is_none());
        assert!(cipher("b", DerivedKeyPurpose::Outbox).decrypt(id, &stored).is_none());
        assert!(outbox.decrypt(id, &stored[..20]).is_none());
        assert!(!stored.windows(6).any(|bytes| bytes == b"canary"), "it is readable");
        assert_ne!(outbox.encrypt(id, b"a canary"), stored, "every nonce is new");
    }

    #[test]
    fn the_secret_is_created_once_and_only_the_owner_reads_it() {
        let dir = std::env::temp_dir().join(format!("uptok-secret-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();

        let first = InstallationSecret::read_or_create(&dir).unwrap();
        let second = InstallationSecret::read_or_create(&dir).unwrap();

        assert_eq!(first.derive(DerivedKeyPurpose::ApiKeys), second.derive(DerivedKeyPurpose::ApiKeys));
        fs::set_permissions(dir.join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(InstallationSecret::read_or_create(&dir).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
