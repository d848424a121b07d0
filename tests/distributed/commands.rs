//! `uptok distribute`.

use std::process::Command;

use uptok::db::Db;

use crate::{cluster, support::TestDb};

/// Runs `uptok distribute` and returns what it prints.
fn distribute(db: &TestDb) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    let output = command.arg("distribute").env_clear().env("DATABASE_URL", &db.url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn second_run_has_nothing_to_do() {
    cluster();
    let db = TestDb::empty();
    Db::migrate(&db.url).unwrap();
    let tables = "select string_agg(concat_ws(' ', table_name, citus_table_type, colocation_id), ', ' \
         order by table_name::text) as answer from citus_tables";

    let first = distribute(&db);
    let placed = db.query_text(tables);
    let second = distribute(&db);

    assert!(first.contains("sessions: distributed by client_id"), "{first}");
    assert_eq!(second.lines().last(), Some("Every table is distributed already."), "{second}");
    assert!(!second.contains("sessions"), "{second}");
    assert_eq!(db.query_text(tables), placed);
}

#[test]
fn tables_of_clients_are_distributed_by_client_in_one_group() {
    cluster();
    let db = TestDb::new();

    let wrong = db.query_text(
        "select coalesce(string_agg(table_name::text, ' '), '') as answer from citus_tables \
         where citus_table_type = 'distributed' and (distribution_column <> 'client_id' or colocation_id <> \
             (select colocation_id from citus_tables where table_name = 'clients'::regclass))",
    );
    let sessions = db.query_text(
        "select citus_table_type as answer from citus_tables where table_name = 'sessions'::regclass",
    );

    assert_eq!((wrong.as_str(), sessions.as_str()), ("", "distributed"));
}
