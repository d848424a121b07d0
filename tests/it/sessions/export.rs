//! `POST /api/sessions/export-csv-data`.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all};
use reqwest::Method;

use crate::support::{Reply, TestApp, Visitor};

const PATH: &str = "/api/sessions/export-csv-data";

/// Signs up a client with `count` sessions and a key.
async fn sign_up_with_sessions(app: &TestApp, count: usize) -> (Visitor, String) {
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, count);
    let key = ada.generate("export").await;
    (ada, key)
}

/// Form data with the boundary `X`.
fn build_multipart(fields: &[(&str, &str)]) -> String {
    let parts = fields.iter().map(|(name, value)| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    parts.collect::<String>() + "--X--\r\n"
}

async fn post_body(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = app.visitor().request(Method::POST, PATH).header("Content-Type", content_type).body(body);
    Reply::read(request.send().await.unwrap()).await
}

fn read_sequences(reply: &Reply) -> Vec<i64> {
    reply.json()["data"].as_array().unwrap().iter().map(|it| it["sequence"].as_i64().unwrap()).collect()
}

#[actix_web::test]
async fn first_page_is_returned_by_default() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 120).await;

    let reply = app.export(&[("clientKey", &key)]).await;

    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "application/json");
    let answer = reply.json();
    let totals =
        ["page", "recordsPerPage", "totalSessions", "totalPages"].map(|name| answer[name].as_i64().unwrap());
    assert_eq!(totals, [1, 50, 120, 3]);
    assert_eq!(read_sequences(&reply), (1..=50).collect::<Vec<_>>());
    assert!(reply.body.starts_with(r#"{"data":[{"sessionId":""#));
}

#[actix_web::test]
async fn pages_cover_everything_once_in_both_orders() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 107).await;
    for order in ["asc", "desc"] {
        let mut seen = Vec::new();
        for page in 1..=11 {
            let page = page.to_string();
            let fields = [("clientKey", key.as_str()), ("page", &page), ("perPage", "10"), ("order", order)];
            seen.extend(read_sequences(&app.export(&fields).await));
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, (1..=107).collect::<Vec<_>>(), "{order}");
    }
}

#[actix_web::test]
async fn client_without_sessions_has_no_pages() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 0).await;
    for order in ["asc", "desc"] {
        let reply = app.export(&[("clientKey", &key), ("order", order)]).await;
        assert_eq!(
            reply.body,
            r#"{"data":[],"page":1,"recordsPerPage":50,"totalSessions":0,"totalPages":0}"#
        );
    }
}

#[actix_web::test]
async fn page_past_the_end_is_empty_with_true_totals() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 3).await;
    for (page, order) in
        [("2", "asc"), ("1000000", "asc"), ("9223372036854775807", "asc"), ("9223372036854775807", "desc")]
    {
        let reply = app.export(&[("clientKey", &key), ("page", page), ("order", order)]).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!((read_sequences(&reply).len(), reply.json()["totalSessions"].as_i64()), (0, Some(3)));
    }
}

#[actix_web::test]
async fn page_size_is_clamped_and_reported() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1001).await;
    let reply = app.export(&[("clientKey", &key), ("perPage", "5000")]).await;
    assert_eq!((read_sequences(&reply).len(), reply.json()["recordsPerPage"].as_i64()), (1000, Some(1000)));
}

#[actix_web::test]
async fn invalid_field_is_named() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;
    for (field, value) in [
        ("page", "0"),
        ("page", "+1"),
        ("page", "-1"),
        ("page", "1.5"),
        ("page", "99999999999999999999"),
        ("page", "1\0"),
        ("perPage", "0"),
        ("perPage", "x"),
        ("order", "up"),
        ("from", "yesterday"),
        ("from", "-9999-1-01"),
        ("from", "2026-10-01T10:00:00"),
        ("to", "2026-02-30"),
        ("to", "+12345-1-1"),
        ("updatedSince", "-262143-01-01T00:00:00Z"),
        ("status", "done"),
        ("status", "completed\n"),
    ] {
        for format in ["json", "csv"] {
            let reply = app.export(&[("clientKey", &key), (field, value), ("format", format)]).await;
            reply.assert_problem(400, "invalid_field");
            assert_eq!(reply.json()["errors"][0]["field"], field);
        }
    }
    app.export(&[("clientKey", &key), ("format", "xml")]).await.assert_problem(400, "invalid_field");
    let several = app.export(&[("clientKey", &key), ("page", "0"), ("perPage", "0"), ("format", "x")]).await;
    assert_eq!(several.json()["errors"].as_array().unwrap().len(), 3);
}

