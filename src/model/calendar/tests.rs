//! Proves that calendars are open when people would say so.

use jiff::civil::date;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn shanghai() -> TimeZone {
    zone("Asia/Shanghai")
}

/// A local time in the calendar's zone, `2027-02-14 09:00`.
fn at(zone: &TimeZone, text: &str) -> Time {
    let local: DateTime = text.parse().unwrap();
    zone.to_timestamp(local).unwrap().into()
}

fn hours(text: &str) -> Calendar {
    Calendar::hours(text, shanghai()).unwrap()
}

fn span(text: &str) -> Span {
    spans(text).unwrap()[0].0
}

/// A shop as in the documentation of `_calendar.toml`.
fn shop() -> Calendar {
    let mut shop = hours("mon-fri 09:00-18:00; sat 10:00-16:00");
    shop.add_closed(date(2027, 1, 1), date(2027, 1, 1));
    shop.add_closed(date(2027, 2, 5), date(2027, 2, 11));
    assert!(shop.add_open(date(2027, 2, 14), span("09:00-18:00")));
    shop
}

fn shown(calendar: &Calendar, time: Option<Time>) -> Option<String> {
    let local = calendar.zone.to_datetime(time?.into());
    Some(local.strftime("%Y-%m-%d %H:%M").to_string())
}

#[track_caller]
fn assert_next(calendar: &Calendar, now: &str, open: Option<&str>, close: Option<&str>) {
    let now = at(&calendar.zone, now);
    let next = shown(calendar, calendar.next_open(now));
    assert_eq!(next.as_deref(), open, "next_open");
    let next = shown(calendar, calendar.next_close(now));
    assert_eq!(next.as_deref(), close, "next_close");
}

#[test]
fn new_year_holidays_and_make_up_workdays_are_kept() {
    let shop = shop();
    for (now, is_open) in [
        ("2027-02-04 08:59:59", false),
        ("2027-02-04 09:00", true),
        ("2027-02-04 17:59:59", true),
        ("2027-02-04 18:00", false),
        ("2027-02-05 10:00", false),
        ("2027-02-06 12:00", false),
        ("2027-02-11 10:00", false),
        ("2027-02-12 10:00", true),
        ("2027-02-13 09:30", false),
        ("2027-02-13 10:00", true),
        ("2027-02-14 09:00", true),
        ("2027-02-14 18:00", false),
        ("2027-02-21 10:00", false),
        ("2027-01-01 10:00", false),
    ] {
        assert_eq!(shop.is_open(at(&shop.zone, now)), is_open, "{now}");
    }
    assert_next(
        &shop,
        "2027-02-04 18:05",
        Some("2027-02-12 09:00"),
        Some("2027-02-04 18:05"),
    );
    assert_next(
        &shop,
        "2027-02-13 16:00",
        Some("2027-02-14 09:00"),
        Some("2027-02-13 16:00"),
    );
    assert_next(
        &shop,
        "2027-02-14 12:00",
        Some("2027-02-14 12:00"),
        Some("2027-02-14 18:00"),
    );
}

#[test]
fn open_gives_the_day_its_hours_closed_or_not() {
    let mut shop = shop();
    assert!(shop.add_open(date(2027, 2, 8), span("10:00-12:00")));
    assert!(shop.add_open(date(2027, 2, 8), span("13:00-14:00")));
    assert!(!shop.add_open(date(2027, 2, 8), span("11:00-13:30")));
    assert!(shop.add_open(date(2027, 2, 15), span("09:00-12:00")));
    let now = |text| at(&shop.zone, text);
    assert!(shop.is_open(now("2027-02-08 11:59")));
    assert!(!shop.is_open(now("2027-02-08 12:00")));
    assert!(shop.is_open(now("2027-02-08 13:00")));
    assert!(shop.is_open(now("2027-02-15 11:00")));
    assert!(!shop.is_open(now("2027-02-15 14:00")));
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
    let mut bar = hours("fri 18:00-02:00");
    bar.add_closed(date(2027, 3, 6), date(2027, 3, 6));
    bar.add_closed(date(2027, 3, 12), date(2027, 3, 12));
    for (now, is_open) in [
        ("2027-03-05 17:59", false),
        ("2027-03-05 18:00", true),
        ("2027-03-06 01:59", true),
        ("2027-03-06 02:00", false),
        ("2027-03-12 19:00", false),
        ("2027-03-13 01:00", false),
        ("2027-03-20 01:00", true),
    ] {
        assert_eq!(bar.is_open(at(&bar.zone, now)), is_open, "{now}");
    }
    assert_next(
        &hours("22:00-06:00"),
        "2027-03-01 23:00",
        Some("2027-03-01 23:00"),
        Some("2027-03-02 06:00"),
    );
}

