//! All settings with their names, defaults, units and validation. No other file reads the environment.
//!
//! `uptok --help` prints the doc comments of this file and is the reference.

use std::{env, ffi::OsStr, net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Command, ValueEnum};
use ipnet::IpNet;
use lettre::{Address, message::Mailbox};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::db::DatabaseTimeouts;

/// Minimum length of `UPTOK_SECRET` in characters.
pub const SECRET_LENGTH_MIN: usize = 32;

/// The settings, from the environment or the command line.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// URL of the PostgreSQL to use. If unset, Uptok starts a private PostgreSQL in the data directory
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<SecretString>,

    /// Directory of the private PostgreSQL and the generated secret
    #[arg(long, env = "UPTOK_DATA_DIR", default_value = "data", global = true)]
    pub data_dir: PathBuf,

    /// Address and port to listen on
    #[arg(long, env = "UPTOK_LISTEN", default_value = "127.0.0.1:8080", global = true)]
    pub listen: SocketAddr,

    /// Address and port that serve `/metrics` for Prometheus and nothing else, such as `127.0.0.1:9464`. If unset, there
    /// are no metrics
    #[arg(long, env = "UPTOK_METRICS_LISTEN", global = true)]
    pub metrics_listen: Option<SocketAddr>,

    /// The address people type into their browser. With https, cookies are `Secure` and named `__Host-…`
    #[arg(long, env = "UPTOK_PUBLIC_URL", default_value = "http://localhost:8080", global = true)]
    pub public_url: PublicUrl,

    /// At least 32 characters; all keys derive from it. Required with `DATABASE_URL`; otherwise, if unset, generated
    /// and stored in the data directory
    #[arg(long, env = "UPTOK_SECRET", hide_env_values = true, value_parser = parse_secret, global = true)]
    pub secret: Option<SecretString>,

    /// Who may register
    #[arg(long, env = "UPTOK_SIGN_UP", value_enum, default_value = "first", global = true)]
    pub sign_up: SignUpPolicy,

    /// Origins whose pages may read `/api`, separated by commas; `*` allows any. Credentials are never allowed
    #[arg(long, env = "UPTOK_CORS_ORIGINS", default_value = "*", value_delimiter = ',', global = true)]
    pub cors_origins: Vec<CorsOrigin>,

    /// Proxies whose `X-Forwarded-For` is trusted, as addresses or networks separated by commas
    #[arg(long, env = "UPTOK_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network, global = true)]
    pub trusted_proxies: Vec<IpNet>,

    /// Size of the PostgreSQL connection pool, 1 to 100
    #[arg(long, env = "UPTOK_DATABASE_CONNECTIONS", default_value = "8", value_parser = parse_number::<u32, 1, 100>, global = true)]
    pub database_connections: u32,

    /// How long a request waits for a database connection before it gets 503, in seconds, 1 to 30
    #[arg(long, env = "UPTOK_DATABASE_WAIT_SECONDS", default_value = "2", value_parser = parse_number::<u64, 1, 30>, global = true)]
    pub database_wait_seconds: u64,

    /// How long a statement may take before PostgreSQL cancels it and the request gets 503, in seconds, 1 to 60. A
    /// connection that does not answer a second later is given up
    #[arg(long, env = "UPTOK_DATABASE_STATEMENT_SECONDS", default_value = "10", value_parser = parse_number::<u64, 1, 60>, global = true)]
    pub database_statement_seconds: u64,

    /// Memory for cached export pages, in MiB, 0 to 4096. Each request still checks in PostgreSQL that the key is
    /// authorized and that nothing has changed
    #[arg(long, env = "UPTOK_PAGE_CACHE_MIB", default_value = "32", value_parser = parse_number::<u64, 0, 4096>, global = true)]
    pub page_cache_mib: u64,

    /// Login attempts per minute, for each address and for each account; registering counts for the address
    #[arg(long, env = "UPTOK_LOGINS_PER_MINUTE", default_value = "10", value_parser = parse_positive_number, global = true)]
    pub logins_per_minute: NonZeroU32,

    /// Bad API keys an address may try per minute before it gets 429
    #[arg(long, env = "UPTOK_BAD_KEYS_PER_MINUTE", default_value = "60", value_parser = parse_positive_number, global = true)]
    pub bad_keys_per_minute: NonZeroU32,

    /// Threads that answer requests, 1 to 256. If unset, one per core
    #[arg(long, env = "UPTOK_WORKERS", value_parser = parse_number::<u16, 1, 256>, global = true)]
    pub workers: Option<u16>,

    /// Whether to count requests made with API keys
    #[arg(long, env = "UPTOK_METERING", value_enum, default_value = "on", global = true)]
    pub metering: MeteringMode,

    /// After SIGTERM or SIGINT, how long `/readyz` returns 503 before the listener closes, in seconds, 0 to 60
    #[arg(long, env = "UPTOK_DRAIN_SECONDS", default_value = "0", value_parser = parse_number::<u64, 0, 60>, global = true)]
    pub drain_seconds: u64,

    /// Largest file that can be imported in the browser, in MiB, 1 to 4096
    #[arg(long, env = "UPTOK_IMPORT_MIB", default_value = "256", value_parser = parse_number::<u32, 1, 4096>, global = true)]
    pub import_mib: u32,

    /// The SMTP server: `smtps://user:password@host` (TLS), `smtp://user:password@host?tls=required` (STARTTLS) or
    /// `smtp://host`. If unset, no mail is sent, and links are shown on pages and by the command line
    #[arg(long, env = "UPTOK_SMTP_URL", hide_env_values = true, value_parser = parse_smtp_url, global = true)]
    pub smtp_url: Option<SecretString>,

    /// Sender of all mail, such as `Uptok <keys@example.org>`. Required with `UPTOK_SMTP_URL`
    #[arg(long, env = "UPTOK_MAIL_FROM", value_parser = parse_mailbox, global = true)]
    pub mail_from: Option<Mailbox>,

    /// Where questions from `/docs` are sent, besides being stored
    #[arg(long, env = "UPTOK_OPERATOR_EMAIL", value_parser = parse_mail_address, global = true)]
    pub operator_email: Option<Address>,

    /// Format of log lines
    #[arg(long, env = "UPTOK_LOG_FORMAT", value_enum, default_value = "text", global = true)]
    pub log_format: LogFormat,

    /// Which log lines to write: `error`, `warn`, `info`, `debug`, or a filter such as `uptok=debug,info`
    #[arg(long, env = "UPTOK_LOG", default_value = "info", global = true)]
    pub log: String,
}

