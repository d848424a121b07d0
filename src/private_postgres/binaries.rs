//! PostgreSQL's programs, wherever the system keeps them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// Version 13 brought the setting that keeps parameters of failed statements out of the log; 14 is the oldest
/// that we run on.
const OLDEST_MAJOR: u32 = 14;

/// Where packages put PostgreSQL: a directory, and how the names in it begin that have a `bin` with the programs.
const PACKAGES: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),                      // Debian, Ubuntu
    ("/usr", "pgsql-"),                               // Fedora and Red Hat, packages of postgresql.org
    ("/opt/homebrew/opt", "postgresql"),              // Homebrew, Apple silicon
    ("/usr/local/opt", "postgresql"),                 // Homebrew, Intel
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql"), // Homebrew, Linux
];

/// An installed PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    bin: PathBuf,
    major: u32,
}

impl Programs {
    /// The newest PostgreSQL there is.
    pub(super) fn newest() -> anyhow::Result<Self> {
        // Backwards, because of several equals max_by_key takes the last, and `that_made` will take the first.
        installed().into_iter().rev().max_by_key(|programs| programs.major).with_context(|| {
            format!(
                "PostgreSQL {OLDEST_MAJOR} or newer is not installed: install it (Debian: `apt-get install \
                 postgresql`), or set DATABASE_URL to the address of a database"
            )
        })
    }

    /// The PostgreSQL that made `cluster`: no other version can read it.
    pub(super) fn that_made(cluster: &Path) -> anyhow::Result<Self> {
        let file = cluster.join("PG_VERSION");
        let version = fs::read_to_string(&file).with_context(|| format!("Cannot read {}", file.display()))?;
        let major =
            leading_number(&version).with_context(|| format!("{} holds no version", file.display()))?;
        let Some(programs) = installed().into_iter().find(|programs| programs.major == major) else {
            bail!(
                "The database {} was made by PostgreSQL {major}, which is not installed: install it (Debian: \
                 `apt-get install postgresql-{major}`), or set DATABASE_URL to the address of another database",
                cluster.display()
            );
        };
        Ok(programs)
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.bin.join("pg_ctl")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    /// The PostgreSQL whose programs are in `bin`, if all are there and new enough.
    fn in_bin(bin: PathBuf) -> Option<Self> {
        let programs = Self { bin, major: 0 };
        if !(programs.initdb().is_file() && programs.pg_ctl().is_file()) {
            return None;
        }
        // postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)
        let version = said_by(Command::new(programs.postgres()).arg("--version"))?;
        let major = leading_number(version.split_whitespace().nth(2)?)?;
        (major >= OLDEST_MAJOR).then_some(Self { major, ..programs })
    }
}

fn installed() -> Vec<Programs> {
    let packaged = PACKAGES.iter().flat_map(|(parent, prefix)| packaged(Path::new(parent), prefix));
    let configured = said_by(Command::new("pg_config").arg("--bindir")).map(PathBuf::from);
    let on_path = said_by(Command::new("sh").args(["-c", "command -v postgres"]))
        .and_then(|postgres| Some(Path::new(&postgres).parent()?.to_owned()));
    packaged.chain(configured).chain(on_path).filter_map(Programs::in_bin).collect()
}

fn packaged(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join("bin"))
        .collect()
}

/// What `command` prints, if it succeeds.
fn said_by(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// 15 for `15`, `15.20` and `15beta1`.
fn leading_number(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_known_by_its_first_number() {
        assert_eq!(leading_number("15\n"), Some(15));
        assert_eq!(leading_number("15.20"), Some(15));
        assert_eq!(leading_number("19beta1"), Some(19));
        assert_eq!(leading_number("(PostgreSQL)"), None);
    }

    #[test]
    fn a_directory_without_the_programs_is_passed_over() {
        assert!(Programs::in_bin(PathBuf::from("/")).is_none());
    }
}
