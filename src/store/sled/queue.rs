//! Carries records from those who make them to the thread that writes them.
//! Owns: the order of entries, when a group is due, what is not in the database yet. Uses: journal. Never: the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::model::{Conversation, Time, TurnKey};
use crate::store::Error;

use super::disk::{Disk, Refused};
use super::journal::{Chunk, Kind, Record, write_record};
use super::seats::Seat;

/// How long an entry that nobody waits for may stay in memory; with writing and syncing it is below 500 ms.
const FLUSH_AFTER: Duration = Duration::from_millis(200);
/// A group that is larger is written at once.
const FLUSH_BYTES: usize = 256 << 10;
/// Beyond this everybody waits until their own entry is written.
const CROWDED_BYTES: usize = 1 << 20;
/// Buffers above this are not kept for the next group.
const SPARE_BYTES: usize = 2 << 20;

/// What is done once an entry is durable, or cannot be.
pub(super) struct Mark {
    /// Whose entry.
    pub(super) seat: Arc<Seat>,
    pub(super) undo: Undo,
    /// The follower's entry before it; 0 for none.
    pub(super) prev: u64,
    /// The turn whose answer it decides about.
    pub(super) key: Option<TurnKey>,
    /// Whether that turn's lane is held until the entry is durable.
    pub(super) is_running: bool,
    pub(super) at: Time,
    /// Who waits.
    pub(super) done: Option<oneshot::Sender<Result<(), Error>>>,
}

/// How an entry is taken back.
pub(super) enum Undo {
    /// The conversation keeps what the entry made of it: nothing that anybody was promised. Spares a copy for each message.
    Keep,
    /// The conversation becomes what it was; it may not have been there.
    Restore(Option<Arc<Conversation>>),
    /// The follower was erased, and is there again.
    Return(Arc<Conversation>),
}

/// Tells whether an entry became durable.
pub(super) type Told = oneshot::Receiver<Result<(), Error>>;

/// Work for the writing thread that is not an entry: gets the disk, or why there is none.
pub(super) type Job = Box<dyn FnOnce(Result<&Disk, Refused>) + Send>;

/// Entries that are written together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) chunk: Arc<Chunk>,
    pub(super) marks: Vec<Mark>,
}

/// What the writing thread is to do next.
pub(super) struct Work {
    pub(super) group: Option<Group>,
    pub(super) jobs: Vec<Job>,
    /// Whether all that a quick start needs is to be written now.
    pub(super) is_checkpoint: bool,
    pub(super) is_last: bool,
}

/// Entries on their way to the disk.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
}

struct Inner {
    filling: Chunk,
    marks: Vec<Mark>,
    /// When the oldest entry came.
    since: Option<Instant>,
    is_urgent: bool,
    /// Chunks that left `filling` and are not in the database, oldest first.
    away: Vec<Arc<Chunk>>,
    /// Empty buffers of an earlier group.
    spare: Option<(Chunk, Vec<Mark>)>,
    jobs: Vec<Job>,
    is_checkpoint: bool,
    refuse: Option<Error>,
    is_stopped: bool,
}

impl Queue {
    /// A queue whose first entry gets the number `next`.
    pub(super) fn new(next: u64) -> Self {
        let filling = Chunk {
            first: next,
            ..Chunk::default()
        };
        Self {
            inner: Mutex::new(Inner {
                filling,
                marks: Vec::new(),
                since: None,
                is_urgent: false,
                away: Vec::new(),
                spare: None,
                jobs: Vec::new(),
                is_checkpoint: false,
                refuse: None,
                is_stopped: false,
            }),
            ready: Condvar::new(),
        }
    }

    /// Puts a record at the end; its mark's `done` is set if the caller is to wait. Returns its number. The caller holds the
    /// seat's lock, so a conversation's records are in the order in which they were applied.
    pub(super) fn push(
        &self,
        kind: Kind,
        body: &[u8],
        mut mark: Mark,
        is_durable: bool,
    ) -> Result<(u64, Option<Told>), Error> {
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.refuse {
            return Err(error.clone());
        }
        let number = inner.filling.end();
        let start = inner.filling.bytes.len();
        write_record(&mut inner.filling.bytes, kind, mark.prev, body)?;
        inner.filling.starts.push(start);
        let waiting = (is_durable || start > CROWDED_BYTES).then(oneshot::channel);
        let told = waiting.map(|(done, told)| {
            mark.done = Some(done);
            told
        });
        inner.marks.push(mark);
        let is_first = inner.since.is_none();
        if is_first {
            inner.since = Some(Instant::now());
        }
        let becomes_urgent = !inner.is_urgent && (is_durable || start > FLUSH_BYTES);
        inner.is_urgent |= becomes_urgent;
        drop(inner);
        if is_first || becomes_urgent {
            self.ready.notify_one();
        }
        Ok((number, told))
    }

