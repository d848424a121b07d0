//! The IP address of the client: the peer or, behind trusted proxies, the last untrusted hop in `X-Forwarded-For`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// Returns IPv4-mapped IPv6 addresses as IPv4.
pub(crate) fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip().to_canonical());
    let forwarded = request.headers().get_all("X-Forwarded-For").filter_map(|value| value.to_str().ok());
    last_untrusted(peer, &forwarded.collect::<Vec<_>>().join(","), trusted)
}

/// Returns the address by which attempts are limited: for IPv6 the /64 network, because a customer usually gets a whole /64
/// and could otherwise use a new address for each attempt.
pub(crate) fn rate_limit_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
    }
}

/// Each proxy appends the address it was called from, so the hops are read from the end. Hops before the last untrusted
/// one are ignored: the client can send whatever it likes there.
fn last_untrusted(peer: IpAddr, forwarded: &str, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer;
    for hop in forwarded.rsplit(',') {
        if !trusted.iter().any(|network| network.contains(&address)) {
            return address;
        }
        match parse_hop(hop.trim()) {
            Some(hop) => address = hop.to_canonical(),
            None => return address,
        }
    }
    address
}

/// Accepts an address with or without port, as some proxies send `192.0.2.7:4711` or `[2001:db8::7]:4711`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|hop| hop.ip());
    hop.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        last_untrusted(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn clients_cannot_choose_their_address() {
        assert_eq!(client("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(client("10.0.0.1", "203.0.113.9, 198.51.100.7"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "203.0.113.9, 198.51.100.7:4711"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "203.0.113.9, [2001:db8::7]:443, 10.0.0.2:80"), "2001:db8::7");
    }

    #[test]
    fn addresses_of_one_customer_share_a_limit() {
        let limited = |text: &str| rate_limit_address(text.parse().unwrap()).to_string();
        assert_eq!(limited("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(limited("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn trusted_hops_are_skipped_and_mapped_addresses_are_ipv4() {
        assert_eq!(client("10.0.0.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "::ffff:198.51.100.7"), "198.51.100.7");
        assert_eq!(client("10.0.0.1", "junk"), "10.0.0.1");
        assert_eq!(client("10.0.0.1", ""), "10.0.0.1");
    }
}
