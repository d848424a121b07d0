//! The audit events of keys.

use super::{
    key::{ApiKey, KeyReplacement, KeyRightsChange},
    rights::Scope,
};
use crate::{
    audit::{AuditContext, AuditEvent, EventKind},
    web::format::time::rfc3339,
};

pub(crate) fn key_created(key: &ApiKey) -> AuditEvent {
    AuditEvent::new(EventKind::KeyCreated)
        .on(&key.public_key)
        .with("name", &key.name)
        .with("expires", &key.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
        .with("scopes", &Scope::join(&key.scopes, " "))
        .with("requestsPerMinute", &key.requests_per_minute)
        .with("allowedNetworks", &networks_text(key))
}

/// Returns `None` if the rights are the same.
pub(crate) fn key_changed(KeyRightsChange { before, after }: &KeyRightsChange) -> Option<AuditEvent> {
    let limit = |key: &ApiKey| key.requests_per_minute.to_string();
    let scopes = |key: &ApiKey| Scope::join(&key.scopes, " ");
    let rights = [
        ("scopes", "scopesBefore", scopes(before), scopes(after)),
        ("requestsPerMinute", "requestsPerMinuteBefore", limit(before), limit(after)),
        ("allowedNetworks", "allowedNetworksBefore", networks_text(before), networks_text(after)),
    ];
    let mut changes = rights.into_iter().filter(|(.., before, after)| before != after).peekable();
    changes.peek()?;
    let event = AuditEvent::new(EventKind::KeyChanged).on(&after.public_key).with("name", &after.name);
    Some(changes.fold(event, |event, (name, name_before, before, after)| {
        event.with(name, &after).with(name_before, &before)
    }))
}

pub(crate) fn key_replaced(KeyReplacement { old, new }: &KeyReplacement) -> AuditEvent {
    let end = old.deleted_at.or(old.expires_at);
    AuditEvent::new(EventKind::KeyReplaced)
        .on(&old.public_key)
        .related(&new.public_key)
        .with("name", &new.name)
        .with("oldEnds", &end.map(rfc3339).unwrap_or_default())
        .with("newExpires", &new.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
}

/// A key that deletes itself counts as revoked.
pub(crate) fn key_deleted(key: &ApiKey, context: &AuditContext) -> AuditEvent {
    let is_its_own = context.public_key().is_some_and(|actor| *actor == key.public_key);
    let kind = if is_its_own { EventKind::KeyRevoked } else { EventKind::KeyDeleted };
    AuditEvent::new(kind).on(&key.public_key).with("name", &key.name)
}

/// `all` if there is no restriction: an empty value would hide that a restriction was removed.
fn networks_text(key: &ApiKey) -> String {
    let networks: Vec<String> = key.allowed_networks.as_slice().iter().map(ToString::to_string).collect();
    if networks.is_empty() { "all".to_owned() } else { networks.join(" ") }
}
