//! Opens WeChat's callbacks and seals the answers.
//! Owns: the order of the checks, which failure is a bad request and which is forbidden, how a reply must travel.
//! Uses: model. Never: the clock, randomness, HTTP; a refusal tells nobody but the log what was wrong.

use std::fmt;
use std::time::Duration;

use super::account::{Account, Mode, Which};
use super::crypto::{self, AesKey};
use super::query::{QueryError, SignedQuery};
use super::signature;
use super::xml::{self, Elements, XmlError};
use crate::model::{Content, Incoming, OpenId, Reply, Time, TurnKey};

/// The answer that says nothing and stops WeChat's repeats. Never encrypted.
pub const SUCCESS: &[u8] = b"success";

/// A push that is WeChat's own.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it says.
    pub incoming: Incoming,
    /// Identifies it over repeats.
    pub key: TurnKey,
    /// To whom its answer goes, and how.
    pub seal: Seal,
}

/// What is needed to answer a push: whose it is, and how the answer must travel, which is as the push came, with the key and
/// the token that worked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    follower: OpenId,
    account: Box<str>,
    is_to_event: bool,
    travel: Travel,
}

impl Seal {
    /// Whether an event is answered: fewer kinds of replies can be.
    pub const fn is_to_event(&self) -> bool {
        self.is_to_event
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Travel {
    Clear,
    Encrypted { key: Which, token: Which },
}

/// A callback that is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the caller is told.
    pub kind: RefusedKind,
    /// Which check failed, one word: for logs and metrics, not for the caller.
    pub step: &'static str,
}

/// What the caller of a refused callback is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// 400: it cannot be read.
    BadRequest,
    /// 403: it is not WeChat's, or not meant for this account.
    Forbidden,
}

impl Refused {
    const fn bad_request(step: &'static str) -> Self {
        Self {
            kind: RefusedKind::BadRequest,
            step,
        }
    }

    const fn forbidden(step: &'static str) -> Self {
        Self {
            kind: RefusedKind::Forbidden,
            step,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "callback refused at {}", self.step)
    }
}

impl std::error::Error for Refused {}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Self::bad_request(error.step())
    }
}

impl From<XmlError> for Refused {
    fn from(error: XmlError) -> Self {
        match error {
            // ARCHITECTURE.md counts bytes that are no text among what never became a message.
            XmlError::NotUtf8 => Self::forbidden(error.step()),
            _ => Self::bad_request(error.step()),
        }
    }
}

/// Checks the GET by which WeChat's console tries the URL; gives the text that must go back, exactly.
///
/// # Errors
/// [`Refused`] when a parameter is missing or repeated, the signature is wrong, or the time stamp lies further from
/// `now` than `max_skew` (zero: any will do).
pub fn verify_url(
    account: &Account,
    query: &str,
    now: Time,
    max_skew: Duration,
) -> Result<String, Refused> {
    let query = SignedQuery::parse(query)?;
    let Some(echo) = &query.echostr else {
        return Err(QueryError::Missing.into());
    };
    signing_token(account, &query)?;
    check_freshness(&query, now, max_skew)?;
    Ok(echo.clone().into_owned())
}

/// Checks and reads a POST: parameters, signature, freshness, mode, then for an encrypted one its envelope, its second
/// signature and its ciphertext, and the clear message last.
///
/// # Errors
/// [`Refused`], with the kind that the table in ARCHITECTURE.md gives to each failure.
pub fn open(
    account: &Account,
    query: &str,
    body: &[u8],
    now: Time,
    max_skew: Duration,
) -> Result<Opened, Refused> {
    let query = SignedQuery::parse(query)?;
    let encrypted = match query.encrypt_type.as_deref() {
        None | Some("" | "raw") => None,
        Some(cipher) => {
            let msg_signature = query.msg_signature.as_deref();
            Some((cipher, msg_signature.ok_or(QueryError::Missing)?))
        }
    };
    let (token, token_text) = signing_token(account, &query)?;
    check_freshness(&query, now, max_skew)?;
    match (account.mode, encrypted) {
        (_, Some((cipher, _))) if cipher != "aes" => Err(Refused::forbidden("encrypt_type")),
        (Mode::Secure, None) => Err(Refused::forbidden("downgrade")),
        (Mode::Plain, Some(_)) => Err(Refused::forbidden("aes_in_plain_mode")),
        (Mode::Plain | Mode::Compatible, None) => opened(account, body, Travel::Clear),
        (Mode::Compatible | Mode::Secure, Some((_, msg_signature))) => {
            let envelope = Elements::read(body)?;
            let ciphertext = ciphertext(&envelope)?;
            let parts = [token_text, &query.timestamp, &query.nonce, ciphertext];
            if !signature::verify(&parts, msg_signature) {
                return Err(Refused::forbidden("msg_signature"));
            }
            let (key, clear) = decrypt(account, ciphertext)?;
            opened(account, &clear, Travel::Encrypted { key, token })
        }
    }
}

