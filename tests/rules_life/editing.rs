//! Edits the files of a running server, well and badly.

use std::fs;

use super::{
    FILE, LI, answer, codes, directory, read, revisions, rule, until, until_live, world, write,
};
use crate::support::api::call;

#[test]
fn an_edit_is_answered_from_without_a_restart_and_every_reply_names_its_revision() {
    let world = world();
    assert!(answer(&world, "营业时间").contains("十点"));
    write(&world, FILE, &rule("opening", "营业时间", "九点"));
    let rules = until_live(&world, 2);
    assert_eq!(rules["files"][0]["rules"], 1);
    assert!(answer(&world, "营业时间").contains("九点"));
    let conversation = world.conversation(LI);
    let path = format!("/conversations/{}", conversation["id"].as_str().unwrap());
    let shown = world.api("GET", &path, None).json();
    let replies: Vec<_> = shown["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["by"] == "rule")
        .map(|message| (message["rule"].clone(), message["revision"].clone()))
        .collect();
    assert_eq!(
        replies,
        [("hours".into(), 1.into()), ("opening".into(), 2.into())]
    );
    assert_eq!(revisions(&world), (vec![2, 1], Some(2)));
}

#[test]
fn a_broken_file_keeps_the_old_set_and_shows() {
    let world = world();
    let good = read(&world, FILE);
    write(
        &world,
        FILE,
        "[[rule]]\nid = \"hours\"\nanny = [\"营业时间\"]\nreply = \"九点\"\n",
    );
    until(&world, |rules| rules["state"] == "broken");
    let rules = call(&world, "get", "/rules", "/rules", None, 200).json();
    assert_eq!(
        (&rules["revision"], &rules["files"][0]["path"]),
        (&1.into(), &FILE.into())
    );
    assert_eq!(rules["files"][0]["diagnostics"][0]["line"], 3);
    assert!(
        rules["problem"]
            .as_str()
            .unwrap()
            .contains("revision 1 runs")
    );
    assert!(answer(&world, "营业时间").contains("十点"));
    let ready = world.request("GET", "/readyz", &[], b"");
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (200, Some("degraded"))
    );
    let metrics = world.request("GET", "/metrics", &[], b"").text().to_owned();
    assert!(
        metrics.contains("wxreply_rules_broken_files 1"),
        "{metrics}"
    );
    assert!(metrics.contains("wxreply_rules_loaded 1"), "{metrics}");

    write(&world, FILE, &good);
    until_live(&world, 1);
    assert_eq!(
        revisions(&world),
        (vec![1], Some(1)),
        "the same again is no new revision"
    );
    let ready = world.request("GET", "/readyz", &[], b"");
    assert_eq!(ready.json()["status"], "ready");
    let metrics = world.request("GET", "/metrics", &[], b"").text().to_owned();
    assert!(
        metrics.contains("wxreply_rules_broken_files 0"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("wxreply_rules_reload_success_timestamp_seconds 0"),
        "{metrics}"
    );
}

#[test]
fn a_half_written_file_never_runs() {
    let world = world();
    let text = rule("hours", "营业时间", "九点") + &rule("parking", "停车", "有车位");
    let half = text.len() - 12;
    fs::write(
        world.path().join("rules").join(FILE),
        &text.as_bytes()[..half],
    )
    .unwrap();
    until(&world, |rules| rules["state"] == "broken");
    assert!(answer(&world, "营业时间").contains("十点"));
    write(&world, FILE, &text);
    until_live(&world, 2);
    assert!(answer(&world, "停车").contains("有车位"));
}

#[test]
fn a_set_whose_own_test_fails_never_runs() {
    let world = world();
    let text =
        rule("hours", "营业时间", "九点") + "tests = [{ say = \"停车\", expect = \"hours\" }]\n";
    write(&world, FILE, &text);
    let rules = until(&world, |rules| rules["state"] == "broken");
    assert_eq!(codes(&rules), ["E107"]);
    assert!(answer(&world, "营业时间").contains("十点"));
}

#[test]
fn a_directory_that_empties_or_goes_away_keeps_the_old_set() {
    let world = world();
    let file = world.path().join("rules").join(FILE);
    let away = world.path().join("away");
    fs::rename(&file, &away).unwrap();
    let rules = until(&world, |rules| rules["state"] == "broken");
    assert_eq!(codes(&rules), ["E120"]);
    assert!(answer(&world, "营业时间").contains("十点"));
    write(&world, "_desk.toml", "allow_empty = true\n");
    until_live(&world, 2);
    assert!(!answer(&world, "营业时间").contains("十点"));

    fs::remove_file(world.path().join("rules/_desk.toml")).unwrap();
    fs::remove_dir(world.path().join("rules")).unwrap();
    let rules = until(&world, |rules| rules["state"] == "broken");
    assert!(
        rules["problem"]
            .as_str()
            .unwrap()
            .contains("cannot be read"),
        "{rules}"
    );
    // Another directory in its place: the kernel's watch is gone with the first one.
    fs::create_dir(world.path().join("rules")).unwrap();
    fs::rename(&away, &file).unwrap();
    until_live(&world, 1);
    assert!(answer(&world, "营业时间").contains("十点"));
}

#[test]
fn what_only_looks_changed_is_left_alone() {
    let world = world();
    let before = directory(&world);
    write(&world, FILE, &read(&world, FILE));
    write(&world, "notes.txt", "no rule file");
    write(&world, ".hidden.toml", "= broken");
    // Something that does change is the sign that the rest was seen.
    write(&world, "20-more.toml", &rule("parking", "停车", "有车位"));
    until_live(&world, 2);
    assert_eq!(directory(&world)["files"].as_array().unwrap().len(), 2);
    fs::remove_file(world.path().join("rules/20-more.toml")).unwrap();
    let after = until_live(&world, 1);
    assert_eq!(after["directory_hash"], before["directory_hash"]);
    assert_eq!(revisions(&world), (vec![2, 1], Some(1)));
}
