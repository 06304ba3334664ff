//! Describes one line of a conversation's history as people read it.
//! Owns: the words for who spoke and how it travelled. Uses: ids, time. Never: decides anything.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AgentName, MessageId, RuleId};
use super::time::Time;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the follower.
    In,
    /// To the follower.
    Out,
    /// Between colleagues only.
    Internal,
}

/// Who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The follower.
    Follower,
    /// A rule.
    Rule,
    /// The line that says a person will answer.
    Ack,
    /// A person.
    Agent,
    /// The server itself: a fixed line.
    System,
    /// A question of the rules: of a form, with the words that end it, or which of the closest rules is meant.
    Form,
    /// A line of `_crisis.toml`.
    Crisis,
}

impl By {
    /// Whether a rule speaks, by its replies or by its form.
    pub const fn is_rule(self) -> bool {
        matches!(self, Self::Rule | Self::Form)
    }
}

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// Came from the follower.
    Received,
    /// Went out in the callback's own response.
    Passive,
    /// Waits to be pushed.
    Queued,
    /// Is being pushed.
    Sending,
    /// WeChat took it.
    Sent,
    /// Waits for the follower's next message.
    Held,
    /// Will not arrive.
    Failed,
    /// May have arrived: never sent again by itself.
    Unknown,
}

/// Why a push did not arrive: WeChat's code where it gave one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushError {
    /// `errcode`; 0 for trouble on the way (connection, time-out, unreadable answer).
    pub code: i64,
    /// What went wrong, without secrets or addresses.
    pub message: Arc<str>,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id; ids sort by time.
    pub id: MessageId,
    /// When it was received or written.
    pub at: Time,
    /// Which way.
    pub direction: Direction,
    /// Who spoke.
    pub by: By,
    /// Which person, when one spoke.
    pub agent: Option<AgentName>,
    /// Which rule, when one spoke.
    pub rule: Option<RuleId>,
    /// The rule set's revision then.
    pub revision: Option<u64>,
    /// `text`, `image`, … `event` or `note`.
    pub kind: Cow<'static, str>,
    /// What people read.
    pub text: Arc<str>,
    /// Where it is on its way.
    pub delivery: Delivery,
    /// Why it did not arrive.
    pub error: Option<PushError>,
}
