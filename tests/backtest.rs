//! Compares drafts with what runs through the real binary: over the API, and from the command line.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wxreply::model::{AccountName, Answer, Content, Incoming, OpenId, Time, Turn, TurnKey};
use wxreply::store::sled::{Settings, SledStore};
use wxreply::store::{Claim, Store};

use crate::rules_life::{FILE, LI, rule, setup, world};
use crate::support::World;
use crate::support::api::{call, is_problem};

const PATH: &str = "/rules/backtest";

fn backtest(world: &World, body: &Value) -> Value {
    call(world, "post", PATH, PATH, Some(body), 200).json()
}

/// Says words that the world's one rule, `hours`, covers, and words that it does not.
fn talk(world: &World) {
    for words in ["营业时间", "营业时间", "发票", "天气"] {
        world.says("shop", LI, words);
    }
    world.says("plain", LI, "发票");
}

#[test]
fn a_draft_is_compared_with_what_runs() {
    let world = world();
    talk(&world);
    let more = rule("invoice", "发票", "可以开");
    let compared = backtest(&world, &json!({"files": {"20-more.toml": more}}));
    assert_eq!(compared["messages"], 5);
    assert_eq!(compared["covered"], json!({"old": 2, "new": 4}));
    assert_eq!(
        compared["changes"],
        json!({"newly_covered": 2, "no_longer_covered": 0, "another_rule": 0, "other_words": 0})
    );
    let sample = &compared["samples"][0];
    assert_eq!(
        (&sample["text"], &sample["count"], &sample["change"]),
        (&json!("发票"), &json!(2), &json!("newly_covered"))
    );
    assert_eq!(sample["old"]["decision"], "escalate");
    assert_eq!(sample["new"]["replies"], json!([{"text": "可以开"}]));
    assert_eq!(compared["samples"].as_array().unwrap().len(), 1);
    assert_eq!(
        compared["rules"],
        json!([{"rule": "invoice", "old": 0, "new": 2}, {"rule": "hours", "old": 2, "new": 2}])
    );
    let other = rule("hours", "营业时间", "九点");
    let compared = backtest(&world, &json!({"files": {FILE: other}, "days": 1}));
    assert_eq!(compared["changes"]["other_words"], 2);
    let compared = backtest(
        &world,
        &json!({"delete": [FILE], "files": {"20-more.toml": more}}),
    );
    assert_eq!(compared["changes"]["no_longer_covered"], 2);
    // Nothing came of it: the rules are what they were, and nobody was told anything.
    assert!(world.says("plain", LI, "营业时间").text().contains("十点"));
}

#[test]
fn who_may_ask_and_what_is_refused() {
    let world = world();
    talk(&world);
    let token = |role: &str, accounts: &[&str]| {
        let name = format!("{role}{}", accounts.len());
        let wanted = json!({"name": name, "role": role, "accounts": accounts});
        let made = world.api("POST", "/tokens", Some(&wanted)).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let draft = json!({"files": {FILE: rule("hours", "营业时间", "九点")}});
    let ask = |token: &str| world.api_as(token, "POST", "/rules/backtest", Some(&draft));
    is_problem(&ask(&token("agent", &[])), 403, "forbidden");
    let all = ask(&token("operator", &[])).json();
    assert_eq!(all["messages"], 5);
    let one = ask(&token("operator", &["plain"])).json();
    assert_eq!(
        one["messages"], 1,
        "what other accounts' followers sent is not shown"
    );

    for (body, status, code) in [
        (
            json!({"files": {FILE: "[[rule]]\nanny = 1"}}),
            422,
            "bad-rules",
        ),
        (json!({"files": {}, "days": 0}), 400, "bad-request"),
        (json!({"files": {}, "days": 4000}), 400, "bad-request"),
        (json!({"files": []}), 400, "bad-request"),
        (
            json!({"files": {FILE: "#".repeat((16 << 20) + 1)}}),
            413,
            "too-large",
        ),
    ] {
        let refused = call(&world, "post", PATH, PATH, Some(&body), status);
        is_problem(&refused, status, code);
    }
}

/// Has `count` followers have sent something, without asking any rules.
#[expect(
    clippy::disallowed_methods,
    reason = "the server that reads it looks back from its own clock"
)]
fn fill(data: &Path, count: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = Time::from(jiff::Timestamp::now());
        let settings = Settings::default();
        let store = SledStore::open_with(data, settings, now).await.unwrap();
        let account = AccountName::parse("shop").unwrap();
        for n in 0..count {
            let from = OpenId::parse(format!("oFollower{}", n % 100)).unwrap();
            let key = TurnKey::of_text(&n.to_string());
            let text = match n % 4 {
                0 => "请问营业时间是几点到几点".into(),
                _ => format!("第 {n} 个问题").into(),
            };
            let incoming = Incoming {
                to: "gh_123456789abc".into(),
                from: from.clone(),
                create_time: now.seconds(),
                msg_id: Some(n.to_string().into()),
                content: Content::Text {
                    text,
                    menu_id: None,
                },
            };
            let claim = store.claim_turn(&account, &from, key, now).await.unwrap();
            let Claim::First { ticket, .. } = claim else {
                panic!("{n} was answered before")
            };
            let turn = Turn {
                key,
                account: account.clone(),
                incoming,
                answer: Answer::default(),
            };
            store.commit_turn(ticket, turn, now).await.unwrap();
        }
        store.close().await;
    });
}

