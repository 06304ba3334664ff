//! Decides what may happen to a conversation and what it is afterwards: every state follows from entries, in order.
//! Owns: states, legal acts, who wins a race. Uses: model only. Never: the clock, a store, HTTP.

mod apply;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::entry::{Change, Outcome, Priority, Push, Reason};
use super::ids::{AccountName, AgentName, ConversationId, MessageId, OpenId, TurnKey};
use super::message::{By, Delivery, Message, PushError};
use super::remembered::{Form, MOST_TAGS, Remembered};
use super::reply::{Reply, TEXT_LIMIT};
use super::time::Time;
use super::window::Window;

/// In this time identical questions count as repeats.
pub const REPEAT_WITHIN: Duration = Duration::from_secs(600);
/// How many recent questions are remembered for that.
const QUESTIONS_KEPT: usize = 16;
/// How many idempotency keys of agents' answers are remembered per conversation.
const KEYS_KEPT: usize = 64;
/// How long an answer waits for the follower's next visit.
pub const HELD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who speaks next in a conversation (ARCHITECTURE.md, "A conversation's states").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Rules answer.
    Bot,
    /// A person must answer, nobody has taken it.
    Waiting,
    /// An agent owns it.
    Assigned,
    /// Answered by a person; the follower is next.
    Follower,
    /// A person's answer waits for the follower's next visit.
    Held,
    /// At Tencent's own desk.
    External,
    /// Put off.
    Snoozed,
    /// Ended.
    Closed,
}

impl State {
    /// Every state with the word the API uses.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Bot, "bot"),
        (Self::Waiting, "waiting"),
        (Self::Assigned, "assigned"),
        (Self::Follower, "follower"),
        (Self::Held, "held"),
        (Self::External, "external"),
        (Self::Snoozed, "snoozed"),
        (Self::Closed, "closed"),
    ];

    /// The word the API uses.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, word)| word)
    }

    /// The state that this word names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(state, _)| *state)
    }
}

/// One follower's conversation with one account: everything that deciding and the desk need to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The account.
    pub account: AccountName,
    /// The follower.
    pub follower: OpenId,
    /// Who speaks next.
    pub state: State,
    /// How urgent the open episode is.
    pub priority: Priority,
    /// Why the open episode was opened.
    pub reason: Option<Reason>,
    /// What the rule that handed over says about it.
    pub reason_note: Option<Arc<str>>,
    /// The agent who owns it.
    pub owner: Option<AgentName>,
    /// When the present episode, or the conversation, was opened.
    pub opened_at: Time,
    /// When anything last happened.
    pub updated_at: Time,
    /// Grows by one with every entry.
    pub version: u64,
    /// The follower's messages since a person last looked after it.
    pub unread: u32,
    /// What may still be pushed.
    pub window: Window,
    /// When the follower last read an ack.
    pub acked_at: Option<Time>,
    /// When a person's answer last reached the follower.
    pub answered_at: Option<Time>,
    /// When `external` ends by itself.
    pub external_until: Option<Time>,
    /// Digests and times of recent questions that rules answered.
    pub questions: SmallVec<[(u64, Time); 2]>,
    /// Pushes that are queued, being sent or held, oldest first.
    pub pushes: Vec<Push>,
    /// Idempotency keys of agents' answers.
    pub keys: Vec<(Box<str>, MessageId)>,
    /// The newest inbound message.
    pub last_inbound: Option<MessageId>,
    /// The newest line of the history.
    pub last_message: Option<Message>,
    /// How it ended, when it is closed.
    pub outcome: Option<Outcome>,
    /// What else is remembered of the follower; most have nothing.
    pub remembered: Option<Box<Remembered>>,
}

