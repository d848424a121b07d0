//! Values of session fields as text: as senders write them, and as CSV files and fingerprints contain them.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::{
    choice::{Channel, SessionStatus},
    table::{FieldType, SessionField},
};
use crate::web::format::{number::trim_zero_fraction, time::rfc3339_micros, time_parser::parse_instant};

/// Why a value is refused: a message that says what to write.
pub(crate) type ValueError = Cow<'static, str>;

/// A value that is parsed from a sender's text.
pub(crate) trait ParseValue: Sized {
    /// Parses text that is not empty. Times more than a day after `now` are refused.
    fn parse_value(text: &str, field: &SessionField, now: DateTime<Utc>) -> Result<Self, ValueError>;

    /// The value of an absent field, or an error if the field is required.
    fn absent() -> Result<Self, ValueError> {
        Err("Fill this in.".into())
    }
}

/// A value that is written as text and in JSON.
pub(crate) trait FormatValue: Serialize {
    /// A cell of a CSV, without escaping; empty for null.
    fn to_cell(&self) -> Cow<'_, str>;

    /// The value in the fingerprint of a record. NEVER CHANGE: imported records without an id would be stored again.
    fn to_fingerprint(&self) -> Cow<'_, str> {
        self.to_cell()
    }

    /// Writes the value in JSON.
    fn serialize_json<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

impl<T: ParseValue> ParseValue for Option<T> {
    fn parse_value(text: &str, field: &SessionField, now: DateTime<Utc>) -> Result<Self, ValueError> {
        T::parse_value(text, field, now).map(Some)
    }

    fn absent() -> Result<Self, ValueError> {
        Ok(None)
    }
}

impl<T: FormatValue> FormatValue for Option<T> {
    fn to_cell(&self) -> Cow<'_, str> {
        self.as_ref().map(T::to_cell).unwrap_or_default()
    }

    fn to_fingerprint(&self) -> Cow<'_, str> {
        self.as_ref().map(T::to_fingerprint).unwrap_or_default()
    }

    fn serialize_json<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.serialize_json(serializer),
            None => serializer.serialize_none(),
        }
    }
}

impl ParseValue for String {
    fn parse_value(text: &str, field: &SessionField, _now: DateTime<Utc>) -> Result<Self, ValueError> {
        match field.field_type {
            FieldType::Phone if !is_e164(text) => Err("Write it like +4930123456 (E.164).".into()),
            FieldType::Country if !is_upper(text, 2) => Err("Write it like DE (ISO 3166-1).".into()),
            FieldType::Currency if !is_upper(text, 3) => Err("Write it like EUR (ISO 4217).".into()),
            field_type => check_text(text, field_type.max_length()).map(|()| text.to_owned()),
        }
    }
}

fn check_text(text: &str, max: usize) -> Result<(), ValueError> {
    if text.chars().count() > max {
        return Err(format!("Use at most {max} characters.").into());
    }
    if text.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
        return Err("Remove the control characters.".into());
    }
    Ok(())
}

/// `+` and 2 to 15 digits, the first not 0.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|it| it.is_ascii_digit())
    })
}

fn is_upper(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

impl FormatValue for String {
    fn to_cell(&self) -> Cow<'_, str> {
        self.into()
    }
}

/// Implements both for the type of an integer column.
macro_rules! integer_value {
    ($($integer:ty)*) => {$(
        impl ParseValue for $integer {
            fn parse_value(text: &str, field: &SessionField, _now: DateTime<Utc>) -> Result<Self, ValueError> {
                let FieldType::Integer { min, max, .. } = field.field_type else {
                    return Err("This is not a number.".into());
                };
                let least = min.unwrap_or(<$integer>::MIN.into());
                let most = max.unwrap_or(<$integer>::MAX.into());
                let unsigned = text.strip_prefix('+').filter(|rest| rest.starts_with(|it: char| it.is_ascii_digit()));
                let number = trim_zero_fraction(unsigned.unwrap_or(text)).parse().ok();
                number
                    .filter(|number: &i64| (least..=most).contains(number))
                    .and_then(|number| number.try_into().ok())
                    .ok_or_else(|| format!("Use a whole number from {least} to {most}.").into())
            }
        }

        impl FormatValue for $integer {
            fn to_cell(&self) -> Cow<'_, str> {
                self.to_string().into()
            }
        }
    )*};
}
integer_value!(i16 i32 i64);

impl ParseValue for DateTime<Utc> {
    fn parse_value(text: &str, _field: &SessionField, now: DateTime<Utc>) -> Result<Self, ValueError> {
        // PostgreSQL keeps microseconds; a finer time would never equal what was stored.
        let time = parse_instant(text)
            .and_then(|time| time.with_nanosecond(time.nanosecond() / 1000 * 1000))
            .ok_or("Write the time like 2026-11-23T10:45:06Z (RFC 3339).")?;
        if time > now + TimeDelta::days(1) {
            return Err("This time is in the future. Send only past times.".into());
        }
        if time < DateTime::UNIX_EPOCH {
            return Err("This time is before 1970.".into());
        }
        Ok(time)
    }

    fn absent() -> Result<Self, ValueError> {
        Err("Add the time, like 2026-11-23T10:45:06Z.".into())
    }
}

impl FormatValue for DateTime<Utc> {
    fn to_cell(&self) -> Cow<'_, str> {
        rfc3339_micros(*self).into()
    }

    fn to_fingerprint(&self) -> Cow<'_, str> {
        self.timestamp_micros().to_string().into()
    }

    fn serialize_json<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339_micros(*self))
    }
}

impl ParseValue for Uuid {
    fn parse_value(text: &str, _field: &SessionField, _now: DateTime<Utc>) -> Result<Self, ValueError> {
        let id = Self::parse_str(text).ok().filter(|id| id.get_version_num() == 7);
        id.ok_or_else(|| "Remove it, or send the one from an export.".into())
    }
}

impl FormatValue for Uuid {
    fn to_cell(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// Implements both for an enum that is written as its name.
macro_rules! choice_value {
    ($($choice:ty)*) => {$(
        impl ParseValue for $choice {
            fn parse_value(text: &str, _field: &SessionField, _now: DateTime<Utc>) -> Result<Self, ValueError> {
                text.parse::<Self>().map_err(Into::into)
            }

            fn absent() -> Result<Self, ValueError> {
                "".parse::<Self>().map_err(Into::into)
            }
        }

        impl FormatValue for $choice {
            fn to_cell(&self) -> Cow<'_, str> {
                self.as_str().into()
            }
        }
    )*};
}
choice_value!(SessionStatus Channel);

impl ParseValue for Vec<String> {
    fn parse_value(text: &str, field: &SessionField, _now: DateTime<Utc>) -> Result<Self, ValueError> {
        check_text(text, field.field_type.max_length())?;
        Ok(text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
    }

    fn absent() -> Result<Self, ValueError> {
        Ok(Self::new())
    }
}

impl FormatValue for Vec<String> {
    fn to_cell(&self) -> Cow<'_, str> {
        self.join(";").into()
    }
}
