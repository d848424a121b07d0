//! Predicts the outcomes of recording without storing anything.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::content_id::fingerprint;
use crate::{
    ids::ClientId,
    sessions::{
        record::IncomingSession,
        recording::store::{RecordOutcome, SessionMatchKey, StoredSession, find_known},
    },
};

/// Remembers the sessions of earlier lines, because a later line may match one of them.
#[derive(Debug, Default)]
pub struct DryRunState {
    states: HashMap<SessionIdentity, DryRunSession>,
    /// Sessions without `externalId` that got one from a later line.
    named: HashMap<String, Uuid>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum SessionIdentity {
    /// Stored, or new with our id.
    Ours(Uuid),
    /// New with the sender's id.
    External(String),
}

/// A session as it would be stored.
#[derive(Debug)]
struct DryRunSession {
    fingerprint: [u8; 32],
    /// When the sender last changed it. `None` if it did not say; then it counts as the newest.
    as_of: Option<DateTime<Utc>>,
    is_erased: bool,
    lacks_external_id: bool,
}

impl DryRunSession {
    fn from_stored(client: &ClientId, stored: &StoredSession, incoming: &IncomingSession) -> Self {
        Self {
            fingerprint: fingerprint(client, &stored.record),
            as_of: Some(stored.as_of(incoming)),
            is_erased: stored.erased_at.is_some(),
            lacks_external_id: stored.record.external_id.is_none(),
        }
    }
}

impl DryRunState {
    /// The outcomes of these records, after those of earlier calls.
    ///
    /// # Errors
    /// If the stored sessions cannot be read.
    pub fn predict(
        &mut self,
        connection: &mut PgConnection,
        client: &ClientId,
        incoming: &[IncomingSession],
    ) -> QueryResult<Vec<RecordOutcome>> {
        let known = find_known(connection, client, incoming)?;
        let outcome = |incoming: &IncomingSession| {
            let key = SessionMatchKey::from_record(incoming);
            let stored = known.stored(incoming);
            let key = match (stored, key) {
                (Some(stored), _) => SessionIdentity::Ours(stored.session_id),
                (None, Some(SessionMatchKey::External(id))) => self.key_of_new(id, incoming.session_id),
                (None, Some(SessionMatchKey::Ours(id))) => SessionIdentity::Ours(id),
                // Without a key no record can match it.
                (None, None) => return RecordOutcome::Created,
            };
            let ours = if let SessionIdentity::Ours(id) = key { Some(id) } else { None };
            let outcome = self.apply(client, key, stored, incoming);
            if let (Some(ours), Some(external), RecordOutcome::Updated) =
                (ours, &incoming.record.external_id, outcome)
            {
                self.named.insert(external.clone(), ours);
            }
            outcome
        };
        Ok(incoming.iter().map(outcome).collect())
    }

    /// The key of a session whose `externalId` is not stored. It is our id if an earlier line gave that
    /// session this `externalId`, or if this record does so.
    fn key_of_new(&self, external_id: String, session_id: Option<Uuid>) -> SessionIdentity {
        if let Some(id) = self.named.get(&external_id) {
            return SessionIdentity::Ours(*id);
        }
        let lacks_external_id = |id: &Uuid| {
            self.states.get(&SessionIdentity::Ours(*id)).is_some_and(|state| state.lacks_external_id)
        };
        session_id
            .filter(lacks_external_id)
            .map_or(SessionIdentity::External(external_id), SessionIdentity::Ours)
    }

    fn apply(
        &mut self,
        client: &ClientId,
        key: SessionIdentity,
        stored: Option<&StoredSession>,
        incoming: &IncomingSession,
    ) -> RecordOutcome {
        let lacks_external_id = incoming.record.external_id.is_none();
        let before = self.states.get(&key);
        let of_database = stored
            .filter(|_| before.is_none())
            .map(|stored| DryRunSession::from_stored(client, stored, incoming));
        let Some(before) = before.or(of_database.as_ref()) else {
            let fingerprint = fingerprint(client, &incoming.record);
            self.states.insert(
                key,
                DryRunSession {
                    fingerprint,
                    as_of: incoming.updated_at,
                    is_erased: false,
                    lacks_external_id,
                },
            );
            return RecordOutcome::Created;
        };
        let is_older = incoming.updated_at.is_some_and(|it| before.as_of.is_none_or(|as_of| it < as_of));
        if is_older {
            return RecordOutcome::Unchanged;
        }
        let is_erased = before.is_erased;
        let fingerprint = if is_erased {
            fingerprint(client, &incoming.record.clone().without_shopper())
        } else {
            fingerprint(client, &incoming.record)
        };
        let is_same = before.fingerprint == fingerprint;
        let confirms =
            incoming.updated_at.is_some() && !stored.is_some_and(|stored| stored.was_exported_as(incoming));
        if !is_same || confirms {
            self.states.insert(
                key,
                DryRunSession { fingerprint, as_of: incoming.updated_at, is_erased, lacks_external_id },
            );
        }
        if is_same { RecordOutcome::Unchanged } else { RecordOutcome::Updated }
    }
}
