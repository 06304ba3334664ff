//! Asks where, when and as whom a rule does and does not speak. Hours are written around the present moment.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::{Offset, offset};

use super::{ACK, Plan, Stand, eventually, heard, new_name};

#[test]
fn a_rule_speaks_on_its_accounts_and_says_what_is_written_for_each() {
    let rules = r#"
[[rule]]
id    = "song"
any   = ["主题曲"]
reply = "点这里听"
[rule.account.cafe]
reply = "歌在旗舰号上"
[[rule]]
id       = "latte"
any      = ["拿铁"]
accounts = ["cafe"]
reply    = "25 元"
"#;
    let file = r#"
[defaults]
accounts = ["shop"]
[[rule]]
id    = "returns"
any   = ["退货"]
reply = "七天"
"#;
    let stand = Plan {
        rules,
        files: &[("20.toml", file.as_bytes())],
        ..Plan::default()
    }
    .open();
    for (words, shop, cafe) in [
        ("主题曲", "点这里听", "歌在旗舰号上"),
        ("拿铁", ACK, "25 元"),
        ("退货", "七天", ACK),
    ] {
        assert_eq!(stand.hears(words), shop, "{words}");
        assert_eq!(
            heard(&stand.cafe.follower(&new_name()), words),
            cafe,
            "{words}"
        );
    }
}

#[test]
fn tags_and_the_first_visit_choose_among_rules() {
    let stand = Stand::open(
        r#"
[[rule]]
id        = "vip"
any       = ["折扣"]
followers = { tag = ["vip", "老客"] }
reply     = "八折"
[[rule]]
id        = "first"
any       = ["折扣"]
followers = { first_visit = true }
reply     = "九折"
[[rule]]
id        = "again"
any       = ["折扣"]
followers = { first_visit = false }
reply     = "没有"
"#,
    );
    let li = stand.stranger();
    assert_eq!(heard(&li, "有折扣吗"), "九折");
    assert_eq!(heard(&li, "折扣呢"), "没有");
    stand.tag(&li, &["老客"]);
    assert_eq!(heard(&li, "折扣"), "八折");
    stand.tag(&li, &["朋友"]);
    assert_eq!(heard(&li, "真没有折扣?"), "没有");
    assert_eq!(stand.hears("折扣"), "九折");
}

const HOURS: &str = r#"
[[rule]]
id     = "night"
exact  = ["过夜"]
during = "night"
reply  = "昨天开的门"
[[rule]]
id     = "evening"
exact  = ["今晚"]
during = "evening"
reply  = "早了"
[[rule]]
id     = "makeup"
exact  = ["调休"]
during = "makeup"
reply  = "今天上班"
[[rule]]
id     = "holiday"
exact  = ["放假"]
during = "holiday"
reply  = "没放"
[[rule]]
id      = "later"
exact   = ["放假"]
outside = ["holiday"]
reply   = "{calendar.holiday.next_open} 开门"
[[rule]]
id     = "here"
exact  = ["这里"]
during = "here"
reply  = "开着"
[[rule]]
id     = "there"
exact  = ["那里"]
during = "there"
reply  = "开着"
[[rule]]
id     = "any-of"
exact  = ["随便"]
during = ["there", "00:00-24:00"]
reply  = "总有一处开着"
[[rule]]
id      = "never"
exact   = ["从不"]
outside = "00:00-24:00"
reply   = "不会说"
[[rule]]
id      = "moon"
exact   = ["月饼"]
between = ["YESTERDAY", "TOMORROW"]
reply   = "有"
[[rule]]
id      = "old-moon"
exact   = ["旧月饼"]
between = ["2020-09-01", "2020-09-15"]
reply   = "有"
"#;

/// A zone, by its name and its offset, where it is this hour of the day now.
fn zone_at(hour: i8) -> (String, Offset) {
    let utc = Offset::UTC
        .to_datetime(wxreply::clock::Clock::system().now().into())
        .hour();
    let east = (hour - utc + 12).rem_euclid(24) - 12;
    // These names count westward.
    let name = match east {
        0 => "Etc/GMT".to_owned(),
        east if east > 0 => format!("Etc/GMT-{east}"),
        east => format!("Etc/GMT+{}", -east),
    };
    (name, offset(east))
}

fn weekday(date: Date) -> &'static str {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    days[usize::try_from(date.weekday().to_monday_zero_offset()).unwrap()]
}

