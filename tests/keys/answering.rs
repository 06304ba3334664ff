//! Looks at what rules say and do: kinds of replies, placeholders, silence, people.

use wxreply::model::Reply;
use wxreply::simulator::Follower;

use super::{ACK, Plan, Stand, heard, new_name};

/// What the follower is sent in answer.
fn reply(follower: &Follower, words: &str) -> Reply {
    let delivered = follower.says(words).wait();
    assert_eq!(delivered.fault, None, "{words}: {delivered:?}");
    delivered.reply.unwrap().content
}

const KINDS: &str = r#"
[[rule]]
id      = "hello"
any     = ["你好"]
replies = [{ voice = "media_id:V1" }]
[[rule]]
id      = "film"
regex   = '^放(?<film>.+)$'
replies = [{ video = { file = "media_id:V2", title = "{film}", description = "{{{film}" } }]
[[rule]]
id      = "song"
regex   = '^听(?<song>.+)$'
replies = [{ music = { title = "{song}", description = "{song}。", url = "https://example.com/{song}.mp3", hq_url = "https://example.com/hq/{song}", cover = "media_id:T1" } }]
[[rule]]
id      = "card"
regex   = '^看(?<what>.+)$'
replies = [{ news = { title = "{what}", description = "{what}在这里", image = "https://example.com/p.jpg", url = "https://example.com/?q={what}" } }]
[[rule]]
id      = "map"
regex   = '^(?<where>.+)的地图$'
replies = [{ image = "media/map.png", fallback = "{where}:人民路 1 号" }]
"#;

#[test]
fn replies_of_each_kind_are_filled_in() {
    let map = crate::support::media::PNG;
    let stand = Plan {
        rules: KINDS,
        files: &[("media/map.png", map)],
        ..Plan::default()
    }
    .open();
    let li = stand.stranger();
    assert_eq!(reply(&li, "你好").media_id().map(|id| &**id), Some("V1"));
    let Reply::Video {
        title, description, ..
    } = reply(&li, "放红楼梦")
    else {
        panic!("no video")
    };
    assert_eq!((&*title, &*description), ("红楼梦", "{红楼梦"));
    let Reply::Music {
        title,
        description,
        url,
        hq_url,
        thumb_media_id,
    } = reply(&li, "听夏天")
    else {
        panic!("no music")
    };
    assert_eq!(
        [&*title, &*description, &*thumb_media_id],
        ["夏天", "夏天。", "T1"]
    );
    assert_eq!(
        [&*url, &*hq_url],
        [
            "https://example.com/%E5%A4%8F%E5%A4%A9.mp3",
            "https://example.com/hq/%E5%A4%8F%E5%A4%A9"
        ]
    );
    let Reply::News(articles) = reply(&li, "看a&b=1") else {
        panic!("no news")
    };
    let article = &articles[0];
    assert_eq!(
        [&*article.title, &*article.description, &*article.url],
        ["a&b=1", "a&b=1在这里", "https://example.com/?q=a%26b%3D1"]
    );
    // This account can upload nothing.
    let zhao = stand.cafe.follower(&new_name());
    assert_eq!(heard(&zhao, "总店的地图"), "总店:人民路 1 号");
}

#[test]
fn words_are_filled_with_what_is_known_of_the_moment() {
    let rules = r#"
[[rule]]
id    = "who"
exact = ["我是谁"]
reply = "{follower.id}"
[[rule]]
id    = "day"
exact = ["今天"]
reply = "{today}|{now}"
[[rule]]
id      = "person"
exact   = ["人工"]
handoff = { priority = "low" }
reply   = "前面 {queue.ahead} 位,{queue.eta}"
"#;
    let desk = format!("ack = \"{ACK}\"\nanswer_takes = \"40m\"\n");
    let stand = Plan {
        rules,
        files: &[("_desk.toml", desk.as_bytes())],
        ..Plan::default()
    }
    .open();
    let li = stand.stranger();
    assert_eq!(heard(&li, "我是谁"), li.openid());
    let moment = || {
        let now = jiff::tz::offset(8).to_datetime(wxreply::clock::Clock::system().now().into());
        let (month, day, hour, minute) = (now.month(), now.day(), now.hour(), now.minute());
        format!("{month}月{day}日|{hour}:{minute:02}")
    };
    let (before, said, after) = (moment(), heard(&li, "今天"), moment());
    assert!(said == before || said == after, "{said}");
    for words in ["丢了", "坏了"] {
        assert_eq!(stand.hears(words), ACK);
    }
    assert_eq!(heard(&li, "人工"), "前面 2 位,2 小时");
    assert_eq!(stand.called(&li), ["waiting", "handoff", "low", ""]);
}

