//! Takes a day's traffic through the server and reads its log, down to debugging.

use serde_json::{Value, json};
use wxreply::simulator::{AccountSettings, Settings, Wechat};

use crate::support::api::id;
use crate::support::{Setup, Signed, TOKEN, World};

/// What must be in no line.
const TEXTS: [&str; 9] = [
    "吃出一颗绿色纽扣",
    "我答应赔一只兔子",
    "爱投诉的人",
    "兔子客户",
    "备注里的话",
    "绿色纽扣营业时间",
    "扫码的人",
    "搜索词",
    "每天 10:00",
];
const FOLLOWERS: [&str; 3] = [
    "oDistinctiveFollower0001",
    "oAnotherDistinctive00002",
    "oWithConsentTakenBack003",
];

fn traffic(level: &str) -> (World, Vec<String>) {
    let wechat = Wechat::start(Settings {
        attempts: 1,
        ..Settings::default()
    })
    .unwrap();
    let settings = AccountSettings::secure("shop", "");
    let config = format!(
        "log = \"{level}\"\nlisten = \"127.0.0.1:0\"\nlog_format = \"json\"\n[account.shop]\napp_id = \"{}\"\nmode = \"secure\"\ntoken = \"{}\"\naes_key = \"{}\"\nsecret = \"{}\"\napi_base = \"{}\"\n",
        settings.app_id,
        settings.token,
        settings.aes_key.as_deref().unwrap(),
        settings.secret,
        wechat.api_base(),
    );
    let world = Setup {
        config,
        ..Setup::default()
    }
    .start();
    let mut secrets = vec![
        settings.token.clone(),
        settings.aes_key.clone().unwrap(),
        settings.secret.clone(),
        TOKEN.to_owned(),
    ];
    let account = wechat.account(settings);
    let url = format!("http://{}/wx/shop", world.address);
    account.change(|settings| settings.callback.clone_from(&url));
    let li = account.follower(FOLLOWERS[0]);
    li.follows(Some("扫码的人")).wait();
    let said = li.says("吃出一颗绿色纽扣").wait();
    li.repeats(&said).wait();
    li.says("绿色纽扣营业时间").wait();
    account
        .follower(FOLLOWERS[1])
        .says("吃出一颗绿色纽扣")
        .wait();
    account
        .follower(FOLLOWERS[2])
        .says("吃出一颗绿色纽扣")
        .wait();

    let call = |method: &str, path: &str, body: Value| {
        let body = Some(&body).filter(|body| !body.is_null());
        world.api(method, path, body)
    };
    let of = |verb: &str, body: Value| {
        let path = format!(
            "/conversations/{}/{verb}",
            id(&world.conversation(FOLLOWERS[0]))
        );
        assert!(call("POST", &path, body).status < 500, "{verb}");
    };
    of("claim", Value::Null);
    of(
        "replies",
        json!({"text": "我答应赔一只兔子", "idempotency_key": "搜索词"}),
    );
    of("replies", json!({"text": "我答应赔一只兔子".repeat(200)}));
    of("notes", json!({"text": "爱投诉的人"}));
    of("tags", json!({"tags": ["兔子客户"]}));
    of("remark", json!({"remark": "备注里的话"}));
    of("close", json!({"outcome": "搜索词"}));
    let query = "%E6%90%9C%E7%B4%A2%E8%AF%8D";
    for path in [
        format!("/conversations?q={query}"),
        format!("/conversations?state={query}"),
        format!("/conversations/{query}"),
        format!("/followers/export?account=shop&follower={}", FOLLOWERS[0]),
        format!(
            "/followers/export?account={query}&follower={}",
            FOLLOWERS[0]
        ),
    ] {
        call("GET", &path, Value::Null);
    }
    let wanted = json!({"text": "吃出一颗绿色纽扣", "account": "shop", "follower": FOLLOWERS[0]});
    assert_eq!(call("POST", "/try", wanted).status, 200);
    let made = call("POST", "/tokens", json!({"name": "eyes", "role": "viewer"})).json();
    secrets.push(made["secret"].as_str().unwrap().to_owned());
    world.api_as(secrets.last().unwrap(), "GET", "/conversations", None);
    secrets.push("wxr_not-one-of-ours".to_owned());
    world.api_as(secrets.last().unwrap(), "GET", "/conversations", None);

    // Strangers, and callbacks that are not WeChat's.
    let bad = Signed::now("shop", Some("搜索词"));
    let xml = format!(
        "<xml><FromUserName>{}</FromUserName><Encrypt>搜索词</Encrypt>",
        FOLLOWERS[0]
    );
    for (method, body) in [("POST", xml.as_str()), ("GET", ""), ("PUT", xml.as_str())] {
        let path = format!("/wx/shop?{}", bad.query());
        world.request(method, &path.replace("搜索词", query), &[], body.as_bytes());
    }
    let erase = |follower: &str| {
        let wanted = json!({"account": "shop", "follower": follower});
        assert_eq!(call("POST", "/followers/erase", wanted).status, 200);
    };
    erase(FOLLOWERS[1]);
    world
        .log
        .wait(|line| line.contains("the database was rewritten"));
    let erased = world.run(&[
        "erase",
        "--yes",
        "--account",
        "shop",
        "--follower",
        FOLLOWERS[2],
    ]);
    assert!(erased.status.success());
    (world, secrets)
}

#[test]
fn no_line_of_the_log_says_what_people_said_who_they_are_or_what_is_secret() {
    for level in ["info", "debug"] {
        let (world, secrets) = traffic(level);
        let log = world.log.clone();
        let (_, status) = world.stop();
        assert!(status.success());
        log.wait(|line| line.contains("\"EOF\""));
        let text = log.text();
        assert!(
            text.contains("a follower was erased") && text.contains("oDisti…"),
            "{text}"
        );
        let wanted = TEXTS.iter().chain(&FOLLOWERS).copied();
        for wanted in wanted.chain(secrets.iter().map(String::as_str)) {
            let found: Vec<&str> = text.lines().filter(|line| line.contains(wanted)).collect();
            assert!(found.is_empty(), "{level}: {wanted}: {found:#?}");
        }
    }
}
