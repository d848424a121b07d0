//! The hash chain of audit records: what is recorded, in which context, and how it is sealed.

pub(super) mod account_log;
pub(super) mod chain;
pub(super) mod context;
pub(super) mod event;
pub(super) mod record;
pub(super) mod store;
