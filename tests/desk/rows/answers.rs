//! Walks the rows of answers: given, held, collected, gone on with.

use std::time::Duration;

use serde_json::json;
use wxreply::simulator::{Fault, Times};

use super::*;
use crate::desk::{HOUR, LI, MINUTE, Shop, eventually};

mod from_assigned_to_follower {
    use super::*;

    #[test]
    fn wechat_takes_the_push() {
        let (shop, _) = answered();
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["quota_left"], &known["last_agent"]),
            (&json!(4), &json!("token:lili"))
        );
        assert_eq!(known["window"]["sent"], 1);
    }
}

mod from_assigned_to_held {
    use super::*;

    #[test]
    fn the_account_may_not_push() {
        let (shop, _) = held();
        let last = shop.history(LI).pop().unwrap();
        assert_eq!(last, "agent text 可以,拴好就行。 held");
    }

    #[test]
    fn the_pushes_are_used_up() {
        let (shop, lili) = assigned();
        for n in 1..=5 {
            shop.replies(&lili, &format!("第{n}句"));
            eventually("the push", || pushed(&shop).len() == n);
        }
        eventually("five are spent", || {
            shop.conversation(LI)["quota_left"] == 0
        });
        let message = shop.replies(&lili, "第6句");
        assert_eq!(
            (&message["delivery"], &message["error"]["code"]),
            (&json!("held"), &json!(45047))
        );
        assert_eq!(shop.state(LI), "held");
    }

    #[test]
    fn the_window_is_closed() {
        let (shop, lili) = answered();
        shop.passes(HOUR * 48);
        let message = shop.replies(&lili, "还在吗");
        assert_eq!(
            (&message["delivery"], &message["error"]["code"]),
            (&json!("held"), &json!(45015))
        );
        assert_eq!(shop.state(LI), "held");
    }

    #[test]
    fn wechat_says_45047_against_the_forecast() {
        let (shop, lili) = assigned();
        // Another program of the account has used the pushes.
        for left in (0..5).rev() {
            shop.follower(LI).is_pushed_elsewhere();
            assert_eq!(shop.follower(LI).pushes_left(), left);
        }
        shop.replies(&lili, "在的");
        shop.becomes("held");
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["window_refused"]["code"], &known["quota_left"]),
            (&json!(45047), &json!(0))
        );
    }

    #[test]
    fn the_agent_chooses_to_hold() {
        let (shop, lili) = assigned();
        let wanted = json!({ "text": "下次来告诉你", "hold": true });
        let message = shop.act(&lili, "replies", Some(&wanted))["message"].clone();
        assert_eq!(
            (&message["delivery"], &message["error"]["code"]),
            (&json!("held"), &json!(0))
        );
        assert_eq!(shop.state(LI), "held");
        assert_eq!(
            shop.li_says("几点开门").text(),
            Some("下次来告诉你\n————\n十点开门。")
        );
        assert!(pushed(&shop).is_empty());
    }

    #[test]
    fn wechat_says_45015_against_the_forecast() {
        let (shop, lili) = assigned();
        shop.wechat.breaks(
            "/cgi-bin/message/custom/send",
            Fault::Code(45015),
            Times::Next(1),
        );
        shop.replies(&lili, "在的");
        shop.becomes("held");
        let known = shop.conversation(LI);
        assert_eq!(
            (
                &known["window_refused"]["code"],
                &known["quota_left"],
                &known["window_until"]
            ),
            (&json!(45015), &json!(0), &json!(null))
        );
        let last = shop.history(LI).pop().unwrap();
        assert_eq!(last, "agent text 在的 held");
        // What is written next is held at once, and all of it is given in order.
        assert_eq!(shop.replies(&lili, "你来")["delivery"], "held");
        let seen = shop.li_says("几点开门");
        assert_eq!(seen.text(), Some("在的\n\n你来\n————\n十点开门。"));
        assert_eq!(
            shop.conversation(LI)["quota_left"],
            5,
            "the window is open again"
        );
    }
}

mod from_held {
    use super::*;

    #[test]
    fn to_follower_when_it_was_given() {
        let (shop, _) = held();
        shop.li_says("几点开门");
        assert_eq!(shop.state(LI), "follower");
        let line = "agent text 可以,拴好就行。 passive".to_owned();
        assert!(shop.history(LI).contains(&line));
    }

