//! The tables `imports`, `import_chunks` and `import_bad_lines`.

use diesel::{
    dsl::{IntervalDsl as _, now},
    prelude::*,
    sql_types::Timestamptz,
};
use uuid::Uuid;

use super::{
    importer::{ImportSummary, RejectedLine},
    job::{ImportJob, ImportState},
};
use crate::{
    ids::ClientId,
    schema::{import_bad_lines, import_chunks, imports, users},
};

/// So many things that are wrong are kept of an import.
pub(crate) const BAD_LINES_MAX: usize = 10_000;
/// The list shows so many imports.
const LISTED_MAX: i64 = 50;
/// A node that was not heard of for so many seconds is taken to be dead.
const LEASE_SECONDS: i32 = 15;
/// What was uploaded is kept for so many hours at most.
const KEPT_HOURS: i32 = 24;

/// Begins an upload.
pub(crate) fn begin(
    connection: &mut PgConnection,
    client: &ClientId,
    import_id: Uuid,
    file_name: &str,
    user_id: Uuid,
) -> QueryResult<()> {
    diesel::insert_into(imports::table)
        .values((
            imports::client_id.eq(client.as_str()),
            imports::import_id.eq(import_id),
            imports::file_name.eq(file_name),
            imports::state.eq(ImportState::Uploading.as_str()),
            imports::created_by.eq(user_id),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// Stores the next chunk of an upload.
pub(crate) fn add_chunk(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    number: i32,
    bytes: &[u8],
) -> QueryResult<()> {
    diesel::insert_into(import_chunks::table)
        .values((
            import_chunks::client_id.eq(client.as_str()),
            import_chunks::import_id.eq(import_id),
            import_chunks::number.eq(number),
            import_chunks::bytes.eq(bytes),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// The upload is whole.
pub(crate) fn end_upload(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    (chunks, bytes): (i32, i64),
    (state, is_json): (ImportState, bool),
) -> QueryResult<()> {
    diesel::update(imports::table.find((client.as_str(), import_id)))
        .set((
            imports::chunks.eq(chunks),
            imports::bytes.eq(bytes),
            imports::state.eq(state.as_str()),
            imports::is_json.eq(is_json),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// Takes an upload away that did not come whole, or cannot be read.
pub(crate) fn forget(connection: &mut PgConnection, client: &ClientId, import_id: Uuid) -> QueryResult<()> {
    diesel::delete(imports::table.find((client.as_str(), import_id))).execute(connection).map(|_rows| ())
}

/// One import of the client.
fn find(connection: &mut PgConnection, client: &ClientId, import_id: Uuid) -> QueryResult<ImportJob> {
    imports::table.find((client.as_str(), import_id)).select(ImportJob::as_select()).first(connection)
}

/// What is wrong: line, field, message.
pub(crate) type RejectedField = (i64, String, String);

/// One import of the client, the first bytes of its file where its columns are asked for, and what is wrong in it.
pub(crate) fn view(
    connection: &mut PgConnection,
    client: &ClientId,
    import_id: Uuid,
) -> QueryResult<(ImportJob, Vec<u8>, Vec<RejectedField>)> {
    let import = find(connection, client, import_id)?;
    let start = match import.state() {
        ImportState::Mapping => chunk(connection, (client, import_id), 0)?,
        _ => Vec::new(),
    };
    let wrong = bad_lines(connection, client, import_id)?;
    Ok((import, start, wrong))
}

fn chunk(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    number: i32,
) -> QueryResult<Vec<u8>> {
    import_chunks::table
        .find((client.as_str(), import_id, number))
        .select(import_chunks::bytes)
        .first(connection)
}

fn bad_lines(
    connection: &mut PgConnection,
    client: &ClientId,
    import_id: Uuid,
) -> QueryResult<Vec<RejectedField>> {
    import_bad_lines::table
        .filter(import_bad_lines::client_id.eq(client.as_str()))
        .filter(import_bad_lines::import_id.eq(import_id))
        .order(import_bad_lines::number)
        .select((import_bad_lines::line, import_bad_lines::field, import_bad_lines::message))
        .load(connection)
}

/// The newest imports of the client, and the names of who uploaded them.
pub(crate) fn list(
    connection: &mut PgConnection,
    client: &ClientId,
) -> QueryResult<Vec<(ImportJob, Option<String>)>> {
    let rows: Vec<ImportJob> = imports::table
        .filter(imports::client_id.eq(client.as_str()))
        .filter(imports::state.ne(ImportState::Uploading.as_str()))
        .order((imports::created_at.desc(), imports::import_id.desc()))
        .limit(LISTED_MAX)
        .select(ImportJob::as_select())
        .load(connection)?;
    // Users are not distributed by client, so they are asked for apart.
    let ids: Vec<Uuid> = rows.iter().filter_map(|import| import.created_by).collect();
    let names: Vec<(Uuid, String)> = users::table
        .filter(users::user_id.eq_any(ids))
        .select((users::user_id, users::name))
        .load(connection)?;
    let with_uploader = |import: ImportJob| {
        let user = names.iter().find(|(id, _)| Some(*id) == import.created_by);
        let name = user.map(|(_, name)| name.clone());
        (import, name)
    };
    Ok(rows.into_iter().map(with_uploader).collect())
}

/// Moves an import on, if it is in one of these states. From there it is gone through anew.
///
/// # Errors
/// `NotFound` when the client has no such import; those of the database.
pub(crate) fn move_on(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    (from, to): (&[ImportState], ImportState),
    mapping: Option<Vec<String>>,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        find(connection, client, import_id)?;
        let from: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
        let import = imports::table.find((client.as_str(), import_id));
        let moved = diesel::update(import.filter(imports::state.eq_any(from)))
            .set((
                imports::state.eq(to.as_str()),
                imports::heartbeat_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            ))
            .execute(connection)?
            > 0;
        if moved && to.is_at_work() {
            start_over(connection, client, import_id)?;
        }
        if moved && mapping.is_some() {
            diesel::update(import).set(imports::mapping.eq(mapping)).execute(connection)?;
        }
        if moved && to.is_over() {
            end(connection, client, import_id)?;
        }
        Ok(())
    })
}

/// Nothing of it is gone through, counted or told.
pub(crate) fn start_over(
    connection: &mut PgConnection,
    client: &ClientId,
    import_id: Uuid,
) -> QueryResult<()> {
    diesel::delete(import_bad_lines::table)
        .filter(import_bad_lines::client_id.eq(client.as_str()))
        .filter(import_bad_lines::import_id.eq(import_id))
        .execute(connection)?;
    diesel::update(imports::table.find((client.as_str(), import_id)))
        .set((
            imports::chunks_done.eq(0),
            imports::created.eq(0),
            imports::updated.eq(0),
            imports::unchanged.eq(0),
            imports::rejected.eq(0),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// It is over: what was uploaded is not needed any more.
fn end(connection: &mut PgConnection, client: &ClientId, import_id: Uuid) -> QueryResult<()> {
    diesel::delete(import_chunks::table)
        .filter(import_chunks::client_id.eq(client.as_str()))
        .filter(import_chunks::import_id.eq(import_id))
        .execute(connection)?;
    diesel::update(imports::table.find((client.as_str(), import_id)))
        .set(imports::ended_at.eq(now))
        .execute(connection)
        .map(|_rows| ())
}

/// Takes an import that waits for a node, or whose node was not heard of; it is this worker's from now on.
///
/// The one question to all clients: who has work.
pub(crate) fn claim(connection: &mut PgConnection, worker: Uuid) -> QueryResult<Option<ImportJob>> {
    connection.transaction(|connection| {
        let oldest = now.into_sql::<Timestamptz>() - LEASE_SECONDS.seconds();
        let waiting: Option<ImportJob> = imports::table
            .filter(imports::state.eq_any([ImportState::Checking.as_str(), ImportState::Importing.as_str()]))
            .filter(imports::heartbeat_at.is_null().or(imports::heartbeat_at.lt(oldest.nullable())))
            .order(imports::created_at)
            .select(ImportJob::as_select())
            .for_update()
            .skip_locked()
            .first(connection)
            .optional()?;
        let Some(import) = waiting else { return Ok(None) };
        diesel::update(imports::table.find((&import.client_id, import.import_id)))
            .set((imports::worker.eq(worker), imports::heartbeat_at.eq(now)))
            .execute(connection)?;
        Ok(Some(import))
    })
}

/// The next chunk of an import that is still this worker's, in this state; `None`: it is not.
pub(crate) fn next_chunk(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    (worker, state): (Uuid, ImportState),
    number: i32,
) -> QueryResult<Option<Vec<u8>>> {
    let mine = imports::table
        .find((client.as_str(), import_id))
        .filter(imports::worker.eq(worker))
        .filter(imports::state.eq(state.as_str()))
        .select(imports::import_id)
        .for_update()
        .first::<Uuid>(connection)
        .optional()?;
    mine.map(|_id| chunk(connection, (client, import_id), number)).transpose()
}

/// What was found in a chunk.
pub(crate) struct ImportSnapshot<'a> {
    pub(crate) summary: ImportSummary,
    pub(crate) bad: &'a [RejectedLine],
    /// How many bad lines were told before.
    pub(crate) told: usize,
    /// After the last chunk: what the import is now.
    pub(crate) becomes: Option<ImportState>,
    pub(crate) failure: Option<&'a str>,
}

/// Notes that the next chunk was gone through.
pub(crate) fn advance(
    connection: &mut PgConnection,
    (client, import_id): (&ClientId, Uuid),
    found: &ImportSnapshot<'_>,
) -> QueryResult<()> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    diesel::update(imports::table.find((client.as_str(), import_id)))
        .set((
            imports::chunks_done.eq(imports::chunks_done + 1),
            imports::created.eq(imports::created + count(found.summary.created)),
            imports::updated.eq(imports::updated + count(found.summary.updated)),
            imports::unchanged.eq(imports::unchanged + count(found.summary.unchanged)),
            imports::rejected.eq(imports::rejected + count(found.summary.rejected)),
            imports::failure.eq(found.failure),
            imports::heartbeat_at.eq(now),
        ))
        .execute(connection)?;
    let reasons = found.bad.iter().flat_map(|bad| bad.errors.iter().map(|error| (bad.line, error)));
    let rows: Vec<_> = (found.told..BAD_LINES_MAX)
        .zip(reasons)
        .map(|(number, (line, error))| {
            (
                import_bad_lines::client_id.eq(client.as_str()),
                import_bad_lines::import_id.eq(import_id),
                import_bad_lines::number.eq(i32::try_from(number).unwrap_or(i32::MAX)),
                import_bad_lines::line.eq(count(line)),
                import_bad_lines::field.eq(error.field.chars().take(100).collect::<String>()),
                import_bad_lines::message.eq(error.message.as_ref()),
            )
        })
        .collect();
    diesel::insert_into(import_bad_lines::table).values(rows).execute(connection)?;
    if let Some(state) = found.becomes {
        diesel::update(imports::table.find((client.as_str(), import_id)))
            .set(imports::state.eq(state.as_str()))
            .execute(connection)?;
        if state.is_over() {
            end(connection, client, import_id)?;
        }
    }
    Ok(())
}

/// Discards what the client has uploaded and nobody has started yet, and says how many files that were.
///
/// # Errors
/// Those of the database.
pub(crate) fn discard_waiting(connection: &mut PgConnection, client: &ClientId) -> QueryResult<usize> {
    connection.transaction(|connection| {
        let waiting: Vec<Uuid> = imports::table
            .filter(imports::client_id.eq(client.as_str()))
            .filter(
                imports::state.eq_any([ImportState::Mapping, ImportState::Checked].map(ImportState::as_str)),
            )
            .select(imports::import_id)
            .for_update()
            .load(connection)?;
        for import_id in &waiting {
            diesel::update(imports::table.find((client.as_str(), import_id)))
                .set(imports::state.eq(ImportState::Discarded.as_str()))
                .execute(connection)?;
            end(connection, client, *import_id)?;
        }
        Ok(waiting.len())
    })
}

/// Discards what was uploaded long ago and came to no end. Asks all clients, as [`claim`] does.
pub(crate) fn discard_old(connection: &mut PgConnection) -> QueryResult<()> {
    connection.transaction(|connection| {
        let oldest = now.into_sql::<Timestamptz>() - KEPT_HOURS.hours();
        let over = [ImportState::Done, ImportState::Failed, ImportState::Discarded].map(ImportState::as_str);
        let old: Vec<(String, Uuid)> = imports::table
            .filter(imports::created_at.lt(oldest))
            .filter(imports::state.ne_all(over))
            .select((imports::client_id, imports::import_id))
            .for_update()
            .skip_locked()
            .load(connection)?;
        for (client, import_id) in old {
            let client = ClientId::from_database(client);
            diesel::update(imports::table.find((client.as_str(), import_id)))
                .set(imports::state.eq(ImportState::Discarded.as_str()))
                .execute(connection)?;
            end(connection, &client, import_id)?;
        }
        Ok(())
    })
}
