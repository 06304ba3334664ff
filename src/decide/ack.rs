//! Words the line that tells a follower a person will answer: what it is about, and by when.
//! Owns: how often it is said, the promise, the topic. Uses: gaps, rules, model. Never: promises what cannot be kept.

use std::sync::Arc;

use super::case::Case;
use super::crisis;
use super::gaps::Gaps;
use crate::model::calendar::Calendar;
use crate::model::entry::{Move, Priority};
use crate::model::{AgentName, Content, Time};
use crate::rules::Line;

/// So many characters of the follower's own words are repeated.
const TOPIC_LENGTH: usize = 12;
/// A promise is said in whole steps of so many seconds.
const STEP: i64 = 300;
/// What can be promised where the answer waits for the follower's next visit.
const COLLECT: &str = "同事回复后,你随便发一个字就能看到";
/// What can be promised where WeChat's window shuts before people are back.
const WRITE_AGAIN: &str = "上班后你再发一句,我们马上接上";

/// What a line says it is about.
pub(super) enum Topic {
    /// Nothing.
    None,
    /// The name of the trouble, or the reason of a rule.
    Named(Arc<str>),
    /// What the follower wrote.
    Own,
}

/// The ack for a message that goes where `call` says; nothing where one was read a short while ago, or none is set.
pub(super) fn due(case: &Case<'_>, call: &Move, topic: &Topic) -> Option<Arc<str>> {
    let settings = case.rules.set.settings();
    let acked_at = case.conversation().and_then(|known| known.acked_at);
    let read_at = acked_at.max(crisis::spoken_at(case));
    let is_due = read_at.is_none_or(|at| case.now.since(at) >= settings.ack_every);
    let is_known = !matches!(case.message.content, Content::Unknown { .. });
    if !is_due || !is_known {
        return None;
    }
    let lines = case.rules.set.lines();
    let nobody = lines.ack.names("duty.name") && on_duty(case, call).is_none();
    let is_off = nobody || !settings.is_open(case.now);
    let line = lines.ack_off.as_ref().filter(|_| is_off);
    let text = fill(case, line.unwrap_or(&lines.ack), call, topic);
    (!text.is_empty()).then_some(text)
}

/// A line of the desk with what it names.
pub(super) fn fill(case: &Case<'_>, line: &Line, call: &Move, topic: &Topic) -> Arc<str> {
    let gaps = Gaps {
        case,
        found: None,
        saved: &[],
        answered: &[],
    };
    line.fill(&|name| match name {
        "topic" => in_words(case, topic),
        "promise" => promise(case, priority(call)),
        "duty.name" => on_duty(case, call),
        name => gaps.value(name),
    })
}

const fn priority(call: &Move) -> Priority {
    match call {
        Move::Escalate { priority, .. }
        | Move::Assign { priority, .. }
        | Move::Raise { priority, .. } => *priority,
        _ => Priority::Normal,
    }
}

/// What people on duty are called: who gets it, else who has the least to do.
fn on_duty(case: &Case<'_>, call: &Move) -> Option<Box<str>> {
    let (people, account) = (&case.memory.on_duty, &case.memory.account);
    let name: &AgentName = match call {
        Move::Assign { to, .. } => to,
        _ => people.least_loaded(account)?,
    };
    let who = people.of(account).find(|who| who.name == *name)?;
    Some(Box::from(&*who.shown))
}

/// What it is about, in 「」.
fn in_words(case: &Case<'_>, topic: &Topic) -> Option<Box<str>> {
    let text = match topic {
        Topic::None => return None,
        Topic::Named(name) => name.to_string(),
        Topic::Own => shortened(case.message.content.words()?)?,
    };
    Some(format!("「{text}」").into())
}

/// A follower's words, short enough to be repeated. Nothing where they are no words, or have an address in them.
fn shortened(words: &str) -> Option<String> {
    let is_quote = |c: &char| !matches!(c, '「' | '」');
    let plain: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(is_quote)
        .collect();
    let is_edge = |c: char| !c.is_alphanumeric();
    let plain: Vec<&str> = plain.split_whitespace().collect();
    let plain = plain.join(" ");
    let plain = plain.trim_matches(is_edge);
    if plain.is_empty() || plain.contains("://") {
        return None;
    }
    let mut short: String = plain.chars().take(TOPIC_LENGTH).collect();
    if short.len() < plain.len() {
        short.truncate(short.trim_end_matches(is_edge).len());
        short.push('…');
    }
    Some(short)
}

/// By when a person answers. Never later than the window can keep.
fn promise(case: &Case<'_>, priority: Priority) -> Option<Box<str>> {
    if !case.memory.can_push {
        return Some(COLLECT.into());
    }
    let settings = case.rules.set.settings();
    let sla = settings.sla_of(priority);
    let due = settings.due(sla.clock, case.now, sla.first);
    let hours = settings.hours(sla.clock);
    let shuts = case.window().until(case.now).unwrap_or(case.now);
    if due > shuts {
        // People go home before it is answered, and are back when it is too late to push.
        let reopens = hours.and_then(|hours| {
            let closes = hours.next_close(case.now);
            let closes = closes.filter(|closes| *closes < due)?;
            Some(hours.in_words(hours.next_open(closes)?, case.now))
        });
        return Some(match reopens {
            Some(reopens) => format!("{reopens} {WRITE_AGAIN}").into(),
            None => COLLECT.into(),
        });
    }
    let spoken = |calendar: &Calendar, at: Time| calendar.in_words(at, case.now);
    match hours {
        Some(hours) if !hours.is_open(case.now) => {
            let opens = hours.next_open(case.now)?;
            Some(format!("{} 上班后回你", spoken(hours, opens)).into())
        }
        _ => {
            let zone = hours.or(settings.daytime.as_deref())?;
            let due = rounded(due).min(shuts);
            Some(format!("{} 前回你", spoken(zone, due)).into())
        }
    }
}

/// The next whole step: nobody promises 14:37.
const fn rounded(at: Time) -> Time {
    let seconds = at.seconds() + if at.millis() % 1000 == 0 { 0 } else { 1 };
    Time::from_seconds((seconds + STEP - 1).div_euclid(STEP) * STEP)
}
