//! `wxreply simulate` as a person or a script runs it: what it prints, and its exit codes.

use std::io::Write;
use std::process::{Command, Stdio};

use super::callback::{Answer, Callback, Seen};
use super::text_reply;

/// Answers what was said with the same, an odd word with a broken page, the rest with `success`.
fn parrot() -> Callback {
    Callback::new(
        |seen: &Seen| match (seen.method.as_str(), seen.field("Content")) {
            ("GET", _) => Answer::Body(seen.query("echostr").to_owned()),
            (_, "") => Answer::success(),
            (_, "坏") => Answer::Status(502),
            (_, text) => {
                let reply = text_reply(seen.field("ToUserName"), &format!("你说{text}"));
                Answer::Body(reply.replace("oWang", seen.field("FromUserName")))
            }
        },
    )
}

/// Runs it against the callback; gives the exit code and what it printed.
fn simulate(callback: &Callback, arguments: &[&str], typed: &str) -> (i32, String) {
    run(&callback.url(), arguments, typed)
}

fn run(callback: &str, arguments: &[&str], typed: &str) -> (i32, String) {
    let account = ["--app-id", "wx0123456789abcdef", "--token", "Tok3nForTests"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_wxreply"))
        .args(["simulate", "--callback", callback])
        .args(account)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that stops at wrong usage reads nothing.
    let _ = program.stdin.take().unwrap().write_all(typed.as_bytes());
    let output = program.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), printed)
}

#[test]
fn words_on_the_command_line_are_sent_one_after_another() {
    let callback = parrot();
    let (code, printed) = simulate(&callback, &["--verify", "几点关门", "有包间吗"], "");
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("验证成功"), "{printed}");
    let first = printed.find("◀ 你说几点关门").unwrap();
    assert!(first < printed.find("◀ 你说有包间吗").unwrap());
    assert_eq!(callback.seen().len(), 3);
}

#[test]
fn another_run_never_repeats_the_message_id_of_an_earlier_one() {
    let callback = parrot();
    for _ in 0..2 {
        simulate(&callback, &["几点关门"], "");
    }
    let seen = callback.seen();
    assert_ne!(seen[0].field("MsgId"), seen[1].field("MsgId"));
}

#[test]
fn an_invalid_answer_shows_the_notice_and_fails() {
    let (code, printed) = simulate(&parrot(), &["坏"], "");
    assert_eq!(code, 1);
    assert!(printed.contains("该公众号提供的服务出现故障"), "{printed}");
    assert!(printed.contains("HTTP status 502"), "{printed}");
}

#[test]
fn an_event_carries_its_key() {
    let callback = parrot();
    let arguments = [
        "--event",
        "subscribe",
        "--key",
        "qrscene_7",
        "--follower",
        "oLi",
    ];
    assert_eq!(simulate(&callback, &arguments, "").0, 0);
    let seen = &callback.seen()[0];
    assert_eq!(
        (
            seen.field("Event"),
            seen.field("EventKey"),
            seen.field("FromUserName")
        ),
        ("subscribe", "qrscene_7", "oLi")
    );
}

#[test]
fn typed_lines_are_messages_and_commands() {
    let callback = parrot();
    let typed = "在吗\n/repeat\n/menu HELP\n/as oLi\n/scan 9\n/image\n/what\n/quit\n不再发了\n";
    let (code, printed) = simulate(&callback, &["--secret", "s"], typed);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.starts_with("接口 API:http://127.0.0.1:"),
        "{printed}"
    );
    assert_eq!(printed.matches("◀ 你说在吗").count(), 1, "{printed}");
    assert!(printed.contains("没有 /what 这个命令"), "{printed}");
    let seen = callback.seen();
    let kinds: Vec<_> = seen
        .iter()
        .map(|seen| (seen.field("MsgType"), seen.field("EventKey")))
        .collect();
    assert_eq!(
        kinds,
        [
            ("text", ""),
            ("text", ""),
            ("event", "HELP"),
            ("event", "9"),
            ("image", "")
        ]
    );
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[3].field("FromUserName"), "oLi");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let callback = parrot();
    for arguments in [
        &["--mode", "secure", "x"][..],
        &["--mode", "loud", "x"],
        &["--aes-key", "short", "x"],
        &["--listen", "nowhere", "x"],
        &["--key", "9"],
    ] {
        assert_eq!(simulate(&callback, arguments, "").0, 2, "{arguments:?}");
    }
    assert!(callback.seen().is_empty());
    assert_eq!(run("wx/shop", &["x"], "").0, 2);
}
