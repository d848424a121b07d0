//! Importing sessions from CSV and NDJSON, and exporting them again.

use std::process::{Command, Output};

use serde_json::{Value, json};
use uptok::{
    sessions::{
        self, DryRunState, FileEncoding, FileFormat, FileKind, ImportMode, ImportObserver, ImportSummary,
        RejectedLine, SessionFileParser,
    },
    web::format::time::now,
};

use crate::support::{TestApp, TestDb, test_app::SECRET};

#[derive(Default)]
pub(super) struct ProgressLog {
    rejected: Vec<(u64, Vec<String>)>,
    batches: usize,
}

impl ImportObserver for &mut ProgressLog {
    fn on_rejected_line(&mut self, line: &RejectedLine) {
        self.rejected.push((line.line, line.errors.iter().map(|error| error.field.to_string()).collect()));
    }

    fn on_batch(&mut self, _bytes_read: u64, _summary: &ImportSummary) {
        self.batches += 1;
    }
}

pub(super) fn import_file(
    db: &TestDb,
    client: &str,
    (format, mode): (FileFormat, ImportMode),
    file: &[u8],
    progress: &mut ProgressLog,
) -> anyhow::Result<ImportSummary> {
    let kind = if format == FileFormat::Ndjson { FileKind::Ndjson } else { FileKind::Csv };
    sessions::check_file(file, FileEncoding::Utf8, Some(kind))?;
    let parser = SessionFileParser::new(client.parse().unwrap(), now(), FileEncoding::Utf8, format);
    sessions::import(&mut db.connect(), file, parser, mode, progress)
}

fn import_csv(
    db: &TestDb,
    client: &str,
    csv: &str,
    progress: &mut ProgressLog,
) -> anyhow::Result<ImportSummary> {
    import_file(db, client, (FileFormat::Csv(Vec::new()), ImportMode::Real), csv.as_bytes(), progress)
}

/// Returns what an import of `file` would do.
pub(super) fn dry_run(db: &TestDb, client: &str, format: FileFormat, file: &str) -> ImportSummary {
    let mode = ImportMode::Dry(DryRunState::default());
    import_file(db, client, (format, mode), file.as_bytes(), &mut ProgressLog::default()).unwrap()
}

/// Creates a database with one client.
pub(super) fn create_client() -> (TestDb, &'static str) {
    let db = TestDb::new();
    db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Ada')");
    db.execute("insert into session_counters (client_id) values ('cl_0000000001')");
    (db, "cl_0000000001")
}

pub(super) fn counts(created: u64, updated: u64, unchanged: u64, rejected: u64) -> ImportSummary {
    ImportSummary { created, updated, unchanged, rejected, skipped: 0 }
}

/// The counts of a CSV without blank lines: its header is skipped.
fn csv_counts(created: u64, updated: u64, unchanged: u64, rejected: u64) -> ImportSummary {
    ImportSummary { skipped: 1, ..counts(created, updated, unchanged, rejected) }
}

