//! Lets a crowd go on step by step, and tells it when the server it speaks to has died and come back.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// Nothing here takes so long unless somebody else has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// One life of the server, from a start to a kill.
pub type Life = usize;

/// Where the crowd waits.
#[derive(Default)]
pub struct Gate {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    allowed: usize,
    begun: usize,
    answered: usize,
    is_up: bool,
    /// No more kills are to come.
    is_safe: bool,
    /// When each life was ended.
    kills: Vec<Instant>,
}

impl Gate {
    fn wait(&self, what: &str, mut until: impl FnMut(&Now) -> bool) -> MutexGuard<'_, Now> {
        let mut now = self.now.lock();
        let until = |now: &mut Now| !until(now);
        let waited = self.changed.wait_while_for(&mut now, until, PATIENCE);
        assert!(!waited.timed_out(), "waited too long: {what}");
        now
    }

    fn change<T>(&self, change: impl FnOnce(&mut Now) -> T) -> T {
        let changed = change(&mut self.now.lock());
        self.changed.notify_all();
        changed
    }

    /// Lets the crowd send so many messages in all.
    pub fn allow(&self, messages: usize) {
        self.change(|now| now.allowed = messages);
    }

    /// Waits for the leave to send one message more.
    pub fn pass(&self) {
        self.wait("to be allowed on", |now| now.begun < now.allowed)
            .begun += 1;
    }

    /// One message more has its answer.
    pub fn answered(&self) {
        self.change(|now| now.answered += 1);
    }

    /// Waits until so many messages have their answer.
    pub fn wait_answered(&self, messages: usize) {
        drop(self.wait("for answers", |now| now.answered >= messages));
    }

    /// The server runs.
    pub fn is_up(&self) {
        self.change(|now| now.is_up = true);
    }

    /// The server is about to be killed.
    pub fn kills(&self) {
        self.change(|now| {
            now.is_up = false;
            now.kills.push(Instant::now());
        });
    }

    /// The server is not killed any more.
    pub fn is_safe(&self) {
        self.change(|now| now.is_safe = true);
    }

    /// Waits until the server runs; says which life it is.
    pub fn life(&self) -> Life {
        self.wait("for the server", |now| now.is_up).kills.len()
    }

    /// Somebody got no answer in that life: waits for the next one.
    pub fn next_life(&self, life: Life, why: &str) -> Life {
        let is_born = |now: &Now| now.is_up && now.kills.len() > life;
        let now = self.wait(why, |now| now.is_safe || is_born(now));
        assert!(is_born(&now), "no answer, and nobody was killed: {why}");
        now.kills.len()
    }

    /// Whether something that was only promised within a second, at that moment of that life, may have been lost with it.
    pub fn may_lose(&self, life: Life, at: Instant) -> bool {
        let now = self.now.lock();
        now.kills
            .get(life)
            .is_some_and(|kill| kill.saturating_duration_since(at) < Duration::from_secs(1))
    }
}
