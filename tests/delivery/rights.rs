//! Takes rights from an account and gives them back: measured, kept over a restart, measured again.

use serde_json::{Value, json};
use wxreply::simulator::Rights;

use super::{HOUR, SECOND, SEND, Stage, eventually};

fn may_push(stage: &Stage, may: bool) {
    stage.accounts[0].change(|settings| settings.rights.custom_send = may);
}

/// A push that WeChat refuses for want of the right.
fn loses_the_right(stage: &Stage) {
    stage.follower(0, "oLi").says("我的快递丢了").wait();
    may_push(stage, false);
    stage.agent_says("shop", "oLi", "第一句");
    eventually("the refusal", || {
        stage.history("shop", "oLi").last().unwrap() == "agent text 第一句 held"
    });
}

fn push(stage: &Stage) -> Value {
    stage.account("shop")["capabilities"]["push"].clone()
}

#[test]
fn a_right_that_wechat_denied_is_known_after_a_restart_and_measured_again_on_demand() {
    let mut stage = Stage::open(&["shop"]);
    assert_eq!(
        push(&stage),
        json!({ "state": "unknown", "at": null, "evidence": null })
    );
    loses_the_right(&stage);
    let denied = push(&stage);
    assert_eq!(
        (&denied["state"], &denied["evidence"]),
        (&"no".into(), &"48001".into())
    );
    stage.restart();
    assert_eq!(push(&stage), denied);
    assert_eq!(stage.account("shop")["can_push"], false);
    // WeChat is not asked again for each answer.
    stage.follower(0, "oZhao").says("我的快递也丢了").wait();
    assert_eq!(stage.agent_says("shop", "oZhao", "在的"), "held");
    assert_eq!(stage.asked(SEND), 1);

    may_push(&stage, true);
    stage.clock.advance(SECOND);
    let (status, checked) = stage.api("POST", "/accounts/shop/check", &Value::Null);
    assert_eq!(status, 200, "{checked}");
    let probes: Vec<_> = checked["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| {
            (
                probe["probe"].as_str().unwrap(),
                probe["code"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        probes,
        [
            ("token", 0),
            ("push", 40003),
            ("media", 40007),
            ("users", 40003),
            ("desk", 0)
        ]
    );
    let rights = &checked["account"]["capabilities"];
    for right in ["push", "media", "users", "desk"] {
        assert_eq!(rights[right]["state"], "yes", "{rights}");
    }
    // Nothing of that reached anybody.
    assert!(stage.accounts[0].pushed().is_empty());
    stage.restart();
    assert_eq!(push(&stage)["state"], "yes");
    stage.follower(0, "oWang").says("我的快递还是丢了").wait();
    assert_eq!(stage.agent_says("shop", "oWang", "在的"), "queued");
    eventually("the push", || stage.pushed(0, "oWang") == ["在的"]);
    assert_eq!(push(&stage)["evidence"], "accepted");
}

#[test]
fn a_denied_right_is_asked_for_again_a_day_later() {
    let stage = Stage::open(&["shop"]);
    loses_the_right(&stage);
    may_push(&stage, true);
    stage.clock.advance(HOUR * 23);
    assert_eq!(push(&stage)["state"], "no");
    stage.clock.advance(HOUR);
    eventually("the right", || push(&stage)["state"] == "yes");
}

#[test]
fn an_account_without_rights_is_told_so_and_one_without_a_token_is_asked_nothing_more() {
    let stage = Stage::open(&["shop"]);
    stage.accounts[0].change(|settings| settings.rights = Rights::UNVERIFIED);
    let (status, checked) = stage.api("POST", "/accounts/shop/check", &Value::Null);
    assert_eq!(status, 200, "{checked}");
    let rights = &checked["account"]["capabilities"];
    for right in ["push", "media", "users", "desk"] {
        let (state, evidence) = (&rights[right]["state"], &rights[right]["evidence"]);
        assert_eq!(
            (state, evidence),
            (&"no".into(), &"48001".into()),
            "{rights}"
        );
    }
    assert!(checked["account"]["token"]["expires_at"].is_string());
    stage.accounts[0].change(|settings| settings.secret = "another".to_owned());
    let (status, checked) = stage.api("POST", "/accounts/shop/check", &Value::Null);
    assert_eq!(status, 200, "{checked}");
    let probes = checked["probes"].as_array().unwrap();
    assert_eq!((probes.len(), &probes[0]["code"]), (1, &40125.into()));
    assert_eq!(checked["account"]["trouble"]["code"], 40125);
    let shown = checked.to_string();
    let secret = stage.settings();
    for account in secret.accounts {
        use secrecy::ExposeSecret as _;
        assert!(!shown.contains(account.client.unwrap().secret.expose_secret()));
    }
}
