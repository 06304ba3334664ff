//! Reads rules from a spreadsheet: a keyword and a reply a row, and more columns if wanted.
//! Owns: what a row means, when rows are one rule, what is wrong with a cell. Uses: text, columns, cells. Never: opens a file.

use super::cells;
use super::columns::{COLUMNS, Column, KINDS, SWITCH, WAYS, Way, named, split, unguarded};
use super::draft::{Aside, Draft, DraftRule, Says, Spot};
use super::names::Names;
use super::text::{Lines, decode, delimiter, reader};
use crate::model::AccountName;
use crate::rules::diagnostic::{Words, did_you_mean};

/// The most rows that are read: twice as many rules as the server is made for.
const MOST_ROWS: usize = 200_000;
/// After so many faults nothing more is read.
pub const MOST_FAULTS: usize = 100;
/// The largest `priority` of a rule file, and the smallest with a minus.
const MOST_PRIORITY: i64 = 1_000_000;

/// Why a table cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is a workbook, not a table in text.
    #[error(
        "这是 Excel 工作簿,请先「另存为」CSV | this is an Excel workbook; save it as CSV first"
    )]
    Workbook,
    /// It is neither UTF-8 nor GBK.
    #[error("既不是 UTF-8 也不是 GBK | neither UTF-8 nor GBK")]
    Encoding,
    /// There is nothing in it.
    #[error("表格里没有规则 | there are no rules in the table")]
    Empty,
    /// Its header names no column of keywords, or none of replies.
    #[error("表头里缺少「{0}」这一列 | the header has no column \"{1}\"")]
    NoColumn(&'static str, &'static str),
    /// The header names a column twice.
    #[error("表头里「{0}」出现了两次 | the header has the column \"{0}\" twice")]
    Twice(String),
    /// It has too many rows.
    #[error("超过 {MOST_ROWS} 行 | more than {MOST_ROWS} rows")]
    TooLong,
}

/// A table of rules that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The rules of the good rows.
    pub draft: Draft,
    /// What is wrong with the others, at most [`MOST_FAULTS`].
    pub faults: Vec<Fault>,
}

/// What is wrong with a cell. Its row is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which cell.
    pub spot: Spot,
    /// What is wrong.
    pub words: Words,
}

