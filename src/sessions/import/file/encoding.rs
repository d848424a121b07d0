//! The encodings that a file may have.

use crate::db::sql::text_enum;

text_enum! {
    /// The encoding of a file. A file has one encoding for all its lines.
    FileEncoding {
        /// With or without a byte order mark.
        Utf8 = "utf-8",
        /// In either byte order, with or without a byte order mark.
        Utf16 = "utf-16",
        /// What spreadsheets on Windows write as plain CSV in western languages. Includes ISO 8859-1.
        Windows1252 = "windows-1252",
    }
}

impl FileEncoding {
    /// Every encoding.
    pub(crate) const ALL: [Self; 3] = [Self::Utf8, Self::Utf16, Self::Windows1252];

    /// The name as people write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Windows1252 => "Windows-1252",
        }
    }
}
