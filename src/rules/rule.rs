//! Reads one `[[rule]]` table as the operator wrote it, before it means anything.
//! Owns: the keys of a rule and of its tests. Uses: sheet. Never: normalises, compiles or orders.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::{Code, Words};
use super::inline_tests;
use super::reply::{self, Answers};
use super::sheet::{Key, Sheet, Text, Value, keys};

/// The largest `priority`, and the smallest with a minus.
const MOST_PRIORITY: i64 = 1_000_000;

const RULE: &[Key] = keys!(
    [
        "id", "title", "exact", "regex", "all", "any", "none", "message", "event", "scene", "menu_key", "key",
        "priority", "enabled", "accounts", "reply", "replies", "tests", "owner", "note", "source", "review_by",
    ],
    not_yet [
        "like", "min_score", "during", "outside", "between", "cooldown", "pick", "form", "step", "hook", "table",
        "handoff", "silent", "always", "desk", "use_reply_of", "followers", "account", "allow",
    ]
);
const TEST: &[Key] = keys!(
    ["say", "event", "key", "message", "account", "expect", "expect_not", "has"],
    not_yet ["at", "follower", "turns", "hook", "name"]
);

/// A rule as written.
pub(super) struct Written<'t> {
    /// Its header, `[[rule]]`.
    pub(super) head: Range<usize>,
    pub(super) id: Option<Text<'t>>,
    pub(super) exact: Vec<Text<'t>>,
    pub(super) regex: Vec<Text<'t>>,
    pub(super) all: Vec<Text<'t>>,
    pub(super) any: Vec<Text<'t>>,
    pub(super) none: Vec<Text<'t>>,
    pub(super) message: Vec<Text<'t>>,
    pub(super) event: Vec<Text<'t>>,
    pub(super) key: Option<EventKey<'t>>,
    pub(super) priority: i32,
    pub(super) is_enabled: bool,
    pub(super) accounts: Option<Vec<Text<'t>>>,
    pub(super) has_owner: bool,
    /// `review_by` as it stands there, a date or a note.
    pub(super) review_by: Option<(String, Range<usize>)>,
    pub(super) reply: Option<reply::Draft<'t>>,
    pub(super) tests: Vec<WrittenTest<'t>>,
    /// Whether `tests` is there, even if what it says is wrong.
    pub(super) has_tests: bool,
    /// Whether every key and value was understood; else what seems to be missing may only be misspelt.
    pub(super) is_understood: bool,
}

/// The pattern of an event's key, by whichever of its three names.
pub(super) struct EventKey<'t> {
    /// `scene`, `menu_key` or `key`.
    pub(super) name: &'t str,
    pub(super) span: Range<usize>,
    pub(super) patterns: Vec<Text<'t>>,
}

/// A test as written.
pub(super) struct WrittenTest<'t> {
    pub(super) span: Range<usize>,
    pub(super) draft: inline_tests::Draft<'t>,
}

impl Written<'_> {
    /// Whether words can trigger it.
    pub(super) fn hears_words(&self) -> bool {
        ![&self.exact, &self.regex, &self.all, &self.any]
            .into_iter()
            .all(Vec::is_empty)
    }

    /// What it may be an answer to.
    pub(super) fn answers(&self) -> Answers {
        Answers {
            messages: self.hears_words() || !self.message.is_empty(),
            events: !self.event.is_empty(),
        }
    }
}

/// Reads a rule; what is wrong is reported and left out. `None` when there is nothing to go on with.
pub(super) fn read<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Written<'t>> {
    let head = sheet.span(value.span());
    let table = sheet.table("rule", value)?;
    let name = table
        .get("id")
        .and_then(|id| id.get_ref().as_str())
        .unwrap_or("?");
    let owner = Words::new(format!("规则 \"{name}\" "), format!("rule \"{name}\""));
    let mut rule = empty(head);
    let errors_before = sheet.remarks.errors();
    let mut replies: Vec<(&Spanned<DeString<'_>>, &Value<'_>)> = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, RULE, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        match name {
            "id" => rule.id = sheet.string(name, value),
            "exact" => rule.exact = sheet.strings(name, value),
            "regex" => rule.regex = sheet.strings(name, value),
            "all" => rule.all = sheet.strings(name, value),
            "any" => rule.any = sheet.strings(name, value),
            "none" => rule.none = sheet.strings(name, value),
            "message" => rule.message = sheet.strings(name, value),
            "event" => rule.event = sheet.strings(name, value),
            "scene" | "menu_key" | "key" => {
                let span = sheet.span(key.span());
                let next = EventKey {
                    name,
                    span,
                    patterns: sheet.strings(name, value),
                };
                one_key_only(sheet, rule.key.as_ref(), &next);
                rule.key = Some(next);
            }
            "priority" => {
                let number = sheet.integer(name, value, -MOST_PRIORITY..MOST_PRIORITY + 1);
                rule.priority = number
                    .and_then(|number| i32::try_from(number).ok())
                    .unwrap_or(0);
            }
            "enabled" => rule.is_enabled = sheet.boolean(name, value).unwrap_or(true),
            "accounts" => rule.accounts = Some(sheet.strings(name, value)),
            "owner" => rule.has_owner = sheet.string(name, value).is_some(),
            "reply" | "replies" => replies.push((key, value)),
            "tests" => {
                rule.has_tests = true;
                rule.tests = tests(sheet, value);
            }
            "review_by" => rule.review_by = review_by(sheet, name, value),
            // Notes of people to people: title, note, source.
            _ => drop(sheet.string(name, value)),
        }
    }
    rule.is_understood = sheet.remarks.errors() == errors_before;
    rule.reply = one_reply(sheet, &replies, &rule);
    Some(rule)
}

