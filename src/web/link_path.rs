//! The paths of mailed links. They contain a token, which is the one exception to "no secrets in addresses".

/// Beginnings of the paths. The token follows.
const PREFIXES: [&str; 3] = ["/password/reset/", "/email/confirm/", "/invitations/"];

/// Whether the path contains a token. Its pages send no referrer, and the request log never has a path as sent.
pub(crate) fn is_link_path(path: &str) -> bool {
    PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}
