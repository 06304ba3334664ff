//! Makes a conversation what it is after an entry: the fold that live state, replay and tests share.
//! Owns: what each change does. Uses: model only. Never: refuses; what may happen was decided before it was written.

use std::sync::Arc;
use std::time::Duration;

use super::lines::{assigned, elsewhere, note, unassigned};
use super::timers::WINDOW_SHUT;
use super::{
    Conversation, Desk, HELD_FOR, KEYS_KEPT, QUESTIONS_KEPT, REPEAT_WITHIN, State, Timer, Trigger,
    next,
};
use crate::model::entry::{
    Answer, Change, Entry, Move, Outcome, Priority, Push, Reason, Settled, Turn,
};
use crate::model::{
    AgentName, By, Content, Delivery, EventKind, MessageId, Remembered, Reply, Time,
};

/// By then the passive response of a turn has been written.
const PASSIVE_WRITTEN: Duration = Duration::from_secs(5);
/// Answers that wait for a visit are waited for in vain after [`HELD_FOR`](super::HELD_FOR).
fn is_forgotten(push: &Push, before: Time) -> bool {
    push.state == Delivery::Held && push.at < before
}

impl Conversation {
    /// Makes the conversation what it is after this entry. Total: an entry that no longer fits changes as much as it can.
    pub fn apply(&mut self, entry: &Entry) {
        let now = entry.at;
        self.version += 1;
        // To forget is not to have done anything.
        if !matches!(entry.change, Change::Forgotten { .. }) {
            self.updated_at = self.updated_at.max(now);
        }
        match &entry.change {
            Change::Turn(turn) => self.apply_turn(turn, now),
            Change::Claimed { by } => self.take(by, false, now),
            Change::Released { .. } => self.leave(now),
            Change::Closed { outcome, .. } => self.end(*outcome, now),
            Change::Noted { id, by, text } => {
                self.signs(by, now);
                self.last_message = Some(note(*id, by, text, now));
            }
            Change::Replied { push, key } => self.apply_reply(push, key.as_deref(), now),
            Change::Late { push, .. } => {
                if let Some(last) = self.last_message.as_mut().filter(|last| last.id == push.id) {
                    *last = push.message();
                }
                // What the same turn pushes behind its answer stays behind it.
                let is_behind = |other: &Push| {
                    other.state == Delivery::Queued && other.at == push.at && other.id > push.id
                };
                let place = self.pushes.iter().position(is_behind);
                let place = place.unwrap_or(self.pushes.len());
                self.pushes.insert(place, push.clone());
            }
            Change::Sending { push } => {
                self.end_form_by(*push);
                self.with_push(*push, |push| {
                    push.state = Delivery::Sending;
                    push.attempts = push.attempts.saturating_add(1);
                });
            }
            Change::Settled { push, result } => self.apply_settled(*push, result, now),
            Change::Tagged { tags, .. } => self.remember(|known| known.tags.clone_from(tags)),
            Change::Forgotten { before } => self.apply_forgotten(*before),
            Change::Assigned { id, by, to, reason } => {
                self.take(to, by != to, now);
                if let Some(line) = assigned(*id, by, to, reason, now) {
                    self.last_message = Some(line);
                }
            }
            Change::Unassigned { id, from, why } => {
                if self.is_owned_by(from) {
                    self.leave(now);
                    self.last_message = Some(unassigned(*id, from, why, now));
                }
            }
            Change::HandedBack { .. } => self.end_with_rules(Trigger::HandedBack, now),
            Change::Snoozed { until, .. } => {
                self.go(Trigger::Snoozed, now);
                self.desk_mut().snoozed_until = Some(*until);
                self.unread = 0;
            }
            Change::Prioritised { priority, .. } => {
                self.priority = *priority;
                let desk = self.desk_mut();
                desk.since = now;
                desk.alerts = 0;
                desk.is_breached = false;
            }
            Change::Remarked { remark, .. } => {
                self.desk_mut().remark = Some(remark.clone()).filter(|remark| !remark.is_empty());
            }
            Change::Acknowledged { .. } => self.desk_mut().is_missed = false,
            Change::Elsewhere { id, by, text } => {
                self.take(by, false, now);
                self.answered(by, now);
                self.go(Trigger::Delivered, now);
                self.last_message = Some(elsewhere(*id, by, text, now));
            }
            Change::ToDesk { agent, .. } => self.desk_mut().to_desk = Some(agent.clone()),
            Change::Seen { by } => self.signs(by, now),
            Change::Elapsed { timer } => self.apply_timer(*timer, now),
            Change::Uncollected { pushes } => {
                self.pushes.retain(|push| !pushes.contains(&push.id));
                if self.state == State::Held
                    && !self.pushes.iter().any(|push| push.state == Delivery::Held)
                {
                    self.go(Trigger::HeldExpired, now);
                    self.miss(now);
                }
            }
        }
    }

