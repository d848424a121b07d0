//! A database for one test: a copy of a template that has every migration.
//!
//! The cluster is our own private PostgreSQL, in memory where there is `/dev/shm`. It keeps running for the next run;
//! `bin/test` takes it away at the end.

use std::{
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{Connection as _, PgConnection, RunQueryDsl as _, sql_query, sql_types::Text};
use uptok::{
    db::Db,
    private_postgres::{PrivatePostgres, Tuning},
};

static CLUSTER: LazyLock<String> = LazyLock::new(|| {
    let postgres = PrivatePostgres::start(&cluster_dir(), Tuning::ForTests).unwrap();
    let url = postgres.url().to_owned();
    std::mem::forget(postgres);
    make_template(&url);
    url
});

/// Named after what the migrations say, so that two checkouts or versions do not stand on each other's.
static TEMPLATE: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> =
        walk("migrations".as_ref()).into_iter().filter(|it| it.ends_with("up.sql")).collect();
    names.sort();
    let mut hash = std::hash::DefaultHasher::new();
    for name in names {
        std::fs::read_to_string(name).unwrap().hash(&mut hash);
    }
    format!("uptok_template_{:016x}", hash.finish())
});

fn walk(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn cluster_dir() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let probe = root.join(format!("uptok-probe-{}", std::process::id()));
    std::fs::create_dir(&probe).unwrap();
    let user = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&probe).unwrap());
    std::fs::remove_dir(&probe).unwrap();
    root.join(format!("uptok-test-{user}"))
}

/// Made under a lock and under another name first: another test run may do the same, and a crash leaves no half of it.
fn make_template(url: &str) {
    let mut connection = PgConnection::establish(url).unwrap();
    run(&mut connection, "select pg_advisory_lock(7)");
    let draft = format!("{}_draft", *TEMPLATE);
    let found = format!("select 1 from pg_database where datname = '{}'", *TEMPLATE);
    if sql_query(found).execute(&mut connection).unwrap() == 0 {
        run(&mut connection, &format!("drop database if exists {draft} with (force)"));
        run(&mut connection, &format!("create database {draft}"));
        Db::migrate(&renamed(url, &draft)).unwrap();
        run(&mut connection, &format!("alter database {draft} rename to {}", *TEMPLATE));
    }
}

fn run(connection: &mut PgConnection, sql: &str) {
    sql_query(sql).execute(connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// `url` with another database.
fn renamed(url: &str, database: &str) -> String {
    url.replacen("@/uptok?", &format!("@/{database}?"), 1)
}

/// What a statement gives in its column `answer`.
#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// A database of one test. It is dropped with it, but kept when the test fails, and its URL printed.
pub(crate) struct TestDb {
    name: String,
    pub(crate) url: String,
}

impl TestDb {
    /// A copy of the template.
    pub(crate) fn new() -> Self {
        Self::create(&format!("template {} strategy file_copy", *TEMPLATE))
    }

    /// A database without anything.
    pub(crate) fn empty() -> Self {
        Self::create("")
    }

    fn create(how: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::establish(&CLUSTER).unwrap();
        // One that a process of this number kept when it failed.
        run(&mut connection, &format!("drop database if exists {name} with (force)"));
        run(&mut connection, &format!("create database {name} {how}"));
        Self { url: renamed(&CLUSTER, &name), name }
    }

    /// Ends every connection to this database.
    pub(crate) fn terminate_connections(&self) {
        let end =
            format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", self.name);
        run(&mut PgConnection::establish(&CLUSTER).unwrap(), &end);
    }

    /// How many transactions there were. It ends every connection, for they tell at their end.
    pub(crate) fn transactions(&self) -> u64 {
        let of = |sql: &str| -> u64 {
            let mut connection = PgConnection::establish(&CLUSTER).unwrap();
            let row: Row = sql_query(sql.replace("$name", &self.name)).get_result(&mut connection).unwrap();
            row.answer.parse().unwrap()
        };
        while of("select count(*)::text as answer from pg_stat_activity where datname = '$name'") > 0 {
            // One may just have been opened, so in every round.
            self.terminate_connections();
        }
        of(
            "select (xact_commit + xact_rollback)::text as answer from pg_stat_database where datname = '$name'",
        )
    }

    /// Refuses or allows new connections to this database.
    pub(crate) fn allow_connections(&self, is_allowed: bool) {
        let alter = format!("alter database {} allow_connections {is_allowed}", self.name);
        run(&mut PgConnection::establish(&CLUSTER).unwrap(), &alter);
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Runs one statement and returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str) -> usize {
        sql_query(sql).execute(&mut self.connect()).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Changes sessions by hand, and what is kept of them elsewhere with them.
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

    /// The text that one statement gives in its column `answer`.
    pub(crate) fn ask(&self, sql: &str) -> String {
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
        run(&mut connection, &format!("drop database {} with (force)", self.name));
    }
}