/// Calendars of a place where it is an hour past midnight, and of one where it is an hour past noon.
fn calendars() -> String {
    let (tz, offset) = zone_at(1);
    let (noon, _) = zone_at(13);
    let today = offset
        .to_datetime(wxreply::clock::Clock::system().now().into())
        .date();
    let yesterday = today.yesterday().unwrap();
    let other = today.checked_add(jiff::Span::new().days(3)).unwrap();
    let (yesterday, weekday_now, other) = (weekday(yesterday), weekday(today), weekday(other));
    format!(
        r#"
[calendar.night]
tz     = "{tz}"
weekly = {{ {yesterday} = "18:00-04:00" }}
[calendar.evening]
tz     = "{tz}"
weekly = {{ {weekday_now} = "18:00-04:00" }}
[calendar.makeup]
tz     = "{tz}"
weekly = {{ {other} = "09:00-18:00" }}
open   = ["{today} 00:00-24:00"]
[calendar.holiday]
tz     = "{tz}"
weekly = {{ mon-sun = "00:00-24:00" }}
closed = ["{today}"]
[calendar.here]
tz     = "{tz}"
weekly = {{ mon-sun = "00:30-03:30" }}
[calendar.there]
tz     = "{noon}"
weekly = {{ mon-sun = "00:30-03:30" }}
"#
    )
}

#[test]
fn rules_speak_in_their_hours_and_on_their_days() {
    let now = Offset::constant(8).to_datetime(wxreply::clock::Clock::system().now().into());
    let rules = HOURS
        .replace("YESTERDAY", &now.date().yesterday().unwrap().to_string())
        .replace("TOMORROW", &now.date().tomorrow().unwrap().to_string());
    let stand = Plan {
        rules: &rules,
        files: &[("_calendar.toml", calendars().as_bytes())],
        ..Plan::default()
    }
    .open();
    for (words, reply) in [
        ("过夜", "昨天开的门"),
        ("今晚", ACK),
        ("调休", "今天上班"),
        ("放假", "明天 0:00 开门"),
        ("这里", "开着"),
        ("那里", ACK),
        ("随便", "总有一处开着"),
        ("从不", ACK),
        ("月饼", "有"),
        ("旧月饼", ACK),
    ] {
        assert_eq!(stand.hears(words), reply, "{words}");
    }
}

const COOLING: &str = r#"
[[rule]]
id       = "short"
regex    = '^(?<where>.+)在哪$'
reply    = "人民路 1 号"
cooldown = { per = "follower", every = "10m", then = "short", short = "{where}就是上面那条" }
[[rule]]
id       = "silent"
any      = ["密码"]
reply    = "8 个 8"
cooldown = { every = "10m", then = "silent" }
[[rule]]
id       = "next"
any      = ["推荐"]
priority = 1
reply    = "红烧肉"
cooldown = { every = "10m", then = "next" }
[[rule]]
id    = "other"
any   = ["推荐"]
reply = "都好吃"
[[rule]]
id       = "handoff"
any      = ["催单"]
reply    = "在做了"
cooldown = { every = "10m", then = "handoff" }
[[rule]]
id       = "soon"
any      = ["天气"]
reply    = "晴"
cooldown = { every = "1s", then = "silent" }
"#;

#[test]
fn a_rule_that_spoke_a_short_while_ago_does_what_its_cooldown_says() {
    let mut stand = Stand::open(COOLING);
    let li = stand.stranger();
    for (words, first, second) in [
        ("店在哪", "人民路 1 号", "店就是上面那条"),
        ("密码", "8 个 8", ""),
        ("推荐", "红烧肉", "都好吃"),
        ("催单", "在做了", ACK),
    ] {
        assert_eq!(heard(&li, words), first);
        assert_eq!(heard(&li, words), second);
        assert_eq!(stand.hears(words), first, "others are told as ever");
    }
    assert_eq!(stand.called(&li), ["waiting", "handoff", "normal", ""]);
    stand.dies_and_returns();
    assert_eq!(heard(&li, "那密码呢"), "", "it is remembered over a crash");
}

#[test]
fn a_rule_speaks_again_when_its_cooldown_is_over() {
    let stand = Stand::open(COOLING);
    let li = stand.stranger();
    assert_eq!(heard(&li, "天气"), "晴");
    let over = wxreply::clock::Clock::system()
        .now()
        .plus(Duration::from_millis(1001));
    eventually("the second", || {
        wxreply::clock::Clock::system().now() > over
    });
    assert_eq!(heard(&li, "天气"), "晴");
}
