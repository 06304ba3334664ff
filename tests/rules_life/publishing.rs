//! Publishes drafts over the API: good ones, bad ones, late ones.

use serde_json::{Value, json};

use super::{FILE, answer, directory, read, revisions, rule, until_live, world, write};
use crate::support::api::{call, check_against_document, is_problem};
use crate::support::{Answer, World};

fn publish(world: &World, body: &Value, status: u16) -> Answer {
    call(
        world,
        "post",
        "/rules/publish",
        "/rules/publish",
        Some(body),
        status,
    )
}

fn token(world: &World, name: &str, role: &str) -> String {
    let wanted = json!({"name": name, "role": role});
    let made = world.api("POST", "/tokens", Some(&wanted)).json();
    made["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_good_draft_is_written_runs_at_once_and_is_kept_with_its_author() {
    let world = world();
    let base = directory(&world)["directory_hash"].clone();
    let (hours, parking) = (
        rule("hours", "营业时间", "九点"),
        rule("parking", "停车", "有车位"),
    );
    let files = json!({FILE: hours, "20-more.toml": parking});
    let body = json!({"files": files, "base": base, "author": "小王"});
    let done = publish(&world, &body, 200).json();
    assert_eq!(
        (&done["revision"], &done["pinned"]),
        (&2.into(), &false.into())
    );
    assert!(answer(&world, "停车").contains("有车位"));
    assert_eq!(
        (read(&world, FILE), read(&world, "20-more.toml")),
        (hours, parking)
    );
    assert_eq!(directory(&world)["directory_hash"], done["directory_hash"]);

    let gone = json!({"files": {}, "delete": ["20-more.toml"]});
    assert_eq!(publish(&world, &gone, 200).json()["revision"], 3);
    assert!(!world.path().join("rules/20-more.toml").exists());
    assert!(!answer(&world, "停车").contains("有车位"));

    let listed = call(
        &world,
        "get",
        "/rules/revisions",
        "/rules/revisions",
        None,
        200,
    )
    .json();
    let authors: Vec<_> = listed["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| revision["author"].as_str().unwrap())
        .collect();
    assert_eq!(authors, ["token:env", "小王 (token:env)", "directory"]);
    assert_eq!(listed["revisions"][1]["hash"], done["directory_hash"]);
    let names: Vec<_> = std::fs::read_dir(world.path().join("rules"))
        .unwrap()
        .collect();
    assert_eq!(names.len(), 1, "nothing is left behind: {names:?}");
}

#[test]
fn a_bad_draft_is_refused_with_its_diagnostics_and_nothing_is_written() {
    let world = world();
    let before = read(&world, FILE);
    let failing = rule("x", "停车", "y") + "tests = [{ say = \"别的\", expect = \"x\" }]\n";
    for (text, code) in [
        (
            "[[rule]]\nid = \"x\"\nanny = [\"y\"]\nreply = \"z\"\n",
            "E101",
        ),
        (failing.as_str(), "E107"),
    ] {
        let files = json!({FILE: rule("hours", "营业时间", "九点"), "20-more.toml": text});
        let refused = publish(&world, &json!({"files": files}), 422);
        is_problem(&refused, 422, "bad-rules");
        let remarks = refused.json()["diagnostics"].clone();
        let has_it = remarks.as_array().unwrap().iter().any(|remark| {
            (&remark["code"], &remark["file"]) == (&code.into(), &"20-more.toml".into())
        });
        assert!(has_it, "{remarks:#}");
    }
    let empty = publish(&world, &json!({"delete": [FILE]}), 422);
    assert_eq!(empty.json()["diagnostics"][0]["code"], "E120");
    assert_eq!(read(&world, FILE), before);
    assert!(!world.path().join("rules/20-more.toml").exists());
    assert_eq!(revisions(&world), (vec![1], Some(1)));
}

#[test]
fn a_draft_for_a_directory_that_changed_is_refused_with_both_changes() {
    let world = world();
    let text = |hours: &str, parking: &str| {
        rule("hours", "营业时间", hours) + &"\n".repeat(4) + &rule("parking", "停车", parking)
    };
    write(&world, FILE, &text("十点", "没有"));
    let base = until_live(&world, 2)["directory_hash"].clone();
    write(&world, FILE, &text("十点", "有车位"));
    until_live(&world, 3);

    let body = json!({"files": {FILE: text("九点", "没有")}, "base": base});
    let refused = publish(&world, &body, 409);
    is_problem(&refused, 409, "changed");
    let problem = refused.json();
    assert_eq!(
        problem["directory_hash"],
        directory(&world)["directory_hash"]
    );
    let file = &problem["files"][0];
    assert_eq!(
        (&file["path"], &file["conflicts"]),
        (&FILE.into(), &0.into())
    );
    assert!(
        file["theirs"]
            .as_str()
            .unwrap()
            .contains("+reply = \"有车位\""),
        "{file:#}"
    );
    assert!(
        file["yours"]
            .as_str()
            .unwrap()
            .contains("+reply = \"九点\""),
        "{file:#}"
    );
    assert_eq!(file["merged"], text("九点", "有车位"));
    assert_eq!(read(&world, FILE), text("十点", "有车位"));

    // The merge, published for what is there now.
    let body = json!({"files": {FILE: file["merged"]}, "base": problem["directory_hash"]});
    publish(&world, &body, 200);

    // The same line changed on both sides; and a state that nobody kept.
    let body = json!({"files": {FILE: text("八点", "没有")}, "base": base});
    let file = publish(&world, &body, 409).json()["files"][0].clone();
    assert_eq!(file["conflicts"], 1);
    assert!(
        file["merged"].as_str().unwrap().contains("<<<<<<< yours"),
        "{file:#}"
    );
    let body = json!({"files": {FILE: text("八点", "没有")}, "base": "0".repeat(64)});
    let file = publish(&world, &body, 409).json()["files"][0].clone();
    assert_eq!(
        (&file["theirs"], &file["merged"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        file["yours"]
            .as_str()
            .unwrap()
            .contains("-reply = \"九点\""),
        "{file:#}"
    );
}

#[test]
fn only_rule_files_can_be_published_and_only_by_who_may() {
    let world = world();
    let good = rule("x", "y", "z");
    for path in [
        "../x.toml",
        "/x.toml",
        "sub/x.toml",
        "x.txt",
        ".x.toml",
        "media/x.png",
    ] {
        is_problem(
            &publish(&world, &json!({"files": {path: good}}), 400),
            400,
            "bad-request",
        );
    }
    std::os::unix::fs::symlink(
        world.path().join("wxreply.toml"),
        world.path().join("rules/out.toml"),
    )
    .unwrap();
    let refused = publish(&world, &json!({"files": {"out.toml": good}}), 409);
    is_problem(&refused, 409, "unreadable");
    std::fs::remove_file(world.path().join("rules/out.toml")).unwrap();
    for body in [
        json!({"files": {FILE: good}, "base": "beef"}),
        json!({"files": {FILE: good}, "delete": [FILE]}),
        json!({"files": {FILE: good}, "author": "小\n王"}),
        json!({"files": [good]}),
    ] {
        is_problem(&publish(&world, &body, 400), 400, "bad-request");
    }
    let huge = json!({"files": {FILE: format!("# {}\n", "x".repeat(16 << 20))}});
    is_problem(&publish(&world, &huge, 413), 413, "too-large");

    let (agent, operator) = (
        token(&world, "mei", "agent"),
        token(&world, "wang", "operator"),
    );
    let body = json!({"files": {FILE: good}});
    let refused = world.api_as(&agent, "POST", "/rules/publish", Some(&body));
    is_problem(&refused, 403, "forbidden");
    check_against_document(&world, "post", "/rules/publish", &refused);
    assert_eq!(world.api_as(&agent, "GET", "/rules", None).status, 200);
    assert_eq!(
        world
            .api_as(&operator, "POST", "/rules/publish", Some(&body))
            .status,
        200
    );
    let listed = world.api("GET", "/rules/revisions", None).json();
    assert_eq!(listed["revisions"][0]["author"], "token:wang");
}

#[test]
fn tables_are_published_watched_and_rolled_back_and_pictures_stay() {
    let world = world();
    let stores = "[[rule]]\nid = \"stores\"\nregex = ['(?<city>.{2})的店']\ntable = { file = \"tables/stores.csv\", key = \"city\" }\nreply = \"{table.address}\"\n";
    let table = "city,address\n北京,东单\n";
    let body = json!({"files": {"30-stores.toml": stores, "tables/stores.csv": table}});
    assert_eq!(publish(&world, &body, 200).json()["revision"], 2);
    assert!(answer(&world, "北京的店").contains("东单"));
    write(&world, "tables/stores.csv", "city,address\n北京,西单\n");
    until_live(&world, 3);
    assert!(answer(&world, "北京的店").contains("西单"));

    std::fs::create_dir(world.path().join("rules/media")).unwrap();
    std::fs::write(
        world.path().join("rules/media/map.png"),
        b"\x89PNG\r\n\x1a\n\xff",
    )
    .unwrap();
    until_live(&world, 4);
    let shown = world.api("GET", "/rules/revisions/4", None).json();
    let picture = shown["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["path"] == "media/map.png");
    assert_eq!(
        (&picture.unwrap()["text"], &picture.unwrap()["bytes"]),
        (&Value::Null, &9.into())
    );
    let compared = world.api("GET", "/rules/revisions/3/diff/4", None).json();
    assert_eq!(
        (&compared["files"][0]["path"], &compared["files"][0]["diff"]),
        (&"media/map.png".into(), &Value::Null)
    );

    let back = json!({"revision": 1});
    assert_eq!(
        world.api("POST", "/rules/rollback", Some(&back)).status,
        200
    );
    assert!(!world.path().join("rules/tables/stores.csv").exists());
    assert!(world.path().join("rules/media/map.png").exists());
    assert!(!answer(&world, "北京的店").contains("单"));
    assert_eq!(directory(&world)["state"], "live");
}
