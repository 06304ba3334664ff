//! Keeps users, their sessions, and what was written down about people's acts.
//! Owns: keys of users and sessions in the catalog, the audit map. Uses: catalog, disk, the format of values. Never: decides whether a change is legal.
//!
//! Everything that writes runs on the writing thread, one after another: what is read here before it is written does not
//! change in between.

use crate::model::audit::{AUDIT_LASTS, AuditPage, AuditQuery, AuditRecord};
use crate::model::media::Sha256Hash;
use crate::model::people::{SESSIONS_EACH, Session, User, UserChange, folded};
use crate::model::{AgentName, SessionId, Time};
use crate::store::{ChangedUser, Error, UserError};

use super::catalog::{find, named, prefixed, put, put_durably, sealed};
use super::disk::{Disk, Map};
use super::format::{decode, opened, unreadable};

const USER: &[u8] = b"user/";
const SESSION: &[u8] = b"session/";

/// How many records one question looks at; a page that found less than it wanted says where to go on.
const LOOKED_AT: usize = 20_000;
/// How many records that are too old go with a new one.
const SWEPT: usize = 8;

fn user_key(name: &AgentName) -> Vec<u8> {
    named(USER, folded(name.as_str()).as_bytes())
}

/// See [`crate::store::Store::add_user`].
pub(super) fn add_user(disk: &Disk, user: &User) -> Result<bool, Error> {
    let key = user_key(&user.name);
    if disk.find(Map::Catalog, &key)?.is_some() {
        return Ok(false);
    }
    put_durably(disk, &key, user)?;
    Ok(true)
}

/// See [`crate::store::Store::user`].
pub(super) fn user(disk: &Disk, name: &AgentName) -> Result<Option<User>, Error> {
    find(disk, &user_key(name), "a user")
}

