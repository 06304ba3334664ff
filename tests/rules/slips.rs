//! Gets rule files wrong in every way and compares what is said about it.

use wxreply::model::RuleFiles;
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{Code, Options, compile};

use super::{files, rule};

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
        "not yet",
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
        ("_calendar.toml", b"x".to_vec()),
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
