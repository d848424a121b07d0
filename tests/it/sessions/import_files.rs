//! Files as programs write them: encodings, delimiters and ragged lines. Browser and command line must agree.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::{Method, multipart};

use super::{
    import::{create_client, run_import},
    import_pages::{PATH, read_counts, wait_until_settled},
};
use crate::support::{Reply, TestApp, Visitor, test_app::SECRET};

const HEADER: &str = "externalId,status,channel,createdAt,endedAt,agentName,notes";
const TIMES: &str = "2026-03-02T09:00:00Z,2026-03-02T09:05:10Z";

/// Created, updated, unchanged, rejected and skipped lines.
type Counts = [u64; 5];

/// A directory that is deleted with its files.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("uptok-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, file: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, file).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_dir_all(&self.0);
    }
}

async fn upload(visitor: &Visitor, encoding: &str, file: &[u8]) -> Reply {
    let part = multipart::Part::bytes(file.to_vec()).file_name("calls.csv");
    let form = multipart::Form::new()
        .text("clientId", visitor.client_id().await)
        .text("encoding", encoding.to_owned())
        .part("file", part);
    let request = visitor.request(Method::POST, PATH).header("Sec-Fetch-Site", "same-origin");
    Reply::read(request.multipart(form).send().await.unwrap()).await
}

/// The result of a check in the browser: the counts, or the sentences why the file is refused.
async fn check_in_browser(visitor: &Visitor, encoding: &str, file: &[u8]) -> Result<Counts, String> {
    let reply = upload(visitor, encoding, file).await;
    if reply.status == 422 {
        return Err(reply.html().text(".wrong"));
    }
    assert_eq!(reply.status, 303, "{}", reply.body);
    let page = wait_until_settled(visitor, reply.header("location")).await;
    let counts: Vec<u64> = read_counts(&page).iter().map(|count| count.parse().unwrap()).collect();
    Ok(counts.try_into().unwrap())
}

/// The result of `uptok import --dry-run`.
fn check_on_command_line(app: &TestApp, client: &str, encoding: &str, path: &str) -> Result<Counts, String> {
    let output = run_import(&app.db, &[path, "--client", client, "--encoding", encoding, "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let Some(counts) = text.strip_prefix("Nothing is stored. The import would be: ") else {
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.as_str()), (Some(1), ""), "{error}");
        let error = error.trim().strip_prefix("uptok: ").unwrap();
        return Err(error.split(" The option is ").next().unwrap().to_owned());
    };
    let counts: Vec<u64> =
        counts.split(", ").map(|count| count.split(' ').next().unwrap().parse().unwrap()).collect();
    Ok(counts.try_into().unwrap())
}

/// Checks that browser and command line find the same in each file.
async fn assert_results(files: &[(&[u8], &str, Result<Counts, &str>)]) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let directory = Directory::new(&format!("import-{client}"));
    for (index, (file, encoding, expected)) in files.iter().enumerate() {
        let shown = String::from_utf8_lossy(&file[..file.len().min(200)]);
        let expected = expected.map_err(str::to_owned);
        let path = directory.write(&format!("{encoding}-{index}"), file);

        assert_eq!(check_in_browser(&ada, encoding, file).await, expected, "browser: {shown}");
        assert_eq!(check_on_command_line(&app, &client, encoding, &path), expected, "command line: {shown}");
    }
    let sessions = app.db.query_text("select count(*)::text as answer from sessions");
    let refused = files.iter().filter(|(.., expected)| expected.is_err()).count();
    let kept = app.db.query_text("select count(*)::text as answer from imports");
    assert_eq!((sessions, kept), ("0".to_owned(), (files.len() - refused).to_string()));
}

fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

/// A CSV with a session per name.
fn csv_of_agents(names: &[&str]) -> String {
    let lines =
        names.iter().enumerate().map(|(index, name)| format!("x-{index},missed,audio,{TIMES},{name},\n"));
    format!("{HEADER}\n{}", lines.collect::<String>())
}

/// Encodes text that only has characters with one byte in Windows-1252.
fn windows_1252(text: &str) -> Vec<u8> {
    text.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect()
}

