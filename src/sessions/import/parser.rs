//! Parses the sessions of a CSV or NDJSON file, whose bytes may arrive in pieces of any size.

use chrono::{DateTime, Utc};

use super::{
    columns::{ColumnMapping, ColumnPositions},
    content_id::ContentIdAssigner,
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

/// The byte order mark that some programs write before UTF-8 text.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
/// The byte order marks of UTF-16.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// Possible delimiters of a CSV. Spreadsheets in some languages write semicolons.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// With a header, whose names may be mapped to ours.
    Csv(Vec<ColumnMapping>),
    /// With a header that is ignored in favour of these columns. `None` leaves a column out.
    PlacedCsv(Vec<Option<&'static str>>),
    /// One JSON object per line.
    Ndjson,
}

impl FileFormat {
    /// Whether a file with this beginning contains JSON.
    #[must_use]
    pub fn is_json(start: &[u8]) -> bool {
        let start = start.strip_prefix(UTF_8_MARK).unwrap_or(start);
        matches!(start.trim_ascii_start().first(), Some(b'{' | b'['))
    }
}

/// A line of the file that should contain a session.
#[derive(Debug)]
pub struct ParsedLine {
    /// From 1.
    pub number: u64,
    /// The session, or a message for each wrong field.
    pub given: Result<IncomingSession, Vec<FieldError>>,
}

/// Why no line of the file can be read, as a sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnreadableFile(pub String);

#[derive(Debug)]
pub struct SessionFileParser {
    client: ClientId,
    now: DateTime<Utc>,
    format: FileFormat,
    /// `None` until the first bytes arrive.
    splitter: Option<LineSplitter>,
    /// `None` until the header is read, and always for NDJSON.
    header: Option<ColumnPositions>,
    content_ids: ContentIdAssigner,
}

impl SessionFileParser {
    /// `now` limits the times of the sessions.
    #[must_use]
    pub fn new(client: ClientId, now: DateTime<Utc>, format: FileFormat) -> Self {
        Self { client, now, format, splitter: None, header: None, content_ids: ContentIdAssigner::default() }
    }

    /// The client that owns the sessions.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// Reads the next bytes of the file and appends the lines that end in them.
    ///
    /// # Errors
    /// If the header is wrong or the file is not text.
    pub fn feed(&mut self, mut bytes: &[u8], lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        let mut splitter = match self.splitter.take() {
            Some(splitter) => splitter,
            None if bytes.is_empty() => return Ok(()),
            None => {
                bytes = bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes);
                self.start(bytes)?
            }
        };
        let fed = splitter.feed(bytes, |line| self.read_line(line, lines));
        self.splitter = Some(splitter);
        fed
    }

    /// Ends the file: appends a last line without a line break.
    ///
    /// # Errors
    /// If the header is wrong or missing.
    pub fn end(&mut self, lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        if let Some(mut splitter) = self.splitter.take()
            && let Some(line) = splitter.end()
        {
            self.read_line(line, lines)?;
        }
        if self.header.is_none() && self.format != FileFormat::Ndjson {
            return Err(UnreadableFile(
                "line 1: the header is missing: status, channel, createdAt …".to_owned(),
            ));
        }
        Ok(())
    }

    fn start(&self, bytes: &[u8]) -> Result<LineSplitter, UnreadableFile> {
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
        Ok(LineSplitter::new(Some(detect_delimiter(bytes))))
    }

    fn read_line(&mut self, line: &RawLine, lines: &mut Vec<ParsedLine>) -> Result<(), UnreadableFile> {
        let given = match (&self.format, &self.header) {
            (FileFormat::Ndjson, _) if line.bytes().trim_ascii().is_empty() => return Ok(()),
            (FileFormat::Ndjson, _) => check_complete(line).and_then(|()| self.parse_object(line)),
            (_, Some(header)) => check_complete(line).and_then(|()| self.parse_row(header, line)),
            (format, None) => {
                self.header = Some(parse_header(format, line)?);
                return Ok(());
            }
        };
        let given = given.map(|mut given| {
            self.content_ids.assign(&self.client, &mut given);
            given
        });
        lines.push(ParsedLine { number: line.number, given });
        Ok(())
    }

    fn parse_object(&self, line: &RawLine) -> Result<IncomingSession, Vec<FieldError>> {
        let value = serde_json::from_slice(line.bytes())
            .map_err(|error| line_error(format!("The JSON cannot be read: {}.", in_line(&error))))?;
        record_json::parse(self.now, &value)
    }

    fn parse_row(
        &self,
        header: &ColumnPositions,
        line: &RawLine,
    ) -> Result<IncomingSession, Vec<FieldError>> {
        if line.width() != header.width {
            let message = format!("The line has {} cells, the header has {}.", line.width(), header.width);
            return Err(line_error(message));
        }
        let cells = line.cells().ok_or_else(|| line_error("The line is not UTF-8 text."))?;
        SessionRecord::parse(self.now, |name| unescape_formula(header.cell(&cells, name)))
    }
}

