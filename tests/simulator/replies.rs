//! What makes a callback's answer a reply, nothing, or the fault notice, and who sees it.

use wxreply::model::Reply;
use wxreply::simulator::{AccountSettings, MediaKind, Mode, Sight};

use super::callback::{Answer, Callback};
use super::{account, text_reply, wechat};

#[test]
fn only_messages_and_menu_taps_show_the_fault_notice() {
    let callback = Callback::new(|_| Answer::Status(502));
    let wechat = wechat();
    let follower = account(&wechat, &callback, Mode::Plain).follower("oWang");
    for (push, notice) in [
        (follower.says("x"), true),
        (follower.sends_image(), true),
        (follower.sends_voice(Some("几点关门")), true),
        (follower.sends_video(), true),
        (follower.sends_location(31.2, 121.4, "人民大道"), true),
        (follower.sends_link("标题", "https://example.com"), true),
        (follower.sends_file("报价单.pdf"), true),
        (follower.taps_menu_message("101", "满意"), true),
        (follower.taps_menu("HELP"), true),
        (
            follower.scans_from_menu("scan", "https://example.com"),
            true,
        ),
        (follower.opens_page("https://example.com"), false),
        (follower.scans("20031"), false),
        (follower.follows(None), false),
        (follower.unfollows(), false),
        (follower.causes("LOCATION", &[("Latitude", "30.2")]), false),
    ] {
        let clear = push.clear().to_owned();
        let delivered = push.wait();
        assert_eq!(delivered.fault.as_deref(), Some("HTTP status 502"));
        assert_eq!(delivered.notice, notice, "{clear}");
    }
    let notices = follower.phone();
    let notices = notices
        .iter()
        .filter(|line| line.sight == Sight::FaultNotice);
    assert_eq!(notices.count(), 10);
}

#[test]
fn each_rule_for_replies_has_its_fault() {
    let wechat = wechat();
    let gh_id = AccountSettings::plain("shop", "").gh_id;
    let reply = |kind: &str, fields: &str| {
        format!(
            "<xml><ToUserName><![CDATA[oWang]]></ToUserName><FromUserName>{gh_id}</FromUserName>\
             <CreateTime>1718200000</CreateTime><MsgType>{kind}</MsgType>{fields}</xml>"
        )
    };
    let text = |text: &str| reply("text", &format!("<Content><![CDATA[{text}]]></Content>"));
    let item = "<item><Title>t</Title><Description/><PicUrl/><Url>u</Url></item>";
    let news = |count: usize, items: usize| {
        let items = item.repeat(items);
        reply(
            "news",
            &format!("<ArticleCount>{count}</ArticleCount><Articles>{items}</Articles>"),
        )
    };
    let media = |kind: &str, id: &str| {
        reply(
            &kind.to_lowercase(),
            &format!("<{kind}><MediaId>{id}</MediaId></{kind}>"),
        )
    };
    let music = "<Music><Title>曲</Title><ThumbMediaId>T</ThumbMediaId></Music>";
    // (answer, its fault as answer to a message, its fault as answer to an event); "" is none.
    let cases = [
        (String::new(), "", ""),
        ("success".to_owned(), "", ""),
        (
            "success\n".to_owned(),
            "outside the root",
            "outside the root",
        ),
        (
            "{\"errcode\":0}".to_owned(),
            "outside the root",
            "outside the root",
        ),
        ("<html></html>".to_owned(), "not <xml>", "not <xml>"),
        (text("好"), "", ""),
        (text(""), "empty Content", "empty Content"),
        (text(&format!("{}ab", "好".repeat(681))), "", ""),
        (text(&"好".repeat(683)), "2049 bytes", "2049 bytes"),
        (text("a\u{8}b"), "U+0008", "U+0008"),
        (
            text("好").replace("oWang", "oLi"),
            "ToUserName",
            "ToUserName",
        ),
        (
            text("好").replace(&gh_id, "gh_x"),
            "FromUserName",
            "FromUserName",
        ),
        (
            text("好").replace("1718200000", "now"),
            "CreateTime",
            "CreateTime",
        ),
        (
            text("好").replace(">text<", ">words<"),
            "MsgType",
            "MsgType",
        ),
        (media("Image", "I"), "", ""),
        (media("Image", "unknown"), "media id", "media id"),
        (media("Voice", "I"), "media id", "media id"),
        (media("Video", "V"), "", ""),
        (media("Voice", ""), "media id", "media id"),
        (reply("music", music), "", ""),
        (reply("music", "<Music/>"), "media id", "media id"),
        (news(1, 1), "", ""),
        (news(8, 8), "8 articles", ""),
        (news(9, 9), "9 articles", "9 articles"),
        (news(0, 0), "0 articles", "0 articles"),
        (news(2, 1), "ArticleCount", "ArticleCount"),
        (news(1, 1).replace("<Url>u</Url>", ""), "lacks", "lacks"),
        (reply("transfer_customer_service", ""), "", "transferred"),
    ];
    for (answer, for_message, for_event) in cases {
        let body = answer.clone();
        let callback = Callback::new(move |_| Answer::Body(body.clone()));
        let shop = account(&wechat, &callback, Mode::Plain);
        for (kind, id) in [
            (MediaKind::Image, "I"),
            (MediaKind::Video, "V"),
            (MediaKind::Thumb, "T"),
        ] {
            shop.keeps_media(kind, id);
        }
        let follower = shop.follower("oWang");
        for (push, expected) in [
            (follower.says("x"), for_message),
            (follower.scans("9"), for_event),
        ] {
            let fault = push.wait().fault.unwrap_or_default();
            assert!(fault.contains(expected), "{fault}: {answer}");
            assert_eq!(fault.is_empty(), expected.is_empty(), "{fault}: {answer}");
        }
        shop.change(|settings| settings.mode = Mode::Secure);
        let fault = follower.says("x").wait().fault.unwrap_or_default();
        let is_clear = answer.ends_with("</xml>") && !answer.contains('\u{8}');
        assert_eq!(
            fault == "a clear reply in secure mode",
            is_clear,
            "{fault}: {answer}"
        );
    }
}

#[test]
fn a_reply_to_a_page_view_or_a_farewell_is_valid_but_not_seen() {
    let gh_id = AccountSettings::plain("shop", "").gh_id;
    let reply = text_reply(&gh_id, "看不见");
    let callback = Callback::new(move |_| Answer::Body(reply.clone()));
    let wechat = wechat();
    let follower = account(&wechat, &callback, Mode::Plain).follower("oWang");
    for push in [
        follower.opens_page("https://example.com"),
        follower.unfollows(),
    ] {
        assert!(matches!(push.wait().reply.unwrap().content, Reply::Text(_)));
    }
    assert!(
        follower
            .phone()
            .iter()
            .all(|line| line.sight.text().is_none())
    );
}
