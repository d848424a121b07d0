//! A database per test, copied from a template that has every migration.
//!
//! The cluster is a private PostgreSQL, in memory where `/dev/shm` exists. It keeps running for the next run;
//! `bin/test` removes it at the end. With `UPTOK_TEST_DATABASE_URL` the databases are those of `database_pool.rs`.

use std::{
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use uptok::{
    db::Db,
    private_postgres::{DurabilityMode, PrivatePostgres},
};

use super::{
    database_pool::{DATABASE_POOL, PooledDatabase},
    database_url::replace_database,
    sql::{begin_without_triggers, query_texts, run_sql},
};

static CLUSTER: LazyLock<String> = LazyLock::new(|| {
    let postgres = PrivatePostgres::start(&find_cluster_dir(), DurabilityMode::ForTests).unwrap();
    let url = postgres.url().to_owned();
    std::mem::forget(postgres);
    create_template(&url);
    url
});

/// Named after a hash of the migrations, so that checkouts with other migrations do not share a template.
static TEMPLATE: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> =
        list_files("migrations".as_ref()).into_iter().filter(|it| it.ends_with("up.sql")).collect();
    names.sort();
    let mut hash = std::hash::DefaultHasher::new();
    for name in names {
        std::fs::read_to_string(name).unwrap().hash(&mut hash);
    }
    format!("uptok_template_{:016x}", hash.finish())
});

fn list_files(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { list_files(&path) } else { vec![path] }).collect()
}

fn find_cluster_dir() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let probe = root.join(format!("uptok-probe-{}", std::process::id()));
    std::fs::create_dir(&probe).unwrap();
    let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&probe).unwrap());
    std::fs::remove_dir(&probe).unwrap();
    root.join(format!("uptok-test-{user}"))
}

/// Creates the template under a lock, because another test run may do the same, and under a temporary name,
/// so that a crash leaves no unfinished template.
fn create_template(url: &str) {
    let mut connection = PgConnection::establish(url).unwrap();
    run_sql(&mut connection, "select pg_advisory_lock(7)");
    let draft = format!("{}_draft", *TEMPLATE);
    let found = format!("select 1 from pg_database where datname = '{}'", *TEMPLATE);
    if run_sql(&mut connection, &found) == 0 {
        run_sql(&mut connection, &format!("drop database if exists {draft} with (force)"));
        run_sql(&mut connection, &format!("create database {draft}"));
        Db::migrate(&replace_database(url, &draft)).unwrap();
        run_sql(&mut connection, &format!("alter database {draft} rename to {}", *TEMPLATE));
    }
}

/// Opens a connection to another database of the server.
fn connect_to_server() -> PgConnection {
    let url = DATABASE_POOL.as_ref().map_or_else(|| CLUSTER.as_str(), |pool| &pool.url);
    PgConnection::establish(url).unwrap()
}

/// The database of one test. It is dropped with the value, or emptied for another test. If the test fails, it is kept and
/// its URL printed.
pub(crate) struct TestDb {
    pub(crate) name: String,
    pub(crate) url: String,
    /// If it is not a database of the private PostgreSQL.
    pooled: Option<PooledDatabase>,
}

impl TestDb {
    /// Creates a copy of the template.
    pub(crate) fn new() -> Self {
        match &*DATABASE_POOL {
            Some(pool) => Self::from_pool(pool.take()),
            None => Self::create(&format!("template {} strategy file_copy", *TEMPLATE)),
        }
    }

    /// Creates a database without any tables.
    pub(crate) fn empty() -> Self {
        match &*DATABASE_POOL {
            Some(pool) => Self::from_pool(pool.create()),
            None => Self::create(""),
        }
    }

    fn from_pool(mut database: PooledDatabase) -> Self {
        Self { name: database.name.clone(), url: database.open(), pooled: Some(database) }
    }

    fn create(options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = connect_to_server();
        // A failed run of a process with the same id may have kept its database.
        run_sql(&mut connection, &format!("drop database if exists {name} with (force)"));
        run_sql(&mut connection, &format!("create database {name} {options}"));
        Self { url: replace_database(&CLUSTER, &name), name, pooled: None }
    }

    /// Terminates every connection to this database.
    pub(crate) fn terminate_connections(&self) {
        let end =
            format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", self.name);
        run_sql(&mut connect_to_server(), &end);
    }

