//! Keeps every conversation in memory, found by follower or by id.
//! Owns: the tables of seats, the counts per state and person, which push and which alarm is next. Uses: lanes, schedule, desk, feed. Never: the disk.
//!
//! Locks are taken in this order: a seat, then a table, the counts, the outbox, the desk or the feed. None of theirs is
//! held while a seat is being locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ahash::RandomState;
use arc_swap::ArcSwapOption;
use hashbrown::{HashMap, HashTable};
use parking_lot::Mutex;

use crate::model::entry::Priority;
use crate::model::{AccountName, AgentName, Conversation, ConversationId, OpenId, State, Time};
use crate::store::{AlarmOf, DeskFigures, WordsOf};

use super::desk::{Desk, Standing, is_listed};
use super::feed::Feed;
use super::lanes::Lane;
use super::schedule::{Alarm, Due, Schedule};
use super::trays::Trays;

const SHARDS: usize = 64;
const NO_ROW: u32 = u32::MAX;

/// One follower's place in memory.
pub(super) struct Seat {
    pub(super) account: AccountName,
    pub(super) follower: OpenId,
    /// Where the writer keeps it; the writer's own.
    row: AtomicU32,
    /// State and time of the last change, to be seen without a lock.
    glance: AtomicU64,
    pub(super) live: Mutex<Live>,
}

impl Seat {
    pub(super) fn row(&self) -> Option<u32> {
        Some(self.row.load(Ordering::Relaxed)).filter(|row| *row != NO_ROW)
    }

    pub(super) fn glance(&self) -> Option<Glance> {
        Glance::unpack(self.glance.load(Ordering::Relaxed))
    }

    pub(super) fn set_row(&self, row: Option<u32>) {
        self.row.store(row.unwrap_or(NO_ROW), Ordering::Relaxed);
    }
}

/// What can be seen of a conversation without a lock. It may have changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) state: State,
    pub(super) updated_at: Time,
}

impl Glance {
    /// The time in the upper bits, the state's place in [`State::ALL`], from 1, in the lower four; 0 for nobody.
    fn pack(conversation: Option<&Conversation>) -> u64 {
        let Some(conversation) = conversation else {
            return 0;
        };
        let states = State::ALL.iter();
        let place = states
            .map(|(state, _)| *state)
            .position(|state| state == conversation.state);
        let place = place.and_then(|place| u64::try_from(place + 1).ok());
        let time = u64::try_from(conversation.updated_at.millis()).unwrap_or(0);
        time << 4 | place.unwrap_or(0)
    }

    fn unpack(packed: u64) -> Option<Self> {
        let place = usize::try_from(packed & 0xF).ok()?.checked_sub(1)?;
        Some(Self {
            state: State::ALL.get(place)?.0,
            updated_at: Time::from_millis(i64::try_from(packed >> 4).ok()?),
        })
    }
}

/// What changes in a seat.
#[derive(Default)]
pub(super) struct Live {
    /// The conversation after the newest entry, which may not be on disk yet.
    pub(super) conversation: Option<Arc<Conversation>>,
    /// That entry's number; 0 for none.
    pub(super) last: u64,
    pub(super) lane: Lane,
    /// What the outbox knows of this conversation.
    due: Option<Due>,
    /// What the alarms know of it.
    alarm: Option<Alarm>,
    /// What the desk knows of it; nothing of those that rules alone answer.
    standing: Option<Box<Standing>>,
    /// The seat was given up: look again.
    pub(super) is_gone: bool,
}

/// What the tables know of a conversation.
#[derive(Clone)]
pub(super) struct Known {
    id: Option<ConversationId>,
    state: Option<(State, Priority)>,
    version: u64,
    /// Who has to answer it.
    burdened: Option<AgentName>,
}

impl Known {
    pub(super) fn of(conversation: Option<&Conversation>) -> Self {
        Self {
            id: conversation.map(|conversation| conversation.id),
            state: conversation.map(|conversation| (conversation.state, conversation.priority)),
            version: conversation.map_or(0, |conversation| conversation.version),
            burdened: conversation
                .filter(|conversation| conversation.state == State::Assigned)
                .and_then(|conversation| conversation.owner.clone()),
        }
    }

