//! Lays entries out as records, records as batches, and finds them again by number.
//! Owns: the form of a record and of a journal value. Uses: disk. Never: what an entry leads to.
//!
//! Entries are numbered from 1 in the order in which they were applied. A value holds consecutive entries under the number
//! of the first, so a number finds its entry without an index. Numbers may be missing between two values, where a failed
//! group was taken back.

use crate::model::entry::{Change, Entry};
use crate::model::{Time, TurnKey};
use crate::store::Error;

use super::disk::{Disk, Map, Refused};
use super::format::{Format, encode, opened, opened_as, unreadable};

/// A value is closed when the next record would take it past this. Small: sled keeps whole leaves in memory.
const VALUE_BYTES: usize = 2048;
/// The most of one record in one value; 17 of them must stay below sled's 128 KiB (see disk).
pub(super) const PART_BYTES: usize = 7000;
/// Kind (1), length (3), previous number (8).
const HEADER: usize = 12;
/// The longest record: a body of the callback has at most 1 MiB.
const RECORD_LIMIT: usize = (1 << 24) - 1;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An entry.
    Entry,
    /// An entry of a follower who was erased: key and time of its turn at most.
    Erased,
    /// A follower is erased: the conversation's id.
    Leave,
}

/// One record, apart from its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    /// The number of the conversation's record before this one; 0 for none.
    pub(super) prev: u64,
    pub(super) body: Vec<u8>,
    pub(super) format: Format,
}

impl Record {
    /// The entry, when the record holds one.
    pub(super) fn entry(&self, number: u64) -> Result<Option<Entry>, Error> {
        match self.kind {
            Kind::Entry => self.format.entry(&self.body, number).map(Some),
            Kind::Erased | Kind::Leave => Ok(None),
        }
    }

    /// The same record without what was said; same length.
    fn erased(&self, number: u64) -> Result<Self, Error> {
        let mut body = vec![0; self.body.len()];
        if let Some(entry) = self.entry(number)?
            && let Some(key) = turn_key(&entry.change)
        {
            let stub = encode(&Some((key, entry.at)))?;
            if let Some(room) = body.get_mut(..stub.len()) {
                room.copy_from_slice(&stub);
            }
        }
        Ok(Self {
            kind: Kind::Erased,
            prev: self.prev,
            body,
            format: self.format,
        })
    }

    /// Key and time of the turn that this record held before it was erased.
    pub(super) fn stub(&self, number: u64) -> Result<Option<(TurnKey, Time)>, Error> {
        match self.kind {
            Kind::Erased => postcard::take_from_bytes(&self.body)
                .map(|(stub, _)| stub)
                .map_err(|error| unreadable(&format!("erased entry {number}"), &error)),
            Kind::Entry | Kind::Leave => Ok(None),
        }
    }
}

/// The turn whose answer an entry decides about.
pub(super) fn turn_key(change: &Change) -> Option<TurnKey> {
    match change {
        Change::Turn(turn) => Some(turn.key),
        Change::Late { turn, .. } => Some(*turn),
        _ => None,
    }
}

struct Head {
    kind: Kind,
    len: usize,
    prev: u64,
}

/// Whether the first record goes on in another part.
fn is_short(bytes: &[u8]) -> bool {
    read_head(bytes).is_some_and(|head| bytes.len() < HEADER + head.len)
}

/// Appends a record.
pub(super) fn write_record(
    to: &mut Vec<u8>,
    kind: Kind,
    prev: u64,
    body: &[u8],
) -> Result<(), Error> {
    let len = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= RECORD_LIMIT)
        .ok_or_else(|| Error::Unwritable("an entry is too long".into()))?;
    let [a, b, c, _] = len.to_le_bytes();
    let kind = match kind {
        Kind::Entry => 0,
        Kind::Erased => 1,
        Kind::Leave => 2,
    };
    to.extend_from_slice(&[kind, a, b, c]);
    to.extend_from_slice(&prev.to_le_bytes());
    to.extend_from_slice(body);
    Ok(())
}

