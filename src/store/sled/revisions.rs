//! Keeps rule sets: their files, each content once, and which revision is the active one.
//! Owns: the form of a revision, what may be removed. Uses: catalog, disk, journal. Never: what a rule means.
//!
//! The newest revisions stay, and every one that made a stored reply. Which those are is read from the journal: what was read
//! once is noted, so that the next removal reads only what came since.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::entry::Change;
use crate::model::media::hex;
use crate::model::{Noted, RuleFiles, Time, Turn};
use crate::store::{Error, REVISIONS_KEPT, Revision};

use super::catalog::{find, named, pinned, prefixed, put, sealed};
use super::disk::{Disk, Map};
use super::format::{FORMAT, decode, encode, opened, unreadable};
use super::journal::{PART_BYTES, Reader};

type Hash = [u8; 32];

/// A revision as it is stored under its number.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of all files.
    hash: Hash,
    at: Time,
    author: Box<str>,
    /// The list of files, itself stored as content.
    list: Stored,
}

/// Where bytes are stored.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Stored {
    hash: Hash,
    len: u64,
}

/// How many parts are written between two groups: less than a megabyte.
pub(super) const PARTS_AT_ONCE: usize = 100;

const ACTIVE_KEY: &[u8] = b"active";
/// Up to which number the journal was read for revisions that it names.
const READ_KEY: &[u8] = b"named-until";
const NAMED: &[u8] = b"named/";
const REVISION: &[u8] = b"revision/";

/// A rule set as it will be stored. Hashing it takes a while, and needs no disk.
pub(super) struct Sealed {
    /// Of all files.
    hash: Hash,
    /// The list of files.
    list: Stored,
    /// The files, and the list itself.
    content: Vec<(Stored, Bytes)>,
}

/// A piece of content, small enough to be written between two groups.
pub(super) struct Part {
    key: Vec<u8>,
    bytes: Bytes,
}

/// What was published.
pub(super) struct Published {
    pub(super) revision: u64,
    /// The one that was active until now: turns that began with it may not be written yet.
    pub(super) before: Option<u64>,
    /// Whether there are more than are kept in any case.
    pub(super) is_crowded: bool,
}

