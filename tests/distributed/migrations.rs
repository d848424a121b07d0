//! Migrations of later releases run on a distributed database.

use crate::{
    cluster,
    support::{TestDb, later_migration::LaterMigration},
};

const UP: &str = "create table client_notes (
    client_id text collate \"C\" not null references clients (client_id),
    note_id   bigint not null,
    note      text not null,
    primary key (client_id, note_id),
    constraint client_notes_note_length check (char_length(note) <= 100)
) with (fillfactor = 50);
create index client_notes_note on client_notes (client_id, note);
comment on table client_notes is 'Made up.';
comment on column client_notes.note is 'At most 100 characters.';
alter table clients add column nickname text;
alter table sessions add column weather smallint not null default 3;
alter table sessions add constraint sessions_weather_range check (weather between 1 and 5) not valid;";

/// The number of shards of a table on which this statement succeeds, and the number of all.
fn try_on_shards(db: &TestDb, table: &str, statement: &str) -> (String, String) {
    let statement = statement.replace('\'', "''");
    let count = |condition: &str| {
        db.query_text(&format!(
            "select count(*)::text as answer from run_command_on_shards('{table}', '{statement}') where {condition}"
        ))
    };
    (count("success"), count("true"))
}

#[test]
fn later_migrations_change_every_shard() {
    cluster();
    let db = TestDb::new();
    db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Ada')");
    let concurrently =
        "create index concurrently if not exists clients_nickname on clients (client_id, nickname);";

    let added = LaterMigration::numbered(1, "add_notes", UP, "run_in_transaction = true").run(&db.url);
    let validate = "alter table sessions validate constraint sessions_weather_range;";
    let validated =
        LaterMigration::numbered(2, "validate", validate, "run_in_transaction = true").run(&db.url);
    let indexed =
        LaterMigration::numbered(3, "index", concurrently, "run_in_transaction = false").run(&db.url);

    assert_eq!((added, validated, indexed), (1, 1, 1));
    db.execute("update clients set nickname = 'A' where client_id = 'cl_0000000001'");
    // What `uptok distribute` does with a table of the release.
    db.execute("select create_distributed_table('client_notes', 'client_id', colocate_with => 'clients')");
    db.execute("insert into client_notes values ('cl_0000000001', 1, 'Hello')");
    for (table, statement) in [
        ("clients", "select nickname from %s"),
        ("sessions", "select weather from %s"),
        ("client_notes", "select note from %s"),
    ] {
        let (succeeded, all) = try_on_shards(&db, table, statement);
        assert_eq!(succeeded, all, "{table}");
        assert_ne!(all, "0", "{table} is not distributed");
    }
    let colocated = "select count(distinct colocation_id)::text as answer from citus_tables \
         where table_name in ('clients'::regclass, 'client_notes'::regclass)";
    assert_eq!(db.query_text(colocated), "1");
}

#[test]
fn failed_migration_changes_no_shard() {
    cluster();
    let db = TestDb::new();
    let migration = LaterMigration::new(
        "break",
        "alter table clients add column nickname text; alter table nothing add column a text;",
        "run_in_transaction = true",
    );

    let source = diesel_migrations::FileBasedMigrations::from_path(&migration.directory).unwrap();
    uptok::db::migrations::run_missing(&db.url, &source).unwrap_err();

    assert_eq!(try_on_shards(&db, "clients", "select nickname from %s").0, "0");
    assert_eq!(
        try_on_shards(&db, "clients", "select name from %s").0,
        try_on_shards(&db, "clients", "select 1 from %s").1
    );
}
