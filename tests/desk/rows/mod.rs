//! Walks every row of the two tables of states: what a follower sees in each, and what leads from one to the next.

mod alerts;
mod answers;
mod ends;
mod queue;
mod seen;
mod who;

use serde_json::{Value, json};
use wxreply::model::Reply;
use wxreply::simulator::{Delivered, Rights, Sight};

use super::told::Told;
use super::{LI, Plan, Shop};
use crate::support::TOKEN;

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

/// A rule that hands over to Tencent's own desk, and one for a crisis.
const TENCENT: &str =
    "[[rule]]\nid = \"tencent\"\nexact = [\"找客服\"]\nreplies = [{ desk = {} }]\n";
const CRISIS: &str = "[[crisis]]\ntier = \"urgent\"\nname = \"食品安全\"\nwords = [\"异物\"]\nreply = \"人有没有不舒服?\"\n";

/// The conversation's reason and priority, when it waits.
fn waits_for(shop: &Shop) -> (String, String) {
    assert_eq!(shop.state(LI), "waiting");
    let known = shop.conversation(LI);
    let word = |name: &str| known[name].as_str().unwrap().to_owned();
    (word("reason"), word("priority"))
}

/// Whether WeChat was told that its own desk takes over.
fn is_handed_over(delivered: &Delivered) -> bool {
    let reply = delivered.reply.as_ref().map(|reply| &reply.content);
    matches!(reply, Some(Reply::Transfer { .. }))
}

fn owner(shop: &Shop) -> Value {
    shop.conversation(LI)["owner"].clone()
}

/// Opens a shop where Li's conversation is in some state, and lili may act.
type Brings = dyn Fn() -> (Shop, String);

/// Brings Li's conversation into every state in turn, each in a shop of its own.
fn in_every_state(mut then: impl FnMut(&str, &Shop, &str)) {
    let states: [(&str, &Brings); 8] = [
        ("bot", &|| {
            let (shop, lili) = waiting();
            shop.act(&lili, "handback", None);
            (shop, lili)
        }),
        ("waiting", &waiting),
        ("assigned", &assigned),
        ("follower", &answered),
        ("held", &|| {
            let (shop, lili) = assigned();
            let wanted = json!({ "text": "可以。", "hold": true });
            shop.act(&lili, "replies", Some(&wanted));
            (shop, lili)
        }),
        ("external", &|| {
            let (shop, lili) = waiting();
            shop.follower(LI).is_taken_by("a1@shop").wait();
            (shop, lili)
        }),
        ("snoozed", &|| {
            let (shop, lili) = assigned();
            let until = shop.clock.now().plus(super::HOUR).to_string();
            shop.act(&lili, "snooze", Some(&json!({ "until": until })));
            (shop, lili)
        }),
        ("closed", &|| {
            let (shop, lili) = waiting();
            shop.act(&lili, "close", Some(&json!({ "outcome": "solved" })));
            (shop, lili)
        }),
    ];
    for (state, bring) in states {
        let (shop, lili) = bring();
        assert_eq!(shop.state(LI), state);
        then(state, &shop, &lili);
    }
}
