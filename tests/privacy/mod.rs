//! Holds the server to what it promises about followers' data: erased everywhere, forgotten in time, handed out whole, in no log.

mod clock;
mod logs;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::desk::{LI, Plan, Shop, eventually};
use crate::support::api::{call, id, is_problem};
use crate::support::{Stopped, World};

/// Whether any file below shows these bytes.
fn is_in_a_file(dir: &Path, wanted: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            return is_in_a_file(&entry.path(), wanted);
        }
        let bytes = fs::read(entry.path()).unwrap();
        bytes
            .windows(wanted.len())
            .any(|part| part == wanted.as_bytes())
    })
}

const FOLLOWER: &str = "oDistinctiveFollower0001";
/// What is kept of that follower, everywhere.
const TRACES: [&str; 6] = [
    FOLLOWER,
    "吃出一颗绿色纽扣",
    "我答应赔一只兔子",
    "爱投诉的人",
    "兔子客户",
    "备注里的话",
];

/// A follower about whom much is known, and another.
fn known() -> World {
    let world = World::start();
    world.says("shop", "oAnother", "另一个人的话");
    world.says("shop", FOLLOWER, "吃出一颗绿色纽扣");
    let of = |verb: &str, body: Value| {
        let path = format!(
            "/conversations/{}/{verb}",
            id(&world.conversation(FOLLOWER))
        );
        let answer = world.api("POST", &path, Some(&body));
        assert!(answer.status < 300, "{verb}: {}", answer.text());
    };
    of("replies", json!({"text": "我答应赔一只兔子"}));
    of("notes", json!({"text": "爱投诉的人"}));
    of("tags", json!({"tags": ["兔子客户"]}));
    of("remark", json!({"remark": "备注里的话"}));
    world
}

fn nothing_is_left(files: &Stopped) {
    for trace in TRACES {
        assert!(!is_in_a_file(&files.path().join("data"), trace), "{trace}");
    }
    assert!(is_in_a_file(&files.path().join("data"), "另一个人的话"));
}

fn is_rewritten(line: &str) -> bool {
    line.contains("the database was rewritten")
}

#[test]
fn an_erased_follower_is_in_no_file_and_no_answer() {
    let world = known();
    let copy = world.data().join("before-format-2");
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("spill"), TRACES[1]).unwrap();
    let wanted = json!({"account": "shop", "follower": FOLLOWER});
    let erased = call(
        &world,
        "post",
        "/followers/erase",
        "/followers/erase",
        Some(&wanted),
        200,
    );
    assert_eq!(erased.json(), json!({"erased": true}));
    assert_eq!(world.conversation(FOLLOWER), Value::Null);
    let again = call(
        &world,
        "post",
        "/followers/erase",
        "/followers/erase",
        Some(&wanted),
        200,
    );
    assert_eq!(again.json(), json!({"erased": false}));
    world.log.wait(is_rewritten);
    assert!(!copy.exists());
    assert!(!world.log.text().contains(FOLLOWER));
    // It goes on with the files that were written anew.
    let answer = world.says("shop", "oAnother", "几点开门");
    assert!(crate::support::unseal(&answer).contains("10:00"));
    let another = world.conversation("oAnother");
    let (files, status) = world.stop();
    assert!(status.success());
    nothing_is_left(&files);
    let world = files.start();
    let kept = world.conversation("oAnother");
    assert!(kept["version"].as_u64() >= another["version"].as_u64());
    assert_eq!(kept["last_message"], another["last_message"]);
    // Who comes back is a stranger.
    world.says("shop", FOLLOWER, "我又来了");
    let back = world.conversation(FOLLOWER);
    assert_eq!((&back["tags"], &back["remark"]), (&json!([]), &Value::Null));
}

