//! The question form at the foot of the API documentation.

use crate::support::TestApp;

const QUESTION: [(&str, &str); 3] =
    [("name", "Grace"), ("email", "grace@example.org"), ("question", "How many pages?\r\nThanks")];

#[actix_web::test]
async fn question_is_stored_and_acknowledged() {
    let app = TestApp::start().await;

    let reply = app.visitor().post("/questions", &QUESTION).await;

    assert_eq!(reply.status, 200);
    let thanks = reply.html().text("[role=status]");
    assert!(thanks.contains("Thank you! Your request has been received!"));
    assert!(thanks.contains("Someone will contact you within a business day."));
    let stored =
        app.db.query_text("select name || ', ' || email || ', ' || question as answer from questions");
    assert_eq!(stored, "Grace, grace@example.org, How many pages?\r\nThanks");
}

#[actix_web::test]
async fn incomplete_question_is_explained_and_not_stored() {
    let app = TestApp::start().await;
    for (field, value) in [("name", ""), ("email", "x"), ("question", " "), ("question", "a\0b")] {
        let fields = QUESTION.map(|(name, good)| (name, if name == field { value } else { good }));

        let reply = app.visitor().post("/questions", &fields).await;

        assert_eq!(reply.status, 422);
        assert!(!reply.html().text(&format!("#hint-{field} .wrong")).is_empty());
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from questions"), "0");
}

#[actix_web::test]
async fn storage_failure_keeps_the_text_and_suggests_a_retry() {
    let app = TestApp::start().await;
    app.db.execute("alter table questions rename to questions_elsewhere");

    let reply = app.visitor().post("/questions", &QUESTION).await;

    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.html().text("[role=alert]"), "Oops! Something went wrong. Please try submitting again.");
    assert!(reply.html().text("#field-question").contains("How many pages?"));
    assert!(!reply.body.contains("relation"));
}

#[actix_web::test]
async fn question_with_a_filled_honeypot_is_dropped() {
    let app = TestApp::start().await;
    let fields: Vec<_> = QUESTION.into_iter().chain([("website", "http://spam.example")]).collect();

    assert_eq!(app.visitor().post("/questions", &fields).await.status, 200);
    assert_eq!(app.db.query_text("select count(*)::text as answer from questions"), "0");
}

#[actix_web::test]
async fn questions_are_limited_to_five_per_minute_and_address() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        assert_eq!(app.visitor().post("/questions", &QUESTION).await.status, 200);
    }
    assert_eq!(app.visitor().post("/questions", &QUESTION).await.status, 429);
}

#[actix_web::test]
async fn question_that_contains_a_key_is_refused() {
    let app = TestApp::start().await;
    let key = uptok::api_keys::ClientKey::generate().expose();
    let question = format!("Why is my key ({key}) refused?");
    let fields =
        QUESTION.map(|(name, good)| (name, if name == "question" { question.as_str() } else { good }));

    let reply = app.visitor().post("/questions", &fields).await;

    assert_eq!(reply.status, 422);
    assert!(reply.html().text("#hint-question .wrong").contains("replace that key"));
    assert_eq!(app.db.query_text("select count(*)::text as answer from questions"), "0");
}
