//! Asks in every way in which a rule can be found.

use wxreply::simulator::{Follower, Push};

use super::{ACK, Plan, Stand, heard};

const WORDS: &str = r#"
[[rule]]
id    = "hours"
title = "营业时间"
exact = ["营业时间"]
reply = "exact"
[[rule]]
id    = "refund"
any   = ["退款", "退钱"]
none  = ["投诉"]
reply = "any"
[[rule]]
id    = "invoice"
all   = ["发票", "抬头"]
reply = "all"
[[rule]]
id    = "city"
regex = ['^(?<city>\p{Han}{2,4}?)的天气$', '(?<city>[a-z]+) weather']
reply = "{city}:{{city}"
[[rule]]
id    = "store"
regex = '^(?<city>\p{Han}{2,4}?)的门店$'
table = { file = "tables/stores.csv", key = "city" }
reply = "{city}:{table.地址},{table.电话}"
[[rule]]
id    = "stores"
any   = ["门店"]
reply = "北京和上海"
[[rule]]
id        = "parking"
like      = ["停车方便吗", "有没有停车场", "开车来停哪里"]
min_score = 0.9
reply     = "like"
[[rule]]
id    = "open-invoice"
like  = ["发票怎么开", "能开发票吗"]
reply = "like 2"
[[rule]]
id       = "fire"
any      = ["着火"]
priority = 100
reply    = "119"
[[rule]]
id    = "hotpot"
exact = ["着火了火锅"]
reply = "一道菜"
[[rule]]
id      = "old"
exact   = ["活动"]
enabled = false
reply   = "去年"
[[rule]]
id    = "new"
any   = ["活动"]
reply = "今年"
"#;

#[test]
fn words_find_their_rule() {
    // As a spreadsheet in China saves it.
    let (stores, _, _) =
        encoding_rs::GBK.encode("city,地址,电话\n北京,王府井 1 号,010\n上海,\"南京路,2 号\",021\n");
    let stand = Plan {
        rules: WORDS,
        files: &[("tables/stores.csv", &stores)],
        ..Plan::default()
    }
    .open();
    for (words, reply) in [
        ("營業時間?!", "exact"),
        ("营业时间改了吗", ACK),
        ("我想退钱", "any"),
        ("退款,不然投诉", ACK),
        ("抬头怎么写在发票上", "all"),
        ("抬头", ACK),
        ("臺北的天氣?", "臺北:{city}"),
        ("Ｏｓｌｏ weather", "Ｏｓｌｏ:{city}"),
        ("上海的门店", "上海:南京路,2 号,021"),
        ("你们的门店", "北京和上海"),
        ("有没有停车场", "like"),
        ("发票怎么开呀", "like 2"),
        ("停车贵吗", ACK),
        ("着火了火锅", "119"),
        ("活动", "今年"),
    ] {
        assert_eq!(stand.hears(words), reply, "{words}");
    }
}

#[test]
fn what_a_rule_said_is_kept_with_the_rule_and_the_revision() {
    let stand = Stand::open("[[rule]]\nid = \"hours\"\nexact = [\"几点\"]\nreply = \"十点\"\n");
    let li = stand.stranger();
    assert_eq!(heard(&li, "几点"), "十点");
    let history = stand.history(&li);
    let said = &history[1];
    assert_eq!(
        (&said["by"], &said["rule"], &said["revision"], &said["text"]),
        (&"rule".into(), &"hours".into(), &1.into(), &"十点".into())
    );
    assert_eq!(
        (history.len(), &history[0]["rule"]),
        (2, &serde_json::Value::Null)
    );
}

const KINDS: &str = r#"
[[rule]]
id      = "picture"
message = ["image", "video", "shortvideo"]
reply   = "看到了"
[[rule]]
id      = "place"
message = "location"
reply   = "总店最近"
[[rule]]
id      = "voice"
message = "voice"
reply   = "请打字"
[[rule]]
id      = "link"
message = ["link", "file", "miniprogrampage"]
reply   = "打不开"
[[rule]]
id    = "hours"
exact = ["营业时间"]
reply = "十点"
"#;

