//! Lays out what format 2 stored, and turns it into what the model has now.
//! Owns: the shapes of format 2 that have changed since. Uses: model. Never: writes them.
//!
//! Entries of format 2 are read as they are: what may stand in them only grew at the end.

use std::sync::Arc;

use serde::Deserialize;
use smallvec::SmallVec;

use crate::model::conversation::{Desk, State};
use crate::model::entry::{Outcome, Priority, Push, Reason};
use crate::model::window::Window;
use crate::model::{
    AccountName, AgentName, Conversation as NewConversation, ConversationId, Message, MessageId,
    OpenId, Remembered, Time,
};

/// A conversation without what the desk remembers.
#[derive(Deserialize)]
pub(super) struct Conversation {
    id: ConversationId,
    account: AccountName,
    follower: OpenId,
    state: State,
    priority: Priority,
    reason: Option<Reason>,
    reason_note: Option<Arc<str>>,
    owner: Option<AgentName>,
    opened_at: Time,
    updated_at: Time,
    version: u64,
    unread: u32,
    window: Window,
    acked_at: Option<Time>,
    answered_at: Option<Time>,
    external_until: Option<Time>,
    questions: SmallVec<[(u64, Time); 2]>,
    pushes: Vec<Push>,
    keys: Vec<(Box<str>, MessageId)>,
    last_inbound: Option<MessageId>,
    last_message: Option<Message>,
    outcome: Option<Outcome>,
    remembered: Option<Box<Remembered>>,
}

impl From<Conversation> for NewConversation {
    fn from(old: Conversation) -> Self {
        Self {
            desk: desk_of(old.state, old.updated_at),
            id: old.id,
            account: old.account,
            follower: old.follower,
            state: old.state,
            priority: old.priority,
            reason: old.reason,
            reason_note: old.reason_note,
            owner: old.owner,
            opened_at: old.opened_at,
            updated_at: old.updated_at,
            version: old.version,
            unread: old.unread,
            window: old.window,
            acked_at: old.acked_at,
            answered_at: old.answered_at,
            external_until: old.external_until,
            questions: old.questions,
            pushes: old.pushes,
            keys: old.keys,
            last_inbound: old.last_inbound,
            last_message: old.last_message,
            outcome: old.outcome,
            remembered: old.remembered,
        }
    }
}

/// What the desk would remember of a conversation from before it remembered anything: its clocks begin with the last thing
/// that happened.
pub(super) fn desk_of(state: State, updated_at: Time) -> Option<Box<Desk>> {
    let is_owed = matches!(state, State::Waiting | State::Assigned);
    let desk = Desk {
        since: updated_at,
        seen_at: updated_at,
        asked_at: is_owed.then_some(updated_at),
        episodes: 1,
        ..Desk::default()
    };
    state.is_open().then(|| Box::new(desk))
}
