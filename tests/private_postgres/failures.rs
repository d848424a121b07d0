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

    let refusal = data_dir.start().unwrap_err().to_string();

    assert!(refusal.contains("points to /var/lib/uptok/gone"), "{refusal}");
}

#[test]
fn a_cluster_of_a_version_that_is_missing_is_named() {
    let data_dir = DataDir::with_stopped_cluster();
    fs::write(data_dir.cluster().join("PG_VERSION"), "99\n").unwrap();

    let refusal = data_dir.start().unwrap_err().to_string();

    assert!(refusal.contains("was made by PostgreSQL 99, which is not installed"), "{refusal}");
}

#[test]
fn a_failed_start_shows_what_postgresql_says() {
    let data_dir = DataDir::with_stopped_cluster();
    let settings = data_dir.cluster().join("postgresql.conf");
    let good = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{good}nonsense = 1\n")).unwrap();

    let refusal = data_dir.start().unwrap_err().to_string();

    assert!(refusal.contains("unrecognized configuration parameter \"nonsense\""), "{refusal}");
}

#[test]
fn a_stale_pid_file_does_not_hinder_even_if_its_number_was_given_away() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut stranger = neighbour(&data_dir, "sleep", "600");
    leave_stale_files(&data_dir, &stranger);

    let answer = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    assert!(stranger.try_wait().unwrap().is_none(), "nobody stopped the stranger");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(answer.unwrap(), "1");
}

#[test]
fn a_dead_process_that_nobody_collected_does_not_hinder() {
    let data_dir = DataDir::with_stopped_cluster();
    let mut dead = neighbour(&data_dir, "echo", "gone");
    dead.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    leave_stale_files(&data_dir, &dead);

    let answer = data_dir.start().map(|postgres| psql(postgres.url(), "select 1").unwrap());

    dead.wait().unwrap();
    assert_eq!(answer.unwrap(), "1");
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
fn leave_stale_files(data_dir: &DataDir, process: &Child) {
    let stale = format!("{}\n{}\n1\n5432\n\n\n  1 1\nready\n", process.id(), data_dir.cluster().display());
    for name in ["postmaster.pid", ".s.PGSQL.5432.lock"] {
        fs::write(data_dir.cluster().join(name), &stale).unwrap();
    }
}

/// A program that runs as the account that PostgreSQL runs as, for only such a one could hinder it.
fn neighbour(data_dir: &DataDir, program: &str, argument: &str) -> Child {
    let cluster = data_dir.cluster().metadata().unwrap();
    let mut command = Command::new(program);
    command.arg(argument).uid(cluster.uid()).gid(cluster.gid()).current_dir("/").stdout(Stdio::piped());
    command.spawn().unwrap()
}
