//! Forgets what is too old to be kept, and one follower everywhere.
//! Owns: when that happens, and what it takes along. Uses: store, clock. Never: how a store forgets; tells whom.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::{AccountName, OpenId, Time};
use crate::store::{Error, Store};

/// The hour of the night in which old messages are forgotten.
const HOUR: i8 = 4;
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(3600);
/// How long a copy that an upgrade made stays for going back.
const COPY_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Under this name the store notes when old messages were last forgotten.
const MARK: &str = "forgotten";
/// How many exports run at once.
const EXPORTS: usize = 2;

/// Something beside the store that keeps what followers sent.
pub(super) struct Elsewhere {
    /// Removes what came before this time.
    pub(super) sweep: Box<dyn Fn(Time) -> Done<()> + Send + Sync>,
    /// Removes what a follower sent to an account.
    pub(super) erase: Box<dyn Fn(AccountName, OpenId) -> Done<()> + Send + Sync>,
    /// Says what it keeps of a follower.
    pub(super) list: Box<dyn Fn(AccountName, OpenId) -> Done<Vec<Value>> + Send + Sync>,
}

/// What becomes of it.
pub(super) type Done<T> = BoxFuture<'static, Result<T, Error>>;

/// Keeps to what was promised about followers' data.
pub(super) struct Privacy {
    store: Arc<dyn Store>,
    clock: Clock,
    timezone: TimeZone,
    /// How long messages are kept; zero means for ever.
    keep_messages: Duration,
    elsewhere: Vec<Elsewhere>,
    scrub: Notify,
    pub(super) exports: Arc<Semaphore>,
}

impl Privacy {
    /// Keeps messages in the store, and what came with them elsewhere, for so long; zero means for ever.
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        timezone: TimeZone,
        keep_messages: Duration,
        elsewhere: Vec<Elsewhere>,
    ) -> Self {
        Self {
            store,
            clock,
            timezone,
            keep_messages,
            elsewhere,
            scrub: Notify::new(),
            exports: Arc::new(Semaphore::new(EXPORTS)),
        }
    }

    /// Removes one follower everywhere; `false` when the store knew nothing. Durable on return. Traces may stay in the store's
    /// files until they are scrubbed: at night, or soon after [`Privacy::scrub_soon`].
    ///
    /// # Errors
    /// When something could not be removed; to be tried again then.
    pub(super) async fn erase(
        &self,
        account: &AccountName,
        follower: &OpenId,
    ) -> Result<bool, Error> {
        let was_known = self.store.erase(account, follower).await?;
        self.erase_elsewhere(account, follower).await?;
        Ok(was_known)
    }

    /// Removes a follower, whom the store has erased, from everything else.
    ///
    /// # Errors
    /// As [`Privacy::erase`].
    pub(super) async fn erase_elsewhere(
        &self,
        account: &AccountName,
        follower: &OpenId,
    ) -> Result<(), Error> {
        for place in &self.elsewhere {
            (place.erase)(account.clone(), follower.clone()).await?;
        }
        tracing::info!(%account, follower = %follower.short(), "a follower was erased");
        Ok(())
    }

    /// What is kept of a follower beside the store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn list(
        &self,
        account: &AccountName,
        follower: &OpenId,
    ) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for place in &self.elsewhere {
            all.extend((place.list)(account.clone(), follower.clone()).await?);
        }
        Ok(all)
    }

    /// Has the store's files scrubbed now instead of at night.
    pub(super) fn scrub_soon(&self) {
        self.scrub.notify_one();
    }

    /// Works until it is stopped. What is broken off goes on at the next start.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        let mut not_before = Time::default();
        loop {
            let due = match self.due().await {
                Ok(due) => due.max(not_before),
                Err(error) => {
                    tracing::warn!(%error, "nobody knows when old messages were last forgotten");
                    self.clock.now().plus(AGAIN)
                }
            };
            let outcome = tokio::select! {
                () = self.clock.reach(due) => self.nightly().await,
                () = self.scrub.notified() => {
                    self.store.scrub(self.clock.now()).await.map(drop)
                }
            };
            match outcome {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => {
                    tracing::warn!(%error, "what should be forgotten is still there; it is tried again");
                    not_before = self.clock.now().plus(AGAIN);
                }
            }
        }
    }

    /// When old messages are to be forgotten next: the first night after the last time.
    async fn due(&self) -> Result<Time, Error> {
        let now = self.clock.now();
        let last = match self.store.marked(MARK).await? {
            // A clock that was ahead must not put it off.
            Some(last) => last.min(now),
            None => {
                self.store.mark(MARK, now).await?;
                now
            }
        };
        Ok(next_night(last, &self.timezone))
    }

    async fn nightly(&self) -> Result<(), Error> {
        let now = self.clock.now();
        if !self.keep_messages.is_zero() {
            let before = now.minus(self.keep_messages);
            self.store.forget(before, now).await?;
            for place in &self.elsewhere {
                (place.sweep)(before).await?;
            }
        }
        self.store.scrub(now.minus(COPY_KEPT)).await?;
        self.store.mark(MARK, now).await
    }
}