/// Reads a table. Without a header that is known, the first two columns are keyword and reply. `source` names where it
/// comes from, with the date.
///
/// # Errors
/// [`Unreadable`] when there is no table of rules; what is wrong with single rows is in [`Read::faults`].
pub fn read(bytes: &[u8], names: &mut Names, source: &str) -> Result<Read, Unreadable> {
    let text = decode(bytes)?;
    let (delimiter, skipped) = delimiter(&text);
    let text = text.get(skipped..).unwrap_or_default();
    let mut lines = Lines::new(text, if skipped > 0 { 2 } else { 1 });
    let mut rows = reader(text, delimiter);
    let mut table = Table::new(names, source);
    let mut record = csv::StringRecord::new();
    let mut header = None;
    let mut count = 0;
    // Reading from memory, and text that is UTF-8, cannot fail.
    while rows.read_record(&mut record).unwrap_or(false) {
        let place = record.position().map_or(0, csv::Position::byte);
        let line = lines.of(usize::try_from(place).unwrap_or(usize::MAX));
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let header = match &mut header {
            Some(header) => header,
            none => {
                let (found, is_header) = Header::find(&record, &mut table.draft.asides)?;
                let header = none.insert(found);
                if is_header {
                    continue;
                }
                header
            }
        };
        count += 1;
        if count > MOST_ROWS {
            return Err(Unreadable::TooLong);
        }
        table.add(&Row {
            header,
            record: &record,
            line,
        });
        if table.faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if count == 0 {
        return Err(Unreadable::Empty);
    }
    Ok(Read {
        draft: table.draft,
        faults: table.faults,
    })
}

/// Which column is which.
struct Header(Vec<Option<Column>>);

impl Header {
    /// Reads the first row. Gives also whether it is a header.
    fn find(
        record: &csv::StringRecord,
        asides: &mut Vec<Aside>,
    ) -> Result<(Self, bool), Unreadable> {
        let columns: Vec<Option<Column>> = record.iter().map(|cell| named(COLUMNS, cell)).collect();
        if columns.iter().all(Option::is_none) {
            return Ok((
                Self(vec![Some(Column::Keyword), Some(Column::Reply)]),
                false,
            ));
        }
        for (wanted, zh, en) in [
            (Column::Keyword, "关键词", "keyword"),
            (Column::Reply, "回复", "reply"),
        ] {
            if !columns.contains(&Some(wanted)) {
                return Err(Unreadable::NoColumn(zh, en));
            }
        }
        let mut unread = Vec::new();
        for (place, (column, cell)) in columns.iter().zip(record).enumerate() {
            match column {
                Some(_) if columns.iter().take(place).any(|before| before == column) => {
                    return Err(Unreadable::Twice(cells::shown(cell)));
                }
                None if !cell.trim().is_empty() => unread.push(cells::shown(cell)),
                _ => {}
            }
        }
        if !unread.is_empty() {
            asides.push(Aside {
                what: Words::new(
                    format!("没有读的列:{}", unread.join("、")),
                    format!("columns not read: {}", unread.join(", ")),
                ),
                why: Words::new(
                    "能读的列:编号、名称、匹配、关键词、不含、回复、账号、优先级、启用、负责人",
                    "read are: id, title, match, keyword, none, reply, accounts, priority, enabled, owner",
                ),
                suggestion: String::new(),
            });
        }
        Ok((Self(columns), true))
    }

    fn place(&self, column: Column) -> Option<usize> {
        self.0.iter().position(|here| *here == Some(column))
    }
}

/// A row with its header.
struct Row<'r> {
    header: &'r Header,
    record: &'r csv::StringRecord,
    line: u64,
}

impl<'r> Row<'r> {
    fn cell(&self, column: Column) -> &'r str {
        let cell = self
            .header
            .place(column)
            .and_then(|place| self.record.get(place));
        unguarded(cell.unwrap_or_default())
    }

    fn spot(&self, column: Column) -> Spot {
        self.spot_at(self.header.place(column).unwrap_or(0))
    }

    const fn spot_at(&self, place: usize) -> Spot {
        Spot {
            line: self.line,
            column: place + 1,
        }
    }
}

/// A table that is being read.
struct Table<'n> {
    draft: Draft,
    faults: Vec<Fault>,
    names: &'n mut Names,
    /// What the last row said besides its keywords, and how it matched: rows that agree are one rule.
    last: Option<(Meaning, Way)>,
}

/// All of a row but its keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meaning {
    id: String,
    title: String,
    none: Vec<String>,
    reply: String,
    accounts: Vec<String>,
    priority: i64,
    is_enabled: bool,
    owner: String,
}

impl<'n> Table<'n> {
    fn new(names: &'n mut Names, source: &str) -> Self {
        Self {
            draft: Draft {
                source: source.to_owned(),
                ..Draft::default()
            },
            faults: Vec::new(),
            names,
            last: None,
        }
    }

    fn add(&mut self, row: &Row<'_>) {
        if let Some(why) = beyond_a_table(row) {
            let title = [Column::Title, Column::Id, Column::Keyword]
                .into_iter()
                .map(|column| row.cell(column).trim())
                .find(|cell| !cell.is_empty());
            let mut rule = DraftRule::new(String::new(), &cells::shown(title.unwrap_or_default()));
            rule.losses.push(why);
            rule.spot = Some(row.spot_at(0));
            self.draft.rules.push(rule);
            self.last = None;
            return;
        }
        let before = self.faults.len();
        let way = self.way(row);
        let words = self.words(row, Column::Keyword);
        if words.is_empty() && self.faults.len() == before {
            self.fault(
                row.spot(Column::Keyword),
                Words::new("关键词是空的", "an empty keyword"),
            );
        }
        let meaning = self.meaning(row);
        let (Some(way), Some(meaning), true) = (way, meaning, self.faults.len() == before) else {
            self.last = None;
            return;
        };
        let room = self.draft.rules.last().map_or(0, |rule| {
            cells::MOST_WORDS.saturating_sub(rule.questions().count())
        });
        let joins = self.last.as_ref().is_some_and(|(last, last_way)| {
            *last == meaning && way != Way::All && *last_way != Way::All && words.len() <= room
        });
        if !joins {
            let rule = self.begin(&meaning, words.first(), row);
            self.draft.rules.push(rule);
        }
        if let Some(rule) = self.draft.rules.last_mut() {
            let heard = match way {
                Way::Exact => &mut rule.exact,
                Way::All => &mut rule.all,
                Way::Any | Way::Other => &mut rule.any,
            };
            for word in words {
                if !heard.contains(&word) {
                    heard.push(word);
                }
            }
        }
        self.last = Some((meaning, way));
    }

