//! No message repeats the value of a setting: it may be a secret, or a part of one in the wrong place.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::ffi::OsStringExt as _,
    process::{Child, Command, Stdio},
};

use clap::Args as _;
use uptok::config::Settings;

use crate::support::{TestDb, database_url::replace_role};

/// Found in no message of any program.
const CANARY: &str = "c4n4ry";
const SECRET: &str = "the secret of this test, 32 characters or more";
/// Nothing listens there.
const NO_DATABASE: &str = "postgres://127.0.0.1:1/none";

/// Values that some setting refuses, each with canaries wherever a message could quote a part.
const MALFORMED: [&str; 8] = [
    "c4n4ry",
    "-c4n4ry",
    "4444444444c4n4ry",
    " c4n4ry,127.0.0.1:c4n4ry,10.0.0.0/c4n4ry",
    "=c4n4ry=",
    "[{c4n4ry=c4n4ry(}]=c4n4ry,c4n4ry[=info",
    "https://c4n4ry:c4n4ry@c4n4ry/c4n4ry?c4n4ry=c4n4ry#c4n4ry",
    "'c4n4ry\n\"c4n4ry\u{e9}\u{202e}",
];

/// Values of `DATABASE_URL` that cannot be parsed, reach nothing, or are refused by the server. `$socket` is the directory
/// of a running server's socket.
const DATABASE_URLS: [&str; 26] = [
    "postgres://c4n4ry:c4n4ry/c4n4ry@localhost/c4n4ry",
    "postgres://c4n4ry:c4n4ry@c4n4ry@localhost/c4n4ry",
    "postgres://c4n4ry:c4n4ry?c4n4ry@localhost/c4n4ry",
    "postgres://c4n4ry:c4n4ry#c4n4ry@localhost/c4n4ry",
    "postgres://c4n4ry:%c4n4ry%zz@localhost/c4n4ry",
    "postgres://c4n4ry:%00c4n4ry@localhost/c4n4ry",
    "postgres://c4n4ry:c4n4ry@localhost:c4n4ry/c4n4ry",
    "postgres://c4n4ry:c4n4ry@localhost:444444/c4n4ry",
    "postgres://c4n4ry:c4n4ry@[c4n4ry/c4n4ry",
    "postgres://c4n4ry:c4n4ry@[::1]c4n4ry/c4n4ry",
    "postgres://c4n4ry:c4n4ry@[]c4n4ry/c4n4ry",
    "postgres://c4n4ry:c4n4ry@c4n4ry.invalid/c4n4ry",
    "postgres://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry",
    "postgres://c4n4ry:c4n4ry@/c4n4ry?host=127.0.0.1,127.0.0.1&port=1,2,3",
    "postgres://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry?c4n4ry=c4n4ry",
    "postgres://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry?sslmode=c4n4ry",
    "postgres://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry?c4n4ry",
    "postgres://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry?a=b=c4n4ry",
    "postgres://127.0.0.1:1/c4n4ry?sslmode=verify-full&sslrootcert=/c4n4ry",
    "postgres://c4n4ry@/c4n4ry?host=%2Fc4n4ry",
    "postgres://?service=c4n4ry",
    "host=c4n4ry password='c4n4ry",
    "c4n4ry=c4n4ry",
    "mysql://c4n4ry:c4n4ry@127.0.0.1:1/c4n4ry",
    "postgres://c4n4ry:c4n4ry@/uptok?host=$socket&port=5432",
    "postgres://uptok:c4n4ry@/c4n4ry?host=$socket&port=5432",
];

fn settings() -> clap::Command {
    Settings::augment_args(clap::Command::new("uptok"))
}

