//! Sends and shows files of the rules directory: uploaded to the pretend WeChat, fetched back, renewed, refused.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest as _, Sha256};
use wxreply::model::Reply;
use wxreply::simulator::{
    AccountSettings, Delivered, Fault, Follower, Mode, Rights, Sight, Times, Wechat,
};

use super::{LI, Shop, configuration, eventually, history, platform, section, setup, stop};
use crate::support::World;
use crate::support::media::{AMR, JPEG, MP4, PNG, padded};

const UPLOAD: &str = "/cgi-bin/media/upload";

const RULES: &str = r#"
[[rule]]
id = "map"
exact = ["地图"]
replies = [{ image = "media/map.png", fallback = "柳巷 18 号。" }]

[[rule]]
id = "hello"
exact = ["你好"]
replies = [{ voice = "media/hello.amr" }]

[[rule]]
id = "film"
exact = ["视频"]
replies = [{ video = { file = "media/film.mp4", title = "上手" } }]

[[rule]]
id = "song"
exact = ["歌"]
replies = [{ music = { title = "曲", url = "https://example.com/a.mp3", cover = "media/cover.jpg" } }]

[[rule]]
id = "both"
exact = ["怎么来"]
pick = "all"
replies = [{ text = "坐地铁。" }, { image = "media/map.png" }]

[[rule]]
id = "parking"
exact = ["停车"]
replies = [{ news = { title = "停车", url = "https://example.com/p", image = "media/parking.png" } }]
"#;

/// A shop whose rules name files; `change` may take rights from it.
fn open(has_secret: bool, change: impl FnOnce(&mut AccountSettings)) -> Shop {
    let wechat = platform();
    let mut settings = AccountSettings {
        mode: Mode::Secure,
        ..AccountSettings::secure("shop", "")
    };
    change(&mut settings);
    let section = section(&wechat, &settings, has_secret);
    let account = wechat.account(settings);
    let config = configuration(&section);
    let config = format!("public_url = \"https://wx.example.com\"\n{config}");
    let stopped = setup(config, RULES).into_stopped();
    let media = stopped.path().join("rules/media");
    fs::create_dir(&media).unwrap();
    for (name, bytes) in [
        ("map.png", PNG),
        ("hello.amr", AMR),
        ("film.mp4", MP4),
        ("cover.jpg", JPEG),
        ("parking.png", &padded(PNG, 200)),
    ] {
        fs::write(media.join(name), bytes).unwrap();
    }
    let shop = Shop {
        wechat,
        account,
        world: Some(stopped.start()),
    };
    shop.point_callback();
    shop
}

/// The codes of all uploads so far.
fn uploads(wechat: &Wechat) -> Vec<i64> {
    let calls = wechat.calls();
    let uploads = calls.iter().filter(|call| call.path == UPLOAD);
    uploads.map(|call| call.code).collect()
}

fn wait_for_uploads(shop: &Shop, count: usize) {
    eventually("the uploads", || uploads(&shop.wechat).len() >= count);
}

fn says(follower: &Follower, words: &str) -> Delivered {
    follower.says(words).wait()
}

/// The id that stands in a reply which WeChat accepted.
fn media_id(delivered: &Delivered) -> String {
    assert_eq!(delivered.fault, None);
    let clear = &delivered.reply.as_ref().unwrap().clear;
    let (_, rest) = clear.split_once("MediaId><![CDATA[").unwrap();
    rest.split_once("]]>").unwrap().0.to_owned()
}

/// Somebody new: the same question from one follower would go to a person.
fn stranger(shop: &Shop) -> Follower {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    shop.account.follower(&format!("oStranger{number:019}"))
}

/// Says it until a file is sent; the id.
fn sent(shop: &Shop, words: &str) -> String {
    let mut id = String::new();
    eventually(words, || {
        let delivered = says(&stranger(shop), words);
        let is_sent = delivered
            .reply
            .as_ref()
            .is_some_and(|reply| reply.clear.contains("MediaId>"));
        if is_sent {
            id = media_id(&delivered);
        }
        is_sent
    });
    id
}

