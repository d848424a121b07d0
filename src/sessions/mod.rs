//! Sessions: what happened. One row per recorded call between a client's agent and a shopper.
//!
//! Each has a `sequence`: 1, 2, 3 … per client, without gaps, in the order recorded. It is what makes page 1,000,000
//! as cheap as page 1, the totals exact without counting, and a full page unchangeable.

mod asked;
mod batch;
mod cutter;
mod days;
mod details;
mod dry_run;
mod erase;
mod erasing;
mod export;
mod filter;
mod header;
mod idempotency;
mod import;
pub(crate) mod ingest;
mod json_record;
mod list;
mod nameless;
mod new_row;
mod pages;
mod parser;
mod picture;
mod queries;
mod record;
mod recorder;
mod row;
mod search;
mod session;
mod shopper;

pub(crate) use export::handlers as export_handlers;

pub use dry_run::DryRun;
pub use erase::{erase, sessions_of};
pub use export::{
    exporter::Desk,
    handlers::BODY_LIMIT as EXPORT_BODY_LIMIT,
    page_cache::KeptPages,
    pipeline_store::page_statement,
    query::{Order, PER_PAGE_DEFAULT, PER_PAGE_MAX, PageRequest},
};
pub use header::{Mapped, alike, column, placed, understood};
pub use idempotency::KEPT_HOURS;
pub use import::{BadLine, Listener, Mode, Summary, import};
pub use ingest::BODY_LIMIT as RECORD_BODY_LIMIT;
pub use pages::routes;
pub use parser::{Format, Line, Parser, Unreadable, columns};
pub use record::{Given, Record, STATUSES};
pub use recorder::{BATCH_MAX, Outcome, Recorded, record_all};
pub use session::{COLUMNS, Session};
pub use shopper::Shopper;
