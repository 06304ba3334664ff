//! Reads `_calendar.toml`: when the places that rules name are open.
//! Owns: its keys, dates as written, the words for bad hours. Uses: sheet, model. Never: rules, the clock.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Code, Diagnostic, Words, did_you_mean};
use super::sheet::{Sheet, Text, Value};
use crate::model::Calendar;
use crate::model::calendar::{BadHours, Days, HoursFault, days, spans};

const TOP: &[&str] = &["calendar"];
const CALENDAR: &[&str] = &["tz", "weekly", "closed", "open"];
const DATE: &str = "2027-02-05";

/// Calendars with their names.
pub(super) type Calendars = Vec<(Box<str>, Arc<Calendar>)>;

/// The calendars of a file. One with a fault is given as far as it is understood, so that rules that name it are not
/// blamed for it.
pub(super) fn read(sheet: &mut Sheet<'_>, table: &DeTable<'_>, zone: &TimeZone) -> Calendars {
    let owner = Words::new("_calendar.toml ", "_calendar.toml");
    let mut calendars = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, TOP, &owner) {
            continue;
        }
        let Some(table) = sheet.table("calendar", value) else {
            continue;
        };
        for (name, value) in table {
            let span = sheet.span(name.span());
            let name: &str = name.get_ref();
            if !is_name(name) {
                let words = Words::new(
                    format!("日历的名字用字母、数字、- 和 _,字母开头,不是 \"{name}\""),
                    format!(
                        "a calendar's name has letters, digits, - and _, a letter first, not \"{name}\""
                    ),
                );
                let help = Words::new("像这样:[calendar.shop]", "like this: [calendar.shop]");
                sheet.report_with_help(Code::BadValue, span, words, help);
                continue;
            }
            let Some(table) = sheet.table(name, value) else {
                continue;
            };
            let calendar = calendar(sheet, name, span, table, zone);
            calendars.push((name.into(), Arc::new(calendar)));
        }
    }
    calendars
}

fn is_name(name: &str) -> bool {
    name.starts_with(char::is_alphabetic)
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
}

fn calendar(
    sheet: &mut Sheet<'_>,
    name: &str,
    head: Range<usize>,
    table: &DeTable<'_>,
    zone: &TimeZone,
) -> Calendar {
    let owner = Words::new(format!("日历 \"{name}\" "), format!("calendar \"{name}\""));
    let zone = match table.get("tz") {
        Some(value) => time_zone(sheet, value).unwrap_or_else(|| zone.clone()),
        None => zone.clone(),
    };
    let mut calendar = Calendar::new(zone);
    let mut has_hours = false;
    for (key, value) in table {
        if !sheet.knows(key, CALENDAR, &owner) {
            // It may have been meant for `weekly`.
            has_hours = true;
            continue;
        }
        let key: &str = key.get_ref();
        match key {
            "weekly" => weekly(sheet, value, &mut calendar),
            "closed" => closed(sheet, value, &mut calendar),
            "open" => open(sheet, value, &mut calendar),
            _ => {}
        }
        has_hours |= matches!(key, "weekly" | "open");
    }
    if !has_hours {
        let words = Words::new(
            format!("日历 \"{name}\" 从来不开:没有 `weekly` 也没有 `open`"),
            format!("calendar \"{name}\" is never open: it has neither `weekly` nor `open`"),
        );
        let help = Words::new(
            "写上 weekly = { mon-fri = \"09:00-18:00\" }",
            "write weekly = { mon-fri = \"09:00-18:00\" }",
        );
        sheet.report_with_help(Code::BadValue, head, words, help);
    }
    calendar
}

