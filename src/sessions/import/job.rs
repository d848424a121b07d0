//! An import and its states.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    columns::find_column, file::encoding::FileEncoding, importer::ImportSummary, parser::FileFormat,
};
use crate::{db::sql::text_enum, ids::ClientId, schema::imports};

/// Identifies an import: its ids are unique per client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportId {
    pub(crate) client: ClientId,
    pub(crate) id: Uuid,
}

text_enum! {
    /// The state of an import.
    ImportState {
        /// The file is being received.
        Uploading = "uploading",
        /// A user has to map its columns to fields.
        Mapping = "mapping",
        /// A worker counts what an import would change.
        Checking = "checking",
        /// A user has to start or discard it.
        Checked = "checked",
        /// A worker stores its sessions.
        Importing = "importing",
        /// All its sessions are stored, except the rejected lines.
        Done = "done",
        /// The file is unreadable.
        Failed = "failed",
        /// A user discarded it, or it was abandoned for too long.
        Discarded = "discarded",
    }
}

impl ImportState {
    /// The state in the list of imports.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Uploading => "Uploading",
            Self::Mapping => "Needs columns",
            Self::Checking => "Checking",
            Self::Checked => "Needs review",
            Self::Importing => "Importing",
            Self::Done => "Imported",
            Self::Failed => "Failed",
            Self::Discarded => "Discarded",
        }
    }

    /// The heading of the page of an import.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Uploading => "Uploading the file",
            Self::Mapping => "Match your columns",
            Self::Checking => "Checking the file",
            Self::Checked => "Review the import",
            Self::Importing => "Importing sessions",
            Self::Done => "Sessions imported",
            Self::Failed => "Import failed",
            Self::Discarded => "Import discarded",
        }
    }

    /// Whether its counts are of stored sessions rather than of a forecast.
    pub(crate) fn has_stored(self) -> bool {
        matches!(self, Self::Importing | Self::Done)
    }

    /// Whether the state is final.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Discarded)
    }

    /// What the user does next on its page, if it waits for that.
    pub(crate) fn next_step(self) -> Option<&'static str> {
        match self {
            Self::Mapping => Some("Match columns"),
            Self::Checked => Some("Review"),
            _ => None,
        }
    }

    /// Whether the user can discard it.
    pub(crate) fn is_discardable(self) -> bool {
        ImportTransition::DISCARD.from.contains(&self)
    }

    /// Whether a worker has to process it.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Checking | Self::Importing)
    }
}

/// A change of state, and the states from which it is possible.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImportTransition {
    pub(crate) from: &'static [ImportState],
    pub(crate) to: ImportState,
}

impl ImportTransition {
    pub(crate) const CHECK: Self = Self { from: &[ImportState::Mapping], to: ImportState::Checking };
    pub(crate) const START: Self = Self { from: &[ImportState::Checked], to: ImportState::Importing };
    pub(crate) const DISCARD: Self = Self {
        from: &[ImportState::Mapping, ImportState::Checking, ImportState::Checked],
        to: ImportState::Discarded,
    };
}

/// A row of the table `imports`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = imports, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ImportJob {
    pub(crate) client_id: ClientId,
    pub(crate) import_id: Uuid,
    pub(crate) file_name: String,
    pub(crate) is_json: bool,
    pub(crate) encoding: FileEncoding,
    mapping: Option<Vec<String>>,
    pub(crate) state: ImportState,
    pub(crate) bytes: i64,
    pub(crate) chunks: i32,
    pub(crate) chunks_done: i32,
    created: i64,
    updated: i64,
    unchanged: i64,
    rejected: i64,
    skipped: i64,
    pub(crate) failure: Option<String>,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

impl ImportJob {
    pub(crate) fn format(&self) -> FileFormat {
        match &self.mapping {
            _ if self.is_json => FileFormat::Ndjson,
            Some(mapping) => FileFormat::PlacedCsv(mapping.iter().map(|name| find_column(name)).collect()),
            None => FileFormat::Csv(Vec::new()),
        }
    }

    /// The counts so far.
    pub(crate) fn summary(&self) -> ImportSummary {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        ImportSummary {
            created: count(self.created),
            updated: count(self.updated),
            unchanged: count(self.unchanged),
            rejected: count(self.rejected),
            skipped: count(self.skipped),
        }
    }
}
