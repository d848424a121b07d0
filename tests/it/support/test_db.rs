//! A database per test, copied from a template that has every migration.
//!
//! The cluster is a private PostgreSQL, in memory where `/dev/shm` exists. It keeps running for the next run;
//! `bin/test` removes it at the end.

use std::{
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{
    Connection as _, PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query,
    sql_types::Text,
};
use uptok::{
    db::Db,
    private_postgres::{DurabilityMode, PrivatePostgres},
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
    if sql_query(found).execute(&mut connection).unwrap() == 0 {
        run_sql(&mut connection, &format!("drop database if exists {draft} with (force)"));
        run_sql(&mut connection, &format!("create database {draft}"));
        Db::migrate(&replace_database(url, &draft)).unwrap();
        run_sql(&mut connection, &format!("alter database {draft} rename to {}", *TEMPLATE));
    }
}

fn run_sql(connection: &mut PgConnection, sql: &str) {
    sql_query(sql).execute(connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Returns `url` with another database name.
fn replace_database(url: &str, database: &str) -> String {
    url.replacen("@/uptok?", &format!("@/{database}?"), 1)
}

/// The column `answer` of a query.
#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// The database of one test. It is dropped with the value. If the test fails, it is kept and its URL printed.
pub(crate) struct TestDb {
    name: String,
    pub(crate) url: String,
}

impl TestDb {
    /// Creates a copy of the template.
    pub(crate) fn new() -> Self {
        Self::create(&format!("template {} strategy file_copy", *TEMPLATE))
    }

    /// Creates a database without any tables.
    pub(crate) fn empty() -> Self {
        Self::create("")
    }

    fn create(options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::establish(&CLUSTER).unwrap();
        // A failed run of a process with the same id may have kept its database.
        run_sql(&mut connection, &format!("drop database if exists {name} with (force)"));
        run_sql(&mut connection, &format!("create database {name} {options}"));
        Self { url: replace_database(&CLUSTER, &name), name }
    }

    /// Terminates every connection to this database.
    pub(crate) fn terminate_connections(&self) {
        let end =
            format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", self.name);
        run_sql(&mut PgConnection::establish(&CLUSTER).unwrap(), &end);
    }

    /// Returns the number of transactions so far. It terminates every connection first, because backends
    /// report their statistics when they end.
    pub(crate) fn count_transactions(&self) -> u64 {
        let query_number = |sql: &str| -> u64 {
            let mut connection = PgConnection::establish(&CLUSTER).unwrap();
            let row: Row = sql_query(sql.replace("$name", &self.name)).get_result(&mut connection).unwrap();
            row.answer.parse().unwrap()
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
        run_sql(&mut PgConnection::establish(&CLUSTER).unwrap(), &alter);
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Runs one statement and returns the number of rows changed.
    pub(crate) fn execute(&self, sql: &str) -> usize {
        sql_query(sql).execute(&mut self.connect()).unwrap_or_else(|error| panic!("{sql}: {error}"))
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
        let row: Row =
            sql_query(sql).get_result(&mut self.connect()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        row.answer
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The database of this test is kept: {}", self.url);
            return;
        }
        let mut connection = PgConnection::establish(&CLUSTER).unwrap();
        run_sql(&mut connection, &format!("drop database {} with (force)", self.name));
    }
}
