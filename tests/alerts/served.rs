//! Drives the alert channels of the real binary over its API.

use serde_json::json;

use super::{Receiver, Request};
use crate::support::api::{call, is_problem};
use crate::support::{Setup, World};

fn desk(receiver: &Receiver) -> String {
    format!(
        r#"
[[alert]]
name   = "duty"
kind   = "webhook"
url    = "env:HOOK_DUTY_URL"
secret = "env:HOOK_DUTY"
night  = true

[[alert]]
name = "值班群"
kind = "wecom"
url  = "{}/robot"
tier = 2
"#,
        receiver.host()
    )
}

fn world(receiver: &Receiver) -> World {
    let mut setup = Setup::default();
    let config = format!(
        "{}\n[alerts]\nallow = [\"{}\"]\n",
        setup.config,
        receiver.host()
    );
    setup.config = config;
    setup.rules.insert("_desk.toml".to_owned(), desk(receiver));
    for (name, value) in [
        ("HOOK_DUTY", "s3cret-of-duty"),
        ("HOOK_DUTY_URL", &receiver.url()),
    ] {
        setup.variables.insert(name.to_owned(), value.to_owned());
    }
    setup.start()
}

#[test]
fn channels_are_listed_tested_and_what_they_did_not_take_is_shown() {
    let receiver = Receiver::answering(&[(200, "", r#"{"errcode":0}"#)]);
    let world = world(&receiver);
    let listed = call(
        &world,
        "get",
        "/alerts/channels",
        "/alerts/channels",
        None,
        200,
    )
    .json();
    let names = |n: usize| {
        (
            listed["channels"][n]["name"].clone(),
            listed["channels"][n]["kind"].clone(),
        )
    };
    assert_eq!(names(0), (json!("duty"), json!("webhook")));
    assert_eq!(names(1), (json!("值班群"), json!("wecom")));
    let test = "/alerts/channels/{name}/test";
    let tried = call(
        &world,
        "post",
        test,
        "/alerts/channels/duty/test",
        None,
        200,
    )
    .json();
    assert_eq!(tried, json!({"ok": true, "failure": null}));
    let is_trial = |request: &&Request| request.body.contains("测试");
    let got = receiver.got.lock().unwrap().clone();
    let trial = got.iter().find(is_trial).unwrap();
    assert!(trial.header("x-wxreply-signature").starts_with("sha256="));
    let group = "/alerts/channels/%E5%80%BC%E7%8F%AD%E7%BE%A4/test";
    receiver.answers(&[(
        200,
        "",
        r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
    )]);
    let tried = call(&world, "post", test, group, None, 200).json();
    assert_eq!(tried["ok"], false);
    assert!(
        tried["failure"].as_str().unwrap().contains("93000"),
        "{tried}"
    );
    let unknown = call(
        &world,
        "post",
        test,
        "/alerts/channels/nobody/test",
        None,
        404,
    );
    is_problem(&unknown, 404, "not-found");

    let ready = world.request("GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["status"], "degraded");
    let reason = ready.json()["reasons"][0].as_str().unwrap().to_owned();
    assert!(
        reason.contains("值班群") && reason.contains("93000"),
        "{reason}"
    );
    let metrics = world.request("GET", "/metrics", &[], b"");
    let line = r#"wxreply_notifications_total{channel="值班群",result="failed"} 1"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());

    let dead = call(&world, "get", "/alerts/dead", "/alerts/dead", None, 200).json();
    assert_eq!(dead, json!({"dead": []}));
    let resend = "/alerts/dead/{id}/resend";
    let unknown = call(
        &world,
        "post",
        resend,
        "/alerts/dead/0123/resend",
        None,
        404,
    );
    is_problem(&unknown, 404, "not-found");

    let made = json!({"name": "lili", "role": "agent"});
    let token = world.api("POST", "/tokens", Some(&made)).json()["secret"].clone();
    let token = token.as_str().unwrap();
    for (method, path) in [
        ("GET", "/alerts/channels"),
        ("GET", "/alerts/dead"),
        ("POST", "/alerts/channels/duty/test"),
    ] {
        is_problem(&world.api_as(token, method, path, None), 403, "forbidden");
        is_problem(
            &world.api_as("wrong", method, path, None),
            401,
            "unauthorized",
        );
    }
    let log = world.log.text();
    assert!(log.contains("alert channel tested"), "{log}");
    for secret in [
        "s3cret-of-duty",
        "very-secret-key",
        &receiver.address.port().to_string(),
    ] {
        assert!(
            !log.contains(&format!("{secret}/")) && !log.contains(&format!("{secret}\"")),
            "{secret}: {log}"
        );
    }
}

#[test]
fn a_question_that_no_rule_covers_reaches_the_channel() {
    let receiver = Receiver::answering(&[(200, "", r#"{"errcode":0}"#)]);
    let world = world(&receiver);
    let follower = "oFollowerLi000000000000001";
    world.says("plain", follower, "我的快递坏了");
    let is_it = |request: &Request| request.body.contains("\"escalated\"");
    let request = receiver.wait(is_it);
    let document = request.json();
    assert_eq!(document["account"], "plain");
    let id = world.conversation(follower)["id"].clone();
    assert_eq!(document["conversation"], id);
    assert!(
        !request.body.contains("快递") && !request.body.contains(follower),
        "{document}"
    );
    assert!(!world.log.text().contains("快递"));
}
