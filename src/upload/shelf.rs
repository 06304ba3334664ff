//! Decides what to upload next for one account, and what a failure means.
//! Owns: ages, back-off, which refusals are final. Uses: model, wechat. Never: I/O, the clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::media::Sha256Hash;
use crate::model::{Measured, MediaIds, MediaKind, Time, Verdict};
use crate::wechat::client::SendError;

const HOUR: Duration = Duration::from_secs(3600);
/// WeChat forgets an upload after three days; it is made again half a day before.
pub(super) const RENEW_AFTER: Duration = HOUR.saturating_mul(60);
/// An hour before WeChat forgets it, an upload is not used any more.
pub(super) const GOOD_FOR: Duration = HOUR.saturating_mul(71);
/// Ids that were replaced are remembered as long as a push may still name them: until its 48 hours are over.
const REMEMBERED_FOR: Duration = HOUR.saturating_mul(120);
/// The longest pause after failures that may mend themselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What is uploaded: a file, and as what.
pub(super) type Key = (MediaKind, Sha256Hash);

/// What is known of one account's uploads.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    known: HashMap<Key, Upload>,
    /// Ids that were replaced or withdrawn.
    former: HashMap<Arc<str>, (Key, Time)>,
    /// Files that WeChat does not take.
    refused: HashMap<Key, Refusal>,
    /// Why the account may not upload at all.
    denied: Option<Refusal>,
    /// How often a file failed in a way that may mend itself: others go first then.
    tries: HashMap<Key, u8>,
    /// Failures one after another that may mend themselves, the last one, and when to try again.
    failures: u8,
    trouble: Option<Refusal>,
    not_before: Option<Time>,
}

/// An upload that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) media_id: Arc<str>,
    pub(super) at: Time,
}

/// Why something was not uploaded, in WeChat's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `errcode`; 0 where WeChat did not say anything.
    pub(super) code: i64,
    pub(super) message: Arc<str>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Upload this.
    Upload(Key),
    /// Nothing, until this time at the latest; `None` until something changes.
    Wait(Option<Time>),
}

/// What a failure means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The account may not upload; asking again is of no use until it is measured anew.
    Denied,
    /// WeChat will not take this file.
    Refused,
    /// It may go better later.
    Later,
}

impl Shelf {
    /// What earlier runs uploaded.
    pub(super) fn enter(&mut self, key: Key, upload: Upload) {
        self.known.insert(key, upload);
    }

    /// What is known of the account's right to upload: a `no` stops everything, a `yes` ends that.
    pub(super) fn heed(&mut self, media: Measured) {
        match media.verdict {
            Verdict::No if self.denied.is_none() => {
                self.denied = Some(Refusal {
                    code: media.code,
                    message: "the account may not upload".into(),
                });
            }
            Verdict::Yes
                if self
                    .denied
                    .as_ref()
                    .is_some_and(|why| is_of_right(why.code)) =>
            {
                self.denied = None;
            }
            Verdict::No | Verdict::Yes | Verdict::Unknown => {}
        }
    }

    /// What to do now so that every wanted file can be sent: first what was never uploaded, in the order of the rules,
    /// then what is getting old.
    pub(super) fn step(&self, wanted: &[Key], now: Time) -> Step {
        let age = |key: &Key| self.known.get(key).map(|upload| now.since(upload.at));
        let is_possible = |key: &&Key| !self.refused.contains_key(*key);
        let missing = wanted
            .iter()
            .filter(is_possible)
            .filter(|key| age(key).is_none())
            .min_by_key(|key| self.tries.get(*key));
        let oldest = wanted
            .iter()
            .filter(is_possible)
            .filter(|key| age(key).is_some_and(|age| age >= RENEW_AFTER))
            .max_by_key(|key| age(key));
        let next = missing.or(oldest).filter(|_| self.denied.is_none());
        // Ages at which something is to be done: renewed, no longer used.
        let ages = [RENEW_AFTER, GOOD_FOR];
        let moments = self
            .known
            .values()
            .flat_map(|upload| ages.map(|age| upload.at.plus(age)))
            .filter(|moment| *moment > now);
        match (next, self.not_before) {
            (Some(key), None) => Step::Upload(*key),
            (Some(key), Some(at)) if at <= now => Step::Upload(*key),
            (Some(_), Some(at)) => Step::Wait(moments.chain([at]).min()),
            (None, _) => Step::Wait(moments.min()),
        }
    }

