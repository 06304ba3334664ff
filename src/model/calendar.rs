//! Tells when something is open: weekly hours, closed days, make-up workdays, in one time zone.
//! Owns: overnight hours, daylight saving, what beats what. Uses: jiff. Never: the clock, files.

mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

use super::time::Time;
pub use written::{BadHours, Days, HoursFault, Span, days, spans};

/// [`Calendar::next_open`] and [`Calendar::next_close`] look so many days ahead.
const DAYS_AHEAD: usize = 400;
const SECONDS_OF_DAY: u64 = 24 * 60 * 60;
/// The day before and the day after, and one for clock changes.
const DAYS_AROUND: usize = 3;
/// From so many days on, a date is said with its year.
const YEAR_AFTER: i32 = 180;

/// When something is open.
///
/// A day's hours are those that `open` gives for this date; else none if the date is closed; else those of its weekday.
/// Hours over midnight belong to the day on which they begin: on Friday 18:00–02:00 opens Saturday until two, closed or
/// not, and a closed Friday does not open them.
///
/// Local times that a clock change skips are taken as the moment of the change; those that it repeats as the first of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    /// From Monday; each day's spans in order.
    weekly: [Vec<Span>; 7],
    /// First and last day, in order, not touching.
    closed: Vec<(Date, Date)>,
    open: BTreeMap<Date, Vec<Span>>,
}

