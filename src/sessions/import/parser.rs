//! The sessions in a file, CSV or NDJSON, however its bytes come in.

use chrono::{DateTime, Utc};

use super::{
    columns::{ColumnMapping, ColumnPositions},
    content_id::ContentIds,
    line_splitter::{LINE_MAX, LineSplitter, RawLine},
};
use crate::{
    error::FieldError,
    ids::ClientId,
    sessions::{
        record::{IncomingSession, SessionRecord},
        record_json,
    },
    web::csv::unescape_formula,
};

/// The byte order mark that some programs put before UTF-8 text.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
/// … and before UTF-16.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// What may stand between the cells of a CSV; programs set to some languages write semicolons.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How the sessions of a file are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// With a header; names that are not ours are mapped.
    Csv(Vec<ColumnMapping>),
    /// With a header that does not matter, because these are its columns; `None`: left out.
    PlacedCsv(Vec<Option<&'static str>>),
    /// One JSON object a line.
    Ndjson,
}

impl FileFormat {
    /// Whether a file that begins so holds JSON.
    #[must_use]
    pub fn is_json(start: &[u8]) -> bool {
        let start = start.strip_prefix(UTF_8_MARK).unwrap_or(start);
        matches!(start.trim_ascii_start().first(), Some(b'{' | b'['))
    }
}

/// A line of the file that holds a session, or should.
#[derive(Debug)]
pub struct ParsedLine {
    /// Its number in the file, from 1.
    pub number: u64,
    /// The session, or what is wrong with it.
    pub given: Result<IncomingSession, Vec<FieldError>>,
}

/// Why nothing of the file can be read: a sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableFile(pub String);

/// Reads a file from its beginning.
#[derive(Debug)]
pub struct SessionFileParser {
    client: ClientId,
    now: DateTime<Utc>,
    format: FileFormat,
    /// `None`: no bytes came yet.
    cutter: Option<LineSplitter>,
    /// `None`: not read yet, or there is none in this format.
    header: Option<ColumnPositions>,
    nameless: ContentIds,
}

impl SessionFileParser {
    /// For sessions of `client`; `now` bounds their times.
    #[must_use]
    pub fn new(client: ClientId, now: DateTime<Utc>, format: FileFormat) -> Self {
        Self { client, now, format, cutter: None, header: None, nameless: ContentIds::default() }
    }

    /// The client that the sessions are of.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// Takes the next bytes of the file, and adds the lines that end in them.
    ///
    /// # Errors
    /// When the header is wrong, or this is no text.
    pub fn feed(&mut self, mut bytes: &[u8], lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        let mut cutter = match self.cutter.take() {
            Some(cutter) => cutter,
            None if bytes.is_empty() => return Ok(()),
            None => {
                bytes = bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes);
                self.begin(bytes)?
            }
        };
        let fed = cutter.feed(bytes, |cut| self.read(cut, lines));
        self.cutter = Some(cutter);
        fed
    }

    /// The file ends here: adds its last line, if that lacks its end.
    ///
    /// # Errors
    /// When the header is wrong or missing.
    pub fn end(&mut self, lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        if let Some(mut cutter) = self.cutter.take()
            && let Some(cut) = cutter.end()
        {
            self.read(cut, lines)?;
        }
        if self.header.is_none() && self.format != FileFormat::Ndjson {
            return Err(UnreadableFile(
                "line 1: the header is missing: status, channel, createdAt …".to_owned(),
            ));
        }
        Ok(())
    }

    fn begin(&self, bytes: &[u8]) -> Result<LineSplitter, UnreadableFile> {
        if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(UnreadableFile("line 1: this is UTF-16; save the file as UTF-8".to_owned()));
        }
        if self.format == FileFormat::Ndjson {
            if bytes.trim_ascii_start().starts_with(b"[") {
                let message = "line 1: this is a JSON array; write one object a line (NDJSON)";
                return Err(UnreadableFile(message.to_owned()));
            }
            return Ok(LineSplitter::new(None));
        }
        Ok(LineSplitter::new(Some(delimiter(bytes))))
    }

    fn read(&mut self, cut: &RawLine, lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        let given = match (&self.format, &self.header) {
            (FileFormat::Ndjson, _) if cut.bytes().trim_ascii().is_empty() => return Ok(()),
            (FileFormat::Ndjson, _) => whole(cut).and_then(|()| self.object(cut)),
            (_, Some(header)) => whole(cut).and_then(|()| self.row(header, cut)),
            (format, None) => {
                self.header = Some(header(format, cut)?);
                return Ok(());
            }
        };
        let given = given.map(|mut given| {
            self.nameless.name(&self.client, &mut given);
            given
        });
        lines.push(ParsedLine { number: cut.number, given });
        Ok(())
    }

    fn object(&self, cut: &RawLine) -> Result<IncomingSession, Vec<FieldError>> {
        let value = serde_json::from_slice(cut.bytes())
            .map_err(|error| of_line(format!("The JSON cannot be read: {}.", in_line(&error))))?;
        record_json::parse(self.now, &value)
    }

    fn row(&self, header: &ColumnPositions, cut: &RawLine) -> Result<IncomingSession, Vec<FieldError>> {
        if cut.width() != header.width {
            let message = format!("The line has {} cells, the header has {}.", cut.width(), header.width);
            return Err(of_line(message));
        }
        let cells = cut.cells().ok_or_else(|| of_line("The line is not UTF-8 text."))?;
        SessionRecord::parse(self.now, |name| unescape_formula(header.cell(&cells, name)))
    }
}

