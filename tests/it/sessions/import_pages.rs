//! Sessions → Import.

use std::time::Duration;

use reqwest::{Method, multipart};
use uptok::{
    audit::ChainKey,
    db::{DatabaseTimeouts, Db},
    secret::InstallationSecret,
    sessions::ImportWorker,
};

use crate::support::{Reply, TestApp, Visitor, test_app::SECRET};

pub(super) const PATH: &str = "/sessions/import";

async fn upload(visitor: &Visitor, name: &str, file: impl Into<Vec<u8>>) -> Reply {
    let client = visitor.client_id().await;
    let file = multipart::Part::bytes(file.into()).file_name(name.to_owned());
    let form = multipart::Form::new().text("clientId", client).part("file", file);
    let request = visitor.request(Method::POST, PATH).header("Sec-Fetch-Site", "same-origin").multipart(form);
    Reply::read(request.send().await.unwrap()).await
}

/// Uploads a file and returns the path of its import.
pub(crate) async fn upload_accepted(visitor: &Visitor, name: &str, file: impl Into<Vec<u8>>) -> String {
    let reply = upload(visitor, name, file).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    reply.header("location").to_owned()
}

/// Reloads the page until no node is working on the import.
pub(crate) async fn wait_until_settled(visitor: &Visitor, address: &str) -> Reply {
    loop {
        let page = visitor.get(address).await;
        if !page.body.contains("http-equiv=\"refresh\"") {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) fn read_counts(page: &Reply) -> Vec<String> {
    page.html().texts(".sums dd")
}

fn build_lines(count: usize) -> String {
    let notes = "x".repeat(400);
    let line = |index| format!("id-{index},missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,{notes}");
    (0..count).map(line).chain([String::new()]).collect::<Vec<_>>().join("\n")
}

fn build_csv(count: usize) -> String {
    format!("External ID,Status,channel,created_at,endedAt,notes\n{}", build_lines(count))
}

fn count_sessions(app: &TestApp) -> String {
    app.db.query_text("select count(*)::text as answer from sessions")
}

#[actix_web::test]
async fn file_is_checked_and_then_imported() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let file = format!("{}bad,lost,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\n", build_csv(6000));

    let address = upload_accepted(&ada, "calls.csv", file.clone()).await;
    let checked = wait_until_settled(&ada, &address).await;

    assert_eq!(read_counts(&checked), ["6,000", "0", "0", "1", "1"]);
    assert_eq!(
        checked.html().text(".notice-warn[role=status][autofocus]"),
        "1 line cannot be imported. Correct the file and upload it again, or import the rest."
    );
    assert_eq!(
        checked.html().texts("tbody tr"),
        ["6002StatusUse one of completed, missed, abandoned, declined, failed."]
    );
    assert_eq!(count_sessions(&app), "0");
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    let done = wait_until_settled(&ada, &address).await;
    assert_eq!(
        done.html().text(".notice-warn[role=status][autofocus]"),
        "Imported 6,000 sessions. 1 line rejected. Correct the file and upload it again."
    );
    assert_eq!(
        (read_counts(&done), count_sessions(&app)),
        (["6,000", "0", "0", "1", "1"].map(str::to_owned).to_vec(), "6000".into())
    );
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    assert_eq!(app.db.query_text("select count(*)::text as answer from import_chunks"), "0");
    let again = upload_accepted(&ada, "calls.csv", file).await;
    assert_eq!(read_counts(&wait_until_settled(&ada, &again).await), ["0", "0", "6,000", "1", "1"]);
    ada.post(&format!("{again}/discard"), &[]).await.assert_sent_to(&again);
    assert!(ada.get(&again).await.body.contains("Import discarded"));
    let list = ada.get(PATH).await.html();
    assert_eq!(
        (list.texts("tbody tr").len(), list.texts("td[data-label=By]")),
        (2, vec!["ada".to_owned(); 2])
    );
    assert_eq!(list.texts("td[data-label=Result]"), ["", "6,000 created · 1 rejected in calls.csv"]);
    assert!(list.texts("td[data-label=Action] button").is_empty(), "both are over");
}

#[actix_web::test]
async fn page_shows_the_first_rejected_lines_and_the_download_all() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let address = upload_accepted(&ada, "calls.csv", build_csv(250).replace(",missed,", ",=lost,")).await;
    let rejected = build_csv(250).matches(",missed,").count();

    let checked = wait_until_settled(&ada, &address).await.html();

    assert!(rejected > 100, "{rejected}");
    assert_eq!(checked.texts("tbody tr").len(), 100);
    assert_eq!(checked.texts("td[data-label=Field]")[0], "Status", "the label of the field, not its name");
    assert!(checked.text("main").contains(&format!("Showing the first 100 of {rejected}.")));
    let file = ada.get(&checked.attribute("a[download]", "href")).await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"bad-lines.csv\"");
    let lines: Vec<&str> = file.body.lines().collect();
    assert_eq!((lines[0], lines.len()), ("line,field,message", rejected + 1));
    assert!(lines[rejected].contains(",status,\"Use one of"), "{}", lines[rejected]);
    assert_eq!(eve.get(&format!("{address}/bad-lines.csv")).await.status, 404);
    app.visitor().get(&format!("{address}/bad-lines.csv")).await.assert_sent_to("/login");
    let list = ada.get(PATH).await.html();
    assert_eq!(list.texts("td[data-label=Status]"), ["Needs review"]);
    assert_eq!(list.texts("td[data-label=Action] a"), ["Review of calls.csv"], "nothing is stored yet");
}