    /// Changes the state as the transition function says; where it says nothing, nothing changes.
    fn go(&mut self, trigger: Trigger, now: Time) {
        let Some(state) = next(self.state, trigger) else {
            return;
        };
        if state != self.state {
            self.state = state;
            if state != State::Bot || self.desk.is_some() {
                let desk = self.desk_mut();
                desk.since = now;
                if matches!(
                    state,
                    State::Bot | State::Follower | State::External | State::Closed
                ) {
                    desk.settle();
                }
            }
        }
    }

    fn desk_mut(&mut self) -> &mut Desk {
        self.desk.get_or_insert_default()
    }

    /// A sign of the owner.
    fn signs(&mut self, by: &AgentName, now: Time) {
        if self.is_owned_by(by) {
            self.desk_mut().seen_at = now;
        }
    }

    /// Somebody has it from now on.
    fn take(&mut self, by: &AgentName, is_given: bool, now: Time) {
        self.forget_dialogue();
        if !self.state.is_open() {
            self.open(Reason::Asked, Priority::Normal, None, now);
            // Nobody asked: a person came by.
            self.reason = None;
        }
        self.own(by, is_given, now);
    }

    fn own(&mut self, by: &AgentName, is_given: bool, now: Time) {
        self.go(Trigger::Claimed, now);
        self.owner = Some(by.clone());
        self.outcome = None;
        self.unread = 0;
        let desk = self.desk_mut();
        desk.seen_at = now;
        desk.is_given = is_given;
        desk.is_missed = false;
        if is_given {
            desk.since = now;
            desk.alerts = 0;
        }
    }

    /// Nobody has it any more.
    fn leave(&mut self, now: Time) {
        self.go(Trigger::Released, now);
        self.owner = None;
        if let Some(desk) = self.desk.as_deref_mut() {
            desk.is_given = false;
            desk.alerts = 0;
        }
    }

    fn end(&mut self, outcome: Outcome, now: Time) {
        self.go(Trigger::Closed, now);
        self.owner = None;
        self.outcome = Some(outcome);
        self.unread = 0;
        let desk = self.desk_mut();
        desk.settle();
        desk.is_missed = false;
        desk.to_desk = None;
    }

    /// It ended without an answer.
    fn miss(&mut self, _now: Time) {
        self.owner = None;
        self.outcome = Some(Outcome::Missed);
        self.unread = 0;
        let desk = self.desk_mut();
        desk.settle();
        desk.is_missed = true;
        desk.missed = desk.missed.saturating_add(1);
    }

    fn end_with_rules(&mut self, trigger: Trigger, now: Time) {
        self.go(trigger, now);
        if self.state == State::Bot {
            self.owner = None;
            self.unread = 0;
            if let Some(desk) = self.desk.as_deref_mut() {
                desk.settle();
                desk.to_desk = None;
            }
        }
    }

    /// An episode begins.
    fn open(&mut self, reason: Reason, priority: Priority, note: Option<&Arc<str>>, now: Time) {
        self.opened_at = now;
        self.reason = Some(reason);
        self.reason_note = note.cloned();
        self.priority = priority;
        self.outcome = None;
        self.owner = None;
        let desk = self.desk_mut();
        desk.settle();
        desk.first_answer_at = None;
        desk.is_given = false;
        desk.alerts = 0;
        desk.review_asked = false;
        desk.snoozed_until = None;
        desk.to_desk = None;
        desk.episodes = desk.episodes.saturating_add(1);
    }

    /// A person's answer has reached the follower.
    fn answered(&mut self, by: &AgentName, now: Time) {
        self.answered_at = Some(now);
        let desk = self.desk_mut();
        desk.last_agent = Some(by.clone());
        desk.first_answer_at.get_or_insert(now);
        desk.settle();
    }

    fn apply_reply(&mut self, push: &Push, key: Option<&str>, now: Time) {
        let Some(by) = push.agent.clone() else {
            return;
        };
        self.take(&by, false, now);
        let desk = self.desk_mut();
        desk.last_agent = Some(by);
        desk.settle();
        if push.state == Delivery::Held {
            desk.review_asked = false;
            self.go(Trigger::Kept, now);
        }
        if let Some(key) = key {
            if self.keys.len() >= KEYS_KEPT {
                self.keys.remove(0);
            }
            self.keys.push((key.into(), push.id));
        }
        self.last_message = Some(push.message());
        self.pushes.push(push.clone());
    }

