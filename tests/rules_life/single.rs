//! Edits single rules over the API and leaves the rest of their files alone.

use serde_json::{Value, json};

use super::{FILE, answer, read, rule, until_live, world, write};
use crate::support::api::{call, is_problem};
use crate::support::{Answer, World};

const TEXT: &str = "# 常见问题\n\n[[rule]]\nid    = \"hours\"   # 别改\nany   = [\"营业时间\"]\nreply = \"十点\"\n\n\n# 停车\n[[rule]]\nid = \"parking\"\nany = [\"停车\"]\nreply = \"没有\"\n";

fn rule_call(world: &World, method: &str, path: &str, body: Option<&Value>, status: u16) -> Answer {
    call(world, method, "/rules/{id}", path, body, status)
}

fn shown(world: &World, id: &str) -> Value {
    rule_call(world, "get", &format!("/rules/{id}"), None, 200).json()
}

#[test]
fn a_rule_is_shown_edited_added_and_removed() {
    let world = world();
    write(&world, FILE, TEXT);
    until_live(&world, 2);
    let parking = shown(&world, "parking");
    assert_eq!(
        (&parking["file"], &parking["line"]),
        (&FILE.into(), &10.into())
    );
    assert_eq!(
        parking["toml"],
        "[[rule]]\nid = \"parking\"\nany = [\"停车\"]\nreply = \"没有\""
    );

    let edit =
        json!({"hash": shown(&world, "hours")["hash"], "set": {"reply": "九点", "priority": 1}});
    assert_eq!(
        rule_call(&world, "patch", "/rules/hours", Some(&edit), 200).json()["revision"],
        3
    );
    let edited = TEXT.replace("\"十点\"", "\"九点\"\npriority = 1");
    assert_eq!(read(&world, FILE), edited);
    assert!(answer(&world, "营业时间").contains("九点"));

    let edit = json!({"hash": shown(&world, "parking")["hash"], "toml": rule("parking", "停车", "有车位"), "author": "小王"});
    rule_call(&world, "patch", "/rules/parking", Some(&edit), 200);
    assert_eq!(read(&world, FILE), edited.replace("没有", "有车位"));

    let new = json!({"file": "30-new.toml", "toml": rule("wifi", "无线", "密码在墙上")});
    call(&world, "post", "/rules", "/rules", Some(&new), 200);
    assert!(answer(&world, "无线").contains("墙上"));
    let hash = shown(&world, "parking")["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    rule_call(
        &world,
        "delete",
        &format!("/rules/parking?hash={hash}"),
        None,
        200,
    );
    assert_eq!(
        read(&world, FILE),
        edited.split("\n\n# 停车").next().unwrap()
    );
    let listed = world.api("GET", "/rules/revisions", None).json();
    assert_eq!(listed["revisions"][2]["author"], "小王 (token:env)");
}

#[test]
fn an_edit_of_a_file_that_changed_underneath_is_refused_with_both_changes() {
    let world = world();
    write(&world, FILE, TEXT);
    until_live(&world, 2);
    let hash = shown(&world, "hours")["hash"].clone();
    let theirs = TEXT.replace("没有", "有车位");
    write(&world, FILE, &theirs);
    let edit = json!({"hash": hash, "set": {"reply": "九点"}});
    let refused = rule_call(&world, "patch", "/rules/hours", Some(&edit), 409);
    is_problem(&refused, 409, "changed");
    let file = refused.json()["files"][0].clone();
    assert_eq!(file["merged"], theirs.replace("十点", "九点"), "{file:#}");
    assert!(
        file["theirs"]
            .as_str()
            .unwrap()
            .contains("+reply = \"有车位\"")
    );
    assert_eq!(read(&world, FILE), theirs);

    // Somebody else removed the rule: still a conflict, not a rule that never was.
    write(&world, FILE, theirs.split("\n\n# 停车").next().unwrap());
    let hash = json!({"hash": hash, "set": {"reply": "满了"}});
    let refused = rule_call(&world, "patch", "/rules/parking", Some(&hash), 409).json();
    assert_eq!(refused["files"][0]["conflicts"], 1, "{refused:#}");
    is_problem(
        &rule_call(&world, "get", "/rules/parking", None, 404),
        404,
        "not-found",
    );
}

#[test]
fn a_bad_edit_is_refused_and_nothing_is_written() {
    let world = world();
    let before = read(&world, FILE);
    let hash = shown(&world, "hours")["hash"].clone();
    for (edit, status, code) in [
        (
            json!({"hash": hash, "set": {"replay": "x"}}),
            422,
            "bad-rules",
        ),
        (json!({"hash": hash, "unset": ["reply"]}), 422, "bad-rules"),
        (
            json!({"hash": hash, "set": {"reply": null}}),
            422,
            "bad-edit",
        ),
        (json!({"hash": hash, "toml": "[[rule]"}), 422, "bad-edit"),
        (
            json!({"hash": hash, "toml": rule("a", "b", "c") + &rule("d", "e", "f")}),
            422,
            "bad-edit",
        ),
        (
            json!({"hash": hash, "toml": rule("a", "b", "c"), "unset": ["x"]}),
            400,
            "bad-request",
        ),
        (json!({"hash": "x", "unset": ["x"]}), 400, "bad-request"),
        (json!({"unset": ["x"]}), 400, "bad-request"),
    ] {
        is_problem(
            &rule_call(&world, "patch", "/rules/hours", Some(&edit), status),
            status,
            code,
        );
    }
    let edit = json!({"hash": hash, "unset": ["title"]});
    is_problem(
        &rule_call(&world, "patch", "/rules/nobody", Some(&edit), 404),
        404,
        "not-found",
    );
    is_problem(
        &rule_call(&world, "delete", "/rules/hours", None, 422),
        422,
        "bad-rules",
    );
    for file in ["x.txt", "tables/x.csv", "../x.toml"] {
        let new = json!({"file": file, "toml": rule("a", "b", "c")});
        is_problem(
            &call(&world, "post", "/rules", "/rules", Some(&new), 400),
            400,
            "bad-request",
        );
    }
    let twice = json!({"file": FILE, "toml": rule("hours", "b", "c")});
    is_problem(
        &call(&world, "post", "/rules", "/rules", Some(&twice), 422),
        422,
        "bad-rules",
    );
    assert_eq!(read(&world, FILE), before);
}

#[test]
fn a_broken_directory_can_be_mended_rule_by_rule() {
    let world = world();
    write(
        &world,
        FILE,
        &TEXT.replace("reply = \"没有\"", "replay = \"没有\""),
    );
    super::until(&world, |rules| rules["state"] == "broken");
    let hash = shown(&world, "parking")["hash"].clone();
    let edit = json!({"hash": hash, "unset": ["replay"], "set": {"reply": "没有"}});
    rule_call(&world, "patch", "/rules/parking", Some(&edit), 200);
    assert_eq!(super::directory(&world)["state"], "live");
    assert_eq!(read(&world, FILE), TEXT);
}
