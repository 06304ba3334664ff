//! Finds conversations for people who look through them.
//! Owns: the order and the bounds of a page. Uses: seats, desk. Never: the disk.

use std::collections::BinaryHeap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{AccountName, Conversation, ConversationId, State};
use crate::store::{Order, Page, Query, WordsOf};

use super::desk::{Key, Needle, is_listed};
use super::seats::{Seat, Seats};

/// How many batches one thread looks at before others help.
const ALONE: usize = 8;
/// The most threads that look through conversations for one page.
const THREADS: usize = 4;

/// See [`crate::store::Store::conversations`]. Looks at no more conversations than it must: at the first of each list where
/// people take care of all that are wanted, at every one else, with several threads where there are many. Keeps only a page.
pub(super) fn page(seats: &Seats, query: &Query) -> Page {
    let most = query.limit.saturating_add(1);
    let after = query
        .after
        .map(|(time, id)| Key::at(query.order, (query.after_level.unwrap_or(0), time), id));
    let words_of = seats.words_of();
    let new = || First::new(query, after, most, words_of.as_deref());
    if let Some(follower) = &query.follower {
        let mut first = new();
        for account in accounts(seats, query) {
            if let Some(seat) = seats.find(&account, follower) {
                first.look(&seat);
            }
        }
        return page_of(vec![first], query.limit);
    }
    let is_in_lists = |states: &[State]| states.iter().all(|state| is_listed(*state));
    let walk = Walk {
        seats,
        query,
        after,
        needle: query.search.as_ref().map(Needle::new),
        is_in_lists: !query.states.is_empty() && is_in_lists(&query.states),
        place: Mutex::new(WalkPlace {
            next: 0,
            behind: after,
        }),
    };
    let mut alone = new();
    if walk.look(&mut alone, ALONE) {
        return page_of(vec![alone], query.limit);
    }
    let helpers = std::thread::available_parallelism().map_or(1, usize::from);
    let helpers = helpers.min(THREADS).saturating_sub(1);
    let found = std::thread::scope(|scope| {
        let helping: Vec<_> = (0..helpers)
            .map(|_| {
                scope.spawn(|| {
                    let mut first = new();
                    walk.look(&mut first, usize::MAX);
                    first
                })
            })
            .collect();
        walk.look(&mut alone, usize::MAX);
        let helped = helping.into_iter().filter_map(|help| help.join().ok());
        helped.chain([alone]).collect()
    });
    page_of(found, query.limit)
}

/// A way through the conversations that several threads go together.
struct Walk<'a> {
    seats: &'a Seats,
    query: &'a Query,
    after: Option<Key>,
    needle: Option<Needle>,
    /// Whether all that are wanted stand in lists.
    is_in_lists: bool,
    place: Mutex<WalkPlace>,
}

struct WalkPlace {
    /// Which state's list, or which table.
    next: usize,
    behind: Option<Key>,
}

impl Walk<'_> {
    /// Looks at so many batches; whether that were all.
    fn look(&self, first: &mut First<'_>, batches: usize) -> bool {
        let mut seats = Vec::new();
        for _ in 0..batches {
            seats.clear();
            let Some(list) = self.next(first, &mut seats) else {
                return true;
            };
            for (key, seat) in &seats {
                // Those behind stand further behind still.
                if key.is_some_and(|key| !first.wants(key)) {
                    self.leave(list);
                    break;
                }
                first.look(seat);
            }
        }
        false
    }

    /// The next batch of those that may be wanted, and the list that it is of.
    fn next(&self, first: &First<'_>, to: &mut Vec<(Option<Key>, Arc<Seat>)>) -> Option<usize> {
        let mut place = self.place.lock();
        if !self.is_in_lists {
            let table = place.next;
            place.next += 1;
            drop(place);
            let is_there = self.seats.table_into(table, |seat| {
                if first.may_want(seat) {
                    to.push((None, Arc::clone(seat)));
                }
            });
            return is_there.then_some(table);
        }
        loop {
            let list = place.next;
            let state = *self.query.states.get(list)?;
            let (order, needle) = (self.query.order, self.needle.as_ref());
            let desk = &self.seats.desk;
            if let Some(last) = desk.next(state, order, place.behind, needle, to) {
                place.behind = Some(last);
                return Some(list);
            }
            place.next += 1;
            place.behind = self.after;
        }
    }

    /// Nothing further is wanted of this list.
    fn leave(&self, list: usize) {
        let mut place = self.place.lock();
        if self.is_in_lists && place.next == list {
            place.next += 1;
            place.behind = self.after;
        }
    }
}