#[test]
fn one_runs_at_a_time_and_callbacks_go_on() {
    const MESSAGES: usize = 4000;
    let stopped = setup().into_stopped();
    fill(&stopped.path().join("data"), MESSAGES);
    let world = stopped.start();
    let draft = json!({"files": {FILE: rule("hours", "营业时间", "九点")}});
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || -> Vec<u16> {
            let once = || world.api("POST", "/rules/backtest", Some(&draft));
            (0..4).map(|_| once().status).collect()
        };
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        assert!(world.says("plain", LI, "营业时间").text().contains("十点"));
        let asked = asking.map(|asking| asking.join().unwrap());
        asked.concat()
    });
    assert!(
        statuses.contains(&200) && statuses.contains(&409),
        "{statuses:?}"
    );
    let refused = statuses.iter().filter(|status| **status != 200);
    assert!(refused.copied().all(|status| status == 409), "{statuses:?}");
    let compared = backtest(&world, &draft);
    assert_eq!(compared["messages"], MESSAGES + 1);
    assert_eq!(compared["changes"]["other_words"], MESSAGES / 4 + 1);
}

#[test]
fn the_command_line_prints_the_differences() {
    let world = world();
    talk(&world);
    let directory = world.path().join("draft");
    fs::create_dir(&directory).unwrap();
    fs::write(
        directory.join("20-more.toml"),
        rule("invoice", "发票", "可以开"),
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let draft = directory.to_str().unwrap();
        let out = world.run(&[&["rules", "backtest", draft], arguments].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    };
    let (status, out, _) = run(&[]);
    assert_eq!(status, Some(0));
    assert_eq!(
        out,
        "看了 5 条消息:现在规则管 2 条,草稿管 4 条\n\
         新管上 2,不再管 0,换了规则 0,同一条规则换了说法 0\n\
         \n\
         新管上 ×2  发票\n  - 没有规则: 收到,这个问题我请同事来回答。\n  + invoice: 可以开\n\
         \n\
         每条规则回答了几次(现在 → 草稿)\n  invoice 0 → 2\n"
    );
    let (_, out, _) = run(&["--replace", "--days", "2", "--lang", "en"]);
    assert!(
        out.starts_with("5 messages: rules cover 2 now, 2 with the draft\n"),
        "{out}"
    );
    assert!(
        out.contains("no longer covered ×2  营业时间\n  - hours: 十点\n"),
        "{out}"
    );
    let (_, out, _) = run(&["--format", "json"]);
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed["changes"]["newly_covered"], 2);

    fs::write(directory.join("20-more.toml"), "[[rule]]\nanny = 1\n").unwrap();
    let (status, out, err) = run(&[]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.contains("anny"), "{err}");
    let (status, ..) = run(&["--days", "0"]);
    assert_eq!(status, Some(2));
}
