//! The tables `imports`, `import_chunks` and `import_bad_lines`.

use diesel::{dsl::now, prelude::*};
use uuid::Uuid;

use super::{
    file::encoding::FileEncoding,
    importer::{ImportSummary, RejectedLine},
    job::{ImportId, ImportJob, ImportState, ImportTransition},
};
use crate::{
    ids::ClientId,
    schema::{import_bad_lines, import_chunks, imports, users},
};

/// Maximum number of errors kept of an import. The rest is only counted.
pub(crate) const REJECTED_FIELDS_MAX: usize = 10_000;
/// Maximum number of imports in the list.
const LISTED_MAX: i64 = 50;

pub(crate) fn begin_upload(
    connection: &mut PgConnection,
    import: &ImportId,
    file_name: &str,
    user_id: Uuid,
) -> QueryResult<()> {
    diesel::insert_into(imports::table)
        .values((
            imports::client_id.eq(&import.client),
            imports::import_id.eq(import.id),
            imports::file_name.eq(file_name),
            imports::state.eq(ImportState::Uploading),
            imports::created_by.eq(user_id),
        ))
        .execute(connection)
        .map(|_rows| ())
}

pub(crate) fn add_chunk(
    connection: &mut PgConnection,
    import: &ImportId,
    number: i32,
    bytes: &[u8],
) -> QueryResult<()> {
    diesel::insert_into(import_chunks::table)
        .values((
            import_chunks::client_id.eq(&import.client),
            import_chunks::import_id.eq(import.id),
            import_chunks::number.eq(number),
            import_chunks::bytes.eq(bytes),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// A file that was received completely and checked.
pub(crate) struct UploadedFile {
    pub(crate) chunks: i32,
    pub(crate) bytes: i64,
    pub(crate) is_json: bool,
    pub(crate) encoding: FileEncoding,
    /// The state that its import is in now.
    pub(crate) state: ImportState,
}

pub(crate) fn end_upload(
    connection: &mut PgConnection,
    import: &ImportId,
    file: &UploadedFile,
) -> QueryResult<()> {
    diesel::update(imports::table.find((&import.client, import.id)))
        .set((
            imports::chunks.eq(file.chunks),
            imports::bytes.eq(file.bytes),
            imports::state.eq(file.state),
            imports::is_json.eq(file.is_json),
            imports::encoding.eq(file.encoding),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// Deletes an upload that is incomplete or unreadable.
pub(crate) fn delete(connection: &mut PgConnection, import: &ImportId) -> QueryResult<()> {
    diesel::delete(imports::table.find((&import.client, import.id))).execute(connection).map(|_rows| ())
}

fn find(connection: &mut PgConnection, import: &ImportId) -> QueryResult<ImportJob> {
    imports::table.find((&import.client, import.id)).select(ImportJob::as_select()).first(connection)
}

/// One error in a line of the file.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = import_bad_lines, check_for_backend(diesel::pg::Pg))]
pub(crate) struct RejectedField {
    /// From 1.
    pub(crate) line: i64,
    pub(crate) field: String,
    pub(crate) message: String,
}

pub(crate) struct ImportDetails {
    pub(crate) job: ImportJob,
    /// The first chunk of the file while its columns are to be mapped, else empty.
    pub(crate) file_start: Vec<u8>,
    pub(crate) rejected: Vec<RejectedField>,
}

pub(crate) fn load_details(connection: &mut PgConnection, import: &ImportId) -> QueryResult<ImportDetails> {
    let job = find(connection, import)?;
    let file_start = match job.state {
        ImportState::Mapping => load_chunk(connection, import, 0)?,
        _ => Vec::new(),
    };
    let rejected = load_rejected(connection, import)?;
    Ok(ImportDetails { job, file_start, rejected })
}

fn load_chunk(connection: &mut PgConnection, import: &ImportId, number: i32) -> QueryResult<Vec<u8>> {
    import_chunks::table
        .find((&import.client, import.id, number))
        .select(import_chunks::bytes)
        .first(connection)
}

fn load_rejected(connection: &mut PgConnection, import: &ImportId) -> QueryResult<Vec<RejectedField>> {
    import_bad_lines::table
        .filter(import_bad_lines::client_id.eq(&import.client))
        .filter(import_bad_lines::import_id.eq(import.id))
        .order(import_bad_lines::number)
        .select(RejectedField::as_select())
        .load(connection)
}

/// The newest imports of the client, each with the name of the user who uploaded it.
pub(crate) fn list_imports(
    connection: &mut PgConnection,
    client: &ClientId,
) -> QueryResult<Vec<(ImportJob, Option<String>)>> {
    let rows: Vec<ImportJob> = imports::table
        .filter(imports::client_id.eq(client))
        .filter(imports::state.ne(ImportState::Uploading))
        .order((imports::created_at.desc(), imports::import_id.desc()))
        .limit(LISTED_MAX)
        .select(ImportJob::as_select())
        .load(connection)?;
    // A query of their own, because users are not distributed by client.
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

/// Changes the state if that is possible from the present one, otherwise does nothing. Counts start at zero again.
///
/// `mapping` has the field of each column, empty for columns to leave out. Fails with `NotFound` if the client has no
/// such import.
pub(crate) fn change_state(
    connection: &mut PgConnection,
    import: &ImportId,
    ImportTransition { from, to }: ImportTransition,
    mapping: Option<Vec<String>>,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        find(connection, import)?;
        let row = imports::table.find((&import.client, import.id));
        let is_changed = diesel::update(row.filter(imports::state.eq_any(from)))
            .set((imports::state.eq(to), imports::heartbeat_at.eq(None::<chrono::DateTime<chrono::Utc>>)))
            .execute(connection)?
            > 0;
        if is_changed && to.is_running() {
            reset_progress(connection, import)?;
        }
        if is_changed && mapping.is_some() {
            diesel::update(row).set(imports::mapping.eq(mapping)).execute(connection)?;
        }
        if is_changed && to.is_over() {
            end(connection, import)?;
        }
        Ok(())
    })
}

/// Discards an import for the operator. Returns `false` if it does not wait any more: it is being stored, or has ended
/// otherwise. Fails with `NotFound` if the client has no such import.
pub(crate) fn discard_import(
    connection: &mut PgConnection,
    client: &ClientId,
    import_id: Uuid,
) -> QueryResult<bool> {
    let import = ImportId { client: client.clone(), id: import_id };
    change_state(connection, &import, ImportTransition::DISCARD, None)?;
    let state: ImportState =
        imports::table.find((client, import_id)).select(imports::state).first(connection)?;
    Ok(state == ImportState::Discarded)
}

/// Sets the import back to its first chunk, without counts and rejected lines.
pub(crate) fn reset_progress(connection: &mut PgConnection, import: &ImportId) -> QueryResult<()> {
    diesel::delete(import_bad_lines::table)
        .filter(import_bad_lines::client_id.eq(&import.client))
        .filter(import_bad_lines::import_id.eq(import.id))
        .execute(connection)?;
    diesel::update(imports::table.find((&import.client, import.id)))
        .set((
            imports::chunks_done.eq(0),
            imports::created.eq(0),
            imports::updated.eq(0),
            imports::unchanged.eq(0),
            imports::rejected.eq(0),
            imports::skipped.eq(0),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// Marks the import as ended and deletes its file.
fn end(connection: &mut PgConnection, import: &ImportId) -> QueryResult<()> {
    diesel::delete(import_chunks::table)
        .filter(import_chunks::client_id.eq(&import.client))
        .filter(import_chunks::import_id.eq(import.id))
        .execute(connection)?;
    diesel::update(imports::table.find((&import.client, import.id)))
        .set(imports::ended_at.eq(now))
        .execute(connection)
        .map(|_rows| ())
}

/// Locks the import and returns a chunk of its file. Returns `None` if the import has changed state, or belongs to
/// another worker by now.
pub(crate) fn lock_chunk(
    connection: &mut PgConnection,
    import: &ImportId,
    worker: Uuid,
    state: ImportState,
    number: i32,
) -> QueryResult<Option<Vec<u8>>> {
    let locked = imports::table
        .find((&import.client, import.id))
        .filter(imports::worker.eq(worker))
        .filter(imports::state.eq(state))
        .select(imports::import_id)
        .for_update()
        .first::<Uuid>(connection)
        .optional()?;
    locked.map(|_id| load_chunk(connection, import, number)).transpose()
}

/// The result of one chunk.
pub(crate) struct ChunkResult<'a> {
    pub(crate) summary: ImportSummary,
    pub(crate) rejected: &'a [RejectedLine],
    /// How many errors earlier chunks had, at most [`REJECTED_FIELDS_MAX`].
    pub(crate) earlier_errors: usize,
    /// The state of the import after its last chunk.
    pub(crate) next_state: Option<ImportState>,
    /// Why the file is unreadable, as sentences.
    pub(crate) failure: Option<String>,
}

/// Adds the result of the next chunk.
pub(crate) fn save_chunk_result(
    connection: &mut PgConnection,
    import: &ImportId,
    result: &ChunkResult<'_>,
) -> QueryResult<()> {
    diesel::update(imports::table.find((&import.client, import.id)))
        .set((
            imports::chunks_done.eq(imports::chunks_done + 1),
            imports::created.eq(imports::created + count(result.summary.created)),
            imports::updated.eq(imports::updated + count(result.summary.updated)),
            imports::unchanged.eq(imports::unchanged + count(result.summary.unchanged)),
            imports::rejected.eq(imports::rejected + count(result.summary.rejected)),
            imports::skipped.eq(imports::skipped + count(result.summary.skipped)),
            imports::failure.eq(result.failure.as_deref()),
            imports::heartbeat_at.eq(now),
        ))
        .execute(connection)?;
    save_rejected(connection, import, result)?;
    if let Some(state) = result.next_state {
        diesel::update(imports::table.find((&import.client, import.id)))
            .set(imports::state.eq(state))
            .execute(connection)?;
        if state.is_over() {
            end(connection, import)?;
        }
    }
    Ok(())
}

/// Ends an import that can never be stored.
pub(crate) fn fail(connection: &mut PgConnection, import: &ImportId, reason: &str) -> QueryResult<()> {
    connection.transaction(|connection| {
        let row = imports::table.find((&import.client, import.id));
        let change = (imports::state.eq(ImportState::Failed), imports::failure.eq(reason));
        diesel::update(row).set(change).execute(connection)?;
        end(connection, import)
    })
}

fn save_rejected(
    connection: &mut PgConnection,
    import: &ImportId,
    result: &ChunkResult<'_>,
) -> QueryResult<()> {
    let errors = result.rejected.iter().flat_map(|line| line.errors.iter().map(|error| (line.line, error)));
    let rows: Vec<_> = (result.earlier_errors..REJECTED_FIELDS_MAX)
        .zip(errors)
        .map(|(number, (line, error))| {
            (
                import_bad_lines::client_id.eq(&import.client),
                import_bad_lines::import_id.eq(import.id),
                import_bad_lines::number.eq(i32::try_from(number).unwrap_or(i32::MAX)),
                import_bad_lines::line.eq(count(line)),
                import_bad_lines::field.eq(error.field.chars().take(100).collect::<String>()),
                import_bad_lines::message.eq(error.message.as_ref()),
            )
        })
        .collect();
    diesel::insert_into(import_bad_lines::table).values(rows).execute(connection).map(|_rows| ())
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Discards the files that the client has uploaded and not started, and returns their number.
pub(crate) fn discard_waiting(connection: &mut PgConnection, client: &ClientId) -> QueryResult<usize> {
    connection.transaction(|connection| {
        let waiting: Vec<Uuid> = imports::table
            .filter(imports::client_id.eq(client))
            .filter(imports::state.eq_any([ImportState::Mapping, ImportState::Checked]))
            .select(imports::import_id)
            .for_update()
            .load(connection)?;
        for id in &waiting {
            discard(connection, &ImportId { client: client.clone(), id: *id })?;
        }
        Ok(waiting.len())
    })
}

/// Ends the import and deletes its file, whatever its state.
pub(super) fn discard(connection: &mut PgConnection, import: &ImportId) -> QueryResult<()> {
    diesel::update(imports::table.find((&import.client, import.id)))
        .set(imports::state.eq(ImportState::Discarded))
        .execute(connection)?;
    end(connection, import)
}
