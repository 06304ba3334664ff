//! Keeps incidents, one small value each.
//! Owns: their keys in the catalog, how many stay. Uses: catalog, disk. Never: what an incident is.

use std::cmp::Reverse;

use crate::model::incident::{INCIDENTS_KEPT, Incident, IncidentEdit};
use crate::model::{AgentName, Time, TurnKey};
use crate::store::Error;

use super::catalog::{find, named, prefixed, put_durably};
use super::disk::{Disk, Map};
use super::format::decode;

const INCIDENT: &[u8] = b"incident/";

fn key(id: TurnKey) -> Vec<u8> {
    named(INCIDENT, id.bytes())
}

/// See [`crate::store::Store::keep_incident`].
pub(super) fn keep(disk: &Disk, incident: &Incident) -> Result<(), Error> {
    let key = key(incident.id);
    // Told again after a crash: what people wrote meanwhile stays.
    if disk.find(Map::Catalog, &key)?.is_some() {
        return Ok(());
    }
    for old in all(disk)?.iter().skip(INCIDENTS_KEPT - 1) {
        disk.remove(Map::Catalog, &self::key(old.id))
            .map_err(Error::Unwritable)?;
    }
    put_durably(disk, &key, incident)
}

/// See [`crate::store::Store::edit_incident`].
pub(super) fn edit(
    disk: &Disk,
    id: TurnKey,
    edit: &IncidentEdit,
    by: &AgentName,
    now: Time,
) -> Result<Option<(Incident, Incident)>, Error> {
    let key = key(id);
    let Some(before) = find::<Incident>(disk, &key, "an incident")? else {
        return Ok(None);
    };
    let after = before.clone().edited(edit, by, now);
    put_durably(disk, &key, &after)?;
    Ok(Some((before, after)))
}

/// See [`crate::store::Store::incidents`].
pub(super) fn all(disk: &Disk) -> Result<Vec<Incident>, Error> {
    let mut all: Vec<Incident> = Vec::new();
    prefixed(disk, INCIDENT, |_, value| {
        all.push(decode(value, || "an incident".to_owned())?);
        Ok(())
    })?;
    all.sort_by_key(|incident| Reverse((incident.at, incident.id)));
    Ok(all)
}
