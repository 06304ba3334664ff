//! Lets the caller say how one push is delivered before it is.
//! Owns: the options of a delivery. Uses: delivery. Never: what is pushed.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Delivered, Manner, deliver};
use super::follower::Account;
use super::letter::{Letter, Tampering};
use super::pending::Pending;
use crate::model::Time;

/// Something a follower is about to do. `.await` it, or [`send`](Push::send) it and go on.
#[derive(Debug)]
#[must_use = "nothing happens until it is awaited or sent"]
pub struct Push {
    account: Account,
    letter: Arc<Letter>,
    manner: Manner,
}

impl Push {
    pub(super) fn new(account: Account, letter: Arc<Letter>) -> Self {
        let manner = account.platform.manner();
        Self {
            account,
            letter,
            manner,
        }
    }

    /// The clear XML.
    pub fn clear(&self) -> &str {
        &self.letter.clear
    }

    /// Sends it at most this often.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.manner.attempts = attempts;
        self
    }

    /// Gives the callback this long instead of the platform's limit.
    pub fn within(mut self, limit: Duration) -> Self {
        self.manner.limit = limit;
        self
    }

    /// Signs it with this time instead of the platform's.
    pub fn with_timestamp(mut self, time: Time) -> Self {
        self.manner.timestamp = Some(time);
        self
    }

    /// Signs it with this nonce.
    pub fn with_nonce(mut self, nonce: &str) -> Self {
        self.manner.nonce = Some(nonce.to_owned());
        self
    }

    /// Spoils it. The act still counts, as if WeChat had sent the push properly.
    pub fn tampered(mut self, tampering: Tampering) -> Self {
        self.manner.spoilt.push(tampering);
        self
    }

    /// Starts the delivery.
    pub fn send(self) -> Pending<Delivered> {
        let platform = Arc::clone(&self.account.platform);
        let office = Arc::clone(&self.account.office);
        let stopped = Delivered::stopped(Arc::clone(&self.letter));
        let runtime = platform.runtime.clone();
        Pending::start(
            &runtime,
            deliver(platform, office, self.letter, self.manner),
            stopped,
        )
    }

    /// Delivers it and blocks this thread until that is done.
    pub fn wait(self) -> Delivered {
        self.send().wait()
    }
}

impl IntoFuture for Push {
    type Output = Delivered;
    type IntoFuture = Pending<Delivered>;

    fn into_future(self) -> Self::IntoFuture {
        self.send()
    }
}
