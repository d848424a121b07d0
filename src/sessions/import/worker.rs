//! Processes uploaded files in the background, chunk by chunk.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use diesel::{Connection as _, PgConnection, QueryResult};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::{
    dry_run::DryRunState,
    file::unreadable_file::UnreadableFile,
    importer::{ImportMode, ImportSummary, split_rejected},
    job::{ImportId, ImportJob, ImportState},
    parser::{ParsedLines, SessionFileParser},
    queue,
    store::{self, ChunkResult, REJECTED_FIELDS_MAX},
};
use crate::{
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::{Db, is_row_violation},
    error::AppError,
    failure_log::FailureLog,
    metrics::ImportMetrics,
    web::format::time,
};

/// How often to look for work. Other nodes cannot wake this one.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Old imports are discarded once in this many polls.
const POLLS_PER_SWEEP: u32 = 300;

/// Why an import ends if the database refuses one of its sessions, which the parser should have rejected.
const REFUSED: &str = "The database refused a session of this file. The log of the server says why. What was stored \
                       before it stays; importing the file again changes nothing there.";

/// Each node has one.
pub struct ImportWorker {
    db: Db,
    chain_key: ChainKey,
    /// The worker id of the last claim. Each claim has a new one, so that an earlier chunk on a connection that was given
    /// up cannot be stored any more.
    last_claim: Mutex<Uuid>,
    wake_up: Notify,
    metrics: ImportMetrics,
}

impl ImportWorker {
    /// A worker that is not running yet. The key is for its records in the audit log.
    #[must_use]
    pub fn new(db: Db, chain_key: ChainKey) -> Self {
        Self {
            db,
            chain_key,
            last_claim: Mutex::new(Uuid::now_v7()),
            wake_up: Notify::new(),
            metrics: ImportMetrics::default(),
        }
    }

    pub(crate) fn metrics(&self) -> &ImportMetrics {
        &self.metrics
    }

    /// Makes the worker look for work at once.
    pub fn wake(&self) {
        self.wake_up.notify_one();
    }

    /// Processes imports. Never returns.
    pub async fn run(&self) {
        let mut sweep_log =
            FailureLog::new("Old imports were not discarded", "Old imports are discarded again");
        let mut log = FailureLog::new("Imports are interrupted; they go on later", "Imports go on");
        for poll in (0..POLLS_PER_SWEEP).cycle() {
            if poll == 0 {
                sweep_log.record(&self.db.run(queue::discard_old).await);
            }
            log.record(&self.work_on_all().await);
            let _woken_or_elapsed = timeout(POLL_INTERVAL, self.wake_up.notified()).await;
        }
    }

    /// Processes imports until none is left.
    async fn work_on_all(&self) -> Result<(), AppError> {
        loop {
            match self.work_on_next().await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(cause) => {
                    if !cause.is_temporary() {
                        // Other imports come first until the lease of this one ends.
                        self.remember_claim(Uuid::now_v7());
                    }
                    return Err(cause);
                }
            }
        }
    }

    /// Processes one import. Returns whether there was one.
    ///
    /// # Errors
    /// If the database fails. The import then continues at its last chunk, here or on another node.
    pub async fn work_on_next(&self) -> Result<bool, AppError> {
        let Some(mut import) = self.claim().await? else { return Ok(false) };
        while let Some(rest) = self.step(import).await? {
            import = rest;
        }
        Ok(true)
    }

    /// Takes over an import that no worker processes, or that this one could not finish.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn claim(&self) -> Result<Option<ClaimedImport>, AppError> {
        let predecessor = *self.last_claim.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = Uuid::now_v7();
        let claimed = self.db.run(move |connection| queue::claim(connection, predecessor, worker)).await?;
        let Some(job) = claimed else { return Ok(None) };
        self.remember_claim(worker);
        Ok(Some(ClaimedImport::new(job, worker)))
    }

    fn remember_claim(&self, worker: Uuid) {
        *self.last_claim.lock().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    /// Processes the next chunk in one transaction. Returns `None` if nothing is left to do.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn step(&self, mut import: ClaimedImport) -> Result<Option<ClaimedImport>, AppError> {
        let (chain_key, metrics) = (self.chain_key.clone(), self.metrics.clone());
        self.db
            .run(move |connection| {
                let outcome = connection.transaction(|connection| {
                    let has_more = import.process_chunk(connection)?;
                    if import.is_done {
                        import.record_audit_event(connection, &chain_key)?;
                    }
                    Ok::<_, diesel::result::Error>(has_more)
                });
                match outcome {
                    Err(cause) if is_row_violation(&cause) => {
                        tracing::error!(?cause, import = %import.import.id, "An import failed");
                        store::fail(connection, &import.import, REFUSED)?;
                        metrics.record_failed();
                        Ok(None)
                    }
                    outcome => {
                        let has_more = outcome?;
                        import.stored.take().inspect(|chunk| chunk.record(&metrics));
                        Ok::<_, AppError>(has_more.then_some(import))
                    }
                }
            })
            .await
    }
}

