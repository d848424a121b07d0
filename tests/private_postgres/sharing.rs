//! Several processes that share one server.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use uptok::private_postgres::{DurabilityMode, PrivatePostgres};

use super::support::{DataDir, psql};

#[test]
fn the_last_process_stops_the_server() {
    let data_dir = DataDir::new();
    let first = data_dir.start().unwrap();
    let second = data_dir.start().unwrap();
    let url = first.url().to_owned();

    first.stop().unwrap();
    let while_used = psql(&url, "select 1");
    drop(second);
    let while_unused = psql(&url, "select 1");

    assert_eq!(while_used, Ok("1".to_owned()));
    assert!(while_unused.is_err());
    assert!(!data_dir.cluster().join("postmaster.pid").exists());
}

#[test]
fn committed_rows_survive_a_restart() {
    let data_dir = DataDir::new();
    let postgres = data_dir.start().unwrap();
    psql(postgres.url(), "create table saved as select 42 as answer").unwrap();
    postgres.stop().unwrap();

    let postgres = data_dir.start().unwrap();

    assert_eq!(psql(postgres.url(), "select answer from saved").unwrap(), "42");
}

#[test]
fn concurrent_starts_share_one_server() {
    let data_dir = DataDir::new();

    let servers: Vec<PrivatePostgres> = thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| data_dir.start().unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });

    let url = servers[0].url().to_owned();
    assert!(
        servers
            .iter()
            .all(|server| server.url() == url && server_start_time(server.url()) == server_start_time(&url))
    );
    drop(servers);
    assert!(psql(&url, "select 1").is_err());
}

#[test]
fn a_server_whose_owner_was_killed_is_reused_and_then_stopped() {
    OwnerProcess::run_if_child();
    let data_dir = DataDir::new();
    let test = concat!(module_path!(), "::a_server_whose_owner_was_killed_is_reused_and_then_stopped");
    let mut owner = OwnerProcess::spawn(test, &data_dir.path);
    let url = owner.url();
    let start_time = server_start_time(&url);

    let mut output = owner.kill();
    // Reading to the end and the next start would block if the server had inherited the owner's output or locks.
    output.read_to_end(&mut Vec::new()).unwrap();
    let next = data_dir.start().unwrap();

    assert_eq!(server_start_time(next.url()), start_time);
    next.stop().unwrap();
    assert!(psql(&url, "select 1").is_err());
}

#[test]
fn the_server_has_its_own_session_so_ctrl_c_does_not_reach_it() {
    let data_dir = DataDir::new();
    let _postgres = data_dir.start().unwrap();
    let pid_file = fs::read_to_string(data_dir.cluster().join("postmaster.pid")).unwrap();
    let pid = pid_file.lines().next().unwrap();

    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();

    // Format: pid (command) state parent group session …
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_eq!(session, pid, "the server should lead its own session");
}

/// Identifies a run of the server.
fn server_start_time(url: &str) -> String {
    psql(url, "select pg_postmaster_start_time()").unwrap()
}

/// A child process that runs this test binary and starts the server, so that the test can kill it.
struct OwnerProcess {
    process: Child,
    output: BufReader<ChildStdout>,
    /// Closing this makes the child stop the server and exit.
    _input: ChildStdin,
}

const OWNER_ARGUMENT: &str = "owner-of=";

impl OwnerProcess {
    fn spawn(test: &str, data_dir: &Path) -> Self {
        let (_crate, test) = test.split_once("::").unwrap();
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, &format!("{OWNER_ARGUMENT}{}", data_dir.display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let input = process.stdin.take().unwrap();
        Self { process, output, _input: input }
    }

    fn url(&mut self) -> String {
        self.output.by_ref().lines().map(Result::unwrap).find(|line| line.starts_with("postgres:")).unwrap()
    }

    fn kill(mut self) -> BufReader<ChildStdout> {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.output
    }

    /// Does nothing in the parent process. In the child, starts the server and never returns.
    fn run_if_child() {
        let Some(data_dir) =
            env::args().find_map(|argument| Some(argument.strip_prefix(OWNER_ARGUMENT)?.to_owned()))
        else {
            return;
        };
        let postgres = PrivatePostgres::start(Path::new(&data_dir), DurabilityMode::ForTests).unwrap();
        // libtest captures `println!`, so write to standard output directly.
        io::stdout().write_all(format!("{}\n", postgres.url()).as_bytes()).unwrap();
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        postgres.stop().unwrap();
        std::process::exit(0);
    }
}
