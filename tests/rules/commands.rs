//! Drives `check` and `try` as an operator does.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use wxreply::rules::read_directory;

use super::rule;

fn wxreply(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wxreply"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn shipped(arguments: &[&str]) -> (i32, String) {
    let output = wxreply(Path::new(env!("CARGO_MANIFEST_DIR")), arguments);
    let shown =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), shown)
}

#[test]
fn the_shipped_rules_are_clean_and_show_every_kind() {
    let (code, shown) = shipped(&["check", "rules", "--deny-warnings"]);
    assert_eq!(code, 0, "{shown}");
    let (_, json) = shipped(&["check", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&report["errors"], &report["hints"]),
        (&0.into(), &0.into())
    );
    let text: String = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for key in [
        "exact",
        "any",
        "all",
        "none",
        "regex",
        "message",
        "event",
        "scene",
        "menu_key",
        "priority",
        "enabled",
        "reply",
        "image",
        "voice",
        "fallback",
        "owner",
        "note",
        "source",
        "review_by",
        "news",
    ] {
        let is_there = text.lines().any(|line| {
            line.split_once('=')
                .is_some_and(|(before, _)| before.trim() == key)
        });
        assert!(is_there, "{key} is not shown");
    }
    for inline in ["video    = {", "music    = {", "desk = {}"] {
        assert!(text.contains(inline), "{inline}");
    }
}

#[test]
fn trying_the_shipped_rules_prints_the_whole_decision() {
    let mut shown = String::new();
    for arguments in [
        &["try", "外卖能退款吗"][..],
        &["try", "臺北市的分店在哪?", "--format", "json"],
        &["try", "退款没到账,我要投诉"],
        &["try", "叫店长来", "--lang", "en"],
        &["try", "--event", "scan", "--key", "table-5"],
        &["try", "--event", "menu", "--key", "MAP", "--lang", "en"],
        &["try", "--event", "unsubscribe"],
        &["try", "--type", "image"],
        &["try", "商务合作"],
        &["try", "刚才店里放的是什么歌", "--format", "json"],
        &[
            "try",
            "几点关门",
            "--at",
            "2026-06-03T12:00",
            "--follower",
            "oXyz",
            "--account",
            "cafe",
        ],
    ] {
        let is_timed = arguments.contains(&"--at");
        let at: &[&str] = if is_timed {
            &[]
        } else {
            &["--at", "2026-06-03T12:00"]
        };
        let (code, text) = shipped(&[arguments, at].concat());
        shown.push_str(&format!(
            "$ wxreply {}\n{text}= {code}\n\n",
            arguments.join(" ")
        ));
    }
    insta::assert_snapshot!("try", shown);
}

#[test]
fn exit_codes_tell_good_bad_and_impossible_apart() {
    let home = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| fs::write(home.path().join(path), text).unwrap();
    let status = |arguments: &[&str]| wxreply(home.path(), arguments).status.code();
    fs::create_dir(home.path().join("rules")).unwrap();
    assert_eq!(status(&["check"]), Some(1), "no rules at all");
    write(
        "rules/a.toml",
        &rule("a", "any = [\"a\"]\naccounts = [\"shop\"]"),
    );
    assert_eq!(status(&["check"]), Some(0));
    write("wxreply.toml", "[account.cafe]\n");
    assert_eq!(
        status(&["check"]),
        Some(1),
        "the configuration beside it names other accounts"
    );
    write("wxreply.toml", "[account.shop]\n");
    assert_eq!(status(&["check", "rules"]), Some(0));
    write("wxreply.toml", "[account");
    assert_eq!(status(&["check"]), Some(2), "an unreadable configuration");
    fs::remove_file(home.path().join("wxreply.toml")).unwrap();
    write("rules/_crisis.toml", "");
    assert_eq!(status(&["check"]), Some(0), "a warning");
    assert_eq!(status(&["check", "--deny-warnings"]), Some(1));
    write("rules/b.toml", "[[rule]]\nid = 1\n");
    assert_eq!(status(&["check"]), Some(1));
    assert_eq!(
        status(&["try", "a"]),
        Some(2),
        "rules with errors cannot be tried"
    );
    assert_eq!(status(&["check", "nowhere"]), Some(2));
    assert_eq!(status(&["check", "--format", "pdf"]), Some(2));
    assert_eq!(status(&["try"]), Some(2));
    let output = wxreply(
        home.path(),
        &["check", "--format", "github", "--lang", "en"],
    );
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("::error file=rules/b.toml,line=2,col=6,title=E111::`id` must be text"),
        "{shown}"
    );
}

