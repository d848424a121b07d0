//! Makes a new cluster, whole or not at all.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use uuid::Uuid;

use super::{Tuning, binaries::Programs, location::Place, system_account::Account};

/// Where clusters live whose data directory their account cannot enter.
const ELSEWHERE: &str = "/var/lib/uptok";

/// Added to the cluster's own `postgresql.conf`.
const SETTINGS: &str = include_str!("settings.conf");

/// Makes the cluster of `place`, with the role and the database `uptok`.
pub(super) fn cluster_in(place: &Place, tuning: Tuning) -> anyhow::Result<()> {
    let programs = Programs::newest()?;
    let account = Account::for_new_cluster()?;
    remove_unfinished(&place.draft())?;
    let draft = make_draft(place, account)?;
    tracing::info!("Making a new PostgreSQL cluster in {}", draft.display());
    fill(&draft, account, &programs, tuning)
        .with_context(|| format!("Cannot make a PostgreSQL cluster in {}", draft.display()))?;
    fs::rename(place.draft(), place.cluster())?;
    // Without this a power cut could take back the rename.
    File::open(place.data_dir())?.sync_all()?;
    Ok(())
}

/// Clears away what a process left that died while making a cluster.
fn remove_unfinished(draft: &Path) -> anyhow::Result<()> {
    let cannot = || format!("Cannot remove the unfinished {}", draft.display());
    let Ok(found) = draft.symlink_metadata() else { return Ok(()) };
    if !found.is_symlink() {
        return fs::remove_dir_all(draft).with_context(cannot);
    }
    let target = draft.read_link()?;
    // We follow only links that we made: this may be root in somebody else's directory.
    if target.parent() == Some(Path::new(ELSEWHERE)) && target.exists() {
        fs::remove_dir_all(&target).with_context(cannot)?;
    }
    fs::remove_file(draft).with_context(cannot)
}

/// An empty directory for the cluster that `account` can use: the draft itself, or, when that lies where the
/// account cannot go, a directory elsewhere with the draft as a symlink to it.
fn make_draft(place: &Place, account: Account) -> anyhow::Result<PathBuf> {
    let draft = place.draft();
    make_private(&draft)?;
    if lend(&draft, account) {
        return Ok(draft);
    }
    fs::remove_dir(&draft)?;
    let elsewhere = Path::new(ELSEWHERE).join(Uuid::now_v7().simple().to_string());
    make_public(Path::new(ELSEWHERE))?;
    symlink(&elsewhere, &draft)?;
    make_private(&elsewhere)?;
    ensure!(
        lend(&elsewhere, account),
        "uid {} can use neither {} nor {ELSEWHERE}",
        account.uid,
        draft.display()
    );
    tracing::info!(
        "PostgreSQL does not run as root, and uid {} cannot use {}: the database is kept in {}, and {} points there",
        account.uid,
        place.data_dir().display(),
        elsewhere.display(),
        place.cluster().display(),
    );
    Ok(elsewhere)
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().mode(0o700).create(directory);
    made.with_context(|| format!("Cannot make {}", directory.display()))
}

/// Makes `directory` for all to pass through, whatever our umask; one that is there stays as it is.
fn make_public(directory: &Path) -> anyhow::Result<()> {
    if !directory.exists() {
        fs::create_dir_all(directory).with_context(|| format!("Cannot make {}", directory.display()))?;
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Gives `directory` to `account` and tells whether it can work there, by trying: there are too many reasons why
/// not (a closed directory above, a file system without owners) to reason about them.
fn lend(directory: &Path, account: Account) -> bool {
    if !account.is_another() {
        return true;
    }
    lchown(directory, Some(account.uid), Some(account.gid)).is_ok()
        && account.command("test", directory).args(["-w", "."]).status().is_ok_and(|status| status.success())
}

fn fill(draft: &Path, account: Account, programs: &Programs, tuning: Tuning) -> anyhow::Result<()> {
    // As "." no path needs quoting: these programs call each other through a shell.
    let mut initdb = account.command(programs.initdb(), draft);
    initdb.args(["--pgdata=.", "--username=uptok", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    run(initdb.args(["--data-checksums", "--no-sync", "--no-instructions"]), "")?;

    run(account.command("tee", draft).args(["-a", "postgresql.conf"]), SETTINGS)?;

    let mut single_user = account.command(programs.postgres(), draft);
    single_user.args(["--single", "-F", "-D", ".", "-c", "exit_on_error=true", "postgres"]);
    run(&mut single_user, "create database uptok;\n")?;

    if tuning == Tuning::Durable {
        run(account.command(programs.initdb(), draft).args(["--pgdata=.", "--sync-only"]), "")?;
    }
    Ok(())
}

/// Runs `command` with `input`; if it fails, what it said is the error.
fn run(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("Cannot run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