/// See [`crate::store::Store::users`].
pub(super) fn users(disk: &Disk) -> Result<Vec<User>, Error> {
    let mut all = Vec::new();
    prefixed(disk, USER, |_, value| {
        all.push(decode(value, || "a user".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::change_user`].
pub(super) fn change_user(
    disk: &Disk,
    name: &AgentName,
    change: &UserChange,
    now: Time,
) -> Result<ChangedUser, UserError> {
    let all = users(disk)?;
    let key = user_key(name);
    let before: User = find(disk, &key, "a user")?.ok_or(UserError::NotFound)?;
    let after = before.changed(change, &all, now)?;
    if before != after {
        let mut edits = vec![(key, Some(sealed(&after)?))];
        if before.epoch != after.epoch {
            let over = sessions(disk)?;
            let over = over.iter().filter(|session| session.user == before.name);
            edits.extend(over.map(|session| (session_key(&session.token), None)));
        }
        change_durably(disk, edits)?;
    }
    Ok(ChangedUser { before, after })
}

fn session_key(token: &Sha256Hash) -> Vec<u8> {
    named(SESSION, token)
}

/// Every session that is kept, over or not.
fn sessions(disk: &Disk) -> Result<Vec<Session>, Error> {
    let mut all = Vec::new();
    prefixed(disk, SESSION, |_, value| {
        all.push(decode(value, || "a session".to_owned())?);
        Ok(())
    })?;
    Ok(all)
}

/// See [`crate::store::Store::open_session`].
pub(super) fn open_session(disk: &Disk, session: &Session) -> Result<bool, Error> {
    let now = session.created_at;
    let owner = user(disk, &session.user)?;
    if !owner.is_some_and(|owner| session.is_of(&owner, now)) {
        return Ok(false);
    }
    let (mut theirs, others): (Vec<_>, Vec<_>) = sessions(disk)?
        .into_iter()
        .partition(|other| other.user == session.user && other.is_live(now));
    theirs.sort_by_key(|other| std::cmp::Reverse(other.seen_at));
    let over = others.iter().filter(|other| !other.is_live(now));
    let surplus = theirs.iter().skip(SESSIONS_EACH - 1);
    let mut edits: Vec<_> = over
        .chain(surplus)
        .map(|other| (session_key(&other.token), None))
        .collect();
    edits.push((session_key(&session.token), Some(sealed(session)?)));
    change_durably(disk, edits)?;
    Ok(true)
}

/// See [`crate::store::Store::session`].
pub(super) fn session(
    disk: &Disk,
    token: &Sha256Hash,
    now: Time,
) -> Result<Option<(Session, User)>, Error> {
    let found: Option<Session> = find(disk, &session_key(token), "a session")?;
    let Some(session) = found else {
        return Ok(None);
    };
    let owner = user(disk, &session.user)?;
    Ok(owner
        .filter(|owner| session.is_of(owner, now))
        .map(|owner| (session, owner)))
}

/// See [`crate::store::Store::see_session`].
pub(super) fn see_session(disk: &Disk, token: &Sha256Hash, now: Time) -> Result<(), Error> {
    let key = session_key(token);
    match find::<Session>(disk, &key, "a session")? {
        Some(mut session) => {
            session.seen_at = session.seen_at.max(now);
            put(disk, &key, &session)
        }
        None => Ok(()),
    }
}

/// See [`crate::store::Store::sessions`].
pub(super) fn live_sessions(disk: &Disk, now: Time) -> Result<Vec<Session>, Error> {
    let owners = users(disk)?;
    let mut live = sessions(disk)?;
    live.retain(|session| owners.iter().any(|owner| session.is_of(owner, now)));
    live.sort_by_key(|session| std::cmp::Reverse((session.seen_at, session.id)));
    Ok(live)
}

/// See [`crate::store::Store::end_session`].
pub(super) fn end_session(disk: &Disk, id: SessionId) -> Result<bool, Error> {
    end(disk, |session| session.id == id).map(|ended| ended > 0)
}

/// See [`crate::store::Store::end_sessions_of`].
pub(super) fn end_sessions_of(disk: &Disk, user: &AgentName) -> Result<usize, Error> {
    end(disk, |session| session.user == *user)
}

fn end(disk: &Disk, which: impl Fn(&Session) -> bool) -> Result<usize, Error> {
    let ended = sessions(disk)?.into_iter().filter(which);
    let edits: Vec<_> = ended
        .map(|session| (session_key(&session.token), None))
        .collect();
    let count = edits.len();
    if count > 0 {
        change_durably(disk, edits)?;
    }
    Ok(count)
}

fn change_durably(disk: &Disk, edits: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Result<(), Error> {
    disk.change(Map::Catalog, edits)
        .and_then(|()| disk.sync())
        .map_err(Error::Unwritable)
}

/// See [`crate::store::Store::audit`].
pub(super) fn audit(disk: &Disk, records: Vec<AuditRecord>) -> Result<u64, Error> {
    let last = disk.last(Map::Audit)?;
    let mut last = last.map(|(key, _)| seq(&key)).transpose()?.unwrap_or(0);
    for mut record in records {
        last += 1;
        record.seq = last;
        disk.insert(Map::Audit, &last.to_be_bytes(), sealed(&record)?)
            .map_err(Error::Unwritable)?;
        sweep(disk, record.at)?;
    }
    disk.sync().map_err(Error::Unwritable)?;
    Ok(last)
}

/// Lets the oldest go, a few at a time. The newest always stays: numbers are never used again.
fn sweep(disk: &Disk, now: Time) -> Result<(), Error> {
    let end = now.minus(AUDIT_LASTS);
    let mut old = Vec::new();
    let mut is_done = false;
    let looked = disk.scan(Map::Audit, &[], |_, value| {
        let record = read(value)?;
        is_done = old.len() == SWEPT || record.at >= end;
        if is_done {
            // Ends the scan.
            return Err(Error::Closed);
        }
        old.push(record.seq);
        Ok(())
    });
    if !is_done {
        looked?;
    }
    for seq in old {
        disk.remove(Map::Audit, &seq.to_be_bytes())
            .map_err(Error::Unwritable)?;
    }
    Ok(())
}

/// See [`crate::store::Store::audit_page`].
pub(super) fn audit_page(disk: &Disk, query: &AuditQuery) -> Result<AuditPage, Error> {
    let mut page = AuditPage::default();
    let mut below = query.after.unwrap_or(u64::MAX);
    for _ in 0..LOOKED_AT {
        let Some(at) = below.checked_sub(1) else {
            return Ok(page);
        };
        let Some((key, value)) = disk.at_or_below(Map::Audit, &at.to_be_bytes())? else {
            return Ok(page);
        };
        below = seq(&key)?;
        let record = read(&value)?;
        if query.fits(&record) {
            if page.records.len() == query.limit {
                page.next = page.records.last().map(|last| last.seq);
                return Ok(page);
            }
            page.records.push(record);
        }
    }
    page.next = Some(below);
    Ok(page)
}

fn read(value: &[u8]) -> Result<AuditRecord, Error> {
    decode(opened(value, "an audit record")?, || {
        "an audit record".to_owned()
    })
}

fn seq(key: &[u8]) -> Result<u64, Error> {
    let bytes = key
        .try_into()
        .map_err(|_wrong_length| unreadable("an audit record's key", &"torn"))?;
    Ok(u64::from_be_bytes(bytes))
}
