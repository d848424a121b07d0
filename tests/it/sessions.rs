//! The list of sessions.

use futures_util::StreamExt as _;

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
    app.db.change_sessions("update sessions set created_at = '2026-01-01', ended_at = '2026-01-01'");

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
    for query in ["?before=x~y", "?after=~", "?before=2026-01-01T00:00:00Z~999999999999999999999"] {
        let page = ada.get(&format!("/sessions{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(page.html().texts("tbody tr").len(), 3, "{query}");
    }
}

#[actix_web::test]
async fn filters_narrow_the_list_and_the_file() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.signed_up("ada").await, app.signed_up("eve").await);
    app.record(&ada.client_id().await, 180);
    app.db.change_sessions(
        "update sessions set agent_name = 'Ada & Co', channel = 'chat' where sequence <= 70",
    );
    let filter = "?status=completed&channel=chat&agentName=Ada+%26+Co&from=2026-10-31&to=2026-11-01";

    let first = ada.get(&format!("/sessions{filter}")).await.html();
    let file = ada.get(&first.attribute("a[download]", "href")).await;

    assert!(first.text(".list-head span").starts_with("46 match."));
    assert_eq!((first.texts("tbody tr").len(), file.body.lines().count()), (46, 47));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"sessions.csv\"");
    assert_eq!(first.attribute("#agent", "value"), "Ada & Co");
    assert_eq!(eve.get(&format!("/sessions.csv{filter}")).await.body.lines().count(), 1);
    app.visitor().get("/sessions.csv").await.assert_sent_to("/login");
    for query in ["from=yesterday", "status=x", "channel=x", "agentName=%00"] {
        let wrong = ada.get(&format!("/sessions?{query}")).await.html();
        assert!(wrong.text(".empty").contains("cannot be read"), "{query}");
        assert!(wrong.texts("tbody tr").is_empty() && wrong.texts("a[download]").is_empty());
        assert_eq!(ada.get(&format!("/sessions.csv?{query}")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn a_session_has_its_page_and_a_stranger_does_not_see_it() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.signed_up("ada").await, app.signed_up("eve").await);
    app.record(&ada.client_id().await, 1);
    let path = ada.get("/sessions").await.html().attribute("tbody th a", "href");

    let page = ada.get(&path).await;

    assert_eq!(page.status, 200);
    let (names, texts) = (page.html().texts(".facts dt"), page.html().texts(".facts dd"));
    let of = |name: &str| &texts[names.iter().position(|known| known == name).unwrap()];
    assert_eq!((of("externalId").as_str(), of("status").as_str()), ("session-0", "missed"));
    assert_eq!(eve.get(&path).await.status, 404);
    assert_eq!(ada.get("/sessions/1").await.status, 404);
    app.visitor().get(&path).await.assert_sent_to("/login");
}

#[actix_web::test]
async fn a_member_who_is_removed_gets_no_more_of_the_file() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, notes) \
         select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), repeat('long ', 500) \
         from clients, generate_series(1, 40000) n",
    );
    let answer = ada.request(reqwest::Method::GET, "/sessions.csv").send().await.unwrap();
    let mut stream = answer.bytes_stream();
    stream.next().await.unwrap().unwrap();

    app.db.execute("delete from memberships");

    let rest: Vec<_> = stream.collect().await;
    assert!(rest.last().unwrap().is_err(), "the stream ended as if it were complete");
}
