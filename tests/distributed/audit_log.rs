//! The audit log grows only, on its shards too.

use diesel::{Connection as _, PgConnection, connection::SimpleConnection as _};

use crate::{
    cluster, find_shard,
    support::{TestApp, database_pool::DatabasePool},
};

/// Runs a statement on a worker, where Citus protects shards only unless this is set. Returns the error.
fn change_shard(pool: &DatabasePool, database: &str, worker: usize, sql: &str) -> String {
    let mut connection = PgConnection::establish(&pool.worker_urls(database)[worker]).unwrap();
    connection.batch_execute("set citus.enable_manual_changes_to_shards = on").unwrap();
    connection.batch_execute(sql).unwrap_err().to_string()
}

#[actix_web::test]
async fn records_cannot_be_changed_or_deleted_by_the_coordinator() {
    cluster();
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await;

    for change in ["update audit_log set details = '{}'", "delete from audit_log"] {
        let error = app.db.connect().batch_execute(&format!("{change} where client_id = '{client}'"));
        assert!(error.unwrap_err().to_string().contains("append-only"), "{change}");
    }
    for change in ["update audit_heads set sequence = 0", "delete from audit_heads"] {
        let error = app.db.connect().batch_execute(&format!("{change} where client_id = '{client}'"));
        assert!(error.unwrap_err().to_string().contains("can only advance"), "{change}");
    }
}

#[actix_web::test]
async fn records_cannot_be_changed_or_deleted_on_a_worker() {
    let pool = cluster();
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await;

    for (table, refusal) in [("audit_log", "append-only"), ("audit_heads", "can only advance")] {
        let (worker, shard) = find_shard(&app.db, table, &client);
        let count = format!("select 1 from {shard} where client_id = '{client}'");
        let mut connection = PgConnection::establish(&pool.worker_urls(&app.db.name)[worker]).unwrap();
        assert_ne!(diesel::RunQueryDsl::execute(diesel::sql_query(count), &mut connection).unwrap(), 0);

        for change in
            ["update $shard set sequence = sequence - 1", "delete from $shard", "truncate $shard cascade"]
        {
            let change = change.replace("$shard", &shard);
            let error = change_shard(pool, &app.db.name, worker, &change);
            assert!(error.contains(refusal), "{change}: {error}");
        }
    }
}
