//! A batch of sessions to record.

use diesel::PgConnection;
use serde::Serialize;

use super::{
    idempotency::{self, IdempotentRequest},
    store::{RecordOutcome, RecordedSession, record_all},
};
use crate::{
    error::{AppError, FieldError},
    ids::ClientId,
    sessions::record::IncomingSession,
};

pub(crate) struct RecordRequest {
    pub(crate) items: Vec<BatchItem>,
    /// Whether valid items are stored even if others are invalid.
    pub(crate) is_partial: bool,
}

/// A parsed item, or its `externalId` and errors.
pub(crate) type BatchItem = Result<IncomingSession, (Option<String>, Vec<FieldError>)>;

/// The answer to a batch.
pub(crate) struct RecordedBatch {
    /// JSON.
    pub(crate) body: String,
    /// Whether an earlier request with the same `Idempotency-Key` got this answer.
    pub(crate) is_replayed: bool,
}

/// Records the batch, or replays its saved answer. The transaction of the caller must include the authorization.
///
/// # Errors
/// [`AppError::Unprocessable`] if items are invalid and the batch is not partial; the errors of
/// [`idempotency::find_answer`].
pub(crate) fn record_once(
    connection: &mut PgConnection,
    client: &ClientId,
    batch: &RecordRequest,
    idempotent: Option<&IdempotentRequest>,
) -> Result<RecordedBatch, AppError> {
    let Some(request) = idempotent else {
        return Ok(RecordedBatch { body: store(connection, client, batch)?, is_replayed: false });
    };
    if let Some(body) = idempotency::find_answer(connection, client, request)? {
        return Ok(RecordedBatch { body, is_replayed: true });
    }
    let body = store(connection, client, batch)?;
    idempotency::save_answer(connection, client, request, &body)?;
    Ok(RecordedBatch { body, is_replayed: false })
}

fn store(
    connection: &mut PgConnection,
    client: &ClientId,
    batch: &RecordRequest,
) -> Result<String, AppError> {
    let invalid: Vec<_> = batch.items.iter().filter_map(|item| item.as_ref().err()).collect();
    if !invalid.is_empty() && !batch.is_partial {
        return Err(AppError::Unprocessable(
            invalid.into_iter().flat_map(|(_, errors)| errors.clone()).collect(),
        ));
    }
    let valid: Vec<IncomingSession> =
        batch.items.iter().filter_map(|item| item.as_ref().ok()).cloned().collect();
    let recorded = record_all(connection, client, &valid)?;
    serde_json::to_string(&BatchResult::new(&batch.items, recorded)).map_err(AppError::broken)
}

/// The JSON of an answer. An `Idempotency-Key` replays its text unchanged.
#[derive(Debug, Default, Serialize)]
struct BatchResult {
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

impl BatchResult {
    fn new(items: &[BatchItem], recorded: Vec<RecordedSession>) -> Self {
        let mut response = Self::default();
        let mut recorded = recorded.into_iter();
        for (index, item) in items.iter().enumerate() {
            let result = match item {
                Ok(session) => response.count_stored(index, session, recorded.next()),
                Err((external_id, errors)) => {
                    response.count_rejected(index, external_id.clone(), errors.clone())
                }
            };
            response.results.push(result);
        }
        response
    }

    fn count_stored(
        &mut self,
        index: usize,
        session: &IncomingSession,
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
            external_id: session.record.external_id.clone(),
            session_id,
            outcome,
            errors: Vec::new(),
        }
    }

    fn count_rejected(
        &mut self,
        index: usize,
        external_id: Option<String>,
        errors: Vec<FieldError>,
    ) -> ItemResult {
        self.rejected += 1;
        ItemResult { index, external_id, session_id: None, outcome: "rejected", errors }
    }
}