/// A message of a kind for which the pretend WeChat has no verb.
fn raw(stand: &Stand, kind: &str, fields: &str) -> Push {
    let (to, follower) = (stand.shop.settings().gh_id.clone(), stand.stranger());
    let at = wxreply::clock::Clock::system().now().seconds();
    follower.raw(&format!(
        "<xml><ToUserName>{to}</ToUserName><FromUserName>{}</FromUserName><CreateTime>{at}</CreateTime>\
         <MsgType>{kind}</MsgType>{fields}<MsgId>{at}77</MsgId></xml>",
        follower.openid()
    ))
}

#[test]
fn messages_without_words_find_the_rule_for_their_kind() {
    let stand = Stand::open(KINDS);
    let video = "<MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>";
    let card = "<Title>t</Title><AppId>wx1</AppId><PagePath>p</PagePath><ThumbUrl>u</ThumbUrl><ThumbMediaId>t</ThumbMediaId>";
    for (push, reply) in [
        (stand.stranger().sends_image(), "看到了"),
        (stand.stranger().sends_video(), "看到了"),
        (raw(&stand, "shortvideo", video), "看到了"),
        (
            stand.stranger().sends_location(39.9, 116.4, "王府井"),
            "总店最近",
        ),
        (
            stand.stranger().sends_link("t", "https://example.com/"),
            "打不开",
        ),
        (stand.stranger().sends_file("a.pdf"), "打不开"),
        (raw(&stand, "miniprogrampage", card), "打不开"),
        (stand.stranger().sends_voice(None), "请打字"),
        // What was heard comes first, then that it is a voice.
        (stand.stranger().sends_voice(Some("营业时间。")), "十点"),
        (stand.stranger().sends_voice(Some("嗯")), "请打字"),
    ] {
        let delivered = push.wait();
        assert_eq!(delivered.text(), Some(reply), "{delivered:?}");
    }
}

const EVENTS: &str = r#"
[[rule]]
id    = "welcome"
event = "subscribe"
reply = "欢迎"
[[rule]]
id    = "table"
event = "scan"
scene = ["table-*-*", "desk-*"]
reply = "{scene.1} 号桌"
[[rule]]
id       = "map"
event    = "menu"
menu_key = ["MAP_*", "PLAN_*"]
reply    = "地图 {menu_key.1}"
[[rule]]
id       = "map-one"
event    = "menu"
menu_key = "MAP_1"
reply    = "总店"
[[rule]]
id    = "photo"
event = "pic_weixin"
key   = "PHOTO-*"
reply = "收到 {key.1}"
"#;

#[test]
fn events_find_their_rule_by_name_and_by_key() {
    let stand = Stand::open(EVENTS);
    type Does = fn(&Follower) -> Push;
    let all: [(Does, &str); 9] = [
        (|who| who.follows(None), "欢迎"),
        (|who| who.follows(Some("table-7-b")), "7 号桌"),
        (|who| who.follows(Some("door")), "欢迎"),
        (|who| who.scans("desk-3"), "3 号桌"),
        (|who| who.scans("door"), ""),
        (|who| who.taps_menu("PLAN_2"), "地图 2"),
        (|who| who.taps_menu("MAP_1"), "总店"),
        (|who| who.taps_menu("HELP"), ""),
        (
            |who| who.causes("pic_weixin", &[("EventKey", "PHOTO-9")]),
            "收到 9",
        ),
    ];
    for (does, reply) in all {
        let delivered = does(&stand.stranger()).wait();
        assert_eq!(delivered.fault, None);
        assert_eq!(
            delivered.text().unwrap_or_default(),
            reply,
            "{}",
            delivered.clear
        );
    }
}
