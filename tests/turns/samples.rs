//! Sends every sample of what WeChat pushes to the running server, and counts what is left of each.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{conversations, lines};
use crate::support::{Answer, Setup, World, unseal};

const ACK: &str = "收到,这个问题我请同事来回答。";
const UNSUPPORTED: &str = "这种消息我看不到,用文字说说好吗?";

/// Some samples are covered by a rule.
const RULES: &str = r#"
[[rule]]
id = "hello"
exact = ["hello there"]
reply = "hello to you"

[[rule]]
id = "hours"
any = ["几点关门"]
reply = "十点关门。"

[[rule]]
id = "welcome"
event = "subscribe"
reply = "欢迎。"

[[rule]]
id = "scanned"
event = "scan"
reply = "扫到了。"

[[rule]]
id = "file"
message = "file"
reply = "文件收到。"
"#;

/// Events that are counted and not kept: places, page views, results of sending and of the platform's checks.
const COUNTED: &[&str] = &[
    "LOCATION",
    "VIEW",
    "view_miniprogram",
    "TEMPLATESENDJOBFINISH",
    "MASSSENDJOBFINISH",
    "PUBLISHJOBFINISH",
    "subscribe_msg_sent_event",
    "card_pass_check",
    "card_not_pass_check",
    "card_sku_remind",
    "card_pay_order",
    "qualification_verify_success",
    "qualification_verify_fail",
    "naming_verify_success",
    "naming_verify_fail",
    "annual_renew",
    "verify_expired",
    "poi_check_notify",
    "merchant_order",
    "wxa_media_check",
    "user_info_modified",
    "user_authorization_revoke",
    "user_authorization_cancellation",
    "debug_demo",
];

/// What a sample must lead to.
struct Expected {
    /// What the follower reads: `None` is `success`.
    says: Option<&'static str>,
    /// Who says it.
    by: &'static str,
    state: &'static str,
    /// `None`: no conversation, no message.
    line: Option<String>,
}

fn expected(case: &Value) -> Expected {
    let of = |name: &str| case["expect"]["tree"][name].as_str().unwrap_or_default();
    let kind = case["expect"]["msg_type"].as_str().unwrap();
    if kind == "event" {
        return expected_of_event(case);
    }
    let (shown_kind, shown) = match kind {
        "text" => (kind, of("Content").to_owned()),
        "voice" => (kind, of("Recognition").to_owned()),
        "location" if of("Label").is_empty() => {
            (kind, format!("{},{}", of("Location_X"), of("Location_Y")))
        }
        "location" => (kind, of("Label").to_owned()),
        "link" => (kind, format!("{} {}", of("Title"), of("Url"))),
        "file" | "miniprogrampage" => (kind, of("Title").to_owned()),
        "image" | "video" | "shortvideo" => (kind, String::new()),
        unknown => ("unknown", unknown.to_owned()),
    };
    let (says, by, state) = match (shown_kind, shown.as_str()) {
        ("text", "" | "【收到不支持的消息类型，暂无法显示】") => {
            (Some(UNSUPPORTED), "system", "bot")
        }
        ("text", "hello there") => (Some("hello to you"), "rule", "bot"),
        ("voice", "今天几点关门？") => (Some("十点关门。"), "rule", "bot"),
        ("file", _) => (Some("文件收到。"), "rule", "bot"),
        ("unknown", _) => (None, "", "waiting"),
        _ => (Some(ACK), "ack", "waiting"),
    };
    Expected {
        says,
        by,
        state,
        line: Some(format!("follower {shown_kind} {shown} received")),
    }
}

fn expected_of_event(case: &Value) -> Expected {
    let name = case["expect"]["event"].as_str().unwrap();
    let key = case["expect"]["tree"]["EventKey"]
        .as_str()
        .unwrap_or_default();
    let says = match name {
        "SCAN" => Some("扫到了。"),
        "subscribe" if key.starts_with("qrscene_") => Some("扫到了。"),
        "subscribe" => Some("欢迎。"),
        _ => None,
    };
    // Tencent's desk took the follower, or handed them on.
    let state = match name {
        "kf_create_session" | "kf_switch_session" => "external",
        _ => "bot",
    };
    let is_kept = name != "unsubscribe" && !COUNTED.contains(&name);
    let line = format!("follower event {} received", format!("{name} {key}").trim());
    Expected {
        says,
        by: "rule",
        state,
        line: is_kept.then_some(line),
    }
}

/// The clear reply, whatever it travelled in; `success` as it is.
fn clear(account: &str, answer: &Answer) -> String {
    if account == "plain" || answer.text() == "success" {
        answer.text().to_owned()
    } else {
        unseal(answer)
    }
}

#[test]
fn every_inbound_sample_is_answered_kept_and_escalated_as_its_kind_wants() {
    let world = Setup {
        rules: BTreeMap::from([("10-rules.toml".to_owned(), RULES.to_owned())]),
        ..Setup::default()
    }
    .start();
    let vectors: Value =
        serde_json::from_str(include_str!("../fixtures/vectors/inbound.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 104);
    for account in ["shop", "plain"] {
        let first = send_all(&world, account, cases);
        let kept = compare_with_history(&world, account, cases);
        assert!(kept > 60, "{kept}");
        // All at once again: WeChat repeats itself, to the same words and without a trace.
        assert_eq!(send_all(&world, account, cases), first);
        assert_eq!(compare_with_history(&world, account, cases), kept);
    }
}

fn send_all(world: &World, account: &str, cases: &[Value]) -> Vec<String> {
    cases
        .iter()
        .map(|case| {
            let name = &case["id"];
            let answer = world.push(account, case["body"].as_str().unwrap());
            if case["format"] == "json" {
                assert_eq!((answer.status, answer.text()), (400, ""), "{name}");
                return String::new();
            }
            assert_eq!(answer.status, 200, "{name}");
            let clear = clear(account, &answer);
            match expected(case).says {
                Some(words) => {
                    let follower = case["expect"]["from"].as_str().unwrap();
                    for part in [words, follower, "gh_7c1e40b95a2d"] {
                        assert!(
                            clear.contains(&format!("<![CDATA[{part}]]>")),
                            "{name}: {clear}"
                        );
                    }
                }
                None => assert_eq!(clear, "success", "{name}"),
            }
            clear
        })
        .collect()
}

/// Holds all conversations of an account against what the samples lead to; gives their number.
fn compare_with_history(world: &World, account: &str, cases: &[Value]) -> usize {
    let mut wanted = BTreeMap::new();
    for case in cases.iter().filter(|case| case["format"] == "xml") {
        let Expected {
            says,
            by,
            state,
            line: Some(line),
        } = expected(case)
        else {
            continue;
        };
        let said = says.map(|words| format!("{by} text {words} passive"));
        let lines: Vec<String> = [line].into_iter().chain(said).collect();
        let follower = case["expect"]["from"].as_str().unwrap().to_owned();
        wanted.insert(follower, (state.to_owned(), lines));
    }
    let found: BTreeMap<_, _> = conversations(world, &format!("account={account}"))
        .iter()
        .map(|conversation| {
            let word = |name: &str| conversation[name].as_str().unwrap().to_owned();
            (
                word("follower"),
                (word("state"), lines(world, conversation)),
            )
        })
        .collect();
    assert_eq!(found, wanted);
    found.len()
}