/// Builds a CSV file with `count` lines, each with an id; every second session is answered.
fn build_csv(count: usize) -> String {
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
fn repeated_import_creates_no_duplicates() {
    let (db, client) = create_client();
    let csv = build_csv(12_000);

    let mut progress = ProgressLog::default();
    assert_eq!(import_csv(&db, client, &csv, &mut progress).unwrap(), csv_counts(12_000, 0, 0, 0));
    assert!(progress.batches >= 3, "{}", progress.batches);
    assert_eq!(
        import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(),
        csv_counts(0, 0, 12_000, 0)
    );
    let changed = csv.replace("id-7,completed", "id-7,failed");
    assert_eq!(
        import_csv(&db, client, &changed, &mut ProgressLog::default()).unwrap(),
        csv_counts(0, 1, 11_999, 0)
    );

    db.assert_sessions(12_000);
    assert_eq!(
        db.query_text("select status || sequence as answer from sessions where external_id = 'id-7'"),
        "failed8"
    );
}

#[test]
fn rejected_lines_are_reported_by_number_and_valid_ones_imported() {
    let (db, client) = create_client();
    let csv = "externalId,status,channel,createdAt,endedAt,rating\r\n\
        a,missed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\r\n\
        b,lost,video,2026-01-01T10:00:00Z,2026-01-01T09:00:30Z,9\r\n\
        c,missed,video,2026-01-01T10:00:00Z\r\n\
        d,missed,video,2026-01-01T10:00:00Z,9999-01-01T10:00:30Z,\r\n\
        e,missed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,\"5\"\r\n";
    let mut progress = ProgressLog::default();

    let summary = import_csv(&db, client, csv, &mut progress).unwrap();

    assert_eq!(summary, csv_counts(2, 0, 0, 3));
    let lines: Vec<_> = progress.rejected.iter().map(|(line, fields)| (*line, fields.join(" "))).collect();
    assert_eq!(
        lines,
        [(3, "status rating".to_owned()), (4, "endedAt".to_owned()), (5, "endedAt".to_owned())]
    );
    assert_eq!(
        db.query_text("select string_agg(external_id, '' order by sequence) as answer from sessions"),
        "ae"
    );
}

#[test]
fn invalid_header_is_refused_and_names_the_column() {
    let (db, client) = create_client();
    for (csv, word) in [
        ("id,status\na,b\n", "id"),
        ("status,status,channel,createdAt,endedAt\n", "twice"),
        ("status,channel,createdAt\n", "endedAt"),
        ("", "empty"),
        ("\u{0}\u{1}binary", "no header"),
        ("\n\n", "empty"),
    ] {
        let error = import_csv(&db, client, csv, &mut ProgressLog::default()).unwrap_err().to_string();
        assert!(error.contains(word), "{csv:?}: {error}");
    }
    assert_eq!(db.query_text("select count(*)::text as answer from sessions"), "0");
}

#[test]
fn byte_order_mark_is_skipped() {
    let (db, client) = create_client();
    let csv = format!("\u{feff}{}", build_csv(1));
    assert_eq!(import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(), csv_counts(1, 0, 0, 0));
}

#[test]
fn last_line_of_a_repeated_id_wins() {
    let (db, client) = create_client();
    let line = |status: &str| format!("a,{status},video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n");
    let csv = format!("externalId,status,channel,createdAt,endedAt\n{}{}", line("missed"), line("failed"));

    assert_eq!(import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(), csv_counts(1, 1, 0, 0));
    assert_eq!(db.query_text("select status as answer from sessions"), "failed");
}

#[test]
fn concurrent_imports_leave_no_gaps_or_duplicates() {
    let (db, client) = create_client();
    std::thread::scope(|scope| {
        for importer in 0..4 {
            let csv = build_csv(1500).replace("id-", &format!("{importer}-"));
            let db = &db;
            scope.spawn(move || import_csv(db, client, &csv, &mut ProgressLog::default()).unwrap());
        }
    });
    db.assert_sessions(6000);
}

#[actix_web::test]
async fn imported_sessions_are_exported_unchanged() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let csv = build_csv(333);
    import_csv(&app.db, &client, &csv, &mut ProgressLog::default()).unwrap();
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
                // Exported times have six decimals.
                serde_json::Value::String(text) => text.replace(".000000Z", "Z"),
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
async fn exported_csv_reimports_without_changes() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    import_csv(&app.db, &client, &build_csv(50), &mut ProgressLog::default()).unwrap();
    app.db.change_sessions("update sessions set external_id = null where sequence % 2 = 0");
    let key = ada.generate("export").await;

    let exported = app.export(&[("clientKey", &key), ("format", "csv")]).await.body;
    let again = import_csv(&app.db, &client, &exported, &mut ProgressLog::default()).unwrap();

    assert_eq!(again, csv_counts(0, 0, 50, 0));
}

/// Builds lines with neither the sender's id nor ours; some are identical.
fn build_csv_without_ids(count: usize) -> String {
    let lines = (0..count).map(|index| {
        format!("missed,video,2026-01-01T10:00:{:02}Z,2026-01-01T10:02:00Z,note {}\n", index % 60, index % 90)
    });
    format!("status,channel,createdAt,endedAt,notes\n{}", lines.collect::<String>())
}

