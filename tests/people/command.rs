//! Manages people from the command line.

use std::io::Write as _;
use std::process::{Output, Stdio};

use super::{PASSWORD, log_in, on_record, try_log_in};
use crate::support::{Setup, World};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that reads this from its standard input.
fn run_with(world: &World, arguments: &[&str], input: &str) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wxreply"));
    let mut child = command
        .current_dir(world.path())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn people_are_managed_from_the_command_line() {
    let world = World::start();
    let added = world.run(&["user", "add", "小陈", "--role", "admin"]);
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    let initial = text(&added.stdout).trim().to_owned();
    assert_eq!(initial.len(), 23);
    assert!(text(&added.stderr).contains("初始密码只显示这一次"));
    let first = try_log_in(&world, "小陈", &initial);
    assert_eq!(first.json()["user"]["must_change"], true);

    let arguments = [
        "user",
        "add",
        "mei",
        "--shown",
        "小梅",
        "--lead",
        "--account",
        "plain",
        "--account",
        "shop",
        "--password-stdin",
    ];
    let weak = run_with(&world, &arguments, "short\n");
    assert_eq!(weak.status.code(), Some(2));
    assert!(text(&weak.stderr).contains("422 密码太容易猜"), "{weak:?}");
    let added = run_with(&world, &arguments, &format!("{PASSWORD}\nmore\n"));
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    assert_eq!(text(&added.stdout), "");
    let mei = log_in(&world, "mei");
    let list = world.run(&["user", "list"]);
    assert_eq!(
        text(&list.stdout),
        "mei\t小梅\tagent\tlead\tplain,shop\t下班 off duty\n小陈\t小陈\tadmin\t-\t*\t下班 off duty\n"
    );

    let role = world.run(&["user", "role", "mei", "operator", "--no-lead"]);
    assert_eq!(role.status.code(), Some(0), "{role:?}");
    assert_eq!(world.api_as(&mei, "GET", "/me", None).status, 401);
    let mei = log_in(&world, "mei");
    assert_eq!(
        world.run(&["user", "disable", "mei"]).status.code(),
        Some(0)
    );
    assert_eq!(world.api_as(&mei, "GET", "/me", None).status, 401);
    assert!(
        text(&world.run(&["user", "list"]).stdout)
            .contains("operator\t-\tplain,shop\t停用 disabled")
    );
    assert_eq!(world.run(&["user", "enable", "mei"]).status.code(), Some(0));
    let reset = world.run(&["user", "passwd", "mei"]);
    let initial = text(&reset.stdout).trim().to_owned();
    assert_eq!(try_log_in(&world, "mei", PASSWORD).status, 401);
    assert_eq!(try_log_in(&world, "mei", &initial).status, 201);
    let passwd = ["user", "passwd", "mei", "--password-stdin"];
    assert_eq!(run_with(&world, &passwd, PASSWORD).status.code(), Some(0));
    log_in(&world, "mei");

    for (arguments, said) in [
        (
            ["user", "disable", "小陈"].as_slice(),
            "409 这是最后一个管理员",
        ),
        (&["user", "disable", "nobody"], "404"),
        (&["user", "add", "mei"], "409 名字已被使用"),
        (&["user", "role", "mei", "boss"], "viewer"),
        (
            &["user", "role", "mei", "agent", "--lead", "--no-lead"],
            "--lead",
        ),
    ] {
        let out = world.run(arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        assert!(text(&out.stderr).contains(said), "{out:?}");
    }
    let by = &on_record(&world, "user.disable")[0]["by"];
    assert_eq!(by, "token:cli");
    let stopped = world.kill();
    assert_eq!(stopped.run(&["user", "list"]).status.code(), Some(2));
    let nowhere = Setup::default().into_stopped();
    assert_eq!(nowhere.run(&["user", "add", "x"]).status.code(), Some(2));
}
