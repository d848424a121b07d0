//! Fields with a fixed set of values. The names are the same in SQL, JSON, CSV and in addresses.

use crate::db::sql::text_enum;

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
