//! Keeps what is known of followers' files, agents' pictures and accounts' rights, one small value each.
//! Owns: their keys in the catalog. Uses: catalog, disk. Never: the files themselves.

use crate::model::media::Sha256Hash;
use crate::model::{AccountName, AgentMedia, Capability, Fetched, MessageId, ReceivedMedia, Time};
use crate::store::Error;

use super::catalog::{find, named, prefixed, put_durably, remove_durably, sealed};
use super::disk::{Disk, Map};
use super::format::{decode, opened};

const ABILITY: &[u8] = b"ability/";
const AGENT_MEDIA: &[u8] = b"agent-media/";
/// Files that are here, or will not come; by the id of their message, and so by time.
const RECEIVED: &[u8] = b"received/";
/// Files that are yet to be fetched. A file is under one of the two.
const TO_FETCH: &[u8] = b"to-fetch/";
const LOOKED_UNTIL: &[u8] = b"received-until";

/// See [`crate::store::Store::keep_capability`].
pub(super) fn keep_capability(disk: &Disk, capability: &Capability) -> Result<(), Error> {
    let account = capability.account.as_str().as_bytes();
    let key = [ABILITY, account, b"/", capability.ability.word().as_bytes()].concat();
    put_durably(disk, &key, capability)
}

/// See [`crate::store::Store::capabilities`].
pub(super) fn capabilities(disk: &Disk) -> Result<Vec<Capability>, Error> {
    let mut all = Vec::new();
    prefixed(disk, ABILITY, |_, value| {
        all.push(decode(value, || "a capability".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::keep_received`].
pub(super) fn keep_received(disk: &Disk, media: &ReceivedMedia) -> Result<(), Error> {
    let id = media.message.bytes();
    let (here, elsewhere) = match media.fetched {
        Fetched::Waiting { .. } => (TO_FETCH, RECEIVED),
        Fetched::Kept { .. } | Fetched::Failed { .. } => (RECEIVED, TO_FETCH),
    };
    let edits = vec![
        (named(here, id), Some(sealed(media)?)),
        (named(elsewhere, id), None),
    ];
    disk.change(Map::Catalog, edits)
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// See [`crate::store::Store::received`].
pub(super) fn received(disk: &Disk, message: MessageId) -> Result<Option<ReceivedMedia>, Error> {
    let id = message.bytes();
    let what = "a follower's file";
    match find(disk, &named(RECEIVED, id), what)? {
        Some(media) => Ok(Some(media)),
        None => find(disk, &named(TO_FETCH, id), what),
    }
}

/// See [`crate::store::Store::to_fetch`].
pub(super) fn to_fetch(disk: &Disk) -> Result<Vec<ReceivedMedia>, Error> {
    all_under(disk, TO_FETCH)
}

/// See [`crate::store::Store::all_received`].
pub(super) fn all_received(
    disk: &Disk,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<ReceivedMedia>, Error> {
    let from = match after {
        // The next key there can be.
        Some(after) => [RECEIVED, after.bytes(), &[0]].concat(),
        None => RECEIVED.to_vec(),
    };
    let page = disk.page(Map::Catalog, &from, limit)?;
    page.iter()
        .take_while(|(key, _)| key.starts_with(RECEIVED))
        .map(|(_, value)| {
            let what = "a follower's file";
            decode(opened(value, what)?, || what.to_owned())
        })
        .collect()
}

fn all_under(disk: &Disk, prefix: &[u8]) -> Result<Vec<ReceivedMedia>, Error> {
    let mut all = Vec::new();
    prefixed(disk, prefix, |_, value| {
        all.push(decode(value, || "a follower's file".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::forget_received`].
pub(super) fn forget_received(disk: &Disk, messages: &[MessageId]) -> Result<(), Error> {
    let keys = messages.iter().flat_map(|message| {
        [RECEIVED, TO_FETCH].map(|under| (named(under, message.bytes()), None))
    });
    disk.change(Map::Catalog, keys.collect())
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// See [`crate::store::Store::note_received_until`].
pub(super) fn note_received_until(disk: &Disk, until: Time) -> Result<(), Error> {
    put_durably(disk, LOOKED_UNTIL, &until)
}

/// See [`crate::store::Store::received_until`].
pub(super) fn received_until(disk: &Disk) -> Result<Option<Time>, Error> {
    find(disk, LOOKED_UNTIL, "a time")
}

/// See [`crate::store::Store::keep_agent_media`].
pub(super) fn keep_agent_media(disk: &Disk, media: &AgentMedia) -> Result<(), Error> {
    put_durably(disk, &agent_key(&media.account, &media.hash), media)
}

/// See [`crate::store::Store::agent_media`].
pub(super) fn agent_media(
    disk: &Disk,
    account: &AccountName,
    hash: &Sha256Hash,
) -> Result<Option<AgentMedia>, Error> {
    find(disk, &agent_key(account, hash), "an agent's picture")
}

/// See [`crate::store::Store::all_agent_media`].
pub(super) fn all_agent_media(disk: &Disk) -> Result<Vec<AgentMedia>, Error> {
    let mut all = Vec::new();
    prefixed(disk, AGENT_MEDIA, |_, value| {
        all.push(decode(value, || "an agent's picture".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::forget_agent_media`].
pub(super) fn forget_agent_media(
    disk: &Disk,
    account: &AccountName,
    hash: &Sha256Hash,
) -> Result<(), Error> {
    remove_durably(disk, &agent_key(account, hash))
}

/// Accounts have no `/` in their names.
fn agent_key(account: &AccountName, hash: &Sha256Hash) -> Vec<u8> {
    [AGENT_MEDIA, account.as_str().as_bytes(), b"/", hash].concat()
}
