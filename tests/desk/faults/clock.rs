//! Sets the clock back under the desk: what was told is not told again, and what was due still comes.

use std::time::Duration;

use serde_json::json;

use crate::desk::told::Told;
use crate::desk::{HOUR, LI, MINUTE, Plan, Shop, eventually};

const CALM: &str = "ack = \"收到。\"\nclaim_timeout = \"10m\"\n[sla.urgent]\nfirst = \"90h\"\n";
const URGENT: &str = "[[rule]]\nid = \"urgent\"\nexact = [\"急\"]\nhandoff = { priority = \"urgent\", reason = \"急事\" }\n";

fn steps_back(shop: &mut Shop, restarts: bool) {
    if restarts {
        shop.restart(Duration::ZERO);
    }
    shop.clock.step_back(HOUR);
    if restarts {
        shop.restart(Duration::ZERO);
    }
}

#[test]
fn alerts_are_told_once_and_go_on_when_their_time_comes() {
    for restarts in [false, true] {
        let told = Told::tiers();
        let mut shop = Shop::open(told.plan(CALM, "").rules("20-urgent.toml", URGENT));
        shop.li_says("急");
        told.hears("one", &["escalated 急事"]);
        shop.passes(MINUTE * 2);
        told.hears("one", &["escalated 急事", "realert 急事"]);
        steps_back(&mut shop, restarts);
        // Whoever comes now is told at once.
        shop.follower("oZhao").says("能带狗吗").wait();
        eventually("Zhao", || told.on("one").len() == 3);
        shop.passes(HOUR);
        told.is_quiet_but_the_group(&shop);
        assert_eq!(
            told.on("one")
                .iter()
                .filter(|line| line.contains("急事"))
                .count(),
            2
        );
        // Five minutes after Li asked, as Li's message says.
        shop.passes(MINUTE * 3);
        eventually("Li", || {
            told.on("one")
                .iter()
                .filter(|line| line.contains("急事"))
                .count()
                == 3
        });
        told.is_quiet_but_the_group(&shop);
        assert_eq!(
            told.on("one")
                .iter()
                .filter(|line| line.contains("急事"))
                .count(),
            3
        );
    }
}

#[test]
fn a_claim_a_pause_and_a_quiet_end_once_and_at_their_time() {
    for restarts in [false, true] {
        let mut shop = Shop::open(Plan::default().rules("_desk.toml", CALM));
        let lili = shop.token("lili", "agent");
        let id = |shop: &Shop, name: &str| format!("/conversations/{}", shop.id(name));
        for name in ["oClaim", "oPause", "oQuiet"] {
            shop.follower(name).says("能带狗吗").wait();
        }
        let until = json!({ "until": shop.clock.now().plus(MINUTE * 20).to_string() });
        let replied = json!({ "text": "可以。" });
        for (name, verb, body) in [
            ("oClaim", "claim", &json!({})),
            ("oPause", "snooze", &until),
            ("oQuiet", "replies", &replied),
        ] {
            let answer = shop.call(
                &lili,
                "POST",
                &format!("{}/{verb}", id(&shop, name)),
                Some(body),
            );
            assert!(answer.status < 300, "{}", answer.text());
        }
        let states = |shop: &Shop| ["oClaim", "oPause", "oQuiet"].map(|name| shop.state(name));
        eventually("the answer", || states(&shop)[2] == "follower");
        let before =
            ["oClaim", "oPause", "oQuiet"].map(|name| shop.conversation(name)["version"].clone());
        steps_back(&mut shop, restarts);
        shop.passes(HOUR);
        // Nothing was due in the hour that came twice.
        assert_eq!(states(&shop), ["assigned", "snoozed", "follower"]);
        let now =
            ["oClaim", "oPause", "oQuiet"].map(|name| shop.conversation(name)["version"].clone());
        assert_eq!(now, before);
        for (passes, expected) in [
            (10, ["waiting", "snoozed", "follower"]),
            (10, ["waiting", "waiting", "follower"]),
            (10, ["waiting", "waiting", "bot"]),
        ] {
            shop.passes(MINUTE * passes);
            eventually(&format!("{expected:?}, {:?}", states(&shop)), || {
                states(&shop) == expected
            });
        }
        // What has happened stays so when the clock is set back once more.
        steps_back(&mut shop, restarts);
        shop.passes(HOUR * 2);
        assert_eq!(states(&shop), ["waiting", "waiting", "bot"]);
    }
}

#[test]
fn people_go_on_working() {
    let mut shop = Shop::open(Plan::default().rules("_desk.toml", CALM));
    let lili = shop.token("lili", "agent");
    shop.li_says("能带狗吗");
    steps_back(&mut shop, false);
    shop.act(&lili, "claim", None);
    shop.replies(&lili, "可以。");
    shop.becomes("follower");
    shop.li_says("那猫呢");
    assert_eq!(shop.state(LI), "assigned");
    shop.replies(&lili, "也可以。");
    shop.becomes("follower");
    let show = || {
        let path = format!("/conversations/{}", shop.id(LI));
        shop.api("GET", &path, None).json()
    };
    let shown = show();
    let lines = shown["messages"].as_array().unwrap();
    let texts: Vec<_> = lines
        .iter()
        .map(|line| line["text"].as_str().unwrap())
        .collect();
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    let mut all = ["能带狗吗", "收到。", "可以。", "那猫呢", "也可以。"];
    all.sort_unstable();
    assert_eq!(sorted, all);
    // What arrives after the last line is noticed although the first lines are from later.
    let seen = lines.last().unwrap()["id"].clone();
    shop.passes(MINUTE);
    shop.li_says("鸟呢");
    let late = json!({ "text": "晚了", "last_seen": seen });
    assert_eq!(shop.tries(&lili, "replies", Some(&late)).status, 409);
}
