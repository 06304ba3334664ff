//! The API: tokens, error codes, media, users, quotas.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use wxreply::simulator::{Account, MediaKind, Mode, POINT_PNG, Rights, Wechat};

use super::callback::Callback;
use super::{START, account, wechat};

pub const SEND: &str = "/cgi-bin/message/custom/send";

/// A caller of the API with a good token.
pub struct Api {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl Api {
    pub fn of(wechat: &Wechat, account: &Account) -> Self {
        let mut api = Self {
            base: wechat.api_base(),
            token: String::new(),
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .into(),
        };
        let settings = account.settings();
        let answer = api.stable(&settings.app_id, &settings.secret, false);
        api.token = answer["access_token"].as_str().unwrap().to_owned();
        api
    }

    fn stable(&self, app_id: &str, secret: &str, force: bool) -> Value {
        let body = json!({
            "grant_type": "client_credential", "appid": app_id, "secret": secret, "force_refresh": force,
        });
        self.post_bytes(
            "/cgi-bin/stable_token",
            "application/json",
            body.to_string().as_bytes(),
        )
    }

    pub fn get(&self, path: &str, query: &str) -> Value {
        let url = format!("{}{path}?access_token={}&{query}", self.base, self.token);
        let text = self
            .agent
            .get(&url)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    pub fn try_post(&self, path: &str, kind: &str, body: &[u8]) -> Result<String, ureq::Error> {
        let url = format!("{}{path}?access_token={}", self.base, self.token);
        let request = self.agent.post(&url).header("Content-Type", kind);
        request.send(body)?.body_mut().read_to_string()
    }

    pub fn post_bytes(&self, path: &str, kind: &str, body: &[u8]) -> Value {
        let text = self.try_post(path, kind, body).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.post_bytes(path, "application/json", body.to_string().as_bytes())
    }

    pub fn code(&self, path: &str, body: &Value) -> i64 {
        self.post(path, body)["errcode"].as_i64().unwrap()
    }

    /// Sends a text; gives the `errcode`.
    pub fn sends(&self, to: &str, text: &str) -> i64 {
        self.code(SEND, &text_message(to, text))
    }

    fn upload(&self, kind: &str, bytes: &[u8]) -> Value {
        let head =
            "--b0\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a.bin\"\r\n\r\n";
        let body = [head.as_bytes(), bytes, b"\r\n--b0--\r\n"].concat();
        let path = format!(
            "/cgi-bin/media/upload?type={kind}&access_token={}",
            self.token
        );
        let url = format!("{}{path}", self.base);
        let form = "multipart/form-data; boundary=b0";
        let request = self.agent.post(&url).header("Content-Type", form);
        let text = request.send(&body[..]).unwrap().body_mut().read_to_string();
        serde_json::from_str(&text.unwrap()).unwrap()
    }
}

pub fn text_message(to: &str, text: &str) -> Value {
    json!({"touser": to, "msgtype": "text", "text": {"content": text}})
}

pub struct World {
    pub wechat: Wechat,
    pub shop: Account,
    pub api: Api,
}

/// A platform, a verified account, and a follower `oWang` who has just written.
pub fn world() -> World {
    let wechat = wechat();
    let shop = account(&wechat, &Callback::answering([]), Mode::Plain);
    let api = Api::of(&wechat, &shop);
    shop.follower("oWang").says("在吗").wait();
    World { wechat, shop, api }
}

#[test]
fn an_error_has_code_words_and_rid_and_success_is_plain() {
    let World {
        wechat: _wechat,
        api,
        shop,
    } = world();
    let error = api.post(SEND, &text_message("oNobody", "好"));
    let words = error["errmsg"].as_str().unwrap();
    let (words, rid) = words.split_once(" rid: ").unwrap();
    assert_eq!(
        (error["errcode"].as_i64(), words),
        (Some(40003), "invalid openid")
    );
    assert_eq!(rid.split('-').map(str::len).collect::<Vec<_>>(), [8, 8, 8]);
    assert!(
        rid.starts_with(&format!("{:08x}-", START.seconds())),
        "{rid}"
    );
    assert_eq!(
        api.post(SEND, &text_message("oWang", "好")),
        json!({"errcode": 0, "errmsg": "ok"})
    );
    let pushed = &shop.pushed()[0];
    assert_eq!((pushed.to.as_str(), pushed.text()), ("oWang", Some("好")));
}

#[test]
fn the_token_endpoints_refuse_each_wrong_credential_in_its_own_way() {
    let World { wechat, api, shop } = world();
    let settings = shop.settings();
    let (id, secret) = (settings.app_id.as_str(), settings.secret.as_str());
    let first = api.stable(id, secret, false);
    assert_eq!(first["access_token"], api.token.as_str());
    assert_eq!(first["expires_in"], 7200);
    let code = |value: Value| value["errcode"].as_i64().unwrap();
    assert_eq!(code(api.stable("wx0", secret, false)), 40013);
    assert_eq!(code(api.stable(id, "no", false)), 40125);
    assert_eq!(code(api.stable("", secret, false)), 41002);
    assert_eq!(code(api.stable(id, "", false)), 41004);
    assert_eq!(
        code(api.post("/cgi-bin/stable_token", &json!({"appid": id}))),
        40002
    );
    assert_eq!(code(api.get("/cgi-bin/stable_token", "")), 43002);
    assert_eq!(code(api.post("/cgi-bin/token", &json!({}))), 43001);
    let classic = format!("grant_type=client_credential&appid={id}&secret={secret}");
    let classic = api.get("/cgi-bin/token", &classic);
    assert_ne!(classic["access_token"], first["access_token"]);
    let forced = api.stable(id, secret, true);
    assert_ne!(forced["access_token"], first["access_token"]);
    assert_eq!(api.sends("oWang", "好"), 40001);
    shop.change(|settings| settings.allowed_ips = vec![IpAddr::from([10, 0, 0, 1])]);
    let refused = api.stable(id, secret, false);
    assert_eq!(code(refused.clone()), 40164);
    let words = refused["errmsg"].as_str().unwrap();
    assert!(words.starts_with("invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist"));
    let forbidden = wechat
        .calls()
        .iter()
        .filter(|call| call.code == 40164)
        .count();
    assert_eq!(forbidden, 1);
}

#[test]
fn a_token_is_missing_malformed_foreign_or_expired() {
    let World {
        wechat,
        mut api,
        shop,
    } = world();
    let good = api.token.clone();
    for (token, code) in [
        (String::new(), 41001),
        ("short".to_owned(), 40014),
        (format!("{}!", "x".repeat(80)), 40014),
        ("x".repeat(136), 40001),
        (good.clone(), 0),
    ] {
        api.token = token;
        assert_eq!(api.sends("oWang", "好"), code);
    }
    shop.expires_tokens();
    assert_eq!(api.sends("oWang", "好"), 42001);
    let api = Api::of(&wechat, &shop);
    assert_ne!(api.token, good);
    assert_eq!(api.sends("oWang", "好"), 0);
    wechat.clock().advance(Duration::from_secs(7200));
    assert_eq!(api.sends("oWang", "好"), 42001);
}

#[test]
fn each_wrong_message_has_its_code() {
    let World {
        wechat: _wechat,
        api,
        shop,
    } = world();
    let raw = |body: &[u8]| {
        let answer = api.post_bytes(SEND, "text/plain", body);
        answer["errcode"].as_i64().unwrap()
    };
    assert_eq!(raw(b""), 44002);
    assert_eq!(raw(b"{"), 47001);
    assert_eq!(raw(b"[]"), 47001);
    assert_eq!(raw(b"\xff"), 47001);
    assert_eq!(
        raw(br#"{"touser":"oWang","msgtype":"text","text":{"content":"\u4f60"}}"#),
        40033
    );
    shop.keeps_media(MediaKind::Image, "I");
    shop.keeps_media(MediaKind::Voice, "A");
    shop.keeps_media(MediaKind::Video, "V");
    shop.keeps_media(MediaKind::Thumb, "T");
    let article = json!({"title": "t", "description": "d", "url": "u", "picurl": "p"});
    let good_music = json!({"musicurl": "m", "hqmusicurl": "h", "thumb_media_id": "T"});
    let cases = [
        ("text", json!({"content": "好"}), 0),
        ("text", json!({"content": "x".repeat(2048)}), 0),
        ("text", json!({"content": "x".repeat(2049)}), 45002),
        ("text", json!({"content": ""}), 44004),
        ("text", json!({}), 44004),
        ("image", json!({"media_id": "I"}), 0),
        ("image", json!({"media_id": "A"}), 40007),
        ("image", json!({}), 41006),
        ("voice", json!({"media_id": "A"}), 0),
        ("voice", json!({"media_id": "old"}), 40007),
        ("video", json!({"media_id": "V"}), 0),
        ("video", json!({"media_id": "V", "thumb_media_id": "T"}), 0),
        (
            "video",
            json!({"media_id": "V", "thumb_media_id": "x"}),
            40007,
        ),
        ("music", good_music, 0),
        ("music", json!({"musicurl": "m", "hqmusicurl": "h"}), 41006),
        ("music", json!({"thumb_media_id": "T"}), 40035),
        ("news", json!({"articles": [article]}), 0),
        ("news", json!({"articles": [article, article]}), 45008),
        ("news", json!({"articles": []}), 44003),
        ("news", json!({"articles": [{"title": ""}]}), 40035),
        ("mpnews", json!({"media_id": "I"}), 40007),
        ("mpnewsarticle", json!({"article_id": "x"}), 0),
        ("mpnewsarticle", json!({}), 40035),
        (
            "msgmenu",
            json!({"list": [{"id": "1", "content": "好"}]}),
            0,
        ),
        ("msgmenu", json!({"list": [{"id": "1"}]}), 40035),
        ("msgmenu", json!({"list": []}), 40035),
        ("wxcard", json!({"card_id": "p"}), 0),
        ("wxcard", json!({}), 40035),
        (
            "miniprogrampage",
            json!({"appid": "wx", "pagepath": "p", "thumb_media_id": "T"}),
            0,
        ),
        ("miniprogrampage", json!({"thumb_media_id": "T"}), 40035),
        ("link", json!({"title": "t"}), 40008),
        ("", json!({}), 40008),
    ];
    let follower = shop.follower("oWang");
    for (kind, content, code) in cases {
        follower.says("再开一次").wait();
        let message = json!({"touser": "oWang", "msgtype": kind, (kind): content});
        assert_eq!(api.code(SEND, &message), code, "{message}");
    }
    let mut named = text_message("oWang", "好");
    named["customservice"] = json!({"kf_account": "nobody@shop"});
    assert_eq!(api.code(SEND, &named), 65401);
    assert_eq!(api.sends("", "好"), 41009);
    assert_eq!(api.sends("oNobody", "好"), 40003);
    follower.refuses_messages(true);
    assert_eq!(api.sends("oWang", "好"), 48002);
    follower.is_blacklisted(true);
    assert_eq!(api.sends("oWang", "好"), 43019);
}

#[test]
fn an_account_without_the_right_gets_48001_but_keeps_the_open_calls() {
    let World {
        wechat: _wechat,
        api,
        shop,
    } = world();
    shop.change(|settings| settings.rights.msgmenu = false);
    let menu = json!({"touser": "oWang", "msgtype": "msgmenu", "msgmenu": {}});
    assert_eq!(api.code(SEND, &menu), 40200);
    shop.change(|settings| settings.rights = Rights::UNVERIFIED);
    assert_eq!(api.sends("oWang", "好"), 48001);
    for path in [
        "/cgi-bin/message/custom/typing",
        "/cgi-bin/media/upload",
        "/customservice/kfsession/create",
    ] {
        assert_eq!(api.code(path, &json!({})), 48001, "{path}");
    }
    for path in [
        "/cgi-bin/media/get",
        "/cgi-bin/user/info",
        "/cgi-bin/user/get",
        "/cgi-bin/customservice/getkflist",
    ] {
        assert_eq!(api.get(path, "")["errcode"], 48001, "{path}");
    }
    assert_eq!(
        api.get("/cgi-bin/getcallbackip", ""),
        json!({"ip_list": ["127.0.0.1"]})
    );
    assert_eq!(
        api.get("/cgi-bin/get_api_domain_ip", ""),
        json!({"ip_list": ["127.0.0.1"]})
    );
    assert_eq!(api.get("/cgi-bin/no/such", "")["errcode"], 40066);
    let rules = json!({"is_autoreply_open": 1, "keyword_autoreply_info": {"list": []}});
    let expected = rules.clone();
    shop.change(|settings| settings.autoreply = rules);
    assert_eq!(api.get("/cgi-bin/get_current_autoreply_info", ""), expected);
    assert_eq!(
        api.get("/cgi-bin/get_current_selfmenu_info", "")["is_menu_open"],
        0
    );
}

#[test]
fn media_go_up_by_their_limits_and_come_down_for_three_days() {
    let World { wechat, api, shop } = world();
    let answer = api.upload("image", POINT_PNG);
    let id = answer["media_id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&answer["type"], &answer["created_at"]),
        (&json!("image"), &json!(1_718_200_000))
    );
    let fetch = |id: &str| {
        let url = format!(
            "{}/cgi-bin/media/get?access_token={}&media_id={id}",
            api.base, api.token
        );
        let mut answer = api.agent.get(&url).call().unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let (kind, name) = (header("content-type"), header("content-disposition"));
        (
            kind.unwrap(),
            name,
            answer.body_mut().read_to_vec().unwrap(),
        )
    };
    let (kind, name, bytes) = fetch(&id);
    assert_eq!((kind.as_str(), &*bytes), ("image/png", POINT_PNG));
    assert_eq!(name, Some(format!("attachment; filename=\"{id}.png\"")));
    let video = api.upload("video", b"\0\0\0\x18ftypmp42");
    let video = api.get(
        "/cgi-bin/media/get",
        &format!("media_id={}", video["media_id"].as_str().unwrap()),
    );
    assert!(video["video_url"].as_str().unwrap().starts_with("http://"));
    assert!(api.upload("thumb", b"\xff\xd8\xff\xd9")["thumb_media_id"].is_string());
    let code = |kind, bytes: &[u8]| api.upload(kind, bytes)["errcode"].as_i64();
    assert_eq!(code("film", POINT_PNG), Some(40004));
    assert_eq!(code("voice", POINT_PNG), Some(40005));
    assert_eq!(code("image", b""), Some(44001));
    assert_eq!(
        code("thumb", &[&b"\xff\xd8\xff"[..], &[0; 64 << 10]].concat()),
        Some(40012)
    );
    let no_form = json!({"type": "image"});
    assert_eq!(api.code("/cgi-bin/media/upload", &no_form), 40004);
    assert_eq!(api.get("/cgi-bin/media/get", "")["errcode"], 41006);
    let push = shop.follower("oWang").sends_image();
    let sent = push.clear().split("<MediaId><![CDATA[").nth(1).unwrap();
    let sent = sent.split("]]>").next().unwrap().to_owned();
    assert_eq!(fetch(&sent).2, POINT_PNG);
    wechat.clock().advance(Duration::from_secs(3 * 86_400));
    let api = Api::of(&wechat, &shop);
    assert_eq!(
        api.get("/cgi-bin/media/get", &format!("media_id={id}"))["errcode"],
        40007
    );
}

#[test]
fn users_have_no_names_but_a_scene_and_pages() {
    let World {
        wechat: _wechat,
        api,
        shop,
    } = world();
    shop.follower("oLi").follows(Some("20031")).wait();
    shop.follower("oZhao").unfollows().wait();
    let user = api.get("/cgi-bin/user/info", "openid=oLi&lang=zh_CN");
    assert_eq!(user["subscribe"], 1);
    assert_eq!(
        (&user["nickname"], &user["qr_scene"]),
        (&json!(""), &json!(20031))
    );
    assert_eq!(user["subscribe_scene"], "ADD_SCENE_QR_CODE");
    assert_eq!(
        api.get("/cgi-bin/user/info", "openid=oNobody")["errcode"],
        40003
    );
    assert_eq!(api.get("/cgi-bin/user/info", "")["errcode"], 41009);
    assert_eq!(
        api.get("/cgi-bin/user/get", "next_openid="),
        json!({"total": 2, "count": 2, "next_openid": "oWang", "data": {"openid": ["oLi", "oWang"]}})
    );
    assert_eq!(api.get("/cgi-bin/user/get", "next_openid=oLi")["count"], 1);
}

#[test]
fn quotas_run_out_are_shown_and_can_be_cleared() {
    let World { wechat, api, shop } = world();
    shop.limits_calls(SEND, 2);
    let quota = |path: &str| api.post("/cgi-bin/openapi/quota/get", &json!({"cgi_path": path}));
    assert_eq!(api.sends("oWang", "一"), 0);
    assert_eq!(
        quota(SEND)["quota"],
        json!({"daily_limit": 2, "used": 1, "remain": 1})
    );
    assert_eq!(api.sends("oWang", "二"), 0);
    assert_eq!(api.sends("oWang", "三"), 45009);
    assert_eq!(quota("/cgi-bin/no/such")["errcode"], 76021);
    let clear = |id: &str| api.code("/cgi-bin/clear_quota", &json!({"appid": id}));
    let id = shop.settings().app_id.clone();
    assert_eq!((clear(""), clear("wx0"), clear(&id)), (41002, 40013, 0));
    assert_eq!(api.sends("oWang", "三"), 0);
    for _ in 1..10 {
        assert_eq!(clear(&id), 0);
    }
    assert_eq!(clear(&id), 48006);
    assert_eq!(api.sends("oWang", "四"), 0);
    assert_eq!(api.sends("oWang", "五"), 0);
    assert_eq!(api.sends("oWang", "六"), 45009);
    shop.follower("oWang").says("再开一次").wait();
    wechat.clock().advance(Duration::from_secs(86_400));
    let api = Api::of(&wechat, &shop);
    assert_eq!(api.sends("oWang", "六"), 0);
}

#[test]
fn the_network_check_judges_its_parameters() {
    let World {
        wechat: _wechat,
        api,
        shop,
    } = world();
    let check = |action: &str, operator: &str| {
        let body = json!({"action": action, "check_operator": operator});
        api.post("/cgi-bin/callback/check", &body)
    };
    let all = check("all", "DEFAULT");
    assert_eq!(all["dns"][0]["ip"], "127.0.0.1");
    assert_eq!(all["ping"][0]["package_loss"], "0%");
    assert!(check("dns", "UNICOM")["ping"].is_null());
    assert_eq!(check("look", "DEFAULT")["errcode"], 40202);
    assert_eq!(check("all", "ANYONE")["errcode"], 40203);
    shop.change(|settings| settings.callback.clear());
    assert_eq!(check("all", "DEFAULT")["errcode"], 40201);
}
