//! An import, and what may become of it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{columns::find_column, importer::ImportSummary, parser::FileFormat};
use crate::schema::imports;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImportState {
    /// Its file is coming in.
    Uploading,
    /// Somebody has to say what its columns are.
    Mapping,
    /// It is found out what would happen.
    Checking,
    /// Somebody has to say whether that shall happen.
    Checked,
    /// It happens.
    Importing,
    /// It has happened.
    Done,
    /// The file cannot be read.
    Failed,
    /// Nobody wants it any more.
    Discarded,
}

impl ImportState {
    const ALL: [(Self, &str); 8] = [
        (Self::Uploading, "uploading"),
        (Self::Mapping, "mapping"),
        (Self::Checking, "checking"),
        (Self::Checked, "checked"),
        (Self::Importing, "importing"),
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Discarded, "discarded"),
    ];

    /// The state in words.
    pub(crate) fn said(self) -> &'static str {
        match self {
            Self::Uploading => "coming in",
            Self::Mapping => "needs its columns",
            Self::Checking => "being checked",
            Self::Checked => "waits for you",
            Self::Importing => "being imported",
            Self::Done => "imported",
            Self::Failed => "unreadable",
            Self::Discarded => "discarded",
        }
    }

    /// Whether what is counted has happened, or is happening.
    pub(crate) fn has_stored(self) -> bool {
        matches!(self, Self::Importing | Self::Done)
    }

    /// The word in the database.
    pub(crate) fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// Whether nothing happens to it any more.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Discarded)
    }

    /// Whether a node is at it.
    pub(crate) fn is_at_work(self) -> bool {
        matches!(self, Self::Checking | Self::Importing)
    }
}

/// An import as it is stored.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = imports, check_for_backend(diesel::pg::Pg))]
#[expect(clippy::struct_field_names, reason = "the names are those of the table")]
pub(crate) struct ImportJob {
    pub(crate) client_id: String,
    pub(crate) import_id: Uuid,
    pub(crate) file_name: String,
    pub(crate) is_json: bool,
    mapping: Option<Vec<String>>,
    state: String,
    pub(crate) bytes: i64,
    pub(crate) chunks: i32,
    pub(crate) chunks_done: i32,
    created: i64,
    updated: i64,
    unchanged: i64,
    rejected: i64,
    pub(crate) failure: Option<String>,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

impl ImportJob {
    pub(crate) fn state(&self) -> ImportState {
        ImportState::ALL
            .into_iter()
            .find(|(_, word)| *word == self.state)
            .map_or(ImportState::Failed, |(state, _)| state)
    }

    /// How its sessions are written.
    pub(crate) fn format(&self) -> FileFormat {
        match &self.mapping {
            _ if self.is_json => FileFormat::Ndjson,
            Some(mapping) => FileFormat::PlacedCsv(mapping.iter().map(|name| find_column(name)).collect()),
            None => FileFormat::Csv(Vec::new()),
        }
    }

    /// What was counted so far.
    pub(crate) fn summary(&self) -> ImportSummary {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        ImportSummary {
            created: count(self.created),
            updated: count(self.updated),
            unchanged: count(self.unchanged),
            rejected: count(self.rejected),
        }
    }
}
