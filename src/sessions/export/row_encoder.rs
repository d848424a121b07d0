//! Sessions written as PostgreSQL sends them: the bytes of its binary format become those of JSON or CSV, the same that a
//! [`Session`](crate::sessions::Session) is written as, without a value in between.

use std::sync::LazyLock;

use uuid::Uuid;

use super::query::ExportFormat;
use crate::{
    db::pipeline::PipelineRow,
    sessions::fields::{COLUMNS, FieldType, SESSION_FIELDS, SessionField},
    web::{csv, time::Rfc3339Writer},
};

/// The place of `sequence` in [`COLUMNS`].
const SEQUENCE: usize = 1;
/// After the columns of the session: what [`SessionCounter`] holds.
const TOTAL: usize = COLUMNS.len();
const REVISION: usize = TOTAL + 1;
const REQUESTS_PER_MINUTE: usize = TOTAL + 2;

/// What every row says again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionCounter {
    /// How many sessions the client has.
    pub(crate) total: i64,
    /// At which revision they are.
    pub(crate) revision: i64,
    /// The limit of the key.
    pub(crate) requests_per_minute: i32,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnKind {
    Id,
    Whole,
    Text,
    Time,
    Tags,
}

/// A column as it stands in JSON. Most of a row is such constant text, so each of it is copied at once.
struct JsonColumn {
    kind: ColumnKind,
    /// What stands before its value, up to the quote where it has one.
    before: String,
    /// What stands there instead of both without a value.
    null: String,
}

static LAYOUT: LazyLock<Vec<JsonColumn>> = LazyLock::new(|| {
    let column = |(index, SessionField { name, field_type, .. }): (usize, &SessionField)| {
        let (kind, open) = (ColumnKind::from(*field_type), if index == 0 { '{' } else { ',' });
        let quote =
            if matches!(kind, ColumnKind::Id | ColumnKind::Text | ColumnKind::Time) { "\"" } else { "" };
        let before = format!("{open}\"{name}\":{quote}");
        JsonColumn { kind, before, null: format!("{open}\"{name}\":null") }
    };
    SESSION_FIELDS.iter().enumerate().map(column).collect()
});

impl From<FieldType> for ColumnKind {
    fn from(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Uuid => Self::Id,
            FieldType::Integer { .. } => Self::Whole,
            FieldType::Tags => Self::Tags,
            FieldType::Time => Self::Time,
            FieldType::Text { .. }
            | FieldType::Phone
            | FieldType::Country
            | FieldType::Currency
            | FieldType::Choice(_) => Self::Text,
        }
    }
}

/// Rows on their way to an answer.
pub(crate) struct RowEncoder {
    format: ExportFormat,
    pub(crate) out: Vec<u8>,
    times: Rfc3339Writer,
    /// How many sessions are written.
    pub(crate) count: usize,
    /// The sequence of the last of them.
    pub(crate) last: Option<i64>,
    /// `None` as long as there was no row.
    pub(crate) counter: Option<SessionCounter>,
}

impl RowEncoder {
    /// Writes behind what is in `out`.
    pub(crate) fn new(format: ExportFormat, out: Vec<u8>) -> Self {
        Self { format, out, times: Rfc3339Writer::default(), count: 0, last: None, counter: None }
    }

    /// Writes the session of a row, if it has one; `None`: there is something in it that we cannot read.
    pub(crate) fn take(&mut self, row: PipelineRow<'_>) -> Option<()> {
        if self.counter.is_none() {
            let column = |column| whole(row.bytes(column)?);
            let requests_per_minute = column(REQUESTS_PER_MINUTE)?.try_into().ok()?;
            self.counter = Some(SessionCounter {
                total: column(TOTAL)?,
                revision: column(REVISION)?,
                requests_per_minute,
            });
        }
        // The key is let in, and the page is empty.
        let Some(sequence) = row.bytes(SEQUENCE) else { return Some(()) };
        self.last = Some(whole(sequence)?);
        match self.format {
            ExportFormat::Csv => self.take_csv(row)?,
            ExportFormat::Ndjson => {
                self.take_json(row)?;
                self.out.push(b'\n');
            }
            ExportFormat::Json => {
                if self.count > 0 {
                    self.out.push(b',');
                }
                self.take_json(row)?;
            }
        }
        self.count += 1;
        Some(())
    }

    fn take_json(&mut self, row: PipelineRow<'_>) -> Option<()> {
        for (index, column) in LAYOUT.iter().enumerate() {
            let Some(bytes) = row.bytes(index) else {
                self.out.extend_from_slice(column.null.as_bytes());
                continue;
            };
            self.out.extend_from_slice(column.before.as_bytes());
            push_json(&mut self.out, &mut self.times, column.kind, bytes)?;
        }
        self.out.push(b'}');
        Some(())
    }