impl Sealed {
    pub(super) fn of(files: RuleFiles) -> Result<Self, Error> {
        let mut digest = Sha256::new();
        let (mut list, mut content) = (Vec::new(), Vec::new());
        for (path, bytes) in files.0 {
            let stored = Stored::of(&bytes);
            digest.update(u64::try_from(path.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(&path);
            digest.update(stored.hash);
            list.push((path, stored));
            content.push((stored, bytes));
        }
        let bytes = Bytes::from(encode(&list)?);
        let list = Stored::of(&bytes);
        content.push((list, bytes));
        Ok(Self {
            hash: digest.finalize().into(),
            list,
            content,
        })
    }

    /// What is not stored yet, in the order in which it is to be written.
    pub(super) fn missing(&self, disk: &Disk) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        if kept(disk)?.iter().any(|(_, kept)| kept.hash == self.hash) {
            return Ok(parts);
        }
        for (stored, bytes) in &self.content {
            if !stored.is_there(disk)? {
                parts.extend(stored.parts(bytes));
            }
        }
        Ok(parts)
    }
}

impl Part {
    fn write(&self, disk: &Disk) -> Result<(), Error> {
        let value = [&[FORMAT], &*self.bytes].concat();
        disk.insert(Map::Content, &self.key, value)
            .map_err(Error::Unwritable)
    }
}

/// Writes parts. Many are made durable at once, so that little is left to the sync that the next group waits for.
pub(super) fn write(disk: &Disk, parts: &[Part]) -> Result<(), Error> {
    parts.iter().try_for_each(|part| part.write(disk))?;
    match parts.len() < PARTS_AT_ONCE {
        true => Ok(()),
        false => disk.sync().map_err(Error::Unwritable),
    }
}

/// See [`crate::store::Store::publish_revision`]. Quick when all content is stored already.
pub(super) fn publish(
    disk: &Disk,
    set: &Sealed,
    author: &str,
    now: Time,
) -> Result<Published, Error> {
    let (before, kept) = (active(disk)?, kept(disk)?);
    let known = kept.iter().find(|(_, kept)| kept.hash == set.hash);
    let revision = known.map_or_else(
        || kept.last().map_or(1, |(newest, _)| newest + 1),
        |(known, _)| *known,
    );
    if known.is_some() {
        put(disk, ACTIVE_KEY, &revision)?;
    } else {
        // A removal in the meantime may have taken what was there.
        for part in set.missing(disk)? {
            part.write(disk)?;
        }
        let new = Kept {
            hash: set.hash,
            at: now,
            author: author.into(),
            list: set.list,
        };
        let edits = vec![
            (number_key(REVISION, revision), Some(sealed(&new)?)),
            (ACTIVE_KEY.to_vec(), Some(sealed(&revision)?)),
        ];
        disk.change(Map::Catalog, edits)
            .map_err(Error::Unwritable)?;
    }
    disk.sync().map_err(Error::Unwritable)?;
    Ok(Published {
        revision,
        before,
        is_crowded: kept.len() + usize::from(known.is_none()) > REVISIONS_KEPT,
    })
}

fn active(disk: &Disk) -> Result<Option<u64>, Error> {
    find(disk, ACTIVE_KEY, "the active revision")
}

fn number_key(prefix: &[u8], number: u64) -> Vec<u8> {
    named(prefix, &number.to_be_bytes())
}

fn number_of(name: &[u8]) -> Result<u64, Error> {
    let number = name
        .try_into()
        .map_err(|_wrong_length| unreadable("a revision's number", &"torn"))?;
    Ok(u64::from_be_bytes(number))
}

/// All revisions, oldest first.
fn kept(disk: &Disk) -> Result<Vec<(u64, Kept)>, Error> {
    let mut all = Vec::new();
    prefixed(disk, REVISION, |number, value| {
        let number = number_of(number)?;
        all.push((number, decode(value, || format!("revision {number}"))?));
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::revisions`].
pub(super) fn revisions(disk: &Disk) -> Result<Vec<Revision>, Error> {
    let active = active(disk)?;
    let all = kept(disk)?.into_iter().rev();
    Ok(all
        .map(|(revision, kept)| Revision {
            revision,
            hash: hex(&kept.hash),
            at: kept.at,
            author: kept.author.into(),
            active: active == Some(revision),
        })
        .collect())
}

/// See [`crate::store::Store::revision_files`].
pub(super) fn revision_files(disk: &Disk, revision: u64) -> Result<Option<RuleFiles>, Error> {
    let what = format!("revision {revision}");
    let Some(kept) = find::<Kept>(disk, &number_key(REVISION, revision), &what)? else {
        return Ok(None);
    };
    kept.files(disk, &what)?
        .into_iter()
        .map(|(path, stored)| Ok((path, Bytes::from(stored.read(disk, &what)?))))
        .collect::<Result<_, _>>()
        .map(|files| Some(RuleFiles(files)))
}

impl Kept {
    fn files(&self, disk: &Disk, what: &str) -> Result<Vec<(String, Stored)>, Error> {
        decode(&self.list.read(disk, what)?, || what.to_owned())
    }

    /// Everything that it is made of.
    fn content(&self, disk: &Disk) -> Result<Vec<Stored>, Error> {
        let files = self.files(disk, "a list of files")?;
        let content = files.into_iter().map(|(_, stored)| stored);
        Ok(content.chain([self.list]).collect())
    }
}

/// Revisions that stored replies name.
pub(super) struct Named {
    revisions: BTreeSet<u64>,
    /// Those that were not noted before.
    new: BTreeSet<u64>,
    /// The first entry that was not read.
    until: u64,
}

impl Named {
    /// Reads what is noted, and what the journal says since.
    pub(super) fn read(disk: &Disk) -> Result<Self, Error> {
        let mut named = Self {
            revisions: BTreeSet::new(),
            new: BTreeSet::new(),
            until: find(disk, READ_KEY, "the named revisions")?.unwrap_or(1),
        };
        prefixed(disk, NAMED, |number, _| {
            named.revisions.insert(number_of(number)?);
            Ok(())
        })?;
        let mut reader = Reader::new(disk);
        let end = reader.end()?;
        while named.until < end {
            if let Some(record) = reader.record(named.until)?
                && let Some(entry) = record.entry(named.until)?
            {
                named.see(&entry.change);
            }
            named.until += 1;
        }
        Ok(named)
    }

    fn see(&mut self, change: &Change) {
        match change {
            Change::Turn(turn) => self.see_turn(turn),
            Change::Late { push, .. } | Change::Replied { push, .. } => self.add(push.revision),
            _ => {}
        }
    }

    fn see_turn(&mut self, turn: &Turn) {
        let answer = &turn.answer;
        self.add(answer.own.as_ref().and_then(|own| own.revision));
        let words = answer.noted.iter().filter_map(|noted| match noted {
            Noted::Form(form) => form.on_timeout.as_ref(),
            _ => None,
        });
        for push in answer.push.iter().chain(&answer.more).chain(words) {
            self.add(push.revision);
        }
    }

    fn add(&mut self, revision: Option<u64>) {
        if let Some(revision) = revision
            && self.revisions.insert(revision)
        {
            self.new.insert(revision);
        }
    }
}

/// Removes revisions beyond the newest ones that nothing names, and what only they were made of; notes what was read. Should
/// the process end in the middle, bytes that belong to nothing may stay.
pub(super) fn remove_unnamed(disk: &Disk, named: &Named, before: Option<u64>) -> Result<(), Error> {
    let mut kept = kept(disk)?;
    let spared = [before, active(disk)?, pinned(disk)?.map(|pin| pin.revision)];
    let is_spared = |number| named.revisions.contains(&number) || spared.contains(&Some(number));
    let old = kept.len().saturating_sub(REVISIONS_KEPT);
    let newest = kept.split_off(old);
    let (stay, go): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(number, _)| is_spared(*number));
    let mut orphans = HashMap::new();
    for (_, kept) in &go {
        let content = kept.content(disk)?;
        orphans.extend(content.into_iter().map(|stored| (stored.hash, stored)));
    }
    if !go.is_empty() {
        for (_, kept) in stay.iter().chain(&newest) {
            for stored in kept.content(disk)? {
                orphans.remove(&stored.hash);
            }
        }
    }
    let gone = go
        .iter()
        .map(|(number, _)| (number_key(REVISION, *number), None));
    let noted = named.new.iter();
    let noted = noted.map(|number| (number_key(NAMED, *number), Some(vec![FORMAT])));
    let read = (READ_KEY.to_vec(), Some(sealed(&named.until)?));
    disk.change(Map::Catalog, gone.chain(noted).chain([read]).collect())
        .map_err(Error::Unwritable)?;
    for stored in orphans.values() {
        stored.remove(disk)?;
    }
    disk.sync().map_err(Error::Unwritable)
}

impl Stored {
    fn of(bytes: &[u8]) -> Self {
        Self {
            hash: Sha256::digest(bytes).into(),
            len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    fn key(&self, part: usize) -> Vec<u8> {
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        named(&self.hash, &part.to_be_bytes())
    }

    fn is_there(&self, disk: &Disk) -> Result<bool, Error> {
        Ok(disk.find(Map::Content, &self.key(0))?.is_some())
    }

    /// The bytes in parts. The first goes last: where it is, the others are.
    fn parts(&self, bytes: &Bytes) -> impl Iterator<Item = Part> {
        let parts = bytes.chunks(PART_BYTES).enumerate().rev();
        parts.map(|(part, own)| Part {
            key: self.key(part),
            bytes: bytes.slice_ref(own),
        })
    }

    fn remove(&self, disk: &Disk) -> Result<(), Error> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        for part in 0..len.div_ceil(PART_BYTES) {
            disk.remove(Map::Content, &self.key(part))
                .map_err(Error::Unwritable)?;
        }
        Ok(())
    }

    fn read(&self, disk: &Disk, what: &str) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        let mut part = 0;
        while bytes.len() < len {
            let value = disk.find(Map::Content, &self.key(part))?;
            let value = value.ok_or_else(|| unreadable(what, &"a file is missing"))?;
            bytes.extend_from_slice(opened(&value, what)?);
            part += 1;
        }
        if Self::of(&bytes).hash != self.hash {
            return Err(unreadable(what, &"a file was damaged"));
        }
        Ok(bytes)
    }
}
