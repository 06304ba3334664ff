//! Lets rules ask another system that knows, does not know, fails, or says nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{ACK, Plan, Stand, heard};

/// What another system was asked: heads and bodies.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Another system: what it does is the first part of the path.
fn another_system() -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        // Kept open: who is not answered finds out by the time.
        let mut unanswered = Vec::new();
        for stream in listener.incoming() {
            unanswered.extend(answer(stream.unwrap(), &log));
        }
    });
    (address, asked)
}

fn answer(stream: TcpStream, log: &Asked) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return None;
        }
    }
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    log.lock()
        .unwrap()
        .push((head, String::from_utf8(body).unwrap()));
    let (status, json) = match path.split('/').nth(1).unwrap() {
        "found" => ("200 OK", r#"{"state":"已发货","eta":{"day":"明天"},"n":3}"#),
        "missing" => ("404 Not Found", ""),
        "silent" => return Some(stream),
        _ => ("500 Internal Server Error", "x"),
    };
    let (mut stream, length) = (stream, json.len());
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{json}");
    let _gone = stream.write_all(answer.as_bytes());
    None
}

const RULES: &str = r#"
[[rule]]
id    = "found"
regex = '^查(?<no>.+)$'
[rule.hook]
url     = "HOST/found/{no}?who={follower.id}"
body    = { no = "{no}", what = "订单" }
secret  = "env:ORDER_HOOK_SECRET"
reply   = "{no}:{hook.state},{hook.eta.day},{hook.n} 件"
missing = "没查到"
error   = { reply = "忙" }

[[rule]]
id    = "own-reply"
exact = ["自己的话"]
reply = "{hook.state}了"
[rule.hook]
url = "HOST/found/own"

[[rule]]
id    = "missing"
regex = '^没有(?<no>.+)$'
[rule.hook]
url     = "HOST/missing/x"
reply   = "{hook.state}"
missing = "没查到 {no}"

[[rule]]
id    = "missing-wordless"
exact = ["没话说"]
reply = "{hook.state}"
[rule.hook]
url = "HOST/missing/y"

[[rule]]
id    = "error"
exact = ["出错"]
[rule.hook]
url   = "HOST/error/x"
reply = "{hook.state}"
error = { reply = "系统在忙", handoff = { priority = "urgent", reason = "查不了" } }

[[rule]]
id    = "error-words"
exact = ["出错只说"]
[rule.hook]
url   = "HOST/error/y"
reply = "{hook.state}"
error = { reply = "过会儿再查" }

[[rule]]
id    = "error-handoff"
exact = ["出错只转"]
[rule.hook]
url   = "HOST/error/z"
reply = "{hook.state}"
error = { handoff = "high" }

[[rule]]
id    = "timeout"
exact = ["等不到"]
[rule.hook]
url     = "HOST/silent/x"
timeout = "100ms"
reply   = "{hook.state}"
error   = { reply = "没等到", handoff = "low" }

[[rule]]
id    = "forbidden"
exact = ["不许问"]
[rule.hook]
url   = "https://elsewhere.example.com/"
reply = "{hook.state}"
error = { reply = "问不到" }

[[rule]]
id    = "order"
any   = ["订单"]
[[rule.step]]
ask   = "几号订单?"
save  = "order"
check = '^\d+$'
[rule.hook]
url   = "HOST/found/form"
body  = { order = "{order}" }
reply = "{order} {hook.state}"
"#;

fn stand() -> (Stand, Asked) {
    let (address, asked) = another_system();
    let host = format!("http://{address}");
    let stand = Plan {
        rules: &RULES.replace("HOST", &host),
        variables: &[("ORDER_HOOK_SECRET", "a secret of two systems")],
        top: &format!("hooks = {{ allow = [\"{host}\"] }}"),
        ..Plan::default()
    }
    .open();
    (stand, asked)
}

#[test]
fn what_another_system_knows_is_in_the_reply_and_it_is_told_what_it_needs() {
    let (stand, asked) = stand();
    let li = stand.stranger();
    assert_eq!(heard(&li, "查12/3"), "12/3:已发货,明天,3 件");
    assert_eq!(stand.history(&li)[1]["rule"], "found");
    let (head, body) = asked.lock().unwrap()[0].clone();
    let path = format!("post /found/12%2f3?who={}", li.openid().to_lowercase());
    assert!(head.starts_with(&path), "{head}");
    for name in [
        "x-wxreply-signature: ",
        "idempotency-key: ",
        "x-wxreply-account: shop",
    ] {
        assert!(head.contains(name), "{name}: {head}");
    }
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["no"], &body["what"]),
        (&"12/3".into(), &"订单".into())
    );
    assert_eq!(heard(&li, "自己的话"), "已发货了");
}

#[test]
fn what_it_does_not_know_is_said_or_goes_to_a_person() {
    let (stand, _) = stand();
    assert_eq!(stand.hears("没有77"), "没查到 77");
    let li = stand.stranger();
    assert_eq!(heard(&li, "没话说"), ACK);
    assert_eq!(stand.called(&li), ["waiting", "hook", "normal", ""]);
}

#[test]
fn when_it_fails_or_says_nothing_the_follower_is_told_and_a_person_called() {
    let (stand, _) = stand();
    for (words, reply, called) in [
        ("出错", "系统在忙", ["waiting", "hook", "urgent", "查不了"]),
        ("出错只说", "过会儿再查", ["bot", "", "normal", ""]),
        ("出错只转", ACK, ["waiting", "hook", "high", ""]),
        ("等不到", "没等到", ["waiting", "hook", "low", ""]),
        ("不许问", "问不到", ["bot", "", "normal", ""]),
    ] {
        let li = stand.stranger();
        assert_eq!(heard(&li, words), reply, "{words}");
        assert_eq!(stand.called(&li), called, "{words}");
    }
}

#[test]
fn a_form_that_is_filled_in_asks_with_its_answers() {
    let (stand, asked) = stand();
    let li = stand.stranger();
    assert_eq!(heard(&li, "订单"), "几号订单?");
    assert_eq!(asked.lock().unwrap().len(), 0);
    assert_eq!(heard(&li, "42"), "42 已发货");
    assert!(asked.lock().unwrap()[0].1.contains("\"42\""));
    assert_eq!(heard(&li, "42"), ACK, "the form is over");
}
