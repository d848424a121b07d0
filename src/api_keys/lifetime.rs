//! How long a key is valid, and how long it stays valid after it was replaced.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::web::format::{number::trim_zero_fraction, time::midnight, time_parser::parse_day};

/// How long a new key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLifetime {
    /// Days from its creation: 1 to [`KeyLifetime::DAYS_MAX`].
    Days(u16),
    /// Until the end of this day in UTC.
    Through(NaiveDate),
    /// Until it is deleted.
    Never,
    /// Days, but not beyond the end of the key that creates it.
    AtMost(u16),
}

impl KeyLifetime {
    pub const DAYS_DEFAULT: u16 = 90;
    pub const DAYS_MAX: u16 = 3650;
    /// The choices of the form, in days.
    pub const OFFERED: [u16; 2] = [30, Self::DAYS_DEFAULT];

    /// Parses the field `expires`, and if it is `date`, the field `expiresOn`. Empty `expires` is the default.
    ///
    /// # Errors
    /// [`LifetimeError`].
    pub fn from_form(expires: &str, expires_on: &str) -> Result<Self, LifetimeError> {
        match expires {
            "" => Ok(Self::default()),
            "date" => parse_day(expires_on).map(Self::Through).ok_or(LifetimeError::Day),
            other => other.parse(),
        }
    }

    /// The end of a key that is created `now`. Returns `None` if it does not expire.
    ///
    /// # Errors
    /// [`LifetimeError::Past`], [`LifetimeError::TooLong`].
    pub fn end(self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, LifetimeError> {
        let end = match self {
            Self::Never => return Ok(None),
            Self::Days(days) | Self::AtMost(days) => now + Days::new(days.into()),
            Self::Through(day) => midnight(day) + Days::new(1),
        };
        if end <= now {
            return Err(LifetimeError::Past);
        }
        // The last day counts to its end.
        let is_near = end <= now + Days::new(u64::from(Self::DAYS_MAX) + 1);
        if is_near { Ok(Some(end)) } else { Err(LifetimeError::TooLong) }
    }
}

impl Default for KeyLifetime {
    fn default() -> Self {
        Self::Days(Self::DAYS_DEFAULT)
    }
}

/// `90`, `2027-01-31` or `never`.
impl FromStr for KeyLifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Some(day) = parse_day(text) {
            return Ok(Self::Through(day));
        }
        let text = trim_zero_fraction(text);
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LifetimeError::Unknown);
        }
        let days = text.parse().ok().filter(|days| (1..=Self::DAYS_MAX).contains(days));
        days.map(Self::Days).ok_or(LifetimeError::TooLong)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    #[error("Enter a number of days, a date like 2027-01-31, or never.")]
    Unknown,
    /// 0 days, or more than [`KeyLifetime::DAYS_MAX`].
    #[error("Use 1 to {} days, or a date within that time.", KeyLifetime::DAYS_MAX)]
    TooLong,
    /// The form chose a date and sent none.
    #[error("Enter the date as YYYY-MM-DD.")]
    Day,
    #[error("This date is in the past. Choose today or later.")]
    Past,
}

/// How long a replaced key stays valid, so that programs can switch to the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GracePeriod {
    /// It ends at once.
    #[default]
    None,
    Hour,
    Day,
    Week,
}

impl GracePeriod {
    /// All, in the order of the form.
    pub const ALL: [Self; 4] = [Self::None, Self::Hour, Self::Day, Self::Week];

    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 604_800,
        }
    }

    #[must_use]
    pub fn duration(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds().into())
    }

    /// Returns `None` if there is no such grace period.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|grace| u64::from(grace.seconds()) == seconds)
    }
}

/// In words, after "for".
impl fmt::Display for GracePeriod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "no time",
            Self::Hour => "1 hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
        })
    }
}

/// The number of seconds. Empty text is [`GracePeriod::None`].
impl FromStr for GracePeriod {
    type Err = GracePeriodError;

    fn from_str(text: &str) -> Result<Self, GracePeriodError> {
        if text.is_empty() {
            return Ok(Self::None);
        }
        trim_zero_fraction(text).parse().ok().and_then(Self::from_seconds).ok_or(GracePeriodError)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Use 0, 3600, 86400 or 604800 seconds.")]
pub struct GracePeriodError;

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_lifetime_is_days_a_day_or_never() {
        let new_year = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        assert_eq!(KeyLifetime::from_form("", ""), Ok(KeyLifetime::Days(90)));
        assert_eq!(KeyLifetime::from_form("30", "2026-12-31"), Ok(KeyLifetime::Days(30)));
        assert_eq!(KeyLifetime::from_form("date", "2026-12-31"), Ok(KeyLifetime::Through(new_year)));
        assert_eq!(KeyLifetime::from_form("date", ""), Err(LifetimeError::Day));
        assert_eq!("2026-12-31".parse(), Ok(KeyLifetime::Through(new_year)));
        assert_eq!("never".parse(), Ok(KeyLifetime::Never));
        assert_eq!("30.0".parse(), Ok(KeyLifetime::Days(30)));
        for text in ["0", "3651", "99999999999999999999"] {
            assert_eq!(text.parse::<KeyLifetime>(), Err(LifetimeError::TooLong), "{text}");
        }
        for text in
            ["", "Never", "-1", "+9", "1.5", "2026-13-01", "-9999-1-01", "+12026-1-1", "２０", "2026-02-30"]
        {
            assert_eq!(text.parse::<KeyLifetime>(), Err(LifetimeError::Unknown), "{text}");
        }
    }

    #[test]
    fn a_day_is_lived_to_its_end() {
        let now = instant("2026-11-25T23:59:59Z");
        let end = |text: &str| text.parse::<KeyLifetime>().unwrap().end(now);
        assert_eq!(end("2026-11-25"), Ok(Some(instant("2026-11-26T00:00:00Z"))));
        assert_eq!(end("2026-11-24"), Err(LifetimeError::Past));
        assert_eq!(end("30"), Ok(Some(instant("2026-12-25T23:59:59Z"))));
        assert_eq!(end("never"), Ok(None));
        assert_eq!(end("9999-12-31"), Err(LifetimeError::TooLong));
    }

    #[test]
    fn a_grace_is_one_of_four() {
        assert_eq!("".parse(), Ok(GracePeriod::None));
        assert_eq!("604800".parse(), Ok(GracePeriod::Week));
        assert_eq!("3600.0".parse(), Ok(GracePeriod::Hour));
        assert_eq!("60".parse::<GracePeriod>(), Err(GracePeriodError));
        assert_eq!("-3600".parse::<GracePeriod>(), Err(GracePeriodError));
    }
}
