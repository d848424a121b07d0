//! Creates a new cluster atomically: in a staging directory that is renamed when it is complete.

use std::{
    fs::{self, DirBuilder, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, lchown, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use super::{
    DurabilityMode, binaries::PostgresBinaries, linked_clusters, location::ClusterLocation,
    system_account::SystemAccount,
};

/// Appended to the `postgresql.conf` that initdb writes.
const POSTGRESQL_CONF: &str = include_str!("settings.conf");

/// Creates the cluster with a role and a database named `uptok`. The caller must hold the lifecycle lock.
pub(super) fn create_cluster(location: &ClusterLocation, tuning: DurabilityMode) -> anyhow::Result<()> {
    let binaries = PostgresBinaries::find_newest()?;
    let account = SystemAccount::for_new_cluster()?;
    remove_stale_staging_dir(location)?;
    let staging_dir = create_staging_dir(location, account)?;
    tracing::info!("Creating a new PostgreSQL cluster in {}", staging_dir.display());
    initialize_cluster(&staging_dir, account, &binaries, tuning)
        .with_context(|| format!("Cannot create a PostgreSQL cluster in {}", staging_dir.display()))?;
    fs::rename(location.staging_dir(), location.cluster_dir())?;
    // Without this a power cut could undo the rename.
    File::open(location.data_dir())?.sync_all()?;
    Ok(())
}

/// Removes the staging directory that a process left when it was killed while creating a cluster.
fn remove_stale_staging_dir(location: &ClusterLocation) -> anyhow::Result<()> {
    let staging_dir = location.staging_dir();
    let context = || format!("Cannot remove the incomplete {}", staging_dir.display());
    let Ok(metadata) = staging_dir.symlink_metadata() else { return Ok(()) };
    if !metadata.is_symlink() {
        return fs::remove_dir_all(&staging_dir).with_context(context);
    }
    let target = staging_dir.read_link()?;
    linked_clusters::delete_incomplete_cluster(&target, location.data_dir()).with_context(context)?;
    fs::remove_file(&staging_dir).with_context(context)
}

/// Creates an empty directory that `account` can use: the staging directory itself or, if the account has no access to
/// it, a directory elsewhere to which the staging directory becomes a symlink.
fn create_staging_dir(location: &ClusterLocation, account: SystemAccount) -> anyhow::Result<PathBuf> {
    let staging_dir = location.staging_dir();
    create_private_dir(&staging_dir)?;
    if give_to_account(&staging_dir, account) {
        return Ok(staging_dir);
    }
    fs::remove_dir(&staging_dir)?;
    let directory = linked_clusters::reserve_directory(location.data_dir())?;
    symlink(&directory, &staging_dir)?;
    create_private_dir(&directory)?;
    ensure!(
        give_to_account(&directory, account),
        "uid {} can use neither {} nor {}",
        account.uid,
        staging_dir.display(),
        linked_clusters::DIRECTORY
    );
    tracing::warn!(
        "PostgreSQL does not run as root, and uid {} cannot use {}, so the database is in {}, and {} links to it. If \
         you delete the data directory, delete the database with `uptok clusters remove`",
        account.uid,
        location.data_dir().display(),
        directory.display(),
        location.cluster_dir().display(),
    );
    Ok(directory)
}

fn create_private_dir(directory: &Path) -> anyhow::Result<()> {
    let created = DirBuilder::new().mode(0o700).create(directory);
    created.with_context(|| format!("Cannot create {}", directory.display()))
}

/// Makes `account` the owner of `directory` and returns whether it can write there.
///
/// Tries it out, because access can fail for many reasons, such as an inaccessible parent directory or a file system
/// without owners.
fn give_to_account(directory: &Path, account: SystemAccount) -> bool {
    if !account.is_other_user() {
        return true;
    }
    lchown(directory, Some(account.uid), Some(account.gid)).is_ok()
        && account.command("test", directory).args(["-w", "."]).status().is_ok_and(|status| status.success())
}

fn initialize_cluster(
    staging_dir: &Path,
    account: SystemAccount,
    binaries: &PostgresBinaries,
    tuning: DurabilityMode,
) -> anyhow::Result<()> {
    // initdb starts other programs through a shell; "." needs no quoting, unlike the full path.
    let mut initdb = account.command(binaries.initdb(), staging_dir);
    initdb.args(["--pgdata=.", "--username=uptok", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
    run_with_input(initdb.args(["--data-checksums", "--no-sync", "--no-instructions"]), "")?;

    run_with_input(account.command("tee", staging_dir).args(["-a", "postgresql.conf"]), POSTGRESQL_CONF)?;

    let mut single_user = account.command(binaries.postgres(), staging_dir);
    single_user.args(["--single", "-F", "-D", ".", "-c", "exit_on_error=true", "postgres"]);
    run_with_input(&mut single_user, "create database uptok;\n")?;

    if tuning == DurabilityMode::Durable {
        run_with_input(
            account.command(binaries.initdb(), staging_dir).args(["--pgdata=.", "--sync-only"]),
            "",
        )?;
    }
    Ok(())
}

/// Runs `command` with `input` as its standard input.
///
/// # Errors
/// If it fails, with its standard error output.
fn run_with_input(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("Cannot run {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Ignore a broken pipe: a program that exits early reports the reason through its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
