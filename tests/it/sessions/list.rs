//! The list of sessions.

use futures_util::StreamExt as _;

use crate::support::TestApp;

#[actix_web::test]
async fn newest_sessions_come_first_fifty_per_page() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 120);

    let first = ada.get("/sessions").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();
    let third = ada.get(&second.attribute("a[rel=next]", "href")).await.html();
    let back = ada.get(&third.attribute("a[rel=prev]", "href")).await.html();

    let times = |page: &crate::support::html::Html| page.texts(".table time");
    assert_eq!([times(&first).len(), times(&second).len(), times(&third).len()], [50, 50, 20]);
    assert_eq!(times(&first)[0], "31 Oct, 23:59");
    assert_eq!(times(&third)[19], "31 Oct, 22:00");
    assert_eq!(times(&back), times(&second));
    assert!(first.texts("a[rel=prev]").is_empty() && third.texts("a[rel=next]").is_empty());
    assert!(first.text(".page-head p").starts_with("120 recorded"));
}

#[actix_web::test]
async fn status_filter_is_kept_while_paging() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 180);

    let first = ada.get("/sessions?status=missed").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();

    assert!(
        first
            .texts(".table .status")
            .iter()
            .chain(&second.texts(".table .status"))
            .all(|status| status == "missed")
    );
    assert_eq!(first.texts(".table tbody tr").len() + second.texts(".table tbody tr").len(), 60);
    assert_eq!(second.attribute("option[selected]", "value"), "missed");
}

