//! Says what happens to a conversation by itself, and when: the desk's timers.
//! Owns: every timer, from what it counts, what it leads to. Uses: conversation, desk settings. Never: waits, reads the clock.
//!
//! Nothing is stored of a timer but that it fired: when it is due follows from the conversation and the settings. So timers
//! survive a restart, follow a change of the settings, and fire once, because firing one is an entry like any other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Conversation, HELD_FOR, State};
use crate::model::desk::DeskSettings;
use crate::model::entry::Push;
use crate::model::message::{By, Delivery};
use crate::model::time::Time;

const HOUR: Duration = Duration::from_secs(3600);
/// So long before the window shuts its owner is told.
pub const WINDOW_WARNINGS: [Duration; 3] = [
    Duration::from_secs(6 * 3600),
    HOUR,
    Duration::from_secs(15 * 60),
];
/// After this time the author of a held answer is asked whether it is still right.
pub const REVIEW_AFTER: Duration = Duration::from_secs(48 * 3600);

/// What happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// The owner gave no sign: back to the queue.
    ClaimTimeout,
    /// Nobody wrote after the answer: back to the rules.
    Quiet,
    /// The time is over until which it was put off.
    Snooze,
    /// People are told that it waits.
    Alert {
        /// How often they have been told afterwards. More than one higher than before when the server did not run.
        count: u16,
    },
    /// The promised time has passed.
    Breach,
    /// The owner is told that the window shuts soon.
    Window {
        /// How many of [`WINDOW_WARNINGS`] are over afterwards.
        warned: u8,
    },
    /// The window has passed without an answer.
    Missed,
    /// Tencent's desk had its time.
    External,
    /// The author is asked whether what is held is still right.
    Review,
    /// What is held was not collected.
    HeldExpiry,
}

impl Timer {
    /// Every timer's word, for the audit and the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClaimTimeout => "claim_timeout",
            Self::Quiet => "quiet",
            Self::Snooze => "snooze",
            Self::Alert { .. } => "alert",
            Self::Breach => "breach",
            Self::Window { .. } => "window",
            Self::Missed => "missed",
            Self::External => "external",
            Self::Review => "review",
            Self::HeldExpiry => "held_expiry",
        }
    }
}

impl Conversation {
    /// What happens next by itself, and when. What is overdue is given with the time at which it was due, and counts once
    /// however much of it was missed; `now` says only how much that is.
    pub fn next_timer(&self, settings: &DeskSettings, now: Time) -> Option<(Time, Timer)> {
        // Most conversations: rules answer, nothing is kept for anybody.
        if self.desk.is_none() && matches!(self.state, State::Bot | State::Closed) {
            return None;
        }
        let by_state = match self.state {
            State::Bot | State::Closed => [None; 5],
            State::Waiting => [
                self.alert(settings, now),
                self.breach(settings),
                self.window_warning(now),
                self.missed(),
                None,
            ],
            State::Assigned => [
                self.claim_timeout(settings),
                self.breach(settings),
                self.window_warning(now),
                self.missed(),
                self.alert_of_given(settings),
            ],
            State::Follower => [self.quiet(settings), None, None, None, None],
            State::Held => [self.review(), None, None, None, None],
            State::External => [self.external(), None, None, None, None],
            State::Snoozed => [self.snooze(), None, None, None, None],
        };
        // What a state brings was not due before the state began, whatever it counts from.
        let since = self.desk().since;
        let by_state = by_state.into_iter().flatten();
        let by_state = by_state.map(|(at, timer)| (at.max(since), timer));
        // Of those due at the same time the first counts.
        by_state.chain(self.held_expiry()).min_by_key(|(at, _)| *at)
    }

    /// Since when a person's answer is owed.
    pub fn asked_at(&self) -> Option<Time> {
        self.desk().asked_at
    }

    /// Until when a person has promised to answer, by the settings; nothing while no answer is owed.
    pub fn answer_due(&self, settings: &DeskSettings) -> Option<Time> {
        let desk = self.desk();
        let asked = desk.asked_at?;
        let sla = settings.sla_of(self.priority);
        let within = match desk.first_answer_at {
            Some(_) => sla.next,
            None => sla.first,
        };
        let due = settings.due(sla.clock, asked, within);
        // Nobody can be answered after the window.
        Some(self.window.closes_at().map_or(due, |end| due.min(end)))
    }

    /// Whether an answer is owed and the window shuts by this time.
    pub fn closes_by(&self, at: Time) -> bool {
        self.desk().asked_at.is_some() && self.window.closes_at().is_some_and(|end| end <= at)
    }

    /// The highest tier that is to be told by now.
    pub fn tier(&self, settings: &DeskSettings, now: Time) -> u8 {
        let waited = now.since(self.waits_since());
        let tiers = &settings.sla_of(self.priority).tiers;
        let reached = tiers.iter().take_while(|after| waited >= **after).count();
        u8::try_from(reached).unwrap_or(3).clamp(1, 3)
    }

    /// When it began to wait for a person.
    pub fn waits_since(&self) -> Time {
        self.desk().asked_at.unwrap_or(self.desk().since)
    }

