//! Reads `_canned.toml`: answers that people use again and again.
//! Owns: its keys, which placeholders an answer may have. Uses: sheet, fields, lint, model. Never: fills one in, sends one.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use super::compile::Options;
use super::diagnostic::{Code, Words};
use super::fields;
use super::gaps::{self, Names};
use super::lint;
use super::moment::{self, Moment};
use super::reply::too_long;
use super::sheet::{Sheet, Text, Value};
use crate::model::reply::TEXT_LIMIT;
use crate::model::{AccountName, Time};

const TOP: &[&str] = &["canned"];
const CANNED: &[&str] = &["id", "title", "text", "accounts", "owner", "review_by"];
/// What an answer may name.
const NAMES: [&str; 2] = ["follower.remark", "agent.name"];
/// More than this nobody finds anything among.
const MOST: usize = 1000;
/// Bytes of an id.
const ID_LIMIT: usize = 64;

/// An answer that people use again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canned {
    /// Its name, unique.
    pub id: Box<str>,
    /// What colleagues see in the list.
    pub title: Option<Box<str>>,
    /// The answer as written: `{follower.remark}` and `{agent.name}` are filled in by whoever uses it, `{{` is a brace.
    pub text: Arc<str>,
    /// The accounts it is for; empty means all.
    pub accounts: Vec<AccountName>,
    /// Who looks after it.
    pub owner: Option<Box<str>>,
    /// When somebody should look whether it is still right.
    pub review_by: Option<Date>,
}

impl Canned {
    /// Whether it is for this account.
    pub fn is_for(&self, account: &AccountName) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }
}

/// The answers of a file, in its order; what is wrong is reported and left out.
pub(super) fn read(sheet: &mut Sheet<'_>, table: &DeTable<'_>, options: &Options) -> Vec<Canned> {
    let owner = Words::new("_canned.toml ", "_canned.toml");
    let mut all: Vec<Canned> = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, TOP, &owner) {
            continue;
        }
        let span = sheet.span(value.span());
        let DeValue::Array(items) = value.get_ref() else {
            let expected = ("要写成 [[canned]]", "must be [[canned]]");
            sheet.wrong_type("canned", value.get_ref(), span, expected);
            continue;
        };
        if items.len() > MOST {
            let words = Words::new(
                format!("最多 {MOST} 个 [[canned]]"),
                format!("at most {MOST} [[canned]]"),
            );
            sheet.report(Code::TooMany, span, words);
            continue;
        }
        for item in items {
            let Some((canned, place)) = one(sheet, item, options) else {
                continue;
            };
            if all.iter().any(|known| known.id == canned.id) {
                let words = Words::new(
                    format!("[[canned]] 的 id \"{}\" 已经用过", canned.id),
                    format!("the id \"{}\" of a [[canned]] is already used", canned.id),
                );
                sheet.report(Code::DuplicateId, place, words);
                continue;
            }
            all.push(canned);
        }
    }
    all
}

/// One answer, and where its id stands.
fn one(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    options: &Options,
) -> Option<(Canned, Range<usize>)> {
    let owner = Words::new("[[canned]] ", "[[canned]]");
    let span = sheet.span(value.span());
    let errors = sheet.remarks.errors();
    let table = sheet.table("canned", value)?;
    let (mut id, mut title, mut text, mut by, mut review) = (None, None, None, None, None);
    let mut accounts = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, CANNED, &owner) {
            continue;
        }
        let key: &str = key.get_ref();
        match key {
            "id" => id = self::id(sheet, value),
            "title" => title = sheet.string(key, value),
            "text" => text = self::text(sheet, value),
            "accounts" => {
                for name in sheet.strings(key, value) {
                    accounts.extend(fields::account(sheet, &name, options.accounts.as_deref()));
                }
            }
            "owner" => by = sheet.string(key, value),
            _ => review = moment::moment(sheet, key, value, &options.timezone),
        }
    }
    for (key, code) in [("id", Code::BadId), ("text", Code::NoReply)] {
        if !table.contains_key(key) {
            let words = Words::new(
                format!("[[canned]] 缺少 `{key}`"),
                format!("[[canned]] needs `{key}`"),
            );
            sheet.report(code, span.clone(), words);
        }
    }
    if let (Some(review), Some(today)) = (&review, options.today) {
        lint::check_review(sheet, review, (today, &options.timezone));
    }
    let (id, text) = (id?, text?);
    let owned = |text: Text<'_>| -> Box<str> { text.text.into() };
    let place = id.span.clone();
    let canned = Canned {
        id: owned(id),
        title: title.map(owned),
        text: text.text.into(),
        accounts,
        owner: by.map(owned),
        review_by: review.map(|(day, _)| date(day, &options.timezone)),
    };
    (sheet.remarks.errors() == errors).then_some((canned, place))
}

fn date(day: Moment, zone: &TimeZone) -> Date {
    match day {
        Moment::Day(date) => date,
        Moment::At(time) => zone.to_datetime(Time::into(time)).date(),
    }
}

fn id<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Text<'t>> {
    let text = sheet.string("id", value)?;
    let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=ID_LIMIT).contains(&text.text.len()) && text.text.chars().all(is_legal) {
        return Some(text);
    }
    let words = Words::new(
        format!("id 只能用字母、汉字、数字和 - _ .,1 到 {ID_LIMIT} 字节"),
        format!("an id has letters, digits and - _ . only, 1 to {ID_LIMIT} bytes"),
    );
    sheet.report(Code::BadId, text.span, words);
    None
}

fn text<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Text<'t>> {
    let text = sheet.string("text", value)?;
    if text.text.trim().is_empty() {
        let words = Words::new("`text` 是空的", "`text` is empty");
        sheet.report(Code::NoReply, text.span, words);
        return None;
    }
    if text.text.len() > TEXT_LIMIT {
        too_long(sheet, &text);
        return None;
    }
    lint::check_said(sheet, &text);
    let mut names = Names::only(&NAMES);
    gaps::gapped(sheet, &text, &mut names)?;
    Some(text)
}
