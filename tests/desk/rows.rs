//! Walks every row of the two tables of states: what a follower sees in each, and what leads from one to the next.

use std::time::Duration;

use serde_json::json;
use wxreply::simulator::{Rights, Sight};

use super::{HOUR, LI, MINUTE, Plan, Shop, eventually};

const DESK: &str = "ack = \"收到。\"\nquiet_after = \"30m\"\nclaim_timeout = \"10m\"\n";

fn shop() -> Shop {
    Shop::open(Plan::default().rules("_desk.toml", DESK))
}

/// A shop where Li waits for a person.
fn waiting() -> (Shop, String) {
    let shop = shop();
    assert_eq!(shop.li_says("能带狗吗").text(), Some("收到。"));
    assert_eq!(shop.state(LI), "waiting");
    let lili = shop.token("lili", "agent");
    (shop, lili)
}

/// A shop where lili owns Li's conversation.
fn assigned() -> (Shop, String) {
    let (shop, lili) = waiting();
    shop.act(&lili, "claim", None);
    assert_eq!(shop.state(LI), "assigned");
    (shop, lili)
}

/// A shop where Li has lili's answer.
fn answered() -> (Shop, String) {
    let (shop, lili) = assigned();
    shop.replies(&lili, "可以,拴好就行。");
    shop.becomes("follower");
    (shop, lili)
}

/// An account that may not push, where lili's answer waits.
fn held() -> (Shop, String) {
    let plan = Plan {
        has_secret: false,
        rights: Rights::UNVERIFIED,
        ..Plan::default()
    };
    let shop = Shop::open(plan.rules("_desk.toml", DESK));
    shop.li_says("能带狗吗");
    let lili = shop.token("lili", "agent");
    let message = shop.replies(&lili, "可以,拴好就行。");
    assert_eq!(message["delivery"], "held");
    assert_eq!(shop.state(LI), "held");
    (shop, lili)
}

fn pushed(shop: &Shop) -> Vec<String> {
    let phone = shop.follower(LI).phone();
    let texts = phone.iter().filter_map(|shown| match &shown.sight {
        Sight::Pushed(pushed) => pushed.text().map(str::to_owned),
        _ => None,
    });
    texts.collect()
}

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
}

mod from_bot_to_waiting {
    use super::*;

    #[test]
    fn no_rule_answers() {
        let (shop, _) = waiting();
        assert_eq!(shop.conversation(LI)["reason"], "unmatched");
    }

    #[test]
    fn a_rule_hands_over() {
        let rule = "[[rule]]\nid = \"person\"\nany = [\"人工\"]\nreply = \"好,我叫同事来。\"\nhandoff = { priority = \"high\", reason = \"要人工\" }\n";
        let shop = Shop::open(Plan::default().rules("20-person.toml", rule));
        assert_eq!(shop.li_says("人工").text(), Some("好,我叫同事来。"));
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["reason"], &known["priority"]),
            (&json!("waiting"), &json!("handoff"), &json!("high"))
        );
    }

    #[test]
    fn the_same_question_a_third_time_in_ten_minutes() {
        let shop = shop();
        for _ in 0..3 {
            assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
        }
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["reason"]),
            (&json!("waiting"), &json!("repeated"))
        );
    }

    #[test]
    fn a_form_fails() {
        let form = "[[rule]]\nid = \"order\"\nany = [\"查订单\"]\nform = { timeout = \"5m\" }\n[[rule.step]]\nask = \"把订单号发我。\"\nsave = \"order\"\ncheck = '^\\d{4}$'\nretry = \"四位数字。\"\ntries = 1\nthen = \"handoff\"\n[[rule.replies]]\ntext = \"{order}收到。\"\n";
        let shop = Shop::open(Plan::default().rules("20-form.toml", form));
        assert_eq!(shop.li_says("查订单").text(), Some("把订单号发我。"));
        shop.li_says("不知道");
        shop.li_says("真不知道");
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["reason"]),
            (&json!("waiting"), &json!("form"))
        );
    }
}

mod from_waiting_to_assigned {
    use super::*;

    #[test]
    fn claimed_by_one_of_two() {
        let (shop, lili) = waiting();
        let wang = shop.token("wang", "agent");
        shop.act(&lili, "claim", None);
        let lost = shop.tries(&wang, "claim", None);
        assert_eq!(
            (lost.status, &lost.json()["owner"]),
            (409, &json!("token:lili"))
        );
        assert_eq!(shop.conversation(LI)["owner"], "token:lili");
    }

    #[test]
    fn assigned_by_a_lead() {
        let (shop, lili) = waiting();
        let to = json!({ "agent": "token:lili" });
        let wang = shop.token("wang", "agent");
        assert_eq!(
            shop.tries(&wang, "assign", Some(&to)).status,
            403,
            "agents take, leads give"
        );
        shop.act(crate::support::TOKEN, "assign", Some(&to));
        assert_eq!(shop.conversation(LI)["owner"], "token:lili");
        shop.replies(&lili, "好的");
    }

    #[test]
    fn taken_over_with_a_reason() {
        let (shop, _lili) = assigned();
        let chief = shop.token("chief", "admin");
        let bare = json!({ "agent": "token:chief" });
        assert_eq!(shop.tries(&chief, "assign", Some(&bare)).status, 422);
        let reason = json!({ "agent": "token:chief", "reason": "她在开会" });
        shop.act(&chief, "assign", Some(&reason));
        assert_eq!(shop.conversation(LI)["owner"], "token:chief");
        let history = shop.history(LI);
        assert!(
            history.contains(&"agent note 接手:她在开会 received".to_owned()),
            "{history:?}"
        );
    }
}

