//! `GET /api/sessions`, `GET /api/sessions/{sessionId}`, filters and cursors.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Reply, TestApp, Visitor};

struct Reader {
    visitor: Visitor,
    key: String,
}

impl Reader {
    async fn new(app: &TestApp, name: &str, count: usize) -> Self {
        let visitor = app.sign_up(name).await;
        app.record(&visitor.client_id().await, count);
        Self { key: visitor.generate("read").await, visitor }
    }

    async fn get(&self, path: &str) -> Reply {
        self.get_if_none_match(path, "").await
    }

    async fn get_if_none_match(&self, path: &str, tag: &str) -> Reply {
        let mut request = self.visitor.request(Method::GET, path).bearer_auth(&self.key);
        if !tag.is_empty() {
            request = request.header("If-None-Match", tag);
        }
        Reply::read(request.send().await.unwrap()).await
    }
}

fn read_sequences(reply: &Reply) -> Vec<i64> {
    reply.json()["data"].as_array().unwrap().iter().map(|it| it["sequence"].as_i64().unwrap()).collect()
}

/// Returns the target of this relation in the `Link` header, without the origin.
fn find_link(reply: &Reply, relation: &str) -> Option<String> {
    let marked = format!("; rel=\"{relation}\"");
    let link = reply.header("link").split(", ").find(|link| link.ends_with(&marked))?;
    let address = link.trim_start_matches('<').split('>').next().unwrap();
    Some(address[address.find("/api").unwrap()..].to_owned())
}

#[actix_web::test]
async fn page_equals_that_of_the_export() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 120).await;

    let got = reader.get("/api/sessions?page=2&perPage=50").await;
    let posted = app.export(&[("clientKey", &reader.key), ("page", "2"), ("perPage", "50")]).await;

    assert_eq!((got.status.as_u16(), &got.body), (200, &posted.body));
    assert_eq!(got.header("content-type"), "application/json");
}

#[actix_web::test]
async fn links_lead_through_all_pages() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 107).await;

    let mut page = reader.get("/api/sessions?perPage=25&order=desc").await;
    assert_eq!(find_link(&page, "prev"), None);
    let last = reader.get(&find_link(&page, "last").unwrap()).await;
    let mut seen = read_sequences(&page);
    while let Some(next) = find_link(&page, "next") {
        page = reader.get(&next).await;
        seen.extend(read_sequences(&page));
    }

    assert_eq!(seen, (1..=107).rev().collect::<Vec<_>>());
    assert_eq!(page.body, last.body);
    assert_eq!(find_link(&page, "first"), Some("/api/sessions?perPage=25&order=desc&page=1".to_owned()));
}

#[actix_web::test]
async fn cursors_lead_through_all_sessions_with_and_without_filters() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 200).await;
    for (filter, expected) in [
        ("", 200),
        ("&order=desc", 200),
        ("&status=missed", 67),
        ("&status=missed&order=desc", 67),
        ("&from=2026-10-31T22:20:00Z", 100),
        ("&to=2026-10-31T22:20:00Z&order=desc", 100),
        ("&updatedSince=2020-01-01", 200),
    ] {
        let mut page = reader.get(&format!("/api/sessions?perPage=20{filter}")).await;
        let mut seen = read_sequences(&page);
        while let Some(cursor) = page.json()["nextCursor"].as_str() {
            page = reader.get(&format!("/api/sessions?perPage=20{filter}&cursor={cursor}")).await;
            assert!(!read_sequences(&page).is_empty(), "{filter}: there was no more");
            assert_eq!(page.json()["totalSessions"], expected, "{filter}");
            seen.extend(read_sequences(&page));
        }

        assert_eq!(seen.len(), expected, "{filter}");
        if filter.contains("desc") {
            seen.reverse();
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "{filter}");
    }
}

#[actix_web::test]
async fn filtered_page_is_stable_while_sessions_arrive() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 40).await;
    let first = reader.get("/api/sessions?perPage=40&status=completed").await;
    app.db.change_sessions("update sessions set external_id = null");
    app.record(&reader.visitor.client_id().await, 60);

    let all = reader.get("/api/sessions?perPage=1000&status=completed").await;

    assert!(read_sequences(&all).starts_with(&read_sequences(&first)));
}

#[actix_web::test]
async fn every_filter_returns_only_matching_sessions() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 90).await;
    app.db.change_sessions(
        "update sessions set channel = 'chat', agent_name = 'Ada & Co' where sequence <= 10",
    );
    app.db.change_sessions("update sessions set updated_at = '2030-01-01' where sequence > 85");
    for (query, expected) in [
        ("status=missed", 30),
        ("channel=chat", 10),
        ("agentName=Ada+%26+Co", 10),
        ("agentName=ada", 0),
        ("updatedSince=2029-12-31", 5),
        ("from=2026-10-31T23:00:00Z", 60),
        ("to=2026-10-31T23:00:00Z&channel=video", 20),
        ("status=missed&channel=chat", 4),
    ] {
        let reply = reader.get(&format!("/api/sessions?perPage=1000&{query}")).await;
        assert_eq!(
            (reply.json()["totalSessions"].as_i64(), read_sequences(&reply).len()),
            (Some(expected), usize::try_from(expected).unwrap()),
            "{query}"
        );
    }
    for query in [
        "status=x",
        "channel=fax",
        "updatedSince=x",
        "updatedSince=-9999-1-01",
        "format=ndjson&from=-9999-1-01",
        "cursor=1",
        "cursor=s1&page=1",
        "page=0",
        "page=1&page=2",
        "agentName=%00",
    ] {
        reader.get(&format!("/api/sessions?{query}")).await.assert_problem(400, "invalid_field");
    }
}