/// Writes the whole body of the answer to a push: the reply, sealed as the push was, or `success` when there is none or
/// it amounts to nothing. `create_time` (Unix seconds) is the reply's own and the same for a repeat; time stamp, nonce
/// and the 16 random bytes of an envelope come from `now` and `random`, which is asked only where something is encrypted.
pub fn answer(
    account: &Account,
    seal: &Seal,
    reply: Option<&Reply>,
    create_time: i64,
    now: Time,
    random: &mut impl FnMut(&mut [u8]),
) -> Vec<u8> {
    let Some(clear) = reply.and_then(|reply| {
        let to = seal.follower.as_str();
        xml::write(reply, to, &seal.account, create_time, seal.is_to_event)
    }) else {
        return SUCCESS.to_vec();
    };
    match seal.travel {
        Travel::Clear => clear.into_bytes(),
        // The secrets are there: the seal was made with them.
        Travel::Encrypted { key, token } => match (account.key(key), account.token(token)) {
            (Some(key), Some(token)) => {
                let sealed = envelope(key, &account.app_id, token, &clear, now, random);
                sealed.into_bytes()
            }
            _ => SUCCESS.to_vec(),
        },
    }
}

fn opened(account: &Account, clear: &[u8], travel: Travel) -> Result<Opened, Refused> {
    let incoming = xml::read(clear)?;
    Ok(Opened {
        key: TurnKey::of(&account.name, &incoming, clear),
        seal: Seal {
            follower: incoming.from.clone(),
            account: incoming.to.clone(),
            is_to_event: matches!(incoming.content, Content::Event(_)),
            travel,
        },
        incoming,
    })
}

/// The token that the query was signed with.
fn signing_token<'a>(
    account: &'a Account,
    query: &SignedQuery<'_>,
) -> Result<(Which, &'a str), Refused> {
    account
        .tokens()
        .find(|(_, token)| {
            let parts = [*token, &query.timestamp, &query.nonce];
            signature::verify(&parts, &query.signature)
        })
        .ok_or(Refused::forbidden("signature"))
}

fn check_freshness(query: &SignedQuery<'_>, now: Time, max_skew: Duration) -> Result<(), Refused> {
    if max_skew.is_zero() {
        return Ok(());
    }
    let at = query.timestamp.parse().map(Time::from_seconds);
    match at {
        Ok(at) if now.since(at).max(at.since(now)) <= max_skew => Ok(()),
        _ => Err(Refused::forbidden("stale")),
    }
}

/// The text of the envelope's only `Encrypt`.
fn ciphertext<'a>(envelope: &'a Elements<'_>) -> Result<&'a str, Refused> {
    let mut found = envelope.fields("Encrypt");
    match (found.next(), found.next()) {
        (Some(only), None) if !only.has_children => Ok(only.text()),
        (Some(_), Some(_)) => Err(Refused::bad_request("repeated_encrypt")),
        _ => Err(Refused::bad_request("missing_encrypt")),
    }
}

/// Decrypts with the current key, then with the previous one. What the current key says is what the log hears.
fn decrypt(account: &Account, ciphertext: &str) -> Result<(Which, Vec<u8>), Refused> {
    let mut refused = None;
    for (which, key) in account.keys() {
        match crypto::decrypt(key, &account.app_id, ciphertext) {
            Ok(clear) if str::from_utf8(&clear).is_ok() => return Ok((which, clear)),
            Ok(_) => return Err(Refused::forbidden("utf8")),
            Err(error) => refused = refused.or(Some(Refused::forbidden(error.step()))),
        }
    }
    Err(refused.unwrap_or(Refused::forbidden("no_key")))
}

fn envelope(
    key: &AesKey,
    app_id: &str,
    token: &str,
    clear: &str,
    now: Time,
    random: &mut impl FnMut(&mut [u8]),
) -> String {
    let mut drawn = [0; 20];
    random(&mut drawn);
    let [head @ .., a, b, c, d] = drawn;
    let nonce = [a, b, c, d];
    let encrypted = crypto::encrypt(key, app_id, head, clear.as_bytes());
    let timestamp = now.seconds().to_string();
    let nonce = u32::from_be_bytes(nonce).to_string();
    let msg_signature = signature::sign(&[token, &timestamp, &nonce, &encrypted]);
    xml::write_envelope(&encrypted, &msg_signature, &timestamp, &nonce)
}

#[cfg(test)]
mod tests;
