//! The unix socket that is the only way to the cluster, and its address.

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

use super::system_account::Account;

/// Fixed, because PGPORT in somebody's environment would otherwise change the name of the socket.
pub(super) const PORT: u16 = 5432;

/// The longest path of a socket in bytes: 107 on Linux, 103 on macOS.
const LONGEST_PATH: usize = 103;

/// The directory of a cluster's socket. Its mode is 0700, and that is what keeps strangers out.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) directory: PathBuf,
    account: Account,
    is_elsewhere: bool,
}

impl Socket {
    /// The socket of `cluster`: inside it, where everything is private and goes away together, unless its path is
    /// too long for a socket or has characters that need quoting in PostgreSQL's settings.
    pub(super) fn of(cluster: &Path, account: Account) -> Self {
        let is_elsewhere = !(is_short(cluster) && is_plain(cluster));
        let directory = if is_elsewhere { in_tmp(cluster, account) } else { cluster.to_owned() };
        Self { directory, account, is_elsewhere }
    }

    /// `postgres://uptok@/uptok?host=%2Fdirectory&port=5432`
    pub(super) fn url(&self) -> String {
        let host = percent_encoded(self.directory.as_os_str().as_bytes());
        format!("postgres://uptok@/uptok?host={host}&port={PORT}")
    }

    /// Whether somebody listens.
    pub(super) fn answers(&self) -> bool {
        UnixStream::connect(socket_in(&self.directory)).is_ok()
    }

    /// Removes the lock file beside the socket, which holds the same number as `postmaster.pid` and goes stale with it.
    pub(super) fn remove_lock(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(format!(".s.PGSQL.{PORT}.lock"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the directory, or makes sure that nobody else made it for us.
    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        if !self.is_elsewhere {
            return Ok(());
        }
        let name = self.directory.display();
        // It may be there already; what counts is what is there now.
        let mut mkdir = self.account.command("mkdir", Path::new("/"));
        mkdir
            .args(["-m", "0700"])
            .arg(&self.directory)
            .output()
            .with_context(|| format!("Cannot make {name}"))?;
        let found = self.directory.symlink_metadata().with_context(|| format!("Cannot make {name}"))?;
        if !found.is_dir() || found.uid() != self.account.uid || found.permissions().mode() & 0o777 != 0o700 {
            bail!("{name} is not a private directory of uid {}: remove it", self.account.uid);
        }
        Ok(())
    }

    /// Leaves nothing behind after PostgreSQL stopped.
    pub(super) fn clear(&self) {
        if self.is_elsewhere && fs::remove_dir(&self.directory).is_err() {
            tracing::debug!("{} stays", self.directory.display());
        }
    }
}

fn socket_in(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

fn is_short(directory: &Path) -> bool {
    socket_in(directory).as_os_str().len() <= LONGEST_PATH
}

fn is_plain(directory: &Path) -> bool {
    directory.as_os_str().as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

fn in_tmp(cluster: &Path, account: Account) -> PathBuf {
    let digest = Sha256::digest(cluster.as_os_str().as_bytes());
    let name = digest.iter().take(8).fold(format!("uptok-{}-", account.uid), |mut name, byte| {
        write!(name, "{byte:02x}").expect("writing to a String cannot fail");
        name
    });
    Path::new("/tmp").join(name)
}

fn percent_encoded(bytes: &[u8]) -> String {
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

    const ADA: Account = Account { uid: 1000, gid: 1000 };

    fn directory_for(cluster: &str) -> String {
        Socket::of(Path::new(cluster), ADA).directory.display().to_string()
    }

    #[test]
    fn a_short_and_plain_path_holds_its_own_socket() {
        assert_eq!(directory_for("/srv/uptok/data/postgres"), "/srv/uptok/data/postgres");
    }

    #[test]
    fn a_socket_never_has_a_longer_path_than_systems_allow() {
        for length in 1..200 {
            let directory = directory_for(&format!("/{}", "x".repeat(length)));

            let socket = format!("{directory}/.s.PGSQL.5432");

            assert!(socket.len() <= LONGEST_PATH, "{socket}");
        }
    }

    #[test]
    fn a_path_that_needs_quoting_has_its_socket_elsewhere() {
        for cluster in ["/a b", "/a'b", "/a\"b", "/a,b", "/a$b", "/ä"] {
            assert!(directory_for(cluster).starts_with("/tmp/uptok-1000-"), "{cluster}");
        }
    }

    #[test]
    fn two_clusters_never_share_a_socket() {
        assert_ne!(directory_for("/a b"), directory_for("/a c"));
    }

    #[test]
    fn an_address_is_percent_encoded() {
        assert_eq!(percent_encoded(b"/a b&c'd=\xc3\xa4"), "%2Fa%20b%26c%27d%3D%C3%A4");
    }
}