/// What WeChat has under an id.
fn fetched(shop: &Shop, media_id: &str) -> Vec<u8> {
    let base = shop.wechat.api_base();
    let settings = shop.account.settings();
    let asked = serde_json::json!({
        "grant_type": "client_credential", "appid": settings.app_id, "secret": settings.secret,
    });
    let token: serde_json::Value = ureq::post(format!("{base}/cgi-bin/stable_token"))
        .send(asked.to_string())
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap();
    let token = token["access_token"].as_str().unwrap();
    let url = format!("{base}/cgi-bin/media/get?access_token={token}&media_id={media_id}");
    let mut response = ureq::get(url).call().unwrap();
    response.body_mut().read_to_vec().unwrap()
}

/// What the API says about the rules, by code.
fn remarks(shop: &Shop, code: &str) -> Vec<String> {
    let shown = shop.world().api("GET", "/rules", None).json();
    let files = shown["files"].as_array().unwrap().iter();
    let remarks = files.flat_map(|file| file["diagnostics"].as_array().unwrap().clone());
    let of_code = remarks.filter(|one| one["code"] == code);
    of_code
        .map(|one| one["message_en"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn files_of_rules_are_uploaded_sent_and_not_uploaded_again_after_a_restart() {
    let mut shop = open(true, |_| {});
    wait_for_uploads(&shop, 4);
    let id = sent(&shop, "地图");
    assert_eq!(fetched(&shop, &id), PNG);
    assert_eq!(fetched(&shop, &sent(&shop, "你好")), AMR);
    for words in ["视频", "歌"] {
        sent(&shop, words);
    }
    assert_eq!(remarks(&shop, "W239"), Vec::<String>::new());
    shop.restart(stop);
    assert_eq!(media_id(&says(&shop.li(), "地图")), id);
    shop.restart(World::kill);
    assert_eq!(media_id(&says(&shop.li(), "地图")), id);
    assert_eq!(uploads(&shop.wechat), [0; 4]);
}

#[test]
fn a_changed_file_is_uploaded_again() {
    let shop = open(true, |_| {});
    wait_for_uploads(&shop, 4);
    let old = sent(&shop, "地图");
    let new = padded(PNG, 300);
    fs::write(shop.world().path().join("rules/media/map.png"), &new).unwrap();
    eventually("the new picture", || {
        let delivered = says(&stranger(&shop), "地图");
        let is_sent = delivered.text().is_none();
        is_sent && media_id(&delivered) != old && fetched(&shop, &media_id(&delivered)) == new
    });
    assert_eq!(uploads(&shop.wechat), [0; 5]);
}

#[test]
fn an_account_without_a_secret_says_the_fallback_or_calls_a_person() {
    let shop = open(false, |_| {});
    assert_eq!(says(&shop.li(), "地图").text(), Some("柳巷 18 号。"));
    let delivered = says(&shop.li(), "你好");
    assert!(
        delivered.text().unwrap().contains("同事"),
        "{:?}",
        delivered.text()
    );
    let conversation = shop.world().conversation(LI);
    assert_eq!(conversation["state"], "waiting");
    let said = remarks(&shop, "W239");
    assert_eq!(
        said[..2],
        [
            "account shop cannot send media/map.png (it has no secret); the fallback text is sent instead",
            "account shop cannot send media/hello.amr (it has no secret); a person answers instead",
        ]
    );
    assert_eq!(uploads(&shop.wechat), Vec::<i64>::new());
}

#[test]
fn an_account_that_may_not_upload_is_asked_once_and_named() {
    let shop = open(true, |settings| {
        settings.rights = Rights {
            media: false,
            ..Rights::VERIFIED
        }
    });
    wait_for_uploads(&shop, 1);
    eventually("the remark", || !remarks(&shop, "W239").is_empty());
    let said = remarks(&shop, "W239");
    assert!(said[0].contains("WeChat said 48001"), "{}", said[0]);
    assert_eq!(says(&shop.li(), "地图").text(), Some("柳巷 18 号。"));
    assert_eq!(uploads(&shop.wechat), [48001]);
}

#[test]
fn a_file_that_wechat_refuses_does_not_stop_the_others() {
    let wechat_refuses = |shop: &Shop| uploads(&shop.wechat).contains(&40006);
    let mut shop = open(true, |_| {});
    wait_for_uploads(&shop, 4);
    shop.wechat
        .breaks(UPLOAD, Fault::Code(40006), Times::Next(1));
    let film = shop.world().path().join("rules/media");
    fs::write(film.join("film.mp4"), padded(MP4, 400)).unwrap();
    eventually("the refusal", || wechat_refuses(&shop));
    fs::write(film.join("hello.amr"), padded(AMR, 400)).unwrap();
    eventually("the other file", || uploads(&shop.wechat).len() == 6);
    eventually("the remark", || !remarks(&shop, "W239").is_empty());
    let said = remarks(&shop, "W239");
    assert!(said.len() == 1 && said[0].contains("film.mp4"), "{said:?}");
    // A restart asks again.
    shop.restart(stop);
    eventually("the film", || uploads(&shop.wechat).len() == 7);
    sent(&shop, "视频");
}

#[test]
fn a_push_with_an_id_that_wechat_forgot_is_sent_once_more_with_a_new_one() {
    let shop = open(true, |_| {});
    wait_for_uploads(&shop, 4);
    let old = sent(&shop, "地图");
    let send = "/cgi-bin/message/custom/send";
    shop.wechat.breaks(send, Fault::Code(40007), Times::Next(1));
    assert_eq!(says(&shop.li(), "怎么来").text(), Some("坐地铁。"));
    eventually("the push", || {
        let history = history(shop.world(), LI);
        history.last().unwrap().starts_with("rule image")
            && history.last().unwrap().ends_with(" sent")
    });
    let pushed = shop
        .li()
        .phone()
        .into_iter()
        .rev()
        .find_map(|shown| match shown.sight {
            Sight::Pushed(pushed) => Some(
                pushed.request["image"]["media_id"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            ),
            _ => None,
        });
    let new = pushed.unwrap();
    assert_ne!(new, old);
    assert_eq!(fetched(&shop, &new), PNG);
    assert_eq!((shop.sends(), uploads(&shop.wechat).len()), (2, 5));
    assert_eq!(media_id(&says(&shop.li(), "地图")), new);
}

#[test]
fn only_pictures_that_cards_show_are_served() {
    let mut shop = open(true, |_| {});
    let delivered = says(&shop.li(), "停车");
    let Reply::News(articles) = super::replies::shown(&shop, &delivered) else {
        panic!("no news");
    };
    let digest = |bytes: &[u8]| -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let parking = padded(PNG, 200);
    let path = format!("/wx/-/media/{}.png", digest(&parking));
    assert_eq!(
        *articles[0].pic_url,
        format!("https://wx.example.com{path}")
    );

    let get = |shop: &Shop, path: &str| shop.world().request("GET", path, &[], b"");
    let answer = get(&shop, &path);
    assert_eq!((answer.status, &answer.body), (200, &parking));
    for (name, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, max-age=31536000, immutable"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let head = shop.world().request("HEAD", &path, &[], b"");
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, "200")
    );
    let tag = answer.header("etag");
    let known = shop
        .world()
        .request("GET", &path, &[("if-none-match", tag)], b"");
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(shop.world().request("POST", &path, &[], b"").status, 405);

    let sent_only = format!("/wx/-/media/{}.png", digest(PNG));
    let as_jpg = path.replace(".png", ".jpg");
    let shouted = format!("/wx/-/media/{}.png", digest(&parking).to_uppercase());
    for wrong in [
        &*sent_only,
        &as_jpg,
        &shouted,
        "/wx/-/media/",
        "/wx/-/media/parking.png",
        "/wx/-/media/..%2f..%2fwxreply.toml",
        "/wx/-/media/%2e%2e/%2e%2e/wxreply.toml",
        "/wx/-/media/pictures",
    ] {
        assert_eq!(get(&shop, wrong).status, 404, "{wrong}");
    }

    // WeChat may fetch it after the rules have changed, and after a restart.
    let rules = shop.world().path().join("rules/10-rules.toml");
    let without = RULES.split("[[rule]]\nid = \"parking\"").next().unwrap();
    fs::write(rules, without).unwrap();
    eventually("the new rules", || {
        says(&stranger(&shop), "停车").text().is_some()
    });
    assert_eq!(get(&shop, &path).status, 200);
    shop.restart(stop);
    assert_eq!(get(&shop, &path).status, 200);
}