    fn begin(&mut self, meaning: &Meaning, word: Option<&String>, row: &Row<'_>) -> DraftRule {
        let named = [&meaning.id, &meaning.title]
            .into_iter()
            .find(|name| !name.is_empty());
        let name = named.or(word).map(String::as_str).unwrap_or_default();
        let mut rule = DraftRule::new(self.names.give(name, "rule"), &meaning.title);
        rule.none.clone_from(&meaning.none);
        rule.accounts.clone_from(&meaning.accounts);
        rule.priority = meaning.priority;
        rule.is_enabled = meaning.is_enabled;
        rule.owner.clone_from(&meaning.owner);
        rule.says.push(Says::Text(meaning.reply.clone()));
        rule.spot = Some(row.spot_at(0));
        if !meaning.id.is_empty() && rule.id != meaning.id {
            let (old, new) = (cells::shown(&meaning.id), &rule.id);
            rule.losses.push(Words::new(
                format!("编号「{old}」已经用过或不合规,换成「{new}」"),
                format!("the id \"{old}\" is taken or not legal; it is \"{new}\" now"),
            ));
        }
        rule
    }

    fn meaning(&mut self, row: &Row<'_>) -> Option<Meaning> {
        let columns = row.header.0.len();
        let extra = row.record.iter().enumerate().skip(columns);
        for (place, cell) in extra.filter(|(_, cell)| !cell.trim().is_empty()).take(1) {
            let cell = cells::shown(cell);
            self.fault(
                row.spot_at(place),
                Words::new(
                    format!("「{cell}」:这一行的格子比表头多;回复里有逗号的话,整格要用英文引号括起来"),
                    format!("\"{cell}\": more cells than the header has; a reply with commas needs quotes around it"),
                ),
            );
        }
        let reply = cells::reply(row.cell(Column::Reply));
        let reply = reply.map_err(|why| self.fault(row.spot(Column::Reply), why));
        let is_enabled = self.is_enabled(row);
        let priority = self.priority(row);
        Some(Meaning {
            id: row.cell(Column::Id).trim().to_owned(),
            title: row.cell(Column::Title).trim().to_owned(),
            none: self.words(row, Column::Veto),
            reply: reply.ok()?,
            accounts: self.accounts(row),
            priority: priority?,
            is_enabled: is_enabled?,
            owner: row.cell(Column::Owner).trim().to_owned(),
        })
    }

    fn way(&mut self, row: &Row<'_>) -> Option<Way> {
        let cell = row.cell(Column::Match).trim();
        if cell.is_empty() {
            return Some(Way::Any);
        }
        let way = named(WAYS, cell);
        if way.is_none() {
            let meant = did_you_mean(
                cell,
                WAYS.iter().flat_map(|(_, names)| names.iter().copied()),
            );
            let (zh, en) = meant.map_or_else(
                || {
                    (
                        "写 等于、包含 或 全包含".to_owned(),
                        "write exact, any or all".to_owned(),
                    )
                },
                |meant| {
                    (
                        format!("是不是「{meant}」?"),
                        format!("did you mean \"{meant}\"?"),
                    )
                },
            );
            let cell = cells::shown(cell);
            self.fault(
                row.spot(Column::Match),
                Words::new(
                    format!("不认识的匹配方式「{cell}」,{zh}"),
                    format!("unknown way to match \"{cell}\"; {en}"),
                ),
            );
        }
        way
    }

