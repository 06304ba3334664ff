//! Says how much a conversation presses.
//! Owns: the order in which people should look at what is open. Uses: model only. Never: the clock.

use super::Conversation;
use crate::model::entry::Priority;
use crate::model::time::Time;

impl Conversation {
    /// How much it presses: the least level comes first, then the earliest time. Danger, then promises that were broken, then
    /// the priority; of one level, the window that shuts first. One that has shut comes before those that are open; where
    /// there is none, it counts since when somebody waits.
    pub fn urgency(&self) -> (u8, Time) {
        let desk = self.desk();
        let level = match self.priority {
            Priority::Urgent => 0,
            _ if desk.is_breached => 1,
            Priority::High => 2,
            Priority::Normal => 3,
            Priority::Low => 4,
        };
        let until = self.window.closes_at();
        (
            level,
            until.unwrap_or(desk.asked_at.unwrap_or(self.opened_at)),
        )
    }
}
