//! Records in the audit log that keys have expired. No request does it, because expiring needs none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, prelude::*};
use tokio::time::MissedTickBehavior;

use super::service;
use crate::{
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::Db,
    failure_log::FailureLog,
    ids::ClientId,
    schema::api_keys,
    web::format::time::rfc3339,
};

const INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of clients per run; the rest follow in the next.
const CLIENTS_MAX: i64 = 1000;

/// Records the expiry of keys in the audit log. It may run on every node: each expiry is recorded once.
pub struct ExpiryJob {
    db: Db,
    context: AuditContext,
}

impl ExpiryJob {
    #[must_use]
    pub fn new(db: Db, chain_key: &ChainKey) -> Self {
        Self { db, context: AuditContext::new(chain_key, Actor::System) }
    }

    /// Runs now and once a minute, and never ends.
    pub async fn run(&self) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log = FailureLog::new(
            "Keys that have expired are not in the audit log yet",
            "Keys that expire are in the audit log again",
        );
        loop {
            interval.tick().await;
            let context = self.context.clone();
            let recorded = self.db.run(move |connection| record_expired(connection, &context)).await;
            log.record(&recorded);
        }
    }
}

/// Records the keys that have expired since the last call, and returns their number.
///
/// # Errors
/// If the database fails.
pub fn record_expired(connection: &mut PgConnection, context: &AuditContext) -> QueryResult<usize> {
    let clients = api_keys::table
        .filter(api_keys::expires_at.le(now))
        .filter(api_keys::expiry_noted_at.is_null().and(api_keys::deleted_at.is_null()))
        .select(api_keys::client_id)
        .distinct()
        .order(api_keys::client_id)
        .limit(CLIENTS_MAX)
        .load::<ClientId>(connection)?;
    clients.iter().map(|client| record_expired_of_client(connection, client, context)).sum()
}

fn record_expired_of_client(
    connection: &mut PgConnection,
    client: &ClientId,
    context: &AuditContext,
) -> QueryResult<usize> {
    connection.transaction(|connection| {
        service::lock_client(connection, client)?;
        let expired = diesel::update(api_keys::table)
            .filter(api_keys::client_id.eq(client).and(api_keys::expires_at.le(now)))
            .filter(api_keys::expiry_noted_at.is_null().and(api_keys::deleted_at.is_null()))
            .set(api_keys::expiry_noted_at.eq(now))
            .returning((api_keys::public_key, api_keys::name, api_keys::expires_at.assume_not_null()))
            .get_results::<(String, String, DateTime<Utc>)>(connection)?;
        for (public_key, name, end) in &expired {
            let event = AuditEvent::new(EventKind::KeyExpired).on(public_key).with("name", name);
            audit::record(connection, client, context, &event.with("expired", &rfc3339(*end)))?;
        }
        Ok(expired.len())
    })
}