const DEEDS: &str = r#"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点"
[[rule]]
id           = "open"
any          = ["开门"]
use_reply_of = "hours"
[[rule]]
id     = "spam"
any    = ["加群"]
silent = true
[[rule]]
id     = "wifi"
any    = ["密码"]
always = true
reply  = "8 个 8"
[[rule]]
id   = "tencent"
any  = ["微信客服"]
desk = true
[[rule]]
id      = "wang"
any     = ["小王"]
replies = [{ desk = { agent = "kf1@shop" } }]
[[rule]]
id      = "refund"
any     = ["退款"]
handoff = { priority = "high", reason = "要退款" }
reply   = "我请同事来"
[[rule]]
id      = "complaint"
any     = ["投诉"]
handoff = { priority = "urgent" }
[[rule]]
id       = "menu-person"
event    = "menu"
menu_key = "PERSON"
handoff  = { reason = "点了菜单里的人工" }
reply    = "请说"
"#;

#[test]
fn a_rule_speaks_with_the_words_of_another() {
    let stand = Stand::open(DEEDS);
    let li = stand.stranger();
    assert_eq!(heard(&li, "开门了吗"), "十点");
    assert_eq!(stand.history(&li)[1]["rule"], "open");
}

#[test]
fn a_silent_rule_is_only_written_down() {
    let stand = Stand::open(DEEDS);
    let li = stand.stranger();
    assert_eq!(heard(&li, "加群领红包"), "");
    assert_eq!(
        (stand.history(&li).len(), &stand.known(&li)["state"]),
        (1, &"bot".into())
    );
}

#[test]
fn a_rule_that_always_speaks_does_so_beside_a_person() {
    let stand = Stand::open(DEEDS);
    let li = stand.stranger();
    assert_eq!(heard(&li, "我的东西丢了"), ACK);
    stand.person(&li, "claim", None);
    assert_eq!(heard(&li, "几点"), "");
    assert_eq!(heard(&li, "密码"), "8 个 8");
    let known = stand.known(&li);
    assert_eq!(
        (&known["state"], &known["unread"]),
        (&"assigned".into(), &2.into())
    );
}

#[test]
fn a_rule_hands_over_to_wechats_own_desk() {
    let stand = Stand::open(DEEDS);
    let li = stand.stranger();
    assert_eq!(reply(&li, "微信客服"), Reply::Transfer { agent: None });
    assert_eq!(stand.known(&li)["state"], "external");
    assert_eq!(heard(&li, "几点"), "", "the desk speaks now");
    let agent = Some("kf1@shop".into());
    assert_eq!(
        reply(&stand.stranger(), "找小王"),
        Reply::Transfer { agent }
    );
}

#[test]
fn a_rule_calls_a_person_with_its_words_or_the_usual_ones() {
    let stand = Stand::open(DEEDS);
    let li = stand.stranger();
    assert_eq!(heard(&li, "退款"), "我请同事来");
    assert_eq!(stand.called(&li), ["waiting", "handoff", "high", "要退款"]);
    let zhao = stand.stranger();
    assert_eq!(heard(&zhao, "我要投诉"), ACK);
    assert_eq!(stand.called(&zhao), ["waiting", "handoff", "urgent", ""]);
    let wang = stand.stranger();
    assert_eq!(wang.taps_menu("PERSON").wait().text(), Some("请说"));
    assert_eq!(
        stand.called(&wang),
        ["waiting", "handoff", "normal", "点了菜单里的人工"]
    );
}
