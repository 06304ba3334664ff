//! Gets rule files wrong in every way and compares what is said about it.

use wxreply::model::{RuleFiles, Time};
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{Code, Options, compile};

use super::{codes, files, rule};

/// What operators get wrong, each as a file of its own.
const SLIPS: &[(&str, &str)] = &[
    (
        "full-width quotes",
        "[[rule]]\nid = “a”\nexact = [\"x\"]\nreply = \"r\"\n",
    ),
    (
        "full-width comma",
        "[[rule]]\nid = \"a\"\nexact = [\"几点开门\"，\"x\"]\nreply = \"r\"\n",
    ),
    (
        "one broken rule, the next one checked too",
        "[[rule]]\nid = \"a\"\nexact = \"x\", \"y\"\nreply = \"r\"\n[[rule]]\nid = \"b\"\nreplay = \"每天\"\nany = [\"b\"]\n",
    ),
    (
        "unclosed list",
        "[[rule]]\nid = \"a\"\nany = [\"退款\", \"退钱\"\nreply = \"r\"\n",
    ),
    (
        "unclosed tests",
        "[[rule]]\nid = \"a\"\nany = [\"退款\"]\nreply = \"r\"\ntests = [\n  { say = \"退\", expect = \"\" },\n\n[[rule]]\nid = \"b\"\n",
    ),
    (
        "unclosed quote",
        "[[rule]]\nid = \"a\"\nany = [\"退款\"]\nreply = \"没关\n",
    ),
    (
        "unclosed long text",
        "[[rule]]\nid = \"a\"\nany = [\"退款\"]\nreply = \"\"\"\n没关\n[[rule]]\nid = \"b\"\n",
    ),
    (
        "no quotes",
        "[[rule]]\nid = \"a\"\nany = [\"退款\"]\nreply = 你好\n",
    ),
    (
        "backslash",
        "[[rule]]\nid = \"a\"\nregex = \"\\d+元\"\nreply = \"r\"\n",
    ),
    (
        "single bracket",
        "[rule]\nid = \"a\"\nany = [\"退款\"]\nreply = \"r\"\n",
    ),
    (
        "the same key twice",
        "[[rule]]\nid = \"a\"\nany = [\"a\"]\nany = [\"b\"]\nreply = \"r\"\n",
    ),
    (
        "unknown field",
        "[[rule]]\nid = \"a\"\nexakt = [\"营业\"]\nreply = \"r\"\ncolour = \"red\"\n",
    ),
    (
        "text where a table is wanted, and a test that asks nothing",
        "[[rule]]\nid = \"a\"\nlike = [\"停车方便吗\"]\ncooldown = \"10m\"\nreply = \"r\"\n[[test]]\nname = \"x\"\n",
    ),
    (
        "no id, no trigger, no reply",
        "[[rule]]\nreply = \"r\"\nany = [\"a\"]\n[[rule]]\nid = \"b\"\n[[rule]]\nid = \"带 空格\"\nany = [\"c\"]\nreply = \"\"\n",
    ),
    (
        "the same id twice",
        "[[rule]]\nid = \"hours\"\nany = [\"a\"]\nreply = \"r\"\n[[rule]]\nid = \"hours\"\nany = [\"b\"]\nreply = \"r\"\n",
    ),
    (
        "empty keywords",
        "[[rule]]\nid = \"a\"\nexact = [\"?!\"]\nany = [\"\", \"退款\"]\nreply = \"r\"\n",
    ),
    (
        "wrong types",
        "[[rule]]\nid = 5\nany = 7\npriority = \"high\"\nenabled = \"yes\"\nreply = [\"r\"]\ntests = \"x\"\n[[rule]]\nid = \"b\"\nany = [\"b\", 5]\npriority = 99999999999\nreply = \"r\"\n",
    ),
    (
        "regex",
        "[[rule]]\nid = \"a\"\nregex = '^(?<city>\\p{Han}{2,5})(门店|分店(在哪)?$'\nreply = \"{city}\"\n[[rule]]\nid = \"b\"\nregex = ['.*', 'WiFi密码', '(?=x)y']\nreply = \"r\"\n",
    ),
    (
        "placeholders",
        "[[rule]]\nid = \"a\"\nregex = '(?<city>.{2})门店'\nreply = \"{cty} {city {city}\"\n[[rule]]\nid = \"b\"\nregex = '(?<city>.{2})店铺'\nany = [\"店\"]\nreply = \"在{city}\"\n[[rule]]\nid = \"c\"\nany = [\"c\"]\nreply = \"{x}\"\n",
    ),
    (
        "replies",
        "[[rule]]\nid = \"a\"\nany = [\"a\"]\n[[rule.replies]]\nimage = \"media/map.png\"\n[[rule]]\nid = \"b\"\nany = [\"b\"]\nreplies = [{ text = \"x\", image = \"media_id:1\" }]\n[[rule]]\nid = \"c\"\nany = [\"c\"]\nreplies = [{ text = \"x\" }, { text = \"y\" }]\n[[rule]]\nid = \"d\"\nany = [\"d\"]\nreply = \"d\"\nreplies = [{}]\n[[rule]]\nid = \"e\"\nany = [\"e\"]\nreplies = [{ news = [{ title = \"1\", url = \"https://a\" }, { title = \"2\", url = \"b\" }] }]\n[[rule]]\nid = \"f\"\nevent = \"menu\"\nreplies = [{ desk = {} }]\n[[rule]]\nid = \"g\"\nany = [\"g\"]\nreplies = [{ music = { title = \"{x}\" } }]\n[[rule]]\nid = \"h\"\nany = [\"h\"]\nreplies = [{ fallback = \"x\" }]\n",
    ),
    (
        "events",
        "[[rule]]\nid = \"a\"\nevent = \"subscibe\"\nreply = \"r\"\n[[rule]]\nid = \"b\"\nevent = \"scan\"\nmenu_key = \"A\"\nreply = \"r\"\n[[rule]]\nid = \"c\"\nevent = \"menu\"\nmenu_key = \"A**\"\nreply = \"r\"\n[[rule]]\nid = \"d\"\nany = [\"d\"]\nkey = \"x\"\nreply = \"r\"\n[[rule]]\nid = \"e\"\nevent = \"unsubscribe\"\nreply = \"r\"\n[[rule]]\nid = \"f\"\nmessage = [\"text\", \"picture\", \"imag\"]\nreply = \"r\"\n",
    ),
    (
        "tests",
        "[[rule]]\nid = \"a\"\nany = [\"a\"]\nreply = \"r\"\ntests = [{ say = \"a\" }, { expect = \"a\" }, { say = \"a\", expct = \"a\" }, { say = \"a\", expect = \"b\" }]\n",
    ),
    (
        "rules in each other's way",
        "[[rule]]\nid = \"a\"\nexact = [\"几点关门\"]\nany = [\"发票\"]\nreply = \"A\"\n[[rule]]\nid = \"b\"\nexact = [\"幾點關門?\"]\nany = [\"发票\"]\nreply = \"B\"\n",
    ),
    (
        "accounts",
        "[[rule]]\nid = \"a\"\nany = [\"a\"]\naccounts = [\"Shop\"]\nreply = \"r\"\n[[rule]]\nid = \"b\"\nany = [\"b\"]\naccounts = []\nreply = \"r\"\n",
    ),
];

