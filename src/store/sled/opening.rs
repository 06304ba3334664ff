//! Brings a store back to where it was: checkpoint, then journal, then spill file.
//! Owns: the order of reading, what is settled at a start. Uses: everything of the sled store. Never: runs while the store is open.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry as Slot;
use parking_lot::Mutex;

use crate::model::entry::{Change, Settled};
use crate::model::message::PushError;
use crate::model::{Conversation, ConversationId, Delivery, Entry, Time, TurnKey};
use crate::store::{Error, Health};

use super::catalog;
use super::disk::Disk;
use super::format::{Format, decode};
use super::journal::{Chunk, Kind, Reader, Record, turn_key};
use super::ledger::{Ledger, Pages};
use super::queue::{Queue, Told};
use super::seats::{Known, Seats};
use super::settings::Settings;
use super::shared::Shared;
use super::shelves::Shelves;
use super::spill::Spill;
use super::turns::append_if;
use super::upgrade;
use super::writer::{Wipe, Writer};

/// Opens the store in this directory; the file is the directory's lock. Blocks.
pub(super) fn open(dir: &Path, settings: &Settings, now: Time) -> Result<(Writer, File), Error> {
    let lock = lock(dir)?;
    let disk = Disk::open(&dir.join("sled"), settings.before_io.clone())?;
    let spill = spilled_back(dir, &disk, settings)?;
    let ledger = Ledger::new();
    let (pages, covered) = Pages::load(&disk, &ledger, settings.ledger_for, now)?;
    let mut images = HashMap::new();
    let shelves = Shelves::load(&disk, |row, last, conversation| {
        let image = Image {
            row,
            last,
            conversation,
        };
        images.insert(image.conversation.id, image);
    })?;
    let mut replay = Replay {
        images,
        shelves,
        pages,
        covered,
        wipes: VecDeque::new(),
        ledger: &ledger,
    };
    let head = catalog::head(&disk)?;
    let reader = Reader::new(&disk);
    reader.scan(head, |number, record| replay.read(number, &record))?;
    let end = reader.end()?.max(head);
    let Replay {
        images,
        mut shelves,
        pages,
        wipes,
        ..
    } = replay;
    let seats = seats(images, &mut shelves);
    let shared = Arc::new(Shared {
        disk,
        queue: Queue::new(end),
        seats,
        ledger,
        health: Mutex::new(Health::Good),
        is_closed: AtomicBool::new(false),
        is_pruning: AtomicBool::new(false),
        is_unclean: AtomicBool::new(false),
    });
    let mut writer = Writer::new(shared, spill, shelves, pages, end, settings);
    writer.wipes = wipes;
    writer.head = head;
    Ok((writer, lock))
}

/// Brings the database to the newest format and what the spill file holds to the database; returns the empty file.
fn spilled_back(dir: &Path, disk: &Disk, settings: &Settings) -> Result<Spill, Error> {
    let format = catalog::format(disk)?;
    if format != Format::default() {
        upgrade::keep_copy(dir, disk)?;
    }
    let (mut spill, spilled) = Spill::open(
        &dir.join("spill"),
        settings.spill_bytes,
        settings.before_io.clone(),
        format,
    )?;
    bring_back(disk, &spilled)?;
    if !spilled.is_empty() {
        spill
            .clear()
            .map_err(|error| Error::Unwritable(error.to_string().into()))?;
    }
    // Only now: until here the spill file was of the older format.
    if format != Format::default() {
        catalog::set_format(disk)?;
    }
    Ok(spill)
}

