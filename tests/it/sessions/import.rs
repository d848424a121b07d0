//! Importing sessions from CSV, and getting them back.

use std::process::{Command, Output};

use serde_json::{Value, json};
use uptok::{
    sessions::{
        self, DryRun, FileFormat, ImportMode, ImportProgress, ImportSummary, RejectedLine, SessionFileParser,
    },
    web::time::now,
};

use crate::support::{TestApp, TestDb, test_app::SECRET};

#[derive(Default)]
pub(super) struct Heard {
    bad: Vec<(u64, Vec<String>)>,
    batches: usize,
}

impl ImportProgress for &mut Heard {
    fn bad_line(&mut self, bad: &RejectedLine) {
        self.bad.push((bad.line, bad.errors.iter().map(|error| error.field.to_string()).collect()));
    }

    fn batch(&mut self, _bytes: u64, _so_far: &ImportSummary) {
        self.batches += 1;
    }
}

pub(super) fn import_as(
    db: &TestDb,
    client: &str,
    (format, mode): (FileFormat, ImportMode),
    file: &[u8],
    heard: &mut Heard,
) -> anyhow::Result<ImportSummary> {
    let parser = SessionFileParser::new(client.parse().unwrap(), now(), format);
    sessions::import(&mut db.connect(), file, parser, mode, heard)
}

fn import(db: &TestDb, client: &str, csv: &str, heard: &mut Heard) -> anyhow::Result<ImportSummary> {
    import_as(db, client, (FileFormat::Csv(Vec::new()), ImportMode::Real), csv.as_bytes(), heard)
}

/// What an import would do.
pub(super) fn dry_run(db: &TestDb, client: &str, format: FileFormat, file: &str) -> ImportSummary {
    let mode = ImportMode::Dry(DryRun::default());
    import_as(db, client, (format, mode), file.as_bytes(), &mut Heard::default()).unwrap()
}

/// A database with one client.
fn client() -> (TestDb, &'static str) {
    let db = TestDb::new();
    db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Ada')");
    db.execute("insert into session_counters (client_id) values ('cl_0000000001')");
    (db, "cl_0000000001")
}

pub(super) fn counts(created: u64, updated: u64, unchanged: u64, rejected: u64) -> ImportSummary {
    ImportSummary { created, updated, unchanged, rejected }
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
    let csv = file(12_000);

    let mut heard = Heard::default();
    assert_eq!(import(&db, client, &csv, &mut heard).unwrap(), counts(12_000, 0, 0, 0));
    assert!(heard.batches >= 3, "{}", heard.batches);
    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(0, 0, 12_000, 0));
    let changed = csv.replace("id-7,completed", "id-7,failed");
    assert_eq!(import(&db, client, &changed, &mut Heard::default()).unwrap(), counts(0, 1, 11_999, 0));

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
        ("\n\n", "status"),
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

/// Lines that have neither the sender's id nor ours; some say the same.
fn nameless(count: usize) -> String {
    let lines = (0..count).map(|index| {
        format!("missed,video,2026-01-01T10:00:{:02}Z,2026-01-01T10:02:00Z,note {}\n", index % 60, index % 90)
    });
    format!("status,channel,createdAt,endedAt,notes\n{}", lines.collect::<String>())
}

#[test]
fn lines_without_an_id_come_in_once_and_twins_stay() {
    let (db, client) = client();
    let csv = nameless(7000);

    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(7000, 0, 0, 0));
    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), counts(0, 0, 7000, 0));
    let more = format!("{csv}missed,video,2026-01-01T10:00:00Z,2026-01-01T10:02:00Z,note 0\n");
    assert_eq!(import(&db, client, &more, &mut Heard::default()).unwrap(), counts(1, 0, 7000, 0));
    assert_eq!(
        db.ask("select count(distinct session_id)::text || min(substr(session_id::text, 15, 1)) as answer from sessions"),
        "70017"
    );
}

