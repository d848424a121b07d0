//! What a start finds after something went wrong.

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, symlink},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use uptok::private_postgres::{PrivatePostgres, Tuning};

use super::support::{DataDir, psql};

#[test]
fn a_cluster_in_the_making_is_made_anew() {
    let data_dir = DataDir::new();
    let draft = data_dir.path.join("postgres.new");
    fs::create_dir_all(draft.join("base")).unwrap();

    let _postgres = data_dir.start().unwrap();

    assert!(!draft.exists());
}

#[test]
fn a_link_that_leads_nowhere_is_not_replaced_by_an_empty_database() {
    let data_dir = DataDir::new();
    fs::create_dir_all(&data_dir.path).unwrap();
    symlink("/var/lib/uptok/gone", data_dir.cluster()).unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("points to /var/lib/uptok/gone"), "{error}");
}

#[test]
fn a_cluster_of_a_version_that_is_missing_is_named() {
    let data_dir = DataDir::with_stopped_cluster();
    fs::write(data_dir.cluster().join("PG_VERSION"), "99\n").unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("was made by PostgreSQL 99, which is not installed"), "{error}");
}

#[test]
fn a_failed_start_shows_what_postgresql_says() {
    let data_dir = DataDir::with_stopped_cluster();
    let settings = data_dir.cluster().join("postgresql.conf");
    let good = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{good}nonsense = 1\n")).unwrap();

    let error = data_dir.start().unwrap_err().to_string();

    assert!(error.contains("unrecognized configuration parameter \"nonsense\""), "{error}");
}

#[test]
fn a_stale_pid_file_does_not_hinder_even_if_its_number_was_given_away() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut unrelated_process = spawn_as_cluster_owner(&data_dir, "sleep", "600");
    write_stale_pid_files(&data_dir, &unrelated_process);

    let result = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    assert!(unrelated_process.try_wait().unwrap().is_none(), "the unrelated process still runs");
    unrelated_process.kill().unwrap();
    unrelated_process.wait().unwrap();
    assert_eq!(result.unwrap(), "1");
}

#[test]
fn a_dead_process_that_nobody_collected_does_not_hinder() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut zombie = spawn_as_cluster_owner(&data_dir, "echo", "gone");
    zombie.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    write_stale_pid_files(&data_dir, &zombie);

    let result = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    zombie.wait().unwrap();
    assert_eq!(result.unwrap(), "1");
}

#[test]
fn a_server_that_was_killed_recovers_what_was_committed() {
    let data_dir = DataDir::new();
    let postgres = PrivatePostgres::start(&data_dir.path, Tuning::Durable).unwrap();
    let url = postgres.url();
    psql(url, "create table kept as select 42 as answer").unwrap();
    let others = psql(url, "select pid from pg_stat_activity where pid <> pg_backend_pid()").unwrap();
    let pid_file = fs::read_to_string(data_dir.cluster().join("postmaster.pid")).unwrap();
    Command::new("kill")
        .args(["-9", pid_file.lines().next().unwrap()])
        .args(others.lines())
        .status()
        .unwrap();
    drop(postgres);

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select answer from kept").unwrap(), "42");
}

/// What a power cut leaves: a note that the server runs as `process`.
fn write_stale_pid_files(data_dir: &DataDir, process: &Child) {
    let stale = format!("{}\n{}\n1\n5432\n\n\n  1 1\nready\n", process.id(), data_dir.cluster().display());
    for name in ["postmaster.pid", ".s.PGSQL.5432.lock"] {
        fs::write(data_dir.cluster().join(name), &stale).unwrap();
    }
}

/// A program that runs as the account that PostgreSQL runs as, for only such a one could hinder it.
fn spawn_as_cluster_owner(data_dir: &DataDir, program: &str, argument: &str) -> Child {
    let cluster = data_dir.cluster().metadata().unwrap();
    let mut command = Command::new(program);
    command.arg(argument).uid(cluster.uid()).gid(cluster.gid()).current_dir("/").stdout(Stdio::piped());
    command.spawn().unwrap()
}
