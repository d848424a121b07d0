//! Messages about what happened: after a form was sent, or when a page cannot do what was asked.

use serde::{Deserialize, Serialize};

/// What a message means. It decides the colour, the mark and how screen readers announce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// It is done.
    Success,
    /// It is done or was done before, but needs attention.
    Warning,
    /// It is not done.
    Error,
}

impl MessageKind {
    const ALL: [Self; 3] = [Self::Success, Self::Warning, Self::Error];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The CSS class of the notice.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Success => "notice-good",
            Self::Warning => "notice-warn",
            Self::Error => "notice-bad",
        }
    }

    /// The ARIA role: screen readers interrupt what they read only for an alert.
    #[must_use]
    pub const fn role(self) -> &'static str {
        match self {
            Self::Success | Self::Warning => "status",
            Self::Error => "alert",
        }
    }
}

/// One or two sentences for the user. `templates/shared/message.html` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Message {
    pub kind: MessageKind,
    pub text: String,
}

impl Message {
    pub fn success(text: impl Into<String>) -> Self {
        Self { kind: MessageKind::Success, text: text.into() }
    }

    pub fn warning(text: impl Into<String>) -> Self {
        Self { kind: MessageKind::Warning, text: text.into() }
    }

    pub fn error(text: impl Into<String>) -> Self {
        Self { kind: MessageKind::Error, text: text.into() }
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind == MessageKind::Error
    }
}

/// The stored form: the kind, a colon and the text.
impl From<Message> for String {
    fn from(message: Message) -> Self {
        format!("{}:{}", message.kind.as_str(), message.text)
    }
}

/// Text without a kind is a success.
impl From<String> for Message {
    fn from(stored: String) -> Self {
        let split = stored.split_once(':').and_then(|(name, text)| {
            MessageKind::ALL.into_iter().find(|kind| kind.as_str() == name).map(|kind| (kind, text))
        });
        match split {
            Some((kind, text)) => Self { kind, text: text.to_owned() },
            None => Self::success(stored),
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::success(text)
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::success(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_survives_storage() {
        for message in [
            Message::success("The key “error: 7” is ready."),
            Message::warning("success: no"),
            Message::error(""),
        ] {
            let json = serde_json::to_string(&message).unwrap();
            assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message, "{json}");
        }
        let before = serde_json::from_str::<Message>("\"Nothing: it is old.\"").unwrap();
        assert_eq!(before, Message::success("Nothing: it is old."));
    }

    #[test]
    fn only_errors_are_alerts() {
        assert_eq!(MessageKind::ALL.map(MessageKind::role), ["status", "status", "alert"]);
    }
}
