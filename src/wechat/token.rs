//! Keeps an API token: fetched once however many ask, renewed before it ends, dropped when WeChat says so.
//! Owns: how long a token is good for, single flight. Uses: secrecy, model. Never: HTTP, the clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use crate::model::Time;

/// WeChat renews a stable token five minutes before its end; from then on the next one can be had.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A token as WeChat gave it out.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: SecretString,
    /// For how long from now.
    pub expires_in: Duration,
}

/// The token of one account, or why there is none. `E` is why a fetch failed.
#[derive(Debug)]
pub struct TokenCache<E> {
    last: Mutex<Option<Result<Kept, E>>>,
    /// Counts the fetches that have ended.
    fetches: AtomicU64,
}

#[derive(Clone, Debug)]
struct Kept {
    token: SecretString,
    /// Used until then.
    until: Time,
    lease: Lease,
}

/// When a token was fetched, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it was fetched.
    pub since: Time,
    /// When WeChat stops taking it.
    pub until: Time,
}

impl<E> Default for TokenCache<E> {
    fn default() -> Self {
        Self {
            last: Mutex::new(None),
            fetches: AtomicU64::new(0),
        }
    }
}

impl<E: Clone> TokenCache<E> {
    /// The token that is good now, fetched if need be. Of callers at the same time one fetches and the others wait for
    /// it, blocking; they share its token and also its failure.
    ///
    /// # Errors
    /// What `fetch` failed with. The next call after that fetches again.
    pub fn fresh(
        &self,
        now: Time,
        fetch: impl FnOnce() -> Result<Issued, E>,
    ) -> Result<SecretString, E> {
        let before = self.fetches.load(Ordering::Acquire);
        let mut last = self.last.lock();
        let waited = self.fetches.load(Ordering::Acquire) != before;
        if let Some(known) = usable(last.as_ref(), now, waited) {
            return known;
        }
        let fetched = fetch().map(|issued| Kept {
            until: now.plus(good_for(issued.expires_in)),
            lease: Lease {
                since: now,
                until: now.plus(issued.expires_in),
            },
            token: issued.token,
        });
        self.fetches.fetch_add(1, Ordering::Release);
        let token = fetched.as_ref().map(|kept| kept.token.clone());
        let token = token.map_err(E::clone);
        *last = Some(fetched);
        token
    }

    /// The times of the token that is kept.
    pub fn lease(&self) -> Option<Lease> {
        let last = self.last.lock();
        let kept = last.as_ref()?.as_ref().ok()?;
        Some(kept.lease)
    }

    /// Drops whatever is kept: the next caller fetches.
    pub fn clear(&self) {
        *self.last.lock() = None;
    }

    /// Drops this token, which WeChat no longer takes; a newer one stays.
    pub fn forget(&self, token: &SecretString) {
        let mut last = self.last.lock();
        if let Some(Ok(kept)) = &*last
            && kept.token.expose_secret() == token.expose_secret()
        {
            *last = None;
        }
    }
}

/// What the last fetch gave, if it still holds: a token until its time, a failure for those who waited for it.
fn usable<E: Clone>(
    last: Option<&Result<Kept, E>>,
    now: Time,
    waited: bool,
) -> Option<Result<SecretString, E>> {
    match last? {
        Ok(kept) if now < kept.until => Some(Ok(kept.token.clone())),
        Err(error) if waited => Some(Err(error.clone())),
        _ => None,
    }
}

/// A token is used up to five minutes before its end, a short-lived one for a tenth of its life.
fn good_for(expires_in: Duration) -> Duration {
    expires_in.saturating_sub(RENEW_BEFORE).max(expires_in / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_seconds(1_718_200_000);

    fn issued(token: &str, seconds: u64) -> Result<Issued, &'static str> {
        Ok(Issued {
            token: token.into(),
            expires_in: Duration::from_secs(seconds),
        })
    }

    #[test]
    fn a_token_is_renewed_five_minutes_before_its_end() {
        let start = NOW;
        let cache = TokenCache::default();
        let at = |seconds| start.plus(Duration::from_secs(seconds));
        let get = |now, token| cache.fresh(now, || issued(token, 7200)).unwrap();
        assert_eq!(get(start, "one").expose_secret(), "one");
        assert_eq!(get(at(6899), "two").expose_secret(), "one");
        assert_eq!(get(at(6900), "two").expose_secret(), "two");
        assert_eq!(good_for(Duration::from_secs(300)), Duration::from_secs(30));
    }

    #[test]
    fn only_the_token_that_was_refused_is_forgotten() {
        let now = NOW;
        let cache = TokenCache::default();
        let old = cache.fresh(now, || issued("old", 7200)).unwrap();
        cache.forget(&old);
        let new = cache.fresh(now, || issued("new", 7200)).unwrap();
        cache.forget(&old);
        let kept = cache.fresh(now, || Err("fetched again")).unwrap();
        assert_eq!(kept.expose_secret(), new.expose_secret());
    }

    #[test]
    fn a_failure_is_shared_by_those_who_waited_and_forgotten_by_the_next() {
        let now = NOW;
        let cache = TokenCache::default();
        assert_eq!(cache.fresh(now, || Err("down")).unwrap_err(), "down");
        assert!(cache.fresh(now, || issued("one", 7200)).is_ok());
        let down = Err::<Kept, _>("down");
        assert!(matches!(usable(Some(&down), now, true), Some(Err("down"))));
        assert!(usable(Some(&down), now, false).is_none());
    }

    #[test]
    fn eight_at_once_fetch_once() {
        let cache = TokenCache::default();
        let fetched = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let token = cache.fresh(NOW, || {
                        fetched.fetch_add(1, Ordering::Relaxed);
                        issued("one", 7200)
                    });
                    assert_eq!(token.unwrap().expose_secret(), "one");
                });
            }
        });
        assert_eq!(fetched.into_inner(), 1);
    }
}