    /// Gives the writing thread a job.
    pub(super) fn add(&self, job: Job) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if inner.is_stopped {
            return Err(Error::Closed);
        }
        inner.jobs.push(job);
        drop(inner);
        self.ready.notify_one();
        Ok(())
    }

    /// Has the next step of the writing thread write down all that a quick start needs, before its jobs.
    pub(super) fn checkpoint(&self) {
        self.inner.lock().is_checkpoint = true;
    }

    /// Takes nothing new; what is there is still written.
    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.is_stopped = true;
        inner.refuse = Some(Error::Closed);
        drop(inner);
        self.ready.notify_one();
    }

    /// Waits until something is to be written, or until `at_latest`.
    pub(super) fn take(&self, at_latest: Option<Instant>) -> Work {
        let mut inner = self.inner.lock();
        while !inner.is_urgent && inner.jobs.is_empty() && !inner.is_stopped {
            let due = inner.since.map(|since| since + FLUSH_AFTER);
            match due.into_iter().chain(at_latest).min() {
                Some(until) if until <= Instant::now() => break,
                Some(until) => drop(self.ready.wait_until(&mut inner, until)),
                None => self.ready.wait(&mut inner),
            }
        }
        Work {
            group: inner.take_group(),
            jobs: std::mem::take(&mut inner.jobs),
            is_checkpoint: std::mem::take(&mut inner.is_checkpoint),
            is_last: inner.is_stopped,
        }
    }

    /// Everything below this number is in the database.
    pub(super) fn landed(&self, end: u64) {
        self.inner.lock().away.retain(|chunk| chunk.end() > end);
    }

    /// Takes a group's memory back for the next one.
    pub(super) fn reuse(&self, group: Group) {
        let Some(mut chunk) = Arc::into_inner(group.chunk) else {
            return;
        };
        if chunk.bytes.capacity() <= SPARE_BYTES {
            chunk.bytes.clear();
            chunk.starts.clear();
            let mut marks = group.marks;
            marks.clear();
            self.inner.lock().spare = Some((chunk, marks));
        }
    }

    /// Takes the chunk of a group that failed, and all entries behind it, out of the queue; nothing comes in until
    /// [`Queue::resume`].
    pub(super) fn take_back(&self, failed: &Chunk, reason: &Refused) -> Option<Group> {
        let mut inner = self.inner.lock();
        if !inner.is_stopped {
            inner.refuse = Some(Error::Unwritable(Arc::clone(reason)));
        }
        let behind = inner.take_group();
        inner.away.retain(|chunk| chunk.first < failed.first);
        behind
    }

    /// Takes entries again.
    pub(super) fn resume(&self) {
        let mut inner = self.inner.lock();
        if !inner.is_stopped {
            inner.refuse = None;
        }
    }

    /// A record that is not in the database yet.
    pub(super) fn record(&self, number: u64) -> Option<Record> {
        let inner = self.inner.lock();
        if number >= inner.filling.first {
            return inner.filling.record(number);
        }
        let chunk = inner
            .away
            .iter()
            .find(|chunk| (chunk.first..chunk.end()).contains(&number))?;
        chunk.record(number)
    }
}

impl Inner {
    fn take_group(&mut self) -> Option<Group> {
        self.is_urgent = false;
        self.since.take()?;
        let (mut chunk, marks) = self.spare.take().unwrap_or_default();
        chunk.first = self.filling.end();
        let chunk = Arc::new(std::mem::replace(&mut self.filling, chunk));
        self.away.push(Arc::clone(&chunk));
        Some(Group {
            chunk,
            marks: std::mem::replace(&mut self.marks, marks),
        })
    }
}
