//! Remembers which turns were answered, and under which number their answer stands in the journal.
//! Owns: the table in memory and its form in the database. Uses: journal's format. Never: the answer itself.
//!
//! A million keys must fit into some fifteen MiB, so the table keeps 56 of a key's 128 bits and the number, 11 bytes in all.
//! Two keys may look alike here: whoever finds a number reads the entry and compares the whole key.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::model::{Time, TurnKey};
use crate::store::Error;

use super::disk::{Disk, Map, Refused};
use super::journal::{FORMAT, opened, unreadable};

/// Locks; each guards `BUCKETS / SHARDS` buckets.
const SHARDS: usize = 64;
/// Buckets, by the first two bytes of a key.
const BUCKETS: usize = 1 << 16;
/// Keys in one stored value: about 2 KiB.
const KEYS_PER_VALUE: usize = 256;

/// What the table keeps of a key.
type Fragment = [u8; 7];

fn fragment(key: TurnKey) -> Fragment {
    let [a, b, c, d, e, f, g, ..] = *key.bytes();
    [a, b, c, d, e, f, g]
}

/// Five bytes of the key and six of the number: 2^48 entries are 89 years at 100,000 a second.
#[derive(Clone, Copy)]
struct Slot([u8; 11]);

impl Slot {
    fn new([_, _, a, b, c, d, e]: Fragment, number: u64) -> Self {
        let [_, _, u, v, w, x, y, z] = number.to_be_bytes();
        Self([a, b, c, d, e, u, v, w, x, y, z])
    }

    fn number(self) -> u64 {
        let [.., u, v, w, x, y, z] = self.0;
        u64::from_be_bytes([0, 0, u, v, w, x, y, z])
    }

    fn is_of(self, [_, _, a, b, c, d, e]: Fragment) -> bool {
        self.0.starts_with(&[a, b, c, d, e])
    }
}

type Bucket = Vec<Slot>;

/// Keys of answered turns, in memory.
pub(super) struct Ledger {
    shards: Vec<Mutex<Vec<Bucket>>>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let shard = || Mutex::new(vec![Bucket::new(); BUCKETS / SHARDS]);
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    fn with<T>(&self, [a, b, ..]: Fragment, work: impl FnOnce(&mut Bucket) -> T) -> Option<T> {
        let bucket = usize::from(u16::from_be_bytes([a, b]));
        let mut shard = self.shards.get(bucket % SHARDS)?.lock();
        shard.get_mut(bucket / SHARDS).map(work)
    }

    /// Notes that the entry with this number answers this turn.
    pub(super) fn insert(&self, key: TurnKey, number: u64) {
        self.insert_fragment(fragment(key), number);
    }

    fn insert_fragment(&self, fragment: Fragment, number: u64) {
        self.with(fragment, |bucket| {
            if bucket.len() == bucket.capacity() {
                // By a quarter, not twofold: the table is most of what a million messages add to memory.
                bucket.reserve_exact((bucket.len() / 4).max(4));
            }
            bucket.push(Slot::new(fragment, number));
        });
    }

    /// Takes a note back.
    pub(super) fn remove(&self, key: TurnKey, number: u64) {
        let fragment = fragment(key);
        self.with(fragment, |bucket| {
            bucket.retain(|slot| !(slot.is_of(fragment) && slot.number() == number));
        });
    }

    /// The numbers of entries that may answer this turn, newest first.
    pub(super) fn find(&self, key: TurnKey) -> SmallVec<[u64; 2]> {
        let fragment = fragment(key);
        self.with(fragment, |bucket| {
            let slots = bucket.iter().rev().filter(|slot| slot.is_of(fragment));
            slots.map(|slot| slot.number()).collect()
        })
        .unwrap_or_default()
    }

