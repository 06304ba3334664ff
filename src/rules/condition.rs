//! Reads when a rule speaks: `during`, `outside`, `between`.
//! Owns: how hours and days are named in rules. Uses: calendar_file, moment, model. Never: the clock.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use toml::de::DeValue;

use super::calendar_file::bad_hours;
use super::diagnostic::{Code, Diagnostic, Words, did_you_mean};
use super::moment;
use super::sheet::{Sheet, Text, Value};
use crate::model::{Calendar, Time};

/// Calendars of a rule set under construction: those of `_calendar.toml`, then hours that rules write out.
pub(super) type Calendars = Vec<(Option<Box<str>>, Arc<Calendar>)>;

/// Finds calendars by what rules write.
pub(super) struct Hours<'b> {
    pub(super) calendars: &'b mut Calendars,
    /// Hours that were written out before.
    pub(super) written: &'b mut HashMap<Box<str>, u16>,
    pub(super) zone: &'b TimeZone,
}

/// Reads `during` or `outside`: names of calendars or hours, one or a list of them.
pub(super) fn hours(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    hours: &mut Hours<'_>,
) -> Box<[u16]> {
    if let DeValue::Array(items) = value.get_ref()
        && items.is_empty()
    {
        let span = sheet.span(value.span());
        let words = Words::new(format!("`{key}` 是空的"), format!("`{key}` is empty"));
        sheet.report(Code::BadValue, span, words);
    }
    let texts = sheet.strings(key, value);
    let places = texts.iter().filter_map(|text| hours.find(sheet, text));
    places.collect()
}

impl Hours<'_> {
    fn find(&mut self, sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<u16> {
        let named = self
            .calendars
            .iter()
            .position(|(name, _)| name.as_deref() == Some(text.text));
        if let Some(place) = named {
            return u16::try_from(place).ok();
        }
        // Names have no colon, hours do.
        if !text.text.contains([':', ':']) {
            let help = Words::new(
                "写 _calendar.toml 里 [calendar.…] 的名字,或直接写时间,像 \"mon-fri 09:00-18:00\"",
                "write the name of a [calendar.…] in _calendar.toml, or hours such as \"mon-fri 09:00-18:00\"",
            );
            unknown(sheet, text, self.calendars, help);
            return None;
        }
        if let Some(known) = self.written.get(text.text) {
            return Some(*known);
        }
        let calendar = match Calendar::hours(text.text, self.zone.clone()) {
            Ok(calendar) => calendar,
            Err(bad) => {
                bad_hours(sheet, text, &bad);
                return None;
            }
        };
        let Ok(place) = u16::try_from(self.calendars.len()) else {
            let words = Words::new(
                "不同的时间段太多了,写成日历",
                "there are too many different hours; make them calendars",
            );
            sheet.report(Code::TooMany, text.span.clone(), words);
            return None;
        };
        self.calendars.push((None, Arc::new(calendar)));
        self.written.insert(text.text.into(), place);
        Some(place)
    }
}

/// The calendar of this name; reports it if there is none.
pub(super) fn named(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    calendars: &Calendars,
) -> Option<Arc<Calendar>> {
    let mut named = calendars.iter();
    let found = named.find(|(name, _)| name.as_deref() == Some(text.text));
    if found.is_none() {
        let help = Words::new(
            "写 _calendar.toml 里 [calendar.…] 的名字",
            "write the name of a [calendar.…] in _calendar.toml",
        );
        unknown(sheet, text, calendars, help);
    }
    found.map(|(_, calendar)| Arc::clone(calendar))
}

fn unknown(sheet: &mut Sheet<'_>, text: &Text<'_>, calendars: &Calendars, help: Words) {
    let names = calendars.iter().filter_map(|(name, _)| name.as_deref());
    let words = Words::new(
        format!("_calendar.toml 里没有日历 \"{}\"", text.text),
        format!("there is no calendar \"{}\" in _calendar.toml", text.text),
    );
    let diagnostic = Diagnostic::new(Code::BadValue, sheet.place(text.span.clone()), words);
    sheet.remarks.push(match did_you_mean(text.text, names) {
        Some(meant) => diagnostic.caret(Words::new(
            format!("是不是 \"{meant}\"?"),
            format!("did you mean \"{meant}\"?"),
        )),
        None => diagnostic.help(help),
    });
}

/// Reads `between = [from, to]`: days, both included, or moments. Gives the first moment and the one after the last.
pub(super) fn between(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    zone: &TimeZone,
) -> Option<(Time, Time)> {
    let span = sheet.span(value.span());
    let ends = match value.get_ref() {
        DeValue::Array(items) => items.first().zip(items.get(1)).filter(|_| items.len() == 2),
        _ => None,
    };
    let Some((from, to)) = ends else {
        let words = Words::new(
            "`between` 要写成 [从哪天, 到哪天]",
            "`between` must be [from, to]",
        );
        let help = Words::new(
            "像 between = [\"2027-09-01\", \"2027-09-15\"],两天都算在内",
            "such as between = [\"2027-09-01\", \"2027-09-15\"], both days included",
        );
        sheet.report_with_help(Code::BadValue, span, words, help);
        return None;
    };
    let from = moment::moment(sheet, "between", from, zone);
    let to = moment::moment(sheet, "between", to, zone);
    let (start, end) = (from?.0.start(zone)?, to?.0.end(zone)?);
    if start < end {
        return Some((start, end));
    }
    let words = Words::new(
        "`between` 前后写反了:结束在开始之前",
        "`between` is the wrong way round: it ends before it begins",
    );
    sheet.report(Code::BadValue, span, words);
    None
}
