//! Lays out what format 1 stored, and turns it into what the model has now.
//! Owns: the shapes of format 1 that have changed since. Uses: model. Never: writes them.
//!
//! The parts that have not changed are the model's own types. Whoever changes one of those copies it here first, as it was.

use serde::Deserialize;
use smallvec::SmallVec;

use super::second_format::desk_of;
use crate::model::conversation::State;
use crate::model::entry::{
    Answer as NewAnswer, Change as NewChange, Move as NewMove, Outcome, Priority, Push, Reason,
    Settled, Spoken,
};
use crate::model::window::Window;
use crate::model::{
    AccountName, AgentName, Conversation as NewConversation, ConversationId, Entry as NewEntry,
    Incoming, Message, MessageId, OpenId, Reply, Time, Turn as NewTurn, TurnKey,
};

#[derive(Deserialize)]
pub(super) struct Entry {
    at: Time,
    conversation: ConversationId,
    change: Change,
}

#[derive(Deserialize)]
enum Change {
    Turn(Box<Turn>),
    Claimed {
        by: AgentName,
    },
    Released {
        by: AgentName,
    },
    Closed {
        by: AgentName,
        outcome: Outcome,
    },
    Noted {
        id: MessageId,
        by: AgentName,
        text: Box<str>,
    },
    Replied {
        push: Push,
        key: Option<Box<str>>,
    },
    Late {
        turn: TurnKey,
        push: Push,
    },
    Sending {
        push: MessageId,
    },
    Settled {
        push: MessageId,
        result: Settled,
    },
}

#[derive(Deserialize)]
struct Turn {
    key: TurnKey,
    account: AccountName,
    incoming: Incoming,
    answer: Answer,
}

#[derive(Deserialize)]
struct Answer {
    own: Option<Spoken>,
    given: SmallVec<[MessageId; 2]>,
    joined: Option<Reply>,
    push: Option<Push>,
    moved: Option<Move>,
    question: Option<u64>,
}

#[derive(Deserialize)]
enum Move {
    Escalate { reason: Reason, priority: Priority },
    Owner,
    Follower,
    Bot,
    External { until: Time },
    Unsubscribed,
}

#[derive(Deserialize)]
pub(super) struct Conversation {
    id: ConversationId,
    account: AccountName,
    follower: OpenId,
    state: State,
    priority: Priority,
    reason: Option<Reason>,
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
}

impl From<Entry> for NewEntry {
    fn from(old: Entry) -> Self {
        Self {
            at: old.at,
            conversation: old.conversation,
            change: old.change.into(),
        }
    }
}

impl From<Change> for NewChange {
    fn from(old: Change) -> Self {
        match old {
            Change::Turn(turn) => Self::Turn(Box::new((*turn).into())),
            Change::Claimed { by } => Self::Claimed { by },
            Change::Released { by } => Self::Released { by },
            Change::Closed { by, outcome } => Self::Closed { by, outcome },
            Change::Noted { id, by, text } => Self::Noted { id, by, text },
            Change::Replied { push, key } => Self::Replied { push, key },
            Change::Late { turn, push } => Self::Late { turn, push },
            Change::Sending { push } => Self::Sending { push },
            Change::Settled { push, result } => Self::Settled { push, result },
        }
    }
}

impl From<Turn> for NewTurn {
    fn from(old: Turn) -> Self {
        Self {
            key: old.key,
            account: old.account,
            incoming: old.incoming,
            answer: old.answer.into(),
        }
    }
}

impl From<Answer> for NewAnswer {
    fn from(old: Answer) -> Self {
        Self {
            own: old.own,
            given: old.given,
            joined: old.joined,
            push: old.push,
            moved: old.moved.map(NewMove::from),
            question: old.question,
            more: Vec::new(),
            noted: Vec::new(),
        }
    }
}

impl From<Move> for NewMove {
    fn from(old: Move) -> Self {
        match old {
            Move::Escalate { reason, priority } => Self::Escalate {
                reason,
                priority,
                note: None,
            },
            Move::Owner => Self::Owner,
            Move::Follower => Self::Follower,
            Move::Bot => Self::Bot,
            Move::External { until } => Self::External { until },
            Move::Unsubscribed => Self::Unsubscribed,
        }
    }
}

impl From<Conversation> for NewConversation {
    fn from(old: Conversation) -> Self {
        Self {
            id: old.id,
            account: old.account,
            follower: old.follower,
            state: old.state,
            priority: old.priority,
            reason: old.reason,
            reason_note: None,
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
            remembered: None,
            desk: desk_of(old.state, old.updated_at),
        }
    }
}
