//! What a key may do, how often and from where.

use std::{fmt, num::IntErrorKind, str::FromStr};

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types::{Array, Cidr, Integer},
};
use ipnet::{IpNet, Ipv4Net};

use crate::{db::sql::text_enum, web::format::number::trim_zero_fraction};

text_enum! {
    /// A right of a key. The text is the same in the form, the database and the API.
    Scope {
        /// Reads sessions.
        SessionsRead = "sessions:read",
        /// Records sessions.
        SessionsWrite = "sessions:write",
        /// Creates, changes and deletes keys of the client, but gives none more rights than the key itself has.
        KeysManage = "keys:manage",
    }
}

impl Scope {
    /// Every scope, in the order of the form.
    pub const ALL: [Self; 3] = [Self::SessionsRead, Self::SessionsWrite, Self::KeysManage];

    /// What a key with this scope may do, for the form.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::SessionsRead => "Read sessions",
            Self::SessionsWrite => "Record sessions",
            Self::KeysManage => "Manage API keys",
        }
    }

    /// The scopes as one text.
    pub(crate) fn join(scopes: &[Self], separator: &str) -> String {
        scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(separator)
    }
}

/// What a key may do, how often and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRights {
    /// At least one.
    pub scopes: Vec<Scope>,
    pub requests_per_minute: RequestsPerMinute,
    pub networks: AllowedNetworks,
}

impl KeyRights {
    /// Refuses rights beyond `bound`, so that no key can create a stronger one.
    ///
    /// # Errors
    /// The name of the first field beyond `bound`.
    pub fn check_within(&self, bound: &Self) -> Result<(), &'static str> {
        if !self.scopes.iter().all(|scope| bound.scopes.contains(scope)) {
            return Err("scopes");
        }
        if !self.requests_per_minute.is_within(bound.requests_per_minute) {
            return Err("requestsPerMinute");
        }
        if self.networks.are_within(&bound.networks) { Ok(()) } else { Err("allowedNetworks") }
    }
}

/// Read access from any address, limited to [`RequestsPerMinute::DEFAULT`].
impl Default for KeyRights {
    fn default() -> Self {
        Self {
            scopes: vec![Scope::SessionsRead],
            requests_per_minute: RequestsPerMinute::default(),
            networks: AllowedNetworks::default(),
        }
    }
}

/// Limit of requests per minute: 0 to [`RequestsPerMinute::MAX`], where 0 is no limit.
#[derive(AsExpression, Clone, Copy, Debug, FromSqlRow, PartialEq, Eq)]
#[diesel(sql_type = Integer)]
pub struct RequestsPerMinute(i32);

impl FromSql<Integer, Pg> for RequestsPerMinute {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        <i32 as FromSql<Integer, Pg>>::from_sql(bytes).map(Self)
    }
}

impl ToSql<Integer, Pg> for RequestsPerMinute {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <i32 as ToSql<Integer, Pg>>::to_sql(&self.0, out)
    }
}

impl RequestsPerMinute {
    /// The limit of a form without one.
    pub const DEFAULT: i32 = 600;
    pub const MAX: i32 = 1_000_000;

    /// The number; 0 is no limit.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    fn is_within(self, bound: Self) -> bool {
        bound.0 == 0 || (1..=bound.0).contains(&self.0)
    }
}

impl Default for RequestsPerMinute {
    fn default() -> Self {
        Self(Self::DEFAULT)
    }
}

impl fmt::Display for RequestsPerMinute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Digits. Empty text is the default.
impl FromStr for RequestsPerMinute {
    type Err = RequestLimitError;

    fn from_str(text: &str) -> Result<Self, RequestLimitError> {
        let text = trim_zero_fraction(text.trim());
        if text.is_empty() {
            return Ok(Self::default());
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RequestLimitError::NoNumber);
        }
        match text.parse() {
            Ok(number) if number <= Self::MAX => Ok(Self(number)),
            Err(error) if *error.kind() != IntErrorKind::PosOverflow => Err(RequestLimitError::NoNumber),
            _ => Err(RequestLimitError::TooHigh),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestLimitError {
    /// Something other than digits.
    #[error("Use digits only. 0 means no limit.")]
    NoNumber,
    /// More than [`RequestsPerMinute::MAX`].
    #[error("Use at most {}. 0 means no limit.", RequestsPerMinute::MAX)]
    TooHigh,
}

/// The networks from which a key may be used. An empty list allows every address.
#[derive(AsExpression, Clone, Debug, Default, FromSqlRow, PartialEq, Eq)]
#[diesel(sql_type = Array<Cidr>)]
pub struct AllowedNetworks(Vec<IpNet>);

impl FromSql<Array<Cidr>, Pg> for AllowedNetworks {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        <Vec<IpNet> as FromSql<Array<Cidr>, Pg>>::from_sql(bytes).map(Self)
    }
}

impl ToSql<Array<Cidr>, Pg> for AllowedNetworks {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <Vec<IpNet> as ToSql<Array<Cidr>, Pg>>::to_sql(&self.0, out)
    }
}

impl AllowedNetworks {
    /// Maximum number of networks of a key.
    pub const MAX: usize = 50;

    /// Parses the networks and drops duplicates.
    ///
    /// # Errors
    /// The first [`NetworkError`].
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        let mut networks = Vec::new();
        for text in texts {
            let network = parse_network(text)?;
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        if networks.len() > Self::MAX { Err(NetworkError::TooMany) } else { Ok(Self(networks)) }
    }