/// What a person wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Take it.
    Claim,
    /// Give it back to the queue.
    Release,
    /// End the episode.
    Close {
        /// How it ended.
        outcome: Outcome,
    },
    /// Write to colleagues.
    Note {
        /// What.
        text: Box<str>,
    },
    /// Say what the follower is called.
    Tag {
        /// All tags from now on.
        tags: Vec<Box<str>>,
    },
    /// Answer the follower. Claims an unclaimed conversation.
    Reply {
        /// What.
        reply: Reply,
        /// The same key again is the same answer.
        key: Option<Box<str>>,
        /// The newest message the agent has seen.
        last_seen: Option<MessageId>,
        /// Whether the account can push at all.
        can_push: bool,
    },
}

/// What an act leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// This is to be written down.
    Change(Box<Change>),
    /// Nothing to do: it is so already. For an answer, the message that the key made.
    Already(Option<MessageId>),
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else owns it.
    #[error("{0} owns this conversation")]
    OwnedBy(AgentName),
    /// Nobody owns it.
    #[error("nobody owns this conversation")]
    Unowned,
    /// The follower wrote after the last message the agent has seen.
    #[error("the follower wrote since the last message seen")]
    Arrived,
    /// WeChat would not take it.
    #[error("{bytes} bytes, WeChat takes at most {TEXT_LIMIT}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Nothing would be sent.
    #[error("an answer needs words")]
    Empty,
    /// A follower cannot have so many.
    #[error("at most {MOST_TAGS} tags of 1 to 64 bytes")]
    Tags,
}

impl Conversation {
    /// A conversation before its first entry.
    pub fn new(id: ConversationId, account: AccountName, follower: OpenId, at: Time) -> Self {
        Self {
            id,
            account,
            follower,
            state: State::Bot,
            priority: Priority::Normal,
            reason: None,
            reason_note: None,
            owner: None,
            opened_at: at,
            updated_at: at,
            version: 0,
            unread: 0,
            window: Window::default(),
            acked_at: None,
            answered_at: None,
            external_until: None,
            questions: SmallVec::new(),
            pushes: Vec::new(),
            keys: Vec::new(),
            last_inbound: None,
            last_message: None,
            outcome: None,
            remembered: None,
        }
    }

    /// The form that is running at this time.
    pub fn form(&self, now: Time) -> Option<&Form> {
        let form = self.remembered.as_ref()?.form.as_ref()?;
        (now < form.until).then_some(form)
    }

    /// What people call this follower.
    pub fn tags(&self) -> &[Box<str>] {
        self.remembered.as_ref().map_or(&[], |known| &known.tags)
    }

    /// How often this question was answered by rules in the last ten minutes.
    pub fn asked(&self, question: u64, now: Time) -> usize {
        self.questions
            .iter()
            .filter(|(known, at)| *known == question && now.since(*at) <= REPEAT_WITHIN)
            .count()
    }

    /// Answers that wait for the follower's next visit, oldest first; those past their seven days are left out.
    pub fn held(&self, now: Time) -> impl Iterator<Item = &Push> {
        self.pushes
            .iter()
            .filter(move |push| push.state == Delivery::Held && now.since(push.at) <= HELD_FOR)
    }

    /// The push that may be tried now: the oldest that is not held, unless it is being tried or waits for its time. Where
    /// there is none, what a form says when its time is over.
    pub fn due(&self, now: Time) -> Option<&Push> {
        self.first_push()
            .filter(|push| push.state == Delivery::Queued && push.not_before <= now)
    }

    /// The push that is tried next, now or later.
    pub fn first_push(&self) -> Option<&Push> {
        let queued = self.pushes.iter().find(|push| push.state != Delivery::Held);
        queued.or_else(|| self.remembered.as_ref()?.form.as_ref()?.on_timeout.as_ref())
    }