fn read_head(bytes: &[u8]) -> Option<Head> {
    let [kind, a, b, c, prev @ ..] = bytes.first_chunk::<HEADER>()?;
    Some(Head {
        kind: match kind {
            0 => Kind::Entry,
            1 => Kind::Erased,
            2 => Kind::Leave,
            _ => return None,
        },
        len: usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).ok()?,
        prev: u64::from_le_bytes(*prev),
    })
}

/// Consecutive records in memory, as they are written.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The number of the first.
    pub(super) first: u64,
    /// The records one after another.
    pub(super) bytes: Vec<u8>,
    /// Where each begins.
    pub(super) starts: Vec<usize>,
    /// The format of all of them.
    pub(super) format: Format,
}

impl Chunk {
    /// The records of these bytes, or `None` when they are not whole records.
    pub(super) fn parse(first: u64, bytes: Vec<u8>, format: Format) -> Option<Self> {
        let mut starts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            starts.push(at);
            at += HEADER + read_head(bytes.get(at..)?)?.len;
        }
        (at == bytes.len()).then_some(Self {
            first,
            bytes,
            starts,
            format,
        })
    }

    /// The number after the last.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::try_from(self.starts.len()).unwrap_or(u64::MAX)
    }

    /// A record by its number.
    pub(super) fn record(&self, number: u64) -> Option<Record> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let bytes = self.bytes.get(*self.starts.get(index)?..)?;
        let head = read_head(bytes)?;
        Some(Record {
            kind: head.kind,
            prev: head.prev,
            body: bytes.get(HEADER..HEADER + head.len)?.to_vec(),
            format: self.format,
        })
    }

    /// Every record with its number.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, Record)> {
        (self.first..self.end()).filter_map(|number| Some((number, self.record(number)?)))
    }

    /// The records cut into runs that fit one value each; a record that is longer stands alone.
    fn runs(&self) -> Vec<(u64, &[u8])> {
        let mut runs = Vec::new();
        let mut from = (self.first, 0);
        let ends = self.starts.iter().skip(1).copied();
        let mut last = 0;
        for (number, end) in (self.first + 1..).zip(ends.chain([self.bytes.len()])) {
            if end - from.1 > VALUE_BYTES && last > from.1 {
                runs.extend(self.bytes.get(from.1..last).map(|run| (from.0, run)));
                from = (number - 1, last);
            }
            last = end;
        }
        runs.extend(self.bytes.get(from.1..last).map(|run| (from.0, run)));
        runs
    }

    /// Hands the records to the database; durable after [`Disk::sync`].
    pub(super) fn write(&self, disk: &Disk) -> Result<(), Refused> {
        self.runs()
            .into_iter()
            .try_for_each(|(first, run)| write_run(disk, first, run, self.format))
    }
}

/// The first part carries the key, so it goes last: a record is there with all its parts or not at all.
fn write_run(disk: &Disk, first: u64, run: &[u8], format: Format) -> Result<(), Refused> {
    let parts: Vec<&[u8]> = run.chunks(PART_BYTES).collect();
    for (part, bytes) in parts.into_iter().enumerate().rev() {
        let part = u16::try_from(part).expect("a record is shorter than 65,536 parts");
        let mut value = Vec::with_capacity(1 + bytes.len());
        value.push(format.byte());
        value.extend_from_slice(bytes);
        disk.insert(Map::Journal, &part_key(first, part), value)?;
    }
    Ok(())
}

fn part_key(first: u64, part: u16) -> Vec<u8> {
    let mut key = first.to_be_bytes().to_vec();
    if part > 0 {
        key.extend_from_slice(&part.to_be_bytes());
    }
    key
}

fn number_of(key: &[u8]) -> Result<u64, Error> {
    key.first_chunk()
        .map(|number| u64::from_be_bytes(*number))
        .ok_or_else(|| unreadable("a journal key", &"too short"))
}

/// Reads records of the database; keeps the last value, since neighbours are often wanted next.
pub(super) struct Reader<'a> {
    disk: &'a Disk,
    chunk: Chunk,
}

impl<'a> Reader<'a> {
    pub(super) fn new(disk: &'a Disk) -> Self {
        Self {
            disk,
            chunk: Chunk::default(),
        }
    }

