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
use super::journal::{FORMAT, PART_BYTES, encode_into, opened, unreadable};
use super::seats::Seat;

/// Conversations on one shelf: about 2 KiB.
const ROWS: usize = 4;
/// How many entries a start may have to read again: some 0.2 s.
const REPLAY_LIMIT: u64 = 1 << 17;
/// The fewest shelves written with a group when some are due.
const SLICE: usize = 16;

/// Conversations as the disk knows them. The writer's own.
#[derive(Default)]
pub(super) struct Shelves {
    rows: Vec<Row>,
    free: Vec<u32>,
    shelves: Vec<Shelf>,
    /// Changed shelves with the number of the first change, oldest first.
    dirty: VecDeque<(usize, u64)>,
}

#[derive(Default)]
struct Row {
    seat: Option<Arc<Seat>>,
    image: Option<Arc<Conversation>>,
    last: u64,
}

#[derive(Clone, Default)]
struct Shelf {
    is_dirty: bool,
    /// Stored values it takes at most; values beyond the last written are removed with it.
    parts: u16,
}

fn shelf_of(row: u32) -> usize {
    usize::try_from(row).map_or(usize::MAX, |row| row / ROWS)
}

impl Shelves {
    /// Reads all shelves.
    pub(super) fn load(disk: &Disk) -> Result<Self, Error> {
        let mut shelves = Self::default();
        let mut gathered: Option<(usize, u16, Vec<u8>)> = None;
        disk.scan(Map::Shelves, &[], |key, value| {
            let (shelf, part) = read_key(key)?;
            let bytes = opened(value, "a shelf")?;
            match gathered.as_mut().filter(|(same, ..)| *same == shelf) {
                Some((_, parts, whole)) if part == *parts => {
                    *parts += 1;
                    whole.extend_from_slice(bytes);
                    Ok(())
                }
                Some(_) => Err(unreadable("a shelf", &"a part is missing")),
                None => match gathered.replace((shelf, 1, bytes.to_vec())) {
                    Some((shelf, parts, whole)) => shelves.fill(shelf, parts, &whole),
                    None => Ok(()),
                },
            }
        })?;
        if let Some((shelf, parts, whole)) = gathered {
            shelves.fill(shelf, parts, &whole)?;
        }
        shelves.free = (0..)
            .zip(&shelves.rows)
            .filter(|(_, row)| row.image.is_none())
            .map(|(row, _)| row)
            .collect();
        Ok(shelves)
    }

    fn fill(&mut self, shelf: usize, parts: u16, mut bytes: &[u8]) -> Result<(), Error> {
        self.grow(shelf);
        if let Some(shelf) = self.shelves.get_mut(shelf) {
            shelf.parts = parts;
        }
        let mut row = shelf * ROWS;
        while !bytes.is_empty() {
            let ((last, conversation), rest) =
                postcard::take_from_bytes::<(u64, Conversation)>(bytes)
                    .map_err(|error| unreadable("a shelf", &error))?;
            let place = self.rows.get_mut(row);
            let place = place.ok_or_else(|| unreadable("a shelf", &"too full"))?;
            place.image = Some(Arc::new(conversation));
            place.last = last;
            row += 1;
            bytes = rest;
        }
        Ok(())
    }

    fn grow(&mut self, shelf: usize) {
        if self.shelves.len() <= shelf {
            self.shelves.resize(shelf + 1, Shelf::default());
            self.rows.resize_with((shelf + 1) * ROWS, Row::default);
        }
    }

    /// Every conversation with its row and the number of its last entry.
    pub(super) fn conversations(&self) -> impl Iterator<Item = (u32, &Arc<Conversation>, u64)> {
        (0..)
            .zip(&self.rows)
            .filter_map(|(index, row)| Some((index, row.image.as_ref()?, row.last)))
    }

    /// A free row.
    pub(super) fn free_row(&mut self) -> u32 {
        if self.free.is_empty() {
            let shelf = self.shelves.len();
            self.grow(shelf);
            let first = u32::try_from(shelf * ROWS).unwrap_or(u32::MAX);
            self.free.extend((0..4).rev().map(|row| first + row));
        }
        self.free.pop().unwrap_or(u32::MAX)
    }

    fn row_mut(&mut self, row: u32) -> Option<&mut Row> {
        self.rows.get_mut(usize::try_from(row).ok()?)
    }

