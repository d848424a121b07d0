//! Encodes sessions as JSON or CSV straight from PostgreSQL's binary format, without a value in between. The bytes are
//! the same as those of an encoded [`Session`](crate::sessions::Session).

use std::sync::LazyLock;

use uuid::Uuid;

use super::{query::ExportFormat, rfc3339::Rfc3339Writer};
use crate::{
    db::pipeline::PipelineRow,
    sessions::fields::{COLUMNS, FieldType, SESSION_FIELDS, SessionField},
    web::format::csv,
};

/// The index of `sequence` in [`COLUMNS`].
const SEQUENCE: usize = 1;
/// The columns of [`TotalAndRevision`] follow those of the session.
const TOTAL: usize = COLUMNS.len();
const REVISION: usize = TOTAL + 1;

/// Values that every row repeats.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TotalAndRevision {
    /// Number of sessions of the client.
    pub(crate) total: i64,
    /// Grows whenever a session of the client is stored or changed.
    pub(crate) revision: i64,
}

/// How a column is decoded and quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnEncoding {
    Id,
    Whole,
    /// Free text.
    Text,
    /// Text of a fixed form, which cannot be taken for a formula.
    ValidatedText,
    Time,
    Tags,
}

/// The constant text of a column in JSON. It is most of a row, so it is computed once and copied as a whole.
struct JsonFieldTemplate {
    kind: ColumnEncoding,
    /// Comma, name and colon, and the opening quote if the type has one.
    before: String,
    /// Written instead of both if the value is null.
    null: String,
}

static LAYOUT: LazyLock<Vec<JsonFieldTemplate>> = LazyLock::new(|| {
    let column = |(index, SessionField { name, field_type, .. }): (usize, &SessionField)| {
        let (kind, open) = (ColumnEncoding::from(*field_type), if index == 0 { '{' } else { ',' });
        let quote = if matches!(kind, ColumnEncoding::Whole | ColumnEncoding::Tags) { "" } else { "\"" };
        let before = format!("{open}\"{name}\":{quote}");
        JsonFieldTemplate { kind, before, null: format!("{open}\"{name}\":null") }
    };
    SESSION_FIELDS.iter().enumerate().map(column).collect()
});

impl From<FieldType> for ColumnEncoding {
    fn from(field_type: FieldType) -> Self {
        match field_type {
            FieldType::Uuid => Self::Id,
            FieldType::Integer { .. } => Self::Whole,
            FieldType::Tags => Self::Tags,
            FieldType::Time => Self::Time,
            FieldType::Text { .. } => Self::Text,
            FieldType::Phone | FieldType::Country | FieldType::Currency | FieldType::Choice(_) => {
                Self::ValidatedText
            }
        }
    }
}

/// Appends rows to a response.
pub(crate) struct RowEncoder {
    format: ExportFormat,
    pub(crate) out: Vec<u8>,
    times: Rfc3339Writer,
    /// Number of sessions written.
    pub(crate) count: usize,
    /// Sequence of the last session written.
    pub(crate) last: Option<i64>,
    /// `None` until the first row.
    pub(crate) counter: Option<TotalAndRevision>,
}

impl RowEncoder {
    /// Appends to `out`.
    pub(crate) fn new(format: ExportFormat, out: Vec<u8>) -> Self {
        Self { format, out, times: Rfc3339Writer::default(), count: 0, last: None, counter: None }
    }

    /// Appends the session of a row, if it has one. Returns `None` if the row cannot be decoded.
    pub(crate) fn encode(&mut self, row: PipelineRow<'_>) -> Option<()> {
        if self.counter.is_none() {
            let column = |column| decode_integer(row.bytes(column)?);
            self.counter = Some(TotalAndRevision { total: column(TOTAL)?, revision: column(REVISION)? });
        }
        // The key is authorized and the page is empty.
        let Some(sequence) = row.bytes(SEQUENCE) else { return Some(()) };
        self.last = Some(decode_integer(sequence)?);
        match self.format {
            ExportFormat::Csv => self.encode_csv(row)?,
            ExportFormat::Ndjson => {
                self.encode_json(row)?;
                self.out.push(b'\n');
            }
            ExportFormat::Json => {
                if self.count > 0 {
                    self.out.push(b',');
                }
                self.encode_json(row)?;
            }
        }
        self.count += 1;
        Some(())
    }

