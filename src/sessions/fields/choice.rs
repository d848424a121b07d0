//! Fields with a fixed set of values. The names are the same in SQL, JSON, CSV and in addresses.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};
use serde::{Serialize, Serializer};

use crate::db::sql::impl_text_column;

/// Defines an enum that is stored and sent as text.
macro_rules! text_enum {
    ($(#[$attribute:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
        #[diesel(sql_type = Text)]
        pub enum $name { $(#[doc = concat!("`", $text, "`.")] $variant,)* }

        impl $name {
            /// Every value as it is written.
            pub const NAMES: &[&str] = &[$($text,)*];

            /// The value as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("Use one of {}.", Self::NAMES.join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl_text_column!($name);
    };
}

text_enum! {
    /// How a session ended.
    SessionStatus {
        Completed = "completed",
        Missed = "missed",
        Abandoned = "abandoned",
        Declined = "declined",
        Failed = "failed",
    }
}

text_enum! {
    /// The medium of a session.
    Channel {
        Video = "video",
        Audio = "audio",
        Chat = "chat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_and_others_are_not() {
        for name in SessionStatus::NAMES {
            assert_eq!(name.parse::<SessionStatus>().unwrap().to_string(), *name);
        }
        for name in Channel::NAMES {
            assert_eq!(name.parse::<Channel>().unwrap().to_string(), *name);
        }
        assert_eq!("fax".parse::<Channel>().unwrap_err(), "Use one of video, audio, chat.");
    }
}
