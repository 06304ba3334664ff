//! Brings a store back to where it was: checkpoint, then journal, then spill file.
//! Owns: the order of reading, what is settled at a start. Uses: everything of the sled store. Never: runs while the store is open.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::model::entry::{Change, Settled};
use crate::model::message::PushError;
use crate::model::{Conversation, ConversationId, Delivery, Time, TurnKey};
use crate::store::{Error, Health};

use super::catalog;
use super::disk::Disk;
use super::journal::{Chunk, Kind, Reader, Record, decode, turn_key};
use super::ledger::{Ledger, Pages};
use super::queue::{Queue, Told};
use super::seats::Seats;
use super::settings::Settings;
use super::shared::Shared;
use super::shelves::{Shelves, index};
use super::spill::Spill;
use super::turns::append_if;
use super::writer::{Wipe, Writer};

/// Opens the store in this directory; the file is the directory's lock. Blocks.
pub(super) fn open(dir: &Path, settings: &Settings, now: Time) -> Result<(Writer, File), Error> {
    let lock = lock(dir)?;
    let disk = Disk::open(&dir.join("sled"), settings.before_io.clone())?;
    catalog::check_format(&disk)?;
    let (mut spill, spilled) = Spill::open(
        &dir.join("spill"),
        settings.spill_bytes,
        settings.before_io.clone(),
    )?;
    bring_back(&disk, &spilled)?;
    if !spilled.is_empty() {
        spill
            .clear()
            .map_err(|error| Error::Unwritable(error.to_string().into()))?;
    }
    let ledger = Ledger::new();
    let (pages, covered) = Pages::load(&disk, &ledger, settings.ledger_for, now)?;
    let shelves = Shelves::load(&disk)?;
    let mut replay = Replay {
        rows: index(&shelves),
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
        mut shelves,
        pages,
        wipes,
        ..
    } = replay;
    let seats = seats(&mut shelves);
    let shared = Arc::new(Shared {
        disk,
        queue: Queue::new(end),
        seats,
        ledger,
        health: Mutex::new(Health::Good),
        is_closed: AtomicBool::new(false),
    });
    let mut writer = Writer::new(shared, spill, shelves, pages, end, settings.retry_after);
    writer.wipes = wipes;
    writer.head = head;
    Ok((writer, lock))
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

/// Reads entries that no checkpoint includes.
struct Replay<'a> {
    shelves: Shelves,
    rows: HashMap<ConversationId, u32>,
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
                let Some(entry) = record.entry(number)? else {
                    return Ok(());
                };
                if let Some(key) = turn_key(&entry.change) {
                    self.key(key, number, entry.at);
                }
                if let Some(row) = self.rows.get(&entry.conversation) {
                    self.shelves
                        .replay(*row, number, |conversation| conversation.apply(&entry));
                } else if let Change::Turn(turn) = &entry.change {
                    let follower = turn.incoming.from.clone();
                    let account = turn.account.clone();
                    let mut conversation =
                        Conversation::new(entry.conversation, account, follower, entry.at);
                    conversation.apply(&entry);
                    let row = self.shelves.free_row();
                    self.rows.insert(conversation.id, row);
                    self.shelves.note(row, Some(Arc::new(conversation)), number);
                }
            }
            Kind::Erased => {
                if let Some((key, at)) = record.stub(number)? {
                    self.key(key, number, at);
                }
            }
            Kind::Leave => {
                let id: ConversationId = decode(&record.body, || format!("entry {number}"))?;
                let row = self.rows.remove(&id);
                if let Some(row) = row {
                    self.shelves.note(row, None, number);
                }
                self.wipes.push_back(Wipe {
                    number,
                    last: record.prev,
                    row,
                    done: None,
                });
            }
        }
        Ok(())
    }

    fn key(&mut self, key: TurnKey, number: u64, at: Time) {
        if number > self.covered {
            self.ledger.insert(key, number);
            self.pages.push(key, number, at);
        }
    }
}

/// Gives every conversation its seat.
fn seats(shelves: &mut Shelves) -> Seats {
    let seats = Seats::new();
    let known: Vec<_> = shelves
        .conversations()
        .map(|(row, conversation, last)| (row, Arc::clone(conversation), last))
        .collect();
    for (row, conversation, last) in known {
        let seat = seats.take(&conversation.account, &conversation.follower);
        shelves.seat(row, &seat);
        seats.put(&seat, &mut seat.live.lock(), Some(conversation), last);
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
        told.extend(append_if(shared, conversation, now, change)?);
    }
    Ok(told)
}
