//! Asks WeChat what an account may do, without doing anything: nothing reaches a follower.
//! Owns: the calls that only look. Uses: client. Never: says what follows from an answer (see [`Known`](super::Known)).
//!
//! | probe | call | what shows that it may |
//! |---|---|---|
//! | token | `stable_token`, the present one comes back | a token |
//! | push | `message/custom/typing` to an openid that nobody has | 40003: WeChat looked for the follower |
//! | media | `media/get` of an id that nobody has | 40007 |
//! | users | `user/info` of an openid that nobody has | 40003 |
//! | desk | `customservice/getonlinekflist` | a list |

use std::sync::Arc;

use serde_json::json;

use super::known::Api;
use super::{Calls, Client, Request, SendError};

/// Longer than no openid and no media id of WeChat's, and never one.
const NOBODY: &str = "wxreply-check";
/// The longest answer of a probe, in bytes: a list of agents may be long.
const LIMIT: u64 = 1 << 20;

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Which: `token`, `push`, `media`, `users` or `desk`.
    pub probe: &'static str,
    /// WeChat's `errcode`; 0 when it did what it was asked, `None` when it did not answer clearly.
    pub code: Option<i64>,
    /// What it said; empty when all went well.
    pub message: String,
}

impl Client {
    /// Asks WeChat for each right of the account, once. What the answers show is in [`Client::known`] afterwards. Without
    /// a token nothing else is asked.
    pub async fn probe(&self) -> Vec<Probed> {
        let calls = Arc::clone(&self.0);
        calls.tokens.clear();
        let token = self.look("token", |calls| calls.token().map(drop)).await;
        let has_token = token.code == Some(0);
        let mut probed = vec![token];
        if has_token {
            let (push, media, users, desk) = tokio::join!(
                self.look("push", Calls::look_at_push),
                self.look("media", |calls| {
                    let query = Some(("media_id", NOBODY));
                    calls.look_at(Api::MEDIA_GET, "/cgi-bin/media/get", query)
                }),
                self.look("users", |calls| {
                    let query = Some(("openid", NOBODY));
                    calls.look_at(Api::USER_INFO, "/cgi-bin/user/info", query)
                }),
                self.look("desk", |calls| {
                    calls.look_at(Api::DESK, "/cgi-bin/customservice/getonlinekflist", None)
                }),
            );
            probed.extend([push, media, users, desk]);
        }
        probed
    }

    async fn look(
        &self,
        probe: &'static str,
        look: impl FnOnce(&Calls) -> Result<(), SendError> + Send + 'static,
    ) -> Probed {
        let ended = self.blocking(look).await;
        let (code, message) = match ended {
            Ok(()) => (Some(0), String::new()),
            Err(SendError::Refused { code, message }) => (Some(code), message),
            Err(SendError::NotConnected(message) | SendError::Unclear(message)) => (None, message),
        };
        Probed {
            probe,
            code,
            message,
        }
    }
}

impl Calls {
    fn look_at_push(&self) -> Result<(), SendError> {
        let body = json!({ "touser": NOBODY, "command": "Typing" }).to_string();
        let request = Request::json(
            Api::TYPING.as_probe(),
            "/cgi-bin/message/custom/typing",
            &body,
        );
        self.call_as_account(&request).map(drop)
    }

    fn look_at(&self, api: Api, path: &str, query: Option<(&str, &str)>) -> Result<(), SendError> {
        self.read(api.as_probe(), path, query, LIMIT).map(drop)
    }
}
