//! Cuts the bytes of a file into lines, and those of a CSV (RFC 4180) into cells, however the bytes come in.
//!
//! A line that is too long is not kept, only told of, so no file can fill the memory.

/// A line has at most so many bytes.
pub(crate) const LINE_MAX: usize = 1024 * 1024;

/// A line of the file; in a CSV it may go over several, where a cell does.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawLine {
    /// The number of its first line in the file, from 1.
    pub(crate) number: u64,
    /// It had more than [`LINE_MAX`] bytes, so they are not all here.
    pub(crate) is_too_long: bool,
    /// The file ends inside a quoted cell.
    pub(crate) is_unclosed: bool,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl RawLine {
    /// All of it, where it has no cells.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many cells it has.
    pub(crate) fn width(&self) -> usize {
        self.ends.len()
    }

    /// Its cells; `None`: they are not UTF-8 text.
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

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitterState {
    LineStart,
    CellStart,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: it ends there, or two of them stand for one.
    Quote,
}

/// Cuts a file.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    /// What stands between cells; `None`: lines have no cells, and quotes no meaning.
    delimiter: Option<u8>,
    place: SplitterState,
    line: u64,
    /// The last byte was a carriage return, so a line feed ends no other line.
    is_after_return: bool,
    cut: RawLine,
}

impl LineSplitter {
    /// At the beginning of a file.
    pub(crate) fn new(delimiter: Option<u8>) -> Self {
        Self {
            delimiter,
            place: SplitterState::LineStart,
            line: 1,
            is_after_return: false,
            cut: RawLine::default(),
        }
    }

    /// Takes the next bytes of the file; `on_line` gets every line that ends in them and is not empty.
    ///
    /// # Errors
    /// What `on_line` returned.
    pub(crate) fn feed<E>(
        &mut self,
        bytes: &[u8],
        mut on_line: impl FnMut(&RawLine) -> Result<(), E>,
    ) -> Result<(), E> {
        for byte in bytes {
            if self.take(*byte) {
                on_line(&self.cut)?;
            }
        }
        Ok(())
    }

    /// The file ends here; the last line may lack its end.
    pub(crate) fn end(&mut self) -> Option<&RawLine> {
        if self.place == SplitterState::LineStart {
            return None;
        }
        self.cut.is_unclosed = self.place == SplitterState::Quoted;
        self.end_line();
        Some(&self.cut)
    }

    /// Whether a line ends with this byte.
    fn take(&mut self, byte: u8) -> bool {
        let is_line_end = self.count_lines(byte);
        if self.place == SplitterState::LineStart {
            if is_line_end {
                return false;
            }
            // A line ends before it is counted, so the number is right here.
            self.cut.clear(self.line);
        }
        match (self.place, byte) {
            (SplitterState::Quoted, b'"') => self.place = SplitterState::Quote,
            (SplitterState::Quoted, _) => self.cut.push(byte),
            _ if is_line_end => {
                self.end_line();
                return true;
            }
            _ if Some(byte) == self.delimiter => {
                self.cut.ends.push(self.cut.bytes.len());
                self.place = SplitterState::CellStart;
            }
            (SplitterState::LineStart | SplitterState::CellStart, b'"') if self.delimiter.is_some() => {
                self.place = SplitterState::Quoted;
            }
            (SplitterState::Quote, b'"') => {
                self.cut.push(byte);
                self.place = SplitterState::Quoted;
            }
            _ => {
                self.cut.push(byte);
                self.place = SplitterState::Plain;
            }
        }
        false
    }

    /// Whether the byte ends a line of the file: CR, LF or both.
    fn count_lines(&mut self, byte: u8) -> bool {
        let ends = matches!(byte, b'\n' | b'\r');
        if ends && !(byte == b'\n' && self.is_after_return) {
            self.line += 1;
        }
        self.is_after_return = byte == b'\r';
        ends
    }

    fn end_line(&mut self) {
        self.cut.ends.push(self.cut.bytes.len());
        self.place = SplitterState::LineStart;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(bytes: &[u8], step: usize) -> Vec<RawLine> {
        let mut cutter = LineSplitter::new(Some(b','));
        let mut lines = Vec::new();
        for bytes in bytes.chunks(step) {
            let kept: Result<(), ()> = cutter.feed(bytes, |line| {
                lines.push(line.clone());
                Ok(())
            });
            kept.unwrap();
        }
        lines.extend(cutter.end().cloned());
        lines
    }

    #[test]
    fn lines_have_the_number_they_have_in_an_editor() {
        let text = b"a,b\r\n\r\n\"c\r\nd\",e\n\"f\ng\",\rh\n";
        let numbers: Vec<u64> = cut(text, 3).iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 3, 5, 7]);
    }

    #[test]
    fn what_is_too_long_is_not_kept_and_the_rest_goes_on() {
        let mut text = b"a,b\nc,\"".to_vec();
        text.extend(vec![b'x'; 10 * LINE_MAX]);
        text.extend(b"\n\"\nd,e\n");
        let lines = cut(&text, 4096);
        assert_eq!(lines.iter().map(|line| line.is_too_long).collect::<Vec<_>>(), [false, true, false]);
        assert!(lines[1].bytes.capacity() <= 2 * LINE_MAX);
        assert_eq!((lines[2].number, lines[2].cells().unwrap()), (4, vec!["d", "e"]));
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told() {
        let lines = cut(b"a,b\nc,\"d\ne,f\n", 5);
        assert_eq!((lines.len(), lines[1].number, lines[1].is_unclosed), (2, 2, true));
    }

    #[test]
    fn cells_that_are_no_text_are_told() {
        assert!(cut(b"a,\xff\n", 1)[0].cells().is_none());
        assert!(cut(b"a\xc3,\xa9\n", 1)[0].cells().is_none());
    }

    proptest! {
        #[test]
        fn cells_are_those_that_another_reader_finds(text in "[a,\"\r\n ]{0,40}", step in 1_usize..9) {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> =
                reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours: Vec<Vec<String>> = cut(text.as_bytes(), step)
                .iter()
                .map(|line| line.cells().unwrap().into_iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
