//! Says how fast one account may push, and for how long it must not push at all.
//! Owns: the bucket of pushes, the pauses after what concerns a whole account. Uses: model, wechat. Never: I/O, the clock.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Time;
use crate::wechat::client::SendError;

/// How many pushes an account may send at once after a quiet while: a second's worth.
const SECOND: Duration = Duration::from_secs(1);
/// The longest pause while WeChat cannot be reached, or answers nothing clear.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// The longest pause after a refusal of the rate.
const LONGEST_SLOWDOWN: Duration = Duration::from_secs(300);
/// A quota that is used up is tried again this often: an operator may have cleared it.
const QUOTA_AGAIN: Duration = Duration::from_secs(600);
/// After a refused address (40164 and its kin): no more than every few minutes.
const ADDRESS_AGAIN: Duration = Duration::from_secs(180);
/// After a refusal of AppID or secret.
const SECRET_AGAIN: Duration = Duration::from_secs(300);
/// After a token that WeChat refused although it was new.
const TOKEN_AGAIN: Duration = Duration::from_secs(60);
/// Quotas begin anew at midnight in Beijing.
const BEIJING: Duration = Duration::from_secs(8 * 3600);
const DAY_MILLIS: i64 = 86_400_000;

/// Why, and until when, an account pushes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Until then.
    pub until: Time,
    /// WeChat's `errcode`; 0 where it did not answer clearly.
    pub code: i64,
    /// What it said.
    pub message: Arc<str>,
}

/// One account's pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two pushes, on average.
    interval: Duration,
    /// When the bucket would be full again, were nothing sent.
    full_at: Time,
    pause: Option<Pause>,
    /// Pauses one after another, without an answer in between that was none of these.
    pauses: u8,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            interval: SECOND / per_second.max(1),
            full_at: Time::default(),
            pause: None,
            pauses: 0,
        }
    }

    /// When the next push may go out; not after `now` if it may go out now.
    pub(super) fn ready_at(&self, now: Time) -> Time {
        let paused = self.pause(now).map_or(now, |pause| pause.until);
        let emptied = self.full_at.since(now);
        // A bucket that needs longer than it can hold: the clock was set back.
        if emptied > SECOND + self.interval {
            return paused;
        }
        let held_back = (emptied + self.interval).saturating_sub(SECOND);
        paused.max(now.plus(held_back))
    }

    /// A push goes out.
    pub(super) fn take(&mut self, now: Time) {
        let emptied = self.full_at.since(now);
        let emptied = if emptied > SECOND + self.interval {
            Duration::ZERO
        } else {
            emptied
        };
        self.full_at = now.plus(emptied + self.interval);
    }

    /// The pause that the account is in.
    pub(super) fn pause(&self, now: Time) -> Option<&Pause> {
        self.pause.as_ref().filter(|pause| now < pause.until)
    }

    /// Notes how an attempt ended; `true` when a pause begins with it.
    pub(super) fn note(&mut self, ended: Result<(), &SendError>, now: Time) -> bool {
        let (code, message) = match ended {
            Err(SendError::Refused { code, message }) => (*code, message.as_str()),
            Err(SendError::NotConnected(message) | SendError::Unclear(message)) => {
                (0, message.as_str())
            }
            Ok(()) => {
                self.pauses = 0;
                return false;
            }
        };
        // Attempts that were under way when the pause began say the same once more.
        if self.pause(now).is_some() {
            return false;
        }
        let doubled = |first: Duration, longest: Duration| {
            first.saturating_mul(1 << self.pauses.min(9)).min(longest)
        };
        let length = match code {
            0 => doubled(SECOND, LONGEST_SILENCE),
            45011 => doubled(Duration::from_secs(60), LONGEST_SLOWDOWN),
            45009 => QUOTA_AGAIN.min(until_midnight_in_beijing(now)),
            40164 | 89501 | 89503 => ADDRESS_AGAIN,
            40013 | 40125 | 40243 => SECRET_AGAIN,
            40001 | 40014 | 42001 => TOKEN_AGAIN,
            _ => {
                self.pauses = 0;
                return false;
            }
        };
        self.pauses = self.pauses.saturating_add(1);
        self.pause = Some(Pause {
            until: now.plus(length),
            code,
            message: message.into(),
        });
        true
    }

    /// Ends a pause: what caused it is mended.
    pub(super) fn resume(&mut self) {
        (self.pause, self.pauses) = (None, 0);
    }
}

