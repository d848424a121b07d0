//! Which column of a CSV is which field of the record.

use std::{collections::HashMap, str::FromStr};

use crate::sessions::fields::{COLUMNS, SESSION_FIELDS};

/// How a column of a file is called there, and which of [`COLUMNS`] it is; `None`: it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnMapping {
    theirs: String,
    ours: Option<&'static str>,
}

impl FromStr for ColumnMapping {
    type Err = String;

    /// `Their Name=ourName`; `Their Name=` leaves the column out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (theirs, ours) = text.rsplit_once('=').ok_or("write it as 'Their Name=ourName'")?;
        let ours = match ours.trim() {
            "" => None,
            name => Some(alike(name).ok_or_else(|| unknown(name))?),
        };
        Ok(Self { theirs: theirs.trim().to_owned(), ours })
    }
}

impl ColumnMapping {
    /// Whether a column of this name is meant. Only of a name without letters and digits every sign matters.
    fn is_of(&self, name: &str) -> bool {
        let theirs = letters(&self.theirs);
        if theirs.is_empty() { self.theirs == name.trim() } else { theirs == letters(name) }
    }
}

/// The column of this very name.
#[must_use]
pub fn column(name: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|column| *column == name)
}

/// The column whose name this is but for case, spaces and signs.
#[must_use]
pub fn alike(name: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|column| letters(column) == letters(name))
}

/// Whether a file with columns of these names needs no mapping.
///
/// # Errors
/// Why it does, as a sentence.
pub fn understood(names: &[String]) -> Result<(), String> {
    if let Some(name) = names.iter().find(|name| alike(name).is_none()) {
        return Err(format!("“{name}” is no field of the record"));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ColumnPositions::named(&names, &[]).map(|_header| ())
}

/// Whether these are the columns of a file; `None`: the column is left out.
///
/// # Errors
/// A column that is there twice or missing, as a sentence.
pub fn placed(columns: &[Option<&'static str>]) -> Result<(), String> {
    ColumnPositions::placed(columns).map(|_header| ())
}

fn letters(name: &str) -> String {
    name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn unknown(name: &str) -> String {
    format!("there is no column “{name}”. The columns are {}", COLUMNS.join(", "))
}

/// Which column stands where.
#[derive(Debug)]
pub(crate) struct ColumnPositions {
    places: HashMap<&'static str, usize>,
    pub(crate) width: usize,
}

impl ColumnPositions {
    /// The header of a file whose columns have these names; where `mapped` says nothing of a column, its name does.
    ///
    /// # Errors
    /// A column that is unknown, there twice or missing, as a sentence.
    pub(crate) fn named(names: &[&str], mapped: &[ColumnMapping]) -> Result<Self, String> {
        if let Some(lost) = mapped.iter().find(|it| !names.iter().any(|name| it.is_of(name))) {
            return Err(format!("the file has no column “{}”", lost.theirs));
        }
        let place = |name: &&str| match mapped.iter().find(|it| it.is_of(name)) {
            Some(mapped) => Ok(mapped.ours),
            None => alike(name).map(Some).ok_or_else(|| unknown(name.trim())),
        };
        Self::placed(&names.iter().map(place).collect::<Result<Vec<_>, _>>()?)
    }

    /// The header of a file with these columns, from the first on; `None`: the column is left out.
    ///
    /// # Errors
    /// A column that is there twice or missing, as a sentence.
    pub(crate) fn placed(columns: &[Option<&'static str>]) -> Result<Self, String> {
        let mut places = HashMap::new();
        for (place, column) in columns.iter().enumerate() {
            if let Some(column) = column
                && places.insert(*column, place).is_some()
            {
                return Err(format!("the column “{column}” is there twice"));
            }
        }
        let is_missing = |name: &str| !places.contains_key(name);
        if let Some(missing) = SESSION_FIELDS.iter().find(|field| field.is_required && is_missing(field.name))
        {
            return Err(format!("the column “{}” is missing", missing.name));
        }
        Ok(Self { places, width: columns.len() })
    }

    /// The cell of a column; empty where the file has no such column.
    pub(crate) fn cell<'a>(&self, cells: &[&'a str], name: &str) -> &'a str {
        self.places.get(name).map_or("", |place| cells[*place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["STATUS", " channel ", "Created At", "ended_at", "Agent-Name"];

    #[test]
    fn case_spaces_and_signs_do_not_matter() {
        let header = ColumnPositions::named(&NAMES, &[]).unwrap();
        assert_eq!(header.cell(&["a", "b", "c", "d", "e"], "agentName"), "e");
        assert_eq!(header.cell(&["a", "b", "c", "d", "e"], "notes"), "");
    }

    #[test]
    fn what_is_called_otherwise_is_mapped_or_left_out() {
        let names = ["state", "channel", "createdAt", "endedAt", "a=b"];
        assert!(ColumnPositions::named(&names, &[]).unwrap_err().contains("“state”"));
        let mapped = ["state=status".parse().unwrap(), "a=b=".parse().unwrap()];
        assert_eq!(ColumnPositions::named(&names, &mapped).unwrap().cell(&["x"; 5], "status"), "x");
        assert!(ColumnPositions::named(&NAMES, &mapped).unwrap_err().contains("has no column “state”"));
        assert!("a=b".parse::<ColumnMapping>().is_err() && "a".parse::<ColumnMapping>().is_err());
    }

    #[test]
    fn a_column_is_neither_missing_nor_there_twice() {
        assert!(ColumnPositions::named(&["status", "Status"], &[]).unwrap_err().contains("twice"));
        assert!(ColumnPositions::named(&NAMES[..3], &[]).unwrap_err().contains("“endedAt” is missing"));
    }
}