#[actix_web::test]
async fn empty_and_unknown_fields_are_ignored_and_repeated_ones_refused() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;

    let empty =
        app.export(&[("clientKey", &key), ("page", ""), ("perPage", ""), ("status", ""), ("x", "y")]).await;
    let repeated = app.export(&[("clientKey", &key), ("page", "1"), ("page", "1")]).await;
    let two_keys = app.export(&[("clientKey", &key), ("clientKey", &key)]).await;

    assert_eq!(empty.status, 200, "{}", empty.body);
    repeated.assert_problem(400, "invalid_field");
    two_keys.assert_problem(400, "invalid_field");
}

#[actix_web::test]
async fn every_body_format_and_both_key_locations_are_accepted() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 3).await;
    let urlencoded = format!("clientKey={key}&page=1&perPage=2");
    let json = format!(r#"{{"clientKey":"{key}","page":1,"perPage":"2","status":null}}"#);
    let multipart = build_multipart(&[("clientKey", &key), ("perPage", "2")]);

    let replies = [
        post_body(&app, "application/x-www-form-urlencoded", urlencoded).await,
        post_body(&app, "application/json; charset=utf-8", json).await,
        post_body(&app, "multipart/form-data; boundary=X", multipart.clone()).await,
        // The first documentation set `Content-Type` by hand, without a boundary.
        post_body(&app, "multipart/form-data", multipart).await,
    ];

    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(read_sequences(&reply), [1, 2]);
    }
    let bearer = app.visitor().request(Method::POST, PATH).bearer_auth(&key).send().await.unwrap();
    assert_eq!(bearer.status(), 200);
    let both = app.visitor().request(Method::POST, PATH).bearer_auth(&key).form(&[("clientKey", &key)]);
    assert_eq!(both.send().await.unwrap().status(), 200, "the same key in both places");
    let other = uptok::api_keys::ClientKey::generate().expose();
    let two = app.visitor().request(Method::POST, PATH).bearer_auth(&key).form(&[("clientKey", &other)]);
    Reply::read(two.send().await.unwrap()).await.assert_problem(400, "invalid_field");
    let again = [("clientKey", &key), ("clientKey", &key)];
    let repeated = app.visitor().request(Method::POST, PATH).bearer_auth(&key).form(&again);
    Reply::read(repeated.send().await.unwrap()).await.assert_problem(400, "invalid_field");
}

#[actix_web::test]
async fn wrong_or_unreadable_boundary_is_replaced_by_that_of_the_body() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 3).await;
    let multipart = build_multipart(&[("clientKey", &key), ("perPage", "2")]);
    for (parameter, body) in [
        ("boundary=undefined", multipart.clone()),
        ("boundary=", multipart.clone()),
        ("boundary", multipart.clone()),
        ("boundary=\"X", multipart.clone()),
        ("boundary=a/b=c", multipart.clone()),
        ("charset=utf-8; boundary=XY", multipart.clone()),
        ("boundary=\u{fffd}", multipart.clone()),
        ("boundary=undefined", format!("\r\n{multipart}")),
        ("boundary=----=_Part=", multipart.replace("--X", "------=_Part=")),
        ("boundary=X", format!("preamble\r\n{multipart}")),
    ] {
        let reply = post_body(&app, &format!("multipart/form-data; {parameter}"), body).await;
        assert_eq!(reply.status, 200, "{parameter}: {}", reply.body);
        assert_eq!(read_sequences(&reply), [1, 2], "{parameter}");
    }
    for body in [multipart.replace("--X", "X"), "clientKey=1".to_owned()] {
        let reply = post_body(&app, "multipart/form-data; boundary=undefined", body).await;
        reply.assert_problem(400, "malformed_request");
        assert!(reply.json()["detail"].as_str().unwrap().contains("nor does it begin with one"));
    }
}

