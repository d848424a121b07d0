//! What comes back from an export: the same sessions, as they were, and nothing that is newer is undone.

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use uptok::sessions::{FileFormat, ImportMode};

use super::import::{Heard, counts, dry_run, import_as};
use crate::support::{Reply, TestApp};

fn session(id: &str, change: &Value) -> Value {
    let mut session = json!({
        "externalId": id, "status": "completed", "channel": "video",
        "createdAt": "2026-10-01T10:00:00Z", "startedAt": "2026-10-01T10:00:05Z", "endedAt": "2026-10-01T10:05:05Z",
    });
    session.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    session
}

/// A client with its key, which reads and records.
struct Client {
    app: TestApp,
    id: String,
    key: String,
}

impl Client {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let ada = app.signed_up("ada").await;
        let (id, key) = (ada.client_id().await, ada.generate_recorder("sync").await);
        Self { app, id, key }
    }

    /// What became of one session that was sent.
    async fn sent(&self, session: &Value) -> String {
        let request = self.app.visitor().request(Method::POST, "/api/sessions").bearer_auth(&self.key);
        let reply = Reply::of(request.headers(HeaderMap::new()).json(session).send().await.unwrap()).await;
        reply.json()["results"][0]["outcome"].as_str().unwrap().to_owned()
    }

    async fn export(&self) -> String {
        self.app.export(&[("clientKey", &self.key), ("format", "ndjson")]).await.body
    }

    fn import(&self, client: &str, file: &str) -> uptok::sessions::ImportSummary {
        let what = (FileFormat::Ndjson, ImportMode::Real);
        let would_be = dry_run(&self.app.db, client, FileFormat::Ndjson, file);
        let is = import_as(&self.app.db, client, what, file.as_bytes(), &mut Heard::default()).unwrap();
        assert_eq!(would_be, is, "the dry run told it");
        is
    }
}

#[actix_web::test]
async fn an_export_that_comes_back_does_not_hide_what_the_sender_changes_later() {
    let client = Client::new().await;
    client.sent(&session("a", &json!({"updatedAt": "2026-10-01T10:06:00Z"}))).await;
    let export = client.export().await;

    assert_eq!(client.import(&client.id, &export), counts(0, 0, 1, 0));

    let later = session("a", &json!({"rating": 5, "updatedAt": "2026-10-01T10:30:00Z"}));
    assert_eq!(client.sent(&later).await, "updated");
    assert_eq!(client.import(&client.id, &export), counts(0, 0, 1, 0), "an old export undoes nothing");
    assert!(client.export().await.contains("\"rating\":5"));
}

#[actix_web::test]
async fn an_export_that_was_edited_is_taken_and_may_give_a_session_its_external_id() {
    let client = Client::new().await;
    let mut nameless = session("", &json!({"updatedAt": "2026-10-01T10:06:00Z"}));
    nameless["externalId"].take();
    client.sent(&nameless).await;
    let export = client.export().await;
    let edited = export
        .replace("\"externalId\":null", "\"externalId\":\"late\"")
        .replace("\"notes\":null", "\"notes\":\"x\"");

    assert_eq!(client.import(&client.id, &edited), counts(0, 1, 0, 0));

    let after = client.export().await;
    assert!(after.contains("\"externalId\":\"late\"") && after.contains("\"notes\":\"x\""), "{after}");
    assert_eq!(after.lines().count(), 1);
    assert_eq!(client.sent(&session("late", &json!({"notes": "y"}))).await, "updated");
}

#[actix_web::test]
async fn lines_about_one_session_are_taken_in_their_order_as_the_dry_run_tells() {
    let client = Client::new().await;
    let mut nameless = session("", &json!({}));
    nameless["externalId"].take();
    client.sent(&nameless).await;
    let line = client.export().await;
    let named = line.replace("\"externalId\":null", "\"externalId\":\"q\"");
    let noted = |line: &str, note: &str| line.replace("\"notes\":null", &format!("\"notes\":\"{note}\""));
    let by_name = session("q", &json!({"notes": "c"})).to_string() + "\n";

    let stored = [noted(&named, "a"), noted(&named, "b"), by_name.clone()].concat();
    assert_eq!(client.import(&client.id, &stored), counts(0, 3, 0, 0));

    // The same of a session that is new.
    let fresh = |line: &str| line.replace(&line[14..50], "01a20902-2345-7c61-b0f5-2d8f1e6a9b04");
    let named = line.replace("\"externalId\":null", "\"externalId\":\"r\"");
    let by_name = by_name.replace("\"q\"", "\"r\"");
    let new = [fresh(&line), noted(&fresh(&named), "a"), by_name].concat();
    assert_eq!(client.import(&client.id, &new), counts(1, 2, 0, 0));
    let last = "select string_agg(external_id || notes, ' ' order by external_id) as answer from sessions";
    assert_eq!(client.app.db.ask(last), "qc rc");
}

#[actix_web::test]
async fn a_session_keeps_its_id_where_it_never_was_and_takes_nobody_elses() {
    let client = Client::new().await;
    client.sent(&session("a", &json!({}))).await;
    let export = client.export().await;
    client.app.db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Other')");
    client.app.db.execute("insert into session_counters (client_id) values ('cl_0000000001')");
    let ids = "select count(distinct session_id) || ' of ' || count(*) as answer from sessions";

    assert_eq!(client.import("cl_0000000001", &export), counts(1, 0, 0, 0));
    assert_eq!(client.app.db.ask(ids), "1 of 2");

    // The id is taken by a session with another externalId.
    let other = export.replace("\"externalId\":\"a\"", "\"externalId\":\"b\"");
    assert_eq!(client.import("cl_0000000001", &other), counts(1, 0, 0, 0));
    assert_eq!(client.app.db.ask(ids), "2 of 3");
}
