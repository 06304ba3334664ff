//! Says which state follows from which: the one transition function of a conversation.
//! Owns: states, what moves them, the table of both. Uses: nothing. Never: who may do something, when, or what else changes.

use serde::{Deserialize, Serialize};

/// Who speaks next in a conversation (ARCHITECTURE.md, "A conversation's states").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Rules answer.
    Bot,
    /// A person must answer, nobody has taken it.
    Waiting,
    /// An agent owns it.
    Assigned,
    /// Answered by a person; the follower is next.
    Follower,
    /// A person's answer waits for the follower's next visit.
    Held,
    /// At Tencent's own desk.
    External,
    /// Put off.
    Snoozed,
    /// Ended.
    Closed,
}

impl State {
    /// Every state with the word the API uses.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Bot, "bot"),
        (Self::Waiting, "waiting"),
        (Self::Assigned, "assigned"),
        (Self::Follower, "follower"),
        (Self::Held, "held"),
        (Self::External, "external"),
        (Self::Snoozed, "snoozed"),
        (Self::Closed, "closed"),
    ];

    /// The word the API uses.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, word)| word)
    }

    /// The state that this word names.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map(|(state, _)| *state)
    }

    /// Whether people still have something to do in it, or somebody still waits.
    pub const fn is_open(self) -> bool {
        matches!(
            self,
            Self::Waiting | Self::Assigned | Self::Follower | Self::Held | Self::Snoozed
        )
    }
}

/// What moves a conversation from one state to another. `owned` says whether somebody who is there owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A person must answer.
    Escalated {
        /// It goes to its owner.
        owned: bool,
    },
    /// The follower wrote while a person speaks, or something that changes what was asked.
    Wrote {
        /// It goes to its owner.
        owned: bool,
    },
    /// A person took it, or was given it.
    Claimed,
    /// Its owner gave it back, was silent too long, went off duty or left.
    Released,
    /// WeChat took the answer, and the follower wrote nothing since.
    Delivered,
    /// The answer waits for the next visit.
    Kept,
    /// The follower got everything that was held.
    Collected,
    /// Nobody wrote for a while after the answer.
    Quiet,
    /// A person gives it back to the rules.
    HandedBack,
    /// The follower who asked for a person wants none any more.
    Cancelled,
    /// It went to Tencent's own desk.
    Transferred,
    /// Tencent's desk is done, or its time is over.
    Returned,
    /// The window passed and no person had answered.
    WindowPassed,
    /// What was held was not collected in time.
    HeldExpired,
    /// A person ended it.
    Closed,
    /// A person put it off.
    Snoozed,
    /// The time is over until which it was put off.
    Woke {
        /// It goes to its owner.
        owned: bool,
    },
}

impl Trigger {
    /// Every trigger.
    pub const ALL: &'static [Self] = &[
        Self::Escalated { owned: false },
        Self::Escalated { owned: true },
        Self::Wrote { owned: false },
        Self::Wrote { owned: true },
        Self::Claimed,
        Self::Released,
        Self::Delivered,
        Self::Kept,
        Self::Collected,
        Self::Quiet,
        Self::HandedBack,
        Self::Cancelled,
        Self::Transferred,
        Self::Returned,
        Self::WindowPassed,
        Self::HeldExpired,
        Self::Closed,
        Self::Snoozed,
        Self::Woke { owned: false },
        Self::Woke { owned: true },
    ];
}

/// The state after a trigger; `None` where the trigger means nothing in this state, and nothing changes.
pub const fn next(state: State, trigger: Trigger) -> Option<State> {
    use State::{Assigned, Bot, Closed, External, Follower, Held, Snoozed, Waiting};
    Some(match (state, trigger) {
        (_, Trigger::Escalated { owned: false }) => Waiting,
        (Assigned | Follower | Held | Snoozed, Trigger::Escalated { owned: true }) => Assigned,
        (Waiting | Assigned | Follower | Held | Snoozed, Trigger::Wrote { owned: false }) => {
            Waiting
        }
        (Assigned | Follower | Held | Snoozed, Trigger::Wrote { owned: true }) => Assigned,
        (_, Trigger::Claimed) => Assigned,
        (Assigned, Trigger::Released) => Waiting,
        // What was answered or put off stays so; only its owner goes.
        (Follower | Held | Snoozed, Trigger::Released) => state,
        (Assigned | Waiting, Trigger::Delivered) => Follower,
        (Assigned | Follower, Trigger::Kept) => Held,
        (Held | Assigned | Follower, Trigger::Collected) => Follower,
        (Follower, Trigger::Quiet) => Bot,
        (Waiting | Assigned | Follower | Held | Snoozed, Trigger::HandedBack) => Bot,
        (Waiting, Trigger::Cancelled) => Bot,
        (_, Trigger::Transferred) => External,
        (External, Trigger::Returned) => Bot,
        (Waiting | Assigned, Trigger::WindowPassed) => Closed,
        (Held, Trigger::HeldExpired) => Closed,
        (_, Trigger::Closed) => Closed,
        (Bot | Waiting | Assigned | Follower | Held | Snoozed, Trigger::Snoozed) => Snoozed,
        (Snoozed, Trigger::Woke { owned: false }) => Waiting,
        (Snoozed, Trigger::Woke { owned: true }) => Assigned,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `next`, written a second time by hand: rows are states in the order of [`State::ALL`], columns triggers in
    /// the order of [`Trigger::ALL`]; `.` means that nothing changes.
    ///
    /// b bot, w waiting, a assigned, f follower, h held, e external, s snoozed, c closed
    const TABLE: [(&str, &str); 8] = [
        ("bot", "w...a.......e...cs.."),
        ("waiting", "w.w.a.f...bbe.c.cs.."),
        ("assigned", "wawaawfhf.b.e.c.cs.."),
        ("follower", "wawaaf.hfbb.e...cs.."),
        ("held", "wawaah..f.b.e..ccs.."),
        ("external", "w...a.......eb..c..."),
        ("snoozed", "wawaas....b.e...cswa"),
        ("closed", "w...a.......e...c..."),
    ];

    #[test]
    fn every_state_and_trigger_leads_where_the_table_says() {
        for ((state, word), (name, row)) in State::ALL.iter().zip(TABLE) {
            assert_eq!(*word, name);
            assert_eq!(row.len(), Trigger::ALL.len(), "{name}");
            for (trigger, letter) in Trigger::ALL.iter().zip(row.chars()) {
                let expected = State::ALL
                    .iter()
                    .find(|(_, word)| word.starts_with(letter))
                    .map(|(state, _)| *state);
                assert_eq!(next(*state, *trigger), expected, "{name} {trigger:?}");
            }
        }
    }

    #[test]
    fn every_state_is_reached_and_can_be_left() {
        for (state, word) in State::ALL {
            let others = State::ALL.iter().filter(|(other, _)| other != state);
            assert!(
                others
                    .flat_map(|(other, _)| Trigger::ALL.iter().map(|t| next(*other, *t)))
                    .any(|reached| reached == Some(*state)),
                "{word} is never reached"
            );
            assert!(
                Trigger::ALL
                    .iter()
                    .filter_map(|trigger| next(*state, *trigger))
                    .any(|left| left != *state),
                "{word} cannot be left"
            );
        }
    }
}
