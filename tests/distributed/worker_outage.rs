//! A worker that cannot be reached does not affect the clients of the others.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};
use reqwest::{Method, StatusCode};

use crate::{
    cluster, find_shard,
    support::{Reply, TestApp, TestDb, Visitor},
    wait_until,
};

/// A worker that refuses and ends all connections to the database. It accepts them again on drop.
struct WorkerOutage {
    worker_url: String,
    database: String,
}

impl WorkerOutage {
    fn begin(db: &TestDb, worker: usize) -> Self {
        // The coordinator is the first server.
        let worker_url = cluster().server_urls().swap_remove(worker + 1);
        let outage = Self { worker_url, database: db.name.clone() };
        outage.run(&format!("alter database {} allow_connections false", outage.database));
        outage.run(&format!(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{}'",
            outage.database
        ));
        outage
    }

    fn run(&self, sql: &str) {
        PgConnection::establish(&self.worker_url).unwrap().batch_execute(sql).unwrap();
    }
}

impl Drop for WorkerOutage {
    fn drop(&mut self) {
        self.run(&format!("alter database {} allow_connections true", self.database));
    }
}

/// A client with a key that reads and records.
struct Client {
    name: String,
    id: String,
    visitor: Visitor,
    key: String,
    worker: usize,
}

impl Client {
    async fn new(app: &TestApp, name: &str) -> Self {
        let visitor = app.sign_up(name).await;
        let id = visitor.client_id().await;
        let (worker, _) = find_shard(&app.db, "clients", &id);
        Self { name: name.to_owned(), key: visitor.generate_recorder("laptop").await, visitor, worker, id }
    }

    /// Two clients on different workers.
    async fn on_two_workers(app: &TestApp) -> (Self, Self) {
        let first = Self::new(app, "client0").await;
        let mut number = 1;
        loop {
            let other = Self::new(app, &format!("client{number}")).await;
            if other.worker != first.worker {
                return (first, other);
            }
            number += 1;
        }
    }

    async fn export(&self, app: &TestApp) -> Reply {
        let call = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&self.key);
        Reply::read(call.send().await.unwrap()).await
    }

    async fn record(&self, app: &TestApp, id: &str) -> Reply {
        let session = serde_json::json!([{
            "externalId": id, "status": "missed", "channel": "chat",
            "createdAt": "2026-10-01T10:00:00Z", "endedAt": "2026-10-01T10:00:30Z"
        }]);
        let call = app.visitor().request(Method::POST, "/api/sessions").bearer_auth(&self.key).json(&session);
        Reply::read(call.send().await.unwrap()).await
    }

    fn counted_requests(&self) -> String {
        format!(
            "select coalesce(sum(requests), 0)::text as answer from key_usage where client_id = '{}'",
            self.id
        )
    }
}

#[actix_web::test]
async fn clients_of_the_other_worker_are_served_and_counted() {
    let app = TestApp::start().await;
    let (up, down) = Client::on_two_workers(&app).await;
    for client in [&up, &down] {
        assert_eq!(client.export(&app).await.status, StatusCode::OK);
    }

    let outage = WorkerOutage::begin(&app.db, down.worker);
    for number in 0..20 {
        assert_eq!(up.export(&app).await.status, StatusCode::OK);
        let recorded = up.record(&app, &format!("call-{number}")).await;
        assert!(recorded.status.is_success(), "{} {}", recorded.status, recorded.body);
        assert_eq!(up.visitor.get("/sessions").await.status, StatusCode::OK);
        assert_eq!(up.visitor.get("/settings/api-keys").await.status, StatusCode::OK);
    }
    app.log_in(&up.name).await;
    let refused = down.export(&app).await;
    refused.assert_problem(503, "busy");
    // Those of the other client wait, and do not hold these up.
    wait_until(&app.db, &up.counted_requests(), "41").await;

    drop(outage);
    while down.export(&app).await.status != StatusCode::OK {}
    assert_eq!(down.visitor.get("/sessions").await.status, StatusCode::OK);
    // What was refused is not counted: the key could not be checked.
    wait_until(&app.db, &down.counted_requests(), "2").await;
}