/// An import that this worker processes.
pub struct ClaimedImport {
    worker: Uuid,
    import: ImportId,
    job: ImportJob,
    parser: SessionFileParser,
    mode: ImportMode,
    next_chunk: i32,
    error_count: usize,
    /// Whether all sessions are stored.
    is_done: bool,
    /// The last chunk, for the metrics, once its transaction is committed.
    stored: Option<StoredChunk>,
}

/// What the transaction of a chunk has changed.
struct StoredChunk {
    /// `None` in a dry run.
    summary: Option<ImportSummary>,
    next_state: Option<ImportState>,
}

impl StoredChunk {
    fn record(&self, metrics: &ImportMetrics) {
        if let Some(ImportSummary { created, updated, unchanged, rejected, skipped }) = self.summary {
            metrics.add_lines(&[
                ("created", created),
                ("updated", updated),
                ("unchanged", unchanged),
                ("rejected", rejected),
                ("skipped", skipped),
            ]);
        }
        match self.next_state {
            Some(ImportState::Done) => metrics.record_done(),
            Some(ImportState::Failed) => metrics.record_failed(),
            _ => {}
        }
    }
}

impl ClaimedImport {
    fn new(job: ImportJob, worker: Uuid) -> Self {
        let client = job.client_id.clone();
        let parser = SessionFileParser::new(client.clone(), time::now(), job.encoding, job.format());
        let is_real = job.state == ImportState::Importing;
        let mode = if is_real { ImportMode::Real } else { ImportMode::Dry(DryRunState::default()) };
        let import = ImportId { client, id: job.import_id };
        Self {
            worker,
            import,
            job,
            parser,
            mode,
            next_chunk: 0,
            error_count: 0,
            is_done: false,
            stored: None,
        }
    }

    /// Returns whether there are more chunks.
    fn process_chunk(&mut self, connection: &mut PgConnection) -> QueryResult<bool> {
        let state = self.job.state;
        if self.next_chunk == 0 && state == ImportState::Checking && self.job.chunks_done > 0 {
            // The state of a dry run is only in memory, so a takeover begins anew.
            store::reset_progress(connection, &self.import)?;
            self.job.chunks_done = 0;
        }
        let chunk = store::lock_chunk(connection, &self.import, self.worker, state, self.next_chunk)?;
        let Some(bytes) = chunk else { return Ok(false) };
        self.next_chunk += 1;
        let is_last = self.next_chunk >= self.job.chunks;
        let (parsed, failure) = self.parse(&bytes, is_last);
        let (sessions, rejected) = split_rejected(parsed.lines);
        let earlier_errors = self.error_count.min(REJECTED_FIELDS_MAX);
        self.error_count += rejected.iter().map(|line| line.errors.len()).sum::<usize>();
        if self.next_chunk <= self.job.chunks_done {
            // Another worker stored this chunk. Parsing it restores the parser's state for the next one.
            return Ok(true);
        }
        let mut summary = self.mode.apply(connection, &self.import.client, &sessions)?;
        summary.rejected += u64::try_from(rejected.len()).unwrap_or(u64::MAX);
        summary.skipped += parsed.skipped;
        let next_state = match &failure {
            Some(_) => Some(ImportState::Failed),
            None => is_last.then(|| after_last_chunk(state)),
        };
        let failure = failure.map(|reason| reason.to_string());
        let result = ChunkResult { summary, rejected: &rejected, earlier_errors, next_state, failure };
        store::save_chunk_result(connection, &self.import, &result)?;
        self.is_done = next_state == Some(ImportState::Done);
        self.stored =
            Some(StoredChunk { summary: (state == ImportState::Importing).then_some(summary), next_state });
        Ok(next_state.is_none())
    }

    /// Belongs in the transaction of the last chunk. The actor is the user who uploaded the file.
    fn record_audit_event(&self, connection: &mut PgConnection, chain_key: &ChainKey) -> QueryResult<()> {
        let job = store::load_details(connection, &self.import)?.job;
        let actor = job.created_by.map_or(Actor::System, Actor::User);
        let event = import_finished(&job.summary()).on(&self.import.id);
        audit::record(connection, &self.import.client, &AuditContext::new(chain_key, actor), &event)
    }

    fn parse(&mut self, bytes: &[u8], is_last: bool) -> (ParsedLines, Option<UnreadableFile>) {
        let mut parsed = ParsedLines::default();
        let mut result = self.parser.feed(bytes, &mut parsed);
        if result.is_ok() && is_last {
            result = self.parser.end(&mut parsed);
        }
        (parsed, result.err())
    }
}

fn after_last_chunk(state: ImportState) -> ImportState {
    if state == ImportState::Importing { ImportState::Done } else { ImportState::Checked }
}

/// The audit event of an import. It has the counts but not the file's name, which may contain a person's.
pub(crate) fn import_finished(summary: &ImportSummary) -> AuditEvent {
    let ImportSummary { created, updated, unchanged, rejected, skipped } = summary;
    AuditEvent::new(EventKind::ImportFinished)
        .with("created", created)
        .with("updated", updated)
        .with("unchanged", unchanged)
        .with("rejected", rejected)
        .with("skipped", skipped)
}
