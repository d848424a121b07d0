//! Checks a whole file before any of it is imported: that it is text of one encoding, and CSV or NDJSON. So no file is
//! imported in part because its end cannot be read.

use std::io::Read;

use anyhow::Context as _;

use super::{
    super::{
        layout::{FileKind, FileStart, START_BYTES},
        line_splitter::LineCounter,
    },
    encoding::FileEncoding,
    signature,
    text_decoder::{TextDecoder, detect_utf_16},
    unreadable_file::UnreadableFile,
};

/// Bytes per read of a file.
const READ_BYTES: usize = 256 * 1024;
/// Bytes that no character of Windows-1252 has. Other encodings with one byte per character use them.
const NOT_WINDOWS_1252: [u8; 5] = [0x81, 0x8d, 0x8f, 0x90, 0x9d];

/// What the check of a file found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFile {
    /// The format.
    pub kind: FileKind,
    /// The column names of a CSV.
    pub column_names: Vec<String>,
}

/// Checks a whole file. Without `kind`, the format is detected.
///
/// # Errors
/// [`UnreadableFile`] if the file cannot be imported in this encoding, or why it cannot be read.
pub fn check_file(
    mut file: impl Read,
    encoding: FileEncoding,
    kind: Option<FileKind>,
) -> anyhow::Result<CheckedFile> {
    let mut check = FileCheck::new(encoding, kind);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = file.read(&mut buffer).context("the file cannot be read")?;
        if count == 0 {
            return Ok(check.finish()?);
        }
        check.feed(&buffer[..count])?;
    }
}

/// Checks a file that arrives in chunks of any size.
pub(crate) struct FileCheck {
    encoding: FileEncoding,
    kind: Option<FileKind>,
    /// At least the first [`START_BYTES`], or all bytes so far.
    start: Vec<u8>,
    /// `None` until there are enough bytes to recognise UTF-16 and binary formats.
    text: Option<TextCheck>,
}

/// Checks the encoding.
enum TextCheck {
    Utf16(TextDecoder),
    Bytes(Utf8Survey),
}

impl FileCheck {
    pub(crate) fn new(encoding: FileEncoding, kind: Option<FileKind>) -> Self {
        Self { encoding, kind, start: Vec::new(), text: None }
    }

    /// Checks the next bytes.
    ///
    /// # Errors
    /// If the bytes so far show that the file cannot be imported.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), UnreadableFile> {
        if let Some(text) = &mut self.text {
            return text.feed(bytes);
        }
        self.start.extend_from_slice(bytes);
        if self.start.len() < START_BYTES { Ok(()) } else { self.check_start() }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If the file cannot be imported.
    pub(crate) fn finish(mut self) -> Result<CheckedFile, UnreadableFile> {
        if self.text.is_none() {
            self.check_start()?;
        }
        if self.start.is_empty() {
            return Err(UnreadableFile::Empty);
        }
        match self.text.take() {
            Some(TextCheck::Utf16(mut decoder)) => _ = decoder.decode(&[], true)?,
            Some(TextCheck::Bytes(survey)) => survey.finish(self.encoding)?,
            None => {}
        }
        self.check_layout()
    }

    fn check_start(&mut self) -> Result<(), UnreadableFile> {
        let start = &self.start[..self.start.len().min(START_BYTES)];
        if let Some(other) = signature::recognise(start) {
            return Err(other);
        }
        let mut text = match detect_utf_16(start) {
            Some(_) if self.encoding != FileEncoding::Utf16 => return Err(UnreadableFile::Utf16),
            Some(_) => TextCheck::Utf16(TextDecoder::new(FileEncoding::Utf16, start)),
            None => TextCheck::Bytes(Utf8Survey::new()),
        };
        text.feed(&self.start)?;
        self.text = Some(text);
        Ok(())
    }

    fn check_layout(&self) -> Result<CheckedFile, UnreadableFile> {
        let start = FileStart::decode(&self.start, self.encoding)?;
        if start.is_blank() {
            return Err(UnreadableFile::Empty);
        }
        let kind = self.kind.unwrap_or_else(|| start.kind());
        let column_names = match kind {
            FileKind::Ndjson if start.is_json_array() => return Err(UnreadableFile::JsonArray),
            FileKind::Ndjson => Vec::new(),
            FileKind::Csv => start.columns(0)?.0,
        };
        Ok(CheckedFile { kind, column_names })
    }
}

impl TextCheck {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), UnreadableFile> {
        match self {
            Self::Utf16(decoder) => decoder.decode(bytes, false).map(|_text| ()),
            Self::Bytes(survey) => {
                survey.feed(bytes);
                Ok(())
            }
        }
    }
}

