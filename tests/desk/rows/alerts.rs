//! Hears what people are told by each timer: when, which tier, how often, and after the server was away.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::desk::{HOUR, MINUTE, eventually, time};

/// Nothing happens by itself but what a test is about.
const CALM: &str = "ack = \"收到。\"\nclaim_timeout = \"90h\"\n[sla.urgent]\nfirst = \"90h\"\n[sla.high]\nfirst = \"90h\"\n[sla.normal]\nfirst = \"90h\"\nnext = \"90h\"\nrepeat = []\n[sla.low]\nfirst = \"90h\"\n";
const LATE: &str = "(迟到的提醒)";
const SECOND: Duration = Duration::from_secs(1);

/// A rule for each priority, by its word.
fn handoffs() -> String {
    let rule = |priority: &str| {
        format!(
            "[[rule]]\nid = \"{priority}\"\nexact = [\"{priority}\"]\nhandoff = {{ priority = \"{priority}\", reason = \"要人\" }}\n"
        )
    };
    ["urgent", "high", "normal", "low"].map(rule).concat()
}

/// A shop where Li has said something, and those who hear of it.
fn says(desk: &str, text: &str) -> (Told, Shop) {
    let told = Told::tiers();
    let plan = told.plan_with_group(desk, "");
    let shop = Shop::open(
        plan.rules("20-handoffs.toml", &handoffs())
            .rules("_crisis.toml", CRISIS),
    );
    shop.li_says(text);
    (told, shop)
}

/// In which minute of Li's wait a tier was told what.
fn minutes(told: &Told, name: &str) -> Vec<(String, u64)> {
    let all = told.documents(name).into_iter();
    all.map(|one| {
        let kind = one["kind"].as_str().unwrap().to_owned();
        (kind, one["waiting_s"].as_u64().unwrap() / 60)
    })
    .collect()
}

fn texts(told: &Told, name: &str, part: &str) -> Vec<String> {
    let mut all = told.on(name);
    all.retain(|line| line.contains(part));
    all
}

mod that_somebody_waits {
    use super::*;

    /// Lets the minutes pass, and waits in each until the first tier has heard what it must have.
    fn hears_in(desk: &str, priority: &str, expected: &[u64]) -> (Told, Shop) {
        let (told, shop) = says(desk, priority);
        for minute in 0..=expected.last().copied().unwrap_or(0) + 5 {
            let heard = expected.iter().filter(|due| **due <= minute).count();
            eventually("an alert", || told.on("one").len() >= heard);
            shop.passes(MINUTE);
        }
        told.is_quiet_but_the_group(&shop);
        let kinds = |n: usize| if n == 0 { "escalated" } else { "realert" };
        let wanted = expected.iter().enumerate();
        let wanted: Vec<_> = wanted
            .map(|(n, minute)| (kinds(n).to_owned(), *minute))
            .collect();
        assert_eq!(minutes(&told, "one"), wanted);
        (told, shop)
    }

    fn from(told: &Told, name: &str) -> Vec<u64> {
        minutes(told, name)
            .into_iter()
            .map(|(_, minute)| minute)
            .collect()
    }

    #[test]
    fn urgent_at_0_2_5_10_20_and_every_10_minutes_to_higher_and_higher_tiers() {
        let usual = "ack = \"\"\n[sla.urgent]\nfirst = \"90h\"\n";
        let (told, _) = hears_in(usual, "urgent", &[0, 2, 5, 10, 20, 30, 40]);
        assert_eq!(from(&told, "two"), [5, 10, 20, 30, 40]);
        assert_eq!(from(&told, "three"), [20, 30, 40]);
    }

    #[test]
    fn high_at_0_15_30_and_every_30_minutes() {
        let usual = "ack = \"\"\n[sla.high]\nfirst = \"90h\"\n";
        let (told, _) = hears_in(usual, "high", &[0, 15, 30, 60, 90]);
        assert_eq!(from(&told, "two"), [30, 60, 90]);
        assert_eq!(from(&told, "three"), Vec::<u64>::new());
    }

    #[test]
    fn normal_once() {
        hears_in("ack = \"\"\n", "normal", &[0]);
    }

