//! Why a file cannot be imported. Browser and command line show the same sentences.

use super::encoding::FileEncoding;

/// Maximum number of columns of a file.
pub(crate) const COLUMNS_MAX: usize = 500;

/// Why nothing of a file can be imported, as sentences that say what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableFile {
    /// It has no text, or only blank lines.
    #[error("The file is empty. Choose another.")]
    Empty,
    /// All of it is UTF-8, but another encoding was chosen.
    #[error("The file is UTF-8. Choose UTF-8 as its encoding.")]
    Utf8,
    /// By its byte order mark or its zero bytes.
    #[error("The file is UTF-16. Choose UTF-16 as its encoding, or save it as UTF-8.")]
    Utf16,
    /// By the absence of anything that Windows-1252 does not have. Other encodings with one byte per character may
    /// look the same, which is why the user has to confirm it.
    #[error(
        "Line {line} is not UTF-8. The file looks like an 8-bit encoding such as Windows-1252. \
         Choose Windows-1252 if that is its encoding, or save it as UTF-8."
    )]
    Windows1252 {
        /// The first line that is not UTF-8.
        line: u64,
    },
    /// Some of it is UTF-8 and some is not.
    #[error(
        "The file mixes UTF-8 with another encoding, as line {line} shows. Save the whole file as UTF-8."
    )]
    MixedEncodings {
        /// The first line that is in another encoding than those before.
        line: u64,
    },
    /// It is text in an encoding that Uptok does not read.
    #[error("The file is neither UTF-8 nor UTF-16 nor Windows-1252. Save it as UTF-8.")]
    UnknownEncoding,
    /// It looks like this encoding but contains bytes that are wrong in it.
    #[error("The file is damaged: part of it is not {}. Save it again as UTF-8.", .0.label())]
    Damaged(FileEncoding),
    /// With the usual extension of its format.
    #[error("The file is a spreadsheet ({0}). Save it as CSV in UTF-8, then choose that file.")]
    Spreadsheet(&'static str),
    /// With the usual name of its format.
    #[error("The file is an archive ({0}). Unpack it, then choose the file inside.")]
    Archive(&'static str),
    /// Another known format, by name.
    #[error("The file is {0}. Export the sessions as CSV in UTF-8, then choose that file.")]
    Document(&'static str),
    /// It is not text.
    #[error("The file is not text. Choose a CSV or NDJSON file.")]
    Binary,
    /// It is JSON, but not one object per line.
    #[error("The file is a JSON array. Write one object per line (NDJSON).")]
    JsonArray,
    /// Its first line does not name columns.
    #[error("The file has no header. Its first line must name the columns: status, channel, createdAt …")]
    NoHeader,
    /// It has more than [`COLUMNS_MAX`] columns: this many.
    #[error("The file has {0} columns. Remove some: the limit is {max}.", max = COLUMNS_MAX)]
    TooManyColumns(usize),
    /// Its columns do not form a record.
    #[error("Line {line}: {message}.")]
    Header {
        /// The line of the header, from 1.
        line: u64,
        /// What is wrong, without a full stop.
        message: String,
    },
}

impl UnreadableFile {
    /// The encoding whose choice makes the file readable.
    #[must_use]
    pub fn suggested_encoding(&self) -> Option<FileEncoding> {
        match self {
            Self::Utf8 => Some(FileEncoding::Utf8),
            Self::Utf16 => Some(FileEncoding::Utf16),
            Self::Windows1252 { .. } => Some(FileEncoding::Windows1252),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_sentence_that_says_what_to_do() {
        assert_eq!(
            UnreadableFile::Windows1252 { line: 2 }.to_string(),
            "Line 2 is not UTF-8. The file looks like an 8-bit encoding such as Windows-1252. \
             Choose Windows-1252 if that is its encoding, or save it as UTF-8."
        );
        assert_eq!(
            UnreadableFile::Damaged(FileEncoding::Utf16).to_string(),
            "The file is damaged: part of it is not UTF-16. Save it again as UTF-8."
        );
    }
}
