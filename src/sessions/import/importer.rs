//! Importing a file of sessions: what `uptok import` does, without the terminal.

use std::{
    io::Read,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use anyhow::Context as _;
use diesel::PgConnection;

use super::{
    dry_run::DryRun,
    parser::{ParsedLine, SessionFileParser},
};
use crate::{
    error::FieldError,
    sessions::{
        record::IncomingSession,
        recording::store::{RecordOutcome, record_all},
    },
};

/// So many sessions are stored in one transaction: enough that what each transaction costs hardly counts, and few
/// enough that others who record for the client wait a fraction of a second.
const SESSIONS_PER_BATCH: usize = 5000;
/// So many bytes are read at a time.
const READ_BYTES: usize = 256 * 1024;
/// So many batches may wait to be stored.
const WAITING_MAX: usize = 2;

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// New sessions.
    pub created: u64,
    /// Sessions that were known and are now different.
    pub updated: u64,
    /// Sessions that were there already, or newer.
    pub unchanged: u64,
    /// Lines that were left out.
    pub rejected: u64,
}

/// A line that was left out.
#[derive(Debug)]
pub struct RejectedLine {
    /// The number of the line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}

/// What the sessions of a file go through.
#[derive(Debug)]
pub enum ImportMode {
    /// They are stored.
    Real,
    /// It is only found out what would become of them.
    Dry(DryRun),
}

impl ImportMode {
    /// Stores these sessions of a file, or finds out what would become of them, and counts it.
    ///
    /// # Errors
    /// Those of the database.
    pub fn take(
        &mut self,
        connection: &mut PgConnection,
        client: &crate::ids::ClientId,
        given: &[IncomingSession],
    ) -> diesel::QueryResult<ImportSummary> {
        let outcomes: Vec<RecordOutcome> = match self {
            Self::Real => {
                record_all(connection, client, given)?.into_iter().map(|recorded| recorded.outcome).collect()
            }
            Self::Dry(dry_run) => dry_run.predict(connection, client, given)?,
        };
        Ok(outcomes.into_iter().fold(ImportSummary::default(), ImportSummary::with))
    }
}

/// Imports a file; lines that are wrong are told to `hears` and left out. Each batch is one transaction. Reading goes
/// on while a batch is stored.
///
/// # Errors
/// When the header is wrong, the file cannot be read, or the database fails; earlier batches stay, and importing the
/// same file again completes it.
pub fn import(
    connection: &mut PgConnection,
    file: impl Read + Send,
    parser: SessionFileParser,
    mut mode: ImportMode,
    mut hears: impl ImportProgress,
) -> anyhow::Result<ImportSummary> {
    let client = parser.client().clone();
    let mut summary = ImportSummary::default();
    let (batches, to_store) = sync_channel::<ImportBatch>(WAITING_MAX);
    thread::scope(|scope| {
        let reading = scope.spawn(move || read(file, parser, &batches));
        let storing = to_store.iter().try_for_each(|batch| -> anyhow::Result<()> {
            for bad in &batch.bad {
                hears.bad_line(bad);
            }
            let rejected = u64::try_from(batch.bad.len())?;
            summary = summary + mode.take(connection, &client, &batch.good)?;
            summary.rejected += rejected;
            hears.batch(batch.bytes, &summary);
            Ok(())
        });
        // Whoever reads on finds nobody waiting, and ends.
        drop(to_store);
        storing?;
        reading.join().map_err(|_panic| anyhow::anyhow!("reading the file failed"))?
    })?;
    Ok(summary)
}

/// Hears how an import goes.
pub trait ImportProgress {
    /// A line was left out.
    fn bad_line(&mut self, bad: &RejectedLine);
    /// A batch is stored; `bytes` of the file are read.
    fn batch(&mut self, bytes: u64, so_far: &ImportSummary);
}

/// Lines that were read one after the other.
struct ImportBatch {
    good: Vec<IncomingSession>,
    bad: Vec<RejectedLine>,
    /// How much of the file was read until here.
    bytes: u64,
}

fn read(
    mut file: impl Read,
    mut parser: SessionFileParser,
    batches: &SyncSender<ImportBatch>,
) -> anyhow::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut lines, mut bytes) = (Vec::new(), 0);
    loop {
        let count = file.read(&mut buffer).context("the file cannot be read")?;
        bytes += u64::try_from(count)?;
        if count == 0 {
            parser.end(&mut lines)?;
        } else {
            parser.feed(&buffer[..count], &mut lines)?;
        }
        while lines.len() >= SESSIONS_PER_BATCH || count == 0 {
            let rest = lines.split_off(SESSIONS_PER_BATCH.min(lines.len()));
            let (good, bad) = split_rejected(std::mem::replace(&mut lines, rest));
            let batch = ImportBatch { good, bad, bytes };
            // Nobody waits: storing failed, and whoever stored tells why.
            if batches.send(batch).is_err() || (count == 0 && lines.is_empty()) {
                return Ok(());
            }
        }
    }
}

/// Separates the sessions from the lines that hold none.
pub(crate) fn split_rejected(lines: Vec<ParsedLine>) -> (Vec<IncomingSession>, Vec<RejectedLine>) {
    let (mut good, mut bad) = (Vec::with_capacity(lines.len()), Vec::new());
    for ParsedLine { number, given } in lines {
        match given {
            Ok(given) => good.push(given),
            Err(errors) => bad.push(RejectedLine { line: number, errors }),
        }
    }
    (good, bad)
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
        }
    }
}
