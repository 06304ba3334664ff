//! Keeps what is neither message nor conversation, one small value each: API tokens, uploads, the format of it all.
//! Owns: the catalog's keys. Uses: disk, the format of values. Never: rule files (see revisions), people (see people).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::media::Sha256Hash;
use crate::model::{AccountName, ApiToken, MediaKind, Time, UploadedMedia};
use crate::store::{Error, Pin};

use super::disk::{Disk, Map};
use super::format::{FORMAT, Format, decode, encode_into, opened, opened_as};

const FORMAT_KEY: &[u8] = b"format";
const HEAD_KEY: &[u8] = b"head";
const PIN_KEY: &[u8] = b"pin";
const KEPT_FROM_KEY: &[u8] = b"kept-from";
const UNCLEAN_KEY: &[u8] = b"unclean";
const MEDIA: &[u8] = b"media/";
const TOKEN: &[u8] = b"token/";
const MARK: &[u8] = b"mark/";

pub(super) fn named(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    [prefix, name].concat()
}

pub(super) fn sealed<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    encode_into(value, vec![FORMAT])
}

pub(super) fn find<T: DeserializeOwned>(
    disk: &Disk,
    key: &[u8],
    what: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = disk.find(Map::Catalog, key)? else {
        return Ok(None);
    };
    decode(opened(&value, what)?, || what.to_owned()).map(Some)
}

pub(super) fn put<T: Serialize>(disk: &Disk, key: &[u8], value: &T) -> Result<(), Error> {
    disk.insert(Map::Catalog, key, sealed(value)?)
        .map_err(Error::Unwritable)
}

/// The format that the store was left in, if it is one that this version reads; marks a new store.
pub(super) fn format(disk: &Disk) -> Result<Format, Error> {
    match disk.find(Map::Catalog, FORMAT_KEY)? {
        Some(value) => opened_as(&value, "the format").map(|(format, _)| format),
        None => set_format(disk).map(|()| Format::default()),
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

/// Shows what is stored under names that begin with `prefix`, by name.
pub(super) fn prefixed(
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

/// The first number of the journal whose entry is not overwritten for its age.
pub(super) fn kept_from(disk: &Disk) -> Result<u64, Error> {
    Ok(find(disk, KEPT_FROM_KEY, "where the kept entries begin")?.unwrap_or(1))
}

pub(super) fn set_kept_from(disk: &Disk, number: u64) -> Result<(), Error> {
    put(disk, KEPT_FROM_KEY, &number)
}

/// Whether the database's files may still show what was erased or overwritten.
pub(super) fn is_unclean(disk: &Disk) -> Result<bool, Error> {
    Ok(disk.find(Map::Catalog, UNCLEAN_KEY)?.is_some())
}

pub(super) fn set_unclean(disk: &Disk) -> Result<(), Error> {
    put(disk, UNCLEAN_KEY, &())
}

/// Notes in the twin that nothing of the kind is in its files.
pub(super) fn set_twin_clean(disk: &Disk) {
    disk.remove_from_twin(Map::Catalog, UNCLEAN_KEY);
}

pub(super) fn put_durably<T: Serialize>(disk: &Disk, key: &[u8], value: &T) -> Result<(), Error> {
    put(disk, key, value)?;
    disk.sync().map_err(Error::Unwritable)
}

pub(super) fn remove_durably(disk: &Disk, key: &[u8]) -> Result<(), Error> {
    disk.remove(Map::Catalog, key)
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// See [`crate::store::Store::pin`].
pub(super) fn pin(disk: &Disk, pin: Option<Pin>) -> Result<(), Error> {
    match pin {
        Some(Pin { revision, over }) => put_durably(disk, PIN_KEY, &(revision, over)),
        None => remove_durably(disk, PIN_KEY),
    }
}

/// See [`crate::store::Store::pinned`].
pub(super) fn pinned(disk: &Disk) -> Result<Option<Pin>, Error> {
    let pin = find(disk, PIN_KEY, "the pinned revision")?;
    Ok(pin.map(|(revision, over)| Pin { revision, over }))
}

/// See [`crate::store::Store::media`].
pub(super) fn media(disk: &Disk) -> Result<Vec<UploadedMedia>, Error> {
    let mut all = Vec::new();
    prefixed(disk, MEDIA, |_, value| {
        all.push(decode(value, || "an upload".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::keep_media`].
pub(super) fn keep_media(disk: &Disk, media: &UploadedMedia) -> Result<(), Error> {
    let key = media_key(&media.account, media.kind, &media.hash);
    put_durably(disk, &key, media)
}

/// See [`crate::store::Store::forget_media`].
pub(super) fn forget_media(
    disk: &Disk,
    account: &AccountName,
    kind: MediaKind,
    hash: &Sha256Hash,
) -> Result<(), Error> {
    remove_durably(disk, &media_key(account, kind, hash))
}

/// Neither accounts nor kinds have a `/` in their names.
fn media_key(account: &AccountName, kind: MediaKind, hash: &Sha256Hash) -> Vec<u8> {
    let (account, kind) = (account.as_str().as_bytes(), kind.word().as_bytes());
    [MEDIA, account, b"/", kind, b"/", hash].concat()
}

/// See [`crate::store::Store::mark`].
pub(super) fn mark(disk: &Disk, name: &str, at: Time) -> Result<(), Error> {
    put_durably(disk, &named(MARK, name.as_bytes()), &at)
}

/// See [`crate::store::Store::marked`].
pub(super) fn marked(disk: &Disk, name: &str) -> Result<Option<Time>, Error> {
    find(disk, &named(MARK, name.as_bytes()), "a mark")
}

/// See [`crate::store::Store::add_token`].
pub(super) fn add_token(disk: &Disk, token: &ApiToken) -> Result<bool, Error> {
    let key = named(TOKEN, token.name.as_bytes());
    if disk.find(Map::Catalog, &key)?.is_some() {
        return Ok(false);
    }
    put_durably(disk, &key, token)?;
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
    remove_durably(disk, &key)?;
    Ok(true)
}
