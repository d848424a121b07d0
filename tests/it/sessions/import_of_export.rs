//! Re-importing exports: sessions keep their state, and newer changes are never undone.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use uptok::sessions::{FileFormat, ImportMode};

use super::import::{ProgressLog, counts, dry_run, import_file};
use crate::support::{Reply, TestApp};

fn session(id: &str, changes: &Value) -> Value {
    let mut session = json!({
        "externalId": id, "status": "completed", "channel": "video",
        "createdAt": "2026-10-01T10:00:00Z", "startedAt": "2026-10-01T10:00:05Z", "endedAt": "2026-10-01T10:05:05Z",
    });
    session.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    session
}

/// A client with a key that reads and records.
struct Client {
    app: TestApp,
    id: String,
    key: String,
}

impl Client {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.sign_up("ada").await;
        let (id, key) = (ada.client_id().await, ada.generate_recorder("sync").await);
        Self { app, id, key }
    }

    /// Records one session and returns the outcome.
    async fn record(&self, session: &Value) -> String {
        let request = self.app.visitor().request(Method::POST, "/api/sessions").bearer_auth(&self.key);
        let reply = Reply::read(request.headers(HeaderMap::new()).json(session).send().await.unwrap()).await;
        reply.json()["results"][0]["outcome"].as_str().unwrap().to_owned()
    }

    async fn export(&self) -> String {
        self.app.export(&[("clientKey", &self.key), ("format", "ndjson")]).await.body
    }

    fn import(&self, client: &str, file: &str) -> uptok::sessions::ImportSummary {
        let mode = (FileFormat::Ndjson, ImportMode::Real);
        let predicted = dry_run(&self.app.db, client, FileFormat::Ndjson, file);
        let summary =
            import_file(&self.app.db, client, mode, file.as_bytes(), &mut ProgressLog::default()).unwrap();
        assert_eq!(predicted, summary, "the dry run told it");
        summary
    }
}

#[actix_web::test]
async fn reimported_export_does_not_block_later_changes_by_the_sender() {
    let client = Client::new().await;
    client.record(&session("a", &json!({"updatedAt": "2026-10-01T10:06:00Z"}))).await;
    let export = client.export().await;

    assert_eq!(client.import(&client.id, &export), counts(0, 0, 1, 0));

    let later = session("a", &json!({"rating": 5, "updatedAt": "2026-10-01T10:30:00Z"}));
    assert_eq!(client.record(&later).await, "updated");
    assert_eq!(client.import(&client.id, &export), counts(0, 0, 1, 0), "an old export undoes nothing");
    assert!(client.export().await.contains("\"rating\":5"));
}

#[actix_web::test]
async fn edited_export_is_applied_and_can_set_the_external_id() {
    let client = Client::new().await;
    let mut without_id = session("", &json!({"updatedAt": "2026-10-01T10:06:00Z"}));
    without_id["externalId"].take();
    client.record(&without_id).await;
    let export = client.export().await;
    let edited = export
        .replace("\"externalId\":null", "\"externalId\":\"late\"")
        .replace("\"notes\":null", "\"notes\":\"x\"");

    assert_eq!(client.import(&client.id, &edited), counts(0, 1, 0, 0));

    let after = client.export().await;
    assert!(after.contains("\"externalId\":\"late\"") && after.contains("\"notes\":\"x\""), "{after}");
    assert_eq!(after.lines().count(), 1);
    assert_eq!(client.record(&session("late", &json!({"notes": "y"}))).await, "updated");
}

#[actix_web::test]
async fn lines_about_one_session_are_applied_in_order_as_predicted() {
    let client = Client::new().await;
    let mut without_id = session("", &json!({}));
    without_id["externalId"].take();
    client.record(&without_id).await;
    let line = client.export().await;
    let with_id = line.replace("\"externalId\":null", "\"externalId\":\"q\"");
    let with_note = |line: &str, note: &str| line.replace("\"notes\":null", &format!("\"notes\":\"{note}\""));
    let by_external_id = session("q", &json!({"notes": "c"})).to_string() + "\n";

    let stored = [with_note(&with_id, "a"), with_note(&with_id, "b"), by_external_id.clone()].concat();
    assert_eq!(client.import(&client.id, &stored), counts(0, 3, 0, 0));

    // The same for a session that does not exist yet.
    let with_new_id = |line: &str| line.replace(&line[14..50], "01a20902-2345-7c61-b0f5-2d8f1e6a9b04");
    let with_id = line.replace("\"externalId\":null", "\"externalId\":\"r\"");
    let by_external_id = by_external_id.replace("\"q\"", "\"r\"");
    let new = [with_new_id(&line), with_note(&with_new_id(&with_id), "a"), by_external_id].concat();
    assert_eq!(client.import(&client.id, &new), counts(1, 2, 0, 0));
    let last = "select string_agg(external_id || notes, ' ' order by external_id) as answer from sessions";
    assert_eq!(client.app.db.query_text(last), "qc rc");
}

#[actix_web::test]
async fn session_keeps_its_id_at_another_client_unless_taken() {
    let client = Client::new().await;
    client.record(&session("a", &json!({}))).await;
    let export = client.export().await;
    client.app.db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Other')");
    client.app.db.execute("insert into session_counters (client_id) values ('cl_0000000001')");
    let ids = "select count(distinct session_id) || ' of ' || count(*) as answer from sessions";

    assert_eq!(client.import("cl_0000000001", &export), counts(1, 0, 0, 0));
    assert_eq!(client.app.db.query_text(ids), "1 of 2");

    // A session with another `externalId` already has the id.
    let other = export.replace("\"externalId\":\"a\"", "\"externalId\":\"b\"");
    assert_eq!(client.import("cl_0000000001", &other), counts(1, 0, 0, 0));
    assert_eq!(client.app.db.query_text(ids), "2 of 3");
}
