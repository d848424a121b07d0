//! CSV (RFC 4180) that is safe to open in a spreadsheet and reads back unchanged.
//!
//! Free text that a spreadsheet would take for a formula (CWE-1236) is escaped by a leading `'`, which reading removes. A
//! cell that already looks escaped gets another `'`, so escaping is reversible. Numbers and values of a fixed form, such as
//! `-4990` and `+4930123456`, are no danger and stay as they are.

use std::borrow::Cow;

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::CONTENT_DISPOSITION};

use crate::error::AppError;

/// A cell before it is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsvCell<'a> {
    /// Text that anybody may have typed, so it may look like a formula.
    FreeText(Cow<'a, str>),
    /// A number, a time or other text of a fixed form.
    Validated(Cow<'a, str>),
}

impl<'a> From<&'a str> for CsvCell<'a> {
    fn from(text: &'a str) -> Self {
        Self::FreeText(text.into())
    }
}

impl From<String> for CsvCell<'_> {
    fn from(text: String) -> Self {
        Self::FreeText(text.into())
    }
}

/// The lines of these rows, with [`escape_formula`] applied to free text.
///
/// # Errors
/// [`AppError::Broken`] if the rows differ in length.
pub fn lines<'a, R, C>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, AppError>
where
    R: IntoIterator<Item = C>,
    C: Into<CsvCell<'a>>,
{
    let mut writer = writer();
    for row in rows {
        for cell in row {
            let written = match cell.into() {
                CsvCell::FreeText(text) => writer.write_field(escape_formula(&text).as_ref()),
                CsvCell::Validated(text) => writer.write_field(text.as_ref()),
            };
            written.map_err(AppError::broken)?;
        }
        writer.write_record(None::<&[u8]>).map_err(AppError::broken)?;
    }
    writer.into_inner().map_err(|error| AppError::broken(error.into_error()))
}

/// A response that a browser saves under this file name.
#[must_use]
pub fn download(file_name: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.content_type("text/csv; charset=utf-8");
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{file_name}\"")));
    response
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn looks_like_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// Escapes a cell that looks like a formula.
#[must_use]
pub fn escape_formula(cell: &str) -> Cow<'_, str> {
    if looks_like_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

/// Appends free text, escaped, and quoted if necessary.
pub fn push_cell(out: &mut Vec<u8>, cell: &[u8]) {
    let unquoted = cell.iter().position(|byte| *byte != b'\'').map_or(&[][..], |first| &cell[first..]);
    let escape: &[u8] =
        if unquoted.first().is_some_and(|first| b"=+-@\t\r\n".contains(first)) { b"'" } else { b"" };
    push_with_prefix(out, escape, cell);
}

/// Appends a value of a fixed form, quoted if necessary.
pub fn push_validated_cell(out: &mut Vec<u8>, cell: &[u8]) {
    push_with_prefix(out, b"", cell);
}

fn push_with_prefix(out: &mut Vec<u8>, prefix: &[u8], cell: &[u8]) {
    // Without a branch per byte, which makes it fast.
    if !cell.iter().fold(false, |found, byte| found | matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        out.extend_from_slice(prefix);
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(prefix);
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// Reverses [`escape_formula`].
#[must_use]
pub fn unescape_formula(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if looks_like_formula(rest) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_neutralised() {
        for cell in ["=1+1", "+49301234", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"] {
            assert!(escape_formula(cell).starts_with('\''), "{cell:?}");
        }
        assert_eq!(escape_formula("plain, with \"quotes\""), "plain, with \"quotes\"");
        assert_eq!(escape_formula("'tis"), "'tis");
    }

    #[test]
    fn only_free_text_is_escaped() {
        let row = ["=1", "-1"].map(CsvCell::from).into_iter();
        let validated = ["-4990", "+4930123456", "a,b"].map(|text| CsvCell::Validated(text.into()));
        assert_eq!(lines([row.chain(validated)]).unwrap(), b"'=1,'-1,-4990,+4930123456,\"a,b\"\r\n");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(cell in "['=+@\t\r a-z-]{0,6}") {
            let written = escape_formula(&cell);
            prop_assert_eq!(unescape_formula(&written), &cell);
        }

        #[test]
        fn a_cell_is_written_as_the_library_does(cell in prop_oneof!["['=+@\t\r\n a\",é-]{0,6}", any::<String>()]) {
            let mut ours = b"first,".to_vec();
            push_cell(&mut ours, cell.as_bytes());
            ours.extend_from_slice(b"\r\n");
            prop_assert_eq!(ours, lines([["first", cell.as_str()]]).unwrap());
            let mut validated = b"first,".to_vec();
            push_validated_cell(&mut validated, cell.as_bytes());
            validated.extend_from_slice(b"\r\n");
            let mut library = writer();
            library.write_record(["first", cell.as_str()]).unwrap();
            prop_assert_eq!(validated, library.into_inner().unwrap());
        }
    }
}
