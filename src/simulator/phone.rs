//! Shows what one follower's phone shows, in order.
//! Owns: the transcript and its wording. Uses: model. Never: the wire.

use std::fmt;

use serde_json::Value;

use super::reply::PassiveReply;
use crate::model::Time;

/// What a follower reads when the account's server did not answer properly.
pub const FAULT_NOTICE: &str = "该公众号提供的服务出现故障，请稍后再试";

/// The most entries a phone keeps; the oldest go first.
pub(super) const KEPT: usize = 1000;

/// One line of a phone's conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// When it appeared.
    pub at: Time,
    /// What it is.
    pub sight: Sight,
}

/// What can appear on a phone.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// What the follower said or did.
    Own(String),
    /// The account's passive reply.
    Reply(PassiveReply),
    /// A customer-service message.
    Pushed(Pushed),
    /// 「对方正在输入…」.
    Typing,
    /// [`FAULT_NOTICE`].
    FaultNotice,
}

/// A customer-service message (客服消息) that WeChat took and showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// When it was taken.
    pub at: Time,
    /// The follower's openid.
    pub to: String,
    /// `msgtype`.
    pub kind: String,
    /// The agent whose name and picture are shown, if any.
    pub agent: Option<String>,
    /// The whole request.
    pub request: Value,
}

impl Pushed {
    /// The text, when it is one.
    pub fn text(&self) -> Option<&str> {
        self.request.pointer("/text/content")?.as_str()
    }
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(text);
        }
        let content = self.request.get(&self.kind).unwrap_or(&Value::Null);
        write!(f, "[{}] {content}", self.kind)
    }
}

impl Sight {
    /// The text that came from the account: of a passive reply or a customer-service message.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Reply(reply) => reply.text(),
            Self::Pushed(pushed) => pushed.text(),
            Self::Own(_) | Self::Typing | Self::FaultNotice => None,
        }
    }
}

impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(text) => f.write_str(text),
            Self::Reply(reply) => reply.fmt(f),
            Self::Pushed(pushed) => pushed.fmt(f),
            Self::Typing => f.write_str("对方正在输入…"),
            Self::FaultNotice => f.write_str(FAULT_NOTICE),
        }
    }
}