    /// The record with this number, if the database has it.
    pub(super) fn record(&mut self, number: u64) -> Result<Option<Record>, Error> {
        if !(self.chunk.first..self.chunk.end()).contains(&number) {
            match self.load(number)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(None),
            }
        }
        Ok(self.chunk.record(number))
    }

    /// The value that would hold this number.
    fn load(&self, number: u64) -> Result<Option<Chunk>, Error> {
        let Some((key, value)) = self.disk.at_or_below(Map::Journal, &number.to_be_bytes())? else {
            return Ok(None);
        };
        let first = number_of(&key)?;
        let value = match key.len() {
            8 => Some(value),
            _ => self.disk.find(Map::Journal, &first.to_be_bytes())?,
        };
        let Some(value) = value else { return Ok(None) };
        let what = format!("journal value {first}");
        let (format, bytes) = opened_as(&value, &what)?;
        let mut bytes = bytes.to_vec();
        let mut part = 0;
        while is_short(&bytes) {
            part += 1;
            let more = self.disk.find(Map::Journal, &part_key(first, part))?;
            let more = more.ok_or_else(|| unreadable(&what, &"a part is missing"))?;
            bytes.extend_from_slice(opened(&more, &what)?);
        }
        let chunk = Chunk::parse(first, bytes, format);
        chunk.map(Some).ok_or_else(|| unreadable(&what, &"torn"))
    }

    /// The first number that is free.
    pub(super) fn end(&self) -> Result<u64, Error> {
        match self.disk.last(Map::Journal)? {
            Some((key, _)) => Ok(self.load(number_of(&key)?)?.map_or(1, |chunk| chunk.end())),
            None => Ok(1),
        }
    }

    /// Shows every record from this number on, in order.
    pub(super) fn scan(
        &self,
        from: u64,
        mut each: impl FnMut(u64, Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = match self.disk.at_or_below(Map::Journal, &from.to_be_bytes())? {
            Some((key, _)) => number_of(&key)?,
            None => from,
        };
        let mut pending: Option<(u64, Format, Vec<u8>)> = None;
        let mut show = |(first, format, bytes)| {
            let chunk = Chunk::parse(first, bytes, format)
                .ok_or_else(|| unreadable(&format!("journal value {first}"), &"torn"))?;
            chunk
                .records()
                .filter(|(number, _)| *number >= from)
                .try_for_each(|(number, record)| each(number, record))
        };
        self.disk
            .scan(Map::Journal, &first.to_be_bytes(), |key, value| {
                let number = number_of(key)?;
                let (format, bytes) = opened_as(value, "a journal value")?;
                if key.len() > 8 {
                    // Parts that are not wanted were left by a write that was not finished.
                    if let Some((_, _, short)) = pending
                        .as_mut()
                        .filter(|(first, _, short)| *first == number && is_short(short))
                    {
                        short.extend_from_slice(bytes);
                    }
                    return Ok(());
                }
                pending
                    .replace((number, format, bytes.to_vec()))
                    .map_or(Ok(()), &mut show)
            })?;
        pending.map_or(Ok(()), show)
    }

    /// Overwrites a conversation's records, from this one back to its first; returns how many were still readable.
    pub(super) fn erase_chain(&mut self, from: u64) -> Result<usize, Error> {
        let mut erased = 0;
        let mut number = from;
        while number > 0 {
            let Some(record) = self.record(number)? else {
                break;
            };
            if record.kind == Kind::Entry {
                let blank = record.erased(number)?;
                let value = self.with(number, &blank)?;
                write_run(self.disk, self.chunk.first, &value, self.chunk.format)
                    .map_err(Error::Unwritable)?;
                self.chunk.bytes = value;
                erased += 1;
            }
            number = record.prev;
        }
        Ok(erased)
    }

    /// Overwrites the entries of the value that holds the number `from`, those below `until`; returns the first number that is
    /// left. Names of values stay, and so does what they say of repeats.
    pub(super) fn erase_value(&mut self, from: u64, until: u64) -> Result<u64, Error> {
        if self.record(from)?.is_none() {
            return Ok(from + 1);
        }
        let mut bytes = Vec::with_capacity(self.chunk.bytes.len());
        let mut is_changed = false;
        for (number, record) in self.chunk.records() {
            let record = match record.kind {
                Kind::Entry if (from..until).contains(&number) => {
                    is_changed = true;
                    record.erased(number)?
                }
                _ => record,
            };
            write_record(&mut bytes, record.kind, record.prev, &record.body)?;
        }
        if is_changed {
            write_run(self.disk, self.chunk.first, &bytes, self.chunk.format)
                .map_err(Error::Unwritable)?;
            self.chunk.bytes = bytes;
        }
        Ok(self.chunk.end().min(until))
    }

    /// When the entry with this number was made, if it says so.
    pub(super) fn time(&mut self, number: u64) -> Result<Option<Time>, Error> {
        let Some(record) = self.record(number)? else {
            return Ok(None);
        };
        Ok(match record.entry(number)? {
            Some(entry) => Some(entry.at),
            None => record.stub(number)?.map(|(_, at)| at),
        })
    }

    /// The present value with one record replaced by another of the same length.
    fn with(&self, number: u64, record: &Record) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(self.chunk.bytes.len());
        for (other, old) in self.chunk.records() {
            let new = if other == number { record } else { &old };
            write_record(&mut bytes, new.kind, new.prev, &new.body)?;
        }
        Ok(bytes)
    }

    /// Removes every value from this number on.
    pub(super) fn cut(&self, from: u64) -> Result<(), Error> {
        let mut keys = Vec::new();
        self.disk
            .scan(Map::Journal, &from.to_be_bytes(), |key, _| {
                keys.push(key.to_vec());
                Ok(())
            })?;
        for key in keys {
            self.disk
                .remove(Map::Journal, &key)
                .map_err(Error::Unwritable)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(bodies: &[usize]) -> Chunk {
        let mut chunk = Chunk {
            first: 7,
            ..Chunk::default()
        };
        for (n, len) in bodies.iter().enumerate() {
            chunk.starts.push(chunk.bytes.len());
            let body = vec![u8::try_from(n % 251).unwrap(); *len];
            write_record(&mut chunk.bytes, Kind::Entry, 3, &body).unwrap();
        }
        chunk
    }

    #[test]
    fn long_and_short_records_come_back_by_number_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("sled"), None).unwrap();
        let lengths = [10, 3000, 0, 1_100_000, 700, 700, 700, 7000, 1];
        let written = chunk(&lengths);
        written.write(&disk).unwrap();
        disk.sync().unwrap();
        let mut reader = Reader::new(&disk);
        for number in (7..16).rev() {
            assert_eq!(
                reader.record(number).unwrap(),
                written.record(number),
                "{number}"
            );
        }
        assert_eq!(reader.record(6).unwrap(), None);
        assert_eq!(reader.record(16).unwrap(), None);
        assert_eq!(reader.end().unwrap(), 16);
        let mut seen = Vec::new();
        reader
            .scan(9, |number, record| {
                seen.push((number, record.body.len()));
                Ok(())
            })
            .unwrap();
        let expected: Vec<_> = (7..).zip(lengths).skip(2).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn runs_respect_the_bound_and_lose_nothing() {
        let chunk = chunk(&[500, 500, 500, 500, 500, 9000, 10]);
        let runs = chunk.runs();
        assert_eq!(
            runs.iter().map(|(first, _)| *first).collect::<Vec<_>>(),
            [7, 11, 12, 13]
        );
        assert_eq!(
            runs.iter().map(|(_, run)| run.len()).sum::<usize>(),
            chunk.bytes.len()
        );
    }

    #[test]
    fn bytes_that_are_no_records_are_refused() {
        let good = chunk(&[5, 5]);
        for cut in [1, 11, 13, good.bytes.len() - 1] {
            assert!(
                Chunk::parse(1, good.bytes[..cut].to_vec(), Format::default()).is_none(),
                "{cut}"
            );
        }
        assert!(Chunk::parse(1, vec![9; 40], Format::default()).is_none());
    }
}
