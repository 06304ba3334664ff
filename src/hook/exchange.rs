//! Makes one call: a signed POST to an address that was checked after its name was looked up.
//! Owns: the request, the check between name and connection, what each failure means. Uses: allowed, answer, ureq, hmac.
//! Never: follows a redirect, reads a proxy from the environment, connects to what was not checked.

use std::fmt::{self, Write as _};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};
use sha2::Sha256;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::allowed::{AllowedHost, Host, Target, may_connect, usual_port};
use super::answer;
use crate::model::hook::HOOK_ANSWER_LIMIT;
use crate::model::{HookAnswer, HookCall, HookFault, Time};

/// How many addresses of one name are tried; ureq takes no more.
const MOST_ADDRESSES: usize = 16;

/// Looks a name up; may block.
pub(super) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The name service of the machine.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name, port| Ok((name, port).to_socket_addrs()?.collect()))
}

/// What is sent.
pub(super) struct Request {
    uri: Uri,
    account: String,
    key: String,
    body: String,
    /// Time stamp and signature.
    signed: Option<(String, String)>,
}

/// The way to the listed hosts.
#[derive(Debug)]
pub(super) struct Exchange {
    agent: ureq::Agent,
    allowed: Arc<[AllowedHost]>,
}

impl Exchange {
    pub(super) fn new(allowed: Vec<AllowedHost>, lookup: Lookup) -> Self {
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
        let checked = Checked {
            allowed: Arc::clone(&allowed),
            lookup,
        };
        Self {
            agent: ureq::Agent::with_parts(config, DefaultConnector::new(), checked),
            allowed,
        }
    }

    /// Prepares a call.
    ///
    /// # Errors
    /// [`HookFault::Forbidden`] when its host is not listed, or its URL cannot be understood.
    pub(super) fn request(
        &self,
        call: &HookCall,
        secret: Option<&SecretString>,
        now: Time,
    ) -> Result<Request, HookFault> {
        let uri: Uri = call.url.parse().map_err(|_not_one| HookFault::Forbidden)?;
        let (target, host) = place(&uri).ok_or(HookFault::Forbidden)?;
        let mut listed = self.allowed.iter();
        if !listed.any(|entry| entry.allows(target, &host)) {
            return Err(HookFault::Forbidden);
        }
        let body = serde_json::to_string(&Texts(&call.fields))
            .map_err(|_not_possible| HookFault::Unreadable)?;
        let signed = secret.map(|secret| {
            let timestamp = now.seconds().to_string();
            let signature = sign(secret, &timestamp, &body);
            (timestamp, signature)
        });
        Ok(Request {
            uri,
            account: call.account.to_string(),
            key: call.key.to_string(),
            body,
            signed,
        })
    }

    /// Makes the call; blocks until it has ended. A name that is looked up past `until` is asked nothing any more.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) fn make(&self, request: Request, until: Instant) -> Result<HookAnswer, HookFault> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HookFault::Timeout);
        }
        let mut post = self
            .agent
            .post(request.uri)
            .config()
            .timeout_global(Some(left))
            .build()
            .content_type("application/json")
            .header("Idempotency-Key", request.key)
            .header("X-Wxreply-Account", request.account);
        if let Some((timestamp, signature)) = request.signed {
            post = post
                .header("X-Wxreply-Timestamp", timestamp)
                .header("X-Wxreply-Signature", signature);
        }
        let mut response = post.send(request.body).map_err(|error| fault(&error))?;
        match response.status().as_u16() {
            204 | 404 => return Ok(HookAnswer::Missing),
            200..300 => {}
            _ => return Err(HookFault::Status),
        }
        let limit = u64::try_from(HOOK_ANSWER_LIMIT).unwrap_or(u64::MAX);
        let body = response
            .body_mut()
            .with_config()
            // The reader refuses at its limit, even where nothing follows.
            .limit(limit.saturating_add(1))
            .read_to_vec()
            .map_err(|error| match fault(&error) {
                HookFault::Timeout => HookFault::Timeout,
                _ => HookFault::Unreadable,
            })?;
        if body.len() > HOOK_ANSWER_LIMIT {
            return Err(HookFault::Unreadable);
        }
        answer::read(&body)
    }
}

/// `sha256=` and the HMAC of time stamp, a dot, and the body, in hexadecimal.
fn sign(secret: &SecretString, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    let mut text = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
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

/// Fields as a JSON object, in their order.
struct Texts<'f>(&'f [(Box<str>, Box<str>)]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, &**value)))
    }
}

/// Looks names up, once for each call, and gives what may be connected to.
struct Checked {
    allowed: Arc<[AllowedHost]>,
    lookup: Lookup,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checked").finish_non_exhaustive()
    }
}

/// A name led to addresses of which none may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("the address is not allowed")]
struct NotAllowed;

impl Resolver for Checked {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some((target, host)) = place(uri) else {
            return Err(ureq::Error::Other(Box::new(NotAllowed)));
        };
        let found = match &host {
            Host::Address(address) => vec![SocketAddr::new(*address, target.port)],
            Host::Name(name) | Host::Below(name) => (self.lookup)(name, target.port)?,
        };
        if found.is_empty() {
            return Err(ureq::Error::HostNotFound);
        }
        let mut checked = self.empty();
        let may = |address: &SocketAddr| may_connect(&self.allowed, &host, *address);
        for address in found.into_iter().filter(may).take(MOST_ADDRESSES) {
            checked.push(SocketAddr::new(address.ip(), target.port));
        }
        if checked.is_empty() {
            return Err(ureq::Error::Other(Box::new(NotAllowed)));
        }
        Ok(checked)
    }
}

/// Why a call failed.
fn fault(error: &ureq::Error) -> HookFault {
    use ureq::Error;
    match error {
        Error::Other(inner) if inner.is::<NotAllowed>() => HookFault::Forbidden,
        Error::Timeout(_) => HookFault::Timeout,
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => HookFault::Timeout,
        Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::BodyExceedsLimit(_) => {
            HookFault::Unreadable
        }
        _ => HookFault::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // Computed with another implementation of HMAC-SHA-256.
        assert_eq!(
            sign(
                &"s3cret".into(),
                "1700000000",
                r#"{"order":"202611200001","who":"小明"}"#
            ),
            "sha256=61027a2d0f042f1c7af2ab482711f2a6474658a82d65632ce640874eb5c15641"
        );
    }

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