    /// Returns the number of transactions so far. It terminates every connection first, because backends
    /// report their statistics when they end.
    pub(crate) fn count_transactions(&self) -> u64 {
        let query_number = |sql: &str| -> u64 {
            let sql = sql.replace("$name", &self.name);
            query_texts(&mut connect_to_server(), &sql)[0].parse().unwrap()
        };
        while query_number("select count(*)::text as answer from pg_stat_activity where datname = '$name'")
            > 0
        {
            // In every round, because new connections may have been opened.
            self.terminate_connections();
        }
        query_number(
            "select (xact_commit + xact_rollback)::text as answer from pg_stat_database where datname = '$name'",
        )
    }

    pub(crate) fn allow_connections(&self, is_allowed: bool) {
        let alter = format!("alter database {} allow_connections {is_allowed}", self.name);
        run_sql(&mut connect_to_server(), &alter);
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Runs one statement and returns the number of rows changed.
    pub(crate) fn execute(&self, sql: &str) -> usize {
        run_sql(&mut self.connect(), sql)
    }

    /// Runs one statement to which neither triggers nor foreign keys apply, and returns the number of rows changed.
    pub(crate) fn execute_without_triggers(&self, sql: &str) -> usize {
        let mut connection = self.connect();
        begin_without_triggers(&mut connection).unwrap();
        let changed = run_sql(&mut connection, sql);
        run_sql(&mut connection, "commit");
        changed
    }

    /// Makes inserts into `table` run `statements` of PL/pgSQL first, in place of those of an earlier call.
    pub(crate) fn before_inserts(&self, table: &str, statements: &str) {
        let function = format!(
            "create or replace function before_inserts() returns trigger language plpgsql as \
             $$begin {statements}; return new; end$$"
        );
        self.execute(&function);
        let trigger = format!(
            "create or replace trigger before_inserts before insert on {table} \
             for each row execute function before_inserts()"
        );
        let mut connection = self.connect();
        // Citus creates triggers on the shards only if they are declared harmless.
        run_sql(&mut connection, "set citus.enable_unsafe_triggers = on");
        run_sql(&mut connection, &trigger);
    }

    /// Asserts that the only client has `count` sessions, which are numbered without gaps and counted.
    #[track_caller]
    pub(crate) fn assert_sessions(&self, count: u64) {
        let sessions = self.query_text(
            "select concat_ws(' ', count(*), count(distinct sequence), max(sequence)) as answer from sessions",
        );
        assert_eq!(sessions, format!("{count} {count} {count}"));
        let recorded = self.query_text("select recorded::text as answer from session_counters");
        assert_eq!(recorded, count.to_string());
    }

    /// Changes sessions with SQL and rebuilds the counts derived from them.
    pub(crate) fn change_sessions(&self, sql: &str) -> usize {
        let changed = self.execute(sql);
        self.execute("delete from session_days");
        self.execute(
            "insert into session_days (client_id, day, status, channel, sessions) \
             select client_id, (created_at at time zone 'UTC')::date, status, channel, count(*) \
             from sessions group by 1, 2, 3, 4",
        );
        self.execute(
            "update session_counters counter set revision = revision + 1, \
             recorded = (select count(*) from sessions where client_id = counter.client_id)",
        );
        changed
    }

    /// Runs statements, such as a dump, in one transaction.
    pub(crate) fn execute_all(&self, sql: &str) {
        self.connect().batch_execute(sql).unwrap();
    }

    /// Returns the schema as `pg_dump` writes it.
    pub(crate) fn dump_schema(&self) -> String {
        let dump = |options: &[&str]| {
            let command = ["--schema-only", "--no-owner", &self.url];
            std::process::Command::new("pg_dump").args(options).args(command).output().unwrap()
        };
        let mut output = dump(&["--restrict-key=uptok"]);
        if !output.status.success() {
            // An older pg_dump knows neither the option nor the random line that it makes constant.
            output = dump(&[]);
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns the text in the column `answer` of a query.
    pub(crate) fn query_text(&self, sql: &str) -> String {
        let mut answers = query_texts(&mut self.connect(), sql).into_iter();
        answers.next().unwrap_or_else(|| panic!("{sql}: no rows"))
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let url = self.pooled.as_ref().map_or(&self.url, |it| &it.direct_url);
            eprintln!("The database of this test is kept: {url}");
            return;
        }
        match (self.pooled.take(), &*DATABASE_POOL) {
            (Some(database), Some(pool)) => pool.give_back(database),
            _ => _ = run_sql(&mut connect_to_server(), &format!("drop database {} with (force)", self.name)),
        }
    }
}