impl Settings {
    /// Treats an empty value as unset, because env files often contain empty values.
    #[must_use]
    pub fn database_url(&self) -> Option<&SecretString> {
        self.database_url.as_ref().filter(|url| !url.expose_secret().is_empty())
    }

    /// Treats an empty value as unset.
    #[must_use]
    pub fn smtp_url(&self) -> Option<&SecretString> {
        self.smtp_url.as_ref().filter(|url| !url.expose_secret().is_empty())
    }

    /// The time limits of connections to PostgreSQL.
    #[must_use]
    pub fn database_timeouts(&self) -> DatabaseTimeouts {
        DatabaseTimeouts {
            wait: Duration::from_secs(self.database_wait_seconds),
            statement: Duration::from_secs(self.database_statement_seconds),
        }
    }

    /// Maximum size of a file imported in the browser, in bytes.
    #[must_use]
    pub fn import_bytes(&self) -> usize {
        usize::try_from(self.import_mib).unwrap_or(usize::MAX).saturating_mul(1024 * 1024)
    }

    /// The origins whose web pages may read `/api`, without `*`.
    #[must_use]
    pub fn named_origins(&self) -> Vec<&str> {
        self.cors_origins.iter().filter_map(CorsOrigin::name).collect()
    }

    /// Whether web pages of any origin may read `/api`.
    #[must_use]
    pub fn any_origin(&self) -> bool {
        self.cors_origins.contains(&CorsOrigin::Any)
    }
}

