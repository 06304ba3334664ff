//! Reads and writes values of the database: the only file that knows which database it is.
//! Owns: opening, reopening, rewriting, fsync, panics of the database. Uses: sled. Never: what a value means.
//!
//! sled 0.34.7, from its source: values stay in its log as long as a leaf (17 values at most) is below 128 KiB, larger ones
//! become files that it never syncs; `flush` ends in `sync_file_range`, so a second handle is synced as well; after an I/O
//! error everything is refused until the database is reopened; its log is recovered up to the first torn write, so of two
//! writes the later is never there without the earlier; a value that is overwritten or removed stays in the log until most of
//! its 512 KiB segment is as old, which may be never. So a database is rewritten to forget: a twin beside it gets a copy of
//! every value, and every write meanwhile, and takes its place.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::settings::{BeforeIo, Io};
use crate::store::Error;

/// sled's own cache; leaves that are written once and seldom read need none.
const CACHE_BYTES: u64 = 1 << 20;
/// How much must fit on the disk before a database that refused is opened again.
const PROBE_BYTES: usize = 1 << 20;

/// How much of the disk must stay free while a twin is made.
const SPARE_BYTES: u64 = 256 << 20;

/// How often, and how far apart, its lock is tried.
const LOCK_TRIES: u32 = 1000;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// Which of the database's maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// Batches of entries by number.
    Journal,
    /// Keys of turns by the number of the first.
    Ledger,
    /// Conversations as they were at some number.
    Shelves,
    /// Everything small: format, head, revisions, tokens.
    Catalog,
    /// Rule files by hash.
    Content,
    /// Records of people's acts by number.
    Audit,
    /// What people are to be told.
    Alerts,
}

impl Map {
    const ALL: [Self; 7] = [
        Self::Journal,
        Self::Ledger,
        Self::Shelves,
        Self::Catalog,
        Self::Content,
        Self::Audit,
        Self::Alerts,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Ledger => "ledger",
            Self::Shelves => "shelves",
            Self::Catalog => "catalog",
            Self::Content => "content",
            Self::Audit => "audit",
            Self::Alerts => "alerts",
        }
    }
}

/// A stored value, borrowed from the database's cache where it can be.
pub(super) struct Value(::sled::IVec);

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Why the disk did not take something.
pub(super) type Refused = Arc<str>;

/// The database in its directory.
pub(super) struct Disk {
    dir: PathBuf,
    before_io: Option<BeforeIo>,
    open: RwLock<Option<Open>>,
    /// Only the writing thread makes and fills it.
    twin: Mutex<Option<Twin>>,
}

/// A database that is to take the place of the present one.
struct Twin {
    open: Open,
    /// Which maps are still to be copied, and behind which key.
    maps: VecDeque<Map>,
    behind: Vec<u8>,
}

struct Open {
    maps: [::sled::Tree; Map::ALL.len()],
    database: ::sled::Db,
    file: File,
}

impl Open {
    fn map(&self, map: Map) -> &::sled::Tree {
        let [journal, ledger, shelves, catalog, content, audit, alerts] = &self.maps;
        match map {
            Map::Journal => journal,
            Map::Ledger => ledger,
            Map::Shelves => shelves,
            Map::Catalog => catalog,
            Map::Content => content,
            Map::Audit => audit,
            Map::Alerts => alerts,
        }
    }
}

impl Disk {
    /// Opens or makes the database in this directory.
    pub(super) fn open(dir: &Path, before_io: Option<BeforeIo>) -> Result<Self, Error> {
        let disk = Self {
            dir: dir.to_owned(),
            before_io,
            open: RwLock::new(None),
            twin: Mutex::new(None),
        };
        disk.finish_exchange().map_err(Cause::from)?;
        *disk.open.write() = Some(disk.start()?);
        Ok(disk)
    }

    /// Lets go of the files while somebody else looks at their directory.
    pub(super) fn aside(
        &self,
        look: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let mut open = self.open.write();
        drop(open.take());
        wait_for_lock(&self.dir)?;
        look(&self.dir).map_err(|error| Error::Unwritable(error.to_string().into()))?;
        *open = Some(self.start()?);
        Ok(())
    }

