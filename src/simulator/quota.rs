//! Counts calls a day against WeChat's daily limits.
//! Owns: the limits, the Beijing day, `clear_quota`'s ten a month. Uses: model. Never: what a call does.

use std::collections::HashMap;
use std::time::Duration;

use super::refusal::Refusal;
use crate::model::Time;

const BEIJING: Duration = Duration::from_secs(8 * 3600);
const CLEARS_A_MONTH: u32 = 10;

/// The number of the day in Beijing, where WeChat's quotas begin anew.
pub(super) fn beijing_day(now: Time) -> i64 {
    now.plus(BEIJING).seconds().div_euclid(86_400)
}

/// The calls of one account.
#[derive(Debug, Default)]
pub(super) struct Quota {
    day: i64,
    used: HashMap<String, u64>,
    limits: HashMap<String, u64>,
    /// Months since year 0, and how often the quota was cleared in it.
    clears: (i32, u32),
}

impl Quota {
    /// Sets what one path allows a day instead of WeChat's own figure.
    pub(super) fn limit(&mut self, path: &str, calls: u64) {
        self.limits.insert(path.to_owned(), calls);
    }

    /// Counts a call, or refuses it with 45009.
    pub(super) fn count(&mut self, path: &str, usual: u64, now: Time) -> Result<(), Refusal> {
        let (limit, used) = self.of(path, usual, now);
        if used >= limit {
            return Err(Refusal::new(45009));
        }
        *self.used.entry(path.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Limit and use of a path today.
    pub(super) fn of(&mut self, path: &str, usual: u64, now: Time) -> (u64, u64) {
        let today = beijing_day(now);
        if self.day != today {
            self.day = today;
            self.used.clear();
        }
        let limit = self.limits.get(path).copied().unwrap_or(usual);
        (limit, self.used.get(path).copied().unwrap_or_default())
    }

    /// Starts all counts anew; 48006 at the eleventh time in a month.
    pub(super) fn clear(&mut self, now: Time) -> Result<(), Refusal> {
        let date = jiff::Timestamp::from(now.plus(BEIJING))
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        let month = i32::from(date.year()) * 12 + i32::from(date.month());
        if self.clears.0 != month {
            self.clears = (month, 0);
        }
        if self.clears.1 >= CLEARS_A_MONTH {
            return Err(Refusal::new(48006));
        }
        self.clears.1 += 1;
        self.used.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_beijing() {
        let before = Time::from_millis(jiff::Timestamp::MIN.as_millisecond().max(0));
        let evening = before.plus(Duration::from_secs(16 * 3600 - 1));
        let mut quota = Quota::default();
        quota.limit("/x", 1);
        assert_eq!(quota.count("/x", 9, evening), Ok(()));
        assert_eq!(quota.count("/x", 9, evening), Err(Refusal::new(45009)));
        assert_eq!(
            quota.count("/x", 9, evening.plus(Duration::from_secs(1))),
            Ok(())
        );
    }

    #[test]
    fn clearing_works_ten_times_a_month() {
        let now = Time::from_seconds(1_718_200_000);
        let mut quota = Quota::default();
        for _ in 0..10 {
            quota.count("/x", 1, now).unwrap();
            quota.clear(now).unwrap();
        }
        assert_eq!(quota.clear(now), Err(Refusal::new(48006)));
        assert_eq!(
            quota.clear(now.plus(Duration::from_secs(31 * 86_400))),
            Ok(())
        );
    }
}
