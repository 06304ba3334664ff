//! Reads times as operators write them: how long, which day, which moment.
//! Owns: their spelling, and what to say of a wrong one. Uses: sheet, jiff. Never: the clock.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use toml::de::DeValue;

use super::diagnostic::{Code, Words};
use super::sheet::{Sheet, Value};
use crate::model::Time;

/// A day, or a moment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Day(Date),
    At(Time),
}

impl Moment {
    /// Where it begins.
    pub(super) fn start(self, zone: &TimeZone) -> Option<Time> {
        match self {
            Self::Day(day) => midnight(day, zone),
            Self::At(time) => Some(time),
        }
    }

    /// Where it ends: a day with the next one, a moment with itself.
    pub(super) fn end(self, zone: &TimeZone) -> Option<Time> {
        match self {
            Self::Day(day) => midnight(day.tomorrow().ok()?, zone),
            Self::At(time) => Some(time),
        }
    }
}

fn midnight(day: Date, zone: &TimeZone) -> Option<Time> {
    let start = day.to_zoned(zone.clone()).ok()?;
    Some(start.timestamp().into())
}

/// A time that lasts: `"10m"`, `"1h30m"`, `"7d"`.
pub(super) fn duration(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    within: RangeInclusive<Duration>,
) -> Option<Duration> {
    let text = sheet.string(key, value)?;
    let Some(duration) = parse_duration(text.text) else {
        sheet.report(
            Code::BadValue,
            text.span,
            Words::new(
                format!("`{key}` 要写成时长,像 \"10m\"、\"1h30m\"、\"0s\""),
                format!("`{key}` must be a duration such as \"10m\", \"1h30m\" or \"0s\""),
            ),
        );
        return None;
    };
    if within.contains(&duration) {
        return Some(duration);
    }
    let (low, high) = (shown(*within.start()), shown(*within.end()));
    sheet.report(
        Code::BadValue,
        text.span,
        Words::new(
            format!("`{key}` 要在 {low} 到 {high} 之间"),
            format!("`{key}` must be between {low} and {high}"),
        ),
    );
    None
}

fn parse_duration(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let signed: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(signed).ok()
}

/// A duration in the largest unit that says it wholly.
pub(super) fn shown(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        _ if millis > 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        _ if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        _ if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A day or a moment, as TOML writes them or as text; without an offset it is local time.
pub(super) fn moment(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    zone: &TimeZone,
) -> Option<(Moment, Range<usize>)> {
    let span = sheet.span(value.span());
    let text = match value.get_ref() {
        DeValue::Datetime(written) => written.to_string(),
        DeValue::String(text) => text.trim().to_owned(),
        other => {
            let expected = (
                "要写成日期或时间,像 2027-02-14 或 2027-02-14T09:00",
                "must be a day or a moment such as 2027-02-14 or 2027-02-14T09:00",
            );
            sheet.wrong_type(key, other, span, expected);
            return None;
        }
    };
    if let Some(moment) = parse_moment(&text, zone) {
        return Some((moment, span));
    }
    sheet.report(
        Code::BadValue,
        span,
        Words::new(
            format!("`{key}` 里没有这一天或这个时间,要写成 2027-02-14 或 2027-02-14T09:00"),
            format!(
                "`{key}`: there is no such day or moment; write 2027-02-14 or 2027-02-14T09:00"
            ),
        ),
    );
    None
}

fn parse_moment(text: &str, zone: &TimeZone) -> Option<Moment> {
    if !text.contains([':', 'T', 't', ' ']) {
        return text.parse().ok().map(Moment::Day);
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::At(stamp.into()));
    }
    let local: DateTime = text.parse().ok()?;
    let zoned = local.to_zoned(zone.clone()).ok()?;
    Some(Moment::At(zoned.timestamp().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    #[test]
    fn durations_have_units_up_to_days() {
        for (text, seconds) in [
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("0s", Some(0)),
            ("30d", Some(2_592_000)),
            ("-5m", None),
            ("5", None),
            ("soon", None),
            ("1 month", None),
        ] {
            let parsed = parse_duration(text);
            assert_eq!(parsed, seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(shown(Duration::from_secs(2_592_000)), "30d");
        assert_eq!(shown(Duration::from_secs(90)), "90s");
        assert_eq!(shown(Duration::from_millis(100)), "100ms");
    }

    #[test]
    fn a_day_lasts_until_the_next_and_local_time_is_the_zones() {
        let day = parse_moment("2027-02-14", &zone()).unwrap();
        let (start, end) = (day.start(&zone()).unwrap(), day.end(&zone()).unwrap());
        assert_eq!(end.since(start), Duration::from_secs(86_400));
        assert_eq!(start.to_string(), "2027-02-13T16:00:00Z");
        let local = parse_moment("2027-02-14T00:00", &zone()).unwrap();
        let stamp = parse_moment("2027-02-13T16:00:00Z", &zone()).unwrap();
        assert_eq!((local, stamp), (Moment::At(start), Moment::At(start)));
        for wrong in ["2027-02-30", "20270214T", "12:00", "tomorrow", ""] {
            assert_eq!(parse_moment(wrong, &zone()), None, "{wrong}");
        }
    }
}