    fn start(&self) -> Result<Open, Cause> {
        Self::start_in(&self.dir)
    }

    fn start_in(dir: &Path) -> Result<Open, Cause> {
        wait_for_lock(dir)?;
        let open = guarded(|| {
            let database = ::sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                .flush_every_ms(None)
                .open()?;
            let [journal, ledger, shelves, catalog, content, audit, alerts] =
                Map::ALL.map(|map| database.open_tree(map.name()));
            database.flush()?;
            let file = File::open(dir.join("db"))?;
            file.sync_all()?;
            Ok(Open {
                maps: [
                    journal?, ledger?, shelves?, catalog?, content?, audit?, alerts?,
                ],
                database,
                file,
            })
        })?;
        // The names of the files must survive a power failure too.
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_dir(dir)?;
        }
        Ok(open)
    }

    /// Lets go of the files. Everything after this fails with [`Error::Closed`].
    pub(super) fn close(&self) {
        self.give_up_twin();
        drop(self.open.write().take());
    }

    /// Begins a twin, in place of one that was not finished. Not while the disk has little room: it takes what the database
    /// takes.
    pub(super) fn begin_twin(&self) -> Result<(), Refused> {
        self.give_up_twin();
        let room = || -> std::io::Result<_> {
            let size = fs::metadata(self.dir.join("db"))?.len();
            let parent = self.dir.parent().unwrap_or(&self.dir);
            let disk = rustix::fs::statvfs(parent)?;
            Ok((size, disk.f_bavail.saturating_mul(disk.f_frsize)))
        };
        let (size, free) = room().map_err(|error| Refused::from(error.to_string()))?;
        if free < size.saturating_add(SPARE_BYTES) {
            return Err("there is too little room on the disk to rewrite the database".into());
        }
        let open = Self::start_in(&self.beside("new")).map_err(Cause::reason)?;
        *self.twin.lock() = Some(Twin {
            open,
            maps: Map::ALL.into(),
            behind: Vec::new(),
        });
        Ok(())
    }

    /// Copies some values to the twin; `false` when it has all.
    pub(super) fn fill_twin(&self, values: usize) -> Result<bool, Refused> {
        let open = self.open.read();
        let mut twin = self.twin.lock();
        let (
            Some(open),
            Some(Twin {
                open: to,
                maps,
                behind,
            }),
        ) = (&*open, &mut *twin)
        else {
            return Err("the twin was given up".into());
        };
        let Some(map) = maps.front().copied() else {
            return Ok(false);
        };
        let copied = guarded(|| {
            let from = (Bound::Excluded(behind.as_slice()), Bound::Unbounded);
            let from = match behind.is_empty() {
                true => (Bound::Unbounded, Bound::Unbounded),
                false => from,
            };
            let mut last = None;
            let mut copied = 0;
            for pair in open.map(map).range::<&[u8], _>(from).take(values) {
                let (key, value) = pair?;
                to.map(map).insert(&key, value)?;
                copied += 1;
                last = Some(key);
            }
            Ok((copied, last))
        });
        let (copied, last) = copied.map_err(Cause::reason)?;
        match last {
            Some(key) if copied == values => *behind = key.to_vec(),
            _ => {
                maps.pop_front();
                behind.clear();
            }
        }
        Ok(!maps.is_empty())
    }

    /// Puts the twin, which has everything, in the place of the database, after a last change; the old files are removed.
    pub(super) fn take_twin(&self, last: impl FnOnce(&Self)) -> Result<(), Refused> {
        self.ask(Io::Reopen)?;
        last(self);
        let mut open = self.open.write();
        let Some(Twin { open: twin, .. }) = self.twin.lock().take() else {
            return Err("the twin was given up".into());
        };
        guarded(|| {
            twin.database.flush()?;
            Ok(twin.file.sync_all()?)
        })
        .map_err(Cause::reason)?;
        drop(twin);
        drop(open.take());
        let (new, old) = (self.beside("new"), self.beside("old"));
        let exchanged = wait_for_lock(&self.dir)
            .and_then(|()| wait_for_lock(&new))
            .and_then(|()| {
                fs::rename(&self.dir, &old)?;
                fs::rename(&new, &self.dir)?;
                Ok(())
            })
            .and_then(|()| self.start());
        match exchanged {
            Ok(started) => *open = Some(started),
            Err(cause) => {
                // Back to what was there: nothing has been written since.
                if old.exists() {
                    let _may_be_missing = fs::rename(&self.dir, &new);
                    fs::rename(&old, &self.dir)
                        .map_err(|error| Refused::from(error.to_string()))?;
                }
                *open = Some(self.start().map_err(Cause::reason)?);
                let _next_time = self.finish_exchange();
                return Err(cause.reason());
            }
        }
        drop(open);
        self.finish_exchange()
            .map_err(|error| error.to_string().into())
    }

    /// Forgets a twin that was begun.
    fn give_up_twin(&self) {
        let twin = self.twin.lock().take();
        if twin.is_some() {
            drop(twin);
            let new = self.beside("new");
            let gone = wait_for_lock(&new).and_then(|()| Ok(remove_dir(&new)?));
            if let Err(cause) = gone {
                // The next start removes it.
                tracing::warn!(reason = %cause.reason(), "an unfinished twin of the database cannot be removed");
            }
        }
    }

    /// Brings an exchange to its end that was broken off, and removes what it left.
    fn finish_exchange(&self) -> std::io::Result<()> {
        let (new, old) = (self.beside("new"), self.beside("old"));
        if !self.dir.exists() && old.exists() {
            // The twin was whole before the database was put aside.
            fs::rename(if new.exists() { &new } else { &old }, &self.dir)?;
        }
        remove_dir(&new)?;
        remove_dir(&old)?;
        match self.dir.parent() {
            Some(parent) if parent.exists() => sync_dir(parent),
            _ => Ok(()),
        }
    }

    fn beside(&self, word: &str) -> PathBuf {
        self.dir.with_extension(word)
    }

    /// Does to the twin what was done to the database.
    fn mirror<T>(&self, write: impl FnOnce(&Open) -> ::sled::Result<T>) {
        let failed = match &*self.twin.lock() {
            Some(twin) => guarded(|| write(&twin.open)).err(),
            None => None,
        };
        if let Some(cause) = failed {
            tracing::warn!(reason = %cause.reason(), "the database is not rewritten: its twin refuses");
            self.give_up_twin();
        }
    }

    /// Opens the database again after it refused something, if the disk takes writes at all.
    pub(super) fn reopen(&self) -> Result<(), Refused> {
        self.ask(Io::Reopen)?;
        self.give_up_twin();
        self.probe()?;
        let mut open = self.open.write();
        // sled's lock on its file goes with the last handle.
        drop(open.take());
        *open = Some(self.start().map_err(Cause::reason)?);
        Ok(())
    }

    /// Opening reads a good part of the log: not worth it while the disk is full.
    fn probe(&self) -> Result<(), Refused> {
        let path = self.dir.with_extension("probe");
        let tried = File::create(&path).and_then(|mut file| {
            file.write_all(&vec![1; PROBE_BYTES])?;
            file.sync_data()
        });
        let removed = fs::remove_file(&path);
        tried.and(removed).map_err(|error| error.to_string().into())
    }

    fn ask(&self, io: Io) -> Result<(), Refused> {
        match &self.before_io {
            Some(before_io) => before_io(io).map_err(|error| error.to_string().into()),
            None => Ok(()),
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Open) -> ::sled::Result<T>) -> Result<T, Error> {
        let open = self.open.read();
        let open = open.as_ref().ok_or(Error::Closed)?;
        guarded(|| read(open)).map_err(|cause| Error::Unreadable(cause.reason()))
    }

    fn write<T>(&self, write: impl Fn(&Open) -> ::sled::Result<T>) -> Result<T, Refused> {
        self.ask(Io::Write)?;
        let open = self.open.read();
        let Some(open) = open.as_ref() else {
            return Err("the database is not open".into());
        };
        let written = guarded(|| write(open)).map_err(Cause::reason)?;
        self.mirror(write);
        Ok(written)
    }

    pub(super) fn find(&self, map: Map, key: &[u8]) -> Result<Option<Value>, Error> {
        self.read(|open| Ok(open.map(map).get(key)?.map(Value)))
    }

    /// The pair with the greatest key that is not above this one.
    pub(super) fn at_or_below(
        &self,
        map: Map,
        key: &[u8],
    ) -> Result<Option<(Value, Value)>, Error> {
        self.read(|open| {
            let found = open.map(map).range(..=key).next_back().transpose()?;
            Ok(found.map(|(key, value)| (Value(key), Value(value))))
        })
    }

    /// The pair with the greatest key.
    pub(super) fn last(&self, map: Map) -> Result<Option<(Value, Value)>, Error> {
        self.read(|open| {
            Ok(open
                .map(map)
                .last()?
                .map(|(key, value)| (Value(key), Value(value))))
        })
    }

    /// Shows every pair from this key on, in order, until `each` fails.
    pub(super) fn scan(
        &self,
        map: Map,
        from: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.read(|open| {
            for pair in open.map(map).range(from..) {
                let (key, value) = pair?;
                if let Err(error) = each(&key, &value) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        })?
    }

    /// The first `limit` keys at `from` or behind it, with their values.
    pub(super) fn page(&self, map: Map, from: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        self.read(|open| {
            let pairs = open.map(map).range(from..).take(limit);
            pairs
                .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers have no use for it any more; the database copies it either way"
    )]
    pub(super) fn insert(&self, map: Map, key: &[u8], value: Vec<u8>) -> Result<(), Refused> {
        self.write(|open| open.map(map).insert(key, value.as_slice()).map(drop))
    }

    /// Changes the twin only.
    pub(super) fn remove_from_twin(&self, map: Map, key: &[u8]) {
        self.mirror(|open| open.map(map).remove(key).map(drop));
    }

    pub(super) fn remove(&self, map: Map, key: &[u8]) -> Result<(), Refused> {
        self.write(|open| open.map(map).remove(key).map(drop))
    }

    /// Sets (`Some`) and removes (`None`) all of these or none.
    pub(super) fn change(
        &self,
        map: Map,
        edits: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), Refused> {
        let mut batch = ::sled::Batch::default();
        for (key, value) in edits {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.write(|open| open.map(map).apply_batch(batch.clone()))
    }

    /// Makes everything written so far survive a power failure.
    pub(super) fn sync(&self) -> Result<(), Refused> {
        self.ask(Io::Sync)?;
        let open = self.open.read();
        let Some(open) = open.as_ref() else {
            return Err("the database is not open".into());
        };
        guarded(|| {
            open.database.flush()?;
            Ok(open.file.sync_data()?)
        })
        .map_err(Cause::reason)
    }
}

/// sled's threads hold its file, and the lock on it, a moment longer than its last handle. Nobody else can have it: the
/// directory's own lock is ours.
fn wait_for_lock(dir: &Path) -> Result<(), Cause> {
    let Ok(file) = File::open(dir.join("db")) else {
        return Ok(());
    };
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(Cause::Other(
        "the database does not let go of its file".into(),
    ))
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes a directory, if it is there.
fn remove_dir(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What went wrong inside the database.
enum Cause {
    Full(Refused),
    Other(Refused),
}

impl Cause {
    fn reason(self) -> Refused {
        match self {
            Self::Full(reason) | Self::Other(reason) => reason,
        }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Full(reason) => Self::Unwritable(reason),
            Cause::Other(reason) => Self::Unreadable(reason),
        }
    }
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        let reason = error.to_string().into();
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::Full(reason),
            _ => Self::Other(reason),
        }
    }
}

impl From<::sled::Error> for Cause {
    fn from(error: ::sled::Error) -> Self {
        match error {
            ::sled::Error::Io(error) => error.into(),
            other => Self::Other(other.to_string().into()),
        }
    }
}

/// sled states some of its errors as panics.
fn guarded<T>(work: impl FnOnce() -> ::sled::Result<T>) -> Result<T, Cause> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it panicked");
            Err(Cause::Other(format!("database: {said}").into()))
        }
    }
}