#[cfg(unix)]
#[test]
fn links_inside_the_directory_are_followed_and_others_refused() {
    let home = tempfile::tempdir().unwrap();
    let inside = home.path().join("rules");
    fs::create_dir_all(inside.join("..data")).unwrap();
    fs::write(inside.join("..data/a.toml"), rule("a", "any = [\"a\"]")).unwrap();
    fs::write(inside.join("notes.txt"), "x").unwrap();
    fs::write(inside.join(".hidden.toml"), "x").unwrap();
    std::os::unix::fs::symlink("..data/a.toml", inside.join("a.toml")).unwrap();
    let read = read_directory(&inside).unwrap();
    assert_eq!(
        read.0
            .iter()
            .map(|(path, _)| path.as_str())
            .collect::<Vec<_>>(),
        ["a.toml"]
    );
    fs::write(home.path().join("secret.toml"), "x").unwrap();
    std::os::unix::fs::symlink("../secret.toml", inside.join("b.toml")).unwrap();
    assert!(
        read_directory(&inside)
            .unwrap_err()
            .to_string()
            .contains("leads out")
    );
}

#[cfg(unix)]
#[test]
fn tables_and_media_are_read_below_the_directory_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let write = |path: &str| {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    };
    for path in [
        "a.toml",
        "tables/a.csv",
        "tables/b.txt",
        "tables/deep/c.csv",
        "tables/.hidden.csv",
        "tables/rules.toml",
        "media/map.png",
        "media/deep/song.mp3",
        "media/.cache/x.png",
        "more/b.toml",
        "notes.csv",
    ] {
        write(path);
    }
    std::os::unix::fs::symlink(home.path().join("media"), home.path().join("media/again")).unwrap();
    std::os::unix::fs::symlink("map.png", home.path().join("media/plan.png")).unwrap();
    let paths: Vec<String> = read_directory(home.path())
        .unwrap()
        .0
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        paths,
        [
            "a.toml",
            "media/deep/song.mp3",
            "media/map.png",
            "media/plan.png",
            "tables/a.csv",
            "tables/deep/c.csv",
        ]
    );
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.png"), "x").unwrap();
    let link = home.path().join("media/x.png");
    std::os::unix::fs::symlink(outside.path().join("x.png"), link).unwrap();
    let error = read_directory(home.path()).unwrap_err().to_string();
    assert!(error.contains("leads out"), "{error}");
}

#[test]
fn a_file_far_too_large_for_wechat_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("media")).unwrap();
    let large = fs::File::create(home.path().join("media/film.mp4")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let error = read_directory(home.path()).unwrap_err().to_string();
    assert!(error.contains("at most 67108864"), "{error}");
}

#[test]
fn the_zone_of_the_configuration_beside_the_rules_is_theirs() {
    let home = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| fs::write(home.path().join(path), text).unwrap();
    fs::create_dir(home.path().join("rules")).unwrap();
    let timed = "any = [\"a\"]\nduring = \"10:00-12:00\"\ntests = [{ say = \"a\", at = 2026-06-03T09:30:00Z, expect = \"a\" }]";
    write("rules/a.toml", &rule("a", timed));
    let status = |arguments: &[&str]| wxreply(home.path(), arguments).status.code();
    let tried = |at: &str| {
        let output = wxreply(home.path(), &["try", "a", "--at", at]);
        String::from_utf8(output.stdout).unwrap().contains("a!")
    };
    assert_eq!(status(&["check"]), Some(1), "17:30 in China");
    write("wxreply.toml", "timezone = \"Europe/London\"\n");
    assert_eq!(status(&["check"]), Some(0), "10:30 in London");
    assert!(tried("2026-06-03T10:30") && tried("2026-06-03T17:30+08:00"));
    assert!(!tried("2026-06-03T12:30"));
}
