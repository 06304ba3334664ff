//! Looks at the running server as its operator does: health, metrics, broken rules, pushes that arrive.

use std::time::Duration;

use serde_json::json;
use wxreply::simulator::{self, AccountSettings, Shown, Wechat};

use crate::support::api::{id, is_problem};
use crate::support::{Setup, TOKEN, World};

const LI: &str = "oFollowerLi000000000000001";

#[test]
fn health_and_metrics_tell_strangers_little() {
    let world = World::start();
    let stranger = [("x-forwarded-for", "203.0.113.9")];
    assert_eq!(
        world.request("GET", "/healthz", &stranger, b"").text(),
        "ok\n"
    );
    assert_eq!(
        world.request("GET", "/readyz", &stranger, b"").json(),
        json!({"status": "ready"})
    );
    is_problem(
        &world.request("GET", "/metrics", &stranger, b""),
        401,
        "unauthorized",
    );
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        world
            .request(
                "GET",
                "/metrics",
                &[stranger[0], ("authorization", &bearer)],
                b""
            )
            .status,
        200
    );
    world.says("plain", LI, "几点开门");
    world.says("plain", LI, "有人吗");
    let metrics = world.request("GET", "/metrics", &[], b"");
    for line in [
        r#"wxreply_inbound_total{account="plain",kind="text"} 2"#,
        r#"wxreply_rule_hits_total{account="plain",rule="hours"} 1"#,
        r#"wxreply_replies_total{account="plain",by="rule",result="ok",route="passive"} 1"#,
        r#"wxreply_replies_total{account="plain",by="ack",result="ok",route="passive"} 1"#,
        r#"wxreply_unmatched_total{account="plain"} 1"#,
        r#"wxreply_escalations_total{account="plain",priority="normal",reason="unmatched"} 1"#,
        r#"wxreply_conversations{account="plain",priority="normal",state="waiting"} 1"#,
        r#"wxreply_passive_reply_seconds_count{account="plain"} 2"#,
        r#"wxreply_duplicate_deliveries_total{account="plain"} 0"#,
    ] {
        assert!(metrics.text().contains(line), "{line}\n{}", metrics.text());
    }
    assert!(!metrics.text().contains(LI));
}

#[test]
fn a_broken_rules_directory_leaves_the_last_good_set_running() {
    let world = World::start();
    let stopped = world.kill();
    std::fs::write(
        stopped.path().join("rules/10-basics.toml"),
        "[[rule]]\nid = \"x\"\nanny = [\"y\"]\nreply = \"z\"\n",
    )
    .unwrap();
    let world = stopped.start();
    world
        .log
        .wait(|line| line.contains("the last good revision runs"));
    world.log.wait(|line| line.contains("10-basics.toml:3"));
    assert!(world.says("plain", LI, "几点开门").text().contains("10:00"));
    let ready = world.request("GET", "/readyz", &[], b"");
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (200, Some("degraded"))
    );
    assert!(
        ready.json()["reasons"][0]
            .as_str()
            .unwrap()
            .contains("revision 1 runs")
    );
}

#[test]
fn rules_whose_own_test_fails_do_not_run() {
    let world = World::start();
    let stopped = world.kill();
    std::fs::write(
        stopped.path().join("rules/20-more.toml"),
        "[[rule]]\nid = \"dogs\"\nany = [\"狗\"]\nreply = \"可以带。\"\ntests = [{ say = \"能带猫吗\", expect = \"dogs\" }]\n",
    )
    .unwrap();
    let world = stopped.start();
    world.log.wait(|line| line.contains("20-more.toml:5"));
    world
        .log
        .wait(|line| line.contains("the last good revision runs"));
    assert!(
        !world
            .says("plain", LI, "能带狗吗")
            .text()
            .contains("可以带")
    );
}

#[test]
fn an_answer_is_pushed_where_the_account_can_push() {
    let wechat = Wechat::start(simulator::Settings::default()).unwrap();
    let shop = AccountSettings::secure("pushing", "");
    let mut setup = Setup::default();
    for (key, value) in [
        ("APP_ID", &shop.app_id),
        ("MODE", &"secure".to_owned()),
        ("TOKEN", &shop.token),
        ("AES_KEY", shop.aes_key.as_ref().unwrap()),
        ("SECRET", &shop.secret),
        ("API_BASE", &wechat.api_base()),
    ] {
        let variable = format!("WXREPLY_ACCOUNT__PUSHING__{key}");
        setup.variables.insert(variable, value.clone());
    }
    let world = setup.start();
    let callback = format!("http://{}/wx/pushing", world.address);
    let follower = wechat
        .account(AccountSettings { callback, ..shop })
        .follower(LI);
    assert!(follower.says("有人吗").wait().text().is_some());
    let path = format!("/conversations/{}", id(&world.conversation(LI)));
    let reply = json!({"text": "在的"});
    let replies = format!("{path}/replies");
    let written = world.api("POST", &replies, Some(&reply));
    assert_eq!(written.status, 201, "{}", written.text());
    let has_it = |phone: &[Shown]| phone.iter().any(|shown| shown.sight.text() == Some("在的"));
    assert!(follower.sees(Duration::from_secs(20), has_it).wait());
    // The phone shows it a moment before the server has written down that it does.
    world
        .log
        .wait(|line| line.contains("push attempted") && line.contains("\"sent\""));
    let metrics = world.request("GET", "/metrics", &[], b"");
    for line in [
        r#"wxreply_wechat_api_total{account="pushing",api="custom_send",code="ok"} 1"#,
        r#"wxreply_replies_total{account="pushing",by="agent",result="sent",route="push"} 1"#,
    ] {
        assert!(metrics.text().contains(line), "{line}\n{}", metrics.text());
    }
    assert!(!world.log.text().contains("在的") && !world.log.text().contains(LI));
}
