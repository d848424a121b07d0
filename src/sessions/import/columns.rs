//! Matches the columns of a CSV with the fields of the record.

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

/// Checks that a file with columns of these names needs no mapping.
///
/// # Errors
/// Why it needs one, as a message for the user.
pub fn check_header(names: &[String]) -> Result<(), String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let header = without_trailing_blanks(&names, &[]);
    if let Some(name) = header.iter().find(|name| find_column_loosely(name).is_none()) {
        return Err(format!("“{name}” is no field of the record"));
    }
    ColumnPositions::from_names(header, &[]).map(|_positions| ())
}

/// Checks that these columns form a record. `None` skips a column.
///
/// # Errors
/// A message about a column that is missing or appears twice.
pub fn check_columns(columns: &[Option<&'static str>]) -> Result<(), String> {
    ColumnPositions::from_columns(columns).map(|_positions| ())
}

fn normalize_name(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unknown_column(name: &str) -> String {
    format!("there is no column “{name}”. The columns are {}", COLUMNS.join(", "))
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
    /// A column without an entry in `mappings` is found by its name. The error is a message about a column
    /// that is unknown, missing or appears twice.
    pub(crate) fn from_names(names: &[&str], mappings: &[ColumnMapping]) -> Result<Self, String> {
        if let Some(missing) = mappings.iter().find(|it| !names.iter().any(|name| it.matches(name))) {
            return Err(format!("the file has no column “{}”", missing.theirs));
        }
        let column = |name: &&str| match mappings.iter().find(|it| it.matches(name)) {
            Some(mapping) => Ok(mapping.ours),
            None => find_column_loosely(name).map(Some).ok_or_else(|| unknown_column(name.trim())),
        };
        let names = without_trailing_blanks(names, mappings);
        Self::from_columns(&names.iter().map(column).collect::<Result<Vec<_>, _>>()?)
    }

    /// `None` skips a column. The error is a message about a column that is missing or appears twice.
    pub(crate) fn from_columns(columns: &[Option<&'static str>]) -> Result<Self, String> {
        let mut positions = HashMap::new();
        for (position, column) in columns.iter().enumerate() {
            if let Some(column) = column
                && positions.insert(*column, position).is_some()
            {
                return Err(format!("the column “{column}” is there twice"));
            }
        }
        let is_missing = |name: &str| !positions.contains_key(name);
        if let Some(missing) = SESSION_FIELDS.iter().find(|field| field.is_required && is_missing(field.name))
        {
            return Err(format!("the column “{}” is missing", missing.name));
        }
        Ok(Self { positions, width: columns.len() })
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
        assert_eq!(check_header(&owned), Ok(()));
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
    fn a_column_is_neither_missing_nor_there_twice() {
        assert!(ColumnPositions::from_names(&["status", "Status"], &[]).unwrap_err().contains("twice"));
        assert!(ColumnPositions::from_names(&NAMES[..3], &[]).unwrap_err().contains("“endedAt” is missing"));
    }
}
