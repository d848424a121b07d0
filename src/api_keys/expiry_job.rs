//! Keys whose time is over: nobody does anything then, so Uptok itself writes it down.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, prelude::*};
use tokio::time::MissedTickBehavior;

use super::service;
use crate::{
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::Db,
    ids::ClientId,
    schema::api_keys,
    web::time::rfc3339,
};

/// How often is looked for keys that have expired.
const EVERY: Duration = Duration::from_secs(60);
/// So many clients at a time; the rest a minute later.
const CLIENTS_MAX: i64 = 1000;

/// Writes the expiry of keys into the audit log. Every node may do it: each expiry is written once.
pub struct ExpiryJob {
    db: Db,
    trail: AuditContext,
}

impl ExpiryJob {
    /// A watch over the keys in `db`.
    #[must_use]
    pub fn new(db: Db, chain: &ChainKey) -> Self {
        Self { db, trail: AuditContext::new(chain, Actor::System) }
    }

    /// Looks now and once a minute, for ever.
    pub async fn run(&self) {
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let trail = self.trail.clone();
            let noted = self.db.run(move |connection| note_expired(connection, &trail)).await;
            if let Err(cause) = noted {
                tracing::warn!(?cause, "Keys that have expired are not in the audit log yet");
            }
        }
    }
}

/// Writes down which keys have expired since this was last asked. Returns how many.
///
/// # Errors
/// Those of the database.
pub fn note_expired(connection: &mut PgConnection, trail: &AuditContext) -> QueryResult<usize> {
    let clients = api_keys::table
        .filter(api_keys::expires_at.le(now))
        .filter(api_keys::expiry_noted_at.is_null().and(api_keys::deleted_at.is_null()))
        .select(api_keys::client_id)
        .distinct()
        .order(api_keys::client_id)
        .limit(CLIENTS_MAX)
        .load::<String>(connection)?;
    let clients = clients.into_iter().map(ClientId::from_database);
    clients.map(|client| note_expired_of(connection, &client, trail)).sum()
}

fn note_expired_of(
    connection: &mut PgConnection,
    client: &ClientId,
    trail: &AuditContext,
) -> QueryResult<usize> {
    connection.transaction(|connection| {
        service::lock(connection, client)?;
        let expired = diesel::update(api_keys::table)
            .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::expires_at.le(now)))
            .filter(api_keys::expiry_noted_at.is_null().and(api_keys::deleted_at.is_null()))
            .set(api_keys::expiry_noted_at.eq(now))
            .returning((api_keys::public_key, api_keys::name, api_keys::expires_at.assume_not_null()))
            .get_results::<(String, String, DateTime<Utc>)>(connection)?;
        for (public_key, name, end) in &expired {
            let act = AuditEvent::new(EventKind::KeyExpired).on(public_key).with("name", name);
            audit::record(connection, client, trail, &act.with("expired", &rfc3339(*end)))?;
        }
        Ok(expired.len())
    })
}
