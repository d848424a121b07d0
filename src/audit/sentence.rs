//! Records as sentences: `Created key Monthly report · read access · 90 days`.
//!
//! Names and details are text that users and programs chose. Each is a part of its own, which the template escapes and
//! sets apart, so that no name can pass for the words around it.

use std::{collections::HashMap, fmt};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    entity_names::EntityNames,
    log::{
        event::{AccountEventKind, EventKind, RecordKind},
        record::AuditRecord,
    },
};
use crate::{
    ids::PublicKey,
    web::format::{grouped, plural, time::DisplayTime},
};

/// In place of the name of a user who was deleted.
const DELETED_USER: &str = "(deleted user)";

/// A part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SentencePart {
    /// Our words.
    Words(&'static str),
    /// The name of a user or key, or a number of sessions.
    Name {
        text: String,
        /// The address of its page.
        link: Option<String>,
    },
    /// A public key, or the kind of an event that this version does not know.
    Code {
        text: String,
        /// The address of its page.
        link: Option<String>,
    },
}

impl SentencePart {
    /// A key by its name, or without one by its public key.
    pub(super) fn key(public_key: &PublicKey, name: Option<&str>) -> Self {
        let link = Some(format!("/settings/api-keys/{public_key}/usage"));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Self::Name { text: name.to_owned(), link },
            None => Self::Code { text: public_key.to_string(), link },
        }
    }

    /// A user or key by its id: the user's id or the public key. The CSV file has the id of a user who was deleted.
    pub(super) fn entity(id: &str, names: &EntityNames) -> Self {
        let name = names.name(id);
        if let Ok(public_key) = id.parse::<PublicKey>() {
            return Self::key(&public_key, name);
        }
        let unnamed = if id.parse::<Uuid>().is_ok() { DELETED_USER } else { id };
        Self::Name { text: name.unwrap_or(unnamed).to_owned(), link: names.member_link(id) }
    }
}

/// What a record says, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuditSentence {
    pub(super) parts: Vec<SentencePart>,
    /// What else matters, in a few words each.
    pub(super) facts: Vec<String>,
}

/// The sentence without its links.
impl fmt::Display for AuditSentence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.parts.iter().map(|part| match part {
            SentencePart::Words(words) => *words,
            SentencePart::Name { text, .. } | SentencePart::Code { text, .. } => text.as_str(),
        });
        formatter.write_str(&words.collect::<Vec<_>>().join(" "))?;
        self.facts.iter().try_for_each(|fact| write!(formatter, " · {fact}"))
    }
}

impl AuditSentence {
    /// The sentence for a record. One of an unknown kind, which a newer version wrote, shows the kind.
    pub(super) fn new(record: &AuditRecord, names: &EntityNames) -> Self {
        let event = RecordedEvent::new(record, names);
        match RecordKind::from_name(&record.act) {
            None => Self::of(SentencePart::Code { text: record.act.clone(), link: None }),
            Some(RecordKind::Client(kind)) => event.describe_client_event(kind),
            Some(RecordKind::Account(kind)) => event.describe_account_event(kind),
        }
    }

    fn of(part: SentencePart) -> Self {
        Self { parts: vec![part], facts: Vec::new() }
    }

    fn part(mut self, part: SentencePart) -> Self {
        self.parts.push(part);
        self
    }

    fn words(self, words: &'static str) -> Self {
        self.part(SentencePart::Words(words))
    }

    /// Adds a fact, unless the text is empty.
    fn fact(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.facts.push(text);
        }
        self
    }
}

/// A record with its details parsed.
struct RecordedEvent<'a> {
    record: &'a AuditRecord,
    details: HashMap<String, String>,
    names: &'a EntityNames,
}

impl<'a> RecordedEvent<'a> {
    fn new(record: &'a AuditRecord, names: &'a EntityNames) -> Self {
        Self { record, details: serde_json::from_str(&record.details).unwrap_or_default(), names }
    }