#[test]
fn only_who_may_do_everything_there_erases_and_exports() {
    let world = known();
    let token = |name: &str, role: &str, accounts: Value| {
        let wanted = json!({"name": name, "role": role, "accounts": accounts});
        let made = world.api("POST", "/tokens", Some(&wanted)).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let wanted = json!({"account": "shop", "follower": FOLLOWER});
    let export = format!("/followers/export?account=shop&follower={FOLLOWER}");
    for token in [
        token("o", "operator", json!([])),
        token("a", "admin", json!(["plain"])),
    ] {
        let refused = world.api_as(&token, "POST", "/followers/erase", Some(&wanted));
        is_problem(&refused, 403, "forbidden");
        is_problem(
            &world.api_as(&token, "GET", &export, None),
            403,
            "forbidden",
        );
    }
    for bad in [
        json!({"account": "SHOP", "follower": "o"}),
        json!({"account": "shop"}),
    ] {
        let refused = world.api("POST", "/followers/erase", Some(&bad));
        is_problem(&refused, 400, "bad-request");
    }
    let unknown = "/followers/export?account=shop&follower=oNobody";
    is_problem(&world.api("GET", unknown, None), 404, "not-found");
    assert_ne!(world.conversation(FOLLOWER), Value::Null);
}

#[test]
fn the_command_line_erases_once_it_is_told_twice() {
    let world = known();
    let arguments = ["erase", "--account", "shop", "--follower", FOLLOWER];
    let asked = world.run(&arguments);
    assert_eq!(asked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("--yes"));
    assert_ne!(world.conversation(FOLLOWER), Value::Null);
    let erased = world.run(&[&arguments[..], &["--yes"]].concat());
    assert_eq!(erased.status.code(), Some(0), "{erased:?}");
    assert!(String::from_utf8_lossy(&erased.stdout).contains("已删除"));
    world.log.wait(is_rewritten);
    let (files, _) = world.stop();
    nothing_is_left(&files);
    let stopped = files.run(&[&arguments[..], &["--yes"]].concat());
    assert_eq!(stopped.status.code(), Some(2));
}

#[test]
fn who_takes_the_consent_back_is_erased() {
    let world = known();
    let at = wxreply::clock::Clock::system().now().seconds();
    let event = format!(
        "<xml><ToUserName>gh_7c1e40b95a2d</ToUserName><FromUserName>oPlatform</FromUserName><CreateTime>{at}</CreateTime>\
         <MsgType>event</MsgType><Event>user_authorization_cancellation</Event><OpenID>{FOLLOWER}</OpenID><AppID>x</AppID>\
         <RevokeInfo>1</RevokeInfo></xml>"
    );
    assert_eq!(world.push("shop", &event).text(), "success");
    assert_eq!(world.conversation(FOLLOWER), Value::Null);
    assert!(!world.log.text().contains(FOLLOWER));
}

#[test]
fn an_export_is_whole() {
    let world = known();
    for n in 0..230 {
        world.says("shop", FOLLOWER, &format!("营业时间 {n}"));
    }
    let path = format!("/followers/export?account=shop&follower={FOLLOWER}");
    let export = call(&world, "get", "/followers/export", &path, None, 200).json();
    for trace in TRACES {
        assert!(export.to_string().contains(trace), "{trace}");
    }
    let messages = export["messages"].as_array().unwrap();
    // More than a page; the complaint has an ack, an answer and a note beside it.
    assert!(messages.len() >= 230 + 4, "{}", messages.len());
    assert_eq!(messages.last().unwrap()["text"], json!(TRACES[1]));
    assert_eq!(export["conversation"]["tags"], json!([TRACES[4]]));
    assert_eq!(export["media"], json!([]));
    let shown = format!("/conversations/{}", id(&world.conversation(FOLLOWER)));
    let newest = world.api("GET", &shown, None).json()["messages"].clone();
    assert_eq!(newest.as_array().unwrap().last(), messages.first());
}

#[test]
fn what_is_older_than_the_configured_time_goes_at_night() {
    let mut shop = Shop::open(Plan {
        sections: "[privacy]\nkeep_messages = \"30d\"\n".to_owned(),
        ..Plan::default()
    });
    shop.li_says("一月以前的话");
    let mei = shop.token("mei", "agent");
    shop.act(&mei, "remark", Some(&json!({"remark": "老朋友"})));
    let day = Duration::from_secs(24 * 3600);
    shop.passes(20 * day);
    shop.li_says("后来的话");
    let says = |shop: &Shop, words: &str| {
        let history = shop.history(LI);
        history.iter().any(|line| line.contains(words))
    };
    assert!(says(&shop, "一月以前"));
    shop.passes(11 * day);
    eventually("the old words are gone", || !says(&shop, "一月以前"));
    assert!(says(&shop, "后来的话"));
    shop.restart(20 * day);
    eventually("all words are gone", || !says(&shop, "后来的话"));
    let known = shop.conversation(LI);
    assert_eq!(known["remark"], json!("老朋友"));
    // The conversation goes on.
    let answer = shop.li_says("几点开门");
    assert!(answer.text().is_some());
    assert!(says(&shop, "几点开门"));
}
