//! Makes a table of rules for people and spreadsheets.
//! Owns: what of a rule stands in which column. Uses: import's columns, toml, csv, encoding_rs. Never: I/O, matching.
//!
//! A rule that a table can hold, exported and imported again, means the same.

use serde::Serialize;
use toml::{Table, Value};

use super::diagnostic::{Lang, Words};
pub use super::import::columns::guarded;
use super::import::columns::{COLUMNS, Column, KINDS, SWITCH, WAYS, in_lang, join};
use super::source::Cuts;
use super::template::{Written, pieces};
use crate::model::RuleFiles;

/// The keys of a rule that have columns, or say nothing about what it does.
const HELD: &[&str] = &[
    "id",
    "title",
    "exact",
    "any",
    "all",
    "none",
    "reply",
    "replies",
    "accounts",
    "priority",
    "enabled",
    "owner",
    "tests",
    "note",
    "source",
    "review_by",
    "regex",
    "like",
    "event",
    "message",
];

/// A way in which one rule is triggered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Path under `rules/`.
    pub file: String,
    /// The rule's id.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// The key that says how its words are matched: `exact`, `any`, `event` …; empty for a rule without trigger.
    #[serde(rename = "match")]
    pub key: String,
    /// The words.
    pub words: Vec<String>,
    /// The words that veto it.
    pub none: Vec<String>,
    /// What it answers, as far as words can say it.
    pub reply: String,
    /// `text`, `image`, …; `template` for text with placeholders, `several`, or `other` for a rule without reply.
    pub kind: String,
    /// The accounts that it is for; empty: all.
    pub accounts: Vec<String>,
    /// The higher one wins.
    pub priority: i64,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Who looks after it; may be empty.
    pub owner: String,
    /// The keys of what it does besides, which no column holds.
    pub more: Vec<String>,
}

/// Why there is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file is not UTF-8 or not TOML.
    #[error("{file} 读不懂,先用 check 看看 | {file} cannot be read; see what check says")]
    Unreadable {
        /// Which.
        file: String,
    },
    /// GBK has no sign for a character.
    #[error(
        "GBK 里没有「{character}」(规则 {id}),用 --encoding utf8 | GBK has no {character} (rule {id}); use --encoding utf8"
    )]
    NotGbk {
        /// The character.
        character: char,
        /// In which rule.
        id: String,
    },
}

/// The encoding of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// With the byte-order mark by which Excel knows it.
    Utf8,
    /// For old spreadsheets.
    Gbk,
}

/// Every rule of the files, one row for each key that triggers it, in the order of the files.
///
/// # Errors
/// [`Error::Unreadable`] for the first file that is not TOML. Files are not checked further.
pub fn rows(files: &RuleFiles) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let rule_files = files
        .0
        .iter()
        .filter(|(path, _)| path.ends_with(".toml") && !path.starts_with('_'));
    for (path, bytes) in rule_files {
        let unreadable = || Error::Unreadable { file: path.clone() };
        let text = str::from_utf8(bytes).map_err(|_not_utf8| unreadable())?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        Cuts::find(text).map_err(|_too_deep| unreadable())?;
        let file: Table = text.parse().map_err(|_not_toml| unreadable())?;
        let default = |key: &str| file.get("defaults").and_then(|defaults| defaults.get(key));
        let defaults = Defaults {
            accounts: default("accounts").map(texts).unwrap_or_default(),
            owner: default("owner").and_then(Value::as_str).unwrap_or_default(),
        };
        let rules = file
            .get("rule")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for rule in rules.filter_map(Value::as_table) {
            add(&mut rows, path, rule, &defaults);
        }
    }
    Ok(rows)
}

/// What a file says for rules that do not say it themselves.
struct Defaults<'f> {
    accounts: Vec<String>,
    owner: &'f str,
}