/// An entry of `UPTOK_CORS_ORIGINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigin {
    /// `*`.
    Any,
    /// A single origin, such as `https://shop.example`.
    Only(String),
}

impl CorsOrigin {
    /// Returns `None` for `*`.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Any => None,
            Self::Only(origin) => Some(origin),
        }
    }
}

impl FromStr for CorsOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "*" => Ok(Self::Any),
            origin => origin.parse::<PublicUrl>().map(|url| Self::Only(url.origin())),
        }
    }
}

/// Who may register (`UPTOK_SIGN_UP`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignUpPolicy {
    /// Only while there are no users
    First,
    /// Anyone
    Open,
    /// Nobody; add users with `uptok user add`
    Closed,
}

/// Whether the requests of API keys are counted (`UPTOK_METERING`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeteringMode {
    /// Counted for the usage pages
    On,
    /// Not counted; keys show no last use
    Off,
}

/// Format of log lines (`UPTOK_LOG_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object per line
    Json,
}

/// The address at which users reach the dashboard: an origin (scheme, host and port; RFC 6454) without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Returns the origin as browsers send it in the `Origin` header, such as `https://keys.example.org`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Cookies can only be `Secure` if this is true.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|error| format!("it is not a URL ({error})"))?;
        let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !is_origin || !is_plain {
            return Err("write it as https://host or http://host:port, without a path".to_owned());
        }
        Ok(Self(url))
    }
}

/// The variables of settings whose value is not UTF-8. Clap refuses them without naming them.
pub(crate) fn variables_not_utf8() -> Vec<String> {
    let settings = Settings::augment_args(Command::new("uptok"));
    let variables = settings.get_arguments().filter_map(clap::Arg::get_env);
    let is_not_utf8 = |variable: &&OsStr| env::var_os(variable).is_some_and(|value| value.to_str().is_none());
    variables.filter(is_not_utf8).map(|variable| variable.display().to_string()).collect()
}

// The errors of these parsers name the problem, but never repeat the value: it may be a secret in the wrong place.

/// Parses a number from `MIN` to `MAX`.
fn parse_number<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(text: &str) -> Result<T, String> {
    let number = text.trim().parse::<u64>().ok().filter(|number| (MIN..=MAX).contains(number));
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("write a whole number from {MIN} to {MAX}"))
}

fn parse_positive_number(text: &str) -> Result<NonZeroU32, String> {
    text.trim().parse().map_err(|_not_a_number| format!("write a whole number from 1 to {}", u32::MAX))
}

fn parse_secret(text: &str) -> Result<SecretString, String> {
    let secret = SecretString::from(text.trim().to_owned());
    if secret.expose_secret().chars().count() < SECRET_LENGTH_MIN {
        return Err(format!("it needs at least {SECRET_LENGTH_MIN} characters; try `openssl rand -hex 32`"));
    }
    Ok(secret)
}

fn parse_smtp_url(text: &str) -> Result<SecretString, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(SecretString::default());
    }
    let format = || "write smtps://user:password@host, smtp://host?tls=required or smtp://host".to_owned();
    let url = Url::parse(text).map_err(|_not_a_url| format())?;
    let tls = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    let is_encrypted = match (url.scheme(), tls.as_deref()) {
        ("smtps", None) | ("smtp", Some("required")) => true,
        ("smtp", None | Some("opportunistic")) => false,
        _ => return Err(format()),
    };
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(format)?;
    if url.username().is_empty() == url.password().is_some() {
        return Err("name both a user and a password, or neither".to_owned());
    }
    if ![url.username(), url.password().unwrap_or_default()].into_iter().all(is_percent_encoded) {
        return Err("the user or the password has a wrong percent-encoding: write % as %25".to_owned());
    }
    let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    if url.password().is_some() && !is_encrypted && !is_local {
        return Err("a password needs TLS: write smtps:// or ?tls=required".to_owned());
    }
    Ok(SecretString::from(text.to_owned()))
}

