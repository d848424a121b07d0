//! Splits a file into lines, and the lines of a CSV (RFC 4180) into cells, wherever its chunks are cut.
//!
//! Only the beginning of an overlong line is kept, so no file can exhaust the memory.

use crate::text::is_deceptive;

/// Maximum length of a line, in bytes.
pub(crate) const LINE_MAX: usize = 1024 * 1024;

/// A line of the file. In a CSV, a cell with line breaks makes it span several.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawLine {
    /// The number of its first line, from 1.
    pub(crate) number: u64,
    /// It has more than [`LINE_MAX`] bytes; the rest is dropped.
    pub(crate) is_too_long: bool,
    /// The file ends inside a quoted cell.
    pub(crate) is_unclosed: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RawLine {
    /// The whole line, if lines have no cells.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of cells.
    pub(crate) fn width(&self) -> usize {
        self.ends.len()
    }

    /// Whether it is known to its end.
    pub(crate) fn is_complete(&self) -> bool {
        !self.is_unclosed && !self.is_too_long
    }

    /// Whether all its cells are empty or show nothing: white space, no-break spaces, invisible characters.
    pub(crate) fn is_blank(&self) -> bool {
        let is_invisible = |it: char| it.is_whitespace() || (is_deceptive(it) && !it.is_control());
        let rest = self.bytes.trim_ascii();
        let is_text = rest.first().is_some_and(u8::is_ascii_graphic);
        let shows_nothing = || std::str::from_utf8(rest).is_ok_and(|text| text.chars().all(is_invisible));
        self.is_complete() && !is_text && shows_nothing()
    }

    /// Returns `None` if the line is not UTF-8.
    pub(crate) fn cells(&self) -> Option<Vec<&str>> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| text.get(*start..*end)).collect()
    }

    fn clear(&mut self, number: u64) {
        self.number = number;
        (self.is_too_long, self.is_unclosed) = (false, false);
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < LINE_MAX {
            self.bytes.push(byte);
        } else {
            self.is_too_long = true;
        }
    }
}

/// Where the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitterState {
    LineStart,
    CellStart,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: the end of the cell, or the first half of an escaped quote.
    Quote,
}

/// Counts lines. CR, LF or both end one.
#[derive(Debug)]
pub(crate) struct LineCounter {
    /// The number of the line that the next byte belongs to, from 1.
    pub(crate) line: u64,
    is_after_return: bool,
}

/// What a byte does to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineBreak {
    None,
    /// It ends the line.
    End,
    /// It is the LF of a CRLF, whose CR ended the line.
    SecondHalf,
}

impl LineCounter {
    pub(crate) fn new() -> Self {
        Self { line: 1, is_after_return: false }
    }

