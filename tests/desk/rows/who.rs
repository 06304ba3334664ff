//! Holds every verb against who may use it: viewers, agents, owners, leads, admins, and those of other accounts.

use serde_json::{Value, json};

use super::*;

/// What changes a conversation that somebody else owns.
fn owners_verbs() -> Vec<(&'static str, Value)> {
    vec![
        ("claim", json!({})),
        ("release", json!({})),
        ("handback", json!({})),
        ("close", json!({ "outcome": "solved" })),
        ("snooze", json!({ "until": "2026-06-03T15:00:00+08:00" })),
        ("priority", json!({ "priority": "high" })),
        ("replies", json!({ "text": "我来" })),
        ("elsewhere", json!({ "text": "打了电话" })),
        ("desk", json!({})),
    ]
}

/// What anybody may add.
fn everybodys_verbs() -> Vec<(&'static str, Value)> {
    vec![
        ("notes", json!({ "text": "老客" })),
        ("tags", json!({ "tags": ["老客"] })),
        ("remark", json!({ "remark": "李姐" })),
        ("acknowledge", json!({})),
        ("presence", json!({ "typing": false })),
    ]
}

fn all_verbs() -> Vec<(&'static str, Value)> {
    let mut all = owners_verbs();
    all.push(("assign", json!({ "agent": "token:lili", "reason": "忙" })));
    all.extend(everybodys_verbs());
    all
}

/// Nothing but this has changed.
fn unchanged(shop: &Shop, before: &Value) {
    assert_eq!(&shop.conversation(LI), before);
}

#[test]
fn a_viewer_sees_and_does_nothing() {
    let (shop, _) = assigned();
    let screen = shop.user("screen", "viewer", &json!({}));
    let before = shop.conversation(LI);
    for (verb, body) in all_verbs() {
        let refused = shop.tries(&screen, verb, Some(&body));
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (403, &json!("forbidden")),
            "{verb}"
        );
    }
    unchanged(&shop, &before);
    let seen = shop.call(
        &screen,
        "GET",
        &format!("/conversations/{}", shop.id(LI)),
        None,
    );
    assert_eq!(seen.status, 200);
}

#[test]
fn an_agent_only_adds_to_what_a_colleague_has() {
    let (shop, _) = assigned();
    let wang = shop.user("wang", "agent", &json!({}));
    let before = shop.conversation(LI);
    for (verb, body) in owners_verbs() {
        let refused = shop.tries(&wang, verb, Some(&body));
        let said = refused.json();
        assert_eq!(
            (refused.status, &said["code"], &said["owner"]),
            (409, &json!("owned"), &json!("token:lili")),
            "{verb}"
        );
    }
    // Saying that one acts as a lead makes nobody one.
    for verb in ["release", "handback", "close", "snooze", "priority"] {
        let body = owners_verbs()
            .into_iter()
            .find(|(one, _)| *one == verb)
            .unwrap()
            .1;
        let refused = shop.tries(&wang, &format!("{verb}?as_lead=true"), Some(&body));
        assert_eq!(refused.status, 409, "{verb}");
    }
    for to in ["wang", "token:lili"] {
        let give = json!({ "agent": to, "reason": "忙" });
        let refused = shop.tries(&wang, "assign", Some(&give));
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (403, &json!("needs-lead")),
            "{to}"
        );
    }
    unchanged(&shop, &before);
    for (verb, body) in everybodys_verbs() {
        let done = shop.tries(&wang, verb, Some(&body));
        assert!((200..300).contains(&done.status), "{verb}: {}", done.text());
        assert_eq!(
            (shop.state(LI), owner(&shop)),
            ("assigned".into(), json!("token:lili")),
            "{verb}"
        );
    }
}

