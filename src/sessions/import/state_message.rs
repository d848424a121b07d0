//! The message on the page of an import.

use super::{
    importer::ImportSummary,
    job::{ImportJob, ImportState},
};
use crate::{
    sessions::{SESSION_FIELDS, SessionField},
    web::{
        format::{grouped, plural},
        page::message::Message,
    },
};

/// What the user has to know about the state of the import, if anything.
pub(super) fn state_message(import: &ImportJob, mapped_fields: &[Option<&'static str>]) -> Option<Message> {
    let ImportSummary { created, updated, rejected, .. } = import.summary();
    let lines = format!("{} {}", grouped(rejected), plural(rejected, "line"));
    match import.state {
        ImportState::Mapping => missing_columns_message(mapped_fields),
        ImportState::Checked if rejected > 0 => Some(Message::warning(format!(
            "{lines} cannot be imported. Correct the file and upload it again, or import the rest."
        ))),
        ImportState::Done => {
            let stored = created + updated;
            let text = format!("Imported {} {}.", grouped(stored), plural(stored, "session"));
            Some(match rejected {
                0 => Message::success(text),
                _ => Message::warning(format!(
                    "{text} {lines} rejected. Correct the file and upload it again."
                )),
            })
        }
        ImportState::Failed => {
            let reason = import.failure.as_deref().unwrap_or_default();
            Some(Message::error(format!("The import failed. {reason}").trim_end()))
        }
        _ => None,
    }
}

/// A warning if required fields have no column.
fn missing_columns_message(mapped_fields: &[Option<&'static str>]) -> Option<Message> {
    let is_missing = |field: &&SessionField| field.is_required && !mapped_fields.contains(&Some(field.name));
    let missing: Vec<_> = SESSION_FIELDS.iter().filter(is_missing).map(SessionField::label).collect();
    let text = format!(
        "No column found for {}. Choose one below, or add it to the file and upload it again.",
        missing.join(", ")
    );
    (!missing.is_empty()).then(|| Message::warning(text))
}
