//! Starting after a crash, and with a broken cluster.

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use uptok::private_postgres::{DurabilityMode, PrivatePostgres};

use super::support::{DataDir, psql};

#[test]
fn an_incomplete_cluster_is_replaced() {
    let data_dir = DataDir::new();
    let staging_dir = data_dir.path.join("postgres.new");
    fs::create_dir_all(staging_dir.join("base")).unwrap();

    let _postgres = data_dir.start().unwrap();

    assert!(!staging_dir.exists());
}

#[test]
fn a_dangling_cluster_link_is_refused() {
    let data_dir = DataDir::new();
    fs::create_dir_all(&data_dir.path).unwrap();
    symlink("/var/lib/uptok/gone", data_dir.cluster()).unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("points to /var/lib/uptok/gone"), "{error}");
}

#[test]
fn a_missing_postgresql_version_is_named_in_the_error() {
    let data_dir = DataDir::with_stopped_cluster();
    fs::write(data_dir.cluster().join("PG_VERSION"), "99\n").unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("was created by PostgreSQL 99, which is not installed"), "{error}");
}

#[test]
fn a_failed_start_reports_the_postgresql_log() {
    let data_dir = DataDir::with_stopped_cluster();
    let settings = data_dir.cluster().join("postgresql.conf");
    let good = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{good}nonsense = 1\n")).unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("unrecognized configuration parameter \"nonsense\""), "{error}");
}

#[test]
fn a_stale_pid_file_is_ignored_if_another_process_has_its_process_id() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut unrelated_process = spawn_as_cluster_owner(&data_dir, "sleep", "600");
    write_stale_pid_files(&data_dir, &unrelated_process);

    let result = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    assert!(unrelated_process.try_wait().unwrap().is_none(), "the unrelated process should keep running");
    unrelated_process.kill().unwrap();
    unrelated_process.wait().unwrap();
    assert_eq!(result.unwrap(), "1");
}

#[test]
fn a_stale_pid_file_of_a_zombie_is_ignored() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut zombie = spawn_as_cluster_owner(&data_dir, "echo", "gone");
    zombie.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    write_stale_pid_files(&data_dir, &zombie);

    let result = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    zombie.wait().unwrap();
    assert_eq!(result.unwrap(), "1");
}

#[test]
fn a_killed_server_recovers_committed_transactions() {
    let data_dir = DataDir::new();
    let postgres = PrivatePostgres::start(&data_dir.path, DurabilityMode::Durable).unwrap();
    let url = postgres.url();
    psql(url, "create table saved as select 42 as answer").unwrap();
    let others = psql(url, "select pid from pg_stat_activity where pid <> pg_backend_pid()").unwrap();
    let pid_file = fs::read_to_string(data_dir.cluster().join("postmaster.pid")).unwrap();
    Command::new("kill")
        .args(["-9", pid_file.lines().next().unwrap()])
        .args(others.lines())
        .status()
        .unwrap();
    drop(postgres);

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select answer from saved").unwrap(), "42");
}

/// Writes the files that remain after a power cut, with the process ID of `process` as that of the server.
fn write_stale_pid_files(data_dir: &DataDir, process: &Child) {
    let stale = format!("{}\n{}\n1\n5432\n\n\n  1 1\nready\n", process.id(), data_dir.cluster().display());
    for name in ["postmaster.pid", ".s.PGSQL.5432.lock"] {
        fs::write(data_dir.cluster().join(name), &stale).unwrap();
    }
}

/// Starts `program` as the owner of the cluster: PostgreSQL ignores a pid file if the process belongs to another user.
fn spawn_as_cluster_owner(data_dir: &DataDir, program: &str, argument: &str) -> Child {
    let cluster = data_dir.cluster().metadata().unwrap();
    let mut command = Command::new(program);
    command.arg(argument).uid(cluster.uid()).gid(cluster.gid()).current_dir("/").stdout(Stdio::piped());
    command.spawn().unwrap()
}
