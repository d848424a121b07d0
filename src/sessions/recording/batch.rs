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

/// A parsed item.
pub(crate) type BatchItem = Result<IncomingSession, RejectedItem>;

/// The `externalId` of an invalid item, and its errors.
pub(crate) type RejectedItem = (Option<String>, Vec<FieldError>);

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
    batch: RecordRequest,
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

fn store(connection: &mut PgConnection, client: &ClientId, batch: RecordRequest) -> Result<String, AppError> {
    let (mut valid, mut parsed) = (Vec::new(), Vec::new());
    for item in batch.items {
        parsed.push(item.map(|session| valid.push(session)));
    }
    if valid.len() < parsed.len() && !batch.is_partial {
        return Err(AppError::Unprocessable(
            parsed.into_iter().filter_map(Result::err).flat_map(|(_, errors)| errors).collect(),
        ));
    }
    let recorded = record_all(connection, client, &valid)?;
    let response = BatchResult::new(parsed, valid.iter().zip(recorded));
    serde_json::to_string(&response).map_err(AppError::broken)
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
    /// `stored` are the valid items in their order.
    fn new<'a>(
        items: Vec<Result<(), RejectedItem>>,
        mut stored: impl Iterator<Item = (&'a IncomingSession, RecordedSession)>,
    ) -> Self {
        let mut response = Self::default();
        for (index, item) in items.into_iter().enumerate() {
            let result = match item {
                Ok(()) => {
                    stored.next().map(|(session, recorded)| response.count_stored(index, session, recorded))
                }
                Err((external_id, errors)) => Some(response.count_rejected(index, external_id, errors)),
            };
            response.results.extend(result);
        }
        response
    }

    fn count_stored(
        &mut self,
        index: usize,
        session: &IncomingSession,
        recorded: RecordedSession,
    ) -> ItemResult {
        let (count, outcome) = match recorded.outcome {
            RecordOutcome::Created => (&mut self.created, "created"),
            RecordOutcome::Updated => (&mut self.updated, "updated"),
            RecordOutcome::Unchanged => (&mut self.unchanged, "unchanged"),
        };
        *count += 1;
        ItemResult {
            index,
            external_id: session.record.external_id.clone(),
            session_id: Some(recorded.session_id),
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
