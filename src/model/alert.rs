//! Describes what people are told of when they do not look: an alert, and the channels it can take.
//! Owns: the kinds of alerts and channels, with their words. Uses: ids, entry, time. Never: how a channel is spoken to, a secret's text.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Priority;
use super::ids::{AccountName, AgentName, ConversationId, TurnKey};
use super::time::Time;

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A conversation waits for a person.
    Escalated,
    /// It still waits.
    Realert,
    /// A promised time has passed without an answer.
    Breach,
    /// WeChat's window shuts soon, or before anybody is back; or an answer waits so long that its author should look again.
    Window,
    /// Many followers say the same.
    Surge,
    /// Another channel does not work.
    ChannelFailed,
    /// Once a day: the way still works.
    Heartbeat,
}

impl AlertKind {
    /// Every kind with its word.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Escalated, "escalated"),
        (Self::Realert, "realert"),
        (Self::Breach, "breach"),
        (Self::Window, "window"),
        (Self::Surge, "surge"),
        (Self::ChannelFailed, "channel_failed"),
        (Self::Heartbeat, "heartbeat"),
    ];

    /// The word that receivers see.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or("", |(_, word)| word)
    }
}

/// One thing to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity: raising the same alert twice tells it once.
    pub id: TurnKey,
    /// Why.
    pub kind: AlertKind,
    /// Of which account; `None` for what concerns all.
    pub account: Option<AccountName>,
    /// Which conversation.
    pub conversation: Option<ConversationId>,
    /// How urgent; crisis goes first.
    pub priority: Priority,
    /// Why the conversation waits, or what happened, for people: 「没有规则回答」.
    pub reason: Arc<str>,
    /// For how long somebody has waited.
    pub waiting: Duration,
    /// When it was raised.
    pub at: Time,
    /// The highest tier that is told: 1 who is on duty, 2 the lead, 3 the owner. Channels of this tier and below are told.
    pub tier: u8,
    /// The person it is meant for, when it is meant for one.
    pub to: Option<AgentName>,
    /// What the follower wrote; channels show as much of it as they may, usually nothing.
    pub excerpt: Arc<str>,
}

/// How a channel is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// A JSON document, signed with HMAC-SHA256.
    Webhook,
    /// A robot in a WeCom (企业微信) group.
    Wecom,
    /// A robot in a DingTalk (钉钉) group.
    Dingtalk,
    /// A robot in a Feishu (飞书) or Lark group.
    Feishu,
    /// An incoming webhook of Slack.
    Slack,
    /// E-mail over SMTP.
    Email,
}

impl ChannelKind {
    /// Every kind with its word.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Webhook, "webhook"),
        (Self::Wecom, "wecom"),
        (Self::Dingtalk, "dingtalk"),
        (Self::Feishu, "feishu"),
        (Self::Slack, "slack"),
        (Self::Email, "email"),
    ];
}

/// One `[[alert]]` of `rules/_desk.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertChannel {
    /// Its name, unique.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Where it is: an address, or `env:NAME` of a variable that holds one (robots' addresses are secrets).
    pub url: Arc<str>,
    /// `env:NAME` of the variable with its secret, where it has one.
    pub secret: Option<Arc<str>>,
    /// Which tier it tells: 1, 2 or 3.
    pub tier: u8,
    /// Whether it is told at night of what is not urgent.
    pub night: bool,
    /// How many characters of the follower's message it shows.
    pub excerpt: u16,
    /// E-mail: who it is from.
    pub from: Option<Arc<str>>,
    /// E-mail: who gets it.
    pub to: Vec<Arc<str>>,
}