    #[test]
    fn low_never() {
        let (told, shop) = hears_in("ack = \"\"\n", "low", &[]);
        assert_eq!(shop.state(LI), "waiting");
        assert!(told.on("three").is_empty());
    }

    #[test]
    fn until_somebody_claims_it_and_again_when_it_is_given_back() {
        let (told, shop) = says(CALM, "urgent");
        told.hears("one", &["escalated 要人"]);
        shop.passes(MINUTE * 2);
        told.hears("one", &["escalated 要人", "realert 要人"]);
        let lili = shop.token("lili", "agent");
        shop.act(&lili, "claim", None);
        shop.passes(HOUR);
        shop.act(&lili, "release", None);
        // Anything told meanwhile would stand between.
        told.hears("one", &["escalated 要人", "realert 要人", "escalated 要人"]);
        shop.passes(MINUTE * 2);
        eventually("from the beginning", || told.on("one").len() == 4);
        let waited = told.documents("one")[3]["waiting_s"].as_u64().unwrap();
        assert_eq!(waited / 60, 64, "and it says how long Li waits in all");
    }

    #[test]
    fn once_and_as_late_however_much_was_missed_while_the_server_was_away() {
        let (told, mut shop) = says(CALM, "urgent");
        told.hears("one", &["escalated 要人"]);
        shop.restart(MINUTE * 25);
        let late = format!("realert 要人{LATE}");
        told.hears("one", &["escalated 要人", &late]);
        shop.passes(MINUTE * 5);
        told.hears("one", &["escalated 要人", &late, "realert 要人"]);
        eventually("the owner hears", || from(&told, "three") == [25, 30]);
    }

    #[test]
    fn not_as_late_when_the_claimer_was_silent() {
        let (told, shop) = says("claim_timeout = \"10m\"\n", "normal");
        told.hears("one", &["escalated 要人"]);
        shop.act(&shop.token("lili", "agent"), "claim", None);
        shop.passes(MINUTE * 10);
        told.hears("one", &["escalated 要人", "escalated 要人"]);
    }

    #[test]
    fn not_as_late_when_it_was_put_off() {
        let (told, shop) = says(CALM, "urgent");
        told.hears("one", &["escalated 要人"]);
        let until = json!({ "until": shop.clock.now().plus(HOUR * 3).to_string() });
        shop.act(TOKEN, "snooze", Some(&until));
        shop.passes(HOUR * 3);
        told.hears("one", &["escalated 要人", "escalated 要人"]);
        shop.passes(MINUTE * 2);
        told.hears("one", &["escalated 要人", "escalated 要人", "realert 要人"]);
    }

    #[test]
    fn anew_when_it_becomes_a_crisis() {
        let (told, shop) = says(CALM, "high");
        told.hears("one", &["escalated 要人"]);
        shop.passes(MINUTE * 14);
        assert_eq!(shop.li_says("我吃出异物了").text(), Some("人有没有不舒服?"));
        told.hears("one", &["escalated 要人", "escalated 食品安全:异物"]);
        shop.passes(MINUTE * 2);
        told.hears(
            "one",
            &[
                "escalated 要人",
                "escalated 食品安全:异物",
                "realert 食品安全:异物",
            ],
        );
        // Two minutes ago it became one, and Li has waited for sixteen.
        assert_eq!(from(&told, "three"), [16]);
    }

    #[test]
    fn anew_when_a_person_says_that_it_is_urgent() {
        let (told, shop) = says(CALM, "high");
        told.hears("one", &["escalated 要人"]);
        shop.passes(MINUTE * 14);
        shop.act(TOKEN, "priority", Some(&json!({ "priority": "urgent" })));
        told.hears("one", &["escalated 要人", "escalated 要人"]);
        shop.passes(MINUTE * 2);
        told.hears("one", &["escalated 要人", "escalated 要人", "realert 要人"]);
    }

