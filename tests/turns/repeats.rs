//! Delivers the same message again: at the same moment, after a restart, and twenty different ones at once.

use std::sync::Barrier;

use super::{LI, Plan, Shop, clear, history, next_second, stop};
use crate::support::{Stopped, World};

#[test]
fn deliveries_of_one_message_at_the_same_moment_are_one_turn_with_one_answer() {
    let shop = Shop::open(Plan::default());
    let xml = shop.li().says("我的快递丢了").clear().to_owned();
    let start = Barrier::new(12);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let deliveries: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    clear(&shop.li().raw(&xml).wait()).to_owned()
                })
            })
            .collect();
        deliveries
            .into_iter()
            .map(|delivery| delivery.join().unwrap())
            .collect()
    });
    assert!(answers[0].contains("同事"), "{}", answers[0]);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(
        history(shop.world(), LI),
        [
            "follower text 我的快递丢了 received",
            "ack text 收到,这个问题我请同事来回答。 passive"
        ]
    );
}

fn restarted(end: impl FnOnce(World) -> Stopped, is_crash: bool) {
    let mut shop = Shop::open(Plan::default());
    let li = shop.li();
    let ruled = li.says("几点开门").wait();
    assert_eq!(ruled.text(), Some("十点开门。"));
    // Durable itself, and with it everything before it.
    let acked = li.says("我的快递丢了").wait();
    assert!(acked.text().unwrap().contains("同事"));
    let silent = li.says("还没有人吗").wait();
    assert_eq!(clear(&silent), "success");
    let before = history(shop.world(), LI);
    assert_eq!(before.len(), 5, "{before:?}");
    next_second();
    shop.restart(end);
    for earlier in [&ruled, &acked, &silent] {
        assert_eq!(
            clear(&li.repeats(earlier).wait()),
            clear(earlier),
            "crash: {is_crash}"
        );
    }
    assert_eq!(history(shop.world(), LI), before, "crash: {is_crash}");
    assert_eq!(shop.world().conversation(LI)["state"], "waiting");
}

#[test]
fn a_repeat_after_a_stop_and_a_start_gets_the_same_reply_and_changes_nothing() {
    restarted(stop, false);
}

#[test]
fn a_repeat_after_kill_9_gets_the_same_reply_and_changes_nothing() {
    restarted(World::kill, true);
}

#[test]
fn twenty_messages_at_once_are_twenty_turns_one_after_another() {
    let shop = Shop::open(Plan::default());
    let start = Barrier::new(24);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (shop, start) = (&shop, &start);
            scope.spawn(move || {
                start.wait();
                let delivered = shop.li().says(&format!("第{n}号")).wait();
                assert_eq!(delivered.text(), Some(format!("{n}号收到。").as_str()));
            });
        }
        for n in 0..4 {
            let (shop, start) = (&shop, &start);
            scope.spawn(move || {
                start.wait();
                let other = shop.account.follower(&format!("oOther{n}"));
                assert_eq!(other.says("几点开门").wait().text(), Some("十点开门。"));
            });
        }
    });
    let lines = history(shop.world(), LI);
    assert_eq!(lines.len(), 40, "{lines:#?}");
    let mut numbers: Vec<u32> = lines
        .chunks(2)
        .map(|turn| {
            let said = turn[0]
                .trim_start_matches("follower text 第")
                .trim_end_matches("号 received");
            assert_eq!(
                turn[1],
                format!("rule text {said}号收到。 passive"),
                "{lines:#?}"
            );
            said.parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert_eq!(shop.world().conversation(LI)["version"], 20);
}
