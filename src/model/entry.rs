//! Describes what is written down: one entry per turn, act of a person, or step of a push.
//! Owns: the journal's shapes; everything a conversation is follows from its entries in order. Uses: model only. Never: how or where entries are kept.
//!
//! Stored with postcard behind a version byte: a change of any type here needs a new version in the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::conversation::Timer;
use super::ids::{AccountName, AgentName, ConversationId, MessageId, RuleId, TurnKey};
use super::incoming::Incoming;
use super::message::{By, Delivery, Direction, Message, PushError};
use super::remembered::Noted;
use super::reply::Reply;
use super::time::Time;

/// One thing that happened in one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Where.
    pub conversation: ConversationId,
    /// What.
    pub change: Change,
}

/// What can happen in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A push from WeChat, and what came of it.
    Turn(Box<Turn>),
    /// An agent took the conversation.
    Claimed {
        /// Who.
        by: AgentName,
    },
    /// An agent gave it back to the queue.
    Released {
        /// Who.
        by: AgentName,
    },
    /// An agent ended the episode.
    Closed {
        /// Who.
        by: AgentName,
        /// How it ended.
        outcome: Outcome,
    },
    /// A note between colleagues.
    Noted {
        /// The note's id.
        id: MessageId,
        /// Who.
        by: AgentName,
        /// What.
        text: Box<str>,
    },
    /// An agent's answer, queued or held.
    Replied {
        /// The answer; its `agent` owns the conversation from now on.
        push: Push,
        /// The caller's key: the same key again is the same answer.
        key: Option<Box<str>>,
    },
    /// A turn's own answer was ready after the deadline, when WeChat had been told `success`: it travels as a push, and a
    /// repeat of the turn gets `success` again.
    Late {
        /// The turn.
        turn: TurnKey,
        /// Its answer.
        push: Push,
    },
    /// An attempt to push begins: on disk before WeChat is called.
    Sending {
        /// Which.
        push: MessageId,
    },
    /// An attempt to push ended.
    Settled {
        /// Which.
        push: MessageId,
        /// How.
        result: Settled,
    },
    /// A person said what the follower is called.
    Tagged {
        /// Who.
        by: AgentName,
        /// All tags from now on.
        tags: Vec<Box<str>>,
    },
    /// It was given to somebody, or taken from whoever had it.
    Assigned {
        /// The id of the line that says so.
        id: MessageId,
        /// Who did it: a lead, the owner, or the one who takes it over.
        by: AgentName,
        /// Who has it now.
        to: AgentName,
        /// Why, for colleagues; may be empty.
        reason: Box<str>,
    },
    /// It went back to the queue, and its owner did not do that.
    Unassigned {
        /// The id of the line that says so.
        id: MessageId,
        /// Who had it.
        from: AgentName,
        /// Why.
        why: Left,
    },
    /// A person gave it back to the rules.
    HandedBack {
        /// Who.
        by: AgentName,
    },
    /// A person put it off.
    Snoozed {
        /// Who.
        by: AgentName,
        /// Until when, unless the follower writes before.
        until: Time,
    },
    /// A person said how urgent it is.
    Prioritised {
        /// Who.
        by: AgentName,
        /// How urgent.
        priority: Priority,
    },
    /// A person said what colleagues call the follower.
    Remarked {
        /// Who.
        by: AgentName,
        /// What; empty for nothing.
        remark: Box<str>,
    },
    /// A person has seen that an episode ended without an answer.
    Acknowledged {
        /// Who.
        by: AgentName,
    },
    /// A person answered by another way: in WeChat's own console, by telephone.
    Elsewhere {
        /// The id of the line that says so.
        id: MessageId,
        /// Who.
        by: AgentName,
        /// What was answered.
        text: Box<str>,
    },
    /// The next message goes to Tencent's desk.
    ToDesk {
        /// Who decided so.
        by: AgentName,
        /// Which agent of that desk; empty for its pool.
        agent: Box<str>,
    },
    /// The owner is still there.
    Seen {
        /// Who.
        by: AgentName,
    },
    /// Something happened by itself.
    Elapsed {
        /// What.
        timer: Timer,
    },
    /// What was held was not collected in time, and is given up.
    Uncollected {
        /// Which.
        pushes: Vec<MessageId>,
    },
    /// What was said before a time is not kept any longer.
    Forgotten {
        /// That time.
        before: Time,
    },
}