/// Whether each `%` begins a byte in hexadecimal, and all bytes together are UTF-8 (RFC 3986, section 2.1).
fn is_percent_encoded(text: &str) -> bool {
    let is_byte = |part: &str| part.get(..2).is_some_and(|hex| hex.bytes().all(|it| it.is_ascii_hexdigit()));
    text.split('%').skip(1).all(is_byte) && percent_decode_str(text).decode_utf8().is_ok()
}

fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    text.trim().parse().map_err(|_invalid| "write an address like Uptok <keys@example.org>".to_owned())
}

fn parse_mail_address(text: &str) -> Result<Address, String> {
    text.trim().parse().map_err(|_invalid| "write an address like help@example.org".to_owned())
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_not_a_network| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_not_an_address| "write addresses or networks like 10.0.0.0/8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        let url: PublicUrl = "https://Keys.Example.org".parse().unwrap();
        assert_eq!(url.origin(), "https://keys.example.org");
        assert!(url.is_https());
    }

    #[test]
    fn a_public_url_with_a_path_or_another_scheme_is_refused() {
        for text in ["https://example.org/app", "ftp://example.org", "example.org", "http://a:b@example.org"]
        {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_would_send_is_refused() {
        assert_eq!("*".parse(), Ok(CorsOrigin::Any));
        assert_eq!(" https://Shop.example ".parse(), Ok(CorsOrigin::Only("https://shop.example".to_owned())));
        assert!("".parse::<CorsOrigin>().is_err() && "shop.example".parse::<CorsOrigin>().is_err());
    }

    #[test]
    fn a_short_secret_is_refused_without_repeating_it() {
        let error = parse_secret("too-short").unwrap_err();
        assert!(error.contains("32") && !error.contains("too-short"));
    }

    #[test]
    fn a_number_out_of_range_is_refused_without_repeating_it() {
        assert_eq!(parse_number::<u16, 1, 256>(" 256 "), Ok(256));
        for text in ["0", "257", "-1", "1.5", "", "x", "70000", "99999999999999999999"] {
            assert_eq!(
                parse_number::<u16, 1, 256>(text),
                Err("write a whole number from 1 to 256".to_owned()),
                "{text}"
            );
        }
        assert!(parse_positive_number("0").is_err() && parse_positive_number("10").is_ok());
    }

    #[test]
    fn an_smtp_url_is_refused_without_repeating_it() {
        for text in [
            "",
            "smtp://localhost:2525",
            "smtp://mail.example.org?tls=opportunistic",
            "smtp://uptok:hunter2@localhost",
            "smtp://uptok:hunter2@mail.example.org?tls=required",
            " smtps://uptok:hunter2@mail.example.org:465 ",
            "smtps://uptok%40example.org:hunter%252%C3%A4@mail.example.org",
        ] {
            assert_eq!(parse_smtp_url(text).unwrap().expose_secret(), text.trim());
        }
        for text in [
            "mail.example.org",
            "http://hunter2",
            "smtp://",
            "smtp://hunter2@localhost",
            "smtp://:hunter2@localhost",
            "smtp://uptok:hunter2@mail.example.org",
            "smtp://uptok:hunter2@mail.example.org?tls=opportunistic",
            "smtp://mail.example.org?tls=hunter2",
            "smtps://uptok:hunter2%zz@mail.example.org",
            "smtps://uptok:hunter2%@mail.example.org",
            "smtps://uptok:hunter2%ff@mail.example.org",
            "smtps://hunter2%4:x@mail.example.org",
        ] {
            let error = parse_smtp_url(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_an_address_or_a_network() {
        assert_eq!(parse_network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(parse_network("fd00::/8").unwrap().to_string(), "fd00::/8");
        assert!(parse_network("proxy").is_err());
    }
}