    fn is_of_people(&self) -> bool {
        self.state.is_some_and(|(state, _)| is_listed(state))
    }
}

/// All seats.
pub(super) struct Seats {
    hasher: RandomState,
    followers: Vec<Mutex<HashTable<Arc<Seat>>>>,
    ids: Vec<Mutex<HashMap<ConversationId, Arc<Seat>, RandomState>>>,
    counts: Mutex<HashMap<(AccountName, State, Priority), usize, RandomState>>,
    loads: Mutex<HashMap<AgentName, usize, RandomState>>,
    pub(super) outbox: Trays,
    pub(super) alarms: Schedule<Alarm>,
    /// When something happens to a conversation by itself.
    alarm_of: ArcSwapOption<AlarmOf>,
    /// By which words conversations are found.
    words_of: ArcSwapOption<WordsOf>,
    pub(super) desk: Desk,
    pub(super) feed: Feed,
}

impl Seats {
    pub(super) fn new() -> Self {
        let hasher = RandomState::new();
        let ids = || Mutex::new(HashMap::with_hasher(hasher.clone()));
        Self {
            followers: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            ids: std::iter::repeat_with(ids).take(SHARDS).collect(),
            counts: Mutex::new(HashMap::with_hasher(hasher.clone())),
            loads: Mutex::new(HashMap::with_hasher(hasher.clone())),
            outbox: Trays::default(),
            alarms: Schedule::default(),
            alarm_of: ArcSwapOption::empty(),
            words_of: ArcSwapOption::empty(),
            desk: Desk::default(),
            feed: Feed::new(),
            hasher,
        }
    }

    fn hash(&self, account: &AccountName, follower: &OpenId) -> u64 {
        self.hasher.hash_one((account.as_str(), follower.as_str()))
    }

    fn table(&self, hash: u64) -> &Mutex<HashTable<Arc<Seat>>> {
        shard(&self.followers, hash)
    }

    fn id_table(
        &self,
        id: ConversationId,
    ) -> &Mutex<HashMap<ConversationId, Arc<Seat>, RandomState>> {
        shard(&self.ids, self.hasher.hash_one(id))
    }

    /// A follower's seat, made if there is none.
    pub(super) fn take(&self, account: &AccountName, follower: &OpenId) -> Arc<Seat> {
        let hash = self.hash(account, follower);
        let is_it = |seat: &Arc<Seat>| seat.follower == *follower && seat.account == *account;
        let rehash = |seat: &Arc<Seat>| self.hash(&seat.account, &seat.follower);
        let mut table = self.table(hash).lock();
        let entry = table.entry(hash, is_it, rehash).or_insert_with(|| {
            Arc::new(Seat {
                account: account.clone(),
                follower: follower.clone(),
                row: AtomicU32::new(NO_ROW),
                glance: AtomicU64::new(0),
                live: Mutex::default(),
            })
        });
        Arc::clone(entry.get())
    }

    /// A follower's seat, if there is one.
    pub(super) fn find(&self, account: &AccountName, follower: &OpenId) -> Option<Arc<Seat>> {
        let hash = self.hash(account, follower);
        let is_it = |seat: &Arc<Seat>| seat.follower == *follower && seat.account == *account;
        self.table(hash).lock().find(hash, is_it).cloned()
    }

    /// A conversation's seat. Whoever locks it makes sure that the conversation is still there.
    pub(super) fn of(&self, id: ConversationId) -> Option<Arc<Seat>> {
        self.id_table(id).lock().get(&id).cloned()
    }

    /// Gives a seat up if nothing is known of its follower and nobody runs or waits there.
    pub(super) fn vacate(&self, seat: &Arc<Seat>) {
        {
            let mut live = seat.live.lock();
            if live.conversation.is_some() || seat.row().is_some() || !live.lane.is_idle() {
                return;
            }
            live.is_gone = true;
        }
        self.forget(seat);
    }

