//! A supervised server is restarted when it stops.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use uptok::private_postgres::{PrivatePostgres, SupervisionTimes};

use super::support::{DataDir, is_running, psql, send_signal, wait_until};

/// Short enough for tests.
const TIMES: SupervisionTimes = SupervisionTimes {
    check_interval: Duration::from_millis(50),
    first_pause: Duration::from_millis(50),
    longest_pause: Duration::from_millis(200),
    give_up_after: Duration::from_secs(2),
};

/// With no end of restarts while the test runs.
const PATIENT: SupervisionTimes = SupervisionTimes { give_up_after: Duration::from_secs(600), ..TIMES };

/// A psql that stays connected, so that a server that is asked to stop waits for it.
fn open_connection(postgres: &PrivatePostgres) -> Child {
    let mut process = Command::new("psql")
        .args(["-XAtq", postgres.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("psql connects", || {
        assert!(process.try_wait().unwrap().is_none());
        psql(postgres.url(), "select count(*) from pg_stat_activity where application_name = 'psql'").unwrap()
            == "2"
    });
    process
}

/// Makes each further start fail, and returns the settings that were good.
fn break_settings(data_dir: &DataDir) -> String {
    let settings = data_dir.cluster().join("postgresql.conf");
    let good = fs::read_to_string(&settings).unwrap();
    fs::write(settings, format!("{good}nonsense = 1\n")).unwrap();
    good
}

#[test]
fn a_server_is_restarted_however_it_was_ended() {
    let data_dir = DataDir::new();
    let mut postgres = data_dir.start().unwrap();
    // Servers for tests do not wait for the disk, and a killed one would lose the table.
    psql(postgres.url(), "set synchronous_commit = on; create table saved as select 42 as answer").unwrap();
    let mut failure = postgres.supervise(PATIENT).unwrap();
    for signal in ["KILL", "TERM", "INT", "QUIT"] {
        let mut connection = open_connection(&postgres);
        let before = data_dir.server_pid();

        send_signal(&before, signal);

        wait_until(signal, || {
            psql(postgres.url(), "select answer from saved") == Ok("42".to_owned())
                && data_dir.find_server_pid().is_some_and(|pid| pid != before)
        });
        connection.kill().unwrap();
        connection.wait().unwrap();
    }
    assert!(failure.try_recv().is_err(), "it was restarted each time");
}

#[test]
fn a_server_whose_socket_was_deleted_is_restarted() {
    let data_dir = DataDir::new();
    let mut postgres = data_dir.start().unwrap();
    let _failure = postgres.supervise(PATIENT).unwrap();

    fs::remove_file(data_dir.cluster().join(".s.PGSQL.5432")).unwrap();

    wait_until("a connection succeeds", || psql(postgres.url(), "select 1").is_ok());
}

#[test]
fn a_server_whose_socket_was_deleted_is_stopped_with_its_last_process_or_replaced_at_the_next_start() {
    let data_dir = DataDir::new();
    let first = data_dir.start().unwrap();
    let socket = data_dir.cluster().join(".s.PGSQL.5432");
    let pid = data_dir.server_pid();
    fs::remove_file(&socket).unwrap();

    let second = data_dir.start().unwrap();

    assert!(!is_running(&pid));
    assert_eq!(psql(second.url(), "select 1").unwrap(), "1");
    let pid = data_dir.server_pid();
    fs::remove_file(&socket).unwrap();
    drop(first);
    second.stop().unwrap();
    assert!(!is_running(&pid));
}

#[test]
fn a_server_that_cannot_be_restarted_is_given_up_with_the_reason() {
    let data_dir = DataDir::new();
    let mut postgres = data_dir.start().unwrap();
    let failure = postgres.supervise(TIMES).unwrap();
    break_settings(&data_dir);

    send_signal(&data_dir.server_pid(), "KILL");

    let reason = format!("{:#}", failure.blocking_recv().unwrap());
    assert!(reason.contains("could not be restarted for 2 seconds"), "{reason}");
    assert!(reason.contains("unrecognized configuration parameter \"nonsense\""), "{reason}");
}

#[test]
fn a_restart_that_failed_is_tried_again() {
    let data_dir = DataDir::new();
    let mut postgres = data_dir.start().unwrap();
    let _failure = postgres.supervise(PATIENT).unwrap();
    let good = break_settings(&data_dir);
    send_signal(&data_dir.server_pid(), "KILL");
    wait_until("a restart fails", || {
        fs::read_to_string(data_dir.cluster().join("start.log")).is_ok_and(|log| log.contains("nonsense"))
    });

    fs::write(data_dir.cluster().join("postgresql.conf"), good).unwrap();

    wait_until("a restart succeeds", || psql(postgres.url(), "select 1").is_ok());
}

#[test]
fn a_supervised_server_is_stopped_for_good() {
    let data_dir = DataDir::new();
    let mut postgres = data_dir.start().unwrap();
    let failure = postgres.supervise(TIMES).unwrap();
    let pid = data_dir.server_pid();

    postgres.stop().unwrap();

    assert!(!is_running(&pid));
    assert!(failure.blocking_recv().is_err(), "the supervisor has ended without a failure");
    assert!(!data_dir.cluster().join("postmaster.pid").exists());
}

#[test]
fn an_empty_pid_file_does_not_prevent_a_start() {
    let data_dir = DataDir::with_stopped_cluster();
    fs::write(data_dir.cluster().join("postmaster.pid"), "").unwrap();

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select 1").unwrap(), "1");
}
