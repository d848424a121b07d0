//! `uptok serve` with its private PostgreSQL, as a process.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use super::support::{DataDir, is_running, send_signal, wait_until};

/// Killed on drop.
struct Node {
    process: Child,
    address: String,
}

impl Node {
    /// Returns once it serves.
    fn start(data_dir: &DataDir) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut process = Command::new(env!("CARGO_BIN_EXE_uptok"))
            .arg("serve")
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .env("UPTOK_DATA_DIR", &data_dir.path)
            .env("UPTOK_LISTEN", &address)
            .env("UPTOK_WORKERS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.starts_with("Uptok is at")), "it ended early");
        Self { process, address }
    }

    fn is_ready(&self) -> bool {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer.starts_with("HTTP/1.1 200")
    }

    /// The exit status and the log, once the process has ended.
    fn wait_for_exit(&mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.process.wait().unwrap().code(), log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = (self.process.kill(), self.process.wait());
    }
}

#[test]
fn a_node_is_ready_again_after_its_postgresql_was_killed() {
    let data_dir = DataDir::new();
    let mut node = Node::start(&data_dir);
    let before = data_dir.server_pid();

    send_signal(&before, "KILL");
    wait_until("the server is restarted", || data_dir.find_server_pid().is_some_and(|pid| pid != before));
    wait_until("the node is ready", || node.is_ready());
    let restarted = data_dir.server_pid();
    send_signal(&node.process.id().to_string(), "TERM");

    let (code, log) = node.wait_for_exit();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("The private PostgreSQL has stopped; restarting it"), "{log}");
    assert!(!is_running(&restarted));
}

#[test]
fn a_node_whose_data_directory_is_deleted_ends_with_an_error_and_its_server() {
    let data_dir = DataDir::new();
    let mut node = Node::start(&data_dir);
    let server = data_dir.server_pid();

    // The server may be creating files.
    while fs::remove_dir_all(&data_dir.path).is_err() {}

    let (code, log) = node.wait_for_exit();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.lines().last().unwrap().contains("was deleted, moved or emptied"), "{log}");
    assert!(!is_running(&server));
}
