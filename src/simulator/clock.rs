//! Tells the pretend WeChat what time it is: the system's, or one that a test moves.
//! Owns: the offset. Uses: model. Never: sleeps; the 5-second limit is real time and not asked here.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::model::Time;

/// A clock that its clones share: moving one moves all.
#[derive(Clone, Debug)]
pub struct Clock {
    /// `None`: the system's clock.
    stopped_at: Option<Time>,
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    /// Runs with the system's clock, plus whatever [`Clock::advance`] added.
    pub fn system() -> Self {
        Self {
            stopped_at: None,
            ahead_millis: Arc::default(),
        }
    }

    /// Stands still until [`Clock::advance`] moves it.
    pub fn stopped_at(time: Time) -> Self {
        Self {
            stopped_at: Some(time),
            ahead_millis: Arc::default(),
        }
    }

    /// The instant now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the pretend WeChat is an edge: its clock is its own"
    )]
    pub fn now(&self) -> Time {
        let start = self
            .stopped_at
            .unwrap_or_else(|| Time::from(jiff::Timestamp::now()));
        Time::from_millis(
            start
                .millis()
                .saturating_add(self.ahead_millis.load(Ordering::Relaxed)),
        )
    }

    /// Moves the clock and all its clones forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
