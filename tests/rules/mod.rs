//! Compiles rule files and asks them.

mod commands;
mod desk;
mod documented;
mod keys;
mod lints;
mod lints_fix;
mod lints_shadow;
mod media;
mod properties;
mod slips;
mod tried;

use bytes::Bytes;
use wxreply::decide::{ActiveRules, inline};
use wxreply::model::{AccountName, Event, EventKind, MediaIds, Reply, RuleFiles, Time};
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{
    Asked, Asking, Code, Compiled, Found, MatchKind, Options, Question, RuleSet, compile,
};

/// 3 June 2026, 12:00 in China.
const NOW: Time = Time::from_seconds(1_780_459_200);

fn files(files: &[(&str, &str)]) -> RuleFiles {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    RuleFiles(
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), bytes(text)))
            .collect(),
    )
}

fn rules(text: &str) -> RuleSet {
    let files = files(&[("a.toml", text)]);
    let compiled = compile(&files, &Options::default());
    let shown = render(&compiled.diagnostics, &files, "", Lang::En, false);
    compiled.rules.unwrap_or_else(|| panic!("{shown}"))
}

fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}

/// What the rules find on an account for somebody nobody knows.
fn find(rules: &RuleSet, on: &str, question: &Question<'_>) -> Found {
    let asking = Asking {
        account: &account(on),
        now: NOW,
        conversation: None,
        is_first_visit: true,
    };
    rules.find(&asking, question)
}

/// The id of the rule that answers, on account `shop`.
fn winner(rules: &RuleSet, question: &Question<'_>) -> Option<String> {
    let found = find(rules, "shop", question);
    let course = rules.course(&found, &account("shop"));
    course.map(|course| course.rule.to_string())
}

fn says(rules: &RuleSet, text: &str) -> Option<String> {
    winner(rules, &Question::Words(text))
}

fn event(name: &str, key: Option<&str>) -> Event {
    let wxreply::model::Content::Event(event) = inline::incoming(
        &Asked::Event { name, key },
        &wxreply::model::OpenId::parse("o").unwrap(),
    )
    .content
    else {
        panic!("an event")
    };
    event
}

fn codes(compiled: &Compiled) -> Vec<&'static str> {
    compiled
        .diagnostics
        .iter()
        .filter(|one| !matches!(one.code, Code::NoOwner | Code::NoTest | Code::ShortKeyword))
        .map(|one| one.code.text())
        .collect()
}

/// Rules of one line each: id, trigger, and what follows.
fn rule(id: &str, rest: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nreply = \"{id}!\"\n{rest}\n")
}

#[test]
fn the_stronger_kind_wins_then_coverage_then_place_and_priority_before_all() {
    let text = [
        rule("any-short", "any = [\"发票\"]"),
        rule("any-long", "any = [\"发票抬头\"]"),
        rule("all", "all = [\"发票\", \"怎么\"]"),
        rule("regex", "regex = \"发票.*填\""),
        rule("exact", "exact = [\"发票抬头怎么填\"]"),
        rule("first", "any = [\"包间\"]"),
        rule("second", "any = [\"包间\"]\nreply = \"first!\"").replace("reply = \"second!\"\n", ""),
        rule("loud", "any = [\"火\"]\npriority = 1"),
        rule("quiet", "exact = [\"火锅\"]"),
    ]
    .concat();
    let rules = rules(&text);
    for (said, by) in [
        ("發票抬頭怎麼填?", "exact"),
        ("发票抬头怎么填写", "regex"),
        ("发票抬头怎么写", "all"),
        ("发票抬头", "any-long"),
        ("发票", "any-short"),
        ("有包间吗", "first"),
        ("火锅", "loud"),
    ] {
        assert_eq!(says(&rules, said).as_deref(), Some(by), "{said}");
    }
    assert_eq!(says(&rules, "你好"), None);
}

#[test]
fn coverage_is_the_union_of_all_matches() {
    let rules = rules(
        &[
            rule("two", "any = [\"红烧\", \"烧肉\", \"米饭\"]"),
            rule("one", "any = [\"红烧肉\"]"),
        ]
        .concat(),
    );
    // 红烧 and 烧肉 overlap: three characters, a tie that the place decides; with 米饭 it is five against three.
    assert_eq!(says(&rules, "红烧肉").as_deref(), Some("two"));
    let found = find(&rules, "shop", &Question::Words("红烧肉 配米饭"));
    let covered: Vec<u32> = found.candidates.iter().map(|one| one.covered).collect();
    assert_eq!(covered, [5, 3]);
    assert_eq!(found.candidates[0].kind, MatchKind::Any);
}