fn time_zone(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<TimeZone> {
    let text = sheet.string("tz", value)?;
    let zones = TimeZoneDatabase::bundled();
    if let Ok(zone) = zones.get(text.text) {
        return Some(zone);
    }
    let words = Words::new(
        format!("没有时区 \"{}\"", text.text),
        format!("there is no time zone \"{}\"", text.text),
    );
    let known: Vec<_> = zones.available().collect();
    let known = known.iter().map(jiff::tz::TimeZoneName::as_str);
    let diagnostic = Diagnostic::new(Code::BadValue, sheet.place(text.span), words);
    sheet.remarks.push(match did_you_mean(text.text, known) {
        Some(meant) => diagnostic.caret(Words::new(
            format!("是不是 \"{meant}\"?"),
            format!("did you mean \"{meant}\"?"),
        )),
        None => diagnostic.help(Words::new(
            "用 IANA 的名字,像 \"Asia/Shanghai\"",
            "use the IANA name, such as \"Asia/Shanghai\"",
        )),
    });
    None
}

fn weekly(sheet: &mut Sheet<'_>, value: &Value<'_>, calendar: &mut Calendar) {
    let Some(table) = sheet.table("weekly", value) else {
        return;
    };
    for (key, value) in table {
        let span = sheet.span(key.span());
        let key: &str = key.get_ref();
        let named = match days(key) {
            Ok(days) => days,
            Err(bad) => {
                let (message, _) = hours_words(&bad, key);
                let help = Words::new(
                    "写 mon 到 sun、mon-fri、\"sat,sun\" 或 \"周一-周五\"",
                    "write mon to sun, mon-fri, \"sat,sun\" or \"周一-周五\"",
                );
                sheet.report_with_help(Code::BadValue, span, message, help);
                continue;
            }
        };
        for text in sheet.strings(key, value) {
            add_weekly(sheet, &text, named, calendar);
        }
    }
}

fn add_weekly(sheet: &mut Sheet<'_>, text: &Text<'_>, days: Days, calendar: &mut Calendar) {
    let spans = match spans(text.text) {
        Ok(spans) => spans,
        Err(bad) => return bad_hours(sheet, text, &bad),
    };
    for (span, range) in spans {
        if let Err(day) = calendar.add_weekly(days, span) {
            let (zh, en) = day_words(day);
            let words = Words::new(
                format!("{zh}的时间重叠了"),
                format!("hours of {en} overlap with others of the same day"),
            );
            let help = Words::new(
                "一天的几段时间要分开;同一天写在两处的,合成一处",
                "keep the hours of a day apart; write a day in one place",
            );
            let span = sheet.inside(text, range);
            sheet.report_with_help(Code::BadValue, span, words, help);
        }
    }
}

fn closed(sheet: &mut Sheet<'_>, value: &Value<'_>, calendar: &mut Calendar) {
    for item in items(value) {
        if let DeValue::Datetime(_) = item.get_ref() {
            if let Some(date) = local_date(sheet, "closed", item) {
                calendar.add_closed(date, date);
            }
            continue;
        }
        let Some(text) = sheet.string("closed", item) else {
            continue;
        };
        let written = text.text;
        let (first, last) = written.split_once("..").unwrap_or((written, written));
        let behind = written.len() - last.len();
        let first = date(sheet, &text, first, 0);
        let last = if behind == 0 {
            first
        } else {
            date(sheet, &text, last, behind)
        };
        let (Some(first), Some(last)) = (first, last) else {
            continue;
        };
        if first <= last {
            calendar.add_closed(first, last);
            continue;
        }
        let words = Words::new(
            format!("前后颠倒:{first} 在 {last} 之后"),
            format!("the wrong way round: {first} is after {last}"),
        );
        let help = Words::new(
            format!("写成 \"{last}..{first}\""),
            format!("write \"{last}..{first}\""),
        );
        sheet.report_with_help(Code::BadValue, text.span.clone(), words, help);
    }
}

fn open(sheet: &mut Sheet<'_>, value: &Value<'_>, calendar: &mut Calendar) {
    for item in items(value) {
        if let DeValue::Datetime(_) = item.get_ref() {
            if let Some(date) = local_date(sheet, "open", item) {
                let span = sheet.span(item.span());
                no_hours(sheet, span, date);
            }
            continue;
        }
        let Some(text) = sheet.string("open", item) else {
            continue;
        };
        let (day, hours) = match text.text.split_once(char::is_whitespace) {
            Some((day, hours)) => (day, hours.trim()),
            None => (text.text, ""),
        };
        let Some(day) = date(sheet, &text, day, 0) else {
            continue;
        };
        if hours.is_empty() {
            no_hours(sheet, text.span.clone(), day);
            continue;
        }
        // Trimmed space at the end must not shift the place.
        let behind = text.text.trim_end().len() - hours.len();
        add_open(sheet, &text, behind, day, hours, calendar);
    }
}

fn add_open(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    behind: usize,
    day: Date,
    hours: &str,
    calendar: &mut Calendar,
) {
    let spans = match spans(hours) {
        Ok(spans) => spans,
        Err(BadHours { fault, span }) => {
            let (message, help) = fault_words(fault, hours.get(span.clone()).unwrap_or_default());
            let span = sheet.inside(text, behind + span.start..behind + span.end);
            return report_hours(sheet, span, message, help);
        }
    };
    for (span, range) in spans {
        if !calendar.add_open(day, span) {
            let words = Words::new(
                format!("{day} 的时间重叠了"),
                format!("hours of {day} overlap with others of the same date"),
            );
            let span = sheet.inside(text, behind + range.start..behind + range.end);
            sheet.report(Code::BadValue, span, words);
        }
    }
}

fn no_hours(sheet: &mut Sheet<'_>, span: Range<usize>, date: Date) {
    let words = Words::new(
        format!("没写 {date} 几点开到几点"),
        format!("{date} has no hours"),
    );
    let help = Words::new(
        format!("写成 \"{date} 09:00-18:00\""),
        format!("write \"{date} 09:00-18:00\""),
    );
    sheet.report_with_help(Code::BadValue, span, words, help);
}

/// One value, or those of a list.
fn items<'t, 'i>(value: &'t Value<'i>) -> Vec<&'t Value<'i>> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    }
}

