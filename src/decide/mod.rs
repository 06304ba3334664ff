//! Decides what one message leads to, from what is known of its follower and from the rules. Pure.
//! Owns: the order crisis > held answer > a person owns it > rules > escalate. Uses: rules, model. Never: I/O, the clock, randomness.
//!
//! The webhook, `try`, the console, inline tests and back-tests all call [`decide`].

mod held;
pub mod inline;
mod join;
pub mod tried;

use std::sync::Arc;
use std::time::Duration;

use crate::model::conversation::{Conversation, State};
use crate::model::entry::{Answer, Move, Priority, Reason, Spoken};
use crate::model::{AccountName, By, Content, EventKind, Incoming, OpenId, Reply, Time, TurnKey};
use crate::rules::{Found, Question, RuleSet};

/// How often a question may be answered in ten minutes before a person looks at it.
const SAME_QUESTION: usize = 3;
/// After this time at Tencent's desk rules speak again (WeChat: 将消息转发到客服).
const EXTERNAL_FOR: Duration = Duration::from_secs(1800);

/// A rule set with the number under which the store keeps it.
#[derive(Debug)]
pub struct ActiveRules {
    /// The compiled rules.
    pub set: RuleSet,
    /// Their revision; `None` for a draft or a directory that was never published.
    pub revision: Option<u64>,
}

/// What deciding may know besides the message.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The account the message came to.
    pub account: AccountName,
    /// The turn: what is random depends on it alone.
    pub key: TurnKey,
    /// The follower's conversation, if there is one.
    pub conversation: Option<Arc<Conversation>>,
    /// Whether the account can push at all.
    pub can_push: bool,
}

impl Memory {
    /// Nothing is known: a follower's first message. Inline tests and back-tests decide with it.
    pub fn empty(account: AccountName, key: TurnKey) -> Self {
        Self {
            account,
            key,
            conversation: None,
            can_push: false,
        }
    }
}

/// What one message leads to, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// In one word.
    pub outcome: Outcome,
    /// What is said and where the conversation goes.
    pub answer: Answer,
    /// What the rules found, when they were asked.
    pub found: Option<Found>,
    /// Why nothing is said, when nothing is.
    pub silence: Option<Silence>,
    /// Whether the message belongs in the history. Events that are only counted do not.
    pub is_kept: bool,
    /// The follower who asked WeChat to be forgotten.
    pub erase: Option<OpenId>,
}

/// A decision in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A rule, or a fixed line, answers.
    Reply,
    /// Nothing is said and nobody need do anything.
    Silence,
    /// A person must answer.
    Escalate,
    /// Answers that waited are handed out.
    Held,
    /// Tencent's desk takes over.
    Desk,
}

impl Outcome {
    /// The word the API uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Silence => "silence",
            Self::Escalate => "escalate",
            Self::Held => "held",
            Self::Desk => "desk",
        }
    }
}

/// Why nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// An agent, or Tencent's desk, speaks in this conversation.
    PersonSpeaks,
    /// An event that no rule covers.
    Uncovered,
    /// The follower has left.
    Unsubscribed,
    /// An ack was given a short while ago, or none is set.
    AckedBefore,
}

/// Decides what `message` leads to. Depends on nothing but its arguments.
pub fn decide(message: &Incoming, memory: &Memory, rules: &ActiveRules, now: Time) -> Decision {
    if let Content::Event(event) = &message.content {
        match event.kind {
            EventKind::Unsubscribe => return unsubscribed(memory),
            EventKind::UserAuthorizationCancellation => {
                let erase = event.field("OpenID").and_then(|id| OpenId::parse(id).ok());
                return Decision {
                    erase,
                    ..silent(Silence::Uncovered, false)
                };
            }
            _ => {}
        }
    }
    let conversation = memory.conversation.as_deref();
    let collects = match &message.content {
        Content::Event(event) => event.kind.collects_held(),
        _ => true,
    };
    let holds = collects && conversation.is_some_and(|known| known.held(now).next().is_some());
    let decision = match conversation {
        Some(known) if person_speaks(known, rules, now) => to_person(message, known),
        _ => without_held(message, memory, rules, now),
    };
    match conversation {
        Some(known) if holds => held::hand_out(message, decision, known, memory, rules, now),
        _ => decision,
    }
}

/// Whether rules are silent because a person, here or at Tencent's desk, speaks with the follower.
fn person_speaks(conversation: &Conversation, rules: &ActiveRules, now: Time) -> bool {
    match conversation.state {
        State::Assigned => true,
        State::External => conversation.external_until.is_some_and(|until| now < until),
        State::Follower => conversation
            .answered_at
            .is_some_and(|at| now.since(at) < rules.set.settings().quiet_after),
        State::Bot | State::Waiting | State::Held | State::Snoozed | State::Closed => false,
    }
}

fn to_person(message: &Incoming, conversation: &Conversation) -> Decision {
    let (is_kept, is_message) = match &message.content {
        Content::Event(event) => (event.kind.is_kept(), false),
        _ => (true, true),
    };
    let mut decision = silent(Silence::PersonSpeaks, is_kept);
    if is_message {
        // Every message while a person owns the conversation is durable, so each is written as a move.
        decision.answer.moved = Some(match conversation.external_until {
            Some(until) if conversation.state == State::External => Move::External { until },
            _ => Move::Owner,
        });
    }
    decision
}

