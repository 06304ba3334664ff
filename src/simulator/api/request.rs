//! Reads the parts of an API request that the calls look at.
//! Owns: how query and JSON are read. Uses: actix-web. Never: tokens, rights.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::web::{self, Bytes};
use serde_json::Value;

use super::super::refusal::Refusal;
use crate::model::Time;

/// A request, before anybody knows whose it is.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) is_post: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) peer: IpAddr,
    pub(super) now: Time,
}

impl Request {
    /// Takes out of a request what the calls look at.
    pub(super) fn read(http: &HttpRequest, body: Bytes, now: Time) -> Self {
        let query = web::Query::<Vec<(String, String)>>::from_query(http.query_string());
        let unknown = IpAddr::from([127, 0, 0, 1]);
        let content_type = http.headers().get("content-type");
        Self {
            path: http.path().to_owned(),
            is_post: http.method() == Method::POST,
            query: query.map(web::Query::into_inner).unwrap_or_default(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            body,
            peer: http.peer_addr().map_or(unknown, |peer| peer.ip()),
            now,
        }
    }

    /// A query parameter; empty when missing.
    pub(super) fn query(&self, name: &str) -> &str {
        let mut pairs = self.query.iter();
        pairs
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value)
    }

    /// The JSON body: 44002 when empty, 40033 with `\uXXXX` escapes, 47001 when it is no JSON object.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        if self.body.is_empty() {
            return Err(Refusal::new(44002));
        }
        let value: Value =
            serde_json::from_slice(&self.body).map_err(|_not_json| Refusal::new(47001))?;
        if !value.is_object() {
            return Err(Refusal::new(47001));
        }
        if has_escapes(&self.body) {
            return Err(Refusal::new(40033));
        }
        Ok(value)
    }
}

/// Whether a JSON text writes a character beyond ASCII as `\uXXXX`.
fn has_escapes(json: &[u8]) -> bool {
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'\\' && bytes.next() == Some(&b'u') {
            let ascii = bytes.as_slice().starts_with(b"00")
                && bytes.as_slice().get(2).is_some_and(|digit| *digit < b'8');
            if !ascii {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_beyond_ascii_count() {
        assert!(has_escapes(br#"{"a":"\u4f60"}"#));
        assert!(has_escapes(br#"{"a":"\\\u00e9"}"#));
        assert!(!has_escapes(br#"{"a":"\\u4f60 \n \u000a"}"#));
        assert!(!has_escapes("{\"a\":\"你\"}".as_bytes()));
        assert!(!has_escapes(b"\\"));
    }
}
