//! The Markdown pages of this repository match the code.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use clap::{Arg, Args as _};
use reqwest::Method;
use serde_json::{Value, json};
use uptok::{
    accounts::{PERMISSIONS, PermissionRow, Role},
    api,
    api_keys::{EndpointAccess, KeyChangeError},
    audit::record_kind_names,
    config::Settings,
    error::AppError,
    sessions,
    web::body,
};

use crate::support::{Reply, TestApp};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all Markdown pages below `dir`.
fn pages(dir: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path().to_str().unwrap().to_owned();
        let is_ours =
            !["target", "node_modules", "data", ".git"].iter().any(|it| path.ends_with(&format!("/{it}")));
        if is_ours && Path::new(&path).is_dir() {
            found.extend(pages(&path));
        } else if Path::new(&path).extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
    found
}

/// Every text between `open` and the next `close`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(inside, _)| inside).collect()
}

/// The code blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    between(page, &format!("```{language}\n"), "\n```")
}

/// The page without its code blocks.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// The inline code of a page, outside its code blocks.
fn code_words(page: &str) -> Vec<String> {
    prose(page).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The cells of every table row of the page.
fn rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The anchors that a forge such as GitHub gives the headings of a page.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let kept = line.trim_start_matches('#').trim().to_lowercase();
            let kept = kept.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
            kept.map(|it| if it == ' ' { '-' } else { it }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    let mut broken = Vec::new();
    for page in pages(".") {
        let text = read(&page);
        let text = prose(&text);
        let local = between(&text, "](", ")").into_iter().filter(|link| !link.contains("://"));
        for link in local {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = Path::new(&page).parent().unwrap().join(file);
            let target = if file.is_empty() { page.clone() } else { target.to_str().unwrap().to_owned() };
            let leads = Path::new(&target).exists()
                && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !leads {
                broken.push(format!("{page}: {link}"));
            }
            checked += 1;
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(checked > 30, "{checked}");
}

/// The row of the settings table that documents this setting, built from its clap definition.
fn settings_row(setting: &Arg) -> String {
    let defaults = setting.get_default_values();
    let default = defaults.first().map_or("–".to_owned(), |it| format!("`{}`", it.to_str().unwrap()));
    let choices: Vec<String> = setting
        .get_possible_values()
        .iter()
        .map(|it| format!("`{}` ({})", it.get_name(), lower_first(&it.get_help().unwrap().to_string())))
        .collect();
    let choices = if choices.is_empty() { String::new() } else { format!(": {}", choices.join(", ")) };
    let variable = setting.get_env().unwrap().to_str().unwrap();
    format!("| `{variable}` | {default} | {}{choices} |", setting.get_help().unwrap())
}

fn lower_first(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_lowercase() + rest
}

fn settings() -> clap::Command {
    Settings::augment_args(clap::Command::new("uptok"))
}

#[test]
fn the_settings_page_matches_the_code() {
    let settings = settings();
    let rows: Vec<String> = settings.get_arguments().map(settings_row).collect();
    let table = format!("| Variable | Default | Meaning |\n|---|---|---|\n{}\n", rows.join("\n"));

    assert!(
        read("docs/settings.md").contains(&format!("\n\n{table}\n")),
        "docs/settings.md needs this table:\n\n{table}"
    );
}

#[test]
fn the_security_page_has_the_table_of_permissions() {
    let mark = |row: &PermissionRow, role| if row.roles.contains(&role) { "yes" } else { "–" };
    let rows: Vec<String> = PERMISSIONS
        .iter()
        .map(|row| {
            let marks = [Role::Owner, Role::Admin, Role::Member].map(|role| mark(row, role));
            format!("| {} | {} |", row.description, marks.join(" | "))
        })
        .collect();
    let table = format!("| | `owner` | `admin` | `member` |\n|---|---|---|---|\n{}\n", rows.join("\n"));

    assert!(
        read("docs/security.md").contains(&format!("\n\n{table}\n")),
        "docs/security.md needs this table:\n\n{table}"
    );
}

#[test]
fn the_env_example_names_every_setting_and_no_other() {
    let settings = settings();
    let of_code: BTreeSet<&str> =
        settings.get_arguments().map(|it| it.get_env().unwrap().to_str().unwrap()).collect();
    let example = read(".env.example");
    let of_example: BTreeSet<&str> = example
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|it| it.is_ascii_uppercase() || it == '_'))
        .collect();

    assert_eq!(of_example, of_code);
}

#[test]
fn the_readme_shows_how_to_run_and_test() {
    let readme = read("README.md");
    let makefile = read("Makefile");
    for target in ["run", "test"] {
        assert!(blocks(&readme, "sh").contains(&format!("make {target}").as_str()), "make {target}");
        assert!(makefile.contains(&format!("\n{target}: ## ")), "make {target}");
    }
    for page in ["docs/commands.md", "docs/settings.md"] {
        assert!(readme.contains(&format!("({page})")), "The README does not link to {page}");
    }
}

#[test]
fn the_operations_page_explains_every_kind_of_audit_event() {
    let page = read("docs/operations.md");
    let table = between(&page, "## Audit log\n", "\n## ")[0].to_owned();
    for kind in record_kind_names() {
        assert!(table.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[test]
fn the_commands_page_lists_every_command() {
    let page = read("docs/commands.md");
    for command in commands(&[]) {
        let has_subcommands =
            ["audit", "client", "clusters", "invitation", "keys", "mail", "user"].contains(&command.as_str());
        let subcommands = if has_subcommands { commands(&[&command]) } else { vec![String::new()] };
        for subcommand in subcommands {
            let whole = format!("`uptok {command} {subcommand}");
            assert!(page.contains(&format!("| {}", whole.trim_end())), "{whole}");
        }
    }
}

/// The subcommands that `uptok` lists in its help, or those of the command `of`.
fn commands(of: &[&str]) -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_uptok")).args(of).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let list = between(&help, "Commands:\n", "\n\n")[0].to_owned();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned);
    names.filter(|name| name != "help").collect()
}

/// Each curl sample of a page, with the answer printed below it.
fn samples(page: &str) -> Vec<(String, Value)> {
    page.split("```sh\ncurl ")
        .skip(1)
        .map(|rest| {
            let (arguments, rest) = rest.split_once("\n```").unwrap();
            let answer = blocks(rest, "json")[0].replace("{…}", "");
            (format!("curl {arguments}"), serde_json::from_str(&answer).unwrap())
        })
        .collect()
}

#[actix_web::test]
async fn the_samples_of_the_readme_and_the_api_page_work_on_the_demo() {
    let app = TestApp::start().await;
    let demo = uptok::seeds::create_demo_account(
        &mut app.db.connect(),
        &TestApp::audit_context(),
        uptok::web::format::time::now(),
    )
    .unwrap()
    .unwrap();
    let visitor = app.visitor();
    let login = [("email", demo.email), ("password", &demo.password)];
    visitor.post("/login", &login).await.assert_sent_to("/settings/api-keys");
    let keys = [visitor.generate("readme").await, visitor.generate_recorder("recorder").await];
    let readme = read("README.md");
    let samples = [samples(&readme), samples(&read("docs/api.md"))].concat();
    assert_eq!(samples.len(), keys.len(), "one sample reads, one records");
    assert_eq!(blocks(&readme, "json").len(), 1, "the answer of the README's sample");
    let mut answers = Vec::new();
    for ((sample, shown), key) in samples.into_iter().zip(keys) {
        assert!(sample.contains("http://localhost:8080/") && sample.contains("YOUR_API_KEY"));
        let sample = sample.replace("http://localhost:8080", &app.url).replace("YOUR_API_KEY", &key);
        let output =
            actix_web::web::block(move || Command::new("sh").args(["-c", &sample]).output().unwrap());
        answers.push((serde_json::from_slice::<Value>(&output.await.unwrap().stdout).unwrap(), shown));
    }

    for (answer, shown) in &answers {
        let totals = shown.as_object().unwrap().iter().filter(|(_, value)| !value.is_array());
        for (total, value) in totals {
            assert_eq!(&answer[total], value, "{total}");
        }
        assert_eq!(answer.as_object().unwrap().len(), shown.as_object().unwrap().len());
    }
    let (answer, _) = &answers[0];
    let one_line = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(one_line.contains(&format!("a demo client with {} sessions", answer["totalSessions"])));
}

#[test]
fn the_map_names_what_is_there() {
    let map = read("docs/architecture.md");
    let roots = ["src/", "tests/", "templates/", "static/", "migrations/", "bin/", "docs/"];
    let paths: Vec<String> =
        code_words(&map).into_iter().filter(|it| roots.iter().any(|root| it.starts_with(root))).collect();
    assert!(paths.len() > 40, "{paths:?}");
    for path in paths {
        assert!(Path::new(&path).exists(), "docs/architecture.md names {path}");
    }
    for room in fs::read_dir("src").unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_dir()) {
        assert!(map.contains(&format!("| `{}/` |", room.display())), "{} is not on the map", room.display());
    }
    for table in between(&read("src/schema.rs"), "\n    ", " (") {
        let is_name = table.chars().all(|it| it.is_ascii_lowercase() || it == '_');
        assert!(!is_name || map.contains(&format!("`{table}`")), "{table} is not on the map");
    }
}

#[test]
fn every_decision_is_in_the_index_with_its_title() {
    let index = read("docs/decisions/README.md");
    let listed: Vec<&str> = index.lines().filter(|line| line.starts_with("- ")).collect();
    let mut expected = Vec::new();
    for page in pages("docs/decisions").into_iter().filter(|it| !it.ends_with("README.md")) {
        let text = read(&page);
        let title = text.lines().next().unwrap().trim_start_matches("# ");
        let name = page.rsplit('/').next().unwrap();
        let number: u32 = name.split('-').next().unwrap().parse().unwrap();
        assert!(title.starts_with(&format!("{number}. ")), "{page}: {title}");
        assert!(text.lines().nth(2).unwrap().parse::<chrono::NaiveDate>().is_ok(), "{page} has no date");
        expected.push(format!("- [{title}]({name})"));
    }
    expected.sort_by_key(|line| line.rsplit('(').next().unwrap().to_owned());
    assert_eq!(listed, expected);
}

#[test]
fn the_page_of_the_api_has_every_column_and_limit() {
    let page = read("docs/api.md");
    let record = page.split("## The session record").nth(1).unwrap().split("## Errors").next().unwrap();
    let documented: Vec<Vec<&str>> = rows(record)
        .into_iter()
        .skip(1)
        .map(|row| row.into_iter().map(|cell| cell.trim_matches([' ', '`'])).collect())
        .collect();
    let types: Vec<String> = sessions::SESSION_FIELDS.iter().map(|it| it.field_type.to_string()).collect();
    let fields: Vec<Vec<&str>> = sessions::SESSION_FIELDS
        .iter()
        .zip(&types)
        .map(|(field, field_type)| vec![field.name, field_type, field.meaning, field.null_text()])
        .collect();
    assert_eq!(documented, fields);
    for limit in [
        format!(
            "at most {} KiB, whole within {} seconds",
            sessions::EXPORT_BODY_LIMIT / 1024,
            body::DEADLINE_SECONDS
        ),
        format!(
            "at most {} MiB, whole within {} seconds",
            sessions::RECORD_BODY_LIMIT / (1024 * 1024),
            body::DEADLINE_SECONDS
        ),
        format!("at most {} fields", body::FIELDS_MAX).replace(" fields", ", unknown ones included"),
        format!(
            "| `perPage` | {} | Sessions per page, 1 to {},",
            sessions::PER_PAGE_DEFAULT,
            sessions::PER_PAGE_MAX
        ),
        format!("at most {} sessions on a page", sessions::PER_PAGE_MAX),
        format!("at most {} sessions in a request", sessions::BATCH_MAX),
        format!("For {} hours the same request", sessions::KEPT_HOURS),
    ] {
        assert!(page.contains(&limit), "{limit}");
    }
}

#[actix_web::test]
async fn the_pages_of_the_api_have_every_call_and_who_may_make_it() {
    let page = read("docs/api.md");
    let table = page.split("| Call | Scope | What |").nth(1).unwrap().split("\n\n").next().unwrap();
    let of_page: Vec<(String, String)> = rows(table)
        .iter()
        .map(|row| (row[0].trim_matches([' ', '`']).to_owned(), row[1].trim_matches([' ', '`']).to_owned()))
        .collect();
    let mut of_code: Vec<(String, String)> = api::endpoints()
        .iter()
        .map(|call| {
            let access = match call.access() {
                Some(EndpointAccess::Scope(scope)) => scope.as_str(),
                Some(EndpointAccess::AnyKey) => "any",
                Some(EndpointAccess::RevokeOnly) => "any, from anywhere",
                None => "no key",
            };
            (format!("{} /api{}", call.method.as_str(), call.path), access.to_owned())
        })
        .collect();
    let guide = TestApp::start().await.visitor().get("/docs").await.html().text("article");

    for (call, _) in &of_page {
        assert!(guide.contains(call.split_once(' ').unwrap().1), "{call} is not in the guide");
    }
    let mut of_page = of_page;
    of_page.sort();
    of_code.sort();
    assert_eq!(of_page, of_code);
}

#[actix_web::test]
async fn the_pages_of_the_api_have_the_fields_of_the_code_and_one_record() {
    let source = ["src/sessions/filter.rs", "src/sessions/export/query.rs"].map(read).concat();
    let of_code: BTreeSet<String> = between(&source, "reader.read(\"", "\"")
        .into_iter()
        .chain(["clientKey", "format"])
        .map(str::to_owned)
        .collect();
    let page = read("docs/api.md");
    let table = page.split("| Field | Default | Meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let of_page: BTreeSet<String> =
        rows(table).iter().flat_map(|row| code_words(row[0])).filter(|it| !it.is_empty()).collect();
    let app = TestApp::start().await;
    let guide = app.visitor().get("/docs").await.html();
    let of_guide: BTreeSet<String> =
        guide.texts("[aria-label=Parameters] tbody th code").into_iter().collect();
    assert_eq!((&of_page, &of_guide), (&of_code, &of_code));

    let record = page.split("## The session record").nth(1).unwrap().split("## Errors").next().unwrap();
    let cells: Vec<String> =
        rows(record).concat()[4..].iter().map(|cell| cell.trim_matches([' ', '`']).to_owned()).collect();
    assert_eq!(cells, guide.texts("[aria-label='Session record'] tbody :is(th, td)"));
}

#[test]
fn the_page_of_the_api_has_every_error_that_the_guide_has() {
    let words = read("src/guide/error_codes.rs");
    let of_guide: Vec<(String, String)> = between(&words, "const ERRORS", "];")[0]
        .split('(')
        .filter_map(|entry| {
            let (status, rest) = entry.split_once(',')?;
            let status: u16 = status.trim().parse().ok()?;
            Some((status.to_string(), rest.split('"').nth(1)?.to_owned()))
        })
        .collect();
    let page = read("docs/api.md");
    let of_page: Vec<(String, String)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### ")?.split_once(' '))
        .map(|(status, code)| (status.to_owned(), code.trim_matches('`').to_owned()))
        .collect();

    assert_eq!(of_page, of_guide);
}

/// Sends the request behind each example. Failures that no request can cause at once are built from the error itself.
#[actix_web::test]
async fn the_examples_of_the_api_are_its_answers() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("docs").await;
    let recorder = ada.generate_recorder("recorder").await;
    let path = "/api/sessions/export-csv-data";
    let record = |key: &str, name: &'static str, body: Value| {
        let request = app.visitor().request(Method::POST, "/api/sessions").bearer_auth(key).json(&body);
        async move { Reply::read(request.header("Idempotency-Key", name).send().await.unwrap()).await.json() }
    };
    let raw = |kind: &'static str, body: String| {
        let request = app.visitor().request(Method::POST, path).header("Content-Type", kind).body(body);
        async { Reply::read(request.send().await.unwrap()).await.json() }
    };
    let mut answers = vec![
        app.export(&[("clientKey", &key), ("page", "0"), ("format", "xml")]).await.json(),
        raw("application/json", "{".to_owned()).await,
        app.export(&[("clientKey", "")]).await.json(),
        app.visitor().get("/api/nothing").await.json(),
        app.visitor().get(path).await.json(),
        raw("application/json", " ".repeat(70_000)).await,
        raw("text/plain", "x".to_owned()).await,
    ];
    let page = read("docs/api.md");
    let blocks: Vec<Value> =
        blocks(&page, "json").iter().filter_map(|it| serde_json::from_str(it).ok()).collect();
    let (examples, [sent, answered]) = (&blocks[2..], &blocks[..2]) else { panic!("{blocks:?}") };
    let recorded = record(&recorder, "1", sent.clone()).await;
    answers.extend([
        record(&key, "2", sent.clone()).await,
        record(&recorder, "1", json!([])).await,
        record(&recorder, "2", wrong_session(sent)).await,
    ]);
    let others = [
        AppError::AddressNotAllowed([198, 51, 100, 7].into()),
        AppError::TooSlow(body::DEADLINE_SECONDS),
        AppError::OverLimit { per_minute: 600, seconds: 1 },
        AppError::broken("x"),
        AppError::Busy,
        AppError::InProgress,
        KeyChangeError::Replaced("uptok_9fK2mQx7LpRt".parse().unwrap()).into(),
    ];
    answers.extend(others.iter().map(made));

    let mut expected = answered.clone();
    expected["results"][0]["sessionId"] = recorded["results"][0]["sessionId"].clone();
    assert_eq!(recorded, expected);
    assert_eq!(examples.len(), answers.len());
    for mut answer in answers {
        let example = examples.iter().find(|it| it["code"] == answer["code"]).unwrap();
        answer["requestId"] = example["requestId"].clone();
        assert_eq!(&answer, example);
    }
}