#[test]
fn an_import_that_is_stopped_half_way_is_completed_by_the_next() {
    struct Stopped<'a>(&'a TestDb);
    impl ImportProgress for Stopped<'_> {
        fn bad_line(&mut self, _bad: &RejectedLine) {}
        fn batch(&mut self, _bytes: u64, so_far: &ImportSummary) {
            if so_far.created == 10_000 {
                self.0.terminate_connections();
            }
        }
    }
    let (db, client) = client();
    let csv = [file(10_000), nameless(10_000)];
    for csv in &csv {
        db.execute("delete from sessions");
        db.execute("update session_counters set recorded = 0");
        db.execute("delete from session_days");
        let csv = format!("{csv}{}", csv.split_once('\n').unwrap().1.replace("id-", "more-"));
        let parser = SessionFileParser::new(client.parse().unwrap(), now(), FileFormat::Csv(Vec::new()));
        sessions::import(&mut db.connect(), csv.as_bytes(), parser, ImportMode::Real, Stopped(&db))
            .unwrap_err();
        let stored: u64 = db.ask("select count(*)::text as answer from sessions").parse().unwrap();
        assert!((10_000..20_000).contains(&stored), "{stored}");

        let completed = import(&db, client, &csv, &mut Heard::default()).unwrap();

        assert_eq!(completed, counts(20_000 - stored, 0, stored, 0));
        assert_eq!(
            db.ask("select concat_ws(' ', count(*), max(sequence), (select recorded from session_counters)) as answer from sessions"),
            "20000 20000 20000"
        );
    }
}

#[test]
fn a_dry_run_tells_what_the_import_then_does_and_changes_nothing() {
    let (db, client) = client();
    import(&db, client, &file(3000), &mut Heard::default()).unwrap();
    import(&db, client, &nameless(100), &mut Heard::default()).unwrap();
    db.change_sessions(
        "update sessions set erased_at = now(), shopper_name = null where external_id = 'id-4'",
    );
    let header = "externalId,status,channel,createdAt,endedAt,updatedAt,shopperName\n";
    let line = |id: &str, status: &str, updated: &str| {
        format!(
            "{id},{status},video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,{updated},\"Smith, \"\"J\"\" \nJr\"\n"
        )
    };
    let mut csv = header.to_owned();
    for id in ["id-0", "id-2", "id-4", "new-1"] {
        csv.push_str(&line(id, "missed", ""));
    }
    csv.push_str(&line("id-0", "failed", ""));
    csv.push_str(&line("id-0", "failed", "2026-02-01T00:00:00Z"));
    csv.push_str(&line("id-6", "wrong", ""));
    for (status, updated) in
        [("missed", "02"), ("failed", "01"), ("failed", "03"), ("failed", "03"), ("missed", "02")]
    {
        csv.push_str(&line("new-2", status, &format!("2026-02-{updated}T00:00:00Z")));
    }
    for index in 0..6000 {
        csv.push_str(&line(&format!("new-{}", index / 2), "missed", ""));
    }
    let before = db.ask("select string_agg(sessions::text, '' order by sequence) as answer from sessions");

    let told = dry_run(&db, client, FileFormat::Csv(Vec::new()), &csv);

    assert_eq!(
        db.ask("select string_agg(sessions::text, '' order by sequence) as answer from sessions"),
        before
    );
    assert_eq!(import(&db, client, &csv, &mut Heard::default()).unwrap(), told);
    assert_eq!((told.rejected, told.created), (1, 3000));
    let again = dry_run(&db, client, FileFormat::Csv(Vec::new()), &nameless(101));
    assert_eq!(again, counts(1, 0, 100, 0));
}

#[test]
fn columns_of_other_names_are_found_or_mapped() {
    let (db, client) = client();
    let csv = "External ID;Status;CHANNEL;created_at;ended-at;Comment;State\r\n\
               a;missed;video;2026-01-01T10:00:00Z;2026-01-01T10:00:30Z;\"good; bad\";x\r\n";
    let mapped = |mapping: &[&str]| FileFormat::Csv(mapping.iter().map(|it| it.parse().unwrap()).collect());
    let run =
        |format| import_as(&db, client, (format, ImportMode::Real), csv.as_bytes(), &mut Heard::default());

    let unmapped = run(mapped(&["Comment=notes"])).unwrap_err().to_string();

    assert!(unmapped.contains("“State”"), "{unmapped}");
    assert_eq!(run(mapped(&["comment =Notes", "STATE="])).unwrap(), counts(1, 0, 0, 0));
    assert_eq!(db.ask("select external_id || notes as answer from sessions"), "agood; bad");
}

