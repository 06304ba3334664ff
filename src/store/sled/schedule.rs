//! Says what is due next, without looking at every conversation.
//! Owns: the order of what is due and the call to whoever waits for it. Uses: seats. Never: why something is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::{Conversation, ConversationId, Delivery, MessageId, Time};

use super::seats::Seat;

/// Something of one conversation that has its time.
pub(super) trait Dated: Copy + Ord {
    /// From when on it is due.
    fn at(&self) -> Time;
}

/// The one push of a conversation that may be tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    at: Time,
    push: MessageId,
    conversation: ConversationId,
}

impl Due {
    /// The push that [`Conversation::due`] returns from its time on.
    pub(super) fn of(conversation: &Conversation) -> Option<Self> {
        let first = conversation.first_push()?;
        (first.state == Delivery::Queued).then_some(Self {
            at: first.not_before,
            push: first.id,
            conversation: conversation.id,
        })
    }
}

impl Dated for Due {
    fn at(&self) -> Time {
        self.at
    }
}

/// A conversation to which something happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alarm {
    pub(super) at: Time,
    pub(super) conversation: ConversationId,
}

impl Dated for Alarm {
    fn at(&self) -> Time {
        self.at
    }
}

/// Conversations with something that is due, by time.
pub(super) struct Schedule<D> {
    waiting: Mutex<BTreeMap<D, Arc<Seat>>>,
    changed: Notify,
}

impl<D> Default for Schedule<D> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl<D: Dated> Schedule<D> {
    /// What is due of one seat has changed; the seat is locked by the caller.
    pub(super) fn replace(&self, old: Option<D>, new: Option<D>, seat: &Arc<Seat>) {
        let mut waiting = self.waiting.lock();
        if let Some(old) = old {
            waiting.remove(&old);
        }
        if let Some(new) = new {
            waiting.insert(new, Arc::clone(seat));
        }
        drop(waiting);
        if old.is_some() || new.is_some() {
            self.changed.notify_one();
        }
    }

    /// The seat of what has been due the longest.
    pub(super) fn first(&self, now: Time) -> Option<Arc<Seat>> {
        let waiting = self.waiting.lock();
        let (due, seat) = waiting.first_key_value()?;
        (due.at() <= now).then(|| Arc::clone(seat))
    }

    /// The seats of what is due, the longest first, at most `limit`.
    pub(super) fn due(&self, now: Time, limit: usize) -> Vec<Arc<Seat>> {
        let waiting = self.waiting.lock();
        let due = waiting.iter().take_while(|(due, _)| due.at() <= now);
        due.take(limit).map(|(_, seat)| Arc::clone(seat)).collect()
    }

    /// When the first becomes due.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.waiting
            .lock()
            .first_key_value()
            .map(|(due, _)| due.at())
    }

    /// How many there are, due or not.
    pub(super) fn count(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
