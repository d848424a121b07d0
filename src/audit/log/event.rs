//! Events of the audit log.
//!
//! An event is about one client or about the account of a user, and its type says which: [`super::store::record`] takes
//! only those of a client, and [`super::account_log`] records those of an account in the log of every client that the
//! user belongs to.

use std::collections::BTreeMap;

/// Defines kinds of events: the name, which programs read and which must never change, and the text on pages.
macro_rules! event_kinds {
    (
        $(#[$attribute:meta])*
        $kinds:ident { $($(#[$kind_attribute:meta])* $kind:ident = $name:literal, $label:literal;)* }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kinds { $($(#[$kind_attribute])* $kind,)* }

        impl $kinds {
            /// All kinds, in the order of the form.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name in records: `key.created`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// The kind as pages show it.
            pub(crate) const fn label(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }
        }
    };
}

event_kinds! {
    /// The kind of an event of one client.
    EventKind {
        /// A key was created.
        KeyCreated = "key.created", "Key created";
        /// A key was replaced. The related key is the new one.
        KeyReplaced = "key.replaced", "Key replaced";
        /// The scopes, the limit or the networks of a key were changed.
        KeyChanged = "key.changed", "Key changed";
        /// A key was deleted.
        KeyDeleted = "key.deleted", "Key deleted";
        /// A key was deleted by a request that it authenticated.
        KeyRevoked = "key.revoked", "Key revoked";
        /// A key expired.
        KeyExpired = "key.expired", "Key expired";
        /// A signed-in user made this client the active one.
        SignInSwitched = "sign_in.switched", "Switched client";
        /// The name of the client was changed, or whether members need a second factor.
        ClientChanged = "client.changed", "Client changed";
        /// Someone was invited. The target is the invitation.
        InvitationCreated = "invitation.created", "Member invited";
        /// An invitation got a new link, which replaces the previous one.
        InvitationResent = "invitation.resent", "Invitation resent";
        /// An invitation was withdrawn.
        InvitationWithdrawn = "invitation.withdrawn", "Invitation withdrawn";
        /// A user became a member of the client. The related object is the invitation, if there was one.
        MemberAdded = "member.added", "Member added";
        /// A member got another role.
        MemberChanged = "member.changed", "Member changed";
        /// A user is no longer a member.
        MemberRemoved = "member.removed", "Member removed";
        /// Sessions were imported.
        ImportFinished = "import.finished", "Sessions imported";
        /// The personal data of a shopper was erased.
        ShopperErased = "shopper.erased", "Shopper erased";
    }
}

event_kinds! {
    /// The kind of an event of a user's account.
    AccountEventKind {
        /// A user logged in.
        SignInSucceeded = "sign_in.succeeded", "Signed in";
        /// A login with the email of a user failed: wrong password or code.
        SignInFailed = "sign_in.failed", "Sign-in failed";
        /// A user logged out, or sign-ins were ended.
        SignInEnded = "sign_in.ended", "Signed out";
        /// A signed-in user was asked for the password or a code again, and entered a wrong one.
        ConfirmationFailed = "confirmation.failed", "Confirmation failed";
        /// The name, email or password was changed, or the user was enabled or disabled. Each client sees it as a change of
        /// its member.
        AccountChanged = "member.changed", "Member changed";
        /// The account was deleted, which ended its memberships.
        AccountDeleted = "member.removed", "Member removed";
        /// A link to reset the user's password was created.
        ResetLinkCreated = "reset_link.created", "Reset link created";
        /// A user turned the second factor on.
        SecondFactorAdded = "second_factor.added", "Second factor added";
        /// A user turned the second factor off, or the operator removed it.
        SecondFactorRemoved = "second_factor.removed", "Second factor removed";
        /// A user created new recovery codes.
        RecoveryCodesCreated = "recovery_codes.created", "Recovery codes created";
        /// A user logged in or confirmed with a recovery code.
        RecoveryCodeUsed = "recovery_code.used", "Recovery code used";
    }
}

/// The kind of a record, for those who read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Client(EventKind),
    Account(AccountEventKind),
}

impl RecordKind {
    /// Every kind that differs from the others by its name.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let of_clients = EventKind::ALL.iter().copied().map(Self::Client);
        let of_accounts = AccountEventKind::ALL.iter().copied().map(Self::Account);
        of_clients
            .chain(of_accounts.filter(|it| EventKind::ALL.iter().all(|kind| kind.as_str() != it.as_str())))
    }

    /// The kind with this name. Records of a newer version may have others.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == name)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client(kind) => kind.as_str(),
            Self::Account(kind) => kind.as_str(),
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client(kind) => kind.label(),
            Self::Account(kind) => kind.label(),
        }
    }
}

/// The names of all kinds of records.
#[must_use]
pub fn record_kind_names() -> Vec<&'static str> {
    RecordKind::all().map(RecordKind::as_str).collect()
}

/// Something that happened, with its target and details.
///
/// Records are kept for ever and cannot be erased. Events must contain no secrets and no personal data of shoppers.
#[derive(Clone, Debug)]
pub struct AuditEvent<Kind = EventKind> {
    pub(crate) kind: Kind,
    pub(crate) target: Option<String>,
    pub(crate) related: Option<String>,
    details: BTreeMap<&'static str, String>,
}

/// An event of a user's account. Its target is the user.
pub type AccountEvent = AuditEvent<AccountEventKind>;

impl<Kind> AuditEvent<Kind> {
    /// An event without a target, which is one of the whole client.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
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
    fn every_kind_is_found_by_its_name_and_shown_under_its_own() {
        for name in [RecordKind::as_str, RecordKind::label] {
            let names: std::collections::BTreeSet<_> = RecordKind::all().map(name).collect();
            assert_eq!(names.len(), RecordKind::all().count());
        }
        assert!(RecordKind::all().all(|kind| RecordKind::from_name(kind.as_str()) == Some(kind)));
        let of_both = EventKind::ALL.len() + AccountEventKind::ALL.len() - RecordKind::all().count();
        assert_eq!(of_both, 2, "clients see changed and deleted accounts as members");
    }
}
