//! Reads tests: one question beside a rule, or a whole conversation (`[[test]]`, `turns`).
//! Owns: the keys of a test. Uses: sheet, inline_tests, model. Never: runs one.

use std::ops::Range;
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use super::audience;
use super::diagnostic::{Code, Place, Words};
use super::inline_tests::{Asked, Draft};
use super::moment::{self, Moment};
use super::sheet::{Sheet, Text, Value};
use crate::model::hook::{HookAnswer, HookFault};
use crate::model::{AccountName, Time};

const TEST: &[&str] = &[
    "say",
    "event",
    "key",
    "message",
    "account",
    "expect",
    "expect_not",
    "has",
    "at",
    "tags",
    "name",
    "hook",
    "turns",
];
const TURN: &[&str] = &[
    "say",
    "event",
    "key",
    "message",
    "after",
    "expect",
    "expect_not",
    "has",
    "hook",
];
/// A turn follows the one before at most so much later.
const MOST_AFTER: Duration = Duration::from_secs(366 * 86_400);
/// A conversation has at most so many turns.
const MOST_TURNS: usize = 100;

/// A test that is a conversation.
#[derive(Clone, Debug)]
pub struct Script {
    /// What people call it; may be empty.
    pub name: Box<str>,
    /// Where it stands.
    pub place: Place,
    /// The account it is held on.
    pub account: AccountName,
    /// When it begins; without it at the usual time of tests.
    pub at: Option<Time>,
    /// What people call the follower.
    pub tags: Box<[Box<str>]>,
    /// At least one, at most 100.
    pub turns: Box<[ScriptTurn]>,
}

/// One message of a test's conversation, and what is expected of the answer.
#[derive(Clone, Debug)]
pub struct ScriptTurn {
    /// Where it stands.
    pub place: Place,
    asked: OwnedAsked,
    /// How long after the turn before.
    pub after: Duration,
    /// The rule that must answer; empty when none may.
    pub expect: Option<Box<str>>,
    /// The rule that must not answer; empty when some rule must.
    pub expect_not: Option<Box<str>>,
    /// What the reply must contain.
    pub has: Option<Box<str>>,
    /// What the rule's hook answers; without it nobody is asked.
    pub hook: Option<HookAnswer>,
}

impl ScriptTurn {
    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        match &self.asked {
            OwnedAsked::Say(text) => Asked::Say(text),
            OwnedAsked::Event { name, key } => Asked::Event {
                name,
                key: key.as_deref(),
            },
            OwnedAsked::Message(kind) => Asked::Message(kind),
        }
    }
}

#[derive(Clone, Debug)]
enum OwnedAsked {
    Say(Box<str>),
    Event {
        name: Box<str>,
        key: Option<Box<str>>,
    },
    Message(Box<str>),
}

/// A test as written.
pub(super) struct Written<'t> {
    pub(super) span: Range<usize>,
    pub(super) account: Option<Text<'t>>,
    pub(super) at: Option<Time>,
    pub(super) tags: Vec<Box<str>>,
    pub(super) asks: Asks<'t>,
}

/// What a test asks.
pub(super) enum Asks<'t> {
    /// One question.
    Once(Draft<'t>),
    /// A conversation.
    Script {
        name: Box<str>,
        turns: Box<[ScriptTurn]>,
    },
}

impl Written<'_> {
    /// The test as a conversation: its name and turns.
    pub(super) fn script(&self, place: &Place) -> (Box<str>, Box<[ScriptTurn]>) {
        match &self.asks {
            Asks::Script { name, turns } => (name.clone(), turns.clone()),
            Asks::Once(draft) => {
                let turn = Turn {
                    draft: *draft,
                    ..Turn::default()
                };
                let turns = turn.finish(place.clone()).into_iter().collect();
                (Box::default(), turns)
            }
        }
    }
}

/// Reads `tests`; what is wrong is reported and left out.
pub(super) fn read_list<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    zone: &TimeZone,
) -> Vec<Written<'t>> {
    let DeValue::Array(items) = value.get_ref() else {
        let span = sheet.span(value.span());
        let expected = (
            "要写成 [{ say = \"…\", expect = \"…\" }]",
            "must be [{ say = \"…\", expect = \"…\" }]",
        );
        sheet.wrong_type("tests", value.get_ref(), span, expected);
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| read(sheet, item, zone))
        .collect()
}

