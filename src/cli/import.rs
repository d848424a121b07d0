//! `uptok import`: imports a file, with progress and rejected lines on standard error.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use diesel::PgConnection;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    accounts,
    audit::{self, AuditContext},
    error::FieldError,
    ids::ClientId,
    sessions::{
        self, ColumnMapping, DryRunState, FileEncoding, FileFormat, FileKind, ImportMode, ImportSummary,
        RejectedLine, SessionFileParser, UnreadableFile,
    },
    web::format::time,
};

#[derive(Args)]
pub(super) struct ImportCommand {
    /// The file, or - for standard input
    file: PathBuf,
    /// The client that owns the sessions
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// The format of the file. By default it is detected from the start of the file
    #[arg(long, value_enum)]
    format: Option<ImportFormatArg>,
    /// The encoding of the file: utf-8, utf-16 or windows-1252. If it is another, nothing is imported
    #[arg(long, value_name = "ENCODING", default_value = "utf-8", value_parser = parse_encoding)]
    encoding: FileEncoding,
    /// Store nothing, only report what would happen
    #[arg(long)]
    dry_run: bool,
    /// Map a CSV column that has another name, as 'Their Name=ourName'; 'Their Name=' skips it. May be given several
    /// times. Case, spaces and punctuation in names are ignored
    #[arg(long = "map", value_name = "MAPPING", value_parser = |text: &str| text.parse::<ColumnMapping>())]
    column_mappings: Vec<ColumnMapping>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ImportFormatArg {
    /// With a header of column names
    Csv,
    /// One JSON object per line, as in an export
    Ndjson,
}

impl From<ImportFormatArg> for FileKind {
    fn from(format: ImportFormatArg) -> Self {
        match format {
            ImportFormatArg::Csv => Self::Csv,
            ImportFormatArg::Ndjson => Self::Ndjson,
        }
    }
}

fn parse_encoding(text: &str) -> Result<FileEncoding, String> {
    text.to_ascii_lowercase().parse()
}

impl ImportCommand {
    /// Exits with status 1 if a line was rejected.
    pub(super) fn run(
        self,
        connection: &mut PgConnection,
        context: &AuditContext,
    ) -> anyhow::Result<ExitCode> {
        accounts::require_client(connection, &self.client)?;
        let mut file = open_file(&self.file)?;
        let format = self.check(&file)?;
        file.rewind().context("the file cannot be read")?;
        let parser = SessionFileParser::new(self.client.clone(), time::now(), self.encoding, format);
        let mode = if self.dry_run { ImportMode::Dry(DryRunState::default()) } else { ImportMode::Real };
        let style = "{bar:32} {percent:>3} % {msg}";
        let bar = ProgressBar::new(file.metadata()?.len()).with_style(ProgressStyle::with_template(style)?);
        let summary = sessions::import(connection, file, parser, mode, TerminalProgress { bar: bar.clone() });
        bar.finish_and_clear();
        let summary = summary?;
        if !self.dry_run {
            audit::record(connection, &self.client, context, &sessions::import_finished(&summary))?;
        }
        let prefix = if self.dry_run { "Nothing is stored. The import would be: " } else { "" };
        writeln!(io::stdout(), "{prefix}{}", summary_text(&summary))?;
        Ok(if summary.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Reads the whole file, so that nothing is stored of one that cannot be read to its end.
    fn check(&self, file: &File) -> anyhow::Result<FileFormat> {
        let checked = sessions::check_file(file, self.encoding, self.format.map(FileKind::from))
            .map_err(add_encoding_option)?;
        match checked.kind {
            FileKind::Csv => Ok(FileFormat::Csv(self.column_mappings.clone())),
            FileKind::Ndjson => {
                ensure!(
                    self.column_mappings.is_empty(),
                    "--map works only with CSV; NDJSON uses the names of the session record"
                );
                Ok(FileFormat::Ndjson)
            }
        }
    }
}

/// Adds to the error how to choose the encoding that it suggests.
fn add_encoding_option(error: anyhow::Error) -> anyhow::Error {
    let suggested = error.downcast_ref::<UnreadableFile>().and_then(UnreadableFile::suggested_encoding);
    match suggested {
        Some(encoding) => anyhow::anyhow!("{error} The option is --encoding {encoding}."),
        None => error,
    }
}

/// Opens a file that can be read twice. What comes from a pipe is first copied to a temporary file, which disappears
/// with this process.
fn open_file(path: &Path) -> anyhow::Result<File> {
    if path == Path::new("-") {
        return copy_to_temporary_file(io::stdin());
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    if file.metadata()?.is_file() { Ok(file) } else { copy_to_temporary_file(file) }
}

fn copy_to_temporary_file(mut source: impl Read) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile().context("cannot create a temporary file")?;
    io::copy(&mut source, &mut file).context("cannot copy the input to a temporary file")?;
    file.rewind()?;
    Ok(file)
}

/// Starts with the name of the field, unless the error is about the whole line.
fn error_text(error: &FieldError) -> String {
    match error.field.as_ref() {
        "" | "line" => error.message.to_string(),
        field => format!("{field}: {}", error.message),
    }
}

fn summary_text(summary: &ImportSummary) -> String {
    let ImportSummary { created, updated, unchanged, rejected, skipped } = summary;
    format!(
        "{created} created, {updated} updated, {unchanged} unchanged, {rejected} rejected, {skipped} skipped"
    )
}

/// Shows a progress bar and the rejected lines on standard error.
struct TerminalProgress {
    bar: ProgressBar,
}

impl sessions::ImportObserver for TerminalProgress {
    fn on_rejected_line(&mut self, rejected: &RejectedLine) {
        let reasons: Vec<String> = rejected.errors.iter().map(error_text).collect();
        self.bar.suspend(|| {
            // Standard error may be closed; the summary at the end still has the number of rejected lines.
            let _ignored = writeln!(io::stderr(), "line {}: {}", rejected.line, reasons.join(" "));
        });
    }

    fn on_batch(&mut self, bytes_read: u64, summary: &ImportSummary) {
        self.bar.set_position(bytes_read);
        self.bar.set_message(summary_text(summary));
    }
}
