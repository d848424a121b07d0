//! The one table of session fields. What depends on the fields is derived from it: the Diesel rows, SQL and CSV columns,
//! JSON and CSV parsing, the fingerprint of imported records, OpenAPI, both API documentations and erasure.

use std::{borrow::Cow, fmt};

use super::choice::{Channel, SessionStatus};
use crate::web::format::{capitalized, csv::CsvCell};

/// Maximum length of a text field without a limit of its own, in characters.
const TEXT_MAX: usize = 10_000;

/// Maximum length of a name that an index contains, in characters. PostgreSQL refuses index rows above 2.7 kB.
const NAME_MAX: usize = 255;

const TEXT: FieldType = FieldType::Text { max: TEXT_MAX };
const URL: FieldType = FieldType::Text { max: 2048 };
const SECONDS: FieldType = FieldType::Integer { min: Some(0), max: None, unit: Some("seconds") };

/// Hands the table to the macro `$define`, as sections of entries
/// `column: Rust type = field(name, type, meaning).properties;`.
///
/// The order is that of JSON and CSV. A column that may be null has a Rust type `Option<…>` and `or_null`, which says
/// what null means. `personal` after the type marks what erasing a shopper blanks; such a column may be null.
macro_rules! session_fields {
    ($define:ident) => {
        $define! {
            assigned_first {
                session_id: Uuid = field("sessionId", FieldType::Uuid, "The session’s ID in Uptok.");
                sequence: i64 = field(
                    "sequence",
                    FieldType::Integer { min: Some(1), max: None, unit: None },
                    "1, 2, 3 … per client, without gaps, in the order recorded.",
                ).set_by_us();
            }
            sent {
                external_id: Option<String> =
                    field("externalId", FieldType::Text { max: 255 }, "The sender’s own id, unique per client.")
                        .or_null("the sender has none");
                status: SessionStatus = field(
                    "status",
                    FieldType::Choice(SessionStatus::NAMES),
                    "completed, missed, abandoned, declined or failed.",
                ).required();
                channel: Channel =
                    field("channel", FieldType::Choice(Channel::NAMES), "video, audio or chat.").required();
                source: Option<String> = field(
                    "source",
                    FieldType::Text { max: 64 },
                    "Where the shopper came from: widget, link, qr, phone …",
                ).or_null("unknown");
                queue_name: Option<String> =
                    field("queueName", TEXT, "The queue the call waited in.").or_null("none");
                agent_name: Option<String> =
                    field("agentName", FieldType::Text { max: NAME_MAX }, "The agent who answered.").or_null("none");
                agent_email: Option<String> =
                    field("agentEmail", TEXT, "The agent’s email.").or_null("none");
                shopper_id: Option<String>, personal =
                    field("shopperId", TEXT, "The shopper’s ID in the sender’s system.").or_null("not given, or erased");
                shopper_name: Option<String>, personal =
                    field("shopperName", TEXT, "The shopper’s name.").or_null("not given, or erased");
                shopper_email: Option<String>, personal =
                    field("shopperEmail", TEXT, "The shopper’s email.").or_null("not given, or erased");
                shopper_phone: Option<String>, personal =
                    field("shopperPhone", FieldType::Phone, "The shopper’s phone: +4930123456.")
                        .or_null("not given, or erased");
                shopper_country: Option<String>, personal =
                    field("shopperCountry", FieldType::Country, "The shopper’s country: DE.")
                        .or_null("not given, or erased");
                page_url: Option<String> =
                    field("pageUrl", URL, "The page where the call began.").or_null("unknown");
                created_at: DateTime<Utc> =
                    field("createdAt", FieldType::Time, "The call entered the queue.").required();
                started_at: Option<DateTime<Utc>> =
                    field("startedAt", FieldType::Time, "Agent and shopper were connected.")
                        .or_null("never connected");
                ended_at: DateTime<Utc> = field("endedAt", FieldType::Time, "The call ended.").required();
                wait_seconds: Option<i32> =
                    field("waitSeconds", SECONDS, "From createdAt to startedAt, or to the end.").or_null("unknown");
                duration_seconds: Option<i32> =
                    field("durationSeconds", SECONDS, "From startedAt to endedAt.").or_null("never connected");
                wrap_up_seconds: Option<i32> =
                    field("wrapUpSeconds", SECONDS, "The agent’s work after the call.").or_null("unknown");
                rating: Option<i16> = field(
                    "rating",
                    FieldType::Integer { min: Some(1), max: Some(5), unit: None },
                    "The shopper’s rating in stars.",
                ).or_null("not given");
                rating_comment: Option<String>, personal =
                    field("ratingComment", TEXT, "The shopper’s comment on the rating.").or_null("none");
                notes: Option<String>, personal =
                    field("notes", TEXT, "The agent’s notes.").or_null("none");
                order_id: Option<String> =
                    field("orderId", TEXT, "The order placed in the call.").or_null("no order");
                order_value_minor: Option<i64> = field(
                    "orderValueMinor",
                    FieldType::Integer { min: None, max: None, unit: Some("minor units") },
                    "Value of the order in minor units, such as cents.",
                ).or_null("no order");
                currency: Option<String> =
                    field("currency", FieldType::Currency, "Currency of the order: EUR.").or_null("no order");
                recording_url: Option<String>, personal =
                    field("recordingUrl", URL, "URL of the recording.").or_null("none");
                tags: Vec<String> =
                    field("tags", FieldType::Tags, "Labels; in CSV separated by semicolons.");
            }
            assigned_last {
                recorded_at: DateTime<Utc> =
                    field("recordedAt", FieldType::Time, "Uptok stored the session.").set_by_us();
                updated_at: DateTime<Utc> = field("updatedAt", FieldType::Time, "Uptok last changed the session.");
                erased_at: Option<DateTime<Utc>> = field(
                    "erasedAt",
                    FieldType::Time,
                    "The shopper’s personal fields were erased; the session stays.",
                ).or_null("not erased").set_by_us();
            }
        }
    };
}
pub(crate) use session_fields;

