//! Reads `_desk.toml`, `_crisis.toml` and `_canned.toml`: what they set, and what is said of slips in them.

use std::time::Duration;

use wxreply::model::alert::ChannelKind;
use wxreply::model::desk::{Assign, SlaClock};
use wxreply::model::entry::Priority;
use wxreply::model::{AccountName, Time};
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{Compiled, Options, RuleSet, compile};

use super::{codes, files, rule};

const CALENDAR: &str = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";
/// 22 November 2026, a Sunday.
const TODAY: Time = Time::from_seconds(1_795_305_600);

fn with(named: &[(&str, &str)]) -> Compiled {
    let greeting = rule("hours", "exact = [\"营业时间\"]\nowner = \"a\"").replace(
        "reply =",
        "tests = [{ say = \"营业时间\" , expect = \"hours\" }]\nreply =",
    );
    let mut list = vec![("10.toml", &*greeting), ("_calendar.toml", CALENDAR)];
    list.extend(named);
    let options = Options {
        today: Some(TODAY),
        accounts: Some(vec![account("flagship"), account("shop")]),
        ..Options::default()
    };
    compile(&files(&list), &options)
}

fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

fn set(named: &[(&str, &str)]) -> RuleSet {
    let compiled = with(named);
    compiled
        .rules
        .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

/// The codes that are said of a file, without remarks on others.
fn of(file: &str, text: &str) -> Vec<&'static str> {
    let compiled = with(&[(file, text)]);
    let of_file = compiled.diagnostics.iter();
    of_file
        .filter(|one| &*one.place.file == file)
        .map(|one| one.code.text())
        .collect()
}

#[test]
fn every_setting_of_the_desk_is_read() {
    let set = set(&[(
        "_desk.toml",
        r#"
ack           = "收到,{topic}{promise}"
ack_off       = "记下了,{calendar.shop.next_open} 上班"
calendar      = "shop"
claim_timeout = "7m"
assign        = "least-loaded"
same_agent_within = "2h"
ask_person    = "叫人"
cancel_person = ["算了", "不找了"]
cancelled     = "好。"
[sla.urgent]
first  = "3m"
next   = "4m"
clock  = "daytime"
repeat = ["0m", "1m"]
tiers  = ["0m", "0m", "9m"]
[sla.low]
clock = "business"
repeat = []
[[alert]]
name    = "duty"
kind    = "webhook"
url     = "http://127.0.0.1:9/x"
secret  = "env:HOOK_DUTY"
tier    = 2
night   = true
excerpt = 40
[[alert]]
name = "robot"
kind = "wecom"
url  = "env:HOOK_ROBOT"
[[alert]]
name = "mail"
kind = "email"
url  = "smtps://mail.example.com:465"
from = "bot@example.com"
to   = ["a@example.com", "b@example.com"]
"#,
    )]);
    let desk = set.settings();
    let minutes = |n: u64| Duration::from_secs(n * 60);
    assert_eq!(desk.claim_timeout, minutes(7));
    assert_eq!(desk.assign, Assign::LeastLoaded);
    assert_eq!(desk.same_agent_within, minutes(120));
    assert_eq!(&*desk.cancelled, "好。");
    assert!(set.lines().asks_for_a_person("叫人!"));
    assert!(!set.lines().asks_for_a_person("人工"));
    assert!(set.lines().wants_no_person("不找了"));
    let urgent = desk.sla_of(Priority::Urgent);
    assert_eq!(
        (urgent.first, urgent.next, urgent.clock),
        (minutes(3), minutes(4), SlaClock::Daytime)
    );
    assert_eq!(urgent.repeat, [minutes(0), minutes(1)]);
    assert_eq!(urgent.tiers, [minutes(0), minutes(0), minutes(9)]);
    let low = desk.sla_of(Priority::Low);
    assert_eq!((low.first, low.repeat.len()), (minutes(480), 0));
    let time = |text: &str| Time::from(text.parse::<jiff::Timestamp>().unwrap());
    assert!(desk.is_open(time("2026-06-03T12:00:00+08:00")));
    assert!(!desk.is_open(time("2026-06-03T20:00:00+08:00")));
    let day = desk.daytime.as_ref().unwrap();
    for (at, is_day) in [
        ("07:59", false),
        ("08:00", true),
        ("22:59", true),
        ("23:00", false),
    ] {
        let at = time(&format!("2026-06-06T{at}:00+08:00"));
        assert_eq!(day.is_open(at), is_day, "{at}");
    }
    let [duty, robot, mail] = &desk.alerts[..] else {
        panic!("{:?}", desk.alerts)
    };
    assert_eq!(
        (&*duty.name, duty.kind, &*duty.url, duty.secret.as_deref()),
        (
            "duty",
            ChannelKind::Webhook,
            "http://127.0.0.1:9/x",
            Some("env:HOOK_DUTY")
        )
    );
    assert_eq!((duty.tier, duty.night, duty.excerpt), (2, true, 40));
    assert_eq!(
        (robot.kind, robot.tier, robot.night),
        (ChannelKind::Wecom, 1, false)
    );
    assert_eq!(&*robot.url, "env:HOOK_ROBOT");
    assert_eq!(mail.from.as_deref(), Some("bot@example.com"));
    assert_eq!(mail.to.len(), 2);
}

