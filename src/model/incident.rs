//! Describes an incident: many followers said the same at about the same time, and people answer it once for all.
//! Owns: its shape and bounds. Uses: ids, time. Never: when many are many (the desk says), what a follower wrote.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::Priority;
use super::ids::{AccountName, AgentName, ConversationId, TurnKey};
use super::time::Time;

/// The most conversations that an incident names.
pub const CONVERSATIONS_NAMED: usize = 20;
/// The longest note and the longest drafted answer, in bytes.
pub const WORDS_LIMIT: usize = 2047;
/// How many incidents are kept; the oldest go.
pub const INCIDENTS_KEPT: usize = 200;

/// Something that many followers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: TurnKey,
    /// When it became one.
    pub at: Time,
    /// How urgent.
    pub priority: Priority,
    /// The words of danger by their name; `None` for words that no rule covers, which are not repeated here.
    pub about: Option<Arc<str>>,
    /// How many followers had said it by then.
    pub followers: u32,
    /// The accounts they wrote to.
    pub accounts: Vec<AccountName>,
    /// Some of their conversations, the newest last; at most [`CONVERSATIONS_NAMED`].
    pub conversations: Vec<ConversationId>,
    /// What colleagues should know.
    pub note: Box<str>,
    /// What everybody may answer.
    pub answer: Box<str>,
    /// Who wrote note or answer last, and when.
    pub written: Option<(AgentName, Time)>,
    /// Who said that it is over, and when.
    pub closed: Option<(AgentName, Time)>,
}

/// What somebody wants to be different about an incident; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentEdit {
    /// What colleagues should know.
    pub note: Option<Box<str>>,
    /// What everybody may answer.
    pub answer: Option<Box<str>>,
    /// Whether it is over.
    pub is_closed: Option<bool>,
}

impl Incident {
    /// The incident after somebody's edit.
    #[must_use]
    pub fn edited(mut self, edit: &IncidentEdit, by: &AgentName, now: Time) -> Self {
        if let Some(note) = &edit.note {
            self.note.clone_from(note);
        }
        if let Some(answer) = &edit.answer {
            self.answer.clone_from(answer);
        }
        if edit.note.is_some() || edit.answer.is_some() {
            self.written = Some((by.clone(), now));
        }
        match edit.is_closed {
            Some(true) if self.closed.is_none() => self.closed = Some((by.clone(), now)),
            Some(false) => self.closed = None,
            _ => {}
        }
        self
    }
}
