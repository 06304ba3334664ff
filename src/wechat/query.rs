//! Reads the query of a callback: the parameters that WeChat signs with, each at most once.
//! Owns: which parameters count. Uses: percent-encoding. Never: checks a signature.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::percent_decode_str;

/// The parameters of a callback, decoded once. Everything else in the query is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedQuery<'a> {
    /// Over token, time stamp and nonce.
    pub signature: Cow<'a, str>,
    /// Unix seconds, as sent.
    pub timestamp: Cow<'a, str>,
    /// Any text.
    pub nonce: Cow<'a, str>,
    /// What a URL check wants back.
    pub echostr: Option<Cow<'a, str>>,
    /// `aes`, `raw` or absent.
    pub encrypt_type: Option<Cow<'a, str>>,
    /// Over token, time stamp, nonce and ciphertext.
    pub msg_signature: Option<Cow<'a, str>>,
}

/// Why a query is not WeChat's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter is not there.
    #[error("a parameter is missing")]
    Missing,
    /// A parameter is there twice; which one counts is anybody's guess, so none does.
    #[error("a parameter is repeated")]
    Repeated,
    /// A value is not UTF-8 after decoding.
    #[error("a parameter is not UTF-8")]
    NotUtf8,
}

impl QueryError {
    /// The word for logs and metrics.
    pub const fn step(self) -> &'static str {
        match self {
            Self::Missing => "missing_parameter",
            Self::Repeated => "duplicate_parameter",
            Self::NotUtf8 => "parameter_utf8",
        }
    }
}

impl<'a> SignedQuery<'a> {
    /// Reads a query without its `?`. A `+` stays a plus sign: WeChat percent-encodes.
    ///
    /// # Errors
    /// [`QueryError`]; `signature`, `timestamp` and `nonce` must be there, if only empty.
    pub fn parse(query: &'a str) -> Result<Self, QueryError> {
        let (mut signature, mut timestamp, mut nonce) = (None, None, None);
        let (mut echostr, mut encrypt_type, mut msg_signature) = (None, None, None);
        let mut openid = None;
        let is_plain = memchr(b'%', query.as_bytes()).is_none();
        let decoded = |text| {
            if is_plain {
                Ok(Cow::Borrowed(text))
            } else {
                percent_decode_str(text).decode_utf8()
            }
        };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Ok(name) = decoded(name) else {
                continue;
            };
            let slot = match &*name {
                "signature" => &mut signature,
                "timestamp" => &mut timestamp,
                "nonce" => &mut nonce,
                "echostr" => &mut echostr,
                "encrypt_type" => &mut encrypt_type,
                "msg_signature" => &mut msg_signature,
                "openid" => &mut openid,
                _ => continue,
            };
            let Ok(value) = decoded(value) else {
                return Err(QueryError::NotUtf8);
            };
            if slot.replace(value).is_some() {
                return Err(QueryError::Repeated);
            }
        }
        Ok(Self {
            signature: signature.ok_or(QueryError::Missing)?,
            timestamp: timestamp.ok_or(QueryError::Missing)?,
            nonce: nonce.ok_or(QueryError::Missing)?,
            echostr,
            encrypt_type,
            msg_signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once_and_only_where_needed() {
        let query =
            SignedQuery::parse("signature=s&timestamp=1&nonce=&echostr=a%2Bb+%2525&x=%ff").unwrap();
        assert_eq!(query.echostr.as_deref(), Some("a+b+%25"));
        assert!(matches!(query.signature, Cow::Borrowed("s")));
        assert_eq!(query.nonce, "");
    }

    #[test]
    fn known_parameters_come_once_however_they_are_spelled() {
        let repeated = "signature=a&%73ignature=b&timestamp=1&nonce=2";
        assert_eq!(SignedQuery::parse(repeated), Err(QueryError::Repeated));
        let unknown = "signature=a&timestamp=1&nonce=2&x=1&x=2&&=";
        assert!(SignedQuery::parse(unknown).is_ok());
    }

    #[test]
    fn what_is_missing_or_unreadable_is_said() {
        assert_eq!(SignedQuery::parse(""), Err(QueryError::Missing));
        let broken = "signature=%ff&timestamp=1&nonce=2";
        assert_eq!(SignedQuery::parse(broken), Err(QueryError::NotUtf8));
    }
}
