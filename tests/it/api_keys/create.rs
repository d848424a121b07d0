//! The forms that create and change a key.

use uptok::api_keys::Scope;

use super::list::{INDEX, key_path, public_part, read_form_nonce};
use crate::support::{TestApp, Visitor, html::Html};

/// Reads the scope, the rate limit and the networks in the form on the page of a key.
fn read_rights_form(page: &Html) -> [String; 3] {
    [
        page.attribute("form.rights input[type=checkbox][checked]", "name"),
        page.attribute("form.rights input[name=requestsPerMinute]", "value"),
        page.text("form.rights textarea"),
    ]
}

/// Reads the lifetime of the key with this name in days, or `never`.
fn read_lifetime(app: &TestApp, name: &str) -> String {
    app.db.query_text(&format!(
        "select coalesce((expires_at - created_at)::text, 'never') as answer from api_keys where name = '{name}'"
    ))
}

/// Posts an invalid form and returns the error text. The section with the wrong field must be open.
async fn post_invalid(ada: &Visitor, fields: &[(&str, &str)]) -> String {
    let reply = ada.post(INDEX, fields).await;
    assert_eq!(reply.status, 422, "{fields:?}");
    let page = reply.html();
    assert_eq!(page.texts("details.more[open]").len(), 1, "what is wrong is not folded away: {fields:?}");
    page.text("form.generate .wrong")
}

#[actix_web::test]
async fn name_alone_creates_a_reading_key_for_90_days() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let reply = ada.post(INDEX, &[("name", "laptop")]).await;

    assert!(reply.html().text("[role=status]:not([data-copied])").contains("It expires in 90 days."));
    assert_eq!(read_lifetime(&app, "laptop"), "90 days");
    let rights = app.db.query_text(
        "select scopes::text || requests_per_minute::text || allowed_networks::text as answer from api_keys",
    );
    assert_eq!(rights, "{sessions:read}600{}");
}

#[actix_web::test]
async fn empty_form_preselects_reading_and_90_days_visibly() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get(INDEX).await.html();

    assert_eq!(page.attribute("input[name=expires][checked]", "value"), "90");
    assert_eq!(page.attribute(".generate input[type=checkbox][checked]", "name"), "sessions:read");
    assert_eq!(page.texts(".generate .boxes code"), Scope::ALL.map(Scope::as_str));
    assert_eq!(page.text(".send [data-if='90']"), "Expires in 90 days");
    assert!(page.texts("details.more[open]").is_empty());
    assert_eq!(page.attribute("input[name=requestsPerMinute]", "value"), "600");
}

#[actix_web::test]
async fn every_choice_of_the_form_is_stored() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let boxes = [("chooseScopes", "yes"), ("sessions:write", "yes"), ("keys:manage", "yes")];
    let limits = [("requestsPerMinute", "0"), ("allowedNetworks", "203.0.113.0/24\r\n2001:db8::1")];
    for (name, expires, made_for) in [("a", "30", "30 days"), ("b", "90", "90 days"), ("c", "never", "never")]
    {
        let fields = [&[("name", name), ("expires", expires), ("expiresOn", "")], &boxes[..], &limits[..]];
        assert_eq!(ada.post(INDEX, &fields.concat()).await.status, 200);
        assert_eq!(read_lifetime(&app, name), made_for);
    }
    let day = app.db.query_text("select ((now() at time zone 'UTC')::date + 3)::text as answer");
    let reply = ada.post(INDEX, &[("name", "d"), ("expires", "date"), ("expiresOn", &day)]).await;

    assert_eq!(reply.status, 200);
    let end = app
        .db
        .query_text("select (expires_at at time zone 'UTC')::text as answer from api_keys where name = 'd'");
    assert_eq!(end, app.db.query_text(&format!("select ('{day}'::date + 1)::timestamp::text as answer")));
    let rights = app.db.query_text(
        "select scopes::text || requests_per_minute || allowed_networks::text as answer from api_keys where name = 'a'",
    );
    assert_eq!(rights, "{sessions:write,keys:manage}0{203.0.113.0/24,2001:db8::1/128}");
}

#[actix_web::test]
async fn invalid_input_is_explained_at_its_field_and_kept() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for (field, value, sentence) in [
        ("expires", "soon", "Enter a number of days"),
        ("expires", "date", "YYYY-MM-DD"),
        ("requestsPerMinute", "many", "digits only"),
        ("requestsPerMinute", "1000001", "at most 1000000"),
        ("allowedNetworks", "10.0.0.0/8\nlocalhost", "“localhost” is not an address"),
        ("allowedNetworks", "10.0.0.1/8", "Write 10.0.0.0/8 for the network"),
        ("chooseScopes", "yes", "Select at least one"),
    ] {
        let message = post_invalid(&ada, &[("name", "laptop"), (field, value)]).await;
        assert!(message.contains(sentence), "{field}: {message}");
    }
    let past = [("name", "laptop"), ("expires", "date"), ("expiresOn", "2020-01-01")];
    assert!(post_invalid(&ada, &past).await.contains("This date is in the past"));
    let page = ada.post(INDEX, &past).await.html();
    assert_eq!(page.attribute("input[name=expiresOn]", "value"), "2020-01-01");
    assert_eq!(page.attribute("input[name=expires][checked]", "value"), "date");
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
}

