//! The theme switch: stored in a cookie, applied to every page, without JavaScript.

use reqwest::Method;
use uptok::pages::{PAGE_ROUTES, PageMethod};

use crate::support::{Reply, TestApp, Visitor};

fn theme_of(reply: &Reply) -> Option<String> {
    let tag = reply.body.split_once("<html ")?.1.split_once('>')?.0;
    tag.split_once("data-theme=\"").map(|(_, rest)| rest.split('"').next().unwrap().to_owned())
}

async fn choose(visitor: &Visitor, theme: &str, referer: &str) -> Reply {
    let request = visitor.request(Method::POST, "/theme").header("Sec-Fetch-Site", "same-origin");
    let request = request.header("Referer", referer).form(&[("theme", theme)]);
    Reply::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn a_chosen_theme_lasts_and_the_visitor_stays_on_the_page() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let reply = choose(&ada, "dark", &format!("{}/settings/usage?per=hour", app.url)).await;

    reply.assert_sent_to("/settings/usage?per=hour");
    let cookie = reply.set_cookie("uptok_theme");
    for part in ["uptok_theme=dark", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let page = ada.get("/settings/usage").await;
    assert_eq!(theme_of(&page).as_deref(), Some("dark"));
    assert_eq!(page.html().attribute("meta[name=color-scheme]", "content"), "dark");
    assert_eq!(page.html().attribute(".themes [value=dark]", "aria-pressed"), "true");
    assert_eq!(page.html().attribute(".themes [value=system]", "aria-pressed"), "false");
}

#[actix_web::test]
async fn the_system_theme_removes_the_cookie() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    choose(&visitor, "light", "").await.assert_sent_to("/");
    assert_eq!(theme_of(&visitor.get("/login").await).as_deref(), Some("light"));

    let reply = choose(&visitor, "system", "").await;

    assert!(reply.set_cookie("uptok_theme").contains("Max-Age=0"));
    let page = visitor.get("/login").await;
    assert_eq!(theme_of(&page), None);
    assert_eq!(page.html().attribute("meta[name=color-scheme]", "content"), "light dark");
}

#[actix_web::test]
async fn choosing_a_theme_never_leads_to_another_site() {
    let app = TestApp::start().await;
    for referer in ["https://evil.example//evil.example/", "//evil.example", "http://x/\\evil.example", ""] {
        choose(&app.visitor(), "dark", referer).await.assert_sent_to("/");
    }
    choose(&app.visitor(), "dark", "https://evil.example/login").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn an_unknown_theme_and_a_form_of_another_site_are_refused() {
    let app = TestApp::start().await;
    let reply = choose(&app.visitor(), "purple", "").await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("Choose a theme"), "{}", reply.body);

    let cross_site = app.visitor().request(Method::POST, "/theme").header("Sec-Fetch-Site", "cross-site");
    let reply = Reply::read(cross_site.form(&[("theme", "dark")]).send().await.unwrap()).await;

    assert_eq!(reply.status, 403);
    assert!(reply.headers.get("set-cookie").is_none());
}

#[actix_web::test]
async fn with_https_the_cookie_is_secure() {
    let app = TestApp::start_with(&["--public-url", "https://keys.example.org"]).await;

    let reply = choose(&app.visitor(), "dark", "").await;

    assert!(reply.set_cookie("__Host-uptok_theme").contains("Secure"));
}

/// Pages, error pages of handlers, and error pages of middleware.
#[actix_web::test]
async fn every_page_has_the_theme_and_a_switch() {
    let app = TestApp::start().await;
    let (ada, visitor) = (app.sign_up("ada").await, app.visitor());
    choose(&ada, "dark", "").await;
    choose(&visitor, "dark", "").await;
    let mut pages = Vec::new();
    for route in PAGE_ROUTES.iter().filter(|route| route.method == PageMethod::Get) {
        let path = route.path.replace(['{', '}'], "");
        pages.extend([ada.get(&path).await, visitor.get(&path).await]);
    }
    let refused = visitor.request(Method::POST, "/login").header("Sec-Fetch-Site", "cross-site");
    pages.extend([visitor.get("/nothing").await, Reply::read(refused.send().await.unwrap()).await]);
    pages.push(visitor.post("/login", &[("email", "ada@example.org"), ("password", "wrong")]).await);
    pages.retain(|page| page.header("content-type").starts_with("text/html"));

    for page in &pages {
        assert_eq!(theme_of(page).as_deref(), Some("dark"), "{}", page.body);
        assert_eq!(page.html().texts(".themes button").len(), 3, "{}", page.body);
    }
    assert!(pages.len() > 15, "{}", pages.len());
}
