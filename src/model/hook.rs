//! Describes a question that a rule puts to another system, and what comes back.
//! Owns: the limits of both. Uses: ids. Never: HTTP, JSON, whether a host may be asked.

use std::time::Duration;

use super::ids::{AccountName, RuleId, TurnKey};

/// The longest a hook may take; a rule may ask for less.
pub const HOOK_WITHIN: Duration = Duration::from_secs(3);
/// The most bytes of an answer that are read.
pub const HOOK_ANSWER_LIMIT: usize = 64 * 1024;
/// How long an answer is good for the same question.
pub const HOOK_CACHED_FOR: Duration = Duration::from_secs(60);

/// A question to another system: everything that asking needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// The account on which it is asked.
    pub account: AccountName,
    /// The rule that asks.
    pub rule: RuleId,
    /// The turn: sent as `Idempotency-Key`, so that the other side can tell a repeat.
    pub key: TurnKey,
    /// Where, with every placeholder filled in and escaped.
    pub url: Box<str>,
    /// What is sent, by name; a JSON object of texts.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// The environment variable that holds the secret with which the call is signed.
    pub secret: Option<Box<str>>,
    /// How long to wait, at most [`HOOK_WITHIN`].
    pub timeout: Duration,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAnswer {
    /// Fields of the answer by name, nested ones joined with a dot; numbers and truth values as JSON writes them.
    Found(Vec<(Box<str>, Box<str>)>),
    /// The other system knows nothing of it: 404, 204, `null` or `{}`.
    Missing,
    /// There is no answer.
    Failed(HookFault),
}

/// Why there is no answer. One word each, for the trace, the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookFault {
    /// The host is not on the list of allowed ones, or its address is private and not listed.
    Forbidden,
    /// It did not answer in time.
    Timeout,
    /// No connection.
    Unreachable,
    /// A status other than 2xx and 404, or a redirect.
    Status,
    /// Not a JSON object, or too long.
    Unreadable,
    /// Too many calls are under way.
    Busy,
    /// The secret's variable is not set.
    NoSecret,
    /// Nobody calls hooks here: `try`, inline tests without `hook`, back-tests.
    Offline,
}

impl HookFault {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Status => "status",
            Self::Unreadable => "unreadable",
            Self::Busy => "busy",
            Self::NoSecret => "no_secret",
            Self::Offline => "offline",
        }
    }
}
