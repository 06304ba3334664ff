//! Makes a conversation what it is after an entry: the fold that live state, replay and tests share.
//! Owns: what each change does. Uses: model only. Never: refuses; what may happen was decided before it was written.

use super::{Conversation, KEYS_KEPT, QUESTIONS_KEPT, REPEAT_WITHIN, State, note};
use crate::model::entry::{Answer, Change, Entry, Move, Push, Settled, Turn};
use crate::model::{By, Content, Delivery, EventKind, MessageId, Remembered, Time};

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
            Change::Claimed { by } => {
                self.forget_dialogue();
                self.state = State::Assigned;
                self.owner = Some(by.clone());
                self.outcome = None;
                self.unread = 0;
            }
            Change::Released { .. } => {
                self.state = State::Waiting;
                self.owner = None;
            }
            Change::Closed { outcome, .. } => {
                self.state = State::Closed;
                self.owner = None;
                self.outcome = Some(*outcome);
                self.unread = 0;
            }
            Change::Noted { id, by, text } => {
                self.last_message = Some(note(*id, by, text, now));
            }
            Change::Replied { push, key } => {
                self.forget_dialogue();
                self.owner.clone_from(&push.agent);
                self.outcome = None;
                self.unread = 0;
                self.state = if push.state == Delivery::Held {
                    State::Held
                } else {
                    State::Assigned
                };
                if let Some(key) = key {
                    if self.keys.len() >= KEYS_KEPT {
                        self.keys.remove(0);
                    }
                    self.keys.push((key.clone(), push.id));
                }
                self.last_message = Some(push.message());
                self.pushes.push(push.clone());
            }
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
        let is_message = match &turn.incoming.content {
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
        };
        if is_message {
            self.last_inbound = Some(turn.inbound_id(now));
        }
        let is_given = |push: &Push| given.contains(&push.id);
        let from_person = self
            .pushes
            .iter()
            .any(|push| is_given(push) && push.by == By::Agent);
        self.pushes.retain(|push| !is_given(push));
        if from_person {
            self.answered_at = Some(now);
        }
        if let Some(question) = question {
            self.questions
                .retain(|(_, at)| now.since(*at) <= REPEAT_WITHIN);
            if self.questions.len() >= QUESTIONS_KEPT {
                self.questions.remove(0);
            }
            self.questions.push((*question, now));
        }
        if own.as_ref().is_some_and(|own| own.by == By::Ack) {
            self.acked_at = Some(now);
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
        self.last_message = turn.own(now).or_else(|| Some(turn.inbound(now)));
    }

    fn apply_move(&mut self, moved: &Move, now: Time) {
        match moved {
            Move::Escalate {
                reason,
                priority,
                note,
            }
            | Move::Raise {
                reason,
                priority,
                note,
            }
            | Move::Assign {
                reason,
                priority,
                note,
                ..
            } => {
                // A person may have taken it since the turn was decided.
                let is_open = matches!(
                    self.state,
                    State::Waiting | State::Assigned | State::Held | State::Snoozed
                );
                if !is_open {
                    self.opened_at = now;
                    self.reason = Some(*reason);
                    self.reason_note.clone_from(note);
                    self.priority = *priority;
                    self.outcome = None;
                    self.owner = None;
                } else {
                    self.priority = self.priority.min(*priority);
                }
                self.state = if self.owner.is_some() {
                    State::Assigned
                } else {
                    State::Waiting
                };
            }
            Move::Owner => {
                self.state = if self.owner.is_some() {
                    State::Assigned
                } else {
                    State::Waiting
                };
            }
            Move::Follower => {
                self.state = if self.held(now).next().is_some() {
                    State::Held
                } else {
                    State::Follower
                };
            }
            Move::Bot if self.state == State::Assigned => {}
            Move::Bot => {
                self.state = State::Bot;
                self.owner = None;
                self.unread = 0;
            }
            Move::External { until } => {
                self.state = State::External;
                self.external_until = Some(*until);
            }
            Move::Unsubscribed => {
                for push in &mut self.pushes {
                    if push.state == Delivery::Queued {
                        push.state = Delivery::Held;
                    }
                }
                if matches!(self.state, State::Assigned | State::Follower)
                    && self.held(now).next().is_some()
                {
                    self.state = State::Held;
                }
            }
        }
    }

    fn apply_settled(&mut self, id: MessageId, result: &Settled, now: Time) {
        let Some(at) = self.pushes.iter().position(|push| push.id == id) else {
            return;
        };
        let from_agent = self.pushes.get(at).is_some_and(|push| push.by == By::Agent);
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
                if from_agent {
                    self.answered_at = Some(now);
                    if self.state == State::Assigned && self.unread == 0 {
                        self.state = State::Follower;
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
                    45015 => self.window.close(),
                    45047 => self.window.exhaust(),
                    _ => {}
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
                if from_agent && matches!(self.state, State::Assigned | State::Follower) {
                    self.state = State::Held;
                }
            }
            Settled::Failed { error } => finish(self, Delivery::Failed, Some(error.clone())),
            Settled::Unknown { error } => {
                self.window.spend(now);
                finish(self, Delivery::Unknown, Some(error.clone()));
            }
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
