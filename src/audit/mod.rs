//! The audit log: who did what, for each client a chain of records.
//!
//! A record is written in the transaction of what it tells ([`record`]), so neither is there without the other. Each is
//! hashed with a key that is not in the database, over the one before: `uptok audit verify` ([`verify`]) names the first
//! that is not as it was written.

mod csv;
mod list;
mod log;
pub(crate) mod pages;
mod verify;

pub use log::{
    chain::ChainKey,
    context::{Actor, AuditContext},
    event::{AuditEvent, EventKind},
    store::record,
};
pub(crate) use pages as audit_pages;
pub use verify::{Checkpoint, TamperedRecord, Tampering, VerificationResult, clients, verify};
