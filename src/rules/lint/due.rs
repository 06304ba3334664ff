//! Finds what is over, due, or about to be closed for long.
//! Owns: W207, W208, W222. Uses: moment, model's calendars. Never: reads the clock; today is an argument.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use toml::de::{DeTable, DeValue};

use super::super::calendar_file::day_words;
use super::super::diagnostic::{Code, Words};
use super::super::moment::Moment;
use super::super::sheet::{Sheet, Text};
use super::super::spec::Conditions;
use crate::model::{Calendar, Time};

/// WeChat takes pushes for 48 hours after a message; the last two are what people need who come back.
const WINDOW: Duration = Duration::from_secs(46 * 3600);
/// So far is looked ahead for closings that come every week.
const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);
/// A closing is looked at with so much around it: the evening before, the weekend behind.
const AROUND: Duration = Duration::from_secs(5 * 24 * 3600);

/// Reports a rule whose `review_by` has passed.
pub(in crate::rules) fn check_review(
    sheet: &mut Sheet<'_>,
    (day, span): &(Moment, Range<usize>),
    (today, zone): (Time, &TimeZone),
) {
    if day.end(zone).is_none_or(|end| today < end) {
        return;
    }
    let date = shown(*day, zone);
    let words = Words::new(
        format!("该复查了:`review_by` 是 {date},已经过了"),
        format!("review is due: `review_by` was {date}"),
    );
    let help = Words::new(
        "看看回复还对不对,再改成下一个日子",
        "see whether the reply is still right, then set the next day",
    );
    sheet.report_with_help(Code::ReviewDue, span.clone(), words, help);
}

fn shown(day: Moment, zone: &TimeZone) -> Date {
    match day {
        Moment::Day(date) => date,
        Moment::At(time) => jiff::Timestamp::from(time).to_zoned(zone.clone()).date(),
    }
}

/// Reports a rule that never speaks again because `between` is over. `span` is that of the key.
pub(in crate::rules) fn check_over(
    sheet: &mut Sheet<'_>,
    conditions: &Conditions,
    span: Range<usize>,
    (today, zone): (Time, &TimeZone),
) {
    let Some((_, end)) = conditions.between.filter(|(_, end)| *end <= today) else {
        return;
    };
    let last = jiff::Timestamp::from(end.minus(Duration::from_secs(1))).to_zoned(zone.clone());
    let date = last.date();
    let words = Words::new(
        format!("`between` 到 {date} 就结束了,这条规则不会再回答"),
        format!("`between` ended on {date}; this rule never answers again"),
    );
    let help = Words::new(
        "明年还用就改日期,不用了就删掉",
        "set new dates if it comes again, else remove the rule",
    );
    sheet.report_with_help(Code::Over, span, words, help);
}

/// Reports closings of `_calendar.toml` that outlast WeChat's window for pushes.
pub(in crate::rules) fn check_closings(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    calendars: &[(Box<str>, Arc<Calendar>)],
    (today, zone): (Time, &TimeZone),
) {
    for (name, calendar) in calendars {
        let closed = table
            .get("calendar")
            .and_then(|all| all.get_ref().as_table()?.get(&**name))
            .and_then(|one| one.get_ref().as_table()?.get("closed"));
        let Some(DeValue::Array(items)) = closed.map(toml::Spanned::get_ref) else {
            continue;
        };
        for item in items {
            let Some((first, last)) = item.get_ref().as_str().and_then(days) else {
                continue;
            };
            let (Some(from), Some(until)) =
                (Moment::Day(first).start(zone), Moment::Day(last).end(zone))
            else {
                continue;
            };
            let mut stretches = calendar.closed_stretches(from.minus(AROUND), until.plus(AROUND));
            let stretch = stretches
                .find(|(start, end)| *start < until && from < *end && end.since(*start) > WINDOW);
            if let Some((start, end)) = stretch.filter(|_| first < last && today < until) {
                let hours = end.since(start).as_secs() / 3600;
                let words = Words::new(
                    format!(
                        "{first} 到 {last} 前后连着 {hours} 小时没有人,微信只让 48 小时内的消息得到回答"
                    ),
                    format!(
                        "nobody is there for {hours} hours around {first} to {last}; WeChat takes answers for 48 hours only"
                    ),
                );
                let help = Words::new(
                    "安排一个人值班,或在那几天的回复里请粉丝开门以后再说一声",
                    "let somebody be on duty, or ask followers in those days' replies to write again",
                );
                let span = sheet.span(item.span());
                sheet.report_with_help(Code::LongClosed, span, words, help);
            }
        }
    }
}

/// Reports that the desk's usual week has a closing that outlasts WeChat's window. Those of `closed` are reported where
/// they stand.
pub(in crate::rules) fn check_desk_hours(
    sheet: &mut Sheet<'_>,
    name: &Text<'_>,
    calendar: &Calendar,
    today: Time,
) {
    let days = calendar.closed_days();
    let is_usual = |(start, end): &(Time, Time)| {
        let (first, last) = (calendar.date(*start), calendar.date(*end));
        !days
            .iter()
            .any(|(from, until)| *from <= last && first <= *until)
    };
    let until = today.plus(AHEAD);
    let mut stretches = calendar.closed_stretches(today, until);
    let stretch = stretches.find(|stretch| {
        let (start, end) = *stretch;
        today < start && end < until && end.since(start) > WINDOW && is_usual(stretch)
    });
    let Some((start, end)) = stretch else { return };
    let hours = end.since(start).as_secs() / 3600;
    let weekday = |at| day_words(calendar.date(at).weekday());
    let (from, to) = (weekday(start), weekday(end));
    let words = Words::new(
        format!(
            "每周{}到{}连着 {hours} 小时没有人,微信只让 48 小时内的消息得到回答",
            from.0, to.0
        ),
        format!(
            "every week nobody is there for {hours} hours, {} to {}; WeChat takes answers for 48 hours only",
            from.1, to.1
        ),
    );
    let help = Words::new(
        "在 ack 里写 {promise}:粉丝会读到「上班后你再发一句」;或者周末安排一个人",
        "write {promise} in ack, which then asks followers to write again; or let somebody be on duty at the weekend",
    );
    sheet.report_with_help(Code::LongClosed, name.span.clone(), words, help);
}

/// Days as `closed` writes them: `2027-02-05..2027-02-11`.
fn days(text: &str) -> Option<(Date, Date)> {
    let (first, last) = text.split_once("..")?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}
