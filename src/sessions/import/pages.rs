//! Sessions → Import: the upload, the columns, what would happen, and how far it is.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path, Payload},
};
use askama::Template;
use uuid::Uuid;

use super::{
    importer::ImportSummary,
    job::{ImportJob, ImportState},
    parser::FileFormat,
    store,
    worker::ImportWorker,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    config::Settings,
    db::Db,
    error::AppError,
    ids::ClientId,
    sessions::{self, fields::COLUMNS},
    web::{
        body::RawBody,
        format::{byte_size, grouped},
        page::{NavSection, PageLayout, respond, see_other},
        time::DisplayTime,
        upload::FileUpload,
    },
};

/// A form for the columns has at most so many bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// So many columns may be mapped in the browser.
const COLUMNS_MAX: usize = 100;
/// So many lines are shown beside the columns.
const SAMPLES: usize = 3;
/// So many things that are wrong are shown; all that are kept are in a file.
const BAD_LINES_SHOWN: usize = 100;
/// The longest name of a file that is kept, in characters.
const NAME_MAX: usize = 255;
/// Parts and their heads take some bytes beside the file.
const FORM_BYTES: usize = 16 * 1024;

const ADMINS_ONLY: &str = "Only owners and admins of this client import sessions.";
const OTHER_CLIENT: &str = "This form is of another client. Open the page again.";

#[derive(Template)]
#[template(path = "sessions/import/index.html")]
struct ImportListPage {
    layout: PageLayout,
    client_id: String,
    may_import: bool,
    limit_mib: u32,
    error: Option<String>,
    imports: Vec<ImportRow>,
}

/// An import in the list.
struct ImportRow {
    import_id: Uuid,
    file_name: String,
    state: ImportState,
    created: DisplayTime,
    by: String,
    summary: ImportSummary,
}