/// Why a conversation was taken from its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Left {
    /// The owner went off duty.
    OffDuty,
    /// The owner may not work here any more.
    Disabled,
    /// A lead gave it back.
    Lead(AgentName),
}

/// One push from WeChat and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Its identity over repeats.
    pub key: TurnKey,
    /// The account it came to.
    pub account: AccountName,
    /// What came.
    pub incoming: Incoming,
    /// What came of it.
    pub answer: Answer,
}

/// What came of one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What this turn itself says, and who says it.
    pub own: Option<Spoken>,
    /// Answers that waited and are handed out now, oldest first.
    pub given: SmallVec<[MessageId; 2]>,
    /// The passive reply when it is not `own` as it stands: held answers, alone or joined with it.
    pub joined: Option<Reply>,
    /// `own` when it had to be queued behind held answers instead of going out passively.
    pub push: Option<Push>,
    /// Where the conversation goes.
    pub moved: Option<Move>,
    /// A digest of the normalised words of a question that a rule answered; identical ones count.
    pub question: Option<u64>,
    /// Further replies of the rule, pushed behind the passive one, in order.
    pub more: Vec<Push>,
    /// What changes in what is remembered of the follower.
    pub noted: Vec<Noted>,
}

/// Something said by the server in a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// Rule, ack or system.
    pub by: By,
    /// Which rule.
    pub rule: Option<RuleId>,
    /// Of which revision of the rule set.
    pub revision: Option<u64>,
    /// What.
    pub reply: Reply,
}

impl Answer {
    /// What goes back in the callback's response; `None` is `success`. The same for every repeat.
    pub fn passive(&self) -> Option<&Reply> {
        match (&self.joined, &self.own) {
            (Some(joined), _) => Some(joined),
            (None, Some(own)) if self.push.is_none() => Some(&own.reply),
            _ => None,
        }
    }

    /// Whether the turn must be on disk before WeChat is answered: it moves the conversation, hands out an
    /// answer, queues a push, steps a form or called a hook. Messages to a person are decided with `Move::Owner`, so they
    /// count as well.
    pub fn is_durable(&self) -> bool {
        self.moved.is_some()
            || !self.given.is_empty()
            || self.push.is_some()
            || !self.more.is_empty()
            || self.noted.iter().any(Noted::is_durable)
    }
}

/// Where a turn takes a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// To the queue: a person must answer.
    Escalate {
        /// Why.
        reason: Reason,
        /// How urgent.
        priority: Priority,
        /// What the rule that hands over says about it.
        note: Option<Arc<str>>,
    },
    /// To the agent who owns it.
    Owner,
    /// Waiting for the follower: everything held was handed out.
    Follower,
    /// Back to the rules.
    Bot,
    /// To Tencent's desk, until the given time at the latest.
    External {
        /// When rules speak again.
        until: Time,
    },
    /// The follower left: window closed, queued pushes wait for a return.
    Unsubscribed,
    /// To one person at once: who answered last and is on duty, or has the fewest conversations.
    Assign {
        /// Who.
        to: AgentName,
        /// Why.
        reason: Reason,
        /// How urgent.
        priority: Priority,
        /// What the rule that hands over says about it.
        note: Option<Arc<str>>,
    },
    /// A person is told of danger: the priority rises, whoever owns it keeps it, else it goes to the queue.
    Raise {
        /// Why.
        reason: Reason,
        /// How urgent.
        priority: Priority,
        /// The words that say so, for people.
        note: Option<Arc<str>>,
    },
    /// To the queue, in the same episode: whoever owns it is not there.
    Queue,
}

impl Move {
    /// Whether a person has to answer because of it.
    pub const fn calls_people(&self) -> bool {
        matches!(
            self,
            Self::Escalate { .. } | Self::Assign { .. } | Self::Raise { .. }
        )
    }
}

/// Why a conversation waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// No rule covers the message.
    Unmatched,
    /// The same question a third time.
    Repeated,
    /// A rule hands over.
    Handoff,
    /// A form did not get the answer it needs.
    Form,
    /// Another system did not answer.
    Hook,
    /// A rule covers the message, but what it says cannot be sent now.
    Unsendable,
    /// The follower asks for a person.
    Asked,
    /// Words of `_crisis.toml`, or what stands for them.
    Crisis,
}

impl Reason {
    /// The word the API and the metrics use.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::Repeated => "repeated",
            Self::Handoff => "handoff",
            Self::Form => "form",
            Self::Hook => "hook",
            Self::Unsendable => "unsendable",
            Self::Asked => "asked",
            Self::Crisis => "crisis",
        }
    }
}