    /// Says what an act of `by` leads to, or why it is refused. Pure: nothing changes until the entry is applied.
    ///
    /// # Errors
    /// A [`Refusal`]; the loser of a race sees [`Refusal::OwnedBy`].
    pub fn act(
        &self,
        act: &Act,
        by: &AgentName,
        now: Time,
        seed: TurnKey,
    ) -> Result<Acted, Refusal> {
        if let Act::Reply { key: Some(key), .. } = act
            && let Some((_, message)) = self.keys.iter().find(|(known, _)| known == key)
        {
            return Ok(Acted::Already(Some(*message)));
        }
        if let Some(owner) = self.owner.as_ref().filter(|owner| *owner != by)
            && !matches!(act, Act::Note { .. } | Act::Tag { .. })
        {
            return Err(Refusal::OwnedBy(owner.clone()));
        }
        let by = by.clone();
        let change = match act {
            Act::Claim if self.state == State::Assigned => return Ok(Acted::Already(None)),
            Act::Claim => Change::Claimed { by },
            Act::Release if self.state == State::Waiting => return Ok(Acted::Already(None)),
            Act::Release if self.owner.is_none() => return Err(Refusal::Unowned),
            Act::Release => Change::Released { by },
            Act::Close { outcome }
                if self.state == State::Closed && self.outcome == Some(*outcome) =>
            {
                return Ok(Acted::Already(None));
            }
            Act::Close { outcome } => Change::Closed {
                by,
                outcome: *outcome,
            },
            Act::Note { text } => {
                if text.trim().is_empty() {
                    return Err(Refusal::Empty);
                }
                Change::Noted {
                    id: MessageId::at(now, 0, seed),
                    by,
                    text: text.clone(),
                }
            }
            Act::Tag { tags } => {
                let is_legal =
                    |tag: &str| (1..=64).contains(&tag.len()) && !tag.chars().any(char::is_control);
                if tags.len() > MOST_TAGS || !tags.iter().all(|tag| is_legal(tag)) {
                    return Err(Refusal::Tags);
                }
                let mut tags = tags.clone();
                tags.sort_unstable();
                tags.dedup();
                if *tags == *self.tags() {
                    return Ok(Acted::Already(None));
                }
                Change::Tagged { by, tags }
            }
            Act::Reply {
                reply,
                key,
                last_seen,
                can_push,
            } => {
                if let Reply::Text(text) = reply {
                    if text.trim().is_empty() {
                        return Err(Refusal::Empty);
                    }
                    if text.len() > TEXT_LIMIT {
                        return Err(Refusal::TooLong { bytes: text.len() });
                    }
                }
                if let (Some(seen), Some(newest)) = (last_seen, self.last_inbound)
                    && newest > *seen
                {
                    return Err(Refusal::Arrived);
                }
                let error = self.why_held(*can_push, now);
                let push = Push {
                    id: MessageId::at(now, 0, seed),
                    by: By::Agent,
                    agent: Some(by),
                    rule: None,
                    revision: None,
                    reply: reply.clone(),
                    at: now,
                    state: if error.is_some() {
                        Delivery::Held
                    } else {
                        Delivery::Queued
                    },
                    attempts: 0,
                    not_before: now,
                    error,
                };
                Change::Replied {
                    push,
                    key: key.clone(),
                }
            }
        };
        Ok(Acted::Change(Box::new(change)))
    }

    /// Why an answer written now would wait for the follower instead of being pushed, if it would.
    pub fn why_held(&self, can_push: bool, now: Time) -> Option<PushError> {
        let held = |code, message: &str| {
            Some(PushError {
                code,
                message: message.into(),
            })
        };
        if !can_push {
            held(48001, "this account cannot push")
        } else if self.held(now).next().is_some() {
            held(0, "an earlier answer waits for the follower")
        } else if self.window.until(now).is_none() {
            held(45015, "the window is closed")
        } else if self.window.left(now) == 0 {
            held(45047, "the window's pushes are used up")
        } else {
            None
        }
    }
}

/// The line of the history that a note is.
pub fn note(id: MessageId, by: &AgentName, text: &str, at: Time) -> Message {
    Message {
        id,
        at,
        direction: super::message::Direction::Internal,
        by: By::Agent,
        agent: Some(by.clone()),
        rule: None,
        revision: None,
        kind: "note".into(),
        text: text.into(),
        delivery: Delivery::Received,
        error: None,
    }
}