#[test]
fn a_lead_and_an_admin_act_over_the_owner_when_they_say_so() {
    for more in [
        json!({ "role": "agent", "lead": true }),
        json!({ "role": "admin" }),
    ] {
        for verb in ["release", "handback", "close", "snooze", "priority"] {
            let (shop, _) = assigned();
            let chief = shop.user("chief", more["role"].as_str().unwrap(), &more);
            let body = owners_verbs()
                .into_iter()
                .find(|(one, _)| *one == verb)
                .unwrap()
                .1;
            let by_the_way = shop.tries(&chief, verb, Some(&body));
            assert_eq!(by_the_way.status, 409, "{verb}");
            shop.act(&chief, &format!("{verb}?as_lead=true"), Some(&body));
            let kept = ["snooze", "priority"].contains(&verb);
            assert_eq!(
                owner(&shop),
                if kept {
                    json!("token:lili")
                } else {
                    json!(null)
                },
                "{verb}"
            );
            // Whose words they are must be true: nobody answers in a colleague's conversation.
            if kept {
                let refused = shop.tries(
                    &chief,
                    "replies?as_lead=true",
                    Some(&json!({ "text": "我来" })),
                );
                assert_eq!(refused.status, 409);
            }
        }
    }
}

#[test]
fn an_owner_gives_it_to_a_colleague_and_that_colleague_answers() {
    let (shop, lili) = assigned();
    let wang = shop.user("wang", "agent", &json!({}));
    shop.act(&lili, "assign", Some(&json!({ "agent": "wang" })));
    assert_eq!(owner(&shop), "wang");
    assert_eq!(
        shop.history(LI).pop().unwrap(),
        "agent note 转给 wang received"
    );
    assert_eq!(
        shop.tries(&lili, "replies", Some(&json!({ "text": "我来" })))
            .status,
        409
    );
    shop.replies(&wang, "好的");
}

#[test]
fn who_does_not_reach_the_account_finds_nothing() {
    let other = "[account.other]\napp_id = \"wx1123456789abcdef\"\nmode = \"plain\"\ntoken = \"Tok3n-other\"\n";
    let plan = Plan {
        sections: other.to_owned(),
        ..Plan::default()
    };
    let shop = Shop::open(plan.rules("_desk.toml", DESK));
    shop.li_says("能带狗吗");
    let there = json!({ "accounts": ["other"], "lead": true });
    let narrow = shop.user("narrow", "admin", &there);
    let before = shop.conversation(LI);
    for (verb, body) in all_verbs() {
        for verb in [verb.to_owned(), format!("{verb}?as_lead=true")] {
            let refused = shop.tries(&narrow, &verb, Some(&body));
            assert_eq!(
                (refused.status, &refused.json()["code"]),
                (404, &json!("not-found")),
                "{verb}"
            );
        }
    }
    unchanged(&shop, &before);
    let listed = shop.call(&narrow, "GET", "/conversations", None).json();
    assert_eq!(listed["conversations"], json!([]));
    let shown = shop.call(
        &narrow,
        "GET",
        &format!("/conversations/{}", shop.id(LI)),
        None,
    );
    assert_eq!(shown.status, 404);
}

#[test]
fn a_conversation_is_given_only_to_who_can_answer_it() {
    let other = "[account.other]\napp_id = \"wx1123456789abcdef\"\nmode = \"plain\"\ntoken = \"Tok3n-other\"\n";
    let plan = Plan {
        sections: other.to_owned(),
        ..Plan::default()
    };
    let shop = Shop::open(plan.rules("_desk.toml", DESK));
    shop.li_says("能带狗吗");
    shop.user("screen", "viewer", &json!({}));
    shop.user("far", "agent", &json!({ "accounts": ["other"] }));
    shop.user("gone", "agent", &json!({}));
    shop.disable("gone");
    let before = shop.conversation(LI);
    for to in ["nobody", "token:nobody", "screen", "far", "gone", ""] {
        let refused = shop.tries(TOKEN, "assign", Some(&json!({ "agent": to })));
        assert_eq!(refused.status, 400, "{to}: {}", refused.text());
    }
    unchanged(&shop, &before);
    shop.user("near", "agent", &json!({ "accounts": ["shop", "other"] }));
    shop.act(TOKEN, "assign", Some(&json!({ "agent": "near" })));
    assert_eq!(owner(&shop), "near");
}