fn add(rows: &mut Vec<Row>, path: &str, rule: &Table, defaults: &Defaults<'_>) {
    let text = |key: &str| {
        rule.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (kind, reply) = reply(rule);
    let more = rule.keys().filter(|key| !HELD.contains(&key.as_str()));
    let row = Row {
        file: path.to_owned(),
        id: text("id"),
        title: text("title"),
        key: String::new(),
        words: Vec::new(),
        none: rule.get("none").map(texts).unwrap_or_default(),
        reply,
        kind: kind.to_owned(),
        accounts: rule
            .get("accounts")
            .map_or_else(|| defaults.accounts.clone(), texts),
        priority: rule
            .get("priority")
            .and_then(Value::as_integer)
            .unwrap_or(0),
        enabled: rule.get("enabled").and_then(Value::as_bool).unwrap_or(true),
        owner: rule
            .get("owner")
            .and_then(Value::as_str)
            .unwrap_or(defaults.owner)
            .to_owned(),
        more: more.cloned().collect(),
    };
    let before = rows.len();
    for (_, names) in WAYS {
        let key = in_lang(names, Lang::En);
        if let Some(words) = rule.get(key) {
            rows.push(Row {
                key: key.to_owned(),
                words: texts(words),
                ..row.clone()
            });
        }
    }
    if rows.len() == before {
        rows.push(row);
    }
}

/// The kind of a rule's reply, and its words.
fn reply(rule: &Table) -> (&str, String) {
    if let Some(text) = rule.get("reply").and_then(Value::as_str) {
        return spoken(text);
    }
    let entries = rule
        .get("replies")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    match entries.unwrap_or_default() {
        [] => ("other", String::new()),
        [entry] => said(entry),
        several => {
            let replies = several.iter().map(|entry| said(entry).1);
            ("several", replies.collect::<Vec<_>>().join("\n---\n"))
        }
    }
}

/// The kind of an entry of `[[rule.replies]]`, and its words.
fn said(entry: &Value) -> (&str, String) {
    let keys = entry.as_table().into_iter().flatten();
    let Some((kind, value)) = keys.into_iter().find(|(key, _)| *key != "fallback") else {
        return ("other", String::new());
    };
    match value.as_str() {
        Some(text) if kind == "text" => spoken(text),
        Some(text) => (kind, text.to_owned()),
        None => (kind, value.to_string()),
    }
}

/// A text without doubled braces when it has no placeholders, and its kind.
fn spoken(text: &str) -> (&'static str, String) {
    let mut plain = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Written::Text(part) => plain.push_str(part),
            _ => return ("template", text.to_owned()),
        }
    }
    ("text", plain)
}

/// A text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// The rows as CSV with a header in one language. No cell is a formula to a spreadsheet.
///
/// # Errors
/// [`Error::NotGbk`] for the first character that GBK does not have.
pub fn csv(rows: &[Row], encoding: Encoding, lang: Lang) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    if encoding == Encoding::Utf8 {
        bytes.extend(b"\xef\xbb\xbf");
    }
    let header = COLUMNS
        .iter()
        .map(|(_, names)| in_lang(names, lang).to_owned());
    write(&mut bytes, &header.collect::<Vec<_>>(), encoding, "")?;
    for row in rows {
        let cells = COLUMNS
            .iter()
            .map(|(column, _)| guarded(&cell(row, *column, lang)));
        write(&mut bytes, &cells.collect::<Vec<_>>(), encoding, &row.id)?;
    }
    Ok(bytes)
}

/// The remark for people about rows that a table cannot hold, if there are any.
pub fn remark(rows: &[Row]) -> Option<Words> {
    let is_beyond = |row: &&Row| {
        row.kind != "text"
            || !row.more.is_empty()
            || !matches!(row.key.as_str(), "exact" | "any" | "all")
    };
    let count = rows.iter().filter(is_beyond).count();
    (count > 0).then(|| {
        Words::new(
            format!("{count} 行表格里写不全(正则、事件、图片、时间……),只供查看;import csv 不会带回这些行"),
            format!("{count} rows say more than a table can hold (regexes, events, pictures, times …) and are for reading only; import csv leaves them out"),
        )
    })
}

fn write(bytes: &mut Vec<u8>, cells: &[String], encoding: Encoding, id: &str) -> Result<(), Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer
        .write_record(cells)
        .expect("writing to memory cannot fail");
    let line = writer.into_inner().expect("writing to memory cannot fail");
    match encoding {
        Encoding::Utf8 => bytes.extend(line),
        Encoding::Gbk => {
            let text = String::from_utf8_lossy(&line);
            let (coded, _, has_foreign) = encoding_rs::GBK.encode(&text);
            if has_foreign {
                let is_foreign = |c: &char| encoding_rs::GBK.encode(&c.to_string()).2;
                return Err(Error::NotGbk {
                    character: text.chars().find(is_foreign).unwrap_or_default(),
                    id: id.to_owned(),
                });
            }
            bytes.extend_from_slice(&coded);
        }
    }
    Ok(())
}

fn cell(row: &Row, column: Column, lang: Lang) -> String {
    match column {
        Column::File => row.file.clone(),
        Column::Id => row.id.clone(),
        Column::Title => row.title.clone(),
        Column::Match => {
            let names = WAYS.iter().map(|(_, names)| *names);
            let names = names
                .into_iter()
                .find(|names| names.contains(&row.key.as_str()));
            names
                .map(|names| in_lang(names, lang))
                .unwrap_or_default()
                .to_owned()
        }
        Column::Keyword => join(&row.words, lang),
        Column::Veto => join(&row.none, lang),
        Column::Reply => row.reply.clone(),
        Column::Kind => {
            let kind = KINDS
                .iter()
                .find(|names| names.contains(&row.kind.as_str()));
            kind.map_or_else(|| row.kind.clone(), |names| in_lang(names, lang).to_owned())
        }
        Column::Accounts => join(&row.accounts, lang),
        Column::Priority => row.priority.to_string(),
        Column::Enabled => {
            let names = SWITCH.iter().find(|(is_on, _)| *is_on == row.enabled);
            names
                .map(|(_, names)| in_lang(names, lang))
                .unwrap_or_default()
                .to_owned()
        }
        Column::Owner => row.owner.clone(),
        Column::More => row.more.join(" "),
    }
}
