//! Reads the list of hosts that may be spoken to, and holds addresses against it.
//! Owns: the syntax of an entry, what it allows. Uses: address, ipnet. Never: looks a name up.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::address::is_public;

/// One entry of `[hooks] allow` or `[alerts] allow`.
///
/// * `erp.example.com`, `*.example.org`, `erp.example.com:8443`: a host, or every name below one, by https; without a port
///   the usual one. `http://…` in front allows unencrypted http instead.
/// * `10.0.0.5:8080`, `[fd00::5]`, `localhost:9000`: this very address, private or not.
/// * `172.16.0.0/12`: listed names may lead into this private network. It allows no host by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost(Entry);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Host(Target, Host),
    Network(IpNet),
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) is_encrypted: bool,
    pub(super) port: u16,
}

/// A host of an entry or of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(Box<str>),
    /// Every name that ends so; begins with a dot. Only in entries.
    Below(Box<str>),
}

/// A text that names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHost;

impl AllowedHost {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`NotAHost`] when the text is none of the kinds above, has a path or a user, or is a name that machines would read
    /// as an address, such as `0x7f.1`.
    pub fn parse(text: &str) -> Result<Self, NotAHost> {
        let (is_encrypted, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return Err(NotAHost),
            None if text.contains('/') => {
                let network = text.parse().map_err(|_not_one| NotAHost)?;
                return Ok(Self(Entry::Network(network)));
            }
            None => (true, text),
        };
        let (host, port) = split(rest)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_not_one| NotAHost)?,
            None => usual_port(is_encrypted),
        };
        let host = match host.strip_prefix('*') {
            Some(rest) => match Host::of(rest.strip_prefix('.').ok_or(NotAHost)?)? {
                Host::Name(name) if name.contains('.') => Host::Below(format!(".{name}").into()),
                _ => return Err(NotAHost),
            },
            None => Host::of(host)?,
        };
        let target = Target { is_encrypted, port };
        match port {
            0 => Err(NotAHost),
            _ => Ok(Self(Entry::Host(target, host))),
        }
    }

    /// Whether a URL may name this host.
    pub(super) fn allows(&self, target: Target, host: &Host) -> bool {
        let Entry::Host(own, listed) = &self.0 else {
            return false;
        };
        let is_host = match (listed, host) {
            (Host::Below(end), Host::Name(name)) => name.ends_with(&**end),
            _ => listed == host,
        };
        is_host && *own == target
    }

    /// Whether a name may lead to this address although it is not public.
    fn excuses(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        match &self.0 {
            Entry::Network(network) => network.contains(&ip),
            Entry::Host(own, Host::Address(listed)) => *listed == ip && own.port == address.port(),
            Entry::Host(..) => false,
        }
    }
}

/// Whether a connection may be made to what a listed host was resolved to.
pub(super) fn may_connect(allowed: &[AllowedHost], host: &Host, address: SocketAddr) -> bool {
    let is_named = match host {
        // It stands in the list itself.
        Host::Address(listed) => *listed == address.ip().to_canonical(),
        Host::Name(name) => &**name == "localhost" && address.ip().to_canonical().is_loopback(),
        Host::Below(_) => false,
    };
    is_named || is_public(address.ip()) || allowed.iter().any(|entry| entry.excuses(address))
}