    pub(crate) fn push(&mut self, byte: u8) -> LineBreak {
        let is_second_half = byte == b'\n' && self.is_after_return;
        self.is_after_return = byte == b'\r';
        match byte {
            _ if is_second_half => LineBreak::SecondHalf,
            b'\n' | b'\r' => {
                self.line += 1;
                LineBreak::End
            }
            _ => LineBreak::None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct LineSplitter {
    /// `None` if lines have no cells and quotes have no meaning.
    delimiter: Option<u8>,
    state: SplitterState,
    counter: LineCounter,
    current: RawLine,
}

impl LineSplitter {
    pub(crate) fn new(delimiter: Option<u8>) -> Self {
        Self {
            delimiter,
            state: SplitterState::LineStart,
            counter: LineCounter::new(),
            current: RawLine::default(),
        }
    }

    /// Calls `on_line` for every line that ends in these bytes, also for empty ones, which have no cell. Stops at its
    /// first error.
    pub(crate) fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut on_line: impl FnMut(&RawLine) -> Result<(), E>,
    ) -> Result<(), E> {
        for byte in bytes {
            if self.push(*byte) {
                on_line(&self.current)?;
            }
        }
        Ok(())
    }

    /// The last line, if it has no line break.
    pub(crate) fn end(&mut self) -> Option<&RawLine> {
        if self.state == SplitterState::LineStart {
            return None;
        }
        self.current.is_unclosed = self.state == SplitterState::Quoted;
        self.end_line();
        Some(&self.current)
    }

    /// Processes a byte. Returns whether it ends a line.
    fn push(&mut self, byte: u8) -> bool {
        let line = self.counter.line;
        let line_break = self.counter.push(byte);
        if self.state == SplitterState::LineStart {
            if line_break == LineBreak::SecondHalf {
                return false;
            }
            self.current.clear(line);
            if line_break == LineBreak::End {
                return true;
            }
        }
        match (self.state, byte) {
            (SplitterState::Quoted, b'"') => self.state = SplitterState::Quote,
            (SplitterState::Quoted, _) => self.current.push(byte),
            _ if line_break != LineBreak::None => {
                self.end_line();
                return true;
            }
            _ if Some(byte) == self.delimiter => {
                self.current.ends.push(self.current.bytes.len());
                self.state = SplitterState::CellStart;
            }
            (SplitterState::LineStart | SplitterState::CellStart, b'"') if self.delimiter.is_some() => {
                self.state = SplitterState::Quoted;
            }
            (SplitterState::Quote, b'"') => {
                self.current.push(byte);
                self.state = SplitterState::Quoted;
            }
            _ => {
                self.current.push(byte);
                self.state = SplitterState::Plain;
            }
        }
        false
    }

    fn end_line(&mut self) {
        self.current.ends.push(self.current.bytes.len());
        self.state = SplitterState::LineStart;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(bytes: &[u8], step: usize) -> Vec<RawLine> {
        let mut splitter = LineSplitter::new(Some(b','));
        let mut lines = Vec::new();
        for bytes in bytes.chunks(step) {
            let kept: Result<(), ()> = splitter.feed(bytes, |line| {
                lines.push(line.clone());
                Ok(())
            });
            kept.unwrap();
        }
        lines.extend(splitter.end().cloned());
        lines
    }

    #[test]
    fn lines_have_the_number_they_have_in_an_editor() {
        let text = b"a,b\r\n\r\n\"c\r\nd\",e\n\"f\ng\",\rh\n";
        let numbers: Vec<u64> = split(text, 3).iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2, 3, 5, 7]);
    }

    #[test]
    fn blank_lines_have_no_cells_or_empty_ones() {
        for step in 1..6 {
            let lines = split(b"\r\n\n,,\r \r\n\"\",\" \"\na,b\n", step);
            let widths: Vec<usize> = lines.iter().map(RawLine::width).collect();
            assert_eq!(widths, [0, 0, 3, 1, 2, 2]);
            assert_eq!(lines.iter().filter(|line| line.is_blank()).count(), 5);
        }
        assert!(!split(b"\"\n\n", 1)[0].is_blank(), "the rest of the file is in it");
        for (line, is_blank) in [
            ("\u{a0}\n", true),
            ("\u{a0}, \u{3000},\u{200b}\n", true),
            ("\u{feff}\u{2800}\n", true),
            ("\u{a0},x\n", false),
            ("\0\n", false),
            ("\u{a0}ü\n", false),
        ] {
            assert_eq!(split(line.as_bytes(), 2)[0].is_blank(), is_blank, "{line:?}");
        }
    }

    #[test]
    fn the_rest_of_a_long_line_is_dropped_and_later_lines_are_kept() {
        let mut text = b"a,b\nc,\"".to_vec();
        text.extend(vec![b'x'; 10 * LINE_MAX]);
        text.extend(b"\n\"\nd,e\n");
        let lines = split(&text, 4096);
        assert_eq!(lines.iter().map(|line| line.is_too_long).collect::<Vec<_>>(), [false, true, false]);
        assert!(lines[1].bytes.capacity() <= 2 * LINE_MAX);
        assert_eq!((lines[2].number, lines[2].cells().unwrap()), (4, vec!["d", "e"]));
    }

    #[test]
    fn an_unclosed_quote_is_reported() {
        let lines = split(b"a,b\nc,\"d\ne,f\n", 5);
        assert_eq!((lines.len(), lines[1].number, lines[1].is_unclosed), (2, 2, true));
    }

    #[test]
    fn cells_that_are_not_utf_8_are_reported() {
        assert!(split(b"a,\xff\n", 1)[0].cells().is_none());
        assert!(split(b"a\xc3,\xa9\n", 1)[0].cells().is_none());
    }

    proptest! {
        #[test]
        fn cells_are_those_that_another_reader_finds(text in "[a,\"\r\n ]{0,40}", step in 1_usize..9) {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<Vec<String>> = split(text.as_bytes(), step)
                .iter()
                .filter(|line| line.width() > 0)
                .map(|line| line.cells().unwrap().into_iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