#[actix_web::test]
async fn spellings_with_one_meaning_are_accepted() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 180).await;
    for from in
        ["2026-10-31 22:00:00+00", "2026-10-31T22:00Z", "2026-10-31 22:00:00 UTC", "2026-10-31T23:00:00+0100"]
    {
        let fields = [("clientKey", key.as_str()), ("from", from), ("page", "1.0"), ("perPage", "10.0")];
        let reply = app.export(&fields).await;
        assert_eq!(reply.status, 200, "{from}: {}", reply.body);
        assert_eq!(
            (reply.json()["totalSessions"].as_i64(), read_sequences(&reply).len()),
            (Some(120), 10),
            "{from}"
        );
    }
    let json = format!("\u{feff}{{\"clientKey\": \"{key}\", \"page\": 2.0, \"perPage\": 1e1}}");
    assert_eq!(
        read_sequences(&post_body(&app, "application/json", json).await),
        (11..=20).collect::<Vec<_>>()
    );
}

#[actix_web::test]
async fn text_that_is_not_utf8_is_refused_in_every_encoding() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;
    let form = format!("clientKey={key}&agentName=a%C0%AFb");
    let list = app.visitor().request(Method::GET, "/api/sessions?agentName=%FF%FE").bearer_auth(&key);
    for reply in [
        post_body(&app, "application/x-www-form-urlencoded", form).await,
        Reply::read(list.send().await.unwrap()).await,
    ] {
        reply.assert_problem(400, "invalid_field");
        assert_eq!(
            reply.json()["errors"][0],
            serde_json::json!({"field": "agentName", "message": "Send UTF-8 text."})
        );
    }
}

#[actix_web::test]
async fn key_in_the_query_string_is_refused() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;
    for query in [format!("?clientKey={key}"), format!("?key={key}"), "?clientkey=x".to_owned()] {
        let request = app.visitor().request(Method::POST, &format!("{PATH}{query}")).bearer_auth(&key);
        let reply = Reply::read(request.send().await.unwrap()).await;
        reply.assert_problem(400, "invalid_field");
        assert!(!reply.body.contains(&key[19..]));
    }
}

#[actix_web::test]
async fn every_bad_key_gets_the_same_answer() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_sessions(&app, 1).await;
    let deleted = ada.generate("deleted").await;
    ada.post(&format!("/settings/api-keys/{}/delete", &deleted[..18]), &[]).await;
    let unknown = uptok::api_keys::ClientKey::generate().expose();
    let typo = format!("{}{}", &key[..56], if key.ends_with('0') { '1' } else { '0' });
    let wrong_secret = {
        let body = format!("{}_{}", &key[..18], &unknown[19..51]);
        // With a wrong checksum the key would be refused without a query.
        append_checksum(&body)
    };

    let mut bodies = BTreeSet::new();
    for bad in [
        "",
        "x",
        &key[..18],
        &typo,
        &unknown,
        &deleted,
        &wrong_secret,
        &key.to_lowercase(),
        &"a".repeat(5000),
    ] {
        let reply = app.export(&[("clientKey", bad)]).await;
        reply.assert_problem(401, "invalid_key");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        let mut problem = reply.json();
        problem["requestId"] = "".into();
        bodies.insert(problem.to_string());
    }
    let basic = app.visitor().request(Method::POST, PATH).basic_auth("a", Some("b")).send().await.unwrap();
    assert_eq!(basic.status(), 401);
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

