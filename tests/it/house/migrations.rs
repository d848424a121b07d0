//! Migrations can be reverted and run by many nodes at once, and `schema.rs` matches the database.

use std::collections::BTreeMap;

use diesel::{RunQueryDsl as _, sql_query, sql_types::Text};
use diesel_migrations::MigrationHarness as _;
use uptok::db::{Db, migrations::MIGRATIONS};

use crate::support::TestDb;

#[test]
fn reverting_and_reapplying_migrations_restores_the_schema() {
    let db = TestDb::empty();
    let empty = db.dump_schema();
    Db::migrate(&db.url).unwrap();
    let up = db.dump_schema();

    db.connect().revert_all_migrations(MIGRATIONS).unwrap();
    db.execute("drop table __diesel_schema_migrations");
    db.execute("drop function if exists diesel_manage_updated_at, diesel_set_updated_at");
    assert_eq!(db.dump_schema(), empty);

    Db::migrate(&db.url).unwrap();
    assert_eq!(db.dump_schema(), up);
}

#[test]
fn concurrent_migrations_apply_once() {
    let db = TestDb::empty();
    let applied: Vec<usize> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..4).map(|_| scope.spawn(|| Db::migrate(&db.url).unwrap())).collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });

    let all =
        std::fs::read_dir("migrations").unwrap().filter(|it| it.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(applied.iter().sum::<usize>(), all);
    assert_eq!(applied.iter().filter(|count| **count == 0).count(), 3);
}

#[derive(diesel::QueryableByName, PartialEq, Debug)]
struct Column {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    line: String,
}

#[test]
fn schema_rs_matches_the_database() {
    let db = TestDb::new();
    let columns: Vec<Column> = sql_query(
        "select table_name::text as table, column_name || ' -> ' || case when is_nullable = 'YES' then 'Nullable<' else '' end \
         || case udt_name when 'text' then 'Text' when 'timestamptz' then 'Timestamptz' when 'uuid' then 'Uuid' \
            when 'bytea' then 'Bytea' when 'date' then 'Date' when 'bool' then 'Bool' when 'inet' then 'Inet' when 'jsonb' then 'Jsonb' \
            when 'int2' then 'Int2' when 'int4' then 'Int4' when 'int8' then 'Int8' \
            when '_text' then 'Array<Text>' when '_cidr' then 'Array<Cidr>' else 'unknown ' || udt_name end \
         || case when is_nullable = 'YES' then '>' else '' end as line \
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_\\_%' \
         order by table_name collate \"C\", ordinal_position",
    )
    .load(&mut db.connect())
    .unwrap();
    let mut database_columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Column { table, line } in columns {
        database_columns.entry(table).or_default().push(line);
    }

    assert_eq!(parse_schema_rs(&std::fs::read_to_string("src/schema.rs").unwrap()), database_columns);
}

/// Reads the columns of each table from `schema.rs`.
fn parse_schema_rs(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        match line.split_once(" -> ") {
            Some(_) if line.ends_with(',') => {
                tables.entry(table.clone()).or_default().push(line.trim_end_matches(',').to_owned());
            }
            _ if line.ends_with(") {") => line.split(' ').next().unwrap().clone_into(&mut table),
            _ => {}
        }
    }
    tables
}

#[test]
fn unique_and_foreign_keys_of_client_tables_start_with_the_client() {
    let db = TestDb::new();
    // Tables that are not looked up by client.
    let local = "'users', 'sign_ins', 'questions', 'memberships', 'api_key_directory', 'usage_batches', '__diesel_schema_migrations'";
    let unique_keys = db.query_text(&format!(
        "select coalesce(string_agg(i.indexrelid::regclass::text, ', '), '') as answer \
         from pg_index i join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace \
         join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] \
         where n.nspname = 'public' and i.indisunique and a.attname <> 'client_id' and t.relname not in ({local})"
    ));
    let foreign_keys = db.query_text(
        "select coalesce(string_agg(conname, ', '), '') as answer from pg_constraint c \
         join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
         where contype = 'f' and a.attname <> 'client_id' and conrelid::regclass::text not in ('memberships', 'sign_ins')",
    );

    assert_eq!((unique_keys.as_str(), foreign_keys.as_str()), ("", ""));
}