/// The first time after this one at which the night's hour strikes there.
fn next_night(after: Time, timezone: &TimeZone) -> Time {
    let local = jiff::Timestamp::from(after).to_zoned(timezone.clone());
    let struck = local.time() >= civil::time(HOUR, 0, 0, 0);
    let date = match struck {
        true => local.date().tomorrow().unwrap_or(local.date()),
        false => local.date(),
    };
    let night = date.at(HOUR, 0, 0, 0).to_zoned(timezone.clone());
    night.map_or(after.plus(Duration::from_secs(24 * 3600)), |night| {
        night.timestamp().into()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::store::sled::SledStore;

    fn time(text: &str) -> Time {
        text.parse::<jiff::Timestamp>().unwrap().into()
    }

    #[test]
    fn the_next_night_is_the_next_four_o_clock_there() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for (after, expected) in [
            ("2026-06-03T12:00:00+08:00", "2026-06-04T04:00:00+08:00"),
            ("2026-06-03T03:59:59+08:00", "2026-06-03T04:00:00+08:00"),
            ("2026-06-03T04:00:00+08:00", "2026-06-04T04:00:00+08:00"),
        ] {
            assert_eq!(
                next_night(time(after), &shanghai),
                time(expected),
                "{after}"
            );
        }
    }

    #[tokio::test]
    async fn every_night_what_is_too_old_goes_elsewhere_too_and_a_failure_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::stopped_at(time("2026-06-03T12:00:00+08:00"));
        let store = SledStore::open(directory.path(), clock.now())
            .await
            .unwrap();
        let swept = Arc::new(Mutex::new(Vec::new()));
        let erased = Arc::new(AtomicUsize::new(0));
        let elsewhere = Elsewhere {
            sweep: {
                let swept = Arc::clone(&swept);
                Box::new(move |before| {
                    let mut swept = swept.lock();
                    swept.push(before);
                    let outcome = match swept.len() {
                        1 => Err(Error::Unwritable("full".into())),
                        _ => Ok(()),
                    };
                    Box::pin(std::future::ready(outcome))
                })
            },
            erase: {
                let erased = Arc::clone(&erased);
                Box::new(move |_, _| {
                    erased.fetch_add(1, Ordering::Relaxed);
                    Box::pin(std::future::ready(Ok(())))
                })
            },
            list: Box::new(|_, _| Box::pin(std::future::ready(Ok(vec![Value::from(1)])))),
        };
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let privacy = Arc::new(Privacy::new(
            store,
            clock.clone(),
            TimeZone::get("Asia/Shanghai").unwrap(),
            days(180),
            vec![elsewhere],
        ));
        let stop = CancellationToken::new();
        let works = tokio::spawn(Arc::clone(&privacy).run(stop.clone()));
        let wait = async |count: usize| {
            while swept.lock().len() < count {
                tokio::task::yield_now().await;
            }
        };
        while privacy.store.marked(MARK).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(16 * 3600));
        wait(1).await;
        clock.advance(AGAIN);
        wait(2).await;
        let nights = ["2026-06-04T04:00:00+08:00", "2026-06-04T05:00:00+08:00"];
        let expected: Vec<Time> = nights.map(|night| time(night).minus(days(180))).to_vec();
        assert_eq!(*swept.lock(), expected);
        while privacy.store.marked(MARK).await.unwrap() != Some(time(nights[1])) {
            tokio::task::yield_now().await;
        }
        let (shop, li) = (
            AccountName::parse("shop").unwrap(),
            OpenId::parse("oLi").unwrap(),
        );
        assert!(!privacy.erase(&shop, &li).await.unwrap());
        assert_eq!(erased.load(Ordering::Relaxed), 1);
        assert_eq!(privacy.list(&shop, &li).await.unwrap(), [Value::from(1)]);
        stop.cancel();
        works.await.unwrap();
    }
}
