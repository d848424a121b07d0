//! Matches the columns of a CSV with the fields of the record.

pub(super) mod choices;
pub(super) mod synonyms;

use std::{collections::HashMap, str::FromStr};

use crate::sessions::fields::{COLUMNS, SESSION_FIELDS};

/// The name of a column in a file and the entry of [`COLUMNS`] that it maps to, or `None` to skip it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMapping {
    theirs: String,
    ours: Option<&'static str>,
}

impl FromStr for ColumnMapping {
    type Err = String;

    /// `Their Name=ourName`; `Their Name=` skips the column.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (theirs, ours) = text.rsplit_once('=').ok_or("write it as 'Their Name=ourName'")?;
        let ours = match ours.trim() {
            "" => None,
            name => Some(find_column_loosely(name).ok_or_else(|| unknown_column(name))?),
        };
        Ok(Self { theirs: theirs.trim().to_owned(), ours })
    }
}

impl ColumnMapping {
    /// Compares letters and digits only; a name without any is compared exactly.
    fn matches(&self, name: &str) -> bool {
        let theirs = normalize_name(&self.theirs);
        if theirs.is_empty() { self.theirs == name.trim() } else { theirs == normalize_name(name) }
    }
}

/// The column with exactly this name.
#[must_use]
pub fn find_column(name: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|column| *column == name)
}

/// The column with this name, ignoring case, spaces and punctuation.
#[must_use]
pub fn find_column_loosely(name: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|column| normalize_name(column) == normalize_name(name))
}

/// Whether the columns of a file have to be mapped, because these names do not form a record.
#[must_use]
pub fn needs_mapping(names: &[String]) -> bool {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ColumnPositions::from_names(&names, &[]).is_err()
}

/// Checks that these columns form a record. `None` skips a column.
///
/// # Errors
/// A message about all columns that are missing or appear twice.
pub fn check_columns(columns: &[Option<&'static str>]) -> Result<(), String> {
    ColumnPositions::from_columns(columns).map(|_positions| ())
}

fn normalize_name(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unknown_column(name: &str) -> String {
    format!("there is no field “{name}”. The fields are {}", COLUMNS.join(", "))
}

/// `the column “status” is`, `the columns “status” and “channel” are`.
fn columns_are(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("“{name}”")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("the column {last} is"),
        Some((last, others)) => format!("the columns {} and {last} are", others.join(", ")),
        None => String::new(),
    }
}

/// The names up to the last one that is not blank or has a mapping. Trailing delimiters make columns without a name.
fn without_trailing_blanks<'a, 'b>(names: &'a [&'b str], mappings: &[ColumnMapping]) -> &'a [&'b str] {
    let is_named = |name: &&str| !name.trim().is_empty() || mappings.iter().any(|it| it.matches(name));
    let width = names.iter().rposition(is_named).map_or(0, |last| last + 1);
    &names[..width]
}

/// The position of each column in a line.
#[derive(Debug)]
pub(crate) struct ColumnPositions {
    positions: HashMap<&'static str, usize>,
    /// The number of columns. A line may have fewer cells, or more empty ones.
    pub(crate) width: usize,
}

impl ColumnPositions {
    /// A column without an entry in `mappings` is found by its name. The error is a message about all columns that are
    /// unknown, missing or appear twice.
    pub(crate) fn from_names(names: &[&str], mappings: &[ColumnMapping]) -> Result<Self, String> {
        let is_absent = |mapping: &&ColumnMapping| !names.iter().any(|name| mapping.matches(name));
        if let Some(absent) = mappings.iter().find(is_absent) {
            return Err(format!("the file has no column “{}”", absent.theirs));
        }
        // `None`: the name is unknown. `Some(None)`: the column is skipped.
        let field = |name: &str| match mappings.iter().find(|it| it.matches(name)) {
            Some(mapping) => Some(mapping.ours),
            None => find_column_loosely(name).map(Some),
        };
        let names = without_trailing_blanks(names, mappings);
        let is_unknown = |name: &&str| field(name).is_none();
        let unknown: Vec<&str> = names.iter().copied().filter(is_unknown).map(str::trim).collect();
        let columns: Vec<_> = names.iter().map(|name| field(name).flatten()).collect();
        let mut problems = Vec::new();
        if !unknown.is_empty() {
            problems.push(format!("{} not known", columns_are(&unknown)));
        }
        let positions = Self::from_columns(&columns).map_err(|problem| problems.push(problem));
        match positions {
            Ok(positions) if problems.is_empty() => Ok(positions),
            _ if unknown.is_empty() => Err(problems.join("; ")),
            _ => Err(format!("{}. The fields are {}", problems.join("; "), COLUMNS.join(", "))),
        }
    }

