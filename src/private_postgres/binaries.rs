//! Finds the installed PostgreSQL binaries.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// Oldest supported major version. Keeping the parameters of failed statements out of the log needs 13 or newer.
const MIN_MAJOR_VERSION: u32 = 14;

/// Where packages install PostgreSQL, as `(parent, prefix)`: every subdirectory of `parent` whose name starts with
/// `prefix` may have a `bin` directory.
const PACKAGE_DIRS: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),                      // Debian, Ubuntu
    ("/usr", "pgsql-"),                               // Fedora, Red Hat (packages from postgresql.org)
    ("/opt/homebrew/opt", "postgresql"),              // Homebrew, Apple silicon
    ("/usr/local/opt", "postgresql"),                 // Homebrew, Intel
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql"), // Homebrew, Linux
];

/// The binaries of one PostgreSQL installation.
#[derive(Clone, Debug)]
pub(super) struct PostgresBinaries {
    bin_dir: PathBuf,
    major_version: u32,
}

impl PostgresBinaries {
    /// # Errors
    /// If no supported version is installed.
    pub(super) fn find_newest() -> anyhow::Result<Self> {
        // `max_by_key` returns the last maximum; `rev()` makes the first installation of a version win, as in
        // `find_for_cluster`.
        find_installed().into_iter().rev().max_by_key(|binaries| binaries.major_version).with_context(|| {
            format!(
                "PostgreSQL {MIN_MAJOR_VERSION} or newer is not installed: install it (Debian: `apt-get install \
                 postgresql`), or set DATABASE_URL to the address of a database"
            )
        })
    }

    /// Finds the major version that created `cluster`, because no other one can read it.
    ///
    /// # Errors
    /// If that version is not installed.
    pub(super) fn find_for_cluster(cluster: &Path) -> anyhow::Result<Self> {
        let file = cluster.join("PG_VERSION");
        let version = fs::read_to_string(&file).with_context(|| format!("Cannot read {}", file.display()))?;
        let major_version = parse_major_version(&version)
            .with_context(|| format!("{} does not contain a version number", file.display()))?;
        let Some(binaries) =
            find_installed().into_iter().find(|binaries| binaries.major_version == major_version)
        else {
            bail!(
                "The database {} was created by PostgreSQL {major_version}, which is not installed: install it (Debian: \
                 `apt-get install postgresql-{major_version}`), or set DATABASE_URL to the address of another database",
                cluster.display()
            );
        };
        Ok(binaries)
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.bin_dir.join("initdb")
    }

    pub(super) fn pg_ctl(&self) -> PathBuf {
        self.bin_dir.join("pg_ctl")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.bin_dir.join("postgres")
    }

    /// Returns `None` if a binary is missing or the version is not supported.
    fn from_bin_dir(bin_dir: PathBuf) -> Option<Self> {
        let binaries = Self { bin_dir, major_version: 0 };
        if !(binaries.initdb().is_file() && binaries.pg_ctl().is_file()) {
            return None;
        }
        // Example: postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)
        let version = capture_stdout(Command::new(binaries.postgres()).arg("--version"))?;
        let major_version = parse_major_version(version.split_whitespace().nth(2)?)?;
        (major_version >= MIN_MAJOR_VERSION).then_some(Self { major_version, ..binaries })
    }
}

fn find_installed() -> Vec<PostgresBinaries> {
    let packaged =
        PACKAGE_DIRS.iter().flat_map(|(parent, prefix)| package_bin_dirs(Path::new(parent), prefix));
    let configured = capture_stdout(Command::new("pg_config").arg("--bindir")).map(PathBuf::from);
    let on_path = capture_stdout(Command::new("sh").args(["-c", "command -v postgres"]))
        .and_then(|postgres| Some(Path::new(&postgres).parent()?.to_owned()));
    packaged.chain(configured).chain(on_path).filter_map(PostgresBinaries::from_bin_dir).collect()
}

fn package_bin_dirs(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = parent.read_dir() else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join("bin"))
        .collect()
}

/// Returns the trimmed standard output of `command`, or `None` if it fails.
fn capture_stdout(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Returns 15 for `15`, `15.20` and `15beta1`.
fn parse_major_version(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_leading_number() {
        assert_eq!(parse_major_version("15\n"), Some(15));
        assert_eq!(parse_major_version("15.20"), Some(15));
        assert_eq!(parse_major_version("19beta1"), Some(19));
        assert_eq!(parse_major_version("(PostgreSQL)"), None);
    }

    #[test]
    fn a_directory_without_binaries_is_skipped() {
        assert!(PostgresBinaries::from_bin_dir(PathBuf::from("/")).is_none());
    }
}
