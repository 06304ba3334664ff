//! Reads what followers sent out of the journal, in the order in which it came.
//! Owns: where a time is in the journal. Uses: journal. Never: what came of a message.

use std::time::Duration;

use crate::model::Time;
use crate::model::entry::Change;
use crate::store::{Error, Past, PastMessage};

use super::journal::Reader;
use super::shared::Shared;

/// Entries may be out of order by so much where the clock was set back.
const CLOCK_SLACK: Duration = Duration::from_secs(3600);

/// See [`crate::store::Store::past`]. Blocks.
pub(super) fn past(
    shared: &Shared,
    since: Time,
    after: Option<u64>,
    limit: usize,
) -> Result<Past, Error> {
    let mut reader = Reader::new(&shared.disk);
    let end = reader.end()?;
    let mut number = match after {
        Some(after) => after.saturating_add(1),
        None => first_since(&mut reader, end, since.minus(CLOCK_SLACK))?,
    };
    let mut past = Past::default();
    while number < end && past.messages.len() < limit {
        if let Some(record) = reader.record(number)?
            && let Some(entry) = record.entry(number)?
            && entry.at >= since
            && let Change::Turn(turn) = entry.change
        {
            past.messages.push(PastMessage {
                key: turn.key,
                at: entry.at,
                account: turn.account,
                incoming: turn.incoming,
            });
        }
        number += 1;
    }
    past.next = (number < end).then(|| number - 1);
    Ok(past)
}

/// The number from which on entries are of this time or later.
fn first_since(reader: &mut Reader<'_>, end: u64, since: Time) -> Result<u64, Error> {
    let (mut from, mut to) = (1, end);
    while from < to {
        let middle = from + (to - from) / 2;
        match first_time(reader, middle, to)? {
            Some((number, at)) if at < since => from = number + 1,
            _ => to = middle,
        }
    }
    Ok(from)
}

/// The first number in this range whose time is known, and the time.
fn first_time(reader: &mut Reader<'_>, from: u64, to: u64) -> Result<Option<(u64, Time)>, Error> {
    for number in from..to {
        if let Some(at) = reader.time(number)? {
            return Ok(Some((number, at)));
        }
    }
    Ok(None)
}
