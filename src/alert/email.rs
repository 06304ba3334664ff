//! Sends a message as e-mail over SMTP.
//! Owns: the address of a mail server, its encryption, the mail's headers. Uses: outbound, lettre. Never: which name leads where:
//! it connects to addresses that were checked.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use std::{io, iter};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message as Mail, SmtpTransport, Transport as _};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use super::failure::Failure;
use super::wording::Message;
use crate::model::alert::AlertChannel;
use crate::model::{Time, TurnKey};
use crate::outbound::{Exchange, Fault, Place};

/// Ports of submission: encrypted from the first byte, and after STARTTLS.
const SMTPS: u16 = 465;
const SUBMISSION: u16 = 587;
/// What a host stands for in the list when no port is given.
const LISTED: Option<u16> = Some(443);
/// Mail is read in one piece, but not without end.
const TEXT_LIMIT: usize = 64 << 10;

/// A mail server as its URL names it.
struct Server {
    is_smtps: bool,
    host: String,
    port: u16,
    user: Option<String>,
    password: SecretString,
}

impl Server {
    /// Reads `smtps://user:password@host:465` or `smtp://…`; what stands before the host is percent-encoded.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_smtps = match scheme {
            "smtps" => true,
            "smtp" => false,
            _ => return None,
        };
        let rest = rest.trim_end_matches('/');
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (rest, if is_smtps { SMTPS } else { SUBMISSION }),
        };
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        let (user, password) = match user {
            None => (None, String::new()),
            Some(user) => match user.split_once(':') {
                Some((user, password)) => (Some(decoded(user)?), decoded(password)?),
                None => (Some(decoded(user)?), String::new()),
            },
        };
        Some(Self {
            is_smtps,
            host: host.to_owned(),
            port,
            user,
            password: password.into(),
        })
    }

    /// Where to connect, and whether the connection is encrypted.
    fn addresses(&self, exchange: &Exchange) -> Result<(Vec<SocketAddr>, bool), Fault> {
        let place = |is_encrypted| Place {
            host: &self.host,
            port: self.port,
            is_encrypted,
            also_listed_as: LISTED.filter(|_| is_encrypted),
        };
        if !self.is_smtps {
            // Listed with `http://` in front: unencrypted is meant.
            match exchange.addresses(place(false)) {
                Err(Fault::Forbidden) => {}
                found => return Ok((found?, false)),
            }
        }
        Ok((exchange.addresses(place(true))?, true))
    }
}

/// One mail, ready to be sent.
pub(super) struct Letter<'a> {
    pub(super) channel: &'a AlertChannel,
    pub(super) message: &'a Message,
    /// Repeats of one letter have one id.
    pub(super) id: TurnKey,
    pub(super) now: Time,
}

/// Sends a letter; blocks.
///
/// # Errors
/// Why the mail server did not take it.
pub(super) fn send(
    exchange: &Exchange,
    url: &str,
    password: Option<&SecretString>,
    letter: &Letter<'_>,
    until: Instant,
) -> Result<(), Failure> {
    let mut server = Server::parse(url).ok_or(Failure::BadAddress)?;
    if let Some(password) = password {
        server.password = password.clone();
    }
    let mail = written(letter).ok_or(Failure::BadAddress)?;
    let (addresses, is_encrypted) = server.addresses(exchange)?;
    let mut last = Failure::Unreachable;
    for address in addresses {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Timeout);
        }
        let transport = transport(&server, address, is_encrypted, left)?;
        let Err(error) = transport.send(&mail) else {
            return Ok(());
        };
        last = failure(&error);
        // Whoever answered has decided; only where nobody is, the next address is tried.
        if last != Failure::Unreachable {
            break;
        }
    }
    Err(last)
}

fn transport(
    server: &Server,
    address: SocketAddr,
    is_encrypted: bool,
    within: Duration,
) -> Result<SmtpTransport, Failure> {
    // The certificate is held against the name, the connection goes to the address.
    let name = server.host.trim_matches(['[', ']']).to_owned();
    let tls = || TlsParameters::new(name).map_err(|_not_possible| Failure::Tls);
    let tls = match (is_encrypted, server.is_smtps) {
        (false, _) => Tls::None,
        (true, true) => Tls::Wrapper(tls()?),
        (true, false) => Tls::Required(tls()?),
    };
    let mut transport = SmtpTransport::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .timeout(Some(within))
        .tls(tls);
    if let Some(user) = &server.user {
        // A password does not travel in the clear, except on this machine.
        if !is_encrypted && !address.ip().to_canonical().is_loopback() {
            return Err(Failure::Tls);
        }
        let password = server.password.expose_secret().to_owned();
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    Ok(transport.build())
}

/// The mail; nothing when an address in it is none.
fn written(letter: &Letter<'_>) -> Option<Mail> {
    let channel = letter.channel;
    let from: Mailbox = channel.from.as_deref()?.parse().ok()?;
    let domain = from.email.domain().to_owned();
    let millis = u64::try_from(letter.now.millis()).unwrap_or_default();
    let mut builder: MessageBuilder = Mail::builder()
        .from(from)
        .subject(letter.message.heading.as_str())
        .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(format!("<{}@{domain}>", letter.id)))
        .header(ContentType::TEXT_PLAIN);
    for to in &channel.to {
        builder = builder.to(to.parse().ok()?);
    }
    let text = letter.message.text(TEXT_LIMIT, str::to_owned);
    builder.body(text).ok()
}

fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    if let Some(code) = error.status() {
        return Failure::Mail { code: code.into() };
    }
    if error.is_timeout() {
        return Failure::Timeout;
    }
    // A handshake that fails, over a certificate too, comes as invalid data.
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    let is_garbled = |cause: &(dyn Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::InvalidData)
    };
    if error.is_tls() || causes.any(is_garbled) {
        return Failure::Tls;
    }
    if error.is_client() || error.is_response() {
        return Failure::Unreadable;
    }
    Failure::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_read_from_its_url() {
        let read = |url: &str| {
            let server = Server::parse(url)?;
            let password = server.password.expose_secret().to_owned();
            Some((
                server.is_smtps,
                server.host,
                server.port,
                server.user,
                password,
            ))
        };
        let some = |is_smtps, host: &str, port, user: Option<&str>, password: &str| {
            let user = user.map(str::to_owned);
            Some((is_smtps, host.to_owned(), port, user, password.to_owned()))
        };
        assert_eq!(
            read("smtps://bot%40x.com:p%3Aw@smtp.x.com"),
            some(true, "smtp.x.com", 465, Some("bot@x.com"), "p:w")
        );
        assert_eq!(
            read("smtp://u@smtp.x.com:2525/"),
            some(false, "smtp.x.com", 2525, Some("u"), "")
        );
        assert_eq!(read("smtp://[::1]"), some(false, "[::1]", 587, None, ""));
        for wrong in ["smtp.x.com", "https://x", "smtps://x:port", ""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
