//! Reads `[sla.urgent]`, `high`, `normal`, `low` of `_desk.toml`.
//! Owns: their keys and limits. Uses: sheet, moment, model. Never: reckons a deadline.

use std::ops::Range;
use std::time::Duration;

use super::super::diagnostic::{Code, Words};
use super::super::moment;
use super::super::sheet::{Sheet, Value};
use crate::model::desk::{Sla, SlaClock};

const PRIORITIES: &[&str] = &["urgent", "high", "normal", "low"];
const SLA: &[&str] = &["first", "next", "clock", "repeat", "tiers"];
const CLOCKS: &[(&str, SlaClock)] = &[
    ("always", SlaClock::Always),
    ("daytime", SlaClock::Daytime),
    ("business", SlaClock::Business),
];
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The last gap repeats, so nobody needs more.
const MOST_REPEATS: usize = 20;
/// Who is on duty, the lead, the owner.
const MOST_TIERS: usize = 3;

/// Changes what is promised, from urgent to low. Gives the clocks that were named, with their places.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    sla: &mut [Sla; 4],
) -> Vec<(SlaClock, Range<usize>)> {
    let owner = Words::new("`sla` ", "`sla`");
    let mut clocks = Vec::new();
    let Some(table) = sheet.table("sla", value) else {
        return clocks;
    };
    for (key, value) in table {
        if !sheet.knows(key, PRIORITIES, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        let place = PRIORITIES.iter().position(|known| *known == name);
        if let Some(sla) = place.and_then(|place| sla.get_mut(place)) {
            clocks.extend(one(sheet, name, value, sla));
        }
    }
    clocks
}

fn one(
    sheet: &mut Sheet<'_>,
    name: &str,
    value: &Value<'_>,
    sla: &mut Sla,
) -> Option<(SlaClock, Range<usize>)> {
    let owner = Words::new(format!("[sla.{name}] "), format!("[sla.{name}]"));
    let mut named = None;
    for (key, value) in sheet.table(name, value)? {
        if !sheet.knows(key, SLA, &owner) {
            continue;
        }
        let key: &str = key.get_ref();
        match key {
            "first" | "next" => {
                let Some(within) = moment::duration(sheet, key, value, SHORTEST..=LONGEST) else {
                    continue;
                };
                match key {
                    "first" => sla.first = within,
                    _ => sla.next = within,
                }
            }
            "clock" => {
                let Some(clock) = sheet.choice(key, value, CLOCKS) else {
                    continue;
                };
                sla.clock = clock;
                named = Some((clock, sheet.span(value.span())));
            }
            "repeat" => {
                if let Some(moments) = moments(sheet, key, value, MOST_REPEATS) {
                    sla.repeat = moments;
                }
            }
            _ => {
                if let Some(moments) = moments(sheet, key, value, MOST_TIERS) {
                    sla.tiers = moments;
                }
            }
        }
    }
    named
}

/// Moments after the escalation, in order.
fn moments(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    most: usize,
) -> Option<Vec<Duration>> {
    let span = sheet.span(value.span());
    let Some(items) = value.get_ref().as_array() else {
        let expected = (
            "要写成一列时长,像 [\"0m\", \"5m\"]",
            "must be a list of durations such as [\"0m\", \"5m\"]",
        );
        sheet.wrong_type(key, value.get_ref(), span, expected);
        return None;
    };
    if items.len() > most {
        let words = Words::new(
            format!("`{key}` 最多 {most} 个"),
            format!("`{key}` has at most {most}"),
        );
        sheet.report(Code::TooMany, span, words);
        return None;
    }
    let mut moments = Vec::with_capacity(items.len());
    for item in items {
        moments.push(moment::duration(
            sheet,
            key,
            item,
            Duration::ZERO..=LONGEST,
        )?);
    }
    // Where the last gap is none, alerts would repeat without a pause.
    let is_in_order = match key {
        "repeat" => moments.is_sorted_by(|earlier, later| earlier < later),
        _ => moments.is_sorted(),
    };
    if is_in_order {
        return Some(moments);
    }
    let words = Words::new(
        format!("`{key}` 要从小到大:都是从转给人的那一刻算起"),
        format!("`{key}` must grow: each counts from the moment a person is called"),
    );
    sheet.report(Code::BadValue, span, words);
    None
}
