//! The task that sends the mail in the outbox.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{
    content::{ContentCipher, MailContent},
    message::MailMessage,
    smtp::{SendError, SmtpClient},
    store::{self, ClaimedMail},
};
use crate::{
    config::Settings, db::Db, error::AppError, failure_log::FailureLog, metrics::MailMetrics,
    secret::InstallationSecret, web::format::time,
};

/// How often the outbox is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Mails that are sent at the same time.
const PARALLEL: i64 = 4;
/// Old mail is deleted once in this number of intervals.
const CLEANUP_INTERVAL: u32 = 3600;

/// Sends the mail in the outbox. It may run on every node: a mail belongs to the node that took it.
#[derive(Clone)]
pub struct MailSender {
    db: Db,
    cipher: ContentCipher,
    smtp: Option<Arc<SmtpClient>>,
    metrics: MailMetrics,
}

impl MailSender {
    /// A sender that does nothing without `UPTOK_SMTP_URL`.
    ///
    /// # Errors
    /// If a setting of mail is missing or cannot be used.
    pub fn new(settings: &Settings, db: Db, secret: &InstallationSecret) -> anyhow::Result<Self> {
        let smtp = SmtpClient::new(settings)?.map(Arc::new);
        Ok(Self { db, cipher: ContentCipher::new(secret), smtp, metrics: MailMetrics::default() })
    }

    pub(crate) fn metrics(&self) -> &MailMetrics {
        &self.metrics
    }

    /// Sends what is due, once a second, and never returns, unless there is no SMTP server.
    pub async fn run(&self) {
        let Some(smtp) = &self.smtp else { return };
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log = FailureLog::new(
            "The outbox cannot be read; mail is sent once it can",
            "The outbox can be read again",
        );
        for round in (0..CLEANUP_INTERVAL).cycle() {
            interval.tick().await;
            let outcome = self.send_due(smtp).await;
            log.record(&outcome);
            if round == 0 && outcome.is_ok() {
                // What cannot be deleted now is deleted in an hour.
                let _logged = self.db.run(store::delete_old).await;
            }
        }
    }

    /// Sends until nothing is due.
    async fn send_due(&self, smtp: &SmtpClient) -> Result<(), AppError> {
        loop {
            let claimed = self.db.run(|connection| store::claim(connection, PARALLEL)).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            let sent = join_all(claimed.into_iter().map(|mail| self.send(smtp, mail))).await;
            sent.into_iter().collect::<Result<(), AppError>>()?;
        }
    }

    /// Tries to send a mail and records the result.
    async fn send(&self, smtp: &SmtpClient, mail: ClaimedMail) -> Result<(), AppError> {
        let stored = mail.content.as_deref().unwrap_or_default();
        let sent = match self.cipher.decrypt(mail.mail_id, stored) {
            Some(content) => smtp.send(mail.mail_id, mail.created_at, &mail.recipient, content).await,
            None => Err(SendError {
                text: "The content was encrypted with another UPTOK_SECRET.".to_owned(),
                is_final: false,
            }),
        };
        self.metrics.record(sent.is_ok());
        let (mail_id, kind) = (mail.mail_id, mail.kind.clone());
        match sent {
            Ok(()) => {
                tracing::info!(%mail_id, %kind, "A mail was sent");
                self.db.run(move |connection| store::mark_sent(connection, mail_id)).await
            }
            Err(error) => {
                // The reason may name the recipient: `uptok mail list` shows it.
                tracing::warn!(%mail_id, %kind, attempt = mail.attempts, "A mail was not sent");
                self.db
                    .run(move |connection| store::mark_failed(connection, &mail, &error.text, error.is_final))
                    .await
            }
        }
    }
}

/// Sends a mail at once, without the outbox.
///
/// # Errors
/// If there is no SMTP server in the settings, or it does not take the mail.
pub(crate) async fn send_test(
    settings: &Settings,
    recipient: &str,
    message: &MailMessage,
) -> anyhow::Result<()> {
    let smtp = SmtpClient::new(settings)?.context("UPTOK_SMTP_URL is not set, so no mail is sent")?;
    let (text, html) = message.render(&settings.public_url.origin())?;
    let content = MailContent { subject: message.subject.clone(), text, html, reply_to: None };
    Ok(smtp.send(Uuid::now_v7(), time::now(), recipient, content).await?)
}