    #[test]
    fn when_a_crisis_comes_to_somebody_who_has_it() {
        let (told, shop) = says(CALM, "normal");
        shop.act(&shop.token("lili", "agent"), "claim", None);
        shop.passes(MINUTE);
        shop.li_says("我吃出异物了");
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("assigned".into(), json!("token:lili"))
        );
        told.hears("one", &["escalated 食品安全:异物"]);
        assert_eq!(told.documents("one")[0]["priority"], "urgent");
        shop.passes(HOUR);
        told.is_quiet(&shop);
        assert_eq!(told.on("one").len(), 1, "once, somebody has it");
        assert!(
            told.group()
                .iter()
                .any(|text| text.contains("请 token:lili 看"))
        );
    }

    #[test]
    fn when_a_second_crisis_comes_after_the_first_was_answered() {
        let (told, shop) = says(CALM, "我吃出异物了");
        told.hears("one", &["escalated 食品安全:异物"]);
        let lili = shop.token("lili", "agent");
        shop.replies(&lili, "马上来");
        shop.becomes("follower");
        shop.passes(MINUTE * 20);
        shop.li_says("还有异物");
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("assigned".into(), json!("token:lili"))
        );
        told.hears(
            "one",
            &["escalated 食品安全:异物", "escalated 食品安全:异物"],
        );
    }

    #[test]
    fn when_a_follower_who_is_looked_after_first_writes_to_somebody_who_has_it() {
        let (told, shop) = says(CALM, "normal");
        let lili = shop.token("lili", "agent");
        for n in 0..5 {
            let vip = shop.follower(&format!("o{n}"));
            vip.says("normal").wait();
            let path = format!("/conversations/{}", shop.id(vip.openid()));
            for (verb, body) in [("claim", json!({})), ("tags", json!({ "tags": ["vip"] }))] {
                let done = shop.call(&lili, "POST", &format!("{path}/{verb}"), Some(&body));
                assert_eq!(done.status, 200);
            }
            vip.says("在吗").wait();
            let known = shop.conversation(vip.openid());
            // More urgent, and no crisis.
            assert_eq!(
                (&known["priority"], &known["reason"]),
                (&json!("high"), &json!("handoff"))
            );
        }
        told.hears("one", &["escalated vip"; 5]);
        told.is_quiet(&shop);
        assert_eq!(
            texts(&told, "two", "surge"),
            Vec::<String>::new(),
            "nor many of them"
        );
    }

    #[test]
    fn to_whom_it_was_given_once_over_a_restart_too() {
        let (told, mut shop) = says(CALM, "low");
        shop.token("lili", "agent");
        shop.act(TOKEN, "assign", Some(&json!({ "agent": "token:lili" })));
        told.hears("one", &["escalated 要人"]);
        shop.restart(HOUR);
        shop.passes(MINUTE);
        eventually("to whom", || {
            told.group()
                .iter()
                .any(|text| text.contains("请 token:lili 看"))
        });
        told.is_quiet(&shop);
        assert_eq!(told.on("one").len(), 1);
    }

    #[test]
    fn in_words_of_many_when_many_say_the_same() {
        let (told, shop) = says(CALM, "我吃出异物了");
        for n in 0..6 {
            shop.follower(&format!("o{n}")).says("我吃出异物了").wait();
        }
        eventually("the surge", || !texts(&told, "two", "surge").is_empty());
        told.is_quiet_but_the_group(&shop);
        assert_eq!(
            texts(&told, "two", "surge"),
            ["surge 15 分钟里 5 位粉丝说「食品安全」"]
        );
    }
}

mod that_the_promised_time_has_passed {
    use super::*;

    const USUAL: &str = "ack = \"\"\nclaim_timeout = \"90h\"\n";
    const BREACH: &str = "breach 过了答应的时间还没回:没有规则回答";

    #[test]
    fn once_to_the_owner_and_the_lead() {
        let (told, shop) = says(USUAL, "能带狗吗");
        shop.act(&shop.token("lili", "agent"), "claim", None);
        shop.passes(HOUR * 2 - SECOND);
        assert_eq!(shop.conversation(LI)["breached"], false);
        shop.passes(SECOND);
        told.hears("two", &[BREACH]);
        eventually("it is noted", || shop.conversation(LI)["breached"] == true);
        shop.passes(MINUTE);
        eventually("to whom", || {
            let read = told.group();
            read.iter()
                .any(|text| text.contains("过了答应的时间") && text.contains("请 token:lili 看"))
        });
        shop.passes(HOUR * 20);
        told.is_quiet(&shop);
        assert_eq!(texts(&told, "one", "breach"), [BREACH]);
        assert_eq!(told.on("three"), Vec::<String>::new());
    }