    fn apply_timer(&mut self, timer: Timer, now: Time) {
        match timer {
            Timer::ClaimTimeout => self.leave(now),
            Timer::Quiet => self.end_with_rules(Trigger::Quiet, now),
            Timer::Snooze => {
                let owned = self.owner.is_some();
                self.go(Trigger::Woke { owned }, now);
                let desk = self.desk_mut();
                desk.snoozed_until = None;
                desk.seen_at = now;
                desk.alerts = 0;
            }
            Timer::Alert { count } => self.desk_mut().alerts = count,
            Timer::Breach => self.desk_mut().is_breached = true,
            Timer::Window { warned } => self.desk_mut().warned = warned,
            Timer::Missed => {
                self.go(Trigger::WindowPassed, now);
                self.miss(now);
            }
            Timer::External => self.end_with_rules(Trigger::Returned, now),
            Timer::Review => self.desk_mut().review_asked = true,
            // Written as what was not collected.
            Timer::HeldExpiry => {}
        }
    }

    fn apply_forgotten(&mut self, before: Time) {
        self.pushes.retain(|push| !is_forgotten(push, before));
        if self.forgets_last(before) {
            self.last_message = None;
        }
        if self.forgets_form(before) {
            self.remember(|known| known.form = None);
        }
    }

    /// Whether something is kept here that was said before this time and that nobody waits for any more.
    pub fn remembers_before(&self, before: Time) -> bool {
        self.pushes.iter().any(|push| is_forgotten(push, before))
            || self.forgets_last(before)
            || self.forgets_form(before)
    }

    fn forgets_last(&self, before: Time) -> bool {
        let is_waited_for = |id: MessageId| {
            let mut pushes = self.pushes.iter();
            pushes.any(|push| push.id == id && !is_forgotten(push, before))
        };
        let last = self.last_message.as_ref();
        last.is_some_and(|last| last.at < before && !is_waited_for(last.id))
    }

    fn forgets_form(&self, before: Time) -> bool {
        let known = self.remembered.as_deref();
        let form = known.and_then(|known| known.form.as_ref());
        form.is_some_and(|form| form.until < before)
    }

    /// Changes what is remembered; nothing is kept where nothing is remembered.
    fn remember(&mut self, change: impl FnOnce(&mut Remembered)) {
        let mut known = self.remembered.take().unwrap_or_default();
        change(&mut known);
        self.remembered = (!known.is_empty()).then_some(known);
    }

    /// A person speaks now: what the bot had asked or offered is over.
    fn forget_dialogue(&mut self) {
        if self.remembered.is_some() {
            self.remember(|known| {
                known.form = None;
                known.offer = None;
            });
        }
    }

    /// A form whose last words are being sent is over.
    fn end_form_by(&mut self, push: MessageId) {
        let form = self
            .remembered
            .as_mut()
            .and_then(|known| known.form.as_mut());
        let words = form.and_then(|form| form.on_timeout.take_if(|words| words.id == push));
        if let Some(words) = words {
            self.remember(|known| known.form = None);
            self.pushes.push(words);
        }
    }

    fn apply_turn(&mut self, turn: &Turn, now: Time) {
        let Answer {
            own,
            given,
            push,
            moved,
            question,
            more,
            noted,
            ..
        } = &turn.answer;
        let is_message = self.opens(&turn.incoming.content, now);
        if is_message {
            self.last_inbound = Some(turn.inbound_id(now));
            self.push_again(now);
        }
        let is_given = |push: &Push| given.contains(&push.id);
        let author = self
            .pushes
            .iter()
            .rfind(|push| is_given(push) && push.by == By::Agent)
            .and_then(|push| push.agent.clone());
        self.pushes.retain(|push| !is_given(push));
        if let Some(author) = author {
            self.answered(&author, now);
        }
        if let Some(question) = question {
            self.questions
                .retain(|(_, at)| now.since(*at) <= REPEAT_WITHIN);
            if self.questions.len() >= QUESTIONS_KEPT {
                self.questions.remove(0);
            }
            self.questions.push((*question, now));
        }
        match own.as_ref().map(|own| (own.by, &own.reply)) {
            Some((By::Ack, _)) => self.acked_at = Some(now),
            Some((By::Crisis, _)) => {
                self.acked_at = Some(now);
                self.desk_mut().crisis_at = Some(now);
            }
            Some((_, Reply::Transfer { .. })) if self.desk.is_some() => {
                self.desk_mut().to_desk = None;
            }
            _ => {}
        }
        self.pushes.extend(push.clone());
        self.pushes.extend(more.iter().cloned());
        if !noted.is_empty() {
            self.remember(|known| noted.iter().for_each(|noted| known.apply(noted, now)));
        }
        if let Some(moved) = moved {
            self.apply_move(moved, now);
        }
        if is_message && self.state != State::Bot && self.state != State::Closed {
            self.unread = self.unread.saturating_add(1);
        }
        // A tap on 「人工」 is owed an answer as a message is.
        let is_for_people = moved.as_ref().is_some_and(Move::calls_people)
            || is_message && matches!(moved, Some(Move::Owner));
        if is_for_people && matches!(self.state, State::Waiting | State::Assigned) {
            self.desk_mut().owe(now);
        }
        self.last_message = turn.own(now).or_else(|| Some(turn.inbound(now)));
    }