impl Calendar {
    /// A calendar that is never open.
    pub const fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            weekly: [const { Vec::new() }; 7],
            closed: Vec::new(),
            open: BTreeMap::new(),
        }
    }

    /// A calendar from hours as people write them: `22:00-06:00`, `mon-fri 09:00-12:00,13:00-18:00; sat 10:00-16:00`,
    /// `周六、周日 10:00-16:00`. Without days, every day.
    pub fn hours(text: &str, zone: TimeZone) -> Result<Self, BadHours> {
        let mut calendar = Self::new(zone);
        for (days, spans) in written::groups(text)? {
            for (span, range) in spans {
                if calendar.add_weekly(days, span).is_err() {
                    return Err(BadHours {
                        fault: HoursFault::Overlap,
                        span: range,
                    });
                }
            }
        }
        Ok(calendar)
    }

    /// Opens weekdays. Nothing changes when one of them has overlapping hours already; it is returned.
    pub fn add_weekly(&mut self, days: Days, span: Span) -> Result<(), Weekday> {
        for day in days.iter() {
            let taken = self.weekly_of(day);
            if taken.iter().any(|other| other.overlaps(span)) {
                return Err(day);
            }
        }
        for (spans, day) in self.weekly.iter_mut().zip(Days::ALL.iter()) {
            if days.contains(day) {
                insert(spans, span);
            }
        }
        Ok(())
    }

    /// Closes days, both ends included; the first must not be later than the last.
    pub fn add_closed(&mut self, first: Date, last: Date) {
        let (mut first, mut last) = (first, last);
        self.closed.retain(|(from, until)| {
            let is_apart = last.tomorrow().is_ok_and(|after| after < *from)
                || until.tomorrow().is_ok_and(|after| after < first);
            if !is_apart {
                first = first.min(*from);
                last = last.max(*until);
            }
            is_apart
        });
        let place = self.closed.partition_point(|(from, _)| *from < first);
        self.closed.insert(place, (first, last));
    }

    /// Gives a date hours of its own, whatever its weekday and whether it is closed. Nothing changes, and `false` is
    /// returned, when they overlap with those that it was given before.
    #[must_use]
    pub fn add_open(&mut self, date: Date, span: Span) -> bool {
        let spans = self.open.entry(date).or_default();
        if spans.iter().any(|other| other.overlaps(span)) {
            return false;
        }
        insert(spans, span);
        true
    }

    /// Whether it is open at this moment. The first moment of an hour counts, the last does not.
    pub fn is_open(&self, at: Time) -> bool {
        self.stretches(at)
            .take_while(|(start, _)| *start <= at)
            .any(|(_, end)| at < end)
    }

    /// When it is open next: `at` itself if it is open then, nothing if that is more than 400 days away.
    pub fn next_open(&self, at: Time) -> Option<Time> {
        self.stretches(at)
            .find(|(_, end)| at < *end)
            .map(|(start, _)| start.max(at))
    }

    /// When it is closed next: `at` itself if it is closed then, nothing if that is more than 400 days away.
    pub fn next_close(&self, at: Time) -> Option<Time> {
        let (_, end) = self
            .stretches(at)
            .find(|(_, end)| at < *end)
            .filter(|(start, _)| *start <= at)
            .unwrap_or((at, at));
        let horizon = self.horizon(at);
        (horizon.is_none_or(|horizon| end < horizon)).then_some(end)
    }

    /// When it has been open for `within` since `from`. Where it does not open that often in 400 days, as if it were open
    /// from there on.
    pub fn after_open(&self, from: Time, within: Duration) -> Time {
        let (mut at, mut left) = (from, within);
        loop {
            let Some(start) = self.next_open(at) else {
                return at.plus(left);
            };
            let Some(end) = self.next_close(start) else {
                return start.plus(left);
            };
            let open = end.since(start);
            if left <= open {
                return start.plus(left);
            }
            left -= open;
            at = end;
        }
    }

    /// The stretches of time between `from` and `until` in which it is closed, in order.
    pub fn closed_stretches(
        &self,
        from: Time,
        until: Time,
    ) -> impl Iterator<Item = (Time, Time)> + '_ {
        let days = until.since(from).as_secs() / SECONDS_OF_DAY;
        let days = usize::try_from(days).unwrap_or(usize::MAX);
        let mut open = self
            .merged(self.day_before(from), days.saturating_add(DAYS_AROUND))
            .take_while(move |(start, _)| *start < until);
        let mut closed_since = Some(from);
        iter::from_fn(move || {
            loop {
                let since = closed_since.filter(|since| *since < until)?;
                let stretch = match open.next() {
                    Some((start, end)) => {
                        closed_since = Some(end.max(since));
                        (since, start)
                    }
                    None => {
                        closed_since = None;
                        (since, until)
                    }
                };
                if stretch.0 < stretch.1 {
                    return Some(stretch);
                }
            }
        })
    }

    /// A moment as people say it at `now`: 「今天 14:00」「明天 9:00」「周一 9:00」「2月14日 9:00」.
    pub fn in_words(&self, at: Time, now: Time) -> String {
        let at = self.zone.to_datetime(at.into());
        let today = self.zone.to_datetime(now.into()).date();
        let date = at.date();
        let days = today
            .until(date)
            .map_or(i32::MAX, |distance| distance.get_days());
        let day = match days {
            -1 => "昨天".to_owned(),
            0 => "今天".to_owned(),
            1 => "明天".to_owned(),
            2..7 => written::day_name(date.weekday()).to_owned(),
            _ if days.abs() < YEAR_AFTER => format!("{}月{}日", date.month(), date.day()),
            _ => format!("{}年{}月{}日", date.year(), date.month(), date.day()),
        };
        format!("{day} {}:{:02}", at.hour(), at.minute())
    }

    /// The date at a moment, by the clock on the wall.
    pub fn date(&self, at: Time) -> Date {
        self.zone.to_datetime(at.into()).date()
    }

    /// The days that it is closed, first and last of each run, in order.
    pub fn closed_days(&self) -> &[(Date, Date)] {
        &self.closed
    }

    fn weekly_of(&self, day: Weekday) -> &[Span] {
        let place = usize::try_from(day.to_monday_zero_offset()).unwrap_or_default();
        self.weekly.get(place).map_or(&[], Vec::as_slice)
    }

    /// The hours that begin on a day.
    fn hours_of(&self, date: Date) -> &[Span] {
        if let Some(spans) = self.open.get(&date) {
            return spans;
        }
        let after = self.closed.partition_point(|(first, _)| *first <= date);
        let run = after.checked_sub(1).and_then(|run| self.closed.get(run));
        if run.is_some_and(|(_, last)| date <= *last) {
            return &[];
        }
        self.weekly_of(date.weekday())
    }

    /// The day on which hours that reach to `at` may have begun.
    fn day_before(&self, at: Time) -> Date {
        let date = self.zone.to_datetime(at.into()).date();
        date.yesterday().unwrap_or(Date::MIN)
    }

    /// Where the look ahead from `at` ends: hours that begin later are not seen.
    fn horizon(&self, at: Time) -> Option<Time> {
        let days = i32::try_from(DAYS_AHEAD).unwrap_or(i32::MAX);
        let end = self.day_before(at).checked_add(days.days()).ok()?;
        Some(self.moment(end, 0))
    }

    fn stretches(&self, at: Time) -> impl Iterator<Item = (Time, Time)> + '_ {
        self.merged(self.day_before(at), DAYS_AHEAD)
    }

    /// The stretches in which it is open, those that touch joined, from hours that begin on so many days.
    fn merged(&self, first: Date, days: usize) -> impl Iterator<Item = (Time, Time)> + '_ {
        let mut spans = first
            .series(1.day())
            .take(days)
            .flat_map(move |day| {
                let spans = self.hours_of(day).iter();
                spans.map(move |span| (self.moment(day, span.from), self.moment(day, span.until)))
            })
            .filter(|(start, end)| start < end)
            .peekable();
        iter::from_fn(move || {
            let (start, mut end) = spans.next()?;
            while let Some((_, later)) = spans.next_if(|(next, _)| *next <= end) {
                end = end.max(later);
            }
            Some((start, end))
        })
    }

    /// The moment so many minutes after a day's midnight by the clock on the wall.
    fn moment(&self, day: Date, minutes: u16) -> Time {
        let local = day
            .at(0, 0, 0, 0)
            .checked_add(i64::from(minutes).minutes())
            .unwrap_or(DateTime::MAX);
        let found = self.zone.to_ambiguous_timestamp(local);
        let timestamp = if let AmbiguousOffset::Gap { after, .. } = found.offset() {
            let before_change = after.to_timestamp(local).unwrap_or(Timestamp::MAX);
            let change = self.zone.following(before_change).next();
            change.map_or(before_change, |change| change.timestamp())
        } else {
            found.earlier().unwrap_or(Timestamp::MAX)
        };
        timestamp.into()
    }
}

fn insert(spans: &mut Vec<Span>, span: Span) {
    let place = spans.partition_point(|other| other.from < span.from);
    spans.insert(place, span);
}