/// Appends the checksum that makes a key well formed.
fn append_checksum(body: &str) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = String::new();
    for _ in 0..6 {
        digits.insert(0, char::from(BASE62[usize::try_from(rest % 62).unwrap()]));
        rest /= 62;
    }
    let key = format!("{body}{digits}");
    assert!(key.parse::<uptok::api_keys::ClientKey>().is_ok());
    key
}

#[actix_web::test]
async fn swapped_or_forged_hash_authorizes_nothing() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;
    let eve = app.sign_up("eve").await;
    let eve_key = eve.generate("hers").await;
    let (ada_public, eve_public) = (&key[..18], &eve_key[..18]);

    // Puts the hash of Eve's secret under Ada's public key.
    let hash = app.db.query_text(&format!(
        "select secret_hash::text as answer from api_keys where public_key = '{eve_public}'"
    ));
    app.db.execute(&format!("update api_keys set secret_hash = '{hash}' where public_key = '{ada_public}'"));
    let swapped = append_checksum(&format!("{ada_public}_{}", &eve_key[19..51]));
    assert_eq!(app.export(&[("clientKey", &swapped)]).await.status, 401);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401);

    // Stores a plain SHA-256 of the secret instead of the keyed hash.
    app.db.execute(&format!(
        "update api_keys set secret_hash = sha256(convert_to('{}', 'UTF8')) where public_key = '{ada_public}'",
        &key[19..51]
    ));
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401);
}

#[actix_web::test]
async fn clearing_deleted_at_does_not_revive_a_key() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_sessions(&app, 1).await;
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;

    app.db.execute("update api_keys set deleted_at = null, secret_hash = decode(repeat('00', 32), 'hex')");

    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401);
}

#[actix_web::test]
async fn filters_and_totals_agree() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 180).await;

    let missed =
        app.export(&[("clientKey", &key), ("status", "missed"), ("perPage", "25"), ("page", "3")]).await;
    let hour =
        [("clientKey", key.as_str()), ("from", "2026-10-31T22:00:00Z"), ("to", "2026-10-31T23:00:00Z")];
    let hour = app.export(&hour).await;
    let none = app.export(&[("clientKey", &key), ("to", "2026-10-31")]).await;

    let totals =
        |reply: &Reply| (reply.json()["totalSessions"].as_i64(), reply.json()["totalPages"].as_i64());
    assert_eq!((totals(&missed), read_sequences(&missed).len()), ((Some(60), Some(3)), 10));
    assert_eq!(totals(&hour), (Some(60), Some(2)));
    assert_eq!(read_sequences(&hour)[0], 61);
    assert_eq!(totals(&none), (Some(0), Some(0)));
}

#[actix_web::test]
async fn full_page_does_not_change_while_sessions_arrive() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_sessions(&app, 60).await;
    let before = app.export(&[("clientKey", &key), ("page", "1")]).await;

    app.db.change_sessions("update sessions set external_id = null");
    app.record(&ada.client_id().await, 60);

    let after = app.export(&[("clientKey", &key), ("page", "1")]).await;
    assert_eq!(read_sequences(&before), read_sequences(&after));
    assert_eq!(after.json()["totalSessions"], 120);
}

