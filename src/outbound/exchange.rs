//! Makes one call: a POST to an address that was checked after its name was looked up.
//! Owns: the check between name and connection, what each failure means. Uses: allowed, ureq. Never: follows a redirect, reads
//! a proxy from the environment, connects to what was not checked.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::allowed::{AllowedHost, Host, Target, may_connect, usual_port};

/// How many addresses of one name are tried; ureq takes no more.
const MOST_ADDRESSES: usize = 16;

/// Looks a name up; may block.
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The name service of the machine.
pub fn system_lookup() -> Lookup {
    Arc::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
}

/// A URL whose host may be spoken to.
#[derive(Clone)]
pub struct Checked(Uri);

/// What is sent.
pub struct Post {
    /// Where.
    pub to: Checked,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What.
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host is not listed, its address is private and not listed, or the URL cannot be understood.
    Forbidden,
    /// Not in time.
    Timeout,
    /// No connection.
    Unreachable,
    /// Not HTTP, broken off, or too long.
    Unreadable,
}

/// A host that may be spoken to otherwise than by HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// A name or an address; an IPv6 address stands in brackets.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted: which entries of the list count.
    pub is_encrypted: bool,
    /// An entry with this port counts as well: a host that stands in the list without a port.
    pub also_listed_as: Option<u16>,
}

/// The way to the listed hosts.
#[derive(Debug)]
pub struct Exchange {
    agent: ureq::Agent,
    reach: Reach,
}

/// What was answered: a status, and a body that has not been read yet.
pub struct Answer(ureq::http::Response<ureq::Body>);

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// How long the other side asks to be left alone, where it says so in seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.0.headers().get("retry-after")?.to_str().ok()?;
        text.parse().ok().map(Duration::from_secs)
    }

    /// The body.
    ///
    /// # Errors
    /// [`Fault::Timeout`], or [`Fault::Unreadable`] when it breaks off or has more than `limit` bytes.
    pub fn body(mut self, limit: usize) -> Result<Vec<u8>, Fault> {
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let body = self
            .0
            .body_mut()
            .with_config()
            // The reader refuses at its limit, even where nothing follows.
            .limit(most.saturating_add(1))
            .read_to_vec()
            .map_err(|error| match fault(&error) {
                Fault::Timeout => Fault::Timeout,
                _ => Fault::Unreadable,
            })?;
        if body.len() > limit {
            return Err(Fault::Unreadable);
        }
        Ok(body)
    }
}

impl Exchange {
    /// A way to these hosts.
    pub fn new(allowed: Vec<AllowedHost>, lookup: Lookup) -> Self {
        let allowed: Arc<[AllowedHost]> = allowed.into();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            // Each connection is made to an address that was checked for this call.
            .max_idle_connections(0)
            .user_agent(concat!("wxreply/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            .build();
        let reach = Reach { allowed, lookup };
        let agent =
            ureq::Agent::with_parts(config, DefaultConnector::new(), CheckedNames(reach.clone()));
        Self { agent, reach }
    }

    /// Looks whether a URL's host may be spoken to: it is listed, or among `known`. Nothing is looked up yet.
    ///
    /// # Errors
    /// [`Fault::Forbidden`].
    pub fn checked(&self, url: &str, known: &[AllowedHost]) -> Result<Checked, Fault> {
        let uri: Uri = url.parse().map_err(|_not_one| Fault::Forbidden)?;
        let (target, host) = place(&uri).ok_or(Fault::Forbidden)?;
        let mut listed = self.reach.allowed.iter().chain(known);
        if listed.any(|entry| entry.allows(target, &host)) {
            Ok(Checked(uri))
        } else {
            Err(Fault::Forbidden)
        }
    }

    /// Sends; blocks until there is an answer. A name that is looked up past `until` is asked nothing any more.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn post(&self, post: Post, until: Instant) -> Result<Answer, Fault> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Timeout);
        }
        let mut request = self
            .agent
            .post(post.to.0)
            .config()
            .timeout_global(Some(left))
            .build()
            .content_type(post.content_type);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        let answer = request.send(post.body).map_err(|error| fault(&error))?;
        Ok(Answer(answer))
    }