#[test]
fn none_vetoes_whatever_matched_and_is_explained() {
    let rules = rules(
        &[
            rule(
                "refund",
                "any = [\"退款\"]\nexact = [\"退款被骗\"]\nnone = [\"骗\"]\npriority = 5",
            ),
            rule("other", "any = [\"款\"]"),
        ]
        .concat(),
    );
    assert_eq!(says(&rules, "退款").as_deref(), Some("refund"));
    let question = Question::Words("退款被骗!");
    let found = find(&rules, "shop", &question);
    assert_eq!(
        rules
            .course(&found, &account("shop"))
            .unwrap()
            .rule
            .as_str(),
        "other"
    );
    let explained = rules.explain(&found, &question, NOW);
    assert_eq!(&*explained[1].verdict.en, "vetoed: contains \"骗\" (none)");
    assert_eq!(&*explained[1].verdict.zh, "排除:有「骗」(none)");
}

#[test]
fn a_rule_speaks_on_its_accounts_only_and_defaults_may_stand_anywhere() {
    let text = [
        rule("shop", "any = [\"a\"]\naccounts = [\"shop\"]"),
        rule("file", "any = [\"b\"]"),
        "[defaults]\naccounts = [\"cafe\"]\n".to_owned(),
    ]
    .concat();
    let rules = rules(&text);
    let on = |name: &str, text: &str| {
        let found = find(&rules, name, &Question::Words(text));
        found.winner().is_some()
    };
    assert!(on("shop", "a") && !on("cafe", "a"));
    assert!(on("cafe", "b") && !on("shop", "b"));
}

#[test]
fn events_find_their_rule_by_name_and_key() {
    let text = [
        rule("welcome", "event = \"subscribe\""),
        rule("scan", "event = \"scan\""),
        rule("table", "event = \"scan\"\nscene = \"table-*\""),
        rule("table-5", "event = \"scan\"\nscene = \"table-5\""),
        rule("menu", "event = \"menu\"\nmenu_key = [\"A*\", \"B\"]"),
        rule("raw", "event = \"CLICK\"\nkey = \"RAW\""),
        rule("photo", "event = \"pic_weixin\""),
    ]
    .concat();
    let rules = rules(&text);
    let asked = |name: &str, key: Option<&str>| winner(&rules, &Question::Event(&event(name, key)));
    for (name, key, by) in [
        ("subscribe", None, Some("welcome")),
        ("subscribe", Some("poster"), Some("scan")),
        ("subscribe", Some("table-7"), Some("table")),
        ("scan", Some("table-7"), Some("table")),
        ("scan", Some("table-5"), Some("table-5")),
        ("SCAN", Some("x"), Some("scan")),
        ("menu", Some("A1"), Some("menu")),
        ("menu", Some("B"), Some("menu")),
        ("menu", Some("C"), None),
        ("menu", Some("RAW"), Some("raw")),
        ("pic_weixin", Some("q"), Some("photo")),
        ("view", Some("https://example.com"), None),
    ] {
        assert_eq!(asked(name, key).as_deref(), by, "{name} {key:?}");
    }
    assert_eq!(event("subscribe", Some("5")).kind, EventKind::Subscribe);
}

#[test]
fn placeholders_are_filled_with_what_was_typed() {
    let text = r#"
[[rule]]
id = "city"
regex = ['^(?<city>\p{Han}{2,5}?)的?门店$', '(?<city>[a-z]+) store']
reply = "{city}:{{{city}}"
[[rule]]
id = "seat"
event = ["scan", "subscribe"]
scene = "t-*-*"
reply = "{scene.1}/{scene.2}"
"#;
    let rules = rules(text);
    let said = |question: &Question<'_>| {
        let found = find(&rules, "shop", question);
        let course = rules.course(&found, &account("shop")).unwrap();
        let values = |name: &str| found.value(name).map(Box::from);
        match course.says[0].reply(&values, &MediaIds::Assumed).unwrap() {
            Reply::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said(&Question::Words("臺北的門店?")), "臺北:{臺北}");
    assert_eq!(
        said(&Question::Words("the Berlin store")),
        "Berlin:{Berlin}"
    );
    assert_eq!(said(&Question::Event(&event("scan", Some("t-2-9")))), "2/9");
    assert_eq!(
        said(&Question::Event(&event("subscribe", Some("t-a-")))),
        "a/"
    );
}

