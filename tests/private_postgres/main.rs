//! The private PostgreSQL: real clusters in directories of their own, thrown away afterwards.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod data_directories;
mod failures;
mod sharing;
mod support;

use std::{iter, os::unix::fs::MetadataExt};

use uptok::private_postgres::{PrivatePostgres, Tuning};

use support::{DataDir, psql, setting, socket_directory};

#[test]
fn a_new_data_directory_gets_a_database() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    let who = psql(postgres.url(), "select current_user, current_database()").unwrap();
    assert_eq!(who, "uptok|uptok");
}

#[test]
fn the_database_orders_text_by_bytes_and_has_checksums() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    let database = "select pg_encoding_to_char(encoding), datcollate, current_setting('data_checksums') \
                    from pg_database where datname = 'uptok'";
    assert_eq!(psql(postgres.url(), database).unwrap(), "UTF8|C|on");
}

#[test]
fn only_its_owner_can_reach_the_database() {
    let data_dir = DataDir::new();

    let postgres = data_dir.start().unwrap();

    assert_eq!(setting(&postgres, "listen_addresses"), "");
    assert_eq!(socket_directory(postgres.url()).metadata().unwrap().mode() & 0o777, 0o700);
}

#[test]
fn what_people_entered_stays_out_of_the_log() {
    let data_dir = DataDir::new();
    let postgres = data_dir.start().unwrap();
    psql(postgres.url(), "create table people (email text primary key)").unwrap();

    psql(postgres.url(), "insert into people select 'ada@' || 'example.org' from generate_series(1, 2)")
        .unwrap_err();

    // The collector writes a moment later.
    let log =
        iter::repeat_with(|| psql(postgres.url(), "select pg_read_file(pg_current_logfile())").unwrap())
            .take(500)
            .find(|log| log.contains("duplicate key"))
            .expect("the error is in the log");
    assert!(!log.contains("ada@example.org"), "{log}");
    assert_eq!(setting(&postgres, "log_parameter_max_length"), "0");
    assert_eq!(setting(&postgres, "log_parameter_max_length_on_error"), "0");
}

#[test]
fn records_are_durable_and_tests_are_not() {
    let data_dir = DataDir::new();
    let settings = |tuning| {
        let postgres = PrivatePostgres::start(&data_dir.path, tuning).unwrap();
        ["fsync", "full_page_writes", "synchronous_commit", "max_connections"]
            .map(|name| setting(&postgres, name))
    };

    assert_eq!(settings(Tuning::Durable), ["on", "on", "on", "100"]);
    assert_eq!(settings(Tuning::ForTests), ["off", "off", "off", "200"]);
}