    /// Addresses of a listed host that may be connected to, for what speaks another protocol than HTTP. Blocks.
    ///
    /// # Errors
    /// [`Fault::Forbidden`], [`Fault::Unreachable`].
    pub fn addresses(&self, place: Place<'_>) -> Result<Vec<SocketAddr>, Fault> {
        let Place {
            host,
            port,
            is_encrypted,
            also_listed_as,
        } = place;
        let host = Host::of(host).map_err(|_not_one| Fault::Forbidden)?;
        let is_listed = [Some(port), also_listed_as]
            .into_iter()
            .flatten()
            .any(|port| {
                let target = Target { is_encrypted, port };
                let mut listed = self.reach.allowed.iter();
                listed.any(|entry| entry.allows(target, &host))
            });
        if !is_listed {
            return Err(Fault::Forbidden);
        }
        match self.reach.addresses(&host, port) {
            Ok(addresses) if addresses.is_empty() => Err(Fault::Forbidden),
            Ok(addresses) => Ok(addresses),
            Err(_not_found) => Err(Fault::Unreachable),
        }
    }
}

/// Where a URL leads; nothing when it is not http or https, or carries a user.
fn place(uri: &Uri) -> Option<(Target, Host)> {
    let is_encrypted = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let port = authority.port_u16().unwrap_or(usual_port(is_encrypted));
    let host = Host::of(authority.host()).ok()?;
    Some((Target { is_encrypted, port }, host))
}

/// Who may be spoken to, and how names are looked up.
#[derive(Clone)]
struct Reach {
    allowed: Arc<[AllowedHost]>,
    lookup: Lookup,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

impl Reach {
    /// Looks a host up, once, and leaves only what may be connected to.
    fn addresses(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) | Host::Below(name) => (self.lookup)(name, port)?,
        };
        if found.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let may = |address: &SocketAddr| may_connect(&self.allowed, host, *address);
        let checked = found.into_iter().filter(may).take(MOST_ADDRESSES);
        Ok(checked
            .map(|address| SocketAddr::new(address.ip(), port))
            .collect())
    }
}

/// Looks names up for ureq, once for each call, and gives what may be connected to.
#[derive(Debug)]
struct CheckedNames(Reach);

/// A name led to addresses of which none may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
struct NotAllowed;

impl Resolver for CheckedNames {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some((target, host)) = place(uri) else {
            return Err(ureq::Error::Other(Box::new(NotAllowed)));
        };
        let mut checked = self.empty();
        for address in self.0.addresses(&host, target.port)? {
            checked.push(address);
        }
        if checked.is_empty() {
            return Err(ureq::Error::Other(Box::new(NotAllowed)));
        }
        Ok(checked)
    }
}

/// Why a call failed.
fn fault(error: &ureq::Error) -> Fault {
    use ureq::Error;
    match error {
        Error::Other(inner) if inner.is::<NotAllowed>() => Fault::Forbidden,
        Error::Timeout(_) => Fault::Timeout,
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Fault::Timeout,
        Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::BodyExceedsLimit(_) => {
            Fault::Unreadable
        }
        _ => Fault::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_the_connection_will_read_it() {
        let host = |url: &str| {
            let uri: Uri = url.parse().ok()?;
            let (target, host) = place(&uri)?;
            Some(format!("{host:?} {}", target.port))
        };
        assert_eq!(
            host("https://ERP.example.com/a?b#c").as_deref(),
            Some("Name(\"erp.example.com\") 443")
        );
        assert_eq!(host("http://[::1]:9/").as_deref(), Some("Address(::1) 9"));
        for wrong in [
            "erp.example.com/x",
            "ftp://erp.example.com/",
            "https://erp.example.com@evil.net/",
            "https://a:b@erp.example.com/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://erp.example.com\\@evil.net/",
            "https:///x",
        ] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }
}
