//! What the audit log tells of keys.

use super::key::{Changed, Key, Replaced};
use crate::{
    audit::{Act, Kind, Trail},
    web::time::rfc3339,
};

pub(crate) fn created(key: &Key) -> Act {
    Act::new(Kind::KeyCreated)
        .on(&key.public_key)
        .with("name", &key.name)
        .with("expires", &key.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
        .with("scopes", &key.scopes.join(" "))
        .with("requestsPerMinute", &key.requests_per_minute)
        .with("allowedNetworks", &networks(key))
}

/// `None`: it has the rights that it had.
pub(crate) fn changed(Changed { before, after }: &Changed) -> Option<Act> {
    let limit = |key: &Key| key.requests_per_minute.to_string();
    let scopes = |key: &Key| key.scopes.join(" ");
    let rights = [
        ("scopes", "scopesBefore", scopes(before), scopes(after)),
        ("requestsPerMinute", "requestsPerMinuteBefore", limit(before), limit(after)),
        ("allowedNetworks", "allowedNetworksBefore", networks(before), networks(after)),
    ];
    let mut changes = rights.into_iter().filter(|(.., before, after)| before != after).peekable();
    changes.peek()?;
    let act = Act::new(Kind::KeyChanged).on(&after.public_key).with("name", &after.name);
    Some(changes.fold(act, |act, (name, name_before, before, after)| {
        act.with(name, &after).with(name_before, &before)
    }))
}

pub(crate) fn replaced(Replaced { old, new }: &Replaced) -> Act {
    let end = old.deleted_at.or(old.expires_at);
    Act::new(Kind::KeyReplaced)
        .on(&old.public_key)
        .related(&new.public_key)
        .with("name", &new.name)
        .with("oldEnds", &end.map(rfc3339).unwrap_or_default())
        .with("newExpires", &new.expires_at.map_or_else(|| "never".to_owned(), rfc3339))
}

/// A key that deletes itself is revoked: whoever presented it wanted it to end.
pub(crate) fn deleted(key: &Key, trail: &Trail) -> Act {
    let is_its_own = trail.public_key().is_some_and(|actor| actor.as_str() == key.public_key);
    let kind = if is_its_own { Kind::KeyRevoked } else { Kind::KeyDeleted };
    Act::new(kind).on(&key.public_key).with("name", &key.name)
}

/// From everywhere, said as `all`: leaving it out would hide that a list was taken away.
fn networks(key: &Key) -> String {
    let networks: Vec<String> = key.allowed_networks.iter().map(ToString::to_string).collect();
    if networks.is_empty() { "all".to_owned() } else { networks.join(" ") }
}