#[actix_web::test]
async fn unknown_columns_are_mapped_by_the_user() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let file =
        "Call,State,Channel,From,Until,Junk\na,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,x\n";

    let address = upload_accepted(&ada, "calls.csv", file).await;
    let page = ada.get(&address).await.html();
    let columns = format!("{address}/columns");
    let incomplete = ada.post(&columns, &[("column0", "externalId")]).await;
    let fields = [
        ("column0", "externalId"),
        ("column1", "status"),
        ("column2", "channel"),
        ("column3", "createdAt"),
        ("column4", "endedAt"),
        ("column5", ""),
    ];
    ada.post(&columns, &fields).await.assert_sent_to(&address);
    let checked = wait_until_settled(&ada, &address).await;

    assert_eq!(page.texts("tbody td[data-label='Sample values']")[1], "missed");
    assert_eq!(page.texts("main .chips li"), ["Status", "Channel", "Created at", "Ended at"]);
    let guessed = page.texts("tbody option[selected]");
    let expected =
        ["Status (required)", "Channel (required)", "Created at (required)", "Ended at (required)"];
    assert_eq!(guessed, expected, "Call and Junk may be anything");
    assert_eq!(incomplete.status, 422);
    let missing = "the columns “Status”, “Channel”, “Created at” and “Ended at” are missing";
    assert!(incomplete.html().text(".notice-bad").contains(missing), "{}", incomplete.body);
    assert_eq!(read_counts(&checked), ["1", "0", "0", "0", "1"]);
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    wait_until_settled(&ada, &address).await;
    assert_eq!(app.db.query_text("select external_id || status as answer from sessions"), "amissed");
}

#[actix_web::test]
async fn required_fields_without_a_column_are_named_at_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let address = upload_accepted(&ada, "calls.csv", "Kind,Operator,Start\nchat,Ada,2026-01-01\n").await;
    let page = ada.get(&address).await.html();

    assert_eq!(page.text("h1"), "Match your columns");
    let warning = page.text(".notice-warn");
    assert!(warning.starts_with("No column found for Status, Ended at. Choose one below"), "{warning}");
    let required = ["Status: no column", "Channel", "Created at", "Ended at: no column"];
    assert_eq!(page.texts("main .chips li"), required);
    let guessed = page.texts("tbody option[selected]");
    assert_eq!(guessed, ["Channel (required)", "Agent name", "Created at (required)"]);
    assert_eq!(page.texts("#column0 option").iter().filter(|it| it.ends_with("(required)")).count(), 4);
}

#[actix_web::test]
async fn unusable_files_are_refused_and_not_stored() {
    let app = TestApp::start_with(&["--import-mib", "1"]).await;
    let ada = app.sign_up("ada").await;
    let big = build_csv(3000);
    let files: [(&[u8], u16); 5] = [
        (b"", 422),
        (b"\x00\x01\xff,\x02\n", 422),
        (b"no columns\n", 422),
        (b"externalId,status,channel,createdAt,endedAt\n\xff,\xfe\n", 422),
        (big.as_bytes(), 413),
    ];
    for (file, status) in files {
        let reply = upload(&ada, "file.bin", file).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    }
    let no_file = ada.post(PATH, &[("clientId", "x")]).await;
    assert_eq!(no_file.status, 400);
    let stored_files =
        "select concat((select count(*) from imports), (select count(*) from import_chunks)) as answer";
    assert_eq!(app.db.query_text(stored_files), "00");
}

