//! Decides what a channel tells next, and when: a pure function of what waits and what was told.
//! Owns: merging, the order, the digest, the night, the rate, the pauses after a failure. Uses: model. Never: the clock, how it is told.

use std::time::Duration;

use crate::model::alert::{AlertChannel, AlertKind, ChannelKind};
use crate::model::calendar::Calendar;
use crate::model::entry::Priority;
use crate::model::notice::Notice;
use crate::model::{Time, TurnKey};

/// What is not urgent waits so long for more, and then goes as one message.
const MERGED_WITHIN: Duration = Duration::from_secs(10);
/// One digest of what can wait in this time.
const DIGEST_EVERY: Duration = Duration::from_secs(15 * 60);
/// Robots take so many messages …
pub(super) const MOST_POSTS: usize = 20;
/// … in this time.
pub(super) const RATE_WITHIN: Duration = Duration::from_secs(60);
/// How often a notice is tried again before it is given up.
const RETRIES: u8 = 3;
/// The pauses before each retry, in seconds: of what is urgent, and of the rest.
const PAUSES_URGENT: [u64; 3] = [5, 15, 60];
const PAUSES: [u64; 3] = [15, 60, 300];
/// The longest that a receiver may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How long a notice may wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// Not at all.
    Now,
    /// Some seconds.
    Soon,
    /// Until the next digest.
    Digest,
}

fn haste(notice: &Notice, kind: ChannelKind) -> Haste {
    let alert = &notice.alert;
    let can_wait = matches!(alert.kind, AlertKind::Escalated | AlertKind::Realert);
    match alert.priority {
        Priority::Urgent => Haste::Now,
        // A machine reads one document per alert, and sorts them itself.
        _ if kind == ChannelKind::Webhook => Haste::Soon,
        Priority::Normal | Priority::Low if can_wait => Haste::Digest,
        _ => Haste::Soon,
    }
}

/// Whether a notice is told whatever the hour.
fn is_urgent(notice: &Notice) -> bool {
    notice.alert.priority == Priority::Urgent
}

/// Whether a notice belongs to a digest.
pub(super) fn is_of_digest(notice: &Notice, kind: ChannelKind) -> bool {
    haste(notice, kind) == Haste::Digest
}

/// What a channel does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It tells these, in this order, in one message.
    Tell(Vec<TurnKey>),
    /// Nothing before this time.
    Wait(Time),
    /// Nothing waits.
    Rest,
}

/// What the plan for a channel depends on.
#[derive(Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) channel: &'a AlertChannel,
    /// When the last digest was told.
    pub(super) digest_at: Option<Time>,
    /// When messages were sent, oldest first, at least the last [`MOST_POSTS`].
    pub(super) posted: &'a [Time],
    /// Outside of it is night; `None`: never.
    pub(super) daytime: Option<&'a Calendar>,
}

/// What a channel does next, given what waits in it.
pub(super) fn next(situation: &Situation<'_>, waiting: &[Notice], now: Time) -> Next {
    let mut waiting: Vec<&Notice> = waiting.iter().collect();
    waiting.sort_by_key(|notice| (notice.alert.priority, notice.since, notice.id));
    let due = |notice: &&Notice| situation.due(notice, now) <= now;
    let Some(earliest) = waiting.iter().map(|one| situation.due(one, now)).min() else {
        return Next::Rest;
    };
    if earliest > now {
        return Next::Wait(earliest);
    }
    if let Some(free_at) = situation.free_at(now) {
        return Next::Wait(free_at);
    }
    let mut batch: Vec<&Notice> = waiting.iter().copied().filter(|one| due(one)).collect();
    if batch.iter().any(|notice| is_urgent(notice)) {
        // Alone, so that it is read.
        batch.retain(|notice| is_urgent(notice));
    } else {
        // Once somebody is disturbed, everything that only waited for company goes along.
        batch = waiting;
        batch.retain(|notice| situation.goes_along(notice, now));
    }
    if situation.channel.kind == ChannelKind::Webhook {
        batch.truncate(1);
    }
    Next::Tell(batch.into_iter().map(|notice| notice.id).collect())
}

