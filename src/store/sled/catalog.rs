//! Keeps what is neither message nor conversation: rule sets, API tokens, the format of it all.
//! Owns: the catalog's keys. Uses: disk, journal's format. Never: what a rule means.
//!
//! Revisions are never removed: any of the older ones may be named by a stored reply, and files that did not change are
//! stored once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::{ApiToken, RuleFiles, Time};
use crate::store::{Error, Revision};

use super::disk::{Disk, Map};
use super::format::{FORMAT, Format, decode, encode, encode_into, opened, opened_as, unreadable};
use super::journal::PART_BYTES;

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

const FORMAT_KEY: &[u8] = b"format";
const HEAD_KEY: &[u8] = b"head";
const ACTIVE_KEY: &[u8] = b"active";
const REVISION: &[u8] = b"revision/";
const TOKEN: &[u8] = b"token/";

fn named(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    [prefix, name].concat()
}

fn sealed<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    encode_into(value, vec![FORMAT])
}

fn find<T: serde::de::DeserializeOwned>(
    disk: &Disk,
    key: &[u8],
    what: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = disk.find(Map::Catalog, key)? else {
        return Ok(None);
    };
    decode(opened(&value, what)?, || what.to_owned()).map(Some)
}

fn put<T: Serialize>(disk: &Disk, key: &[u8], value: &T) -> Result<(), Error> {
    disk.insert(Map::Catalog, key, sealed(value)?)
        .map_err(Error::Unwritable)
}

/// The format that the store was left in, if it is one that this version reads; marks a new store.
pub(super) fn format(disk: &Disk) -> Result<Format, Error> {
    match disk.find(Map::Catalog, FORMAT_KEY)? {
        Some(value) => opened_as(&value, "the format").map(|(format, _)| format),
        None => set_format(disk).map(|()| Format::Second),
    }
}

/// Notes that values of the newest format are written from now on. Durable on return.
pub(super) fn set_format(disk: &Disk) -> Result<(), Error> {
    disk.insert(Map::Catalog, FORMAT_KEY, vec![FORMAT])
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// The number from which on the journal is read at a start.
pub(super) fn head(disk: &Disk) -> Result<u64, Error> {
    Ok(find(disk, HEAD_KEY, "the head")?.unwrap_or(1))
}

pub(super) fn set_head(disk: &Disk, head: u64) -> Result<(), Error> {
    put(disk, HEAD_KEY, &head)
}

/// See [`crate::store::Store::publish_revision`].
pub(super) fn publish(
    disk: &Disk,
    files: &RuleFiles,
    author: &str,
    now: Time,
) -> Result<u64, Error> {
    let mut digest = Sha256::new();
    let mut list = Vec::new();
    for (path, bytes) in &files.0 {
        let stored = Stored::of(bytes);
        digest.update(u64::try_from(path.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(path);
        digest.update(stored.hash);
        list.push((path, stored));
    }
    let hash: Hash = digest.finalize().into();
    let kept = kept(disk)?;
    if let Some((same, _)) = kept.iter().find(|(_, kept)| kept.hash == hash) {
        put(disk, ACTIVE_KEY, same)?;
    } else {
        let list = encode(&list)?;
        for bytes in files.0.iter().map(|(_, bytes)| &**bytes).chain([&*list]) {
            Stored::write(disk, bytes)?;
        }
        let next = kept.last().map_or(1, |(number, _)| number + 1);
        let new = Kept {
            hash,
            at: now,
            author: author.into(),
            list: Stored::of(&list),
        };
        let edits = vec![
            (named(REVISION, &next.to_be_bytes()), Some(sealed(&new)?)),
            (ACTIVE_KEY.to_vec(), Some(sealed(&next)?)),
        ];
        disk.change(Map::Catalog, edits)
            .map_err(Error::Unwritable)?;
    }
    disk.sync().map_err(Error::Unwritable)?;
    find(disk, ACTIVE_KEY, "the active revision")?
        .ok_or_else(|| unreadable("the active revision", &"missing"))
}

/// All revisions, oldest first.
fn kept(disk: &Disk) -> Result<Vec<(u64, Kept)>, Error> {
    let mut all = Vec::new();
    prefixed(disk, REVISION, |number, value| {
        let bad = |_wrong_length| unreadable("a revision's number", &"torn");
        let number = u64::from_be_bytes(number.try_into().map_err(bad)?);
        all.push((number, decode(value, || format!("revision {number}"))?));
        Ok(())
    })?;
    Ok(all)
}

/// Shows what is stored under names that begin with `prefix`, by name.
fn prefixed(
    disk: &Disk,
    prefix: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut found = Vec::new();
    disk.scan(Map::Catalog, prefix, |key, value| {
        if let Some(name) = key.strip_prefix(prefix) {
            found.push((name.to_vec(), value.to_vec()));
        }
        Ok(())
    })?;
    found
        .iter()
        .try_for_each(|(name, value)| each(name, opened(value, "a catalog value")?))
}

/// See [`crate::store::Store::revisions`].
pub(super) fn revisions(disk: &Disk) -> Result<Vec<Revision>, Error> {
    let active: Option<u64> = find(disk, ACTIVE_KEY, "the active revision")?;
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// See [`crate::store::Store::revision_files`].
pub(super) fn revision_files(disk: &Disk, revision: u64) -> Result<Option<RuleFiles>, Error> {
    let what = format!("revision {revision}");
    let key = named(REVISION, &revision.to_be_bytes());
    let Some(kept) = find::<Kept>(disk, &key, &what)? else {
        return Ok(None);
    };
    let list = kept.list.read(disk, &what)?;
    let list: Vec<(String, Stored)> = decode(&list, || what.clone())?;
    list.into_iter()
        .map(|(path, stored)| Ok((path, Bytes::from(stored.read(disk, &what)?))))
        .collect::<Result<_, _>>()
        .map(|files| Some(RuleFiles(files)))
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

    /// Stores bytes that are not stored yet. The first part goes last: where it is, the others are.
    fn write(disk: &Disk, bytes: &[u8]) -> Result<(), Error> {
        let stored = Self::of(bytes);
        if disk.find(Map::Content, &stored.key(0))?.is_some() {
            return Ok(());
        }
        for (part, bytes) in bytes.chunks(PART_BYTES).enumerate().rev() {
            let value = [&[FORMAT], bytes].concat();
            disk.insert(Map::Content, &stored.key(part), value)
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

/// See [`crate::store::Store::add_token`].
pub(super) fn add_token(disk: &Disk, token: &ApiToken) -> Result<bool, Error> {
    let key = named(TOKEN, token.name.as_bytes());
    if disk.find(Map::Catalog, &key)?.is_some() {
        return Ok(false);
    }
    put(disk, &key, token)?;
    disk.sync().map_err(Error::Unwritable)?;
    Ok(true)
}

/// See [`crate::store::Store::tokens`].
pub(super) fn tokens(disk: &Disk) -> Result<Vec<ApiToken>, Error> {
    let mut all = Vec::new();
    prefixed(disk, TOKEN, |_, value| {
        all.push(decode(value, || "an API token".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::revoke_token`].
pub(super) fn revoke_token(disk: &Disk, name: &str) -> Result<bool, Error> {
    let key = named(TOKEN, name.as_bytes());
    if disk.find(Map::Catalog, &key)?.is_none() {
        return Ok(false);
    }
    disk.remove(Map::Catalog, &key).map_err(Error::Unwritable)?;
    disk.sync().map_err(Error::Unwritable)?;
    Ok(true)
}