    #[test]
    fn to_assigned_when_the_follower_asks_something_else() {
        let (shop, _) = held();
        let seen = shop.li_says("那猫呢");
        assert_eq!(seen.text(), Some("可以,拴好就行。"));
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["owner"]),
            (&json!("assigned"), &json!("token:lili"))
        );
    }

    #[test]
    fn to_closed_when_nobody_collects_it_in_seven_days() {
        let (mut shop, lili) = held();
        shop.restart(HOUR * 24 * 7 + MINUTE);
        shop.becomes("closed");
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["outcome"], &known["missed"]),
            (&json!("missed"), &json!(true))
        );
        assert_eq!(
            shop.history(LI).pop().unwrap(),
            "agent text 可以,拴好就行。 failed"
        );
        assert_eq!(
            shop.li_says("几点开门").text(),
            Some("十点开门。"),
            "it is not given any more"
        );
        shop.act(&lili, "acknowledge", None);
        assert_eq!(shop.conversation(LI)["missed"], false);
    }

    #[test]
    fn to_waiting_when_the_follower_asks_something_else_and_the_owner_is_gone() {
        let (shop, _) = waiting();
        let mei = shop.agent_on_duty("mei");
        let wanted = json!({ "text": "可以。", "hold": true });
        shop.act(&mei, "replies", Some(&wanted));
        shop.disable("mei");
        eventually("nobody has it", || owner(&shop).is_null());
        assert_eq!(shop.state(LI), "held");
        assert_eq!(shop.li_says("那猫呢").text(), Some("可以。"));
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("waiting".into(), json!(null))
        );
    }

    #[test]
    fn to_waiting_when_the_follower_asks_something_else_and_the_owner_is_off_duty() {
        let (shop, _) = waiting();
        let mei = shop.agent_on_duty("mei");
        let wanted = json!({ "text": "可以。", "hold": true });
        shop.act(&mei, "replies", Some(&wanted));
        shop.duty(&mei, false);
        assert_eq!(shop.li_says("那猫呢").text(), Some("可以。"));
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("waiting".into(), json!(null))
        );
    }

    #[test]
    fn after_two_days_the_author_is_asked_whether_it_is_still_right() {
        is_reviewed(|shop| shop.passes(HOUR * 48));
    }

    #[test]
    fn after_two_days_the_author_is_asked_over_a_restart() {
        is_reviewed(|shop| shop.restart(HOUR * 50));
    }

    fn is_reviewed(mut passes: impl FnMut(&mut Shop)) {
        let told = Told::tiers();
        let mut shop = Shop::open(told.plan_with_group(DESK, ""));
        shop.li_says("能带狗吗");
        told.hears("one", &["escalated 没有规则回答"]);
        let lili = shop.token("lili", "agent");
        let wanted = json!({ "text": "可以。", "hold": true });
        shop.act(&lili, "replies", Some(&wanted));
        let version = shop.conversation(LI)["version"].clone();
        passes(&mut shop);
        eventually("the question", || told.on("one").len() == 2);
        let asked = told.on("one")[1].clone();
        assert!(
            asked.starts_with("window 两天前写的留言还没被取走,请看看是不是还对"),
            "{asked}"
        );
        shop.passes(MINUTE);
        eventually("for its author", || {
            let read = told.group();
            read.iter()
                .any(|text| text.contains("还对") && text.contains("请 token:lili 看"))
        });
        assert_eq!(
            shop.state(LI),
            "held",
            "it stays until the author says otherwise"
        );
        assert_eq!(
            shop.conversation(LI)["version"].as_u64(),
            version.as_u64().map(|n| n + 1)
        );
        // Once: nothing more until it expires.
        shop.passes(HOUR * 24);
        told.is_quiet(&shop);
        assert_eq!(told.on("one").len(), 2);
    }

    #[test]
    fn to_closed_when_nobody_collects_it_in_seven_days_and_not_before() {
        let (shop, _) = held();
        shop.passes(HOUR * 24 * 7);
        assert_eq!(
            shop.li_says("几点开门").text(),
            Some("可以,拴好就行。\n————\n十点开门。")
        );
        let (shop, _) = held();
        shop.passes(HOUR * 24 * 7 + Duration::from_secs(1));
        shop.becomes("closed");
    }
}

mod from_follower {
    use super::*;

    #[test]
    fn to_assigned_when_the_follower_writes() {
        let (shop, _) = answered();
        assert!(shop.li_says("几点开门").is_silent());
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["owner"]),
            (&json!("assigned"), &json!("token:lili"))
        );
    }

    #[test]
    fn to_bot_after_half_an_hour_of_quiet() {
        let (shop, _) = answered();
        shop.passes(MINUTE * 30);
        shop.becomes("bot");
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
    }

    #[test]
    fn to_bot_after_half_an_hour_over_a_restart() {
        let (mut shop, _) = answered();
        shop.restart(HOUR);
        shop.becomes("bot");
    }

    #[test]
    fn to_bot_when_an_agent_hands_back() {
        let (shop, lili) = answered();
        shop.act(&lili, "handback", None);
        assert_eq!(shop.state(LI), "bot");
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
    }

    #[test]
    fn to_waiting_when_the_follower_writes_and_the_owner_is_off_duty() {
        let (shop, _) = waiting();
        let mei = shop.agent_on_duty("mei");
        shop.replies(&mei, "可以。");
        shop.becomes("follower");
        shop.duty(&mei, false);
        assert_eq!(
            shop.state(LI),
            "follower",
            "who only waits for the follower keeps it"
        );
        assert!(shop.li_says("几点开门").is_silent());
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("waiting".into(), json!(null))
        );
    }

    #[test]
    fn to_waiting_when_a_crisis_comes_and_the_owner_is_off_duty() {
        let told = Told::tiers();
        let shop = Shop::open(told.plan(DESK, "").rules("_crisis.toml", CRISIS));
        shop.li_says("能带狗吗");
        told.hears("one", &["escalated 没有规则回答"]);
        let mei = shop.agent_on_duty("mei");
        shop.replies(&mei, "可以。");
        shop.becomes("follower");
        shop.duty(&mei, false);
        assert_eq!(shop.li_says("我吃出异物了").text(), Some("人有没有不舒服?"));
        assert_eq!(waits_for(&shop), ("crisis".into(), "urgent".into()));
        told.hears(
            "one",
            &["escalated 没有规则回答", "escalated 食品安全:异物"],
        );
        shop.passes(MINUTE * 2);
        told.hears_of("one", "realert", &["realert 食品安全:异物"]);
    }

    #[test]
    fn to_closed_when_an_agent_closes() {
        let (shop, lili) = answered();
        shop.act(&lili, "close", Some(&json!({ "outcome": "solved" })));
        assert_eq!(shop.state(LI), "closed");
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
    }
}
