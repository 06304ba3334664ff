//! Writes the lines of the history that are not messages: notes, who was given a conversation, what was answered elsewhere.
//! Owns: how colleagues read them. Uses: message, ids. Never: when they are written.

use std::sync::Arc;

use crate::model::entry::{Change, Entry, Left};
use crate::model::ids::{AgentName, MessageId};
use crate::model::message::{By, Delivery, Direction, Message};
use crate::model::time::Time;

/// The line that an entry other than a turn or a push is, if it is one.
pub fn line(entry: &Entry) -> Option<Message> {
    let at = entry.at;
    match &entry.change {
        Change::Noted { id, by, text } => Some(note(*id, by, text, at)),
        Change::Assigned { id, by, to, reason } => assigned(*id, by, to, reason, at),
        Change::Elsewhere { id, by, text } => Some(elsewhere(*id, by, text, at)),
        Change::Unassigned { id, from, why } => Some(unassigned(*id, from, why, at)),
        _ => None,
    }
}

/// A note between colleagues.
pub(super) fn note(id: MessageId, by: &AgentName, text: &str, at: Time) -> Message {
    Message {
        id,
        at,
        direction: Direction::Internal,
        by: By::Agent,
        agent: Some(by.clone()),
        rule: None,
        revision: None,
        kind: "note".into(),
        text: text.into(),
        delivery: Delivery::Received,
        error: None,
    }
}

/// Who gave it to whom, and why; nothing where somebody took it without a word.
pub(super) fn assigned(
    id: MessageId,
    by: &AgentName,
    to: &AgentName,
    reason: &str,
    at: Time,
) -> Option<Message> {
    let text: Arc<str> = match (by == to, reason.is_empty()) {
        (true, true) => return None,
        (true, false) => format!("接手:{reason}").into(),
        (false, true) => format!("转给 {to}").into(),
        (false, false) => format!("转给 {to}:{reason}").into(),
    };
    Some(note(id, by, &text, at))
}

/// Why the conversation left its owner.
pub(super) fn unassigned(id: MessageId, from: &AgentName, why: &Left, at: Time) -> Message {
    let (by, text) = match why {
        Left::OffDuty => (from, format!("{from} 下班了,会话回到队列")),
        Left::Disabled => (from, format!("{from} 的账号停用了,会话回到队列")),
        Left::Lead(lead) => (lead, format!("从 {from} 手里退回队列")),
    };
    Message {
        by: By::System,
        ..note(id, by, &text, at)
    }
}

/// An answer that took another way.
pub(super) fn elsewhere(id: MessageId, by: &AgentName, text: &str, at: Time) -> Message {
    Message {
        direction: Direction::Out,
        kind: "elsewhere".into(),
        delivery: Delivery::Sent,
        ..note(id, by, text, at)
    }
}
