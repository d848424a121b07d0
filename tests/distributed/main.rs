//! Tests of databases that Citus distributes. `make test-distributed` runs them. `cargo test` does not, because they need
//! a coordinator with two workers, which `UPTOK_TEST_DATABASE_URL` names.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot continue reports why and ends"
)]

mod audit_log;
mod commands;
mod interrupted_commit;
mod migrations;
mod requests;
mod worker_outage;

#[expect(dead_code, unused_imports, reason = "tests/it uses all of it")]
#[path = "../it/support/mod.rs"]
mod support;

use std::time::Duration;

use support::{
    TestDb,
    database_pool::{DATABASE_POOL, DatabasePool},
};

/// The servers of the tests.
fn cluster() -> &'static DatabasePool {
    let citus = DATABASE_POOL.as_ref().filter(|pool| pool.has_citus());
    citus.expect(
        "UPTOK_TEST_DATABASE_URL must name a database of a Citus coordinator: see bin/test-distributed",
    )
}

/// The worker that has the rows of a client, as its position in [`DatabasePool::worker_urls`], and the name that
/// `table` has there.
fn find_shard(db: &TestDb, table: &str, client: &str) -> (usize, String) {
    let shard = db.query_text(&format!(
        "select concat_ws(' ', nodename || ' ' || nodeport, shard_name) as answer from citus_shards \
         where table_name = '{table}'::regclass \
         and shardid = get_shard_id_for_distribution_column('{table}', '{client}')"
    ));
    let mut words = shard.split(' ').map(str::to_owned);
    let worker = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
    let position = cluster().workers().iter().position(|it| *it == worker).unwrap();
    (position, words.next().unwrap())
}

/// Waits up to a minute until the query returns this text.
async fn wait_until(db: &TestDb, sql: &str, answer: &str) {
    for _ in 0..600 {
        if db.query_text(sql) == answer {
            return;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{sql} is still {} and not {answer}", db.query_text(sql));
}