mod from_assigned_to_waiting {
    use super::*;

    #[test]
    fn the_claimer_is_silent_for_ten_minutes() {
        let (shop, _) = assigned();
        shop.passes(MINUTE * 10);
        shop.becomes("waiting");
        assert_eq!(shop.conversation(LI)["owner"], json!(null));
    }

    #[test]
    fn the_claimer_is_silent_and_the_server_was_away_meanwhile() {
        let (mut shop, _) = assigned();
        shop.restart(MINUTE * 30);
        shop.becomes("waiting");
    }

    #[test]
    fn a_look_is_a_sign() {
        let (shop, lili) = assigned();
        shop.passes(MINUTE * 9);
        let looked = shop.tries(&lili, "presence", Some(&json!({ "typing": true })));
        assert_eq!(looked.status, 204);
        let version = shop.conversation(LI)["version"].clone();
        shop.passes(MINUTE * 2);
        eventually("the look is kept", || {
            shop.conversation(LI)["version"] != version
        });
        assert_eq!(shop.state(LI), "assigned");
        shop.passes(MINUTE * 10);
        shop.becomes("waiting");
    }

    #[test]
    fn released() {
        let (shop, lili) = assigned();
        shop.act(&lili, "release", None);
        assert_eq!(shop.state(LI), "waiting");
    }
}

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
}

mod to_closed_missed {
    use super::*;

    #[test]
    fn from_waiting_when_the_window_passes() {
        let (shop, lili) = waiting();
        shop.passes(HOUR * 48);
        shop.becomes("closed");
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["outcome"], &known["missed"]),
            (&json!("missed"), &json!(true))
        );
        let message = shop.replies(&lili, "刚看到,能带。");
        assert_eq!(
            message["delivery"], "held",
            "an answer still waits for the next visit"
        );
        assert_eq!(shop.conversation(LI)["missed"], false);
    }

    #[test]
    fn from_waiting_over_a_restart() {
        let (mut shop, _) = waiting();
        shop.restart(HOUR * 72);
        shop.becomes("closed");
        assert_eq!(shop.conversation(LI)["outcome"], "missed");
    }

    #[test]
    fn from_assigned_while_its_owner_only_looks() {
        let (shop, lili) = assigned();
        for _ in 0..288 {
            shop.tries(&lili, "presence", Some(&json!({})));
            shop.passes(MINUTE * 10 - Duration::from_secs(1));
            if shop.state(LI) == "closed" {
                break;
            }
        }
        shop.passes(HOUR);
        shop.becomes("closed");
        assert_eq!(shop.conversation(LI)["outcome"], "missed");
    }
}

mod to_snoozed_and_back {
    use super::*;

    #[test]
    fn until_a_time() {
        let (shop, lili) = waiting();
        let until = shop.clock.now().plus(HOUR * 3).to_string();
        shop.act(&lili, "snooze", Some(&json!({ "until": until })));
        shop.passes(HOUR * 3);
        shop.becomes("waiting");
    }

    #[test]
    fn until_a_time_over_a_restart_and_back_to_its_owner() {
        let (mut shop, lili) = assigned();
        let until = shop.clock.now().plus(HOUR * 3).to_string();
        shop.act(&lili, "snooze", Some(&json!({ "until": until })));
        shop.restart(HOUR * 3 + MINUTE);
        shop.becomes("assigned");
        assert_eq!(shop.conversation(LI)["owner"], "token:lili");
    }

    #[test]
    fn until_the_follower_writes() {
        let (shop, lili) = waiting();
        let until = shop.clock.now().plus(HOUR * 3).to_string();
        shop.act(&lili, "snooze", Some(&json!({ "until": until })));
        shop.li_says("有人吗");
        assert_eq!(shop.state(LI), "waiting");
        assert_eq!(shop.conversation(LI)["snoozed_until"], json!(null));
    }

    #[test]
    fn not_into_the_past_and_not_for_ever() {
        let (shop, lili) = waiting();
        for until in ["2026-06-03T09:00:00+08:00", "2027-06-03T09:00:00+08:00"] {
            let refused = shop.tries(&lili, "snooze", Some(&json!({ "until": until })));
            assert_eq!(refused.status, 400, "{until}");
        }
    }
}

mod to_closed {
    use super::*;

    #[test]
    fn by_its_owner_or_a_lead_and_nobody_else() {
        let (shop, _) = assigned();
        let wang = shop.token("wang", "agent");
        let body = json!({ "outcome": "spam" });
        for verb in ["close", "close?as_lead=true"] {
            assert_eq!(shop.tries(&wang, verb, Some(&body)).status, 409);
        }
        let chief = shop.token("chief", "admin");
        assert_eq!(
            shop.tries(&chief, "close", Some(&body)).status,
            409,
            "not by the way"
        );
        shop.act(&chief, "close?as_lead=true", Some(&body));
        let known = shop.conversation(LI);
        assert_eq!(
            (&known["state"], &known["outcome"]),
            (&json!("closed"), &json!("spam"))
        );
    }
}
