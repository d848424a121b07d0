//! Prepared databases on a server that is already running: PostgreSQL, or the coordinator of a Citus cluster.
//!
//! A copy of a template would lack what Citus keeps on its workers, so each database is created, migrated and distributed.
//! That takes about 10 seconds. Tests that come one after the other therefore use the same database, and `delete` empties
//! it in between: 0.3 seconds. `truncate` takes several times as long, and the triggers of the audit log refuse it.

use std::{
    process::Command,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use uptok::db::Db;

use super::{
    PostgresProxy,
    database_url::{parse_url, replace_database},
    sql::{begin_without_triggers, query_texts, run_sql},
};

/// The variable with the URL of a database on the server. Its role is a superuser.
const VARIABLE: &str = "UPTOK_TEST_DATABASE_URL";

/// `None` if the tests start a PostgreSQL of their own.
pub(crate) static DATABASE_POOL: LazyLock<Option<DatabasePool>> =
    LazyLock::new(|| std::env::var(VARIABLE).ok().map(DatabasePool::new));

/// A test that deletes more rows than this leaves a database in which the next tests are slow.
const DELETED_ROWS_MAX: usize = 5_000;

/// Shards of each distributed table. Few are created and emptied faster, and a client has one anyway.
const SHARDS: u32 = 4;

/// Everything in the schema that a test may change, and what else would be left for the next test.
const FINGERPRINT: &str = "select md5(coalesce(string_agg(line, chr(10) order by line), '')) as answer from ( \
    select concat_ws(' ', 'column', c.relname, c.relkind, c.relpersistence, a.attname, a.atttypid, a.attnotnull) as line \
        from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 \
        where c.relnamespace = 'public'::regnamespace \
    union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) \
        from pg_constraint where connamespace = 'public'::regnamespace \
    union all select concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled) from pg_trigger where not tgisinternal \
    union all select concat_ws(' ', 'event trigger', evtname, evtenabled) from pg_event_trigger \
    union all select concat_ws(' ', 'function', proname, prosrc) from pg_proc where pronamespace = 'public'::regnamespace \
    union all select concat_ws(' ', 'setting', setrole, setconfig) from pg_db_role_setting \
        where setdatabase = (select oid from pg_database where datname = current_database()) \
    union all select concat_ws(' ', 'migration', version) from __diesel_schema_migrations) lines";

/// One `delete` for each table that has rows of tests.
const DELETIONS: &str = "select format('delete from %I', relname) as answer from pg_class \
    where relkind = 'r' and relnamespace = 'public'::regnamespace and relname <> '__diesel_schema_migrations'";

/// A database that the tests of this process created.
pub(crate) struct PooledDatabase {
    pub(super) name: String,
    /// Its URL without the proxy.
    pub(super) direct_url: String,
    /// All connections of a test go through its own proxy. It is closed with the test, so that a node that is still
    /// stopping cannot change the database under the next test.
    proxy: Option<PostgresProxy>,
    /// That of a database without rows; `None` if it was created without tables and is not used again.
    fingerprint: Option<String>,
}

impl PooledDatabase {
    /// Starts its proxy and returns the URL through it.
    pub(super) fn open(&mut self) -> String {
        self.proxy.insert(PostgresProxy::start(&self.direct_url)).url.clone()
    }
}

pub(crate) struct DatabasePool {
    pub(super) url: String,
    /// Host and port of the coordinator and of each worker. Empty without Citus.
    nodes: Vec<(String, u16)>,
    idle: Mutex<Vec<PooledDatabase>>,
}

impl DatabasePool {
    fn new(url: String) -> Self {
        let mut connection =
            PgConnection::establish(&url).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"));
        let nodes = list_nodes(&mut connection);
        let pool = Self { url, nodes, idle: Mutex::default() };
        pool.drop_leftovers(&mut connection);
        // Holds the lock that tells other processes to leave the databases of this one alone.
        std::mem::forget(connection);
        pool
    }

    pub(crate) fn has_citus(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Host and port of each worker.
    pub(crate) fn workers(&self) -> &[(String, u16)] {
        self.nodes.get(1..).unwrap_or_default()
    }

    /// The URLs of `database` on the workers.
    pub(crate) fn worker_urls(&self, database: &str) -> Vec<String> {
        let url_of = |(host, port): &(String, u16)| {
            let mut url = parse_url(&self.url);
            let others: Vec<_> =
                url.query_pairs().into_owned().filter(|(name, _)| name != "host" && name != "port").collect();
            url.query_pairs_mut().clear().extend_pairs(others);
            url.set_host(Some(host)).unwrap();
            url.set_port(Some(*port)).unwrap();
            url.set_path(database);
            url.to_string()
        };
        self.workers().iter().map(url_of).collect()
    }

    /// A URL of each server, the coordinator first, in a database that exists.
    pub(crate) fn server_urls(&self) -> Vec<String> {
        let database = parse_url(&self.url).path().trim_start_matches('/').to_owned();
        [self.url.clone()].into_iter().chain(self.worker_urls(&database)).collect()
    }

    /// Returns an empty database with every migration.
    pub(super) fn take(&self) -> PooledDatabase {
        loop {
            let idle = self.idle.lock().unwrap().pop();
            let Some(database) = idle else { return self.prepare() };
            if self.empty(&database) {
                return database;
            }
            self.drop_database(&database.name);
        }
    }

    /// Returns a new database without any tables.
    pub(super) fn create(&self) -> PooledDatabase {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("uptok_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let direct_url = replace_database(&self.url, &name);
        for url in self.server_urls() {
            let create = format!("create database {name} template template0 encoding 'UTF8' locale 'C'");
            run_sql(&mut PgConnection::establish(&url).unwrap(), &create);
        }
        if self.has_citus() {
            self.join_nodes(&direct_url, &name);
        }
        PooledDatabase { name, direct_url, proxy: None, fingerprint: None }
    }

    /// Makes the database a coordinator of those with its name on the workers.
    fn join_nodes(&self, direct_url: &str, name: &str) {
        // Citus copies the role to the worker, which fails if another database does the same at that moment.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap();
        for url in [direct_url.to_owned()].into_iter().chain(self.worker_urls(name)) {
            run_sql(&mut PgConnection::establish(&url).unwrap(), "create extension citus");
        }
        let mut connection = PgConnection::establish(direct_url).unwrap();
        let (host, port) = &self.nodes[0];
        run_sql(&mut connection, &format!("select citus_set_coordinator_host('{host}', {port})"));
        for (host, port) in self.workers() {
            run_sql(&mut connection, &format!("select citus_add_node('{host}', {port})"));
        }
        run_sql(&mut connection, &format!("alter database {name} set citus.shard_count = {SHARDS}"));
    }

    fn prepare(&self) -> PooledDatabase {
        let database = self.create();
        Db::migrate(&database.direct_url).unwrap();
        if self.has_citus() {
            distribute(&database.direct_url);
        }
        let fingerprint = read_fingerprint(&database.direct_url);
        PooledDatabase { fingerprint: Some(fingerprint), ..database }
    }

    /// Deletes what a test left. Returns `false` if the database cannot be used again.
    fn empty(&self, database: &PooledDatabase) -> bool {
        self.end_connections(&database.name);
        let Ok(mut connection) = PgConnection::establish(&database.direct_url) else { return false };
        if Some(read_fingerprint(&database.direct_url)) != database.fingerprint {
            return false;
        }
        if self.has_citus() {
            run_sql(&mut connection, "select recover_prepared_transactions()");
        }
        begin_without_triggers(&mut connection).is_ok()
            && connection.batch_execute("set local lock_timeout = '10s'").is_ok()
            && delete_rows(&mut connection).is_some_and(|deleted| deleted <= DELETED_ROWS_MAX)
            && connection.batch_execute("commit").is_ok()
    }

    /// Ends what the nodes of the last test still run, on every server.
    fn end_connections(&self, name: &str) {
        let end = format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity \
             where datname = '{name}' and backend_type = 'client backend'"
        );
        for url in self.server_urls() {
            run_sql(&mut PgConnection::establish(&url).unwrap(), &end);
        }
    }

    /// Takes a database back after its test.
    pub(super) fn give_back(&self, mut database: PooledDatabase) {
        if let Some(proxy) = database.proxy.take() {
            proxy.close();
        }
        match database.fingerprint {
            Some(_) => self.idle.lock().unwrap().push(database),
            None => self.drop_database(&database.name),
        }
    }

    /// A database that cannot be dropped now, because a worker still has a transaction of it, is dropped by a later run.
    fn drop_database(&self, name: &str) {
        for url in self.server_urls() {
            let drop = format!("drop database if exists {name} with (force)");
            if let Err(error) = PgConnection::establish(&url).unwrap().batch_execute(&drop) {
                eprintln!("{drop}: {error}");
            }
        }
    }

    /// Drops the databases of processes that have ended.
    fn drop_leftovers(&self, connection: &mut PgConnection) {
        let own = std::process::id();
        run_sql(connection, &format!("select pg_advisory_lock(7, {own})"));
        let names = query_texts(
            connection,
            "select datname::text as answer from pg_database where datname ~ '^uptok_test_[0-9]+_[0-9]+$'",
        );
        for name in names {
            let process = name.split('_').nth(2).unwrap();
            let is_over = format!("select pg_try_advisory_lock(7, {process})::text as answer");
            if process != own.to_string() && query_texts(connection, &is_over) != ["true"] {
                continue;
            }
            self.drop_database(&name);
            if process != own.to_string() {
                run_sql(connection, &format!("select pg_advisory_unlock(7, {process})"));
            }
        }
    }
}

/// The coordinator and the workers; none if the database has no Citus.
fn list_nodes(connection: &mut PgConnection) -> Vec<(String, u16)> {
    let citus = "select extname::text as answer from pg_extension where extname = 'citus'";
    if query_texts(connection, citus).is_empty() {
        return Vec::new();
    }
    let nodes =
        "select nodename || ' ' || nodeport as answer from pg_dist_node where isactive order by groupid";
    let lines = query_texts(connection, nodes);
    let is_complete = "select (count(*) filter (where groupid = 0) = 1 and count(*) >= 3)::text as answer from pg_dist_node";
    assert!(
        query_texts(connection, is_complete) == ["true"],
        "{VARIABLE}: register the coordinator with citus_set_coordinator_host, and two workers with citus_add_node"
    );
    let parse = |line: &String| {
        let (host, port) = line.split_once(' ').unwrap();
        (host.to_owned(), port.parse().unwrap())
    };
    lines.iter().map(parse).collect()
}

fn distribute(url: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    let output = command.arg("distribute").env_clear().env("DATABASE_URL", url).output().unwrap();
    assert!(output.status.success(), "uptok distribute: {}", String::from_utf8_lossy(&output.stderr));
}

fn read_fingerprint(url: &str) -> String {
    query_texts(&mut PgConnection::establish(url).unwrap(), FINGERPRINT).remove(0)
}

/// Returns the number of rows, or `None` after an error.
fn delete_rows(connection: &mut PgConnection) -> Option<usize> {
    let deletions = query_texts(connection, DELETIONS);
    deletions.iter().map(|it| diesel::RunQueryDsl::execute(diesel::sql_query(it), connection).ok()).sum()
}
