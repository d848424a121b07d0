//! How long a key lives, and how long the one it replaces lives on.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

/// How long a new key lives. There is no "for ever" but by saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLifetime {
    /// So many days from the moment it is made: 1 to [`KeyLifetime::DAYS_MAX`].
    Days(u16),
    /// To the end of this day in UTC.
    Through(NaiveDate),
    /// Until somebody deletes it.
    Never,
    /// So many days, or as long as the key lives that makes it, if that is sooner.
    AtMost(u16),
}

impl KeyLifetime {
    /// So many days a key lives when nothing is said.
    pub const DAYS_DEFAULT: u16 = 90;
    /// The most days.
    pub const DAYS_MAX: u16 = 3650;
    /// What the form offers, in days.
    pub const OFFERED: [u16; 2] = [30, Self::DAYS_DEFAULT];

    /// What a form chose: `expires`, and with `date` the day in `expires_on`. Nothing is the default.
    ///
    /// # Errors
    /// [`LifetimeError`], whose sentence says what to do.
    pub fn chosen(expires: &str, expires_on: &str) -> Result<Self, LifetimeError> {
        match expires {
            "" => Ok(Self::default()),
            "date" => day(expires_on).map(Self::Through).ok_or(LifetimeError::Day),
            other => other.parse(),
        }
    }

    /// When a key made `now` ends; `None`: it does not.
    ///
    /// # Errors
    /// [`LifetimeError::Past`] when that is over already, [`LifetimeError::TooLong`] when it is too far away.
    pub fn end(self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, LifetimeError> {
        let end = match self {
            Self::Never => return Ok(None),
            Self::Days(days) | Self::AtMost(days) => now + Days::new(days.into()),
            Self::Through(day) => day.and_time(NaiveTime::MIN).and_utc() + Days::new(1),
        };
        if end <= now {
            return Err(LifetimeError::Past);
        }
        // The last day counts whole.
        let is_near = end <= now + Days::new(u64::from(Self::DAYS_MAX) + 1);
        if is_near { Ok(Some(end)) } else { Err(LifetimeError::TooLong) }
    }
}

impl Default for KeyLifetime {
    fn default() -> Self {
        Self::Days(Self::DAYS_DEFAULT)
    }
}

/// `90`, `2027-01-31` or `never`, as programs and the command line write it.
impl FromStr for KeyLifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Some(day) = day(text) {
            return Ok(Self::Through(day));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LifetimeError::Unknown);
        }
        let days = text.parse().ok().filter(|days| (1..=Self::DAYS_MAX).contains(days));
        days.map(Self::Days).ok_or(LifetimeError::TooLong)
    }
}

/// A day as `2027-01-31` and in no other form, such as a year of five digits.
fn day(text: &str) -> Option<NaiveDate> {
    (text.len() == 10 && text.starts_with(|first: char| first.is_ascii_digit()))
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

/// Why a lifetime is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    /// Neither days nor a day nor never.
    #[error("Say a number of days, a day like 2027-01-31, or never.")]
    Unknown,
    /// No day, or more than [`KeyLifetime::DAYS_MAX`].
    #[error("Use 1 to {} days, or a day within them.", KeyLifetime::DAYS_MAX)]
    TooLong,
    /// A date was chosen and none given.
    #[error("Write the day as YYYY-MM-DD.")]
    Day,
    /// The day is over.
    #[error("This day is over. Choose today or a later one.")]
    Past,
}

/// How long a key that was replaced lives on, so that programs can be given the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GracePeriod {
    /// It is dead at once.
    #[default]
    None,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
}

impl GracePeriod {
    /// Every one, in the order of the form.
    pub const ALL: [Self; 4] = [Self::None, Self::Hour, Self::Day, Self::Week];

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 604_800,
        }
    }

    /// As a span of time.
    #[must_use]
    pub fn span(self) -> TimeDelta {
        TimeDelta::seconds(self.seconds().into())
    }

    /// The grace of so many seconds.
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

/// The grace of so many seconds; nothing is none.
impl FromStr for GracePeriod {
    type Err = GracePeriodError;

    fn from_str(text: &str) -> Result<Self, GracePeriodError> {
        if text.is_empty() {
            return Ok(Self::None);
        }
        text.parse().ok().and_then(Self::from_seconds).ok_or(GracePeriodError)
    }
}

/// No such grace.
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
        assert_eq!(KeyLifetime::chosen("", ""), Ok(KeyLifetime::Days(90)));
        assert_eq!(KeyLifetime::chosen("30", "2026-12-31"), Ok(KeyLifetime::Days(30)));
        assert_eq!(KeyLifetime::chosen("date", "2026-12-31"), Ok(KeyLifetime::Through(new_year)));
        assert_eq!(KeyLifetime::chosen("date", ""), Err(LifetimeError::Day));
        assert_eq!("2026-12-31".parse(), Ok(KeyLifetime::Through(new_year)));
        assert_eq!("never".parse(), Ok(KeyLifetime::Never));
        for text in ["0", "3651", "99999999999999999999"] {
            assert_eq!(text.parse::<KeyLifetime>(), Err(LifetimeError::TooLong), "{text}");
        }
        for text in
            ["", "Never", "-1", "+9", "1.5", "2026-13-01", "2026-1-01", "+12026-1-1", "２０", "2026-02-30"]
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
        assert_eq!("60".parse::<GracePeriod>(), Err(GracePeriodError));
        assert_eq!("-3600".parse::<GracePeriod>(), Err(GracePeriodError));
    }
}