/// The accounts in which a follower is looked for.
fn accounts(seats: &Seats, query: &Query) -> Vec<AccountName> {
    if query.accounts.is_empty() {
        let counts = seats.counts().into_iter();
        let mut all: Vec<_> = counts.map(|(account, ..)| account).collect();
        all.dedup();
        all
    } else {
        query.accounts.clone()
    }
}

fn fits(query: &Query, conversation: &Conversation) -> bool {
    let has_tag = |wanted: &str| conversation.tags().iter().any(|tag| **tag == *wanted);
    (query.states.is_empty() || query.states.contains(&conversation.state))
        && (query.accounts.is_empty() || query.accounts.contains(&conversation.account))
        && (query.priorities.is_empty() || query.priorities.contains(&conversation.priority))
        && (query.owner.is_none() || query.owner == conversation.owner)
        && query.tag.as_deref().is_none_or(has_tag)
        && query.closes_by.is_none_or(|by| conversation.closes_by(by))
        && (!query.missed || conversation.desk().is_missed)
}

/// The first so many conversations that fit.
struct First<'a> {
    query: &'a Query,
    after: Option<Key>,
    most: usize,
    needle: Option<Needle>,
    words_of: Option<&'a WordsOf>,
    heap: BinaryHeap<Standing>,
}

impl<'a> First<'a> {
    fn new(
        query: &'a Query,
        after: Option<Key>,
        most: usize,
        words_of: Option<&'a WordsOf>,
    ) -> Self {
        Self {
            query,
            after,
            most,
            needle: query.search.as_ref().map(Needle::new),
            words_of,
            heap: BinaryHeap::new(),
        }
    }

    fn wants(&self, key: Key) -> bool {
        self.heap.len() < self.most || self.heap.peek().is_some_and(|last| key < last.key)
    }

    /// Whether a conversation may be wanted, as far as can be seen without a lock.
    fn may_want(&self, seat: &Seat) -> bool {
        let Some(glance) = seat.glance() else {
            return false;
        };
        let states = &self.query.states;
        let is_wanted = states.is_empty() || states.contains(&glance.state);
        // Of one moment there may be several.
        let newest = ConversationId::from_bytes([u8::MAX; 16]);
        is_wanted
            && (self.query.order != Order::Updated
                || self.wants(Key::at(Order::Updated, (0, glance.updated_at), newest)))
    }

    fn is_found(&self, conversation: &Conversation) -> bool {
        let Some(needle) = &self.needle else {
            return true;
        };
        let words = self.words_of.map(|words| words(conversation));
        needle.is_in(&conversation.follower, words.as_deref().unwrap_or(""))
    }

    fn look(&mut self, seat: &Seat) {
        let live = seat.live.lock();
        let Some(conversation) = &live.conversation else {
            return;
        };
        let key = Key::of(self.query.order, conversation);
        let is_behind = self.after.is_none_or(|after| key > after);
        if !is_behind
            || !self.wants(key)
            || !fits(self.query, conversation)
            || !self.is_found(conversation)
        {
            return;
        }
        self.heap.push(Standing {
            key,
            conversation: Arc::clone(conversation),
        });
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }
}

fn page_of(found: Vec<First<'_>>, limit: usize) -> Page {
    let mut sorted: Vec<Standing> = found.into_iter().flat_map(|first| first.heap).collect();
    sorted.sort_unstable();
    // One that changed meanwhile may have been seen twice.
    let mut seen = ahash::AHashSet::with_capacity(sorted.len());
    sorted.retain(|standing| seen.insert(standing.conversation.id));
    let more = sorted.len() > limit;
    let conversations = sorted.into_iter().map(|standing| standing.conversation);
    Page {
        conversations: conversations.take(limit).collect(),
        more,
    }
}

struct Standing {
    key: Key,
    conversation: Arc<Conversation>,
}

impl PartialEq for Standing {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Standing {}

impl PartialOrd for Standing {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Standing {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}
