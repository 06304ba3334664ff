//! Reads `_desk.toml`: the lines around people's work, how long things last, what is promised, who is told.
//! Owns: its keys. Uses: sheet, gaps, model; under `desk_file/` promises and alerts. Never: rules.

mod alert;
mod sla;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeTable;

use super::condition::{self, Calendars};
use super::diagnostic::{Code, Words};
use super::gaps::{self, Names};
use super::lint;
use super::moment;
use super::normalize::normalize;
use super::reply::too_long;
use super::sheet::{Sheet, Text, Value};
use super::template::{Written, pieces};
use crate::model::Time;
use crate::model::desk::{Assign, DeskSettings, SlaClock};
use crate::model::entry::Priority;
use crate::model::reply::TEXT_LIMIT;

const DESK: &[&str] = &[
    "ack",
    "ack_off",
    "ack_every",
    "sorry",
    "unsupported",
    "human_reserve",
    "quiet_after",
    "allow_empty",
    "offer",
    "offer_text",
    "answer_takes",
    "claim_timeout",
    "calendar",
    "sla",
    "alert",
    "assign",
    "same_agent_within",
    "ask_person",
    "cancel_person",
    "cancelled",
];
const ASSIGN: &[(&str, Assign)] = &[
    ("manual", Assign::Manual),
    ("least-loaded", Assign::LeastLoaded),
];
/// What a line of the desk knows besides what every rule does.
const LINE: [&str; 3] = ["topic", "promise", "duty.name"];
/// WeChat allows five pushes per message.
const MOST_RESERVE: i64 = 5;
/// A longer list is not read on a phone.
const MOST_OFFERED: i64 = 3;
/// More wordings than this belong into a rule.
const MOST_WORDINGS: usize = 100;
const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Changes the settings as the file says. Returns whether a set without rules is allowed.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    settings: &mut DeskSettings,
    calendars: &Calendars,
    today: Option<Time>,
) -> bool {
    let owner = Words::new("_desk.toml ", "_desk.toml");
    let mut names = line_names(calendars);
    let mut allows_empty = false;
    let mut acks = Vec::new();
    let (mut calendar, mut clocks) = (None, Vec::new());
    for (key, value) in table {
        if !sheet.knows(key, DESK, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        match name {
            "ack" | "ack_off" => {
                let Some(text) = with_gaps(sheet, name, value, &mut names) else {
                    continue;
                };
                match name {
                    "ack" => settings.ack = text.text.into(),
                    _ => settings.ack_off = Some(text.text.into()),
                }
                acks.push(text);
            }
            "sorry" => set(&mut settings.sorry, line(sheet, name, value)),
            "unsupported" => set(&mut settings.unsupported, line(sheet, name, value)),
            "offer_text" => set(&mut settings.offer_text, line(sheet, name, value)),
            "cancelled" => set(&mut settings.cancelled, line(sheet, name, value)),
            "ack_every" => set(&mut settings.ack_every, duration(sheet, name, value)),
            "quiet_after" => set(&mut settings.quiet_after, duration(sheet, name, value)),
            "answer_takes" => set(&mut settings.answer_takes, duration(sheet, name, value)),
            "same_agent_within" => {
                set(
                    &mut settings.same_agent_within,
                    duration(sheet, name, value),
                );
            }
            "claim_timeout" => {
                let timeout = moment::duration(sheet, name, value, SECOND..=LONGEST);
                set(&mut settings.claim_timeout, timeout);
            }
            "offer" => set(&mut settings.offer, count(sheet, name, value, MOST_OFFERED)),
            "human_reserve" => {
                let reserve = count(sheet, name, value, MOST_RESERVE);
                set(&mut settings.human_reserve, reserve);
            }
            "assign" => set(&mut settings.assign, sheet.choice(name, value, ASSIGN)),
            "ask_person" => set(&mut settings.ask_person, wordings(sheet, name, value)),
            "cancel_person" => set(&mut settings.cancel_person, wordings(sheet, name, value)),
            "calendar" => {
                calendar = sheet.string(name, value);
                if let Some(text) = &calendar {
                    settings.calendar = condition::named(sheet, text, calendars);
                }
            }
            "sla" => clocks = sla::read(sheet, value, &mut settings.sla),
            "alert" => settings.alerts = alert::read(sheet, value),
            _ => allows_empty = sheet.boolean(name, value).unwrap_or(false),
        }
    }
    for text in &acks {
        lint::check_promise(sheet, text, settings, Priority::Normal);
    }
    check_clocks(sheet, &clocks, calendar.is_some());
    let tells_when = settings.ack.contains("{promise}");
    if let (Some(text), Some(hours), Some(today), false) =
        (&calendar, &settings.calendar, today, tells_when)
    {
        lint::check_desk_hours(sheet, text, hours, today);
    }
    allows_empty
}

/// What a line of the desk may name.
pub(super) fn line_names(calendars: &Calendars) -> Names {
    let mut names = Names::with_calendars(calendars);
    for name in LINE {
        names.give(name.to_owned());
    }
    names
}

/// Whether a line of the desk knows this name.
pub(super) fn is_known(calendars: &Calendars) -> impl Fn(&str) -> bool {
    let names = line_names(calendars);
    move |name| names.has(name)
}

/// A line with placeholders, checked.
pub(super) fn with_gaps<'t>(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &'t Value<'_>,
    names: &mut Names,
) -> Option<Text<'t>> {
    let text = said(sheet, key, value)?;
    gaps::gapped(sheet, &text, names)?;
    Some(text)
}

