//! The outbox: mail is sent at least once, whatever the SMTP server does, and the operator sees why it is not.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    SmtpServer, TestApp,
    test_app::{PASSWORD, SECRET},
};

const COUNT_UNSENT: &str = "select count(*)::text as answer from outbox where sent_at is null";
const ERROR: &str = "select coalesce(max(last_error), '') as answer from outbox";

/// Settings of a node whose SMTP server is at this URL.
fn mail_settings(url: &str) -> Vec<&str> {
    vec!["--smtp-url", url, "--mail-from", "keys@example.org"]
}

async fn ask_for_link(app: &TestApp) {
    assert_eq!(app.visitor().post("/password/forgot", &[("email", "ada@example.org")]).await.status, 200);
}

/// Waits until the query returns a text for which this holds.
async fn wait_for(app: &TestApp, query: &str, holds: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = app.db.query_text(query);
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{query}: {answer}");
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes every waiting mail due, as time does.
fn make_due(app: &TestApp) {
    app.db.execute("update outbox set next_attempt_at = now() where sent_at is null");
}

/// Runs `uptok mail` and returns its exit status and what it printed.
fn run_mail(app: &TestApp, arguments: &[&str], settings: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command
        .arg("mail")
        .args(arguments)
        .args(settings)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    let output = command.output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[actix_web::test]
async fn mail_is_sent_once_and_its_content_is_deleted() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;

    ask_for_link(&app).await;
    let mail = smtp.next().await;
    wait_for(&app, COUNT_UNSENT, |count| count == "0").await;

    assert_eq!(
        (mail.text("from").as_str(), mail.recipients().as_str()),
        ("keys@example.org", "ada@example.org")
    );
    assert_eq!(mail.text("subject"), "Set a new password for Uptok");
    let id = app.db.query_text("select mail_id::text as answer from outbox");
    assert_eq!(mail.text("messageId"), format!("<{id}@example.org>"));
    let row = "select concat(content is null, ' ', attempts, ' ', last_error) as answer from outbox";
    assert_eq!(app.db.query_text(row), "t 1 ");
    assert_eq!(smtp.received().len(), 0);
}

#[actix_web::test]
async fn mail_waits_for_a_server_that_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::start_with(&mail_settings(&format!("smtp://{free}"))).await;
    app.sign_up("ada").await;

    ask_for_link(&app).await;
    let error = wait_for(&app, ERROR, |error| !error.is_empty()).await;
    let pause = "select (next_attempt_at > now() and next_attempt_at < now() + interval '31 seconds')::text as answer from outbox";
    assert!(error.contains("refused"), "{error}");
    assert_eq!(app.db.query_text(pause), "true");
    let smtp = SmtpServer::start_with(&["accept", "", &free.port().to_string()]);
    make_due(&app);
    let mail = smtp.next().await;

    assert_eq!(mail.recipients(), "ada@example.org");
    wait_for(&app, COUNT_UNSENT, |count| count == "0").await;
}

#[actix_web::test]
async fn refused_recipient_is_given_up_at_once_and_can_be_retried() {
    let switch = std::env::temp_dir().join(format!("uptok-smtp-reject-{}", std::process::id()));
    std::fs::write(&switch, "").unwrap();
    let smtp = SmtpServer::start_with(&["reject", switch.to_str().unwrap()]);
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;

    ask_for_link(&app).await;
    wait_for(&app, "select count(failed_at)::text as answer from outbox", |count| count == "1").await;
    let (_, list) = run_mail(&app, &["list"], &[]);
    let id = app.db.query_text("select mail_id::text as answer from outbox");
    assert!(
        list.starts_with(&id) && list.contains("\tfailed ") && list.contains("\tada@example.org\t1\t"),
        "{list}"
    );
    assert!(list.contains("no such mailbox"), "{list}");
    std::fs::remove_file(&switch).unwrap();
    let (is_retried, _) = run_mail(&app, &["retry", &id], &[]);
    let mail = smtp.next().await;
    wait_for(&app, COUNT_UNSENT, |count| count == "0").await;
    let (is_retried_again, again) = run_mail(&app, &["retry", &id], &[]);

    assert!(is_retried && !is_retried_again && again.contains("was sent already"), "{again}");
    assert_eq!(app.visitor().get(&mail.link(&app.url)).await.status, 200, "the link is as good as new");
}

#[actix_web::test]
async fn temporary_refusal_is_tried_again() {
    let switch = std::env::temp_dir().join(format!("uptok-smtp-busy-{}", std::process::id()));
    std::fs::write(&switch, "").unwrap();
    let smtp = SmtpServer::start_with(&["busy", switch.to_str().unwrap()]);
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;

    ask_for_link(&app).await;
    let error = wait_for(&app, ERROR, |error| !error.is_empty()).await;
    std::fs::remove_file(&switch).unwrap();
    make_due(&app);
    smtp.next().await;

    assert!(error.contains("451") && error.contains("try again later"), "{error}");
    wait_for(&app, COUNT_UNSENT, |count| count == "0").await;
}

#[actix_web::test]
async fn mail_is_sent_again_under_its_id_if_the_final_reply_is_lost() {
    let switch = std::env::temp_dir().join(format!("uptok-smtp-cut-{}", std::process::id()));
    std::fs::write(&switch, "").unwrap();
    let smtp = SmtpServer::start_with(&["cut", switch.to_str().unwrap()]);
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;

    ask_for_link(&app).await;
    let first = smtp.next().await;
    wait_for(&app, ERROR, |error| !error.is_empty()).await;
    make_due(&app);
    let second = smtp.next().await;

    assert_eq!(first.text("messageId"), second.text("messageId"));
    assert_eq!(first.link(&app.url), second.link(&app.url));
}

