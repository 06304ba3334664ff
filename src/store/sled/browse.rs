//! Finds conversations for people who look through them.
//! Owns: the order and the bounds of a page. Uses: seats, desk. Never: the disk.

use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::model::{AccountName, Conversation, ConversationId, Time};
use crate::store::{Order, Page, Query, Search};

use super::desk::is_listed;
use super::seats::Seats;

/// See [`crate::store::Store::conversations`]. Looks at no more conversations than it must: at the newest of each list where
/// people take care of all that are wanted, at every one else. Keeps only a page of them.
pub(super) fn page(seats: &Seats, query: &Query) -> Page {
    let mut first = First::new(query.limit.saturating_add(1));
    let after = query
        .after
        .map(|(time, id)| Key::new(query, (query.after_level.unwrap_or(0), time), id));
    // Whether one that stands further behind may be wanted.
    let mut offer = |conversation: &Arc<Conversation>| {
        let key = Key::of(query, conversation);
        let is_wanted = first.wants(key);
        if is_wanted && after.is_none_or(|after| key > after) && fits(query, conversation) {
            first.add(key, conversation);
        }
        is_wanted
    };
    if let Some(follower) = &query.follower {
        for account in accounts(seats, query) {
            if let Some(seat) = seats.find(&account, follower)
                && let Some(conversation) = &seat.live.lock().conversation
            {
                offer(conversation);
            }
        }
    } else if !query.states.is_empty() && query.states.iter().all(|state| is_listed(*state)) {
        let is_newest_first = matches!(query.order, Order::Updated);
        let behind = query.after.filter(|_| is_newest_first);
        for state in &query.states {
            seats.desk.newest(*state, behind, |conversation| {
                offer(conversation) || !is_newest_first
            });
        }
    } else {
        seats.each(|conversation| {
            offer(conversation);
        });
    }
    first.page(query.limit)
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
    let is_found = |search: &Search| (search.0)(conversation);
    (query.states.is_empty() || query.states.contains(&conversation.state))
        && (query.accounts.is_empty() || query.accounts.contains(&conversation.account))
        && (query.priorities.is_empty() || query.priorities.contains(&conversation.priority))
        && (query.owner.is_none() || query.owner == conversation.owner)
        && query.tag.as_deref().is_none_or(has_tag)
        && query.search.as_ref().is_none_or(is_found)
}

/// Where a conversation stands: the least comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    level: u8,
    time: i64,
    id: [u8; 16],
}

impl Key {
    fn of(query: &Query, conversation: &Conversation) -> Self {
        let place = match &query.order {
            Order::Updated => (0, conversation.updated_at),
            Order::Ranked(rank) => rank(conversation),
        };
        Self::new(query, place, conversation.id)
    }

    fn new(query: &Query, (level, time): (u8, Time), id: ConversationId) -> Self {
        let (time, id) = (time.millis(), *id.bytes());
        match query.order {
            // The newest first.
            Order::Updated => Self {
                level: 0,
                time: !time,
                id: id.map(|byte| !byte),
            },
            Order::Ranked(_) => Self { level, time, id },
        }
    }
}

/// The first so many conversations.
struct First {
    most: usize,
    heap: BinaryHeap<Standing>,
}

impl First {
    fn new(most: usize) -> Self {
        Self {
            most,
            heap: BinaryHeap::new(),
        }
    }

    fn wants(&self, key: Key) -> bool {
        self.heap.len() < self.most || self.heap.peek().is_some_and(|last| key < last.key)
    }

    fn add(&mut self, key: Key, conversation: &Arc<Conversation>) {
        self.heap.push(Standing {
            key,
            conversation: Arc::clone(conversation),
        });
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    fn page(self, limit: usize) -> Page {
        let mut sorted = self.heap.into_sorted_vec();
        // One that changed its state meanwhile may have been seen in two lists.
        let mut seen = ahash::AHashSet::with_capacity(sorted.len());
        let more = sorted.len() > limit;
        sorted.retain(|standing| seen.insert(standing.conversation.id));
        let conversations = sorted.into_iter().map(|standing| standing.conversation);
        Page {
            conversations: conversations.take(limit).collect(),
            more,
        }
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
