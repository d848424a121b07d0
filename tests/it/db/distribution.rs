//! `uptok distribute` without Citus, and the list of tables that it goes through. With Citus: `tests/distributed`.

use std::process::Command;

use uptok::db::distribution::TABLES;

use crate::support::TestDb;

#[test]
fn distribute_is_refused_in_one_sentence_without_citus() {
    let db = TestDb::new();

    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    let output = command.arg("distribute").env_clear().env("DATABASE_URL", &db.url).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "uptok: this database has no Citus, so its tables stay on one PostgreSQL; to distribute them, run `create extension \
         citus` in the database first\n"
    );
}

#[test]
fn every_table_is_listed_once_after_those_it_references() {
    let db = TestDb::new();
    let names = TABLES.map(|table| table.name);
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let stored = db.query_text(
        "select string_agg(relname, ' ' order by relname collate \"C\") as answer from pg_class \
         where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    assert_eq!(sorted.join(" "), stored);

    let references = db.query_text(
        "select string_agg(distinct conrelid::regclass || ' ' || confrelid::regclass, ',') as answer from pg_constraint \
         where contype = 'f' and connamespace = 'public'::regnamespace",
    );
    let position = |name: &str| names.iter().position(|it| *it == name).unwrap();
    for (table, referenced) in references.split(',').map(|pair| pair.split_once(' ').unwrap()) {
        assert!(position(referenced) < position(table), "{table} references {referenced}");
    }
}

#[test]
fn triggers_are_only_on_tables_whose_triggers_may_be_distributed() {
    let tables = TestDb::new().query_text(
        "select string_agg(distinct relname, ' ') as answer from pg_trigger join pg_class on pg_class.oid = tgrelid \
         where not tgisinternal and relnamespace = 'public'::regnamespace",
    );

    assert_eq!(tables, "audit_heads audit_log");
}
