//! The table of windows: what opens one, how many messages it allows, until when, and the codes beyond.

use std::time::Duration;

use serde_json::json;
use wxreply::simulator::{Follower, Mode, Push};

use super::api::Api;
use super::callback::Callback;
use super::{account, wechat};

const TWO_DAYS: Duration = Duration::from_secs(48 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_row_of_the_window_table_holds() {
    type Act = fn(&Follower) -> Push;
    let rows: [(&str, Act, usize, Duration); 12] = [
        ("text", |f| f.says("在吗"), 5, TWO_DAYS),
        ("image", Follower::sends_image, 5, TWO_DAYS),
        ("location", |f| f.sends_location(1.0, 2.0, ""), 5, TWO_DAYS),
        ("click", |f| f.taps_menu("HELP"), 3, MINUTE),
        (
            "scancode_waitmsg",
            |f| f.scans_from_menu("k", "x"),
            3,
            MINUTE,
        ),
        (
            "scancode_push",
            |f| f.causes("scancode_push", &[("EventKey", "k")]),
            3,
            MINUTE,
        ),
        ("subscribe", |f| f.follows(Some("20031")), 3, MINUTE),
        ("scan", |f| f.scans("20031"), 3, MINUTE),
        (
            "menu message",
            |f| f.taps_menu_message("101", "满意"),
            3,
            MINUTE,
        ),
        (
            "view",
            |f| f.opens_page("https://example.com"),
            0,
            Duration::ZERO,
        ),
        ("LOCATION", |f| f.causes("LOCATION", &[]), 0, Duration::ZERO),
        ("unsubscribe", Follower::unfollows, 0, Duration::ZERO),
    ];
    for (name, act, allowed, valid) in rows {
        let (callback, wechat) = (Callback::answering([]), wechat());
        let shop = account(&wechat, &callback, Mode::Plain);
        let api = Api::of(&wechat, &shop);
        let follower = shop.follower("oWang");
        assert_eq!(api.sends("oWang", "太早"), 45015, "{name}");
        act(&follower).wait();
        for _ in 0..allowed {
            assert_eq!(api.sends("oWang", "好"), 0, "{name}");
        }
        let beyond = if allowed > 0 { 45047 } else { 45015 };
        assert_eq!(api.sends("oWang", "太多"), beyond, "{name}");
        assert_eq!(follower.pushes_left(), 0);
        // A new act renews both number and time.
        act(&follower).wait();
        if allowed > 0 {
            wechat.clock().advance(valid - SECOND);
            // Two days outlast a token.
            let api = Api::of(&wechat, &shop);
            assert_eq!(api.sends("oWang", "还行"), 0, "{name}");
            wechat.clock().advance(SECOND);
        }
        let api = Api::of(&wechat, &shop);
        assert_eq!(api.sends("oWang", "太晚"), 45015, "{name}");
        assert_eq!(
            shop.pushed().len(),
            if allowed > 0 { allowed + 1 } else { 0 }
        );
    }
}

#[test]
fn a_tap_neither_shortens_nor_adds_to_the_window_of_a_message() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    let api = Api::of(&wechat, &shop);
    let follower = shop.follower("oWang");
    follower.says("在吗").wait();
    follower.taps_menu("HELP").wait();
    for _ in 0..5 {
        assert_eq!(api.sends("oWang", "好"), 0);
    }
    assert_eq!(api.sends("oWang", "好"), 45047);
    follower.taps_menu("HELP").wait();
    assert_eq!(follower.pushes_left(), 3);
    wechat.clock().advance(MINUTE);
    assert_eq!(api.sends("oWang", "好"), 45047);
}

#[test]
fn a_repeat_opens_no_new_window_and_leaving_closes_it() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    let api = Api::of(&wechat, &shop);
    let follower = shop.follower("oWang");
    let delivered = follower.says("在吗").wait();
    assert_eq!(api.sends("oWang", "好"), 0);
    follower.repeats(&delivered).wait();
    assert_eq!(follower.pushes_left(), 4);
    follower.unfollows().wait();
    assert_eq!(api.sends("oWang", "好"), 45015);
    let user = api.get("/cgi-bin/user/info", "openid=oWang");
    assert_eq!(user, json!({"subscribe": 0, "openid": "oWang"}));
}

#[test]
fn typing_needs_a_recent_word_and_ends_with_a_message() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    let api = Api::of(&wechat, &shop);
    let follower = shop.follower("oWang");
    let typing = |command: &str| {
        let body = json!({"touser": "oWang", "command": command});
        api.code("/cgi-bin/message/custom/typing", &body)
    };
    assert_eq!(typing("Typing"), 45015);
    follower.says("在吗").wait();
    assert_eq!(typing("Dancing"), 45072);
    assert_eq!(typing("Typing"), 0);
    assert_eq!(typing("Typing"), 45081);
    assert_eq!(typing("CancelTyping"), 0);
    assert_eq!(typing("Typing"), 0);
    assert_eq!(api.sends("oWang", "好"), 0);
    assert_eq!(typing("Typing"), 0);
    wechat.clock().advance(Duration::from_secs(15));
    assert_eq!(typing("Typing"), 0);
    wechat.clock().advance(Duration::from_secs(16));
    assert_eq!(typing("Typing"), 45080);
}