#[test]
fn a_line_that_cannot_be_read_is_told_and_the_rest_goes_on() {
    let (db, client) = client();
    let line = |id: &str, notes: &str| {
        format!("{id},missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,{notes}\r\n")
    };
    let mut csv = b"\xef\xbb\xbfexternalId,status,channel,createdAt,endedAt,notes\r\n".to_vec();
    csv.extend(line("a", &format!("\"{}\r\n\"", "x".repeat(10 * 1024 * 1024))).into_bytes());
    csv.extend(line("b", "\"quote \"\" and\nline\"").into_bytes());
    csv.extend(b"c,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\xff\xfe\r\n");
    csv.extend(line("d", "\0").into_bytes());
    csv.extend(line("e", &"x".repeat(10_001)).into_bytes());
    csv.extend(line("f", "").into_bytes());
    csv.extend(line("g", "\"never closed").into_bytes());
    csv.extend(line("h", "").into_bytes());
    let mut heard = Heard::default();

    let format = (FileFormat::Csv(Vec::new()), ImportMode::Real);
    let summary = import_as(&db, client, format, &csv, &mut heard).unwrap();

    assert_eq!(summary, counts(2, 0, 0, 5));
    let told: Vec<String> =
        heard.bad.iter().map(|(line, fields)| format!("{line} {}", fields.join(","))).collect();
    assert_eq!(told, ["2 line", "6 line", "7 notes", "8 notes", "10 line"]);
    assert_eq!(db.ask("select string_agg(external_id, '' order by sequence) as answer from sessions"), "bf");
}

/// Every field that a sender gives, with a value that is wrong.
fn wrong_values(long: &str) -> Vec<(&str, &str)> {
    vec![
        ("sessionId", "1"),
        ("externalId", long),
        ("status", "done"),
        ("channel", "fax"),
        ("source", long),
        ("queueName", long),
        ("agentName", long),
        ("agentEmail", long),
        ("shopperId", long),
        ("shopperName", long),
        ("shopperEmail", long),
        ("shopperPhone", "030"),
        ("shopperCountry", "de"),
        ("pageUrl", long),
        ("createdAt", "9999-01-01T00:00:00Z"),
        ("startedAt", "yesterday"),
        ("endedAt", "2025-01-01T00:00:00Z"),
        ("waitSeconds", "-1"),
        ("durationSeconds", "1e3"),
        ("rating", "6"),
        ("ratingComment", long),
        ("notes", "a\u{1}"),
        ("orderId", long),
        ("orderValueMinor", "1.5"),
        ("currency", "euro"),
        ("recordingUrl", long),
        ("tags", long),
        ("updatedAt", "9999-01-01T00:00:00Z"),
    ]
}

#[test]
fn every_field_of_a_file_that_is_wrong_is_told_by_its_name() {
    let (db, client) = client();
    let good = json!({"status": "missed", "channel": "chat", "createdAt": "2026-01-01T10:00:00Z", "endedAt": "2026-01-01T10:00:30Z"});
    let long = "x".repeat(10_001);
    for (field, value) in wrong_values(&long) {
        let mut record = good.clone();
        record[field] = if field == "tags" { json!([value]) } else { value.into() };
        let names: Vec<&String> = record.as_object().unwrap().keys().collect();
        let cell = |name: &&String| record[name.as_str()].as_str().map_or(value.to_owned(), str::to_owned);
        let csv = format!(
            "{}\n{}\n",
            names.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(","),
            names.iter().map(cell).collect::<Vec<_>>().join(",")
        );
        for (format, file) in [(FileFormat::Csv(Vec::new()), csv), (FileFormat::Ndjson, record.to_string())] {
            let mut heard = Heard::default();
            let summary =
                import_as(&db, client, (format, ImportMode::Real), file.as_bytes(), &mut heard).unwrap();
            assert_eq!(summary, counts(0, 0, 0, 1), "{field}");
            assert!(heard.bad[0].1.iter().any(|told| told == field), "{field}: {:?}", heard.bad);
        }
    }
    assert_eq!(db.ask("select count(*)::text as answer from sessions"), "0");
}