    fn encode_json(&mut self, row: PipelineRow<'_>) -> Option<()> {
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

    fn encode_csv(&mut self, row: PipelineRow<'_>) -> Option<()> {
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

/// Appends the value after [`JsonFieldTemplate::before`].
fn push_json(out: &mut Vec<u8>, times: &mut Rfc3339Writer, kind: ColumnEncoding, bytes: &[u8]) -> Option<()> {
    match kind {
        ColumnEncoding::Text | ColumnEncoding::ValidatedText => push_json_text(out, bytes),
        ColumnEncoding::Whole => serde_json::to_writer(out, &decode_integer(bytes)?).ok(),
        ColumnEncoding::Id => {
            push_id(out, bytes)?;
            out.push(b'"');
            Some(())
        }
        ColumnEncoding::Time => {
            times.push(out, decode_integer(bytes)?)?;
            out.push(b'"');
            Some(())
        }
        ColumnEncoding::Tags => {
            let mut open = b'[';
            for_each_tag(bytes, |tag| {
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

/// Appends the text after its opening quote, and the closing quote.
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

/// Whether JSON escapes anything in the text (RFC 8259, section 7). Checks eight bytes at a time without a branch, which
/// makes it fast; the last eight may be checked twice.
fn needs_escapes(text: &[u8]) -> bool {
    fn any(bytes: &[u8]) -> bool {
        bytes.iter().fold(false, |found, byte| found | matches!(byte, 0..b' ' | b'"' | b'\\'))
    }
    match text.last_chunk::<8>() {
        Some(last) => text.as_chunks::<8>().0.iter().chain([last]).any(|eight| any(eight)),
        None => any(text),
    }
}

fn push_csv(out: &mut Vec<u8>, times: &mut Rfc3339Writer, kind: ColumnEncoding, bytes: &[u8]) -> Option<()> {
    match kind {
        ColumnEncoding::Text => csv::push_cell(out, bytes),
        ColumnEncoding::ValidatedText => csv::push_validated_cell(out, bytes),
        // None of these needs quotes.
        ColumnEncoding::Whole => out.extend_from_slice(decode_integer(bytes)?.to_string().as_bytes()),
        ColumnEncoding::Id => push_id(out, bytes)?,
        ColumnEncoding::Time => times.push(out, decode_integer(bytes)?)?,
        ColumnEncoding::Tags => {
            let mut joined = Vec::new();
            let mut count = 0;
            for_each_tag(bytes, |tag| {
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
pub(crate) fn decode_integer(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        8 => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        4 => Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?))),
        2 => Some(i64::from(i16::from_be_bytes(bytes.try_into().ok()?))),
        _ => None,
    }
}

/// Calls `take` with each element of a `text[]`. Its format: the number of dimensions, flags, the element type; the length
/// and first index of its one dimension; then each element after its length.
fn for_each_tag<'a>(array: &'a [u8], mut take: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
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
        // A null has the size -1; the table allows none.
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

    fn json(kind: ColumnEncoding, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        push_json(&mut out, &mut Rfc3339Writer::default(), kind, bytes).map(|()| out)
    }

    fn csv(kind: ColumnEncoding, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        push_csv(&mut out, &mut Rfc3339Writer::default(), kind, bytes).map(|()| out)
    }

    /// A `text[]` in the binary format.
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
            push_json(&mut out, &mut Rfc3339Writer::default(), ColumnEncoding::Text, text.as_bytes()).unwrap();
            prop_assert_eq!(out, serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn tags_are_written_as_serde_does(tags in proptest::collection::vec("[a\"é]{0,3}", 0..4)) {
            prop_assert_eq!(json(ColumnEncoding::Tags, &array(&tags)), Some(serde_json::to_vec(&tags).unwrap()));
            let mut cell = Vec::new();
            csv::push_cell(&mut cell, tags.join(";").as_bytes());
            prop_assert_eq!(csv(ColumnEncoding::Tags, &array(&tags)), Some(cell));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for kind in [
                ColumnEncoding::Id,
                ColumnEncoding::Whole,
                ColumnEncoding::Text,
                ColumnEncoding::ValidatedText,
                ColumnEncoding::Time,
                ColumnEncoding::Tags,
            ] {
                let _read = (json(kind, &bytes), csv(kind, &bytes));
            }
        }
    }

    #[test]
    fn numbers_and_values_of_a_fixed_form_stay_as_they_are() {
        assert_eq!(csv(ColumnEncoding::Whole, &(-4990_i64).to_be_bytes()), Some(b"-4990".to_vec()));
        let phone = b"+4930123456";
        assert_eq!(csv(ColumnEncoding::from(FieldType::Phone), phone), Some(phone.to_vec()));
        assert_eq!(
            csv(ColumnEncoding::from(FieldType::Text { max: 9 }), phone),
            Some(b"'+4930123456".to_vec())
        );
        for field in SESSION_FIELDS {
            let is_escaped = matches!(field.field_type.into(), ColumnEncoding::Text | ColumnEncoding::Tags);
            assert_eq!(is_escaped, field.field_type.is_free_text(), "{}", field.name);
        }
    }

    #[test]
    fn truncated_arrays_are_not_read() {
        let whole = array(&["vip".to_owned(), "returning".to_owned()]);
        for length in 0..whole.len() {
            assert_eq!(json(ColumnEncoding::Tags, &whole[..length]), None, "{length}");
        }
    }
}
