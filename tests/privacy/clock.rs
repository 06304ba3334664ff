//! Sets the clock back under the running server.

use std::time::Duration;

use serde_json::json;

use crate::desk::{LI, Plan, Shop, eventually};
use crate::events::Follower;

#[test]
fn a_clock_that_is_set_back_by_an_hour_breaks_nothing() {
    let shop = Shop::open(Plan::default());
    let mei = shop.token("mei", "agent");
    let mut console = Follower::open(shop.address(), &mei, None);
    shop.li_says("第一句,要人回");
    console.next().unwrap();
    shop.act(&mei, "claim", None);
    shop.replies(&mei, "第一答");
    eventually("the answer is sent", || {
        shop.history(LI)
            .iter()
            .any(|line| line == "agent text 第一答 sent")
    });
    let before = shop.conversation(LI);
    shop.clock.step_back(Duration::from_secs(3600));
    let told = std::thread::scope(|scope| {
        let heard = scope.spawn(|| {
            loop {
                let event = console.next().unwrap();
                if event.data["version"].as_u64() > before["version"].as_u64() {
                    return event;
                }
            }
        });
        shop.li_says("第二句,还要人回");
        heard.join().unwrap()
    });
    assert_eq!(told.data["id"], before["id"]);
    let after = shop.conversation(LI);
    // Lists stay in order: nothing seems to have happened before it did.
    assert!(after["updated_at"].as_str() >= before["updated_at"].as_str());
    let until = after["window_until"].as_str().unwrap();
    let until = crate::desk::time(until);
    let now = shop.clock.now();
    assert!(until > now && until.since(now) <= Duration::from_secs(48 * 3600));
    assert_eq!(after["quota_left"], json!(5));
    shop.replies(&mei, "第二答");
    let is_sent = || {
        shop.history(LI)
            .iter()
            .any(|line| line == "agent text 第二答 sent")
    };
    eventually("the second answer is sent", is_sent);
    let texts: Vec<String> = shop
        .history(LI)
        .iter()
        .filter(|line| !line.starts_with("ack"))
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .filter(|text| text.starts_with('第'))
        .collect();
    assert_eq!(
        texts,
        ["第一句,要人回", "第一答", "第二句,还要人回", "第二答"]
    );
    // Of repeats nothing happens twice, whatever time it is.
    let delivered = shop.li_says("第三句");
    let version = shop.conversation(LI)["version"].clone();
    shop.follower(LI).repeats(&delivered).wait();
    assert_eq!(shop.conversation(LI)["version"], version);
}
