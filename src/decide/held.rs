//! Hands out answers that waited for the follower, with the rule's own answer behind them where it fits.
//! Owns: what goes out together, and what becomes of the rest. Uses: join, model. Never: decides who speaks.

use std::time::Duration;

use super::case::Case;
use super::{Decision, Outcome, Stage, join, to_people};
use crate::model::entry::{Move, Priority, Push, Reason, Spoken};
use crate::model::{By, Conversation, MessageId, Noted, Reply};

/// By then the passive response of a turn has been written or WeChat has hung up (it waits five seconds).
pub const PASSIVE_WRITTEN: Duration = Duration::from_secs(5);

/// Puts answers that waited before what the turn itself says.
pub(super) fn hand_out(
    case: &Case<'_>,
    mut decision: Decision,
    conversation: &Conversation,
) -> Decision {
    let now = case.now;
    let from_person = conversation
        .held(now)
        .next()
        .is_some_and(|first| first.by == By::Agent);
    let own = decision
        .answer
        .own
        .take()
        // A person's answer says more than a fixed line or a question of the rules.
        .filter(|own| matches!(own.by, By::Rule | By::Crisis) || !from_person);
    if own
        .as_ref()
        .is_some_and(|own| matches!(own.reply, Reply::Transfer { .. }))
    {
        // Nothing tells WeChat to take over: our own people have to.
        let people = to_people(case, Reason::Unsendable, Priority::Normal, None);
        decision.answer.moved = people.answer.moved;
    }
    let joined = join::join(conversation.held(now), own.as_ref().map(|own| &own.reply));
    if decision.alarm.is_none() {
        decision.outcome = Outcome::Held;
        decision.stage = Stage::Held;
    }
    decision.silence = None;
    decision.is_kept = true;
    decision.answer.given = joined.given;
    decision.answer.joined = Some(joined.reply);
    // Who owns the conversation hears of what the answer did not settle; without an owner the turn goes where it would
    // have gone without the answer.
    if from_person && conversation.owner.is_some() {
        decision.answer.moved = match decision.answer.moved {
            told @ Some(
                Move::Escalate {
                    reason: Reason::Repeated,
                    ..
                }
                | Move::Raise { .. },
            ) => told,
            Some(Move::Owner | Move::Escalate { .. } | Move::Assign { .. }) => {
                let owner = conversation.owner.as_ref();
                let is_there = |owner| case.memory.on_duty.can_take(owner, &conversation.account);
                Some(match owner.is_some_and(is_there) {
                    true => Move::Owner,
                    false => Move::Queue,
                })
            }
            _ => Some(Move::Follower),
        };
    }
    if let Some(own) = own {
        if joined.own_fits {
            decision.answer.own = Some(own);
        } else {
            decision.answer.push = own_as_push(case, &own, conversation);
            decision.answer.own = decision.answer.push.is_some().then_some(own);
        }
    }
    if decision.answer.own.is_none() {
        decision.answer.more.clear();
        // What was not said has not begun either.
        decision.answer.noted.retain(|noted| {
            !matches!(
                noted,
                Noted::Form(_) | Noted::Offered(_) | Noted::Spoke { .. } | Noted::Rotated { .. }
            )
        });
    } else if decision.answer.push.is_some() {
        let left = usize::from(case.pushes_left());
        decision.answer.more.truncate(left.saturating_sub(1));
    }
    decision
}

/// A rule's answer that did not fit behind held ones: pushed where the bot's share of the window allows, else dropped.
fn own_as_push(case: &Case<'_>, own: &Spoken, conversation: &Conversation) -> Option<Push> {
    let now = case.now;
    let stays =
        conversation.held(now).count() > join::join(conversation.held(now), None).given.len();
    let is_transfer = matches!(own.reply, Reply::Transfer { .. });
    if is_transfer || stays || case.pushes_left() == 0 {
        return None;
    }
    let key = case.memory.key;
    Some(Push {
        // The place before it is that of the held answers, should they be late and travel as a push.
        id: MessageId::at(now, 2, key),
        ..Push::of_turn(own, key, now, now.plus(PASSIVE_WRITTEN), None)
    })
}