    fn describe_client_event(&self, kind: EventKind) -> AuditSentence {
        match kind {
            EventKind::KeyCreated => self.describe_new_key(),
            EventKind::KeyReplaced => self.describe_replacement(),
            EventKind::KeyChanged => self.describe_key_change(),
            EventKind::KeyDeleted => self.on_key("Deleted key"),
            EventKind::KeyRevoked => self.on_key("Revoked key").fact("by a call with the key itself"),
            EventKind::KeyExpired => self.on_key("Key").words("expired"),
            EventKind::SignInSwitched => AuditSentence::of(SentencePart::Words("Switched to this client")),
            EventKind::ClientChanged => self.describe_client_change(),
            EventKind::InvitationCreated => self.on_invitee("Invited"),
            EventKind::InvitationResent => self.on_invitee("Resent the invitation of"),
            EventKind::InvitationWithdrawn => self.on_invitee("Withdrew the invitation of"),
            EventKind::MemberAdded => self.on_user("Added member").fact(self.text("role")),
            EventKind::MemberChanged => self.describe_member_change(),
            EventKind::MemberRemoved => self.describe_removal(),
            EventKind::ImportFinished => self.describe_import(),
            EventKind::ShopperErased => self.describe_erasure(),
        }
    }

    fn describe_account_event(&self, kind: AccountEventKind) -> AuditSentence {
        match kind {
            AccountEventKind::SignInSucceeded => AuditSentence::of(SentencePart::Words("Signed in")),
            AccountEventKind::SignInFailed => self.on_user("Failed sign-in as").fact(self.wrong_entry()),
            AccountEventKind::SignInEnded => self.describe_ended_sign_ins(),
            AccountEventKind::ConfirmationFailed => {
                self.on_user("Failed confirmation as").fact(self.wrong_entry())
            }
            AccountEventKind::AccountChanged => self.describe_member_change(),
            AccountEventKind::AccountDeleted => self.describe_removal(),
            AccountEventKind::ResetLinkCreated => self.on_user("Created a password reset link for"),
            AccountEventKind::SecondFactorAdded => self.on_user("Added a second factor for"),
            AccountEventKind::SecondFactorRemoved => self.on_user("Removed the second factor of"),
            AccountEventKind::RecoveryCodesCreated => self.on_user("Created recovery codes for"),
            AccountEventKind::RecoveryCodeUsed => self.describe_recovery(),
        }
    }

    /// A detail, or an empty text.
    fn text(&self, name: &str) -> &str {
        self.details.get(name).map_or("", String::as_str)
    }