#[actix_web::test]
async fn malformed_bodies_are_refused_with_a_reason() {
    let app = TestApp::start().await;
    let long_boundary = format!("--{}\r\n", "a".repeat(71));
    let deep = "[".repeat(60_000);
    for (content_type, body) in [
        ("multipart/form-data", "clientKey=1"),
        ("multipart/form-data", long_boundary.as_str()),
        ("multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=\"page\"\r\n\r\n1"),
        ("multipart/form-data; boundary=X", ""),
        ("application/json", "{"),
        ("application/json", deep.as_str()),
        ("application/json", r#"{"page":{"a":1}}"#),
        ("application/json", ""),
    ] {
        let reply = post_body(&app, content_type, body.to_owned()).await;
        reply.assert_problem(400, "malformed_request");
    }
    let not_text = post_body(
        &app,
        "multipart/form-data; boundary=X",
        b"--X\r\nContent-Disposition: form-data; name=\"page\"\r\n\r\n\xff\r\n--X--\r\n".to_vec(),
    );
    not_text.await.assert_problem(400, "invalid_field");
    for content_type in ["text/plain", "application/xml", "multipart/mixed; boundary=X", ""] {
        post_body(&app, content_type, "clientKey=1").await.assert_problem(415, "unsupported_type");
    }
    let zipped =
        app.visitor().request(Method::POST, PATH).header("Content-Encoding", "gzip").form(&[("page", "1")]);
    Reply::read(zipped.send().await.unwrap()).await.assert_problem(415, "unsupported_type");
}

#[actix_web::test]
async fn body_has_at_most_16_fields_and_64_kib() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 1).await;
    let fields = |count: usize| (0..count).map(|index| format!("&f{index}=1")).collect::<Vec<_>>().concat();
    let form = "application/x-www-form-urlencoded";
    let padded = |length: usize| format!("clientKey={key}&x={}", "y".repeat(length - 10 - 57 - 3));

    assert_eq!(post_body(&app, form, format!("clientKey={key}{}", fields(15))).await.status, 200);
    post_body(&app, form, format!("clientKey={key}{}", fields(16)))
        .await
        .assert_problem(400, "malformed_request");
    assert_eq!(post_body(&app, form, padded(64 * 1024)).await.status, 200);
    post_body(&app, form, padded(64 * 1024 + 1)).await.assert_problem(413, "body_too_large");
}

#[actix_web::test]
async fn body_without_content_length_is_bounded() {
    let app = TestApp::start().await;
    let part = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n".repeat(100);
    let endless = futures_util::stream::iter((0..10_000).map(move |_| Ok::<_, std::io::Error>(part.clone())));

    let result = app
        .visitor()
        .request(Method::POST, PATH)
        .header("Content-Type", "multipart/form-data; boundary=X")
        .body(reqwest::Body::wrap_stream(endless))
        .send()
        .await;

    // The server may close the connection before the sender has read the response.
    if let Ok(response) = result {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(app.visitor().get("/livez").await.status, 200);
}

#[actix_web::test]
async fn unfinished_body_times_out() {
    let app = TestApp::start().await;
    let mut connection = TcpStream::connect(app.url.trim_start_matches("http://")).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\npage="
    );
    connection.write_all(head.as_bytes()).unwrap();

    let answer = actix_web::web::block(move || {
        let mut answer = [0; 512];
        let length = connection.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    });

    assert!(answer.await.unwrap().starts_with("HTTP/1.1 408"));
}

#[actix_web::test]
async fn csv_escapes_free_text_quotes_and_line_breaks() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 60).await;
    app.db.change_sessions(
        "update sessions set shopper_name = '=cmd()', notes = E'a \"quote\",\r\nand a line', shopper_phone = '+4930123', \
         order_id = '-7', order_value_minor = -4990, tags = '{vip,repeat}' where sequence = 1",
    );

    let page = app.export(&[("clientKey", &key), ("format", "csv"), ("page", "2")]).await;
    let all = app.export(&[("clientKey", &key), ("format", "csv")]).await;

    assert_eq!(page.body.lines().count(), 11);
    assert!(all.header("content-type").starts_with("text/csv; charset=utf-8"));
    assert_eq!(all.header("content-disposition"), "attachment; filename=\"sessions.csv\"");
    assert!(all.body.starts_with(&format!("{}\r\n", uptok::sessions::COLUMNS.join(","))));
    assert!(all.body.contains(",'=cmd(),"));
    assert!(all.body.contains(",+4930123,"), "a phone number is no formula");
    assert!(all.body.contains(",'-7,-4990,"), "nor is a number");
    let without_pipeline = app.start_node_without_pipeline().await;
    assert_eq!(without_pipeline.export(&[("clientKey", &key), ("format", "csv")]).await.body, all.body);
    assert!(all.body.contains("\"a \"\"quote\"\",\r\nand a line\""));
    assert!(all.body.contains(",vip;repeat,"));
    assert_eq!(all.body.matches("\r\n").count(), 62);
}