/// How urgent; the order is from the most urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody may be hurt.
    Urgent,
    /// A complaint.
    High,
    /// Everything else.
    Normal,
    /// Can wait.
    Low,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Answered.
    Solved,
    /// Answered after the window had passed.
    SolvedLate,
    /// Never answered.
    Missed,
    /// Nothing to answer.
    NoAnswerNeeded,
    /// Advertising and the like.
    Spam,
    /// Taken up elsewhere.
    Moved,
}

impl Outcome {
    /// Every outcome with the word the API uses.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Solved, "solved"),
        (Self::SolvedLate, "solved-late"),
        (Self::Missed, "missed"),
        (Self::NoAnswerNeeded, "no-answer-needed"),
        (Self::Spam, "spam"),
        (Self::Moved, "moved"),
    ];
}

/// Something that goes, or waits to go, through the customer-service API or with a later passive reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Its id, also in the history.
    pub id: MessageId,
    /// Who wrote it.
    pub by: By,
    /// Which person, when one wrote it.
    pub agent: Option<AgentName>,
    /// Which rule, when one wrote it.
    pub rule: Option<RuleId>,
    /// The rule set's revision then.
    pub revision: Option<u64>,
    /// What.
    pub reply: Reply,
    /// When it was written.
    pub at: Time,
    /// Queued, sending, held; other states have left the conversation's list.
    pub state: Delivery,
    /// Attempts so far.
    pub attempts: u8,
    /// Not to be tried before.
    pub not_before: Time,
    /// Why it is held or was tried again.
    pub error: Option<PushError>,
}

/// How an attempt to push ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settled {
    /// WeChat took it.
    Sent,
    /// To be tried again.
    Again {
        /// Not before.
        not_before: Time,
        /// Why.
        error: PushError,
    },
    /// Waits for the follower.
    Held {
        /// Why.
        error: PushError,
    },
    /// Will not arrive.
    Failed {
        /// Why.
        error: PushError,
    },
    /// May have arrived.
    Unknown {
        /// Why nobody knows.
        error: PushError,
    },
}

impl Push {
    /// A push of what a turn itself says; held from the start when `error` says why.
    pub fn of_turn(
        own: &Spoken,
        key: TurnKey,
        at: Time,
        not_before: Time,
        error: Option<PushError>,
    ) -> Self {
        Self {
            id: MessageId::at(at, 1, key),
            by: own.by,
            agent: None,
            rule: own.rule.clone(),
            revision: own.revision,
            reply: own.reply.clone(),
            at,
            state: if error.is_some() {
                Delivery::Held
            } else {
                Delivery::Queued
            },
            attempts: 0,
            not_before,
            error,
        }
    }

    /// The line of the history that this push is, in its present state.
    pub fn message(&self) -> Message {
        Message {
            id: self.id,
            at: self.at,
            direction: Direction::Out,
            by: self.by,
            agent: self.agent.clone(),
            rule: self.rule.clone(),
            revision: self.revision,
            kind: self.reply.kind().into(),
            text: self.reply.line(),
            delivery: self.state,
            error: self.error.clone(),
        }
    }
}

impl Turn {
    /// The id of the inbound message.
    pub fn inbound_id(&self, at: Time) -> MessageId {
        MessageId::at(at, 0, self.key)
    }

    /// The id of what the turn itself says.
    pub fn own_id(&self, at: Time) -> MessageId {
        MessageId::at(at, 1, self.key)
    }

    /// The line of the history for what came in.
    pub fn inbound(&self, at: Time) -> Message {
        Message {
            id: self.inbound_id(at),
            at,
            direction: Direction::In,
            by: By::Follower,
            agent: None,
            rule: None,
            revision: None,
            kind: self.incoming.content.kind().into(),
            text: self.incoming.content.shown().into(),
            delivery: Delivery::Received,
            error: None,
        }
    }

    /// The line of the history for what the turn itself says, in the state it had when the turn was written.
    pub fn own(&self, at: Time) -> Option<Message> {
        if let Some(push) = &self.answer.push {
            return Some(push.message());
        }
        let own = self.answer.own.as_ref()?;
        Some(Message {
            id: self.own_id(at),
            at,
            direction: Direction::Out,
            by: own.by,
            agent: None,
            rule: own.rule.clone(),
            revision: own.revision,
            kind: own.reply.kind().into(),
            text: own.reply.line(),
            delivery: Delivery::Passive,
            error: None,
        })
    }
}
