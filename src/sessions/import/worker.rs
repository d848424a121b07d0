//! Goes through what was uploaded, chunk by chunk.

use std::time::Duration;

use diesel::{Connection as _, PgConnection};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::{
    dry_run::DryRun,
    importer::{ImportMode, ImportSummary, split_rejected},
    job::{ImportJob, ImportState},
    parser::{ParsedLine, SessionFileParser, UnreadableFile},
    store::{self, BAD_LINES_MAX, ImportSnapshot},
};
use crate::{
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::Db,
    error::AppError,
    ids::ClientId,
    web::time,
};

/// How often it is asked whether there is work, of other nodes too.
const EVERY: Duration = Duration::from_secs(2);
/// In one of so many rounds what is old is discarded.
const ROUNDS_PER_SWEEP: u32 = 300;

/// One for each node.
pub struct ImportWorker {
    db: Db,
    chain: ChainKey,
    id: Uuid,
    bell: Notify,
}

impl ImportWorker {
    /// A worker that has not begun. What it finishes it writes into the audit log, under the key of `chain`.
    #[must_use]
    pub fn new(db: Db, chain: ChainKey) -> Self {
        Self { db, chain, id: Uuid::now_v7(), bell: Notify::new() }
    }

    /// There is work.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// Works, for ever.
    pub async fn run(&self) {
        for round in (0..ROUNDS_PER_SWEEP).cycle() {
            if round == 0
                && let Err(error) = self.db.run(store::discard_old).await
            {
                tracing::warn!(%error, "Old imports were not discarded");
            }
            loop {
                match self.work_on_next().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "An import was interrupted; it goes on later");
                        break;
                    }
                }
            }
            // It is asked again in any case: other nodes ring no bell here.
            let _rung = timeout(EVERY, self.bell.notified()).await;
        }
    }

    /// Takes an import and goes through it; whether there was one.
    ///
    /// # Errors
    /// Those of the database. Then another worker, or this one, goes on later.
    pub async fn work_on_next(&self) -> Result<bool, AppError> {
        let Some(mut work) = self.claim().await? else { return Ok(false) };
        while let Some(rest) = self.step(work).await? {
            work = rest;
        }
        Ok(true)
    }

    /// Takes an import.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&self) -> Result<Option<ClaimedImport>, AppError> {
        let id = self.id;
        let claimed = self.db.run(move |connection| store::claim(connection, id)).await?;
        Ok(claimed.map(ClaimedImport::of))
    }

    /// Goes through the next chunk, in one transaction; `None`: there is nothing more to do.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn step(&self, mut work: ClaimedImport) -> Result<Option<ClaimedImport>, AppError> {
        let (id, chain) = (self.id, self.chain.clone());
        self.db
            .run(move |connection| {
                let goes_on = connection.transaction(|connection| {
                    let goes_on = work.step(connection, id)?;
                    if work.is_done {
                        work.tell(connection, &chain)?;
                    }
                    Ok::<_, diesel::result::Error>(goes_on)
                })?;
                Ok::<_, AppError>(goes_on.then_some(work))
            })
            .await
    }
}

/// An import that is gone through.
pub struct ClaimedImport {
    client: ClientId,
    import: ImportJob,
    parser: SessionFileParser,
    mode: ImportMode,
    /// The next chunk.
    next: i32,
    told: usize,
    /// Its sessions are imported, all that can be.
    is_done: bool,
}

impl ClaimedImport {
    fn of(import: ImportJob) -> Self {
        let client = ClientId::from_database(import.client_id.clone());
        let parser = SessionFileParser::new(client.clone(), time::now(), import.format());
        let is_real = import.state() == ImportState::Importing;
        let mode = if is_real { ImportMode::Real } else { ImportMode::Dry(DryRun::default()) };
        Self { client, import, parser, mode, next: 0, told: 0, is_done: false }
    }

    /// Whether it goes on.
    fn step(&mut self, connection: &mut PgConnection, worker: Uuid) -> diesel::QueryResult<bool> {
        let (client, state) = (self.client.clone(), self.import.state());
        let id = (&client, self.import.import_id);
        if self.next == 0 && state == ImportState::Checking && self.import.chunks_done > 0 {
            // What is found out is not stored: it begins anew.
            store::start_over(connection, id.0, id.1)?;
            self.import.chunks_done = 0;
        }
        let Some(bytes) = store::next_chunk(connection, id, (worker, state), self.next)? else {
            return Ok(false);
        };
        self.next += 1;
        let is_last = self.next >= self.import.chunks;
        let (lines, failure) = self.lines(&bytes, is_last);
        let (good, bad) = split_rejected(lines);
        let told = self.told;
        self.told += bad.iter().map(|bad| bad.errors.len()).sum::<usize>();
        if self.next <= self.import.chunks_done {
            // Gone through before by another worker; only what the next chunks need of it is read again.
            return Ok(true);
        }
        let mut summary = self.mode.take(connection, &self.client, &good)?;
        summary = summary
            + ImportSummary {
                rejected: u64::try_from(bad.len()).unwrap_or(u64::MAX),
                ..ImportSummary::default()
            };
        let after = if state == ImportState::Importing { ImportState::Done } else { ImportState::Checked };
        let becomes = match &failure {
            Some(_) => Some(ImportState::Failed),
            None => is_last.then_some(after),
        };
        let failure = failure.as_ref().map(|error| error.0.as_str());
        let told = told.min(BAD_LINES_MAX);
        store::advance(connection, id, &ImportSnapshot { summary, bad: &bad, told, becomes, failure })?;
        self.is_done = becomes == Some(ImportState::Done);
        Ok(becomes.is_none())
    }

    /// Writes into the audit log, in the transaction of the last chunk, that it is done. Whoever uploaded the file did it.
    fn tell(&self, connection: &mut PgConnection, chain: &ChainKey) -> diesel::QueryResult<()> {
        let id = self.import.import_id;
        let (import, _, _) = store::view(connection, &self.client, id)?;
        let actor = import.created_by.map_or(Actor::System, Actor::User);
        let act = imported(&import.summary()).on(&id);
        audit::record(connection, &self.client, &AuditContext::new(chain, actor), &act)
    }

    fn lines(&mut self, bytes: &[u8], is_last: bool) -> (Vec<ParsedLine>, Option<UnreadableFile>) {
        let mut lines = Vec::new();
        let mut read = self.parser.feed(bytes, &mut lines);
        if read.is_ok() && is_last {
            read = self.parser.end(&mut lines);
        }
        (lines, read.err())
    }
}

/// What the audit log says of an import: the counts, not the name of the file, which may be a person's.
pub(crate) fn imported(summary: &ImportSummary) -> AuditEvent {
    let ImportSummary { created, updated, unchanged, rejected } = summary;
    AuditEvent::new(EventKind::ImportFinished)
        .with("created", created)
        .with("updated", updated)
        .with("unchanged", unchanged)
        .with("rejected", rejected)
}