#[actix_web::test]
async fn forms_in_two_tabs_create_one_key_each() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let tabs = [read_form_nonce(&ada).await, read_form_nonce(&ada).await];
    for (name, tab) in [("one", &tabs[0]), ("two", &tabs[1]), ("three", &tabs[0])] {
        ada.post(INDEX, &[("name", name), ("formNonce", tab)]).await;
    }

    let names = app.db.query_text("select string_agg(name, ' ' order by created_at) as answer from api_keys");
    assert_eq!(names, "one two");
}

#[actix_web::test]
async fn expired_key_is_refused_and_marked_in_the_table() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set expires_at = now()");

    app.export(&[("clientKey", &key)]).await.assert_problem(401, "invalid_key");
    let page = ada.get(INDEX).await.html();
    assert!(page.cell("laptop", "Status").starts_with("Expired ended"), "{}", page.cell("laptop", "Status"));
    let taken = ada.post(INDEX, &[("name", "laptop")]).await.html();
    assert!(taken.text("#key-name-hint").contains("An expired key has this name"));
}

#[actix_web::test]
async fn changed_rights_apply_from_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let page = ada.get(&key_path(&key)).await.html();
    assert_eq!(page.attribute("form.rights input[checked]", "name"), "sessions:read");

    let boxes = [("chooseScopes", "yes"), ("sessions:write", "yes")];
    let limits = [("requestsPerMinute", "60"), ("allowedNetworks", "127.0.0.1")];
    let reply = ada.post(&key_path(&key), &[&boxes[..], &limits[..]].concat()).await;

    reply.assert_sent_to(&key_path(&key));
    let page = ada.get(&key_path(&key)).await.html();
    assert!(page.text("[role=status]").contains("“laptop” was saved"));
    assert_eq!(read_rights_form(&page), ["sessions:write", "60", "127.0.0.1"]);
    app.export(&[("clientKey", &key)]).await.assert_problem(403, "missing_scope");
    ada.post(&key_path(&key), &[("requestsPerMinute", "61")]).await.assert_sent_to(&key_path(&key));
    let kept = read_rights_form(&ada.get(&key_path(&key)).await.html());
    assert_eq!(kept, ["sessions:write", "61", "127.0.0.1"], "what a form does not have stays");
    let back = [("chooseScopes", "yes"), ("sessions:read", "yes"), ("allowedNetworks", "203.0.113.7")];
    ada.post(&key_path(&key), &back).await.assert_sent_to(&key_path(&key));
    app.export(&[("clientKey", &key)]).await.assert_problem(403, "address_not_allowed");
}

#[actix_web::test]
async fn invalid_change_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    let reply = ada.post(&key_path(&key), &[("requestsPerMinute", "x"), ("allowedNetworks", "y")]).await;

    assert_eq!(reply.status, 422);
    assert_eq!(reply.html().texts("form.rights .wrong").len(), 2);
    assert_eq!(reply.html().attribute("input[name=requestsPerMinute]", "value"), "x");
    assert_eq!(ada.post(&key_path(&key), &[("requestsPerMinute", "")]).await.status, 422, "0 is no limit");
    let other_client = [("clientId", "cl_0000000000"), ("requestsPerMinute", "1")];
    assert_eq!(ada.post(&key_path(&key), &other_client).await.status, 409);
    assert_eq!(app.db.query_text("select requests_per_minute::text as answer from api_keys"), "600");
    let unknown = format!("{INDEX}/{}", public_part("uptok_000000000000"));
    assert_eq!(ada.post(&unknown, &[]).await.status, 404);
}

#[actix_web::test]
async fn date_that_contradicts_the_chosen_lifetime_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let fields = |expires, day| [("name", "x"), ("expires", expires), ("expiresOn", day)];

    let contradicting = ada.post(INDEX, &fields("90", "2027-01-31")).await;
    assert_eq!(contradicting.status, 422);
    assert!(contradicting.html().text(".wrong").contains("Choose “On” to use this date"));
    let invalid =
        [("name", ""), ("expires", "date"), ("expiresOn", "2020-01-31"), ("requestsPerMinute", "x")];
    let invalid = ada.post(INDEX, &invalid).await.html();
    assert_eq!(invalid.texts(".wrong").len(), 3, "everything is told at once");
    let distant = ada.post(INDEX, &fields("date", "9999-12-31")).await.html();
    assert_eq!(distant.attribute("[name=expiresOn]", "aria-invalid"), "true");
    for expires in ["30", "never"] {
        assert_eq!(
            ada.post(INDEX, &fields(expires, "2027-01-31")).await.status,
            422,
            "nobody guesses which was meant"
        );
    }
}
