//! The system account that runs the PostgreSQL binaries: the current user or, because PostgreSQL refuses to run as root,
//! an unprivileged account if that is root.

use std::{
    ffi::OsStr,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use nix::unistd::{User, getegid, geteuid};

#[derive(Clone, Copy, Debug)]
pub(super) struct SystemAccount {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl SystemAccount {
    /// The current user, or `postgres` if that is root.
    ///
    /// # Errors
    /// If the current user is root and there is no user `postgres`.
    pub(super) fn for_new_cluster() -> anyhow::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid().as_raw(), gid: getegid().as_raw() });
        }
        let user = User::from_name("postgres").context("Cannot look up the system user postgres")?.context(
            "PostgreSQL refuses to run as root and there is no system user `postgres` to run it as: install \
             PostgreSQL (Debian: `apt-get install postgresql`), or run Uptok as an ordinary user",
        )?;
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
    }

    /// # Errors
    /// If `cluster` belongs to root, or to another user and we are not root.
    pub(super) fn from_owner_of(cluster: &Path) -> anyhow::Result<Self> {
        let owner = cluster.metadata().with_context(|| format!("Cannot access {}", cluster.display()))?;
        if owner.uid() != geteuid().as_raw() && !geteuid().is_root() {
            bail!("The database {} belongs to another user (uid {})", cluster.display(), owner.uid());
        }
        if owner.uid() == 0 {
            bail!(
                "The database {0} belongs to root, but PostgreSQL refuses to run as root: `chown -R postgres: {0}`",
                cluster.display()
            );
        }
        Ok(Self { uid: owner.uid(), gid: owner.gid() })
    }

    pub(super) fn is_other_user(self) -> bool {
        self.uid != geteuid().as_raw()
    }

    /// Prepares to run `program` as this account, in `directory` and with an empty environment.
    pub(super) fn command(self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        // Our environment may contain secrets, and `PG*` variables would change how PostgreSQL behaves.
        command
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")])
            .current_dir(directory)
            .stdin(Stdio::null());
        if self.is_other_user() {
            // `uid` also drops root's supplementary groups. Both take effect before the change of directory.
            command.gid(self.gid).uid(self.uid);
        }
        command
    }
}
