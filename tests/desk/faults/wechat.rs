//! Answers people through an API that is slow, wrong or gone.

use std::time::Duration;

use serde_json::{Value, json};
use wxreply::simulator::{Fault, Times};

use crate::desk::told::Told;
use crate::desk::{HOUR, LI, MINUTE, Shop, eventually};

const SEND: &str = "/cgi-bin/message/custom/send";
const DESK: &str = "ack = \"收到。\"\nclaim_timeout = \"10m\"\n";
const SECOND: Duration = Duration::from_secs(1);

/// A shop where lili has Li, and those who hear of it.
fn assigned() -> (Told, Shop, String) {
    let told = Told::tiers();
    let shop = Shop::open(told.plan(DESK, ""));
    shop.li_says("能带狗吗");
    told.hears("one", &["escalated 没有规则回答"]);
    let lili = shop.token("lili", "agent");
    shop.act(&lili, "claim", None);
    (told, shop, lili)
}

fn last(shop: &Shop) -> String {
    shop.history(LI).pop().unwrap()
}

fn arrived(shop: &Shop) -> usize {
    shop.account.pushed().len()
}

/// It is owed again from now on: told when the promise is over, back in the queue when its owner gives no sign.
fn is_owed_again(told: &Told, shop: &Shop, lili: &str) {
    let known = shop.conversation(LI);
    assert_eq!(
        (&known["state"], &known["owner"]),
        (&json!("assigned"), &json!("token:lili"))
    );
    assert_eq!(known["asked_at"], json!(shop.clock.now().to_string()));
    assert_ne!(known["answer_due"], json!(null));
    for _ in 0..12 {
        shop.passes(MINUTE * 10 - SECOND);
        shop.act(lili, "notes", Some(&json!({ "text": "在查" })));
    }
    shop.passes(SECOND * 12);
    told.hears_of(
        "two",
        "breach",
        &["breach 过了答应的时间还没回:没有规则回答"],
    );
    shop.passes(MINUTE * 10);
    shop.becomes("waiting");
    told.hears_of(
        "one",
        "escalated",
        &["escalated 没有规则回答", "escalated 没有规则回答"],
    );
}

#[test]
fn slow_an_answer_on_its_way_is_a_sign_of_its_author() {
    let (_told, shop, lili) = assigned();
    shop.wechat.breaks(
        SEND,
        Fault::Slow(Duration::from_millis(700)),
        Times::Next(1),
    );
    let message = shop.replies(&lili, "可以。");
    assert_eq!(message["delivery"], "queued");
    assert_eq!(shop.state(LI), "assigned");
    shop.passes(MINUTE * 20);
    shop.becomes("follower");
    assert_eq!(last(&shop), "agent text 可以。 sent");
    assert_eq!(shop.conversation(LI)["owner"], "token:lili");
    assert_eq!(arrived(&shop), 1);
}

#[test]
fn what_may_or_may_not_have_arrived_is_owed_again_and_not_sent_again() {
    let faults = [
        (Fault::Status(502), 0),
        (Fault::BrokenJson, 1),
        (Fault::HalfAnswer, 1),
        (Fault::NoAnswer, 1),
    ];
    for (fault, seen) in faults {
        let (told, shop, lili) = assigned();
        shop.wechat.breaks(SEND, fault.clone(), Times::Next(1));
        shop.passes(MINUTE);
        assert_eq!(
            shop.replies(&lili, "可以。")["delivery"],
            "queued",
            "{fault:?}"
        );
        eventually("the end of the attempt", || {
            last(&shop) == "agent text 可以。 unknown"
        });
        let shown = shop.api("GET", &format!("/conversations/{}", shop.id(LI)), None);
        let lines: Value = shown.json()["messages"].clone();
        let error = &lines.as_array().unwrap().last().unwrap()["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        is_owed_again(&told, &shop, &lili);
        assert_eq!(arrived(&shop), seen, "{fault:?}");
    }
}

#[test]
fn what_wechat_refused_for_good_is_owed_again() {
    let (told, shop, lili) = assigned();
    shop.wechat.breaks(SEND, Fault::Code(40003), Times::Next(1));
    shop.replies(&lili, "可以。");
    eventually("the end of the attempt", || {
        last(&shop) == "agent text 可以。 failed"
    });
    is_owed_again(&told, &shop, &lili);
    assert_eq!(arrived(&shop), 0);
}

#[test]
fn gone_for_an_hour_what_was_answered_waits_in_order_over_a_restart_too() {
    for restarts in [false, true] {
        let (told, mut shop, lili) = assigned();
        shop.wechat.goes_offline();
        for text in ["一", "二", "三"] {
            assert_eq!(shop.replies(&lili, text)["delivery"], "queued");
        }
        for _ in 0..6 {
            shop.passes(MINUTE * 10);
            // Followers are answered as if nothing were; nobody has to hold on to what is answered.
            let other = shop.follower("oOther").says("几点开门").wait();
            assert_eq!(other.text(), Some("十点开门。"));
        }
        assert_eq!(
            (shop.state(LI), shop.conversation(LI)["owner"].clone()),
            ("assigned".into(), json!("token:lili"))
        );
        if restarts {
            shop.restart(SECOND);
        }
        shop.wechat.comes_back().unwrap();
        eventually("all of it", || {
            shop.passes(SECOND);
            arrived(&shop) == 3
        });
        shop.becomes("follower");
        let texts: Vec<_> = shop
            .account
            .pushed()
            .iter()
            .map(|one| one.text().unwrap().to_owned())
            .collect();
        assert_eq!(texts, ["一", "二", "三"]);
        assert!(
            shop.history(LI)[2..]
                .iter()
                .all(|line| line.ends_with(" sent")),
            "{:?}",
            shop.history(LI)
        );
        told.is_quiet(&shop);
        assert_eq!(told.on("two"), Vec::<String>::new(), "it was answered");
    }
}

#[test]
fn gone_until_the_window_is_over_what_was_answered_is_given_at_the_next_visit() {
    let (_told, shop, lili) = assigned();
    shop.wechat.goes_offline();
    shop.replies(&lili, "可以。");
    for _ in 0..49 {
        shop.passes(HOUR);
        shop.state(LI);
    }
    shop.becomes("held");
    assert_eq!(last(&shop), "agent text 可以。 held");
    shop.wechat.comes_back().unwrap();
    assert_eq!(
        shop.li_says("几点开门").text(),
        Some("可以。\n————\n十点开门。")
    );
    assert_eq!(arrived(&shop), 0);
}