    fn count(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn on_key(&self, words: &'static str) -> AuditSentence {
        let sentence = AuditSentence::of(SentencePart::Words(words));
        let Some(target) = self.record.target.as_deref() else { return sentence };
        let name = self.details.get("name").map(String::as_str);
        sentence.part(match target.parse::<PublicKey>() {
            Ok(public_key) => SentencePart::key(&public_key, name),
            Err(_other) => SentencePart::entity(target, self.names),
        })
    }

    fn on_user(&self, words: &'static str) -> AuditSentence {
        let sentence = AuditSentence::of(SentencePart::Words(words));
        match self.record.target.as_deref() {
            Some(user_id) => sentence.part(SentencePart::entity(user_id, self.names)),
            None => sentence,
        }
    }

    fn describe_new_key(&self) -> AuditSentence {
        let networks = match self.text("allowedNetworks") {
            "" | "all" => String::new(),
            networks => format!("from {networks}"),
        };
        let sentence = self.on_key("Created key").fact(access_text(self.text("scopes")));
        sentence.fact(lifetime_text(self.text("expires"), self.record.at)).fact(networks)
    }

    fn describe_replacement(&self) -> AuditSentence {
        let sentence = self.on_key("Replaced key");
        let new_key = self.record.related.as_deref().and_then(|it| it.parse::<PublicKey>().ok());
        let sentence = match new_key {
            Some(key) => sentence.words("with").part(SentencePart::key(&key, None)),
            None => sentence,
        };
        let old_end = match self.text("oldEnds").parse::<DateTime<Utc>>() {
            Ok(end) if end < self.record.at + TimeDelta::minutes(1) => "old key ended immediately".to_owned(),
            Ok(end) => format!("old key ends {}", DisplayTime::from(end).text),
            Err(_without_end) => String::new(),
        };
        sentence.fact(lifetime_text(self.text("newExpires"), self.record.at)).fact(old_end)
    }

    fn describe_key_change(&self) -> AuditSentence {
        let changes = [
            self.change("scopes", "scopesBefore", access_text),
            self.change("requestsPerMinute", "requestsPerMinuteBefore", rate_limit_text),
            self.change("allowedNetworks", "allowedNetworksBefore", networks_text),
        ];
        changes.into_iter().fold(self.on_key("Changed key"), AuditSentence::fact)
    }

    /// An empty text if this did not change.
    fn change(&self, name: &str, name_before: &str, format: fn(&str) -> String) -> String {
        match (self.text(name_before), self.text(name)) {
            ("", "") => String::new(),
            (before, after) => format!("{} → {}", format(before), format(after)),
        }
    }

    fn describe_client_change(&self) -> AuditSentence {
        match (self.text("changed"), self.text("to")) {
            ("secondFactor", "required") => {
                return AuditSentence::of(SentencePart::Words("Required a second factor of all members"));
            }
            ("secondFactor", _) => {
                return AuditSentence::of(SentencePart::Words("Made the second factor optional"));
            }
            _ => {}
        }
        let name = SentencePart::Name { text: self.text("to").to_owned(), link: None };
        AuditSentence::of(SentencePart::Words("Renamed client to")).part(name)
    }

    /// The target of an invitation is its id, which says nothing to people.
    fn on_invitee(&self, words: &'static str) -> AuditSentence {
        let email = SentencePart::Name { text: self.text("email").to_owned(), link: None };
        AuditSentence::of(SentencePart::Words(words)).part(email).fact(self.text("role"))
    }

    fn describe_member_change(&self) -> AuditSentence {
        match self.text("changed") {
            "role" => {
                let roles = format!("{} → {}", self.text("from"), self.text("to"));
                self.on_user("Changed role of").fact(roles)
            }
            "password" => self.on_user("Changed password of"),
            "name" => self.on_user("Changed name of"),
            "email" => self.on_user("Changed email of"),
            "enabled" => self.on_user("Enabled"),
            "disabled" => self.on_user("Disabled"),
            other => self.on_user("Changed member").fact(other),
        }
    }

    fn describe_removal(&self) -> AuditSentence {
        self.on_user("Removed member").fact(self.text("role")).fact(self.text("reason"))
    }

    /// Whether the password or the code was wrong.
    fn wrong_entry(&self) -> &'static str {
        match self.text("wrong") {
            "password" => "wrong password",
            "code" => "wrong code",
            _ => "",
        }
    }

    /// Without a count, the user logged out.
    fn describe_ended_sign_ins(&self) -> AuditSentence {
        let count = self.count("count");
        if count == 0 {
            return AuditSentence::of(SentencePart::Words("Signed out"));
        }
        self.on_user("Ended sign-ins of").fact(format!("{} {}", grouped(count), plural(count, "sign-in")))
    }

    fn describe_recovery(&self) -> AuditSentence {
        let left = match self.text("left") {
            "" => String::new(),
            left => format!("{left} left"),
        };
        self.on_user("Used a recovery code of").fact(left)
    }

