//! `uptok import`: imports a file, with progress and rejected lines on standard error.

use std::{
    fs::File,
    io::{self, Cursor, Read, Write as _},
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
        self, ColumnMapping, DryRunState, FileFormat, ImportMode, ImportSummary, RejectedLine,
        SessionFileParser,
    },
    web::time,
};

#[derive(Args)]
pub(super) struct ImportCommand {
    /// The file, or - for standard input
    file: PathBuf,
    /// The client that owns the sessions
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// The format of the file. By default it is detected from the file name or the start of the file
    #[arg(long, value_enum)]
    format: Option<ImportFormatArg>,
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

impl ImportCommand {
    /// Exits with status 1 if a line was rejected.
    pub(super) fn run(
        self,
        connection: &mut PgConnection,
        context: &AuditContext,
    ) -> anyhow::Result<ExitCode> {
        ensure!(accounts::client_exists(connection, &self.client)?, "there is no client {}", self.client);
        let (mut file, size) = open_file(&self.file)?;
        let mut start = [0; 16];
        let count = file.read(&mut start).context("the file cannot be read")?;
        let start = &start[..count];
        let format = self.file_format(start)?;
        let file = Cursor::new(start.to_vec()).chain(file);
        let parser = SessionFileParser::new(self.client.clone(), time::now(), format);
        let mode = if self.dry_run { ImportMode::Dry(DryRunState::default()) } else { ImportMode::Real };
        let style = "{bar:32} {percent:>3} % {msg}";
        let bar = ProgressBar::new(size).with_style(ProgressStyle::with_template(style)?);
        let summary = sessions::import(connection, file, parser, mode, TerminalProgress { bar: bar.clone() });
        bar.finish_and_clear();
        let summary = summary?;
        if !self.dry_run {
            audit::record(connection, &self.client, context, &sessions::import_finished(&summary))?;
        }
        let prefix = if self.dry_run { "Nothing is stored. It would be " } else { "" };
        writeln!(io::stdout(), "{prefix}{}", summary_text(&summary))?;
        Ok(if summary.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Determines the format from the option, the file name or the first bytes, in this order.
    fn file_format(&self, start: &[u8]) -> anyhow::Result<FileFormat> {
        let extension = self.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let from_name = match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Some(ImportFormatArg::Csv),
            "ndjson" | "jsonl" => Some(ImportFormatArg::Ndjson),
            _ => None,
        };
        let from_start =
            if FileFormat::is_json(start) { ImportFormatArg::Ndjson } else { ImportFormatArg::Csv };
        match self.format.or(from_name).unwrap_or(from_start) {
            ImportFormatArg::Csv => Ok(FileFormat::Csv(self.column_mappings.clone())),
            ImportFormatArg::Ndjson => {
                ensure!(
                    self.column_mappings.is_empty(),
                    "--map is for a CSV; in NDJSON the names are those of the record"
                );
                Ok(FileFormat::Ndjson)
            }
        }
    }
}

/// Returns the file and its size in bytes, or 0 for standard input.
fn open_file(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), 0));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = file.metadata()?.len();
    Ok((Box::new(file), size))
}

/// Starts with the name of the field, unless the error is about the whole line.
fn error_text(error: &FieldError) -> String {
    match error.field.as_ref() {
        "" | "line" => error.message.to_string(),
        field => format!("{field}: {}", error.message),
    }
}

fn summary_text(summary: &ImportSummary) -> String {
    let ImportSummary { created, updated, unchanged, rejected } = summary;
    format!("{created} created, {updated} updated, {unchanged} unchanged, {rejected} rejected")
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
