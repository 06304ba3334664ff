//! Drives `wxreply rules` against a running server.

use std::fs;

use super::{FILE, answer, directory, read, rule, until, until_live, world, write};
use crate::support::World;

/// Exit status, and what was printed where.
fn run(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let out = world.run(&[&["rules"], arguments].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        out.status.code().unwrap(),
        text(out.stdout),
        text(out.stderr),
    )
}

fn draft(world: &World, files: &[(&str, &str)]) -> String {
    let directory = world.path().join("draft");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    for (name, text) in files {
        fs::write(directory.join(name), text).unwrap();
    }
    directory.to_str().unwrap().to_owned()
}

#[test]
fn a_rule_is_published_looked_at_and_rolled_back_from_the_command_line() {
    let world = world();
    let old = read(&world, FILE);
    let new = rule("hours", "营业时间", "九点");
    let path = draft(&world, &[(FILE, &new)]);
    let (status, out, _) = run(&world, &["publish", &path, "--author", "小王"]);
    assert_eq!((status, out.as_str()), (0, "现在运行版本 2\n"));
    assert!(answer(&world, "营业时间").contains("九点"));
    let (status, out, _) = run(&world, &["history"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(status, 0);
    assert!(
        lines[0].starts_with("* 2\t") && lines[0].contains("小王 (token:cli)"),
        "{out}"
    );
    assert!(
        lines[1].starts_with("  1\t") && lines[1].contains("directory"),
        "{out}"
    );
    let (status, out, _) = run(&world, &["diff", "1"]);
    assert_eq!(status, 0);
    assert!(
        out.contains("-reply = \"十点\"\n+reply = \"九点\""),
        "{out}"
    );
    assert_eq!(run(&world, &["diff", "1", "1"]).1, "");
    assert!(run(&world, &["show", "1"]).1.contains(&old));
    let (_, out, _) = run(&world, &["rollback", "1", "--lang", "en"]);
    assert_eq!(out, "revision 1 runs now\n");
    assert_eq!(read(&world, FILE), old);
    let (_, out, _) = run(&world, &["show", "--lang", "en"]);
    assert!(
        out.contains("revision   1") && out.contains("the directory is what runs"),
        "{out}"
    );
    assert!(run(&world, &["show"]).1.contains("规则目录就是现在运行的"));
}

#[test]
fn a_draft_that_replaces_everything_takes_tables_away_and_leaves_pictures() {
    let world = world();
    for (directory, name, bytes) in [
        ("tables", "stores.csv", &b"city,address\n"[..]),
        ("media", "unused.png", b"\x89PNG\r\n\x1a\n"),
    ] {
        let directory = world.path().join("rules").join(directory);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(name), bytes).unwrap();
    }
    let stores = "[[rule]]\nid = \"stores\"\nregex = ['(?<city>.{2})的店']\ntable = { file = \"tables/stores.csv\", key = \"city\" }\nreply = \"{table.address}\"\n";
    write(&world, "30-stores.toml", stores);
    until(&world, |rules| {
        let files = rules["files"].as_array().unwrap();
        let paths: Vec<_> = files.iter().map(|file| &file["path"]).collect();
        rules["state"] == "live" && paths == [FILE, "30-stores.toml", "media/unused.png"]
    });
    let path = draft(&world, &[(FILE, &rule("hours", "营业时间", "九点"))]);
    let (status, _, err) = run(&world, &["backtest", &path, "--replace"]);
    assert_eq!(status, 0, "{err}");
    let (status, _, err) = run(&world, &["publish", &path, "--replace"]);
    assert_eq!(status, 0, "{err}");
    let is_there = |path: &str| world.path().join("rules").join(path).exists();
    let left = ["30-stores.toml", "tables/stores.csv", "media/unused.png"].map(is_there);
    assert_eq!(left, [false, false, true]);
}

#[test]
fn a_bad_draft_ends_with_1_and_what_cannot_run_with_2() {
    let world = world();
    let path = draft(
        &world,
        &[(
            "20-more.toml",
            "[[rule]]\nid = \"x\"\nanny = [\"y\"]\nreply = \"z\"\n",
        )],
    );
    let (status, out, err) = run(&world, &["publish", &path]);
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(
        err.contains("20-more.toml:3:1") && err.contains("规则有错误"),
        "{err}"
    );
    let (_, _, err) = run(&world, &["publish", &path, "--lang", "en"]);
    assert!(err.contains("error E101: unknown"), "{err}");

    let base = directory(&world)["directory_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    write(&world, FILE, &rule("hours", "营业时间", "九点"));
    until_live(&world, 2);
    let path = draft(&world, &[(FILE, &rule("hours", "营业时间", "八点"))]);
    let (status, _, err) = run(&world, &["publish", &path, "--base", &base]);
    assert_eq!(status, 1);
    assert!(
        err.contains("# 别人的改动") && err.contains("+reply = \"八点\""),
        "{err}"
    );

    write(&world, "20-more.toml", &rule("parking", "停车", "没有"));
    until_live(&world, 3);
    assert_eq!(run(&world, &["publish", &path, "--replace"]).0, 0);
    assert!(!world.path().join("rules/20-more.toml").exists());

    assert_eq!(run(&world, &["rollback", "99"]).0, 2);
    assert_eq!(run(&world, &["show", "99"]).0, 2);
    assert_eq!(run(&world, &["publish", "nowhere"]).0, 2);
    assert_eq!(run(&world, &["publish", &draft(&world, &[])]).0, 2);
    let stopped = world.kill();
    assert_eq!(
        stopped.run(&["rules", "history"]).status.code(),
        Some(2),
        "nobody answers"
    );
}
