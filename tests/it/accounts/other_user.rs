//! Forms about the account that were opened before someone else logged in with the same browser.

use uptok::pages::{PAGE_ROUTES, PageRoute};

use super::second_factor::{PAGE, turn_on};
use crate::support::{TestApp, Visitor, test_app::PASSWORD};

/// A browser with which Eve has logged in after Ada, and Ada's id.
async fn start() -> (TestApp, Visitor, String) {
    let app = TestApp::start().await;
    let browser = app.sign_up("ada").await;
    app.sign_up("eve").await;
    let ada = browser.get("/account").await.html().attribute("[name=userId]", "value");
    browser.post("/logout", &[]).await;
    browser.post("/login", &[("email", "eve@example.org"), ("password", PASSWORD)]).await;
    (app, browser, ada)
}

fn forms() -> impl Iterator<Item = PageRoute> {
    PAGE_ROUTES.into_iter().filter(|route| route.is_of_user)
}

#[actix_web::test]
async fn form_that_another_user_opened_is_refused() {
    let (app, eve, ada) = start().await;
    let fields = [("userId", ada.as_str()), ("name", "Ada"), ("email", "ada@king.example")];

    for form in forms() {
        let reply = eve.post(form.path, &fields).await;
        assert_eq!(reply.status, 409, "{}", form.path);
        assert!(reply.body.contains("was opened by another user"), "{}", form.path);
    }

    let state = "select string_agg(name, ' ' order by name) as answer from users";
    assert_eq!(app.db.query_text(state), "ada eve");
    assert_eq!(app.db.query_text("select count(*)::text as answer from account_links"), "0");
    assert_eq!(app.db.query_text("select count(*)::text as answer from second_factors"), "0");
}

#[actix_web::test]
async fn form_that_another_user_opened_is_not_completed_by_a_confirmation() {
    let (app, eve, ada) = start().await;
    turn_on(&eve).await;
    let action = format!("{PAGE}/turn-off");
    let carried = [("lostAction", action.as_str()), ("lost:userId", &ada), ("password", PASSWORD)];

    assert_eq!(eve.post("/confirm", &carried).await.status, 409);

    assert_eq!(app.db.query_text("select count(*)::text as answer from second_factors"), "1");
}

#[actix_web::test]
async fn every_form_about_the_account_names_the_user() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let _other = app.log_in("ada").await;
    // The only owner of a client is offered no form to delete the account.
    app.db.execute("update memberships set role = 'member'");
    let id = app.db.query_text("select user_id::text as answer from users");
    let mut pages = Vec::new();
    for path in ["/account", "/account/delete", "/account/sign-ins", PAGE] {
        pages.push(ada.get(path).await);
    }
    pages.push(ada.post(&format!("{PAGE}/set-up"), &[]).await);
    turn_on(&ada).await;
    pages.push(ada.get(PAGE).await);

    let names_user = |form: &PageRoute| {
        let field = format!("form[action='{}'] [name=userId]", form.path);
        pages.iter().any(|page| {
            page.html().attributes(&field, "value").iter().all(|it| *it == id)
                && !page.html().attributes(&field, "value").is_empty()
        })
    };
    for form in forms() {
        assert!(names_user(&form), "{}", form.path);
    }
    assert_eq!(forms().count(), 7);
}
