//! Walks the rows to `closed`, `snoozed` and `external`, and back.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::desk::{HOUR, LI, MINUTE, Plan, Shop, eventually};

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

    #[test]
    fn people_are_told_of_it_once_and_it_stays_until_somebody_has_seen_it() {
        let told = Told::tiers();
        let mut shop = Shop::open(told.plan(DESK, ""));
        shop.li_says("能带狗吗");
        told.hears("one", &["escalated 没有规则回答"]);
        shop.passes(HOUR * 2);
        eventually("the breach", || told.on("one").len() == 2);
        for hours in [40, 5] {
            shop.passes(HOUR * hours);
        }
        let missed = || {
            let all = told.on("two");
            all.iter().filter(|line| line.contains("已经错过")).count()
        };
        shop.passes(HOUR);
        shop.becomes("closed");
        eventually("the lead is told", || missed() == 1);
        shop.restart(HOUR);
        assert_eq!(shop.conversation(LI)["missed"], true);
        shop.passes(HOUR * 24);
        told.is_quiet(&shop);
        assert_eq!(missed(), 1);
        shop.act(TOKEN, "acknowledge", None);
        assert_eq!(shop.conversation(LI)["missed"], false);
        assert_eq!(shop.state(LI), "closed");
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

    #[test]
    fn from_any_state_with_any_outcome() {
        let mut outcomes = [
            "solved",
            "solved-late",
            "missed",
            "no-answer-needed",
            "spam",
            "moved",
        ]
        .iter()
        .cycle();
        in_every_state(|state, shop, lili| {
            let outcome = outcomes.next().unwrap();
            shop.act(lili, "close", Some(&json!({ "outcome": outcome })));
            let known = shop.conversation(LI);
            assert_eq!(
                (&known["state"], &known["outcome"], &known["owner"]),
                (&json!("closed"), &json!(outcome), &json!(null)),
                "from {state}"
            );
        });
    }
}

mod to_snoozed {
    use super::*;

    #[test]
    fn from_any_state_people_have_something_to_do_in() {
        in_every_state(|state, shop, lili| {
            let until = shop.clock.now().plus(HOUR * 3).to_string();
            let tried = shop.tries(lili, "snooze", Some(&json!({ "until": until })));
            let is_possible = !matches!(state, "external" | "closed");
            assert_eq!(
                tried.status == 200,
                is_possible,
                "from {state}: {}",
                tried.text()
            );
            let after = if is_possible { "snoozed" } else { state };
            assert_eq!(shop.state(LI), after, "from {state}");
        });
    }

    #[test]
    fn by_its_owner_or_a_lead_and_nobody_else() {
        let (shop, _) = assigned();
        let until = json!({ "until": shop.clock.now().plus(HOUR * 3).to_string() });
        let wang = shop.token("wang", "agent");
        assert_eq!(shop.tries(&wang, "snooze", Some(&until)).status, 409);
        let chief = shop.user("chief", "agent", &json!({ "lead": true }));
        shop.act(&chief, "snooze?as_lead=true", Some(&until));
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("snoozed".into(), json!("token:lili"))
        );
    }
}

mod to_external {
    use super::*;

    #[test]
    fn a_rule_hands_over_to_it() {
        let shop = Shop::open(Plan::default().rules("20-desk.toml", TENCENT));
        assert!(is_handed_over(&shop.li_says("找客服")));
        assert_eq!(shop.state(LI), "external");
    }

    #[test]
    fn an_agent_sends_the_next_message_there_from_any_state() {
        in_every_state(|state, shop, lili| {
            if state == "external" {
                return;
            }
            shop.act(lili, "desk", Some(&json!({})));
            assert_eq!(shop.state(LI), state, "only a message can be handed over");
            let seen = shop.li_says("几点开门");
            // What waits is given first, and then nothing can tell WeChat to take over.
            if state == "held" {
                assert_eq!(seen.text(), Some("可以。"));
                return;
            }
            assert!(is_handed_over(&seen), "from {state}");
            assert_eq!(
                (shop.state(LI), owner(shop)),
                ("external".into(), json!(null)),
                "from {state}"
            );
        });
    }

    #[test]
    fn tencents_desk_takes_the_follower_from_any_state() {
        in_every_state(|state, shop, _| {
            assert!(
                shop.follower(LI)
                    .is_taken_by("a1@shop")
                    .wait()
                    .reply
                    .is_none_or(|_| state == "held")
            );
            assert_eq!(
                (shop.state(LI), owner(shop)),
                ("external".into(), json!(null)),
                "from {state}"
            );
            assert_eq!(
                shop.conversation(LI)["answer_due"],
                json!(null),
                "our promise stops"
            );
        });
    }

    #[test]
    fn our_promise_and_alerts_stop() {
        let told = Told::tiers();
        let shop = Shop::open(told.plan(DESK, ""));
        shop.li_says("能带狗吗");
        told.hears("one", &["escalated 没有规则回答"]);
        shop.follower(LI).is_taken_by("a1@shop").wait();
        shop.passes(MINUTE * 29);
        shop.follower(LI).is_handed_to("a2@shop").wait();
        shop.passes(HOUR * 3);
        shop.becomes("bot");
        told.is_quiet(&shop);
        assert_eq!(told.on("two"), Vec::<String>::new());
    }
}

mod from_external_to_bot {
    use super::*;

    fn external() -> Shop {
        let shop = shop();
        shop.follower(LI).is_taken_by("a1@shop").wait();
        assert_eq!(shop.state(LI), "external");
        shop
    }

    #[test]
    fn that_desk_ends() {
        let shop = external();
        shop.follower(LI).is_let_go().wait();
        assert_eq!(shop.state(LI), "bot");
        assert_eq!(shop.li_says("几点开门").text(), Some("十点开门。"));
    }

    #[test]
    fn half_an_hour_passes() {
        let shop = external();
        shop.passes(MINUTE * 29);
        assert_eq!(shop.state(LI), "external");
        shop.passes(MINUTE);
        shop.becomes("bot");
    }

    #[test]
    fn half_an_hour_passes_over_a_restart() {
        let mut shop = external();
        shop.restart(MINUTE * 20);
        assert_eq!(shop.state(LI), "external");
        shop.restart(MINUTE * 20);
        shop.becomes("bot");
    }

    #[test]
    fn half_an_hour_begins_anew_when_they_hand_the_follower_on() {
        let shop = external();
        shop.passes(MINUTE * 20);
        shop.follower(LI).is_handed_to("a2@shop").wait();
        shop.passes(MINUTE * 20);
        assert_eq!(shop.state(LI), "external");
        shop.passes(MINUTE * 10);
        shop.becomes("bot");
    }
}
