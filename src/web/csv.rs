//! CSV (RFC 4180) that is safe to open in a spreadsheet and reads back unchanged.
//!
//! A cell that a spreadsheet would take for a formula (CWE-1236) is escaped by a leading `'`, which reading removes. A
//! cell that already looks escaped gets another `'`, so escaping is reversible.

use std::borrow::Cow;

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::CONTENT_DISPOSITION};

use crate::error::AppError;

/// The lines of these rows, each cell with [`escape_formula`] applied.
///
/// # Errors
/// [`AppError::Broken`] if the rows differ in length.
pub fn lines<R, C>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>, AppError>
where
    R: IntoIterator<Item = C>,
    C: AsRef<str>,
{
    let mut writer = writer();
    for row in rows {
        for cell in row {
            writer.write_field(escape_formula(cell.as_ref()).as_ref()).map_err(AppError::broken)?;
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

/// Appends the escaped cell, quoted if necessary.
pub fn push_cell(out: &mut Vec<u8>, cell: &[u8]) {
    let unquoted = cell.iter().position(|byte| *byte != b'\'').map_or(&[][..], |first| &cell[first..]);
    let escape: &[u8] =
        if unquoted.first().is_some_and(|first| b"=+-@\t\r\n".contains(first)) { b"'" } else { b"" };
    // Without a branch per byte, which makes it fast.
    if !cell.iter().fold(false, |found, byte| found | matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        out.extend_from_slice(escape);
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(escape);
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
            let mut library = writer();
            library.write_record(["first", escape_formula(&cell).as_ref()]).unwrap();
            prop_assert_eq!(ours, library.into_inner().unwrap());
        }
    }
}
