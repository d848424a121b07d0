//! Sending one mail by SMTP (RFC 5321).

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
    transport::smtp::response::Code,
};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::content::MailContent;
use crate::config::Settings;

/// Time limit of an attempt, from the name lookup to the final reply. A server may accept the mail and reply later than
/// this; then it is sent again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// Replies that no later attempt changes: the mailbox does not exist or its name is not allowed. Others, such as a refused
/// login, may be repaired by the operator within the day.
const FINAL_CODES: [&str; 4] = ["550", "551", "553", "556"];

/// The SMTP server of the settings.
pub(super) struct SmtpClient {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    attempt_timeout: Duration,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct SendError {
    /// For the operator. May name the recipient, so it is not logged.
    pub(super) text: String,
    /// Whether trying again is useless.
    pub(super) is_final: bool,
}

impl SendError {
    fn permanent(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_final: true }
    }
}

impl From<lettre::transport::smtp::Error> for SendError {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        let is_final = error.status().is_some_and(is_final_code);
        // A reply may contain anything, and this is printed on a terminal.
        let text = error.to_string().replace(char::is_control, " ");
        Self { text, is_final }
    }
}

fn is_final_code(code: Code) -> bool {
    FINAL_CODES.contains(&code.to_string().as_str())
}

impl SmtpClient {
    /// Returns `None` if this installation sends no mail.
    pub(super) fn new(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(url) = settings.smtp_url() else { return Ok(None) };
        let from = settings.mail_from.clone().context("with UPTOK_SMTP_URL, set UPTOK_MAIL_FROM too")?;
        let from = Mailbox::new(from.name, to_ascii_domain(&from.email));
        // The error of the library repeats parts of the URL.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_repeats_the_url| anyhow::anyhow!("UPTOK_SMTP_URL cannot be used"))?;
        Ok(Some(Self {
            transport: builder.timeout(Some(ATTEMPT_TIMEOUT)).build(),
            from,
            attempt_timeout: ATTEMPT_TIMEOUT,
        }))
    }

    /// Sends a mail. Its `Message-ID` depends on `mail_id` alone, so that receivers recognize one that is sent again.
    pub(super) async fn send(
        &self,
        mail_id: Uuid,
        created_at: DateTime<Utc>,
        recipient: &str,
        content: MailContent,
    ) -> Result<(), SendError> {
        let message = self.build_message(mail_id, created_at, recipient, content)?;
        let sent = tokio::time::timeout(self.attempt_timeout, self.transport.send(message)).await;
        match sent {
            Ok(reply) => Ok(reply.map(|_positive| ())?),
            Err(_elapsed) => Err(SendError {
                text: format!("The server took longer than {:?}.", self.attempt_timeout),
                is_final: false,
            }),
        }
    }

    fn build_message(
        &self,
        mail_id: Uuid,
        created_at: DateTime<Utc>,
        recipient: &str,
        content: MailContent,
    ) -> Result<Message, SendError> {
        let to = parse_recipient(recipient)?;
        let host = self.from.email.domain();
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            // A name that looks like an encoded word (RFC 2047) would be shown decoded, with any character in it.
            .subject(content.subject.replace("=?", "= ?"))
            .date(created_at.into())
            .message_id(Some(format!("<{mail_id}@{host}>")))
            // Keeps vacation notices from being sent back (RFC 3834).
            .raw_header(header::HeaderValue::new(
                header::HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(reply_to) = content.reply_to {
            message = message.reply_to(Mailbox::new(None, parse_recipient(&reply_to)?));
        }
        message
            .multipart(MultiPart::alternative_plain_html(content.text, content.html))
            .map_err(|error| SendError::permanent(error.to_string()))
    }
}

fn parse_recipient(text: &str) -> Result<Address, SendError> {
    let address: Address =
        text.parse().map_err(|_invalid| SendError::permanent("Mail cannot be sent to this address."))?;
    Ok(to_ascii_domain(&address))
}

/// The address with its domain in ASCII (RFC 5890), because many servers take no others.
fn to_ascii_domain(address: &Address) -> Address {
    let ascii = url::Host::parse(address.domain()).map(|host| host.to_string());
    ascii.ok().and_then(|domain| Address::new(address.user(), domain).ok()).unwrap_or_else(|| address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::format::time;

    fn client() -> SmtpClient {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("localhost").build();
        client_of(transport)
    }

    fn client_of(transport: AsyncSmtpTransport<Tokio1Executor>) -> SmtpClient {
        let from = "Uptok <keys@example.org>".parse().unwrap();
        SmtpClient { transport, from, attempt_timeout: Duration::from_millis(200) }
    }

    fn content(subject: &str) -> MailContent {
        let (text, html) = ("Hello".to_owned(), "<p>Hello</p>".to_owned());
        MailContent {
            subject: subject.to_owned(),
            text,
            html,
            reply_to: Some("grace@example.org".to_owned()),
        }
    }

    fn build(recipient: &str, subject: &str) -> Result<String, SendError> {
        let at = "2026-11-03T10:45:06Z".parse().unwrap();
        let message = client().build_message(Uuid::from_u128(7), at, recipient, content(subject))?;
        Ok(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn message_has_a_stable_id_and_date() {
        let text = build("ada@example.org", "Grüße").unwrap();

        for line in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@example.org>",
            "Date: Tue, 03 Nov 2026 10:45:06 +0000",
            "From: Uptok <keys@example.org>",
            "To: ada@example.org",
            "Reply-To: grace@example.org",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line} is not in {text}");
        }
    }

    #[actix_web::test]
    async fn server_that_does_not_answer_is_given_up_for_now() {
        // The kernel accepts the connection, and nothing greets.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let client = client_of(AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).unwrap().build());

        let sent = client.send(Uuid::from_u128(7), time::now(), "ada@example.org", content("Hello")).await;

        let error = sent.unwrap_err();
        assert!(error.text.contains("took longer than 200ms") && !error.is_final, "{error}");
    }

    #[test]
    fn subject_cannot_add_headers() {
        let text = build("ada@example.org", "Hello\r\nBcc: eve@example.org").unwrap();
        assert!(!text.contains("\nBcc:"), "{text}");
    }

    #[test]
    fn domain_is_sent_in_ascii() {
        assert!(build("ada@bücher.example", "Hello").unwrap().contains("To: ada@xn--bcher-kva.example\r\n"));
    }

    #[test]
    fn what_is_no_address_is_refused_for_good() {
        for recipient in ["ada", "a..b@example.org", "ada@example.org\r\nRCPT TO:<eve@example.org>", "a@b c"]
        {
            assert!(build(recipient, "Hello").unwrap_err().is_final, "{recipient:?}");
        }
    }
}