#[actix_web::test]
async fn summed_totals_equal_the_number_of_sessions() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 240).await;
    app.db.change_sessions(
        "update sessions set channel = case when sequence % 4 = 0 then 'chat' else 'video' end, \
         created_at = (timestamp '2026-10-01 00:00' + sequence * interval '47 minutes') at time zone 'UTC', \
         ended_at = timestamptz '2026-10-30 00:00Z'",
    );
    let times = ["", "2026-10-02", "2026-10-02T07:30:00Z", "2026-10-05T23:59:59Z", "2026-10-06"];
    for (from, to) in times.iter().flat_map(|from| times.map(|to| (*from, to))) {
        for others in ["", "&status=missed", "&channel=chat", "&channel=chat&status=completed"] {
            let reply =
                reader.get(&format!("/api/sessions?perPage=1000&from={from}&to={to}{others}")).await.json();
            let total = usize::try_from(reply["totalSessions"].as_i64().unwrap()).unwrap();
            assert_eq!(total, reply["data"].as_array().unwrap().len(), "{from} {to} {others}");
        }
    }
}

/// With this many matches PostgreSQL walks the index in order instead of sorting.
#[actix_web::test]
async fn filter_that_matches_nearly_everything_returns_correct_pages() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 0).await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at) \
         select client_id, n, gen_random_uuid(), case when n % 10 = 0 then 'missed' else 'completed' end, 'chat', \
         timestamptz '2026-10-30 00:00Z' - n * interval '1 second', '2026-10-30' \
         from clients, generate_series(1, 60000) n",
    );

    let ascending = reader.get("/api/sessions?status=completed&page=5001&perPage=10").await;
    let descending = reader.get("/api/sessions?status=completed&page=400&perPage=10&order=desc").await;
    let past_the_end = reader.get("/api/sessions?status=completed&page=5401&perPage=10").await;
    let cursor = reader.get("/api/sessions?status=completed&perPage=3&cursor=s59996").await;

    assert_eq!(read_sequences(&ascending)[..6], [55556, 55557, 55558, 55559, 55561, 55562]);
    assert_eq!(read_sequences(&descending).last(), Some(&55556));
    assert_eq!(
        (read_sequences(&past_the_end).len(), past_the_end.json()["totalSessions"].as_i64()),
        (0, Some(54000))
    );
    assert_eq!(
        (read_sequences(&cursor), cursor.json()["nextCursor"].as_str()),
        (vec![59997, 59998, 59999], None)
    );
}

#[actix_web::test]
async fn unchanged_resources_return_not_modified() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 5).await;
    let id = reader.get("/api/sessions").await.json()["data"][0]["sessionId"].as_str().unwrap().to_owned();
    for path in ["/api/sessions".to_owned(), format!("/api/sessions/{id}")] {
        let first = reader.get(&path).await;
        let tag = first.header("etag").to_owned();

        let again = reader.get_if_none_match(&path, &format!("\"x\", W/{tag}")).await;
        app.db.change_sessions("update sessions set rating = coalesce(rating, 0) + 1 where sequence = 1");
        let changed = reader.get_if_none_match(&path, &tag).await;

        assert!(tag.starts_with('"') && tag.len() == 34);
        assert_eq!(
            (again.status.as_u16(), again.body.as_str(), again.header("etag")),
            (304, "", tag.as_str())
        );
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
    }
    let key = &reader.key;
    reader.visitor.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;
    assert_eq!(
        reader.get_if_none_match("/api/sessions", "*").await.status,
        401,
        "a deleted key learns nothing"
    );
}

#[actix_web::test]
async fn session_is_found_by_id_only_for_its_client() {
    let app = TestApp::start().await;
    let (ada, eve) = (Reader::new(&app, "ada", 2).await, Reader::new(&app, "eve", 2).await);
    let listed: Value = ada.get("/api/sessions").await.json()["data"][1].clone();
    let path = format!("/api/sessions/{}", listed["sessionId"].as_str().unwrap());

    assert_eq!(ada.get(&path).await.json(), listed);
    let foreign = eve.get(&path).await;
    let unknown = eve.get("/api/sessions/00000000-0000-7000-8000-000000000000").await;
    let junk = eve.get("/api/sessions/1").await;

    for reply in [&foreign, &unknown, &junk] {
        reply.assert_problem(404, "not_found");
    }
    let without_key = app.visitor().get(&path).await;
    without_key.assert_problem(401, "invalid_key");
    app.visitor().get("/api/sessions").await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn list_is_available_as_csv_and_key_in_the_query_string_is_refused() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 60).await;

    let csv = reader.get("/api/sessions?format=csv&status=missed").await;
    let with_key_in_query = reader.visitor.get(&format!("/api/sessions?clientKey={}", reader.key)).await;

    assert_eq!(csv.body.lines().count(), 21);
    with_key_in_query.assert_problem(400, "invalid_field");
    let put = Reply::read(reader.visitor.request(Method::PUT, "/api/sessions").send().await.unwrap()).await;
    put.assert_problem(405, "method_not_allowed");
    assert!(put.header("allow").contains("GET") && put.header("allow").contains("POST"));
}

