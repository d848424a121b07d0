//! Importing what other programs write: their spellings of numbers and times, and their forms.

use reqwest::Method;

use super::import_pages::{upload_accepted, wait_until_settled};
use crate::support::{Reply, TestApp, Visitor};

const HEADER: &str =
    "externalId,status,channel,createdAt,endedAt,waitSeconds,rating,orderValueMinor,shopperPhone,notes";

/// Uploads and imports a file.
async fn import(visitor: &Visitor, name: &str, file: &str) {
    let address = upload_accepted(visitor, name, file.to_owned()).await;
    let checked = wait_until_settled(visitor, &address).await;
    assert!(checked.html().texts("tbody tr").is_empty(), "{}", checked.body);
    visitor.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    let done = wait_until_settled(visitor, &address).await;
    assert!(done.html().text(".notice-good[role=status]").starts_with("Imported "), "{}", done.body);
}

#[actix_web::test]
async fn data_frame_and_database_spellings_are_imported_and_exported_unchanged() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("export").await;
    let file = format!(
        "{HEADER}\n\
         a,missed,video,2026-03-02 09:00:00+00:00,2026-03-02 09:00:20+00:00,20.0,5.0,-4990.0,+4930123456,-1\n\
         b,missed,video,2026-03-02 09:00:00.250000+00,2026-03-02 09:00:20+00,20,5,-4990,'+4930123456,'-1\n\
         c,missed,video,2026-03-02T09:00Z,2026-03-02 09:01:00 UTC,,,,,'\n\
         d,missed,video,2026-03-02T10:00:00+0100,2026-03-02T09:00:20Z,0.00,,0.0,,\n"
    );

    import(&ada, "calls.csv", &file).await;

    let fields = [("clientKey", key.as_str()), ("format", "csv")];
    let exported = app.export(&fields).await.body;
    assert!(
        exported.contains(",a,missed,video,") && exported.contains(",2026-03-02T09:00:00.250000Z,"),
        "{exported}"
    );
    assert_eq!(exported.matches(",+4930123456,").count(), 2, "{exported}");
    assert_eq!(exported.matches(",-4990,").count(), 2, "{exported}");
    assert_eq!(exported.matches(",'-1,").count(), 2, "notes are free text: {exported}");
    import(&ada, "again.csv", &exported).await;
    assert_eq!(app.export(&fields).await.body, exported);
}

#[actix_web::test]
async fn hostile_names_and_dates_reject_their_lines_only() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let line = |id: &str, more: &str| {
        format!(
            "{{\"externalId\":\"{id}\",\"status\":\"missed\",\"channel\":\"chat\",\"createdAt\":\"2026-03-02T09:00:00Z\",\
             \"endedAt\":\"2026-03-02T09:00:20Z\"{more}}}\n"
        )
    };
    let file = [
        line("a", ""),
        line("b", ",\"a\\u0000b\":1"),
        line("c", ",\"notes\":\"a\\u0000b\""),
        line("d", ",\"startedAt\":\"-9999-01-01T00:00:00Z\""),
        line("e", ",\"updatedAt\":\"0000-01-01T00:00:00+23:59\""),
        line("f", ",\"recordedAt\":\"-9999-01-01T00:00:00Z\""),
    ];

    let address = upload_accepted(&ada, "calls.ndjson", file.concat()).await;
    let checked = wait_until_settled(&ada, &address).await.html();

    assert_eq!(checked.texts("tbody th"), ["2", "3", "4", "5"], "the lines that are left out");
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    wait_until_settled(&ada, &address).await;
    let ids = "select string_agg(external_id, '' order by external_id) as answer from sessions";
    assert_eq!(app.db.query_text(ids), "af", "recordedAt is set by us");
}

#[actix_web::test]
async fn upload_with_a_wrong_boundary_is_read_by_that_of_the_body() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let file = format!("{HEADER}\na,missed,video,2026-03-02T09:00:00Z,2026-03-02T09:00:20Z,,,,,\n");
    let part = |head: &str, value: &str| {
        format!("--=X=\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let parts = [part("name=\"clientId\"", &client), part("name=\"file\"; filename=\"a.csv\"", &file)];
    let body = parts.concat() + "--=X=--\r\n";
    for (parameter, body, status) in [
        ("; boundary=undefined", body.clone(), 303),
        ("; boundary==X=", body.clone(), 303),
        ("", body.clone(), 303),
        ("; boundary=undefined", body.replace("--=X=", "=X="), 400),
        ("; boundary=undefined", String::new(), 400),
    ] {
        let request = ada.request(Method::POST, "/sessions/import").header("Sec-Fetch-Site", "same-origin");
        let request = request.header("Content-Type", format!("multipart/form-data{parameter}")).body(body);
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!(reply.status, status, "{parameter}: {}", reply.body);
        assert!(status == 303 || reply.body.contains("nor does it begin with one"), "{}", reply.body);
    }
}
