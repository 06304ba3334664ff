//! Holds what the verbs and the writing thread have in common, and applies entries.
//! Owns: an entry's way from a verb into memory and the queue. Uses: seats, ledger, queue, disk. Never: waits.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::Span;

use crate::model::entry::Change;
use crate::model::{AccountName, Conversation, Entry, OpenId, TurnKey};
use crate::store::{Error, Health, Lanes};

use super::catalog;
use super::disk::{Disk, Refused};
use super::format::{encode, encode_into};
use super::journal::{Kind, Reader, Record, turn_key};
use super::ledger::Ledger;
use super::queue::{Mark, Queue, Told, Undo};
use super::seats::{Known, Live, Seat, Seats};

/// A body that grew beyond this is not kept for the next entry.
const SPARE_BYTES: usize = 64 << 10;

/// What verbs and the writing thread share.
pub(super) struct Shared {
    pub(super) disk: Disk,
    pub(super) queue: Queue,
    pub(super) seats: Seats,
    pub(super) ledger: Ledger,
    pub(super) health: Mutex<Health>,
    pub(super) is_closed: AtomicBool,
    /// Whether revisions are being removed.
    pub(super) is_pruning: AtomicBool,
    /// Whether something was erased or overwritten since the database began to be rewritten.
    pub(super) is_unclean: AtomicBool,
}

impl Shared {
    /// Fails once the store was closed.
    pub(super) fn open(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Relaxed) {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Makes an entry happen: in memory now, on disk soon. The told one resolves when it is durable; there is one if
    /// `is_durable`, or when the queue is long.
    pub(super) fn append(
        &self,
        seat: &Arc<Seat>,
        live: &mut Live,
        entry: &Entry,
        is_durable: bool,
    ) -> Result<(Arc<Conversation>, Option<Told>), Error> {
        let before = live.conversation.take();
        let undo = match &before {
            Some(_) if !is_durable => Undo::Keep,
            _ => Undo::Restore(before.clone()),
        };
        let key = turn_key(&entry.change);
        let mark = Mark {
            seat: Arc::clone(seat),
            undo,
            prev: live.last,
            key,
            is_running: is_durable && matches!(entry.change, Change::Turn(_)),
            at: entry.at,
            done: None,
        };
        let pushed = with_body(entry, |body| {
            self.queue.push(Kind::Entry, body, mark, is_durable)
        });
        let (number, told) = match pushed {
            Ok(pushed) => pushed,
            Err(error) => {
                live.conversation = before;
                return Err(error);
            }
        };
        if let Some(key) = key {
            self.ledger.insert(key, number);
        }
        let known = Known::of(before.as_deref());
        let mut next = before.unwrap_or_else(|| {
            let (account, follower) = (seat.account.clone(), seat.follower.clone());
            Arc::new(Conversation::new(
                entry.conversation,
                account,
                follower,
                entry.at,
            ))
        });
        // In place, unless somebody looks at it.
        Arc::make_mut(&mut next).apply(entry);
        self.seats
            .put(seat, live, known, Some(Arc::clone(&next)), number);
        Ok((next, told))
    }

    /// Erases a follower: in memory now, on disk soon.
    pub(super) fn leave(&self, seat: &Arc<Seat>, live: &mut Live) -> Result<Option<Told>, Error> {
        let Some(conversation) = live.conversation.clone() else {
            return Ok(None);
        };
        let mark = Mark {
            seat: Arc::clone(seat),
            undo: Undo::Return(Arc::clone(&conversation)),
            prev: live.last,
            key: None,
            is_running: false,
            at: conversation.updated_at,
            done: None,
        };
        let body = encode(&conversation.id)?;
        let (_, told) = self.queue.push(Kind::Leave, &body, mark, true)?;
        let known = Known::of(Some(&conversation));
        self.seats.put(seat, live, known, None, 0);
        Ok(told)
    }

    /// A record, wherever it is now. Blocks.
    pub(super) fn record(
        &self,
        reader: &mut Reader<'_>,
        number: u64,
    ) -> Result<Option<Record>, Error> {
        match self.queue.record(number) {
            Some(record) => Ok(Some(record)),
            None => reader.record(number),
        }
    }

    /// Notes, durable with the next sync, that the database's files show what they should not.
    pub(super) fn note_unclean(&self) -> Result<(), Error> {
        self.is_unclean.store(true, Ordering::Relaxed);
        catalog::set_unclean(&self.disk)
    }

    pub(super) fn set_health(&self, health: Health) {
        *self.health.lock() = health;
    }
}

impl Lanes for Shared {
    fn abandon(&self, account: &AccountName, follower: &OpenId, key: TurnKey) {
        if let Some(seat) = self.seats.find(account, follower) {
            seat.live.lock().lane.leave(key, false);
            self.seats.vacate(&seat);
        }
    }
}

thread_local! {
    static BODY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Encodes an entry without a new buffer each time.
fn with_body<T>(entry: &Entry, work: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
    let body = encode_into(entry, BODY.take())?;
    let done = work(&body);
    if body.capacity() <= SPARE_BYTES {
        let mut body = body;
        body.clear();
        BODY.set(body);
    }
    done
}

/// Waits until an entry is durable.
pub(super) async fn durable(told: Option<Told>) -> Result<(), Error> {
    match told {
        Some(told) => told.await.unwrap_or(Err(Error::Closed)),
        None => Ok(()),
    }
}

/// Runs work that blocks where it holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (shared, span) = (Arc::clone(shared), Span::current());
    tokio::task::spawn_blocking(move || span.in_scope(|| work(&shared)))
        .await
        .unwrap_or_else(|error| Err(Error::Unreadable(error.to_string().into())))
}

/// Has the writing thread do something to the disk, between two groups.
pub(super) async fn on_disk<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Disk) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = oneshot::channel();
    shared
        .queue
        .add(Box::new(move |disk: Result<&Disk, Refused>| {
            // Whoever asked may have gone; the work was done all the same.
            let _gone = tell.send(disk.map_err(Error::Unwritable).and_then(work));
        }))?;
    told.await.unwrap_or(Err(Error::Closed))
}

/// Waits until everything made so far is written, or was taken back.
pub(super) async fn written(shared: &Shared) -> Result<(), Error> {
    let (tell, told) = oneshot::channel();
    shared.queue.add(Box::new(move |_disk| {
        let _gone = tell.send(());
    }))?;
    told.await.map_err(|_stopped| Error::Closed)
}
