//! Finds what is over or due.
//! Owns: W222. Uses: diagnostic. Never: reads the clock; the day is an argument.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use super::super::diagnostic::{Code, Words};
use super::super::sheet::Sheet;
use crate::model::Time;

/// China has one time zone, and a day more or less matters to nobody here.
const CHINA: Offset = Offset::constant(8);

/// Reports a rule whose `review_by` has passed.
pub(in crate::rules) fn check_review(
    sheet: &mut Sheet<'_>,
    (written, span): (&str, Range<usize>),
    today: Time,
) {
    let zoned = jiff::Timestamp::from(today).to_zoned(TimeZone::fixed(CHINA));
    // A note such as "after the summer" is nobody's date.
    let Ok(date) = written.parse::<Date>() else {
        return;
    };
    let days = date
        .until(zoned.date())
        .map_or(0, |passed| passed.get_days());
    if days <= 0 {
        return;
    }
    let words = Words::new(
        format!("该复查了:`review_by` 是 {date},已过 {days} 天"),
        format!("review is due: `review_by` was {date}, {days} days ago"),
    );
    let help = Words::new(
        "看看回复还对不对,再改成下一个日子",
        "see whether the reply is still right, then set the next day",
    );
    sheet.report_with_help(Code::ReviewDue, span, words, help);
}
