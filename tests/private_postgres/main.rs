//! Tests of the private PostgreSQL with real clusters, each in its own temporary directory.
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod data_directories;
mod deletion;
mod failures;
mod node;
mod sharing;
mod supervision;
mod support;

use std::{iter, os::unix::fs::MetadataExt};

use uptok::private_postgres::{DurabilityMode, PrivatePostgres};

use support::{DataDir, psql, setting, socket_directory};

#[test]
fn starting_in_a_new_data_directory_creates_the_database() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    let identity = psql(postgres.url(), "select current_user, current_database()").unwrap();
    assert_eq!(identity, "uptok|uptok");
}

#[test]
fn the_database_uses_utf8_the_c_collation_and_checksums() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    let database = "select pg_encoding_to_char(encoding), datcollate, current_setting('data_checksums') \
                    from pg_database where datname = 'uptok'";
    assert_eq!(psql(postgres.url(), database).unwrap(), "UTF8|C|on");
}

#[test]
fn only_the_owner_can_connect() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    assert_eq!(setting(&postgres, "listen_addresses"), "");
    assert_eq!(socket_directory(postgres.url()).metadata().unwrap().mode() & 0o777, 0o700);
}

#[test]
fn the_log_contains_no_values_from_failed_statements() {
    let data_dir = DataDir::new();
    let postgres = data_dir.start().unwrap();
    psql(postgres.url(), "create table people (email text primary key)").unwrap();

    psql(postgres.url(), "insert into people select 'ada@' || 'example.org' from generate_series(1, 2)")
        .unwrap_err();

    // Poll, because the logging collector writes asynchronously.
    let log =
        iter::repeat_with(|| psql(postgres.url(), "select pg_read_file(pg_current_logfile())").unwrap())
            .take(500)
            .find(|log| log.contains("duplicate key"))
            .expect("the error should be logged");
    assert!(!log.contains("ada@example.org"), "{log}");
    assert_eq!(setting(&postgres, "log_parameter_max_length"), "0");
    assert_eq!(setting(&postgres, "log_parameter_max_length_on_error"), "0");
}

#[test]
fn only_the_durable_tuning_syncs_to_disk() {
    let data_dir = DataDir::new();
    let settings = |tuning| {
        let postgres = PrivatePostgres::start(&data_dir.path, tuning).unwrap();
        ["fsync", "full_page_writes", "synchronous_commit", "max_connections"]
            .map(|name| setting(&postgres, name))
    };

    assert_eq!(settings(DurabilityMode::Durable), ["on", "on", "on", "100"]);
    assert_eq!(settings(DurabilityMode::ForTests), ["off", "off", "off", "200"]);
}
