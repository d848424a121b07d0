//! Decodes a file, wherever its chunks are cut.

use std::fmt;

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{encoding::FileEncoding, unreadable_file::UnreadableFile};

/// Bytes at the start of a file that show the byte order of UTF-16 without a byte order mark.
const BYTE_ORDER_SAMPLE: usize = 1024;
/// Fewer zeros than these may be in a binary file.
const ZEROS_MIN: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    LittleEndian,
    BigEndian,
}

/// The byte order of UTF-16 in a file with this start, or `None` if it is not UTF-16.
///
/// Without a byte order mark, UTF-16 shows by the zeros of its ASCII characters (delimiters, digits, our column
/// names): nearly all are first, or nearly all second, in their pairs of bytes.
pub(crate) fn detect_utf_16(start: &[u8]) -> Option<ByteOrder> {
    match start {
        [0xff, 0xfe, ..] => return Some(ByteOrder::LittleEndian),
        [0xfe, 0xff, ..] => return Some(ByteOrder::BigEndian),
        _ => {}
    }
    let pairs = start[..start.len().min(BYTE_ORDER_SAMPLE)].chunks_exact(2);
    let count = pairs.len();
    let zeros = pairs.fold([0, 0], |[first, second], pair| {
        [first + usize::from(pair[0] == 0), second + usize::from(pair[1] == 0)]
    });
    let is_dominant =
        |zeros: usize, others: usize| zeros >= ZEROS_MIN && zeros * 4 > count && others * 8 <= zeros;
    match zeros {
        [first, second] if is_dominant(second, first) => Some(ByteOrder::LittleEndian),
        [first, second] if is_dominant(first, second) => Some(ByteOrder::BigEndian),
        _ => None,
    }
}

pub(crate) struct TextDecoder {
    encoding: FileEncoding,
    decoder: Decoder,
    text: String,
}

impl TextDecoder {
    /// `start` is the start of the file: at least 1024 bytes, or all of it.
    pub(crate) fn new(encoding: FileEncoding, start: &[u8]) -> Self {
        let standard = match encoding {
            FileEncoding::Utf8 => UTF_8,
            FileEncoding::Utf16 if detect_utf_16(start) == Some(ByteOrder::BigEndian) => UTF_16BE,
            FileEncoding::Utf16 => UTF_16LE,
            FileEncoding::Windows1252 => WINDOWS_1252,
        };
        Self { encoding, decoder: standard.new_decoder_with_bom_removal(), text: String::new() }
    }

    /// The text of the next bytes. A character that is cut off at their end comes with the next ones.
    ///
    /// Must not be called again after `is_last`.
    ///
    /// # Errors
    /// If the bytes are wrong in this encoding.
    pub(crate) fn decode(&mut self, bytes: &[u8], is_last: bool) -> Result<&str, UnreadableFile> {
        self.text.clear();
        let damaged = UnreadableFile::Damaged(self.encoding);
        let Some(length) = self.decoder.max_utf8_buffer_length_without_replacement(bytes.len()) else {
            return Err(damaged);
        };
        self.text.reserve(length);
        match self.decoder.decode_to_string_without_replacement(bytes, &mut self.text, is_last) {
            (DecoderResult::InputEmpty, _) => Ok(&self.text),
            _ => Err(damaged),
        }
    }
}

impl fmt::Debug for TextDecoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TextDecoder").field("encoding", &self.encoding).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |unit: u16| match order {
            ByteOrder::LittleEndian => unit.to_le_bytes(),
            ByteOrder::BigEndian => unit.to_be_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn decode(encoding: FileEncoding, bytes: &[u8], step: usize) -> Result<String, UnreadableFile> {
        let mut decoder = TextDecoder::new(encoding, bytes);
        let mut text = String::new();
        for bytes in bytes.chunks(step) {
            text += decoder.decode(bytes, false)?;
        }
        text += decoder.decode(&[], true)?;
        Ok(text)
    }

    #[test]
    fn text_is_the_same_wherever_the_bytes_are_cut() {
        let text = "status;Gespräch – 😀";
        for step in 1..8 {
            for mark in ["", "\u{feff}"] {
                let marked = format!("{mark}{text}");
                assert_eq!(decode(FileEncoding::Utf8, marked.as_bytes(), step).unwrap(), text);
                for order in [ByteOrder::LittleEndian, ByteOrder::BigEndian] {
                    assert_eq!(decode(FileEncoding::Utf16, &utf_16(&marked, order), step).unwrap(), text);
                }
            }
            assert_eq!(
                decode(FileEncoding::Windows1252, b"J\xfcrgen \x96 \x80", step).unwrap(),
                "Jürgen – €"
            );
        }
    }

    #[test]
    fn wrong_bytes_are_refused_and_not_replaced() {
        for bytes in [&b"a\xfcb"[..], b"a\xc3"] {
            let damaged = Err(UnreadableFile::Damaged(FileEncoding::Utf8));
            assert_eq!(decode(FileEncoding::Utf8, bytes, 1), damaged, "{bytes:?}");
        }
        for bytes in [&b"\xff\xfea\0b"[..], b"\xff\xfe\x00\xd8a\0"] {
            let damaged = Err(UnreadableFile::Damaged(FileEncoding::Utf16));
            assert_eq!(decode(FileEncoding::Utf16, bytes, 3), damaged, "{bytes:?}");
        }
    }

    #[test]
    fn utf_16_is_recognised_without_a_byte_order_mark() {
        for order in [ByteOrder::LittleEndian, ByteOrder::BigEndian] {
            assert_eq!(detect_utf_16(&utf_16("status,channel,Größe", order)), Some(order));
        }
        for other in
            [&b""[..], b"a", b"status,channel", b"\x00\x01\xff,\x02\n", b"a\0\0\0b\0\0\0", b"status,a\0b\n"]
        {
            assert_eq!(detect_utf_16(other), None, "{other:?}");
        }
    }
}
