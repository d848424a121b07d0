//! Opens connections to PostgreSQL, with limits on how long each step may take.

use std::{
    io::{self, Write as _},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use diesel::{
    ConnectionError, ConnectionResult, PgConnection,
    connection::{Connection as _, InstrumentationEvent, SimpleConnection as _},
};

use super::{connect_error::ConnectError, server_process::ServerProcess, statement_clock::StatementClock};

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
}

/// A new connection.
pub(super) struct OpenedConnection {
    pub(super) connection: PgConnection,
    pub(super) clock: Arc<StatementClock>,
    pub(super) process: ServerProcess,
}

/// Opens a connection. Blocks for [`CONNECT_TIMEOUT`] at most, unless the URL allows more.
///
/// # Errors
/// If PostgreSQL cannot be reached or refuses the connection.
pub(super) fn open(url: &str, timeouts: DatabaseTimeouts) -> Result<OpenedConnection, ConnectError> {
    establish(url, timeouts).map_err(|error| ConnectError::from_message(&error.to_string()))
}

fn establish(url: &str, timeouts: DatabaseTimeouts) -> ConnectionResult<OpenedConnection> {
    let mut connection = PgConnection::establish(&with_network_timeouts(url))?;
    let statement = timeouts.statement.as_millis();
    // Half of it: an error then names the lock, and a transaction of a connection that we gave up soon ends.
    let half = statement / 2;
    connection
        .batch_execute(&format!(
            "set statement_timeout = {statement}; set lock_timeout = {half}; \
             set idle_in_transaction_session_timeout = {half}; set application_name = 'uptok'; \
             set time zone 'UTC'"
        ))
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    let process = ServerProcess::find(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    let clock = Arc::new(StatementClock::default());
    let recording = Arc::clone(&clock);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| recording.record(&event));
    Ok(OpenedConnection { connection, clock, process })
}

/// As [`open`], for a command, which may block. If a statement gets no answer, the process ends with an error and status
/// 1, because nothing else interrupts a thread that waits in libpq.
///
/// # Errors
/// As [`open`].
pub(super) fn open_for_command(url: &str, timeouts: DatabaseTimeouts) -> anyhow::Result<Box<PgConnection>> {
    let OpenedConnection { connection, clock, process } = open(url, timeouts)?;
    let watched = Arc::downgrade(&clock);
    drop(clock);
    let (url, limit) = (url.to_owned(), timeouts.answer());
    thread::Builder::new().name("database watch".to_owned()).spawn(move || {
        // Without the connection there is nothing to watch any more.
        while let Some(clock) = watched.upgrade() {
            if clock.elapsed() > limit {
                release_locks(url, timeouts, process);
                end_command(limit);
            }
            drop(clock);
            thread::sleep(MARGIN / 4);
        }
    })?;
    Ok(Box::new(connection))
}

/// Ends the server's side of a silent connection, as far as that is possible in a moment, so that the command can be run
/// again at once.
fn release_locks(url: String, timeouts: DatabaseTimeouts, process: ServerProcess) {
    let (done, is_done) = mpsc::channel::<()>();
    thread::spawn(move || {
        if let Ok(mut opened) = open(&url, timeouts) {
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
