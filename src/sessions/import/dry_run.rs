//! What recording would do, found out without doing it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::content_id::fingerprint;
use crate::{
    ids::ClientId,
    sessions::{
        record::IncomingSession,
        recording::store::{RecordOutcome, SessionKey, StoredSession, known},
    },
};

/// Remembers the sessions that were given, because a later line may be about the same.
#[derive(Debug, Default)]
pub struct DryRun {
    states: HashMap<SessionIdentity, SimulatedSession>,
    /// Sessions that were nameless and got an `externalId`.
    named: HashMap<String, Uuid>,
}

/// Which session it is.
#[derive(Debug, PartialEq, Eq, Hash)]
enum SessionIdentity {
    /// Stored, or new under this id.
    Ours(Uuid),
    /// New under the sender's id.
    External(String),
}

/// What would be stored of a session.
#[derive(Debug)]
struct SimulatedSession {
    fingerprint: [u8; 32],
    /// Until when it holds; `None`: the sender did not say, so it is as of now.
    as_of: Option<DateTime<Utc>>,
    is_erased: bool,
    is_nameless: bool,
}

impl SimulatedSession {
    fn of(client: &ClientId, stored: &StoredSession, given: &IncomingSession) -> Self {
        Self {
            fingerprint: fingerprint(client, &stored.record),
            as_of: Some(stored.as_of(given)),
            is_erased: stored.erased_at.is_some(),
            is_nameless: stored.record.external_id.is_none(),
        }
    }
}

impl DryRun {
    /// What would become of these records after those before.
    ///
    /// # Errors
    /// Those of the database.
    pub fn outcomes(
        &mut self,
        connection: &mut PgConnection,
        client: &ClientId,
        given: &[IncomingSession],
    ) -> QueryResult<Vec<RecordOutcome>> {
        let known = known(connection, client, given)?;
        let outcome = |given: &IncomingSession| {
            let name = SessionKey::of(given);
            let stored = known.stored(given);
            let key = match (stored, name) {
                (Some(stored), _) => SessionIdentity::Ours(stored.session_id),
                (None, Some(SessionKey::External(id))) => self.key_of_new(id, given.session_id),
                (None, Some(SessionKey::Ours(id))) => SessionIdentity::Ours(id),
                // Nobody can be about the same.
                (None, None) => return RecordOutcome::Created,
            };
            let ours = if let SessionIdentity::Ours(id) = key { Some(id) } else { None };
            let outcome = self.take(client, key, stored, given);
            if let (Some(ours), Some(external), RecordOutcome::Updated) =
                (ours, &given.record.external_id, outcome)
            {
                self.named.insert(external.clone(), ours);
            }
            outcome
        };
        Ok(given.iter().map(outcome).collect())
    }

    /// The session of a sender's id that is not stored: one that got it before, or gets it now by our id.
    fn key_of_new(&self, external_id: String, session_id: Option<Uuid>) -> SessionIdentity {
        if let Some(id) = self.named.get(&external_id) {
            return SessionIdentity::Ours(*id);
        }
        let is_nameless =
            |id: &Uuid| self.states.get(&SessionIdentity::Ours(*id)).is_some_and(|state| state.is_nameless);
        session_id.filter(is_nameless).map_or(SessionIdentity::External(external_id), SessionIdentity::Ours)
    }

    fn take(
        &mut self,
        client: &ClientId,
        key: SessionIdentity,
        stored: Option<&StoredSession>,
        given: &IncomingSession,
    ) -> RecordOutcome {
        let is_nameless = given.record.external_id.is_none();
        let before = self.states.get(&key);
        let of_database =
            stored.filter(|_| before.is_none()).map(|stored| SimulatedSession::of(client, stored, given));
        let Some(before) = before.or(of_database.as_ref()) else {
            let fingerprint = fingerprint(client, &given.record);
            self.states.insert(
                key,
                SimulatedSession { fingerprint, as_of: given.updated_at, is_erased: false, is_nameless },
            );
            return RecordOutcome::Created;
        };
        let is_older = given.updated_at.is_some_and(|it| before.as_of.is_none_or(|as_of| it < as_of));
        if is_older {
            return RecordOutcome::Unchanged;
        }
        let is_erased = before.is_erased;
        let fingerprint = if is_erased {
            fingerprint(client, &given.record.clone().without_shopper())
        } else {
            fingerprint(client, &given.record)
        };
        let is_same = before.fingerprint == fingerprint;
        let confirms =
            given.updated_at.is_some() && !stored.is_some_and(|stored| stored.was_exported_as(given));
        if !is_same || confirms {
            self.states.insert(
                key,
                SimulatedSession { fingerprint, as_of: given.updated_at, is_erased, is_nameless },
            );
        }
        if is_same { RecordOutcome::Unchanged } else { RecordOutcome::Updated }
    }
}