#[test]
fn matched_parts_are_counted_in_characters_of_the_typed_text() {
    let rules = rules(&rule("wifi", "any = [\"wifi密码\"]"));
    let question = Question::Words("  請問👋ＷｉＦｉ密碼？");
    let found = find(&rules, "shop", &question);
    let explained = rules.explain(&found, &question, NOW);
    let part = &explained[0].matched[0];
    assert_eq!(
        (part.start, part.end, part.text.as_str()),
        (5, 11, "ＷｉＦｉ密碼")
    );
    assert_eq!(found.normalized(), "请问👋wifi密码");
}

#[test]
fn at_most_ten_candidates_are_kept_and_the_winner_is_among_them() {
    let text: String = (0..50)
        .map(|n| {
            rule(
                &format!("r{n}"),
                &format!("any = [\"退款\"]\npriority = {n}\nnone = [\"x\"]"),
            )
        })
        .chain([rule("last", "any = [\"退款\"]\npriority = -5")])
        .collect();
    let rules = rules(&text);
    assert_eq!(
        find(&rules, "shop", &Question::Words("退款"))
            .candidates
            .len(),
        10
    );
    assert_eq!(says(&rules, "退款").as_deref(), Some("r49"));
    assert_eq!(says(&rules, "退款 x").as_deref(), Some("last"));
}

#[test]
fn a_failing_test_says_who_answered_and_why() {
    let text = [
        rule("a", "exact = [\"甲\"]\ntests = [{ say = \"甲\", expect = \"b\" }, { say = \"乙\", expect = \"\" }]"),
        rule("b", "any = [\"乙\"]\ntests = [{ say = \"乙\", expect_not = \"b\" }, { say = \"乙\", has = \"丙\" }]"),
    ]
    .concat();
    let set = rules(&text);
    let failed = inline::run_tests(&ActiveRules {
        set,
        revision: None,
    });
    let messages: Vec<&str> = failed.iter().map(|one| &*one.message.zh).collect();
    assert_eq!(
        messages,
        [
            "测试没通过:「甲」由\"a\"回答,期望\"b\"",
            "测试没通过:「乙」由\"b\"回答,期望没有规则",
            "测试没通过:「乙」由\"b\"回答,期望不是\"b\"",
            "测试没通过:「乙」由\"b\"回答,回复里没有「丙」",
        ]
    );
    assert!(failed.iter().all(|one| one.code == Code::TestFails));
    assert_eq!((failed[0].place.line, failed[0].place.column), (5, 10));
    assert_eq!(
        &*failed[0].help.as_ref().unwrap().zh,
        "经过:a (exact): 胜出"
    );
}

#[test]
fn an_empty_set_is_an_error_unless_it_is_meant() {
    let compiled = compile(&files(&[]), &Options::default());
    assert_eq!(codes(&compiled), ["E120"]);
    let off = rule("off", "any = [\"a\"]\nenabled = false");
    let compiled = compile(&files(&[("a.toml", &off)]), &Options::default());
    assert_eq!(codes(&compiled), ["E120"]);
    let meant = files(&[("_desk.toml", "allow_empty = true"), ("a.toml", &off)]);
    let compiled = compile(&meant, &Options::default());
    assert_eq!(codes(&compiled), [""; 0]);
    assert!(compiled.rules.unwrap().is_empty());
}

#[test]
fn desk_settings_of_the_directory_win_over_those_of_the_configuration() {
    let mut options = Options::default();
    options.desk.sorry = "配置".into();
    options.desk.ack = "配置".into();
    let text = "ack = \"目录{{\"\nack_every = \"1h30m\"\nhuman_reserve = 2\nallow_empty = true";
    let set = compile(&files(&[("_desk.toml", text)]), &options)
        .rules
        .unwrap();
    let desk = set.settings();
    assert_eq!(
        (
            &*set.lines().ack.fill(&|_| None),
            &*desk.sorry,
            desk.human_reserve
        ),
        ("目录{", "配置", 2)
    );
    assert_eq!(desk.ack_every.as_secs(), 5400);
}