/// A date without quotes.
fn local_date(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Date> {
    let DeValue::Datetime(written) = value.get_ref() else {
        return None;
    };
    let span = sheet.span(value.span());
    let (Some(date), None, None) = (written.date, written.time, written.offset) else {
        let words = Words::new(
            format!("`{key}` 要的是日期,不带钟点"),
            format!("`{key}` wants a date without a time"),
        );
        let help = Words::new(format!("写成 \"{DATE}\""), format!("write \"{DATE}\""));
        sheet.report_with_help(Code::WrongType, span, words, help);
        return None;
    };
    let numbers = (
        i16::try_from(date.year),
        i8::try_from(date.month),
        i8::try_from(date.day),
    );
    let date = match numbers {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
        _ => None,
    };
    if date.is_none() {
        impossible(sheet, span, &written.to_string());
    }
    date
}

/// A part of a text, from a byte on, as a date.
fn date(sheet: &mut Sheet<'_>, text: &Text<'_>, part: &str, from: usize) -> Option<Date> {
    let start = from + part.len() - part.trim_start().len();
    let part = part.trim();
    let span = sheet.inside(text, start..start + part.len());
    let mut numbers = part.split('-').map(|digits| {
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        (
            digits.len(),
            digits.parse::<i16>().ok().filter(|_| are_digits),
        )
    });
    let written = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    );
    let (Some((4, Some(year))), Some((2, Some(month))), Some((2, Some(day))), None) = written
    else {
        let words = Words::new(
            format!("日期要写成 {DATE} 的样子,不是 \"{part}\""),
            format!("a date is written like {DATE}, not \"{part}\""),
        );
        sheet.report(Code::BadValue, span, words);
        return None;
    };
    let date = match (i8::try_from(month), i8::try_from(day)) {
        (Ok(month), Ok(day)) => Date::new(year, month, day).ok(),
        _ => None,
    };
    if date.is_none() {
        impossible(sheet, span, part);
    }
    date
}

fn impossible(sheet: &mut Sheet<'_>, span: Range<usize>, written: &str) {
    let words = Words::new(
        format!("没有 {written} 这一天"),
        format!("there is no day {written}"),
    );
    sheet.report(Code::BadValue, span, words);
}

