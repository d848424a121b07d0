//! Parses the sessions of a CSV or NDJSON file, whose bytes may arrive in chunks of any size.

use chrono::{DateTime, Utc};

use super::{
    columns::{ColumnMapping, ColumnPositions},
    content_id::ContentIdAssigner,
    file::{encoding::FileEncoding, text_decoder::TextDecoder, unreadable_file::UnreadableFile},
    layout::{CsvDialect, FileStart, START_BYTES},
    line_splitter::{LINE_MAX, LineSplitter, RawLine},
};
use crate::{
    error::FieldError,
    ids::ClientId,
    sessions::{
        record::{IncomingSession, SessionRecord},
        record_json,
    },
    web::format::csv::unescape_formula,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// With a header, whose names may be mapped to ours.
    Csv(Vec<ColumnMapping>),
    /// With a header that is ignored in favour of these columns. `None` leaves a column out.
    PlacedCsv(Vec<Option<&'static str>>),
    /// One JSON object per line.
    Ndjson,
}

/// A line of the file that should contain a session.
#[derive(Debug)]
pub struct ParsedLine {
    /// From 1.
    pub number: u64,
    /// The session, or a message for each wrong field.
    pub given: Result<IncomingSession, Vec<FieldError>>,
}

/// The lines of a part of the file.
#[derive(Debug, Default)]
pub struct ParsedLines {
    /// The lines that should contain a session.
    pub lines: Vec<ParsedLine>,
    /// The number of other lines: the header, a line that names the delimiter, and blank lines.
    pub skipped: u64,
}

/// Parses a file that `check_file` has accepted.
#[derive(Debug)]
pub struct SessionFileParser {
    client: ClientId,
    now: DateTime<Utc>,
    encoding: FileEncoding,
    format: FileFormat,
    /// The first bytes, until there are enough to detect the delimiter.
    start: Vec<u8>,
    /// `None` until then.
    reader: Option<LineReader>,
    /// `None` until the header is read, and always for NDJSON.
    header: Option<ColumnPositions>,
    content_ids: ContentIdAssigner,
}

/// Turns bytes into lines.
#[derive(Debug)]
struct LineReader {
    decoder: TextDecoder,
    splitter: LineSplitter,
    /// `None` for NDJSON.
    dialect: Option<CsvDialect>,
}

impl LineReader {
    /// `start` is at least the first [`START_BYTES`] of the file, or all of it.
    fn new(start: &[u8], encoding: FileEncoding, format: &FileFormat) -> Result<Self, UnreadableFile> {
        let dialect = match format {
            FileFormat::Ndjson => None,
            _ => Some(CsvDialect::detect(&FileStart::decode(start, encoding)?)),
        };
        Ok(Self {
            decoder: TextDecoder::new(encoding, start),
            splitter: LineSplitter::new(dialect.map(|dialect| dialect.delimiter)),
            dialect,
        })
    }
}

impl SessionFileParser {
    /// `now` limits the times of the sessions.
    #[must_use]
    pub fn new(client: ClientId, now: DateTime<Utc>, encoding: FileEncoding, format: FileFormat) -> Self {
        Self {
            client,
            now,
            encoding,
            format,
            start: Vec::new(),
            reader: None,
            header: None,
            content_ids: ContentIdAssigner::default(),
        }
    }

    /// The client that owns the sessions.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// Reads the next bytes of the file and appends the lines that end in them. The first bytes are held back until
    /// there are enough to detect the delimiter.
    ///
    /// # Errors
    /// If the header is wrong, or the file is not what its check found.
    pub fn feed(&mut self, bytes: &[u8], parsed: &mut ParsedLines) -> Result<(), UnreadableFile> {
        if self.reader.is_some() {
            return self.read(bytes, false, parsed);
        }
        self.start.extend_from_slice(bytes);
        if self.start.len() < START_BYTES {
            return Ok(());
        }
        self.read_start(parsed)
    }

    /// Ends the file: appends a last line without a line break.
    ///
    /// # Errors
    /// If the header is wrong or missing, or the file is not what its check found.
    pub fn end(&mut self, parsed: &mut ParsedLines) -> Result<(), UnreadableFile> {
        if self.reader.is_none() {
            self.read_start(parsed)?;
        }
        self.read(&[], true, parsed)?;
        if self.header.is_none() && self.format != FileFormat::Ndjson {
            return Err(UnreadableFile::NoHeader);
        }
        Ok(())
    }

    fn read_start(&mut self, parsed: &mut ParsedLines) -> Result<(), UnreadableFile> {
        let start = std::mem::take(&mut self.start);
        self.reader = Some(LineReader::new(&start, self.encoding, &self.format)?);
        self.read(&start, false, parsed)
    }

    fn read(&mut self, bytes: &[u8], is_last: bool, parsed: &mut ParsedLines) -> Result<(), UnreadableFile> {
        let Some(mut reader) = self.reader.take() else { return Ok(()) };
        let LineReader { decoder, splitter, dialect } = &mut reader;
        let text = decoder.decode(bytes, is_last)?;
        splitter.feed(text.as_bytes(), |line| self.read_line(line, *dialect, parsed))?;
        if is_last && let Some(line) = splitter.end() {
            self.read_line(line, *dialect, parsed)?;
        }
        self.reader = Some(reader);
        Ok(())
    }

    fn read_line(
        &mut self,
        line: &RawLine,
        dialect: Option<CsvDialect>,
        parsed: &mut ParsedLines,
    ) -> Result<(), UnreadableFile> {
        if dialect.map_or_else(|| line.is_blank(), |dialect| dialect.skips(line)) {
            parsed.skipped += 1;
            return Ok(());
        }
        let given = match (&self.format, &self.header) {
            (FileFormat::Ndjson, _) => check_complete(line).and_then(|()| self.parse_object(line)),
            (_, Some(header)) => check_complete(line).and_then(|()| self.parse_row(header, line)),
            (format, None) => {
                self.header = Some(parse_header(format, line)?);
                parsed.skipped += 1;
                return Ok(());
            }
        };
        let given = given.map(|mut given| {
            self.content_ids.assign(&self.client, &mut given);
            given
        });
        parsed.lines.push(ParsedLine { number: line.number, given });
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
        let cells = line.cells().ok_or_else(|| line_error("This line is not text."))?;
        if cells.iter().skip(header.width).any(|cell| !cell.trim().is_empty()) {
            let message =
                format!("This line has {} cells, but the header has {}.", line.width(), header.width);
            return Err(line_error(message));
        }
        SessionRecord::parse(self.now, |name| unescape_formula(header.cell(&cells, name)))
    }
}

/// Why a line of JSON cannot be read. The line number is left out: `serde_json` sees each line as its first.
pub(crate) fn in_line(error: &serde_json::Error) -> String {
    error.to_string().replace("at line 1 column", "at column")
}

fn parse_header(format: &FileFormat, line: &RawLine) -> Result<ColumnPositions, UnreadableFile> {
    let names = line.cells().filter(|_| line.is_complete()).ok_or(UnreadableFile::NoHeader)?;
    match format {
        FileFormat::PlacedCsv(columns) => ColumnPositions::from_columns(columns),
        FileFormat::Csv(mappings) => ColumnPositions::from_names(&names, mappings),
        FileFormat::Ndjson => ColumnPositions::from_names(&names, &[]),
    }
    .map_err(|message| UnreadableFile::Header { line: line.number, message })
}

fn check_complete(line: &RawLine) -> Result<(), Vec<FieldError>> {
    if line.is_unclosed {
        return Err(line_error(
            "A quote opens on this line and never closes, so it contains the rest of the file.",
        ));
    }
    if line.is_too_long {
        return Err(line_error(format!("This line is longer than {} MiB.", LINE_MAX / (1024 * 1024))));
    }
    Ok(())
}

fn line_error(message: impl Into<std::borrow::Cow<'static, str>>) -> Vec<FieldError> {
    vec![FieldError::new("line", message)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of each line that should contain a session, whether it does, and the number of other lines.
    fn parse(file: &[u8], step: usize, encoding: FileEncoding) -> (Vec<(u64, bool)>, u64) {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let format = FileFormat::Csv(Vec::new());
        let mut parser = SessionFileParser::new("cl_0000000001".parse().unwrap(), now, encoding, format);
        let mut parsed = ParsedLines::default();
        file.chunks(step).for_each(|bytes| parser.feed(bytes, &mut parsed).unwrap());
        parser.end(&mut parsed).unwrap();
        (parsed.lines.iter().map(|line| (line.number, line.given.is_ok())).collect(), parsed.skipped)
    }

    #[test]
    fn lines_do_not_depend_on_the_chunks() {
        let file = "\u{feff}\r\n\"Agent; Name\";status;channel;createdAt;endedAt;notes;;\r\n\
            Zoë;missed;chat;2026-11-23T10:00:00Z;2026-11-23T10:00:30Z;\"a\r\nb\";;\r\n\
            ;;\r\n\
            Ann;missed;chat;2026-11-23T10:00:00Z;2026-11-23T10:00:30Z\r\n\
            Ben;missed;chat";
        let utf_16: Vec<u8> = file.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let expected = (vec![(3, true), (6, true), (7, false)], 3);
        for step in [1, 2, 3, 16, 100, 10_000] {
            assert_eq!(parse(file.as_bytes(), step, FileEncoding::Utf8), expected, "{step}");
            assert_eq!(parse(&utf_16, step, FileEncoding::Utf16), expected, "{step}");
        }
    }

    #[test]
    fn a_start_without_enough_bytes_is_completed_by_the_next_chunk() {
        let line = "Ann;missed;chat;2026-11-23T10:00:00Z;2026-11-23T10:00:30Z\n";
        let count = START_BYTES * 3 / line.len();
        let file = format!("agentName;status;channel;createdAt;endedAt\n{}", line.repeat(count));
        for step in [16, 4096, START_BYTES - 1, START_BYTES, START_BYTES + 1] {
            let (lines, skipped) = parse(file.as_bytes(), step, FileEncoding::Utf8);
            assert_eq!((lines.len(), skipped), (count, 1), "{step}");
            assert!(lines.iter().all(|(_, is_session)| *is_session), "{step}");
        }
    }
}