impl Situation<'_> {
    fn is_machine(&self) -> bool {
        self.channel.kind == ChannelKind::Webhook
    }

    /// When a notice would be told if nothing else waited.
    fn due(&self, notice: &Notice, now: Time) -> Time {
        let merged = match notice.alert.kind {
            AlertKind::Heartbeat => Duration::ZERO,
            _ if self.is_machine() => Duration::ZERO,
            _ => MERGED_WITHIN,
        };
        let ready = match haste(notice, self.channel.kind) {
            Haste::Now => notice.since,
            Haste::Soon => notice.since.plus(merged),
            Haste::Digest => notice.since.plus(merged).max(self.digest_from()),
        };
        self.awake(notice, ready.max(notice.not_before), now)
    }

    /// Whether a notice is told together with one that is due.
    fn goes_along(&self, notice: &Notice, now: Time) -> bool {
        let is_ready = notice.not_before <= now && self.awake(notice, now, now) <= now;
        match haste(notice, self.channel.kind) {
            Haste::Now => false,
            Haste::Soon => is_ready,
            Haste::Digest => is_ready && self.digest_from() <= now,
        }
    }

    fn digest_from(&self) -> Time {
        let last = self.digest_at;
        last.map_or(Time::from_millis(i64::MIN), |at| at.plus(DIGEST_EVERY))
    }

    /// The time at which a notice that is ready may be told: at once, or when the night is over.
    fn awake(&self, notice: &Notice, ready: Time, now: Time) -> Time {
        let ready = ready.max(now);
        match self.daytime {
            Some(daytime) if !self.channel.night && !is_urgent(notice) => {
                daytime.next_open(ready).unwrap_or(ready)
            }
            _ => ready,
        }
    }

    /// When the next message may be sent, if not now.
    fn free_at(&self, now: Time) -> Option<Time> {
        if self.is_machine() {
            return None;
        }
        let at = self.posted.len().checked_sub(MOST_POSTS)?;
        let free_at = self.posted.get(at)?.plus(RATE_WITHIN);
        (free_at > now).then_some(free_at)
    }
}

