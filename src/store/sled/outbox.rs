//! Says which push is due next, without looking at every conversation.
//! Owns: the order of due pushes and the call to whoever sends them. Uses: seats. Never: a push's own state.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::{Conversation, ConversationId, Delivery, MessageId, Time};

use super::seats::Seat;

/// The one push of a conversation that may be tried next, and from when on.
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

/// Conversations with a push to try, by time.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<BTreeMap<Due, Arc<Seat>>>,
    changed: Notify,
}

impl Outbox {
    /// What is due of one seat has changed; the seat is locked by the caller.
    pub(super) fn replace(&self, old: Option<Due>, new: Option<Due>, seat: &Arc<Seat>) {
        let mut waiting = self.waiting.lock();
        if let Some(old) = old {
            waiting.remove(&old);
        }
        if let Some(new) = new {
            waiting.insert(new, Arc::clone(seat));
        }
        drop(waiting);
        if new.is_some() {
            self.changed.notify_one();
        }
    }

    /// The seat whose push has been due the longest.
    pub(super) fn first(&self, now: Time) -> Option<Arc<Seat>> {
        let waiting = self.waiting.lock();
        let (due, seat) = waiting.first_key_value()?;
        (due.at <= now).then(|| Arc::clone(seat))
    }

    /// When the first push becomes due.
    pub(super) fn next_at(&self) -> Option<Time> {
        self.waiting.lock().first_key_value().map(|(due, _)| due.at)
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
