//! Writes conversations down from time to time, so that a start need not read the whole journal.
//! Owns: which conversation stands where, what changed since it was written. Uses: journal's format, seats. Never: entries.
//!
//! A few conversations share a shelf, and a shelf is one stored value. Shelves are written in the order of their first change,
//! a few with each group, so the journal has to be read only from the oldest change that is on no shelf. A shelf may be
//! newer than that: each conversation says which entry it includes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{Conversation, ConversationId};
use crate::store::Error;

use super::disk::{Disk, Map, Refused};
use super::format::{FORMAT, Format, encode_into, opened_as, unreadable};
use super::journal::PART_BYTES;
use super::seats::Seat;

/// Conversations on one shelf: about 2 KiB.
const ROWS: usize = 4;
/// The fewest shelves written with a group when some are due.
const SLICE: usize = 16;

/// Where each conversation stands. The writer's own.
#[derive(Default)]
pub(super) struct Shelves {
    rows: Vec<Option<Arc<Seat>>>,
    free: Vec<u32>,
    shelves: Vec<Shelf>,
    /// Changed shelves with the number of the first change, oldest first.
    dirty: VecDeque<(usize, u64)>,
    /// Copies of the first of them, to be written as soon as all they include is in the journal.
    copies: Vec<Copy>,
}

/// A shelf as it was at some moment.
struct Copy {
    shelf: usize,
    /// Its first change since it was last written.
    first: u64,
    /// With the number of the last entry that each includes.
    conversations: Vec<(u64, Arc<Conversation>)>,
}

#[derive(Clone, Default)]
struct Shelf {
    is_dirty: bool,
    /// Stored values it takes at most; values beyond the last written are removed with it.
    parts: u16,
}

fn rows_of(shelf: usize) -> std::ops::Range<u32> {
    let row = |shelf: usize| u32::try_from(shelf * ROWS).unwrap_or(u32::MAX);
    row(shelf)..row(shelf + 1)
}

fn shelf_of(row: u32) -> usize {
    usize::try_from(row).map_or(usize::MAX, |row| row / ROWS)
}

impl Shelves {
    /// Reads all shelves; shows every conversation with its row and the number of the last entry it includes.
    pub(super) fn load(
        disk: &Disk,
        mut each: impl FnMut(u32, u64, Conversation),
    ) -> Result<Self, Error> {
        let mut shelves = Self::default();
        let mut gathered: Option<(usize, u16, Written)> = None;
        let mut fill = |(shelf, parts, written): (usize, u16, Written)| {
            shelves.grow(shelf);
            if let Some(shelf) = shelves.shelves.get_mut(shelf) {
                shelf.parts = parts;
            }
            let mut rows = rows_of(shelf);
            for (last, conversation) in written.read()? {
                let row = rows
                    .next()
                    .ok_or_else(|| unreadable("a shelf", &"too full"))?;
                each(row, last, conversation);
            }
            shelves.free.extend(rows);
            Ok(())
        };
        disk.scan(Map::Shelves, &[], |key, value| {
            let (shelf, part) = read_key(key)?;
            match gathered.as_mut().filter(|(same, ..)| *same == shelf) {
                Some((_, parts, whole)) if part == *parts => {
                    *parts += 1;
                    whole.add(value)
                }
                Some(_) => Err(unreadable("a shelf", &"a part is missing")),
                None => {
                    let mut whole = Written::default();
                    whole.add(value)?;
                    gathered
                        .replace((shelf, 1, whole))
                        .map_or(Ok(()), &mut fill)
                }
            }
        })?;
        gathered.map_or(Ok(()), fill)?;
        Ok(shelves)
    }

    fn grow(&mut self, shelf: usize) {
        if self.shelves.len() <= shelf {
            self.shelves.resize(shelf + 1, Shelf::default());
            self.rows.resize((shelf + 1) * ROWS, None);
        }
    }

