//! Makes text of a table's bytes and finds what stands between its cells.
//! Owns: encodings and delimiters of spreadsheets. Uses: encoding_rs, csv. Never: knows what a column means.

use encoding_rs::{GB18030, UTF_16BE, UTF_16LE};

use super::columns::{COLUMNS, named};
use super::table::Unreadable;

/// What may stand between cells.
const DELIMITERS: &[u8] = b",;\t";

/// The text of a table. UTF-8 wins where both fit: hardly any Chinese text in GBK is by chance good UTF-8.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(Unreadable::Workbook);
    }
    for (mark, encoding) in [(b"\xff\xfe", UTF_16LE), (b"\xfe\xff", UTF_16BE)] {
        if let Some(rest) = bytes.strip_prefix(mark) {
            let text = encoding.decode_without_bom_handling_and_without_replacement(rest);
            return text.map(Into::into).ok_or(Unreadable::Encoding);
        }
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    // GB18030 holds GBK.
    let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes);
    text.map(Into::into).ok_or(Unreadable::Encoding)
}

/// The delimiter, and how many bytes of the text only say which it is (`sep=;`, as Excel writes it).
pub(super) fn delimiter(text: &str) -> (u8, usize) {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if let Some(named) = first.trim_end().strip_prefix("sep=")
        && let [delimiter] = named.as_bytes()
        && DELIMITERS.contains(delimiter)
    {
        return (*delimiter, first.len());
    }
    let score = |delimiter: &&u8| {
        let mut cells = csv::StringRecord::new();
        let read = reader(text, **delimiter).read_record(&mut cells);
        let known = cells.iter().filter(|cell| named(COLUMNS, cell).is_some());
        (known.count(), read.map_or(0, |_| cells.len()))
    };
    // The last of equal ones is taken: the comma.
    let best = DELIMITERS.iter().rev().max_by_key(score);
    (best.copied().unwrap_or(b','), 0)
}

/// A reader that takes rows of any length and no row for a header.
pub(super) fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// Counts lines of a text from front to back.
pub(super) struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    pub(super) const fn new(text: &'t str, line: u64) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            line,
        }
    }

    /// The line in which the first text at or behind a place stands. Places must not go back.
    pub(super) fn of(&mut self, place: usize) -> u64 {
        let is_blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let rest = self.text.get(place..).unwrap_or_default();
        let end = place + rest.iter().take_while(|byte| is_blank(byte)).count();
        let passed = self.text.get(self.at..end).unwrap_or_default();
        let newlines = memchr::memchr_iter(b'\n', passed).count();
        self.line += u64::try_from(newlines).unwrap_or(u64::MAX);
        self.at = end.max(self.at);
        self.line
    }
}