macro_rules! define_fields {
    ($($section:ident { $($field:ident: $type:ty $(, $personal:ident)? = $spec:expr;)* })*) => {
        /// The fields by the names of their columns.
        #[derive(Debug)]
        pub(crate) struct FieldCatalog { $($(pub(crate) $field: SessionField,)*)* }

        pub(crate) const FIELDS: FieldCatalog = FieldCatalog {
            $($($field: SessionField { column: stringify!($field), ..$spec }$(.$personal())?,)*)*
        };

        /// Every field, in the order of JSON and CSV.
        pub const SESSION_FIELDS: &[SessionField] = &[$($(FIELDS.$field,)*)*];
    };
}
session_fields!(define_fields);

/// The names of [`SESSION_FIELDS`]: the keys of JSON and the header of CSV.
pub const COLUMNS: [&str; SESSION_FIELDS.len()] = {
    let mut names = [""; SESSION_FIELDS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = SESSION_FIELDS[index].name;
        index += 1;
    }
    names
};

/// A field of the session record.
#[derive(Clone, Copy, Debug)]
pub struct SessionField {
    /// In JSON, CSV and messages; camel case.
    pub name: &'static str,
    /// In the table `sessions`.
    pub column: &'static str,
    /// Its type and limits.
    pub field_type: FieldType,
    /// A sentence for the documentation.
    pub meaning: &'static str,
    /// What null means, in JSON and for an empty cell in CSV. `None` if the field is never null.
    pub null_meaning: Option<&'static str>,
    /// Whether a sender must provide it.
    pub is_required: bool,
    /// Whether it is about the shopper, so that erasing the shopper blanks it.
    pub is_personal: bool,
    /// Whether any value from a sender is ignored.
    pub is_set_by_us: bool,
}

const fn field(name: &'static str, field_type: FieldType, meaning: &'static str) -> SessionField {
    SessionField {
        name,
        column: "",
        field_type,
        meaning,
        null_meaning: None,
        is_required: false,
        is_personal: false,
        is_set_by_us: false,
    }
}

impl SessionField {
    const fn or_null(self, meaning: &'static str) -> Self {
        Self { null_meaning: Some(meaning), ..self }
    }

    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    const fn personal(self) -> Self {
        Self { is_personal: true, ..self }
    }

