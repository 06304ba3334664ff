//! Hands a follower to Tencent's own desk and gets them back.

use super::{MINUTE, Stage};

#[test]
fn a_follower_goes_to_tencents_desk_and_comes_back() {
    let stage = Stage::open(&["shop"]);
    let li = stage.follower(0, "oLi");
    let state = || stage.conversation("shop", "oLi")["state"].clone();
    assert!(li.says("找客服").wait().reply.is_some());
    assert_eq!(state(), "external");
    // One who waits there still reaches us, and rules are silent.
    assert!(li.says("几点开门").wait().is_silent());
    assert!(li.is_taken_by("a1@shop").wait().is_silent());
    assert_eq!(state(), "external");
    let lines = stage.history("shop", "oLi").len();
    // What is said there bypasses us.
    let said = li.says("还在吗").wait();
    assert_eq!((said.attempts, said.agent.as_deref()), (0, Some("a1@shop")));
    li.hears("在的");
    assert!(li.is_handed_to("a2@shop").wait().is_silent());
    assert_eq!(li.says("你好").wait().agent.as_deref(), Some("a2@shop"));
    let seen = stage.history("shop", "oLi");
    assert_eq!(seen[lines..], ["follower event kf_switch_session received"]);
    assert_eq!(
        li.phone()
            .iter()
            .filter(|line| line.sight.text() == Some("在的"))
            .count(),
        1
    );

    assert!(li.is_let_go().wait().is_silent());
    assert_eq!(state(), "bot");
    assert_eq!(li.says("几点开门").wait().text(), Some("十点开门。"));
}

#[test]
fn a_session_that_nobody_ended_is_over_after_half_an_hour() {
    let stage = Stage::open(&["shop"]);
    let li = stage.follower(0, "oLi");
    li.is_taken_by("a1@shop").wait();
    assert_eq!(stage.conversation("shop", "oLi")["state"], "external");
    stage.clock.advance(MINUTE * 31);
    assert_eq!(li.agent(), None);
    assert_eq!(li.says("几点开门").wait().text(), Some("十点开门。"));
}
