//! Calls people: to the queue, or to one person at once; how urgently; and what the follower reads meanwhile.
//! Owns: who gets a new conversation, what makes it more urgent, when an ack is due. Uses: ack, rules, model. Never: why rules call.

use std::sync::Arc;
use std::time::Duration;

use super::ack::{self, Topic};
use super::case::Case;
use super::{Decision, Outcome, Silence, Stage, fixed, says, silent};
use crate::model::conversation::{Conversation, REPEAT_WITHIN, State};
use crate::model::desk::Assign;
use crate::model::entry::{Move, Priority, Reason};
use crate::model::{AgentName, By, Content, Time};

/// So many messages without an answer in ten minutes are urgent.
const UNANSWERED: usize = 3;
/// Followers with this tag are looked after first.
const VIP: &str = "vip";

/// A person must answer; the follower reads the ack, unless that was a short while ago. Events are only noted.
pub(super) fn to_people(
    case: &Case<'_>,
    reason: Reason,
    priority: Priority,
    note: Option<Arc<str>>,
) -> Decision {
    let topic = match (reason, &note) {
        (Reason::Asked, _) => Topic::None,
        (_, Some(note)) => Topic::Named(Arc::clone(note)),
        (_, None) => Topic::Own,
    };
    let call = call(case, reason, priority, note);
    let mut decision = silent(Silence::AckedBefore, true);
    decision.outcome = Outcome::Escalate;
    if let Some(line) = ack::due(case, &call, &topic) {
        decision.silence = None;
        decision.answer.own = Some(fixed(By::Ack, &line));
    }
    decision.answer.moved = Some(call);
    decision
}

/// Where a conversation goes that people must look after: to who answered last, to who has the fewest, or to the queue.
pub(super) fn call(
    case: &Case<'_>,
    reason: Reason,
    priority: Priority,
    note: Option<Arc<str>>,
) -> Move {
    let (priority, why) = match raise(case) {
        Some(why) => (one_step_up(priority), Some(why)),
        None => (priority, None),
    };
    let note = note.or_else(|| why.map(Arc::from));
    match assignee(case) {
        Some(to) => Move::Assign {
            to: to.clone(),
            reason,
            priority,
            note,
        },
        None => Move::Escalate {
            reason,
            priority,
            note,
        },
    }
}

/// Who gets it at once, if anybody. A conversation that has an owner stays with the owner.
fn assignee<'a>(case: &Case<'a>) -> Option<&'a AgentName> {
    let known = case.conversation();
    let is_owned = known.is_some_and(|known| {
        known.owner.is_some()
            && matches!(known.state, State::Assigned | State::Held | State::Snoozed)
    });
    if is_owned {
        return None;
    }
    let (on_duty, account) = (&case.memory.on_duty, &case.memory.account);
    let settings = case.rules.set.settings();
    let last = known
        .and_then(|known| last_agent(known, case.now, settings.same_agent_within))
        .filter(|last| on_duty.has(last, account));
    match settings.assign {
        _ if last.is_some() => last,
        Assign::LeastLoaded => on_duty.least_loaded(account),
        Assign::Manual => None,
    }
}

/// Who answered last, if that was within this time.
fn last_agent(known: &Conversation, now: Time, within: Duration) -> Option<&AgentName> {
    let answered_at = known.answered_at?;
    let last = known.desk().last_agent.as_ref()?;
    (now.since(answered_at) <= within).then_some(last)
}

/// Names another reason for a call to people.
pub(super) fn blame(decision: &mut Decision, because: Reason) {
    if let Some(Move::Escalate { reason, .. } | Move::Assign { reason, .. }) =
        &mut decision.answer.moved
    {
        *reason = because;
    }
}

/// What makes this message more urgent than others, for people; nothing does to an event.
pub(super) fn raise(case: &Case<'_>) -> Option<&'static str> {
    if case.is_event() {
        return None;
    }
    let known = case.conversation();
    let insults = |words: &str| case.rules.set.has_insult(words);
    if case.message.content.words().is_some_and(insults) {
        return Some("说了难听的话");
    }
    let known = known?;
    if is_unanswered(known, case.now) {
        return Some("10 分钟里连发 3 条没人回");
    }
    if known.tags().iter().any(|tag| &**tag == VIP) {
        return Some("vip");
    }
    was_missed(known).then_some("上次没有人回")
}

/// Whether this message is at least the third in ten minutes that nobody has answered.
fn is_unanswered(known: &Conversation, now: Time) -> bool {
    let times = known.desk().unanswered.iter();
    let recent = times.filter(|at| now.since(**at) <= REPEAT_WITHIN).count();
    recent + 1 >= UNANSWERED
}

/// Whether an earlier episode of this follower ended without an answer, and nobody has made up for it.
fn was_missed(known: &Conversation) -> bool {
    let desk = known.desk();
    desk.is_missed || desk.missed > 0 && known.answered_at.is_none()
}

/// The next more urgent priority.
pub(super) const fn one_step_up(priority: Priority) -> Priority {
    match priority {
        Priority::Urgent | Priority::High => Priority::Urgent,
        Priority::Normal => Priority::High,
        Priority::Low => Priority::Normal,
    }
}

/// A follower who asks for a person and says nothing else.
pub(super) fn asked(case: &Case<'_>) -> Option<Decision> {
    let words = case.message.content.words()?;
    let asks = case.rules.set.lines().asks_for_a_person(words);
    asks.then(|| to_people(case, Reason::Asked, Priority::Normal, None))
}

/// A follower who takes that back while nobody has taken the conversation. Danger is looked at all the same.
pub(super) fn cancelled(case: &Case<'_>) -> Option<Decision> {
    let known = case.conversation()?;
    let is_free = known.state == State::Waiting
        && known.owner.is_none()
        && known.reason != Some(Reason::Crisis)
        && known.priority != Priority::Urgent;
    let Content::Text { text, .. } = &case.message.content else {
        return None;
    };
    if !is_free || !case.rules.set.lines().wants_no_person(text) {
        return None;
    }
    let line = &case.rules.set.settings().cancelled;
    let own = (!line.is_empty()).then(|| fixed(By::System, line));
    let mut decision = says(Outcome::Reply, own);
    decision.stage = Stage::Fixed;
    if decision.answer.own.is_none() {
        decision.outcome = Outcome::Silence;
        decision.silence = Some(Silence::Rule);
    }
    decision.answer.moved = Some(Move::Bot);
    Some(decision)
}
