//! Reads `_desk.toml`: the fixed lines and how long things last.
//! Owns: its keys. Uses: sheet, model. Never: rules.

use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::{Code, Words};
use super::lint;
use super::moment;
use super::reply::too_long;
use super::sheet::{Sheet, Value};
use super::template::{Written, pieces};
use crate::model::desk::DeskSettings;
use crate::model::reply::TEXT_LIMIT;

const DESK: &[&str] = &[
    "ack",
    "ack_every",
    "sorry",
    "unsupported",
    "human_reserve",
    "quiet_after",
    "allow_empty",
    "offer",
    "offer_text",
    "answer_takes",
];
/// Settings of the format that this version reads over: leaving them out changes no answer.
const WITHOUT_EFFECT: &[&str] = &["claim_timeout", "calendar", "sla", "alert"];
/// WeChat allows five pushes per message.
const MOST_RESERVE: i64 = 5;
/// A longer list is not read on a phone.
const MOST_OFFERED: i64 = 3;
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Changes the settings as the file says. Returns whether a set without rules is allowed.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    settings: &mut DeskSettings,
) -> bool {
    let owner = Words::new("_desk.toml ", "_desk.toml");
    let mut allows_empty = false;
    for (key, value) in table {
        if WITHOUT_EFFECT.contains(&&**key.get_ref()) {
            without_effect(sheet, key.span(), &format!("`{}`", key.get_ref()));
            continue;
        }
        if !sheet.knows(key, DESK, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        match name {
            "ack" => set(&mut settings.ack, line(sheet, name, value)),
            "sorry" => set(&mut settings.sorry, line(sheet, name, value)),
            "unsupported" => set(&mut settings.unsupported, line(sheet, name, value)),
            "offer_text" => set(&mut settings.offer_text, line(sheet, name, value)),
            "ack_every" => set(&mut settings.ack_every, duration(sheet, name, value)),
            "quiet_after" => set(&mut settings.quiet_after, duration(sheet, name, value)),
            "answer_takes" => set(&mut settings.answer_takes, duration(sheet, name, value)),
            "offer" => {
                let number = sheet.integer(name, value, 0..MOST_OFFERED + 1);
                set(
                    &mut settings.offer,
                    number.and_then(|number| u8::try_from(number).ok()),
                );
            }
            "human_reserve" => {
                let number = sheet.integer(name, value, 0..MOST_RESERVE + 1);
                set(
                    &mut settings.human_reserve,
                    number.and_then(|number| u8::try_from(number).ok()),
                );
            }
            _ => allows_empty = sheet.boolean(name, value).unwrap_or(false),
        }
    }
    allows_empty
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// A fixed line; empty means silence.
fn line(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    if text.text.len() > TEXT_LIMIT {
        too_long(sheet, &text);
        return None;
    }
    lint::check_said(sheet, &text);
    if key == "ack" {
        lint::check_promise(sheet, &text);
    }
    let mut line = String::new();
    for piece in pieces(text.text) {
        match piece {
            Written::Text(part) => line.push_str(part),
            Written::Gap(name @ ("topic" | "promise"), range) => {
                let span = sheet.inside(&text, range);
                without_effect(sheet, span, &format!("{{{name}}}"));
                line.push(EMPTY);
            }
            Written::Gap(name, range) => {
                let span = sheet.inside(&text, range);
                let (zh, en) = (
                    format!("不认识的变量 {{{name}}}"),
                    format!("unknown placeholder {{{name}}}"),
                );
                sheet.report(Code::UnknownPlaceholder, span, Words::new(zh, en));
                return None;
            }
            Written::Open(range) => {
                let span = sheet.inside(&text, range);
                lone_brace(sheet, span);
                return None;
            }
        }
    }
    Some(without_gaps(&line).into())
}

/// Stands where a placeholder without a value was.
const EMPTY: char = '\0';

/// Closes the gaps that empty placeholders leave: of the two punctuation marks around one, the second stays.
fn without_gaps(line: &str) -> String {
    let is_mark = |c: char| ",，、;；。.!！?？".contains(c);
    let mut parts = line.split(EMPTY);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if part.starts_with(is_mark) {
            whole.truncate(whole.trim_end_matches(is_mark).len());
        }
        whole.push_str(part);
    }
    whole
}

fn without_effect(sheet: &mut Sheet<'_>, span: std::ops::Range<usize>, what: &str) {
    let words = Words::new(
        format!("{what} 在这个版本里还不起作用"),
        format!("{what} has no effect in this version yet"),
    );
    sheet.report(Code::NoEffect, span, words);
}

/// Reports a brace that nothing closes.
pub(super) fn lone_brace(sheet: &mut Sheet<'_>, span: std::ops::Range<usize>) {
    sheet.report_with_help(
        Code::UnknownPlaceholder,
        span,
        Words::new("`{` 没有关上", "this `{` is not closed"),
        Words::new(
            "要写一个大括号本身,就写两个 `{{`",
            "write `{{` for a brace itself",
        ),
    );
}

fn duration(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Duration> {
    moment::duration(sheet, key, value, Duration::ZERO..=LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_placeholder_takes_one_of_its_punctuation_marks_with_it() {
        for (line, closed) in [
            ("收到,\0我请同事来回答,\0。", "收到,我请同事来回答。"),
            ("\0收到", "收到"),
            ("收到。", "收到。"),
            ("收到。\0", "收到。"),
        ] {
            assert_eq!(without_gaps(line), closed);
        }
    }
}
