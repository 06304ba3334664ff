//! Reads `table = { file, key }` and keeps every table once, however many rules use it.
//! Owns: where tables may lie, that the key is captured. Uses: table, sheet, model. Never: looks a row up.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Place, Remarks, Words, did_you_mean};
use super::gaps::Names;
use super::sheet::{Sheet, Text, Value};
use super::source::place_in;
use super::spec::Lookup;
use super::table::{Cells, Repeated, Table};
use crate::model::RuleFiles;

const TABLE: &[&str] = &["file", "key"];
/// Tables lie here and are named so.
const DIRECTORY: &str = "tables/";
const ENDING: &str = ".csv";
/// Of rows that repeat a key, so many are shown.
const SHOWN: usize = 10;

/// Tables that rules have used so far.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) tables: Vec<Table>,
    /// `None` for a file that cannot be used; it is reported once.
    cells: HashMap<Box<str>, Option<Arc<Cells>>>,
    keyed: HashMap<(Box<str>, Box<str>), u16>,
}

/// Reads `table`, and adds its columns to the rule's names.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    tables: &mut Tables,
    files: &RuleFiles,
    names: &mut Names,
) -> Option<Lookup> {
    let span = sheet.span(value.span());
    let owner = Words::new("`table` ", "`table`");
    let (mut file, mut key) = (None, None);
    for (name, value) in sheet.table("table", value)? {
        if !sheet.knows(name, TABLE, &owner) {
            return None;
        }
        match &**name.get_ref() {
            "file" => file = Some(sheet.string("file", value)?),
            _ => key = Some(sheet.string("key", value)?),
        }
    }
    let (Some(file), Some(key)) = (file, key) else {
        let words = Words::new(
            "`table` 要写 file(表格)和 key(用哪个捕获去查)",
            "`table` needs file, and key: the capture that is looked up",
        );
        let help = "table = { file = \"tables/stores.csv\", key = \"city\" }";
        let help = Words::new(format!("像 {help}"), format!("such as {help}"));
        sheet.report_with_help(Code::BadValue, span, words, help);
        return None;
    };
    if !names.has(key.text) || key.text.contains('.') {
        let words = Words::new(
            format!(
                "每个 `regex` 里都要有捕获 (?<{}>…),别的触发条件没有它",
                key.text
            ),
            format!(
                "every `regex` needs the capture (?<{}>…); other triggers do not give it",
                key.text
            ),
        );
        sheet.report(Code::Together, key.span, words);
        return None;
    }
    let cells = tables.cells(sheet, &file, files)?;
    cells
        .columns()
        .for_each(|column| names.give(format!("table.{column}")));
    let table = tables.keyed(sheet, &file, &key, files)?;
    Some(Lookup {
        table,
        key: key.text.into(),
    })
}

impl Tables {
    fn cells(
        &mut self,
        sheet: &mut Sheet<'_>,
        file: &Text<'_>,
        files: &RuleFiles,
    ) -> Option<&Arc<Cells>> {
        if !self.cells.contains_key(file.text) {
            let bytes = find(sheet, file, files)?;
            let cells = match Cells::read(bytes) {
                Ok(cells) => Some(Arc::new(cells)),
                Err(fault) => {
                    let place = place_of_line(file.text, bytes, fault.line);
                    let diagnostic = Diagnostic::new(Code::BadTable, place, fault.message);
                    sheet.remarks.push(diagnostic);
                    None
                }
            };
            self.cells.insert(file.text.into(), cells);
        }
        self.cells.get(file.text)?.as_ref()
    }

    fn keyed(
        &mut self,
        sheet: &mut Sheet<'_>,
        file: &Text<'_>,
        key: &Text<'_>,
        files: &RuleFiles,
    ) -> Option<u16> {
        let name = (Box::from(file.text), Box::from(key.text));
        if let Some(known) = self.keyed.get(&name) {
            return Some(*known);
        }
        let cells = self.cells.get(file.text)?.as_ref()?;
        let Some((table, repeated)) = cells.keyed(key.text) else {
            let words = Words::new(
                format!("表格 {} 里没有「{}」这一列", file.text, key.text),
                format!("{} has no column \"{}\"", file.text, key.text),
            );
            let known: Vec<&str> = cells.columns().collect();
            let known = known.join("、");
            let help = Words::new(format!("有这些列:{known}"), format!("columns: {known}"));
            sheet.report_with_help(Code::BadTable, key.span.clone(), words, help);
            return None;
        };
        let number = u16::try_from(self.tables.len()).ok();
        let Some(number) = number else {
            let words = Words::new("表格太多了", "there are too many tables");
            sheet.report(Code::TooMany, file.span.clone(), words);
            return None;
        };
        let bytes = find(sheet, file, files)?;
        report_repeated(sheet.remarks, file.text, bytes, &repeated);
        self.tables.push(table);
        self.keyed.insert(name, number);
        Some(number)
    }
}

/// The bytes of a table.
fn find<'f>(sheet: &mut Sheet<'_>, file: &Text<'_>, files: &'f RuleFiles) -> Option<&'f [u8]> {
    let found = files.0.iter().find(|(path, _)| path == file.text);
    let is_one = |path: &str| path.starts_with(DIRECTORY) && path.ends_with(ENDING);
    if let Some((_, bytes)) = found.filter(|(path, _)| is_one(path)) {
        return Some(bytes);
    }
    if !is_one(file.text) {
        let words = Words::new(
            "表格要放在 tables/ 下面,是 CSV 文件",
            "tables lie under tables/ and are CSV files",
        );
        let help = Words::new(
            "像 file = \"tables/stores.csv\"",
            "such as file = \"tables/stores.csv\"",
        );
        sheet.report_with_help(Code::BadValue, file.span.clone(), words, help);
        return None;
    }
    let words = Words::new(
        format!("没有文件 {}", file.text),
        format!("there is no file {}", file.text),
    );
    let diagnostic = Diagnostic::new(Code::MissingFile, sheet.place(file.span.clone()), words);
    let known = files.0.iter().map(|(path, _)| path.as_str());
    let meant = did_you_mean(file.text, known.filter(|path| is_one(path)));
    sheet.remarks.push(match meant {
        Some(meant) => diagnostic.help(Words::new(
            format!("是不是 {meant}?"),
            format!("did you mean {meant}?"),
        )),
        None => diagnostic,
    });
    None
}

fn report_repeated(remarks: &mut Remarks, file: &str, bytes: &[u8], repeated: &[Repeated]) {
    for (line, key) in repeated.iter().take(SHOWN) {
        let words = Words::new(
            format!("「{key}」前面已经有一行,这一行查不到"),
            format!("\"{key}\" has an earlier row; this one is never found"),
        );
        let place = place_of_line(file, bytes, *line);
        remarks.push(Diagnostic::new(Code::DuplicateRow, place, words));
    }
}

/// The beginning of a line, from 1.
fn place_of_line(file: &str, bytes: &[u8], line: u64) -> Place {
    let before = usize::try_from(line.saturating_sub(2)).unwrap_or(usize::MAX);
    let start = match line {
        0 | 1 => 0,
        _ => memchr::memchr_iter(b'\n', bytes)
            .nth(before)
            .map_or(bytes.len(), |newline| newline + 1),
    };
    place_in(&file.into(), bytes, start..start)
}
