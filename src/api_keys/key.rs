//! A key as lists show it: everything but what opens.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    dsl::{AsExprOf, Nullable, now},
    prelude::*,
    sql_types::Timestamptz,
};
use ipnet::IpNet;
use uuid::Uuid;

use super::rights::{AllowedNetworks, KeyRights, RequestsPerMinute, Scope};
use crate::schema::{api_keys, users};

/// So many days before its end a key is shown as about to expire.
pub const WARNED_DAYS: i32 = 14;

/// A key as lists show it, as of a moment.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub struct ApiKey {
    /// The part that may be shown.
    pub public_key: String,
    /// The client that owns it.
    pub client_id: String,
    /// What a person calls it.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The user who made it; `None`: another key or the command line did.
    pub created_by: Option<Uuid>,
    /// The public key of the key that made it; `None`: a user or the command line did.
    pub created_by_key: Option<String>,
    /// The name of the user who made it, if that user is still there.
    #[diesel(select_expression = users::name.nullable())]
    #[diesel(select_expression_type = Nullable<users::name>)]
    pub creator: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Requests per minute; 0 is no limit.
    pub requests_per_minute: i32,
    /// From where; none: from everywhere.
    pub allowed_networks: Vec<IpNet>,
    /// From when on it is refused; `None`: it does not expire.
    pub expires_at: Option<DateTime<Utc>>,
    /// The public key of the key that replaced it.
    pub replaced_by: Option<String>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// The time of all this, by the clock of the database.
    #[diesel(select_expression = now.into_sql::<Timestamptz>())]
    #[diesel(select_expression_type = AsExprOf<now, Timestamptz>)]
    pub as_of: DateTime<Utc>,
}

impl ApiKey {
    /// Where it is in its life.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        match self.time_left() {
            Some(left) if left <= TimeDelta::zero() => KeyStatus::Expired,
            _ if self.replaced_by.is_some() => KeyStatus::Replaced,
            Some(left) if left <= TimeDelta::days(WARNED_DAYS.into()) => KeyStatus::Expiring,
            _ => KeyStatus::Active,
        }
    }

    /// How long until it ends, less than nothing if it has; `None`: it does not expire.
    #[must_use]
    pub fn time_left(&self) -> Option<TimeDelta> {
        self.expires_at.map(|end| end - self.as_of)
    }

    /// How long it was made for; `None`: it does not expire. A replacement is made for as long.
    #[must_use]
    pub fn span(&self) -> Option<TimeDelta> {
        self.expires_at.map(|end| end - self.created_at)
    }

    /// What it may do, how often and from where.
    #[must_use]
    pub fn rights(&self) -> KeyRights {
        let is_own = |scope: &Scope| self.scopes.iter().any(|own| own == scope.as_str());
        KeyRights {
            scopes: Scope::ALL.into_iter().filter(is_own).collect(),
            requests_per_minute: RequestsPerMinute::from_database(self.requests_per_minute),
            networks: AllowedNetworks::from_database(self.allowed_networks.clone()),
        }
    }
}

/// So many keys of a client may live: be neither deleted nor expired.
pub const LIVING_MAX: i64 = 500;

/// A key before and after a change of its rights.
#[derive(Clone, Debug)]
pub struct ChangedKey {
    /// As it was.
    pub before: ApiKey,
    /// As it is.
    pub after: ApiKey,
}

/// A key and the one that takes its place.
#[derive(Clone, Debug)]
pub struct ReplacedKey {
    /// The old one, as it is now: deleted, or alive until its `expires_at`.
    pub old: ApiKey,
    /// The new one.
    pub new: ApiKey,
}

/// What became of a key that was to be deleted.
#[derive(Clone, Debug)]
pub enum DeletedKey {
    /// It was there. This is what it was.
    Now(ApiKey),
    /// It was deleted before.
    Before(ApiKey),
}

impl DeletedKey {
    /// The key, whenever it was deleted.
    #[must_use]
    pub const fn key(&self) -> &ApiKey {
        match self {
            Self::Now(key) | Self::Before(key) => key,
        }
    }
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is let in, and will be for more than [`WARNED_DAYS`].
    Active,
    /// It is let in, but not for long.
    Expiring,
    /// Another took its place; it is let in until its grace is over.
    Replaced,
    /// It is over.
    Expired,
}

impl KeyStatus {
    /// Every one, in the order of the filter.
    pub const ALL: [Self; 4] = [Self::Active, Self::Expiring, Self::Replaced, Self::Expired];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}
