//! Words the ack: what it is about, by when somebody answers, who is there.

use super::*;

const DESK: &str = "ack = \"收到,{topic}我请同事来回答,{promise}。\"\ncalendar = \"shop\"\n";
const HOURS: &str = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";

fn talk(desk: &str) -> Talk {
    Talk::of(&[
        ("10-a.toml", RULES),
        ("_calendar.toml", HOURS),
        ("_desk.toml", desk),
    ])
}

const RULES: &str = r#"
[[rule]]
id = "less"
any = ["少送"]
handoff = { priority = "high", reason = "外卖少送" }
[[rule]]
id = "menu"
event = "menu"
handoff = { priority = "normal", reason = "菜单找人" }
"#;

/// What is promised for a message at a moment in Shanghai.
fn promised(talk: &mut Talk, at: &str) -> String {
    talk.known = None;
    talk.at(at);
    words(&talk.says("??"))
}

#[test]
fn a_promise_is_a_time_that_can_be_kept() {
    // 5 June 2026 is a Friday; normal is two hours of business.
    for (at, promise) in [
        ("2026-06-03T12:00", "今天 14:00 前回你"),
        ("2026-06-03T12:01", "今天 14:05 前回你"),
        ("2026-06-03T17:00", "明天 10:00 前回你"),
        ("2026-06-03T20:00", "明天 9:00 上班后回你"),
        ("2026-06-04T07:30", "今天 9:00 上班后回你"),
        (
            "2026-06-05T18:05",
            "周一 9:00 上班后你再发一句,我们马上接上",
        ),
        (
            "2026-06-05T17:00",
            "周一 9:00 上班后你再发一句,我们马上接上",
        ),
        // The window of Saturday noon shuts on Monday at 11:55, that of Saturday nine at 8:55.
        ("2026-06-06T12:00", "周一 9:00 上班后回你"),
        (
            "2026-06-06T09:00",
            "周一 9:00 上班后你再发一句,我们马上接上",
        ),
    ] {
        let said = promised(&mut talk(DESK), at);
        assert_eq!(said, format!("收到,我请同事来回答,{promise}。"), "{at}");
    }
}

#[test]
fn a_promise_fits_its_priority_and_the_account() {
    let mut urgent = talk(&format!(
        "{DESK}[sla.normal]\nfirst = \"5m\"\nclock = \"always\"\n"
    ));
    let said = promised(&mut urgent, "2026-06-06T03:00");
    assert!(said.contains("今天 3:05 前回你"), "{said}");
    let mut day = talk(&format!(
        "{DESK}[sla.normal]\nfirst = \"30m\"\nclock = \"daytime\"\n"
    ));
    let said = promised(&mut day, "2026-06-06T23:30");
    assert!(said.contains("明天 8:00 上班后回你"), "{said}");
    let mut high = talk(DESK);
    high.at("2026-06-03T12:00");
    let said = words(&high.says("外卖少送了"));
    assert_eq!(said, "收到,「外卖少送」我请同事来回答,今天 12:30 前回你。");
    let mut mute = talk(DESK);
    mute.can_push = false;
    let said = promised(&mut mute, "2026-06-03T12:00");
    assert!(said.contains("同事回复后,你随便发一个字就能看到"), "{said}");
    // Nobody can keep a promise of 60 hours either.
    let mut slow = talk(&format!(
        "{DESK}[sla.normal]\nfirst = \"60h\"\nclock = \"always\"\n"
    ));
    let said = promised(&mut slow, "2026-06-03T12:00");
    assert!(said.contains("你随便发一个字就能看到"), "{said}");
}

#[test]
fn a_tap_opens_a_window_of_a_minute_that_no_promise_outlasts() {
    let mut talk = talk(DESK);
    talk.at("2026-06-03T12:00");
    let tapped = talk.sends(event(EventKind::Click, "CLICK", Some("A")));
    assert_eq!(
        words(&tapped),
        "收到,「菜单找人」我请同事来回答,同事回复后,你随便发一个字就能看到。"
    );
    talk.known = None;
    let tapped = talk.sends(Content::Text {
        text: "想订位".into(),
        menu_id: Some("m1".into()),
    });
    assert!(words(&tapped).contains("随便发一个字"), "{tapped:?}");
}

#[test]
fn the_topic_is_the_followers_own_words_cut_short_or_nothing() {
    for (said, topic) in [
        ("能包场吗?", "「能包场吗」"),
        ("一二三四五六七八九十百千", "「一二三四五六七八九十百千」"),
        (
            "一二三四五六七八九十百千万",
            "「一二三四五六七八九十百千…」",
        ),
        ("「你好」\n 在", "「你好 在」"),
        ("?!", ""),
        ("[微笑]", "「微笑」"),
        ("看 https://a.cn/b", ""),
    ] {
        let mut talk = talk("ack = \"{topic}好\"\n");
        assert_eq!(words(&talk.says(said)), format!("{topic}好"), "{said}");
    }
    let mut talk = talk("ack = \"{topic}好\"\n");
    let image = Content::Image {
        pic_url: "u".into(),
        media_id: "m".into(),
    };
    assert_eq!(words(&talk.sends(image)), "好");
}

#[test]
fn who_is_on_duty_is_named_only_when_somebody_is() {
    let desk = "calendar = \"shop\"\nack = \"收到,{duty.name}马上来。\"\nack_off = \"收到,记下了。\"\n[sla.normal]\nfirst = \"5m\"\nclock = \"always\"\n";
    let mut alone = talk(desk);
    alone.at("2026-06-03T12:00");
    assert_eq!(words(&alone.says("在?")), "收到,记下了。");
    let mut attended = talk(desk);
    attended.is_on_duty("wang", "小王", 3);
    attended.is_on_duty("li", "小李", 1);
    attended.at("2026-06-03T12:00");
    assert_eq!(words(&attended.says("在?")), "收到,小李马上来。");
    attended.known = None;
    attended.at("2026-06-03T20:00");
    assert_eq!(words(&attended.says("在?")), "收到,记下了。", "closed");
    // Without the other line the same one without a name.
    let mut plain = talk("ack = \"收到,{duty.name},请等一下。\"\n");
    assert_eq!(words(&plain.says("在?")), "收到,请等一下。");
}

#[test]
fn the_queue_is_told_in_acks_too() {
    let mut talk = talk("ack = \"前面 {queue.ahead} 位,约 {queue.eta}。\"\n");
    assert!(talk.rules.set.wants_queue());
    assert_eq!(words(&talk.says("在?")), "前面 0 位,约 3 分钟。");
}