/// What a file is if its bytes are read as UTF-8.
struct Utf8Survey {
    /// The beginning of a character that was cut off.
    rest: Vec<u8>,
    /// Whether there are characters of several bytes.
    has_wide_characters: bool,
    /// The last character, or a space after a wrong byte.
    previous: char,
    /// The first line with a byte that is wrong in UTF-8.
    first_wrong_line: Option<u64>,
    /// The first line that only UTF-8 explains.
    first_utf_8_line: Option<u64>,
    lines: LineCounter,
    has_zero: bool,
    may_be_windows_1252: bool,
}

impl Utf8Survey {
    fn new() -> Self {
        Self {
            rest: Vec::new(),
            has_wide_characters: false,
            previous: ' ',
            first_wrong_line: None,
            first_utf_8_line: None,
            lines: LineCounter::new(),
            has_zero: false,
            may_be_windows_1252: true,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let joined = [std::mem::take(&mut self.rest).as_slice(), bytes].concat();
        let mut bytes = joined.as_slice();
        while let Err(error) = std::str::from_utf8(bytes) {
            let (text, rest) = bytes.split_at(error.valid_up_to());
            self.add_text(&String::from_utf8_lossy(text));
            let Some(length) = error.error_len() else {
                self.rest = rest.to_vec();
                return;
            };
            let (wrong, rest) = rest.split_at(length);
            self.add_wrong(wrong);
            bytes = rest;
        }
        self.add_text(&String::from_utf8_lossy(bytes));
    }

    fn add_text(&mut self, text: &str) {
        for character in text.chars() {
            if character.is_ascii() {
                self.has_zero |= character == '\0';
            } else if !self.previous.is_ascii() || is_typical_of_utf_8(character) {
                self.first_utf_8_line.get_or_insert(self.lines.line);
            }
            self.previous = character;
            self.has_wide_characters |= !character.is_ascii();
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                self.lines.push(byte);
            }
        }
    }

    fn add_wrong(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.first_wrong_line.get_or_insert(self.lines.line);
        self.previous = ' ';
        for byte in bytes {
            self.lines.push(*byte);
        }
        self.may_be_windows_1252 &= !bytes.iter().any(|byte| NOT_WINDOWS_1252.contains(byte));
    }

    /// Compares the encoding with the chosen one. ASCII is valid in both.
    fn finish(mut self, chosen: FileEncoding) -> Result<(), UnreadableFile> {
        let rest = std::mem::take(&mut self.rest);
        self.add_wrong(&rest);
        let Some(line) = self.first_wrong_line else {
            return match chosen {
                FileEncoding::Utf8 => Ok(()),
                FileEncoding::Windows1252 if !self.has_wide_characters => Ok(()),
                _ => Err(UnreadableFile::Utf8),
            };
        };
        if self.has_zero {
            return Err(UnreadableFile::Binary);
        }
        if let Some(utf_8_line) = self.first_utf_8_line {
            return Err(UnreadableFile::MixedEncodings { line: line.max(utf_8_line) });
        }
        match chosen {
            _ if !self.may_be_windows_1252 => Err(UnreadableFile::UnknownEncoding),
            FileEncoding::Windows1252 => Ok(()),
            _ => Err(UnreadableFile::Windows1252 { line }),
        }
    }
}

