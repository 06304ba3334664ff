//! Tries messages over the API, on what runs and on drafts.

use serde_json::{Value, json};

use super::{FILE, LI, directory, read, rule, setup, world};
use crate::support::api::{call, id, is_problem};
use crate::support::{Answer, World};

fn tried(world: &World, body: &Value, status: u16) -> Answer {
    call(world, "post", "/try", "/try", Some(body), status)
}

#[test]
fn a_try_says_what_would_be_answered_and_why() {
    let mut setup = setup();
    let events = "[[rule]]\nid = \"table\"\nevent = \"scan\"\nscene = [\"table-*\"]\nreply = \"桌子\"\n\
                  [[rule]]\nid = \"picture\"\nmessage = \"image\"\nreply = \"图片\"\n";
    setup
        .rules
        .insert("05-events.toml".to_owned(), events.to_owned());
    let world = setup.start();
    let answer = tried(
        &world,
        &json!({"account": "shop", "text": "请问營業時間?"}),
        200,
    )
    .json();
    assert_eq!(
        (&answer["decision"], &answer["rule"]),
        (&"reply".into(), &"hours".into())
    );
    assert_eq!(answer["replies"], json!([{"text": "十点"}]));
    assert_eq!(
        answer["candidates"][0]["matched"],
        json!([{"start": 2, "end": 6, "text": "營業時間"}])
    );
    for (asked, rule) in [
        (
            json!({"account": "shop", "event": "scan", "key": "table-5"}),
            "table",
        ),
        (
            json!({"account": "shop", "message": "image", "at": "2026-06-03T04:00:00Z"}),
            "picture",
        ),
    ] {
        assert_eq!(tried(&world, &asked, 200).json()["rule"], rule);
    }
    let uncovered = tried(&world, &json!({"account": "shop", "text": "别的"}), 200).json();
    assert_eq!(
        (&uncovered["decision"], &uncovered["rule"]),
        (&"escalate".into(), &Value::Null)
    );
    assert_eq!(
        world.conversation("try"),
        Value::Null,
        "nothing is remembered"
    );
    let printed = world.run(&["try", "--format", "json", "--account", "shop", "营业时间"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        printed,
        tried(&world, &json!({"account": "shop", "text": "营业时间"}), 200).json()
    );
}

#[test]
fn a_draft_lies_over_what_runs_and_changes_nothing() {
    let world = world();
    let before = (directory(&world), read(&world, FILE));
    let draft = json!({"20-more.toml": rule("parking", "停车", "有车位")});
    let mut body = json!({"account": "plain", "text": "停车", "draft": draft});
    assert_eq!(tried(&world, &body, 200).json()["rule"], "parking");
    body["text"] = "营业时间".into();
    assert_eq!(tried(&world, &body, 200).json()["rule"], "hours");
    body["draft"] = json!({FILE: "[[rule]]\nid = \"hours\"\nanny = [\"x\"]\nreply = \"y\"\n"});
    let refused = tried(&world, &body, 422);
    is_problem(&refused, 422, "bad-rules");
    let remarks = refused.json()["diagnostics"].clone();
    assert!(
        remarks
            .as_array()
            .unwrap()
            .iter()
            .any(|remark| remark["code"] == "E101"),
        "{remarks:#}"
    );
    assert_eq!((directory(&world), read(&world, FILE)), before);
}

#[test]
fn a_known_follower_is_tried_with_what_is_remembered() {
    let world = world();
    world.says("plain", LI, "有人吗");
    let claim = format!("/conversations/{}/claim", id(&world.conversation(LI)));
    world.api("POST", &claim, None);
    let before = world.conversation(LI);
    let decision = |follower: &str| {
        let body = json!({"account": "plain", "text": "营业时间", "follower": follower});
        tried(&world, &body, 200).json()["decision"].clone()
    };
    assert_eq!(decision(LI), "silence", "a person speaks with this one");
    assert_eq!(decision("oNobodyYet"), "reply");
    assert_eq!(world.conversation(LI), before);
}

#[test]
fn bad_questions_are_refused_and_so_is_who_may_not_ask() {
    let world = world();
    for body in [
        json!({"account": "plain"}),
        json!({"text": "x"}),
        json!({"account": "nobody", "text": "x"}),
        json!({"account": "plain", "text": "x", "event": "scan"}),
        json!({"account": "plain", "text": "x", "at": "noon"}),
        json!({"account": "plain", "text": "x", "follower": ""}),
        json!({"account": "plain", "text": "x", "draft": [1]}),
    ] {
        is_problem(&tried(&world, &body, 400), 400, "bad-request");
    }
    let huge = json!({"account": "plain", "text": "x", "draft": {FILE: "#".repeat(1 << 20)}});
    is_problem(&tried(&world, &huge, 413), 413, "too-large");
    let token = |role: &str| {
        let wanted = json!({"name": role, "role": role, "accounts": ["shop"]});
        let made = world.api("POST", "/tokens", Some(&wanted)).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let (viewer, agent) = (token("viewer"), token("agent"));
    let body = json!({"account": "plain", "text": "营业时间"});
    is_problem(
        &world.api_as(&viewer, "POST", "/try", Some(&body)),
        403,
        "forbidden",
    );
    assert_eq!(
        world.api_as(&agent, "POST", "/try", Some(&body)).status,
        200
    );
    let body = json!({"account": "plain", "text": "营业时间", "follower": LI});
    is_problem(
        &world.api_as(&agent, "POST", "/try", Some(&body)),
        403,
        "forbidden",
    );
}