/// Runs `uptok migrate`, which reads every setting and ends at the latest when it cannot reach the database.
fn run_migrate(change: impl FnOnce(&mut Command)) -> (bool, String) {
    let mut command = uptok("migrate");
    command.env("DATABASE_URL", NO_DATABASE).env("UPTOK_LOG", "trace");
    change(&mut command);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn uptok(subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg(subcommand).env_clear().env("UPTOK_SECRET", SECRET);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
}

#[track_caller]
fn assert_no_canary(text: &str, about: &str) {
    assert!(!text.to_lowercase().contains(CANARY), "{about}: {text}");
    assert!(!text.contains("panicked"), "{about}: {text}");
}

#[test]
fn no_malformed_setting_is_repeated() {
    for setting in settings().get_arguments() {
        let (variable, option) = (setting.get_env().unwrap(), setting.get_long().unwrap());
        for value in MALFORMED {
            let (is_successful, text) = run_migrate(|command| _ = command.env(variable, value));

            assert!(!is_successful && !text.is_empty(), "{option} {value:?}");
            assert_no_canary(&text, &format!("{option} {value:?}"));
        }
        for arguments in [vec![format!("--{option}=-c4n4ry")], vec![format!("--{option}"), CANARY.to_owned()]]
        {
            let (is_successful, text) = run_migrate(|command| _ = command.args(&arguments));

            assert!(!is_successful && !text.is_empty(), "{arguments:?}");
            assert_no_canary(&text, &arguments.join(" "));
        }
    }
}

#[test]
fn a_value_that_is_not_utf8_is_refused_with_the_name_of_its_setting() {
    let value = OsString::from_vec([CANARY.as_bytes(), b"\xff"].concat());
    for setting in settings().get_arguments() {
        let variable = setting.get_env().unwrap();

        let (is_successful, text) = run_migrate(|command| _ = command.env(variable, &value));

        assert!(!is_successful);
        assert_no_canary(&text, setting.get_id().as_str());
        // A path need not be UTF-8.
        let named = if variable == "UPTOK_DATA_DIR" { "DATABASE_URL" } else { variable.to_str().unwrap() };
        assert!(text.contains(named), "{text}");
    }
}

#[test]
fn a_malformed_setting_is_named_with_the_problem() {
    for (variable, value, problem) in [
        ("DATABASE_URL", "postgres://uptok:hunter2/rest@localhost/uptok", "percent-encode"),
        ("DATABASE_URL", "postgres://uptok:hunter%2@localhost/uptok", "%25"),
        ("DATABASE_URL", "postgres://uptok:hunter2@127.0.0.1:1/uptok", "nothing listens"),
        ("DATABASE_URL", "hunter2", "postgres://user:password@host:port/database"),
        ("UPTOK_SECRET", "hunter2", "at least 32 characters"),
        ("UPTOK_LISTEN", "hunter2", "socket address"),
        ("UPTOK_PUBLIC_URL", "hunter2", "not a URL"),
        ("UPTOK_CORS_ORIGINS", "https://a.example,hunter2", "not a URL"),
        ("UPTOK_TRUSTED_PROXIES", "hunter2", "10.0.0.0/8"),
        ("UPTOK_SIGN_UP", "hunter2", "use one of first, open, closed"),
        ("UPTOK_SIGN_UP", "", "a value is missing"),
        ("UPTOK_METERING", "hunter2", "use one of on, off"),
        ("UPTOK_LOG_FORMAT", "hunter2", "use one of text, json"),
        ("UPTOK_DATABASE_CONNECTIONS", "101", "a whole number from 1 to 100"),
        ("UPTOK_WORKERS", "hunter2", "a whole number from 1 to 256"),
        ("UPTOK_LOGINS_PER_MINUTE", "0", "a whole number from 1 to 4294967295"),
        ("UPTOK_SMTP_URL", "mail.example.org", "smtps://user:password@host"),
        ("UPTOK_SMTP_URL", "smtp://uptok:hunter2@mail.example.org", "a password needs TLS"),
        ("UPTOK_SMTP_URL", "smtps://uptok:hunter2%zz@mail.example.org", "wrong percent-encoding"),
        ("UPTOK_MAIL_FROM", "hunter2", "Uptok <keys@example.org>"),
        ("UPTOK_OPERATOR_EMAIL", "hunter2", "help@example.org"),
        ("UPTOK_LOG", "=hunter2=", "log filter"),
    ] {
        let (is_successful, text) = run_migrate(|command| _ = command.env(variable, value));

        assert!(!is_successful && text.contains(variable) && text.contains(problem), "{variable}: {text}");
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn an_unusable_data_directory_is_refused_without_repeating_its_path() {
    let long = format!("/tmp/{}", CANARY.repeat(60));
    for path in ["/dev/null/c4n4ry", long.as_str()] {
        for subcommand in ["migrate", "database-url"] {
            let output = uptok(subcommand).env("UPTOK_DATA_DIR", path).output().unwrap();

            let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!output.status.success() && text.contains("UPTOK_DATA_DIR"), "{text}");
            assert_no_canary(&text, path);
        }
    }
}

#[test]
fn no_part_of_a_database_url_is_repeated() {
    let db = TestDb::new();
    let socket = db.url.split("host=").nth(1).unwrap().split('&').next().unwrap();
    for url in DATABASE_URLS {
        let url = url.replace("$socket", socket);

        let (is_successful, text) = run_migrate(|command| _ = command.env("DATABASE_URL", &url));

        assert!(!is_successful && text.contains("DATABASE_URL: cannot connect"), "{url}: {text}");
        assert_no_canary(&text, &url);
    }
}

#[test]
fn no_value_in_the_wrong_place_is_repeated() {
    for arguments in [
        vec!["c4n4ry"],
        vec!["serve", "c4n4ry"],
        vec!["serve", "--", "c4n4ry"],
        vec!["serve", "--database-url", "--c4n4ry"],
        vec!["serve", "--secret", "-c4n4ry"],
        vec!["serve", "--secert=c4n4ry"],
        vec!["serve", "--secert", "c4n4ry"],
        vec!["serve", "--demo=c4n4ry"],
        vec!["serve", "--secret", "c4n4ry", "--secret", "c4n4ry"],
        vec!["user", "c4n4ry"],
        vec!["user", "role", "--email", "c4n4ry", "--client", "c4n4ry", "--role", "c4n4ry"],
        vec!["keys", "delete", "c4n4ry", "c4n4ry"],
        vec!["import", "--client", "c4n4ry", "c4n4ry"],
        vec!["erase", "--email", "c4n4ry"],
        vec!["clusters", "remove", "c4n4ry"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_uptok")).args(&arguments).output().unwrap();

        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && text.starts_with("uptok: "), "{arguments:?}: {text}");
        assert_no_canary(&text, &arguments.join(" "));
    }
}

#[test]
fn a_mistyped_option_and_command_are_recognized() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_uptok")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };

    let option = run(&["serve", "--lisen", "127.0.0.1:80"]);
    let command = run(&["serv"]);
    let missing = run(&["keys", "list"]);

    assert_eq!((option.0, command.0, missing.0), (Some(2), Some(2), Some(2)));
    assert!(option.1.contains("there is no option --lisen; did you mean --listen?"), "{}", option.1);
    assert!(command.1.contains("there is no such command; did you mean serve?"), "{}", command.1);
    assert!(missing.1.contains("--client <CLIENT> is missing"), "{}", missing.1);
}

#[test]
fn the_help_shows_no_value_of_a_setting() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["-h"], &[]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
        for setting in settings().get_arguments() {
            command.env(setting.get_env().unwrap(), CANARY);
        }

        let output = command.args(arguments).output().unwrap();

        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains("UPTOK_LISTEN") || arguments.is_empty(), "{text}");
        assert_no_canary(&text, &format!("{arguments:?}"));
    }
}

