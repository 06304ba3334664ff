//! Looks at old revisions and brings them back.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::{
    FILE, answer, directory, read, revisions, rule, setup, until, until_live, world, write,
};
use crate::support::World;
use crate::support::api::{call, is_problem};

fn roll_back(world: &World, revision: u64, status: u16) -> crate::support::Answer {
    let wanted = json!({"revision": revision});
    call(
        world,
        "post",
        "/rules/rollback",
        "/rules/rollback",
        Some(&wanted),
        status,
    )
}

fn permit(world: &World, mode: u32) {
    let rules = world.path().join("rules");
    fs::set_permissions(rules, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn revisions_are_shown_and_compared() {
    let world = world();
    write(&world, "20-more.toml", &rule("parking", "停车", "没有"));
    until_live(&world, 2);
    write(&world, FILE, &rule("hours", "营业时间", "九点"));
    until_live(&world, 3);
    let path = "/rules/revisions/2";
    let shown = call(
        &world,
        "get",
        "/rules/revisions/{revision}",
        path,
        None,
        200,
    )
    .json();
    assert_eq!(
        (&shown["active"], &shown["author"]),
        (&false.into(), &"directory".into())
    );
    assert_eq!(shown["files"][1]["text"], rule("parking", "停车", "没有"));
    let template = "/rules/revisions/{from}/diff/{to}";
    let compared = call(
        &world,
        "get",
        template,
        "/rules/revisions/1/diff/directory",
        None,
        200,
    )
    .json();
    let files: Vec<_> = compared["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| {
            (
                file["path"].as_str().unwrap(),
                file["change"].as_str().unwrap(),
                file["added"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(files, [(FILE, "changed", 1), ("20-more.toml", "added", 4)]);
    assert!(
        compared["files"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("-reply = \"十点\"\n+reply = \"九点\"")
    );
    let same = call(
        &world,
        "get",
        template,
        "/rules/revisions/3/diff/directory",
        None,
        200,
    )
    .json();
    assert_eq!(same["files"], json!([]));
    for (template, path) in [
        ("/rules/revisions/{revision}", "/rules/revisions/9"),
        ("/rules/revisions/{revision}", "/rules/revisions/x"),
        (template, "/rules/revisions/1/diff/9"),
        (template, "/rules/revisions/1/diff/here"),
    ] {
        is_problem(
            &call(&world, "get", template, path, None, 404),
            404,
            "not-found",
        );
    }
    is_problem(&roll_back(&world, 9, 404), 404, "not-found");
}

#[test]
fn a_rollback_writes_the_files_back_and_runs_them() {
    let world = world();
    let old = read(&world, FILE);
    write(&world, FILE, &rule("hours", "营业时间", "九点"));
    write(&world, "20-more.toml", &rule("parking", "停车", "没有"));
    write(&world, "notes.txt", "not ours");
    until(&world, |rules| {
        rules["files"].as_array().unwrap().len() == 2 && rules["state"] == "live"
    });
    let done = roll_back(&world, 1, 200).json();
    assert_eq!(
        (&done["revision"], &done["pinned"]),
        (&1.into(), &false.into())
    );
    assert!(answer(&world, "营业时间").contains("十点"));
    assert_eq!(read(&world, FILE), old);
    assert!(!world.path().join("rules/20-more.toml").exists());
    assert_eq!(read(&world, "notes.txt"), "not ours");
    assert_eq!(directory(&world)["state"], "live");
    assert_eq!(revisions(&world).1, Some(1));

    // Over a broken directory, too.
    write(&world, FILE, "= broken");
    until(&world, |rules| rules["state"] == "broken");
    roll_back(&world, 2, 200);
    assert!(answer(&world, "营业时间").contains("九点"));
    assert_eq!(directory(&world)["state"], "live");
}

#[test]
fn on_a_read_only_directory_a_revision_is_pinned_until_the_directory_changes() {
    let world = setup().into_stopped().start_obedient();
    write(&world, FILE, &rule("hours", "营业时间", "九点"));
    until_live(&world, 2);
    permit(&world, 0o555);
    let draft = json!({"files": {FILE: rule("hours", "营业时间", "八点")}});
    let refused = call(
        &world,
        "post",
        "/rules/publish",
        "/rules/publish",
        Some(&draft),
        409,
    );
    is_problem(&refused, 409, "read-only");
    assert_eq!(
        revisions(&world),
        (vec![2, 1], Some(2)),
        "what is not written is not kept"
    );

    let done = roll_back(&world, 1, 200).json();
    assert_eq!(
        (&done["revision"], &done["pinned"]),
        (&1.into(), &true.into())
    );
    assert!(answer(&world, "营业时间").contains("十点"));
    assert!(read(&world, FILE).contains("九点"));
    let rules = call(&world, "get", "/rules", "/rules", None, 200).json();
    assert_eq!(
        (&rules["state"], &rules["revision"]),
        (&"pinned".into(), &1.into())
    );
    let ready = world.request("GET", "/readyz", &[], b"");
    assert_eq!(ready.json()["status"], "ready", "it is meant so");

    // Touched, but not changed: root here may do what the server may not.
    permit(&world, 0o755);
    write(&world, ".sign", "");
    write(&world, FILE, &read(&world, FILE));
    world
        .log
        .wait(|line| line.contains("the revision is pinned"));
    write(&world, "20-more.toml", &rule("parking", "停车", "没有"));
    let rules = until(&world, |rules| rules["state"] == "live");
    assert_eq!(rules["revision"], 3);
    assert!(answer(&world, "营业时间").contains("九点"));
}

#[test]
fn a_revision_that_does_not_compile_any_more_is_not_brought_back() {
    let mut setup = setup();
    let both = rule("hours", "营业时间", "十点") + "accounts = [\"both\"]\n";
    setup.rules.insert(FILE.to_owned(), both);
    let world = setup.start();
    let now = rule("hours", "营业时间", "九点");
    write(&world, FILE, &now);
    until_live(&world, 2);
    let stopped = world.kill();
    let config = stopped.path().join("wxreply.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("account.both", "account.other")).unwrap();
    let world = stopped.start();
    let refused = roll_back(&world, 1, 422);
    is_problem(&refused, 422, "bad-rules");
    assert_eq!(refused.json()["diagnostics"][0]["code"], "E117");
    assert_eq!((read(&world, FILE), revisions(&world).1), (now, Some(2)));
}
