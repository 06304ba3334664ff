//! Takes what `_desk.toml`, `_crisis.toml` and `_canned.toml` say through the running server.

use serde_json::json;

use super::{Plan, Stand, heard};
use crate::support::api::{call, is_problem};

const RULES: &str = r#"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点开门。"
"#;
const CRISIS: &[u8] = r#"
insults = ["骗子"]
[[crisis]]
tier   = "urgent"
name   = "食品安全"
words  = ["异物"]
except = ["防异物"]
reply  = "人有没有不舒服?"
"#
.as_bytes();
const CANNED: &[u8] = r#"
[[canned]]
id    = "late"
title = "久等"
text  = "{follower.remark}久等了,我是{agent.name}。"
owner = "老陈"
review_by = 2027-06-30
[[canned]]
id       = "cafe"
text     = "咖啡好了。"
accounts = ["cafe"]
"#
.as_bytes();

fn stand(desk: &str) -> Stand {
    Plan {
        rules: RULES,
        files: &[
            ("_desk.toml", desk.as_bytes()),
            ("_crisis.toml", CRISIS),
            ("_canned.toml", CANNED),
        ],
        ..Plan::default()
    }
    .open()
}

#[test]
fn words_of_danger_are_answered_at_once_and_told_to_people() {
    let stand = stand("ack = \"稍等\"\n");
    let li = stand.stranger();
    assert_eq!(heard(&li, "几点能修,吃出異物了"), "人有没有不舒服?");
    assert_eq!(
        stand.called(&li),
        ["waiting", "crisis", "urgent", "食品安全:異物"]
    );
    let history = stand.history(&li);
    assert_eq!(history[1]["by"], "crisis");
    assert_eq!(heard(&li, "异物!"), "", "once in ten minutes");
    assert_eq!(heard(&li, "有人吗"), "", "and no ack behind it");
    assert_eq!(heard(&li, "几点"), "十点开门。");
    assert_eq!(stand.hears("防异物的网几点到"), "十点开门。");

    // Beside a person it is said as well, and the person keeps the conversation.
    let zhao = stand.stranger();
    assert_eq!(heard(&zhao, "有人吗"), "稍等");
    stand.person(&zhao, "claim", None);
    assert_eq!(heard(&zhao, "几点"), "");
    assert_eq!(heard(&zhao, "有异物"), "人有没有不舒服?");
    let known = stand.known(&zhao);
    assert_eq!(
        (known["state"].as_str(), known["priority"].as_str()),
        (Some("assigned"), Some("urgent"))
    );

    let tried = call(
        stand.world(),
        "post",
        "/try",
        "/try",
        Some(&json!({ "account": "shop", "text": "吃出異物" })),
        200,
    )
    .json();
    assert_eq!(
        (tried["decision"].as_str(), tried["step"].as_str()),
        (Some("crisis"), Some("crisis"))
    );
    assert_eq!(
        tried["crisis"],
        json!({
            "tier": "urgent",
            "name": "食品安全",
            "matched": [{ "start": 2, "end": 4, "text": "異物" }]
        })
    );
}

#[test]
fn a_persons_answer_that_waited_goes_before_words_about_danger() {
    let stand = stand("ack = \"稍等\"\n");
    let li = stand.cafe.follower(&super::new_name());
    assert_eq!(heard(&li, "有人吗"), "稍等");
    stand.person(&li, "replies", Some(&json!({ "text": "来了。" })));
    assert_eq!(heard(&li, "有异物"), "来了。\n————\n人有没有不舒服?");
}

#[test]
fn who_asks_for_a_person_gets_there_and_may_take_it_back() {
    let stand = stand("ack = \"叫人来\"\ncancelled = \"好,不找了\"\n");
    let li = stand.stranger();
    assert_eq!(heard(&li, "轉人工!"), "叫人来");
    assert_eq!(stand.called(&li)[..2], ["waiting", "asked"]);
    assert_eq!(heard(&li, "不用了"), "好,不找了");
    assert_eq!(stand.called(&li)[0], "bot");
    // An insult makes it more urgent.
    let zhao = stand.stranger();
    heard(&zhao, "骗子");
    assert_eq!(stand.called(&zhao)[..3], ["waiting", "unmatched", "high"]);
}

#[test]
fn an_ack_says_what_it_is_about_and_by_when() {
    let desk =
        "ack = \"{topic}收到,{promise}。\"\n[sla.normal]\nfirst = \"5m\"\nclock = \"always\"\n";
    let stand = stand(desk);
    let said = stand.hears("能包场吗?");
    assert!(said.starts_with("「能包场吗」收到,"), "{said}");
    assert!(said.ends_with(" 前回你。"), "{said}");
    let li = stand.cafe.follower(&super::new_name());
    assert_eq!(
        heard(&li, "能包场吗?"),
        "「能包场吗」收到,同事回复后,你随便发一个字就能看到。"
    );
}

#[test]
fn the_desk_calendar_and_a_closed_desk_word_the_ack() {
    let never = "[calendar.never]\nopen = [\"2020-01-01 10:00-11:00\"]\n";
    let desk = "calendar = \"never\"\nack = \"马上看\"\nack_off = \"没人在,{promise}\"\n[sla.normal]\nfirst = \"5m\"\nclock = \"always\"\n";
    let stand = Plan {
        rules: RULES,
        files: &[
            ("_desk.toml", desk.as_bytes()),
            ("_calendar.toml", never.as_bytes()),
        ],
        ..Plan::default()
    }
    .open();
    let said = stand.hears("在吗");
    assert!(
        said.starts_with("没人在,") && said.ends_with(" 前回你"),
        "{said}"
    );
}

#[test]
fn canned_answers_are_listed_for_who_reaches_the_account() {
    let stand = stand("ack = \"稍等\"\n");
    let list = |query: &str| {
        let path = format!("/canned{query}");
        call(stand.world(), "get", "/canned", &path, None, 200).json()
    };
    assert_eq!(
        list("?account=shop"),
        json!({ "canned": [{
            "id": "late",
            "title": "久等",
            "text": "{follower.remark}久等了,我是{agent.name}。",
            "accounts": [],
            "owner": "老陈",
            "review_by": "2027-06-30",
        }] })
    );
    let ids = |listed: serde_json::Value| -> Vec<String> {
        let canned = listed["canned"].as_array().unwrap().clone();
        let ids = canned
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    assert_eq!(ids(list("")), ["late", "cafe"]);
    assert_eq!(ids(list("?account=cafe")), ["late", "cafe"]);
    call(
        stand.world(),
        "get",
        "/canned",
        "/canned?account=nobody",
        None,
        400,
    );

    let body = json!({ "name": "screen", "role": "viewer", "accounts": ["shop"] });
    let made = call(
        stand.world(),
        "post",
        "/tokens",
        "/tokens",
        Some(&body),
        201,
    );
    let token = made.json()["secret"].as_str().unwrap().to_owned();
    let own = stand.world().api_as(&token, "GET", "/canned", None);
    assert_eq!(
        ids(own.json()),
        ["late"],
        "a narrow token sees its accounts'"
    );
    let other = stand
        .world()
        .api_as(&token, "GET", "/canned?account=cafe", None);
    is_problem(&other, 403, "forbidden");
    let nobody = stand.world().request("GET", "/api/v1/canned", &[], b"");
    is_problem(&nobody, 401, "unauthorized");
}
