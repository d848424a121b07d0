//! Sessions → Import: the upload, the mapping of columns, the forecast and the progress.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use uuid::Uuid;

use super::{
    columns::{
        choices::{FileColumn, RequiredField, column_choices, field_label, with_labels},
        synonyms::guess_fields,
    },
    file::{
        encoding::FileEncoding,
        unreadable_file::{COLUMNS_MAX, UnreadableFile},
    },
    importer::ImportSummary,
    job::{ImportId, ImportJob, ImportState, ImportTransition},
    layout::FileStart,
    state_message::state_message,
    store::{self, ImportDetails, RejectedField},
    upload::receive_file,
    worker::ImportWorker,
};
use crate::{
    accounts::{MaybeSignedIn, Permission, SignedIn},
    config::Settings,
    db::Db,
    error::AppError,
    sessions::{self, SESSION_FIELDS, SessionField},
    web::{
        body::{
            FormFields,
            upload::{MultipartFile, UploadRequest},
        },
        format::{byte_size, grouped, time::DisplayTime},
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum size of the form that maps columns, in bytes.
const FORM_LIMIT: usize = 64 * 1024;
/// The columns and `clientId`.
const FIELDS_MAX: usize = COLUMNS_MAX + 1;
/// Lines of the file shown beside its columns.
const SAMPLE_LINES: usize = 3;
/// Maximum number of errors on the page. The file to download has all that are kept.
const REJECTED_SHOWN: usize = 100;
/// File names are truncated to this many characters.
const NAME_MAX: usize = 255;
/// Allowance for the other fields and the part headers, in bytes.
const FORM_BYTES: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "sessions/import/index.html")]
struct ImportListPage {
    layout: PageLayout,
    client_id: String,
    may_import: bool,
    limit_mib: u32,
    /// The encoding to offer.
    encoding: FileEncoding,
    error: Option<String>,
    imports: Vec<ImportListRow>,
}

impl ImportListPage {
    /// Whether something can be done with any of the imports.
    fn has_actions(&self) -> bool {
        self.may_import && self.imports.iter().any(|import| import.state.is_discardable())
    }
}

struct ImportListRow {
    import_id: Uuid,
    file_name: String,
    state: ImportState,
    created: DisplayTime,
    created_by: String,
    summary: ImportSummary,
}

impl ImportListRow {
    /// `6,000 created · 1 rejected`. Empty before anything is stored: forecasts are left out.
    fn result(&self) -> String {
        let ImportSummary { created, updated, unchanged, rejected, .. } = self.summary;
        let counts =
            [(created, "created"), (updated, "updated"), (unchanged, "unchanged"), (rejected, "rejected")];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0 && self.state.has_stored());
        counts.map(|(count, what)| format!("{} {what}", grouped(count))).collect::<Vec<_>>().join(" · ")
    }
}

fn label_counts(summary: &ImportSummary) -> [(&'static str, String); 5] {
    let ImportSummary { created, updated, unchanged, rejected, skipped } = *summary;
    let counts = [
        ("Created", created),
        ("Updated", updated),
        ("Unchanged", unchanged),
        ("Rejected", rejected),
        ("Skipped", skipped),
    ];
    counts.map(|(name, count)| (name, grouped(count)))
}

/// Why a file is not imported.
struct UploadRefusal {
    status: StatusCode,
    message: String,
    /// The encoding to offer for the next upload.
    encoding: FileEncoding,
}

impl UploadRefusal {
    /// Offers the encoding that the file has, or else the `chosen` one again.
    fn unreadable(reason: &UnreadableFile, chosen: FileEncoding) -> Self {
        let encoding = reason.suggested_encoding().unwrap_or(chosen);
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: reason.to_string(), encoding }
    }

    fn too_large(limit_mib: u32, chosen: FileEncoding) -> Self {
        let message = format!(
            "The file is larger than {limit_mib} MiB. Split it, or run `uptok import` on the server."
        );
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, message, encoding: chosen }
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
    refusal: Option<UploadRefusal>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Import sessions", NavSection::Sessions)?;
    let client = signed_in.client();
    let imports = db.run(move |connection| store::list_imports(connection, &client)).await?;
    let row = |(import, user): (ImportJob, Option<String>)| ImportListRow {
        import_id: import.import_id,
        state: import.state,
        created: import.created_at.into(),
        created_by: user.unwrap_or_else(|| "–".to_owned()),
        summary: import.summary(),
        file_name: import.file_name,
    };
    let status = refusal.as_ref().map_or(StatusCode::OK, |refusal| refusal.status);
    let page = ImportListPage {
        layout,
        client_id: signed_in.client().to_string(),
        may_import: signed_in.may(Permission::ImportSessions),
        limit_mib: settings.import_mib,
        encoding: refusal.as_ref().map_or(FileEncoding::Utf8, |refusal| refusal.encoding),
        error: refusal.map(|refusal| refusal.message),
        imports: imports.into_iter().map(row).collect(),
    };
    respond(status, &page)
}