#[test]
fn lines_of_json_come_in_and_bad_ones_are_told() {
    let (db, client) = client();
    let good = |id: &str| {
        json!({"externalId": id, "status": "missed", "channel": "chat", "createdAt": "2026-01-01T10:00:00Z", "endedAt": "2026-01-01T10:00:30Z", "tags": ["vip"]}).to_string()
    };
    let deep = "[".repeat(100_000);
    let file = format!("\u{feff}{}\r\n\n{{\n{{\"rating\":{deep}\n7\n{}", good("a"), good("b"));
    let mut heard = Heard::default();

    let summary =
        import_as(&db, client, (FileFormat::Ndjson, ImportMode::Real), file.as_bytes(), &mut heard).unwrap();

    assert_eq!(summary, counts(2, 0, 0, 3));
    assert_eq!(heard.bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5]);
    for (file, word) in [("[{}]", "one object a line"), ("\u{feff}[", "one object a line")] {
        let error = import_as(
            &db,
            client,
            (FileFormat::Ndjson, ImportMode::Real),
            file.as_bytes(),
            &mut Heard::default(),
        );
        assert!(error.unwrap_err().to_string().contains(word));
    }
    let utf_16: Vec<u8> = "\u{feff}status".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = import_as(
        &db,
        client,
        (FileFormat::Csv(Vec::new()), ImportMode::Real),
        &utf_16,
        &mut Heard::default(),
    );
    assert!(error.unwrap_err().to_string().contains("UTF-8"));
}

#[actix_web::test]
async fn an_export_imports_again_as_it_was_also_where_it_never_was() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.signed_up("ada").await, app.signed_up("eve").await);
    let (of_ada, of_eve) = (ada.client_id().await, eve.client_id().await);
    import(&app.db, &of_ada, &file(50), &mut Heard::default()).unwrap();
    import(&app.db, &of_ada, &nameless(50), &mut Heard::default()).unwrap();
    let key = ada.generate("export").await;

    for (name, format) in [("csv", FileFormat::Csv(Vec::new())), ("ndjson", FileFormat::Ndjson)] {
        let file = app.export(&[("clientKey", &key), ("format", name)]).await.body;
        let into = |client: &str| {
            let mode = (format.clone(), ImportMode::Real);
            import_as(&app.db, client, mode, file.as_bytes(), &mut Heard::default()).unwrap()
        };
        assert_eq!(into(&of_ada), counts(0, 0, 100, 0), "{name}");
        let expected = if name == "csv" { counts(100, 0, 0, 0) } else { counts(0, 0, 100, 0) };
        assert_eq!(into(&of_eve), expected, "{name}");
    }
}

/// Runs `uptok import` on this database.
fn uptok_import(db: &TestDb, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_uptok"))
        .args(["import", "--database-url", &db.url, "--secret", SECRET])
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_command_tells_counts_and_bad_lines_and_fails_with_them() {
    let (db, client) = client();
    let directory = std::env::temp_dir().join(format!("uptok-import-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.csv"), file(10).replace("externalId", "Call")).unwrap();
    let lines: Vec<Value> = vec![json!({"externalId": "id-0"}), json!({})];
    std::fs::write(path("b"), format!("{}\n{}\n", lines[0], lines[1])).unwrap();

    let wrong_name = uptok_import(&db, &[&path("a.csv"), "--client", client]);
    let dry =
        uptok_import(&db, &[&path("a.csv"), "--client", client, "--map", "Call=externalId", "--dry-run"]);
    let none = db.ask("select count(*)::text as answer from sessions");
    let done = uptok_import(&db, &[&path("a.csv"), "--client", client, "--map", "Call=externalId"]);
    let bad = uptok_import(&db, &[&path("b"), "--client", client]);
    let stranger = uptok_import(&db, &[&path("b"), "--client", "cl_zzzzzzzzzz"]);
    std::fs::remove_dir_all(&directory).unwrap();

    let said = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, error) = said(&wrong_name);
    assert!(code == 1 && error.contains("“Call”"), "{error}");
    assert_eq!(
        said(&dry).1,
        "Nothing is stored. It would be 10 created, 0 updated, 0 unchanged, 0 rejected\n"
    );
    assert_eq!((dry.status.code(), none.as_str()), (Some(0), "0"));
    assert_eq!(
        (done.status.code(), said(&done).1.as_str()),
        (Some(0), "10 created, 0 updated, 0 unchanged, 0 rejected\n")
    );
    let (code, out, error) = said(&bad);
    assert_eq!((code, out.as_str()), (1, "0 created, 0 updated, 0 unchanged, 2 rejected\n"));
    assert!(error.contains("line 1: status: ") && error.contains("line 2: status: "), "{error}");
    assert!(said(&stranger).2.contains("there is no client"));
}