/// Whether the bytes of a character of UTF-8 make no sense in Windows-1252: `Ã¼`, `â€œ`, `ðŸ™‚`. Others may be a letter
/// and the sign after it, such as the end of `„Spaß“` or, with a no-break space, of `« café »`, but not twice in a row.
fn is_typical_of_utf_8(character: char) -> bool {
    matches!(character, '\u{80}'..='\u{17f}' | '\u{2000}'..='\u{22ff}' | '\u{feff}' | '\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "externalId;status;channel\nx-1;missed;audio\n";

    fn check(bytes: &[u8], encoding: FileEncoding) -> Result<CheckedFile, UnreadableFile> {
        check_file(bytes, encoding, None).map_err(|error| error.downcast().unwrap())
    }

    fn refusal(bytes: &[u8], encoding: FileEncoding) -> UnreadableFile {
        check(bytes, encoding).unwrap_err()
    }

    fn utf_16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// A CSV with more lines than the first bytes show.
    fn long_csv() -> Vec<u8> {
        CSV.as_bytes().repeat(START_BYTES / 10)
    }

    #[test]
    fn a_wrong_byte_anywhere_refuses_the_file_and_names_the_encoding() {
        let lines = u64::try_from(long_csv().len() / CSV.len() * 2).unwrap();
        for (end, expected) in [
            (&b"x-2;J\xfcrgen\n"[..], UnreadableFile::Windows1252 { line: lines + 1 }),
            (b"\r\r\n\nx-2;J\xfcrgen\n", UnreadableFile::Windows1252 { line: lines + 4 }),
            (b"x-2;M\xfcller\nx-3;\xc3\xbc\n", UnreadableFile::MixedEncodings { line: lines + 2 }),
            (b"x-2;\xc3\xbc\nx-3;M\xfcller\n", UnreadableFile::MixedEncodings { line: lines + 2 }),
            (b"x-2;M\x81ller\n", UnreadableFile::UnknownEncoding),
            (b"x-2;\0\xfc", UnreadableFile::Binary),
            (b"x-2;\xc3", UnreadableFile::Windows1252 { line: lines + 1 }),
        ] {
            let file = [long_csv().as_slice(), end].concat();
            assert_eq!(refusal(&file, FileEncoding::Utf8), expected, "{end:?}");
        }
        let odd = [utf_16(CSV).as_slice(), b"x"].concat();
        assert_eq!(refusal(&odd, FileEncoding::Utf16), UnreadableFile::Damaged(FileEncoding::Utf16));
    }

    #[test]
    fn the_chosen_encoding_must_be_that_of_the_file() {
        let (utf_8, windows_1252) =
            (format!("{CSV}x;J\u{fc}rgen"), [CSV.as_bytes(), b"x;J\xfcrgen"].concat());
        let (utf_16, ascii) = (utf_16(&utf_8), CSV.as_bytes());
        let of_windows = UnreadableFile::Windows1252 { line: 3 };
        for (file, chosen, expected) in [
            (utf_8.as_bytes(), FileEncoding::Utf8, None),
            (utf_8.as_bytes(), FileEncoding::Utf16, Some(UnreadableFile::Utf8)),
            (utf_8.as_bytes(), FileEncoding::Windows1252, Some(UnreadableFile::Utf8)),
            (&windows_1252, FileEncoding::Utf8, Some(of_windows.clone())),
            (&windows_1252, FileEncoding::Utf16, Some(of_windows)),
            (&windows_1252, FileEncoding::Windows1252, None),
            (&utf_16, FileEncoding::Utf8, Some(UnreadableFile::Utf16)),
            (&utf_16, FileEncoding::Utf16, None),
            (&utf_16, FileEncoding::Windows1252, Some(UnreadableFile::Utf16)),
            (ascii, FileEncoding::Utf8, None),
            (ascii, FileEncoding::Utf16, Some(UnreadableFile::Utf8)),
            (ascii, FileEncoding::Windows1252, None),
        ] {
            assert_eq!(check(file, chosen).err(), expected, "{file:?} {chosen}");
        }
    }

    #[test]
    fn a_single_character_of_utf_8_among_many_of_windows_1252_refuses_the_file() {
        let windows_1252 = [CSV.as_bytes(), b"x;J\xfcrgen\n".repeat(1000).as_slice()].concat();
        for character in ["ü", "ł", "€", "“", "🙂", "да", "日本", "שלום"] {
            let file = [windows_1252.as_slice(), b"y;", character.as_bytes(), b"\n"].concat();
            let expected = UnreadableFile::MixedEncodings { line: 1003 };
            for chosen in [FileEncoding::Utf8, FileEncoding::Windows1252] {
                assert_eq!(refusal(&file, chosen), expected, "{character}");
            }
        }
    }

    #[test]
    fn a_letter_before_a_sign_of_windows_1252_does_not_make_the_file_mixed() {
        for text in [
            &b"x;\x84Spa\xdf\x93"[..],
            b"x;\xab\xa0caf\xe9\xa0\xbb \xe0",
            b"x;J\xfcrgen CAF\xc9\xbb \xdc\x99",
        ] {
            let file = [CSV.as_bytes(), text, b"\n"].concat();
            assert!(check(&file, FileEncoding::Windows1252).is_ok(), "{text:?}");
            assert_eq!(refusal(&file, FileEncoding::Utf8), UnreadableFile::Windows1252 { line: 3 });
        }
    }

    #[test]
    fn a_file_without_lines_is_empty() {
        for file in [&b""[..], b"\n", b"\xef\xbb\xbf", b" \r\n\r\n"] {
            assert_eq!(refusal(file, FileEncoding::Utf8), UnreadableFile::Empty, "{file:?}");
        }
        for file in [&b""[..], b"\xff\xfe"] {
            assert_eq!(refusal(file, FileEncoding::Utf16), UnreadableFile::Empty, "{file:?}");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_chunks() {
        let file = [long_csv().as_slice(), "x-2;Jürgen\n".as_bytes()].concat();
        for step in [1, 2, 3, 7, 4096, START_BYTES, START_BYTES + 1] {
            let mut check = FileCheck::new(FileEncoding::Utf8, None);
            file.chunks(step).for_each(|bytes| check.feed(bytes).unwrap());
            let checked = check.finish().unwrap();
            assert_eq!((checked.kind, checked.column_names.len()), (FileKind::Csv, 3), "{step}");
        }
    }

    #[test]
    fn json_needs_one_object_per_line() {
        assert_eq!(check(b"\xef\xbb\xbf{\"a\":1}", FileEncoding::Utf8).unwrap().kind, FileKind::Ndjson);
        assert_eq!(refusal(b"[{\"a\":1}]", FileEncoding::Utf8), UnreadableFile::JsonArray);
    }
}