pub(crate) async fn create(
    upload: UploadRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
    worker: Data<ImportWorker>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let mut upload = MultipartFile::begin(upload, "file", settings.import_bytes() + FORM_BYTES).await?;
    let encoding = parse_encoding(upload.text("encoding"))?;
    let import = ImportId { client: signed_in.client(), id: Uuid::now_v7() };
    let (name, user_id, new) = (file_name(&upload), signed_in.user_id, import.clone());
    db.run(move |connection| store::begin_upload(connection, &new, &name, user_id)).await?;
    let refusal = match receive_file(&mut upload, encoding, &db, &import).await {
        Ok(Ok(())) => {
            worker.wake();
            return Ok(see_other(&address(import.id)));
        }
        Ok(Err(reason)) => Ok(UploadRefusal::unreadable(&reason, encoding)),
        Err(AppError::TooLarge(_)) => Ok(UploadRefusal::too_large(settings.import_mib, encoding)),
        Err(error) => Err(error),
    };
    db.run(move |connection| store::delete(connection, &import)).await?;
    show_index(visitor, &db, &settings, Some(refusal?)).await
}

/// UTF-8 if none is chosen.
fn parse_encoding(text: &str) -> Result<FileEncoding, AppError> {
    match text {
        "" => Ok(FileEncoding::Utf8),
        text => {
            text.parse().map_err(|message: String| AppError::Malformed(format!("encoding: {message}").into()))
        }
    }
}

fn file_name(upload: &MultipartFile) -> String {
    let name = upload.file_name().chars().filter(|it| !it.is_control()).take(NAME_MAX).collect::<String>();
    if name.trim().is_empty() { "Unnamed file".to_owned() } else { name }
}