    fn describe_import(&self) -> AuditSentence {
        let stored = self.count("created").saturating_add(self.count("updated"));
        let import_id = self.record.target.as_deref().and_then(|it| it.parse::<Uuid>().ok());
        let sessions = SentencePart::Name {
            text: format!("{} {}", grouped(stored), plural(stored, "session")),
            link: import_id.map(|id| format!("/sessions/imports/{id}")),
        };
        let outcomes = ["created", "updated", "unchanged", "rejected"];
        let counts =
            outcomes.into_iter().map(|name| (name, self.count(name))).filter(|(_, count)| *count > 0);
        let sentence = AuditSentence::of(SentencePart::Words("Imported")).part(sessions);
        counts.fold(sentence, |sentence, (name, count)| sentence.fact(format!("{} {name}", grouped(count))))
    }

    fn describe_erasure(&self) -> AuditSentence {
        let identifier = match self.text("by") {
            "shopperId" => "found by shopper ID",
            "email" => "found by email",
            _ => "",
        };
        let sessions = self.count("sessions");
        let sessions = format!("{} {}", grouped(sessions), plural(sessions, "session"));
        AuditSentence::of(SentencePart::Words("Erased a shopper")).fact(sessions).fact(identifier)
    }
}

/// `read and write access, key management` for `sessions:read sessions:write keys:manage`. Unknown scopes are appended
/// as they are.
fn access_text(scopes: &str) -> String {
    let has = |scope: &str| scopes.split(' ').any(|it| it == scope);
    let sessions = match (has("sessions:read"), has("sessions:write")) {
        (true, true) => "read and write access",
        (true, false) => "read access",
        (false, true) => "write access",
        (false, false) => "",
    };
    let keys = if has("keys:manage") { "key management" } else { "" };
    let known = ["sessions:read", "sessions:write", "keys:manage"];
    let others = scopes.split(' ').filter(|scope| !known.contains(scope));
    let texts: Vec<&str> = [sessions, keys].into_iter().chain(others).filter(|it| !it.is_empty()).collect();
    texts.join(", ")
}

fn rate_limit_text(requests_per_minute: &str) -> String {
    match requests_per_minute {
        "0" => "no rate limit".to_owned(),
        limit => format!("{} requests/min", limit.parse::<u32>().map_or_else(|_| limit.to_owned(), grouped)),
    }
}

fn networks_text(networks: &str) -> String {
    if networks == "all" { "any network".to_owned() } else { networks.to_owned() }
}