    /// Notes that a file was uploaded.
    pub(super) fn uploaded(&mut self, key: Key, upload: Upload) {
        let at = upload.at;
        (self.failures, self.trouble, self.not_before) = (0, None, None);
        self.refused.remove(&key);
        self.tries.remove(&key);
        if let Some(former) = self.known.insert(key, upload) {
            self.former.insert(former.media_id, (key, at));
        }
        self.former
            .retain(|_, (_, since)| at.since(*since) < REMEMBERED_FOR);
    }

    /// Notes that a file was not uploaded, and says what that means.
    pub(super) fn failed(&mut self, key: Key, error: &SendError, now: Time) -> Meaning {
        let (code, message) = match error {
            SendError::NotConnected(message) | SendError::Unclear(message) => (0, message),
            SendError::Refused { code, message } => (*code, message),
        };
        let refusal = Refusal {
            code,
            message: message.as_str().into(),
        };
        let meaning = meaning(code);
        match meaning {
            Meaning::Denied => self.denied = Some(refusal),
            Meaning::Refused => {
                self.refused.insert(key, refusal);
            }
            Meaning::Later => self.later(key, refusal, now),
        }
        meaning
    }

    /// Notes that something failed here that may go better later.
    pub(super) fn later(&mut self, key: Key, trouble: Refusal, now: Time) {
        let tries = self.tries.entry(key).or_default();
        *tries = tries.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now.plus(pause(self.failures).max(least_pause(trouble.code))));
        self.trouble = Some(trouble);
    }

    /// The file behind an id that this account has or had.
    pub(super) fn behind(&self, media_id: &str) -> Option<Key> {
        let has_it = |(_, upload): &(&Key, &Upload)| *upload.media_id == *media_id;
        let known = self.known.iter().find(has_it).map(|(key, _)| *key);
        known.or_else(|| self.former.get(media_id).map(|(key, _)| *key))
    }

    /// The id of a file that may be sent now.
    pub(super) fn id(&self, key: &Key, now: Time) -> Option<&Arc<str>> {
        let upload = self.known.get(key)?;
        (now.since(upload.at) < GOOD_FOR).then_some(&upload.media_id)
    }

    /// Forgets an id that WeChat does not know any more.
    pub(super) fn withdraw(&mut self, key: Key, now: Time) {
        if let Some(former) = self.known.remove(&key) {
            self.former.insert(former.media_id, (key, now));
        }
    }

    /// Forgets uploads that are past their time; gives them.
    pub(super) fn expire(&mut self, now: Time) -> Vec<Key> {
        let expired = |upload: &Upload| now.since(upload.at) >= GOOD_FOR;
        let old = self.known.iter().filter(|(_, upload)| expired(upload));
        let old: Vec<Key> = old.map(|(key, _)| *key).collect();
        for key in &old {
            self.withdraw(*key, now);
        }
        old
    }

    /// Whether an upload of a file is known, as anything.
    pub(super) fn has(&self, hash: &Sha256Hash) -> bool {
        self.known.keys().any(|(_, known)| known == hash)
    }

    /// Everything that may be sent now.
    pub(super) fn ids(&self, now: Time) -> MediaIds {
        let good = self.known.keys();
        let good = good.filter_map(|key| Some((*key, Arc::clone(self.id(key, now)?))));
        MediaIds::Known(good.collect())
    }

    /// Why a file is not there; `None` while nothing has gone wrong.
    pub(super) fn why_not(&self, key: &Key) -> Option<&Refusal> {
        let refused = self.refused.get(key);
        refused.or(self.denied.as_ref()).or(self.trouble.as_ref())
    }
}

