//! Keeps the conversations that people take care of in order, and counts them.
//! Owns: one list per state, what the figures are made of. Uses: seats. Never: looks at conversations that rules alone answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use ahash::AHashMap;
use memchr::memmem::Finder;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::model::conversation::HELD_FOR;
use crate::model::entry::Priority;
use crate::model::{AccountName, Conversation, ConversationId, Delivery, OpenId, State, Time};
use crate::store::{DeskFigures, Order, Search, WINDOW_CLOSING, WordsOf};

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
    /// By which it is found.
    words: Arc<str>,
}

impl Standing {
    /// `None` for what rules alone answer.
    pub(super) fn of(conversation: &Conversation, words: Option<&WordsOf>) -> Option<Self> {
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
            words: words
                .filter(|_| is_listed(state))
                .map_or_else(Arc::default, |words| words(conversation)),
        })
    }
}

/// Whether conversations in this state stand in a list.
pub(super) const fn is_listed(state: State) -> bool {
    !matches!(state, State::Bot | State::Closed)
}

/// What is looked for, made ready.
pub(super) struct Needle {
    words: Option<Finder<'static>>,
    openid: Option<Box<str>>,
    alias: Option<u16>,
}

impl Needle {
    pub(super) fn new(search: &Search) -> Self {
        let words = Some(search.words.as_bytes()).filter(|words| !words.is_empty());
        Self {
            words: words.map(|words| Finder::new(words).into_owned()),
            openid: search.openid.clone(),
            alias: search.alias,
        }
    }

    /// Whether it is found with this follower or these words.
    pub(super) fn is_in(&self, follower: &OpenId, words: &str) -> bool {
        let finder = self.words.as_ref();
        finder.is_some_and(|finder| finder.find(words.as_bytes()).is_some())
            || self
                .openid
                .as_ref()
                .is_some_and(|wanted| follower.as_str().starts_with(&**wanted))
            || self
                .alias
                .is_some_and(|alias| alias == follower.alias_number())
    }
}

/// All lists and figures.
#[derive(Default)]
pub(super) struct Desk {
    inner: Mutex<Inner>,
}

/// The conversations in one state, in each order.
#[derive(Default)]
struct Lists {
    newest: BTreeMap<Key, Listed>,
    pressing: BTreeMap<Key, Listed>,
}

/// A conversation in a list. Its words stand here: a search through all of them is quick because it locks none.
#[derive(Clone)]
struct Listed {
    seat: Arc<Seat>,
    words: Arc<str>,
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
        let words =
            |standing: Option<&Standing>| standing.map(|standing| Arc::clone(&standing.words));
        let (was, is) = (listed(old), listed(new));
        if was != is || words(old) != words(new) {
            if let Some((state, newest, pressing)) = was
                && let Some(lists) = inner.lists.get_mut(&state)
            {
                lists.newest.remove(&newest);
                lists.pressing.remove(&pressing);
            }
            if let Some((state, newest, pressing)) = is {
                let lists = inner.lists.entry(state).or_default();
                let listed = Listed {
                    seat: Arc::clone(seat),
                    words: words(new).unwrap_or_default(),
                };
                lists.newest.insert(newest, listed.clone());
                lists.pressing.insert(pressing, listed);
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

    /// Looks at the next few of those in this state that stand behind a place, and takes those that are looked for. The place
    /// of the last; `None` when there are no more. Ones that change meanwhile may be missed, or come again.
    pub(super) fn next(
        &self,
        state: State,
        order: Order,
        behind: Option<Key>,
        needle: Option<&Needle>,
        to: &mut Vec<(Option<Key>, Arc<Seat>)>,
    ) -> Option<Key> {
        let inner = self.inner.lock();
        let lists = inner.lists.get(&state)?;
        let list = match order {
            Order::Updated => &lists.newest,
            Order::Urgency => &lists.pressing,
        };
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        for (key, listed) in list.range((from, Bound::Unbounded)).take(BATCH) {
            last = Some(*key);
            if needle.is_none_or(|needle| needle.is_in(&listed.seat.follower, &listed.words)) {
                to.push((Some(*key), Arc::clone(&listed.seat)));
            }
        }
        last
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