    fn row(&self, row: u32) -> Option<&Row> {
        self.rows.get(usize::try_from(row).ok()?)
    }

    /// Gives a row to a seat.
    pub(super) fn seat(&mut self, row: u32, seat: &Arc<Seat>) {
        seat.set_row(Some(row));
        if let Some(row) = self.row_mut(row) {
            row.seat = Some(Arc::clone(seat));
        }
    }

    /// A durable entry made a conversation what it is now.
    pub(super) fn note(&mut self, row: u32, image: Option<Arc<Conversation>>, number: u64) {
        if let Some(row) = self.row_mut(row) {
            row.image = image;
            row.last = number;
        }
        self.touch(row, number);
    }

    /// Changes a conversation in place, while the store is being opened; `false` if it includes this entry already.
    pub(super) fn replay(
        &mut self,
        row: u32,
        number: u64,
        apply: impl FnOnce(&mut Conversation),
    ) -> bool {
        let Some(place) = self.row_mut(row).filter(|place| place.last < number) else {
            return false;
        };
        if let Some(image) = &mut place.image {
            apply(Arc::make_mut(image));
        }
        place.last = number;
        self.touch(row, number);
        true
    }

    fn touch(&mut self, row: u32, number: u64) {
        let index = shelf_of(row);
        if let Some(shelf) = self.shelves.get_mut(index)
            && !std::mem::replace(&mut shelf.is_dirty, true)
        {
            self.dirty.push_back((index, number));
        }
    }

    /// What is durable of a seat's conversation.
    pub(super) fn durable(&self, seat: &Seat) -> (Option<Arc<Conversation>>, u64) {
        let row = seat.row().and_then(|row| self.row(row));
        row.filter(|row| row.image.is_some())
            .map_or((None, 0), |row| (row.image.clone(), row.last))
    }

    /// Frees the row of an erased follower who has not come back; returns the seat.
    pub(super) fn vacate(&mut self, row: u32) -> Option<Arc<Seat>> {
        let place = self.row_mut(row).filter(|place| place.image.is_none())?;
        let seat = place.seat.take();
        self.free.push(row);
        seat.inspect(|seat| seat.set_row(None))
    }

    /// The oldest change that would be on no shelf after `count` more were written.
    pub(super) fn from(&self, count: usize) -> Option<u64> {
        self.dirty.get(count).map(|(_, number)| *number)
    }

    /// How many shelves to write now, when `next` is the next entry and `entries` are written with them.
    pub(super) fn due(&self, next: u64, entries: usize) -> usize {
        let is_due = |(_, first): &&(usize, u64)| next.saturating_sub(*first) > REPLAY_LIMIT;
        let at_most = SLICE.max(entries);
        self.dirty.iter().take(at_most).take_while(is_due).count()
    }

    /// How many shelves differ from the disk.
    pub(super) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Writes the `count` shelves that changed first. They count as changed until [`Shelves::written`].
    pub(super) fn write(&mut self, disk: &Disk, count: usize) -> Result<(), Refused> {
        let due: Vec<usize> = self.dirty.iter().take(count).map(|(at, _)| *at).collect();
        due.into_iter()
            .try_for_each(|shelf| self.write_shelf(disk, shelf))
    }

    /// The `count` shelves that changed first are durable.
    pub(super) fn written(&mut self, count: usize) {
        for (index, _) in self.dirty.drain(..count) {
            if let Some(shelf) = self.shelves.get_mut(index) {
                shelf.is_dirty = false;
            }
        }
    }

    /// Writes the shelf of this row at once.
    pub(super) fn write_row(&mut self, disk: &Disk, row: u32) -> Result<(), Refused> {
        self.write_shelf(disk, shelf_of(row))
    }

    fn write_shelf(&mut self, disk: &Disk, index: usize) -> Result<(), Refused> {
        let from = index * ROWS;
        let rows = self.rows.get(from..from + ROWS).unwrap_or_default();
        let mut bytes = Vec::new();
        for row in rows {
            if let Some(image) = &row.image {
                bytes = encode_into(&(row.last, &**image), bytes)
                    .map_err(|error| Refused::from(error.to_string()))?;
            }
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

/// Where each conversation stands.
pub(super) fn index(shelves: &Shelves) -> hashbrown::HashMap<ConversationId, u32> {
    shelves
        .conversations()
        .map(|(row, conversation, _)| (conversation.id, row))
        .collect()
}
