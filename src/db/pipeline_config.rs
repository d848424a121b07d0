//! Whether exports can go through a pipeline, by the URL of the database.

use std::net::IpAddr;

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use url::Url;

/// Parses `url` for a pipeline.
///
/// # Errors
/// Why a pipeline might reach another database than libpq, or reach it less securely: it supports neither TLS nor the
/// environment variables and files of libpq.
pub(super) fn parse_config(url: &str) -> Result<Config, &'static str> {
    let config: Config = url.parse().map_err(|_unknown| "DATABASE_URL asks for what libpq alone can do")?;
    let ([host], [_], Some(_), Some(_), []) = (
        config.get_hosts(),
        config.get_ports(),
        config.get_user(),
        config.get_dbname(),
        config.get_hostaddrs(),
    ) else {
        return Err(NOT_NAMED);
    };
    if !names_port(url) {
        return Err(NOT_NAMED);
    }
    if config.get_target_session_attrs() != TargetSessionAttrs::Any {
        return Err("DATABASE_URL asks what kind of server it is, which libpq alone does");
    }
    let is_here = match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    match config.get_ssl_mode() {
        SslMode::Disable => Ok(config),
        SslMode::Prefer if is_here => Ok(config),
        _ => Err("the connection to PostgreSQL may need TLS"),
    }
}

const NOT_NAMED: &str = "DATABASE_URL does not name one host, its port, the user and the database";

/// Whether the URL has a port. The default port of libpq may differ.
fn names_port(url: &str) -> bool {
    // A text that only tokio-postgres can parse, such as one without a host, has the port that was parsed.
    Url::parse(url)
        .map_or(true, |url| url.port().is_some() || url.query_pairs().any(|(name, _)| name == "port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_urls_without_tls_are_pipelined() {
        for url in [
            "postgres://uptok@/uptok?host=%2Ftmp%2Fx&port=5432",
            "postgres://uptok:secret@localhost:5432/uptok",
            "postgres://uptok:secret@[::1]:5432/uptok?connect_timeout=2",
            "postgres://uptok:secret@db.example.org:5432/uptok?sslmode=disable",
        ] {
            assert!(parse_config(url).is_ok(), "{url}");
        }
        for url in [
            "postgres://uptok@db.example.org:5432/uptok",
            "postgres://uptok@localhost:5432/uptok?sslmode=require",
            "postgres://uptok@localhost:5432/uptok?sslmode=verify-full",
            "postgres://uptok@localhost:5432/uptok?sslrootcert=ca.pem",
            "postgres://uptok@localhost/uptok",
            "postgres://localhost:5432/uptok",
            "postgres://uptok@localhost:5432",
            "postgres://uptok@/uptok?port=5432",
            "postgres://uptok@a:5432,b:5432/uptok?sslmode=disable",
            "postgres://uptok@localhost:5432/uptok?hostaddr=10.0.0.1",
            "postgres:///?service=uptok",
            "postgres://uptok@localhost:5432/uptok?target_session_attrs=read-write",
        ] {
            assert!(parse_config(url).is_err(), "{url}");
        }
    }
}
