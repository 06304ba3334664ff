//! Issues access tokens by WeChat's two rules: the stable one and the classic one.
//! Owns: which token is good, old or dead, and how often each endpoint may be asked. Uses: model. Never: who asks.

use std::collections::HashMap;
use std::time::Duration;

use super::refusal::Refusal;
use super::seal;
use crate::model::Time;

/// How long a token is good.
const VALID: Duration = Duration::from_secs(7200);
/// How long before its end a stable token is renewed, and how long a replaced classic token lives on.
const OVERLAP: Duration = Duration::from_secs(300);
/// `force_refresh` sooner than this gives the present token.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
const REFRESHES_A_DAY: u32 = 20;

/// A token as an endpoint hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) expires_in: u64,
}

#[derive(Clone, Copy, Debug)]
enum Life {
    Until(Time),
    /// Replaced by force: 40001 from now on.
    Dead,
}

/// All tokens of one account.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: HashMap<String, Life>,
    stable: Option<(String, Time)>,
    classic: Option<String>,
    refreshed_at: Option<Time>,
    /// Beijing day, and forced refreshes on it.
    refreshes: (i64, u32),
}

impl Tokens {
    /// `stable_token`: the same token until five minutes before its end; by force a new one, the old dies at once.
    pub(super) fn stable(&mut self, force: bool, now: Time) -> Result<Issued, Refusal> {
        if force
            && self
                .refreshed_at
                .is_none_or(|at| now.since(at) >= REFRESH_EVERY)
        {
            self.count_refresh(now)?;
            if let Some((old, _)) = self.stable.take() {
                self.issued.insert(old, Life::Dead);
            }
            self.refreshed_at = Some(now);
        }
        if let Some((token, until)) = &self.stable
            && now < until.minus(OVERLAP)
        {
            return Ok(Issued {
                token: token.clone(),
                expires_in: until.since(now).as_secs(),
            });
        }
        let issued = self.issue(now);
        self.stable = Some((issued.token.clone(), now.plus(VALID)));
        Ok(issued)
    }

    /// `token`: a new one each time; the one before lives five minutes more.
    pub(super) fn classic(&mut self, now: Time) -> Issued {
        if let Some(Life::Until(until)) = self
            .classic
            .take()
            .and_then(|old| self.issued.get_mut(&old))
        {
            *until = (*until).min(now.plus(OVERLAP));
        }
        let issued = self.issue(now);
        self.classic = Some(issued.token.clone());
        issued
    }

    /// Whether the token is one of this account's, good or not.
    pub(super) fn knows(&self, token: &str) -> bool {
        self.issued.contains_key(token)
    }

    /// 42001 for an expired token, 40001 for a dead or foreign one.
    pub(super) fn check(&self, token: &str, now: Time) -> Result<(), Refusal> {
        match self.issued.get(token) {
            Some(Life::Until(until)) if now < *until => Ok(()),
            Some(Life::Until(_)) => Err(Refusal::new(42001)),
            Some(Life::Dead) | None => Err(Refusal::new(40001)),
        }
    }

    /// Ends every token now, as if its time were over.
    pub(super) fn expire(&mut self, now: Time) {
        for life in self.issued.values_mut() {
            if let Life::Until(until) = life {
                *until = (*until).min(now);
            }
        }
        self.stable = None;
        self.classic = None;
    }

    fn issue(&mut self, now: Time) -> Issued {
        let token = seal::word(136);
        self.issued
            .insert(token.clone(), Life::Until(now.plus(VALID)));
        Issued {
            token,
            expires_in: VALID.as_secs(),
        }
    }

    fn count_refresh(&mut self, now: Time) -> Result<(), Refusal> {
        let today = super::quota::beijing_day(now);
        if self.refreshes.0 != today {
            self.refreshes = (today, 0);
        }
        if self.refreshes.1 >= REFRESHES_A_DAY {
            return Err(Refusal::new(45009));
        }
        self.refreshes.1 += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_seconds(1_718_200_000);

    #[test]
    fn a_stable_token_stays_until_five_minutes_before_its_end_and_overlaps_its_heir() {
        let mut tokens = Tokens::default();
        let first = tokens.stable(false, START).unwrap();
        assert_eq!(first.expires_in, 7200);
        let later = START.plus(Duration::from_secs(6899));
        let again = tokens.stable(false, later).unwrap();
        assert_eq!(
            (again.token.clone(), again.expires_in),
            (first.token.clone(), 301)
        );
        let late = START.plus(Duration::from_secs(6900));
        let heir = tokens.stable(false, late).unwrap();
        assert_ne!(heir.token, first.token);
        assert_eq!(tokens.check(&first.token, late), Ok(()));
        let over = START.plus(Duration::from_secs(7200));
        assert_eq!(tokens.check(&first.token, over), Err(Refusal::new(42001)));
        assert_eq!(tokens.check(&heir.token, over), Ok(()));
    }

    #[test]
    fn force_kills_at_once_but_not_twice_in_thirty_seconds_nor_21_times_a_day() {
        let mut tokens = Tokens::default();
        let first = tokens.stable(false, START).unwrap();
        let second = tokens.stable(true, START).unwrap();
        assert_eq!(tokens.check(&first.token, START), Err(Refusal::new(40001)));
        let soon = START.plus(Duration::from_secs(29));
        assert_eq!(tokens.stable(true, soon).unwrap().token, second.token);
        let mut now = START;
        for _ in 1..20 {
            now = now.plus(REFRESH_EVERY);
            tokens.stable(true, now).unwrap();
        }
        now = now.plus(REFRESH_EVERY);
        assert_eq!(tokens.stable(true, now), Err(Refusal::new(45009)));
    }

    #[test]
    fn a_classic_token_lives_five_minutes_beside_its_heir_and_apart_from_the_stable_one() {
        let mut tokens = Tokens::default();
        let stable = tokens.stable(false, START).unwrap();
        let old = tokens.classic(START);
        let new = tokens.classic(START);
        let later = START.plus(OVERLAP);
        assert_eq!(
            tokens.check(&old.token, later.minus(Duration::from_secs(1))),
            Ok(())
        );
        assert_eq!(tokens.check(&old.token, later), Err(Refusal::new(42001)));
        assert_eq!(tokens.check(&new.token, later), Ok(()));
        assert_eq!(tokens.check(&stable.token, later), Ok(()));
        tokens.expire(later);
        assert_eq!(tokens.check(&stable.token, later), Err(Refusal::new(42001)));
        assert_eq!(tokens.check("x", later), Err(Refusal::new(40001)));
    }
}
