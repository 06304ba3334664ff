//! Answers words of danger: people are told, whoever owns the conversation, and the follower reads a line at once.
//! Owns: how often that line is said, what it ends. Uses: ack, people, rules, model. Never: which words are danger.

use std::sync::Arc;

use super::ack::{self, Topic};
use super::case::Case;
use super::{Decision, Outcome, Silence, Stage, fixed, is_left, silent};
use crate::model::entry::{Move, Reason};
use crate::model::{By, Noted, Time};
use crate::rules::Alarm;

/// What words of danger lead to.
pub(super) fn answer(case: &Case<'_>, alarm: Alarm) -> Decision {
    let (reason, priority, note) = (Reason::Crisis, alarm.tier, Some(alarm.shown().into()));
    let call = match case.conversation() {
        // Its owner would not hear of it.
        Some(known) if is_left(case, known) => Move::Escalate {
            reason,
            priority,
            note,
        },
        _ => Move::Raise {
            reason,
            priority,
            note,
        },
    };
    let mut decision = silent(Silence::AckedBefore, true);
    decision.outcome = Outcome::Crisis;
    decision.stage = Stage::Crisis;
    let topic = match &alarm.name {
        Some(name) => Topic::Named(Arc::clone(name)),
        None => Topic::Own,
    };
    let own = match case.rules.set.alarm_reply(&alarm) {
        Some(line) if is_due(case) => {
            let text = ack::fill(case, line, &call, &topic);
            (!text.is_empty()).then(|| fixed(By::Crisis, &text))
        }
        Some(_) => None,
        None if case.is_for_person() => None,
        None => ack::due(case, &call, &topic).map(|text| fixed(By::Ack, &text)),
    };
    let answer = &mut decision.answer;
    if case.is_for_person() {
        decision.silence = Some(Silence::PersonSpeaks);
    }
    if let Some(own) = own {
        answer.own = Some(own);
        decision.silence = None;
    }
    if let Some(known) = case.remembered() {
        if known.form.is_some() {
            answer.noted.push(Noted::FormEnded);
        }
        if known.offer.is_some() {
            answer.noted.push(Noted::OfferEnded);
        }
    }
    answer.moved = Some(call);
    decision.alarm = Some(Box::new(alarm));
    decision
}

/// When the follower last read such a line.
pub(super) fn spoken_at(case: &Case<'_>) -> Option<Time> {
    case.conversation()?.desk().crisis_at
}

fn is_due(case: &Case<'_>) -> bool {
    let every = case.rules.set.settings().ack_every;
    spoken_at(case).is_none_or(|at| case.now.since(at) >= every)
}
