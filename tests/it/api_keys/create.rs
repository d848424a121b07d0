//! The form that makes a key, and the one that changes it.

use uptok::api_keys::Scope;

use super::list::{INDEX, key_path, nonce, public};
use crate::support::{TestApp, Visitor};

/// How many days the key of this name was made for, or `never`.
fn span(app: &TestApp, name: &str) -> String {
    app.db.ask(&format!(
        "select coalesce((expires_at - created_at)::text, 'never') as answer from api_keys where name = '{name}'"
    ))
}

/// What the form shows of one wrong field.
async fn wrong(ada: &Visitor, fields: &[(&str, &str)]) -> String {
    let reply = ada.post(INDEX, fields).await;
    assert_eq!(reply.status, 422, "{fields:?}");
    let page = reply.html();
    assert_eq!(page.texts("details.more[open]").len(), 1, "what is wrong is not folded away: {fields:?}");
    page.text("form.generate .wrong")
}

#[actix_web::test]
async fn a_name_alone_makes_a_key_that_reads_for_90_days() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;

    let reply = ada.post(INDEX, &[("name", "laptop")]).await;

    assert!(reply.html().text("[role=status]:not([data-copied])").contains("It expires in 90 days."));
    assert_eq!(span(&app, "laptop"), "90 days");
    let rights = app.db.ask(
        "select scopes::text || requests_per_minute::text || allowed_networks::text as answer from api_keys",
    );
    assert_eq!(rights, "{sessions:read}600{}");
}

#[actix_web::test]
async fn the_empty_form_chooses_reading_and_90_days_where_one_can_see_it() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;

    let page = ada.get(INDEX).await.html();

    assert_eq!(page.attribute("input[name=expires][checked]", "value"), "90");
    assert_eq!(page.attribute(".generate input[type=checkbox][checked]", "name"), "sessions:read");
    assert_eq!(page.texts(".generate .boxes code"), Scope::ALL.map(Scope::as_str));
    assert_eq!(page.text(".send [data-if='90']"), "It expires in 90 days.");
    assert!(page.texts("details.more[open]").is_empty());
    assert_eq!(page.attribute("input[name=requestsPerMinute]", "value"), "600");
}

#[actix_web::test]
async fn every_choice_of_the_form_is_kept() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let boxes = [("chooseScopes", "yes"), ("sessions:write", "yes"), ("keys:manage", "yes")];
    let limits = [("requestsPerMinute", "0"), ("allowedNetworks", "203.0.113.0/24\r\n2001:db8::1")];
    for (name, expires, made_for) in [("a", "30", "30 days"), ("b", "90", "90 days"), ("c", "never", "never")]
    {
        let fields = [&[("name", name), ("expires", expires), ("expiresOn", "")], &boxes[..], &limits[..]];
        assert_eq!(ada.post(INDEX, &fields.concat()).await.status, 200);
        assert_eq!(span(&app, name), made_for);
    }
    let day = app.db.ask("select ((now() at time zone 'UTC')::date + 3)::text as answer");
    let reply = ada.post(INDEX, &[("name", "d"), ("expires", "date"), ("expiresOn", &day)]).await;

    assert_eq!(reply.status, 200);
    let end =
        app.db.ask("select (expires_at at time zone 'UTC')::text as answer from api_keys where name = 'd'");
    assert_eq!(end, app.db.ask(&format!("select ('{day}'::date + 1)::timestamp::text as answer")));
    let rights = app.db.ask(
        "select scopes::text || requests_per_minute || allowed_networks::text as answer from api_keys where name = 'a'",
    );
    assert_eq!(rights, "{sessions:write,keys:manage}0{203.0.113.0/24,2001:db8::1/128}");
}

#[actix_web::test]
async fn what_is_wrong_is_said_at_its_field_and_what_was_typed_is_kept() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    for (field, value, sentence) in [
        ("expires", "soon", "Say a number of days"),
        ("expires", "date", "YYYY-MM-DD"),
        ("requestsPerMinute", "many", "digits only"),
        ("requestsPerMinute", "1000001", "at most 1000000"),
        ("allowedNetworks", "10.0.0.0/8\nlocalhost", "“localhost” is neither"),
        ("allowedNetworks", "10.0.0.1/8", "Write 10.0.0.0/8 for the network"),
        ("chooseScopes", "yes", "Choose at least one"),
    ] {
        let said = wrong(&ada, &[("name", "laptop"), (field, value)]).await;
        assert!(said.contains(sentence), "{field}: {said}");
    }
    let past = [("name", "laptop"), ("expires", "date"), ("expiresOn", "2020-01-01")];
    assert!(wrong(&ada, &past).await.contains("This day is over"));
    let page = ada.post(INDEX, &past).await.html();
    assert_eq!(page.attribute("input[name=expiresOn]", "value"), "2020-01-01");
    assert_eq!(page.attribute("input[name=expires][checked]", "value"), "date");
    assert_eq!(app.db.ask("select count(*)::text as answer from api_keys"), "0");
}

