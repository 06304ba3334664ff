//! The faults that can be switched on, and what of a broken call took effect all the same.

use std::time::Duration;

use serde_json::Value;
use wxreply::simulator::{Fault, Shown, Sight, Times};

use super::api::{SEND, World, text_message, world};

#[test]
fn faults_strike_the_path_they_are_for_as_often_as_told() {
    let World { wechat, api, shop } = world();
    let send = || {
        let body = text_message("oWang", "好").to_string();
        api.try_post(SEND, "application/json", body.as_bytes())
    };
    let strikes = |fault| wechat.breaks(SEND, fault, Times::Next(1));
    strikes(Fault::Code(-1));
    strikes(Fault::Code(45011));
    strikes(Fault::NotInWhitelist);
    for code in [-1, 45011, 40164] {
        assert_eq!(api.sends("oWang", "好"), code);
    }
    strikes(Fault::Status(502));
    assert!(send().unwrap().contains("<html>"));
    assert_eq!(shop.pushed().len(), 0);
    strikes(Fault::BrokenJson);
    assert!(serde_json::from_str::<Value>(&send().unwrap()).is_err());
    strikes(Fault::HalfAnswer);
    assert!(send().is_err());
    strikes(Fault::NoAnswer);
    assert!(send().is_err());
    // These three were carried out although their caller cannot know.
    assert_eq!(shop.pushed().len(), 3);
    assert_eq!(
        api.get("/cgi-bin/getcallbackip", "")["ip_list"][0],
        "127.0.0.1"
    );
    wechat.breaks("", Fault::Code(-1), Times::Always);
    assert_eq!(api.get("/cgi-bin/getcallbackip", "")["errcode"], -1);
    assert_eq!(api.sends("oWang", "好"), -1);
    wechat.heals();
    assert_eq!(api.sends("oWang", "好"), 0);
}

#[test]
fn a_slow_call_takes_effect_before_it_answers() {
    let World { wechat, api, shop } = world();
    let follower = shop.follower("oWang");
    wechat.breaks(SEND, Fault::Slow(Duration::from_secs(3600)), Times::Next(1));
    let seen = follower.sees(Duration::from_secs(30), |phone: &[Shown]| {
        phone
            .iter()
            .any(|line| matches!(line.sight, Sight::Pushed(_)))
    });
    let caller = std::thread::spawn(move || api.sends("oWang", "好"));
    assert!(seen.wait());
    assert!(!caller.is_finished());
    assert_eq!(shop.pushed().len(), 1);
}

#[test]
fn an_api_that_is_gone_refuses_connections_until_it_comes_back() {
    let World { wechat, api, shop } = world();
    wechat.goes_offline();
    let body = text_message("oWang", "好").to_string();
    assert!(
        api.try_post(SEND, "application/json", body.as_bytes())
            .is_err()
    );
    wechat.comes_back().unwrap();
    assert_eq!(api.sends("oWang", "好"), 0);
    assert_eq!(shop.pushed().len(), 1);
}