#[test]
fn lines_without_ids_import_once_and_identical_lines_are_kept() {
    let (db, client) = create_client();
    let csv = build_csv_without_ids(7000);

    assert_eq!(
        import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(),
        csv_counts(7000, 0, 0, 0)
    );
    assert_eq!(
        import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(),
        csv_counts(0, 0, 7000, 0)
    );
    let more = format!("{csv}missed,video,2026-01-01T10:00:00Z,2026-01-01T10:02:00Z,note 0\n");
    assert_eq!(
        import_csv(&db, client, &more, &mut ProgressLog::default()).unwrap(),
        csv_counts(1, 0, 7000, 0)
    );
    assert_eq!(
        db.query_text("select count(distinct session_id)::text || min(substr(session_id::text, 15, 1)) as answer from sessions"),
        "70017"
    );
}

#[test]
fn interrupted_import_is_completed_by_the_next_one() {
    struct StopHalfway<'a>(&'a TestDb);
    impl ImportObserver for StopHalfway<'_> {
        fn on_rejected_line(&mut self, _line: &RejectedLine) {}
        fn on_batch(&mut self, _bytes_read: u64, summary: &ImportSummary) {
            if summary.created == 10_000 {
                self.0.terminate_connections();
            }
        }
    }
    let (db, client) = create_client();
    let csv = [build_csv(10_000), build_csv_without_ids(10_000)];
    for csv in &csv {
        db.execute("delete from sessions");
        db.execute("update session_counters set recorded = 0");
        db.execute("delete from session_days");
        let csv = format!("{csv}{}", csv.split_once('\n').unwrap().1.replace("id-", "more-"));
        let format = FileFormat::Csv(Vec::new());
        let parser = SessionFileParser::new(client.parse().unwrap(), now(), FileEncoding::Utf8, format);
        sessions::import(&mut db.connect(), csv.as_bytes(), parser, ImportMode::Real, StopHalfway(&db))
            .unwrap_err();
        let stored: u64 = db.query_text("select count(*)::text as answer from sessions").parse().unwrap();
        assert!((10_000..20_000).contains(&stored), "{stored}");

        let completed = import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap();

        assert_eq!(completed, csv_counts(20_000 - stored, 0, stored, 0));
        db.assert_sessions(20_000);
    }
}

#[test]
fn dry_run_predicts_the_import_and_changes_nothing() {
    let (db, client) = create_client();
    import_csv(&db, client, &build_csv(3000), &mut ProgressLog::default()).unwrap();
    import_csv(&db, client, &build_csv_without_ids(100), &mut ProgressLog::default()).unwrap();
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
    let before =
        db.query_text("select string_agg(sessions::text, '' order by sequence) as answer from sessions");

    let predicted = dry_run(&db, client, FileFormat::Csv(Vec::new()), &csv);

    assert_eq!(
        db.query_text("select string_agg(sessions::text, '' order by sequence) as answer from sessions"),
        before
    );
    assert_eq!(import_csv(&db, client, &csv, &mut ProgressLog::default()).unwrap(), predicted);
    assert_eq!((predicted.rejected, predicted.created), (1, 3000));
    let again = dry_run(&db, client, FileFormat::Csv(Vec::new()), &build_csv_without_ids(101));
    assert_eq!(again, csv_counts(1, 0, 100, 0));
}

#[test]
fn differently_named_columns_are_recognized_or_mapped() {
    let (db, client) = create_client();
    let csv = "External ID;Status;CHANNEL;created_at;ended-at;Comment;State\r\n\
               a;missed;video;2026-01-01T10:00:00Z;2026-01-01T10:00:30Z;\"good; bad\";x\r\n";
    let mapped = |mapping: &[&str]| FileFormat::Csv(mapping.iter().map(|it| it.parse().unwrap()).collect());
    let run = |format| {
        import_file(&db, client, (format, ImportMode::Real), csv.as_bytes(), &mut ProgressLog::default())
    };

    let unmapped = run(mapped(&["Comment=notes"])).unwrap_err().to_string();

    assert!(unmapped.contains("“State”"), "{unmapped}");
    assert_eq!(run(mapped(&["comment =Notes", "STATE="])).unwrap(), csv_counts(1, 0, 0, 0));
    assert_eq!(db.query_text("select external_id || notes as answer from sessions"), "agood; bad");
}

