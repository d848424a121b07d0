//! What happened, in words that stay the same.

use std::collections::BTreeMap;

/// What a record tells. Its words are for programs and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A key was made.
    KeyCreated,
    /// A key was replaced; related: the new one.
    KeyReplaced,
    /// What a key may do, or how often and from where, was changed.
    KeyChanged,
    /// A key was deleted.
    KeyDeleted,
    /// A key was deleted by whoever presented it.
    KeyRevoked,
    /// The time of a key was over.
    KeyExpired,
    /// A user logged in.
    SignInSucceeded,
    /// Somebody gave the e-mail of a user and another password.
    SignInFailed,
    /// A user logged out.
    SignInEnded,
    /// A user became a member of the client.
    MemberAdded,
    /// A member's role or password was changed.
    MemberChanged,
    /// A user is no member any more.
    MemberRemoved,
    /// Sessions were imported.
    ImportFinished,
    /// What tells of a shopper was erased.
    ShopperErased,
}

impl EventKind {
    /// Every one, in the order of the form.
    pub const ALL: [Self; 14] = [
        Self::KeyCreated,
        Self::KeyReplaced,
        Self::KeyChanged,
        Self::KeyDeleted,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::SignInSucceeded,
        Self::SignInFailed,
        Self::SignInEnded,
        Self::MemberAdded,
        Self::MemberChanged,
        Self::MemberRemoved,
        Self::ImportFinished,
        Self::ShopperErased,
    ];

    /// The act as text: `key.created`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyCreated => "key.created",
            Self::KeyReplaced => "key.replaced",
            Self::KeyChanged => "key.changed",
            Self::KeyDeleted => "key.deleted",
            Self::KeyRevoked => "key.revoked",
            Self::KeyExpired => "key.expired",
            Self::SignInSucceeded => "sign_in.succeeded",
            Self::SignInFailed => "sign_in.failed",
            Self::SignInEnded => "sign_in.ended",
            Self::MemberAdded => "member.added",
            Self::MemberChanged => "member.changed",
            Self::MemberRemoved => "member.removed",
            Self::ImportFinished => "import.finished",
            Self::ShopperErased => "shopper.erased",
        }
    }
}

/// One thing that happened: to what, and how.
///
/// What is said here is kept for ever and cannot be erased: no secret, no password, nothing that tells of a shopper.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub(crate) kind: EventKind,
    pub(crate) target: Option<String>,
    pub(crate) related: Option<String>,
    details: BTreeMap<&'static str, String>,
}

impl AuditEvent {
    /// Something that happened to the client.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self { kind, target: None, related: None, details: BTreeMap::new() }
    }

    /// … to this: a public key, a user's id, an import.
    #[must_use]
    pub fn on(mut self, target: &(impl ToString + ?Sized)) -> Self {
        self.target = Some(target.to_string());
        self
    }

    /// … and is about this too.
    #[must_use]
    pub fn related(mut self, related: &(impl ToString + ?Sized)) -> Self {
        self.related = Some(related.to_string());
        self
    }

    /// … in this way. An empty text is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, text: &(impl ToString + ?Sized)) -> Self {
        let text = text.to_string();
        if !text.is_empty() {
            self.details.insert(name, text);
        }
        self
    }

    /// The details as a JSON object.
    pub(crate) fn details(&self) -> String {
        serde_json::to_string(&self.details).expect("a map of texts is JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_a_json_object_by_name_without_what_is_empty() {
        let act =
            AuditEvent::new(EventKind::KeyCreated).with("scopes", "a b").with("name", "“x”").with("note", "");
        assert_eq!(act.details(), r#"{"name":"“x”","scopes":"a b"}"#);
        assert_eq!(AuditEvent::new(EventKind::KeyDeleted).details(), "{}");
    }

    #[test]
    fn every_act_has_words_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            EventKind::ALL.map(EventKind::as_str).into_iter().collect();
        assert_eq!(words.len(), EventKind::ALL.len());
    }
}