    #[must_use]
    pub fn as_slice(&self) -> &[IpNet] {
        &self.0
    }

    /// The networks as text; a single address without `/32` or `/128`.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(network_text).collect()
    }

    fn are_within(&self, bound: &Self) -> bool {
        let is_within = |network: &IpNet| bound.0.iter().any(|outer| outer.contains(network));
        bound.0.is_empty() || (!self.0.is_empty() && self.0.iter().all(is_within))
    }
}

/// Networks separated by whitespace or commas.
impl FromStr for AllowedNetworks {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let divides = |it: char| it.is_whitespace() || it == ',';
        Self::new(text.split(divides).filter(|text| !text.is_empty()))
    }
}

fn network_text(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let parsed =
        text.parse::<IpNet>().or_else(|_no_network| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let network = parsed.map(canonical).map_err(|_no_address| NetworkError::NoNetwork(echo(text)))?;
    if network.trunc() == network {
        return Ok(network);
    }
    Err(NetworkError::BitsBeyond { given: echo(text), meant: network_text(&network.trunc()) })
}

/// Converts IPv4-mapped IPv6 (`::ffff:203.0.113.7`) to IPv4, because addresses of callers are converted too.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let (Some(v4), Some(length)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) else {
        return network;
    };
    Ipv4Net::new(v4, length).map_or(network, IpNet::V4)
}

/// The beginning of the text, for an error message.
fn echo(text: &str) -> String {
    text.chars().take(50).collect()
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error(
        "“{0}” is not an address or network. Write them like 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
    )]
    NoNetwork(String),
    /// An address with bits beyond its prefix: either the address or the network was meant.
    #[error("“{given}” is an address within a network. Write {meant} for the network, or the address alone.")]
    BitsBeyond { given: String, meant: String },
    /// More than [`AllowedNetworks::MAX`].
    #[error("Use at most {} networks.", AllowedNetworks::MAX)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> AllowedNetworks {
        text.parse().unwrap()
    }

    #[test]
    fn networks_are_of_both_versions_and_have_one_spelling() {
        let text = "203.0.113.7\r\n198.51.100.0/24, 2001:DB8::/32\n\n ::ffff:203.0.113.7 ::ffff:10.0.0.0/104";
        assert_eq!(networks(text).texts(), ["203.0.113.7", "198.51.100.0/24", "2001:db8::/32", "10.0.0.0/8"]);
        assert_eq!(networks(" \n").texts(), [""; 0]);
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for text in ["x", "10.0.0.256", "10.0.0.0/33", "10.0.0", "::/129", "fe80::1%eth0"] {
            assert_eq!(
                text.parse::<AllowedNetworks>(),
                Err(NetworkError::NoNetwork(text.to_owned())),
                "{text}"
            );
        }
        let error = "10.1.2.3/8".parse::<AllowedNetworks>().unwrap_err();
        assert!(error.to_string().contains("Write 10.0.0.0/8 for the network"), "{error}");
        let many: Vec<String> = (0..51).map(|index| format!("10.0.0.{index}")).collect();
        assert_eq!(AllowedNetworks::new(many.iter().map(String::as_str)), Err(NetworkError::TooMany));
    }

    #[test]
    fn a_limit_is_digits_up_to_a_million() {
        assert_eq!("".parse(), Ok(RequestsPerMinute::default()));
        assert_eq!(" 0 ".parse(), Ok(RequestsPerMinute(0)));
        assert_eq!("60.0".parse(), Ok(RequestsPerMinute(60)));
        assert_eq!("1000000".parse(), Ok(RequestsPerMinute(1_000_000)));
        for text in ["1000001", "99999999999999999999"] {
            assert_eq!(text.parse::<RequestsPerMinute>(), Err(RequestLimitError::TooHigh), "{text}");
        }
        for text in ["-1", "+1", "1e3", "many"] {
            assert_eq!(text.parse::<RequestsPerMinute>(), Err(RequestLimitError::NoNumber), "{text}");
        }
    }

    #[test]
    fn nothing_goes_beyond_its_bound() {
        let rights = |scopes: &[Scope], limit: i32, text: &str| KeyRights {
            scopes: scopes.to_vec(),
            requests_per_minute: RequestsPerMinute(limit),
            networks: networks(text),
        };
        let bound = rights(&[Scope::SessionsRead], 60, "10.0.0.0/8 2001:db8::/32");
        assert_eq!(rights(&[Scope::SessionsRead], 60, "10.1.0.0/16").check_within(&bound), Ok(()));
        assert_eq!(rights(&[Scope::SessionsWrite], 60, "10.1.0.0/16").check_within(&bound), Err("scopes"));
        for limit in [0, 61] {
            let beyond = rights(&[Scope::SessionsRead], limit, "10.1.0.0/16").check_within(&bound);
            assert_eq!(beyond, Err("requestsPerMinute"));
        }
        for text in ["", "11.0.0.0/8", "10.1.0.0/16 0.0.0.0/0", "::/0"] {
            assert_eq!(
                rights(&[Scope::SessionsRead], 1, text).check_within(&bound),
                Err("allowedNetworks"),
                "{text}"
            );
        }
        let unbound = rights(&Scope::ALL, 0, "");
        assert_eq!(rights(&Scope::ALL, 0, "").check_within(&unbound), Ok(()));
    }
}