    #[test]
    fn while_nobody_has_taken_it_too() {
        let (told, shop) = says(USUAL, "能带狗吗");
        shop.passes(HOUR * 2);
        told.hears("two", &[BREACH]);
        assert_eq!(shop.state(LI), "waiting");
    }

    #[test]
    fn once_over_a_restart_and_as_late() {
        let (told, mut shop) = says(USUAL, "能带狗吗");
        told.hears("one", &["escalated 没有规则回答"]);
        shop.restart(HOUR * 3);
        let late = format!("{BREACH}{LATE}");
        told.hears("two", &[&late]);
        eventually("it is noted", || shop.conversation(LI)["breached"] == true);
        shop.restart(HOUR);
        told.is_quiet_but_the_group(&shop);
        assert_eq!(told.on("two"), [late]);
    }

    #[test]
    fn of_each_further_answer_anew() {
        let (told, shop) = says(USUAL, "能带狗吗");
        let lili = shop.token("lili", "agent");
        shop.replies(&lili, "可以。");
        shop.becomes("follower");
        shop.passes(HOUR * 3);
        shop.becomes("bot");
        shop.act(&lili, "claim", None);
        shop.li_says("那猫呢");
        shop.passes(HOUR * 2);
        told.hears("two", &["breach 过了答应的时间还没回:等人回答"]);
    }

    #[test]
    fn when_people_were_at_work_so_long() {
        let told = Told::tiers();
        let plan = Plan {
            // A Friday evening.
            starts: "2026-06-05T17:30:00+08:00",
            ..told.plan(USUAL, "")
        };
        let hours = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";
        let desk = plan.rules["_desk.toml"].replacen("ack", "calendar = \"shop\"\nack", 1);
        let shop = Shop::open(
            plan.rules("_desk.toml", &desk)
                .rules("_calendar.toml", hours)
                .rules("20-handoffs.toml", &handoffs()),
        );
        shop.li_says("normal");
        shop.follower("oHigh").says("high").wait();
        let due = |follower: &str| {
            let known = shop.conversation(follower);
            time(known["answer_due"].as_str().unwrap())
        };
        // Half an hour on Friday, and the rest on Monday; but WeChat lets nobody answer then.
        assert_eq!(due(LI), time("2026-06-07T17:25:00+08:00"));
        assert_eq!(due("oHigh"), time("2026-06-05T18:00:00+08:00"));
        shop.passes(MINUTE * 30);
        told.hears_of("two", "breach", &["breach 过了答应的时间还没回:要人"]);
    }
}

mod that_the_window_shuts {
    use super::*;

    const SHUTS_AFTER: Duration = Duration::from_secs(48 * 3600 - 300);

    fn warning(left: &str) -> String {
        format!("window 微信的回复时限还剩不到 {left}:没有规则回答")
    }

    #[test]
    fn six_hours_one_hour_and_a_quarter_before_to_the_owner() {
        let (told, shop) = says(CALM, "能带狗吗");
        shop.act(&shop.token("lili", "agent"), "claim", None);
        shop.passes(SHUTS_AFTER - HOUR * 6 - SECOND);
        told.is_quiet(&shop);
        let mut heard = Vec::new();
        for (passes, left) in [
            (SECOND, "6 小时"),
            (HOUR * 5, "1 小时"),
            (MINUTE * 45, "15 分钟"),
        ] {
            shop.passes(passes);
            heard.push(warning(left));
            let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
            told.hears("one", &heard);
            shop.passes(SECOND * 10);
            eventually("to whom", || {
                let read = told.group();
                read.iter()
                    .any(|text| text.contains(left) && text.contains("请 token:lili 看"))
            });
            shop.clock.step_back(SECOND * 10);
        }
        assert_eq!(told.on("two"), Vec::<String>::new());
    }

    #[test]
    fn once_for_all_that_were_missed_while_the_server_was_away() {
        let (told, mut shop) = says(CALM, "能带狗吗");
        shop.restart(SHUTS_AFTER - MINUTE * 30);
        let late = format!("{}{LATE}", warning("1 小时"));
        told.hears("one", &[&late]);
        shop.restart(MINUTE * 15);
        told.hears("one", &[&late, &warning("15 分钟")]);
    }

