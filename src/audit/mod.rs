//! The audit log: who did what, for each client a chain of records.
//!
//! A record is written in the transaction of what it tells ([`record`]), so neither is there without the other. Each is
//! hashed with a key that is not in the database, over the one before: `uptok audit verify` ([`verify`]) names the first
//! that is not as it was written.

mod act;
mod chain;
mod file;
mod list;
mod pages;
mod record;
mod store;
mod trail;
mod verify;

pub use act::{Act, Kind};
pub use chain::Chain;
pub use pages::routes;
pub use store::record;
pub use trail::{Actor, Trail};
pub use verify::{Checkpoint, Fault, Touched, Verified, clients, verify};
