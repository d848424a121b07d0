//! Sessions: what happened. One row per recorded call between a client's agent and a shopper.
//!
//! Each has a `sequence`: 1, 2, 3 … per client, without gaps, in the order recorded. It is what makes page 1,000,000
//! as cheap as page 1, the totals exact without counting, and a full page unchangeable.

mod answer;
mod asked;
mod batch;
mod cutter;
mod days;
mod desk;
mod details;
mod dry_run;
mod erase;
mod erasing;
pub(crate) mod export;
mod filtered;
mod header;
mod idempotency;
mod import;
pub(crate) mod ingest;
mod json_record;
mod kept_pages;
mod list;
mod nameless;
mod new_row;
mod page_request;
mod pages;
mod parser;
mod picture;
mod pipelined;
mod plain_stream;
pub(crate) mod read;
mod reader;
mod record;
mod recorder;
mod row;
mod search;
mod session;
mod shopper;
mod store;
mod stream;
mod totals;
mod writer;

pub use desk::Desk;
pub use dry_run::DryRun;
pub use erase::{erase, sessions_of};
pub use export::BODY_LIMIT as EXPORT_BODY_LIMIT;
pub use header::{Mapped, alike, column, placed, understood};
pub use idempotency::KEPT_HOURS;
pub use import::{BadLine, Listener, Mode, Summary, import};
pub use ingest::BODY_LIMIT as RECORD_BODY_LIMIT;
pub use kept_pages::KeptPages;
pub use page_request::{Order, PER_PAGE_DEFAULT, PER_PAGE_MAX, PageRequest};
pub use pages::routes;
pub use parser::{Format, Line, Parser, Unreadable, columns};
pub use pipelined::page_statement;
pub use record::{Given, Record, STATUSES};
pub use recorder::{BATCH_MAX, Outcome, Recorded, record_all};
pub use session::{COLUMNS, Session};
pub use shopper::Shopper;