    /// A free row.
    pub(super) fn free_row(&mut self) -> u32 {
        if self.free.is_empty() {
            let shelf = self.shelves.len();
            self.grow(shelf);
            self.free.extend(rows_of(shelf).rev());
        }
        self.free.pop().unwrap_or(u32::MAX)
    }

    /// Gives a row to a seat.
    pub(super) fn seat(&mut self, row: u32, seat: &Arc<Seat>) {
        seat.set_row(Some(row));
        if let Some(row) = self.row_mut(row) {
            *row = Some(Arc::clone(seat));
        }
    }

    /// Frees the row of an erased follower, unless they came back; returns the seat.
    pub(super) fn vacate(&mut self, row: u32) -> Option<Arc<Seat>> {
        let place = self.row_mut(row)?;
        let is_back = |seat: &Arc<Seat>| seat.live.lock().conversation.is_some();
        if place.as_ref().is_some_and(is_back) {
            return None;
        }
        let seat = place.take();
        self.free.push(row);
        seat.inspect(|seat| seat.set_row(None))
    }

    fn row_mut(&mut self, row: u32) -> Option<&mut Option<Arc<Seat>>> {
        self.rows.get_mut(usize::try_from(row).ok()?)
    }

    /// The conversation in this row changed with this entry.
    pub(super) fn touch(&mut self, row: u32, number: u64) {
        let index = shelf_of(row);
        if let Some(shelf) = self.shelves.get_mut(index)
            && !std::mem::replace(&mut shelf.is_dirty, true)
        {
            self.dirty.push_back((index, number));
        }
    }

    /// The oldest change that is on no shelf, once the copies are written if `is_written`.
    pub(super) fn from(&self, is_written: bool) -> Option<u64> {
        let copied = self.copies.first().filter(|_| !is_written);
        let dirty = self.dirty.front().map(|(_, first)| *first);
        copied.map(|copy| copy.first).into_iter().chain(dirty).min()
    }

    /// Copies shelves that are to be written soon: those that changed before the entry `until`, when `entries` are written
    /// with them.
    pub(super) fn copy(&mut self, until: u64, entries: usize) {
        if self.copies.is_empty() {
            let due = self.dirty.iter().take(SLICE.max(entries));
            let due = due.take_while(|(_, first)| *first < until).count();
            self.copy_first(due);
        }
    }

    /// Copies every shelf that changed.
    pub(super) fn copy_all(&mut self) {
        self.copy_first(self.dirty.len());
    }

    fn copy_first(&mut self, count: usize) {
        for (index, first) in self.dirty.drain(..count).collect::<Vec<_>>() {
            if let Some(shelf) = self.shelves.get_mut(index) {
                shelf.is_dirty = false;
            }
            let copy = self.copy_of(index, first);
            self.copies.push(copy);
        }
    }

    fn copy_of(&self, shelf: usize, first: u64) -> Copy {
        let from = shelf * ROWS;
        let seats = self.rows.get(from..from + ROWS).unwrap_or_default();
        let copied = seats.iter().flatten().filter_map(|seat| {
            let live = seat.live.lock();
            Some((live.last, live.conversation.clone()?))
        });
        Copy {
            shelf,
            first,
            conversations: copied.collect(),
        }
    }

    /// Writes the copies if all they include comes before `end`; `false` if not. They stay until [`Shelves::written`].
    pub(super) fn write(&mut self, disk: &Disk, end: u64) -> Result<bool, Refused> {
        let is_ready = |copy: &Copy| copy.conversations.iter().all(|(last, _)| *last < end);
        if self.copies.is_empty() || !self.copies.iter().all(is_ready) {
            return Ok(false);
        }
        let copies = std::mem::take(&mut self.copies);
        let written = copies.iter().try_for_each(|copy| {
            let conversations = copy.conversations.iter();
            let conversations = conversations.map(|(last, conversation)| (*last, &**conversation));
            self.write_shelf(disk, copy.shelf, conversations)
        });
        self.copies = copies;
        written.map(|()| true)
    }

    /// The copies are durable.
    pub(super) fn written(&mut self) {
        self.copies.clear();
    }

