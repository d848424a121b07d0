//! The filters of the list that only the page has: agents without case, shoppers, and ranges of days.

use diesel::{connection::SimpleConnection as _, prelude::*, sql_query, sql_types::Text};
use uptok::sessions::AGENT_NAMES_SQL;

use crate::support::{TestApp, TestDb, html::Html};

fn count_rows(page: &Html) -> usize {
    page.texts(".session-table tbody tr").len()
}

#[actix_web::test]
async fn agent_is_found_in_any_case_and_suggested() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 12);
    app.db.change_sessions(
        "update sessions set agent_name = case sequence % 4 when 0 then 'Émile Noël' when 1 then 'ÉMILE NOËL' \
         when 2 then 'Tom' else 'Émile' end",
    );
    let key = ada.generate("read").await;

    let list = ada.get("/sessions?agentName=émile+noël").await.html();
    let file = ada.get("/sessions.csv?agentName=émile+noël").await.body;
    let request = app.visitor().request(reqwest::Method::GET, "/api/sessions?agentName=émile+noël");
    let api = crate::support::Reply::read(request.bearer_auth(&key).send().await.unwrap()).await;

    assert_eq!((count_rows(&list), list.text(".list-head p").as_str()), (6, "6 sessions match."));
    assert_eq!(file.lines().count(), 7);
    assert_eq!(api.json()["totalSessions"], 0, "the API compares with case");
    let suggested =
        (1..=3).map(|index| list.attribute(&format!("#agent-names option:nth-child({index})"), "value"));
    let mut suggested: Vec<_> = suggested.map(|name| name.to_lowercase()).collect();
    suggested.sort();
    assert_eq!(
        suggested,
        ["tom", "émile", "émile noël"],
        "names that differ only in case are suggested once"
    );
    assert_eq!(list.attribute("#agent", "list"), "agent-names");
    assert!(eve.get("/sessions").await.html().texts("#agent-names option").is_empty());
    let unknown = ada.get("/sessions?agentName=Emile").await.html();
    assert!(
        unknown.text(".empty").contains("No session has an agent of this name."),
        "{}",
        unknown.text(".empty")
    );
}

#[derive(QueryableByName)]
struct PlanLine {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// The scans of the table in the plan of a prepared statement. It is executed, because PostgreSQL shows the step of a
/// recursive query only then.
fn explain_scans(connection: &mut PgConnection, execute: &str) -> Vec<String> {
    let lines: Vec<PlanLine> =
        sql_query(format!("explain (analyze, verbose, costs off, timing off) {execute}"))
            .load(connection)
            .unwrap();
    let nodes =
        lines.iter().filter_map(|it| it.line.trim().trim_start_matches("->  ").split(" (actual").next());
    nodes.filter(|node| node.contains(" on public.sessions")).map(str::to_owned).collect()
}

#[test]
fn filter_by_agent_uses_the_index_of_agents() {
    let db = TestDb::new();
    db.execute(
        "insert into clients (client_id, name) values ('cl_0000000001', 'Ada'), ('cl_0000000002', 'Eve')",
    );
    db.execute(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, agent_name, notes) \
         select 'cl_000000000' || 1 + n % 2, n, gen_random_uuid(), 'completed', 'video', now(), now(), \
         'Agent ' || n % 300, repeat('note ', 40) from generate_series(1, 20000) n",
    );
    db.execute("vacuum analyze sessions");
    let connection = &mut db.connect();
    let one = "select count(*) from sessions where client_id = $1 and agent_name = $2";
    let several =
        "select count(*) from sessions where client_id = $1 and agent_name = any(array[$2, 'Agent 8'])";
    let rows = "select * from sessions where client_id = $1 and agent_name = $2 \
                order by created_at desc, sequence desc limit 51";
    for (name, argument_type, sql) in [
        ("names", "bigint", AGENT_NAMES_SQL),
        ("one", "text", one),
        ("several", "text", several),
        ("rows", "text", rows),
    ] {
        connection.batch_execute(&format!("prepare {name} (text, {argument_type}) as {sql}")).unwrap();
    }

    let names = explain_scans(connection, "execute names ('cl_0000000001', 200)");
    let one = explain_scans(connection, "execute one ('cl_0000000001', 'Agent 6')");
    let several = explain_scans(connection, "execute several ('cl_0000000001', 'Agent 6')");
    let rows = explain_scans(connection, "execute rows ('cl_0000000001', 'Agent 6')");

    let index_only = "Index Only Scan using sessions_agent_sequence on public.sessions";
    assert!(names.len() == 2 && names.iter().all(|scan| scan.starts_with(index_only)), "{names:?}");
    assert_eq!((one, several), (vec![index_only.to_owned()], vec![index_only.to_owned()]));
    assert!(rows.iter().all(|scan| scan.contains("Scan") && !scan.starts_with("Seq")), "{rows:?}");
}

