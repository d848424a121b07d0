//! The audit log: who did what, for each client a chain of records.
//!
//! A record is written in the transaction of the event ([`record`]), so neither exists without the other. Its hash
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

pub use log::{
    chain::ChainKey,
    context::{Actor, AuditContext},
    event::{AuditEvent, EventKind},
    store::record,
};
pub(crate) use pages as audit_pages;
pub use verify::{ChainCheckpoint, TamperedRecord, Tampering, VerificationResult, clients, verify};
