//! A stored key, without its hash.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    dsl::{AsExprOf, Nullable, now},
    prelude::*,
    sql_types::Timestamptz,
};
use uuid::Uuid;

use super::{
    new_key::KeyName,
    rights::{AllowedNetworks, KeyRights, RequestsPerMinute, Scope},
};
use crate::{
    ids::{ClientId, PublicKey},
    schema::{api_keys, users},
};

/// A key is shown as about to expire this many days before its end.
pub const WARNED_DAYS: i32 = 14;

/// A key as it was at the time [`ApiKey::as_of`].
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub struct ApiKey {
    pub public_key: PublicKey,
    pub client_id: ClientId,
    pub name: KeyName,
    pub created_at: DateTime<Utc>,
    /// The user who created it; `None` if a key or the command line did.
    pub created_by: Option<Uuid>,
    /// The public key of the key that created it; `None` if a user or the command line did.
    pub created_by_key: Option<PublicKey>,
    /// The name of the user who created it; `None` if no user did or the user is gone.
    #[diesel(select_expression = users::name.nullable())]
    #[diesel(select_expression_type = Nullable<users::name>)]
    pub creator: Option<String>,
    pub scopes: Vec<Scope>,
    pub requests_per_minute: RequestsPerMinute,
    pub allowed_networks: AllowedNetworks,
    /// `None` if it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
    /// The public key of the key that replaced it.
    pub replaced_by: Option<PublicKey>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// The time of the query, by the clock of the database.
    #[diesel(select_expression = now.into_sql::<Timestamptz>())]
    #[diesel(select_expression_type = AsExprOf<now, Timestamptz>)]
    pub as_of: DateTime<Utc>,
}

impl ApiKey {
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        match self.time_left() {
            Some(left) if left <= TimeDelta::zero() => KeyStatus::Expired,
            _ if self.replaced_by.is_some() => KeyStatus::Replaced,
            Some(left) if left <= TimeDelta::days(WARNED_DAYS.into()) => KeyStatus::Expiring,
            _ => KeyStatus::Active,
        }
    }

    /// The time until it ends, negative if it has ended. Returns `None` if it does not expire.
    #[must_use]
    pub fn time_left(&self) -> Option<TimeDelta> {
        self.expires_at.map(|end| end - self.as_of)
    }

    /// The time from its creation to its end, which a replacement gets too. Returns `None` if it does not expire.
    #[must_use]
    pub fn lifetime(&self) -> Option<TimeDelta> {
        self.expires_at.map(|end| end - self.created_at)
    }

    #[must_use]
    pub fn rights(&self) -> KeyRights {
        KeyRights {
            scopes: self.scopes.clone(),
            requests_per_minute: self.requests_per_minute,
            networks: self.allowed_networks.clone(),
        }
    }
}

/// Maximum number of keys of a client that are neither deleted nor expired.
pub const LIVE_KEYS_MAX: i64 = 500;

/// A key before and after a change of its rights.
#[derive(Clone, Debug)]
pub struct KeyRightsChange {
    pub before: ApiKey,
    pub after: ApiKey,
}

/// A key and the one that takes its place.
#[derive(Clone, Debug)]
pub struct KeyReplacement {
    /// The old key: deleted, or valid until its `expires_at`.
    pub old: ApiKey,
    pub new: ApiKey,
}

/// The result of deleting a key.
#[derive(Clone, Debug)]
pub enum KeyDeletion {
    /// Deleted now. The key as it was before.
    Now(ApiKey),
    /// Deleted earlier.
    Before(ApiKey),
}

impl KeyDeletion {
    #[must_use]
    pub const fn key(&self) -> &ApiKey {
        match self {
            Self::Now(key) | Self::Before(key) => key,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// Valid for more than [`WARNED_DAYS`].
    Active,
    /// Valid for at most [`WARNED_DAYS`].
    Expiring,
    /// Replaced, but valid until its grace period ends.
    Replaced,
    /// Refused since its end.
    Expired,
}

impl KeyStatus {
    /// All, in the order of the filter.
    pub const ALL: [Self; 4] = [Self::Active, Self::Expiring, Self::Replaced, Self::Expired];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }

    /// The word on pages.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Expiring => "Expiring",
            Self::Replaced => "Replaced",
            Self::Expired => "Expired",
        }
    }

    /// Returns `None` if there is no such status.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}
