//! Keeps the conversations that people take care of in order, and counts them.
//! Owns: one list per state, what the figures are made of. Uses: seats. Never: looks at conversations that rules alone answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::model::conversation::HELD_FOR;
use crate::model::entry::Priority;
use crate::model::{AccountName, Conversation, ConversationId, Delivery, State, Time};
use crate::store::{DeskFigures, Order, WINDOW_CLOSING};

use super::seats::Seat;

/// How many of a list are taken under one lock.
const BATCH: usize = 256;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A place in a list: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    level: u8,
    time: i64,
    id: [u8; 16],
}

impl Key {
    /// The place of a conversation in this order.
    pub(super) fn of(order: Order, conversation: &Conversation) -> Self {
        let place = match order {
            Order::Updated => (0, conversation.updated_at),
            Order::Urgency => conversation.urgency(),
        };
        Self::at(order, place, conversation.id)
    }

    /// The place of what has this level, time and id.
    pub(super) fn at(order: Order, (level, time): (u8, Time), id: ConversationId) -> Self {
        let (time, id) = (time.millis(), *id.bytes());
        match order {
            // The newest first.
            Order::Updated => Self {
                level: 0,
                time: !time,
                id: id.map(|byte| !byte),
            },
            Order::Urgency => Self { level, time, id },
        }
    }
}

/// What the lists and figures know of one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    state: State,
    id: ConversationId,
    newest: Key,
    pressing: Key,
    priority: Priority,
    /// Since when somebody waits.
    since: Time,
    /// The minute in which the window of an unanswered conversation ends.
    closes: Option<i64>,
    /// The hours in which its held answers were written.
    held: SmallVec<[i64; 2]>,
}

impl Standing {
    /// `None` for what rules alone answer.
    pub(super) fn of(conversation: &Conversation) -> Option<Self> {
        let state = conversation.state;
        if !is_listed(state) && conversation.pushes.is_empty() {
            return None;
        }
        let desk = conversation.desk();
        let until = conversation.window.closes_at();
        let pushes = conversation.pushes.iter();
        let held = pushes.filter(|push| push.state == Delivery::Held);
        Some(Self {
            state,
            id: conversation.id,
            newest: Key::of(Order::Updated, conversation),
            pressing: Key::of(Order::Urgency, conversation),
            priority: conversation.priority,
            since: desk.asked_at.unwrap_or(conversation.opened_at),
            closes: until
                .filter(|_| desk.asked_at.is_some())
                .map(|until| until.millis().div_euclid(MINUTE)),
            held: held.map(|push| push.at.millis().div_euclid(HOUR)).collect(),
        })
    }
}

/// Whether conversations in this state stand in a list.
pub(super) const fn is_listed(state: State) -> bool {
    !matches!(state, State::Bot | State::Closed)
}

/// All lists and figures.
#[derive(Default)]
pub(super) struct Desk {
    inner: Mutex<Inner>,
}

/// The conversations in one state, in each order.
#[derive(Default)]
struct Lists {
    newest: BTreeMap<Key, Arc<Seat>>,
    pressing: BTreeMap<Key, Arc<Seat>>,
}

#[derive(Default)]
struct Inner {
    lists: AHashMap<State, Lists>,
    figures: AHashMap<AccountName, Figures>,
}

/// One account's figures.
#[derive(Default)]
struct Figures {
    waiting: BTreeMap<Priority, BTreeSet<(Time, ConversationId)>>,
    closing: BTreeMap<i64, usize>,
    held: BTreeMap<i64, usize>,
}