    /// Removes a seat that was given up.
    pub(super) fn forget(&self, seat: &Arc<Seat>) {
        let hash = self.hash(&seat.account, &seat.follower);
        let mut table = self.table(hash).lock();
        if let Ok(entry) = table.find_entry(hash, |known| Arc::ptr_eq(known, seat)) {
            entry.remove();
        }
    }

    /// Makes a conversation what it is now, and everything that is derived from it.
    pub(super) fn put(
        &self,
        seat: &Arc<Seat>,
        live: &mut Live,
        before: Known,
        next: Option<Arc<Conversation>>,
        last: u64,
    ) {
        let after = Known::of(next.as_deref());
        let due = next.as_deref().and_then(Due::of);
        let words = self.words_of.load();
        let standing = next
            .as_deref()
            .and_then(|next| Standing::of(next, words.as_deref()));
        let glance = Glance::pack(next.as_deref());
        seat.glance.store(glance, Ordering::Relaxed);
        live.conversation = next;
        live.last = last;
        self.count(&seat.account, before.state, after.state);
        let is_of_people = before.is_of_people() || after.is_of_people();
        self.burden(before.burdened, after.burdened);
        if before.id != after.id {
            if let Some(id) = before.id {
                self.id_table(id).lock().remove(&id);
            }
            if let Some(id) = after.id {
                self.id_table(id).lock().insert(id, Arc::clone(seat));
            }
        }
        if due != live.due {
            self.outbox.replace(live.due, due, seat);
            live.due = due;
        }
        if live.standing.is_some() || standing.is_some() {
            self.desk
                .replace(live.standing.as_deref(), standing.as_ref(), seat);
            live.standing = standing.map(Box::new);
        }
        if let Some(id) = after.id.or(before.id) {
            let version = after.id.map_or(before.version + 1, |_| after.version);
            self.feed.push(&seat.account, id, version, is_of_people);
        }
        self.alarm(seat, live);
    }

    /// Looks when something happens to a conversation by itself.
    fn alarm(&self, seat: &Arc<Seat>, live: &mut Live) {
        let alarm_of = self.alarm_of.load();
        let alarm = live.conversation.as_ref().and_then(|known| {
            let at = alarm_of.as_ref()?(known)?;
            let conversation = known.id;
            Some(Alarm { at, conversation })
        });
        if alarm != live.alarm {
            self.alarms.replace(live.alarm, alarm, seat);
            live.alarm = alarm;
        }
    }

    /// See [`crate::store::Store::set_alarms`].
    pub(super) fn set_alarms(&self, alarm_of: AlarmOf) {
        self.alarm_of.store(Some(Arc::new(alarm_of)));
        let mut seats = Vec::new();
        for table in &self.followers {
            seats.extend(table.lock().iter().cloned());
            for seat in seats.drain(..) {
                self.alarm(&seat, &mut seat.live.lock());
            }
        }
    }

    /// See [`crate::store::Store::set_words`].
    pub(super) fn set_words(&self, words_of: WordsOf) {
        let words_of = Arc::new(words_of);
        self.words_of.store(Some(Arc::clone(&words_of)));
        let mut seats = Vec::new();
        for table in &self.followers {
            seats.extend(table.lock().iter().cloned());
            for seat in seats.drain(..) {
                let mut live = seat.live.lock();
                let known = live.conversation.as_deref();
                let standing = known.and_then(|known| Standing::of(known, Some(&words_of)));
                self.desk
                    .replace(live.standing.as_deref(), standing.as_ref(), &seat);
                live.standing = standing.map(Box::new);
            }
        }
    }

    /// By which words conversations are found, if anybody said that.
    pub(super) fn words_of(&self) -> Option<Arc<WordsOf>> {
        self.words_of.load_full()
    }

