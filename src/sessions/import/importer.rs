//! Importing a whole file of sessions, for `uptok import`.

use std::{
    io::Read,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use anyhow::Context as _;
use diesel::PgConnection;

use super::{
    dry_run::DryRunState,
    parser::{ParsedLine, ParsedLines, SessionFileParser},
};
use crate::{
    error::FieldError,
    sessions::{
        record::IncomingSession,
        recording::store::{RecordOutcome, record_all},
    },
};

/// Sessions per transaction: enough to make the cost of each transaction negligible, and few enough that other
/// requests that record for the client wait only a fraction of a second.
const SESSIONS_PER_BATCH: usize = 5000;
/// Bytes per read of the file.
const READ_BYTES: usize = 256 * 1024;
/// Maximum number of parsed batches waiting to be stored.
const QUEUE_LENGTH: usize = 2;

/// What an import changed, or a dry run would change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// New sessions.
    pub created: u64,
    /// Known sessions with different values.
    pub updated: u64,
    /// Known sessions that were the same or newer.
    pub unchanged: u64,
    /// Lines without a valid session.
    pub rejected: u64,
    /// Lines that are no session: the header, a line that names the delimiter, and blank lines. All five numbers add up
    /// to the lines of the file.
    pub skipped: u64,
}

/// A rejected line.
#[derive(Debug)]
pub struct RejectedLine {
    /// The number of the line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}

/// Whether an import changes anything.
#[derive(Debug)]
pub enum ImportMode {
    /// Sessions are stored.
    Real,
    /// Outcomes are only counted.
    Dry(DryRunState),
}

impl ImportMode {
    /// Stores the sessions or simulates that, and counts the outcomes.
    ///
    /// # Errors
    /// If the database fails.
    pub fn apply(
        &mut self,
        connection: &mut PgConnection,
        client: &crate::ids::ClientId,
        sessions: &[IncomingSession],
    ) -> diesel::QueryResult<ImportSummary> {
        let outcomes: Vec<RecordOutcome> = match self {
            Self::Real => record_all(connection, client, sessions)?
                .into_iter()
                .map(|recorded| recorded.outcome)
                .collect(),
            Self::Dry(dry_run) => dry_run.predict(connection, client, sessions)?,
        };
        Ok(outcomes.into_iter().fold(ImportSummary::default(), ImportSummary::with))
    }
}

/// Imports a file that `check_file` has accepted, and reports to `progress`. Wrong lines are left out. Each batch is
/// one transaction; a thread reads ahead while it is stored.
///
/// # Errors
/// If the header is wrong, the file is unreadable, or the database fails. Earlier batches stay; importing the
/// same file again completes it.
pub fn import(
    connection: &mut PgConnection,
    file: impl Read + Send,
    parser: SessionFileParser,
    mut mode: ImportMode,
    mut progress: impl ImportObserver,
) -> anyhow::Result<ImportSummary> {
    let client = parser.client().clone();
    let mut summary = ImportSummary::default();
    let (sender, receiver) = sync_channel::<ImportBatch>(QUEUE_LENGTH);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read(file, parser, &sender));
        let stored = receiver.iter().try_for_each(|batch| -> anyhow::Result<()> {
            for line in &batch.rejected {
                progress.on_rejected_line(line);
            }
            let rejected = u64::try_from(batch.rejected.len())?;
            summary = summary + mode.apply(connection, &client, &batch.sessions)?;
            summary.rejected += rejected;
            summary.skipped += batch.skipped;
            progress.on_batch(batch.bytes_read, &summary);
            Ok(())
        });
        // Closes the channel, so that the reader thread stops.
        drop(receiver);
        stored?;
        reader.join().map_err(|_panic| anyhow::anyhow!("reading the file failed"))?
    })?;
    Ok(summary)
}

/// Receives the progress of an import.
pub trait ImportObserver {
    /// Called for each line that is left out.
    fn on_rejected_line(&mut self, line: &RejectedLine);
    /// Called for each stored batch, with the bytes of the file read by then and the counts so far.
    fn on_batch(&mut self, bytes_read: u64, summary: &ImportSummary);
}

struct ImportBatch {
    sessions: Vec<IncomingSession>,
    rejected: Vec<RejectedLine>,
    skipped: u64,
    /// Bytes of the file up to the end of this batch.
    bytes_read: u64,
}

fn read(
    mut file: impl Read,
    mut parser: SessionFileParser,
    sender: &SyncSender<ImportBatch>,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut parsed, mut bytes_read) = (ParsedLines::default(), 0);
    loop {
        let count = file.read(&mut buffer).context("the file cannot be read")?;
        bytes_read += u64::try_from(count)?;
        if count == 0 {
            parser.end(&mut parsed)?;
        } else {
            parser.feed(&buffer[..count], &mut parsed)?;
        }
        while parsed.lines.len() >= SESSIONS_PER_BATCH || count == 0 {
            let rest = parsed.lines.split_off(SESSIONS_PER_BATCH.min(parsed.lines.len()));
            let (sessions, rejected) = split_rejected(std::mem::replace(&mut parsed.lines, rest));
            let skipped = std::mem::take(&mut parsed.skipped);
            let batch = ImportBatch { sessions, rejected, skipped, bytes_read };
            // The channel is closed if storing failed; `import` returns that error.
            if sender.send(batch).is_err() || (count == 0 && parsed.lines.is_empty()) {
                return Ok(());
            }
        }
    }
}

/// Separates the sessions from the rejected lines.
pub(crate) fn split_rejected(lines: Vec<ParsedLine>) -> (Vec<IncomingSession>, Vec<RejectedLine>) {
    let (mut sessions, mut rejected) = (Vec::with_capacity(lines.len()), Vec::new());
    for ParsedLine { number, given } in lines {
        match given {
            Ok(session) => sessions.push(session),
            Err(errors) => rejected.push(RejectedLine { line: number, errors }),
        }
    }
    (sessions, rejected)
}

impl ImportSummary {
    fn with(mut self, outcome: RecordOutcome) -> Self {
        match outcome {
            RecordOutcome::Created => self.created += 1,
            RecordOutcome::Updated => self.updated += 1,
            RecordOutcome::Unchanged => self.unchanged += 1,
        }
        self
    }
}

impl std::ops::Add for ImportSummary {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            updated: self.updated + other.updated,
            unchanged: self.unchanged + other.unchanged,
            rejected: self.rejected + other.rejected,
            skipped: self.skipped + other.skipped,
        }
    }
}
