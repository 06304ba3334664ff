//! Remembers which conversations changed last, and wakes those who want to know.
//! Owns: the numbers of changes since the start, how many are kept. Uses: model. Never: what changed.
//!
//! Two rings: what rules answer by themselves must not push out what people wait for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::{AccountName, ConversationId};
use crate::store::{Changed, Changes, Missed};

/// How many changes of each sort are kept.
pub(super) const KEPT: usize = 1000;

/// One change.
struct Slot {
    number: u64,
    conversation: ConversationId,
    version: u64,
    account: AccountName,
}

/// The newest changes of one sort, oldest first.
struct Ring {
    slots: VecDeque<Slot>,
    /// The newest change that is not kept any more.
    dropped: u64,
}

impl Ring {
    fn new() -> Self {
        Self {
            slots: VecDeque::with_capacity(KEPT),
            dropped: 0,
        }
    }

    /// Allocates nothing, and leaves the account's name alone where it is the same.
    fn push(
        &mut self,
        number: u64,
        conversation: ConversationId,
        version: u64,
        account: &AccountName,
    ) {
        let oldest = if self.slots.len() < KEPT {
            None
        } else {
            self.slots.pop_front()
        };
        let account = match oldest {
            Some(oldest) => {
                self.dropped = oldest.number;
                Some(oldest.account).filter(|old| old == account)
            }
            None => None,
        }
        .unwrap_or_else(|| account.clone());
        self.slots.push_back(Slot {
            number,
            conversation,
            version,
            account,
        });
    }

    fn behind(&self, place: u64) -> impl Iterator<Item = &Slot> {
        let from = self.slots.partition_point(|slot| slot.number <= place);
        self.slots.range(from..)
    }
}

struct Rings {
    newest: u64,
    people: Ring,
    rules: Ring,
}

/// The changes of all conversations since the store was opened.
pub(super) struct Feed {
    rings: Mutex<Rings>,
    /// How many wait for `changed`.
    waiting: AtomicUsize,
    changed: Notify,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            rings: Mutex::new(Rings {
                newest: 0,
                people: Ring::new(),
                rules: Ring::new(),
            }),
            waiting: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    /// Notes a change. Tens of nanoseconds: every message passes here.
    pub(super) fn push(
        &self,
        account: &AccountName,
        conversation: ConversationId,
        version: u64,
        is_of_people: bool,
    ) {
        let mut rings = self.rings.lock();
        rings.newest += 1;
        let number = rings.newest;
        let ring = if is_of_people {
            &mut rings.people
        } else {
            &mut rings.rules
        };
        ring.push(number, conversation, version, account);
        // Whoever begins to wait counts itself before it looks at the rings: it is counted here, or has seen this change.
        let is_awaited = self.waiting.load(Ordering::Relaxed) > 0;
        drop(rings);
        if is_awaited {
            self.changed.notify_waiters();
        }
    }

    /// See [`crate::store::Store::changes`].
    pub(super) async fn changes(&self, after: Option<u64>) -> Changes {
        let Some(after) = after else {
            return Changes {
                place: self.rings.lock().newest,
                ..Changes::default()
            };
        };
        let _counted = Waiting::new(&self.waiting);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(changes) = self.rings.lock().behind(after) {
                return changes;
            }
            changed.await;
        }
    }
}

impl Rings {
    fn behind(&self, after: u64) -> Option<Changes> {
        if self.newest == after {
            return None;
        }
        // A place that is ahead is of another start.
        let missed = if after < self.people.dropped || after > self.newest {
            Missed::OfPeople
        } else if after < self.rules.dropped {
            Missed::OfRules
        } else {
            Missed::Nothing
        };
        let mut slots: Vec<&Slot> = self.people.behind(after).collect();
        slots.extend(self.rules.behind(after));
        // Newest first, to keep the newest of each.
        slots.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.number));
        let mut seen = ahash::AHashSet::with_capacity(slots.len());
        slots.retain(|slot| seen.insert(slot.conversation));
        let changed = slots.iter().rev().map(|slot| Changed {
            place: slot.number,
            conversation: slot.conversation,
            version: slot.version,
            account: slot.account.clone(),
        });
        Some(Changes {
            changed: changed.collect(),
            place: self.newest,
            missed,
        })
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Time, TurnKey};

    fn id(n: u64) -> ConversationId {
        ConversationId::at(Time::from_millis(1), 0, TurnKey::of_text(&n.to_string()))
    }

    fn versions(changes: &Changes) -> Vec<u64> {
        changes
            .changed
            .iter()
            .map(|change| change.version)
            .collect()
    }

    #[tokio::test]
    async fn the_newest_change_of_each_is_told_and_a_flood_of_answers_hides_no_person() {
        let shop = AccountName::parse("shop").unwrap();
        let feed = Feed::new();
        let start = feed.changes(None).await.place;
        feed.push(&shop, id(1), 1, false);
        feed.push(&shop, id(2), 5, true);
        feed.push(&shop, id(1), 2, false);
        let seen = feed.changes(Some(start)).await;
        assert_eq!(
            (versions(&seen), seen.missed),
            (vec![5, 2], Missed::Nothing)
        );
        for n in 0..=2 * u64::try_from(KEPT).unwrap() {
            feed.push(&shop, id(10 + n), 1, false);
        }
        let seen = feed.changes(Some(start)).await;
        assert_eq!(
            (seen.changed.len(), seen.missed),
            (KEPT + 1, Missed::OfRules)
        );
        assert_eq!(seen.changed[0].conversation, id(2));
        for n in 0..=u64::try_from(KEPT).unwrap() {
            feed.push(&shop, id(10 + n), 2, true);
        }
        assert_eq!(feed.changes(Some(start)).await.missed, Missed::OfPeople);
        assert_eq!(feed.changes(Some(1 << 40)).await.missed, Missed::OfPeople);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_the_next_change() {
        let shop = AccountName::parse("shop").unwrap();
        let feed = std::sync::Arc::new(Feed::new());
        let waits = tokio::spawn({
            let feed = std::sync::Arc::clone(&feed);
            async move { feed.changes(Some(0)).await }
        });
        while feed.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        feed.push(&shop, id(1), 7, true);
        assert_eq!(versions(&waits.await.unwrap()), [7]);
        assert_eq!(feed.waiting.load(Ordering::Relaxed), 0);
    }
}