#[actix_web::test]
async fn sessions_at_the_same_instant_are_paged_without_gaps_or_duplicates() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 130);
    app.db.change_sessions("update sessions set created_at = '2026-01-01', ended_at = '2026-01-01'");

    let mut titles = Vec::new();
    let mut page = ada.get("/sessions").await.html();
    loop {
        titles.extend(
            (0..page.texts(".table tbody tr").len())
                .map(|row| page.attribute(&format!(".table tbody tr:nth-child({}) time", row + 1), "title")),
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
async fn empty_list_explains_how_to_record_sessions() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let page = ada.get("/sessions").await.html();

    let ways = page.texts(".ways code").join(" ");
    assert!(ways.contains(&format!("uptok import FILE --client {}", ada.client_id().await)));
    assert!(ways.contains(&format!("curl {}/api/sessions", app.url)));
}

#[actix_web::test]
async fn client_sees_only_its_own_sessions() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 3);

    assert!(eve.get("/sessions").await.html().texts(".table tbody tr").is_empty());
    app.visitor().get("/sessions").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn invalid_cursor_shows_the_first_page() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 3);
    for query in ["?before=x~y", "?after=~", "?before=2026-01-01T00:00:00Z~999999999999999999999"] {
        let page = ada.get(&format!("/sessions{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(page.html().texts(".table tbody tr").len(), 3, "{query}");
    }
}

#[actix_web::test]
async fn filters_apply_to_the_list_and_the_download() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 180);
    app.db.change_sessions(
        "update sessions set agent_name = 'Ada & Co', channel = 'chat' where sequence <= 70",
    );
    let filter = "?status=completed&channel=chat&agentName=Ada+%26+Co&from=2026-10-31&to=2026-11-01";

    let first = ada.get(&format!("/sessions{filter}")).await.html();
    let file = ada.get(&first.attribute("a[download]", "href")).await;
    let lines = ada.get(&first.attribute("a[download][href*=ndjson]", "href")).await;

    assert!(first.text(".list-head p").starts_with("46 sessions match."));
    assert_eq!((first.texts(".table tbody tr").len(), file.body.lines().count()), (46, 47));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"sessions.csv\"");
    assert_eq!((lines.body.lines().count(), lines.header("content-type")), (46, "application/x-ndjson"));
    assert_eq!(first.attribute("#agent", "value"), "Ada & Co");
    assert_eq!(eve.get(&format!("/sessions.csv{filter}")).await.body.lines().count(), 1);
    app.visitor().get("/sessions.csv").await.assert_sent_to("/login");
    for query in [
        "from=yesterday",
        "to=-9999-1-01",
        "from=%2B12345-1-1",
        "through=2026-11-31",
        "status=x",
        "channel=x",
        "agentName=%00",
        "shopper=x",
    ] {
        let refused = ada.get(&format!("/sessions?{query}")).await.html();
        assert!(refused.text(".empty").contains("Check the "), "{query}");
        assert!(refused.texts(".table tbody tr").is_empty() && refused.texts("a[download]").is_empty());
        assert_eq!(ada.get(&format!("/sessions.csv?{query}")).await.status, 400, "{query}");
        assert_eq!(ada.get(&format!("/sessions.ndjson?{query}&q=x")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn session_page_is_hidden_from_other_clients() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 1);
    let path = ada.get("/sessions").await.html().attribute(".table tbody th a", "href");

    let page = ada.get(&path).await;

    assert_eq!(page.status, 200);
    let (names, texts) = (page.html().texts(".facts dt"), page.html().texts(".facts dd"));
    let value = |name: &str| &texts[names.iter().position(|known| known == name).unwrap()];
    let external_id = value("External ID").trim_end_matches(" Copy");
    assert_eq!((external_id, value("Status").as_str()), ("session-0", "missed"));
    assert_eq!(eve.get(&path).await.status, 404);
    assert_eq!(ada.get("/sessions/1").await.status, 404);
    app.visitor().get(&path).await.assert_sent_to("/login");
}

#[actix_web::test]
async fn removing_a_member_aborts_the_download() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
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

fn read_titles(page: &crate::support::html::Html) -> Vec<String> {
    let rows = page.texts(".table tbody tr").len();
    (0..rows)
        .map(|row| page.attribute(&format!(".table tbody tr:nth-child({}) time", row + 1), "title"))
        .map(|title| title.split(',').next().unwrap().to_owned())
        .collect()
}

#[actix_web::test]
async fn search_finds_ids_and_words_in_every_field() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 5);
    app.db.change_sessions(
        "update sessions set shopper_id = 'S-77', shopper_name = 'Nora Lindqvist', order_id = 'A-100%', \
         shopper_email = 'Nora@Example.org', notes = 'Wants the grey_fabric' where sequence = 2",
    );
    let id = app.db.query_text("select session_id::text as answer from sessions where sequence = 2");
    for text in ["S-77", "nora", "LINDQVIST nora", "nora@example.org", "100%25", "grey_fab", "session-1", &id]
    {
        let page = ada.get(&format!("/sessions?q={}", text.replace(' ', "+"))).await.html();
        assert_eq!(read_titles(&page), ["Session 2"], "{text}");
        assert_eq!(page.text(".list-head p"), "1 result in all sessions.", "{text}");
        assert!(page.texts(".chart").is_empty());
        let file = ada.get(&page.attribute("a[download]", "href")).await.body;
        assert_eq!((file.lines().count(), file.contains("session-1,")), (2, true), "{text}: {file}");
        assert!(eve.get(&format!("/sessions?q={text}")).await.html().texts(".table tbody tr").is_empty());
    }
    for text in ["nobody", "nora%25x", "n_ra", "%25", "nora+status"] {
        let page = ada.get(&format!("/sessions?q={text}")).await.html();
        let expected = usize::from(text == "%25");
        assert_eq!(page.texts(".table tbody tr").len(), expected, "{text}");
    }
    assert!(ada.get("/sessions?q=nora&status=failed").await.html().texts(".table tbody tr").is_empty());
    let refused = ada.get(&format!("/sessions?q={}", "x".repeat(201))).await.html();
    assert!(refused.text(".empty").contains("Check the search"));
}