#[test]
fn the_help_of_a_command_shows_its_own_options_and_where_the_settings_are() {
    for arguments in
        [&["keys", "--help"][..], &["keys", "create", "--help"], &["import", "-h"], &["help", "user", "add"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_uptok")).args(arguments).output().unwrap();

        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("`uptok --help`"), "{arguments:?}: {text}");
        for setting in settings().get_arguments() {
            let option = format!("--{} ", setting.get_long().unwrap());
            assert!(!text.contains(&option), "{arguments:?}: {option}");
        }
    }
}

/// Killed on drop.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// The server trusts everybody on its socket, so the password does not matter.
#[test]
fn the_log_repeats_no_setting_while_the_database_refuses_its_user() {
    let db = TestDb::new();
    // Roles belong to the whole server, so the name must differ from those of other tests.
    let role = format!("{CANARY}_node");
    db.execute(&format!("drop role if exists {role}"));
    db.execute(&format!("create role {role} login superuser"));
    let path = std::env::temp_dir().join(format!("uptok-settings-{}.log", std::process::id()));
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut serve = uptok("serve");
    serve
        .env("DATABASE_URL", replace_role(&db.url, &role, CANARY))
        .env("UPTOK_SECRET", CANARY.repeat(8))
        .env("UPTOK_LISTEN", &address)
        .env("UPTOK_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(File::create(&path).unwrap());
    let mut node = Node(serve.spawn().unwrap());
    let mut lines = BufReader::new(node.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Uptok is at")));

    let while_allowed = ask_readyz(&address);
    db.execute(&format!("alter role {role} nologin"));
    db.terminate_connections();
    let while_refused = ask_readyz(&address);
    Command::new("kill").args(["-TERM", &node.0.id().to_string()]).status().unwrap();
    node.0.wait().unwrap();

    let log = fs::read_to_string(&path).unwrap();
    fs::remove_file(path).unwrap();
    db.execute(&format!("drop role {role}"));
    assert!(while_allowed.starts_with("HTTP/1.1 200"), "{while_allowed}");
    assert!(while_refused.starts_with("HTTP/1.1 503"), "{while_refused}");
    assert!(log.contains("PostgreSQL refuses the user"), "{log}");
    assert_no_canary(&log, "log");
}

fn ask_readyz(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
