//! What the start of a file shows: whether it is CSV or NDJSON, the delimiter of a CSV, and its header.
//!
//! Browser and command line, check and import look at the same bytes, so they find the same.

use std::convert::Infallible;

use super::{
    columns::find_column_loosely,
    file::{
        encoding::FileEncoding,
        text_decoder::TextDecoder,
        unreadable_file::{COLUMNS_MAX, UnreadableFile},
    },
    line_splitter::{LineSplitter, RawLine},
};

/// Bytes at the start of a file that show its layout. Must not exceed the first chunk of an upload.
pub(crate) const START_BYTES: usize = 64 * 1024;
/// Possible delimiters of a CSV that does not name its own. Spreadsheets in some languages write semicolons.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];
/// Begins a line that names the delimiter, in any case.
const SEP_LINE: &str = "sep=";

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// With a header of column names.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

/// The start of a file, as text.
pub(crate) struct FileStart {
    text: String,
    /// The file has no more.
    is_whole: bool,
}

impl FileStart {
    /// `bytes` are at least the first [`START_BYTES`] of the file, or all of it.
    ///
    /// # Errors
    /// If they are wrong in this encoding.
    pub(crate) fn decode(bytes: &[u8], encoding: FileEncoding) -> Result<Self, UnreadableFile> {
        let is_whole = bytes.len() < START_BYTES;
        let bytes = bytes.get(..START_BYTES).unwrap_or(bytes);
        let text = TextDecoder::new(encoding, bytes).decode(bytes, is_whole)?.to_owned();
        Ok(Self { text, is_whole })
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// NDJSON begins with an object. A JSON array counts as NDJSON, too, to be refused as such. A brace or bracket
    /// before anything else is part of a column name.
    pub(crate) fn kind(&self) -> FileKind {
        let text = self.text.trim_start();
        let is_json = match text.strip_prefix('{') {
            Some(object) => {
                object.trim_start().chars().next().is_none_or(|it| matches!(it, '"' | '\'' | '}'))
            }
            None => self.is_json_array(),
        };
        if is_json { FileKind::Ndjson } else { FileKind::Csv }
    }

    pub(crate) fn is_json_array(&self) -> bool {
        let array = self.text.trim_start().strip_prefix('[').map(str::trim_start);
        array.is_some_and(|items| items.chars().next().is_none_or(|it| matches!(it, '{' | '[' | ']' | '"')))
    }

    /// The column names, and the cells of the first `samples` lines.
    ///
    /// # Errors
    /// If the first line does not name columns, or names too many.
    pub(crate) fn columns(&self, samples: usize) -> Result<(Vec<String>, Vec<Vec<String>>), UnreadableFile> {
        let lines = self.lines(CsvDialect::detect(self));
        let header = lines.first().filter(|line| line.is_complete()).ok_or(UnreadableFile::NoHeader)?;
        let mut rows = lines.iter().take(samples + 1).map(trimmed_cells);
        let names = rows.next().unwrap_or_default();
        let is_binary = |name: &String| name.chars().any(|it| it.is_control() && !it.is_whitespace());
        if header.width() < 2 || names.iter().any(is_binary) {
            return Err(UnreadableFile::NoHeader);
        }
        if names.len() > COLUMNS_MAX {
            return Err(UnreadableFile::TooManyColumns(names.len()));
        }
        Ok((names, rows.collect()))
    }

    /// The complete lines that hold a header or cells.
    fn lines(&self, dialect: CsvDialect) -> Vec<RawLine> {
        let mut splitter = LineSplitter::new(Some(dialect.delimiter));
        let mut lines = Vec::new();
        let Ok(()) = splitter.feed(self.text.as_bytes(), |line| {
            lines.push(line.clone());
            Ok::<(), Infallible>(())
        });
        // Otherwise the last line may be cut off.
        if self.is_whole {
            lines.extend(splitter.end().cloned());
        }
        lines.retain(|line| !dialect.skips(line));
        lines
    }
}

fn trimmed_cells(line: &RawLine) -> Vec<String> {
    line.cells().unwrap_or_default().into_iter().map(|cell| cell.trim().to_owned()).collect()
}

/// How the lines of a CSV are divided into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CsvDialect {
    pub(crate) delimiter: u8,
    /// The first line only names the delimiter.
    has_sep_line: bool,
}

impl CsvDialect {
    /// The delimiter is named by a first line like `sep=;`, or else it is the one that suits the lines best.
    pub(crate) fn detect(start: &FileStart) -> Self {
        if let Some(delimiter) = parse_sep_line(&start.text) {
            return Self { delimiter, has_sep_line: true };
        }
        let dialect = |delimiter| Self { delimiter, has_sep_line: false };
        // `max_by_key` returns the last maximum; `rev()` makes the comma win ties.
        let candidates = DELIMITERS.into_iter().rev().map(dialect);
        candidates
            .max_by_key(|dialect| DialectFit::new(&start.lines(*dialect)))
            .unwrap_or_else(|| dialect(b','))
    }

    /// Whether the line can contain neither a header nor a session.
    pub(crate) fn skips(self, line: &RawLine) -> bool {
        line.is_blank() || (self.has_sep_line && line.number == 1)
    }
}

/// How well a delimiter suits a file. Compared field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct DialectFit {
    /// Columns of the header that have the name of a field.
    known_names: usize,
    /// Lines with several cells, but no more than the header.
    fitting_lines: usize,
    /// Columns of the header.
    width: usize,
}

