//! What the audit log tells of keys.

use super::key::{ApiKey, ChangedKey, ReplacedKey};
use crate::{
    audit::{AuditContext, AuditEvent, EventKind},
    web::time::rfc3339,
};

pub(crate) fn created(key: &ApiKey) -> AuditEvent {
    AuditEvent::new(EventKind::KeyCreated)
        .on(&key.public_key)
        .with("name", &key.name)
        .with("expires", &key.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
        .with("scopes", &key.scopes.join(" "))
        .with("requestsPerMinute", &key.requests_per_minute)
        .with("allowedNetworks", &networks(key))
}

/// `None`: it has the rights that it had.
pub(crate) fn changed(ChangedKey { before, after }: &ChangedKey) -> Option<AuditEvent> {
    let limit = |key: &ApiKey| key.requests_per_minute.to_string();
    let scopes = |key: &ApiKey| key.scopes.join(" ");
    let rights = [
        ("scopes", "scopesBefore", scopes(before), scopes(after)),
        ("requestsPerMinute", "requestsPerMinuteBefore", limit(before), limit(after)),
        ("allowedNetworks", "allowedNetworksBefore", networks(before), networks(after)),
    ];
    let mut changes = rights.into_iter().filter(|(.., before, after)| before != after).peekable();
    changes.peek()?;
    let act = AuditEvent::new(EventKind::KeyChanged).on(&after.public_key).with("name", &after.name);
    Some(changes.fold(act, |act, (name, name_before, before, after)| {
        act.with(name, &after).with(name_before, &before)
    }))
}

pub(crate) fn replaced(ReplacedKey { old, new }: &ReplacedKey) -> AuditEvent {
    let end = old.deleted_at.or(old.expires_at);
    AuditEvent::new(EventKind::KeyReplaced)
        .on(&old.public_key)
        .related(&new.public_key)
        .with("name", &new.name)
        .with("oldEnds", &end.map(rfc3339).unwrap_or_default())
        .with("newExpires", &new.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
}

/// A key that deletes itself is revoked: whoever presented it wanted it to end.
pub(crate) fn deleted(key: &ApiKey, trail: &AuditContext) -> AuditEvent {
    let is_its_own = trail.public_key().is_some_and(|actor| actor.as_str() == key.public_key);
    let kind = if is_its_own { EventKind::KeyRevoked } else { EventKind::KeyDeleted };
    AuditEvent::new(kind).on(&key.public_key).with("name", &key.name)
}

/// From everywhere, said as `all`: leaving it out would hide that a list was taken away.
fn networks(key: &ApiKey) -> String {
    let networks: Vec<String> = key.allowed_networks.iter().map(ToString::to_string).collect();
    if networks.is_empty() { "all".to_owned() } else { networks.join(" ") }
}
