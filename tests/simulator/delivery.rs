//! Signing, sealing, repeats, tampering: how pushes reach a callback.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha1::{Digest, Sha1};
use wxreply::clock::Clock;
use wxreply::model::Time;
use wxreply::simulator::{AccountSettings, FAULT_NOTICE, Mode, Settings, Tampering, Wechat};

use super::callback::{Answer, Callback};
use super::{IMPATIENT, START, account, text_reply, wechat, with_limit};

fn sign(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let digest = Sha1::digest(parts.concat());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_plain_push_is_signed_and_looks_like_wechats() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    let delivered = shop.follower("oWang").says("a]]>b & 几点关门").wait();
    assert!(delivered.is_silent(), "{delivered:?}");
    let seen = &callback.seen()[0];
    let settings = shop.settings();
    let parts = [
        &*settings.token,
        seen.query("timestamp"),
        seen.query("nonce"),
    ];
    assert_eq!(seen.query("signature"), sign(&parts));
    assert_eq!(seen.query("timestamp"), "1718200000");
    assert_eq!((seen.query("openid"), seen.query("own")), ("oWang", "1"));
    assert_eq!(
        (seen.query("encrypt_type"), seen.query("msg_signature")),
        ("", "")
    );
    let id: u64 = seen.field("MsgId").parse().unwrap();
    assert!(id > 1 << 53);
    assert_eq!(
        seen.body,
        format!(
            "<xml><ToUserName><![CDATA[{}]]></ToUserName><FromUserName><![CDATA[oWang]]></FromUserName>\
             <CreateTime>1718200000</CreateTime><MsgType><![CDATA[text]]></MsgType>\
             <Content><![CDATA[a]]]]><![CDATA[>b & 几点关门]]></Content><MsgId>{id}</MsgId></xml>",
            settings.gh_id
        )
    );
    assert_eq!(delivered.clear, seen.body);
}

/// Sends back what it got, in the envelope in which it came.
fn echo() -> Callback {
    Callback::new(|seen| {
        Answer::Body(format!(
            "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{}</TimeStamp><Nonce>{}</Nonce></xml>",
            seen.field("Encrypt"),
            seen.query("msg_signature"),
            seen.query("timestamp"),
            seen.query("nonce"),
        ))
    })
}

#[test]
fn a_sealed_push_carries_four_part_signature_and_only_what_its_mode_allows() {
    let (callback, wechat) = (echo(), wechat());
    let shop = account(&wechat, &callback, Mode::Secure);
    // A follower who is called like the account makes the push a valid reply to itself.
    let twin = shop.follower(&shop.settings().gh_id);
    let delivered = twin.says("回声").wait();
    assert_eq!(delivered.text(), Some("回声"), "{delivered:?}");
    assert!(delivered.reply.unwrap().sealed);
    shop.change(|settings| settings.mode = Mode::Compatible);
    assert_eq!(twin.says("回声").wait().text(), Some("回声"));
    let [secure, compatible] = <[_; 2]>::try_from(callback.seen()).unwrap();
    for seen in [&secure, &compatible] {
        let token = &shop.settings().token;
        let (time, nonce) = (seen.query("timestamp"), seen.query("nonce"));
        let signature = sign(&[token, time, nonce, seen.field("Encrypt")]);
        assert_eq!(seen.query("msg_signature"), signature);
        assert_eq!(seen.query("signature"), sign(&[token, time, nonce]));
        assert_eq!(seen.query("encrypt_type"), "aes");
    }
    assert_eq!(secure.body.matches("</").count(), 3, "{}", secure.body);
    assert_eq!(secure.field("FromUserName"), "");
    assert_eq!(compatible.field("Content"), "回声");
}

