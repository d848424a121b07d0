//! Opens connections to PostgreSQL, with limits on how long each step may take.

use std::{
    io::{self, Write as _},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use diesel::{
    ConnectionError, ConnectionResult, PgConnection, QueryResult,
    connection::{Connection as _, InstrumentationEvent, SimpleConnection as _},
};

use super::{
    connect_error::ConnectError, distribution::DataPlacement, pooler, reachability::Reachability,
    server_process::ServerProcess, statement_clock::StatementClock,
};

/// How much later than PostgreSQL we end a statement, so that a server that still answers does it first.
const MARGIN: Duration = Duration::from_secs(1);
/// Longest time for an idle connection to show that it still answers.
const PING_MAX: Duration = Duration::from_secs(2);

/// After this time without traffic the kernel probes whether the other side is still there.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// Time between probes that are not answered.
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Number of unanswered probes after which the kernel ends the connection.
pub(super) const KEEPALIVE_COUNT: u32 = 3;
/// The kernel ends a connection whose data was not acknowledged for this long.
pub(super) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for opening a connection, on each address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long each step of using a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseTimeouts {
    /// For a connection to become free, and for a new one to open.
    pub wait: Duration,
    /// PostgreSQL cancels a statement that takes longer.
    pub statement: Duration,
}

impl DatabaseTimeouts {
    /// For an idle connection to show that it still answers.
    pub(super) fn ping(self) -> Duration {
        self.wait.min(PING_MAX)
    }

    /// For the answer to a statement. PostgreSQL has canceled it before.
    pub(super) fn answer(self) -> Duration {
        self.statement + MARGIN
    }

    /// Settings of PostgreSQL, in milliseconds.
    pub(super) fn settings(self) -> [(&'static str, u128); 3] {
        let statement = self.statement.as_millis();
        // Half of it: an error then names the lock, and a transaction of a connection that we gave up soon ends.
        let half = statement / 2;
        [
            ("statement_timeout", statement),
            ("lock_timeout", half),
            ("idle_in_transaction_session_timeout", half),
        ]
    }
}

/// The database of this process.
pub(super) struct DatabaseTarget {
    /// With the time limits of the network.
    url: String,
    pub(super) timeouts: DatabaseTimeouts,
    /// Known once a connection was opened.
    is_pooled: OnceLock<bool>,
    /// Asked again by every new connection, because tables may be distributed while a process runs.
    is_distributed: AtomicBool,
    pub(super) reachability: Mutex<Reachability>,
}

/// A new connection.
pub(super) struct OpenedConnection {
    pub(super) connection: PgConnection,
    pub(super) clock: Arc<StatementClock>,
    /// Unknown behind a pooler, where it changes.
    pub(super) process: Option<ServerProcess>,
}

impl DatabaseTarget {
    pub(super) fn new(url: &str, timeouts: DatabaseTimeouts) -> Self {
        let url = with_network_timeouts(url);
        Self {
            url,
            timeouts,
            is_pooled: OnceLock::new(),
            is_distributed: AtomicBool::new(false),
            reachability: Mutex::default(),
        }
    }

    /// Where the rows of clients are. On one server until a connection was opened.
    pub(super) fn data_placement(&self) -> DataPlacement {
        if self.is_distributed.load(Ordering::Relaxed) {
            DataPlacement::ByClient
        } else {
            DataPlacement::OneServer
        }
    }

    /// Whether a pooler is in between. `None` until a connection was opened.
    pub(super) fn is_pooled(&self) -> Option<bool> {
        self.is_pooled.get().copied()
    }

    /// Opens a connection. Blocks for [`CONNECT_TIMEOUT`] at most, unless the URL allows more.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached or refuses the connection.
    pub(super) fn open(&self) -> Result<OpenedConnection, ConnectError> {
        Ok(self.establish()?)
    }

    fn establish(&self) -> ConnectionResult<OpenedConnection> {
        let is_pooled = self.detect_pooler()?;
        let mut connection = PgConnection::establish(&self.url)?;
        let process = prepare(&mut connection, is_pooled, self.timeouts)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        let placement =
            DataPlacement::load(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
        self.is_distributed.store(placement == DataPlacement::ByClient, Ordering::Relaxed);
        let clock = Arc::new(StatementClock::default());
        let recording = Arc::clone(&clock);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| recording.record(&event));
        Ok(OpenedConnection { connection, clock, process })
    }

    fn detect_pooler(&self) -> ConnectionResult<bool> {
        if let Some(known) = self.is_pooled() {
            return Ok(known);
        }
        let is_pooled = pooler::is_in_between(&self.url)?;
        Ok(*self.is_pooled.get_or_init(|| is_pooled))
    }

    /// As [`Self::open`], for a command, which may block. If a statement gets no answer, the process ends with an error
    /// and status 1, because nothing else interrupts a thread that waits in libpq.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_for_command(self: &Arc<Self>) -> anyhow::Result<Box<PgConnection>> {
        let OpenedConnection { connection, clock, process } = self.open()?;
        let watched = Arc::downgrade(&clock);
        drop(clock);
        let (target, limit) = (Arc::clone(self), self.timeouts.answer());
        thread::Builder::new().name("database watch".to_owned()).spawn(move || {
            // Without the connection there is nothing to watch any more.
            while let Some(clock) = watched.upgrade() {
                if clock.elapsed() > limit {
                    release_locks(target, process);
                    end_command(limit);
                }
                drop(clock);
                thread::sleep(MARGIN / 4);
            }
        })?;
        Ok(Box::new(connection))
    }
}

/// Opens a connection without settings.
///
/// # Errors
/// As [`DatabaseTarget::open`].
pub(super) fn connect(url: &str) -> Result<PgConnection, ConnectError> {
    Ok(PgConnection::establish(&with_network_timeouts(url))?)
}

/// Sets what every connection needs. Behind a pooler the timeouts are settings of the role, and the others are two that
/// it keeps apart for each client.
fn prepare(
    connection: &mut PgConnection,
    is_pooled: bool,
    timeouts: DatabaseTimeouts,
) -> QueryResult<Option<ServerProcess>> {
    let own = "set application_name = 'uptok'; set time zone 'UTC'";
    if is_pooled {
        connection.batch_execute(own)?;
        return Ok(None);
    }
    let timeouts = timeouts.settings().map(|(name, milliseconds)| format!("set {name} = {milliseconds}; "));
    connection.batch_execute(&format!("{}{own}", timeouts.concat()))?;
    ServerProcess::find(connection).map(Some)
}

/// Ends the server's side of a silent connection, as far as that is possible in a moment, so that the command can be run
/// again at once.
fn release_locks(target: Arc<DatabaseTarget>, process: Option<ServerProcess>) {
    let Some(process) = process else { return };
    let (done, is_done) = mpsc::channel::<()>();
    thread::spawn(move || {
        if let Ok(mut opened) = target.open() {
            let _is_over_anyway = process.terminate(&mut opened.connection);
        }
        drop(done);
    });
    let _done_or_elapsed = is_done.recv_timeout(PING_MAX);
}

fn end_command(limit: Duration) -> ! {
    // If standard error is closed, the error cannot be reported anywhere.
    let _ignored = writeln!(
        io::stderr(),
        "uptok: PostgreSQL has not answered for {} seconds. Check that it runs, then run the command again.",
        limit.as_secs()
    );
    std::process::exit(1)
}

/// Adds time limits for the network to `url`. Those that it already has stay, because libpq uses the last one.
pub(super) fn with_network_timeouts(url: &str) -> String {
    let limits = [
        ("connect_timeout", CONNECT_TIMEOUT.as_secs().to_string()),
        ("keepalives_idle", KEEPALIVE_IDLE.as_secs().to_string()),
        ("keepalives_interval", KEEPALIVE_INTERVAL.as_secs().to_string()),
        ("keepalives_count", KEEPALIVE_COUNT.to_string()),
        ("tcp_user_timeout", TCP_USER_TIMEOUT.as_millis().to_string()),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    let Some(authority) = ["postgres://", "postgresql://"].iter().find_map(|it| url.strip_prefix(it)) else {
        // Pairs of name and value.
        return format!("{} {url}", limits.join(" "));
    };
    // A password may contain a question mark. It ends at the first `@` before the path.
    let user = authority.find(['@', '/']).filter(|at| authority[*at..].starts_with('@')).unwrap_or(0);
    let limits = limits.join("&");
    match authority[user..].find('?') {
        Some(question_mark) => {
            let end = url.len() - authority.len() + user + question_mark + 1;
            format!("{}{limits}&{}", &url[..end], &url[end..])
        }
        None => format!("{url}?{limits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str =
        "connect_timeout=5&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=10000";

    #[test]
    fn network_timeouts_come_before_what_the_url_says() {
        for (url, expected) in [
            ("postgres://uptok@db:5432/uptok", format!("postgres://uptok@db:5432/uptok?{LIMITS}")),
            ("postgresql://", format!("postgresql://?{LIMITS}")),
            (
                "postgres://uptok@/uptok?host=%2Ftmp&port=1",
                format!("postgres://uptok@/uptok?{LIMITS}&host=%2Ftmp&port=1"),
            ),
            ("postgres:///uptok?host=a@b", format!("postgres:///uptok?{LIMITS}&host=a@b")),
            ("postgres://uptok:a?b@db/uptok", format!("postgres://uptok:a?b@db/uptok?{LIMITS}")),
            (
                "postgres://uptok:a?b@db/uptok?connect_timeout=9",
                format!("postgres://uptok:a?b@db/uptok?{LIMITS}&connect_timeout=9"),
            ),
            ("host=db dbname=uptok", format!("{} host=db dbname=uptok", LIMITS.replace('&', " "))),
        ] {
            assert_eq!(with_network_timeouts(url), expected);
        }
    }
}
