//! Lets the deadline pass while a body is still on its way: WeChat hears `success`, and the answer travels otherwise.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wxreply::simulator::{Mode, Push};
use wxreply::wechat::signature;

use super::{LI, Plan, Shop, ends_with, eventually, history};

fn shop(has_secret: bool) -> Shop {
    Shop::open(Plan {
        mode: Mode::Plain,
        has_secret,
        sections: "[callback]\ndeadline = \"1ms\"",
        ..Plan::default()
    })
}

/// Delivers a push whose body comes after the deadline; gives the body of the answer.
fn dawdle(shop: &Shop, push: &Push) -> String {
    let at = wxreply::clock::Clock::system().now().seconds().to_string();
    let signed = signature::sign(&[&shop.account.settings().token, &at, "77"]);
    let clear = push.clear();
    let mut stream = TcpStream::connect(shop.world().address).unwrap();
    write!(
        stream,
        "POST /wx/shop?signature={signed}&timestamp={at}&nonce=77 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        clear.len()
    )
    .unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let asked = Instant::now();
    eventually("the deadline", || {
        asked.elapsed() > Duration::from_millis(20)
    });
    stream.write_all(clear.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn past_the_deadline_wechat_hears_success_and_the_message_waits_for_a_person() {
    let shop = shop(true);
    let push = shop.li().says("我的快递丢了");
    assert_eq!(dawdle(&shop, &push), "success");
    eventually("the message", || !shop.world().conversation(LI).is_null());
    let conversation = shop.world().conversation(LI);
    assert_eq!(
        (&conversation["state"], &conversation["unread"]),
        (&"waiting".into(), &1.into())
    );
    assert_eq!(
        history(shop.world(), LI)[0],
        "follower text 我的快递丢了 received"
    );
    assert_eq!(shop.sends(), 0, "a fixed line is not worth a push");
}

/// The third identical question is answered by a rule and goes to a person, so it must be on disk first.
fn third_question(shop: &Shop) -> Push {
    for _ in 0..2 {
        let delivered = shop.li().says("几点开门").wait();
        assert_eq!(delivered.text(), Some("十点开门。"), "{delivered:?}");
    }
    shop.li().says("几点开门")
}

#[test]
fn a_rules_late_answer_is_pushed_once_and_a_repeat_hears_success() {
    let shop = shop(true);
    let push = third_question(&shop);
    assert_eq!(dawdle(&shop, &push), "success");
    ends_with(shop.world(), LI, "rule text 十点开门。 sent");
    assert_eq!(shop.account.pushed().len(), 1);
    assert_eq!(shop.account.pushed()[0].text(), Some("十点开门。"));
    let before = history(shop.world(), LI);
    assert_eq!(before.len(), 6, "{before:?}");
    let xml = push.clear().to_owned();
    for _ in 0..3 {
        assert!(shop.li().raw(&xml).wait().is_silent());
    }
    assert_eq!(history(shop.world(), LI), before);
    assert_eq!(shop.sends(), 1);
}

#[test]
fn a_rules_late_answer_is_held_where_nothing_can_be_pushed() {
    let shop = shop(false);
    let push = third_question(&shop);
    assert_eq!(dawdle(&shop, &push), "success");
    ends_with(shop.world(), LI, "rule text 十点开门。 held");
    let xml = push.clear().to_owned();
    assert!(shop.li().raw(&xml).wait().is_silent());
    assert_eq!(shop.world().conversation(LI)["state"], "waiting");
    assert_eq!(shop.sends(), 0);
}
