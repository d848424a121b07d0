//! Data directories that are deleted, moved or replaced while their server runs, and clusters that remain.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::geteuid;
use uptok::private_postgres::{PrivatePostgres, SupervisionTimes};

use super::support::{DataDir, is_running, psql, wait_until};

fn run_clusters(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    let output = command.arg("clusters").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The line of the list about the cluster in `directory`.
fn find_in_list(directory: &Path) -> Option<String> {
    let (is_successful, list) = run_clusters(&["list"]);
    assert!(is_successful, "{list}");
    let directory = directory.to_str().unwrap();
    list.lines().find(|line| line.split('\t').nth(3) == Some(directory)).map(str::to_owned)
}

/// Deletes the data directory, or what contains it, without the server's knowledge.
fn delete(path: &Path) {
    // A running server may be creating files.
    while fs::remove_dir_all(path).is_err() {}
}

/// Keeps the server running when its files are deleted. It would fail soon if a background process were still starting, or
/// had to create a file of the write-ahead log.
fn prepare_for_deletion(postgres: &PrivatePostgres) {
    let sql =
        "select count(*) from pg_stat_activity where wait_event in ('AutoVacuumMain', 'LogicalLauncherMain')";
    wait_until("its background processes are idle", || psql(postgres.url(), sql).unwrap() == "2");
    psql(postgres.url(), "select pg_switch_wal()").unwrap();
    psql(postgres.url(), "checkpoint").unwrap();
}

/// A cluster outside its data directory, which only root has. Removed on drop, whatever the test did.
struct LinkedCluster(Option<PathBuf>);

impl LinkedCluster {
    fn from_data_dir(data_dir: &DataDir) -> Self {
        Self(data_dir.cluster().read_link().ok())
    }
}

impl Drop for LinkedCluster {
    fn drop(&mut self) {
        let Some(directory) = self.0.as_ref().filter(|directory| directory.exists()) else { return };
        run_clusters(&["remove", directory.file_name().unwrap().to_str().unwrap()]);
    }
}

#[test]
fn deleting_the_data_directory_ends_the_server_and_says_so() {
    for data_dir in [DataDir::new(), DataDir::private()] {
        let mut postgres = data_dir.start().unwrap();
        let linked = LinkedCluster::from_data_dir(&data_dir);
        let failure = postgres.supervise(SupervisionTimes::default()).unwrap();
        let pid = data_dir.server_pid();

        delete(&data_dir.path);
        let reason = failure.blocking_recv().unwrap().to_string();
        drop(postgres);

        assert!(reason.contains(data_dir.path.to_str().unwrap()), "{reason}");
        assert!(reason.contains("was deleted, moved or emptied"), "{reason}");
        if let Some(directory) = &linked.0 {
            assert!(reason.contains(directory.to_str().unwrap()), "{reason}");
        }
        assert!(!is_running(&pid), "the server should end with the last process");
    }
}

#[test]
fn emptying_the_data_directory_ends_the_server_and_says_so() {
    let data_dir = DataDir::private();
    let mut postgres = data_dir.start().unwrap();
    let linked = LinkedCluster::from_data_dir(&data_dir);
    let failure = postgres.supervise(SupervisionTimes::default()).unwrap();
    let pid = data_dir.server_pid();

    for entry in data_dir.path.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() { delete(&path) } else { fs::remove_file(&path).unwrap() }
    }
    let reason = failure.blocking_recv().unwrap().to_string();
    drop(postgres);

    assert!(reason.contains("was deleted, moved or emptied"), "{reason}");
    assert!(!is_running(&pid));
    drop(linked);
}

#[test]
fn a_server_without_supervisor_ends_with_its_process_even_if_its_data_directory_is_gone() {
    for data_dir in [DataDir::new(), DataDir::private(), DataDir::with_name("with space")] {
        let postgres = data_dir.start().unwrap();
        let _linked = LinkedCluster::from_data_dir(&data_dir);
        let pid = data_dir.server_pid();
        delete(&data_dir.root);

        postgres.stop().unwrap();

        assert!(!is_running(&pid));
    }
}

#[test]
fn a_new_server_in_the_place_of_a_deleted_one_keeps_running() {
    let data_dir = DataDir::new();
    let old = data_dir.start().unwrap();
    let old_pid = data_dir.server_pid();
    prepare_for_deletion(&old);
    delete(&data_dir.path);
    let new = data_dir.start().unwrap();
    assert!(is_running(&old_pid), "the old server should run until it is stopped");

    old.stop().unwrap();

    assert!(!is_running(&old_pid));
    assert_eq!(psql(new.url(), "select 1").unwrap(), "1");
}

#[test]
fn a_linked_cluster_is_listed_and_removed_once_its_data_directory_is_gone() {
    let data_dir = DataDir::private();
    let postgres = data_dir.start().unwrap();
    let linked = LinkedCluster::from_data_dir(&data_dir);
    let Some(directory) = linked.0.clone() else {
        assert!(!geteuid().is_root(), "only the cluster of root is elsewhere");
        return;
    };
    let id = directory.file_name().unwrap().to_str().unwrap();

    let used = find_in_list(&directory);
    let refusal = run_clusters(&["remove", id]);
    // The process that started it is killed, so nobody stops it.
    let pid = data_dir.server_pid();
    std::mem::forget(postgres);
    delete(&data_dir.path);
    let unused = find_in_list(&directory).unwrap();
    let removal = run_clusters(&["remove", id]);

    assert_eq!(used, None);
    assert!(!refusal.0 && refusal.1.contains("still uses"), "{}", refusal.1);
    assert!(unused.starts_with(&format!("{id}\trunning\t")), "{unused}");
    assert!(unused.ends_with(&format!("\t{}", data_dir.path.display())), "{unused}");
    assert_eq!(removal, (true, format!("{} is removed\n", directory.display())));
    assert!(!is_running(&pid) && !directory.exists() && find_in_list(&directory).is_none());
    assert!(directory.with_extension("data-dir").symlink_metadata().is_err());
    assert!(!run_clusters(&["remove", id]).0);
}

#[test]
fn a_moved_data_directory_keeps_its_linked_cluster() {
    let data_dir = DataDir::private();
    data_dir.start().unwrap().stop().unwrap();
    let linked = LinkedCluster::from_data_dir(&data_dir);
    let moved = DataDir::private();
    fs::rename(&data_dir.path, &moved.path).unwrap();

    let postgres = moved.start().unwrap();

    assert_eq!(psql(postgres.url(), "select 1").unwrap(), "1");
    if let Some(directory) = &linked.0 {
        assert_eq!(find_in_list(directory), None);
        assert_eq!(directory.with_extension("data-dir").read_link().unwrap(), moved.path);
    }
}

#[test]
fn destroying_a_data_directory_leaves_nothing_behind() {
    let data_dir = DataDir::private();
    let postgres = data_dir.start().unwrap();
    let linked = LinkedCluster::from_data_dir(&data_dir);
    let pid = data_dir.server_pid();

    PrivatePostgres::destroy(&data_dir.path).unwrap();
    drop(postgres);

    assert!(!is_running(&pid) && !data_dir.path.exists());
    if let Some(directory) = &linked.0 {
        assert!(!directory.exists() && directory.with_extension("data-dir").symlink_metadata().is_err());
    }
}
