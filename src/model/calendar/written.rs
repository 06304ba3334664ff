//! Reads hours and days of the week as people write them, in Chinese and English.
//! Owns: their grammar. Uses: nothing of ours. Never: words for what is wrong.

use std::ops::Range;

use jiff::civil::Weekday;

const MINUTES_OF_DAY: u16 = 24 * 60;
/// Half and full width.
const SEMICOLONS: [char; 2] = [';', '\u{FF1B}'];

/// Hours of one day, in minutes from its midnight by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Below 24 hours.
    pub(super) from: u16,
    /// Later than `from`, by less than a day or by exactly one; past 24 hours it is the next day.
    pub(super) until: u16,
}

impl Span {
    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub(super) u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// The days, from Monday.
    pub fn iter(self) -> impl Iterator<Item = Weekday> {
        Weekday::Monday
            .cycle_forward()
            .take(7)
            .filter(move |day| self.contains(*day))
    }

    /// Whether a day is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & Self::of(day).0 != 0
    }

    fn of(day: Weekday) -> Self {
        Self(1 << day.to_monday_zero_offset())
    }

    /// From one day to another, over the end of the week where need be.
    fn from_to(first: Weekday, last: Weekday) -> Self {
        let between = first.cycle_forward().take_while(|day| *day != last);
        between.fold(Self::of(last), Self::with)
    }

    fn with(self, day: Weekday) -> Self {
        Self(self.0 | Self::of(day).0)
    }
}

/// What is wrong with hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoursFault {
    /// There is nothing.
    Empty,
    /// Neither a day nor a time.
    Unreadable,
    /// A time that no clock shows, such as 25:00 or 9:75; 24:00 can only end.
    NoSuchTime,
    /// A time or a day, and a dash, without the one that ends it.
    NoEnd,
    /// Hours that end when they begin; a whole day is 00:00-24:00.
    NoLength,
    /// Days without hours.
    NoHours,
    /// Days where only hours, or behind them, are wanted; or hours where only days are.
    Misplaced,
    /// These hours overlap with others of the same day.
    Overlap,
}

/// Hours or days that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadHours {
    /// What is wrong.
    pub fault: HoursFault,
    /// Which bytes of the text.
    pub span: Range<usize>,
}

/// What stands in a text: days or hours.
enum Item {
    Days(Days),
    Hours(Span),
}

/// Hours with the bytes in which they stand.
pub(super) type WrittenSpan = (Span, Range<usize>);

/// Days of the week: `mon-fri`, `sat,sun`, `周一至周五`.
pub fn days(text: &str) -> Result<Days, BadHours> {
    let mut reader = Reader { text, at: 0 };
    let mut days = Days(0);
    while let Some((item, span)) = reader.item()? {
        match item {
            Item::Days(more) => days.0 |= more.0,
            Item::Hours(_) => return bad(HoursFault::Misplaced, span),
        }
    }
    if days.0 == 0 {
        return bad(HoursFault::Empty, 0..text.len());
    }
    Ok(days)
}

/// Hours of one day: `09:00-12:00,13:00-18:00`. That they do not overlap is for the calendar to see.
pub fn spans(text: &str) -> Result<Vec<WrittenSpan>, BadHours> {
    let mut reader = Reader { text, at: 0 };
    let mut spans = Vec::new();
    while let Some((item, range)) = reader.item()? {
        match item {
            Item::Hours(span) => spans.push((span, range)),
            Item::Days(_) => return bad(HoursFault::Misplaced, range),
        }
    }
    if spans.is_empty() {
        return bad(HoursFault::Empty, 0..text.len());
    }
    Ok(spans)
}

/// Days with their hours, group by group; groups stand apart by semicolons.
pub(super) fn groups(text: &str) -> Result<Vec<(Days, Vec<WrittenSpan>)>, BadHours> {
    let mut groups = Vec::new();
    let mut start = 0;
    for part in text.split_inclusive(SEMICOLONS) {
        let end = start + part.trim_end_matches(SEMICOLONS).len();
        let mut reader = Reader {
            text: text.get(..end).unwrap_or_default(),
            at: start,
        };
        start += part.len();
        let mut days = Days(0);
        let mut named = None;
        let mut spans: Vec<WrittenSpan> = Vec::new();
        while let Some((item, range)) = reader.item()? {
            match item {
                Item::Hours(span) => spans.push((span, range)),
                Item::Days(_) if !spans.is_empty() => return bad(HoursFault::Misplaced, range),
                Item::Days(more) => {
                    days.0 |= more.0;
                    let first = named
                        .take()
                        .map_or(range.start, |named: Range<_>| named.start);
                    named = Some(first..range.end);
                }
            }
        }
        match (named, spans.is_empty()) {
            (Some(named), true) => return bad(HoursFault::NoHours, named),
            (Some(_), false) => groups.push((days, spans)),
            (None, false) => groups.push((Days::ALL, spans)),
            (None, true) => {}
        }
    }
    if groups.is_empty() {
        return bad(HoursFault::Empty, 0..text.len());
    }
    Ok(groups)
}

/// How people call a day: 「周一」.
pub(super) const fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "周一",
        Weekday::Tuesday => "周二",
        Weekday::Wednesday => "周三",
        Weekday::Thursday => "周四",
        Weekday::Friday => "周五",
        Weekday::Saturday => "周六",
        Weekday::Sunday => "周日",
    }
}

