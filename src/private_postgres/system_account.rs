//! The system account that PostgreSQL's programs run as: ourselves, or, because PostgreSQL refuses root, an
//! ordinary account when we are root.

use std::{
    ffi::OsStr,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use nix::unistd::{User, getegid, geteuid};

/// Who runs PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemAccount {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl SystemAccount {
    /// The account that a new cluster shall belong to.
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

    /// The account that an existing `cluster` belongs to, if we may act for it.
    pub(super) fn from_owner_of(cluster: &Path) -> anyhow::Result<Self> {
        let owner = cluster.metadata().with_context(|| format!("Cannot look at {}", cluster.display()))?;
        if owner.uid() != geteuid().as_raw() && !geteuid().is_root() {
            bail!("The database {} belongs to another user (uid {})", cluster.display(), owner.uid());
        }
        if owner.uid() == 0 {
            bail!(
                "The database {0} belongs to root, as whom PostgreSQL refuses to run: `chown -R postgres: {0}`",
                cluster.display()
            );
        }
        Ok(Self { uid: owner.uid(), gid: owner.gid() })
    }

    /// Whether running as this account means leaving our own.
    pub(super) fn is_other_user(self) -> bool {
        self.uid != geteuid().as_raw()
    }

    /// `program` as this account, in `directory`.
    pub(super) fn command(self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let mut command = Command::new(program);
        // Our environment holds secrets, and PG* variables would lead PostgreSQL astray: it gets neither.
        command
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")])
            .current_dir(directory)
            .stdin(Stdio::null());
        if self.is_other_user() {
            // `uid` also drops root's supplementary groups, and the directory is entered as the account.
            command.gid(self.gid).uid(self.uid);
        }
        command
    }
}