#[test]
fn touching_hours_are_one_stretch_and_an_end_that_never_comes_is_none() {
    assert_next(
        &hours("mon 20:00-24:00; tue 00:00-02:00,02:00-03:00"),
        "2027-03-01 21:00",
        Some("2027-03-01 21:00"),
        Some("2027-03-02 03:00"),
    );
    let always = hours("00:00-24:00");
    assert_next(&always, "2027-03-01 21:00", Some("2027-03-01 21:00"), None);
    let never = Calendar::new(shanghai());
    assert_next(&never, "2027-03-01 21:00", None, Some("2027-03-01 21:00"));
    let mut long = hours("09:00-10:00");
    long.add_closed(date(2027, 1, 1), date(2027, 12, 31));
    assert_next(
        &long,
        "2027-01-01 00:00",
        Some("2028-01-01 09:00"),
        Some("2027-01-01 00:00"),
    );
    long.add_closed(date(2028, 1, 1), date(2029, 12, 31));
    assert_eq!(long.closed_days(), [(date(2027, 1, 1), date(2029, 12, 31))]);
    assert_eq!(long.next_open(at(&long.zone, "2027-01-01 00:00")), None);
}

#[test]
fn clock_changes_move_the_moments_and_not_the_hours() {
    // 2027-03-28 02:00 becomes 03:00, 2027-10-31 03:00 becomes 02:00.
    let berlin = zone("Europe/Berlin");
    let of = |text: &str| Calendar::hours(text, berlin.clone()).unwrap();
    let utc = |text: &str| Time::from(text.parse::<Timestamp>().unwrap());
    let day = of("09:00-18:00");
    assert!(day.is_open(utc("2027-03-28T07:00:00Z")));
    assert!(day.is_open(utc("2027-03-27T08:00:00Z")));
    assert!(!day.is_open(utc("2027-03-27T07:59:59Z")));
    let skipped = of("02:30-03:00");
    assert_eq!(
        skipped.next_open(utc("2027-03-28T00:00:00Z")),
        Some(utc("2027-03-29T00:30:00Z"))
    );
    let begins_in_gap = of("02:30-04:00");
    let now = utc("2027-03-28T00:00:00Z");
    let opens = begins_in_gap.next_open(now).unwrap();
    assert_eq!(opens, utc("2027-03-28T01:00:00Z"));
    assert_eq!(
        begins_in_gap.next_close(opens),
        Some(utc("2027-03-28T02:00:00Z"))
    );
    let ends_twice = of("22:00-02:30");
    assert!(ends_twice.is_open(utc("2027-10-31T00:29:00Z")));
    assert!(!ends_twice.is_open(utc("2027-10-31T00:30:00Z")));
    assert!(!ends_twice.is_open(utc("2027-10-31T01:15:00Z")));
    let night = of("22:00-06:00");
    let closed: Vec<_> = night
        .closed_stretches(utc("2027-10-30T12:00:00Z"), utc("2027-10-31T12:00:00Z"))
        .collect();
    assert_eq!(
        closed,
        [
            (utc("2027-10-30T12:00:00Z"), utc("2027-10-30T20:00:00Z")),
            (utc("2027-10-31T05:00:00Z"), utc("2027-10-31T12:00:00Z")),
        ]
    );
}

