//! Reads `_desk.toml`: the fixed lines and how long things last.
//! Owns: its keys. Uses: sheet, model. Never: rules.

use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::diagnostic::{Code, Words};
use super::reply::too_long;
use super::sheet::{Key, Sheet, Value, keys};
use super::template::{Written, pieces};
use crate::model::desk::DeskSettings;
use crate::model::reply::TEXT_LIMIT;

const DESK: &[Key] = keys!(
    ["ack", "ack_every", "sorry", "unsupported", "human_reserve", "quiet_after", "allow_empty"],
    not_yet ["claim_timeout", "calendar", "sla", "alert"]
);
/// WeChat allows five pushes per message.
const MOST_RESERVE: i64 = 5;

/// Changes the settings as the file says. Returns whether a set without rules is allowed.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    settings: &mut DeskSettings,
) -> bool {
    let owner = Words::new("_desk.toml ", "_desk.toml");
    let mut allows_empty = false;
    for (key, value) in table {
        if !sheet.knows(key, DESK, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        match name {
            "ack" => set(&mut settings.ack, line(sheet, name, value)),
            "sorry" => set(&mut settings.sorry, line(sheet, name, value)),
            "unsupported" => set(&mut settings.unsupported, line(sheet, name, value)),
            "ack_every" => set(&mut settings.ack_every, duration(sheet, name, value)),
            "quiet_after" => set(&mut settings.quiet_after, duration(sheet, name, value)),
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
    let mut line = String::new();
    for piece in pieces(text.text) {
        match piece {
            Written::Text(part) => line.push_str(part),
            Written::Gap(name, range) => {
                let span = sheet.inside(&text, range);
                let (code, zh, en) = match name {
                    "topic" | "promise" => (
                        Code::NotYet,
                        "这个版本还没有变量",
                        "this version does not have the placeholder",
                    ),
                    _ => (
                        Code::UnknownPlaceholder,
                        "不认识的变量",
                        "unknown placeholder",
                    ),
                };
                sheet.report(
                    code,
                    span,
                    Words::new(format!("{zh} {{{name}}}"), format!("{en} {{{name}}}")),
                );
                return None;
            }
            Written::Open(range) => {
                let span = sheet.inside(&text, range);
                lone_brace(sheet, span);
                return None;
            }
        }
    }
    Some(line.into())
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
    let text = sheet.string(key, value)?;
    let parsed = text.text.parse::<jiff::SignedDuration>().ok();
    let duration = parsed.and_then(|duration| Duration::try_from(duration).ok());
    if duration.is_none() {
        sheet.report(
            Code::BadValue,
            text.span,
            Words::new(
                format!("`{key}` 要写成时长,像 \"10m\"、\"1h30m\"、\"0s\""),
                format!("`{key}` must be a duration such as \"10m\", \"1h30m\" or \"0s\""),
            ),
        );
    }
    duration
}