#[actix_web::test]
async fn stream_returns_everything_in_both_orders_and_with_filters() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_sessions(&app, 2500).await;
    let stream = |more: &'static [(&'static str, &'static str)]| {
        let fields: Vec<_> =
            [("clientKey", key.as_str()), ("format", "ndjson")].iter().chain(more).copied().collect();
        let app = &app;
        async move {
            let reply = app.export(&fields).await;
            assert_eq!(reply.header("content-type"), "application/x-ndjson");
            let line = |line: &str| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_i64().unwrap()
            };
            reply.body.lines().map(line).collect::<Vec<_>>()
        }
    };

    assert_eq!(stream(&[]).await, (1..=2500).collect::<Vec<_>>());
    assert_eq!(stream(&[("order", "desc")]).await, (1..=2500).rev().collect::<Vec<_>>());
    assert_eq!(stream(&[("status", "missed")]).await.len(), 834);
    assert_eq!(stream(&[("to", "2026-01-01")]).await.len(), 0);
}

#[actix_web::test]
async fn deleting_a_key_aborts_its_stream() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_sessions(&app, 1000).await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, notes) \
         select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), repeat('long ', 500) \
         from clients, generate_series(1001, 40000) n",
    );
    let request =
        app.visitor().request(Method::POST, PATH).form(&[("clientKey", key.as_str()), ("format", "csv")]);
    let mut stream = request.send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();

    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;

    let rest: Vec<_> = stream.collect().await;
    assert!(rest.last().unwrap().is_err(), "the stream ended as if it were complete");
}

#[actix_web::test]
async fn key_is_refused_once_its_deletion_is_answered() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_sessions(&app, 5).await;
    let path = format!("/settings/api-keys/{}/delete", &key[..18]);
    let fields = [("clientKey", key.as_str())];
    let during = join_all((0..50).map(|_| app.export(&fields)));

    let (deleted, during) = futures_util::future::join(ada.post(&path, &[]), during).await;

    assert_eq!(deleted.status, 303);
    assert!(during.iter().all(|reply| reply.status == 200 || reply.status == 401), "never anything else");
    assert_eq!(app.export(&fields).await.status, 401);
}

#[actix_web::test]
async fn other_methods_are_refused_and_any_origin_is_allowed_by_default() {
    let app = TestApp::start().await;
    let get = app.visitor().get(PATH).await;
    get.assert_problem(405, "method_not_allowed");
    assert_eq!(get.header("allow"), "POST");

    let from_elsewhere = app
        .visitor()
        .request(Method::POST, PATH)
        .header("Origin", "https://shop.example")
        .form(&[("a", "b")]);
    let reply = Reply::read(from_elsewhere.send().await.unwrap()).await;

    reply.assert_problem(401, "invalid_key");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    let preflight = app
        .visitor()
        .request(Method::OPTIONS, PATH)
        .header("Origin", "https://shop.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization");
    assert_eq!(Reply::read(preflight.send().await.unwrap()).await.status, 200);
}

#[actix_web::test]
async fn allowed_origins_can_be_configured() {
    let app = TestApp::start_with(&["--cors-origins", "https://shop.example"]).await;
    let from = |origin: &'static str| {
        app.visitor().request(Method::POST, PATH).header("Origin", origin).form(&[("a", "b")]).send()
    };

    let allowed = Reply::read(from("https://shop.example").await.unwrap()).await;
    let other = Reply::read(from("https://evil.example").await.unwrap()).await;

    assert_eq!(allowed.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[actix_web::test]
async fn browser_sign_in_does_not_authorize_the_api() {
    let app = TestApp::start().await;
    let (ada, _) = sign_up_with_sessions(&app, 1).await;
    let request =
        ada.request(Method::POST, PATH).header("Sec-Fetch-Site", "same-origin").form(&[("page", "1")]);
    Reply::read(request.send().await.unwrap()).await.assert_problem(401, "invalid_key");
}