/// Settings as operators get them wrong.
const SLIPS: &[(&str, &str, &str)] = &[
    ("unknown calendar", "_desk.toml", "calendar = \"shpo\"\n"),
    (
        "lines",
        "_desk.toml",
        "ack = \"收到,{topik}\"\nack_off = \"{\"\nsorry = \"{topic}\"\nassign = \"least_loaded\"\nask_person = [\"?\"]\nclaim_timeout = \"0s\"\n",
    ),
    (
        "promises",
        "_desk.toml",
        "[sla.urgnet]\nfirst = \"1m\"\n[sla.high]\nfirst = \"0s\"\nclock = \"day\"\nrepeat = [\"5m\", \"5m\"]\ntiers = [\"0m\", \"1m\", \"2m\", \"3m\"]\nlast = 1\n[sla.low]\nclock = \"business\"\nrepeat = \"5m\"\n",
    ),
    (
        "alerts",
        "_desk.toml",
        "[[alert]]\nname = \"a\"\nkind = \"webhok\"\nurl = \"https://a.example.com/\"\n[[alert]]\nname = \"b\"\nkind = \"email\"\nurl = \"mail.example.com\"\nto = \"nobody\"\n[[alert]]\nname = \"c\"\nkind = \"slack\"\nurl = \"env:SLACK\"\ntier = 4\nto = [\"x@example.com\"]\n[[alert]]\nurl = \"https://a.example.com/\"\n",
    ),
    (
        "secrets",
        "_desk.toml",
        "[[alert]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://me:pw@a.example.com/\"\nsecret = \"s3cr3t\"\n[[alert]]\nname = \"b\"\nkind = \"wecom\"\nurl = \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1\"\n[[alert]]\nname = \"c\"\nkind = \"email\"\nurl = \"smtps://me:pw@mail.example.com\"\nfrom = \"a@b\"\nto = \"c@d\"\n",
    ),
    (
        "the same name twice",
        "_desk.toml",
        "[[alert]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://a.example.com/\"\n[[alert]]\nname = \"a\"\nkind = \"feishu\"\nurl = \"env:HOOK_B\"\n",
    ),
    ("no list", "_desk.toml", "[alert]\nname = \"a\"\n"),
    (
        "business hours of nobody",
        "_desk.toml",
        "[sla.normal]\nclock = \"business\"\n",
    ),
    (
        "at once",
        "_desk.toml",
        "ack = \"马上来。\"\n[sla.normal]\nfirst = \"2h\"\nclock = \"daytime\"\n",
    ),
    (
        "a weekend without people",
        "_desk.toml",
        "calendar = \"shop\"\n",
    ),
    (
        "words of danger",
        "_crisis.toml",
        "insult = [\"x\"]\n[[crisis]]\ntier = \"hihg\"\nwords = [\"投诉\"]\nreply = \"{name}\"\n[[crisis]]\nwords = []\n[[crisis]]\ntier = \"high\"\nwords = [\"!\", \"死\"]\nexcept = [\"天气\"]\nreply = \"马上来,您的意见对我们非常宝贵。\"\n[crisis.x]\n",
    ),
    (
        "a rule that danger takes away",
        "_crisis.toml",
        "[[crisis]]\ntier = \"high\"\nwords = [\"营业\"]\nreply = \"店长来处理。\"\n",
    ),
    (
        "canned answers",
        "_canned.toml",
        "[[canned]]\nid = \"a b\"\ntext = \"x\"\n[[canned]]\ntext = \"{follower.remrk},{today}\"\nid = \"b\"\n[[canned]]\nid = \"c\"\ntext = \"ok\"\naccounts = [\"shpo\"]\nreview_by = 2026-01-01\n[[canned]]\nid = \"d\"\n[[canned]]\nid = \"e\"\ntext = \"1\"\n[[canned]]\nid = \"e\"\ntext = \"2\"\n",
    ),
];

