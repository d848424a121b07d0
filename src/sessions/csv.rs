//! Sessions as CSV (RFC 4180) that opens rightly in a spreadsheet and comes back as it was.
//!
//! A cell that a spreadsheet would take for a formula (CWE-1236) gets a `'` in front; reading takes it away again. A
//! cell that already begins with such a `'` gets another, so that nothing is lost in either direction.

use std::borrow::Cow;

use super::session::{COLUMNS, Session};

/// The header line.
///
/// # Errors
/// Never in memory; the type is that of the writer.
pub(super) fn header() -> Result<Vec<u8>, csv::Error> {
    let mut writer = writer();
    writer.write_record(COLUMNS)?;
    bytes(writer)
}

/// One line per session.
///
/// # Errors
/// Never in memory; the type is that of the writer.
pub(super) fn lines(sessions: &[Session]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = writer();
    for session in sessions {
        writer.write_record(session.cells().iter().map(|cell| guarded(cell).into_owned()))?;
    }
    bytes(writer)
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new())
}

fn bytes(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn looks_like_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

/// The cell as it is written.
#[must_use]
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if looks_like_formula(cell) { format!("'{cell}").into() } else { cell.into() }
}

/// Appends the cell as it is written, in quotes where it needs them.
pub(super) fn push_cell(out: &mut Vec<u8>, cell: &[u8]) {
    let unquoted = cell.iter().position(|byte| *byte != b'\'').map_or(&[][..], |first| &cell[first..]);
    let guard: &[u8] =
        if unquoted.first().is_some_and(|first| b"=+-@\t\r\n".contains(first)) { b"'" } else { b"" };
    // Looks at all of it without a branch in between, which is what makes it fast.
    if !cell.iter().fold(false, |found, byte| found | matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        out.extend_from_slice(guard);
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    out.extend_from_slice(guard);
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// The cell as it was before it was written.
pub(super) fn unguarded(cell: &str) -> &str {
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
            assert!(guarded(cell).starts_with('\''), "{cell:?}");
        }
        assert_eq!(guarded("plain, with \"quotes\""), "plain, with \"quotes\"");
        assert_eq!(guarded("'tis"), "'tis");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(cell in "['=+@\t\r a-z-]{0,6}") {
            let written = guarded(&cell);
            prop_assert_eq!(unguarded(&written), &cell);
        }

        #[test]
        fn a_cell_is_written_as_the_library_does(cell in prop_oneof!["['=+@\t\r\n a\",é-]{0,6}", any::<String>()]) {
            let mut ours = b"first,".to_vec();
            push_cell(&mut ours, cell.as_bytes());
            ours.extend_from_slice(b"\r\n");
            let mut library = writer();
            library.write_record(["first", guarded(&cell).as_ref()]).unwrap();
            prop_assert_eq!(ours, bytes(library).unwrap());
        }
    }
}
