//! Reads one `[[rule]]` table as the operator wrote it, before it means anything.
//! Owns: the keys of a rule. Uses: sheet, wording, script. Never: normalises, compiles or orders.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::diagnostic::{Code, Words};
use super::moment;
use super::reply::Answers;
use super::script;
use super::sheet::{Sheet, Text, Value};
use super::wording::{self, Says};

/// The largest `priority`, and the smallest with a minus.
const MOST_PRIORITY: i64 = 1_000_000;

/// The usual ones first: every key of a large set is looked for here.
const RULE: &[&str] = &[
    "id",
    "title",
    "exact",
    "any",
    "all",
    "none",
    "regex",
    "like",
    "reply",
    "tests",
    "owner",
    "priority",
    "enabled",
    "accounts",
    "event",
    "scene",
    "menu_key",
    "key",
    "message",
    "replies",
    "pick",
    "min_score",
    "followers",
    "during",
    "outside",
    "between",
    "cooldown",
    "use_reply_of",
    "silent",
    "always",
    "desk",
    "handoff",
    "form",
    "step",
    "hook",
    "table",
    "account",
    "allow",
    "note",
    "source",
    "review_by",
];
/// Keys that few rules have: they are kept as they are until the rest of the rule is known.
const RARE: &[&str] = &[
    "min_score",
    "followers",
    "during",
    "outside",
    "between",
    "cooldown",
    "use_reply_of",
    "silent",
    "always",
    "desk",
    "handoff",
    "form",
    "step",
    "hook",
    "table",
    "account",
    "allow",
];
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
    pub(super) like: Vec<Text<'t>>,
    pub(super) message: Vec<Text<'t>>,
    pub(super) event: Vec<Text<'t>>,
    pub(super) key: Option<EventKey<'t>>,
    pub(super) priority: i32,
    pub(super) is_enabled: bool,
    pub(super) accounts: Option<Vec<Text<'t>>>,
    pub(super) has_owner: bool,
    /// `review_by`: the day that has to be past, and where it stands.
    pub(super) review_by: Option<(moment::Moment, Range<usize>)>,
    pub(super) says: Says<'t>,
    /// Whether `reply` or `replies` is there, even if what it says is wrong.
    pub(super) has_reply: bool,
    pub(super) rare: Vec<Rare<'t>>,
    pub(super) tests: Vec<script::Written<'t>>,
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

/// One of the rarer keys, not yet understood.
pub(super) struct Rare<'t> {
    pub(super) key: &'t str,
    /// Where the key stands.
    pub(super) span: Range<usize>,
    pub(super) value: &'t Value<'t>,
}

impl<'t> Written<'t> {
    /// One of the rarer keys.
    pub(super) fn rare(&self, key: &str) -> Option<&Rare<'t>> {
        self.rare.iter().find(|rare| rare.key == key)
    }

    /// Whether words can trigger it.
    pub(super) fn hears_words(&self) -> bool {
        ![&self.exact, &self.regex, &self.all, &self.any, &self.like]
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
pub(super) fn read<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'t>,
    zone: &TimeZone,
) -> Option<Written<'t>> {
    let head = sheet.span(value.span());
    let table = sheet.table("rule", value)?;
    let name = table
        .get("id")
        .and_then(|id| id.get_ref().as_str())
        .unwrap_or("?");
    let owner = Words::new(format!("规则 \"{name}\" "), format!("rule \"{name}\""));
    let mut rule = empty(head);
    let errors_before = sheet.remarks.errors();
    let mut says = wording::Keys::default();
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
            "like" => rule.like = sheet.strings(name, value),
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
            "reply" | "replies" | "pick" => drop(says.take(name, value)),
            "tests" => {
                rule.has_tests = true;
                rule.tests = script::read_list(sheet, value, zone);
            }
            "review_by" => rule.review_by = moment::moment(sheet, name, value, zone),
            _ if RARE.contains(&name) => rule.rare.push(Rare {
                key: name,
                span: sheet.span(key.span()),
                value,
            }),
            // Notes of people to people: title, note, source.
            _ => drop(sheet.string(name, value)),
        }
    }
    rule.is_understood = sheet.remarks.errors() == errors_before;
    rule.has_reply = says.say_something();
    rule.says = says.read(sheet, rule.answers());
    Some(rule)
}

/// Reports a rule that neither says nor does anything.
pub(super) fn no_reply(sheet: &mut Sheet<'_>, rule: &Written<'_>) {
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
}

fn empty<'t>(head: Range<usize>) -> Written<'t> {
    Written {
        head,
        id: None,
        exact: Vec::new(),
        regex: Vec::new(),
        all: Vec::new(),
        any: Vec::new(),
        none: Vec::new(),
        like: Vec::new(),
        message: Vec::new(),
        event: Vec::new(),
        key: None,
        priority: 0,
        is_enabled: true,
        accounts: None,
        has_owner: false,
        review_by: None,
        says: Says::default(),
        has_reply: false,
        rare: Vec::new(),
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