#[actix_web::test]
async fn last_day_is_included_and_links_with_to_keep_their_meaning() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 4);
    app.db.change_sessions(
        "update sessions set ended_at = '2026-10-10', created_at = case sequence \
         when 1 then timestamptz '2026-10-01 00:00:00Z' when 2 then timestamptz '2026-10-01 23:59:59Z' \
         when 3 then timestamptz '2026-10-02 00:00:00Z' else timestamptz '2026-10-02 23:59:59.999999Z' end",
    );
    for (query, count) in [
        ("from=2026-10-01&to=2026-10-02", 2),
        ("from=2026-10-01&through=2026-10-01", 2),
        ("from=2026-10-01&through=2026-10-02", 4),
        ("through=2026-09-30", 0),
        ("through=2026-10-02&to=2026-10-02", 2),
        ("from=2026-10-01T23:00:00Z&through=2026-10-01", 1),
    ] {
        let page = ada.get(&format!("/sessions?{query}")).await.html();
        assert_eq!(count_rows(&page), count, "{query}");
        let all = format!("/sessions.csv?{query}");
        let file = if count == 0 { all } else { page.attribute("a[download]", "href") };
        assert_eq!(page.texts("a[download]").is_empty(), count == 0, "{query}");
        assert_eq!(ada.get(&file).await.body.lines().count(), count + 1, "{query}");
    }
    let page = ada.get("/sessions?from=2026-10-01T23:00:00Z&through=2026-10-01").await.html();
    assert_eq!(page.texts(".chip"), ["Remove From: 2026-10-01T23:00:00Z", "Remove To: 1 Oct 2026"]);
    assert_eq!(page.attribute("#from", "type"), "text", "a date input would lose the time");
    assert_eq!(page.attribute("#through", "type"), "date");
    let before = ada.get("/sessions?to=2026-10-02").await.html();
    assert_eq!(before.attribute("#to", "value"), "2026-10-02", "the form keeps the limit of a link");
}

#[actix_web::test]
async fn presets_limit_the_dates_and_keep_the_other_filters() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 6);
    app.db.change_sessions("update sessions set created_at = now(), ended_at = now()");
    app.db.change_sessions("update sessions set created_at = now() - interval '8 days' where sequence = 1");

    let list = ada.get("/sessions?status=missed").await.html();
    assert_eq!(list.texts(".presets a"), ["Today", "Last 7 days", "Last week", "Last 30 days", "This month"]);
    let week = ada.get(&list.attribute(".presets a:nth-child(2)", "href")).await.html();
    let month = ada.get(&week.attribute(".presets a:nth-child(4)", "href")).await.html();

    assert_eq!((count_rows(&list), count_rows(&week), count_rows(&month)), (2, 1, 2));
    assert_eq!(week.text(".presets [aria-current]"), "Last 7 days");
    assert_eq!(month.text(".presets [aria-current]"), "Last 30 days");
    assert_eq!(week.texts(".chip")[0], "Remove Status: Missed");
    assert_eq!(week.text(".dates summary"), "Last 7 days");
    assert!(list.texts(".presets [aria-current]").is_empty());
}

#[actix_web::test]
async fn empty_range_is_explained() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 60);
    for (query, reason) in [
        ("from=2026-10-31&through=2026-10-30", "The range ends before it starts."),
        ("from=2026-10-31&to=2026-10-31", "The range ends before it starts."),
        ("from=9999-10-31", "The range starts in the future."),
        ("through=2026-10-30", "Your first session was on 31 Oct 2026, after this range."),
        ("from=2026-11-01&through=2026-11-02", "Your latest session was on 31 Oct 2026, before this range."),
        ("from=2026-10-31T23:10:10Z&to=2026-10-31T23:10:20Z", "No session was created in this range."),
        (
            "from=2026-10-31&status=failed",
            "60 sessions are in this range, but none matches the other filters.",
        ),
        ("from=2026-10-31&q=nobody", "60 sessions are in this range, but none matches the other filters."),
    ] {
        let page = ada.get(&format!("/sessions?{query}")).await.html();
        let text = page.text(".empty");
        assert!(text.contains(reason), "{query}: {text}");
        let any_date = page.attribute(".empty a", "href");
        assert!(!any_date.contains("from") && !any_date.contains("through"), "{any_date}");
    }
    let unexplained = ada.get("/sessions?status=failed").await.html();
    assert_eq!(unexplained.texts(".empty p"), ["No matching sessions", "Clear filters"]);
    let both = ada.get("/sessions?status=failed&from=2026-10-31").await.html();
    assert_eq!(both.attribute(".empty a", "href"), "/sessions?status=failed", "only the dates are removed");
    assert!(!both.texts(".list-head a").contains(&"Clear filters".to_owned()), "one way to clear");
}

#[actix_web::test]
async fn sessions_of_one_shopper_are_listed_without_naming_the_shopper_in_the_address() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    app.record(&ada.client_id().await, 6);
    app.db.change_sessions(
        "update sessions set \
         shopper_id = case sequence when 1 then 'S-7' when 2 then 'S-77' when 3 then 'S-7' end, \
         shopper_name = case sequence when 1 then 'Nora' when 2 then 'Lars' when 3 then 'Nora L.' end, \
         shopper_email = case sequence when 4 then 'bo@example.org' when 5 then 'BO@example.org' else '' end",
    );
    let session = |sequence: i32| {
        let id = format!("select session_id::text as answer from sessions where sequence = {sequence}");
        app.db.query_text(&id)
    };
    for (sequence, count, chip) in [(1, 2, "Nora"), (2, 1, "Lars"), (4, 2, "bo@example.org")] {
        let page = ada.get(&format!("/sessions/{}", session(sequence))).await.html();
        let address = page.attribute("a.same-sessions", "href");
        let list = ada.get(&address).await.html();

        assert_eq!(address, format!("/sessions?shopper={}", session(sequence)));
        assert_eq!(
            (count_rows(&list), list.texts(".chip")),
            (count, vec![format!("Remove Shopper: {chip}")])
        );
        let file = ada.get(&list.attribute("a[download]", "href")).await.body;
        assert_eq!(file.lines().count(), count + 1);
        assert_eq!(
            list.attribute("input[name=shopper]", "value"),
            session(sequence),
            "the form keeps the filter"
        );
        assert_eq!(eve.get(&address).await.status, 404);
    }
    assert_eq!(ada.get("/sessions?shopper=00000000-0000-7000-8000-000000000000").await.status, 404);
}
