//! The list of sessions.

use crate::support::TestApp;

#[actix_web::test]
async fn the_newest_come_first_fifty_at_a_time() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 120);

    let first = ada.get("/sessions").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();
    let third = ada.get(&second.attribute("a[rel=next]", "href")).await.html();
    let back = ada.get(&third.attribute("a[rel=prev]", "href")).await.html();

    let times = |page: &crate::support::html::Html| page.texts("tbody time");
    assert_eq!([times(&first).len(), times(&second).len(), times(&third).len()], [50, 50, 20]);
    assert_eq!(times(&first)[0], "31 Oct 2026, 23:59 UTC");
    assert_eq!(times(&third)[19], "31 Oct 2026, 22:00 UTC");
    assert_eq!(times(&back), times(&second));
    assert!(first.texts("a[rel=prev]").is_empty() && third.texts("a[rel=next]").is_empty());
    assert!(first.text(".page-head p").starts_with("120 recorded"));
}

#[actix_web::test]
async fn a_status_is_filtered_and_stays_while_paging() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 180);

    let first = ada.get("/sessions?status=missed").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();

    assert!(first.texts(".status").iter().chain(&second.texts(".status")).all(|status| status == "missed"));
    assert_eq!(first.texts("tbody tr").len() + second.texts("tbody tr").len(), 60);
    assert_eq!(second.attribute("option[selected]", "value"), "missed");
}

#[actix_web::test]
async fn sessions_of_one_moment_are_paged_without_gap_or_double() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 130);
    app.db.execute("update sessions set created_at = '2026-01-01', ended_at = '2026-01-01'");

    let mut titles = Vec::new();
    let mut page = ada.get("/sessions").await.html();
    loop {
        titles.extend(
            (0..page.texts("tbody tr").len())
                .map(|row| page.attribute(&format!("tbody tr:nth-child({}) time", row + 1), "title")),
        );
        if page.texts("a[rel=next]").is_empty() {
            break;
        }
        page = ada.get(&page.attribute("a[rel=next]", "href")).await.html();
    }

    assert_eq!(titles.len(), 130);
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), 130);
}

#[actix_web::test]
async fn without_sessions_the_page_says_how_they_get_in() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;

    let page = ada.get("/sessions").await.html();

    assert!(page.text(".empty").contains(&format!("uptok import FILE --client {}", ada.client_id().await)));
}

#[actix_web::test]
async fn a_client_sees_its_own_sessions_alone() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.signed_up("ada").await, app.signed_up("eve").await);
    app.record(&ada.client_id().await, 3);

    assert!(eve.get("/sessions").await.html().texts("tbody tr").is_empty());
    app.visitor().get("/sessions").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn an_address_that_was_tampered_with_shows_the_list() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 3);
    for query in [
        "?status=x",
        "?before=x~y",
        "?after=~",
        "?before=2026-01-01T00:00:00Z~999999999999999999999",
        "?status=%00",
    ] {
        let page = ada.get(&format!("/sessions{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(page.html().texts("tbody tr").len(), 3, "{query}");
    }
}