/// Reads one test.
pub(super) fn read<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    zone: &TimeZone,
) -> Option<Written<'t>> {
    let span = sheet.span(value.span());
    let table = sheet.table("tests", value)?;
    let owner = Words::new("测试", "a test");
    let (mut turn, mut turns, mut name) = (Turn::default(), None, None);
    let (mut account, mut at, mut tags) = (None, None, Vec::new());
    for (key, value) in table {
        if !sheet.knows(key, TEST, &owner) {
            return None;
        }
        match &**key.get_ref() {
            "name" => name = Some(sheet.string("name", value)?.text),
            "account" => account = Some(sheet.string("account", value)?),
            "at" => at = Some(instant(sheet, value, zone)?),
            "tags" => tags = audience::tags(sheet, "tags", value)?,
            "turns" => turns = Some(read_turns(sheet, value)?),
            key => turn.take(sheet, key, value)?,
        }
    }
    let asks = match turns {
        Some(_) if !turn.is_empty() => {
            let words = Words::new(
                "写了 `turns`,问什么、期望什么就都写在里面",
                "with `turns`, what is asked and expected goes into them",
            );
            sheet.report(Code::Together, span, words);
            return None;
        }
        Some(turns) => {
            let is_expecting = turns.iter().any(ScriptTurn::is_expecting);
            expects(sheet, &span, is_expecting)?;
            let name = name.unwrap_or_default().into();
            Asks::Script { name, turns }
        }
        None => {
            turn.check_asked(sheet, &span)?;
            expects(sheet, &span, turn.is_expecting())?;
            if name.is_some() || turn.hook.is_some() {
                let name = name.unwrap_or_default().into();
                let turns = [turn.finish(sheet.place(span.clone()))?].into();
                Asks::Script { name, turns }
            } else {
                Asks::Once(turn.draft)
            }
        }
    };
    Some(Written {
        span,
        account,
        at,
        tags,
        asks,
    })
}