    #[test]
    fn not_after_it_was_answered_and_anew_when_the_follower_writes() {
        let (told, shop) = says(CALM, "能带狗吗");
        let lili = shop.token("lili", "agent");
        shop.replies(&lili, "可以。");
        shop.becomes("follower");
        shop.act(&lili, "claim", None);
        shop.passes(SHUTS_AFTER - HOUR);
        shop.li_says("在吗");
        shop.passes(SHUTS_AFTER - HOUR * 6);
        told.hears(
            "one",
            &["window 微信的回复时限还剩不到 6 小时:没有规则回答"],
        );
    }

    #[test]
    fn not_where_nothing_can_be_pushed_anyway() {
        let told = Told::tiers();
        let plan = Plan {
            has_secret: false,
            ..told.plan(CALM, "")
        };
        let shop = Shop::open(plan);
        shop.li_says("能带狗吗");
        shop.passes(SHUTS_AFTER - MINUTE);
        let version = shop.conversation(LI)["version"].clone();
        shop.passes(MINUTE * 2);
        shop.becomes("closed");
        told.is_quiet(&shop);
        assert_eq!(texts(&told, "one", "时限还剩"), Vec::<String>::new());
        assert!(version.as_u64().is_some());
    }

    #[test]
    fn as_missed_to_the_lead_over_a_restart_too() {
        for is_away in [false, true] {
            let (told, mut shop) = says(CALM, "能带狗吗");
            if is_away {
                shop.restart(HOUR * 48);
            } else {
                shop.passes(HOUR * 48);
            }
            shop.becomes("closed");
            eventually("missed", || !texts(&told, "two", "已经错过").is_empty());
            told.is_quiet_but_the_group(&shop);
            let mark = LATE;
            let line = format!("window 48 小时内没有人回,已经错过:没有规则回答{mark}");
            assert_eq!(texts(&told, "two", "已经错过"), [line], "{is_away}");
        }
    }
}

mod at_closing_time {
    use super::*;

    const LOST: &str = "window 1 个会话的回复时限在下次上班前就到了";

    /// Li has asked on a Friday at this time.
    fn friday(starts: &'static str) -> (Told, Shop) {
        let told = Told::tiers();
        let plan = Plan {
            starts,
            ..told.plan(CALM, "")
        };
        let desk = plan.rules["_desk.toml"].replacen("ack", "calendar = \"shop\"\nack", 1);
        let hours = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";
        let plan = plan
            .rules("_desk.toml", &desk)
            .rules("_calendar.toml", hours);
        let shop = Shop::open(plan);
        shop.li_says("能带狗吗");
        (told, shop)
    }

    #[test]
    fn what_cannot_be_answered_when_we_reopen_is_told_once() {
        let (told, shop) = friday("2026-06-05T17:30:00+08:00");
        shop.passes(MINUTE * 28);
        told.is_quiet(&shop);
        assert_eq!(told.on("one"), Vec::<String>::new());
        shop.passes(MINUTE);
        told.hears("one", &[LOST]);
        shop.passes(HOUR * 12);
        told.is_quiet(&shop);
        assert_eq!(told.on("one"), [LOST]);
    }

    #[test]
    fn what_cannot_be_answered_is_told_when_the_server_was_away_then() {
        let (told, mut shop) = friday("2026-06-05T17:30:00+08:00");
        shop.restart(HOUR);
        let late = format!("{LOST}{LATE}");
        told.hears("one", &[&late]);
        shop.restart(HOUR);
        told.is_quiet(&shop);
        assert_eq!(told.on("one"), [late]);
    }

    #[test]
    fn what_can_be_answered_tomorrow_is_not_told() {
        let (told, shop) = friday("2026-06-04T17:30:00+08:00");
        // What is put off until closing time says that it has come.
        let until = json!({ "until": "2026-06-04T18:00:00+08:00" });
        shop.act(TOKEN, "snooze", Some(&until));
        shop.passes(MINUTE * 30);
        shop.becomes("waiting");
        // The day after, at the same time, it is.
        shop.passes(HOUR * 24);
        told.hears("one", &[LOST]);
    }
}
