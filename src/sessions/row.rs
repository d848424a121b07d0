//! A session as a line of the list, in words that people read.

use super::session::Session;
use crate::web::clock::Moment;

/// One line of the list.
pub(super) struct Row {
    pub(super) session_id: String,
    pub(super) created: Moment,
    pub(super) status: String,
    pub(super) channel: String,
    pub(super) agent: String,
    pub(super) shopper: String,
    pub(super) queue: String,
    pub(super) wait: String,
    pub(super) duration: String,
    pub(super) sequence: i64,
}

impl From<&Session> for Row {
    fn from(session: &Session) -> Self {
        let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "–".to_owned());
        Self {
            session_id: session.session_id.to_string(),
            created: session.created_at.into(),
            status: session.status.clone(),
            channel: session.channel.clone(),
            agent: or_dash(session.agent_name.as_ref()),
            shopper: or_dash(session.shopper_name.as_ref().or(session.shopper_id.as_ref())),
            queue: or_dash(session.queue_name.as_ref()),
            wait: spoken(session.wait_seconds),
            duration: spoken(session.duration_seconds),
            sequence: session.sequence,
        }
    }
}

/// Seconds as people say them: `1 h 02 min`, `3 min 20 s`, `45 s`, `–`.
pub(super) fn spoken(seconds: Option<i32>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds @ ..60) => format!("{seconds} s"),
        Some(seconds @ 60..3600) => format!("{} min {:02} s", seconds / 60, seconds % 60),
        Some(seconds) => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number with thin groups: `1,234,567`.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken() {
        let spoken: Vec<_> =
            [None, Some(0), Some(59), Some(200), Some(3725)].into_iter().map(spoken).collect();
        assert_eq!(spoken, ["–", "0 s", "59 s", "3 min 20 s", "1 h 02 min"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
