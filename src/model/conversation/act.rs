//! Decides what an act of a person, or of the desk itself, leads to, or why it is refused: of two that race one wins.
//! Owns: legal acts and who may do them. Uses: model only. Never: changes anything; the roles of the API (see access).

use std::sync::Arc;
use std::time::Duration;

use super::{Conversation, HELD_FOR, State, Timer};
use crate::model::entry::{Change, Left, Outcome, Priority, Push};
use crate::model::ids::{AgentName, MessageId, TurnKey};
use crate::model::message::{By, Delivery, PushError};
use crate::model::remembered::MOST_TAGS;
use crate::model::reply::{Reply, TEXT_LIMIT};
use crate::model::time::Time;

use super::desk::REMARK_LIMIT;

/// The longest time for which a conversation can be put off.
pub const LONGEST_SNOOZE: Duration = Duration::from_secs(90 * 24 * 3600);
/// The longest reason or name of a desk's agent, in bytes.
const WORDS_LIMIT: usize = 512;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name under which it is written down.
    pub name: AgentName,
    /// Whether this person may change what others own.
    pub is_lead: bool,
}

impl Actor {
    /// Somebody who answers people.
    pub const fn agent(name: AgentName) -> Self {
        Self {
            name,
            is_lead: false,
        }
    }

    /// Somebody who may change what others own.
    pub const fn lead(name: AgentName) -> Self {
        Self {
            name,
            is_lead: true,
        }
    }
}

