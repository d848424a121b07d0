//! Pages are empty in the back/forward cache of the browser, and are loaded again when it restores them.

use crate::support::{Browser, CacheableProxy, TestApp, test_app::PASSWORD};

/// Opens the key list, which has a key, as ada. The tests' proxy lets Chromium keep every page.
async fn open_key_list(app: &TestApp, proxy: &CacheableProxy, browser: &Browser) {
    app.sign_up("ada").await.generate("Warehouse").await;
    log_in(proxy, browser).await;
    browser.see("tbody th", "Warehouse").await;
}

async fn log_in(proxy: &CacheableProxy, browser: &Browser) {
    browser.go(&format!("{}/login", proxy.url)).await;
    browser.fill("Email", "ada@example.org").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Log in").await;
    browser.see("h1", "API Keys").await;
}

/// Makes this page note whether it is restored, which [`was_restored`] then returns.
async fn watch_restoration(browser: &Browser) {
    browser.run("addEventListener('pageshow', (it) => { sessionStorage.restored = it.persisted })").await;
}

async fn was_restored(browser: &Browser) -> bool {
    browser.run("return sessionStorage.restored").await == "true"
}

#[actix_web::test]
async fn restored_page_is_loaded_again() {
    let app = TestApp::start().await;
    let proxy = CacheableProxy::start(&app.url);
    let browser = Browser::open().await;
    open_key_list(&app, &proxy, &browser).await;
    watch_restoration(&browser).await;

    browser.follow("Sessions").await;
    app.db.execute("delete from sign_ins");
    browser.driver().back().await.unwrap();

    browser.see("h1", "Log in").await;
    assert!(was_restored(&browser).await, "Chromium did not keep the page, so this test shows nothing");
    assert_eq!(browser.count("tbody tr").await, 0);
}

#[actix_web::test]
async fn restored_page_of_a_signed_in_user_shows_what_is_new() {
    let app = TestApp::start().await;
    let proxy = CacheableProxy::start(&app.url);
    let browser = Browser::open().await;
    open_key_list(&app, &proxy, &browser).await;
    watch_restoration(&browser).await;

    browser.follow("Sessions").await;
    app.log_in("ada").await.generate("Shop").await;
    browser.driver().back().await.unwrap();

    browser.see("tbody th", "Shop").await;
    assert!(was_restored(&browser).await);
}

#[actix_web::test]
async fn back_after_logging_out_shows_no_page_of_the_user() {
    let app = TestApp::start().await;
    let proxy = CacheableProxy::start(&app.url);
    let browser = Browser::open().await;
    open_key_list(&app, &proxy, &browser).await;

    browser.press("Log out").await;
    browser.see("h1", "Log in").await;
    browser.driver().back().await.unwrap();

    browser.see("h1", "Log in").await;
    assert_eq!((browser.path().await.as_str(), browser.count("tbody tr").await), ("/login", 0));
}

/// The password that was typed must not wait in the login page for the next person at this computer.
#[actix_web::test]
async fn restored_login_page_is_loaded_again() {
    let app = TestApp::start().await;
    let proxy = CacheableProxy::start(&app.url);
    let browser = Browser::open().await;
    app.sign_up("ada").await;
    browser.go(&format!("{}/login", proxy.url)).await;
    watch_restoration(&browser).await;
    browser.fill("Email", "ada@example.org").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Log in").await;
    browser.see("h1", "API Keys").await;
    app.db.execute("delete from sign_ins");

    browser.driver().back().await.unwrap();

    browser.see("h1", "Log in").await;
    assert!(was_restored(&browser).await);
    assert_eq!(browser.input("Password").await.prop("value").await.unwrap().unwrap(), "");
}

#[actix_web::test]
async fn page_is_empty_in_the_cache() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let count_elements_after = async |persisted: bool| {
        let event = format!("new PageTransitionEvent('pagehide', {{ persisted: {persisted} }})");
        browser
            .run(&format!("dispatchEvent({event}); return document.querySelectorAll('body *').length"))
            .await
    };

    assert_ne!(count_elements_after(false).await, 0, "a page that is left for good");
    assert_eq!(count_elements_after(true).await, 0);
}

#[actix_web::test]
async fn restored_page_keeps_its_scroll_position() {
    let app = TestApp::start().await;
    let proxy = CacheableProxy::start(&app.url);
    let browser = Browser::open().await;
    app.record(&app.sign_up("ada").await.client_id().await, 50);
    log_in(&proxy, &browser).await;
    browser.follow("Sessions").await;
    watch_restoration(&browser).await;
    browser.run("scrollTo(0, 400)").await;

    browser.follow("Settings").await;
    browser.driver().back().await.unwrap();

    browser.see("h1", "Sessions").await;
    assert!(was_restored(&browser).await);
    let scrolled = "while (scrollY !== 400) await new Promise(requestAnimationFrame); return scrollY";
    assert_eq!(browser.run_async(scrolled).await, 400);
}
