//! The outbox as those see it who have something to send.

use std::sync::Arc;

use chrono::TimeDelta;
use diesel::{PgConnection, QueryResult};
use uuid::Uuid;

use super::{
    content::{ContentCipher, MailContent},
    kind::MailKind,
    message::MailMessage,
    store::{self, NewMail},
};
use crate::{config::Settings, secret::InstallationSecret};

/// Stores mail that is to be sent. Without `UPTOK_SMTP_URL` it stores nothing.
#[derive(Clone)]
pub struct Outbox {
    cipher: ContentCipher,
    origin: Arc<str>,
    is_on: bool,
}

/// A mail to store.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMail {
    pub(crate) kind: MailKind,
    /// An email address of at most 254 characters.
    pub(crate) to: String,
    /// Where an answer goes, if not to the sender.
    pub(crate) reply_to: Option<String>,
    pub(crate) message: MailMessage,
    /// How long the link in the mail is valid. After that the mail is not sent any more.
    pub(crate) valid_for: Option<TimeDelta>,
}

impl OutgoingMail {
    /// A mail that stays useful however late it arrives.
    pub(crate) fn new(kind: MailKind, to: &str, message: MailMessage) -> Self {
        Self { kind, to: to.to_owned(), reply_to: None, message, valid_for: None }
    }

    pub(crate) fn valid_for(mut self, time: TimeDelta) -> Self {
        self.valid_for = Some(time);
        self
    }

    pub(crate) fn reply_to(mut self, address: &str) -> Self {
        self.reply_to = Some(address.to_owned());
        self
    }
}

impl Outbox {
    /// The outbox of an installation with these settings.
    #[must_use]
    pub fn new(settings: &Settings, secret: &InstallationSecret) -> Self {
        Self {
            cipher: ContentCipher::new(secret),
            origin: settings.public_url.origin().into(),
            is_on: settings.smtp_url().is_some(),
        }
    }

    /// Whether this installation sends mail.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The absolute address of a path of this installation, for a link in a mail or on the command line.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Stores a mail. Call it in the transaction of the event.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) fn enqueue(&self, connection: &mut PgConnection, mail: &OutgoingMail) -> QueryResult<()> {
        if !self.is_on {
            return Ok(());
        }
        let mail_id = Uuid::now_v7();
        let (text, html) = mail
            .message
            .render(&self.origin)
            .map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
        let content = MailContent {
            subject: mail.message.subject.clone(),
            text,
            html,
            reply_to: mail.reply_to.clone(),
        };
        let new = NewMail {
            mail_id,
            kind: mail.kind,
            recipient: &mail.to,
            content: self.cipher.encrypt(mail_id, &content),
            valid_for: mail.valid_for,
        };
        store::insert(connection, &new)
    }
}