#[actix_web::test]
async fn import_survives_a_dead_node_without_duplicates_or_losses() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let file: String = build_lines(9000).replace("id-", "");
    let file = format!("notes,status,channel,createdAt,endedAt,ratingComment\n{file}");
    let address = upload_accepted(&ada, "calls.csv", file).await;
    assert_eq!(read_counts(&wait_until_settled(&ada, &address).await), ["9,000", "0", "0", "0", "1"]);
    // A node that imported one chunk and died still holds the import.
    let chain_key = ChainKey::new(&InstallationSecret::new(SECRET.into()));
    let timeouts = DatabaseTimeouts { wait: Duration::from_secs(2), statement: Duration::from_secs(10) };
    let dead_worker = ImportWorker::new(Db::new(&app.db.url, 1, timeouts).unwrap(), chain_key);
    app.db.execute("update imports set state = 'importing', chunks_done = 0, created = 0, skipped = 0, worker = null, heartbeat_at = null");
    let Some(work) = dead_worker.claim().await.unwrap() else {
        // The running node claimed the import first and completes it.
        assert!(wait_until_settled(&ada, &address).await.body.contains("Imported 9,000 sessions."));
        return;
    };
    let remaining = dead_worker.step(work).await.unwrap();
    assert!(remaining.is_some());
    let half: i64 = count_sessions(&app).parse().unwrap();
    assert!((1..9000).contains(&half), "{half}");

    app.db.execute("update imports set heartbeat_at = now() - interval '1 minute'");
    let done = wait_until_settled(&ada, &address).await;

    assert_eq!(read_counts(&done), ["9,000", "0", "0", "0", "1"]);
    assert_eq!(count_sessions(&app), "9000");
    assert!(dead_worker.step(remaining.unwrap()).await.unwrap().is_none(), "who lost the import stops");
    assert_eq!(count_sessions(&app), "9000");
    let records = "select string_agg(concat_ws(' ', actor_kind, details), ';') as answer from audit_log where act = 'import.finished'";
    assert_eq!(
        app.db.query_text(records),
        r#"user {"created":"9000","rejected":"0","skipped":"1","unchanged":"0","updated":"0"}"#,
        "one record, of who uploaded it"
    );
}

#[actix_web::test]
async fn import_that_the_database_refuses_fails_and_says_so() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let address = upload_accepted(&ada, "calls.csv", build_csv(3)).await;
    wait_until_settled(&ada, &address).await;
    app.db.execute("alter table sessions add constraint no_chats check (channel <> 'chat')");

    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);

    let failed = wait_until_settled(&ada, &address).await;
    let page = failed.html();
    let message = page.text(".notice-bad[role=alert][autofocus]");
    assert!(
        message.starts_with("The import failed. The database refused a session of this file."),
        "{message}"
    );
    assert_eq!(page.text("head title"), "Error: Import failed · Uptok");
    assert_eq!(app.db.query_text("select count(*)::text as answer from import_chunks"), "0");
}

#[actix_web::test]
async fn upload_with_a_second_file_or_a_repeated_field_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let file = |name: &'static str| multipart::Part::bytes(build_csv(1).into_bytes()).file_name(name);
    let one_file = || multipart::Form::new().text("clientId", client.clone()).part("file", file("a.csv"));
    let twice = multipart::Form::new().text("clientId", client.clone()).text("clientId", "cl_other");
    for form in [
        one_file().part("file", file("b.csv")),
        one_file().text("encoding", "utf-8"),
        twice.part("file", file("a.csv")),
    ] {
        let request = ada.request(Method::POST, PATH).header("Sec-Fetch-Site", "same-origin").multipart(form);

        let reply = Reply::read(request.send().await.unwrap()).await;

        assert_eq!(reply.status, 400, "{}", reply.body);
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from imports"), "0");
}

#[actix_web::test]
async fn erasing_a_shopper_discards_pending_imports() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let ada_import = upload_accepted(&ada, "calls.csv", build_csv(3)).await;
    let eve_import = upload_accepted(&eve, "calls.csv", build_csv(3)).await;
    wait_until_settled(&ada, &ada_import).await;
    wait_until_settled(&eve, &eve_import).await;

    ada.post("/sessions/erase", &[("shopperId", "S-77"), ("confirm", "yes")])
        .await
        .assert_sent_to("/sessions");

    let chunks = "select coalesce(string_agg(distinct file_name, ','), '') || count(*) as answer from import_chunks join imports using (client_id, import_id)";
    assert_eq!(app.db.query_text(chunks), "calls.csv1");
    assert!(ada.get(&ada_import).await.body.contains("Import discarded"));
    assert_eq!(read_counts(&eve.get(&eve_import).await), ["3", "0", "0", "0", "1"]);
}

#[actix_web::test]
async fn other_clients_and_members_cannot_import() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let address = upload_accepted(&ada, "calls.csv", build_csv(3)).await;
    wait_until_settled(&ada, &address).await;

    assert_eq!(eve.get(&address).await.status, 404);
    for step in ["start", "discard", "columns"] {
        assert_eq!(eve.post(&format!("{address}/{step}"), &[]).await.status, 404, "{step}");
        app.visitor().post(&format!("{address}/{step}"), &[]).await.assert_sent_to("/login");
    }
    app.visitor().get(&address).await.assert_sent_to("/login");
    app.db.execute("update memberships set role = 'member'");
    for step in ["start", "discard", "columns"] {
        assert_eq!(ada.post(&format!("{address}/{step}"), &[]).await.status, 403, "{step}");
    }
    assert_eq!(upload(&ada, "calls.csv", build_csv(3)).await.status, 403);
    assert_eq!(ada.get(PATH).await.html().texts("form.upload").len(), 0);
    assert_eq!((count_sessions(&app).as_str(), ada.get(&address).await.status.as_u16()), ("0", 200));
}