impl ImportRow {
    /// What was stored, by the columns of the list; of what was not, nothing is said.
    fn counts(&self) -> [(&'static str, String); 4] {
        let ImportSummary { created, updated, unchanged, rejected } = self.summary;
        [("Created", created), ("Updated", updated), ("Unchanged", unchanged), ("Rejected", rejected)].map(
            |(name, count)| (name, if self.state.has_stored() { count.to_string() } else { "–".to_owned() }),
        )
    }
}

pub(crate) async fn index(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    show_index(visitor, &db, &settings, None).await
}

async fn show_index(
    visitor: MaybeSignedIn,
    db: &Db,
    settings: &Settings,
    refusal: Option<(StatusCode, String)>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Import sessions", NavSection::Sessions)?;
    let client = signed_in.client();
    let found = db.run(move |connection| store::list(connection, &client)).await?;
    let row = |(import, by): (ImportJob, Option<String>)| ImportRow {
        import_id: import.import_id,
        state: import.state(),
        created: import.created_at.into(),
        by: by.unwrap_or_else(|| "–".to_owned()),
        summary: import.summary(),
        file_name: import.file_name,
    };
    let (status, error) = refusal.unzip();
    let page = ImportListPage {
        layout,
        client_id: signed_in.client().to_string(),
        may_import: signed_in.is_admin(),
        limit_mib: settings.import_mib,
        error,
        imports: found.into_iter().map(row).collect(),
    };
    respond(status.unwrap_or(StatusCode::OK), &page)
}

pub(crate) async fn create(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    payload: Payload,
    desk: (Data<Db>, Data<Settings>, Data<ImportWorker>),
) -> Result<HttpResponse, AppError> {
    let (db, settings, worker) = desk;
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let limit = settings.import_bytes() + FORM_BYTES;
    let mut upload = FileUpload::begin(&request, payload, "file", limit).await?;
    // A file without a client is refused, too.
    signed_in.require_client(Some(upload.text("clientId")), OTHER_CLIENT)?;
    let (client, import_id) = (signed_in.client(), Uuid::now_v7());
    let name = name_of(&upload);
    let (user_id, of) = (signed_in.user_id, client.clone());
    db.run(move |connection| store::begin(connection, &of, import_id, &name, user_id)).await?;
    let outcome = receive(&mut upload, &db, (&client, import_id)).await;
    let refusal = match outcome {
        Ok(None) => {
            worker.wake();
            return Ok(see_other(&format!("/sessions/imports/{import_id}")));
        }
        Ok(Some(message)) => Ok((StatusCode::UNPROCESSABLE_ENTITY, message)),
        Err(AppError::TooLarge(_)) => Ok((StatusCode::PAYLOAD_TOO_LARGE, too_large(settings.import_mib))),
        Err(error) => Err(error),
    };
    db.run(move |connection| store::forget(connection, &client, import_id)).await?;
    show_index(visitor, &db, &settings, Some(refusal?)).await
}

fn too_large(limit_mib: u32) -> String {
    format!(
        "The file is larger than {limit_mib} MiB. Divide it, or import it on the server with uptok import."
    )
}

fn name_of(upload: &FileUpload) -> String {
    let name = upload.file_name().chars().filter(|it| !it.is_control()).take(NAME_MAX).collect::<String>();
    if name.trim().is_empty() { "without a name".to_owned() } else { name }
}

/// Stores the file as it comes in; says what is wrong if it cannot be imported.
async fn receive(
    upload: &mut FileUpload,
    db: &Db,
    (client, import_id): (&ClientId, Uuid),
) -> Result<Option<String>, AppError> {
    let (mut count, mut length, mut next) = (0, 0, None);
    while let Some(bytes) = upload.chunk().await? {
        if count == 0 {
            match what_next(&bytes) {
                Ok(state) => next = Some(state),
                Err(message) => return Ok(Some(message)),
            }
        }
        length += i64::try_from(bytes.len()).map_err(AppError::broken)?;
        let (client, number) = (client.clone(), count);
        db.run(move |connection| store::add_chunk(connection, (&client, import_id), number, &bytes)).await?;
        count += 1;
    }
    let Some(next) = next else { return Ok(Some("The file is empty. Choose another.".to_owned())) };
    let client = client.clone();
    let size = (count, length);
    db.run(move |connection| store::end_upload(connection, (&client, import_id), size, next)).await?;
    Ok(None)
}

/// What happens to a file that begins so, and whether it is NDJSON.
fn what_next(start: &[u8]) -> Result<(ImportState, bool), String> {
    if FileFormat::is_json(start) {
        return Ok((ImportState::Checking, true));
    }
    let (names, _) = sessions::read_columns(start, 0).map_err(|error| {
        format!("This is no file of sessions: {error}. Choose a CSV or NDJSON file in UTF-8.")
    })?;
    if names.len() > COLUMNS_MAX {
        return Err(format!(
            "The file has {} columns. Leave those out that are not needed, down to {COLUMNS_MAX}.",
            names.len()
        ));
    }
    if names.len() < 2 || names.iter().any(|name| name.chars().any(char::is_control)) {
        return Err(
            "This is no file of sessions: its first line is no row of column names. Choose a CSV or NDJSON file."
                .to_owned(),
        );
    }
    let is_understood = sessions::check_header(&names).is_ok();
    Ok((if is_understood { ImportState::Checking } else { ImportState::Mapping }, false))
}

#[derive(Template)]
#[template(path = "sessions/import/show.html")]
struct ImportPage {
    layout: PageLayout,
    import: ImportJob,
    state: ImportState,
    created: DisplayTime,
    size: String,
    summary: ImportSummary,
    bad_lines: Vec<(i64, String, String)>,
    /// How much is wrong in them, where that is more than is shown.
    all_wrong: Option<String>,
    columns: Vec<ColumnChoice>,
    /// Why somebody has to name them, in a sentence.
    why: Option<String>,
    fields: &'static [&'static str],
    error: Option<String>,
    may_import: bool,
}

/// A column of the file that somebody has to name.
struct ColumnChoice {
    theirs: String,
    samples: String,
    ours: &'static str,
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    show_with(visitor, *path, &db, None).await
}