#[test]
fn moments_are_said_as_people_say_them() {
    let shop = shop();
    let now = at(&shop.zone, "2027-02-04 18:05");
    for (moment, words) in [
        ("2027-02-04 19:00", "今天 19:00"),
        ("2027-02-05 00:00", "明天 0:00"),
        ("2027-02-06 09:05", "周六 9:05"),
        ("2027-02-10 23:59", "周三 23:59"),
        ("2027-02-11 09:00", "2月11日 9:00"),
        ("2027-02-03 09:00", "昨天 9:00"),
        ("2027-01-04 09:00", "1月4日 9:00"),
        ("2028-02-04 09:00", "2028年2月4日 9:00"),
    ] {
        assert_eq!(shop.in_words(at(&shop.zone, moment), now), words);
    }
}

#[test]
fn hours_are_read_in_both_languages() {
    let same = |a: &str, b: &str| assert_eq!(hours(a).weekly, hours(b).weekly, "{a} {b}");
    same("mon-fri 09:00-18:00", "周一至周五 9:00-18:00");
    same("mon-fri 09:00-18:00", "一至五 9:00~18:00");
    same("Mon - Fri, 09:00 – 18:00", "星期一到五 09:00 到 18:00");
    same("sat,sun 10:00-16:00", "周六、周日 10:00-16:00");
    same("sat-mon 22:00-06:00", "六,日,一 22\u{FF1A}00-06:00");
    same("22:00-06:00", "mon-sun 22:00-06:00");
    same("mon 8:00-9:00\u{FF1B}tue 8:00-9:00", "mon-tue 08:00-09:00;");
    assert_eq!(days("mon-sun"), Ok(Days::ALL));
}

#[test]
fn what_is_wrong_with_hours_is_named_with_its_place() {
    use HoursFault::*;
    for (text, fault, wrong) in [
        ("", Empty, ""),
        (" ;", Empty, " ;"),
        ("25:00-26:00", NoSuchTime, "25:00"),
        ("09:00-18:75", NoSuchTime, "18:75"),
        ("24:00-06:00", NoSuchTime, "24:00"),
        ("09:00-24:01", NoSuchTime, "24:01"),
        ("9-18", Unreadable, "9-18"),
        ("09:00-6pm", Unreadable, "6pm"),
        ("mon 09:00", NoEnd, "09:00"),
        ("mon 09:00-", NoEnd, "09:00"),
        ("mon- 09:00-10:00", Unreadable, "09:00-10:00"),
        ("09:00-09:00", NoLength, "09:00-09:00"),
        ("sat,sun", NoHours, "sat,sun"),
        ("mon 9:00-10:00, tue 9:00-10:00", Misplaced, "tue"),
        ("mno-fri 09:00-18:00", Unreadable, "mno-fri"),
        ("周一至周八 09:00-18:00", Unreadable, "周八"),
        ("mon 09:00-12:00, 11:00-13:00", Overlap, "11:00-13:00"),
        (
            "mon-wed 09:00-18:00; tue 10:00-11:00",
            Overlap,
            "10:00-11:00",
        ),
    ] {
        let bad = Calendar::hours(text, shanghai()).unwrap_err();
        assert_eq!(bad.fault, fault, "{text}");
        assert_eq!(text.get(bad.span).unwrap(), wrong, "{text}");
    }
    assert_eq!(days("mon 9:00-10:00").unwrap_err().fault, Misplaced);
    assert_eq!(spans("mon").unwrap_err().fault, Misplaced);
}