    fn take_csv(&mut self, row: PipelineRow<'_>) -> Option<()> {
        for (index, column) in LAYOUT.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            if let Some(bytes) = row.bytes(index) {
                push_csv(&mut self.out, &mut self.times, column.kind, bytes)?;
            }
        }
        self.out.extend_from_slice(b"\r\n");
        Some(())
    }
}

/// The value behind [`JsonColumn::before`].
fn push_json(out: &mut Vec<u8>, times: &mut Rfc3339Writer, kind: ColumnKind, bytes: &[u8]) -> Option<()> {
    match kind {
        ColumnKind::Text => push_json_text(out, bytes),
        ColumnKind::Whole => serde_json::to_writer(out, &whole(bytes)?).ok(),
        ColumnKind::Id => {
            push_id(out, bytes)?;
            out.push(b'"');
            Some(())
        }
        ColumnKind::Time => {
            times.push(out, whole(bytes)?)?;
            out.push(b'"');
            Some(())
        }
        ColumnKind::Tags => {
            let mut open = b'[';
            each_tag(bytes, |tag| {
                out.push(open);
                open = b',';
                out.push(b'"');
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

/// The text behind its first quote, and the last quote.
fn push_json_text(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    if needs_escapes(text) {
        // serde writes both quotes.
        out.pop();
        return serde_json::to_writer(out, std::str::from_utf8(text).ok()?).ok();
    }
    out.extend_from_slice(text);
    out.push(b'"');
    Some(())
}

/// Whether JSON writes anything in the text in another way (RFC 8259, section 7). Looks at eight bytes at once without a
/// branch in between, which is what makes it fast; the last eight may be looked at twice.
fn needs_escapes(text: &[u8]) -> bool {
    fn any(bytes: &[u8]) -> bool {
        bytes.iter().fold(false, |found, byte| found | matches!(byte, 0..b' ' | b'"' | b'\\'))
    }
    match text.last_chunk::<8>() {
        Some(last) => text.as_chunks::<8>().0.iter().chain([last]).any(|eight| any(eight)),
        None => any(text),
    }
}

fn push_csv(out: &mut Vec<u8>, times: &mut Rfc3339Writer, kind: ColumnKind, bytes: &[u8]) -> Option<()> {
    match kind {
        ColumnKind::Text => csv::push_cell(out, bytes),
        ColumnKind::Whole => csv::push_cell(out, whole(bytes)?.to_string().as_bytes()),
        // Neither needs quotes.
        ColumnKind::Id => push_id(out, bytes)?,
        ColumnKind::Time => times.push(out, whole(bytes)?)?,
        ColumnKind::Tags => {
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

fn push_id(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    let mut text = Uuid::encode_buffer();
    out.extend_from_slice(Uuid::from_slice(bytes).ok()?.hyphenated().encode_lower(&mut text).as_bytes());
    Some(())
}

/// A `smallint`, `integer`, `bigint` or `timestamptz`.
pub(crate) fn whole(bytes: &[u8]) -> Option<i64> {
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

    fn json(kind: ColumnKind, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        push_json(&mut out, &mut Rfc3339Writer::default(), kind, bytes).map(|()| out)
    }

    fn csv(kind: ColumnKind, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        push_csv(&mut out, &mut Rfc3339Writer::default(), kind, bytes).map(|()| out)
    }

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
            let mut out = b"\"".to_vec();
            push_json(&mut out, &mut Rfc3339Writer::default(), ColumnKind::Text, text.as_bytes()).unwrap();
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn tags_are_written_as_serde_does(tags in proptest::collection::vec("[a\"é]{0,3}", 0..4)) {
            prop_assert_eq!(json(ColumnKind::Tags, &array(&tags)), Some(serde_json::to_vec(&tags).unwrap()));
            let mut cell = Vec::new();
            csv::push_cell(&mut cell, tags.join(";").as_bytes());
            prop_assert_eq!(csv(ColumnKind::Tags, &array(&tags)), Some(cell));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for kind in [ColumnKind::Id, ColumnKind::Whole, ColumnKind::Text, ColumnKind::Time, ColumnKind::Tags] {
                let _read = (json(kind, &bytes), csv(kind, &bytes));
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let whole = array(&["vip".to_owned(), "returning".to_owned()]);
        for length in 0..whole.len() {
            assert_eq!(json(ColumnKind::Tags, &whole[..length]), None, "{length}");
        }
    }
}
