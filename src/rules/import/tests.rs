//! Tries both kinds of import on good, odd and hostile input.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::native::{Console, Hosted, Unusable};
use super::table::{MOST_FAULTS, Read, Unreadable, read};
use super::{Draft, Fate, Names, Report};
use crate::model::RuleFiles;
use crate::rules::diagnostic::Words;
use crate::rules::export::{Encoding, csv, rows};
use crate::rules::{Code, Compiled, Diagnostic, Lang, Options, Severity, compile, normalize};

fn native(answer: &Value, hosted: &Hosted) -> Draft {
    let console = Console::read(answer.to_string().as_bytes()).unwrap();
    console.draft(hosted, &mut Names::default(), "微信后台自动回复 2026-11-22")
}

/// An answer with these keyword rules.
fn keywords(rules: &[Value]) -> Value {
    json!({"is_add_friend_reply_open": 1, "is_autoreply_open": 1, "keyword_autoreply_info": {"list": rules}})
}

fn text_rule(name: &str, mode: &str, words: &[(&str, &str)], replies: &[&str]) -> Value {
    let words = words
        .iter()
        .map(|(mode, word)| json!({"type": "text", "match_mode": mode, "content": word}));
    let replies = replies
        .iter()
        .map(|text| json!({"type": "text", "content": text}));
    json!({
        "rule_name": name, "create_time": 1_423_028_166, "reply_mode": mode,
        "keyword_list_info": words.collect::<Vec<_>>(), "reply_list_info": replies.collect::<Vec<_>>(),
    })
}

fn table(text: &str) -> Read {
    read(text.as_bytes(), &mut Names::default(), "表格").unwrap()
}

/// What `check` calls errors in the file that a draft makes; that nothing is in force is no error of it.
fn errors(draft: &Draft) -> Vec<Diagnostic> {
    let files = RuleFiles(vec![("a.toml".to_owned(), Bytes::from(draft.to_toml()))]);
    let Compiled { diagnostics, .. } = compile(&files, &Options::default());
    let is_error =
        |one: &Diagnostic| one.severity() == Severity::Error && one.code != Code::NoRules;
    diagnostics.into_iter().filter(is_error).collect()
}

/// Why the rules are not what they were, in Chinese.
fn whys(report: &Report) -> Vec<&str> {
    report
        .rules
        .iter()
        .flat_map(|rule| &rule.why)
        .map(|why| why.zh.as_str())
        .collect()
}

#[test]
fn replies_are_one_by_chance_or_all_in_order() {
    let draft = native(
        &keywords(&[
            text_rule("随机", "random_one", &[("contain", "天气")], &["晴", "雨"]),
            text_rule(
                "全部",
                "reply_all",
                &[("equal", "套餐"), ("contain", "双人餐")],
                &["一", "二"],
            ),
        ]),
        &Hosted::new(),
    );
    let file: toml::Table = draft.to_toml().parse().unwrap();
    let rules = file["rule"].as_array().unwrap();
    assert_eq!(rules[0]["pick"].as_str(), Some("random"));
    assert_eq!(rules[0]["any"][0].as_str(), Some("天气"));
    assert_eq!(rules[1]["pick"].as_str(), Some("all"));
    assert_eq!(rules[1]["exact"][0].as_str(), Some("套餐"));
    assert_eq!(rules[1]["any"][0].as_str(), Some("双人餐"));
    assert_eq!(rules[1]["replies"][1]["text"].as_str(), Some("二"));
    assert_eq!(errors(&draft), []);
    assert_eq!(draft.report().totals.carried, 2);
}

#[test]
fn switches_of_the_console_switch_rules() {
    let mut answer = keywords(&[text_rule("a", "reply_all", &[("equal", "a")], &["b"])]);
    answer["add_friend_autoreply_info"] = json!({"type": "text", "content": "欢迎"});
    answer["is_autoreply_open"] = 0.into();
    let draft = native(&answer, &Hosted::new());
    let enabled: Vec<bool> = draft.rules.iter().map(|rule| rule.is_enabled).collect();
    assert_eq!(enabled, [true, false]);
    assert_eq!(draft.rules[0].event, Some("subscribe"));
    assert!(draft.to_toml().contains("enabled = false"));
    answer["is_add_friend_reply_open"] = 0.into();
    assert!(!native(&answer, &Hosted::new()).rules[0].is_enabled);
}