#[actix_web::test]
async fn a_file_of_another_encoding_is_named_and_can_be_imported_by_choosing_it() {
    let text = csv_of_agents(&["Ann", "Jürgen Weiß", "Zoë"]);
    let marked = format!("\u{feff}{text}");
    let (little, big) = (utf_16(&marked, u16::to_le_bytes), utf_16(&marked, u16::to_be_bytes));
    let (unmarked, windows) = (utf_16(&text, u16::to_le_bytes), windows_1252(&text));
    let mixed = [windows.as_slice(), "x-9,missed,audio,Jörg Groß,".as_bytes()].concat();
    let header_too = windows_1252("externalId;Gespräch;channel\nx-1;completed;audio\n");
    let is_utf_16 = Err("The file is UTF-16. Choose UTF-16 as its encoding, or save it as UTF-8.");
    let is_windows = Err(
        "Line 3 is not UTF-8. The file looks like an 8-bit encoding such as Windows-1252. Choose Windows-1252 if that is its encoding, or save it as UTF-8.",
    );
    let is_utf_8 = Err("The file is UTF-8. Choose UTF-8 as its encoding.");
    let imported = Ok([3, 0, 0, 0, 1]);
    assert_results(&[
        (text.as_bytes(), "utf-8", imported),
        (marked.as_bytes(), "utf-8", imported),
        (marked.as_bytes(), "windows-1252", is_utf_8),
        (text.as_bytes(), "utf-16", is_utf_8),
        (&little, "utf-8", is_utf_16),
        (&little, "windows-1252", is_utf_16),
        (&little, "utf-16", imported),
        (&big, "utf-8", is_utf_16),
        (&big, "utf-16", imported),
        (&unmarked, "utf-16", imported),
        (&windows, "utf-8", is_windows),
        (&windows, "utf-16", is_windows),
        (&windows, "windows-1252", imported),
        (&mixed, "utf-8", Err("The file mixes UTF-8 with another encoding, as line 5 shows. Save the whole file as UTF-8.")),
        (&mixed, "windows-1252", Err("The file mixes UTF-8 with another encoding, as line 5 shows. Save the whole file as UTF-8.")),
        (&header_too, "utf-8", Err("Line 1 is not UTF-8. The file looks like an 8-bit encoding such as Windows-1252. Choose Windows-1252 if that is its encoding, or save it as UTF-8.")),
        (b"externalId,status\nM\x81ller,x\n", "utf-8", Err("The file is neither UTF-8 nor UTF-16 nor Windows-1252. Save it as UTF-8.")),
        (&little[..little.len() - 1], "utf-16", Err("The file is damaged: part of it is not UTF-16. Save it again as UTF-8.")),
    ])
    .await;
}

#[actix_web::test]
async fn files_that_are_no_text_are_named() {
    let zip = |name: &str| [b"PK\x03\x04".as_slice(), &[0; 26], name.as_bytes(), &[0xff; 99]].concat();
    let (xlsx, zip) = (zip("xl/workbook.xml"), zip("calls.csv"));
    let spreadsheet = "The file is a spreadsheet (xlsx). Save it as CSV in UTF-8, then choose that file.";
    assert_results(&[
        (&xlsx, "utf-8", Err(spreadsheet)),
        (&xlsx, "windows-1252", Err(spreadsheet)),
        (&zip, "utf-8", Err("The file is an archive (zip). Unpack it, then choose the file inside.")),
        (
            b"\x1f\x8b\x08\0\0",
            "utf-16",
            Err("The file is an archive (gzip). Unpack it, then choose the file inside."),
        ),
        (b"\x00\x01\xff,\x02\n", "utf-8", Err("The file is not text. Choose a CSV or NDJSON file.")),
        (b"", "utf-8", Err("The file is empty. Choose another.")),
        (b"[{}]", "utf-8", Err("The file is a JSON array. Write one object per line (NDJSON).")),
        (
            b"<!DOCTYPE html>\n<table>",
            "utf-8",
            Err("The file is HTML. Export the sessions as CSV in UTF-8, then choose that file."),
        ),
    ])
    .await;
}

