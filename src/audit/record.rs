//! One record, as it is stored and hashed.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use ipnet::IpNet;
use uuid::Uuid;

use crate::schema::audit_log;

/// One row of the table `audit_log`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log, check_for_backend(diesel::pg::Pg))]
pub(super) struct Record {
    pub(super) client_id: String,
    pub(super) sequence: i64,
    /// In microseconds, as the database keeps it.
    pub(super) at: DateTime<Utc>,
    pub(super) actor_kind: String,
    pub(super) actor: Option<String>,
    pub(super) act: String,
    pub(super) target: Option<String>,
    pub(super) related: Option<String>,
    pub(super) details: String,
    pub(super) address: Option<IpNet>,
    pub(super) request_id: Option<Uuid>,
    pub(super) previous_hash: Vec<u8>,
    pub(super) hash: Vec<u8>,
}