#[actix_web::test]
async fn forms_of_two_tabs_make_two_keys_and_each_form_one() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let tabs = [nonce(&ada).await, nonce(&ada).await];
    for (name, tab) in [("one", &tabs[0]), ("two", &tabs[1]), ("three", &tabs[0])] {
        ada.post(INDEX, &[("name", name), ("formNonce", tab)]).await;
    }

    let names = app.db.ask("select string_agg(name, ' ' order by created_at) as answer from api_keys");
    assert_eq!(names, "one two");
}

#[actix_web::test]
async fn an_expired_key_is_refused_and_says_so_in_the_table() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set expires_at = now()");

    app.export(&[("clientKey", &key)]).await.assert_problem(401, "invalid_key");
    let page = ada.get(INDEX).await.html();
    assert!(page.cell("laptop", "Status").starts_with("expired ended"), "{}", page.cell("laptop", "Status"));
    let taken = ada.post(INDEX, &[("name", "laptop")]).await.html();
    assert!(taken.text("#key-name-hint").contains("that has expired has this name"));
}

#[actix_web::test]
async fn a_key_is_changed_and_that_holds_from_its_next_request_on() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;
    let page = ada.get(&key_path(&key)).await.html();
    assert_eq!(page.attribute("form.rights input[checked]", "name"), "sessions:read");

    let boxes = [("chooseScopes", "yes"), ("sessions:write", "yes")];
    let limits = [("requestsPerMinute", "60"), ("allowedNetworks", "127.0.0.1")];
    let reply = ada.post(&key_path(&key), &[&boxes[..], &limits[..]].concat()).await;

    reply.assert_sent_to(&key_path(&key));
    let page = ada.get(&key_path(&key)).await.html();
    assert!(page.text("[role=status]").contains("“laptop” is changed"));
    let facts = page.texts(".facts dd");
    for fact in ["sessions:write", "60 requests a minute", "127.0.0.1"] {
        assert!(facts.contains(&fact.to_owned()), "{fact}: {facts:?}");
    }
    app.export(&[("clientKey", &key)]).await.assert_problem(403, "missing_scope");
    ada.post(&key_path(&key), &[("requestsPerMinute", "61")]).await.assert_sent_to(&key_path(&key));
    let facts = ada.get(&key_path(&key)).await.html().texts(".facts dd");
    for kept in ["sessions:write", "61 requests a minute", "127.0.0.1"] {
        assert!(facts.contains(&kept.to_owned()), "what a form does not have stays: {facts:?}");
    }
    let back = [("chooseScopes", "yes"), ("sessions:read", "yes"), ("allowedNetworks", "203.0.113.7")];
    ada.post(&key_path(&key), &back).await.assert_sent_to(&key_path(&key));
    app.export(&[("clientKey", &key)]).await.assert_problem(403, "address_not_allowed");
}

#[actix_web::test]
async fn a_wrong_change_changes_nothing() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;

    let reply = ada.post(&key_path(&key), &[("requestsPerMinute", "x"), ("allowedNetworks", "y")]).await;

    assert_eq!(reply.status, 422);
    assert_eq!(reply.html().texts("form.rights .wrong").len(), 2);
    assert_eq!(reply.html().attribute("input[name=requestsPerMinute]", "value"), "x");
    assert_eq!(ada.post(&key_path(&key), &[("requestsPerMinute", "")]).await.status, 422, "0 is no limit");
    let elsewhere = [("clientId", "cl_0000000000"), ("requestsPerMinute", "1")];
    assert_eq!(ada.post(&key_path(&key), &elsewhere).await.status, 409);
    assert_eq!(app.db.ask("select requests_per_minute::text as answer from api_keys"), "600");
    let unknown = format!("{INDEX}/{}", public("uptok_000000000000"));
    assert_eq!(ada.post(&unknown, &[]).await.status, 404);
}

#[actix_web::test]
async fn a_day_that_was_typed_is_not_passed_over() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let typed = |expires, day| [("name", "x"), ("expires", expires), ("expiresOn", day)];

    let passed_over = ada.post(INDEX, &typed("90", "2027-01-31")).await;
    assert_eq!(passed_over.status, 422);
    assert!(passed_over.html().text(".wrong").contains("You gave a day"));
    let wrong = [("name", ""), ("expires", "date"), ("expiresOn", "2020-01-31"), ("requestsPerMinute", "x")];
    let wrong = ada.post(INDEX, &wrong).await.html();
    assert_eq!(wrong.texts(".wrong").len(), 3, "everything is told at once");
    let far = ada.post(INDEX, &typed("date", "9999-12-31")).await.html();
    assert_eq!(far.attribute("[name=expiresOn]", "aria-invalid"), "true");
    for expires in ["30", "never"] {
        assert_eq!(
            ada.post(INDEX, &typed(expires, "2027-01-31")).await.status,
            422,
            "nobody guesses which was meant"
        );
    }
}