async fn show_with(
    visitor: MaybeSignedIn,
    import_id: Uuid,
    db: &Db,
    wrong: Option<(Vec<Option<&'static str>>, String)>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Import", NavSection::Sessions)?;
    let client = signed_in.client();
    let (import, start, mut bad_lines) =
        db.run(move |connection| store::view(connection, &client, import_id)).await?;
    let all_wrong = (bad_lines.len() > BAD_LINES_SHOWN)
        .then(|| grouped(i64::try_from(bad_lines.len()).unwrap_or(i64::MAX)));
    bad_lines.truncate(BAD_LINES_SHOWN);
    let (chosen, error) = wrong.unzip();
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = ImportPage {
        layout,
        state: import.state(),
        created: import.created_at.into(),
        size: byte_size(import.bytes),
        summary: import.summary(),
        columns: columns(&start, chosen.as_deref()),
        why: why(&start),
        fields: &COLUMNS,
        bad_lines,
        all_wrong,
        error,
        may_import: signed_in.is_admin(),
        import,
    };
    respond(status, &page)
}

/// Why the header alone does not say what the columns are.
fn why(start: &[u8]) -> Option<String> {
    let (names, _) = sessions::read_columns(start, 0).ok()?;
    sessions::check_header(&names).err()
}

fn columns(start: &[u8], chosen: Option<&[Option<&'static str>]>) -> Vec<ColumnChoice> {
    let (names, rows) = sessions::read_columns(start, SAMPLES).unwrap_or_default();
    let column = |(place, theirs): (usize, String)| {
        let samples = rows.iter().filter_map(|row| row.get(place)).filter(|cell| !cell.is_empty());
        let samples: Vec<String> = samples.map(|cell| cell.chars().take(40).collect()).collect();
        let guessed = sessions::find_column_loosely(&theirs);
        let ours = chosen.map_or(guessed, |chosen| chosen.get(place).copied().flatten()).unwrap_or_default();
        ColumnChoice { theirs, samples: samples.join(" · "), ours }
    };
    names.into_iter().enumerate().map(column).collect()
}

pub(crate) async fn map(
    visitor: MaybeSignedIn,
    path: Path<Uuid>,
    RawBody(form): RawBody<FORM_LIMIT>,
    desk: (Data<Db>, Data<ImportWorker>),
) -> Result<HttpResponse, AppError> {
    let (db, worker) = desk;
    let import_id = *path;
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let client = signed_in.client();
    let of = client.clone();
    let (import, start, _) = db.run(move |connection| store::view(connection, &of, import_id)).await?;
    if import.state() != ImportState::Mapping {
        return Ok(see_other(&address(import_id)));
    }
    let (names, _) = sessions::read_columns(&start, 0).unwrap_or_default();
    let chosen = chosen(&form, names.len())?;
    if let Err(message) = sessions::check_columns(&chosen) {
        let message = format!("Choose again: {message}.");
        return show_with(visitor, import_id, &db, Some((chosen, message))).await;
    }
    let columns = chosen.into_iter().map(|name| name.unwrap_or_default().to_owned()).collect();
    let step = (&[ImportState::Mapping][..], ImportState::Checking);
    db.run(move |connection| store::move_on(connection, (&client, import_id), step, Some(columns))).await?;
    worker.wake();
    Ok(see_other(&address(import_id)))
}

/// The chosen columns. A file may have more of them than other forms have fields.
fn chosen(form: &[u8], count: usize) -> Result<Vec<Option<&'static str>>, AppError> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(form)
        .map_err(|error| AppError::Malformed(format!("The form cannot be read: {error}.").into()))?;
    let of = |place: usize| {
        let name = format!("column{place}");
        fields.iter().find(|(field, _)| *field == name).and_then(|(_, value)| sessions::find_column(value))
    };
    Ok((0..count).map(of).collect())
}

fn address(import_id: Uuid) -> String {
    format!("/sessions/imports/{import_id}")
}

pub(crate) async fn start(
    signed_in: SignedIn,
    path: Path<Uuid>,
    desk: (Data<Db>, Data<ImportWorker>),
) -> Result<HttpResponse, AppError> {
    move_on(&signed_in, *path, &desk, (&[ImportState::Checked], ImportState::Importing)).await
}

pub(crate) async fn discard(
    signed_in: SignedIn,
    path: Path<Uuid>,
    desk: (Data<Db>, Data<ImportWorker>),
) -> Result<HttpResponse, AppError> {
    const FROM: &[ImportState] = &[ImportState::Mapping, ImportState::Checking, ImportState::Checked];
    move_on(&signed_in, *path, &desk, (FROM, ImportState::Discarded)).await
}

/// Moves the import on, if it can be; a second click finds it moved, and sees how far it is.
async fn move_on(
    signed_in: &SignedIn,
    import_id: Uuid,
    (db, worker): &(Data<Db>, Data<ImportWorker>),
    (from, to): (&'static [ImportState], ImportState),
) -> Result<HttpResponse, AppError> {
    signed_in.require_admin(ADMINS_ONLY)?;
    let client = signed_in.client();
    db.run(move |connection| store::move_on(connection, (&client, import_id), (from, to), None)).await?;
    worker.wake();
    Ok(see_other(&address(import_id)))
}
