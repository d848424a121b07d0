//! The columns of a file and the fields chosen for them, as the page of an import shows them.

use crate::sessions::{SESSION_FIELDS, SessionField};

/// Samples are truncated to this many characters.
const SAMPLE_MAX: usize = 40;

/// A column of the file that has to be mapped.
pub(in crate::sessions::import) struct FileColumn {
    pub(in crate::sessions::import) name: String,
    pub(in crate::sessions::import) samples: String,
    /// The chosen field, or an empty text.
    pub(in crate::sessions::import) field: &'static str,
}

/// A field that needs a column of the file.
pub(in crate::sessions::import) struct RequiredField {
    pub(in crate::sessions::import) label: String,
    /// Whether a column is chosen for it.
    pub(in crate::sessions::import) is_mapped: bool,
}

impl RequiredField {
    pub(in crate::sessions::import) fn all(chosen: &[Option<&'static str>]) -> Vec<Self> {
        let required = SESSION_FIELDS.iter().filter(|field| field.is_required);
        let field = |field: &SessionField| Self {
            label: field.label(),
            is_mapped: chosen.contains(&Some(field.name)),
        };
        required.map(field).collect()
    }
}

/// The columns with their samples and the `chosen` fields.
pub(in crate::sessions::import) fn column_choices(
    names: Vec<String>,
    rows: &[Vec<String>],
    chosen: &[Option<&'static str>],
) -> Vec<FileColumn> {
    let column = |(index, name): (usize, String)| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let field = chosen.get(index).copied().flatten().unwrap_or_default();
        FileColumn { name, samples: distinct_samples(cells).join(" · "), field }
    };
    names.into_iter().enumerate().map(column).collect()
}

/// The cells without empty ones and without those that look like one before.
fn distinct_samples<'a>(cells: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut samples: Vec<String> = Vec::new();
    for sample in cells.map(|cell| cell.chars().take(SAMPLE_MAX).collect::<String>()) {
        if !sample.is_empty() && !samples.contains(&sample) {
            samples.push(sample);
        }
    }
    samples
}

/// The label of the field, or the name itself if there is no such field.
pub(in crate::sessions::import) fn field_label(name: &str) -> String {
    SESSION_FIELDS
        .iter()
        .find(|field| field.name == name)
        .map_or_else(|| name.to_owned(), SessionField::label)
}

/// Replaces the quoted names of fields by their labels.
pub(in crate::sessions::import) fn with_labels(message: String) -> String {
    let quoted = |name: &str| format!("“{name}”");
    SESSION_FIELDS
        .iter()
        .fold(message, |message, field| message.replace(&quoted(field.name), &quoted(&field.label())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_distinct_and_short() {
        let cells = ["Ada", "", "Ada", "Bea", &"x".repeat(50)].map(str::to_owned);
        assert_eq!(distinct_samples(cells.iter()), ["Ada", "Bea", &"x".repeat(SAMPLE_MAX)]);
    }

    #[test]
    fn messages_use_the_labels_of_fields() {
        assert_eq!(
            with_labels("the column “endedAt” is missing".to_owned()),
            "the column “Ended at” is missing"
        );
    }
}