    /// Drops the numbers below `from` in one of the shards.
    fn sweep(&self, shard: usize, from: u64) {
        let Some(shard) = self.shards.get(shard % SHARDS) else {
            return;
        };
        for bucket in shard.lock().iter_mut() {
            let before = bucket.len();
            bucket.retain(|slot| slot.number() >= from);
            if bucket.len() < before {
                bucket.shrink_to_fit();
            }
        }
    }
}

/// Brings the ledger's keys to the database, a value at a time, and drops them when they are old. The writer's own.
pub(super) struct Pages {
    keep: Duration,
    /// Stored values: first number, and the time of the last key.
    stored: VecDeque<(u64, Time)>,
    /// Keys that are in the journal but in no stored value yet, in order.
    pending: VecDeque<(Fragment, u64, Time)>,
    swept: usize,
}

impl Pages {
    /// Reads every stored value that is not too old into the table.
    pub(super) fn load(
        disk: &Disk,
        ledger: &Ledger,
        keep: Duration,
        now: Time,
    ) -> Result<(Self, u64), Error> {
        let mut pages = Self {
            keep,
            stored: VecDeque::new(),
            pending: VecDeque::new(),
            swept: 0,
        };
        let mut covered = 0;
        disk.scan(Map::Ledger, &[], |key, value| {
            let page = Page::read(key, value)?;
            pages.stored.push_back((page.first, page.at));
            for (fragment, number) in page.keys {
                covered = number;
                if page.at.plus(keep) >= now {
                    ledger.insert_fragment(fragment, number);
                }
            }
            Ok(())
        })?;
        Ok((pages, covered))
    }

    /// A key whose entry is in the journal.
    pub(super) fn push(&mut self, key: TurnKey, number: u64, at: Time) {
        self.pending.push_back((fragment(key), number, at));
    }

    /// The oldest number that would be in no stored value after `count` more were written.
    pub(super) fn from(&self, count: usize) -> Option<u64> {
        self.pending.get(count).map(|(_, number, _)| *number)
    }

    /// Whether [`Pages::write`] has a whole value to write.
    pub(super) fn is_due(&self) -> bool {
        self.pending.len() >= KEYS_PER_VALUE
    }

    /// Writes the pending keys, whole values only unless `all`, and drops what is too old. Returns how many keys: they stay
    /// pending until [`Pages::written`], since the write may yet fail.
    pub(super) fn write(&self, disk: &Disk, all: bool) -> Result<usize, Refused> {
        let len = self.pending.len();
        let count = if all { len } else { len - len % KEYS_PER_VALUE };
        let keys: Vec<_> = self.pending.iter().take(count).copied().collect();
        for keys in keys.chunks(KEYS_PER_VALUE) {
            if let Some((first, value)) = Page::value(keys) {
                disk.insert(Map::Ledger, &first.to_be_bytes(), value)?;
            }
        }
        for (first, _) in self.stored.iter().take(self.expired()) {
            disk.remove(Map::Ledger, &first.to_be_bytes())?;
        }
        Ok(count)
    }

    /// The first `count` keys are durable, and what was too old is gone.
    pub(super) fn written(&mut self, count: usize, ledger: &Ledger) {
        self.stored.drain(..self.expired());
        let done: Vec<_> = self.pending.drain(..count).collect();
        for keys in done.chunks(KEYS_PER_VALUE) {
            if let (Some((_, first, _)), Some((_, _, at))) = (keys.first(), keys.last()) {
                self.stored.push_back((*first, *at));
            }
        }
        if let Some((first, _)) = self.stored.front() {
            self.swept += 1;
            ledger.sweep(self.swept, *first);
        }
    }

    /// How many stored values are too old.
    fn expired(&self) -> usize {
        let newest = self.stored.back().map_or(Time::default(), |(_, at)| *at);
        self.stored
            .iter()
            .take_while(|(_, at)| newest.since(*at) > self.keep)
            .count()
    }
}

/// One stored value: its keys and the time of the last one.
struct Page {
    first: u64,
    at: Time,
    keys: Vec<(Fragment, u64)>,
}

