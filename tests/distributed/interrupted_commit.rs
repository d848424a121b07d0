//! A transaction of several servers that a crash interrupted between the two phases of its commit.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use reqwest::{Method, StatusCode};

use crate::{
    cluster, find_shard,
    support::{Reply, TestApp},
};

/// How far the coordinator came before the crash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CoordinatorState {
    Committed,
    NotCommitted,
}

/// Leaves on the worker of a client what a crash of the coordinator leaves there: a prepared transaction, which counts a
/// thousand revisions of the client's sessions and keeps their counter locked.
fn interrupt_commit(app: &TestApp, client: &str, state: CoordinatorState) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Citus ends only what has a name like this: the group of the coordinator, a process, the number of a transaction, which
    // is none of those that run, and the number of a connection.
    let name = format!("citus_0_{}_{}_0", std::process::id(), 1_000_000_000 + number);
    let (worker, shard) = find_shard(&app.db, "session_counters", client);
    let mut connection = PgConnection::establish(&cluster().worker_urls(&app.db.name)[worker]).unwrap();
    connection.batch_execute("set citus.enable_manual_changes_to_shards = on").unwrap();
    for statement in [
        "begin",
        &format!("update {shard} set revision = revision + 1000 where client_id = '{client}'"),
        &format!("prepare transaction '{name}'"),
    ] {
        connection.batch_execute(statement).unwrap();
    }
    if state == CoordinatorState::Committed {
        app.db.execute(&format!(
            "insert into pg_dist_transaction (groupid, gid) select groupid, '{name}' from pg_dist_placement \
             where shardid = get_shard_id_for_distribution_column('session_counters', '{client}')"
        ));
    }
}

/// What the coordinator does by itself once a minute.
fn recover(app: &TestApp) {
    assert_eq!(app.db.query_text("select recover_prepared_transactions()::text as answer"), "1");
}

async fn send(app: &TestApp, method: Method, key: &str) -> Reply {
    let session = serde_json::json!([{
        "status": "missed", "channel": "chat",
        "createdAt": "2026-10-01T10:00:00Z", "endedAt": "2026-10-01T10:00:30Z"
    }]);
    let call = app.visitor().request(method.clone(), "/api/sessions").bearer_auth(key);
    let call = if method == Method::POST { call.json(&session) } else { call };
    Reply::read(call.send().await.unwrap()).await
}

/// Checks which requests wait for the end of the transaction. Returns the revisions that it has added in the end.
async fn count_revisions_after_recovery(state: CoordinatorState) -> String {
    cluster();
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (client, key) = (ada.client_id().await, ada.generate_recorder("laptop").await);
    let revision = format!(
        "select (revision / 1000)::text as answer from session_counters where client_id = '{client}'"
    );
    interrupt_commit(&app, &client, state);

    let refused = send(&app, Method::POST, &key).await;
    let read = send(&app, Method::GET, &key).await;
    recover(&app);
    let recorded = send(&app, Method::POST, &key).await;

    refused.assert_problem(503, "busy");
    assert_eq!(read.status, StatusCode::OK);
    assert!(recorded.status.is_success(), "{} {}", recorded.status, recorded.body);
    assert_eq!(send(&app, Method::GET, &key).await.json()["totalSessions"], 1);
    app.db.query_text(&revision)
}

#[actix_web::test]
async fn what_the_coordinator_had_committed_is_committed_on_the_worker() {
    assert_eq!(count_revisions_after_recovery(CoordinatorState::Committed).await, "1");
}

#[actix_web::test]
async fn what_the_coordinator_had_not_committed_is_rolled_back_on_the_worker() {
    assert_eq!(count_revisions_after_recovery(CoordinatorState::NotCommitted).await, "0");
}
