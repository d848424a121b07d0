//! The content of a mail and its encryption in the database.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::{DerivedKeyPurpose, InstallationSecret, RowCipher};

/// What is sent, besides the recipient.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MailContent {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
    /// Where an answer goes, if not to the sender.
    pub(super) reply_to: Option<String>,
}

/// Encrypts contents. A content is bound to the id of its mail.
#[derive(Clone)]
pub(super) struct ContentCipher(RowCipher);

impl ContentCipher {
    pub(super) fn new(secret: &InstallationSecret) -> Self {
        Self(RowCipher::new(secret, DerivedKeyPurpose::Outbox))
    }

    /// # Panics
    /// If the operating system provides no random bytes.
    pub(super) fn encrypt(&self, mail_id: Uuid, content: &MailContent) -> Vec<u8> {
        self.0.encrypt(mail_id, &serde_json::to_vec(content).expect("a content of texts is JSON"))
    }

    /// Returns `None` if it was encrypted for another mail or with another secret.
    pub(super) fn decrypt(&self, mail_id: Uuid, stored: &[u8]) -> Option<MailContent> {
        serde_json::from_slice(&self.0.decrypt(mail_id, stored)?).ok()
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