#[actix_web::test]
async fn search_is_limited_and_links_to_older_sessions() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, external_id, status, channel, created_at, ended_at, \
         agent_name) select client_id, n, gen_random_uuid(), 'call-' || n, 'missed', 'chat', now(), now(), \
         case when n in (1, 150000) then 'Ada Rare' when n % 2 = 0 then 'Tom Often' end \
         from clients, generate_series(1, 150000) n",
    );

    let first = ada.get("/sessions?q=rare").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();
    let often = ada.get("/sessions?q=often").await.html();
    let exact = ada.get("/sessions?q=call-7").await.html();

    assert_eq!(read_titles(&first), ["Session 150000"]);
    assert_eq!(first.text(".list-head p"), "1 result in the latest 100,000 sessions.");
    assert_eq!(read_titles(&second), ["Session 1"]);
    assert_eq!(second.text(".list-head p"), "1 result in the oldest sessions.");
    assert!(second.texts("a[rel=next]").is_empty());
    assert!(often.text(".list-head p").starts_with("Showing the latest 200 matches"));
    assert!(read_titles(&exact).contains(&"Session 7".to_owned()), "an id is found wherever it is");
    for (page, count) in [(&first, 2), (&often, 74_999)] {
        let file = ada.get(&page.attribute("a[download][href*=ndjson]", "href")).await.body;
        assert_eq!(file.lines().count(), count, "a file has the results in all sessions");
    }
}

#[actix_web::test]
async fn filters_can_be_removed_one_by_one() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 30);

    let both = ada.get("/sessions?status=missed&channel=video").await.html();
    let one = ada.get(&both.attribute(".chip", "href")).await.html();

    assert_eq!(both.texts(".chip"), ["Remove Status: Missed", "Remove Channel: Video"]);
    assert_eq!(one.texts(".chip"), ["Remove Channel: Video"]);
    assert_eq!((both.texts(".table tbody tr").len(), one.texts(".table tbody tr").len()), (10, 30));
}

#[actix_web::test]
async fn daily_chart_follows_the_filter() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 120);
    app.db.change_sessions("update sessions set created_at = now() - interval '1 day', ended_at = now()");

    let all = ada.get("/sessions").await.html();
    let missed = ada.get("/sessions?status=missed").await.html();
    let by_agent = ada.get("/sessions?agentName=Ada").await.html();

    let sum = |page: &crate::support::html::Html, column: usize| -> i64 {
        let cells = page.texts(&format!(".chart-numbers tbody td:nth-child({column})"));
        cells.iter().map(|cell| cell.parse::<i64>().unwrap()).sum()
    };
    assert_eq!((sum(&all, 2), sum(&all, 3), sum(&missed, 2), sum(&missed, 3)), (80, 40, 0, 40));
    assert_eq!(all.texts(".chart-numbers tbody tr").len(), 30);
    assert_eq!(all.texts(".chart .sums dt"), ["Sessions in 30 days", "Answered"]);
    assert_eq!(all.texts(".chart .sums dd"), ["120", "67%"]);
    assert!(missed.texts(".chart .sums dd").is_empty(), "the line above the rows has the number");
    assert_eq!(missed.texts(".chart-key"), ["Not answered"], "no bar is of answered sessions");
    assert!(by_agent.texts(".chart").is_empty());
}

#[actix_web::test]
async fn recording_url_is_a_link_only_for_web_addresses() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 1);
    let path = ada.get("/sessions").await.html().attribute(".table tbody th a", "href");
    for (address, is_link) in
        [("https://rec.example.org/1.mp4", true), ("javascript:alert(1)", false), ("data:text/html,x", false)]
    {
        app.db.change_sessions(&format!("update sessions set recording_url = '{address}'"));

        let page = ada.get(&path).await.html();

        assert_eq!(page.texts(".facts a").contains(&address.to_owned()), is_link, "{address}");
        assert!(page.texts(".facts dd").contains(&address.to_owned()));
        if is_link {
            assert_eq!(page.attribute(".facts a", "rel"), "noreferrer nofollow");
        }
    }
}