#[test]
fn every_slip_in_settings_is_described_where_it_happened() {
    for (lang, name) in [(Lang::Zh, "desk_zh"), (Lang::En, "desk_en")] {
        let mut shown = String::new();
        for (slip, file, text) in SLIPS {
            let compiled = with(&[(file, text)]);
            let mut list = vec![("_calendar.toml", CALENDAR), (*file, *text)];
            let greeting = rule("hours", "exact = [\"营业时间\"]\nowner = \"a\"").replace(
                "reply =",
                "tests = [{ say = \"营业时间\" , expect = \"hours\" }]\nreply =",
            );
            list.push(("10.toml", &greeting));
            let of_files: Vec<_> = compiled
                .diagnostics
                .into_iter()
                .filter(|one| one.code.text() != "W219")
                .collect();
            assert!(!of_files.is_empty(), "{slip}");
            shown.push_str(&format!("==== {slip}\n"));
            shown.push_str(&render(&of_files, &files(&list), "rules/", lang, false));
        }
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn a_promise_at_once_is_measured_by_the_promise_of_its_priority() {
    let crisis = |tier: &str| {
        format!("[[crisis]]\ntier = \"{tier}\"\nwords = [\"中毒\"]\nreply = \"值班经理马上来。\"\n")
    };
    assert_eq!(
        of("_crisis.toml", &crisis("urgent")),
        [""; 0],
        "five minutes"
    );
    assert_eq!(of("_crisis.toml", &crisis("high")), ["W212"]);
    let soon = "ack = \"马上来。\"\n[sla.normal]\nfirst = \"10m\"\nclock = \"always\"\n";
    assert_eq!(of("_desk.toml", soon), [""; 0]);
    let later = soon.replace("10m", "11m");
    assert_eq!(of("_desk.toml", &later), ["W212"]);
    let by_day = soon.replace("always", "daytime");
    assert_eq!(of("_desk.toml", &by_day), ["W212"]);
    // A rule that calls people promises by its own priority.
    let calls = |priority: &str| {
        let handoff = format!("any = [\"a1\"]\nhandoff = {{ priority = \"{priority}\" }}");
        let rule = rule("a", &handoff).replace("a!", "马上来。");
        let compiled = with(&[("20.toml", &rule)]);
        let found = codes(&compiled);
        found.contains(&"W212")
    };
    assert!(!calls("urgent"));
    assert!(calls("normal"));
}

#[test]
fn a_weekend_is_no_surprise_to_who_reads_a_promise() {
    let desk = "calendar = \"shop\"\n";
    assert_eq!(of("_desk.toml", desk), ["W208"]);
    let promised = format!("ack = \"收到,{{promise}}。\"\n{desk}");
    assert_eq!(of("_desk.toml", &promised), [""; 0]);
}

#[test]
fn danger_takes_only_what_no_phrase_excepts() {
    let crisis = |except: &str| {
        format!(
            "[[crisis]]\ntier = \"high\"\nwords = [\"投诉\"]\nexcept = [{except}]\nreply = \"店长来处理。\"\n"
        )
    };
    for (wording, except, is_taken) in [
        ("exact = [\"投诉电话\"]", "", true),
        ("exact = [\"投诉电话\"]", "\"投诉电话\"", false),
        ("any = [\"投诉\"]", "", true),
        ("any = [\"投诉\"]", "\"投诉电话\"", false),
        ("any = [\"电话\"]", "", false),
    ] {
        let compiled = with(&[
            ("20.toml", &rule("phone", wording)),
            ("_crisis.toml", &crisis(except)),
        ]);
        let is_there = codes(&compiled).contains(&"W202");
        assert_eq!(is_there, is_taken, "{wording} but {except}");
    }
}

#[test]
fn canned_answers_are_kept_in_their_order_with_their_accounts() {
    let set = set(&[(
        "_canned.toml",
        "[[canned]]\nid = \"b\"\ntext = \"{follower.remark}久等了,我是{agent.name}。\"\naccounts = [\"shop\"]\ntitle = \"久等\"\n\
         [[canned]]\nid = \"a\"\ntext = \"好的。\"\nowner = \"老陈\"\nreview_by = \"2027-01-31\"\n",
    )]);
    let ids: Vec<&str> = set.canned().iter().map(|one| &*one.id).collect();
    assert_eq!(ids, ["b", "a"]);
    let shop = account("shop");
    let flagship = account("flagship");
    assert!(set.canned()[0].is_for(&shop) && !set.canned()[0].is_for(&flagship));
    assert!(set.canned()[1].is_for(&flagship));
    assert_eq!(set.canned()[1].review_by.unwrap().to_string(), "2027-01-31");
}
