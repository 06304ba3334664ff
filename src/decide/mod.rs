//! Decides what one message leads to, from what is known of its follower and from the rules. Pure.
//! Owns: the order crisis > held answer > a person owns it > form > rules > escalate. Uses: rules, model. Never: I/O, the clock, randomness.
//!
//! The webhook, `try`, the console, inline tests and back-tests all call [`decide`].

mod ack;
pub mod backtest;
mod case;
mod crisis;
mod form;
mod gaps;
mod held;
mod hook;
pub mod inline;
mod join;
mod offer;
mod people;
mod several;
mod speak;
pub mod tried;

use std::sync::Arc;
use std::time::Duration;

use crate::model::conversation::{Conversation, State};
use crate::model::desk::OnDuty;
use crate::model::entry::{Answer, Move, Priority, Reason, Spoken};
use crate::model::{
    AccountName, By, Content, EventKind, Incoming, MediaIds, Noted, OpenId, Reply, RuleId, Time,
    TurnKey,
};
use crate::rules::{Alarm, Course, Found, RuleSet};
use case::Case;
pub use held::PASSIVE_WRITTEN;
pub use hook::{Asked, Continuation};
use people::to_people;
use speak::Lead;

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
    /// Which files of rules can be sent now.
    pub media: Arc<MediaIds>,
    /// How many other conversations of the account wait for a person.
    pub waiting: u32,
    /// Who is there to answer.
    pub on_duty: Arc<OnDuty>,
}

impl Memory {
    /// Nothing is known: a follower's first message, to an account that may push and has every file. `try`, inline tests
    /// and back-tests decide with it.
    pub fn empty(account: AccountName, key: TurnKey) -> Self {
        Self {
            account,
            key,
            conversation: None,
            can_push: true,
            media: Arc::new(MediaIds::Assumed),
            waiting: 0,
            on_duty: Arc::default(),
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
    /// The rule that decided, whether it says something or not.
    pub rule: Option<RuleId>,
    /// What the rules found, when they were asked.
    pub found: Option<Found>,
    /// Which step decided.
    pub stage: Stage,
    /// The words of danger, when there were any.
    pub alarm: Option<Box<Alarm>>,
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
    /// A form asks something.
    Form,
    /// There are words of danger: people are told, whatever else is going on.
    Crisis,
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
            Self::Form => "form",
            Self::Crisis => "crisis",
        }
    }
}

/// The step that decided: each is asked only where those before it let the message pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Words of danger.
    Crisis,
    /// Answers that waited.
    Held,
    /// A person speaks with the follower.
    Person,
    /// A fixed line, or an event that rules are not asked about.
    Fixed,
    /// A running form.
    Form,
    /// The choice of a rule that was offered by number.
    Offer,
    /// The rules.
    Rules,
    /// No rule: a person is called, or the closest rules are offered.
    Escalate,
}

impl Stage {
    /// The word the API uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Crisis => "crisis",
            Self::Held => "held",
            Self::Person => "person",
            Self::Fixed => "fixed",
            Self::Form => "form",
            Self::Offer => "offer",
            Self::Rules => "rules",
            Self::Escalate => "escalate",
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
    /// The rule that covers it says nothing, on purpose or until its time has come.
    Rule,
}

/// A decision, or what must be asked first.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every message is decided at once; a box would cost each an allocation"
)]
pub enum Step {
    /// It is decided.
    Done(Decision),
    /// Another system is to be asked; [`Continuation::resume`] decides with its answer.
    Ask(Box<Asked>),
}

/// Decides what `message` leads to. Depends on nothing but its arguments.
pub fn decide(message: &Incoming, memory: &Memory, rules: &ActiveRules, now: Time) -> Step {
    if let Content::Event(event) = &message.content {
        match event.kind {
            EventKind::Unsubscribe => return Step::Done(unsubscribed(memory)),
            EventKind::UserAuthorizationCancellation => {
                let erase = event.field("OpenID").and_then(|id| OpenId::parse(id).ok());
                return Step::Done(Decision {
                    erase,
                    stage: Stage::Fixed,
                    ..silent(Silence::Uncovered, false)
                });
            }
            EventKind::KfCreateSession | EventKind::KfSwitchSession | EventKind::KfCloseSession => {
                return Step::Done(at_desk(event.kind, memory, now));
            }
            _ => {}
        }
    }
    let case = Case {
        message,
        memory,
        rules,
        now,
    };
    if let Some(alarm) = case.alarm() {
        return Step::Done(finished(&case, crisis::answer(&case, alarm)));
    }
    let step = match case.conversation() {
        Some(known) if !case.is_event() && known.desk().to_desk.is_some() => {
            Step::Done(to_desk(&case, known))
        }
        Some(known) if person_speaks(known, rules, now) => beside_person(&case, known),
        _ => without_person(&case),
    };
    match step {
        Step::Done(decision) => Step::Done(finished(&case, decision)),
        asks @ Step::Ask(_) => asks,
    }
}