fn read_turns(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Box<[ScriptTurn]>> {
    let span = sheet.span(value.span());
    let DeValue::Array(items) = value.get_ref() else {
        let expected = (
            "要写成 [{ say = \"…\", expect = \"…\" }, …]",
            "must be [{ say = \"…\", expect = \"…\" }, …]",
        );
        sheet.wrong_type("turns", value.get_ref(), span, expected);
        return None;
    };
    if items.is_empty() || items.len() > MOST_TURNS {
        let words = Words::new(
            format!("`turns` 要有 1 到 {MOST_TURNS} 句"),
            format!("`turns` has 1 to {MOST_TURNS} entries"),
        );
        sheet.report(Code::BadValue, span, words);
        return None;
    }
    items.iter().map(|item| read_turn(sheet, item)).collect()
}

fn read_turn(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<ScriptTurn> {
    let span = sheet.span(value.span());
    let owner = Words::new("`turns` ", "`turns`");
    let mut turn = Turn::default();
    for (key, value) in sheet.table("turns", value)? {
        if !sheet.knows(key, TURN, &owner) {
            return None;
        }
        turn.take(sheet, key.get_ref(), value)?;
    }
    turn.check_asked(sheet, &span)?;
    turn.finish(sheet.place(span))
}

/// One turn as written.
#[derive(Default)]
struct Turn<'t> {
    draft: Draft<'t>,
    after: Duration,
    hook: Option<HookAnswer>,
}

impl<'t> Turn<'t> {
    fn take(&mut self, sheet: &mut Sheet<'_>, key: &str, value: &'t Value<'_>) -> Option<()> {
        match key {
            "after" => {
                self.after = moment::duration(sheet, key, value, Duration::ZERO..=MOST_AFTER)?;
                return Some(());
            }
            "hook" => {
                self.hook = Some(answer(sheet, value)?);
                return Some(());
            }
            _ => {}
        }
        let text = Some(sheet.string(key, value)?.text);
        match key {
            "say" => self.draft.say = text,
            "event" => self.draft.event = text,
            "key" => self.draft.key = text,
            "message" => self.draft.message = text,
            "expect" => self.draft.expect = text,
            "expect_not" => self.draft.expect_not = text,
            _ => self.draft.has = text,
        }
        Some(())
    }

    fn is_empty(&self) -> bool {
        let draft = &self.draft;
        let texts = [draft.say, draft.event, draft.key, draft.message];
        texts.iter().all(Option::is_none) && !self.is_expecting() && self.hook.is_none()
    }

    fn is_expecting(&self) -> bool {
        let draft = &self.draft;
        [draft.expect, draft.expect_not, draft.has]
            .iter()
            .any(Option::is_some)
    }

    /// Reports a turn that does not ask exactly one thing.
    fn check_asked(&self, sheet: &mut Sheet<'_>, span: &Range<usize>) -> Option<()> {
        let draft = &self.draft;
        let asked = [draft.say, draft.event, draft.message];
        let is_good =
            asked.iter().flatten().count() == 1 && (draft.key.is_none() || draft.event.is_some());
        if is_good {
            return Some(());
        }
        sheet.report(
            Code::Together,
            span.clone(),
            Words::new(
                "一个测试要有 `say`、`event`(可加 `key`)、`message` 中的一个",
                "a test needs one of `say`, `event` (with `key` if wanted) and `message`",
            ),
        );
        None
    }

    fn finish(self, place: Place) -> Option<ScriptTurn> {
        let Draft {
            say,
            event,
            key,
            message,
            ..
        } = self.draft;
        let asked = match (say, event, message) {
            (Some(text), ..) => OwnedAsked::Say(text.into()),
            (_, Some(name), _) => OwnedAsked::Event {
                name: name.into(),
                key: key.map(Box::from),
            },
            (.., Some(kind)) => OwnedAsked::Message(kind.into()),
            (None, None, None) => return None,
        };
        Some(ScriptTurn {
            place,
            asked,
            after: self.after,
            expect: self.draft.expect.map(Box::from),
            expect_not: self.draft.expect_not.map(Box::from),
            has: self.draft.has.map(Box::from),
            hook: self.hook,
        })
    }
}

impl ScriptTurn {
    fn is_expecting(&self) -> bool {
        self.expect.is_some() || self.expect_not.is_some() || self.has.is_some()
    }
}

/// Reports a test that could not fail.
fn expects(sheet: &mut Sheet<'_>, span: &Range<usize>, is_expecting: bool) -> Option<()> {
    if is_expecting {
        return Some(());
    }
    sheet.report_with_help(
        Code::Together,
        span.clone(),
        Words::new("这个测试没说期望什么", "this test expects nothing"),
        Words::new(
            "加 expect = \"规则 id\"(\"\" 表示没有规则回答,转给人)、expect_not 或 has",
            "add expect = \"rule id\" (\"\" for no rule: a person answers), expect_not or has",
        ),
    );
    None
}

/// When a test begins.
fn instant(sheet: &mut Sheet<'_>, value: &Value<'_>, zone: &TimeZone) -> Option<Time> {
    match moment::moment(sheet, "at", value, zone)? {
        (Moment::At(time), _) => Some(time),
        (Moment::Day(_), span) => {
            let words = Words::new(
                "`at` 要写到几点几分,像 2026-11-20T20:30",
                "`at` needs a time of day, such as 2026-11-20T20:30",
            );
            sheet.report(Code::BadValue, span, words);
            None
        }
    }
}

/// What a hook answers in a test: fields, `"missing"` or `"error"`.
fn answer(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<HookAnswer> {
    let DeValue::Table(table) = value.get_ref() else {
        let outcomes = [
            ("missing", HookAnswer::Missing),
            ("error", HookAnswer::Failed(HookFault::Unreachable)),
        ];
        return sheet.choice("hook", value, &outcomes);
    };
    let mut fields = Vec::with_capacity(table.len());
    flatten(sheet, table, "", &mut fields)?;
    Some(HookAnswer::Found(fields))
}

/// Fields of fields are joined with a dot, as in a real answer.
fn flatten(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    before: &str,
    fields: &mut Vec<(Box<str>, Box<str>)>,
) -> Option<()> {
    for (key, value) in table {
        let name = format!("{before}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => flatten(sheet, inner, &format!("{name}."), fields)?,
            _ => {
                let text = sheet.string(&name, value)?.text;
                fields.push((name.into(), text.into()));
            }
        }
    }
    Some(())
}
