//! Sessions written as PostgreSQL sends them: the bytes of its binary format become those of JSON or CSV, the same that a
//! [`Session`](super::Session) is written as, without a value in between.

use std::sync::LazyLock;

use uuid::Uuid;

use super::{answer::Format, csv, session::COLUMNS};
use crate::{pipeline::Row, web::clock::push_rfc3339};

/// The place of `sequence` in [`COLUMNS`].
const SEQUENCE: usize = 1;
/// After the columns of the session: what [`Counter`] holds.
const TOTAL: usize = COLUMNS.len();
const REVISION: usize = TOTAL + 1;
const REQUESTS_PER_MINUTE: usize = TOTAL + 2;

/// What every row says again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    /// How many sessions the client has.
    pub(super) total: i64,
    /// At which revision they are.
    pub(super) revision: i64,
    /// The limit of the key.
    pub(super) requests_per_minute: i32,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Id,
    Whole,
    Text,
    Time,
    Tags,
}

/// Each column, with what stands before its value in JSON.
static LAYOUT: LazyLock<Vec<(Kind, String)>> = LazyLock::new(|| {
    let open = |index: usize| if index == 0 { '{' } else { ',' };
    COLUMNS
        .iter()
        .enumerate()
        .map(|(index, name)| (kind_of(name), format!("{}\"{name}\":", open(index))))
        .collect()
});

fn kind_of(column: &str) -> Kind {
    match column {
        "sessionId" => Kind::Id,
        "sequence" | "waitSeconds" | "durationSeconds" | "rating" | "orderValueMinor" => Kind::Whole,
        "tags" => Kind::Tags,
        time if time.ends_with("At") => Kind::Time,
        _ => Kind::Text,
    }
}

/// Rows on their way to an answer.
pub(super) struct Writer {
    format: Format,
    pub(super) out: Vec<u8>,
    /// How many sessions are written.
    pub(super) count: usize,
    /// The sequence of the last of them.
    pub(super) last: Option<i64>,
    /// `None` as long as there was no row.
    pub(super) counter: Option<Counter>,
}

impl Writer {
    /// Writes behind what is in `out`.
    pub(super) fn new(format: Format, out: Vec<u8>) -> Self {
        Self { format, out, count: 0, last: None, counter: None }
    }

    /// Writes the session of a row, if it has one; `None`: there is something in it that we cannot read.
    pub(super) fn take(&mut self, row: Row<'_>) -> Option<()> {
        if self.counter.is_none() {
            let column = |column| whole(row.bytes(column)?);
            let requests_per_minute = column(REQUESTS_PER_MINUTE)?.try_into().ok()?;
            self.counter =
                Some(Counter { total: column(TOTAL)?, revision: column(REVISION)?, requests_per_minute });
        }
        // The key is let in, and the page is empty.
        let Some(sequence) = row.bytes(SEQUENCE) else { return Some(()) };
        self.last = Some(whole(sequence)?);
        match self.format {
            Format::Csv => self.take_csv(row)?,
            Format::Ndjson => {
                self.take_json(row)?;
                self.out.push(b'\n');
            }
            Format::Json => {
                if self.count > 0 {
                    self.out.push(b',');
                }
                self.take_json(row)?;
            }
        }
        self.count += 1;
        Some(())
    }

    fn take_json(&mut self, row: Row<'_>) -> Option<()> {
        for (column, (kind, before)) in LAYOUT.iter().enumerate() {
            self.out.extend_from_slice(before.as_bytes());
            match row.bytes(column) {
                Some(bytes) => push_json(&mut self.out, *kind, bytes)?,
                None => self.out.extend_from_slice(b"null"),
            }
        }
        self.out.push(b'}');
        Some(())
    }

    fn take_csv(&mut self, row: Row<'_>) -> Option<()> {
        for (column, (kind, _)) in LAYOUT.iter().enumerate() {
            if column > 0 {
                self.out.push(b',');
            }
            if let Some(bytes) = row.bytes(column) {
                push_csv(&mut self.out, *kind, bytes)?;
            }
        }
        self.out.extend_from_slice(b"\r\n");
        Some(())
    }
}

fn push_json(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) -> Option<()> {
    match kind {
        Kind::Text => push_json_text(out, bytes),
        Kind::Whole => serde_json::to_writer(out, &whole(bytes)?).ok(),
        Kind::Id | Kind::Time => {
            out.push(b'"');
            push_plain(out, kind, bytes)?;
            out.push(b'"');
            Some(())
        }
        Kind::Tags => {
            let mut open = b'[';
            each_tag(bytes, |tag| {
                out.push(open);
                open = b',';
                push_json_text(out, tag)
            })?;
            if open == b'[' {
                out.push(open);
            }
            out.push(b']');
            Some(())
        }
    }
}

