//! Keeps what people are to be told, what could not be told, and what was raised.
//! Owns: the keys of the map of alerts. Uses: disk, the catalog's way of sealing. Never: when something is told.

use std::cmp::Reverse;

use serde::de::DeserializeOwned;

use crate::model::alert::Alert;
use crate::model::notice::{ChannelRecord, DeadNotice, Notice, Raised, SettledNotice};
use crate::model::{ConversationId, Time, TurnKey};
use crate::store::{DEAD_KEPT, Error};

use super::catalog::sealed;
use super::disk::{Disk, Map};
use super::format::{decode, opened};

const CHANNEL: u8 = b'c';
const DEAD: u8 = b'd';
const NOTICE: u8 = b'n';
const RAISED: u8 = b'r';

type Edit = (Vec<u8>, Option<Vec<u8>>);

fn key(kind: u8, name: &[u8]) -> Vec<u8> {
    [&[kind], name].concat()
}

fn of(kind: u8, id: TurnKey) -> Vec<u8> {
    key(kind, id.bytes())
}

/// Everything of one kind, by key.
fn all<T: DeserializeOwned>(disk: &Disk, kind: u8, what: &str) -> Result<Vec<(Vec<u8>, T)>, Error> {
    let mut found = Vec::new();
    disk.scan(Map::Alerts, &[kind], |key, value| {
        if let Some((first, name)) = key.split_first()
            && *first == kind
        {
            let value = decode(opened(value, what)?, || what.to_owned())?;
            found.push((name.to_vec(), value));
        }
        Ok(())
    })?;
    Ok(found)
}

fn values<T: DeserializeOwned>(disk: &Disk, kind: u8, what: &str) -> Result<Vec<T>, Error> {
    let found = all(disk, kind, what)?;
    Ok(found.into_iter().map(|(_, value)| value).collect())
}

fn change(disk: &Disk, edits: Vec<Edit>) -> Result<(), Error> {
    if edits.is_empty() {
        return Ok(());
    }
    disk.change(Map::Alerts, edits)
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// See [`crate::store::Store::raise_alerts`].
pub(super) fn raise(
    disk: &Disk,
    raised: &[(Alert, Vec<Notice>)],
    now: Time,
) -> Result<Vec<bool>, Error> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut are_new = Vec::with_capacity(raised.len());
    for (alert, notices) in raised {
        let key = of(RAISED, alert.id);
        let is_new = disk.find(Map::Alerts, &key)?.is_none()
            && !edits.iter().any(|(known, _)| *known == key);
        are_new.push(is_new);
        if !is_new {
            continue;
        }
        let mark = Raised {
            at: now,
            kind: alert.kind,
            priority: alert.priority,
        };
        edits.push((key, Some(sealed(&mark)?)));
        for notice in notices {
            edits.push((of(NOTICE, notice.id), Some(sealed(notice)?)));
        }
    }
    change(disk, edits)?;
    Ok(are_new)
}

/// See [`crate::store::Store::notices`].
pub(super) fn notices(disk: &Disk) -> Result<Vec<Notice>, Error> {
    values(disk, NOTICE, "a notice")
}

/// See [`crate::store::Store::dead_notices`].
pub(super) fn dead(disk: &Disk) -> Result<Vec<DeadNotice>, Error> {
    let mut dead: Vec<DeadNotice> = values(disk, DEAD, "a dead notice")?;
    dead.sort_by_key(|dead| Reverse((dead.at, dead.notice.id)));
    Ok(dead)
}

/// See [`crate::store::Store::settle_notices`].
pub(super) fn settle(
    disk: &Disk,
    channel: &str,
    record: &ChannelRecord,
    settled: &[SettledNotice],
) -> Result<(), Error> {
    let mut edits: Vec<Edit> = vec![(key(CHANNEL, channel.as_bytes()), Some(sealed(record)?))];
    let mut dies = false;
    for one in settled {
        match one {
            SettledNotice::Done(id) => edits.push((of(NOTICE, *id), None)),
            SettledNotice::Again(notice) => {
                edits.push((of(NOTICE, notice.id), Some(sealed(notice)?)));
            }
            SettledNotice::Dead(gone) => {
                dies = true;
                edits.push((of(NOTICE, gone.notice.id), None));
                edits.push((of(DEAD, gone.notice.id), Some(sealed(gone)?)));
            }
        }
    }
    change(disk, edits)?;
    if dies {
        let old = dead(disk)?.into_iter().skip(DEAD_KEPT);
        let edits = old.map(|old| (of(DEAD, old.notice.id), None)).collect();
        change(disk, edits)?;
    }
    Ok(())
}

/// See [`crate::store::Store::revive_notice`].
pub(super) fn revive(disk: &Disk, id: TurnKey, now: Time) -> Result<Option<Notice>, Error> {
    let Some(value) = disk.find(Map::Alerts, &of(DEAD, id))? else {
        return Ok(None);
    };
    let what = "a dead notice";
    let dead: DeadNotice = decode(opened(&value, what)?, || what.to_owned())?;
    let notice = Notice {
        since: now,
        attempts: 0,
        not_before: now,
        ..dead.notice
    };
    change(
        disk,
        vec![
            (of(DEAD, id), None),
            (of(NOTICE, id), Some(sealed(&notice)?)),
        ],
    )?;
    Ok(Some(notice))
}

/// See [`crate::store::Store::channel_records`].
pub(super) fn channels(disk: &Disk) -> Result<Vec<(String, ChannelRecord)>, Error> {
    let found = all(disk, CHANNEL, "a channel's record")?;
    let named = |(name, record): (Vec<u8>, _)| {
        let name = String::from_utf8_lossy(&name).into_owned();
        (name, record)
    };
    Ok(found.into_iter().map(named).collect())
}

/// See [`crate::store::Store::raised_alerts`].
pub(super) fn raised(disk: &Disk, since: Time) -> Result<Vec<Raised>, Error> {
    let mut raised: Vec<Raised> = values(disk, RAISED, "a raised alert")?;
    raised.retain(|raised| raised.at >= since);
    Ok(raised)
}

/// See [`crate::store::Store::forget_alerts`].
pub(super) fn forget(disk: &Disk, before: Time) -> Result<(), Error> {
    let raised: Vec<(Vec<u8>, Raised)> = all(disk, RAISED, "a raised alert")?;
    let old = raised.into_iter().filter(|(_, raised)| raised.at < before);
    let mut edits: Vec<Edit> = old.map(|(id, _)| (key(RAISED, &id), None)).collect();
    let dead = dead(disk)?.into_iter().filter(|dead| dead.at < before);
    edits.extend(dead.map(|dead| (of(DEAD, dead.notice.id), None)));
    change(disk, edits)
}

/// Keys of what was to be told of a conversation.
pub(super) fn about(disk: &Disk, conversation: ConversationId) -> Result<Vec<Vec<u8>>, Error> {
    let is_about = |notice: &Notice| notice.alert.conversation == Some(conversation);
    let waiting = notices(disk)?.into_iter().filter(is_about);
    let mut keys: Vec<Vec<u8>> = waiting.map(|notice| of(NOTICE, notice.id)).collect();
    let dead = dead(disk)?.into_iter().map(|dead| dead.notice);
    keys.extend(dead.filter(is_about).map(|notice| of(DEAD, notice.id)));
    Ok(keys)
}

/// Forgets these.
pub(super) fn remove(disk: &Disk, keys: Vec<Vec<u8>>) -> Result<(), Error> {
    change(disk, keys.into_iter().map(|key| (key, None)).collect())
}