#[test]
fn the_default_reply_becomes_a_suggestion_and_no_rule() {
    let mut answer = keywords(&[]);
    answer["message_default_autoreply_info"] =
        json!({"type": "text", "content": "稍等\n\"马上\"{来}"});
    let draft = native(&answer, &Hosted::new());
    assert!(draft.rules.is_empty());
    let suggested: toml::Table = draft.asides[0].suggestion.parse().unwrap();
    assert_eq!(suggested["ack"].as_str(), Some("稍等\n\"马上\"{{来}"));
    assert!(
        draft
            .to_toml()
            .lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
    answer["message_default_autoreply_info"] = json!({"type": "img", "content": "x"});
    assert_eq!(native(&answer, &Hosted::new()).asides[0].suggestion, "");
}

#[test]
fn what_cannot_carry_over_is_said() {
    let long = "长".repeat(683);
    let mut news = text_rule("图文", "reply_all", &[("contain", "图文")], &[]);
    news["reply_list_info"] = json!([{"type": "news", "news_info": {"list": [
        {"title": "一", "digest": "d", "cover_url": "no address", "content_url": "https://mp.weixin.qq.com/s?a=1"},
        {"title": "二", "content_url": "https://mp.weixin.qq.com/s"},
    ]}}]);
    let mut media = text_rule("素材", "reply_all", &[("contain", "素材")], &["字"]);
    media["reply_list_info"] = json!([
        {"type": "img", "content": "IMG1"}, {"type": "voice", "content": "VOICE1"}, {"type": "img", "content": "IMG2"},
        {"type": "video", "content": "http://v.example.com/1"}, {"type": "card", "content": ""},
    ]);
    let hosted = Hosted::from([
        ("IMG1".to_owned(), Ok("media/native-1.jpg".to_owned())),
        ("VOICE1".to_owned(), Err(Words::new("过期了", "expired"))),
    ]);
    let draft = native(
        &keywords(&[
            text_rule("长", "reply_all", &[("contain", "长")], &[&long, "短"]),
            text_rule(
                "标点",
                "reply_all",
                &[("equal", "?!"), ("regex", "x")],
                &["b"],
            ),
            text_rule("空", "reply_all", &[], &["b"]),
            news,
            media,
        ]),
        &hosted,
    );
    let report = draft.report();
    let fates: Vec<Fate> = report.rules.iter().map(|rule| rule.fate).collect();
    assert_eq!(
        fates,
        [
            Fate::Changed,
            Fate::NotCarried,
            Fate::NotCarried,
            Fate::Changed,
            Fate::Changed
        ]
    );
    let expected = [
        "回复太长:2049 字节",
        "关键词「?!」",
        "匹配方式「regex」",
        "没有关键词",
        "没留:二",
        "语音(VOICE1)过期了",
        "图片(IMG2)没有下载",
        "视频",
        "类型「card」",
    ];
    let whys = whys(&report);
    assert_eq!(whys.len(), expected.len(), "{whys:#?}");
    for (why, part) in whys.iter().zip(expected) {
        assert!(why.contains(part), "{why}");
    }
    let shown = report.in_words(Lang::En);
    assert!(
        shown.starts_with("0 carried over, 3 changed, 2 not carried over\n"),
        "{shown}"
    );
    let written = draft.to_toml();
    assert!(
        written.contains("image = \"media/native-1.jpg\""),
        "{written}"
    );
    assert!(written.contains("# 没带过来:标点\n"), "{written}");
    assert!(!written.contains("no address"), "{written}");
}

#[test]
fn answers_of_another_kind_are_refused() {
    let refusal = Console::read(br#"{"errcode":48001,"errmsg":"api unauthorized"}"#).unwrap_err();
    assert!(matches!(refusal, Unusable::Refusal { code: 48001, .. }));
    assert_eq!(Console::read(b"[]").unwrap_err(), Unusable::Other);
    assert!(matches!(
        Console::read(b"\xef\xbb\xbf{").unwrap_err(),
        Unusable::NotJson(_)
    ));
    let many = vec![json!({}); 10_001];
    let many = Console::read(keywords(&many).to_string().as_bytes());
    assert_eq!(many.unwrap_err(), Unusable::TooMany);
    let deep = "[".repeat(100_000);
    assert!(matches!(
        Console::read(deep.as_bytes()).unwrap_err(),
        Unusable::NotJson(_)
    ));
}

#[test]
fn rows_with_the_same_reply_are_one_rule() {
    let Read { draft, faults } = table(
        "关键词,匹配,回复\n几点开门,等于,十点\n营业时间、几点关门,,十点\n,,\n停车,包含,楼下\n包间,全包含,有\n大,全包含,有\n",
    );
    assert_eq!(faults, []);
    let rules = &draft.rules;
    assert_eq!(rules.len(), 4);
    assert_eq!(rules[0].exact, ["几点开门"]);
    assert_eq!(rules[0].any, ["营业时间", "几点关门"]);
    assert_eq!(
        (&rules[2].all[..], &rules[3].all[..]),
        (&["包间".to_owned()][..], &["大".to_owned()][..])
    );
    assert_eq!(rules[1].id, "停车");
}

#[test]
fn tables_come_in_many_dresses() {
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(
            "关键词\t回复\r\n你好\t您好\r\n"
                .encode_utf16()
                .flat_map(u16::to_le_bytes),
        )
        .collect();
    let gbk = encoding_rs::GBK
        .encode("关键词;回复\r\n你好;您好\r\n")
        .0
        .into_owned();
    for (dress, bytes) in [
        ("bare", "你好,您好".into()),
        ("semicolons", "keyword;reply\n你好;您好\n".into()),
        ("mark", "\u{FEFF}关键词,回复\r\n你好,您好\r\n".into()),
        ("sep", "sep=;\r\n\r\n关键词;回复\r\n你好;您好\r\n".into()),
        ("tabs", "回复\t备注\t关键词\n您好\t\t你好\n".into()),
        ("quotes", "\"关键词\",\"回复\"\n\"你好\",\"您好\"".into()),
        ("gbk", gbk),
        ("utf16", utf16),
    ] {
        let bytes: Vec<u8> = bytes;
        let Read { draft, faults } = read(&bytes, &mut Names::default(), "").unwrap();
        assert_eq!(faults, [], "{dress}");
        let [rule] = &draft.rules[..] else {
            panic!("{dress}: {:?}", draft.rules);
        };
        assert_eq!(
            (&rule.any[..], rule.says.len()),
            (&["你好".to_owned()][..], 1),
            "{dress}"
        );
    }
}

#[test]
fn wrong_cells_are_named_by_line_and_column() {
    let Read { draft, faults } = table(
        "关键词,回复,匹配,优先级,账号,启用\n\n好,\"两\n行\",等与,x,Shop,也许\n?,\n, 回复,,,,\n你好,您好,,,,,多\n再见,再会,,-3,\"shop,cafe\",否\n",
    );
    let shown: Vec<String> = faults
        .iter()
        .map(|fault| {
            format!(
                "{}:{} {}",
                fault.spot.line, fault.spot.column, fault.words.zh
            )
        })
        .collect();
    let expected = [
        "3:3 不认识的匹配方式「等与」,是不是「等于」?",
        "3:6 启用",
        "3:4 优先级",
        "3:5 公众号的名字",
        "5:1 关键词「?」",
        "5:2 回复是空的",
        "6:1 关键词是空的",
        "7:7 「多」",
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.starts_with(expected), "{shown}");
    }
    let [rule] = &draft.rules[..] else {
        panic!("{:?}", draft.rules);
    };
    assert_eq!((rule.priority, rule.is_enabled), (-3, false));
    assert_eq!(rule.accounts, ["shop", "cafe"]);
}

#[test]
fn what_is_no_table_of_rules_is_refused() {
    let refused = |bytes: &[u8]| read(bytes, &mut Names::default(), "").unwrap_err();
    assert_eq!(refused(b"PK\x03\x04..."), Unreadable::Workbook);
    assert_eq!(refused(b"a,b\n\x81\xff"), Unreadable::Encoding);
    assert_eq!(refused(b"\n\n"), Unreadable::Empty);
    assert_eq!(refused("关键词,回复\n".as_bytes()), Unreadable::Empty);
    assert_eq!(
        refused("关键词,备注\na,b\n".as_bytes()),
        Unreadable::NoColumn("回复", "reply")
    );
    assert!(matches!(
        refused("关键词,回复,keyword\n".as_bytes()),
        Unreadable::Twice(_)
    ));
    let many: String = (0..200_001).map(|n| format!("{n},r\n")).collect();
    assert_eq!(refused(many.as_bytes()), Unreadable::TooLong);
    let bad = "a\n".repeat(100_000);
    let faults = table(&bad).faults.len();
    assert!(
        (MOST_FAULTS..MOST_FAULTS + 10).contains(&faults),
        "{faults}"
    );
}

#[test]
fn formulas_are_text_and_braces_mean_themselves() {
    let Read { draft, .. } = table("关键词,回复\n\"=1+1\",\"{x} {{y}\"\n'=a,'=b\n");
    assert_eq!(draft.rules[0].any, ["=1+1"]);
    assert_eq!(draft.rules[1].any, ["=a"]);
    assert_eq!(errors(&draft), []);
    assert!(
        draft.to_toml().contains("\"{{x} {{{{y}\""),
        "{}",
        draft.to_toml()
    );
}

#[test]
fn a_rule_that_a_table_cannot_hold_stays_out_when_it_comes_back() {
    let file = "[[rule]]\nid = \"a\"\nregex = 'a+'\nreply = \"x\"\n[[rule]]\nid = \"b\"\nany = \"b\"\nreply = \"{text}\"\n\
                [[rule]]\nid = \"c\"\nany = [\"c\"]\nduring = \"shop\"\nreply = \"x\"\n[[rule]]\nid = \"d\"\nevent = \"subscribe\"\nreplies = [{ text = \"一\" }, { image = \"media_id:x\" }]\n";
    let rows = rows(&RuleFiles(vec![("a.toml".to_owned(), Bytes::from(file))])).unwrap();
    for lang in [Lang::Zh, Lang::En] {
        let bytes = csv(&rows, Encoding::Utf8, lang).unwrap();
        let Read { draft, faults } = read(&bytes, &mut Names::default(), "").unwrap();
        assert_eq!(faults, []);
        let report = draft.report();
        assert_eq!(report.totals.not_carried, 4, "{}", report.in_words(lang));
    }
}

/// A plain rule as a table holds it.
fn plain_rule() -> impl Strategy<Value = Value> {
    let word = "[a-z、,;|\\\\\n'=+@ -]{0,5}[a-z你好]";
    let words = || prop::collection::vec(word, 1..4);
    let text = "[a-z{}\",;='+\n\\\\ 你😀-]{0,12}[a-z你]";
    (words(), words(), text, -9..9_i64, any::<bool>(), "[a-z,'=]{0,4}", prop::option::of(Just("shop")))
        .prop_map(|(exact, none, reply, priority, enabled, owner, account)| {
            let accounts: Vec<_> = account.into_iter().collect();
            json!({"exact": exact, "any": ["词", none[0]], "none": none, "reply": reply.replace('{', "{{"), "priority": priority,
                   "enabled": enabled, "owner": owner, "accounts": accounts})
        })
}

/// What a rule means, as far as a table holds it.
fn meaning(file: &str) -> Vec<Value> {
    let file: toml::Table = file.parse().unwrap();
    let rules = file.get("rule").and_then(toml::Value::as_array);
    rules
        .into_iter()
        .flatten()
        .map(|rule| {
            let words = |key: &str| {
                let words = rule
                    .get(key)
                    .and_then(toml::Value::as_array)
                    .into_iter()
                    .flatten();
                let mut words: Vec<String> = words
                    .map(|word| normalize(word.as_str().unwrap()))
                    .collect();
                words.sort();
                words.dedup();
                words
            };
            let or = |key: &str, otherwise: Value| {
                rule.get(key)
                    .map_or(otherwise, |value| serde_json::to_value(value).unwrap())
            };
            json!([
                rule["id"].as_str(),
                words("exact"),
                words("any"),
                words("none"),
                rule["reply"].as_str(),
                or("priority", 0.into()),
                or("enabled", true.into()),
                words("accounts"),
                or("owner", "".into()).as_str().unwrap().trim(),
            ])
        })
        .collect()
}

/// Bytes that are like an answer of WeChat, or nearly.
fn near_answer() -> impl Strategy<Value = Value> {
    let text = || {
        prop_oneof![
            "[a-z?!{}<>\"'\\\\\n\r\t 你好、😀\0\u{7f}]{0,12}",
            Just("长".repeat(700))
        ]
    };
    let odd = prop_oneof![
        Just(Value::Null),
        Just(json!(3)),
        Just(json!({})),
        Just(json!([[]])),
        text().prop_map(Value::from)
    ];
    let kind = prop_oneof![
        Just("text"),
        Just("img"),
        Just("voice"),
        Just("video"),
        Just("news"),
        Just("x")
    ];
    let article = (text(), text(), prop_oneof![Just("https://a.example/{x}".to_owned()), Just("http://u@h".to_owned()), text()])
        .prop_map(|(title, digest, url)| json!({"title": title, "digest": digest, "cover_url": url, "content_url": url}));
    let reply = (kind, text(), prop::collection::vec(article, 0..3))
        .prop_map(|(kind, content, list)| json!({"type": kind, "content": content, "news_info": {"list": list}}));
    let reply = prop_oneof![9 => reply, 1 => odd.clone()];
    let word = (prop_oneof![Just("equal"), Just("contain")], text())
        .prop_map(|(mode, word)| json!({"match_mode": mode, "content": word}));
    let word = prop_oneof![9 => word, 1 => odd];
    let rule = (
        text(),
        any::<bool>(),
        prop::collection::vec(word, 0..4),
        prop::collection::vec(reply.clone(), 0..24),
    )
        .prop_map(|(name, random, words, replies)| {
            json!({"rule_name": name, "reply_mode": if random { "random_one" } else { "reply_all" },
                   "keyword_list_info": words, "reply_list_info": replies})
        });
    (0..2, 0..2, prop::option::of(reply.clone()), prop::option::of(reply), prop::collection::vec(rule, 0..6))
        .prop_map(|(follow_open, open, follow, default, rules)| {
            json!({"is_add_friend_reply_open": follow_open, "is_autoreply_open": open, "add_friend_autoreply_info": follow,
                   "message_default_autoreply_info": default, "keyword_autoreply_info": {"list": rules}})
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_wechat_says_becomes_a_good_rule_file(answer in near_answer()) {
        let draft = native(&answer, &Hosted::new());
        prop_assert_eq!(errors(&draft), [], "{}", draft.to_toml());
        let report = draft.report();
        let written = draft.rules.iter().filter(|rule| rule.is_written()).count();
        prop_assert_eq!(report.totals.carried + report.totals.changed, written);
        prop_assert!(report.rules.iter().all(|rule| rule.fate == Fate::Carried || !rule.why.is_empty()));
    }

    #[test]
    fn no_bytes_break_either_import(bytes in prop::collection::vec(any::<u8>(), 0..400), json in "[\\[\\]{}\",:a-z0-9]{0,80}") {
        for bytes in [&bytes[..], json.as_bytes()] {
            if let Ok(console) = Console::read(bytes) {
                console.draft(&Hosted::new(), &mut Names::default(), "").to_toml();
            }
            if let Ok(read) = read(bytes, &mut Names::default(), "") {
                prop_assert_eq!(errors(&read.draft), []);
            }
        }
    }

    #[test]
    fn any_table_becomes_a_good_rule_file(rows in prop::collection::vec(prop::collection::vec("[a-z?{}\"'=\n\r\t,;、 你\0]{0,8}", 0..5), 0..8), titled in any::<bool>()) {
        let mut writer = ::csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        if titled {
            writer.write_record(["关键词", "回复", "名称", "不含"]).unwrap();
        }
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        if let Ok(read) = read(&writer.into_inner().unwrap(), &mut Names::default(), "") {
            prop_assert_eq!(errors(&read.draft), [], "{}", read.draft.to_toml());
        }
    }

    #[test]
    fn plain_rules_come_back_from_a_table_as_they_were(plain in prop::collection::vec(plain_rule(), 1..6), english in any::<bool>()) {
        let numbered = plain.into_iter().enumerate().map(|(n, mut rule)| {
            rule["id"] = format!("rule-{n}").into();
            if rule["accounts"].as_array().unwrap().is_empty() {
                rule.as_object_mut().unwrap().remove("accounts");
            }
            rule
        });
        let file = toml::to_string(&json!({"rule": numbered.collect::<Vec<_>>()})).unwrap();
        let rows = rows(&RuleFiles(vec![("a.toml".to_owned(), Bytes::from(file.clone()))])).unwrap();
        let lang = if english { Lang::En } else { Lang::Zh };
        let table = csv(&rows, Encoding::Utf8, lang).unwrap();
        let read = read(&table, &mut Names::default(), "").unwrap();
        prop_assert_eq!(&read.faults, &[]);
        prop_assert_eq!(meaning(&read.draft.to_toml()), meaning(&file));
    }
}