#[test]
fn an_envelope_made_by_other_libraries_opens() {
    // Vector B of the protocol notes, the same bytes from two independent libraries.
    const REPLY: &str = "<xml><Encrypt><![CDATA[y4FxJ9W4qPFxa3ofDKCqeXVXr7zWAD+3LBC0NH4iSHOibjcfoF+Ljtn8Hsv3fVTlt+maGdIP4SqqPUlobsvQndbBB/I/+T3bJdokh52hXpdLV92/NGaHsColUp59yi5gd1Fpd6q7/I6GM5pOTccotR5YwOW0DC68HlgRInNXrjAKK3a+gY8AajSZmqSaPwNckM7Vs8Pp/6PzxVki4m7f+IfyWGwsL9VuLFAbKoYpQ6HuXmhmOKFlKF8HJCNg7t9+ylSmIttOi0tZhqhECNyF6G/M39iV4o9xi52pTk2Veiee0+fqac34F+xEZqGgKZUEKvWBvQ69+xtZ0ktkuzQi2pYc/uVJPSbixDUxCqVbZ6jIiWNBhQcDv7npxreMISRleEtxtPY9CLSSEzuT4WDY+elnOVKLwcuWL6CplCWlR+Y=]]></Encrypt><MsgSignature><![CDATA[b29a4a8f3a4d98d13513a89464ee52c7981bad9a]]></MsgSignature><TimeStamp>1718706781</TimeStamp><Nonce><![CDATA[9823305511]]></Nonce></xml>";
    let (callback, wechat) = (Callback::new(|_| Answer::Body(REPLY.to_owned())), wechat());
    let shop = account(&wechat, &callback, Mode::Secure);
    shop.change(|settings| {
        settings.gh_id = "gh_7c1e40b95a2d".to_owned();
        settings.app_id = "wxfe815c706eab338d".to_owned();
        settings.token = "s3cretTokqI1bi6".to_owned();
        settings.aes_key = Some("tGcK0fKWr5A5F2diof9FWGaiAJUE5NXTnHJyXztB4CJ".to_owned());
    });
    let follower = shop.follower("oxKCT9TocfQLnYDtFVhSl2GnuFKv");
    let delivered = follower.says("在吗").wait();
    assert_eq!(delivered.text(), Some("收到啦🎉，稍等"), "{delivered:?}");
    assert_eq!(delivered.reply.unwrap().create_time, 1_718_400_000);
    let others = shop.follower("oOther").says("在吗").wait();
    assert!(others.fault.unwrap().contains("ToUserName"));
    shop.change(|settings| settings.token.push('x'));
    assert_eq!(
        follower.says("在吗").wait().fault.as_deref(),
        Some("MsgSignature is wrong")
    );
    shop.change(|settings| settings.mode = Mode::Plain);
    assert!(
        follower
            .says("在吗")
            .wait()
            .fault
            .unwrap()
            .contains("plain mode")
    );
}

#[test]
fn what_does_not_answer_is_sent_three_times_in_all() {
    for fresh_signature in [true, false] {
        let callback = Callback::new(|_| Answer::Never);
        let wechat = Wechat::start(Settings {
            limit: IMPATIENT,
            fresh_signature,
            ..Settings::default()
        })
        .unwrap();
        let shop = account(&wechat, &callback, Mode::Plain);
        let follower = shop.follower("oWang");
        let delivered = follower.says("在吗").wait();
        assert_eq!((delivered.attempts, delivered.status), (3, None));
        assert!(
            delivered
                .fault
                .as_ref()
                .unwrap()
                .starts_with("no answer in")
        );
        assert!(delivered.notice);
        let seen = callback.seen();
        let distinct = |of: fn(&super::callback::Seen) -> &str| {
            seen.iter().map(of).collect::<HashSet<_>>().len()
        };
        assert_eq!((seen.len(), distinct(|seen| &seen.body)), (3, 1));
        let nonces = if fresh_signature { 3 } else { 1 };
        assert_eq!(distinct(|seen| seen.query("nonce")), nonces);
        let phone: Vec<_> = follower
            .phone()
            .iter()
            .map(|line| line.sight.to_string())
            .collect();
        assert_eq!(phone, ["在吗", FAULT_NOTICE]);
    }
}