fn lock(dir: &Path) -> Result<File, Error> {
    let unwritable =
        |error: std::io::Error| Error::Unwritable(format!("{}: {error}", dir.display()).into());
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    let lock = File::create(dir.join("lock")).map_err(unwritable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(dir.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

/// Groups that only the spill file has go to the database; those it has already are left alone, they may have been erased.
fn bring_back(disk: &Disk, spilled: &[Chunk]) -> Result<(), Error> {
    let end = Reader::new(disk).end()?;
    for chunk in spilled.iter().filter(|chunk| chunk.first >= end) {
        chunk.write(disk).map_err(Error::Unwritable)?;
    }
    disk.sync().map_err(Error::Unwritable)
}

/// A conversation while the journal is read.
struct Image {
    row: u32,
    /// The last entry that it includes.
    last: u64,
    conversation: Conversation,
}

/// Reads entries that no checkpoint includes.
struct Replay<'a> {
    images: HashMap<ConversationId, Image>,
    shelves: Shelves,
    pages: Pages,
    /// Keys up to this number are in the ledger.
    covered: u64,
    wipes: VecDeque<Wipe>,
    ledger: &'a Ledger,
}

impl Replay<'_> {
    fn read(&mut self, number: u64, record: &Record) -> Result<(), Error> {
        match record.kind {
            Kind::Entry => {
                if let Some(entry) = record.entry(number)? {
                    self.apply(number, &entry);
                }
            }
            Kind::Erased => {
                if let Some((key, at)) = record.stub(number)? {
                    self.key(key, number, at);
                }
            }
            Kind::Leave => {
                let id: ConversationId = decode(&record.body, || format!("entry {number}"))?;
                let row = self.images.remove(&id).map(|image| image.row);
                if let Some(row) = row {
                    self.shelves.touch(row, number);
                }
                self.wipes.push_back(Wipe {
                    number,
                    id,
                    last: record.prev,
                    row,
                    done: None,
                });
            }
        }
        Ok(())
    }

    fn apply(&mut self, number: u64, entry: &Entry) {
        if let Some(key) = turn_key(&entry.change) {
            self.key(key, number, entry.at);
        }
        let id = entry.conversation;
        let image = match (self.images.entry(id), &entry.change) {
            (Slot::Occupied(known), _) => known.into_mut(),
            (Slot::Vacant(place), Change::Turn(turn)) => {
                let (account, follower) = (turn.account.clone(), turn.incoming.from.clone());
                place.insert(Image {
                    row: self.shelves.free_row(),
                    last: 0,
                    conversation: Conversation::new(id, account, follower, entry.at),
                })
            }
            // Of a conversation that is erased further on.
            (Slot::Vacant(_), _) => return,
        };
        if image.last < number {
            image.conversation.apply(entry);
            image.last = number;
            self.shelves.touch(image.row, number);
        }
    }

    fn key(&mut self, key: TurnKey, number: u64, at: Time) {
        if number > self.covered {
            self.ledger.insert(key, number);
            self.pages.push(key, number, at);
        }
    }
}

/// Gives every conversation its seat.
fn seats(images: HashMap<ConversationId, Image>, shelves: &mut Shelves) -> Seats {
    let seats = Seats::new();
    for (_, image) in images {
        let conversation = Arc::new(image.conversation);
        let seat = seats.take(&conversation.account, &conversation.follower);
        shelves.seat(image.row, &seat);
        let mut live = seat.live.lock();
        seats.put(
            &seat,
            &mut live,
            Known::of(None),
            Some(conversation),
            image.last,
        );
    }
    seats
}

/// Nobody knows whether a push that was being sent when the store was last open has arrived: that is what is written down.
/// Returns what has to become durable before the store is ready.
pub(super) fn settle_unknown(shared: &Shared, now: Time) -> Result<Vec<Told>, Error> {
    let mut sending = Vec::new();
    shared.seats.each(|conversation| {
        for push in &conversation.pushes {
            if push.state == Delivery::Sending {
                sending.push((conversation.id, push.id));
            }
        }
    });
    let mut told = Vec::new();
    for (conversation, push) in sending {
        let error = PushError {
            code: 0,
            message: "服务在发送途中重启,不知道是否送达".into(),
        };
        let result = Settled::Unknown { error };
        let change = |_: &Conversation| Some(Change::Settled { push, result });
        let appended = append_if(shared, conversation, now, change)?;
        told.extend(appended.and_then(|(_, told)| told));
    }
    Ok(told)
}