/// What a person, or the desk itself, wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Take it.
    Claim,
    /// Give it to somebody: an agent to themself, an owner to a colleague, a lead to anybody.
    Assign {
        /// Who gets it.
        to: AgentName,
        /// Why; needed where it is taken from its owner.
        reason: Box<str>,
    },
    /// Give it back to the queue.
    Release,
    /// Give it back to the rules.
    HandBack,
    /// End the episode.
    Close {
        /// How it ended.
        outcome: Outcome,
    },
    /// Put it off; the follower's next message brings it back before.
    Snooze {
        /// Until when.
        until: Time,
    },
    /// Say how urgent it is.
    Prioritise {
        /// How urgent.
        priority: Priority,
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
    /// Say what colleagues call the follower.
    Remark {
        /// What; empty for nothing.
        remark: Box<str>,
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
        /// Whether it is to wait for the next visit although it could be pushed.
        hold: bool,
    },
    /// Say that the follower was answered by another way.
    Elsewhere {
        /// What was answered.
        text: Box<str>,
    },
    /// Have the next message go to Tencent's desk.
    ToDesk {
        /// Which agent of that desk; empty for its pool.
        agent: Box<str>,
    },
    /// Have seen that an episode ended without an answer.
    Acknowledge,
    /// Be there: the conversation stays with its owner.
    Seen,
    /// The desk itself: its owner is gone.
    Leave {
        /// Who.
        who: AgentName,
        /// Why.
        why: Left,
    },
    /// The desk itself: a timer has come.
    Elapsed {
        /// Which.
        timer: Timer,
        /// The conversation's version when that was seen: whatever happened since wins.
        version: u64,
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
    /// Only a lead may do this to somebody else's conversation.
    #[error("only a lead may do this with the conversation of {0}")]
    NeedsLead(AgentName),
    /// Taking a conversation from its owner needs a reason.
    #[error("taking a conversation from {0} needs a reason")]
    NeedsReason(AgentName),
    /// Too long, or with control characters.
    #[error("at most {0} bytes without control characters")]
    Words(usize),
    /// In the past, or too far away.
    #[error("a conversation is put off for at most 90 days")]
    Until,
    /// It is in no state for that.
    #[error("not while the conversation is {}", .state.word())]
    State {
        /// Which it is in.
        state: State,
    },
    /// It cannot wait for the follower's next visit, and it cannot be pushed.
    #[error("this kind of answer can only be pushed, and that is not possible now")]
    Unholdable,
    /// Something else happened first.
    #[error("something else happened first")]
    Changed,
}

impl Conversation {
    /// Says what an act of `by` leads to, or why it is refused. Pure: nothing changes until the entry is applied.
    ///
    /// # Errors
    /// A [`Refusal`]; the loser of a race sees [`Refusal::OwnedBy`], a timer that came too late [`Refusal::Changed`].
    pub fn act(&self, act: &Act, by: &Actor, now: Time, seed: TurnKey) -> Result<Acted, Refusal> {
        if let Act::Reply { key: Some(key), .. } = act
            && let Some((_, message)) = self.keys.iter().find(|(known, _)| known == key)
        {
            return Ok(Acted::Already(Some(*message)));
        }
        self.check_owner(act, by)?;
        let name = by.name.clone();
        let change = match act {
            Act::Claim if self.state == State::Assigned => return Ok(Acted::Already(None)),
            Act::Claim => Change::Claimed { by: name },
            Act::Assign { to, reason } => {
                if self.state == State::Assigned && self.is_owned_by(to) {
                    return Ok(Acted::Already(None));
                }
                let reason = words(reason, WORDS_LIMIT)?;
                if let Some(owner) = self.owner.as_ref().filter(|owner| **owner != name)
                    && reason.is_empty()
                {
                    return Err(Refusal::NeedsReason(owner.clone()));
                }
                Change::Assigned {
                    id: MessageId::at(now, 0, seed),
                    by: name,
                    to: to.clone(),
                    reason,
                }
            }
            Act::Release if self.state == State::Waiting => return Ok(Acted::Already(None)),
            Act::Release => match &self.owner {
                None => return Err(Refusal::Unowned),
                Some(owner) if *owner == name => Change::Released { by: name },
                Some(owner) => Change::Unassigned {
                    id: MessageId::at(now, 0, seed),
                    from: owner.clone(),
                    why: Left::Lead(name),
                },
            },
            Act::HandBack if self.state == State::Bot => return Ok(Acted::Already(None)),
            Act::HandBack if self.state.is_open() => Change::HandedBack { by: name },
            Act::HandBack => return Err(Refusal::State { state: self.state }),
            Act::Close { outcome }
                if self.state == State::Closed && self.outcome == Some(*outcome) =>
            {
                return Ok(Acted::Already(None));
            }
            Act::Close { outcome } => Change::Closed {
                by: name,
                outcome: *outcome,
            },
            Act::Snooze { until } => {
                if *until <= now || until.since(now) > LONGEST_SNOOZE {
                    return Err(Refusal::Until);
                }
                if matches!(self.state, State::External | State::Closed) {
                    return Err(Refusal::State { state: self.state });
                }
                Change::Snoozed {
                    by: name,
                    until: *until,
                }
            }
            Act::Prioritise { priority } if *priority == self.priority => {
                return Ok(Acted::Already(None));
            }
            Act::Prioritise { priority } => Change::Prioritised {
                by: name,
                priority: *priority,
            },
            Act::Note { text } => {
                if text.trim().is_empty() {
                    return Err(Refusal::Empty);
                }
                Change::Noted {
                    id: MessageId::at(now, 0, seed),
                    by: name,
                    text: text.clone(),
                }
            }
            Act::Tag { tags } => {
                let tags = legal_tags(tags)?;
                if *tags == *self.tags() {
                    return Ok(Acted::Already(None));
                }
                Change::Tagged { by: name, tags }
            }
            Act::Remark { remark } => {
                let remark = words(remark, REMARK_LIMIT)?;
                if *remark == *self.desk().remark.as_deref().unwrap_or_default() {
                    return Ok(Acted::Already(None));
                }
                Change::Remarked { by: name, remark }
            }
            Act::Reply {
                reply,
                key,
                last_seen,
                can_push,
                hold,
            } => {
                let push = self.answer(reply, *last_seen, (*can_push, *hold), name, now, seed)?;
                Change::Replied {
                    push,
                    key: key.clone(),
                }
            }
            Act::Elsewhere { text } => {
                if text.trim().is_empty() {
                    return Err(Refusal::Empty);
                }
                Change::Elsewhere {
                    id: MessageId::at(now, 0, seed),
                    by: name,
                    text: text.clone(),
                }
            }
            Act::ToDesk { agent } => Change::ToDesk {
                by: name,
                agent: words(agent, WORDS_LIMIT)?,
            },
            Act::Acknowledge if !self.desk().is_missed => return Ok(Acted::Already(None)),
            Act::Acknowledge => Change::Acknowledged { by: name },
            Act::Seen if self.state != State::Assigned => return Ok(Acted::Already(None)),
            Act::Seen => Change::Seen { by: name },
            Act::Leave { who, .. } if !self.is_owned_by(who) => return Ok(Acted::Already(None)),
            Act::Leave { who, why } => Change::Unassigned {
                id: MessageId::at(now, 0, seed),
                from: who.clone(),
                why: why.clone(),
            },
            Act::Elapsed { version, .. } if *version != self.version => {
                return Err(Refusal::Changed);
            }
            Act::Elapsed {
                timer: Timer::HeldExpiry,
                ..
            } => Change::Uncollected {
                pushes: self.uncollected(now),
            },
            Act::Elapsed { timer, .. } => Change::Elapsed { timer: *timer },
        };
        Ok(Acted::Change(Box::new(change)))
    }

    /// Whose conversation it is decides who may act.
    fn check_owner(&self, act: &Act, by: &Actor) -> Result<(), Refusal> {
        let Some(owner) = self.owner.as_ref() else {
            return match act {
                Act::Assign { to, .. } if *to != by.name && !by.is_lead => {
                    Err(Refusal::NeedsLead(to.clone()))
                }
                _ => Ok(()),
            };
        };
        if *owner == by.name {
            return Ok(());
        }
        match act {
            // Whatever the owner does, colleagues may add to what is known.
            Act::Note { .. }
            | Act::Tag { .. }
            | Act::Remark { .. }
            | Act::Acknowledge
            | Act::Leave { .. }
            | Act::Elapsed { .. } => Ok(()),
            Act::Assign { .. }
            | Act::Release
            | Act::HandBack
            | Act::Close { .. }
            | Act::Snooze { .. }
            | Act::Prioritise { .. }
                if by.is_lead =>
            {
                Ok(())
            }
            Act::Assign { .. } => Err(Refusal::NeedsLead(owner.clone())),
            _ => Err(Refusal::OwnedBy(owner.clone())),
        }
    }

    /// The answer as it goes out, or waits.
    fn answer(
        &self,
        reply: &Reply,
        last_seen: Option<MessageId>,
        (can_push, hold): (bool, bool),
        by: AgentName,
        now: Time,
        seed: TurnKey,
    ) -> Result<Push, Refusal> {
        let words = match reply {
            Reply::Text(text) => Some(Arc::clone(text)),
            menu => menu.as_text(),
        };
        if let Some(text) = words {
            if text.trim().is_empty() {
                return Err(Refusal::Empty);
            }
            if text.len() > TEXT_LIMIT {
                return Err(Refusal::TooLong { bytes: text.len() });
            }
        }
        if let (Some(seen), Some(newest)) = (last_seen, self.last_inbound)
            && newest > seen
        {
            return Err(Refusal::Arrived);
        }
        let chosen = || PushError {
            code: 0,
            message: "kept for the next visit, as its author wished".into(),
        };
        let error = self.why_held(can_push, now).or_else(|| hold.then(chosen));
        if error.is_some() && !reply.can_be_held() {
            return Err(Refusal::Unholdable);
        }
        Ok(Push {
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
        })
    }

    /// What is held for longer than it may be.
    fn uncollected(&self, now: Time) -> Vec<MessageId> {
        let is_over = |push: &&Push| push.state == Delivery::Held && now.since(push.at) > HELD_FOR;
        self.pushes
            .iter()
            .filter(is_over)
            .map(|push| push.id)
            .collect()
    }
}

fn legal_tags(tags: &[Box<str>]) -> Result<Vec<Box<str>>, Refusal> {
    let is_legal = |tag: &str| (1..=64).contains(&tag.len()) && !tag.chars().any(char::is_control);
    if tags.len() > MOST_TAGS || !tags.iter().all(|tag| is_legal(tag)) {
        return Err(Refusal::Tags);
    }
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

/// A line of words without what breaks a line.
fn words(text: &str, limit: usize) -> Result<Box<str>, Refusal> {
    let text = text.trim();
    if text.len() > limit || text.chars().any(char::is_control) {
        return Err(Refusal::Words(limit));
    }
    Ok(text.into())
}
