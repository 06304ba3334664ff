//! Keeps answers that cannot be pushed, and hands them out on the follower's next visit.

use wxreply::simulator::{Delivered, Fault, Follower, Push, Times};

use super::{LI, Plan, Shop, clear, ends_with, history};
use crate::support::World;

const SEND: &str = "/cgi-bin/message/custom/send";
const HELLO: &str = "我的快递丢了";

/// A shop that cannot push, with one answer waiting for the follower.
fn holding(answer: &str) -> Shop {
    let shop = Shop::open(Plan {
        has_secret: false,
        ..Plan::default()
    });
    held_for(&shop, &shop.li(), answer);
    shop
}

fn held_for(shop: &Shop, follower: &Follower, answer: &str) {
    follower.says(HELLO).wait();
    let message = shop.agent_says(follower.openid(), answer);
    assert_eq!(
        (&message["delivery"], &message["error"]["code"]),
        (&"held".into(), &48001.into())
    );
    assert_eq!(
        shop.world().conversation(follower.openid())["state"],
        "held"
    );
}

#[test]
fn a_held_answer_comes_first_and_the_rules_own_answer_behind_it() {
    let shop = holding("明天补发");
    let delivered = shop.li().says("几点开门").wait();
    let both = "明天补发\n————\n十点开门。";
    assert_eq!(delivered.text(), Some(both));
    assert_eq!(
        history(shop.world(), LI)[2..],
        [
            "agent text 明天补发 passive",
            "follower text 几点开门 received",
            "rule text 十点开门。 passive"
        ]
    );
    // Given is committed: a repeat of that turn, and only that, gives it again.
    let again = shop.li().repeats(&delivered).wait();
    assert_eq!(clear(&again), clear(&delivered));
    assert_eq!(shop.sends(), 0);
    assert_eq!(
        clear(&shop.li().says("几点开门").wait()),
        "success",
        "two people are talking"
    );
}

#[test]
fn a_held_answer_is_handed_out_on_a_tap_a_scan_and_a_return_and_not_on_a_page_or_a_place() {
    let shop = Shop::open(Plan {
        has_secret: false,
        ..Plan::default()
    });
    type Visit = fn(&Follower) -> Push;
    let visits: [(&str, Visit, &str); 4] = [
        (
            "oTaps",
            |who| who.taps_menu("HELP"),
            "补发\n————\n菜单帮助。",
        ),
        ("oTapsElse", |who| who.taps_menu("ELSE"), "补发"),
        ("oScans", |who| who.scans("door"), "补发"),
        ("oReturns", |who| who.follows(None), "补发"),
    ];
    for (name, visit, words) in visits {
        let follower = shop.account.follower(name);
        held_for(&shop, &follower, "补发");
        let passing = [
            follower.opens_page("https://example.com"),
            follower.causes(
                "LOCATION",
                &[
                    ("Latitude", "31.2"),
                    ("Longitude", "121.4"),
                    ("Precision", "20"),
                ],
            ),
        ];
        for push in passing {
            assert!(push.wait().is_silent(), "{name}");
            assert_eq!(shop.world().conversation(name)["state"], "held", "{name}");
        }
        assert_eq!(visit(&follower).wait().text(), Some(words), "{name}");
        assert!(follower.says("在吗").wait().is_silent(), "{name}: once");
    }
}

#[test]
fn held_answers_are_joined_up_to_the_limit_and_the_rest_stays() {
    let shop = holding(&"甲".repeat(300));
    shop.agent_says(LI, &"乙".repeat(381));
    shop.agent_says(LI, "丙");
    let li = shop.li();
    // 900 + 2 + 1143 bytes are 2045: what is behind does not fit, and the rule's answer may not overtake it.
    let delivered = li.says("几点开门").wait();
    assert_eq!(
        delivered.text().unwrap(),
        "甲".repeat(300) + "\n\n" + &"乙".repeat(381)
    );
    assert_eq!(shop.world().conversation(LI)["state"], "held");
    assert_eq!(clear(&li.repeats(&delivered).wait()), clear(&delivered));
    assert_eq!(
        li.says("几点开门").wait().text(),
        Some("丙\n————\n十点开门。")
    );
    assert_eq!(shop.world().conversation(LI)["state"], "follower");
}

#[test]
fn what_is_held_is_still_held_after_a_crash() {
    let mut shop = holding("明天补发");
    shop.restart(World::kill);
    assert_eq!(
        history(shop.world(), LI).last().unwrap(),
        "agent text 明天补发 held"
    );
    let delivered = shop.li().says("在吗").wait();
    assert_eq!(delivered.text(), Some("明天补发"));
    // So is that it was given.
    shop.restart(World::kill);
    let again = shop.li().repeats(&delivered).wait();
    assert_eq!(clear(&again), clear(&delivered));
    assert_eq!(history(shop.world(), LI)[2], "agent text 明天补发 passive");
}

/// An agent's push that WeChat refuses; gives what the follower's next message is answered with.
fn refused(shop: &Shop, code: i64) -> Delivered {
    let li = shop.li();
    li.says(HELLO).wait();
    shop.agent_says(LI, "第一句");
    ends_with(shop.world(), LI, "agent text 第一句 held");
    let id = shop.world().conversation(LI)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = shop
        .world()
        .api("GET", &format!("/conversations/{id}"), None)
        .json();
    let last = shown["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["error"]["code"], code);
    // One is held, so the next is too, and WeChat is not asked.
    let sends = shop.sends();
    assert_eq!(shop.agent_says(LI, "第二句")["delivery"], "held");
    let delivered = li.says("几点开门").wait();
    assert_eq!(shop.sends(), sends);
    delivered
}

#[test]
fn what_wechat_refuses_for_want_of_a_window_a_quota_or_the_right_is_held() {
    for code in [45015, 45047, 48001] {
        let shop = Shop::open(Plan::default());
        shop.wechat.breaks(SEND, Fault::Code(code), Times::Next(1));
        let delivered = refused(&shop, code);
        assert_eq!(
            delivered.text(),
            Some("第一句\n\n第二句\n————\n十点开门。"),
            "{code}"
        );
        assert!(shop.account.pushed().is_empty());
    }
}
