//! Holds a table (CSV under `tables/`) by which rules look up what was captured.
//! Owns: reading CSV in UTF-8 or GBK, its limits, and finding a row. Uses: csv, normalize. Never: knows a rule.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use super::diagnostic::Words;
use super::normalize::normalize;

/// A table may have so many rows.
pub(super) const MOST_ROWS: usize = 100_000;
/// And so many bytes.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// And so many columns.
const MOST_COLUMNS: usize = 100;

/// A table, its rows found by their normalised key.
pub struct Table {
    cells: Arc<Cells>,
    /// Keys of rows, one after another, and where each ends.
    keys: String,
    key_ends: Vec<u32>,
    rows: HashTable<u32>,
    hasher: RandomState,
}

/// What is wrong with a table, and on which line, from 1.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) message: Words,
}

/// A row whose key stands in an earlier row: its line, from 1, and the key.
pub(super) type Repeated = (u64, Box<str>);

/// The cells of a table as they stand in its file.
pub(super) struct Cells {
    columns: Box<[Box<str>]>,
    /// All cells, row by row, one after another.
    text: String,
    /// Where each cell ends.
    ends: Vec<u32>,
    /// On which line each row begins.
    lines: Vec<u64>,
}

impl Cells {
    /// Reads a file.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let at_top = |message| Fault { line: 1, message };
        if bytes.len() > MOST_BYTES {
            return Err(at_top(Words::new(
                format!("表格有 {} 字节,最多 {MOST_BYTES} 字节", bytes.len()),
                format!("the table has {} bytes, at most {MOST_BYTES}", bytes.len()),
            )));
        }
        let text = decoded(bytes).ok_or_else(|| {
            at_top(Words::new(
                "表格的编码读不懂:要存成 UTF-8 或 GBK 的 CSV",
                "the table's encoding is unreadable: save it as CSV in UTF-8 or GBK",
            ))
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut cells: Option<Self> = None;
        let mut record = csv::StringRecord::new();
        loop {
            let line = reader.position().line();
            let is_there = reader.read_record(&mut record).map_err(|error| Fault {
                line,
                message: Words::new(format!("CSV 写法不对:{error}"), format!("not CSV: {error}")),
            })?;
            if !is_there {
                break;
            }
            let line = record.position().map_or(line, csv::Position::line);
            match &mut cells {
                None => cells = Some(Self::header(&record, line)?),
                Some(_) if record.iter().all(str::is_empty) => {}
                Some(cells) => cells.push(&record, line)?,
            }
        }
        cells.ok_or_else(|| at_top(Words::new("表格是空的", "the table is empty")))
    }

    fn header(record: &csv::StringRecord, line: u64) -> Result<Self, Fault> {
        let columns: Box<[Box<str>]> = record.iter().map(Box::from).collect();
        let fault = |message| Fault { line, message };
        if columns.len() > MOST_COLUMNS {
            return Err(fault(Words::new(
                format!("表格有 {} 列,最多 {MOST_COLUMNS} 列", columns.len()),
                format!(
                    "the table has {} columns, at most {MOST_COLUMNS}",
                    columns.len()
                ),
            )));
        }
        for (place, name) in columns.iter().enumerate() {
            if name.is_empty() || name.contains(['{', '}', '\n']) {
                return Err(fault(Words::new(
                    format!("表头第 {} 列的名字是空的,或有大括号", place + 1),
                    format!("column {} has no name, or braces in it", place + 1),
                )));
            }
            if columns.iter().take(place).any(|earlier| earlier == name) {
                return Err(fault(Words::new(
                    format!("表头里有两个「{name}」"),
                    format!("two columns are named \"{name}\""),
                )));
            }
        }
        Ok(Self {
            columns,
            text: String::new(),
            ends: Vec::new(),
            lines: Vec::new(),
        })
    }

    fn push(&mut self, record: &csv::StringRecord, line: u64) -> Result<(), Fault> {
        let fault = |message| Fault { line, message };
        let (wanted, there) = (self.columns.len(), record.len());
        if wanted != there {
            return Err(fault(Words::new(
                format!("这一行有 {there} 列,表头有 {wanted} 列"),
                format!("this row has {there} columns, the header {wanted}"),
            )));
        }
        if self.lines.len() == MOST_ROWS {
            return Err(fault(Words::new(
                format!("表格最多 {MOST_ROWS} 行"),
                format!("a table has at most {MOST_ROWS} rows"),
            )));
        }
        for cell in record {
            self.text.push_str(cell);
            self.ends.push(narrow(self.text.len()));
        }
        self.lines.push(line);
        Ok(())
    }

    /// The names of its columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|name| &**name)
    }

    fn cell(&self, at: usize) -> Option<&str> {
        slice(&self.text, &self.ends, at)
    }