impl Host {
    /// A name or an address; an IPv6 address stands in brackets.
    pub(super) fn of(text: &str) -> Result<Self, NotAHost> {
        if let Some(inner) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let address: Ipv6Addr = inner.parse().map_err(|_not_one| NotAHost)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // What ends in a number is an address in one of its old spellings.
        let is_number = |label: &str| {
            label.bytes().all(|byte| byte.is_ascii_digit())
                || label.starts_with("0x")
                || label.starts_with("0X")
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        if text.len() > 253 || !text.split('.').all(is_label) || is_number(last) {
            return Err(NotAHost);
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

/// The port that a URL without one means.
pub(super) const fn usual_port(is_encrypted: bool) -> u16 {
    if is_encrypted { 443 } else { 80 }
}

/// Host and port of an entry.
fn split(text: &str) -> Result<(&str, Option<&str>), NotAHost> {
    if text.starts_with('[') {
        let (address, rest) = text.split_at(text.find(']').ok_or(NotAHost)? + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(port))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(NotAHost),
        };
    }
    Ok(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[&str]) -> Vec<AllowedHost> {
        let parsed = list.iter().map(|text| AllowedHost::parse(text).unwrap());
        parsed.collect()
    }

    fn is_listed(list: &[&str], host: &str, is_encrypted: bool, port: u16) -> bool {
        let host = Host::of(host).unwrap();
        let target = Target { is_encrypted, port };
        let mut entries = entries(list).into_iter();
        entries.any(|entry| entry.allows(target, &host))
    }

    #[test]
    fn an_entry_allows_its_host_scheme_and_port_only() {
        let erp = ["erp.example.com"];
        assert!(is_listed(&erp, "ERP.example.com", true, 443));
        assert!(!is_listed(&erp, "erp.example.com", false, 80));
        assert!(!is_listed(&erp, "erp.example.com", true, 8443));
        assert!(!is_listed(&erp, "a.erp.example.com", true, 443));
        assert!(!is_listed(&erp, "erp.example.com.evil.net", true, 443));
        let below = ["https://*.example.org:8443"];
        assert!(is_listed(&below, "a.b.example.org", true, 8443));
        assert!(!is_listed(&below, "example.org", true, 8443));
        assert!(!is_listed(&below, "badexample.org", true, 8443));
        let plain = ["http://localhost:9000", "10.0.0.5:8080", "[fd00::5]"];
        assert!(is_listed(&plain, "localhost", false, 9000));
        assert!(!is_listed(&plain, "localhost", true, 9000));
        assert!(is_listed(&plain, "10.0.0.5", true, 8080));
        assert!(is_listed(&plain, "[::ffff:10.0.0.5]", true, 8080));
        assert!(is_listed(&plain, "[fd00:0::5]", true, 443));
        assert!(!is_listed(&["10.0.0.0/8"], "10.0.0.5", true, 443));
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for wrong in [
            "",
            "*",
            "*.",
            "*.org",
            "*.10.0.0.1",
            "a*.example.org",
            "erp.example.com/wx",
            "https://erp.example.com/",
            "ftp://erp.example.com",
            "user@erp.example.com",
            "erp.example.com:0",
            "erp.example.com:65536",
            "erp.example.com:",
            "erp..example.com",
            "erp.example.com.",
            "erp example",
            "127.1",
            "2130706433",
            "0x7f.0.0.0x1",
            "[::1",
            "[127.0.0.1]",
            "::1",
            "商店.example.com",
            "10.0.0.0/33",
        ] {
            assert_eq!(AllowedHost::parse(wrong), Err(NotAHost), "{wrong}");
        }
    }

    #[test]
    fn a_name_leads_to_a_private_address_only_where_that_is_listed() {
        let may = |list: &[&str], host: &str, address: &str| {
            let host = Host::of(host).unwrap();
            may_connect(&entries(list), &host, address.parse().unwrap())
        };
        assert!(may(&[], "erp.example.com", "1.1.1.1:443"));
        assert!(!may(&[], "erp.example.com", "10.0.0.5:443"));
        assert!(!may(&[], "erp.example.com", "[::ffff:10.0.0.5]:443"));
        assert!(may(&["10.0.0.5"], "erp.example.com", "10.0.0.5:443"));
        assert!(may(
            &["10.0.0.5"],
            "erp.example.com",
            "[::ffff:10.0.0.5]:443"
        ));
        assert!(!may(&["10.0.0.5"], "erp.example.com", "10.0.0.5:8080"));
        assert!(may(&["10.0.0.0/8"], "erp", "10.1.2.3:8080"));
        assert!(!may(&["10.0.0.0/8"], "erp", "192.168.0.1:8080"));
        assert!(may(&[], "localhost", "[::1]:9000"));
        assert!(!may(&[], "localhost", "10.0.0.5:9000"));
        assert!(may(&[], "10.0.0.5", "10.0.0.5:443"));
    }
}
