//! Keeps entries in a file of its own while the database refuses them.
//! Owns: the file's form and its reserved space. Uses: journal's records. Never: decides when.
//!
//! The file is written with zeros when it is made, so that its blocks belong to it when the disk is full. (A file system that
//! copies on write gives no such promise.) A record is its length, a checksum and the bytes; the first that does not hold
//! ends the list.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::store::Error;

use super::disk::Refused;
use super::format::Format;
use super::journal::Chunk;
use super::settings::{BeforeIo, Io};

/// Length of the rest (4) and checksum of the rest (8).
const HEADER: usize = 12;
/// The number of the first record.
const NUMBER: usize = 8;

/// The spill file.
pub(super) struct Spill {
    file: File,
    size: u64,
    used: u64,
    before_io: Option<BeforeIo>,
}

impl Spill {
    /// Opens or makes the file and reads what it holds, which is in the format that the store was left in.
    pub(super) fn open(
        path: &Path,
        size: u64,
        before_io: Option<BeforeIo>,
        format: Format,
    ) -> Result<(Self, Vec<Chunk>), Error> {
        let opened = || -> io::Result<_> {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let held = file.metadata()?.len();
            if held < size {
                file.seek(SeekFrom::Start(held))?;
                zero(&mut file, size - held)?;
                file.sync_all()?;
            }
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            // Most of the file is empty most of the time.
            let used = u64::try_from(scan(&mut file, &mut bytes)?).unwrap_or(u64::MAX);
            Ok((file, size.max(held), used, bytes))
        };
        let (file, size, used, bytes) = opened()
            .map_err(|error| Error::Unwritable(format!("the spill file: {error}").into()))?;
        let mut chunks = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((chunk, more)) = read_record(rest, format) {
            chunks.push(chunk);
            rest = more;
        }
        let spill = Self {
            file,
            size,
            used,
            before_io,
        };
        Ok((spill, chunks))
    }

    /// Adds records; durable on return. Nothing is added when it fails.
    pub(super) fn append(&mut self, chunk: &Chunk) -> Result<(), Refused> {
        if let Some(before_io) = &self.before_io {
            before_io(Io::Spill).map_err(|error| Refused::from(error.to_string()))?;
        }
        let record = record(chunk).ok_or_else(|| Refused::from("too much for the spill file"))?;
        let len = u64::try_from(record.len()).unwrap_or(u64::MAX);
        if self.used.saturating_add(len) > self.size {
            return Err("the spill file is full".into());
        }
        let written = self.write(&record);
        if written.is_err() {
            // Else a later start would take it for kept.
            let _best_effort = self.write(&[0; HEADER]);
        }
        written.map_err(|error| Refused::from(error.to_string()))?;
        self.used += len;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.used))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// Forgets everything, and overwrites it: erased followers must not live on here.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        zero(&mut self.file, self.size)?;
        self.file.sync_data()?;
        self.used = 0;
        Ok(())
    }
}

fn zero(file: &mut File, len: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(len), file).map(drop)
}

/// Reads whole records while they hold; returns how many bytes they take.
fn scan(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        let mut header = [0; HEADER];
        let at = bytes.len();
        if file.read_exact(&mut header).is_err() {
            return Ok(at);
        }
        let [a, b, c, d, ..] = header;
        let len = u64::from(u32::from_le_bytes([a, b, c, d]));
        bytes.extend_from_slice(&header);
        (&*file).take(len).read_to_end(bytes)?;
        let read = bytes.get(at..);
        if read
            .and_then(|read| read_record(read, Format::default()))
            .is_none()
        {
            bytes.truncate(at);
            return Ok(at);
        }
    }
}

fn checksum(rest: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(rest).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

fn record(chunk: &Chunk) -> Option<Vec<u8>> {
    let mut rest = chunk.first.to_le_bytes().to_vec();
    rest.extend_from_slice(&chunk.bytes);
    let len = u32::try_from(rest.len()).ok()?;
    Some([&len.to_le_bytes()[..], &checksum(&rest), &rest].concat())
}

fn read_record(bytes: &[u8], format: Format) -> Option<(Chunk, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let (rest, more) = rest.split_at_checked(len)?;
    if len < NUMBER || checksum(rest) != *sum {
        return None;
    }
    let (first, records) = rest.split_first_chunk()?;
    let chunk = Chunk::parse(u64::from_le_bytes(*first), records.to_vec(), format)?;
    Some((chunk, more))
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Kind, write_record};
    use super::*;

    fn chunk(first: u64, len: usize) -> Chunk {
        let mut bytes = Vec::new();
        write_record(&mut bytes, Kind::Entry, 0, &vec![7; len]).unwrap();
        Chunk::parse(first, bytes, Format::default()).unwrap()
    }

    fn reopened(path: &Path) -> Vec<u64> {
        let (_, chunks) = Spill::open(path, 4096, None, Format::default()).unwrap();
        chunks.iter().map(|chunk| chunk.first).collect()
    }

    #[test]
    fn records_come_back_until_they_are_cleared_and_a_torn_one_ends_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spill");
        let (mut spill, chunks) = Spill::open(&path, 4096, None, Format::default()).unwrap();
        assert!(chunks.is_empty());
        for n in 1..=3 {
            spill.append(&chunk(n, 100)).unwrap();
        }
        assert_eq!(reopened(&path), [1, 2, 3]);
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 4096);
        bytes[300] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(reopened(&path), [1, 2]);

        let (mut spill, _) = Spill::open(&path, 4096, None, Format::default()).unwrap();
        spill.append(&chunk(9, 10)).unwrap();
        assert_eq!(reopened(&path), [1, 2, 9]);
        spill.clear().unwrap();
        assert!(reopened(&path).is_empty());
        assert!(
            std::fs::read(&path).unwrap()[..400]
                .iter()
                .all(|byte| *byte == 0)
        );
    }

    #[test]
    fn a_full_file_refuses_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spill");
        let (mut spill, _) = Spill::open(&path, 4096, None, Format::default()).unwrap();
        spill.append(&chunk(1, 3000)).unwrap();
        assert_eq!(
            &*spill.append(&chunk(2, 3000)).unwrap_err(),
            "the spill file is full"
        );
        spill.append(&chunk(3, 10)).unwrap();
        assert_eq!(reopened(&path), [1, 3]);
    }
}
