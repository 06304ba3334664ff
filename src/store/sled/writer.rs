//! Writes groups of entries to the disk on a thread of its own, and tells those who wait.
//! Owns: the order of writes, what is durable, what happens when the disk refuses. Uses: everything of the sled store. Never: decides an entry.
//!
//! One round: the group's records, the keys of earlier groups, some shelves of earlier groups, one flush and one sync. What
//! the last three say follows from entries that are durable already, and counts only once the sync returned.
//!
//! When the database refuses, groups go to the spill file and count as durable there; from time to time the database is opened
//! again, and gets them. When the spill file refuses as well, the group and all entries behind it are taken back.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::model::ConversationId;
use crate::store::{Error, Health};

use super::catalog;
use super::disk::Refused;
use super::journal::{Chunk, Reader};
use super::ledger::Pages;
use super::queue::{Group, Mark, Undo, Work};
use super::seats::{Known, Seat};
use super::settings::Settings;
use super::shared::Shared;
use super::shelves::Shelves;
use super::spill::Spill;

/// The longest wait between two attempts to open the database again: opening reads much of its log.
const RETRY_AT_MOST: Duration = Duration::from_secs(30);

/// The writing thread's own state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) spill: Spill,
    pub(super) shelves: Shelves,
    pub(super) pages: Pages,
    /// Erased followers whose records are still to be overwritten, oldest first.
    pub(super) wipes: VecDeque<Wipe>,
    /// The first number that is not in the database.
    pub(super) end: u64,
    /// The head as it is stored.
    pub(super) head: u64,
    checkpoint_after: u64,
    retry_after: Duration,
    trouble: Option<Trouble>,
}

/// Records to be overwritten.
pub(super) struct Wipe {
    /// The number of the entry that says so.
    pub(super) number: u64,
    pub(super) id: ConversationId,
    /// The conversation's last entry before it.
    pub(super) last: u64,
    pub(super) row: Option<u32>,
    pub(super) done: Option<oneshot::Sender<Result<(), Error>>>,
}

/// The database refuses.
struct Trouble {
    reason: Refused,
    retry_at: Instant,
    delay: Duration,
    /// Groups that are in the spill file only.
    spilled: Vec<Arc<Chunk>>,
}

impl Trouble {
    fn new(reason: Refused, delay: Duration) -> Self {
        let mut trouble = Self {
            reason,
            retry_at: Instant::now(),
            delay,
            spilled: Vec::new(),
        };
        trouble.wait();
        trouble
    }

    fn wait(&mut self) {
        // Several servers on one full disk do not all try at the same moment.
        let dice = ahash::RandomState::new().hash_one(self.retry_at) % 512;
        let jitter = 768 + u32::try_from(dice).unwrap_or(0);
        self.retry_at = Instant::now() + self.delay * jitter / 1024;
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        spill: Spill,
        shelves: Shelves,
        pages: Pages,
        end: u64,
        settings: &Settings,
    ) -> Self {
        Self {
            shared,
            spill,
            shelves,
            pages,
            wipes: VecDeque::new(),
            end,
            head: 0,
            checkpoint_after: settings.checkpoint_after,
            retry_after: settings.retry_after,
            trouble: None,
        }
    }

