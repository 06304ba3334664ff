//! Reads how a rule calls a person: `handoff = { priority, reason }`.
//! Owns: the words for priorities. Uses: sheet. Never: calls anybody.

use std::sync::Arc;

use toml::de::DeValue;

use super::diagnostic::{Code, Diagnostic, Words};
use super::mend;
use super::sheet::{Sheet, Value};
use super::spec::Handoff;
use super::template::{Written, pieces};
use crate::model::entry::Priority;

const HANDOFF: &[&str] = &["priority", "reason"];
/// How priorities are written.
pub(super) const PRIORITIES: &[(&str, Priority)] = &[
    ("urgent", Priority::Urgent),
    ("high", Priority::High),
    ("normal", Priority::Normal),
    ("low", Priority::Low),
];
/// How a priority is written.
pub(super) fn word(priority: Priority) -> &'static str {
    let known = PRIORITIES.iter().find(|(_, known)| *known == priority);
    known.map_or("", |(word, _)| word)
}

/// Bytes of a reason: it is a line, not a page.
const REASON_LIMIT: usize = 300;

/// Reads `handoff` of a rule: a table, and nothing else.
pub(super) fn read(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Handoff> {
    if let DeValue::String(priority) = value.get_ref() {
        let span = sheet.span(value.span());
        let is_priority = PRIORITIES.iter().any(|(word, _)| *word == &**priority);
        let shown = if is_priority { priority } else { "normal" };
        let words = Words::new(
            "`handoff` 要写成 { … },这里是文字",
            "`handoff` must be a table, { … }, this is text",
        );
        let table = format!("{{ priority = \"{shown}\" }}");
        let help = Words::new(
            format!("写成 handoff = {table}"),
            format!("write handoff = {table}"),
        );
        let written = sheet.source.text.get(span.clone()).unwrap_or_default();
        let slip = (written, &*table);
        let fix = mend::replace(sheet.written(), span.clone(), slip).filter(|_| is_priority);
        let diagnostic = Diagnostic::new(Code::WrongType, sheet.place(span), words);
        sheet.remarks.push(diagnostic.help(help).fix(fix));
        return None;
    }
    read_table(sheet, value)
}

/// Reads `handoff` under a hook's `error`: a table, or only the priority.
pub(super) fn read_or_priority(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Handoff> {
    if let DeValue::String(_) = value.get_ref() {
        let priority = sheet.choice("handoff", value, PRIORITIES)?;
        return Some(Handoff {
            priority,
            reason: Arc::from(""),
        });
    }
    read_table(sheet, value)
}

fn read_table(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Handoff> {
    let owner = Words::new("`handoff` ", "`handoff`");
    let mut handoff = Handoff {
        priority: Priority::Normal,
        reason: Arc::from(""),
    };
    for (key, value) in sheet.table("handoff", value)? {
        if !sheet.knows(key, HANDOFF, &owner) {
            return None;
        }
        match &**key.get_ref() {
            "priority" => handoff.priority = sheet.choice("priority", value, PRIORITIES)?,
            _ => handoff.reason = reason(sheet, value)?,
        }
    }
    Some(handoff)
}

/// What the person reads; it stands as written, people see the conversation beside it.
fn reason(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string("reason", value)?;
    if text.text.len() > REASON_LIMIT {
        let words = Words::new(
            format!(
                "`reason` 最多 {REASON_LIMIT} 字节(约 {} 个汉字)",
                REASON_LIMIT / 3
            ),
            format!("`reason` has at most {REASON_LIMIT} bytes"),
        );
        sheet.report(Code::BadValue, text.span, words);
        return None;
    }
    let gap = pieces(text.text).into_iter().find_map(|piece| match piece {
        Written::Gap(_, range) => Some(range),
        _ => None,
    });
    if let Some(range) = gap {
        let span = sheet.inside(&text, range);
        let words = Words::new("`reason` 里不能用变量", "`reason` has no placeholders");
        let help = Words::new(
            "接手的人看得到整段对话,写一句固定的话就好",
            "whoever takes over sees the conversation; a fixed line will do",
        );
        sheet.report_with_help(Code::UnknownPlaceholder, span, words, help);
        return None;
    }
    Some(text.text.into())
}
