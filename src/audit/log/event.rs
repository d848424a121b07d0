//! Events of the audit log.

use std::collections::BTreeMap;

/// The kind of an event. Programs read the names, so they must never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A key was created.
    KeyCreated,
    /// A key was replaced. The related key is the new one.
    KeyReplaced,
    /// The scopes, the limit or the networks of a key were changed.
    KeyChanged,
    /// A key was deleted.
    KeyDeleted,
    /// A key was deleted by a request that it authenticated.
    KeyRevoked,
    /// A key expired.
    KeyExpired,
    /// A user logged in.
    SignInSucceeded,
    /// A login with the email of a user failed.
    SignInFailed,
    /// A user logged out, or ended a sign-in.
    SignInEnded,
    /// A signed-in user made this client the active one.
    SignInSwitched,
    /// The name of the client was changed.
    ClientChanged,
    /// Someone was invited. The target is the invitation.
    InvitationCreated,
    /// An invitation got a new link, which replaces the previous one.
    InvitationResent,
    /// An invitation was withdrawn.
    InvitationWithdrawn,
    /// A user became a member of the client. The related object is the invitation, if there was one.
    MemberAdded,
    /// A member's role, name, email or password was changed, or the user was enabled or disabled.
    MemberChanged,
    /// A user is no longer a member.
    MemberRemoved,
    /// A link to reset a user's password was created.
    ResetLinkCreated,
    /// A user turned the second factor on.
    SecondFactorAdded,
    /// A user turned the second factor off, or the operator removed it.
    SecondFactorRemoved,
    /// A user created new recovery codes.
    RecoveryCodesCreated,
    /// A user logged in or confirmed with a recovery code.
    RecoveryCodeUsed,
    /// Sessions were imported.
    ImportFinished,
    /// The personal data of a shopper was erased.
    ShopperErased,
}

impl EventKind {
    /// All kinds, in the order of the form.
    pub const ALL: [Self; 24] = [
        Self::KeyCreated,
        Self::KeyReplaced,
        Self::KeyChanged,
        Self::KeyDeleted,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::SignInSucceeded,
        Self::SignInFailed,
        Self::SignInEnded,
        Self::SignInSwitched,
        Self::ClientChanged,
        Self::InvitationCreated,
        Self::InvitationResent,
        Self::InvitationWithdrawn,
        Self::MemberAdded,
        Self::MemberChanged,
        Self::MemberRemoved,
        Self::ResetLinkCreated,
        Self::SecondFactorAdded,
        Self::SecondFactorRemoved,
        Self::RecoveryCodesCreated,
        Self::RecoveryCodeUsed,
        Self::ImportFinished,
        Self::ShopperErased,
    ];

    /// The name: `key.created`.
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
            Self::SignInSwitched => "sign_in.switched",
            Self::ClientChanged => "client.changed",
            Self::InvitationCreated => "invitation.created",
            Self::InvitationResent => "invitation.resent",
            Self::InvitationWithdrawn => "invitation.withdrawn",
            Self::MemberAdded => "member.added",
            Self::MemberChanged => "member.changed",
            Self::MemberRemoved => "member.removed",
            Self::ResetLinkCreated => "reset_link.created",
            Self::SecondFactorAdded => "second_factor.added",
            Self::SecondFactorRemoved => "second_factor.removed",
            Self::RecoveryCodesCreated => "recovery_codes.created",
            Self::RecoveryCodeUsed => "recovery_code.used",
            Self::ImportFinished => "import.finished",
            Self::ShopperErased => "shopper.erased",
        }
    }

    /// The kind with this name. Records of a newer version may have others.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind as pages show it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::KeyCreated => "Key created",
            Self::KeyReplaced => "Key replaced",
            Self::KeyChanged => "Key changed",
            Self::KeyDeleted => "Key deleted",
            Self::KeyRevoked => "Key revoked",
            Self::KeyExpired => "Key expired",
            Self::SignInSucceeded => "Signed in",
            Self::SignInFailed => "Sign-in failed",
            Self::SignInEnded => "Signed out",
            Self::SignInSwitched => "Switched client",
            Self::ClientChanged => "Client changed",
            Self::InvitationCreated => "Member invited",
            Self::InvitationResent => "Invitation resent",
            Self::InvitationWithdrawn => "Invitation withdrawn",
            Self::MemberAdded => "Member added",
            Self::MemberChanged => "Member changed",
            Self::MemberRemoved => "Member removed",
            Self::ResetLinkCreated => "Reset link created",
            Self::SecondFactorAdded => "Second factor added",
            Self::SecondFactorRemoved => "Second factor removed",
            Self::RecoveryCodesCreated => "Recovery codes created",
            Self::RecoveryCodeUsed => "Recovery code used",
            Self::ImportFinished => "Sessions imported",
            Self::ShopperErased => "Shopper erased",
        }
    }
}

/// Something that happened, with its target and details.
///
/// Records are kept for ever and cannot be erased. Events must contain no secrets and no personal data of shoppers.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    pub(crate) kind: EventKind,
    pub(crate) target: Option<String>,
    pub(crate) related: Option<String>,
    details: BTreeMap<&'static str, String>,
}

impl AuditEvent {
    /// An event of the client, without a target.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self { kind, target: None, related: None, details: BTreeMap::new() }
    }

    /// Sets the target: a public key, the id of a user or of an import.
    #[must_use]
    pub fn on(mut self, target: &(impl ToString + ?Sized)) -> Self {
        self.target = Some(target.to_string());
        self
    }

    /// Sets a second target.
    #[must_use]
    pub fn related(mut self, related: &(impl ToString + ?Sized)) -> Self {
        self.related = Some(related.to_string());
        self
    }

    /// Adds a detail, unless the text is empty.
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
        let event =
            AuditEvent::new(EventKind::KeyCreated).with("scopes", "a b").with("name", "“x”").with("note", "");
        assert_eq!(event.details(), r#"{"name":"“x”","scopes":"a b"}"#);
        assert_eq!(AuditEvent::new(EventKind::KeyDeleted).details(), "{}");
    }

    #[test]
    fn every_kind_has_its_own_name() {
        for name in [EventKind::as_str, EventKind::label] {
            let names: std::collections::BTreeSet<_> = EventKind::ALL.map(name).into_iter().collect();
            assert_eq!(names.len(), EventKind::ALL.len());
        }
        assert!(EventKind::ALL.into_iter().all(|kind| EventKind::from_name(kind.as_str()) == Some(kind)));
    }
}