    /// Makes its rows findable by a column. Besides: rows whose key stands in an earlier row, by line and key.
    pub(super) fn keyed(self: &Arc<Self>, column: &str) -> Option<(Table, Vec<Repeated>)> {
        let place = self.columns.iter().position(|name| **name == *column)?;
        let mut table = Table {
            cells: Arc::clone(self),
            keys: String::new(),
            key_ends: Vec::with_capacity(self.lines.len()),
            rows: HashTable::with_capacity(self.lines.len()),
            // Fixed seeds: the keys are the operator's own, and compiling must give the same set every time.
            hasher: RandomState::with_seeds(1, 2, 3, 4),
        };
        let mut repeated = Vec::new();
        for (row, line) in self.lines.iter().enumerate() {
            let cell = self.cell(row * self.columns.len() + place);
            let key = normalize(cell.unwrap_or_default());
            if !key.is_empty() && table.row(&key).is_some() {
                repeated.push((*line, key.as_str().into()));
            }
            table.enter(row, &key);
        }
        Some((table, repeated))
    }
}

impl Table {
    /// The row whose key is this normalised text.
    pub fn row(&self, normalized: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(normalized);
        let found = self
            .rows
            .find(hash, |row| self.key(*row) == Some(normalized));
        found.copied()
    }

    /// The cell of a row under a column's name.
    pub fn field(&self, row: u32, column: &str) -> Option<&str> {
        let columns = &self.cells.columns;
        let place = columns.iter().position(|name| **name == *column)?;
        let row = usize::try_from(row).ok()?;
        self.cells
            .cell(row.checked_mul(columns.len())?.checked_add(place)?)
    }

    /// The names of the columns, in order.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.cells.columns()
    }

    /// Notes a row's key; of rows with one key the first is found. A row without a key is never found.
    fn enter(&mut self, row: usize, key: &str) {
        let is_new = !key.is_empty() && self.row(key).is_none();
        self.keys.push_str(key);
        self.key_ends.push(narrow(self.keys.len()));
        if is_new {
            let Self {
                keys,
                key_ends,
                rows,
                hasher,
                ..
            } = self;
            rows.insert_unique(hasher.hash_one(key), narrow(row), |row| {
                hasher.hash_one(slice(
                    keys,
                    key_ends,
                    usize::try_from(*row).unwrap_or(usize::MAX),
                ))
            });
        }
    }

    fn key(&self, row: u32) -> Option<&str> {
        slice(&self.keys, &self.key_ends, usize::try_from(row).ok()?)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("columns", &self.cells.columns)
            .field("rows", &self.key_ends.len())
            .finish_non_exhaustive()
    }
}

/// What stands between one end and the next.
fn slice<'t>(text: &'t str, ends: &[u32], at: usize) -> Option<&'t str> {
    let place = |at: usize| ends.get(at).and_then(|end| usize::try_from(*end).ok());
    let start = match at.checked_sub(1) {
        Some(before) => place(before)?,
        None => 0,
    };
    text.get(start..place(at)?)
}

/// The text of a file: UTF-8, with a byte order mark or without, or GBK.
fn decoded(bytes: &[u8]) -> Option<std::borrow::Cow<'_, str>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.into()),
        Err(_) => encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(bytes),
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(text: &[u8]) -> (Table, Vec<Repeated>) {
        Arc::new(Cells::read(text).unwrap()).keyed("city").unwrap()
    }

    #[test]
    fn rows_are_found_by_normalised_key_and_the_first_of_two_stays() {
        let text = "city,phone\n臺北,\"1,2\"\n\nBerlin , 3\n台北市,4\n台北,5\n,6\n";
        let (table, repeated) = keyed(text.as_bytes());
        let phone = |key: &str| table.field(table.row(&normalize(key))?, "phone");
        assert_eq!(phone("台北"), Some("1,2"));
        assert_eq!(phone("berlin!"), Some("3"));
        assert_eq!(phone("上海"), None);
        assert_eq!(table.row(""), None);
        assert_eq!(table.field(0, "fax"), None);
        assert_eq!(table.field(9, "phone"), None);
        assert_eq!(repeated, [(6, "台北".into())]);
    }

    #[test]
    fn gbk_and_byte_order_marks_are_read() {
        let (gbk, _, _) = encoding_rs::GBK.encode("city,名\n北京,首都\n");
        for text in [&gbk[..], "\u{FEFF}city,名\n北京,首都\n".as_bytes()] {
            let (table, _) = keyed(text);
            let row = table.row("北京").unwrap();
            assert_eq!(table.field(row, "名"), Some("首都"));
        }
    }

    #[test]
    fn what_is_no_table_is_described_by_line() {
        for (text, line) in [
            (&b""[..], 1),
            (b"\xFF\xFE\x00", 1),
            (b"a,a\n", 1),
            (b"a,\n", 1),
            (b"a,{b}\n", 1),
            (b"a,b\n1,2\n1\n", 3),
            (b"a,b\n\"1\n2\",3\n4\n", 4),
        ] {
            let fault = Cells::read(text).err().unwrap();
            assert_eq!(fault.line, line, "{text:?} {fault:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, key: String) {
            if let Ok(cells) = Cells::read(&bytes).map(Arc::new) {
                for column in cells.columns() {
                    let (table, _) = cells.keyed(column).unwrap();
                    if let Some(row) = table.row(&key) {
                        proptest::prop_assert!(table.field(row, column).is_some());
                    }
                }
            }
        }
    }
}
