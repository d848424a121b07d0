//! URLs of databases.

use url::Url;

/// Parses the URL of a database. If it names no host, which the crate `url` does not accept, the host is localhost.
pub(super) fn parse_url(url: &str) -> Url {
    Url::parse(&url.replacen("@/", "@localhost/", 1)).unwrap()
}

/// Returns `url` with another database name.
pub(super) fn replace_database(url: &str, database: &str) -> String {
    let path = url.split('?').next().unwrap();
    let (server, _) = path.rsplit_once('/').unwrap();
    format!("{server}/{database}{}", &url[path.len()..])
}

/// Returns `url` with another role and password.
pub(crate) fn replace_role(url: &str, role: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, server) = rest.split_once('@').unwrap();
    format!("{scheme}://{role}:{password}@{server}")
}
