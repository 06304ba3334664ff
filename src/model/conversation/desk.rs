//! Holds what the desk remembers of a conversation: who cared for it, what is promised, what was told to whom.
//! Owns: those facts and their bounds. Uses: ids, time. Never: what is promised or told (see timers), the settings.

use serde::{Deserialize, Serialize};

use crate::model::ids::AgentName;
use crate::model::time::Time;

/// The longest remark, in bytes.
pub const REMARK_LIMIT: usize = 128;
/// Of so many unanswered messages the times are remembered.
pub(super) const UNANSWERED_KEPT: usize = 3;

/// What people's work leaves behind in a conversation. Followers whom only rules ever answered have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// When the present state began, or became more urgent, or was given to somebody.
    pub since: Time,
    /// Since when a person's answer is owed; `None` while none is.
    pub asked_at: Option<Time>,
    /// When the newest unanswered messages came, oldest first.
    pub unanswered: Vec<Time>,
    /// When a person's answer first reached the follower in this episode.
    pub first_answer_at: Option<Time>,
    /// Who answered last.
    pub last_agent: Option<AgentName>,
    /// The owner's last sign of life here.
    pub seen_at: Time,
    /// Whether the owner was given it, or it became a crisis in the owner's hands: the owner is told.
    pub is_given: bool,
    /// How many times people were told that it waits.
    pub alerts: u16,
    /// Whether people were told that the promised time has passed.
    pub is_breached: bool,
    /// How many times the owner was told that the window shuts soon.
    pub warned: u8,
    /// Whether the author was asked if what is held is still right.
    pub review_asked: bool,
    /// Until when it is put off.
    pub snoozed_until: Option<Time>,
    /// What people call the follower.
    pub remark: Option<Box<str>>,
    /// Whether it ended without an answer, and nobody has looked at that yet.
    pub is_missed: bool,
    /// How many episodes ended without an answer.
    pub missed: u16,
    /// How many episodes there were.
    pub episodes: u32,
    /// The next message goes to Tencent's desk: to this agent of it, or to its pool where the name is empty.
    pub to_desk: Option<Box<str>>,
    /// When the follower last read a line of `_crisis.toml`.
    pub crisis_at: Option<Time>,
    /// What WeChat last said against the forecast of the window, and when: 45015, 45047.
    pub refused: Option<(i64, Time)>,
}

impl Desk {
    /// What is remembered where nothing is.
    pub(super) const NOTHING: &'static Self = &Self {
        since: Time::from_millis(0),
        asked_at: None,
        unanswered: Vec::new(),
        first_answer_at: None,
        last_agent: None,
        seen_at: Time::from_millis(0),
        is_given: false,
        alerts: 0,
        is_breached: false,
        warned: 0,
        review_asked: false,
        snoozed_until: None,
        remark: None,
        is_missed: false,
        missed: 0,
        episodes: 0,
        to_desk: None,
        crisis_at: None,
        refused: None,
    };

    /// A person's answer is on its way, or none is owed any more.
    pub(super) fn settle(&mut self) {
        self.asked_at = None;
        self.unanswered.clear();
        self.is_breached = false;
        self.warned = 0;
    }

    /// The follower waits for a person since this message.
    pub(super) fn owe(&mut self, now: Time) {
        self.asked_at.get_or_insert(now);
        if self.unanswered.len() >= UNANSWERED_KEPT {
            self.unanswered.remove(0);
        }
        self.unanswered.push(now);
        // The window was opened anew by it.
        self.warned = 0;
    }
}
