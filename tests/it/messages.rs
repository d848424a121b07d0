//! Messages have a kind, and the title and the focus follow them, also without JavaScript.

use crate::support::{TestApp, html::Html};

const INDEX: &str = "/settings/api-keys";

fn title(page: &Html) -> String {
    page.text("head title")
}

#[actix_web::test]
async fn missing_selection_is_an_error_in_message_and_title() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    ada.get(&format!("{INDEX}/delete")).await.assert_sent_to(INDEX);
    let page = ada.get(INDEX).await.html();

    assert_eq!(page.text("[role=alert]"), "No keys selected. Select the keys you want to delete.");
    assert!(page.attribute("[role=alert]", "class").contains("notice-warn"), "nothing is broken or lost");
    assert_eq!(title(&page), "Error: API Keys · Uptok");
    assert_eq!(page.texts("[role=alert][tabindex='-1'][autofocus]").len(), 1);
    let later = ada.get(INDEX).await.html();
    assert_eq!((title(&later).as_str(), later.texts("[role=alert]").len()), ("API Keys · Uptok", 0));
}

#[actix_web::test]
async fn result_is_a_success_and_a_repetition_a_warning() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let path = format!("{INDEX}/{}/delete", &key[..18]);

    ada.post(&path, &[]).await.assert_sent_to(INDEX);
    let first = ada.get(INDEX).await.html();
    ada.post(&path, &[]).await.assert_sent_to(INDEX);
    let second = ada.get(INDEX).await.html();

    for (page, class) in [(first, "notice-good"), (second, "notice-warn")] {
        assert!(page.attribute("[role=status]", "class").contains(class), "{class}");
        assert_eq!(page.texts("[role=status][autofocus]").len(), 1, "{class}");
        assert_eq!(title(&page), "API Keys · Uptok");
    }
}

#[actix_web::test]
async fn refused_forms_say_error_in_the_title_and_focus_the_first_wrong_field() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let key_path = format!("{INDEX}/{}", &key[..18]);
    let visitor = app.visitor();

    for (user, path, fields, focused) in [
        (&ada, INDEX, vec![("name", "")], "name"),
        (&ada, INDEX, vec![("name", "x"), ("chooseScopes", "yes")], "sessions:read"),
        (&ada, INDEX, vec![("name", "x"), ("expires", "date"), ("requestsPerMinute", "x")], "expiresOn"),
        (&ada, key_path.as_str(), vec![("requestsPerMinute", "x")], "requestsPerMinute"),
        (&visitor, "/register", vec![("name", "Ada"), ("company", "")], "company"),
        (&visitor, "/questions", vec![("name", ""), ("question", "Why?")], "name"),
    ] {
        let reply = user.post(path, &fields).await;

        assert_eq!(reply.status, 422, "{path}");
        let page = reply.html();
        assert!(title(&page).starts_with("Error: "), "{path}: {}", title(&page));
        assert_eq!(page.texts("main [autofocus]").len(), 1, "{path}");
        assert_eq!(page.attribute("main [aria-invalid=true][autofocus]", "name"), focused, "{path}");
    }
}

#[actix_web::test]
async fn refused_login_marks_both_fields_and_focuses_the_password() {
    let app = TestApp::start().await;

    let reply = app.visitor().post("/login", &[("email", "ada@example.org"), ("password", "x")]).await;

    let page = reply.html();
    assert_eq!(title(&page), "Error: Log in · Uptok");
    assert_eq!(page.texts("#login-error [role=alert]"), ["Wrong email or password."]);
    assert_eq!(page.texts("main [aria-invalid=true][aria-describedby=login-error]").len(), 2);
    assert_eq!(page.texts("main [autofocus]").len(), 1);
    assert_eq!(page.attribute("main [autofocus]", "name"), "password");
}

#[actix_web::test]
async fn wrong_filters_say_error_in_the_title() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 1);
    for path in ["/sessions?from=x", "/settings/audit?from=x"] {
        let reply = ada.get(path).await;

        assert_eq!(reply.status, 422, "{path}");
        assert!(title(&reply.html()).starts_with("Error: "), "{path}");
        assert_eq!(reply.html().attribute("[aria-invalid=true][autofocus]", "name"), "from", "{path}");
    }
}

/// A failed question is shown again by the page itself, with another status than a refused form.
#[actix_web::test]
async fn failure_of_the_server_says_error_in_the_title() {
    let app = TestApp::start().await;
    app.db.execute("alter table questions rename to questions_elsewhere");
    let fields = [("name", "Grace"), ("email", "grace@example.org"), ("question", "Why?")];

    let reply = app.visitor().post("/questions", &fields).await;

    assert_eq!(title(&reply.html()), "Error: Question · Uptok");
    assert_eq!(reply.html().texts("[role=alert][autofocus]").len(), 1);
}
