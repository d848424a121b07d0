//! The content of a mail and its encryption in the database.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::{DerivedKeyPurpose, InstallationSecret};

/// Bytes of the random nonce before the ciphertext.
const NONCE_LENGTH: usize = 24;
/// Bytes of a key.
const KEY_LENGTH: usize = 32;

/// What is sent, besides the recipient.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MailContent {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    /// Where an answer goes, if not to the sender.
    pub(super) reply_to: Option<String>,
}

/// Encrypts contents with `XChaCha20-Poly1305` under a key derived from `UPTOK_SECRET`. A content is bound to the id of its
/// mail.
#[derive(Clone)]
pub(super) struct ContentCipher(XChaCha20Poly1305);

impl ContentCipher {
    pub(super) fn new(secret: &InstallationSecret) -> Self {
        let key = secret.derive(DerivedKeyPurpose::Outbox);
        Self(
            XChaCha20Poly1305::new_from_slice(&key[..KEY_LENGTH])
                .expect("the key has the length of the cipher"),
        )
    }

    /// The nonce and the ciphertext.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(super) fn encrypt(&self, mail_id: Uuid, content: &MailContent) -> Vec<u8> {
        let plain = serde_json::to_vec(content).expect("a content of texts is JSON");
        let nonce = XNonce::generate();
        let payload = Payload { msg: &plain, aad: mail_id.as_bytes() };
        let encrypted = self.0.encrypt(&nonce, payload).expect("a mail is shorter than the cipher allows");
        [nonce.as_slice(), &encrypted].concat()
    }

    /// Returns `None` if it was encrypted for another mail or with another secret.
    pub(super) fn decrypt(&self, mail_id: Uuid, stored: &[u8]) -> Option<MailContent> {
        let (nonce, encrypted) = stored.split_at_checked(NONCE_LENGTH)?;
        let nonce = XNonce::try_from(nonce).ok()?;
        let payload = Payload { msg: encrypted, aad: mail_id.as_bytes() };
        let plain = self.0.decrypt(&nonce, payload).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(secret: &str) -> ContentCipher {
        ContentCipher::new(&InstallationSecret::new(secret.repeat(32).into()))
    }

    #[test]
    fn only_the_same_mail_and_secret_decrypt_a_content() {
        let content = MailContent {
            subject: "Hello".to_owned(),
            text: "https://keys.example.org/password/reset/t0ken".to_owned(),
            html: String::new(),
            reply_to: None,
        };
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let stored = cipher("a").encrypt(id, &content);

        assert_eq!(cipher("a").decrypt(id, &stored).unwrap().text, content.text);
        assert!(cipher("a").decrypt(other, &stored).is_none());
        assert!(cipher("b").decrypt(id, &stored).is_none());
        assert!(cipher("a").decrypt(id, &stored[..20]).is_none());
        assert!(!stored.windows(6).any(|bytes| bytes == b"t0ken\""), "the token is readable");
        assert_ne!(cipher("a").encrypt(id, &content), stored, "every nonce is new");
    }
}
