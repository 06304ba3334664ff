//! Remembers which turns were answered, and under which number their answer stands in the journal.
//! Owns: the table in memory and its form in the database. Uses: journal's format. Never: the answer itself.
//!
//! A million keys must fit into some ten MiB, so the ledger in memory keeps 41 of a key's 128 bits (ten by the table it is in)
//! and half of the number, eight bytes in all. Two keys may look alike here: whoever finds a number reads the entry and
//! compares the whole key.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::model::{Time, TurnKey};
use crate::store::Error;

use super::disk::{Disk, Map, Refused};
use super::format::{FORMAT, opened, unreadable};

/// Tables, each with its lock. Many: a growing table exists twice for a moment.
const SHARDS: usize = 1024;
/// Keys in one stored value: about 2 KiB.
const KEYS_PER_VALUE: usize = 256;

/// What is stored of a key.
type Fragment = [u8; 7];

fn fragment(key: TurnKey) -> Fragment {
    let [a, b, c, d, e, f, g, ..] = *key.bytes();
    [a, b, c, d, e, f, g]
}

/// Four bytes of the key, never all zero, above the last four of the number.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    fn new([_, _, a, b, c, d, _]: Fragment, number: u64) -> Self {
        let [_, _, _, _, w, x, y, z] = number.to_be_bytes();
        Self(u64::from_be_bytes([a, b, c, d | 1, w, x, y, z]))
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn is_like(self, other: Self) -> bool {
        self.0 >> 32 == other.0 >> 32
    }

    /// The newest number that ends in these bytes and is not above `newest`: the ledger never holds 2^32 numbers.
    fn number(self, newest: u64) -> u64 {
        let behind = (newest & LOW).wrapping_sub(self.0 & LOW) & LOW;
        newest.saturating_sub(behind)
    }
}

/// The part of a number that a slot keeps.
const LOW: u64 = 0xFFFF_FFFF;

/// A table of slots, each as near behind the place that its key names as there was room.
#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    used: usize,
}

impl Table {
    /// The places of a key, the likeliest first.
    fn places(&self, slot: Slot) -> impl Iterator<Item = usize> + use<> {
        let len = self.slots.len();
        let home = ((slot.0 >> 32) * u64::try_from(len).unwrap_or(0)) >> 32;
        let home = usize::try_from(home).unwrap_or(0);
        (home..len).chain(0..home)
    }

    fn insert(&mut self, slot: Slot) {
        // Four fifths full, then a quarter more room: the ledger is most of what a million messages add to memory.
        if self.used * 5 >= self.slots.len() * 4 {
            self.rebuild(self.slots.len() + (self.slots.len() / 4).max(8), |_| true);
        }
        self.put(slot);
    }

    fn put(&mut self, slot: Slot) {
        for place in self.places(slot) {
            if let Some(free) = self.slots.get_mut(place).filter(|free| free.is_empty()) {
                *free = slot;
                self.used += 1;
                return;
            }
        }
    }

    /// A table of `len` places with the slots to be kept.
    fn rebuild(&mut self, len: usize, is_kept: impl Fn(Slot) -> bool) {
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); len]);
        self.used = 0;
        for slot in old {
            if !slot.is_empty() && is_kept(slot) {
                self.put(slot);
            }
        }
    }

    /// The slots that may be of the same key.
    fn find(&self, like: Slot) -> impl Iterator<Item = Slot> {
        let slots = self.places(like);
        let slots = slots.map_while(|place| self.slots.get(place).copied());
        slots
            .take_while(|slot| !slot.is_empty())
            .filter(move |slot| slot.is_like(like))
    }

    /// Drops what is not to be kept, and the room it took.
    fn sweep(&mut self, is_kept: impl Fn(Slot) -> bool) {
        let slots = self.slots.iter().copied();
        let kept = slots
            .filter(|slot| !slot.is_empty() && is_kept(*slot))
            .count();
        if kept < self.used {
            self.rebuild(kept + kept / 2 + 8, is_kept);
        }
    }
}

/// Keys of answered turns, in memory.
pub(super) struct Ledger {
    shards: Vec<Mutex<Table>>,
    /// The greatest number so far.
    newest: AtomicU64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            newest: AtomicU64::new(0),
        }
    }

    fn shard(&self, [a, b, ..]: Fragment) -> &Mutex<Table> {
        let shard = usize::from(u16::from_be_bytes([a, b])) % SHARDS;
        self.shards.get(shard).expect("there are SHARDS shards")
    }

    /// Notes that the entry with this number answers this turn.
    pub(super) fn insert(&self, key: TurnKey, number: u64) {
        self.insert_fragment(fragment(key), number);
    }

    fn insert_fragment(&self, fragment: Fragment, number: u64) {
        self.newest.fetch_max(number, Ordering::Relaxed);
        let slot = Slot::new(fragment, number);
        self.shard(fragment).lock().insert(slot);
    }

    /// Takes a note back.
    pub(super) fn remove(&self, key: TurnKey, number: u64) {
        let fragment = fragment(key);
        let gone = Slot::new(fragment, number);
        let mut table = self.shard(fragment).lock();
        // What stands behind it may stand there because of it.
        let len = table.slots.len();
        table.rebuild(len, |slot| slot != gone);
    }

    /// The numbers of entries that may answer this turn, newest first.
    pub(super) fn find(&self, key: TurnKey) -> SmallVec<[u64; 2]> {
        let fragment = fragment(key);
        let table = self.shard(fragment).lock();
        let newest = self.newest.load(Ordering::Relaxed);
        let found = table.find(Slot::new(fragment, 0));
        let mut found: SmallVec<[u64; 2]> = found.map(|slot| slot.number(newest)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    /// Drops the numbers below `from` in one of the shards.
    fn sweep(&self, shard: usize, from: u64) {
        if let Some(shard) = self.shards.get(shard % SHARDS) {
            let mut table = shard.lock();
            let newest = self.newest.load(Ordering::Relaxed);
            table.sweep(|slot| slot.number(newest) >= from);
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
        // As keys come, tables are swept in turn: never all at once.
        if let Some((first, _)) = self.stored.front() {
            for _ in 0..=count / KEYS_PER_VALUE {
                self.swept += 1;
                ledger.sweep(self.swept, *first);
            }
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
    fn half_a_number_is_enough() {
        let ledger = Ledger::new();
        let near = (7 << 32) - 2;
        for n in 0..5 {
            ledger.insert(key(n), near + n);
        }
        for n in 0..5 {
            assert_eq!(ledger.find(key(n)).as_slice(), [near + n]);
        }
        ledger.remove(key(1), near + 1);
        assert!(ledger.find(key(1)).is_empty());
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