    fn claim_timeout(&self, settings: &DeskSettings) -> Option<(Time, Timer)> {
        let from_person = |push: &Push| {
            push.by == By::Agent && matches!(push.state, Delivery::Queued | Delivery::Sending)
        };
        // An answer that is on its way is a sign.
        if self.owner.is_none() || self.pushes.iter().any(from_person) {
            return None;
        }
        let desk = self.desk();
        Some((
            desk.seen_at.plus(settings.claim_timeout),
            Timer::ClaimTimeout,
        ))
    }

    fn quiet(&self, settings: &DeskSettings) -> Option<(Time, Timer)> {
        let answered = self.answered_at.unwrap_or(self.desk().since);
        Some((answered.plus(settings.quiet_after), Timer::Quiet))
    }

    fn snooze(&self) -> Option<(Time, Timer)> {
        Some((self.desk().snoozed_until?, Timer::Snooze))
    }

    fn alert(&self, settings: &DeskSettings, now: Time) -> Option<(Time, Timer)> {
        if settings.alerts.is_empty() {
            return None;
        }
        let told = self.desk().alerts;
        let repeat = &settings.sla_of(self.priority).repeat;
        // Given back, it is told from the beginning.
        let start = self.desk().since;
        let due = start.plus(nth(repeat, told)?);
        let count = (told + 1..u16::MAX)
            .take_while(|count| nth(repeat, *count).is_some_and(|after| start.plus(after) <= now))
            .last()
            .map_or(told + 1, |count| count + 1);
        Some((due, Timer::Alert { count }))
    }

    /// Whoever was given it is told once.
    fn alert_of_given(&self, settings: &DeskSettings) -> Option<(Time, Timer)> {
        let desk = self.desk();
        (desk.is_given && desk.alerts == 0 && !settings.alerts.is_empty())
            .then_some((desk.since, Timer::Alert { count: 1 }))
    }

    fn breach(&self, settings: &DeskSettings) -> Option<(Time, Timer)> {
        if self.desk().is_breached {
            return None;
        }
        Some((self.answer_due(settings)?, Timer::Breach))
    }

    fn window_warning(&self, now: Time) -> Option<(Time, Timer)> {
        self.desk().asked_at?;
        let end = self.window.closes_at()?;
        let warned = usize::from(self.desk().warned);
        let due = end.minus(*WINDOW_WARNINGS.get(warned)?);
        let over = WINDOW_WARNINGS
            .iter()
            .take_while(|before| end.minus(**before) <= now)
            .count()
            .max(warned + 1);
        let warned = u8::try_from(over).unwrap_or(u8::MAX);
        Some((due, Timer::Window { warned }))
    }

    fn missed(&self) -> Option<(Time, Timer)> {
        self.desk().asked_at?;
        // What is held will still be given.
        if self.pushes.iter().any(|push| push.by == By::Agent) {
            return None;
        }
        Some((self.window.closes_at()?, Timer::Missed))
    }

    fn external(&self) -> Option<(Time, Timer)> {
        Some((self.external_until?, Timer::External))
    }

    fn review(&self) -> Option<(Time, Timer)> {
        if self.desk().review_asked {
            return None;
        }
        let oldest = self
            .pushes
            .iter()
            .find(|push| push.state == Delivery::Held && push.by == By::Agent)?;
        Some((oldest.at.plus(REVIEW_AFTER), Timer::Review))
    }

    fn held_expiry(&self) -> Option<(Time, Timer)> {
        let held = self
            .pushes
            .iter()
            .filter(|push| push.state == Delivery::Held);
        let oldest = held.map(|push| push.at).min()?;
        // What is exactly seven days old is still given.
        let after = HELD_FOR + Duration::from_millis(1);
        Some((oldest.plus(after), Timer::HeldExpiry))
    }
}

/// When people are told for the (n + 1)-th time, counted from the escalation: the list, then its last gap again and again.
/// A list of one is told once.
fn nth(repeat: &[Duration], n: u16) -> Option<Duration> {
    if let Some(after) = repeat.get(usize::from(n)) {
        return Some(*after);
    }
    let [.., before, last] = repeat else {
        return None;
    };
    let gap = last.saturating_sub(*before);
    let further = u32::try_from(usize::from(n) + 1 - repeat.len()).ok()?;
    (!gap.is_zero()).then(|| last.saturating_add(gap.saturating_mul(further)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_gap_of_a_list_of_alerts_repeats() {
        let minutes = |list: &[u64]| -> Vec<Duration> {
            list.iter().map(|n| Duration::from_secs(n * 60)).collect()
        };
        let told = |list: &[u64], n| nth(&minutes(list), n).map(|after| after.as_secs() / 60);
        let urgent = [0, 2, 5, 10, 20];
        assert_eq!(
            (0..8).map(|n| told(&urgent, n)).collect::<Vec<_>>(),
            [0, 2, 5, 10, 20, 30, 40, 50].map(Some)
        );
        assert_eq!(
            (0..3).map(|n| told(&[0], n)).collect::<Vec<_>>(),
            [Some(0), None, None]
        );
        assert_eq!(told(&[], 0), None);
        assert_eq!(told(&[5, 5], 9), None);
    }
}