/// The decision as if nothing were held: a fixed line, a rule, or a person.
fn without_held(message: &Incoming, memory: &Memory, rules: &ActiveRules, now: Time) -> Decision {
    let settings = rules.set.settings();
    let conversation = memory.conversation.as_deref();
    if message.content.is_unsupported() {
        let mut decision = silent(Silence::Uncovered, true);
        if !settings.unsupported.is_empty() {
            decision.outcome = Outcome::Reply;
            decision.silence = None;
            decision.answer.own = Some(fixed(By::System, &settings.unsupported));
        }
        return decision;
    }
    let found = find(&message.content, &memory.account, &rules.set);
    let answered = found.as_ref().and_then(|found| rules.set.answer(found));
    let is_event = matches!(message.content, Content::Event(_));
    match answered {
        // The desk takes messages only (WeChat: 将消息转发到客服).
        Some(answered) if !(is_event && matches!(answered.reply, Reply::Transfer { .. })) => {
            let mut decision = silent(Silence::Uncovered, true);
            decision.silence = None;
            decision.outcome = Outcome::Reply;
            if matches!(answered.reply, Reply::Transfer { .. }) {
                decision.outcome = Outcome::Desk;
                decision.answer.moved = Some(Move::External {
                    until: now.plus(EXTERNAL_FOR),
                });
            } else {
                let normalized = found.as_ref().map_or("", |found| found.normalized());
                count_question(&mut decision.answer, message, normalized, conversation, now);
            }
            decision.answer.own = Some(Spoken {
                by: By::Rule,
                rule: Some(answered.rule),
                revision: rules.revision,
                reply: answered.reply,
            });
            decision.found = found;
            decision
        }
        _ => Decision {
            found,
            ..uncovered(message, rules, conversation, now)
        },
    }
}

/// Asks the rules: for words first, then for the kind of message.
fn find(content: &Content, account: &AccountName, rules: &RuleSet) -> Option<Found> {
    if let Content::Event(event) = content {
        return Some(rules.find(account, &Question::Event(event)));
    }
    if let Some(words) = content.words() {
        let found = rules.find(account, &Question::Words(words));
        if found.winner().is_some() || matches!(content, Content::Text { .. }) {
            return Some(found);
        }
    }
    Some(rules.find(account, &Question::Kind(content.kind())))
}

/// Counts a question that a rule answers; the third identical one in ten minutes goes to a person as well. Also ends
/// what is over: a conversation whose quiet time has passed goes back to the rules.
fn count_question(
    answer: &mut Answer,
    message: &Incoming,
    normalized: &str,
    conversation: Option<&Conversation>,
    now: Time,
) {
    let state = conversation.map_or(State::Bot, |known| known.state);
    if matches!(state, State::Follower | State::External) {
        answer.moved = Some(Move::Bot);
    }
    // A voice that was matched by its kind alone asks nothing that could be compared.
    if message.content.words().is_none() || normalized.is_empty() {
        return;
    }
    let question = digest(normalized);
    answer.question = Some(question);
    let before = conversation.map_or(0, |known| known.asked(question, now));
    let is_queued = matches!(state, State::Waiting | State::Held | State::Snoozed);
    if before + 1 >= SAME_QUESTION && !is_queued {
        answer.moved = Some(Move::Escalate {
            reason: Reason::Repeated,
            priority: Priority::Normal,
            note: None,
        });
    }
}

/// No rule covers it: a message goes to a person, an event is only noted.
fn uncovered(
    message: &Incoming,
    rules: &ActiveRules,
    conversation: Option<&Conversation>,
    now: Time,
) -> Decision {
    if let Content::Event(event) = &message.content {
        return silent(Silence::Uncovered, event.kind.is_kept());
    }
    let settings = rules.set.settings();
    let mut decision = silent(Silence::AckedBefore, true);
    decision.outcome = Outcome::Escalate;
    decision.answer.moved = Some(Move::Escalate {
        reason: Reason::Unmatched,
        priority: Priority::Normal,
        note: None,
    });
    let acked_at = conversation.and_then(|known| known.acked_at);
    let is_due = acked_at.is_none_or(|at| now.since(at) >= settings.ack_every);
    let is_known = !matches!(message.content, Content::Unknown { .. });
    if is_due && is_known && !settings.ack.is_empty() {
        decision.silence = None;
        decision.answer.own = Some(fixed(By::Ack, &settings.ack));
    }
    decision
}

fn unsubscribed(memory: &Memory) -> Decision {
    let is_known = memory.conversation.is_some();
    let mut decision = silent(Silence::Unsubscribed, is_known);
    decision.answer.moved = is_known.then_some(Move::Unsubscribed);
    decision
}

fn silent(why: Silence, is_kept: bool) -> Decision {
    Decision {
        outcome: Outcome::Silence,
        answer: Answer::default(),
        found: None,
        silence: Some(why),
        is_kept,
        erase: None,
    }
}

fn fixed(by: By, line: &Arc<str>) -> Spoken {
    Spoken {
        by,
        rule: None,
        revision: None,
        reply: Reply::Text(Arc::clone(line)),
    }
}

/// FNV-1a, 64 bits: stable over versions and platforms, which the journal needs; a collision costs an early escalation.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
