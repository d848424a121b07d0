//! Mail: an outbox in the database, and the task that sends what is in it.
//!
//! A mail is stored in the transaction of the event it reports ([`Outbox::enqueue`]) and sent afterwards, at least once.
//! Its content may contain a link that signs in, so it is encrypted until it is sent, and then deleted.

mod content;
mod kind;
mod message;
mod outbox;
mod sender;
mod smtp;
mod store;

pub(crate) use kind::MailKind;
pub(crate) use message::MailMessage;
pub use outbox::Outbox;
pub(crate) use outbox::OutgoingMail;
pub use sender::MailSender;
pub(crate) use sender::send_test;
pub(crate) use store::{MailListing, RetryOutcome, count_waiting, list, retry};