/// `90 days` if it ends at the time of day when it began, otherwise until when. `end` is RFC 3339 or `never`.
fn lifetime_text(end: &str, start: DateTime<Utc>) -> String {
    const MINUTES_PER_DAY: i64 = 1440;
    if end == "never" {
        return "never expires".to_owned();
    }
    let Ok(end) = end.parse::<DateTime<Utc>>() else { return end.to_owned() };
    // The record is written a moment after the key.
    let minutes = ((end - start).num_seconds() + 30).div_euclid(60);
    let days = minutes / MINUTES_PER_DAY;
    if days > 0 && minutes % MINUTES_PER_DAY == 0 {
        format!("{} {}", grouped(days), plural(days, "day"))
    } else {
        format!("until {}", DisplayTime::from(end).text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "uptok_000000000000";
    const NEW_KEY: &str = "uptok_000000000001";
    /// A member.
    const USER: &str = "018f4d1a-0000-7000-8000-000000000001";
    const STRANGER: &str = "018f4d1a-0000-7000-8000-000000000002";

    fn record(act: &str, target: &str, details: &str) -> AuditRecord {
        AuditRecord {
            client_id: "cl_0000000001".to_owned(),
            sequence: 1,
            at: "2026-11-23T10:45:06Z".parse().unwrap(),
            actor_kind: "user".to_owned(),
            actor: Some(USER.to_owned()),
            act: act.to_owned(),
            target: Some(target.to_owned()).filter(|target| !target.is_empty()),
            related: Some(NEW_KEY.to_owned()).filter(|_| act == "key.replaced"),
            details: details.to_owned(),
            address: None,
            request_id: None,
            previous_hash: Vec::new(),
            hash: Vec::new(),
        }
    }

    fn sentence(act: &str, target: &str, details: &str) -> AuditSentence {
        let names = HashMap::from([(USER.to_owned(), "Ada".to_owned())]);
        let names = EntityNames::new(names, [USER.to_owned()]);
        AuditSentence::new(&record(act, target, details), &names)
    }

    /// The sentence with its names in brackets.
    fn text(act: &str, target: &str, details: &str) -> String {
        let sentence = sentence(act, target, details);
        let parts = sentence.parts.iter().map(|part| match part {
            SentencePart::Words(words) => (*words).to_owned(),
            SentencePart::Name { text, .. } | SentencePart::Code { text, .. } => format!("[{text}]"),
        });
        let words = parts.collect::<Vec<_>>().join(" ");
        std::iter::once(words).chain(sentence.facts).collect::<Vec<_>>().join(" · ")
    }

    #[test]
    fn events_of_keys_name_the_key_and_what_it_may_do() {
        for (act, details, expected) in [
            (
                "key.created",
                r#"{"name":"Monthly report","scopes":"sessions:read","expires":"2027-02-21T10:45:05Z","requestsPerMinute":"600","allowedNetworks":"all"}"#,
                "Created key [Monthly report] · read access · 90 days",
            ),
            (
                "key.created",
                r#"{"name":"x","scopes":"sessions:read sessions:write keys:manage","expires":"never","allowedNetworks":"192.0.2.0/24"}"#,
                "Created key [x] · read and write access, key management · never expires · from 192.0.2.0/24",
            ),
            (
                "key.created",
                r#"{"name":"x","scopes":"new:scope","expires":"2027-01-01T00:00:00Z"}"#,
                "Created key [x] · new:scope · until 1 Jan 2027, 00:00 UTC",
            ),
            (
                "key.replaced",
                r#"{"name":"x","oldEnds":"2026-11-23T10:45:06Z","newExpires":"2026-11-24T10:45:06Z"}"#,
                "Replaced key [x] with [uptok_000000000001] · 1 day · old key ended immediately",
            ),
            (
                "key.replaced",
                r#"{"name":"x","oldEnds":"2026-11-24T10:45:06Z","newExpires":"never"}"#,
                "Replaced key [x] with [uptok_000000000001] · never expires · old key ends 24 Nov 2026, 10:45 UTC",
            ),
            (
                "key.changed",
                r#"{"name":"x","scopes":"sessions:write","scopesBefore":"sessions:read","requestsPerMinute":"0","requestsPerMinuteBefore":"1200"}"#,
                "Changed key [x] · read access → write access · 1,200 requests/min → no rate limit",
            ),
            (
                "key.changed",
                r#"{"name":"x","allowedNetworks":"192.0.2.0/24","allowedNetworksBefore":"all"}"#,
                "Changed key [x] · any network → 192.0.2.0/24",
            ),
            ("key.deleted", r#"{"name":"x"}"#, "Deleted key [x]"),
            ("key.deleted", "{}", "Deleted key [uptok_000000000000]"),
            ("key.revoked", r#"{"name":"x"}"#, "Revoked key [x] · by a call with the key itself"),
            ("key.expired", r#"{"name":"x"}"#, "Key [x] expired"),
        ] {
            assert_eq!(text(act, KEY, details), expected);
        }
    }

    #[test]
    fn events_of_people_and_sessions_are_sentences() {
        for (act, target, details, expected) in [
            ("sign_in.succeeded", USER, "{}", "Signed in"),
            ("sign_in.failed", USER, "{}", "Failed sign-in as [Ada]"),
            ("sign_in.failed", USER, r#"{"wrong":"code"}"#, "Failed sign-in as [Ada] · wrong code"),
            (
                "confirmation.failed",
                USER,
                r#"{"wrong":"password"}"#,
                "Failed confirmation as [Ada] · wrong password",
            ),
            ("sign_in.ended", USER, "{}", "Signed out"),
            ("sign_in.ended", USER, r#"{"count":"2"}"#, "Ended sign-ins of [Ada] · 2 sign-ins"),
            ("member.added", USER, r#"{"role":"owner"}"#, "Added member [Ada] · owner"),
            ("member.removed", USER, r#"{"role":"admin"}"#, "Removed member [Ada] · admin"),
            (
                "member.removed",
                USER,
                r#"{"reason":"account deleted","role":"admin"}"#,
                "Removed member [Ada] · admin · account deleted",
            ),
            (
                "member.changed",
                USER,
                r#"{"changed":"role","from":"member","to":"admin"}"#,
                "Changed role of [Ada] · member → admin",
            ),
            ("member.changed", USER, r#"{"changed":"password"}"#, "Changed password of [Ada]"),
            ("member.changed", USER, r#"{"changed":"disabled"}"#, "Disabled [Ada]"),
            ("member.changed", USER, r#"{"changed":"enabled"}"#, "Enabled [Ada]"),
            ("second_factor.added", USER, "{}", "Added a second factor for [Ada]"),
            ("second_factor.removed", USER, "{}", "Removed the second factor of [Ada]"),
            ("recovery_codes.created", USER, "{}", "Created recovery codes for [Ada]"),
            ("recovery_code.used", USER, r#"{"left":"9"}"#, "Used a recovery code of [Ada] · 9 left"),
            (
                "import.finished",
                USER,
                r#"{"created":"1200","updated":"1","unchanged":"0","rejected":"3","skipped":"1"}"#,
                "Imported [1,201 sessions] · 1,200 created · 1 updated · 3 rejected",
            ),
            ("import.finished", "", "{}", "Imported [0 sessions]"),
            (
                "shopper.erased",
                "pseudonym",
                r#"{"by":"email","sessions":"1"}"#,
                "Erased a shopper · 1 session · found by email",
            ),
        ] {
            assert_eq!(text(act, target, details), expected);
        }
    }

    #[test]
    fn every_kind_has_a_sentence_of_its_own() {
        let sentences: std::collections::BTreeSet<String> = RecordKind::all()
            .map(|kind| text(kind.as_str(), if kind.as_str().starts_with("key") { KEY } else { USER }, "{}"))
            .collect();
        assert_eq!(sentences.len(), RecordKind::all().count());
        assert!(sentences.iter().all(|text| text.starts_with(char::is_uppercase)), "{sentences:?}");
        assert_eq!(text("key.frozen", KEY, "{}"), "[key.frozen]", "a kind of a newer version");
    }

    #[test]
    fn links_lead_only_to_what_parses_as_an_id() {
        let link = |act, target, details| match sentence(act, target, details).parts.remove(1) {
            SentencePart::Name { link, .. } | SentencePart::Code { link, .. } => link,
            SentencePart::Words(words) => panic!("{words}"),
        };
        let name = r#"{"name":"\"><script> · never expires"}"#;
        assert_eq!(link("key.deleted", KEY, name).unwrap(), "/settings/api-keys/uptok_000000000000/usage");
        assert_eq!(link("key.deleted", "../../logout", name), None);
        assert_eq!(link("import.finished", USER, "{}").unwrap(), format!("/sessions/imports/{USER}"));
        assert_eq!(link("import.finished", "javascript:alert(1)", "{}"), None);
        assert_eq!(link("member.added", USER, "{}").unwrap(), format!("/settings/members#member-{USER}"));
        assert_eq!(link("member.added", STRANGER, "{}"), None);
        assert_eq!(text("member.removed", STRANGER, "{}"), "Removed member [(deleted user)]");
        assert_eq!(link("member.added", "javascript:alert(1)", "{}"), None);
    }

    #[test]
    fn a_name_stays_one_part_whatever_it_contains() {
        let details = r#"{"name":"x · never expires","expires":"never"}"#;
        let SentencePart::Name { text, .. } = sentence("key.created", KEY, details).parts.remove(1) else {
            panic!()
        };
        assert_eq!(text, "x · never expires");
        assert_eq!(sentence("key.created", KEY, details).facts, ["never expires"]);
    }
}
