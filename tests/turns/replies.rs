//! Shows each kind of passive reply on a phone, from a rules directory through the real binary.

use wxreply::model::Reply;
use wxreply::model::reply::Article;
use wxreply::simulator::{Agent, Delivered, Mode, Sight};

use super::{LI, Plan, Shop, history};

const RULES: &str = r#"
[[rule]]
id = "text"
exact = ["文字"]
reply = "a]]>b & <c> 🎉\n第二行"

[[rule]]
id = "image"
exact = ["图片"]
replies = [{ image = "media_id:I-1", fallback = "没有图" }]

[[rule]]
id = "voice"
exact = ["语音"]
replies = [{ voice = "media_id:A-1" }]

[[rule]]
id = "video"
exact = ["视频"]
replies = [{ video = { file = "media_id:V-1", title = "上手", description = "三分钟" } }]

[[rule]]
id = "music"
exact = ["音乐"]
replies = [{ music = { title = "曲", description = "唱", url = "https://example.com/a.mp3", hq_url = "https://example.com/hq.mp3", cover = "media_id:T-1" } }]

[[rule]]
id = "news"
exact = ["图文"]
replies = [{ news = { title = "停车 & 到店", description = "B2", image = "https://example.com/p.jpg", url = "https://example.com/?a=1&b=2" } }]

[[rule]]
id = "desk"
exact = ["转接"]
replies = [{ desk = {} }]

[[rule]]
id = "desk-agent"
exact = ["找小王"]
replies = [{ desk = { agent = "kf1@shop" } }]

[[rule]]
id = "many"
event = "menu"
menu_key = "NEWS"
[[rule.replies]]
news = [
  { title = "1", url = "https://example.com/1" },
  { title = "2", url = "https://example.com/2" },
  { title = "3", url = "https://example.com/3" },
  { title = "4", url = "https://example.com/4" },
  { title = "5", url = "https://example.com/5" },
  { title = "6", url = "https://example.com/6" },
  { title = "7", url = "https://example.com/7" },
  { title = "8", url = "https://example.com/8" },
]
"#;

fn shop(mode: Mode) -> Shop {
    let shop = Shop::open(Plan {
        mode,
        rules: RULES.to_owned(),
        ..Plan::default()
    });
    shop.account.change(|settings| {
        settings.agents = vec![Agent {
            account: "kf1@shop".to_owned(),
            nick: "小王".to_owned(),
            online: true,
        }];
    });
    shop
}

/// What the phone shows as the answer to the follower's last word.
pub(super) fn shown(shop: &Shop, delivered: &Delivered) -> Reply {
    assert_eq!(delivered.fault, None, "{delivered:?}");
    match &shop.li().phone().last().unwrap().sight {
        Sight::Reply(reply) => reply.content.clone(),
        other => panic!("{other:?}"),
    }
}

fn wanted() -> Vec<(&'static str, Reply)> {
    vec![
        ("文字", Reply::Text("a]]>b & <c> 🎉\n第二行".into())),
        (
            "图片",
            Reply::Image {
                media_id: "I-1".into(),
            },
        ),
        (
            "语音",
            Reply::Voice {
                media_id: "A-1".into(),
            },
        ),
        (
            "视频",
            Reply::Video {
                media_id: "V-1".into(),
                title: "上手".into(),
                description: "三分钟".into(),
            },
        ),
        (
            "音乐",
            Reply::Music {
                title: "曲".into(),
                description: "唱".into(),
                url: "https://example.com/a.mp3".into(),
                hq_url: "https://example.com/hq.mp3".into(),
                thumb_media_id: "T-1".into(),
            },
        ),
        (
            "图文",
            Reply::News(vec![Article {
                title: "停车 & 到店".into(),
                description: "B2".into(),
                pic_url: "https://example.com/p.jpg".into(),
                url: "https://example.com/?a=1&b=2".into(),
            }]),
        ),
    ]
}

#[test]
fn each_kind_of_passive_reply_reaches_the_phone() {
    for mode in [Mode::Plain, Mode::Secure] {
        let shop = shop(mode);
        for (words, reply) in wanted() {
            let delivered = shop.li().says(words).wait();
            assert_eq!(shown(&shop, &delivered), reply, "{mode:?}");
            let said = history(shop.world(), LI).pop().unwrap();
            assert!(
                said.starts_with(&format!("rule {}", reply.kind())),
                "{said}"
            );
            // The repeat reads it from the disk.
            assert_eq!(
                shop.li().repeats(&delivered).wait().reply.unwrap().content,
                reply
            );
        }
    }
}

#[test]
fn an_event_is_answered_with_eight_articles() {
    let shop = shop(Mode::Secure);
    let delivered = shop.li().taps_menu("NEWS").wait();
    let Reply::News(articles) = shown(&shop, &delivered) else {
        panic!("{delivered:?}")
    };
    let titles: Vec<&str> = articles.iter().map(|article| &*article.title).collect();
    assert_eq!(titles, ["1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[test]
fn a_transfer_hands_the_follower_to_wechats_own_desk_and_rules_fall_silent() {
    let shop = shop(Mode::Secure);
    let delivered = shop.li().says("转接").wait();
    assert_eq!(
        delivered.reply.unwrap().content,
        Reply::Transfer { agent: None }
    );
    assert_eq!(shop.world().conversation(LI)["state"], "external");
    // Nobody there took it: WeChat asks us again, and we keep quiet.
    let delivered = shop.li().says("文字").wait();
    assert!(
        delivered.is_silent() && delivered.agent.is_none(),
        "{delivered:?}"
    );

    let zhao = shop.account.follower("oZhao");
    let delivered = zhao.says("找小王").wait();
    let agent = Some("kf1@shop".into());
    assert_eq!(delivered.reply.unwrap().content, Reply::Transfer { agent });
    assert_eq!(zhao.says("你好").wait().agent.as_deref(), Some("kf1@shop"));
}