#[test]
fn every_slip_is_described_where_it_happened() {
    for (lang, name) in [(Lang::Zh, "slips_zh"), (Lang::En, "slips_en")] {
        let mut shown = String::new();
        for (slip, text) in SLIPS {
            let files = files(&[("10.toml", text)]);
            let mut compiled = compile(&files, &Options::default());
            compiled.diagnostics.retain(|one| {
                !matches!(one.code, Code::NoOwner | Code::NoTest | Code::ShortKeyword)
            });
            shown.push_str(&format!("==== {slip}\n"));
            shown.push_str(&render(
                &compiled.diagnostics,
                &files,
                "rules/",
                lang,
                false,
            ));
        }
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn settings_files_and_encodings_are_checked_as_well() {
    let long = rule(
        "long",
        &format!("exact = [\"x\"]\nowner = \"{}\"", "x".repeat(600)),
    )
    .replace("long!", &"话".repeat(700));
    let list: Vec<(&str, Vec<u8>)> = vec![
        ("_canned.toml", b"x".to_vec()),
        ("_dsk.toml", b"x".to_vec()),
        ("_desk.toml", "ack = \"收到,{topic}\"\nack_evry = \"10m\"\nquiet_after = \"soon\"\nclaim_timeout = \"10m\"\nhuman_reserve = 9\nsorry = \"{oops\"\n".into()),
        ("bom.toml", b"\xEF\xBB\xBF[[rule]]\nid=\"b\"\nexact=[\"q\"]\nreply=\"r\"\n".to_vec()),
        ("deep.toml", format!("a = {}", "[".repeat(1000)).into()),
        ("gbk.toml", b"[[rule]]\nid=\"gbk\"\nexact=[\"\xC4\xE3\xBA\xC3\"]\n".to_vec()),
        ("long.toml", long.into()),
        ("utf16.toml", b"\xFF\xFE[\0[\0".to_vec()),
    ];
    let files = RuleFiles(
        list.into_iter()
            .map(|(path, bytes)| (path.to_owned(), bytes.into()))
            .collect(),
    );
    let mut compiled = compile(&files, &Options::default());
    compiled
        .diagnostics
        .retain(|one| !matches!(one.code, Code::NoOwner | Code::NoTest | Code::ShortKeyword));
    insta::assert_snapshot!(
        "settings_zh",
        render(&compiled.diagnostics, &files, "rules/", Lang::Zh, false)
    );
}

/// Calendars as operators get them wrong.
const CALENDAR_SLIPS: &[(&str, &str)] = &[
    ("not TOML", "[calendar.shop]\ntz = \n"),
    (
        "a flat file",
        "tz = \"Asia/Shanghai\"\ncalendar = \"shop\"\n",
    ),
    (
        "names and keys",
        "[calendar.\"a b\"]\n[calendar.shop]\ntimezone = \"Asia/Shanghai\"\nweekyl = {}\n",
    ),
    (
        "zones",
        "[calendar.a]\ntz = \"Asia/Shangai\"\nweekly = { mon = \"9:00-18:00\" }\n[calendar.b]\ntz = \"北京\"\nweekly = { mon = \"9:00-18:00\" }\n[calendar.c]\ntz = 8\nweekly = { mon = \"9:00-18:00\" }\n",
    ),
    (
        "weekly",
        "[calendar.a.weekly]\nmon-firday = \"09:00-18:00\"\n\"周八\" = \"09:00-18:00\"\ntue = \"9-18\"\nwed = [\"09:00-12:00\", \"11:30-25:00\", \"13:00\"]\nthu = \"sat 09:00-18:00\"\nfri = 9\nsun = \"\"\n",
    ),
    (
        "overlapping hours",
        "[calendar.a]\nweekly = { mon-fri = [\"09:00-18:00\"], wed = \"09:00-12:00\", sat = \"10:00-14:00,13:00-16:00\" }\nopen = [\"2027-02-14 09:00-12:00, 10:00-11:00\"]\n",
    ),
    (
        "dates",
        "[calendar.a]\nweekly = { mon = \"9:00-18:00\" }\nclosed = [\"2027-02-30\", 2027-02-05T10:00:00, \"2027-2-5\", \"2027-02-11..2027-02-05\", \"2027-02-05 .. 2027-02-31\", \"春节\", 5]\nopen = [2027-02-14, \"2027-02-14\", \"2027-13-01 09:00-18:00\", \"2027-02-14  09:00-18:60\"]\n",
    ),
];

#[test]
fn every_slip_in_a_calendar_is_described_where_it_happened() {
    for (lang, name) in [(Lang::Zh, "calendars_zh"), (Lang::En, "calendars_en")] {
        let mut shown = String::new();
        for (slip, text) in CALENDAR_SLIPS {
            let rules = rule("a", "exact = [\"a\"]");
            let files = files(&[("10.toml", &rules), ("_calendar.toml", text)]);
            let mut compiled = compile(&files, &Options::default());
            assert!(compiled.rules.is_none(), "{slip}");
            compiled
                .diagnostics
                .retain(|one| !matches!(one.code, Code::NoOwner | Code::NoTest));
            shown.push_str(&format!("==== {slip}\n"));
            shown.push_str(&render(
                &compiled.diagnostics,
                &files,
                "rules/",
                lang,
                false,
            ));
        }
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn calendars_are_compiled_whatever_the_order_of_files() {
    let calendar = "[calendar.shop]\nweekly = { mon-fri = [\"09:00-12:00\", \"13:00-18:00\"], \"周六\" = \"10:00-16:00\" }\nclosed = [2027-01-01, \"2027-02-05..2027-02-11\"]\nopen = [\"2027-02-14 09:00-18:00\"]\n[calendar.berlin]\ntz = \"Europe/Berlin\"\nweekly = { mon-sun = \"00:00-24:00\" }\nclosed = 2027-01-01\n";
    let rules = rule("a", "exact = [\"a\"]");
    let files = files(&[("10.toml", &rules), ("_calendar.toml", calendar)]);
    let compiled = compile(&files, &Options::default());
    let names: Vec<_> = compiled.files.iter().map(|file| &file.path).collect();
    assert_eq!(names, ["10.toml", "_calendar.toml"]);
    let set = compiled.rules.unwrap();
    let time = |text: &str| Time::from(text.parse::<jiff::Timestamp>().unwrap());
    let shop = set.calendar("shop").unwrap();
    for (at, is_open) in [
        ("2027-02-04T12:30:00+08:00", false),
        ("2027-02-04T13:00:00+08:00", true),
        ("2027-02-05T13:00:00+08:00", false),
        ("2027-02-14T12:30:00+08:00", true),
        ("2027-02-20T10:00:00+08:00", true),
        ("2027-01-01T10:00:00+08:00", false),
    ] {
        assert_eq!(shop.is_open(time(at)), is_open, "{at}");
    }
    let berlin = set.calendar("berlin").unwrap();
    assert!(berlin.is_open(time("2026-12-31T23:30:00+01:00")));
    assert!(!berlin.is_open(time("2027-01-01T23:30:00+01:00")));
    assert!(set.calendar("work").is_none());
}

#[test]
fn rules_that_would_say_nothing_on_some_account_are_refused() {
    let text = |rest: &str| format!("[[rule]]\nid = \"a\"\nany = [\"a\"]\n{rest}\n");
    let some = "[rule.account.aa]\nreply = \"A\"\n";
    let form = "[[rule.step]]\nask = \"?\"\nsave = \"s\"\n";
    let hook = "[rule.hook]\nurl = \"https://a.example.com/\"\nmissing = \"-\"\n";
    let lent = |accounts: &str| {
        let b = format!("[[rule]]\nid = \"b\"\nany = [\"b\"]\naccounts = [\"aa\"]\n{some}");
        text(&format!("use_reply_of = \"b\"\n{accounts}")) + &b
    };
    for (text, code) in [
        (lent(""), "E131"),
        (lent("accounts = [\"aa\", \"bb\"]"), "E131"),
        (lent("accounts = [\"aa\"]"), ""),
        (lent("handoff = { priority = \"high\" }"), ""),
        (text(form), "E114"),
        (
            text(&format!("handoff = {{ priority = \"high\" }}\n{form}")),
            "",
        ),
        (text(&format!("{hook}{some}")), "E114"),
        (text(&format!("accounts = [\"aa\"]\n{hook}{some}")), ""),
        (text(&format!("{form}{some}")), "E114"),
    ] {
        let compiled = compile(&files(&[("a.toml", &text)]), &Options::default());
        let found = codes(&compiled);
        let wanted: Vec<&str> = [code].into_iter().filter(|code| !code.is_empty()).collect();
        assert_eq!(found, wanted, "{text}");
    }
}