/// `sessions` with the mistakes that the `invalid_item` example reports.
fn wrong_session(sessions: &Value) -> Value {
    let mut wrong = sessions.clone();
    wrong[0]["agent"] = wrong[0]["agentName"].take();
    wrong[0]["rating"] = json!(9);
    wrong
}

/// The problem document of this error.
fn made(error: &AppError) -> Value {
    let status = actix_web::ResponseError::status_code(error);
    json!({
        "type": format!("/docs#{}", error.code()),
        "title": status.canonical_reason().unwrap(),
        "status": status.as_u16(),
        "detail": error.to_string(),
        "code": error.code(),
        "requestId": "",
    })
}

/// Whether a file of the tests has a test with this path, such as `sessions::export::first_page_is_returned_by_default`.
fn is_test(path: &str) -> bool {
    let Some((module, name)) = path.rsplit_once("::") else { return false };
    let module = module.replace("::", "/");
    let files = ["tests/it", "tests/private_postgres"]
        .into_iter()
        .flat_map(|folder| [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")]);
    files.filter_map(|file| fs::read_to_string(file).ok()).any(|text| {
        let (before, _) = text.split_once(&format!("fn {name}(")).unwrap_or_default();
        // The attribute is at most the second line above, because a test may be async or a property.
        before.lines().rev().take(2).any(|line| line.trim().starts_with("#[") && line.ends_with("test]"))
    })
}

#[test]
fn a_test_is_found_by_its_path() {
    assert!(is_test("house::docs::a_test_is_found_by_its_path"));
    assert!(is_test("accounts::forms_have_their_labels"));
    for path in ["house::docs::is_test", "house::docs::a_test", "house::a_test_is_found_by_its_path", "docs"]
    {
        assert!(!is_test(path), "{path}");
    }
}

#[test]
fn every_promise_of_the_reliability_page_has_a_test() {
    let page = read("docs/reliability.md");
    let promises: Vec<Vec<&str>> =
        rows(&page).into_iter().filter(|row| row.len() == 3 && row[2].contains("::")).collect();
    let tables = page.matches("| Promise | Tried with | Tests |").count();
    let figures = page.split("## Memory").nth(1).unwrap().split("## ").next().unwrap();
    let figures: Vec<&str> = figures.lines().filter(|line| line.starts_with("| ")).collect();
    let all_rows = page.lines().filter(|line| line.starts_with("| ")).count();

    for test in promises.iter().flat_map(|row| code_words(row[2])) {
        assert!(is_test(&test), "docs/reliability.md names {test}");
    }
    assert_eq!(promises.len() + tables + figures.len(), all_rows, "a promise without a test");
    let performance = read("docs/performance.md");
    for figure in figures {
        assert!(performance.contains(figure), "docs/performance.md does not say: {figure}");
    }
}
