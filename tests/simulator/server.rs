//! Holds the pretend WeChat and the server's own wire against each other: two implementations that share no code must agree.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use wxreply::model::reply::Article;
use wxreply::model::{AccountName, Content, OpenId, Reply};
use wxreply::simulator::{Account, Delivered, MediaKind, Mode, Tampering, Wechat};
use wxreply::wechat::callback::{self, RefusedKind};
use wxreply::wechat::client::{Client, ClientSettings, SendError};
use wxreply::wechat::{self as wire, AesKey};

use super::callback::{Answer, Callback, Seen};
use super::{START, account, wechat};

const SKEW: Duration = Duration::from_secs(600);

/// The account as the server would know it.
fn own_side(shop: &Account) -> wire::Account {
    let settings = shop.settings();
    let mode = match settings.mode {
        Mode::Plain => wire::Mode::Plain,
        Mode::Compatible => wire::Mode::Compatible,
        Mode::Secure => wire::Mode::Secure,
    };
    wire::Account::new(
        AccountName::parse("shop").unwrap(),
        settings.app_id.as_str(),
        mode,
        SecretString::from(settings.token.as_str()),
        None,
        settings
            .aes_key
            .as_deref()
            .map(|key| AesKey::parse(key).unwrap()),
        None,
    )
    .unwrap()
}

/// A shop whose callback is the server's own code: it answers `reply`, or refuses and remembers at which step.
struct Shop {
    _wechat: Wechat,
    account: Account,
    refused: Arc<Mutex<Option<&'static str>>>,
}

impl Shop {
    fn answering(mode: Mode, reply: Option<Reply>) -> Self {
        let side: Arc<Mutex<Option<wire::Account>>> = Arc::default();
        let refused: Arc<Mutex<Option<&'static str>>> = Arc::default();
        let (own, step) = (Arc::clone(&side), Arc::clone(&refused));
        let callback = Callback::new(move |seen: &Seen| {
            let own = own.lock().unwrap();
            let own = own.as_ref().unwrap();
            let body = seen.body.as_bytes();
            match callback::open(own, &seen.raw_query, body, START, SKEW) {
                Ok(opened) => {
                    let mut random = |bytes: &mut [u8]| bytes.fill(b'r');
                    let body = callback::answer(
                        own,
                        &opened.seal,
                        reply.as_ref(),
                        START.seconds(),
                        START,
                        &mut random,
                    );
                    Answer::Body(String::from_utf8(body).unwrap())
                }
                Err(refusal) => {
                    *step.lock().unwrap() = Some(refusal.step);
                    Answer::Status(match refusal.kind {
                        RefusedKind::BadRequest => 400,
                        RefusedKind::Forbidden => 403,
                    })
                }
            }
        });
        let wechat = wechat();
        let account = account(&wechat, &callback, mode);
        *side.lock().unwrap() = Some(own_side(&account));
        Self {
            _wechat: wechat,
            account,
            refused,
        }
    }
}

fn replies(to_event: bool) -> Vec<Reply> {
    let article = Article {
        title: "标题 & 更多".into(),
        description: "".into(),
        pic_url: "https://example.com/p.jpg".into(),
        url: "https://example.com/?a=1&b=2".into(),
    };
    let mut replies = vec![
        Reply::Text("a]]>b & <c>\n🎉".into()),
        Reply::Image {
            media_id: "I".into(),
        },
        Reply::Voice {
            media_id: "A".into(),
        },
        Reply::Video {
            media_id: "V".into(),
            title: "上手".into(),
            description: "三分钟".into(),
        },
        Reply::Music {
            title: "曲".into(),
            description: "唱".into(),
            url: "https://example.com/a.mp3".into(),
            hq_url: "https://example.com/hq.mp3".into(),
            thumb_media_id: "T".into(),
        },
    ];
    replies.push(Reply::News(vec![article; if to_event { 8 } else { 1 }]));
    if !to_event {
        replies.push(Reply::Transfer {
            agent: Some("a1@shop".into()),
        });
        replies.push(Reply::Transfer { agent: None });
    }
    replies
}

fn keep_media(account: &Account) {
    account.keeps_media(MediaKind::Image, "I");
    account.keeps_media(MediaKind::Voice, "A");
    account.keeps_media(MediaKind::Video, "V");
    account.keeps_media(MediaKind::Thumb, "T");
}

#[test]
fn every_reply_kind_arrives_as_it_was_meant_in_every_mode() {
    for mode in [Mode::Plain, Mode::Compatible, Mode::Secure] {
        for to_event in [false, true] {
            for reply in replies(to_event) {
                let shop = Shop::answering(mode, Some(reply.clone()));
                keep_media(&shop.account);
                let follower = shop.account.follower("oWang");
                let delivered = if to_event {
                    follower.taps_menu("HELP").wait()
                } else {
                    follower.says("在吗").wait()
                };
                let passive = delivered.reply.as_ref().unwrap_or_else(|| {
                    panic!("{mode:?} {reply:?} {delivered:?}");
                });
                assert_eq!(passive.content, reply);
                assert_eq!(passive.sealed, mode != Mode::Plain);
                assert_eq!(passive.create_time, START.seconds());
            }
        }
        let silent = Shop::answering(mode, None);
        let delivered = silent.account.follower("oWang").says("在吗").wait();
        assert!(delivered.is_silent() && delivered.body == b"success");
    }
}

