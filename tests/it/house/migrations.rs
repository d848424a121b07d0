//! Migrations can be reverted and run by many nodes at once, `schema.rs` matches the database, and the tables can be
//! distributed by client.

use std::collections::BTreeMap;

use diesel::{RunQueryDsl as _, sql_query, sql_types::Text};
use diesel_migrations::MigrationHarness as _;
use uptok::db::{
    Db,
    distribution::{TABLES, TableKind},
    migrations::MIGRATIONS,
};

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

/// A line of `schema.rs` within a table.
#[derive(diesel::QueryableByName)]
struct SchemaLine {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    line: String,
}

/// The comments and columns of each table, as `schema.rs` has them. Comments are those of the database.
const SCHEMA_LINES: &str = r#"
select relname::text as table, line from pg_class
join lateral (
    select 0 as number, 0 as part, '/// ' || obj_description(oid, 'pg_class') as line
    union all
    select attnum, 0, '/// ' || col_description(attrelid, attnum) from pg_attribute where attrelid = oid and attnum > 0
    union all
    select attnum, 1, attname || ' -> ' || case when attnotnull then type else 'Nullable<' || type || '>' end
    from pg_attribute
    join pg_type on pg_type.oid = atttypid
    join lateral (
        select case typname when 'text' then 'Text' when 'timestamptz' then 'Timestamptz' when 'uuid' then 'Uuid'
            when 'bytea' then 'Bytea' when 'date' then 'Date' when 'bool' then 'Bool' when 'inet' then 'Inet'
            when 'jsonb' then 'Jsonb' when 'int2' then 'Int2' when 'int4' then 'Int4' when 'int8' then 'Int8'
            when '_text' then 'Array<Text>' when '_cidr' then 'Array<Cidr>' else 'unknown ' || typname end as type
    ) types on true
    where attrelid = pg_class.oid and attnum > 0 and not attisdropped
) lines on line is not null
where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not like '\_\_%'
order by relname collate "C", number, part"#;

#[test]
fn schema_rs_matches_the_database() {
    let db = TestDb::new();
    let lines: Vec<SchemaLine> = sql_query(SCHEMA_LINES).load(&mut db.connect()).unwrap();
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for SchemaLine { table, line } in lines {
        tables.entry(table).or_default().push(line);
    }

    assert_eq!(parse_schema_rs(&std::fs::read_to_string("src/schema.rs").unwrap()), tables);
}

/// Reads the comments and columns of each table from `schema.rs`.
fn parse_schema_rs(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in text.split("diesel::table! {").skip(1) {
        let block = block.split("\n}\n").next().unwrap();
        let mut lines: Vec<&str> = block.lines().map(|it| it.trim().trim_end_matches(',')).collect();
        let head = lines.iter().position(|line| line.ends_with(") {")).unwrap();
        let table = lines.remove(head).split(' ').next().unwrap();
        let is_content = |line: &&str| line.starts_with("///") || line.contains(" -> ");
        tables.insert(table.to_owned(), lines.into_iter().filter(is_content).map(str::to_owned).collect());
    }
    tables
}

/// Tables that are not distributed by client, as a list of SQL.
fn list_local_tables() -> String {
    let local = TABLES.iter().filter(|table| table.kind != TableKind::ByClient);
    local.map(|table| format!("'{}'", table.name)).collect::<Vec<_>>().join(", ")
}

#[test]
fn unique_keys_of_client_tables_start_with_the_client() {
    let wrong = TestDb::new().query_text(&format!(
        "select coalesce(string_agg(i.indexrelid::regclass::text, ', '), '') as answer \
         from pg_index i join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace \
         join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0] \
         where n.nspname = 'public' and i.indisunique and a.attname <> 'client_id' \
         and t.relname not in ({})",
        list_local_tables()
    ));

    assert_eq!(wrong, "");
}

/// A distributed table can reference only distributed tables, by client, and a local table only local ones.
#[test]
fn foreign_keys_stay_within_a_client_or_between_local_tables() {
    let local_tables = list_local_tables();
    let wrong = TestDb::new().query_text(&format!(
        "select coalesce(string_agg(conname, ', '), '') as answer \
         from (select *, conrelid::regclass::text in ({local_tables}) as is_local, \
             confrelid::regclass::text in ({local_tables}) as is_local_target from pg_constraint \
             where contype = 'f' and connamespace = 'public'::regnamespace) c \
         join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
         join pg_attribute target on target.attrelid = c.confrelid and target.attnum = c.confkey[1] \
         where is_local <> is_local_target \
         or not is_local and (a.attname <> 'client_id' or target.attname <> 'client_id')"
    ));

    assert_eq!(wrong, "");
}

/// Requests update these rows all the time. In a full page an update needs a new entry in every index.
#[test]
fn pages_of_hot_rows_have_free_space() {
    let tables = TestDb::new().query_text(
        "select string_agg(relname, ' ' order by relname) as answer from pg_class \
         where relkind = 'r' and array_to_string(reloptions, ' ') like 'fillfactor=%'",
    );

    assert_eq!(
        tables,
        "attempt_rate_limits audit_heads imports key_last_uses key_rate_limits key_usage session_counters session_days shard_usage_batches sign_ins usage_batches"
    );
}