#[actix_web::test]
async fn files_have_addresses_of_their_own() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 1100).await;
    for (format, content_type) in
        [("csv", "text/csv; charset=utf-8; header=present"), ("ndjson", "application/x-ndjson")]
    {
        for filter in ["", "status=missed&order=desc", "page=2&perPage=10", "cursor=s1000"] {
            let address = format!("/api/sessions.{format}?{filter}");
            let file = reader.get(&address).await;
            let by_field = reader.get(&format!("/api/sessions?format={format}&{filter}")).await;

            assert_eq!(file.status, 200, "{address}: {}", file.body);
            assert_eq!(
                (file.header("content-type"), &file.body),
                (content_type, &by_field.body),
                "{address}"
            );
            let name = format!("attachment; filename=\"sessions.{format}\"");
            assert_eq!(file.header("content-disposition"), name);
        }
        let same = reader.get(&format!("/api/sessions.{format}?format={format}&perPage=1&page=1")).await;
        assert_eq!(same.status, 200);
        for wrong in ["format=json", "format=xml", "page=0", "clientKey=x"] {
            let refused = reader.get(&format!("/api/sessions.{format}?{wrong}")).await;
            refused.assert_problem(400, "invalid_field");
        }
    }
}

/// Data tools infer types from the first lines and sort times as text.
#[actix_web::test]
async fn times_have_six_decimals_and_ndjson_has_every_field() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 3).await;
    app.db.change_sessions(
        "update sessions set created_at = '2026-10-01T10:00:00Z', started_at = '2026-10-01T10:00:00.123456Z', \
         ended_at = '2026-10-01T10:00:00.5Z' where sequence = 2",
    );
    let expected =
        ["10:00:00.000000Z", "10:00:00.123456Z", "10:00:00.500000Z"].map(|time| format!("2026-10-01T{time}"));
    let pooled = app.start_node_without_pipeline().await;
    for url in [&app.url, &pooled.url] {
        let get = async |path: &str| {
            let request = reqwest::Client::new().get(format!("{url}{path}")).bearer_auth(&reader.key);
            Reply::read(request.send().await.unwrap()).await
        };
        let page: Vec<Value> = get("/api/sessions").await.json()["data"].as_array().unwrap().clone();
        let file = get("/api/sessions.ndjson").await.body;
        let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let filtered = get("/api/sessions.ndjson?channel=video").await.body;
        let one = get(&format!("/api/sessions/{}", page[1]["sessionId"].as_str().unwrap())).await.json();
        let csv = get("/api/sessions.csv").await.body;

        assert_eq!((&page, &file), (&lines, &filtered));
        assert_eq!(one, page[1]);
        for session in &page {
            let names: Vec<&String> = session.as_object().unwrap().keys().collect();
            assert_eq!(names.len(), uptok::sessions::COLUMNS.len(), "{session}");
            for (name, value) in session.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("At"))
            {
                assert!(value.as_str().is_none_or(|time| time.len() == 27), "{name}: {value}");
            }
        }
        assert_eq!(["createdAt", "startedAt", "endedAt"].map(|name| one[name].clone()), expected);
        assert!(csv.lines().nth(2).unwrap().contains(&expected.join(",")), "{csv}");
    }
}

#[actix_web::test]
async fn accept_header_chooses_a_file_unless_format_says_otherwise() {
    let app = TestApp::start().await;
    let reader = Reader::new(&app, "ada", 20).await;
    let get = async |path: &str, accept: &str| {
        let request = reader.visitor.request(Method::GET, path).bearer_auth(&reader.key);
        Reply::read(request.header("Accept", accept).send().await.unwrap()).await
    };

    let csv = get("/api/sessions", "text/csv").await;
    let ndjson = get("/api/sessions?status=missed", "application/x-ndjson").await;
    let json = get("/api/sessions", "application/json, text/csv, */*").await;
    let by_field = get("/api/sessions?format=json", "text/csv").await;

    assert_eq!(csv.body, reader.get("/api/sessions.csv").await.body);
    assert_eq!(ndjson.body, reader.get("/api/sessions.ndjson?status=missed").await.body);
    for reply in [&json, &by_field] {
        assert_eq!((reply.header("content-type"), &reply.body), ("application/json", &json.body));
    }
    assert_eq!(json.json()["data"].as_array().unwrap().len(), 20);
    for reply in [&csv, &ndjson, &json] {
        let vary = reply.headers.get_all("vary").iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
        assert!(vary.join(", ").split(", ").any(|name| name == "Accept"), "{vary:?}");
    }
}