/// Any calendar around the start of 2027, in zones with and without clock changes.
fn any_calendar() -> impl Strategy<Value = Calendar> {
    let zones = [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
    ];
    let span = (0_u16..1440, 1_u16..1440).prop_map(|(from, length)| Span {
        from,
        until: from + length,
    });
    let day = || (0_i64..500).prop_map(|days| date(2026, 10, 1) + days.days());
    (
        prop::sample::select(zones.to_vec()),
        prop::collection::vec((prop::bits::u8::masked(0x7f), span.clone()), 0..6),
        prop::collection::vec((day(), 0_i64..30), 0..6),
        prop::collection::vec((day(), span), 0..6),
    )
        .prop_map(|(name, weekly, closed, open)| {
            let mut calendar = Calendar::new(zone(name));
            for (days, span) in weekly {
                // What overlaps is left out, as a reader of files would.
                let _overlaps = calendar.add_weekly(Days(days), span);
            }
            for (first, days) in closed {
                calendar.add_closed(first, first + days.days());
            }
            for (date, span) in open {
                let _overlaps = calendar.add_open(date, span);
            }
            calendar
        })
}

/// Any minute from November 2026 to October 2027.
fn any_moment() -> impl Strategy<Value = Time> {
    (29_900_000_i64..30_400_000).prop_map(|minutes| Time::from_seconds(minutes * 60))
}

/// Whether a calendar is open, looked up the slow way: from the clock on the wall.
fn is_open_by_the_wall(calendar: &Calendar, at: Time) -> bool {
    let local = calendar.zone.to_datetime(at.into());
    let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
    let has = |date: Date, minute: u16| {
        let mut spans = calendar.hours_of(date).iter();
        spans.any(|span| span.from <= minute && minute < span.until)
    };
    has(local.date(), minute) || has(local.date().yesterday().unwrap(), minute + 1440)
}

proptest! {
    #[test]
    fn next_open_is_the_first_open_moment(calendar in any_calendar(), now in any_moment(), share in 0.0..1.0) {
        let Some(next) = calendar.next_open(now) else {
            let later = now.plus(Duration::from_secs(86400).mul_f64(390.0 * share));
            prop_assert!(!calendar.is_open(later));
            return Ok(());
        };
        prop_assert!(calendar.is_open(next) && next >= now);
        let between = now.plus(next.since(now).mul_f64(share));
        prop_assert!(between >= next || !calendar.is_open(between));
    }

    #[test]
    fn next_close_is_the_first_closed_moment(calendar in any_calendar(), now in any_moment(), share in 0.0..1.0) {
        if let Some(next) = calendar.next_close(now) {
            prop_assert!(!calendar.is_open(next) && next >= now);
            let between = now.plus(next.since(now).mul_f64(share));
            prop_assert!(between >= next || calendar.is_open(between));
        }
    }

    #[test]
    fn closed_stretches_agree_with_is_open(calendar in any_calendar(), now in any_moment(), hours in 0_u64..2000, share in 0.0..1.0) {
        let until = now.plus(Duration::from_secs(hours * 3600));
        let closed: Vec<_> = calendar.closed_stretches(now, until).collect();
        let moment = now.plus(until.since(now).mul_f64(share));
        if moment < until {
            let is_closed = closed.iter().any(|(start, end)| *start <= moment && moment < *end);
            prop_assert_eq!(is_closed, !calendar.is_open(moment));
        }
        prop_assert!(closed.iter().all(|(start, end)| start < end));
        prop_assert!(closed.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for (start, end) in closed {
            prop_assert!(now <= start && end <= until);
            prop_assert!(end == until || calendar.is_open(end));
        }
    }

    #[test]
    fn is_open_agrees_with_the_wall_where_the_clock_does_not_change(mut calendar in any_calendar(), now in any_moment()) {
        calendar.zone = shanghai();
        prop_assert_eq!(calendar.is_open(now), is_open_by_the_wall(&calendar, now));
    }

    #[test]
    fn any_text_is_read_without_a_panic_and_faults_lie_inside(text in "[a-z周一日至0-9:,; \\-]{0,24}|.{0,24}") {
        if let Err(bad) = Calendar::hours(&text, shanghai()) {
            prop_assert!(text.get(bad.span).is_some());
        }
    }
}