#[actix_web::test]
async fn broken_tls_is_reported_and_nothing_is_lost() {
    let smtp = SmtpServer::start();
    for (url, reason) in
        [(smtp.url.replace("smtp://", "smtps://"), ""), (format!("{}?tls=required", smtp.url), "STARTTLS")]
    {
        let app = TestApp::start_with(&mail_settings(&url)).await;
        app.sign_up("ada").await;

        ask_for_link(&app).await;
        let error = wait_for(&app, ERROR, |error| !error.is_empty()).await;

        assert!(error.contains(reason), "{error}");
        assert_eq!(app.db.query_text("select (content is not null)::text as answer from outbox"), "true");
    }
    assert_eq!(smtp.received().len(), 0, "nothing is sent in clear");
}

#[actix_web::test]
async fn several_nodes_send_each_mail_once() {
    let smtp = SmtpServer::start();
    let app = TestApp::start().await;
    let others = (0..3).map(|index| format!("user{index}")).collect::<Vec<_>>();
    for name in &others {
        app.sign_up(name).await;
    }
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(app.start_second_node_with(&smtp.settings()).await);
    }

    for (node, name) in nodes.iter().zip(&others).cycle().take(12) {
        let email = format!("{name}@example.org");
        assert_eq!(node.visitor().post("/password/forgot", &[("email", &email)]).await.status, 200);
    }
    wait_for(&app, "select count(*)::text as answer from outbox where sent_at is not null", |count| {
        count == "12"
    })
    .await;

    let mut ids: Vec<_> = smtp.received().iter().map(|mail| mail.text("messageId")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12);
    assert_eq!(app.db.query_text("select max(attempts)::text as answer from outbox"), "1");
}

#[actix_web::test]
async fn mail_is_given_up_after_a_day_or_when_its_link_expires() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::start_with(&mail_settings(&format!("smtp://{free}"))).await;
    app.sign_up("ada").await;
    app.visitor().post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    ask_for_link(&app).await;
    wait_for(&app, "select count(last_error)::text as answer from outbox", |count| count == "2").await;

    app.db.execute("update outbox set give_up_at = now() where kind = 'new_device'");
    app.db.execute("update outbox set expires_at = now() where kind = 'password_reset'");
    make_due(&app);
    wait_for(&app, "select count(failed_at)::text as answer from outbox", |count| count == "2").await;

    let error = |kind: &str| {
        app.db.query_text(&format!("select last_error as answer from outbox where kind = '{kind}'"))
    };
    assert!(error("new_device").contains("refused"));
    assert!(error("password_reset").contains("expired before it could be sent"));
    let id = app.db.query_text("select mail_id::text as answer from outbox where kind = 'password_reset'");
    let (is_retried, text) = run_mail(&app, &["retry", &id], &[]);
    assert!(!is_retried && text.contains("has expired"), "{text}");
}

#[actix_web::test]
async fn content_of_another_secret_is_kept_and_reported() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;
    app.db.execute(
        "insert into outbox (mail_id, kind, recipient, content, give_up_at) \
         values (gen_random_uuid(), 'a later kind', 'ada@example.org', '\\x00', now() + interval '1 day')",
    );

    let error = wait_for(&app, ERROR, |error| !error.is_empty()).await;

    assert!(error.contains("another UPTOK_SECRET"), "{error}");
}

#[actix_web::test]
async fn question_goes_to_the_operator_who_can_reply() {
    let smtp = SmtpServer::start();
    let mut settings = smtp.settings();
    settings.extend(["--operator-email", "help@example.org"]);
    let app = TestApp::start_with(&settings).await;
    let question =
        [("name", "Grace"), ("email", "grace@bücher.example"), ("question", "How many\r\n<b>pages</b>?")];

    assert_eq!(app.visitor().post("/questions", &question).await.status, 200);
    let mail = smtp.next().await;

    assert_eq!(
        (mail.recipients().as_str(), mail.text("replyTo").as_str()),
        ("help@example.org", "grace@xn--bcher-kva.example")
    );
    assert_eq!(mail.text("subject"), "Question from Grace");
    assert!(mail.text("text").contains("<b>pages</b>?") && !mail.text("html").contains("<b>pages"));
}

#[actix_web::test]
async fn test_mail_is_sent_at_once_and_its_failure_explained() {
    let (good, bad) = (SmtpServer::start(), SmtpServer::start_with(&["reject"]));
    let app = TestApp::start().await;

    let sent = run_mail(&app, &["test", "--to", "ada@example.org"], &good.settings());
    let refused = run_mail(&app, &["test", "--to", "ada@example.org"], &bad.settings());
    let without = run_mail(&app, &["test", "--to", "ada@example.org"], &[]);
    let incomplete = run_mail(&app, &["test", "--to", "ada@example.org"], &["--smtp-url", &good.url]);

    assert!(sent.0 && good.next().await.text("subject") == "Test mail from Uptok", "{}", sent.1);
    assert!(!refused.0 && refused.1.contains("no such mailbox"), "{}", refused.1);
    assert!(!without.0 && without.1.contains("UPTOK_SMTP_URL is not set"), "{}", without.1);
    assert!(!incomplete.0 && incomplete.1.contains("set UPTOK_MAIL_FROM too"), "{}", incomplete.1);
    assert_eq!(
        run_mail(&app, &["retry", "c4n4ry"], &[]),
        (false, "uptok: this is no ID; `uptok mail list` prints them\n".to_owned())
    );
}