/// Reports hours that cannot be understood, at their place in a text.
pub(super) fn bad_hours(sheet: &mut Sheet<'_>, text: &Text<'_>, bad: &BadHours) {
    let (message, help) = hours_words(bad, text.text);
    let span = sheet.inside(text, bad.span.clone());
    report_hours(sheet, span, message, help);
}

fn report_hours(sheet: &mut Sheet<'_>, span: Range<usize>, message: Words, help: Option<Words>) {
    let diagnostic = Diagnostic::new(Code::BadValue, sheet.place(span), message);
    sheet.remarks.push(match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    });
}

fn hours_words(bad: &BadHours, text: &str) -> (Words, Option<Words>) {
    fault_words(bad.fault, text.get(bad.span.clone()).unwrap_or_default())
}

/// What is wrong, and what to do.
fn fault_words(fault: HoursFault, part: &str) -> (Words, Option<Words>) {
    let times = || Some(Words::new("写成 \"09:00-18:00\"", "write \"09:00-18:00\""));
    match fault {
        HoursFault::Empty => (Words::new("这里是空的", "this is empty"), times()),
        HoursFault::Unreadable => (
            Words::new(
                format!("看不懂 \"{part}\":既不是星期几,也不是钟点"),
                format!("\"{part}\" is neither a day nor a time"),
            ),
            Some(Words::new(
                "像这样:\"09:00-18:00\"、\"mon-fri 09:00-18:00\"、\"周六 10:00-16:00\"",
                "like this: \"09:00-18:00\", \"mon-fri 09:00-18:00\", \"周六 10:00-16:00\"",
            )),
        ),
        HoursFault::NoSuchTime => (
            Words::new(
                format!("没有 {part} 这个时间"),
                format!("there is no time {part} here"),
            ),
            Some(Words::new(
                "从 00:00 到 23:59;24:00 只能写在末尾",
                "from 00:00 to 23:59; 24:00 can only be the end",
            )),
        ),
        HoursFault::NoEnd => (
            Words::new(
                format!("\"{part}\" 没写到什么时候为止"),
                format!("\"{part}\" lacks its end"),
            ),
            times(),
        ),
        HoursFault::NoLength => (
            Words::new(
                format!("\"{part}\" 开始就结束了"),
                format!("\"{part}\" ends when it begins"),
            ),
            Some(Words::new(
                "整天写成 \"00:00-24:00\"",
                "write \"00:00-24:00\" for the whole day",
            )),
        ),
        HoursFault::NoHours => (
            Words::new(
                format!("\"{part}\" 后面没写钟点"),
                format!("there are no hours behind \"{part}\""),
            ),
            Some(Words::new(
                format!("写成 \"{part} 09:00-18:00\""),
                format!("write \"{part} 09:00-18:00\""),
            )),
        ),
        HoursFault::Misplaced => (
            Words::new(
                format!("\"{part}\" 不该写在这里"),
                format!("\"{part}\" does not belong here"),
            ),
            Some(Words::new(
                "先写星期几,再写钟点;几组之间用 ; 隔开",
                "days first, then hours; a ; between groups",
            )),
        ),
        HoursFault::Overlap => (
            Words::new(
                format!("\"{part}\" 和同一天的另一段时间重叠"),
                format!("\"{part}\" overlaps with other hours of the same day"),
            ),
            None,
        ),
    }
}

/// A weekday in Chinese and English.
pub(super) const fn day_words(day: Weekday) -> (&'static str, &'static str) {
    match day {
        Weekday::Monday => ("周一", "Monday"),
        Weekday::Tuesday => ("周二", "Tuesday"),
        Weekday::Wednesday => ("周三", "Wednesday"),
        Weekday::Thursday => ("周四", "Thursday"),
        Weekday::Friday => ("周五", "Friday"),
        Weekday::Saturday => ("周六", "Saturday"),
        Weekday::Sunday => ("周日", "Sunday"),
    }
}