#[test]
fn unknown_accounts_are_found_where_the_accounts_are_known() {
    let text = rule("a", "any = [\"a\"]\naccounts = [\"shpo\"]");
    let known = Options {
        accounts: Some(vec![account("shop")]),
        ..Options::default()
    };
    let compiled = compile(&files(&[("a.toml", &text)]), &known);
    assert_eq!(codes(&compiled), ["E117"]);
    assert_eq!(
        &*compiled
            .diagnostics
            .iter()
            .find_map(|one| one.caret.as_ref())
            .unwrap()
            .zh,
        "是不是 \"shop\"?"
    );
    assert!(
        compile(&files(&[("a.toml", &text)]), &Options::default())
            .rules
            .is_some()
    );
}

#[test]
fn hints_never_hide_errors_and_a_file_has_at_most_a_hundred_of_each() {
    let many: String = (0..500)
        .map(|n| rule(&format!("r{n}"), "any = [\"?\"]"))
        .collect();
    let compiled = compile(&files(&[("a.toml", &many)]), &Options::default());
    let count = |code| {
        compiled
            .diagnostics
            .iter()
            .filter(|one| one.code == code)
            .count()
    };
    assert_eq!(
        (count(Code::EmptyKeyword), compiled.diagnostics.len()),
        (100, 200)
    );
}

#[test]
fn more_than_two_thousand_regexes_on_an_account_are_refused() {
    let many = |n: usize, letter: &str, rest: &str| -> String {
        (0..n)
            .map(|i| {
                rule(
                    &format!("{letter}{i}"),
                    &format!("regex = '{letter}{i}y'\n{rest}"),
                )
            })
            .collect()
    };
    let a = many(1500, "a", "accounts = [\"a\"]");
    let b = many(1500, "b", "accounts = [\"bb\"]");
    let both = files(&[("a.toml", &a), ("b.toml", &b)]);
    assert_eq!(codes(&compile(&both, &Options::default())), [""; 0]);
    let all = many(600, "c", "");
    let more = files(&[("a.toml", &a), ("b.toml", &all)]);
    assert_eq!(codes(&compile(&more, &Options::default())), ["E121"]);
}

#[test]
fn regexes_that_take_too_much_together_are_refused_before_all_are_compiled() {
    let greedy = |n: usize| format!(r"'\w{{20}}x{n}'");
    let many: Vec<String> = (0..20_000).map(greedy).collect();
    let rules = rule("greedy", &format!("regex = [{}]", many.join(",")));
    let compiled = compile(&files(&[("a.toml", &rules)]), &Options::default());
    assert_eq!(codes(&compiled), ["E121"]);
    let mut said = compiled.diagnostics.iter().map(|one| &*one.message.en);
    assert!(said.any(|said| said.contains("128 MiB")));
    // What answers to forms must match counts as well.
    let step = |n: usize| format!("{{ ask = \"?\", save = \"s{n}\", check = {} }}", greedy(n));
    let steps: Vec<String> = (0..20).map(step).collect();
    let form = |n: usize| {
        rule(
            &format!("f{n}"),
            &format!("exact = \"w{n}\"\nstep = [{}]", steps.join(",")),
        )
    };
    let forms: String = (0..20).map(form).collect();
    assert_eq!(
        codes(&compile(&files(&[("a.toml", &forms)]), &Options::default())),
        ["E121"]
    );
}

#[test]
fn files_that_are_too_large_are_refused_unread() {
    let spaces = Bytes::from(vec![b' '; 64 * 1024 * 1024]);
    let mut list = vec![("a.toml".to_owned(), Bytes::from([&*spaces, b" "].concat()))];
    let compiled = compile(&RuleFiles(list.clone()), &Options::default());
    assert_eq!(codes(&compiled), ["E004"]);
    // Settings files that nobody reads count as well.
    list.clear();
    list.extend((0..9).map(|n| (format!("_{n}.toml"), spaces.clone())));
    let compiled = compile(&RuleFiles(list), &Options::default());
    assert!(codes(&compiled).contains(&"E004"));
}
