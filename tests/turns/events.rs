//! Follows what events, repetitions and departures do to a conversation.

use serde_json::json;

use super::{
    LI, Plan, RULES, Shop, agent_says, clear, conversations, ends_with, eventually, history,
};
use crate::support::World;

const SCENES: &str = r#"
[[rule]]
id = "welcome"
event = "subscribe"
reply = "欢迎。"

[[rule]]
id = "table"
event = "scan"
scene = "table-*"
reply = "{scene.1} 号桌。"
"#;

#[test]
fn a_follow_through_a_code_is_answered_by_the_scan_rule_and_every_other_by_the_welcome() {
    let shop = Shop::open(Plan {
        rules: format!("{RULES}{SCENES}"),
        ..Plan::default()
    });
    let visit = |name: &str, scene| shop.account.follower(name).follows(scene).wait();
    assert_eq!(visit("oByCode", Some("table-5")).text(), Some("5 号桌。"));
    assert_eq!(visit("oByOtherCode", Some("door")).text(), Some("欢迎。"));
    assert_eq!(visit("oBySearch", None).text(), Some("欢迎。"));
    assert_eq!(
        shop.account
            .follower("oByCode")
            .scans("table-6")
            .wait()
            .text(),
        Some("6 号桌。")
    );
    assert!(
        shop.account
            .follower("oByCode")
            .scans("door")
            .wait()
            .is_silent()
    );
    assert_eq!(shop.world().conversation("oByCode")["state"], "bot");
}

#[test]
fn places_pages_and_results_leave_nothing_in_a_history_that_exists() {
    let shop = Shop::open(Plan::default());
    let li = shop.li();
    li.says("几点开门").wait();
    let before = history(shop.world(), LI);
    for (event, fields) in [
        ("LOCATION", [("Latitude", "31.2"), ("Longitude", "121.4")]),
        (
            "VIEW",
            [("EventKey", "https://example.com"), ("MenuId", "1")],
        ),
        (
            "TEMPLATESENDJOBFINISH",
            [("MsgID", "200163836"), ("Status", "success")],
        ),
        (
            "MASSSENDJOBFINISH",
            [("MsgID", "1000001625"), ("Status", "send success")],
        ),
    ] {
        assert!(li.causes(event, &fields).wait().is_silent(), "{event}");
    }
    assert_eq!(history(shop.world(), LI), before);
    assert_eq!(shop.world().conversation(LI)["version"], 1);
}

#[test]
fn the_third_identical_question_is_answered_and_goes_to_a_person() {
    let shop = Shop::open(Plan::default());
    for (words, state) in [
        ("几点开门", "bot"),
        ("營業時間", "bot"),
        ("几点开门?", "bot"),
        (" 几点开门!", "waiting"),
    ] {
        assert_eq!(shop.li().says(words).wait().text(), Some("十点开门。"));
        assert_eq!(shop.world().conversation(LI)["state"], state, "{words}");
    }
    assert_eq!(shop.world().conversation(LI)["reason"], "repeated");
}

#[test]
fn an_ack_is_given_once_in_ack_every_and_then_afresh() {
    let shop = Shop::open(Plan::default());
    assert!(
        shop.li()
            .says("第一件事")
            .wait()
            .text()
            .unwrap()
            .contains("同事")
    );
    assert!(shop.li().says("第二件事").wait().is_silent());
    // A rule's answer does not start the time anew.
    assert_eq!(shop.li().says("几点开门").wait().text(), Some("十点开门。"));
    assert!(shop.li().says("第三件事").wait().is_silent());
    assert!(
        shop.account
            .follower("oZhao")
            .says("我的事")
            .wait()
            .text()
            .is_some()
    );
    assert_eq!(shop.world().conversation(LI)["unread"], 4);

    let shop = Shop::open(Plan {
        sections: "[desk]\nack_every = \"1ms\"\nack = \"稍等。\"",
        ..Plan::default()
    });
    for _ in 0..3 {
        assert_eq!(shop.li().says("一件事").wait().text(), Some("稍等。"));
        let second = wxreply::clock::Clock::system().now();
        eventually("another moment", || {
            wxreply::clock::Clock::system().now() > second
        });
    }
}