    /// `None` skips a column. The error is a message about all columns that are missing or appear twice.
    pub(crate) fn from_columns(columns: &[Option<&'static str>]) -> Result<Self, String> {
        let mut positions = HashMap::new();
        let mut repeated = Vec::new();
        for (position, column) in columns.iter().enumerate() {
            if let Some(column) = column
                && positions.insert(*column, position).is_some()
                && !repeated.contains(column)
            {
                repeated.push(*column);
            }
        }
        let required = SESSION_FIELDS.iter().filter(|field| field.is_required).map(|field| field.name);
        let missing: Vec<&str> = required.filter(|name| !positions.contains_key(name)).collect();
        let problems = [(repeated, "there twice"), (missing, "missing")];
        let problems = problems.into_iter().filter(|(names, _)| !names.is_empty());
        let problems: Vec<String> =
            problems.map(|(names, problem)| format!("{} {problem}", columns_are(&names))).collect();
        if problems.is_empty() {
            Ok(Self { positions, width: columns.len() })
        } else {
            Err(problems.join("; "))
        }
    }

    /// The cell of a column; empty if the file has no such column or the line is too short.
    pub(crate) fn cell<'a>(&self, cells: &[&'a str], name: &str) -> &'a str {
        self.positions.get(name).and_then(|position| cells.get(*position)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["STATUS", " channel ", "Created At", "ended_at", "Agent-Name"];

    #[test]
    fn case_spaces_and_signs_do_not_matter() {
        let header = ColumnPositions::from_names(&NAMES, &[]).unwrap();
        assert_eq!(header.cell(&["a", "b", "c", "d", "e"], "agentName"), "e");
        assert_eq!(header.cell(&["a", "b", "c", "d", "e"], "notes"), "");
    }

    #[test]
    fn what_is_called_otherwise_is_mapped_or_left_out() {
        let names = ["state", "channel", "createdAt", "endedAt", "a=b"];
        assert!(ColumnPositions::from_names(&names, &[]).unwrap_err().contains("“state”"));
        let mappings = ["state=status".parse().unwrap(), "a=b=".parse().unwrap()];
        assert_eq!(ColumnPositions::from_names(&names, &mappings).unwrap().cell(&["x"; 5], "status"), "x");
        assert!(
            ColumnPositions::from_names(&NAMES, &mappings).unwrap_err().contains("has no column “state”")
        );
        assert!("a=b".parse::<ColumnMapping>().is_err() && "a".parse::<ColumnMapping>().is_err());
    }

    #[test]
    fn trailing_columns_without_a_name_are_dropped_unless_mapped() {
        let names = [&NAMES[..], &["", " "]].concat();
        assert_eq!(ColumnPositions::from_names(&names, &[]).unwrap().width, 5);
        let owned: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert!(!needs_mapping(&owned));
        let skipped = ["=".parse().unwrap()];
        assert_eq!(ColumnPositions::from_names(&names, &skipped).unwrap().width, 7);
        let mapped = ["=notes".parse().unwrap()];
        let positions = ColumnPositions::from_names(&names[..6], &mapped).unwrap();
        assert_eq!(positions.cell(&["a", "b", "c", "d", "e", "f"], "notes"), "f");
        assert_eq!(positions.cell(&["a", "b", "c", "d"], "notes"), "");
        let between = [&[""], &NAMES[..]].concat();
        assert!(ColumnPositions::from_names(&between, &[]).is_err(), "its cells would be lost");
    }

    #[test]
    fn all_columns_that_are_unknown_missing_or_there_twice_are_named() {
        let error = |names: &[&str]| ColumnPositions::from_names(names, &[]).unwrap_err();
        assert_eq!(
            error(&["status", "Status", "channel"]),
            "the column “status” is there twice; the columns “createdAt” and “endedAt” are missing"
        );
        assert_eq!(error(&NAMES[..3]), "the column “endedAt” is missing");
        let unknown = error(&["State", "Kind", "createdAt", "endedAt"]);
        let expected = "the columns “State” and “Kind” are not known; the columns “status” and “channel” are \
                        missing. The fields are sessionId, sequence, ";
        assert!(unknown.starts_with(expected), "{unknown}");
    }
}
