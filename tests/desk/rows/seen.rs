//! Shows what a follower sees in each state.

use serde_json::json;

use super::*;
use crate::desk::{HOUR, LI, MINUTE, Plan, Shop};

mod what_a_follower_sees {
    use super::*;

    #[test]
    fn bot_the_rules_reply() {
        let shop = shop();
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
        assert_eq!(shop.state(LI), "bot");
    }

    #[test]
    fn waiting_one_ack_then_silence_then_a_fresh_one() {
        let (shop, _) = waiting();
        assert!(shop.li_says("在吗").is_silent());
        assert_eq!(
            shop.li_says("几点开门").text(),
            Some("十点开门。"),
            "rules go on"
        );
        shop.passes(MINUTE * 11);
        assert_eq!(shop.li_says("还在吗").text(), Some("收到。"));
        assert_eq!(shop.state(LI), "waiting");
    }

    #[test]
    fn assigned_nothing_but_rules_that_always_speak() {
        let always =
            "[[rule]]\nid = \"stop\"\nany = [\"退订\"]\nalways = true\nreply = \"已退订。\"\n";
        let shop = Shop::open(
            Plan::default()
                .rules("_desk.toml", DESK)
                .rules("20-always.toml", always),
        );
        shop.li_says("能带狗吗");
        shop.act(&shop.token("lili", "agent"), "claim", None);
        assert!(shop.li_says("几点开门").is_silent());
        assert_eq!(shop.li_says("退订").text(), Some("已退订。"));
        assert_eq!(shop.state(LI), "assigned");
    }

    #[test]
    fn follower_nothing() {
        let (shop, _) = answered();
        assert_eq!(pushed(&shop), ["可以,拴好就行。"]);
        assert_eq!(shop.state(LI), "follower");
    }

    #[test]
    fn held_the_answer_first_thing() {
        let (shop, _) = held();
        let seen = shop.li_says("几点开门");
        assert_eq!(seen.text(), Some("可以,拴好就行。\n————\n十点开门。"));
    }

    #[test]
    fn snoozed_nothing_and_rules_go_on() {
        let (shop, lili) = waiting();
        let until = shop.clock.now().plus(HOUR).to_string();
        shop.act(&lili, "snooze", Some(&json!({ "until": until })));
        assert_eq!(shop.state(LI), "snoozed");
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
        assert_eq!(shop.state(LI), "snoozed");
    }

    #[test]
    fn closed_nothing_and_rules_go_on() {
        let (shop, lili) = waiting();
        shop.act(&lili, "close", Some(&json!({ "outcome": "solved" })));
        assert!(pushed(&shop).is_empty());
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
        assert_eq!(shop.state(LI), "closed");
    }

    #[test]
    fn held_the_answer_first_thing_on_a_menu_click_and_a_scan_too() {
        for visits in ["menu", "scan"] {
            let (shop, _) = held();
            let follower = shop.follower(LI);
            assert!(follower.opens_page("https://x.example").wait().is_silent());
            let seen = match visits {
                "menu" => follower.taps_menu("CHECK_REPLY").wait(),
                _ => follower.scans("table-5").wait(),
            };
            assert_eq!(seen.text(), Some("可以,拴好就行。"), "{visits}");
            assert_eq!(shop.state(LI), "follower", "{visits}");
        }
    }

    #[test]
    fn external_that_desk() {
        let shop = Shop::open(Plan::default().rules("20-desk.toml", TENCENT));
        let li = shop.follower(LI);
        assert!(is_handed_over(&li.says("找客服").wait()));
        assert_eq!(shop.state(LI), "external");
        assert!(li.says("几点开门").wait().is_silent(), "rules are silent");
        li.is_taken_by("a1@shop").wait();
        assert_eq!(li.says("在吗").wait().agent.as_deref(), Some("a1@shop"));
    }
}