/// The decision with what concerns it whoever made it: a person who speaks, answers that waited, an owner who is gone.
fn finished(case: &Case<'_>, decision: Decision) -> Decision {
    let mut decision = beside_what_waited(case, decision);
    past_absent_owner(case, &mut decision);
    decision
}

fn beside_what_waited(case: &Case<'_>, mut decision: Decision) -> Decision {
    let Some(known) = case.conversation() else {
        return decision;
    };
    // Danger is told whoever speaks; who owns the conversation keeps it.
    let is_settled = decision.alarm.is_some() || decision.outcome == Outcome::Desk;
    if !is_settled && person_speaks(known, case.rules, case.now) {
        decision.answer.moved = to_person(case, known).answer.moved;
    }
    let collects = match &case.message.content {
        Content::Event(event) => event.kind.collects_held(),
        _ => true,
    };
    if collects && known.held(case.now).next().is_some() {
        return held::hand_out(case, decision, known);
    }
    decision
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

/// While a person speaks, only rules that always do are heard.
fn beside_person(case: &Case<'_>, conversation: &Conversation) -> Step {
    if case.rules.set.has_always() {
        let found = case.find();
        let course = case.rules.set.course(&found, &case.memory.account);
        if let Some(course) = course.filter(Course::is_always) {
            return speak::speak(case, &course, Lead::found(found));
        }
    }
    Step::Done(to_person(case, conversation))
}

fn to_person(case: &Case<'_>, conversation: &Conversation) -> Decision {
    let (is_kept, is_message) = match &case.message.content {
        Content::Event(event) => (event.kind.is_kept(), false),
        _ => (true, true),
    };
    let mut decision = silent(Silence::PersonSpeaks, is_kept);
    decision.stage = Stage::Person;
    if is_message {
        // Every message while a person owns the conversation is durable, so each is written as a move.
        decision.answer.moved = Some(match conversation.external_until {
            Some(until) if conversation.state == State::External => Move::External { until },
            _ => raised(case, conversation).unwrap_or(Move::Owner),
        });
    }
    decision
}

/// What would go to an owner who is not there any more goes to the queue.
fn past_absent_owner(case: &Case<'_>, decision: &mut Decision) {
    let Some(known) = case.conversation() else {
        return;
    };
    // Who took it while off duty keeps it until a sign is missing.
    let waits = matches!(known.state, State::Follower | State::Held | State::Snoozed);
    let is_gone = |owner| !case.memory.on_duty.can_take(owner, &known.account);
    if !waits || !known.owner.as_ref().is_some_and(is_gone) {
        return;
    }
    let (reason, priority, note) = match &decision.answer.moved {
        Some(Move::Owner) => (
            known.reason.unwrap_or(Reason::Unmatched),
            known.priority,
            known.reason_note.clone(),
        ),
        Some(
            Move::Escalate {
                reason,
                priority,
                note,
            }
            | Move::Raise {
                reason,
                priority,
                note,
            },
        ) => (*reason, *priority, note.clone()),
        _ => return,
    };
    decision.answer.moved = Some(Move::Requeue {
        reason,
        priority,
        note,
    });
}

/// An agent has decided that Tencent's desk takes this message.
fn to_desk(case: &Case<'_>, conversation: &Conversation) -> Decision {
    let agent = conversation.desk().to_desk.as_deref().unwrap_or_default();
    let own = Spoken {
        by: By::System,
        rule: None,
        revision: None,
        reply: Reply::Transfer {
            agent: (!agent.is_empty()).then(|| agent.into()),
        },
    };
    let mut decision = says(Outcome::Desk, Some(own));
    decision.stage = Stage::Person;
    decision.answer.moved = Some(Move::External {
        until: case.now.plus(EXTERNAL_FOR),
    });
    decision
}

/// What a message to a person does that makes the conversation more urgent than it is.
fn raised(case: &Case<'_>, conversation: &Conversation) -> Option<Move> {
    let priority = people::one_step_up(Priority::Normal);
    if conversation.priority <= priority {
        return None;
    }
    let why = people::raise(case)?;
    Some(Move::Raise {
        reason: conversation.reason.unwrap_or(Reason::Pressing),
        priority,
        note: Some(why.into()),
    })
}

/// The decision when no person speaks: a fixed line, a running form, a choice by number, a rule, or a person.
fn without_person(case: &Case<'_>) -> Step {
    if case.message.content.is_unsupported() {
        return Step::Done(unsupported(case));
    }
    let mut lead = Lead::default();
    if let Some(known) = case.remembered() {
        match &known.form {
            Some(form) if case.now >= form.until => lead.noted.push(Noted::FormEnded),
            Some(form) => {
                if let Some(step) = form::go_on(case, form) {
                    return by(Stage::Form, step);
                }
            }
            None => {}
        }
        if let Some(offer) = known.offer.as_ref().filter(|offer| case.now < offer.until)
            && let Some(step) = offer::choice(case, offer)
        {
            return by(Stage::Offer, step);
        }
    }
    if let Some(mut decision) = people::cancelled(case) {
        decision.answer.noted.extend(lead.noted);
        return Step::Done(decision);
    }
    by_rules(case, lead)
}

/// Says which step decided, unless it let the rules decide.
fn by(stage: Stage, step: Step) -> Step {
    match step {
        Step::Done(decision) if decision.found.is_none() => {
            Step::Done(Decision { stage, ..decision })
        }
        step => step,
    }
}

/// What the rules say, or what is done where they say nothing. Of `lead` only what is to be noted counts.
fn by_rules(case: &Case<'_>, lead: Lead) -> Step {
    let found = case.find();
    let Some(course) = case.rules.set.course(&found, &case.memory.account) else {
        let mut decision = uncovered(case, &found);
        decision.answer.noted.extend(lead.noted);
        decision.found = Some(found);
        return Step::Done(decision);
    };
    let lead = Lead {
        found: Some(found),
        ..lead
    };
    speak::speak(case, &course, lead)
}

fn unsupported(case: &Case<'_>) -> Decision {
    let line = &case.rules.set.settings().unsupported;
    let decision = match line.is_empty() {
        true => silent(Silence::Uncovered, true),
        false => says(Outcome::Reply, Some(fixed(By::System, line))),
    };
    Decision {
        stage: Stage::Fixed,
        ..decision
    }
}

/// No rule covers it: a message goes to a person unless something close can be offered, an event is only noted.
fn uncovered(case: &Case<'_>, found: &Found) -> Decision {
    if let Content::Event(event) = &case.message.content {
        return silent(Silence::Uncovered, event.kind.is_kept());
    }
    let decision = people::asked(case)
        .or_else(|| offer::make(case, found))
        .unwrap_or_else(|| to_people(case, Reason::Unmatched, Priority::Normal, None));
    Decision {
        stage: Stage::Escalate,
        ..decision
    }
}

fn unsubscribed(memory: &Memory) -> Decision {
    let is_known = memory.conversation.is_some();
    let mut decision = silent(Silence::Unsubscribed, is_known);
    decision.stage = Stage::Fixed;
    decision.answer.moved = is_known.then_some(Move::Unsubscribed);
    decision
}

/// Tencent's desk took the follower, handed them on, or is done with them. Messages bypass us meanwhile, so rules have
/// nothing to be silent about: the end gives back only what the desk had.
fn at_desk(kind: EventKind, memory: &Memory, now: Time) -> Decision {
    let mut decision = silent(Silence::PersonSpeaks, true);
    let state = memory.conversation.as_ref().map(|known| known.state);
    decision.answer.moved = match kind {
        EventKind::KfCloseSession if state == Some(State::External) => Some(Move::Bot),
        EventKind::KfCloseSession => None,
        _ => Some(Move::External {
            until: now.plus(EXTERNAL_FOR),
        }),
    };
    decision
}

fn silent(why: Silence, is_kept: bool) -> Decision {
    Decision {
        outcome: Outcome::Silence,
        answer: Answer::default(),
        rule: None,
        found: None,
        stage: Stage::Rules,
        alarm: None,
        silence: Some(why),
        is_kept,
        erase: None,
    }
}

/// A decision to say something, or to ask it.
fn says(outcome: Outcome, own: Option<Spoken>) -> Decision {
    let answer = Answer {
        own,
        ..Answer::default()
    };
    Decision {
        outcome,
        answer,
        rule: None,
        found: None,
        stage: Stage::Rules,
        alarm: None,
        silence: None,
        is_kept: true,
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