    /// Copies again later: some of what the copies include was taken back.
    pub(super) fn forget_copies(&mut self) {
        for copy in std::mem::take(&mut self.copies).into_iter().rev() {
            self.dirty.retain(|(shelf, _)| *shelf != copy.shelf);
            self.dirty.push_front((copy.shelf, copy.first));
            if let Some(shelf) = self.shelves.get_mut(copy.shelf) {
                shelf.is_dirty = true;
            }
        }
    }

    /// Takes an erased conversation off its shelf. The others there stay as they were written.
    pub(super) fn strike(
        &mut self,
        disk: &Disk,
        row: u32,
        id: ConversationId,
    ) -> Result<(), Error> {
        for copy in &mut self.copies {
            copy.conversations
                .retain(|(_, conversation)| conversation.id != id);
        }
        let shelf = shelf_of(row);
        let mut written = Written::default();
        for part in 0..self.shelves.get(shelf).map_or(0, |shelf| shelf.parts) {
            if let Some(value) = disk.find(Map::Shelves, &key(shelf, part))? {
                written.add(&value)?;
            }
        }
        let mut others = written.read()?;
        others.retain(|(_, conversation)| conversation.id != id);
        let others = others
            .iter()
            .map(|(last, conversation)| (*last, conversation));
        self.write_shelf(disk, shelf, others)
            .map_err(Error::Unwritable)
    }

    fn write_shelf<'a>(
        &mut self,
        disk: &Disk,
        index: usize,
        conversations: impl Iterator<Item = (u64, &'a Conversation)>,
    ) -> Result<(), Refused> {
        let mut bytes = Vec::new();
        for conversation in conversations {
            bytes = encode_into(&conversation, bytes)
                .map_err(|error| Refused::from(error.to_string()))?;
        }
        // An empty shelf keeps its one, empty, value.
        let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
        let wanted = u16::try_from(parts.len().max(1)).unwrap_or(u16::MAX);
        let Some(shelf) = self.shelves.get_mut(index) else {
            return Ok(());
        };
        shelf.parts = shelf.parts.max(wanted);
        let value = |part: u16| {
            let bytes = parts.get(usize::from(part)).copied().unwrap_or_default();
            [&[FORMAT], bytes].concat()
        };
        if shelf.parts == 1 {
            return disk.insert(Map::Shelves, &key(index, 0), value(0));
        }
        let edits = (0..shelf.parts)
            .map(|part| (key(index, part), (part < wanted).then(|| value(part))))
            .collect();
        disk.change(Map::Shelves, edits)
    }
}

/// A shelf as it is stored: all parts are of one format, being written together.
#[derive(Default)]
struct Written {
    format: Format,
    bytes: Vec<u8>,
}

impl Written {
    /// Adds the next part.
    fn add(&mut self, value: &[u8]) -> Result<(), Error> {
        let (format, bytes) = opened_as(value, "a shelf")?;
        self.format = format;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self) -> Result<Vec<(u64, Conversation)>, Error> {
        let mut conversations = Vec::new();
        let mut bytes = self.bytes.as_slice();
        while !bytes.is_empty() {
            let read = self.format.conversation(bytes);
            let (conversation, rest) = read.map_err(|error| unreadable("a shelf", &error))?;
            conversations.push(conversation);
            bytes = rest;
        }
        Ok(conversations)
    }
}

fn key(shelf: usize, part: u16) -> Vec<u8> {
    let shelf = u32::try_from(shelf).unwrap_or(u32::MAX);
    [&shelf.to_be_bytes()[..], &part.to_be_bytes()].concat()
}

fn read_key(key: &[u8]) -> Result<(usize, u16), Error> {
    let bad = || unreadable("a shelf's key", &"torn");
    let (shelf, part) = key.split_first_chunk().ok_or_else(bad)?;
    let part = part.try_into().map_err(|_wrong_length| bad())?;
    let shelf = usize::try_from(u32::from_be_bytes(*shelf)).map_err(|_too_large| bad())?;
    Ok((shelf, u16::from_be_bytes(part)))
}
