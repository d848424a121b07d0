//! A batch of sessions that a program sends, carried out once: the key, the records and the answer are of one
//! transaction.

use diesel::{Connection as _, PgConnection};
use serde::Serialize;

use super::{
    idempotency::{self, IdempotentRequest},
    store::{RecordOutcome, RecordedSession, record_all},
};
use crate::{
    api_keys::{Credentials, is_admitted},
    error::{AppError, FieldError},
    sessions::record::IncomingSession,
};

/// Whose sessions are recorded, and which.
pub(crate) struct RecordRequest {
    pub(crate) credentials: Credentials,
    pub(crate) items: Vec<BatchItem>,
    /// Store the good ones although others are wrong.
    pub(crate) is_partial: bool,
}

/// One item of a batch, parsed; or its `externalId` and what is wrong with it.
pub(crate) type BatchItem = Result<IncomingSession, (Option<String>, Vec<FieldError>)>;

/// The answer, and whether it was given before; `None`: the key is not let in. Key, records and answer are of one
/// transaction.
///
/// # Errors
/// [`AppError::Unprocessable`] when items are wrong and the batch is not partial; those of
/// [`idempotency::first_answer`] and of the database.
pub(crate) fn answer_once(
    connection: &mut PgConnection,
    batch: &RecordRequest,
    repeatable: Option<&IdempotentRequest>,
) -> Result<Option<(String, bool)>, AppError> {
    connection.transaction(|connection| answer_in_transaction(connection, batch, repeatable))
}

fn answer_in_transaction(
    connection: &mut PgConnection,
    batch: &RecordRequest,
    repeatable: Option<&IdempotentRequest>,
) -> Result<Option<(String, bool)>, AppError> {
    let client = &batch.credentials.client;
    if !is_admitted(connection, &batch.credentials)? {
        return Ok(None);
    }
    let Some(request) = repeatable else { return Ok(Some((store(connection, batch)?, false))) };
    if let Some(answer) = idempotency::first_answer(connection, client, request)? {
        return Ok(Some((answer, true)));
    }
    let answer = store(connection, batch)?;
    idempotency::keep(connection, client, request, &answer)?;
    Ok(Some((answer, false)))
}

fn store(connection: &mut PgConnection, batch: &RecordRequest) -> Result<String, AppError> {
    let wrong: Vec<_> = batch.items.iter().filter_map(|item| item.as_ref().err()).collect();
    if !wrong.is_empty() && !batch.is_partial {
        return Err(AppError::Unprocessable(
            wrong.into_iter().flat_map(|(_, errors)| errors.clone()).collect(),
        ));
    }
    let good: Vec<IncomingSession> =
        batch.items.iter().filter_map(|item| item.as_ref().ok()).cloned().collect();
    let recorded = record_all(connection, &batch.credentials.client, &good)?;
    serde_json::to_string(&RecordResponse::of(&batch.items, recorded)).map_err(AppError::broken)
}

/// The answer; its text is what an `Idempotency-Key` replays.
#[derive(Debug, Default, Serialize)]
struct RecordResponse {
    created: usize,
    updated: usize,
    unchanged: usize,
    rejected: usize,
    results: Vec<ItemResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemResult {
    index: usize,
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<uuid::Uuid>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl RecordResponse {
    fn of(items: &[BatchItem], recorded: Vec<RecordedSession>) -> Self {
        let mut answer = Self::default();
        let mut recorded = recorded.into_iter();
        for (index, item) in items.iter().enumerate() {
            let result = match item {
                Ok(given) => answer.stored(index, given, recorded.next()),
                Err((external_id, errors)) => answer.refused(index, external_id.clone(), errors.clone()),
            };
            answer.results.push(result);
        }
        answer
    }

    fn stored(
        &mut self,
        index: usize,
        given: &IncomingSession,
        recorded: Option<RecordedSession>,
    ) -> ItemResult {
        let (count, outcome) = match recorded.map(|it| it.outcome) {
            Some(RecordOutcome::Created) => (&mut self.created, "created"),
            Some(RecordOutcome::Updated) => (&mut self.updated, "updated"),
            _ => (&mut self.unchanged, "unchanged"),
        };
        *count += 1;
        let session_id = recorded.map(|it| it.session_id);
        ItemResult {
            index,
            external_id: given.record.external_id.clone(),
            session_id,
            outcome,
            errors: Vec::new(),
        }
    }

    fn refused(&mut self, index: usize, external_id: Option<String>, errors: Vec<FieldError>) -> ItemResult {
        self.rejected += 1;
        ItemResult { index, external_id, session_id: None, outcome: "rejected", errors }
    }
}