impl Desk {
    /// What is known of a seat has changed; the caller has locked it.
    pub(super) fn replace(&self, old: Option<&Standing>, new: Option<&Standing>, seat: &Arc<Seat>) {
        if old == new {
            return;
        }
        let mut inner = self.inner.lock();
        let listed = |standing: Option<&Standing>| {
            standing
                .filter(|standing| is_listed(standing.state))
                .map(|standing| (standing.state, standing.newest, standing.pressing))
        };
        let (was, is) = (listed(old), listed(new));
        if was != is {
            if let Some((state, newest, pressing)) = was
                && let Some(lists) = inner.lists.get_mut(&state)
            {
                lists.newest.remove(&newest);
                lists.pressing.remove(&pressing);
            }
            if let Some((state, newest, pressing)) = is {
                let lists = inner.lists.entry(state).or_default();
                lists.newest.insert(newest, Arc::clone(seat));
                lists.pressing.insert(pressing, Arc::clone(seat));
            }
        }
        if !inner.figures.contains_key(&seat.account) {
            inner
                .figures
                .insert(seat.account.clone(), Figures::default());
        }
        if let Some(figures) = inner.figures.get_mut(&seat.account) {
            figures.replace(old, new);
        }
    }

    /// Takes the next few of those in this state that stand behind a place; none when there are no more. Ones that change
    /// meanwhile may be missed, or come again.
    pub(super) fn next(
        &self,
        state: State,
        order: Order,
        behind: Option<Key>,
        to: &mut Vec<(Key, Arc<Seat>)>,
    ) {
        let inner = self.inner.lock();
        let Some(lists) = inner.lists.get(&state) else {
            return;
        };
        let list = match order {
            Order::Updated => &lists.newest,
            Order::Urgency => &lists.pressing,
        };
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let seats = list.range((from, Bound::Unbounded)).take(BATCH);
        to.extend(seats.map(|(key, seat)| (*key, Arc::clone(seat))));
    }

    /// An account's figures at this time, without the counts.
    pub(super) fn figures(&self, account: AccountName, now: Time) -> DeskFigures {
        let inner = self.inner.lock();
        match inner.figures.get(&account) {
            Some(figures) => figures.at(account, now),
            None => Figures::default().at(account, now),
        }
    }
}

impl Figures {
    fn replace(&mut self, old: Option<&Standing>, new: Option<&Standing>) {
        let waits = |standing: &&Standing| standing.state == State::Waiting;
        let place = |standing: &Standing| (standing.since, standing.id);
        let key = |standing: Option<&Standing>| {
            standing
                .filter(waits)
                .map(|standing| (standing.priority, place(standing)))
        };
        let (was, is) = (key(old), key(new));
        if was != is {
            if let Some((priority, place)) = was
                && let Some(waiting) = self.waiting.get_mut(&priority)
            {
                waiting.remove(&place);
            }
            if let Some((priority, place)) = is {
                self.waiting.entry(priority).or_default().insert(place);
            }
        }
        let closes = |standing: Option<&Standing>| standing.and_then(|standing| standing.closes);
        let (was, is) = (closes(old), closes(new));
        if was != is {
            take(&mut self.closing, was);
            add(&mut self.closing, is);
        }
        let held = |standing: Option<&Standing>| {
            standing.map_or_else(SmallVec::new, |standing| standing.held.clone())
        };
        let (was, is) = (held(old), held(new));
        if was != is {
            take(&mut self.held, was);
            add(&mut self.held, is);
        }
    }

    fn at(&self, account: AccountName, now: Time) -> DeskFigures {
        let count = |counts: &BTreeMap<i64, usize>, from: i64, to: i64| -> usize {
            counts
                .range(from..=to.max(from))
                .map(|(_, count)| count)
                .sum()
        };
        let minute = |time: Time| time.millis().div_euclid(MINUTE);
        let hour = |time: Time| time.millis().div_euclid(HOUR);
        let oldest = self.waiting.iter().filter_map(|(priority, waiting)| {
            let (since, _) = waiting.first()?;
            Some((*priority, *since))
        });
        DeskFigures {
            account,
            counts: Vec::new(),
            oldest_waiting: oldest.collect(),
            windows_closing: count(&self.closing, minute(now), minute(now.plus(WINDOW_CLOSING))),
            held_answers: count(&self.held, hour(now.minus(HELD_FOR)), i64::MAX),
        }
    }
}

fn add(counts: &mut BTreeMap<i64, usize>, keys: impl IntoIterator<Item = i64>) {
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
}

fn take(counts: &mut BTreeMap<i64, usize>, keys: impl IntoIterator<Item = i64>) {
    for key in keys {
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
            }
        }
    }
}
