//! Finds out who really called: the client's address behind trusted proxies, and whether the call came from this machine.
//! Owns: what `X-Forwarded-For` is worth. Uses: nothing of ours. Never: believes a header of a peer that nobody trusts.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// Headers that say a proxy stands between: such a call is not from this machine, whatever its peer address.
const TRACES: [&str; 4] = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];

/// The networks of our own reverse proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies(Vec<IpNet>);

impl Proxies {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Who sent this request, for logs: the peer, or what trusted proxies say of it.
    pub(super) fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let values = request
            .headers()
            .get_all("x-forwarded-for")
            .filter_map(|value| value.to_str().ok());
        Some(self.client_behind(peer, values))
    }

    /// The right-most address that is no trusted proxy, when the peer is one; an entry that is no address ends the search.
    fn client_behind<'a>(&self, peer: IpAddr, forwarded: impl Iterator<Item = &'a str>) -> IpAddr {
        let mut client = peer;
        let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        let mut hops = hops.into_iter().rev();
        while self.trusts(client) {
            match hops.next().and_then(address) {
                Some(hop) => client = hop,
                None => break,
            }
        }
        client
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// An entry of `X-Forwarded-For`: an address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .or_else(|_| text.trim_matches(['[', ']']).parse())
        .ok()
        .map(|ip: IpAddr| ip.to_canonical())
}

/// Whether the call comes from a process of this machine, with no proxy between.
pub(super) fn is_local(request: &HttpRequest) -> bool {
    is_local_call(
        request.peer_addr(),
        request.app_config().local_addr(),
        request.headers(),
    )
}

/// A server that listens on one address of the machine is called from the machine by that same address.
fn is_local_call(peer: Option<SocketAddr>, own: SocketAddr, headers: &HeaderMap) -> bool {
    let is_here = peer
        .map(|peer| peer.ip().to_canonical())
        .is_some_and(|ip| ip.is_loopback() || ip == own.ip());
    is_here && !TRACES.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(
            trusted
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
        );
        proxies
            .client_behind(peer.parse().unwrap(), forwarded.iter().copied())
            .to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(client(&[], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
    }

    #[test]
    fn the_right_most_untrusted_hop_is_the_client() {
        let trusted = ["10.0.0.0/8", "127.0.0.1/32"];
        assert_eq!(
            client(&trusted, "127.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.3"]),
            "1.1.1.1"
        );
        assert_eq!(
            client(
                &trusted,
                "127.0.0.1",
                &["6.6.6.6", "1.1.1.1:5000", "10.0.0.3"]
            ),
            "1.1.1.1"
        );
        assert_eq!(
            client(&trusted, "127.0.0.1", &["[2001:db8::1]:443"]),
            "2001:db8::1"
        );
        assert_eq!(client(&trusted, "127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client(&trusted, "127.0.0.1", &["10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn a_broken_entry_ends_the_search_at_what_is_sure() {
        assert_eq!(
            client(
                &["127.0.0.1/32", "10.0.0.0/8"],
                "127.0.0.1",
                &["1.1.1.1, unknown, 10.0.0.3"]
            ),
            "10.0.0.3"
        );
    }

    #[test]
    fn only_a_call_from_this_machine_without_a_proxy_is_local() {
        let mut headers = HeaderMap::new();
        let local = |peer: &str, headers: &HeaderMap| {
            is_local_call(peer.parse().ok(), "10.0.0.5:80".parse().unwrap(), headers)
        };
        assert!(local("[::ffff:127.0.0.1]:9", &headers));
        assert!(local("10.0.0.5:9", &headers));
        assert!(!local("10.0.0.1:9", &headers));
        headers.insert(
            "x-forwarded-for".parse().unwrap(),
            "127.0.0.1".parse().unwrap(),
        );
        assert!(!local("127.0.0.1:9", &headers));
    }
}
