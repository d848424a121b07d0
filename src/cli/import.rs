//! `uptok import` at the terminal.

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
        self, ColumnMapping, DryRun, FileFormat, ImportMode, ImportSummary, RejectedLine, SessionFileParser,
    },
    web::time,
};

/// What to import, and how.
#[derive(Args)]
pub(crate) struct ImportCommand {
    /// The file, or - for standard input
    file: PathBuf,
    /// The client that owns the sessions
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// How the sessions are written. Without it: as the name of the file ends, or as it begins
    #[arg(long, value_enum)]
    format: Option<FormatOption>,
    /// Store nothing, only tell what would happen
    #[arg(long)]
    dry_run: bool,
    /// A column of the CSV that has another name, as 'Their Name=ourName'; 'Their Name=' leaves it out. May be given
    /// again. Case, spaces and signs in names do not matter
    #[arg(long = "map", value_name = "MAPPING", value_parser = |text: &str| text.parse::<ColumnMapping>())]
    mapped: Vec<ColumnMapping>,
}

/// How the sessions are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatOption {
    /// With a header of column names
    Csv,
    /// One JSON object a line, as an export gives them
    Ndjson,
}

impl ImportCommand {
    /// Imports, tells how it goes, and writes into the audit log what was done.
    pub(crate) fn run(self, connection: &mut PgConnection, trail: &AuditContext) -> anyhow::Result<ExitCode> {
        ensure!(accounts::client_exists(connection, &self.client)?, "there is no client {}", self.client);
        let (mut file, length) = opened(&self.file)?;
        let mut start = [0; 16];
        let count = file.read(&mut start).context("the file cannot be read")?;
        let start = &start[..count];
        let format = self.format(start)?;
        let file = Cursor::new(start.to_vec()).chain(file);
        let parser = SessionFileParser::new(self.client.clone(), time::now(), format);
        let mode = if self.dry_run { ImportMode::Dry(DryRun::default()) } else { ImportMode::Real };
        let style = "{bar:32} {percent:>3} % {msg}";
        let bar = ProgressBar::new(length).with_style(ProgressStyle::with_template(style)?);
        let summary = sessions::import(connection, file, parser, mode, TerminalProgress { bar: bar.clone() });
        bar.finish_and_clear();
        let summary = summary?;
        if !self.dry_run {
            audit::record(connection, &self.client, trail, &sessions::imported(&summary))?;
        }
        let prefix = if self.dry_run { "Nothing is stored. It would be " } else { "" };
        writeln!(io::stdout(), "{prefix}{}", counts(&summary))?;
        Ok(if summary.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn format(&self, start: &[u8]) -> anyhow::Result<FileFormat> {
        let extension = self.file.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let by_name = match extension.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Some(FormatOption::Csv),
            "ndjson" | "jsonl" => Some(FormatOption::Ndjson),
            _ => None,
        };
        let by_start = if FileFormat::is_json(start) { FormatOption::Ndjson } else { FormatOption::Csv };
        match self.format.or(by_name).unwrap_or(by_start) {
            FormatOption::Csv => Ok(FileFormat::Csv(self.mapped.clone())),
            FormatOption::Ndjson => {
                ensure!(
                    self.mapped.is_empty(),
                    "--map is for a CSV; in NDJSON the names are those of the record"
                );
                Ok(FileFormat::Ndjson)
            }
        }
    }
}

/// The file, and how many bytes it has; 0: nobody knows.
fn opened(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), 0));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let length = file.metadata()?.len();
    Ok((Box::new(file), length))
}

/// What is wrong, with its field where it is one of the record.
fn reason(error: &FieldError) -> String {
    match error.field.as_ref() {
        "" | "line" => error.message.to_string(),
        field => format!("{field}: {}", error.message),
    }
}

fn counts(summary: &ImportSummary) -> String {
    let ImportSummary { created, updated, unchanged, rejected } = summary;
    format!("{created} created, {updated} updated, {unchanged} unchanged, {rejected} rejected")
}

/// Shows how an import goes: a bar on standard error, and every line that was left out.
struct TerminalProgress {
    bar: ProgressBar,
}

impl sessions::ImportProgress for TerminalProgress {
    fn bad_line(&mut self, bad: &RejectedLine) {
        let reasons: Vec<String> = bad.errors.iter().map(reason).collect();
        self.bar.suspend(|| {
            // Standard error may be closed; the count at the end still tells.
            let _ignored = writeln!(io::stderr(), "line {}: {}", bad.line, reasons.join(" "));
        });
    }

    fn batch(&mut self, bytes: u64, so_far: &ImportSummary) {
        self.bar.set_position(bytes);
        self.bar.set_message(counts(so_far));
    }
}
