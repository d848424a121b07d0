//! Why no connection to PostgreSQL could be opened, without repeating the database URL.
//!
//! The messages of libpq and PostgreSQL quote what they are about: a host, a user, or part of a password that was not
//! percent-encoded. Every message is therefore replaced with one of the sentences below.

use diesel::ConnectionError;

/// Carries only fixed text, so it may be printed and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect to PostgreSQL: {0}")]
pub struct ConnectError(&'static str);

impl ConnectError {
    pub(super) const NO_PREPARED_STATEMENTS: Self = Self(
        "the connection pooler loses prepared statements; use PgBouncer 1.21 or newer with max_prepared_statements above 0, \
         or set pool_mode = session",
    );
    pub(super) const POOLER_IS_FULL: Self =
        Self("the connection pooler has no free connection to PostgreSQL; raise its default_pool_size");

    /// Replaces a message of libpq, PostgreSQL or the operating system.
    #[must_use]
    pub fn from_message(message: &str) -> Self {
        let cause = CAUSES.iter().find(|(parts, _)| parts.iter().all(|part| message.contains(part)));
        Self(cause.map_or(UNKNOWN, |(_, sentence)| sentence))
    }
}

impl From<ConnectionError> for ConnectError {
    fn from(error: ConnectionError) -> Self {
        Self::from_message(&error.to_string())
    }
}

const UNKNOWN: &str = "`psql` with the same URL shows why";
const NOT_ENCODED: &str = "the port or another number in the URL is not a number; if the user or the password contains \
                           one of / ? # @ : or %, percent-encode it, for example / as %2F";
const NOT_A_URL: &str = "the URL is malformed; write it as postgres://user:password@host:port/database";
const BAD_PARAMETER: &str = "a parameter after the ? of the URL is unknown, has no value or an invalid one";
const BAD_IPV6: &str = "an IPv6 address in the URL is malformed; write it in brackets, such as [::1]";
const NO_ROUTE: &str = "the host in the URL cannot be reached from here";
const TIMEOUT: &str = "the host in the URL does not answer";
const NOT_READY: &str = "PostgreSQL is starting or stopping; try again in a moment";
const NO_SLOT: &str = "PostgreSQL has no free connection for this user and database";
const POOLER_NO_SLOT: &str = "the connection pooler has no free connection for this user and database";
const TLS: &str = "no TLS connection as the URL asks for; check sslmode and the certificates";
const REFUSED_USER: &str = "PostgreSQL refuses the user or the password in the URL";

/// Parts that a message contains, and what it means. The first match counts, so messages that also contain the parts of
/// another one come before it.
const CAUSES: [(&[&str], &str); 44] = [
    // Parsing the URL, from libpq
    (
        &["percent-encoded"],
        "a % in the URL is not followed by two hexadecimal digits; write a literal % as %25",
    ),
    (&["invalid port number"], NOT_ENCODED),
    (&["invalid integer value"], NOT_ENCODED),
    (&["IPv6 host address"], BAD_IPV6),
    (&["could not parse network address"], BAD_IPV6),
    (&["unexpected character", "in URI"], NOT_ENCODED),
    (&["URI query parameter"], BAD_PARAMETER),
    (&["invalid connection option"], BAD_PARAMETER),
    (&["unexpected spaces found"], "the URL contains a space; write it as %20"),
    (&["connection info string"], NOT_A_URL),
    (&["definition of service"], "the URL names a service that is not defined"),
    (&["nul byte found"], NOT_A_URL),
    (&["host names to"], "the URL does not have as many addresses as hosts"),
    (&["port numbers to"], "the URL does not have as many ports as hosts"),
    (&["socket path", "too long"], "the path of the socket in the URL is too long"),
    // Answers of PgBouncer, which then closes the connection
    (
        &["startup parameter"],
        "the connection pooler refuses a parameter of the URL; leave it out or add it to ignore_startup_parameters",
    ),
    (
        &["statement pooling mode"],
        "the connection pooler refuses transactions; set its pool_mode to transaction or session",
    ),
    (&["no such database"], "the connection pooler does not know the database in the URL"),
    (&["no more connections allowed"], POOLER_NO_SLOT),
    (&["query_wait_timeout"], POOLER_NO_SLOT),
    (&["server_login_retry"], "the connection pooler cannot connect to PostgreSQL; its log shows why"),
    // Reaching the server
    (
        &["could not translate host name"],
        "the host name in the URL cannot be resolved; if the user or the password contains / or @, percent-encode it, for \
         example @ as %40",
    ),
    (&["Connection refused"], "nothing listens at the host and port in the URL; is PostgreSQL running?"),
    (
        &["No such file or directory"],
        "there is no socket or file at a path in the URL; is PostgreSQL running?",
    ),
    (&["Permission denied"], "a socket or file in the URL may not be opened by this user"),
    (&["No route to host"], NO_ROUTE),
    (&["etwork is unreachable"], NO_ROUTE),
    (&["timeout expired"], TIMEOUT),
    (&["onnection timed out"], TIMEOUT),
    (&["peration timed out"], TIMEOUT),
    (
        &["server closed the connection"],
        "the server closed the connection; is PostgreSQL at this host and port?",
    ),
    // Answers of PostgreSQL
    (&["authentication failed"], REFUSED_USER),
    (&["no password supplied"], "PostgreSQL asks for a password, and the URL has none"),
    (&["role", "does not exist"], REFUSED_USER),
    (&["not permitted to log in"], REFUSED_USER),
    (&["database", "does not exist"], "the database in the URL does not exist"),
    (&["pg_hba.conf"], "pg_hba.conf of PostgreSQL does not allow this user, database and address"),
    (&["too many"], NO_SLOT),
    (&["connection slots"], NO_SLOT),
    (&["the database system is"], NOT_READY),
    (&["not currently accepting connections"], "the database in the URL does not accept connections"),
    // TLS
    (&["SSL"], TLS),
    (&["certificate"], TLS),
    // From the pool, which appends one of the above if it knows more
    (&["timed out waiting for connection"], "all connections of the pool are busy"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of libpq 15 to 17 and of PgBouncer about a URL full of `CANARY`.
    const MESSAGES: [(&str, &str); 22] = [
        ("invalid percent-encoded token: \"CANARY%zz\"", "%25"),
        ("invalid integer value \"CANARY\" for connection option \"port\"", "percent-encode"),
        ("invalid port number: \"CANARY\"", "percent-encode"),
        ("missing key/value separator \"=\" in URI query parameter: \"CANARY\"", "parameter after the ?"),
        ("invalid URI query parameter: \"CANARY\"", "parameter after the ?"),
        ("missing \"=\" after \"CANARY\" in connection info string", "postgres://user"),
        (
            "unexpected character \"C\" at position 3 in URI (expected \":\" or \"/\"): \"postgres://[::1]CANARY\"",
            "percent-encode",
        ),
        (
            "could not translate host name \"CANARY\" to address: Name or service not known",
            "cannot be resolved",
        ),
        (
            "connection to server at \"CANARY\" (10.0.0.1), port 5432 failed: Connection refused",
            "nothing listens",
        ),
        (
            "connection to server on socket \"/CANARY/.s.PGSQL.5432\" failed: No such file or directory",
            "no socket",
        ),
        (
            "connection to server at \"x\", port 1 failed: FATAL:  password authentication failed for user \"CANARY\"",
            "user or the password",
        ),
        (
            "connection to server on socket \"x\" failed: FATAL:  role \"CANARY\" does not exist",
            "refuses the user",
        ),
        (
            "connection to server on socket \"x\" failed: FATAL:  database \"CANARY\" does not exist",
            "does not exist",
        ),
        ("timed out waiting for connection", "busy"),
        ("timed out waiting for connection: FATAL:  role \"CANARY\" does not exist", "refuses the user"),
        ("FATAL:  sorry, too many clients already", "no free connection"),
        ("FATAL:  the database system is shutting down", "starting or stopping"),
        ("FATAL:  unsupported startup parameter in options: CANARY", "refuses a parameter"),
        ("FATAL:  no such database: CANARY", "does not know the database"),
        (
            "ERROR:  transaction blocks not allowed in statement pooling mode\nserver closed the connection unexpectedly",
            "pool_mode",
        ),
        ("server does not support SSL, but SSL was required", "sslmode"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »CANARY« fehlgeschlagen", "psql"),
    ];

    #[test]
    fn the_cause_is_named_and_nothing_of_the_message_is_repeated() {
        for (message, expected) in MESSAGES {
            let text = ConnectError::from_message(message).to_string();

            assert!(text.contains(expected), "{message}: {text}");
            assert!(!text.contains("CANARY"));
        }
    }
}