fn push_json_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    // Looks at all of it without a branch in between, which is what makes it fast.
    if text.iter().fold(false, |found, byte| found | matches!(byte, 0..b' ' | b'"' | b'\\')) {
        return serde_json::to_writer(out, std::str::from_utf8(text).ok()?).ok();
    }
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
    Some(())
}

fn push_csv(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) -> Option<()> {
    match kind {
        Kind::Text => csv::push_cell(out, bytes),
        Kind::Whole => csv::push_cell(out, whole(bytes)?.to_string().as_bytes()),
        Kind::Id | Kind::Time => push_plain(out, kind, bytes)?,
        Kind::Tags => {
            let mut joined = Vec::new();
            let mut count = 0;
            each_tag(bytes, |tag| {
                if count > 0 {
                    joined.push(b';');
                }
                count += 1;
                joined.extend_from_slice(tag);
                Some(())
            })?;
            csv::push_cell(out, &joined);
        }
    }
    Some(())
}

/// What needs no quotes of its own in either format.
fn push_plain(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) -> Option<()> {
    if kind == Kind::Time {
        return push_rfc3339(out, whole(bytes)?);
    }
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(Uuid::from_slice(bytes).ok()?.hyphenated().encode_lower(&mut text).as_bytes());
    Some(())
}

/// A `smallint`, `integer`, `bigint` or `timestamptz`.
pub(super) fn whole(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        8 => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        4 => Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        2 => Some(i64::from(i16::from_be_bytes(bytes.try_into().ok()?))),
        _ => None,
    }
}

/// Each element of a `text[]`: the number of dimensions, flags, the type; for its one dimension the length and the first
/// index; then each element behind its length.
fn each_tag<'a>(array: &'a [u8], mut take: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    let mut rest = array;
    let mut next = || {
        let (number, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        Some((i32::from_be_bytes(*number), after))
    };
    let (dimensions, _) = next()?;
    let (_flags, _type) = (next()?, next()?);
    if dimensions == 0 {
        return Some(());
    }
    let (length, _) = next()?;
    let (_first, mut elements) = next()?;
    for _ in 0..length {
        let (size, after) = elements.split_first_chunk::<4>()?;
        // A null, which the table refuses, has the size -1.
        let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
        let (tag, after) = after.split_at_checked(size)?;
        take(tag)?;
        elements = after;
    }
    (dimensions == 1 && elements.is_empty()).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As PostgreSQL sends a `text[]`.
    fn array(tags: &[String]) -> Vec<u8> {
        let number = |it: usize| i32::try_from(it).unwrap().to_be_bytes();
        if tags.is_empty() {
            return [number(0), number(0), number(25)].concat();
        }
        let mut bytes = [number(1), number(0), number(25), number(tags.len()), number(1)].concat();
        for tag in tags {
            bytes.extend(number(tag.len()));
            bytes.extend(tag.as_bytes());
        }
        bytes
    }

    proptest! {
        #[test]
        fn text_is_written_as_serde_does(text in any::<String>()) {
            let mut out = Vec::new();
            push_json(&mut out, Kind::Text, text.as_bytes()).unwrap();
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn tags_are_written_as_serde_does(tags in proptest::collection::vec("[a\"é]{0,3}", 0..4)) {
            let mut out = Vec::new();
            push_json(&mut out, Kind::Tags, &array(&tags)).unwrap();
            prop_assert_eq!(out, serde_json::to_vec(&tags).unwrap());
            let mut out = Vec::new();
            push_csv(&mut out, Kind::Tags, &array(&tags)).unwrap();
            let mut cell = Vec::new();
            csv::push_cell(&mut cell, tags.join(";").as_bytes());
            prop_assert_eq!(out, cell);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for kind in [Kind::Id, Kind::Whole, Kind::Text, Kind::Time, Kind::Tags] {
                let _read = (push_json(&mut Vec::new(), kind, &bytes), push_csv(&mut Vec::new(), kind, &bytes));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let whole = array(&["vip".to_owned(), "returning".to_owned()]);
        for length in 0..whole.len() {
            assert_eq!(push_json(&mut Vec::new(), Kind::Tags, &whole[..length]), None, "{length}");
        }
    }
}
