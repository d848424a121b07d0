//! A record as it is stored and hashed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use ipnet::IpNet;
use uuid::Uuid;

use crate::schema::audit_log;

/// A row of the table `audit_log`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, check_for_backend(diesel::pg::Pg))]
pub(crate) struct AuditRecord {
    pub(crate) client_id: String,
    pub(crate) sequence: i64,
    /// Microseconds, the precision of the database.
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor_kind: String,
    pub(crate) actor: Option<String>,
    pub(crate) act: String,
    pub(crate) target: Option<String>,
    pub(crate) related: Option<String>,
    pub(crate) details: String,
    pub(crate) address: Option<IpNet>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) previous_hash: Vec<u8>,
    pub(crate) hash: Vec<u8>,
}
