//! Sessions: recorded calls between the agents of a client and shoppers, one row each.
//!
//! Each has a `sequence`: 1, 2, 3 … per client, without gaps, in the order recorded. It is what makes page 1,000,000
//! as cheap as page 1, the totals exact without counting, and a full page unchangeable.

mod erasure;
mod export;
mod fields;
mod filter;
mod import;
mod list;
mod queries;
mod record;
mod record_json;
mod recording;
mod session;

pub(crate) use erasure::pages as erasure_pages;
pub(crate) use export::handlers as export_handlers;

pub use erasure::{
    shopper::ShopperIdentifier,
    store::{count_sessions, erase},
};
pub use export::{
    exporter::Exporter,
    handlers::BODY_LIMIT as EXPORT_BODY_LIMIT,
    page_cache::PageCache,
    pipelined_queries::page_statement,
    query::{PER_PAGE_DEFAULT, PER_PAGE_MAX, SessionPageRequest, SortOrder},
};
pub use fields::{COLUMNS, Channel, FieldType, SESSION_FIELDS, SessionField, SessionStatus};
pub(crate) use import::{
    backlog::count_waiting as count_waiting_imports,
    pages as import_pages, rejected_lines as rejected_lines_download,
    store::{discard_import, list_imports},
    worker::import_finished,
};
pub use import::{
    columns::{ColumnMapping, check_columns, find_column, find_column_loosely, needs_mapping},
    dry_run::DryRunState,
    file::{
        check::{CheckedFile, check_file},
        encoding::FileEncoding,
        unreadable_file::UnreadableFile,
    },
    importer::{ImportMode, ImportObserver, ImportSummary, RejectedLine, import},
    layout::FileKind,
    parser::{FileFormat, ParsedLine, ParsedLines, SessionFileParser},
    worker::ImportWorker,
};
pub use list::agents::AGENT_NAMES_SQL;
pub(crate) use list::pages as session_list_pages;
pub use record::{IncomingSession, SessionRecord};
pub(crate) use recording::handlers as recording_handlers;
pub use recording::{
    batch_queue::BatchQueue,
    handlers::{BATCH_MAX, BODY_LIMIT as RECORD_BODY_LIMIT},
    idempotency::KEPT_HOURS,
    store::{RecordOutcome, RecordedSession, record_all},
};
pub use session::Session;