    /// Works until the queue is stopped, then writes everything down and lets go of the files.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let ended = catch_unwind(AssertUnwindSafe(|| while self.step() {}));
        if ended.is_err() {
            tracing::error!("the store's writing thread panicked");
            shared.set_health(Health::Failed("the writing thread panicked".into()));
        }
        shared.is_closed.store(true, Ordering::Relaxed);
        shared.queue.stop();
        // Whoever still waits hears that the store is closed.
        drop(shared.queue.take(None));
        shared.disk.close();
    }

    fn step(&mut self) -> bool {
        let retry_at = self.trouble.as_ref().map(|trouble| trouble.retry_at);
        let Work {
            group,
            jobs,
            is_checkpoint,
            is_last,
        } = self.shared.queue.take(retry_at);
        if retry_at.is_some_and(|at| is_last || at <= Instant::now()) {
            self.recover();
        }
        if let Some(group) = group {
            self.settle(group);
        }
        if is_checkpoint
            && self.trouble.is_none()
            && let Err(reason) = self.round(None, true)
        {
            self.fall_ill(reason);
        }
        for job in jobs {
            match &self.trouble {
                None => job(Ok(&self.shared.disk)),
                Some(trouble) => job(Err(Arc::clone(&trouble.reason))),
            }
        }
        self.wipe();
        if is_last
            && self.trouble.is_none()
            && let Err(reason) = self.round(None, true)
        {
            tracing::warn!(%reason, "the last checkpoint was not written; the next start reads more");
        }
        !is_last
    }

    /// Brings a group to the disk, or takes it back.
    fn settle(&mut self, group: Group) {
        if self.trouble.is_none() {
            match self.round(Some(&group.chunk), false) {
                Ok(()) => {
                    self.shared.queue.landed(self.end);
                    let group = self.acknowledge(group);
                    return self.shared.queue.reuse(group);
                }
                Err(reason) => self.fall_ill(reason),
            }
        }
        match self.spill.append(&group.chunk) {
            Ok(()) => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.spilled.push(Arc::clone(&group.chunk));
                    self.shared
                        .set_health(Health::Spilling(Arc::clone(&trouble.reason)));
                }
                self.acknowledge(group);
            }
            Err(reason) => self.take_back(group, &reason),
        }
    }

    /// Writes a group and, with it, some of what earlier groups led to; `all` of it at the end.
    fn round(&mut self, chunk: Option<&Chunk>, all: bool) -> Result<(), Refused> {
        let shared = Arc::clone(&self.shared);
        let disk = &shared.disk;
        if let Some(chunk) = chunk {
            chunk.write(disk)?;
        }
        if all {
            self.shelves.copy_all();
        }
        let next = chunk.map_or(self.end, |chunk| chunk.first);
        let end = chunk.map_or(self.end, Chunk::end);
        let is_shelved = self.shelves.write(disk, end)?;
        let mut keys = 0;
        if all || self.pages.is_due() {
            keys = self.pages.write(disk, all)?;
        }
        let head = self.head_after(next, keys, is_shelved);
        let is_ahead = head > self.head && (keys > 0 || is_shelved);
        if is_ahead {
            catalog::set_head(disk, head).map_err(|error| Refused::from(error.to_string()))?;
        }
        disk.sync()?;
        self.end = end;
        if is_ahead {
            self.head = head;
        }
        if keys > 0 {
            self.pages.written(keys, &shared.ledger);
        }
        if is_shelved {
            self.shelves.written();
        }
        // What these include is written with the next group at the latest.
        let entries = chunk.map_or(0, |chunk| chunk.starts.len());
        let until = self.end.saturating_sub(self.checkpoint_after);
        self.shelves.copy(until, entries);
        Ok(())
    }

    /// The oldest entry that only the journal knows, once these keys, and the copied shelves, are written.
    fn head_after(&self, next: u64, keys: usize, is_shelved: bool) -> u64 {
        let oldest = [
            self.pages.from(keys),
            self.shelves.from(is_shelved),
            self.wipes.front().map(|wipe| wipe.number),
        ];
        oldest.into_iter().flatten().fold(next, u64::min)
    }

    /// The group's entries are durable.
    fn acknowledge(&mut self, mut group: Group) -> Group {
        for (number, mark) in (group.chunk.first..).zip(group.marks.drain(..)) {
            let Mark {
                seat,
                undo,
                prev,
                key,
                is_running,
                at,
                done,
            } = mark;
            if let Some(key) = key {
                if is_running {
                    seat.live.lock().lane.leave(key, true);
                }
                self.pages.push(key, number, at);
            }
            let row = self.row(&seat);
            self.shelves.touch(row, number);
            match undo {
                Undo::Return(conversation) => self.wipes.push_back(Wipe {
                    number,
                    id: conversation.id,
                    last: prev,
                    row: Some(row),
                    done,
                }),
                Undo::Keep | Undo::Restore(_) => {
                    if let Some(done) = done {
                        // Nobody may wait any more; the entry stays.
                        let _gone = done.send(Ok(()));
                    }
                }
            }
        }
        group
    }

    fn row(&mut self, seat: &Arc<Seat>) -> u32 {
        seat.row().unwrap_or_else(|| {
            let row = self.shelves.free_row();
            self.shelves.seat(row, seat);
            row
        })
    }

    /// Neither database nor spill file took a group: it and everything behind it never happened.
    fn take_back(&mut self, group: Group, reason: &Refused) {
        tracing::error!(%reason, "nothing can be written");
        self.shared.set_health(Health::Failed(Arc::clone(reason)));
        let behind = self.shared.queue.take_back(&group.chunk, reason);
        let mut undone = Vec::new();
        for group in behind.into_iter().chain([group]) {
            let numbers = (group.chunk.first..group.chunk.end()).rev();
            for (number, mut mark) in numbers.zip(group.marks.into_iter().rev()) {
                self.undo(&mut mark, number);
                undone.push(mark);
            }
        }
        self.shelves.forget_copies();
        self.shared.queue.resume();
        for mark in undone.into_iter().rev() {
            if mark.is_running
                && let Some(key) = mark.key
            {
                mark.seat.live.lock().lane.leave(key, false);
            }
            self.shared.seats.vacate(&mark.seat);
            if let Some(done) = mark.done {
                let _gone = done.send(Err(Error::Unwritable(Arc::clone(reason))));
            }
        }
    }

    fn undo(&self, mark: &mut Mark, number: u64) {
        let seats = &self.shared.seats;
        let mut live = mark.seat.live.lock();
        if let Some(key) = mark.key {
            self.shared.ledger.remove(key, number);
        }
        let before = match std::mem::replace(&mut mark.undo, Undo::Keep) {
            Undo::Keep => {
                live.last = mark.prev;
                return;
            }
            Undo::Restore(before) => before,
            Undo::Return(before) => Some(before),
        };
        let known = Known::of(live.conversation.as_deref());
        seats.put(&mark.seat, &mut live, known, before, mark.prev);
    }

    fn fall_ill(&mut self, reason: Refused) {
        tracing::error!(%reason, "the database refuses; messages go to the spill file");
        self.trouble = Some(Trouble::new(reason, self.retry_after));
    }

    /// Tries whether the database takes writes again.
    fn recover(&mut self) {
        let Some(mut trouble) = self.trouble.take() else {
            return;
        };
        if let Err(reason) = self.restore(&trouble.spilled) {
            tracing::warn!(%reason, "the database still refuses");
            trouble.reason = reason;
            trouble.delay = (trouble.delay * 2).min(RETRY_AT_MOST);
            trouble.wait();
            self.trouble = Some(trouble);
            return;
        }
        tracing::info!("the database is back");
        self.shared.set_health(Health::Good);
        if let Err(error) = self.spill.clear() {
            // What it holds is in the database, and a start recognises that.
            tracing::warn!(%error, "the spill file cannot be cleared");
        }
    }

    fn restore(&mut self, spilled: &[Arc<Chunk>]) -> Result<(), Refused> {
        let disk = &self.shared.disk;
        disk.reopen()?;
        // A group that was refused may be there in part.
        Reader::new(disk)
            .cut(self.end)
            .map_err(|error| Refused::from(error.to_string()))?;
        for chunk in spilled {
            chunk.write(disk)?;
        }
        disk.sync()?;
        self.end = spilled.last().map_or(self.end, |chunk| chunk.end());
        self.shared.queue.landed(self.end);
        Ok(())
    }

    /// Overwrites what erased followers said. When that fails it is tried again; they are gone all the same.
    fn wipe(&mut self) {
        while self.trouble.is_none()
            && let Some(wipe) = self.wipes.front()
        {
            let (last, row, id) = (wipe.last, wipe.row, wipe.id);
            match self.wipe_one(last, row, id) {
                Ok(()) => {
                    if let Some(wipe) = self.wipes.pop_front() {
                        self.vacate(wipe);
                    }
                }
                Err(Error::Unwritable(reason)) => self.fall_ill(reason),
                Err(error) => {
                    tracing::error!(%error, "an erased follower's messages cannot be overwritten");
                    self.wipes.pop_front();
                }
            }
        }
        for wipe in &mut self.wipes {
            if let Some(done) = wipe.done.take() {
                let _gone = done.send(Ok(()));
            }
        }
    }

    fn wipe_one(&mut self, last: u64, row: Option<u32>, id: ConversationId) -> Result<(), Error> {
        let disk = &self.shared.disk;
        Reader::new(disk).erase_chain(last)?;
        if let Some(row) = row {
            self.shelves.strike(disk, row, id)?;
        }
        self.shared.note_unclean()?;
        disk.sync().map_err(Error::Unwritable)
    }

    fn vacate(&mut self, wipe: Wipe) {
        if let Some(seat) = wipe.row.and_then(|row| self.shelves.vacate(row)) {
            self.shared.seats.vacate(&seat);
        }
        if let Some(done) = wipe.done {
            let _gone = done.send(Ok(()));
        }
    }
}
