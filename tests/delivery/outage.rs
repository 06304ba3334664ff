//! Breaks WeChat's API in every way there is, for an hour on the clock that tests move.

use serde_json::Value;
use wxreply::simulator::{Fault, Times};

use super::{HOUR, MINUTE, SECOND, SEND, Stage, eventually};

/// A follower who has asked something that a person must answer.
fn asks(stage: &Stage, account: usize, name: &str) {
    let delivered = stage.follower(account, name).says("我的快递丢了").wait();
    assert_eq!(delivered.fault, None);
}

#[test]
fn an_api_that_was_gone_for_an_hour_gets_everything_in_order_and_once() {
    let stage = Stage::open(&["shop"]);
    let names = ["oLi", "oZhao", "oWang"];
    for name in names {
        asks(&stage, 0, name);
    }
    assert_eq!(
        stage.readyz(),
        (200, serde_json::json!({ "status": "ready" }))
    );
    stage.wechat.goes_offline();
    for text in ["一", "二", "三"] {
        for name in names {
            assert_eq!(stage.agent_says("shop", name, text), "queued");
        }
    }
    eventually("the trouble", || !stage.account("shop")["paused"].is_null());
    for _ in 0..60 {
        stage.clock.advance(MINUTE);
        // The callback goes on as if nothing were.
        let delivered = stage.follower(0, "oOther").says("几点开门").wait();
        assert!(delivered.fault.is_none());
    }
    let (status, ready) = stage.readyz();
    assert_eq!((status, &ready["status"]), (200, &Value::from("degraded")));
    assert!(
        ready["reasons"][0]
            .as_str()
            .unwrap()
            .starts_with("wechat: shop: "),
        "{ready}"
    );
    // One may be under way just now.
    eventually("three who wait", || {
        let shop = stage.account("shop");
        shop["queues"]["pushes"] == 3 && shop["trouble"]["code"] == 0
    });
    assert!(stage.accounts[0].pushed().is_empty());

    stage.wechat.comes_back().unwrap();
    stage.passes("all of it", || stage.accounts[0].pushed().len() == 9);
    for name in names {
        assert_eq!(stage.pushed(0, name), ["一", "二", "三"], "{name}");
        eventually("the end of it", || {
            let history = stage.history("shop", name);
            history[2..]
                == [
                    "agent text 一 sent",
                    "agent text 二 sent",
                    "agent text 三 sent",
                ]
        });
    }
    eventually("an end of the trouble", || {
        stage.readyz().1["status"] == "ready"
    });
    assert_eq!(stage.accounts[0].pushed().len(), 9);
}

#[test]
fn what_wechat_did_not_answer_clearly_is_never_sent_again() {
    let stage = Stage::open(&["shop"]);
    let faults = [
        Fault::Status(502),
        Fault::BrokenJson,
        Fault::HalfAnswer,
        Fault::NoAnswer,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        let name = format!("oLi{n}");
        asks(&stage, 0, &name);
        stage.wechat.breaks(SEND, fault.clone(), Times::Next(1));
        let before = stage.asked(SEND);
        stage.agent_says("shop", &name, "第一句");
        eventually("the end of the attempt", || {
            let history = stage.history("shop", &name);
            history.last().unwrap() == "agent text 第一句 unknown"
        });
        // One such answer holds up the rest for a moment: they must not all become unknown.
        assert_eq!(stage.account("shop")["paused"]["code"], 0, "{fault:?}");
        stage.agent_says("shop", &name, "第二句");
        stage.clock.advance(HOUR);
        eventually("the next one", || {
            let history = stage.history("shop", &name);
            history.last().unwrap() == "agent text 第二句 sent"
        });
        let is_broken_only = !matches!(fault, Fault::Status(_));
        let taken = stage.asked(SEND) - before;
        // A call that was not carried out is not in the platform's log.
        assert_eq!(taken, if is_broken_only { 2 } else { 1 }, "{fault:?}");
    }
}

#[test]
fn a_slow_answer_is_waited_for_and_the_callback_is_not_slow() {
    let stage = Stage::open(&["shop"]);
    asks(&stage, 0, "oLi");
    let slow = Fault::Slow(std::time::Duration::from_millis(700));
    stage.wechat.breaks(SEND, slow, Times::Next(1));
    stage.agent_says("shop", "oLi", "在的");
    let delivered = stage.follower(0, "oLi").says("几点开门").wait();
    assert!(delivered.fault.is_none());
    eventually("the end of the attempt", || {
        let history = stage.history("shop", "oLi");
        history.contains(&"agent text 在的 sent".to_owned())
    });
    assert_eq!(stage.asked(SEND), 1);
}