/// Why a line of JSON cannot be read. The line number is left out: `serde_json` sees each line as its first.
pub(crate) fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace("at line 1 column", "at column")
}

/// The column names of a CSV and the cells of the first `samples` lines, as far as these first bytes contain them.
///
/// # Errors
/// If there is no readable header.
pub fn read_columns(bytes: &[u8], samples: usize) -> Result<(Vec<String>, Vec<Vec<String>>), UnreadableFile> {
    let bytes = bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes);
    let mut splitter = LineSplitter::new(Some(detect_delimiter(bytes)));
    let mut rows: Vec<Vec<String>> = Vec::new();
    // An error stops the splitter once there are enough lines.
    let _is_enough = splitter.feed(bytes, |line| {
        let cells = line.cells().unwrap_or_default();
        rows.push(cells.into_iter().map(|cell| cell.trim().to_owned()).collect());
        if rows.len() > samples { Err(()) } else { Ok(()) }
    });
    if rows.len() <= samples
        && let Some(cells) = splitter.end().and_then(RawLine::cells)
    {
        rows.push(cells.into_iter().map(|cell| cell.trim().to_owned()).collect());
    }
    let mut rows = rows.into_iter();
    match rows.next() {
        Some(names) if !names.is_empty() => Ok((names, rows.collect())),
        _ => Err(UnreadableFile("line 1: the header is missing or not UTF-8 text".to_owned())),
    }
}

/// The delimiter that occurs most often in the first line.
fn detect_delimiter(bytes: &[u8]) -> u8 {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let count = |delimiter: &u8| line.split(|byte| byte == delimiter).count();
    // `max_by_key` returns the last maximum; `rev()` makes the comma win ties.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

fn parse_header(format: &FileFormat, line: &RawLine) -> Result<ColumnPositions, UnreadableFile> {
    let at_line = |message: String| UnreadableFile(format!("line {}: {message}", line.number));
    let names = line.cells().ok_or_else(|| at_line("the header is not UTF-8 text".to_owned()))?;
    match format {
        FileFormat::PlacedCsv(columns) => ColumnPositions::from_columns(columns),
        FileFormat::Csv(mappings) => ColumnPositions::from_names(&names, mappings),
        FileFormat::Ndjson => ColumnPositions::from_names(&names, &[]),
    }
    .map_err(at_line)
}

fn check_complete(line: &RawLine) -> Result<(), Vec<FieldError>> {
    if line.is_unclosed {
        return Err(line_error(
            "A quote is opened in this line and never closed, so the rest of the file is in it.",
        ));
    }
    if line.is_too_long {
        return Err(line_error(format!("The line is longer than {} MiB.", LINE_MAX / (1024 * 1024))));
    }
    Ok(())
}

fn line_error(message: impl Into<std::borrow::Cow<'static, str>>) -> Vec<FieldError> {
    vec![FieldError::new("line", message)]
}