fn until_midnight_in_beijing(now: Time) -> Duration {
    let left = DAY_MILLIS - now.plus(BEIJING).millis().rem_euclid(DAY_MILLIS);
    Duration::from_millis(left.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 21:46:40 in Beijing.
    const START: Time = Time::from_seconds(1_718_200_000);

    fn refused(code: i64) -> SendError {
        SendError::Refused {
            code,
            message: "no".to_owned(),
        }
    }

    fn after(pace: &mut Pace, code: i64, now: Time) -> u64 {
        assert!(pace.note(Err(&refused(code)), now), "{code}");
        pace.ready_at(now).since(now).as_secs()
    }

    #[test]
    fn a_second_holds_so_many_and_no_more() {
        let mut pace = Pace::new(5);
        for _ in 0..5 {
            assert_eq!(pace.ready_at(START), START);
            pace.take(START);
        }
        let next = START.plus(Duration::from_millis(200));
        assert_eq!(pace.ready_at(START), next);
        pace.take(next);
        assert_eq!(pace.ready_at(next), next.plus(Duration::from_millis(200)));
        // A quiet second fills it again; a clock that was set back stops nothing.
        let later = next.plus(Duration::from_secs(2));
        assert_eq!(pace.ready_at(later), later);
        let before = START.minus(Duration::from_secs(3600));
        assert_eq!(pace.ready_at(before), before);
        pace.take(before);
        assert_eq!(pace.ready_at(before), before);
    }

    #[test]
    fn what_concerns_the_account_pauses_it_and_what_concerns_a_follower_does_not() {
        let mut pace = Pace::new(5);
        for other in [-1, 45015, 45047, 48001, 40003, 99999] {
            assert!(!pace.note(Err(&refused(other)), START), "{other}");
        }
        assert_eq!(pace.ready_at(START), START);
        let mut now = START;
        for seconds in [60, 120, 240, 300, 300] {
            assert_eq!(after(&mut pace, 45011, now), seconds);
            // Those under way do not count twice.
            assert!(!pace.note(Err(&refused(45011)), now));
            now = now.plus(Duration::from_secs(seconds));
            assert_eq!(pace.ready_at(now), now);
        }
        pace.note(Ok(()), now);
        assert_eq!(after(&mut pace, 45011, now), 60);
        pace.resume();
        assert_eq!(pace.ready_at(now), now);
        assert_eq!(after(&mut Pace::new(5), 40164, START), 180);
        assert_eq!(after(&mut Pace::new(5), 40125, START), 300);
        assert_eq!(after(&mut Pace::new(5), 42001, START), 60);
        assert_eq!(after(&mut Pace::new(5), 45009, START), 600);
        let five_to = Time::from_seconds(1_718_207_700);
        assert_eq!(after(&mut Pace::new(5), 45009, five_to), 300);
    }

    #[test]
    fn silence_pauses_longer_and_longer() {
        let mut pace = Pace::new(5);
        let mut now = START;
        let lost = SendError::NotConnected("no connection".to_owned());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(pace.note(Err(&lost), now));
            let pause = pace.pause(now).unwrap();
            assert_eq!((pause.code, pause.until.since(now).as_secs()), (0, seconds));
            now = pause.until;
        }
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_twice_the_pace(
            per_second in 1..50_u32,
            waits in prop::collection::vec(0..2_000_u64, 1..200),
        ) {
            let mut pace = Pace::new(per_second);
            let mut now = START;
            let mut sent: Vec<Time> = Vec::new();
            for wait in waits {
                now = pace.ready_at(now.plus(Duration::from_millis(wait)));
                pace.take(now);
                sent.push(now);
                let window = sent.iter().filter(|at| now.since(**at) < SECOND).count();
                let most = usize::try_from(2 * per_second).unwrap();
                prop_assert!(window <= most, "{window} of {per_second}");
            }
        }
    }
}
