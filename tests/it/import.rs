//! Importing sessions from CSV, and getting them back.

use uptok::{
    sessions::{self, BadLine, Listener, Summary},
    web::clock::now,
};

use crate::support::{TestApp, TestDb};

#[derive(Default)]
struct Heard {
    bad: Vec<(u64, Vec<String>)>,
    batches: usize,
}

impl Listener for &mut Heard {
    fn bad_line(&mut self, bad: &BadLine) {
        self.bad.push((bad.line, bad.errors.iter().map(|error| error.field.to_string()).collect()));
    }

    fn batch(&mut self, _bytes: u64, _so_far: &Summary) {
        self.batches += 1;
    }
}

fn import(db: &TestDb, client: &str, csv: &str, heard: &mut Heard) -> anyhow::Result<Summary> {
    sessions::import(&mut db.connect(), &client.parse().unwrap(), now(), csv.as_bytes(), heard)
}

/// A database with one client.
fn client() -> (TestDb, &'static str) {
    let db = TestDb::new();
    db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Ada')");
    db.execute("insert into session_counters (client_id) values ('cl_0000000001')");
    (db, "cl_0000000001")
}

fn counts(created: u64, updated: u64, unchanged: u64, rejected: u64) -> Summary {
    Summary { created, updated, unchanged, rejected }
}

/// `count` lines with an id each, the odd ones answered.
fn file(count: usize) -> String {
    let mut csv =
        "externalId,status,channel,createdAt,startedAt,endedAt,durationSeconds,shopperName,tags\n".to_owned();
    for index in 0..count {
        let line = if index % 2 == 0 {
            format!(
                "id-{index},missed,video,2026-01-01T10:00:00Z,,2026-01-01T10:00:30Z,,\"Smith, \"\"J\"\" \nJr\",\n"
            )
        } else {
            format!(
                "id-{index},completed,audio,2026-01-01T10:00:00Z,2026-01-01T10:00:05Z,2026-01-01T10:05:05Z,300,'=x,vip;b\n"
            )
        };
        csv.push_str(&line);
    }
    csv
}

#[test]
fn a_file_comes_in_once_however_often_it_is_imported() {
    let (db, client) = client();
    let csv = file(2500);

    let mut heard = Heard::default();
    assert_eq!(import(&db, client, &csv, &mut heard).unwrap(), counts(2500, 0, 0, 0));
    assert_eq!(heard.batches, 3);
    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(0, 0, 2500, 0));
    let changed = csv.replace("id-7,completed", "id-7,failed");
    assert_eq!(import(&db, client, &changed, &mut Heard::default()).unwrap(), counts(0, 1, 2499, 0));

    let dense = "select (count(*) = max(sequence) and count(distinct sequence) = count(*) \
                 and count(*) = (select recorded from session_counters))::text as answer from sessions";
    assert_eq!(db.ask(dense), "true");
    assert_eq!(
        db.ask("select status || sequence as answer from sessions where external_id = 'id-7'"),
        "failed8"
    );
}

#[test]
fn every_bad_line_is_told_with_its_number_and_the_good_ones_are_kept() {
    let (db, client) = client();
    let csv = "externalId,status,channel,createdAt,endedAt,rating\r\n\
        a,missed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\r\n\
        b,lost,video,2026-01-01T10:00:00Z,2026-01-01T09:00:30Z,9\r\n\
        c,missed,video,2026-01-01T10:00:00Z\r\n\
        d,missed,video,2026-01-01T10:00:00Z,9999-01-01T10:00:30Z,\r\n\
        e,missed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\"5\"\r\n";
    let mut heard = Heard::default();

    let summary = import(&db, client, csv, &mut heard).unwrap();

    assert_eq!(summary, counts(2, 0, 0, 3));
    let lines: Vec<_> = heard.bad.iter().map(|(line, fields)| (*line, fields.join(" "))).collect();
    assert_eq!(lines, [(3, "status rating".to_owned()), (4, "line".to_owned()), (5, "endedAt".to_owned())]);
    assert_eq!(db.ask("select string_agg(external_id, '' order by sequence) as answer from sessions"), "ae");
}

#[test]
fn a_wrong_header_stores_nothing_and_says_which_column() {
    let (db, client) = client();
    for (csv, word) in [
        ("id,status\na,b\n", "id"),
        ("status,status,channel,createdAt,endedAt\n", "twice"),
        ("status,channel,createdAt\n", "endedAt"),
        ("", "status"),
        ("\u{0}\u{1}binary", "binary"),
    ] {
        let error = import(&db, client, csv, &mut Heard::default()).unwrap_err().to_string();
        assert!(error.contains(word), "{csv:?}: {error}");
    }
    assert_eq!(db.ask("select count(*)::text as answer from sessions"), "0");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_header() {
    let (db, client) = client();
    let csv = format!("\u{feff}{}", file(1));
    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(1, 0, 0, 0));
}

#[test]
fn one_id_twice_in_a_file_is_one_session_as_the_last_line_says() {
    let (db, client) = client();
    let line = |status: &str| format!("a,{status},video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n");
    let csv = format!("externalId,status,channel,createdAt,endedAt\n{}{}", line("missed"), line("failed"));

    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(1, 1, 0, 0));
    assert_eq!(db.ask("select status as answer from sessions"), "failed");
}

#[test]
fn importers_at_once_leave_no_gap_and_no_double() {
    let (db, client) = client();
    std::thread::scope(|scope| {
        for importer in 0..4 {
            let csv = file(1500).replace("id-", &format!("{importer}-"));
            let db = &db;
            scope.spawn(move || import(db, client, &csv, &mut Heard::default()).unwrap());
        }
    });
    let dense = "select (count(*) = 6000 and max(sequence) = 6000 and count(distinct sequence) = 6000 \
                 and 6000 = (select recorded from session_counters))::text as answer from sessions";
    assert_eq!(db.ask(dense), "true");
}

#[actix_web::test]
async fn what_went_in_comes_out_page_by_page() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let client = ada.client_id().await;
    let csv = file(333);
    import(&app.db, &client, &csv, &mut Heard::default()).unwrap();
    let key = ada.generate("export").await;

    let mut out = Vec::new();
    for page in 1..=4 {
        let page = page.to_string();
        let reply = app.export(&[("clientKey", &key), ("page", &page), ("perPage", "100")]).await;
        out.extend(reply.json()["data"].as_array().unwrap().clone());
    }

    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    for (index, line) in reader.records().enumerate() {
        for (name, cell) in header.iter().zip(line.unwrap().iter()) {
            let got = match &out[index][name] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(tags) => {
                    tags.iter().map(|tag| tag.as_str().unwrap()).collect::<Vec<_>>().join(";")
                }
                other => other.to_string(),
            };
            assert_eq!(got, cell.strip_prefix('\'').unwrap_or(cell), "{name} of session {index}");
        }
    }
    assert_eq!(out.len(), 333);
}

#[actix_web::test]
async fn an_exported_csv_imports_again_as_it_was() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let client = ada.client_id().await;
    import(&app.db, &client, &file(50), &mut Heard::default()).unwrap();
    app.db.change_sessions("update sessions set external_id = null where sequence % 2 = 0");
    let key = ada.generate("export").await;

    let exported = app.export(&[("clientKey", &key), ("format", "csv")]).await.body;
    let again = import(&app.db, &client, &exported, &mut Heard::default()).unwrap();

    assert_eq!(again, counts(0, 0, 50, 0));
}