#[actix_web::test]
async fn all_lines_are_counted() {
    let line = format!("r-1,completed,audio,{TIMES},Ann,\"two\nlines\"\n");
    let files = [
        (format!("{HEADER}\n{line}"), [1, 0, 0, 0, 1]),
        // Blank lines, also at the start and the end, and with spaces or only delimiters.
        (format!("\n{HEADER}\n\n{line}  \r\n,,,,,,\n\"\",,\"\"\n\n"), [1, 0, 0, 0, 7]),
        // A delimiter that the first line names.
        (format!("sep=;\r\n{HEADER}\r\n{line};;\r\n").replace(',', ";"), [1, 0, 0, 0, 3]),
        (format!("\u{feff}\"sep=\t\"\n{HEADER}\n{line}").replace(',', "\t"), [1, 0, 0, 0, 2]),
        // Lines without their last cells, which are optional, or with too few.
        (
            format!(
                "{HEADER}\r\n{line}r-2,missed,audio,{TIMES}\r\nr-3,missed,audio,{TIMES},Ben\r\nr-4,missed\r\n"
            ),
            [3, 0, 0, 1, 1],
        ),
        // Delimiters at the ends of lines, with and without one in the header.
        (format!("{HEADER},,\nr-1,missed,audio,{TIMES},Ann,,,\nr-2,missed,audio,{TIMES}\n"), [2, 0, 0, 0, 1]),
        (
            format!("{HEADER}\nr-1,missed,audio,{TIMES},Ann,,\nr-2,missed,audio,{TIMES},Ann,a,lost\n"),
            [1, 0, 0, 1, 1],
        ),
        // The same session twice.
        (format!("{HEADER}\n{line}{line}{}", line.replace("Ann", "Ben")), [1, 1, 1, 0, 1]),
        // A quote that is never closed takes the rest of the file into its line.
        (
            format!("{HEADER}\n{line}r-2,missed,audio,{TIMES},\"Ann\n\n\n{line}")
                .replace("\"two\nlines\"", "x"),
            [1, 0, 0, 1, 1],
        ),
        (
            format!(
                "{}\n\n  \n7\n",
                "{\"externalId\":\"a\",\"status\":\"missed\",\"channel\":\"chat\",\"createdAt\":\"2026-03-02T09:00:00Z\",\"endedAt\":\"2026-03-02T09:05:10Z\"}"
            ),
            [1, 0, 0, 1, 2],
        ),
        (format!("{HEADER}\n"), [0, 0, 0, 0, 1]),
    ];
    let files: Vec<_> = files.iter().map(|(file, counts)| (file.as_bytes(), "utf-8", Ok(*counts))).collect();
    assert_results(&files).await;
}

#[actix_web::test]
async fn delimiter_is_detected_from_whole_lines() {
    let line = format!("x-1,missed,audio,{TIMES},Ann,\"one; two; three; four\"");
    let semicolons = |text: &str| text.replace("; ", "\u{1}").replace(',', ";").replace('\u{1}', ", ");
    let files = [
        // The first column is longer than the first bytes of a file that are read.
        semicolons(&format!(
            "Agent - - - - - - Name,externalId,status,channel,createdAt,endedAt,notes\nAnn,a,missed,audio,{TIMES},\n"
        )),
        // More delimiters of another kind in the lines, and in a quoted column name.
        semicolons(&format!("{HEADER}\n{line}\n")),
        format!("{HEADER}\n{line}\n"),
        format!(
            "\"agent;Name\",externalId,status,channel,createdAt,endedAt,\"no;te;s\"\n\
             Ann,x-1,missed,audio,{TIMES},\"a;b;c;d;e;f;g\"\n"
        ),
        format!("{HEADER}\n{line}\n").replace(',', "\t"),
    ];
    let files: Vec<_> = files.iter().map(|file| (file.as_bytes(), "utf-8", Ok([1, 0, 0, 0, 1]))).collect();
    assert_results(&files).await;
}

#[actix_web::test]
async fn chosen_encoding_is_used_for_mapping_and_import() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let file = windows_1252(
        &format!(
            "sep=;\nGespräch;status;channel;createdAt;endedAt;Betreuer;\nä1;missed;chat;{TIMES};Jürgen;\n"
        )
        .replace("Z,", "Z;"),
    );

    let refused = upload(&ada, "", &file).await.html();
    let accepted = upload(&ada, "windows-1252", &file).await;
    assert_eq!(accepted.status, 303, "{}", accepted.body);
    let address = accepted.header("location").to_owned();
    let page = ada.get(&address).await.html();
    let fields = ["externalId", "status", "channel", "createdAt", "endedAt", "agentName", ""];
    let names: Vec<String> = (0..fields.len()).map(|index| format!("column{index}")).collect();
    let form: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(fields).collect();
    ada.post(&format!("{address}/columns"), &form).await.assert_sent_to(&address);
    wait_until_settled(&ada, &address).await;
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    let done = wait_until_settled(&ada, &address).await;

    assert_eq!(refused.attribute("#encoding option[selected]", "value"), "windows-1252", "it is suggested");
    assert_eq!(page.texts("tbody th")[0], "Gespräch");
    assert_eq!(page.texts("tbody td[data-label='Sample values']")[5], "Jürgen");
    assert_eq!(read_counts(&done), ["1", "0", "0", "0", "2"]);
    let stored = app.db.query_text("select concat(external_id, ' ', agent_name) as answer from sessions");
    assert_eq!(stored, "ä1 Jürgen");
}