impl DialectFit {
    fn new(lines: &[RawLine]) -> Self {
        let names = lines.first().and_then(RawLine::cells).unwrap_or_default();
        let width = names.len();
        Self {
            known_names: names.iter().filter(|name| find_column_loosely(name).is_some()).count(),
            fitting_lines: lines.iter().filter(|line| (2..=width).contains(&line.width())).count(),
            width,
        }
    }
}

/// The delimiter that the first line names: `sep=;`, also in quotes or followed by more of the same delimiter, as some
/// programs save it.
fn parse_sep_line(text: &str) -> Option<u8> {
    let line = text.split(['\n', '\r']).next()?.trim_end_matches(' ');
    let unquoted = line.strip_prefix('"');
    let (name, rest) = unquoted.unwrap_or(line).split_at_checked(SEP_LINE.len())?;
    let (delimiter, rest) = rest.split_at_checked(1)?;
    let end = if unquoted.is_some() { "\"" } else { "" };
    if !name.eq_ignore_ascii_case(SEP_LINE) || rest.trim_end_matches(delimiter) != end {
        return None;
    }
    match delimiter.as_bytes() {
        [b'"'] => None,
        [byte] if byte.is_ascii_punctuation() || matches!(byte, b'\t' | b' ') => Some(*byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> FileStart {
        FileStart::decode(text.as_bytes(), FileEncoding::Utf8).unwrap()
    }

    fn names(text: &str) -> Vec<String> {
        start(text).columns(0).unwrap().0
    }

    #[test]
    fn delimiter_is_found_by_more_than_the_first_line() {
        for (text, expected) in [
            ("status;channel", vec!["status", "channel"]),
            ("a\tb\nc,d\te\n", vec!["a", "b"]),
            (
                "\"Notes, one, two, three, four\";status;channel\nx;y;z\n",
                vec!["Notes, one, two, three, four", "status", "channel"],
            ),
            (
                "\"Notes; one\n; two;\",status,channel\nx,y,z\n",
                vec!["Notes; one\n; two;", "status", "channel"],
            ),
            (
                "Date, local;State, internal;Way\n2026;x;y\n2026;x;y\n",
                vec!["Date, local", "State, internal", "Way"],
            ),
            ("Date, local;State;Way\n1,5;x;y\n", vec!["Date, local", "State", "Way"]),
            ("Call;Comment\n1;a, b, c, d\n2;\"e, f\ng, h\"\n", vec!["Call", "Comment"]),
            ("Call,Tags\n1,a;b;c;d\n2,e;f;g\n", vec!["Call", "Tags"]),
            (
                "The name of the first column is long;state\na;b\n",
                vec!["The name of the first column is long", "state"],
            ),
            ("\n \r\n;;\nstatus;channel\n", vec!["status", "channel"]),
            ("a,b\n", vec!["a", "b"]),
        ] {
            assert_eq!(names(text), expected, "{text:?}");
        }
    }

    #[test]
    fn last_line_counts_only_if_it_is_complete() {
        // The cut goes through the only quoted cell that contains the wrong delimiter.
        let mut text = "Call;Comment\n".to_owned();
        while text.len() < START_BYTES - 200 {
            text.push_str("1;text\n");
        }
        text.push_str("2;\"");
        text.push_str(&"a,b\n".repeat(100_000));
        assert_eq!(names(&text), ["Call", "Comment"]);
    }

    #[test]
    fn first_line_may_name_the_delimiter() {
        for line in ["sep=;", "SEP=;", "\"sep=;\"", "sep=;;;;", "Sep=;\r", "sep=; "] {
            let text = format!("{line}\nstatus,a;channel\nx;y\n");
            assert_eq!(names(&text), ["status,a", "channel"], "{line}");
        }
        assert_eq!(names("sep=|\nstatus|channel\n"), ["status", "channel"]);
        assert_eq!(names("sep=\t\nstatus\tchannel\n"), ["status", "channel"]);
        for text in ["sep=a;b\n", "sep=\n", "sep", "separator;b\n", "a;sep=,\n", "\"sep=;\n", "sep=\"\n"] {
            assert_eq!(parse_sep_line(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_without_column_names_is_refused() {
        for text in ["no columns\n", "", "\n\n", "\0\u{1},b\n", "\"a,b\nc,d\n"] {
            assert_eq!(start(text).columns(0).unwrap_err(), UnreadableFile::NoHeader, "{text:?}");
        }
        let wide = vec!["a"; COLUMNS_MAX + 1].join(",");
        assert_eq!(start(&wide).columns(0).unwrap_err(), UnreadableFile::TooManyColumns(COLUMNS_MAX + 1));
    }

    #[test]
    fn samples_are_the_first_lines_with_cells() {
        let (_, samples) = start("\u{feff}a;b\n\n;\n 1 ;\"2\n3\"\n4\n5;6").columns(2).unwrap();
        assert_eq!(samples, [vec!["1", "2\n3"], vec!["4"]]);
    }

    #[test]
    fn json_is_told_from_column_names_in_brackets() {
        for text in ["{\"a\":1}", " \n{ \"a\"", "{}", "{", "[{}]", "[\n{", "[]", "["] {
            assert_eq!(start(text).kind(), FileKind::Ndjson, "{text}");
        }
        for text in ["status,channel", "[status],[channel]", "{status},{channel}", "", "\"{\",a"] {
            assert_eq!(start(text).kind(), FileKind::Csv, "{text}");
        }
        assert!(start("[ {}").is_json_array() && !start("[id],b").is_json_array());
    }
}