    /// What the message opens of WeChat's window. Says whether it is a message.
    fn opens(&mut self, content: &Content, now: Time) -> bool {
        match content {
            Content::Event(event) => {
                if event.kind.opens_tap_window() {
                    self.window.tap(now);
                }
                if event.kind == EventKind::Unsubscribe {
                    self.window.close();
                }
                false
            }
            Content::Text {
                menu_id: Some(_), ..
            } => {
                self.window.tap(now);
                true
            }
            _ => {
                self.window.message(now);
                true
            }
        }
    }

    /// The window is open again: what waits and can only be pushed is queued, behind the turn's passive answer.
    fn push_again(&mut self, now: Time) {
        for push in &mut self.pushes {
            let is_kept = push.state == Delivery::Held && now.since(push.at) <= HELD_FOR;
            if is_kept && !push.reply.can_be_held() {
                push.state = Delivery::Queued;
                push.not_before = now.plus(PASSIVE_WRITTEN);
            }
        }
    }

    fn apply_move(&mut self, moved: &Move, now: Time) {
        match moved {
            Move::Escalate {
                reason,
                priority,
                note,
            } => {
                let stays = matches!(
                    self.state,
                    State::Waiting | State::Assigned | State::Held | State::Snoozed
                );
                self.escalate(stays, *reason, *priority, note.as_ref(), now);
            }
            Move::Raise {
                reason,
                priority,
                note,
            } => {
                let stays = self.state.is_open();
                let is_news = *priority < self.priority || self.desk().asked_at.is_none();
                self.escalate(stays, *reason, *priority, note.as_ref(), now);
                if stays && is_news {
                    self.reason = Some(*reason);
                    self.reason_note.clone_from(note);
                    self.tell_anew(now);
                }
            }
            Move::Assign {
                to,
                reason,
                priority,
                note,
            } => {
                // A person may have taken it since the turn was decided.
                if self.state == State::Assigned {
                    self.priority = self.priority.min(*priority);
                } else {
                    let stays = self.state.is_open() && self.state != State::Follower;
                    self.escalate(stays, *reason, *priority, note.as_ref(), now);
                    self.own(to, true, now);
                }
            }
            Move::Owner => {
                let owned = self.owner.is_some();
                if self.state == State::Snoozed {
                    self.desk_mut().snoozed_until = None;
                }
                if owned && self.state != State::Assigned {
                    // The owner has as long as after a claim.
                    let desk = self.desk_mut();
                    desk.seen_at = now;
                }
                self.go(Trigger::Wrote { owned }, now);
            }
            Move::Requeue {
                reason,
                priority,
                note,
            } => {
                self.leave(now);
                let stays = self.state.is_open();
                if stays && *priority < self.priority {
                    self.reason = Some(*reason);
                    self.reason_note.clone_from(note);
                    self.desk_mut().is_breached = false;
                }
                self.escalate(stays, *reason, *priority, note.as_ref(), now);
            }
            Move::Follower => {
                let is_held = self.held(now).next().is_some();
                let trigger = if is_held {
                    Trigger::Kept
                } else {
                    Trigger::Collected
                };
                self.go(trigger, now);
            }
            Move::Bot => {
                let trigger = match self.state {
                    State::Waiting => Trigger::Cancelled,
                    State::External => Trigger::Returned,
                    _ => Trigger::Quiet,
                };
                self.end_with_rules(trigger, now);
            }
            Move::External { until } => {
                if self.state != State::External {
                    self.owner = None;
                    self.go(Trigger::Transferred, now);
                    self.desk_mut().settle();
                }
                self.external_until = Some(*until);
            }
            Move::Unsubscribed => {
                for push in &mut self.pushes {
                    if push.state == Delivery::Queued {
                        push.state = Delivery::Held;
                    }
                }
                if self.held(now).next().is_some() {
                    self.go(Trigger::Kept, now);
                }
                if let Some(desk) = self.desk.as_deref_mut() {
                    desk.refused = Some((WINDOW_SHUT, now));
                }
            }
        }
    }