/// When a notice that failed for the `failures`th time is tried again; `None`: it is given up. `asked` is what the receiver
/// wants to be left alone for.
pub(super) fn again(
    notice: &Notice,
    failures: u8,
    asked: Option<Duration>,
    now: Time,
) -> Option<Time> {
    let pauses = if is_urgent(notice) {
        PAUSES_URGENT
    } else {
        PAUSES
    };
    if failures > RETRIES {
        return None;
    }
    let pause = pauses.get(usize::from(failures.saturating_sub(1)))?;
    let asked = asked.unwrap_or_default().min(LONGEST_PAUSE);
    Some(now.plus(Duration::from_secs(*pause).max(asked)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::model::alert::Alert;

    /// Wednesday, 3 June 2026, 12:00 in Shanghai.
    const NOON: Time = Time::from_seconds(1_780_459_200);

    fn at(seconds: i64) -> Time {
        Time::from_millis(NOON.millis() + seconds * 1000)
    }

    fn channel(kind: ChannelKind, night: bool) -> AlertChannel {
        AlertChannel {
            name: "duty".into(),
            kind,
            url: "".into(),
            secret: None,
            tier: 1,
            night,
            excerpt: 0,
            from: None,
            to: Vec::new(),
        }
    }

    fn notice(name: &str, kind: AlertKind, priority: Priority, since: Time) -> Notice {
        let alert = Alert {
            id: TurnKey::of_text(name),
            kind,
            account: None,
            conversation: None,
            priority,
            reason: name.into(),
            waiting: Duration::ZERO,
            at: since,
            tier: 1,
            to: None,
            excerpt: "".into(),
        };
        Notice::new(&alert, &Arc::from("duty"), 0, since)
    }

    fn escalated(name: &str, priority: Priority, since: Time) -> Notice {
        notice(name, AlertKind::Escalated, priority, since)
    }

    fn day() -> Calendar {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        Calendar::hours("08:00-23:00", zone).unwrap()
    }

    fn ids(notices: &[&Notice]) -> Next {
        Next::Tell(notices.iter().map(|notice| notice.id).collect())
    }

    fn situation<'a>(channel: &'a AlertChannel, daytime: Option<&'a Calendar>) -> Situation<'a> {
        Situation {
            channel,
            digest_at: None,
            posted: &[],
            daytime,
        }
    }

    #[test]
    fn urgent_goes_alone_and_at_once_the_rest_merges() {
        let duty = channel(ChannelKind::Wecom, false);
        let here = situation(&duty, None);
        let high = escalated("high", Priority::High, at(0));
        let later = escalated("later", Priority::High, at(7));
        let urgent = escalated("urgent", Priority::Urgent, at(3));
        let normal = escalated("normal", Priority::Normal, at(4));
        let waiting = [high.clone()];
        assert_eq!(next(&here, &waiting, at(3)), Next::Wait(at(10)));
        let waiting = [normal.clone(), high.clone(), urgent.clone()];
        assert_eq!(next(&here, &waiting, at(3)), ids(&[&urgent]));
        let waiting = [normal.clone(), later.clone(), high.clone()];
        assert_eq!(next(&here, &waiting, at(9)), Next::Wait(at(10)));
        let together = ids(&[&high, &later, &normal]);
        assert_eq!(next(&here, &waiting, at(10)), together);
        assert_eq!(next(&here, &[], at(10)), Next::Rest);
    }

    #[test]
    fn what_can_wait_comes_once_in_a_quarter_of_an_hour() {
        let duty = channel(ChannelKind::Wecom, false);
        let here = Situation {
            digest_at: Some(at(-60)),
            ..situation(&duty, None)
        };
        let normal = escalated("normal", Priority::Normal, at(0));
        let high = escalated("high", Priority::High, at(0));
        let breach = notice("breach", AlertKind::Breach, Priority::Normal, at(0));
        let waiting = [normal.clone(), high.clone(), breach.clone()];
        assert_eq!(next(&here, &waiting, at(10)), ids(&[&high, &breach]));
        let waiting = [normal.clone()];
        assert_eq!(next(&here, &waiting, at(10)), Next::Wait(at(840)));
        assert_eq!(next(&here, &waiting, at(840)), ids(&[&normal]));
    }

    #[test]
    fn the_night_is_for_what_is_urgent() {
        let day = day();
        // 23:00, and 08:00 of the next day.
        let (evening, morning) = (at(11 * 3600), at(20 * 3600));
        let high = escalated("high", Priority::High, evening);
        let urgent = escalated("urgent", Priority::Urgent, evening);
        let quiet = channel(ChannelKind::Wecom, false);
        let here = situation(&quiet, Some(&day));
        let waiting = [high.clone()];
        assert_eq!(next(&here, &waiting, evening), Next::Wait(morning));
        let with = [high.clone(), urgent.clone()];
        assert_eq!(next(&here, &with, evening), ids(&[&urgent]));
        let normal = escalated("normal", Priority::Normal, evening);
        let both = [normal.clone(), high.clone()];
        assert_eq!(next(&here, &both, morning), ids(&[&high, &normal]));
        let awake = channel(ChannelKind::Wecom, true);
        let here = situation(&awake, Some(&day));
        let soon = evening.plus(MERGED_WITHIN);
        assert_eq!(next(&here, &waiting, evening), Next::Wait(soon));
        assert_eq!(next(&here, &waiting, soon), ids(&[&high]));
    }

    #[test]
    fn a_machine_gets_each_alert_at_once() {
        let duty = channel(ChannelKind::Webhook, false);
        let posted = [at(0); 50];
        let here = Situation {
            posted: &posted,
            ..situation(&duty, None)
        };
        let low = escalated("low", Priority::Low, at(0));
        let high = escalated("high", Priority::High, at(0));
        assert_eq!(
            next(&here, &[low.clone(), high.clone()], at(0)),
            ids(&[&high])
        );
        assert_eq!(next(&here, std::slice::from_ref(&low), at(0)), ids(&[&low]));
    }

    #[test]
    fn robots_are_spared_and_what_is_urgent_is_first_afterwards() {
        let duty = channel(ChannelKind::Dingtalk, false);
        let posted: Vec<Time> = (0..20).map(at).collect();
        let here = Situation {
            posted: &posted,
            ..situation(&duty, None)
        };
        let urgent = escalated("urgent", Priority::Urgent, at(20));
        let high = escalated("high", Priority::High, at(0));
        let waiting = [high.clone(), urgent.clone()];
        assert_eq!(next(&here, &waiting, at(20)), Next::Wait(at(60)));
        assert_eq!(next(&here, &waiting, at(60)), ids(&[&urgent]));
    }

    #[test]
    fn three_retries_and_then_it_is_given_up() {
        let high = escalated("high", Priority::High, at(0));
        let pause = |failures| again(&high, failures, None, at(0));
        assert_eq!(pause(1), Some(at(15)));
        assert_eq!(pause(2), Some(at(60)));
        assert_eq!(pause(3), Some(at(300)));
        assert_eq!(pause(4), None);
        let asked = Some(Duration::from_secs(90));
        assert_eq!(again(&high, 1, asked, at(0)), Some(at(90)));
        let for_ever = Some(Duration::MAX);
        assert_eq!(again(&high, 1, for_ever, at(0)), Some(at(900)));
    }

    fn any_notice() -> impl Strategy<Value = (u8, u8, i64, i64)> {
        (0_u8..7, 0_u8..4, -4000_i64..0, -4000_i64..4000)
    }

    proptest! {
        /// Time that passes until the plan says so brings a message: nothing is forgotten and nobody waits for ever.
        #[test]
        fn whoever_waits_as_long_as_told_is_told(
            notices in proptest::collection::vec(any_notice(), 1..12),
            kind in 0_usize..6,
            night: bool,
            start in 0_i64..100_000,
            posts in 0_usize..30,
        ) {
            let (day, start) = (day(), at(start));
            let duty = channel(ChannelKind::ALL[kind].0, night);
            let posted = vec![start; posts];
            let here = Situation {
                digest_at: Some(start),
                posted: &posted,
                ..situation(&duty, Some(&day))
            };
            let priorities = [Priority::Urgent, Priority::High, Priority::Normal, Priority::Low];
            let mut waiting: Vec<Notice> = Vec::new();
            for (n, (of, priority, since, not_before)) in notices.into_iter().enumerate() {
                let since = Time::from_millis(start.millis() + since * 1000);
                let kind = AlertKind::ALL[usize::from(of)].0;
                let mut one = notice(&n.to_string(), kind, priorities[usize::from(priority)], since);
                one.not_before = Time::from_millis(start.millis() + not_before * 1000);
                waiting.push(one);
            }
            let mut now = start;
            for _ in 0..100 {
                match next(&here, &waiting, now) {
                    Next::Rest => {
                        prop_assert!(waiting.is_empty());
                        return Ok(());
                    }
                    Next::Wait(until) => {
                        prop_assert!(until > now);
                        now = until;
                    }
                    Next::Tell(ids) => {
                        prop_assert!(!ids.is_empty());
                        prop_assert!(duty.kind != ChannelKind::Webhook || ids.len() == 1);
                        for id in &ids {
                            let told = waiting.iter().find(|one| one.id == *id).unwrap();
                            prop_assert!(told.not_before <= now);
                            prop_assert!(night || is_urgent(told) || day.is_open(now));
                        }
                        waiting.retain(|one| !ids.contains(&one.id));
                    }
                }
            }
            prop_assert!(false, "it never ends");
        }
    }
}
