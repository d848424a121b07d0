//! Sessions: what happened. One row per recorded call between a client's agent and a shopper.
//!
//! Each has a `sequence`: 1, 2, 3 … per client, without gaps, in the order recorded. It is what makes page 1,000,000
//! as cheap as page 1, the totals exact without counting, and a full page unchangeable.

mod cutter;
mod dry_run;
mod erasure;
mod export;
mod filter;
mod header;
mod import;
mod list;
mod nameless;
mod parser;
mod queries;
mod record;
mod record_json;
mod recording;
mod session;

pub(crate) use export::handlers as export_handlers;
pub(crate) use recording::handlers as recording_handlers;

pub use dry_run::DryRun;
pub use erasure::{
    shopper::Shopper,
    store::{erase, sessions_of},
};
pub use export::{
    exporter::Desk,
    handlers::BODY_LIMIT as EXPORT_BODY_LIMIT,
    page_cache::KeptPages,
    pipeline_store::page_statement,
    query::{Order, PER_PAGE_DEFAULT, PER_PAGE_MAX, PageRequest},
};
pub use header::{Mapped, alike, column, placed, understood};
pub use import::{BadLine, Listener, Mode, Summary, import};
pub use list::pages::routes;
pub use parser::{Format, Line, Parser, Unreadable, columns};
pub use record::{Given, Record, STATUSES};
pub use recording::{
    handlers::BODY_LIMIT as RECORD_BODY_LIMIT,
    idempotency::KEPT_HOURS,
    store::{BATCH_MAX, Outcome, Recorded, record_all},
};
pub use session::{COLUMNS, Session};