#[test]
fn unreadable_lines_are_reported_and_the_rest_is_imported() {
    let (db, client) = create_client();
    let line = |id: &str, notes: &str| {
        format!("{id},missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z,{notes}\r\n")
    };
    let mut csv = b"\xef\xbb\xbfexternalId,status,channel,createdAt,endedAt,notes\r\n".to_vec();
    csv.extend(line("a", &format!("\"{}\r\n\"", "x".repeat(10 * 1024 * 1024))).into_bytes());
    csv.extend(line("b", "\"quote \"\" and\nline\"").into_bytes());
    csv.extend(line("d", "\0").into_bytes());
    csv.extend(line("e", &"x".repeat(10_001)).into_bytes());
    csv.extend(line("f", "").into_bytes());
    csv.extend(line("g", "\"never closed").into_bytes());
    csv.extend(line("h", "").into_bytes());
    let mut progress = ProgressLog::default();

    let format = (FileFormat::Csv(Vec::new()), ImportMode::Real);
    let summary = import_file(&db, client, format, &csv, &mut progress).unwrap();

    assert_eq!(summary, csv_counts(2, 0, 0, 4));
    let reported: Vec<String> =
        progress.rejected.iter().map(|(line, fields)| format!("{line} {}", fields.join(","))).collect();
    assert_eq!(reported, ["2 line", "6 notes", "7 notes", "9 line"]);
    assert_eq!(
        db.query_text("select string_agg(external_id, '' order by sequence) as answer from sessions"),
        "bf"
    );
}

/// Lists every field a sender can set with an invalid value.
fn invalid_values(long: &str) -> Vec<(&str, &str)> {
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
fn every_invalid_field_is_reported_by_name() {
    let (db, client) = create_client();
    let good = json!({"status": "missed", "channel": "chat", "createdAt": "2026-01-01T10:00:00Z", "endedAt": "2026-01-01T10:00:30Z"});
    let long = "x".repeat(10_001);
    for (field, value) in invalid_values(&long) {
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
            let mut progress = ProgressLog::default();
            let summary =
                import_file(&db, client, (format, ImportMode::Real), file.as_bytes(), &mut progress).unwrap();
            assert_eq!((summary.created, summary.rejected), (0, 1), "{field}");
            assert!(
                progress.rejected[0].1.iter().any(|reported| reported == field),
                "{field}: {:?}",
                progress.rejected
            );
        }
    }
    assert_eq!(db.query_text("select count(*)::text as answer from sessions"), "0");
}

#[test]
fn ndjson_is_imported_and_bad_lines_are_reported() {
    let (db, client) = create_client();
    let good = |id: &str| {
        json!({"externalId": id, "status": "missed", "channel": "chat", "createdAt": "2026-01-01T10:00:00Z", "endedAt": "2026-01-01T10:00:30Z", "tags": ["vip"]}).to_string()
    };
    let deep = "[".repeat(100_000);
    let file = format!("\u{feff}{}\r\n\n{{\n{{\"rating\":{deep}\n7\n{}", good("a"), good("b"));
    let mut progress = ProgressLog::default();

    let summary =
        import_file(&db, client, (FileFormat::Ndjson, ImportMode::Real), file.as_bytes(), &mut progress)
            .unwrap();

    assert_eq!(summary, ImportSummary { skipped: 1, ..counts(2, 0, 0, 3) }, "one line is blank");
    assert_eq!(progress.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5]);
    for (file, word) in [("[{}]", "one object per line"), ("\u{feff}[", "one object per line")] {
        let error = import_file(
            &db,
            client,
            (FileFormat::Ndjson, ImportMode::Real),
            file.as_bytes(),
            &mut ProgressLog::default(),
        );
        assert!(error.unwrap_err().to_string().contains(word));
    }
    let utf_16: Vec<u8> = "\u{feff}status".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = import_file(
        &db,
        client,
        (FileFormat::Csv(Vec::new()), ImportMode::Real),
        &utf_16,
        &mut ProgressLog::default(),
    );
    assert!(error.unwrap_err().to_string().contains("UTF-8"));
}

