//! Forgets what is too old to be kept, and rewrites the database so that nothing of it is left in its files.
//! Owns: how far forgetting has come, how it goes in small steps. Uses: shared, journal, disk. Never: how long something is kept.
//!
//! Conversations forget by an entry, as they do everything. Entries of the journal are overwritten, oldest first, as soon as no
//! start needs them; keys of turns stay, for WeChat's repeats.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::entry::Change;
use crate::model::{ConversationId, Entry, Time};
use crate::store::Error;

use super::catalog;
use super::disk::{Disk, Refused};
use super::journal::Reader;
use super::shared::{Shared, blocking, on_disk, written};

/// Conversations that forget between two waits for the disk.
const CONVERSATIONS: usize = 256;
/// Entries that are overwritten between two groups of the others.
const ENTRIES: u64 = 512;
/// How far is looked for the next old one, over numbers that are missing and entries from the future.
const LOOK_AHEAD: u64 = 1 << 16;
/// Values that are copied between two groups of the others.
const VALUES: usize = 256;
/// How a copy is called that an upgrade left.
const COPIES: &str = "before-format-";

/// See [`crate::store::Store::forget`].
pub(super) async fn forget(shared: &Arc<Shared>, before: Time, now: Time) -> Result<(), Error> {
    conversations(shared, before, now).await?;
    let mut has_checkpoint = false;
    loop {
        let swept = {
            let of_disk = Arc::clone(shared);
            on_disk(shared, move |disk| sweep(&of_disk, disk, before, now)).await?
        };
        match swept {
            Swept::More => {}
            Swept::Needed if !has_checkpoint => {
                has_checkpoint = true;
                shared.queue.checkpoint();
            }
            Swept::Needed | Swept::All => return Ok(()),
        }
    }
}

async fn conversations(shared: &Arc<Shared>, before: Time, now: Time) -> Result<(), Error> {
    let found = blocking(shared, move |shared| {
        let mut found: Vec<ConversationId> = Vec::new();
        shared.seats.each(|conversation| {
            if conversation.remembers_before(before) {
                found.push(conversation.id);
            }
        });
        Ok(found)
    });
    for some in found.await?.chunks(CONVERSATIONS) {
        for id in some {
            let Some(seat) = shared.seats.of(*id) else {
                continue;
            };
            let mut live = seat.live.lock();
            let known = live.conversation.as_ref();
            if known.is_some_and(|known| known.id == *id && known.remembers_before(before)) {
                let entry = Entry {
                    at: now,
                    conversation: *id,
                    change: Change::Forgotten { before },
                };
                shared.append(&seat, &mut live, &entry, false)?;
            }
        }
        written(shared).await?;
    }
    Ok(())
}

/// How far a step came.
enum Swept {
    /// There are older entries still.
    More,
    /// A start would need the next one.
    Needed,
    /// Everything old is overwritten.
    All,
}

/// Overwrites some entries. The first that is young enough ends it: those behind it are younger, whatever time they carry. One
/// from the future, written while the clock was wrong, is overwritten with the older ones behind it.
fn sweep(shared: &Shared, disk: &Disk, before: Time, now: Time) -> Result<Swept, Error> {
    let mut reader = Reader::new(disk);
    let (from, head) = (catalog::kept_from(disk)?, catalog::head(disk)?);
    let (mut until, mut number) = (from, from);
    let is_young = loop {
        let is_enough = number >= from + ENTRIES && until > from;
        if number >= head || is_enough || number >= from + LOOK_AHEAD {
            break false;
        }
        match reader.time(number)? {
            Some(at) if at < before => until = number + 1,
            Some(at) if at <= now => break true,
            _ => {}
        }
        number += 1;
    };
    let mut next = from;
    while next < until {
        next = reader.erase_value(next, until)?;
    }
    if until > from {
        catalog::set_kept_from(disk, until)?;
        shared.note_unclean()?;
        disk.sync().map_err(Error::Unwritable)?;
    }
    Ok(if is_young {
        Swept::All
    } else if number >= head {
        match number < reader.end()? {
            true => Swept::Needed,
            false => Swept::All,
        }
    } else if until > from {
        Swept::More
    } else {
        Swept::All
    })
}

/// See [`crate::store::Store::scrub`].
pub(super) async fn scrub(
    shared: &Arc<Shared>,
    dir: &Path,
    copies_before: Time,
) -> Result<bool, Error> {
    let dir = dir.to_owned();
    blocking(shared, move |_| remove_copies(&dir, copies_before)).await?;
    if !blocking(shared, |shared| catalog::is_unclean(&shared.disk)).await? {
        return Ok(false);
    }
    // What is erased from now on may be in the twin's files.
    shared.is_unclean.store(false, Ordering::Relaxed);
    let refused = |reason: Refused| Error::Unwritable(reason);
    on_disk(shared, move |disk| disk.begin_twin().map_err(refused)).await?;
    while on_disk(shared, move |disk| disk.fill_twin(VALUES).map_err(refused)).await? {}
    let of_disk = Arc::clone(shared);
    on_disk(shared, move |disk| {
        let is_clean = !of_disk.is_unclean.load(Ordering::Relaxed);
        disk.take_twin(|disk| {
            if is_clean {
                catalog::set_twin_clean(disk);
            }
        })
        .map_err(refused)
    })
    .await?;
    tracing::info!("the database was rewritten: what was erased is in none of its files");
    Ok(true)
}

/// Removes the copies of the store that upgrades made before this time.
fn remove_copies(dir: &Path, before: Time) -> Result<(), Error> {
    let removed = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let is_copy = entry.file_name().to_string_lossy().starts_with(COPIES);
            if !is_copy || made(&entry.metadata()?)? > before {
                continue;
            }
            std::fs::remove_dir_all(entry.path())?;
            tracing::info!(copy = %entry.path().display(), "the copy of the store before an upgrade was removed");
        }
        Ok(())
    };
    removed()
        .map_err(|error| Error::Unwritable(format!("an old copy of the store: {error}").into()))
}

fn made(copy: &std::fs::Metadata) -> std::io::Result<Time> {
    let since = copy.modified()?.duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    Ok(Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}