#[actix_web::test]
async fn unknown_encoding_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for encoding in ["latin1", "UTF-9", "\u{0}", "utf-8\n"] {
        assert_eq!(
            upload(&ada, encoding, csv_of_agents(&["Ann"]).as_bytes()).await.status,
            400,
            "{encoding:?}"
        );
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from imports"), "0");
}

/// Enough lines for several batches and chunks.
fn long_csv() -> String {
    let notes = "x".repeat(200);
    let lines = (0..12_000).map(|index| format!("x-{index},missed,audio,{TIMES},Ann,{notes}\n"));
    format!("{HEADER}\n{}", lines.collect::<String>())
}

#[actix_web::test]
async fn wrong_byte_in_the_last_line_keeps_the_whole_file_out() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let file = [long_csv().into_bytes(), windows_1252("x-y,missed,audio,,,Jürgen,\n")].concat();
    let directory = Directory::new("import-half");
    let path = directory.write("calls.csv", &file);

    let refused = upload(&ada, "utf-8", &file).await;
    let from_file = run_import(&app.db, &[&path, "--client", &client]);
    let (code, from_pipe) = import_from_pipe(&app, &client, &file);

    assert_eq!(refused.status, 422);
    let named = "Line 12002 is not UTF-8. The file looks like an 8-bit encoding such as Windows-1252.";
    assert!(refused.html().text(".wrong").starts_with(named), "{}", refused.html().text(".wrong"));
    let from_file = String::from_utf8(from_file.stderr).unwrap();
    assert!(from_file.contains(named), "{from_file}");
    assert!(from_file.contains("The option is --encoding windows-1252."), "{from_file}");
    assert!(code == Some(1) && from_pipe.contains(named), "{from_pipe}");
    let stored =
        "select concat((select count(*) from sessions), (select count(*) from import_chunks)) as answer";
    assert_eq!(app.db.query_text(stored), "00");
}

/// Runs `uptok import -` with this standard input and returns the exit status and both outputs.
fn import_from_pipe(app: &TestApp, client: &str, file: &[u8]) -> (Option<i32>, String) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_uptok"))
        .args(["import", "-", "--client", client, "--database-url", &app.db.url, "--secret", SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    // Nothing depends on how many bytes arrive at once.
    let (first, rest) = file.split_at(5);
    input.write_all(first).unwrap();
    input.flush().unwrap();
    input.write_all(rest).unwrap();
    drop(input);
    let output = process.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[actix_web::test]
async fn pipe_is_imported_like_a_file() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;

    let (code, output) = import_from_pipe(&app, &client, long_csv().replace(',', ";").as_bytes());

    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("12000 created, 0 updated, 0 unchanged, 0 rejected, 1 skipped"), "{output}");
}

#[test]
fn special_files_are_imported_from_or_refused() {
    let (db, client) = create_client();
    let directory = Directory::new("import-special");
    let path = directory.write("calls.ndjson", csv_of_agents(&["Ann"]).as_bytes());

    let by_content = run_import(&db, &[&path, "--client", client]);
    let no_file =
        run_import(&db, &[Path::new(&path).parent().unwrap().to_str().unwrap(), "--client", client]);
    let forced = run_import(&db, &[&path, "--client", client, "--format", "ndjson"]);

    assert_eq!(
        String::from_utf8(by_content.stdout).unwrap(),
        "1 created, 0 updated, 0 unchanged, 0 rejected, 1 skipped\n",
        "the name of a file says nothing"
    );
    assert!(String::from_utf8(no_file.stderr).unwrap().contains("directory"));
    assert_eq!(
        String::from_utf8(forced.stdout).unwrap(),
        "0 created, 0 updated, 0 unchanged, 2 rejected, 0 skipped\n"
    );
}