#[test]
fn busy_is_tried_twice_more_and_an_old_token_is_renewed_once() {
    let stage = Stage::open(&["shop"]);
    asks(&stage, 0, "oLi");
    stage.wechat.breaks(SEND, Fault::Code(-1), Times::Next(3));
    stage.agent_says("shop", "oLi", "一");
    stage.passes("the third failure", || {
        stage.history("shop", "oLi").last().unwrap() == "agent text 一 failed"
    });
    assert_eq!(stage.asked(SEND), 3);
    stage.accounts[0].expires_tokens();
    stage.agent_says("shop", "oLi", "二");
    eventually("the second one", || stage.pushed(0, "oLi") == ["二"]);
    let codes: Vec<i64> = stage.wechat.calls().iter().map(|call| call.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 42001).count(), 1);
}

#[test]
fn one_accounts_backlog_does_not_hold_up_another() {
    let stage = Stage::open(&["big", "small"]);
    let names: Vec<String> = (0..20).map(|n| format!("oBig{n:02}")).collect();
    for name in &names {
        asks(&stage, 0, name);
        stage.agent_says("big", name, "好");
    }
    // Five in a second, and the clock stands.
    eventually("the first five", || stage.accounts[0].pushed().len() == 5);
    asks(&stage, 1, "oSmall");
    stage.agent_says("small", "oSmall", "好");
    eventually("the other account's", || {
        stage.accounts[1].pushed().len() == 1
    });
    assert_eq!(stage.accounts[0].pushed().len(), 5);
    assert_eq!(stage.account("big")["queues"]["pushes"], 15);
    stage.clock.advance(SECOND);
    eventually("five more", || stage.accounts[0].pushed().len() == 10);
    stage.passes("all of them", || stage.accounts[0].pushed().len() == 20);
    let to: Vec<String> = stage.accounts[0]
        .pushed()
        .into_iter()
        .map(|one| one.to)
        .collect();
    let mut sorted = to.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, names, "each once");
}

#[test]
fn a_quota_that_is_used_up_pauses_its_account_only() {
    let stage = Stage::open(&["big", "small"]);
    for name in ["oLi", "oZhao"] {
        asks(&stage, 0, name);
    }
    stage.accounts[0].limits_calls(SEND, 0);
    stage.agent_says("big", "oLi", "一");
    eventually("the pause", || {
        stage.account("big")["paused"]["code"] == 45009
    });
    stage.agent_says("big", "oZhao", "二");
    asks(&stage, 1, "oSmall");
    stage.agent_says("small", "oSmall", "好");
    eventually("the other account's", || {
        stage.accounts[1].pushed().len() == 1
    });
    assert!(stage.account("small")["paused"].is_null());
    assert_eq!(stage.account("big")["queues"]["pushes"], 2);
    let (status, ready) = stage.readyz();
    assert_eq!((status, &ready["status"]), (200, &Value::from("degraded")));

    // Nothing more is asked of WeChat meanwhile.
    let asked = stage.asked(SEND);
    stage.clock.advance(MINUTE * 9);
    asks(&stage, 1, "oSmall");
    stage.agent_says("small", "oSmall", "又好");
    eventually("the other account's", || {
        stage.accounts[1].pushed().len() == 2
    });
    assert_eq!(stage.asked(SEND), asked + 1);

    // An operator clears the quota and says so.
    stage.accounts[0].limits_calls(SEND, 1000);
    let (status, checked) = stage.api("POST", "/accounts/big/check", &Value::Null);
    assert_eq!(status, 200, "{checked}");
    assert!(checked["account"]["paused"].is_null(), "{checked}");
    stage.passes("both", || stage.accounts[0].pushed().len() == 2);
}

#[test]
fn a_refused_address_is_named() {
    let stage = Stage::open(&["shop"]);
    asks(&stage, 0, "oLi");
    stage.accounts[0].change(|settings| settings.allowed_ips = vec!["192.0.2.7".parse().unwrap()]);
    stage.agent_says("shop", "oLi", "在的");
    eventually("the address", || {
        stage.account("shop")["ip_to_allow"] == "127.0.0.1"
    });
    let shop = stage.account("shop");
    assert_eq!(shop["trouble"]["code"], 40164);
    let (status, ready) = stage.readyz();
    assert_eq!((status, &ready["status"]), (200, &Value::from("degraded")));
    assert!(
        ready["reasons"][0]
            .as_str()
            .unwrap()
            .contains("add 127.0.0.1"),
        "{ready}"
    );
    stage.accounts[0].change(|settings| settings.allowed_ips = Vec::new());
    stage.passes("the push", || stage.pushed(0, "oLi") == ["在的"]);
    assert!(stage.account("shop")["ip_to_allow"].is_null());
    let metrics = stage.request("GET", "/metrics", b"");
    let metrics = String::from_utf8(metrics.body).unwrap();
    for line in [
        r#"wxreply_wechat_api_total{account="shop",api="token",code="40164"}"#,
        r#"wxreply_wechat_api_total{account="shop",api="custom_send",code="ok"} 1"#,
        r#"wxreply_wechat_api_seconds_count{account="shop",api="custom_send"} 1"#,
        r#"wxreply_token_expires_timestamp_seconds{account="shop"} "#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
