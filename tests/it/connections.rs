//! Connections of clients that do not read, that send what is not HTTP, or that speak HTTP/1.0.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use tokio::net::TcpSocket;
use uptok::api_keys::ClientKey;

use crate::{
    serve::Node,
    support::{TestApp, TestDb, test_app::PASSWORD},
};

const EXPORT: &str = "/api/sessions/export-csv-data";

/// Connects with room for little of an answer.
async fn connect(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Requests everything as CSV.
fn request_csv(stream: &mut TcpStream, version: &str, key: &str, more: &str) {
    let form = format!("clientKey={key}&format=csv");
    let request = format!(
        "POST {EXPORT} {version}\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n{more}\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads up to the end of the response head.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Records sessions that are about 25 MB as CSV.
fn record_large_sessions(db: &TestDb) {
    db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, notes) \
         select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), repeat('long ', 500) \
         from clients, generate_series(1, 10000) n",
    );
}

#[test]
fn requests_that_are_not_http_write_no_log_lines() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &[]);
    let cookie = uptok::accounts::cookie_name(false);
    let requests = [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
        "GET /\u{1} HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}".to_owned(),
        "GET / HTTP/1.1\r\nHo".to_owned(),
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(200_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200)),
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned(),
        "POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n".to_owned(),
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {cookie}=forged\r\n\r\n"),
    ];
    for request in &requests {
        let mut stream = TcpStream::connect(&node.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The server may answer and close before it has read all.
        let _sent = stream.write_all(request.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
        let _answer = stream.read_to_end(&mut Vec::new());
    }

    node.signal("TERM");
    let (code, log) = node.wait_for_exit();

    assert_eq!(code, Some(0), "{log}");
    let alarms: Vec<_> = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    assert!(log.contains("Stopping"), "the log is read");
}

#[actix_web::test]
async fn unread_stream_does_not_delay_the_shutdown() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--sign-up", "open"]);
    let visitor = node.visitor();
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    visitor.post("/register", &account).await.assert_sent_to("/settings/api-keys");
    let key = visitor.generate("laptop").await;
    record_large_sessions(&db);
    let mut unread = connect(&node.address).await;
    request_csv(&mut unread, "HTTP/1.1", &key, "");
    assert!(read_head(&mut unread).starts_with("HTTP/1.1 200"));

    let start = Instant::now();
    node.signal("TERM");
    let (code, log) = node.wait_for_exit();

    assert_eq!(code, Some(0), "{log}");
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?}", start.elapsed());
    let error = unread.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the file does not look complete");
}

#[actix_web::test]
async fn stream_to_http_1_0_is_not_chunked_and_ends_by_closing() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.record(&ada.client_id().await, 2500);
    let expected = app.export(&[("clientKey", &key), ("format", "csv")]).await.body;

    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut stream = connect(app.address()).await;
        request_csv(&mut stream, "HTTP/1.0", &key, connection);
        let head = read_head(&mut stream).to_lowercase();
        assert!(head.starts_with("http/1.0 200"), "{head}");
        for name in ["transfer-encoding", "content-length", "keep-alive"] {
            assert!(!head.contains(name), "{head}");
        }
        let mut body = String::new();
        stream.read_to_string(&mut body).unwrap();
        assert!(body == expected, "the file is another one, of {} bytes", body.len());
    }
}

#[actix_web::test]
async fn stream_to_http_1_0_that_breaks_off_is_reset() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    record_large_sessions(&app.db);
    let mut stream = connect(app.address()).await;
    request_csv(&mut stream, "HTTP/1.0", &key, "");
    read_head(&mut stream);

    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[])
        .await
        .assert_sent_to("/settings/api-keys");

    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the file does not look complete");
}

#[actix_web::test]
async fn unknown_key_is_refused_before_its_large_body_is_read() {
    let app = TestApp::start().await;
    app.visitor().get("/livez").await;
    for length in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut stream = connect(app.address()).await;
        let head = format!(
            "POST /api/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\n{length}\r\n\r\n",
            ClientKey::generate().expose()
        );
        stream.write_all(head.as_bytes()).unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 401"), "{length}");
    }
}
