//! A real PgBouncer in front of the database of a test.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use url::Url;

use super::TestDb;

const PASSWORD: &str = "secret";
/// Another role that may use PgBouncer. A test creates it.
pub(crate) const READER: &str = "uptok_test_reader";

/// A program and the pool mode in which it works.
pub(crate) struct PgBouncerProgram {
    path: String,
    pub(crate) pool_mode: &'static str,
}

impl PgBouncerProgram {
    /// The installed one in session mode, and the one that `UPTOK_TEST_PGBOUNCER` names in transaction mode.
    pub(crate) fn all() -> Vec<Self> {
        let newer = std::env::var("UPTOK_TEST_PGBOUNCER").ok();
        let newer = newer.map(|path| Self { path, pool_mode: "transaction" });
        [Self::installed("session")].into_iter().chain(newer).collect()
    }

    pub(crate) fn installed(pool_mode: &'static str) -> Self {
        Self { path: "pgbouncer".to_owned(), pool_mode }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        // Debian installs it where only root looks.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()));
        command
    }

    /// Whether it translates the names of prepared statements in transaction mode, as 1.21 and newer do.
    pub(crate) fn knows_prepared_statements(&self) -> bool {
        let output = self.command().arg("--version").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let version = text.lines().next().unwrap().trim_start_matches("PgBouncer ").to_owned();
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap()) >= (1, 21)
    }
}

/// Killed on drop.
pub(crate) struct PgBouncer {
    process: Child,
    directory: PathBuf,
    /// The URL of the database through PgBouncer.
    pub(crate) url: String,
}

impl PgBouncer {
    /// Starts PgBouncer with a few connections per role, and these additional settings.
    pub(crate) fn start(program: &PgBouncerProgram, db: &TestDb, settings: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = std::env::temp_dir().join(format!("uptok-pgbouncer-{}", address.port()));
        fs::create_dir(&directory).unwrap();
        let direct = Url::parse(&db.url.replace("@/", "@localhost/")).unwrap();
        let (_, socket) = direct.query_pairs().find(|(name, _)| name == "host").unwrap();
        let users = directory.join("users.txt");
        fs::write(&users, format!("\"uptok\" \"{PASSWORD}\"\n\"{READER}\" \"{PASSWORD}\"\n")).unwrap();
        // In session mode each client has a connection of its own.
        let size = if program.pool_mode == "session" { 20 } else { 4 };
        let configuration = format!(
            "[databases]\n* = host={socket} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = md5\nauth_file = {}\npool_mode = {}\ndefault_pool_size = {size}\n\
             {}{settings}\n",
            address.port(),
            users.display(),
            program.pool_mode,
            user_setting(&socket),
        );
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, configuration).unwrap();
        let mut command = program.command();
        let process =
            command.arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let path = format!("{}?sslmode=disable", direct.path());
        let pgbouncer =
            Self { process, directory, url: format!("postgres://uptok:{PASSWORD}@{address}{path}") };
        while TcpStream::connect(address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        pgbouncer
    }

    /// The URL for [`READER`].
    pub(crate) fn reader_url(&self) -> String {
        self.url.replacen("uptok", READER, 1)
    }
}

/// PgBouncer does not run as root. Then it becomes the account that may use the socket of PostgreSQL.
fn user_setting(socket: &str) -> String {
    let owner = fs::metadata(socket).unwrap().uid();
    if fs::metadata("/proc/self").unwrap().uid() != 0 || owner == 0 {
        return String::new();
    }
    let name = Command::new("id").args(["--name", "--user", &owner.to_string()]).output().unwrap();
    format!("user = {}\n", String::from_utf8(name.stdout).unwrap().trim())
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}