    /// A person must answer; where it `stays`, the episode goes on.
    fn escalate(
        &mut self,
        stays: bool,
        reason: Reason,
        priority: Priority,
        note: Option<&Arc<str>>,
        now: Time,
    ) {
        if stays {
            let is_news = priority < self.priority;
            self.priority = self.priority.min(priority);
            self.desk_mut().snoozed_until = None;
            if is_news {
                self.tell_anew(now);
            }
        } else {
            self.open(reason, priority, note, now);
        }
        let owned = self.owner.is_some();
        if owned && self.state != State::Assigned {
            self.desk_mut().seen_at = now;
        }
        self.go(Trigger::Escalated { owned }, now);
    }

    /// People hear of it as if it began now: who owns it, or those on duty.
    fn tell_anew(&mut self, now: Time) {
        let is_owned = self.owner.is_some();
        let desk = self.desk_mut();
        desk.since = now;
        desk.is_given = is_owned;
        desk.alerts = 0;
        desk.is_breached = false;
    }

    fn apply_settled(&mut self, id: MessageId, result: &Settled, now: Time) {
        let Some(at) = self.pushes.iter().position(|push| push.id == id) else {
            return;
        };
        let author = self
            .pushes
            .get(at)
            .filter(|push| push.by == By::Agent)
            .and_then(|push| push.agent.clone());
        let finish = |conversation: &mut Self, delivery, error| {
            let mut push = conversation.pushes.remove(at);
            push.state = delivery;
            push.error = error;
            conversation.refresh_last(&push);
        };
        match result {
            Settled::Sent => {
                self.window.spend(now);
                finish(self, Delivery::Sent, None);
                if let Some(author) = author {
                    let owed = self.desk().asked_at;
                    let unanswered = self.desk().unanswered.clone();
                    self.answered(&author, now);
                    if owed.is_none() && self.unread == 0 {
                        self.go(Trigger::Delivered, now);
                    } else {
                        // What came since the answer was written is still to be answered.
                        let desk = self.desk_mut();
                        desk.asked_at = owed;
                        desk.unanswered = unanswered;
                    }
                }
            }
            Settled::Again { not_before, error } => self.with_push(id, |push| {
                push.state = Delivery::Queued;
                push.not_before = *not_before;
                push.error = Some(error.clone());
            }),
            Settled::Held { error } => {
                match error.code {
                    WINDOW_SHUT => self.window.close(),
                    45047 => self.window.exhaust(),
                    _ => {}
                }
                if matches!(error.code, WINDOW_SHUT | 45047) {
                    self.desk_mut().refused = Some((error.code, now));
                }
                self.with_push(id, |push| {
                    push.state = Delivery::Held;
                    push.error = Some(error.clone());
                });
                // Order holds: what was queued behind it waits as well.
                for push in &mut self.pushes {
                    if push.state == Delivery::Queued {
                        push.state = Delivery::Held;
                        push.error = Some(error.clone());
                    }
                }
                // What came since it was written is still to be answered.
                if author.is_some() && self.unread == 0 {
                    self.go(Trigger::Kept, now);
                }
            }
            Settled::Failed { error } => {
                finish(self, Delivery::Failed, Some(error.clone()));
                self.owes_again(author.is_some(), now);
            }
            Settled::Unknown { error } => {
                self.window.spend(now);
                finish(self, Delivery::Unknown, Some(error.clone()));
                self.owes_again(author.is_some(), now);
            }
        }
    }

    /// An answer that did not arrive for sure is no answer.
    fn owes_again(&mut self, is_from_person: bool, now: Time) {
        if is_from_person && self.state == State::Assigned {
            let desk = self.desk_mut();
            desk.seen_at = desk.seen_at.max(now);
            desk.asked_at.get_or_insert(now);
        }
    }

    fn with_push(&mut self, id: MessageId, change: impl FnOnce(&mut Push)) {
        if let Some(push) = self.pushes.iter_mut().find(|push| push.id == id) {
            change(push);
            let push = push.clone();
            self.refresh_last(&push);
        }
    }

    fn refresh_last(&mut self, push: &Push) {
        if let Some(last) = self.last_message.as_mut().filter(|last| last.id == push.id) {
            *last = push.message();
        }
    }
}
