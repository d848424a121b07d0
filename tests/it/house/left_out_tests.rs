//! The list of tests that `make test-distributed` leaves out.

use std::{fs, process::Command};

#[test]
fn every_left_out_test_exists_and_has_a_reason() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--list", "--format", "terse"]).output().unwrap();
    let tests = String::from_utf8(output.stdout).unwrap();
    let list = fs::read_to_string("tests/distributed/left-out.txt").unwrap();
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();

    assert!(!lines.is_empty());
    for line in lines {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        assert!(reason.ends_with('.'), "{name} has no reason");
        assert!(tests.contains(name), "there is no test {name}");
    }
}