#[test]
fn each_tampering_is_refused_at_its_own_step() {
    let cases = [
        (Tampering::WrongSignature, 403, "signature"),
        (Tampering::WrongMessageSignature, 403, "msg_signature"),
        (Tampering::OtherAppId, 403, "appid"),
        (Tampering::NotBase64, 403, "base64"),
        (Tampering::OddLength, 403, "length"),
        (Tampering::BadPadding, 403, "padding"),
        (Tampering::Truncated, 403, "truncated"),
        (Tampering::NotUtf8, 403, "utf8"),
        (Tampering::Downgraded, 403, "downgrade"),
    ];
    let shop = Shop::answering(Mode::Secure, None);
    let follower = shop.account.follower("oWang");
    for (tampering, status, step) in cases {
        let delivered = follower.says("x").tampered(tampering.clone()).wait();
        assert_eq!(refusal(&shop, &delivered), (status, step), "{tampering:?}");
    }
    for (tampering, status) in [
        // Where a wrong key is noticed is chance.
        (Tampering::OtherKey, 403),
        (Tampering::Without("timestamp"), 400),
        (Tampering::Without("msg_signature"), 400),
        (Tampering::Twice("signature"), 400),
        (Tampering::Body(b"<xml></xml>".to_vec()), 400),
        (Tampering::Body(b"{}".to_vec()), 400),
    ] {
        let delivered = follower.says("x").tampered(tampering.clone()).wait();
        assert_eq!(refusal(&shop, &delivered).0, status, "{tampering:?}");
    }
    let stale = START.minus(SKEW + Duration::from_secs(1));
    let delivered = follower.says("x").with_timestamp(stale).wait();
    assert_eq!(refusal(&shop, &delivered).0, 403);
    assert!(follower.says("x").wait().is_silent());
}

fn refusal(shop: &Shop, delivered: &Delivered) -> (u16, &'static str) {
    let step = shop.refused.lock().unwrap().take().unwrap();
    (delivered.status.unwrap(), step)
}

#[test]
fn what_followers_send_is_understood() {
    let shop = Shop::answering(Mode::Secure, None);
    let follower = shop.account.follower("oWang");
    let pushes = [
        (follower.says("a]]>b"), "text"),
        (follower.taps_menu_message("101", "满意"), "text"),
        (follower.sends_image(), "image"),
        (follower.sends_voice(Some("几点")), "voice"),
        (follower.sends_video(), "video"),
        (follower.sends_location(31.2, 121.4, "人民大道"), "location"),
        (follower.sends_link("标题", "https://example.com"), "link"),
        (follower.sends_file("报价单.pdf"), "file"),
        (follower.follows(Some("9")), "event"),
        (follower.scans("9"), "event"),
        (follower.scans_from_menu("k", "x"), "event"),
        (follower.opens_page("https://example.com"), "event"),
        (follower.unfollows(), "event"),
    ];
    for (push, kind) in pushes {
        let incoming = wire::xml::read(push.clear().as_bytes()).unwrap();
        assert_eq!(incoming.content.kind(), kind);
        assert_eq!(incoming.from.as_str(), "oWang");
        if let Content::Event(event) = &incoming.content {
            assert!(event.name.as_ref() != "subscribe" || event.scene() == Some("9"));
        }
        assert!(push.wait().is_silent(), "{kind}");
    }
}

#[tokio::test]
async fn the_servers_client_pushes_every_kind_and_survives_an_expired_token() {
    let callback = Callback::answering([]);
    let wechat = wechat();
    let shop = account(&wechat, &callback, Mode::Plain);
    keep_media(&shop);
    let settings = shop.settings();
    let clock = wechat.clock().clone();
    let client = Client::new(
        ClientSettings {
            api_base: wechat.api_base(),
            app_id: settings.app_id.clone(),
            secret: SecretString::from(settings.secret.as_str()),
        },
        Arc::new(move || clock.now()),
    );
    let wang = OpenId::parse("oWang").unwrap();
    let follower = shop.follower("oWang");
    let refused = |result: Result<(), SendError>| match result {
        Err(SendError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    let text = Reply::Text("好 & 🎉".into());
    assert_eq!(refused(client.send(&wang, &text).await), 45015);
    for reply in replies(false) {
        if matches!(reply, Reply::Transfer { .. }) {
            continue;
        }
        follower.says("再开一次").await;
        client.send(&wang, &reply).await.unwrap();
        let pushed = shop.pushed().pop().unwrap();
        assert_eq!(pushed.kind, reply.kind());
    }
    follower.says("再开一次").await;
    shop.expires_tokens();
    client.send(&wang, &text).await.unwrap();
    assert_eq!(shop.pushed().pop().unwrap().text(), Some("好 & 🎉"));
    let expired = wechat
        .calls()
        .iter()
        .filter(|call| call.code == 42001)
        .count();
    assert_eq!(expired, 1);
    shop.change(|settings| settings.rights.custom_send = false);
    assert_eq!(refused(client.send(&wang, &text).await), 48001);
    assert!(!client.can_push());
}
