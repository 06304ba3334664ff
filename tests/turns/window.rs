//! Spends what WeChat allows to be pushed, and compares its count with the server's forecast.

use super::{LI, Plan, Shop, ends_with};

/// Pushes as long as both sides say there is something left.
fn spend(shop: &Shop, allowed: u32) {
    let li = shop.li();
    for left in (0..allowed).rev() {
        let text = format!("还剩{left}");
        assert_eq!(shop.agent_says(LI, &text)["delivery"], "queued");
        ends_with(shop.world(), LI, &format!("agent text {text} sent"));
        assert_eq!(li.pushes_left(), left);
        assert_eq!(shop.world().conversation(LI)["quota_left"], left);
    }
    let sends = shop.sends();
    let held = shop.agent_says(LI, "再一句");
    assert_eq!(
        (&held["delivery"], &held["error"]["code"]),
        (&"held".into(), &45047.into())
    );
    assert_eq!(
        shop.sends(),
        sends,
        "the forecast says no before WeChat does"
    );
    assert_eq!(
        shop.account.pushed().len(),
        usize::try_from(allowed).unwrap()
    );
}

#[test]
fn a_message_allows_five_pushes_and_the_sixth_answer_is_held_without_asking_wechat() {
    let shop = Shop::open(Plan::default());
    let li = shop.li();
    li.says("我的快递丢了").wait();
    spend(&shop, 5);
    // The follower's next word opens a new window, and is answered with what waited.
    assert_eq!(li.says("在吗").wait().text(), Some("再一句"));
    assert_eq!(
        (
            li.pushes_left(),
            &shop.world().conversation(LI)["quota_left"]
        ),
        (5, &5.into())
    );
    shop.agent_says(LI, "新的一句");
    ends_with(shop.world(), LI, "agent text 新的一句 sent");
}

#[test]
fn a_menu_tap_allows_three_pushes_for_a_minute() {
    let shop = Shop::open(Plan::default());
    assert_eq!(
        shop.li().taps_menu("HELP").wait().text(),
        Some("菜单帮助。")
    );
    let conversation = shop.world().conversation(LI);
    assert_eq!(conversation["quota_left"], 3);
    let until: jiff::Timestamp = conversation["window_until"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let at: jiff::Timestamp = conversation["updated_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(until.duration_since(at).as_secs(), 60);
    spend(&shop, 3);
}

#[test]
fn a_tap_on_a_menu_message_counts_as_a_tap_and_is_answered_by_its_words() {
    let shop = Shop::open(Plan::default());
    let delivered = shop.li().taps_menu_message("101", "营业时间").wait();
    assert_eq!(delivered.text(), Some("十点开门。"));
    assert_eq!(shop.world().conversation(LI)["quota_left"], 3);
    assert_eq!(shop.li().pushes_left(), 3);
}

#[test]
fn passive_replies_spend_nothing() {
    let shop = Shop::open(Plan::default());
    for n in 0..8 {
        assert!(shop.li().says(&format!("第{n}号")).wait().text().is_some());
    }
    assert_eq!(shop.sends(), 0);
    assert_eq!(shop.li().pushes_left(), 5);
    assert_eq!(shop.world().conversation(LI)["quota_left"], 5);
}
