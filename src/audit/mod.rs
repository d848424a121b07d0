//! The audit log: who did what, for each client a chain of records.
//!
//! A record is written in the transaction of the event, so neither exists without the other: [`record`] takes events of one
//! client, [`record_account_event`] those of an account, which are in the log of each client of the user. Its hash
//! covers the previous record and needs a key that is not in the database: `uptok audit verify` ([`verify`]) finds the
//! first record that was tampered with.

mod csv;
mod entity_names;
mod list;
mod log;
pub(crate) mod pages;
mod query;
mod sentence;
mod verify;

pub(crate) use csv::export;
pub use log::{
    account_log::{AccountLog, record_account_event},
    chain::ChainKey,
    context::{Actor, AuditContext},
    event::{AccountEvent, AccountEventKind, AuditEvent, EventKind, record_kind_names},
    store::record,
};
pub(crate) use pages as audit_pages;
pub use verify::{ChainCheckpoint, TamperedRecord, Tampering, VerificationResult, clients, verify};