#[actix_web::test]
async fn export_reimports_at_the_same_and_at_another_client() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let (ada_client, eve_client) = (ada.client_id().await, eve.client_id().await);
    import_csv(&app.db, &ada_client, &build_csv(50), &mut ProgressLog::default()).unwrap();
    import_csv(&app.db, &ada_client, &build_csv_without_ids(50), &mut ProgressLog::default()).unwrap();
    let key = ada.generate("export").await;

    for (name, format) in [("csv", FileFormat::Csv(Vec::new())), ("ndjson", FileFormat::Ndjson)] {
        let file = app.export(&[("clientKey", &key), ("format", name)]).await.body;
        let into = |client: &str| {
            let mode = (format.clone(), ImportMode::Real);
            import_file(&app.db, client, mode, file.as_bytes(), &mut ProgressLog::default()).unwrap()
        };
        let is_csv = name == "csv";
        let unchanged = if is_csv { csv_counts(0, 0, 100, 0) } else { counts(0, 0, 100, 0) };
        assert_eq!(into(&ada_client), unchanged, "{name}");
        let expected = if is_csv { csv_counts(100, 0, 0, 0) } else { unchanged };
        assert_eq!(into(&eve_client), expected, "{name}");
    }
}

/// Runs `uptok import` on this database.
pub(super) fn run_import(db: &TestDb, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_uptok"))
        .args(["import", "--database-url", &db.url, "--secret", SECRET])
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn command_line_import_reports_counts_and_fails_on_rejected_lines() {
    let (db, client) = create_client();
    let directory = std::env::temp_dir().join(format!("uptok-import-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.csv"), build_csv(10).replace("externalId", "Call")).unwrap();
    let lines: Vec<Value> = vec![json!({"externalId": "id-0"}), json!({})];
    std::fs::write(path("b"), format!("{}\n{}\n", lines[0], lines[1])).unwrap();

    let wrong_name = run_import(&db, &[&path("a.csv"), "--client", client]);
    let dry = run_import(&db, &[&path("a.csv"), "--client", client, "--map", "Call=externalId", "--dry-run"]);
    let none = db.query_text("select count(*)::text as answer from sessions");
    let imported = run_import(&db, &[&path("a.csv"), "--client", client, "--map", "Call=externalId"]);
    let bad = run_import(&db, &[&path("b"), "--client", client]);
    let unknown_client = run_import(&db, &[&path("b"), "--client", "cl_zzzzzzzzzz"]);
    std::fs::remove_dir_all(&directory).unwrap();

    let read_output = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, error) = read_output(&wrong_name);
    assert!(code == 1 && error.contains("“Call”"), "{error}");
    assert_eq!(
        read_output(&dry).1,
        "Nothing is stored. The import would be: 10 created, 0 updated, 0 unchanged, 0 rejected, 1 skipped\n"
    );
    assert_eq!((dry.status.code(), none.as_str()), (Some(0), "0"));
    assert_eq!(
        (imported.status.code(), read_output(&imported).1.as_str()),
        (Some(0), "10 created, 0 updated, 0 unchanged, 0 rejected, 1 skipped\n")
    );
    let (code, out, error) = read_output(&bad);
    assert_eq!((code, out.as_str()), (1, "0 created, 0 updated, 0 unchanged, 2 rejected, 0 skipped\n"));
    assert!(error.contains("line 1: status: ") && error.contains("line 2: status: "), "{error}");
    assert!(read_output(&unknown_client).2.contains("there is no client"));
}