#[test]
fn who_claims_with_a_token_is_its_name() {
    let shop = Shop::open(Plan::default());
    shop.li().says("我的快递丢了").wait();
    let world = shop.world();
    let made = world.api(
        "POST",
        "/tokens",
        Some(&json!({"name": "mei", "role": "agent"})),
    );
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let path = format!(
        "/conversations/{}/claim",
        world.conversation(LI)["id"].as_str().unwrap()
    );
    let claimed = world.api_as(&secret, "POST", &path, None);
    assert_eq!(
        (claimed.status, &claimed.json()["owner"]),
        (200, &"token:mei".into())
    );
    // From now on a person speaks, and rules keep quiet.
    assert!(shop.li().says("几点开门").wait().is_silent());
    assert_eq!(world.conversation(LI)["unread"], 1);
    assert_eq!(world.api("POST", &path, None).status, 409);
}

#[test]
fn who_leaves_with_answers_queued_finds_them_on_return() {
    let mut shop = Shop::open(Plan::default());
    let li = shop.li();
    li.says("我的快递丢了").wait();
    shop.wechat.goes_offline();
    for text in ["第一句", "第二句"] {
        assert_eq!(shop.agent_says(LI, text)["delivery"], "queued");
    }
    shop.world()
        .log
        .wait(|line| line.contains("push attempted") && line.contains("again"));
    // The first may be on its next attempt at this moment; then its end makes it held a moment later.
    let left = li.unfollows().wait();
    assert_eq!(left.body, b"success");
    let lines = history(shop.world(), LI);
    assert!(
        lines.iter().any(|line| line == "agent text 第二句 held"),
        "{lines:?}"
    );
    eventually("both are held", || {
        let lines = history(shop.world(), LI);
        lines.iter().filter(|line| line.ends_with(" held")).count() == 2
    });
    let conversation = shop.world().conversation(LI);
    assert_eq!(
        (&conversation["state"], &conversation["quota_left"]),
        (&"held".into(), &0.into())
    );
    shop.wechat.comes_back().unwrap();
    shop.restart(World::kill);
    assert_eq!(clear(&li.repeats(&left).wait()), "success");
    let back = li.follows(None).wait();
    assert_eq!(back.text(), Some("第一句\n\n第二句"));
    assert!(shop.account.pushed().is_empty());
    assert_eq!(shop.world().conversation(LI)["state"], "follower");
}

#[test]
fn who_withdraws_consent_is_erased_and_stays_so() {
    let mut shop = Shop::open(Plan::default());
    let said = shop.li().says("我的快递丢了").wait();
    agent_says(shop.world(), LI, "马上查");
    ends_with(shop.world(), LI, "agent text 马上查 sent");
    shop.account.follower("oZhao").says("我也丢了").wait();
    let id = shop.world().conversation(LI)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The person is `OpenID`; who sends the event is the platform.
    let event = shop.account.follower("oPlatform").causes(
        "user_authorization_cancellation",
        &[("OpenID", LI), ("AppID", "wx7c938a3a5337fc01")],
    );
    assert!(event.wait().is_silent());
    let is_gone = |shop: &Shop| {
        let world = shop.world();
        assert_eq!(conversations(world, "").len(), 1);
        assert!(world.conversation(LI).is_null());
        assert_eq!(
            world
                .api("GET", &format!("/conversations/{id}"), None)
                .status,
            404
        );
        assert_eq!(history(world, "oZhao").len(), 2);
    };
    is_gone(&shop);
    // WeChat's repeat of what was said before tells nothing and brings nothing back.
    assert!(shop.li().repeats(&said).wait().is_silent());
    is_gone(&shop);
    shop.restart(World::kill);
    is_gone(&shop);
    assert!(shop.li().repeats(&said).wait().is_silent());
    is_gone(&shop);
}
