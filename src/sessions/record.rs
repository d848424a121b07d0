//! A session as a sender describes it: parsed from text, with a message for each field that is wrong.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::fields::{
    Channel, FIELDS, FormatValue as _, ParseValue, SessionField, SessionStatus, session_fields,
};
use crate::{
    error::FieldError,
    schema::sessions,
    web::{body::form::FieldReader, format::time_parser::parse_instant},
};

/// A record, and what identifies and dates it.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingSession {
    /// The fields that the sender may set.
    pub record: SessionRecord,
    /// When the sender last changed the record. `None` if it did not say; then the record counts as the newest.
    pub updated_at: Option<DateTime<Utc>>,
    /// Our id of the session, as an export gave it. Identifies the session if the sender has no id of its own.
    pub session_id: Option<Uuid>,
    /// When we recorded the session, as an export gave it. If it is the stored time, the record comes from an export,
    /// and its `updated_at` is by our clock and not by the sender's.
    pub recorded_at: Option<DateTime<Utc>>,
}

macro_rules! define_record {
    (
        assigned_first $first:tt
        sent { $($field:ident: $type:ty $(, $personal:ident)? = $spec:expr;)* }
        assigned_last $last:tt
    ) => {
        /// The fields that a sender sets. Those that we assign (`sessionId`, `sequence`, `recordedAt` and so on) are
        /// not among them.
        #[derive(Clone, Debug, PartialEq, Queryable, Selectable, AsChangeset)]
        #[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
        pub struct SessionRecord { $(pub $field: $type,)* }

        impl SessionRecord {
            /// The record without its personal fields.
            #[must_use]
            pub fn without_shopper(mut self) -> Self {
                // Binding the marker `personal` makes this repeat for the fields that have it.
                $($({ let $personal = None; self.$field = $personal; })?)*
                self
            }

            /// Each field by its name, as text for a fingerprint; empty if null.
            pub(crate) fn fingerprint_texts(&self) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
                [$((FIELDS.$field.name, self.$field.to_fingerprint()),)*].into_iter()
            }

            /// Returns `None` only if there were errors. Reads every field even so, to report all errors at once.
            fn read<'a, F>(reader: &mut SessionFieldReader<F>) -> Option<Self>
            where
                F: Fn(&str) -> Option<&'a str>,
            {
                $(let $field = reader.read(&FIELDS.$field);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
session_fields!(define_record);

impl SessionRecord {
    /// Parses the fields that `field` returns by name; empty text is absent. Times more than a day after
    /// `now` are refused.
    ///
    /// # Errors
    /// A message for each wrong field.
    pub fn parse<'a>(
        now: DateTime<Utc>,
        field: impl Fn(&str) -> &'a str,
    ) -> Result<IncomingSession, Vec<FieldError>> {
        let fields = FieldReader::new(|name: &str| Some(field(name)).filter(|text| !text.is_empty()));
        let mut reader = SessionFieldReader { fields, now };
        let record = Self::read(&mut reader);
        if let Some(record) = &record {
            record.check_times(&mut reader.fields);
        }
        let updated_at = reader.read(&FIELDS.updated_at).flatten();
        let session_id = reader.read(&FIELDS.session_id).flatten();
        // We assign it, so a value from the sender that does not parse is ignored.
        let recorded_at = parse_instant(field(FIELDS.recorded_at.name));
        let incoming = record.map(|record| IncomingSession { record, updated_at, session_id, recorded_at });
        reader.fields.finish(incoming).and_then(|incoming| incoming.ok_or_else(Vec::new))
    }

    fn check_times<'a>(&self, reader: &mut FieldReader<impl Fn(&str) -> Option<&'a str>>) {
        if self.ended_at < self.created_at {
            reader.refuse(FIELDS.ended_at.name, "The end is before createdAt.");
        }
        match self.started_at {
            Some(started_at) if started_at < self.created_at => {
                reader.refuse(FIELDS.started_at.name, "The start is before createdAt.");
            }
            Some(started_at) if started_at > self.ended_at => {
                reader.refuse(FIELDS.started_at.name, "The start is after endedAt.");
            }
            None if self.duration_seconds.is_some() => {
                reader.refuse(FIELDS.duration_seconds.name, "A session without startedAt has no duration.");
            }
            _ => {}
        }
    }
}

/// Parses fields and collects their errors.
struct SessionFieldReader<F> {
    fields: FieldReader<F>,
    now: DateTime<Utc>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> SessionFieldReader<F> {
    /// After an error, the value of an absent field takes the place of a wrong one, so that checks across fields
    /// still run. `None` if the field is required.
    fn read<T: ParseValue>(&mut self, field: &SessionField) -> Option<T> {
        let value = match self.fields.text(field.name) {
            Some(text) if field.field_type.is_free_text() => T::parse_value(text, field, self.now),
            Some(text) => T::parse_value(text.trim(), field, self.now),
            None => T::absent(),
        };
        value
            .or_else(|message| {
                self.fields.refuse(field.name, message);
                T::absent()
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("status", "completed"),
        ("channel", "video"),
        ("createdAt", "2026-11-23T10:00:00Z"),
        ("startedAt", "2026-11-23T11:00:10+01:00"),
        ("endedAt", "2026-11-23T10:05:00.123456789Z"),
    ];

    fn parse(changes: &[(&str, &str)]) -> Result<SessionRecord, Vec<String>> {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let all: Vec<_> = changes.iter().chain(&GOOD).copied().collect();
        SessionRecord::parse(now, |name| {
            all.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
        })
        .map(|given| given.record)
        .map_err(|errors| errors.iter().map(|error| error.field.to_string()).collect())
    }

    #[test]
    fn times_are_utc_to_the_microsecond() {
        let record = parse(&[]).unwrap();
        assert_eq!(record.started_at.unwrap().to_rfc3339(), "2026-11-23T10:00:10+00:00");
        assert_eq!(record.ended_at.timestamp_subsec_nanos(), 123_456_000);
    }

    #[test]
    fn whole_numbers_and_times_may_be_spelled_as_data_frames_do() {
        let record = parse(&[
            ("endedAt", "2026-11-23 10:05:10+00"),
            ("durationSeconds", "300.0"),
            ("rating", "+5.00"),
            ("orderValueMinor", "-4990.0"),
        ]);
        let record = record.unwrap();
        assert_eq!(
            (record.duration_seconds, record.rating, record.order_value_minor),
            (Some(300), Some(5), Some(-4990))
        );
        assert_eq!(record.ended_at.to_rfc3339(), "2026-11-23T10:05:10+00:00");
    }

    #[test]
    fn tags_are_a_list() {
        assert_eq!(parse(&[("tags", "vip; repeat;;")]).unwrap().tags, ["vip", "repeat"]);
        assert!(parse(&[]).unwrap().tags.is_empty());
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (field, value) in [
            ("status", "done"),
            ("status", ""),
            ("channel", "fax"),
            ("createdAt", ""),
            ("createdAt", "yesterday"),
            ("createdAt", "-9999-01-01T00:00:00Z"),
            ("createdAt", "0000-01-01T00:00:00Z"),
            ("endedAt", "+12345-01-01T00:00:00Z"),
            ("endedAt", "9999-01-01T00:00:00Z"),
            ("endedAt", "2026-11-23T09:00:00Z"),
            ("startedAt", "2026-11-23T09:00:00Z"),
            ("startedAt", "1969-01-01T00:00:00Z"),
            ("externalId", &"x".repeat(256)),
            ("externalId", "a\0b"),
            ("source", &"x".repeat(65)),
            ("waitSeconds", "-1"),
            ("waitSeconds", "+-1"),
            ("waitSeconds", "1.5"),
            ("waitSeconds", "10.000"),
            ("durationSeconds", "99999999999"),
            ("wrapUpSeconds", "-1"),
            ("rating", "0"),
            ("rating", "6"),
            ("shopperPhone", "030 123"),
            ("shopperCountry", "de"),
            ("currency", "EURO"),
            ("pageUrl", &"x".repeat(2049)),
        ] {
            let errors = parse(&[(field, value)]).unwrap_err();
            assert!(errors.iter().any(|wrong| wrong == field), "{field}={value:.20}: {errors:?}");
        }
    }

    #[test]
    fn all_errors_come_at_once() {
        assert_eq!(parse(&[("status", "x"), ("rating", "9"), ("currency", "x")]).unwrap_err().len(), 3);
    }

    #[test]
    fn what_never_connected_has_no_duration() {
        let errors = parse(&[("startedAt", ""), ("durationSeconds", "5")]).unwrap_err();
        assert_eq!(errors, ["durationSeconds"]);
    }
}
