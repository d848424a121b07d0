//! Reading sessions from CSV: what `uptok import` does, without the terminal.

use std::{collections::HashMap, io::Read};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use diesel::PgConnection;

use super::{
    csv::unguarded,
    record::{Given, Record},
    recorder::{BATCH_MAX, Outcome, Recorded, record_all},
    session::COLUMNS,
};
use crate::{accounts::ClientId, error::FieldError};

/// What every line needs.
const REQUIRED: [&str; 4] = ["status", "channel", "createdAt", "endedAt"];

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New sessions.
    pub created: u64,
    /// Sessions known by their `externalId` that are now different.
    pub updated: u64,
    /// Sessions that were there already.
    pub unchanged: u64,
    /// Lines that were left out.
    pub rejected: u64,
}

/// A line that was left out.
#[derive(Debug)]
pub struct BadLine {
    /// The number of the line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
}

/// Imports a CSV with the record's column names; lines that are wrong are told to `on_bad` and left out. After each
/// batch of 1000, which is one transaction, `on_batch` hears the bytes read so far.
///
/// # Errors
/// When the header is wrong, the file cannot be read, or the database fails; earlier batches stay, and importing the
/// same file again completes it.
pub fn import(
    connection: &mut PgConnection,
    client: &ClientId,
    now: DateTime<Utc>,
    file: impl Read,
    mut hears: impl Listener,
) -> anyhow::Result<Summary> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let header = Header::parse(reader.byte_headers().context("the header cannot be read")?)?;
    // Where lines end in CRLF, the reader stands before the LF and counts one line less.
    let uncounted = 2_u64.saturating_sub(reader.position().line());
    let mut summary = Summary::default();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut line = csv::ByteRecord::new();
    while reader.read_byte_record(&mut line).context("the file cannot be read")? {
        match header.record(now, &line) {
            Ok(record) => batch.push(record),
            Err(errors) => {
                summary.rejected += 1;
                let number = line.position().map_or(0, csv::Position::line) + uncounted;
                hears.bad_line(&BadLine { line: number, errors });
            }
        }
        if batch.len() == BATCH_MAX {
            summary.add(&record_all(connection, client, &batch)?);
            batch.clear();
            hears.batch(reader.position().byte(), &summary);
        }
    }
    summary.add(&record_all(connection, client, &batch)?);
    hears.batch(reader.position().byte(), &summary);
    Ok(summary)
}

/// Hears how an import goes.
pub trait Listener {
    /// A line was left out.
    fn bad_line(&mut self, bad: &BadLine);
    /// A batch is stored; `bytes` of the file are read.
    fn batch(&mut self, bytes: u64, so_far: &Summary);
}

impl Summary {
    fn add(&mut self, recorded: &[Recorded]) {
        for Recorded { outcome, .. } in recorded {
            match outcome {
                Outcome::Created => self.created += 1,
                Outcome::Updated => self.updated += 1,
                Outcome::Unchanged => self.unchanged += 1,
            }
        }
    }
}

/// Which column stands where.
struct Header {
    places: HashMap<String, usize>,
    width: usize,
}

impl Header {
    fn parse(cells: &csv::ByteRecord) -> anyhow::Result<Self> {
        let mut places = HashMap::new();
        for (place, cell) in cells.iter().enumerate() {
            let name = std::str::from_utf8(cell).context("line 1: the header is not UTF-8 text")?.trim();
            ensure!(
                COLUMNS.contains(&name),
                "line 1: there is no column “{name}”. The columns are {}",
                COLUMNS.join(", ")
            );
            if places.insert(name.to_owned(), place).is_some() {
                bail!("line 1: the column “{name}” is there twice");
            }
        }
        if let Some(missing) = REQUIRED.iter().find(|name| !places.contains_key(**name)) {
            bail!("line 1: the column “{missing}” is missing");
        }
        Ok(Self { places, width: cells.len() })
    }

    fn record(&self, now: DateTime<Utc>, line: &csv::ByteRecord) -> Result<Given, Vec<FieldError>> {
        if line.len() != self.width {
            let message = format!("The line has {} cells, the header has {}.", line.len(), self.width);
            return Err(vec![FieldError::new("line", message)]);
        }
        let cells: Vec<&str> = line
            .iter()
            .map(std::str::from_utf8)
            .collect::<Result<_, _>>()
            .map_err(|_not_text| vec![FieldError::new("line", "The line is not UTF-8 text.")])?;
        Record::parse(now, |name| self.places.get(name).map_or("", |place| unguarded(cells[*place])))
    }
}