/// Why a line of JSON cannot be read. It counts lines from its own, which is always the first.
pub(crate) fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace("at line 1 column", "at column")
}

/// The column names of a CSV, and the cells of the first lines below them, as far as these bytes of its beginning go.
///
/// # Errors
/// When there is no header that could be read.
pub fn columns(bytes: &[u8], samples: usize) -> Result<(Vec<String>, Vec<Vec<String>>), UnreadableFile> {
    let bytes = bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes);
    let mut cutter = LineSplitter::new(Some(delimiter(bytes)));
    let mut rows: Vec<Vec<String>> = Vec::new();
    // The end is told by an error: the other lines are not wanted.
    let _is_enough = cutter.feed(bytes, |cut| {
        let cells = cut.cells().unwrap_or_default();
        rows.push(cells.into_iter().map(|cell| cell.trim().to_owned()).collect());
        if rows.len() > samples { Err(()) } else { Ok(()) }
    });
    if rows.len() <= samples
        && let Some(cells) = cutter.end().and_then(RawLine::cells)
    {
        rows.push(cells.into_iter().map(|cell| cell.trim().to_owned()).collect());
    }
    let mut rows = rows.into_iter();
    match rows.next() {
        Some(names) if !names.is_empty() => Ok((names, rows.collect())),
        _ => Err(UnreadableFile("line 1: the header is missing or not UTF-8 text".to_owned())),
    }
}

/// What stands most often in the first line, and so between its cells.
fn delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let count = |delimiter: &u8| line.split(|byte| byte == delimiter).count();
    // Of equals the last is taken.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

fn header(format: &FileFormat, cut: &RawLine) -> Result<ColumnPositions, UnreadableFile> {
    let at_line = |message: String| UnreadableFile(format!("line {}: {message}", cut.number));
    let names = cut.cells().ok_or_else(|| at_line("the header is not UTF-8 text".to_owned()))?;
    match format {
        FileFormat::PlacedCsv(columns) => ColumnPositions::placed(columns),
        FileFormat::Csv(mapped) => ColumnPositions::named(&names, mapped),
        FileFormat::Ndjson => ColumnPositions::named(&names, &[]),
    }
    .map_err(at_line)
}

fn whole(cut: &RawLine) -> Result<(), Vec<FieldError>> {
    if cut.is_unclosed {
        return Err(of_line(
            "A quote is opened in this line and never closed, so the rest of the file is in it.",
        ));
    }
    if cut.is_too_long {
        return Err(of_line(format!("The line is longer than {} MiB.", LINE_MAX / (1024 * 1024))));
    }
    Ok(())
}

fn of_line(message: impl Into<std::borrow::Cow<'static, str>>) -> Vec<FieldError> {
    vec![FieldError::new("line", message)]
}