#[derive(Template)]
#[template(path = "sessions/import/show.html")]
struct ImportDetailsPage {
    layout: PageLayout,
    client_id: String,
    import: ImportJob,
    state: ImportState,
    created: DisplayTime,
    size: String,
    counts: [(&'static str, String); 5],
    /// Whether the counts say anything: not after an import that stored nothing.
    has_counts: bool,
    /// The fields by their labels.
    rejected: Vec<RejectedField>,
    /// The number of errors, if not all of them are shown.
    rejected_total: Option<String>,
    columns: Vec<FileColumn>,
    required: Vec<RequiredField>,
    fields: &'static [SessionField],
    may_import: bool,
}

/// A choice of columns that cannot be imported, and why.
struct RefusedMapping {
    fields: Vec<Option<&'static str>>,
    message: String,
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
    refused: Option<RefusedMapping>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Import", NavSection::Sessions)?;
    let import = ImportId { client: signed_in.client(), id: import_id };
    let details = db.run(move |connection| store::load_details(connection, &import)).await?;
    let (names, samples) = columns_to_map(&details);
    let (import, mut rejected) = (details.job, details.rejected);
    let rejected_total =
        (rejected.len() > REJECTED_SHOWN).then(|| grouped(i64::try_from(rejected.len()).unwrap_or(i64::MAX)));
    rejected.truncate(REJECTED_SHOWN);
    for error in &mut rejected {
        error.field = field_label(&error.field);
    }
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (chosen, error) = refused.map(|refused| (refused.fields, refused.message)).unzip();
    let chosen = chosen.unwrap_or_else(|| guess_fields(&names));
    let message = error.map(Message::error).or_else(|| state_message(&import, &chosen));
    let page = ImportDetailsPage {
        layout: PageLayout { title: import.state.heading(), flash: message.or(layout.flash), ..layout },
        client_id: signed_in.client().to_string(),
        state: import.state,
        created: import.created_at.into(),
        size: byte_size(import.bytes),
        counts: label_counts(&import.summary()),
        has_counts: match import.state {
            ImportState::Discarded => false,
            ImportState::Failed => import.summary() != ImportSummary::default(),
            _ => true,
        },
        columns: column_choices(names, &samples, &chosen),
        required: RequiredField::all(&chosen),
        fields: SESSION_FIELDS,
        rejected,
        rejected_total,
        may_import: signed_in.may(Permission::ImportSessions),
        import,
    };
    respond(status, &page)
}

/// The columns of a file that a user has to map, and the cells of its first lines.
fn columns_to_map(details: &ImportDetails) -> (Vec<String>, Vec<Vec<String>>) {
    let start = FileStart::decode(&details.file_start, details.job.encoding);
    start.and_then(|start| start.columns(SAMPLE_LINES)).unwrap_or_default()
}

pub(crate) async fn map_columns(
    visitor: MaybeSignedIn,
    path: Path<Uuid>,
    form: FormFields<FORM_LIMIT, FIELDS_MAX>,
    db: Data<Db>,
    worker: Data<ImportWorker>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let import = ImportId { client: signed_in.client(), id: *path };
    let viewed = import.clone();
    let details = db.run(move |connection| store::load_details(connection, &viewed)).await?;
    if details.job.state != ImportState::Mapping {
        return Ok(see_other(&address(import.id)));
    }
    let (names, _) = columns_to_map(&details);
    let fields = parse_mapping(&form, names.len());
    if let Err(message) = sessions::check_columns(&fields) {
        let message = format!("Change your choices: {}.", with_labels(message));
        return show_with(visitor, import.id, &db, Some(RefusedMapping { fields, message })).await;
    }
    let mapping = Some(fields.into_iter().map(|field| field.unwrap_or_default().to_owned()).collect());
    let address = address(import.id);
    db.run(move |connection| store::change_state(connection, &import, ImportTransition::CHECK, mapping))
        .await?;
    worker.wake();
    Ok(see_other(&address))
}

/// The field chosen for each column, or `None` to leave it out.
fn parse_mapping(
    form: &FormFields<FORM_LIMIT, FIELDS_MAX>,
    column_count: usize,
) -> Vec<Option<&'static str>> {
    let chosen_field = |index: usize| sessions::find_column(form.text(&format!("column{index}")));
    (0..column_count).map(chosen_field).collect()
}

fn address(import_id: Uuid) -> String {
    format!("/sessions/imports/{import_id}")
}

pub(crate) async fn start(
    signed_in: SignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
    worker: Data<ImportWorker>,
) -> Result<HttpResponse, AppError> {
    change_state(&signed_in, *path, ImportTransition::START, &db, &worker).await
}

pub(crate) async fn discard(
    signed_in: SignedIn,
    path: Path<Uuid>,
    db: Data<Db>,
    worker: Data<ImportWorker>,
) -> Result<HttpResponse, AppError> {
    change_state(&signed_in, *path, ImportTransition::DISCARD, &db, &worker).await
}

/// A second click changes nothing and shows the import as well.
async fn change_state(
    signed_in: &SignedIn,
    import_id: Uuid,
    change: ImportTransition,
    db: &Db,
    worker: &ImportWorker,
) -> Result<HttpResponse, AppError> {
    let import = ImportId { client: signed_in.client(), id: import_id };
    db.run(move |connection| store::change_state(connection, &import, change, None)).await?;
    worker.wake();
    Ok(see_other(&address(import_id)))
}