    const fn set_by_us(self) -> Self {
        Self { is_set_by_us: true, ..self }
    }

    /// The name for people: `External ID`, `Ended at`.
    #[must_use]
    pub fn label(&self) -> String {
        let words = self.column.split('_').map(|word| match word {
            "id" => "ID",
            "url" => "URL",
            other => other,
        });
        capitalized(&words.collect::<Vec<_>>().join(" "))
    }

    /// A value of the field as a cell of a CSV.
    pub(crate) fn csv_cell(self, value: Cow<'_, str>) -> CsvCell<'_> {
        if self.field_type.is_free_text() { CsvCell::FreeText(value) } else { CsvCell::Validated(value) }
    }

    /// What null means, for the documentation.
    #[must_use]
    pub fn null_text(&self) -> &'static str {
        match (self.null_meaning, self.field_type) {
            (Some(meaning), _) => meaning,
            (None, FieldType::Tags) => "never: an empty list",
            (None, _) => "never",
        }
    }
}

/// The type of a field. [`Display`](fmt::Display) is its name in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A UUID, version 7.
    Uuid,
    /// Without a limit, the range of the column applies.
    Integer {
        /// Minimum, inclusive.
        min: Option<i64>,
        /// Maximum, inclusive.
        max: Option<i64>,
        /// What it counts.
        unit: Option<&'static str>,
    },
    /// Text of at most `max` characters.
    Text {
        /// In characters, not bytes.
        max: usize,
    },
    /// E.164, such as `+4930123456`.
    Phone,
    /// ISO 3166-1 alpha-2, such as `DE`.
    Country,
    /// ISO 4217, such as `EUR`.
    Currency,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// RFC 3339 in UTC, to the microsecond.
    Time,
    /// A list of text in JSON; in CSV one text, separated by semicolons.
    Tags,
}

impl FieldType {
    /// Whether a sender may write what it likes, such as a formula. Values of the other types have a fixed form.
    pub(crate) const fn is_free_text(self) -> bool {
        match self {
            Self::Text { .. } | Self::Tags => true,
            Self::Uuid
            | Self::Integer { .. }
            | Self::Phone
            | Self::Country
            | Self::Currency
            | Self::Choice(_)
            | Self::Time => false,
        }
    }

    /// Maximum length of the text, in characters.
    pub(crate) fn max_length(self) -> usize {
        if let Self::Text { max } = self { max } else { TEXT_MAX }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid => write!(formatter, "UUID version 7"),
            Self::Integer { unit: Some(unit), .. } => write!(formatter, "integer, {unit}"),
            Self::Integer { min: Some(min), max: Some(max), .. } => {
                write!(formatter, "integer, {min} to {max}")
            }
            Self::Integer { .. } => write!(formatter, "integer"),
            Self::Text { max: TEXT_MAX } | Self::Choice(_) => write!(formatter, "text"),
            Self::Text { max } => write!(formatter, "text, at most {max} characters"),
            Self::Phone => write!(formatter, "text, E.164"),
            Self::Country => write!(formatter, "text, ISO 3166-1 alpha-2"),
            Self::Currency => write!(formatter, "text, ISO 4217"),
            Self::Time => write!(formatter, "time"),
            Self::Tags => write!(formatter, "list of text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_column_in_camel_case() {
        for field in SESSION_FIELDS {
            let mut words = field.column.split('_');
            let first = words.next().unwrap().to_owned();
            let name = words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..]);
            assert_eq!(field.name, name);
        }
    }

    #[test]
    fn a_label_has_words() {
        let labels = [FIELDS.external_id, FIELDS.ended_at, FIELDS.page_url].map(|field| field.label());
        assert_eq!(labels, ["External ID", "Ended at", "Page URL"]);
    }

    #[test]
    fn what_is_required_is_never_null_and_what_is_personal_may_be() {
        for field in SESSION_FIELDS {
            assert!(!field.is_required || field.null_meaning.is_none(), "{}", field.name);
            assert!(!field.is_personal || field.null_meaning.is_some(), "{}", field.name);
        }
    }
}