const fn bad<T>(fault: HoursFault, span: Range<usize>) -> Result<T, BadHours> {
    Err(BadHours { fault, span })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    /// The next days or hours, with their bytes.
    fn item(&mut self) -> Result<Option<(Item, Range<usize>)>, BadHours> {
        self.skip(is_gap);
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(None);
        };
        let item = if first.is_ascii_digit() {
            Item::Hours(self.hours()?)
        } else {
            let first = self.day()?;
            let last = if self.dash() { self.day()? } else { first };
            Item::Days(Days::from_to(first, last))
        };
        Ok(Some((item, start..self.at)))
    }

    fn hours(&mut self) -> Result<Span, BadHours> {
        let start = self.at;
        let from = self.time()?;
        if from == MINUTES_OF_DAY {
            return bad(HoursFault::NoSuchTime, start..self.at);
        }
        let first = start..self.at;
        if !self.dash() || self.peek().is_none() {
            return bad(HoursFault::NoEnd, first);
        }
        let until = self.time()?;
        if from == until {
            return bad(HoursFault::NoLength, start..self.at);
        }
        let until = if until < from {
            until + MINUTES_OF_DAY
        } else {
            until
        };
        Ok(Span { from, until })
    }

    /// Minutes from midnight, at most 24 hours.
    fn time(&mut self) -> Result<u16, BadHours> {
        let start = self.at;
        let hour = self.take(|c| c.is_ascii_digit());
        let colon = self.at;
        self.skip_one(|c| matches!(c, ':' | '\u{FF1A}'));
        let has_colon = self.at > colon;
        let minute = self.take(|c| c.is_ascii_digit());
        let is_time = has_colon && matches!(hour.len(), 1 | 2) && minute.len() == 2;
        let (Some(hour), Some(minute)) = (number(&hour), number(&minute)) else {
            return Err(self.unreadable(start));
        };
        if !is_time {
            return Err(self.unreadable(start));
        }
        let minutes = hour * 60 + minute;
        if minute > 59 || minutes > MINUTES_OF_DAY {
            return bad(HoursFault::NoSuchTime, start..self.at);
        }
        Ok(minutes)
    }

    fn day(&mut self) -> Result<Weekday, BadHours> {
        let start = self.at;
        let word = self.take(|c| c.is_ascii_alphabetic()).to_ascii_lowercase();
        let named = match &*word {
            "mon" | "monday" => Weekday::Monday,
            "tue" | "tues" | "tuesday" => Weekday::Tuesday,
            "wed" | "wednesday" => Weekday::Wednesday,
            "thu" | "thur" | "thurs" | "thursday" => Weekday::Thursday,
            "fri" | "friday" => Weekday::Friday,
            "sat" | "saturday" => Weekday::Saturday,
            "sun" | "sunday" => Weekday::Sunday,
            "" => return self.chinese_day(start),
            _ => return Err(self.unreadable(start)),
        };
        Ok(named)
    }

    fn chinese_day(&mut self, start: usize) -> Result<Weekday, BadHours> {
        let rest = self.text.get(start..).unwrap_or_default();
        for prefix in ["周", "週", "星期", "礼拜"] {
            if rest.starts_with(prefix) {
                self.at += prefix.len();
                break;
            }
        }
        let day = match self.peek() {
            Some('一') => Weekday::Monday,
            Some('二') => Weekday::Tuesday,
            Some('三') => Weekday::Wednesday,
            Some('四') => Weekday::Thursday,
            Some('五') => Weekday::Friday,
            Some('六') => Weekday::Saturday,
            Some('日' | '天') => Weekday::Sunday,
            _ => return Err(self.unreadable(start)),
        };
        self.skip_one(|_| true);
        Ok(day)
    }

    /// Steps over a dash and the space around it, if there is one.
    fn dash(&mut self) -> bool {
        let before = self.at;
        self.skip(char::is_whitespace);
        let dash = self.at;
        self.skip_one(|c| matches!(c, '-' | '–' | '—' | '－' | '~' | '～' | '至' | '到'));
        if self.at == dash {
            self.at = before;
            return false;
        }
        self.skip(char::is_whitespace);
        true
    }

    /// What stands from `start` to the next space or comma.
    fn unreadable(&mut self, start: usize) -> BadHours {
        self.at = start;
        self.skip(|c| !is_gap(c));
        BadHours {
            fault: if self.at == start {
                HoursFault::NoEnd
            } else {
                HoursFault::Unreadable
            },
            span: start..self.at,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.skip_one(|_| true);
        }
    }

    fn skip_one(&mut self, is_skipped: impl Fn(char) -> bool) {
        if let Some(c) = self.peek().filter(|c| is_skipped(*c)) {
            self.at += c.len_utf8();
        }
    }

    fn take(&mut self, is_taken: impl Fn(char) -> bool) -> String {
        let start = self.at;
        self.skip(is_taken);
        self.text.get(start..self.at).unwrap_or_default().to_owned()
    }
}

/// Whether this stands between items; a comma may be full-width.
fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '\u{FF0C}' | '、')
}

/// A number of at most two digits.
fn number(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|number| *number < 100)
}