/// What a refusal of an upload means (全局返回码).
const fn meaning(code: i64) -> Meaning {
    match code {
        // Not authorised, terms not accepted, banned, AppID wrong.
        48001 | 48003 | 48004 | 40013 => Meaning::Denied,
        // Kind, type, size, length, emptiness of the file.
        40004..=40006 | 40009..=40012 | 41005 | 44001 | 45001 | 45007 => Meaning::Refused,
        _ => Meaning::Later,
    }
}

/// Whether a refusal says that the account lacks the right, and not that something else is wrong with it.
const fn is_of_right(code: i64) -> bool {
    matches!(code, 48001 | 48004)
}

/// 5, 10, 20 … seconds, at most ten minutes.
fn pause(failures: u8) -> Duration {
    Duration::from_secs(5 << failures.saturating_sub(1).min(8)).min(LONGEST_PAUSE)
}

/// Some troubles only midnight or an operator mends.
const fn least_pause(code: i64) -> Duration {
    match code {
        45009 => HOUR,
        45011 => Duration::from_secs(60),
        40125 | 40164 | 40243 | 89501 | 89503 => LONGEST_PAUSE,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_seconds(1_718_200_000);
    const MAP: Key = (MediaKind::Image, [1; 32]);
    const SONG: Key = (MediaKind::Voice, [2; 32]);

    fn upload(id: &str, at: Time) -> Upload {
        Upload {
            media_id: id.into(),
            at,
        }
    }

    fn refused(code: i64) -> SendError {
        SendError::Refused {
            code,
            message: "no".to_owned(),
        }
    }

    #[test]
    fn what_is_missing_comes_first_then_what_is_old_then_nothing() {
        let mut shelf = Shelf::default();
        let wanted = [MAP, SONG];
        assert_eq!(shelf.step(&wanted, START), Step::Upload(MAP));
        shelf.uploaded(MAP, upload("m", START));
        let old = START.plus(RENEW_AFTER);
        assert_eq!(shelf.step(&wanted, old), Step::Upload(SONG));
        shelf.uploaded(SONG, upload("s", old));
        assert_eq!(shelf.step(&wanted, old), Step::Upload(MAP));
        shelf.uploaded(MAP, upload("m2", old));
        let next = Some(old.plus(RENEW_AFTER));
        assert_eq!(shelf.step(&wanted, old), Step::Wait(next));
        assert_eq!(shelf.step(&[], old), Step::Wait(next));
        assert_eq!(Shelf::default().step(&[], old), Step::Wait(None));
    }

    #[test]
    fn an_upload_is_renewed_before_three_days_and_never_used_after() {
        let mut shelf = Shelf::default();
        shelf.enter(MAP, upload("m", START));
        let before = START.plus(RENEW_AFTER).minus(Duration::from_secs(1));
        assert_eq!(
            shelf.step(&[MAP], before),
            Step::Wait(Some(START.plus(RENEW_AFTER)))
        );
        let failed = START.plus(RENEW_AFTER);
        assert_eq!(shelf.step(&[MAP], failed), Step::Upload(MAP));
        let error = SendError::NotConnected("no connection".to_owned());
        assert_eq!(shelf.failed(MAP, &error, failed), Meaning::Later);
        // Renewing goes wrong, but the old id is good for some hours.
        assert!(shelf.id(&MAP, failed).is_some());
        let end = START.plus(GOOD_FOR);
        assert_eq!(shelf.id(&MAP, end), None);
        assert_eq!(shelf.ids(end), MediaIds::none());
        assert_eq!(shelf.expire(end), [MAP]);
        assert_eq!(shelf.step(&[MAP], end), Step::Upload(MAP));
        assert!(GOOD_FOR < HOUR * 72);
    }

    #[test]
    fn a_changed_file_is_another_file() {
        let mut shelf = Shelf::default();
        shelf.uploaded(MAP, upload("m", START));
        let changed = (MediaKind::Image, [9; 32]);
        assert_eq!(shelf.step(&[changed], START), Step::Upload(changed));
    }

    #[test]
    fn failures_pause_longer_and_longer_and_success_ends_that() {
        let mut shelf = Shelf::default();
        let mut now = START;
        for seconds in [5, 10, 20, 40, 80, 160, 320, 600, 600] {
            assert_eq!(shelf.step(&[MAP], now), Step::Upload(MAP));
            shelf.failed(MAP, &refused(-1), now);
            let again = now.plus(Duration::from_secs(seconds));
            assert_eq!(shelf.step(&[MAP], now), Step::Wait(Some(again)));
            now = again;
        }
        shelf.failed(MAP, &refused(45009), now);
        assert_eq!(shelf.step(&[MAP], now), Step::Wait(Some(now.plus(HOUR))));
        assert_eq!(shelf.why_not(&MAP).map(|why| why.code), Some(45009));
        shelf.uploaded(MAP, upload("m", now));
        assert_eq!(shelf.why_not(&MAP), None);
        assert_eq!(shelf.step(&[MAP, SONG], now), Step::Upload(SONG));
    }

    #[test]
    fn a_file_that_fails_again_and_again_does_not_stop_the_next() {
        let mut shelf = Shelf::default();
        shelf.failed(MAP, &refused(99999), START);
        let later = START.plus(LONGEST_PAUSE);
        assert_eq!(shelf.step(&[MAP, SONG], later), Step::Upload(SONG));
        shelf.failed(SONG, &refused(99999), later);
        let later = later.plus(LONGEST_PAUSE);
        assert_eq!(shelf.step(&[MAP, SONG], later), Step::Upload(MAP));
    }

    #[test]
    fn a_refused_file_does_not_stop_others_and_a_denied_account_stops_all() {
        let mut shelf = Shelf::default();
        for code in [40004, 40005, 40006, 40009, 40012, 45007] {
            assert_eq!(shelf.failed(MAP, &refused(code), START), Meaning::Refused);
        }
        assert_eq!(shelf.step(&[MAP, SONG], START), Step::Upload(SONG));
        assert_eq!(shelf.why_not(&SONG), None);
        for code in [48001, 48003, 40013] {
            assert_eq!(shelf.failed(SONG, &refused(code), START), Meaning::Denied);
        }
        assert_eq!(shelf.step(&[MAP, SONG], START), Step::Wait(None));
        assert_eq!(shelf.why_not(&MAP).map(|why| why.code), Some(45007));
        assert_eq!(shelf.why_not(&SONG).map(|why| why.code), Some(40013));
    }

    #[test]
    fn a_right_that_was_denied_can_be_given() {
        let mut shelf = Shelf::default();
        let measured = |verdict| Measured {
            verdict,
            at: START,
            code: if verdict == Verdict::No { 48001 } else { 0 },
        };
        shelf.heed(measured(Verdict::No));
        assert_eq!(shelf.step(&[MAP], START), Step::Wait(None));
        assert_eq!(shelf.why_not(&MAP).map(|why| why.code), Some(48001));
        shelf.heed(measured(Verdict::Unknown));
        assert_eq!(shelf.step(&[MAP], START), Step::Wait(None));
        shelf.heed(measured(Verdict::Yes));
        assert_eq!(shelf.step(&[MAP], START), Step::Upload(MAP));
        // Terms that nobody accepted are another matter.
        shelf.failed(MAP, &refused(48003), START);
        shelf.heed(measured(Verdict::Yes));
        assert_eq!(shelf.step(&[MAP], START), Step::Wait(None));
    }

    #[test]
    fn a_withdrawn_or_replaced_id_still_leads_to_its_file() {
        let mut shelf = Shelf::default();
        shelf.uploaded(MAP, upload("m", START));
        shelf.withdraw(MAP, START);
        assert_eq!(shelf.step(&[MAP], START), Step::Upload(MAP));
        shelf.uploaded(MAP, upload("m2", START));
        assert_eq!(shelf.behind("m"), Some(MAP));
        assert_eq!(shelf.behind("m2"), Some(MAP));
        assert_eq!(shelf.behind("other"), None);
        shelf.uploaded(MAP, upload("m3", START.plus(REMEMBERED_FOR)));
        assert_eq!(shelf.behind("m"), None);
    }
}
