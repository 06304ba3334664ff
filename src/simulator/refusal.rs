//! Names WeChat's error codes and words them as WeChat does.
//! Owns: the table of codes this platform gives. Uses: serde_json. Never: decides when one applies.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::seal;
use crate::model::Time;

/// An answer with an `errcode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    text: Option<String>,
}

impl Refusal {
    /// The code with its usual words.
    pub(super) const fn new(code: i64) -> Self {
        Self { code, text: None }
    }

    /// 40164, which names the address that called.
    pub(super) fn not_in_whitelist(address: IpAddr) -> Self {
        Self {
            code: 40164,
            text: Some(format!(
                "invalid ip {address} ipv6 ::ffff:{address}, not in whitelist"
            )),
        }
    }

    /// The body of the answer: `rid` stands at the end of `errmsg`.
    pub(super) fn body(&self, now: Time) -> Value {
        let text = self.text.as_deref().unwrap_or_else(|| words(self.code));
        let random = u64::from_be_bytes(seal::random());
        let (high, low) = (random >> 32, random & 0xffff_ffff);
        json!({
            "errcode": self.code,
            "errmsg": format!("{text} rid: {:08x}-{high:08x}-{low:08x}", now.seconds()),
        })
    }
}

fn words(code: i64) -> &'static str {
    match code {
        -1 => "system error",
        40001 => "invalid credential, access_token is invalid or not latest",
        40002 => "invalid grant_type",
        40003 => "invalid openid",
        40004 => "invalid media type",
        40005 => "invalid file type",
        40007 => "invalid media_id",
        40008 => "invalid message type",
        40009 => "invalid image size",
        40010 => "invalid voice size",
        40011 => "invalid video size",
        40012 => "invalid thumb size",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40033 => "invalid charset. please check your request, if include \\uxxxx will create fail!",
        40035 => "invalid parameter",
        40066 => "invalid url",
        40125 => "invalid appsecret",
        40200 => "invalid account type",
        40201 => "callback url not set",
        40202 => "invalid action",
        40203 => "invalid check_operator",
        41001 => "access_token missing",
        41002 => "appid missing",
        41004 => "appsecret missing",
        41005 => "media data missing",
        41006 => "media_id missing",
        41009 => "openid missing",
        42001 => "access_token expired",
        43001 => "require GET method",
        43002 => "require POST method",
        43004 => "require subscribe",
        43019 => "require remove blacklist",
        44001 => "empty media data",
        44002 => "empty post data",
        44003 => "empty news data",
        44004 => "empty content",
        45002 => "content size out of limit",
        45008 => "article size out of limit",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit, must slower, retry next minute",
        45015 => "response out of time limit or subscription is canceled",
        45047 => "out of response count limit",
        45072 => "command must be Typing or CancelTyping",
        45080 => "need interact in 30 seconds",
        45081 => "already typing, can not typing again",
        47001 => "data format error",
        48001 => "api unauthorized",
        48002 => "user block receive message",
        48006 => "forbid to clear quota because of reaching the limit",
        50005 => "user is unsubscribed",
        65400 => "please enable new custom service",
        65401 => "invalid custom service account",
        65413 => "session not exist",
        65414 => "the user is served by another custom service account",
        65415 => "the custom service account is offline",
        76021 => "cgi_path not found",
        _ => "error",
    }
}