#[test]
fn a_repeat_that_is_answered_shows_its_reply_once() {
    let gh_id = AccountSettings::plain("shop", "").gh_id;
    let reply = text_reply(&gh_id, "在的");
    let callback = Callback::answering([
        Answer::Never,
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsucc"),
        Answer::Body(reply.clone()),
        Answer::Body(reply),
    ]);
    let wechat = with_limit(IMPATIENT);
    let follower = account(&wechat, &callback, Mode::Plain).follower("oWang");
    let delivered = follower.says("在吗").wait();
    assert_eq!((delivered.attempts, delivered.text()), (3, Some("在的")));
    let again = follower.repeats(&delivered).wait();
    assert_eq!((again.attempts, again.text()), (1, Some("在的")));
    assert_eq!(again.clear, delivered.clear);
    assert_eq!(follower.phone().len(), 2);
}

#[test]
fn nobody_listening_is_a_fault_and_an_answer_with_an_error_status_is_not_repeated() {
    let wechat = with_limit(IMPATIENT);
    let closed = AccountSettings::plain("gone", "http://127.0.0.1:9/wx");
    let delivered = wechat.account(closed).follower("oWang").says("在吗").wait();
    assert_eq!(delivered.attempts, 3);
    assert!(delivered.fault.unwrap().starts_with("no answer: "));
    let callback = Callback::new(|_| Answer::Status(500));
    let shop = account(&wechat, &callback, Mode::Plain);
    let delivered = shop.follower("oWang").says("在吗").wait();
    assert_eq!((delivered.attempts, delivered.status), (1, Some(500)));
    assert_eq!(delivered.body, b"oops");
}

#[test]
fn tampering_spoils_exactly_one_thing() {
    let (callback, wechat) = (echo(), wechat());
    let shop = account(&wechat, &callback, Mode::Secure);
    let twin = shop.follower(&shop.settings().gh_id);
    for (tampering, fault) in [
        (Tampering::NotBase64, "Encrypt is not base64"),
        (
            Tampering::OddLength,
            "Encrypt is not a whole number of blocks",
        ),
        (Tampering::BadPadding, "the decrypted frame is broken"),
        (Tampering::Truncated, "the decrypted frame is broken"),
        (Tampering::OtherKey, "the decrypted frame is broken"),
        (Tampering::OtherAppId, "the frame ends in another AppID"),
        (Tampering::NotUtf8, "the decrypted reply is not UTF-8"),
        (Tampering::WrongMessageSignature, "MsgSignature is wrong"),
    ] {
        let delivered = twin.says("x").tampered(tampering.clone()).wait();
        assert_eq!(delivered.fault.as_deref(), Some(fault), "{tampering:?}");
        let seen = callback.seen().pop().unwrap();
        let parts = [
            &*shop.settings().token,
            seen.query("timestamp"),
            seen.query("nonce"),
        ];
        assert_eq!(seen.query("signature"), sign(&parts));
    }
    let spoilt = |tampering| {
        twin.says("x").tampered(tampering).wait();
        callback.seen().pop().unwrap()
    };
    let wrong = spoilt(Tampering::WrongSignature);
    let parts = [
        &*shop.settings().token,
        wrong.query("timestamp"),
        wrong.query("nonce"),
    ];
    assert_ne!(wrong.query("signature"), sign(&parts));
    assert_eq!(spoilt(Tampering::Without("nonce")).query("nonce"), "");
    let twice = spoilt(Tampering::Twice("timestamp"));
    assert_eq!(
        twice
            .query
            .iter()
            .filter(|(name, _)| name == "timestamp")
            .count(),
        2
    );
    let downgraded = spoilt(Tampering::Downgraded);
    assert_eq!(
        (
            downgraded.field("Content"),
            downgraded.query("encrypt_type")
        ),
        ("x", "")
    );
    assert_eq!(spoilt(Tampering::Body(b"{}".to_vec())).body, "{}");
    let stale = START.minus(Duration::from_secs(3600));
    twin.says("x").with_timestamp(stale).with_nonce("7").wait();
    let seen = callback.seen().pop().unwrap();
    assert_eq!(
        (seen.query("timestamp"), seen.query("nonce")),
        ("1718196400", "7")
    );
    assert_eq!(
        seen.query("signature"),
        sign(&[&shop.settings().token, "1718196400", "7"])
    );
}