impl Page {
    fn value(keys: &[(Fragment, u64, Time)]) -> Option<(u64, Vec<u8>)> {
        let (_, first, _) = *keys.first()?;
        let (_, _, at) = *keys.last()?;
        let mut value = vec![FORMAT];
        value.extend_from_slice(&at.millis().to_le_bytes());
        for (fragment, number, _) in keys {
            value.extend_from_slice(fragment);
            let ahead = u32::try_from(number.saturating_sub(first)).ok()?;
            value.extend_from_slice(&ahead.to_le_bytes());
        }
        Some((first, value))
    }

    fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let bad = || unreadable("a ledger value", &"torn");
        let first = u64::from_be_bytes(key.try_into().map_err(|_not_a_number| bad())?);
        let (at, mut rest) = opened(value, "a ledger value")?
            .split_first_chunk()
            .ok_or_else(bad)?;
        let at = Time::from_millis(i64::from_le_bytes(*at));
        let mut keys = Vec::with_capacity(KEYS_PER_VALUE);
        while let Some((fragment, more)) = rest.split_first_chunk() {
            let (ahead, more) = more.split_first_chunk().ok_or_else(bad)?;
            keys.push((*fragment, first + u64::from(u32::from_le_bytes(*ahead))));
            rest = more;
        }
        Ok(Self { first, at, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> TurnKey {
        TurnKey::of_text(&n.to_string())
    }

    #[test]
    fn a_key_finds_its_numbers_newest_first_until_they_are_taken_back() {
        let ledger = Ledger::new();
        for n in 1..=20_000 {
            ledger.insert(key(n), n);
        }
        ledger.insert(key(5), 30_000);
        assert_eq!(ledger.find(key(5)).as_slice(), [30_000, 5]);
        assert_eq!(ledger.find(key(19_999)).as_slice(), [19_999]);
        assert!(ledger.find(key(20_001)).is_empty());
        ledger.remove(key(5), 30_000);
        assert_eq!(ledger.find(key(5)).as_slice(), [5]);
    }

    #[test]
    fn stored_keys_come_back_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("sled"), None).unwrap();
        let keep = Duration::from_secs(1000);
        let ledger = Ledger::new();
        let at = |n: u64| Time::from_seconds(i64::try_from(n).unwrap());
        let (mut pages, covered) = Pages::load(&disk, &ledger, keep, at(0)).unwrap();
        assert_eq!(covered, 0);
        for n in 1..=2000 {
            ledger.insert(key(n), n);
            pages.push(key(n), n, at(n));
        }
        let written = pages.write(&disk, false).unwrap();
        assert_eq!(written, 7 * KEYS_PER_VALUE);
        pages.written(written, &ledger);
        assert_eq!(pages.from(0), Some(1793));
        assert_eq!(pages.write(&disk, false).unwrap(), 0);
        for _ in 0..SHARDS {
            pages.written(0, &ledger);
        }
        assert!(ledger.find(key(700)).is_empty(), "swept");

        assert_eq!(
            disk.at_or_below(Map::Ledger, &700_u64.to_be_bytes())
                .unwrap()
                .map(|_| ()),
            None
        );
        let again = Ledger::new();
        let (_, covered) = Pages::load(&disk, &again, keep, at(2000)).unwrap();
        assert_eq!(covered, 1792);
        assert!(again.find(key(700)).is_empty(), "too old");
        assert_eq!(again.find(key(1700)).as_slice(), [1700]);
        assert!(again.find(key(1800)).is_empty(), "never written");
    }

    #[test]
    fn a_torn_value_is_an_error() {
        assert!(Page::read(&[0; 8], &[FORMAT, 1, 2]).is_err());
        assert!(Page::read(&[0; 8], &[9; 30]).is_err());
        assert!(Page::read(&[0; 3], &[FORMAT; 30]).is_err());
    }
}
