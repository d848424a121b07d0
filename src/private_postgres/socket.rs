//! The Unix socket of a cluster, and the database URL that leads to it.

use std::{
    fmt::Write,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::system_account::SystemAccount;

/// Part of the socket's file name. It is fixed, or `PGPORT` in the environment would change that name.
pub(super) const PORT: u16 = 5432;

/// Maximum length of a socket's path: the limit of macOS, which is lower than that of Linux (107).
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// The socket of a cluster. Its directory has mode 0700, which alone keeps other users out.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) directory: PathBuf,
    account: SystemAccount,
    is_outside_cluster: bool,
}

impl UnixSocket {
    /// Places the socket inside `cluster`, which is private. Falls back to a directory in `/tmp` if the path of the
    /// cluster is too long for a socket or needs quoting in PostgreSQL's settings.
    pub(super) fn for_cluster(cluster: &Path, account: SystemAccount) -> Self {
        let is_outside_cluster = !(fits_socket_path(cluster) && needs_no_quoting(cluster));
        let directory = if is_outside_cluster { tmp_directory(cluster, account) } else { cluster.to_owned() };
        Self { directory, account, is_outside_cluster }
    }

    /// Example: `postgres://uptok@/uptok?host=%2Fdirectory&port=5432`
    pub(super) fn database_url(&self) -> String {
        let host = percent_encode(self.directory.as_os_str().as_bytes());
        format!("postgres://uptok@/uptok?host={host}&port={PORT}")
    }

    pub(super) fn is_listening(&self) -> bool {
        UnixStream::connect(socket_file(&self.directory)).is_ok()
    }

    /// `false` once the file was deleted. The file of a killed server remains.
    pub(super) fn exists(&self) -> bool {
        socket_file(&self.directory).exists()
    }

    /// Value of PostgreSQL's `unix_socket_directories`. Relative to the cluster if possible: a server whose cluster was
    /// deleted removes its socket when it ends, and must not remove that of a new one at the same path.
    pub(super) fn directory_setting(&self) -> &Path {
        if self.is_outside_cluster { &self.directory } else { Path::new(".") }
    }

    /// Removes the lock file next to the socket. It contains the same process ID as `postmaster.pid`, so if that is
    /// stale, PostgreSQL would refuse to start because of either.
    pub(super) fn remove_lock_file(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(format!(".s.PGSQL.{PORT}.lock"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Creates the directory if it is in `/tmp`.
    ///
    /// # Errors
    /// If it exists but belongs to another user or is accessible to others: that user could replace the socket and
    /// read what we send.
    pub(super) fn ensure_private_directory(&self) -> anyhow::Result<()> {
        if !self.is_outside_cluster {
            return Ok(());
        }
        let name = self.directory.display();
        // Ignore the exit status, because the directory may exist already; check what is there instead.
        let mut mkdir = self.account.command("mkdir", Path::new("/"));
        mkdir
            .args(["-m", "0700"])
            .arg(&self.directory)
            .output()
            .with_context(|| format!("Cannot create {name}"))?;
        let metadata = self.directory.symlink_metadata().with_context(|| format!("Cannot create {name}"))?;
        if !metadata.is_dir()
            || metadata.uid() != self.account.uid
            || metadata.permissions().mode() & 0o777 != 0o700
        {
            bail!("{name} is not a private directory of uid {}: remove it", self.account.uid);
        }
        Ok(())
    }

    /// Removes the directory if it is in `/tmp`. PostgreSQL must have stopped.
    pub(super) fn remove_directory(&self) {
        if self.is_outside_cluster && fs::remove_dir(&self.directory).is_err() {
            tracing::debug!("Cannot remove {}", self.directory.display());
        }
    }
}

fn socket_file(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

fn fits_socket_path(directory: &Path) -> bool {
    socket_file(directory).as_os_str().len() <= MAX_SOCKET_PATH_BYTES
}

fn needs_no_quoting(directory: &Path) -> bool {
    directory.as_os_str().as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

fn tmp_directory(cluster: &Path, account: SystemAccount) -> PathBuf {
    let digest = Sha256::digest(cluster.as_os_str().as_bytes());
    let name = digest.iter().take(8).fold(format!("uptok-{}-", account.uid), |mut name, byte| {
        write!(name, "{byte:02x}").expect("writing to a String cannot fail");
        name
    });
    Path::new("/tmp").join(name)
}

fn percent_encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"._-~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST_ACCOUNT: SystemAccount = SystemAccount { uid: 1000, gid: 1000 };

    fn socket_directory(cluster: &str) -> String {
        UnixSocket::for_cluster(Path::new(cluster), TEST_ACCOUNT).directory.display().to_string()
    }

    #[test]
    fn a_short_path_without_special_characters_contains_the_socket() {
        assert_eq!(socket_directory("/srv/uptok/data/postgres"), "/srv/uptok/data/postgres");
    }

    #[test]
    fn a_socket_path_never_exceeds_the_limit() {
        for length in 1..200 {
            let directory = socket_directory(&format!("/{}", "x".repeat(length)));

            let socket = format!("{directory}/.s.PGSQL.5432");

            assert!(socket.len() <= MAX_SOCKET_PATH_BYTES, "{socket}");
        }
    }

    #[test]
    fn a_path_that_needs_quoting_has_its_socket_in_tmp() {
        for cluster in ["/a b", "/a'b", "/a\"b", "/a,b", "/a$b", "/ä"] {
            assert!(socket_directory(cluster).starts_with("/tmp/uptok-1000-"), "{cluster}");
        }
    }

    #[test]
    fn two_clusters_never_share_a_socket() {
        assert_ne!(socket_directory("/a b"), socket_directory("/a c"));
    }

    #[test]
    fn the_host_is_percent_encoded() {
        assert_eq!(percent_encode(b"/a b&c'd=\xc3\xa4"), "%2Fa%20b%26c%27d%3D%C3%A4");
    }
}