#[test]
fn the_url_check_wants_the_echo_and_nothing_else() {
    let wechat = wechat();
    let good = Callback::new(|seen| Answer::Body(seen.query("echostr").to_owned()));
    let shop = account(&wechat, &good, Mode::Secure);
    assert_eq!(shop.verifies().wait(), Ok(()));
    let seen = &good.seen()[0];
    assert_eq!((seen.method.as_str(), seen.query("own")), ("GET", "1"));
    let parts = [
        &*shop.settings().token,
        seen.query("timestamp"),
        seen.query("nonce"),
    ];
    assert_eq!(seen.query("signature"), sign(&parts));
    for answer in ["success", "", "\"1\""] {
        let bad = Callback::answering([Answer::Body(answer.to_owned())]);
        assert!(
            account(&wechat, &bad, Mode::Plain)
                .verifies()
                .wait()
                .is_err()
        );
    }
    let refusing = Callback::new(|_| Answer::Status(403));
    let error = account(&wechat, &refusing, Mode::Plain).verifies().wait();
    assert_eq!(error, Err("HTTP status 403".to_owned()));
}

#[test]
fn raw_xml_goes_out_as_it_is_and_counts_by_its_fields() {
    let (callback, wechat) = (Callback::answering([]), wechat());
    let shop = account(&wechat, &callback, Mode::Plain);
    let xml = "<xml><ToUserName>gh_other</ToUserName><FromUserName>oAnother</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>scan</Event></xml>\n";
    let follower = shop.follower("oWang");
    assert!(follower.raw(xml).wait().is_silent());
    assert_eq!(callback.seen()[0].body, xml);
    assert_eq!(follower.pushes_left(), 3);
    assert!(follower.raw("this is not XML").wait().is_silent());
}

#[tokio::test]
async fn fifty_followers_at_once_each_get_their_own_answer() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let callback = Callback::new(|seen| {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let (to, from) = (seen.field("FromUserName"), seen.field("ToUserName"));
        let reply = text_reply(from, seen.field("Content"));
        Answer::Body(reply.replace("oWang", to))
    });
    let wechat = Wechat::start(Settings {
        clock: Clock::system(),
        limit: Duration::from_secs(30),
        ..Settings::default()
    })
    .unwrap();
    let shop = account(&wechat, &callback, Mode::Plain);
    let followers = (0..50).map(|number| {
        let follower = shop.follower(&format!("o{number}"));
        tokio::spawn(async move {
            for turn in 0..10 {
                let text = format!("{number} {turn}");
                let delivered = follower.says(&text).await;
                assert_eq!(delivered.text(), Some(&*text), "{delivered:?}");
            }
        })
    });
    for follower in followers.collect::<Vec<_>>() {
        follower.await.unwrap();
    }
    let ids: HashSet<_> = callback
        .seen()
        .iter()
        .map(|seen| seen.field("MsgId").to_owned())
        .collect();
    assert_eq!((RUNNING.load(Ordering::Relaxed), ids.len()), (500, 500));
}

#[test]
fn handles_outlive_the_platform_without_harm() {
    let callback = Callback::new(|_| Answer::Never);
    let wechat = wechat();
    let follower = account(&wechat, &callback, Mode::Plain).follower("oWang");
    let under_way = follower.says("x").within(Duration::from_secs(3600)).send();
    drop(wechat);
    for delivered in [under_way.wait(), follower.says("y").wait()] {
        assert!(delivered.fault.unwrap().contains("stopped"));
    }
    assert!(
        follower
            .phone()
            .iter()
            .all(|line| line.at == Time::from_seconds(1_718_200_000))
    );
}