    fn words(&mut self, row: &Row<'_>, column: Column) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let cell = split(row.cell(column));
        if cell.len() > cells::MOST_WORDS {
            let most = cells::MOST_WORDS;
            self.fault(
                row.spot(column),
                Words::new(
                    format!("一格最多 {most} 个词"),
                    format!("a cell has at most {most} words"),
                ),
            );
            return words;
        }
        for word in cell {
            match cells::keyword(&word) {
                Ok(word) => words.push(word),
                Err(why) => self.fault(row.spot(column), why),
            }
        }
        words
    }

    fn accounts(&mut self, row: &Row<'_>) -> Vec<String> {
        let names: Vec<String> = split(row.cell(Column::Accounts))
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        for name in names
            .iter()
            .filter(|name| AccountName::parse(name.as_str()).is_err())
        {
            let name = cells::shown(name);
            self.fault(
                row.spot(Column::Accounts),
                Words::new(
                    format!("公众号的名字只用小写字母、数字和 -,字母开头,不是「{name}」"),
                    format!(
                        "an account's name has lower-case letters, digits and -, not \"{name}\""
                    ),
                ),
            );
        }
        names
    }

    fn priority(&mut self, row: &Row<'_>) -> Option<i64> {
        let cell = row.cell(Column::Priority).trim();
        let number = if cell.is_empty() { Ok(0) } else { cell.parse() };
        let number = number
            .ok()
            .filter(|number: &i64| (-MOST_PRIORITY..=MOST_PRIORITY).contains(number));
        if number.is_none() {
            let cell = cells::shown(cell);
            self.fault(
                row.spot(Column::Priority),
                Words::new(
                    format!("优先级要写成 {MOST_PRIORITY} 以内的整数,不是「{cell}」"),
                    format!("the priority is a whole number up to {MOST_PRIORITY}, not \"{cell}\""),
                ),
            );
        }
        number
    }

    fn is_enabled(&mut self, row: &Row<'_>) -> Option<bool> {
        let cell = row.cell(Column::Enabled);
        if cell.trim().is_empty() {
            return Some(true);
        }
        let switch = named(SWITCH, cell);
        if switch.is_none() {
            let cell = cells::shown(cell);
            self.fault(
                row.spot(Column::Enabled),
                Words::new(
                    format!("启用要写 是 或 否,不是「{cell}」"),
                    format!("enabled is yes or no, not \"{cell}\""),
                ),
            );
        }
        switch
    }

    fn fault(&mut self, spot: Spot, words: Words) {
        self.faults.push(Fault { spot, words });
    }
}

/// Why a row of an export is more than a table can hold.
fn beyond_a_table(row: &Row<'_>) -> Option<Words> {
    let more = row.cell(Column::More).trim();
    if !more.is_empty() {
        let more = cells::shown(more);
        return Some(Words::new(
            format!("还有 {more},表格里写不下,请直接改规则文件"),
            format!("it has also {more}, which a table cannot hold; edit the rule file instead"),
        ));
    }
    let way = row.cell(Column::Match).trim();
    if named(WAYS, way) == Some(Way::Other) {
        return Some(Words::new(
            format!("匹配方式「{way}」表格里写不下,请直接写规则文件"),
            format!("a table cannot hold the way to match \"{way}\"; write a rule file instead"),
        ));
    }
    let kind = row.cell(Column::Kind).trim();
    let is_text = kind.is_empty() || KINDS.first().is_some_and(|text| text.contains(&kind));
    (!is_text).then(|| {
        let kind = cells::shown(kind);
        Words::new(
            format!("回复的类型「{kind}」表格里写不下,请直接写规则文件"),
            format!(
                "a table cannot hold a reply of the kind \"{kind}\"; write a rule file instead"
            ),
        )
    })
}