    /// See [`crate::store::Store::due`].
    pub(super) fn alarmed(&self, now: Time, limit: usize) -> Vec<Arc<Conversation>> {
        let seats = self.alarms.due(now, limit);
        let known = seats
            .iter()
            .filter_map(|seat| seat.live.lock().conversation.clone());
        known.collect()
    }

    fn burden(&self, before: Option<AgentName>, after: Option<AgentName>) {
        if before == after {
            return;
        }
        let mut loads = self.loads.lock();
        if let Some(before) = before
            && let Some(load) = loads.get_mut(&before)
        {
            *load = load.saturating_sub(1);
            if *load == 0 {
                loads.remove(&before);
            }
        }
        if let Some(after) = after {
            *loads.entry(after).or_default() += 1;
        }
    }

    /// See [`crate::store::Store::load`].
    pub(super) fn load(&self, agent: &AgentName) -> usize {
        self.loads.lock().get(agent).copied().unwrap_or_default()
    }

    fn count(
        &self,
        account: &AccountName,
        before: Option<(State, Priority)>,
        after: Option<(State, Priority)>,
    ) {
        if before == after {
            return;
        }
        let mut counts = self.counts.lock();
        if let Some((state, priority)) = before
            && let Some(count) = counts.get_mut(&(account.clone(), state, priority))
        {
            *count = count.saturating_sub(1);
        }
        if let Some((state, priority)) = after {
            let count = counts.entry((account.clone(), state, priority));
            *count.or_default() += 1;
        }
    }

    /// How many conversations are in each state, by account and in the order of the states.
    pub(super) fn counts(&self) -> Vec<(AccountName, State, usize)> {
        let mut list: Vec<(AccountName, State, usize)> = Vec::new();
        for (account, state, _, count) in self.counted() {
            match list.last_mut() {
                Some((same, of, sum)) if *same == account && *of == state => *sum += count,
                _ => list.push((account, state, count)),
            }
        }
        list
    }

    fn counted(&self) -> Vec<(AccountName, State, Priority, usize)> {
        let counts = self.counts.lock();
        let counted = counts.iter().filter(|(_, count)| **count > 0);
        let mut list: Vec<_> = counted
            .map(|((account, state, priority), count)| (account.clone(), *state, *priority, *count))
            .collect();
        drop(counts);
        let rank = |state: State| State::ALL.iter().position(|(known, _)| *known == state);
        list.sort_by(|(a, x, p, _), (b, y, q, _)| {
            a.cmp(b).then(rank(*x).cmp(&rank(*y))).then(p.cmp(q))
        });
        list
    }

    /// See [`crate::store::Store::desk`].
    pub(super) fn figures(&self, now: Time) -> Vec<DeskFigures> {
        let mut all: Vec<DeskFigures> = Vec::new();
        for (account, state, priority, count) in self.counted() {
            let count = (state, priority, count);
            match all.last_mut() {
                Some(figures) if figures.account == account => figures.counts.push(count),
                _ => all.push(DeskFigures {
                    counts: vec![count],
                    ..self.desk.figures(account, now)
                }),
            }
        }
        all
    }

    /// Shows the seats of one table; `false` when there are not so many tables.
    pub(super) fn table_into(&self, table: usize, each: impl FnMut(&Arc<Seat>)) -> bool {
        let table = self.followers.get(table);
        if let Some(table) = table {
            table.lock().iter().for_each(each);
        }
        table.is_some()
    }

    /// Shows every conversation once; ones that change meanwhile are shown before or after the change.
    pub(super) fn each(&self, mut each: impl FnMut(&Arc<Conversation>)) {
        let mut seats = Vec::new();
        for table in &self.followers {
            seats.extend(table.lock().iter().cloned());
            for seat in seats.drain(..) {
                if let Some(conversation) = &seat.live.lock().conversation {
                    each(conversation);
                }
            }
        }
    }
}

fn shard<T>(shards: &[T], hash: u64) -> &T {
    // The tables use a hash's low and top bits themselves.
    let [_, _, byte, ..] = hash.to_be_bytes();
    shards
        .get(usize::from(byte) % SHARDS)
        .expect("there are SHARDS shards")
}
