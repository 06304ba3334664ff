//! Walks the rows to and from `waiting`.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::alerts::Receiver;
use crate::desk::{HOUR, LI, MINUTE, Plan, Shop, eventually};

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

    #[test]
    fn the_follower_asks_for_a_person() {
        let shop = shop();
        assert_eq!(shop.li_says("人工").text(), Some("收到。"));
        assert_eq!(waits_for(&shop), ("asked".into(), "normal".into()));
    }

    #[test]
    fn the_follower_asks_for_a_person_and_takes_it_back() {
        let shop = shop();
        shop.li_says("人工");
        let seen = shop.li_says("不用了");
        assert_eq!(seen.text(), Some("好,先不找人了。有事随时说。"));
        assert_eq!(shop.state(LI), "bot");
        // Once somebody has taken it, that somebody decides.
        shop.li_says("人工");
        let lili = shop.token("lili", "agent");
        shop.act(&lili, "claim", None);
        assert!(shop.li_says("不用了").is_silent());
        assert_eq!(owner(&shop), "token:lili");
    }

    #[test]
    fn a_hook_fails() {
        let broken = Receiver::answering(&[(500, "", "x")]);
        let rule = format!(
            "[[rule]]\nid = \"order\"\nany = [\"查订单\"]\n[rule.hook]\nurl = \"{0}/orders\"\nreply = \"{{hook.state}}\"\nerror = {{ reply = \"系统在忙,我叫同事来。\", handoff = {{ priority = \"high\" }} }}\n",
            broken.host()
        );
        let plan = Plan {
            sections: format!("[hooks]\nallow = [\"{}\"]\n", broken.host()),
            ..Plan::default()
        };
        let shop = Shop::open(plan.rules("_desk.toml", DESK).rules("20-order.toml", &rule));
        let seen = shop.li_says("查订单");
        assert_eq!(seen.text(), Some("系统在忙,我叫同事来。"));
        assert_eq!(waits_for(&shop), ("hook".into(), "high".into()));
        assert_eq!(broken.count(), 1);
    }

    #[test]
    fn there_are_words_of_danger_even_where_a_rule_answers() {
        let shop = Shop::open(
            Plan::default()
                .rules("_desk.toml", DESK)
                .rules("_crisis.toml", CRISIS),
        );
        let seen = shop.li_says("几点开门,我吃出异物了");
        assert_eq!(seen.text(), Some("人有没有不舒服?"));
        assert_eq!(waits_for(&shop), ("crisis".into(), "urgent".into()));
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
        shop.act(TOKEN, "assign", Some(&to));
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

    #[test]
    fn given_to_who_has_the_fewest() {
        let shop = Shop::open(
            Plan::default().rules("_desk.toml", &format!("{DESK}assign = \"least-loaded\"\n")),
        );
        for name in ["lili", "wang"] {
            shop.agent_on_duty(name);
        }
        let says = |follower: &str| {
            shop.follower(follower).says("能带狗吗").wait();
            let known = shop.conversation(follower);
            assert_eq!(known["state"], "assigned");
            known["owner"].as_str().unwrap().to_owned()
        };
        // Of equals the first by name.
        let got = ["oA", "oB", "oC"].map(says);
        assert_eq!(got, ["lili", "wang", "lili"]);
    }

    #[test]
    fn given_to_who_comes_on_duty_the_urgent_ones_first() {
        let shop = Shop::open(
            Plan::default()
                .rules("_desk.toml", &format!("{DESK}assign = \"least-loaded\"\n"))
                .rules("_crisis.toml", CRISIS),
        );
        for n in 0..5 {
            shop.follower(&format!("o{n}")).says("能带狗吗").wait();
            shop.passes(MINUTE);
        }
        shop.li_says("有异物");
        assert_eq!(shop.state(LI), "waiting", "nobody is there");
        shop.agent_on_duty("lili");
        let mine = || {
            let listed = shop.api("GET", "/conversations?owner=lili", None).json();
            listed["conversations"].as_array().unwrap().len()
        };
        eventually("five, and no more at once", || mine() == 5);
        assert_eq!(owner(&shop), "lili");
        assert_eq!(shop.state("o4"), "waiting", "the newest of the others");
    }

    #[test]
    fn given_to_who_answered_last_within_a_day() {
        let shop = shop();
        for name in ["lili", "an"] {
            shop.agent_on_duty(name);
        }
        let round = |answer: &str| {
            shop.li_says("能带狗吗");
            // A session does not last a day.
            shop.replies(&shop.log_in("lili"), answer);
            shop.becomes("follower");
            shop.passes(MINUTE * 30);
            shop.becomes("bot");
        };
        round("可以。");
        shop.passes(HOUR * 23);
        shop.li_says("那猫呢");
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("assigned".into(), json!("lili"))
        );
        round("也可以。");
        // Who is not there does not get it.
        shop.duty(&shop.log_in("lili"), false);
        shop.li_says("那鸟呢");
        assert_eq!(waits_for(&shop).0, "unmatched");
        shop.duty(&shop.log_in("lili"), true);
        round("都可以。");
        // A day later it is anybody's.
        shop.passes(HOUR * 24);
        shop.li_says("那鱼呢");
        assert_eq!(waits_for(&shop).0, "unmatched");
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

    #[test]
    fn the_claimer_is_silent_for_ten_minutes_and_not_a_second_less() {
        let (shop, lili) = assigned();
        shop.passes(MINUTE * 10 - Duration::from_secs(1));
        // The owner's own sign; were the time over, the worker would have been first or would be now.
        assert_eq!(shop.state(LI), "assigned");
        shop.act(&lili, "notes", Some(&json!({ "text": "在查" })));
        shop.passes(MINUTE * 10 - Duration::from_secs(1));
        assert_eq!(shop.state(LI), "assigned", "a note is a sign");
        shop.passes(Duration::from_secs(1));
        shop.becomes("waiting");
    }

    #[test]
    fn the_owner_goes_off_duty() {
        let (shop, _) = waiting();
        let mei = shop.agent_on_duty("mei");
        shop.act(&mei, "claim", None);
        shop.passes(MINUTE);
        shop.duty(&mei, false);
        shop.becomes("waiting");
        assert_eq!(owner(&shop), json!(null));
        let line = "system note mei 下班了,会话回到队列 received".to_owned();
        assert_eq!(shop.history(LI).pop(), Some(line));
    }

    #[test]
    fn the_owner_is_disabled_whatever_was_being_waited_for() {
        for state in ["assigned", "follower", "held", "snoozed"] {
            let (shop, _) = waiting();
            let mei = shop.agent_on_duty("mei");
            shop.act(&mei, "claim", None);
            match state {
                "follower" => drop(shop.replies(&mei, "可以。")),
                "held" => {
                    let wanted = json!({ "text": "可以。", "hold": true });
                    shop.act(&mei, "replies", Some(&wanted));
                }
                "snoozed" => {
                    let until = shop.clock.now().plus(HOUR).to_string();
                    shop.act(&mei, "snooze", Some(&json!({ "until": until })));
                }
                _ => {}
            }
            shop.becomes(state);
            shop.disable("mei");
            eventually("nobody has it", || owner(&shop).is_null());
            // What was answered or put off stays so.
            let left = if state == "assigned" {
                "waiting"
            } else {
                state
            };
            assert_eq!(shop.state(LI), left);
            let line = "system note mei 的账号停用了,会话回到队列 received".to_owned();
            assert!(shop.history(LI).contains(&line), "{state}");
            assert_eq!(shop.tries(&mei, "claim", None).status, 401, "{state}");
        }
    }

    #[test]
    fn released_by_a_lead() {
        let (shop, _) = assigned();
        let chief = shop.user("chief", "agent", &json!({ "lead": true }));
        assert_eq!(shop.tries(&chief, "release", None).status, 409);
        shop.act(&chief, "release?as_lead=true", None);
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("waiting".into(), json!(null))
        );
        let line = "system note 从 token:lili 手里退回队列 received".to_owned();
        assert_eq!(shop.history(LI).pop(), Some(line));
    }
}