/// A text that is sent.
fn said<'t>(sheet: &mut Sheet<'_>, key: &str, value: &'t Value<'_>) -> Option<Text<'t>> {
    let text = sheet.string(key, value)?;
    if text.text.len() > TEXT_LIMIT {
        too_long(sheet, &text);
        return None;
    }
    lint::check_said(sheet, &text);
    Some(text)
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn count(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>, most: i64) -> Option<u8> {
    let number = sheet.integer(key, value, 0..most + 1)?;
    u8::try_from(number).ok()
}

/// A fixed line without placeholders; empty means silence.
fn line(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let text = said(sheet, key, value)?;
    let mut line = String::new();
    for piece in pieces(text.text) {
        match piece {
            Written::Text(part) => line.push_str(part),
            Written::Gap(name, range) => {
                let span = sheet.inside(&text, range);
                let words = Words::new(
                    format!("不认识的变量 {{{name}}}"),
                    format!("unknown placeholder {{{name}}}"),
                );
                let help = Words::new(
                    format!("`{key}` 里没有变量"),
                    format!("`{key}` has no placeholders"),
                );
                sheet.report_with_help(Code::UnknownPlaceholder, span, words, help);
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

/// Whole messages, each of which must leave something to compare.
fn wordings(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Vec<Box<str>>> {
    let texts = sheet.strings(key, value);
    if texts.len() > MOST_WORDINGS {
        let span = sheet.span(value.span());
        let words = Words::new(
            format!("`{key}` 最多 {MOST_WORDINGS} 个说法"),
            format!("`{key}` has at most {MOST_WORDINGS} wordings"),
        );
        let help = Words::new(
            "多的写成带 handoff 的规则",
            "make the rest a rule with handoff",
        );
        sheet.report_with_help(Code::TooMany, span, words, help);
        return None;
    }
    for text in &texts {
        if normalize(text.text).is_empty() {
            let words = Words::new(
                format!("`{key}` 里有空的说法"),
                format!("an empty wording in `{key}`"),
            );
            sheet.report(Code::EmptyKeyword, text.span.clone(), words);
        }
    }
    Some(texts.into_iter().map(|text| text.text.into()).collect())
}

/// Reports clocks that were to stop outside of business hours where nobody says when those are.
fn check_clocks(sheet: &mut Sheet<'_>, clocks: &[(SlaClock, Range<usize>)], has_calendar: bool) {
    let business = clocks
        .iter()
        .filter(|(clock, _)| *clock == SlaClock::Business);
    for (_, span) in business.filter(|_| !has_calendar) {
        let words = Words::new(
            "没有写 `calendar`,`business` 就等于 `always`",
            "without `calendar`, `business` is the same as `always`",
        );
        let help = Words::new(
            "写上 calendar = \"…\",_calendar.toml 里的名字",
            "write calendar = \"…\", a name of _calendar.toml",
        );
        sheet.report_with_help(Code::Idle, span.clone(), words, help);
    }
}

/// Reports a brace that nothing closes.
pub(super) fn lone_brace(sheet: &mut Sheet<'_>, span: Range<usize>) {
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
