//! Lets the turns of one follower go one after another.
//! Owns: who goes next, and who waits for an answer. Uses: model. Never: what a turn does.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use crate::model::TurnKey;

/// The order of one follower's turns.
#[derive(Debug, Default)]
pub(super) struct Lane {
    running: Option<TurnKey>,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    key: TurnKey,
    tell: oneshot::Sender<Word>,
}

/// What a waiter is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The turn is yours.
    Go,
    /// Your turn was answered meanwhile: look it up.
    Answered,
}

impl Lane {
    /// Whether nobody runs or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Whether this turn runs now.
    pub(super) fn runs(&self, key: TurnKey) -> bool {
        self.running == Some(key)
    }

    /// Begins this turn if nobody runs.
    pub(super) fn enter(&mut self, key: TurnKey) -> bool {
        let is_free = self.running.is_none();
        if is_free {
            self.running = Some(key);
        }
        is_free
    }

    /// Queues up; turns begin in the order of these calls.
    pub(super) fn wait(&mut self, key: TurnKey) -> oneshot::Receiver<Word> {
        let (tell, told) = oneshot::channel();
        self.waiting.push_back(Waiter { key, tell });
        told
    }

    /// Ends a turn. Repeats of an answered one are told to look it up; a repeat of one that was given up goes next.
    pub(super) fn leave(&mut self, key: TurnKey, is_answered: bool) {
        if self.running != Some(key) {
            return;
        }
        self.running = None;
        if is_answered && self.waiting.iter().any(|waiter| waiter.key == key) {
            let (same, others) = self.waiting.drain(..).partition(|waiter| waiter.key == key);
            self.waiting = others;
            let same: VecDeque<Waiter> = same;
            for waiter in same {
                // A waiter that has gone needs no answer.
                let _gone = waiter.tell.send(Word::Answered);
            }
        }
        let mut first = self.waiting.iter().position(|waiter| waiter.key == key);
        while let Some(waiter) = self.waiting.remove(first.take().unwrap_or(0)) {
            if waiter.tell.send(Word::Go).is_ok() {
                self.running = Some(waiter.key);
                break;
            }
        }
    }

    /// Forgets waiters that have gone.
    pub(super) fn tidy(&mut self) {
        self.waiting.retain(|waiter| !waiter.tell.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> TurnKey {
        TurnKey::of_text(name)
    }

    #[test]
    fn turns_go_in_order_and_those_who_left_are_skipped() {
        let mut lane = Lane::default();
        assert!(lane.enter(key("a")));
        assert!(!lane.enter(key("b")));
        let mut b = lane.wait(key("b"));
        let c = lane.wait(key("c"));
        let mut d = lane.wait(key("d"));
        drop(c);
        lane.leave(key("a"), true);
        assert_eq!(b.try_recv(), Ok(Word::Go));
        assert!(lane.runs(key("b")));
        lane.leave(key("a"), true);
        assert!(lane.runs(key("b")), "only the running turn can end");
        lane.leave(key("b"), false);
        assert_eq!(d.try_recv(), Ok(Word::Go));
        lane.leave(key("d"), true);
        assert!(lane.is_idle());
    }

    #[test]
    fn a_repeat_is_told_when_its_turn_is_answered_and_goes_next_when_it_is_given_up() {
        let mut lane = Lane::default();
        assert!(lane.enter(key("a")));
        let mut other = lane.wait(key("b"));
        let mut repeat = lane.wait(key("a"));
        lane.leave(key("a"), false);
        assert_eq!(repeat.try_recv(), Ok(Word::Go));
        assert!(other.try_recv().is_err());
        let mut again = lane.wait(key("a"));
        lane.leave(key("a"), true);
        assert_eq!(again.try_recv(), Ok(Word::Answered));
        assert_eq!(other.try_recv(), Ok(Word::Go));
    }

    #[test]
    fn waiters_that_left_are_forgotten() {
        let mut lane = Lane::default();
        assert!(lane.enter(key("a")));
        drop(lane.wait(key("a")));
        lane.tidy();
        lane.leave(key("a"), false);
        assert!(lane.is_idle());
    }
}
