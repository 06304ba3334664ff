//! Tells the time and wakes whoever waits for it: the system's clock, or one that a test moves.
//! Owns: the only place where the wall clock is read for the server and for the pretend WeChat. Uses: model, jiff, tokio. Never: decides anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::model::Time;

/// The longest sleep in one piece: a clock that was set is noticed within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A clock that its clones share: moving one moves all.
#[derive(Clone, Debug)]
pub struct Clock {
    /// `None`: the system's clock.
    stopped_at: Option<Time>,
    ahead_millis: Arc<watch::Sender<i64>>,
}

impl Clock {
    /// Runs with the system's clock, plus whatever [`Clock::advance`] added.
    pub fn system() -> Self {
        Self::new(None)
    }

    /// Stands still until [`Clock::advance`] moves it.
    pub fn stopped_at(time: Time) -> Self {
        Self::new(Some(time))
    }

    fn new(stopped_at: Option<Time>) -> Self {
        Self {
            stopped_at,
            ahead_millis: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The instant now.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge at which time enters"
    )]
    pub fn now(&self) -> Time {
        let start = self
            .stopped_at
            .unwrap_or_else(|| Time::from(jiff::Timestamp::now()));
        let ahead = *self.ahead_millis.borrow();
        Time::from_millis(start.millis().saturating_add(ahead))
    }

    /// Moves the clock and all its clones forward; wakes those whose time has come.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis
            .send_modify(|ahead| *ahead = ahead.saturating_add(millis));
    }

    /// Moves the clock and all its clones back, as an operator who sets a clock does.
    pub fn step_back(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_millis
            .send_modify(|ahead| *ahead = ahead.saturating_sub(millis));
    }

    /// Waits until it is this time. Returns at once when it has passed; a clock that is set meanwhile is followed.
    pub async fn reach(&self, at: Time) {
        let mut moved = self.ahead_millis.subscribe();
        loop {
            moved.mark_unchanged();
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            let sleep = if self.stopped_at.is_some() {
                Duration::MAX
            } else {
                left.min(LOOK_AGAIN)
            };
            // The sender lives as long as `self`: an end of the channel cannot be seen here.
            tokio::select! {
                _moved = moved.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_wakes_when_the_clock_is_moved_there() {
        let clock = Clock::stopped_at(Time::from_seconds(100));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.reach(Time::from_seconds(160)).await;
                clock.now()
            }
        });
        clock.advance(Duration::from_secs(30));
        clock.advance(Duration::from_secs(31));
        assert_eq!(waiting.await.unwrap(), Time::from_seconds(161));
        clock.step_back(Duration::from_secs(60));
        assert_eq!(clock.now(), Time::from_seconds(101));
        clock.reach(Time::from_seconds(101)).await;
    }
}