/// A date, or a note of people to people.
fn review_by(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
) -> Option<(String, Range<usize>)> {
    let span = sheet.span(value.span());
    match value.get_ref() {
        DeValue::Datetime(date) => Some((date.to_string(), span)),
        _ => {
            let text = sheet.string(key, value)?;
            Some((text.text.to_owned(), span))
        }
    }
}

const fn empty<'t>(head: Range<usize>) -> Written<'t> {
    Written {
        head,
        id: None,
        exact: Vec::new(),
        regex: Vec::new(),
        all: Vec::new(),
        any: Vec::new(),
        none: Vec::new(),
        message: Vec::new(),
        event: Vec::new(),
        key: None,
        priority: 0,
        is_enabled: true,
        accounts: None,
        has_owner: false,
        review_by: None,
        reply: None,
        tests: Vec::new(),
        has_tests: false,
        is_understood: true,
    }
}

fn one_key_only(sheet: &mut Sheet<'_>, before: Option<&EventKey<'_>>, next: &EventKey<'_>) {
    if let Some(before) = before {
        let (first, second) = (before.name, next.name);
        sheet.report(
            Code::Together,
            next.span.clone(),
            Words::new(
                format!("`{first}` 和 `{second}` 只能写一个"),
                format!("only one of `{first}` and `{second}` can be there"),
            ),
        );
    }
}

fn one_reply<'t>(
    sheet: &mut Sheet<'_>,
    replies: &[(&Spanned<DeString<'_>>, &'t Value<'_>)],
    rule: &Written<'_>,
) -> Option<reply::Draft<'t>> {
    match replies {
        [] if !rule.is_understood => None,
        [] => {
            let id = rule.id.as_ref().map_or("?", |id| id.text);
            sheet.report_with_help(
                Code::NoReply,
                rule.head.clone(),
                Words::new(
                    format!("规则 \"{id}\" 没有回复"),
                    format!("rule \"{id}\" has no reply"),
                ),
                Words::new("加一行 reply = \"…\"", "add a line reply = \"…\""),
            );
            None
        }
        [(key, value)] if key.get_ref() == "reply" => reply::read_short(sheet, value),
        [(_, value)] => reply::read_entries(sheet, value, rule.answers()),
        [_, (second, _), ..] => {
            let span = sheet.span(second.span());
            let words = Words::new(
                "`reply` 和 `replies` 只能写一个",
                "only one of `reply` and `replies` can be there",
            );
            sheet.report(Code::Together, span, words);
            None
        }
    }
}

fn tests<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Vec<WrittenTest<'t>> {
    let DeValue::Array(items) = value.get_ref() else {
        let span = sheet.span(value.span());
        let expected = (
            "要写成 [{ say = \"…\", expect = \"…\" }]",
            "must be [{ say = \"…\", expect = \"…\" }]",
        );
        sheet.wrong_type("tests", value.get_ref(), span, expected);
        return Vec::new();
    };
    items.iter().filter_map(|item| test(sheet, item)).collect()
}

fn test<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<WrittenTest<'t>> {
    let span = sheet.span(value.span());
    let table: &DeTable<'_> = sheet.table("tests", value)?;
    let owner = Words::new("测试", "a test");
    let mut draft = inline_tests::Draft::default();
    for (key, value) in table {
        if !sheet.knows(key, TEST, &owner) {
            return None;
        }
        let name: &str = key.get_ref();
        let text = Some(sheet.string(name, value)?.text);
        match name {
            "say" => draft.say = text,
            "event" => draft.event = text,
            "key" => draft.key = text,
            "message" => draft.message = text,
            "account" => draft.account = text,
            "expect" => draft.expect = text,
            "expect_not" => draft.expect_not = text,
            _ => draft.has = text,
        }
    }
    let asked = [draft.say, draft.event, draft.message]
        .into_iter()
        .flatten()
        .count();
    let expects = [draft.expect, draft.expect_not, draft.has]
        .into_iter()
        .flatten()
        .count();
    if asked != 1 || (draft.key.is_some() && draft.event.is_none()) {
        sheet.report(
            Code::Together,
            span,
            Words::new(
                "一个测试要有 `say`、`event`(可加 `key`)、`message` 中的一个",
                "a test needs one of `say`, `event` (with `key` if wanted) and `message`",
            ),
        );
        return None;
    }
    if expects == 0 {
        sheet.report_with_help(
            Code::Together,
            span,
            Words::new("这个测试没说期望什么", "this test expects nothing"),
            Words::new(
                "加 expect = \"规则 id\"(\"\" 表示没有规则回答,转给人)、expect_not 或 has",
                "add expect = \"rule id\" (\"\" for no rule: a person answers), expect_not or has",
            ),
        );
        return None;
    }
    Some(WrittenTest { span, draft })
}
