//! Drives the client against a stand-in for WeChat's API on a local socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::*;
use crate::model::{Article, MediaKind};

const SECRET: &str = "very-secret";

/// What the stand-in does with a request.
enum Does {
    Answers(&'static str),
    Status(u16, &'static str),
    Redirects,
    /// Announces more than it sends.
    Breaks,
    /// Keeps the connection and says nothing.
    Waits,
}

/// A stand-in and everything it was asked: request line and body.
struct Api {
    base: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Api {
    /// Starts one; `answer` gets path with query, body, and how many requests for this path came before.
    fn start(answer: impl Fn(&str, &str, usize) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { base, asked }
    }

    /// One whose token endpoint works.
    fn sending(send: impl Fn(usize) -> Does + Send + Sync + 'static) -> Self {
        Self::start(move |path, _, before| {
            if path.starts_with("/cgi-bin/stable_token") {
                token(before)
            } else {
                send(before)
            }
        })
    }

    fn client(&self) -> Client {
        Client::new(self.settings(), now())
    }

    fn settings(&self) -> ClientSettings {
        ClientSettings {
            api_base: self.base.clone(),
            app_id: "wx01".to_owned(),
            secret: SECRET.into(),
        }
    }

    /// How often a path was asked for.
    fn count(&self, path: &str) -> usize {
        let asked = self.asked.lock();
        asked.iter().filter(|(line, _)| line.contains(path)).count()
    }
}

fn now() -> Now {
    Arc::new(|| Time::from_seconds(1_718_200_000))
}

fn token(before: usize) -> Does {
    Does::Answers(if before == 0 {
        r#"{"access_token":"T0","expires_in":7200}"#
    } else {
        r#"{"access_token":"T1","expires_in":7200}"#
    })
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<(String, String)>>,
    answer: &(impl Fn(&str, &str, usize) -> Does + ?Sized),
) {
    let Some((path, body)) = request(&mut stream) else {
        return;
    };
    let bare = path.split('?').next().unwrap().to_owned();
    let before = {
        let mut log = log.lock();
        let before = log
            .iter()
            .filter(|(line, _)| line.starts_with(&bare))
            .count();
        log.push((path.clone(), body.clone()));
        before
    };
    let (status, headers, length, text) = match answer(&path, &body, before) {
        Does::Answers(text) => (200, "", text.len(), text),
        Does::Status(status, text) => (status, "", text.len(), text),
        Does::Redirects => (302, "Location: /elsewhere\r\n", 0, ""),
        Does::Breaks => (200, "", 100, "{\"errcode\""),
        Does::Waits => {
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{text}").as_bytes());
}

/// Reads one request: its path with query, and its body.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        if body.len() >= length {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            return Some((path, body.to_owned()));
        }
    }
}

fn follower() -> OpenId {
    OpenId::parse("o1").unwrap()
}

fn hello() -> Reply {
    Reply::Text("你好\u{1}".into())
}

const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;
const EXPIRED: &str = r#"{"errcode":42001,"errmsg":"access_token expired rid: 6-1-2"}"#;
const SEND: &str = "/cgi-bin/message/custom/send";
const TOKEN: &str = "/cgi-bin/stable_token";

#[tokio::test]
async fn eight_pushes_at_once_fetch_one_token() {
    let api = Api::sending(|_| Does::Answers(OK));
    let client = api.client();
    let (to, reply) = (follower(), hello());
    let sent = join_all((0..8).map(|_| client.send(&to, &reply))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!((api.count(TOKEN), api.count(SEND)), (1, 8));
    let asked = api.asked.lock();
    let (_, body) = &asked[0];
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap(),
        json!({"grant_type":"client_credential","appid":"wx01","secret":SECRET,"force_refresh":false})
    );
    let (path, body) = &asked[1];
    assert_eq!(path, "/cgi-bin/message/custom/send?access_token=T0");
    assert!(body.contains(r#""content":"你好""#), "raw UTF-8: {body}");
}

#[tokio::test]
async fn an_expired_token_is_replaced_once() {
    let api = Api::sending(|before| Does::Answers(if before == 0 { EXPIRED } else { OK }));
    let client = api.client();
    assert_eq!(client.send(&follower(), &hello()).await, Ok(()));
    assert_eq!((api.count(TOKEN), api.count("access_token=T1")), (2, 1));

    let api = Api::sending(|_| Does::Answers(EXPIRED));
    let error = api.client().send(&follower(), &hello()).await.unwrap_err();
    assert_eq!(error, refused(42001, "access_token expired rid: 6-1-2"));
    assert_eq!((api.count(TOKEN), api.count(SEND)), (2, 2));
}

#[tokio::test]
async fn silence_and_half_an_answer_are_unclear() {
    let silent = Api::sending(|_| Does::Waits);
    let short = Duration::from_millis(200);
    let client = Client::with_agent(
        silent.settings(),
        agent(CONNECT_WITHIN, short).new_agent(),
        now(),
        Arc::new(|_| {}),
    );
    let error = client.send(&follower(), &hello()).await.unwrap_err();
    assert!(matches!(error, SendError::Unclear(_)), "{error:?}");

    let not_clear: [fn(usize) -> Does; 5] = [
        |_| Does::Breaks,
        |_| Does::Redirects,
        |_| Does::Status(502, OK),
        |_| Does::Answers("<html>"),
        |_| Does::Answers("[]"),
    ];
    for does in not_clear {
        let api = Api::sending(does);
        let error = api.client().send(&follower(), &hello()).await.unwrap_err();
        assert!(matches!(error, SendError::Unclear(_)), "{error:?}");
        assert_eq!(api.count(SEND), 1, "{error:?}");
        assert_eq!(api.count("/elsewhere"), 0);
    }
}

#[tokio::test]
async fn without_a_connection_or_a_token_nothing_was_sent() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let settings = ClientSettings {
        api_base: base.clone(),
        app_id: "wx01".to_owned(),
        secret: SECRET.into(),
    };
    let error = Client::new(settings, now())
        .send(&follower(), &hello())
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::NotConnected(_)), "{error:?}");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");

    let not_a_token: [fn() -> Does; 5] = [
        || Does::Answers(r#"{"errcode":-1,"errmsg":"system busy"}"#),
        || Does::Breaks,
        || Does::Status(503, ""),
        || Does::Answers("{}"),
        || Does::Answers("nonsense"),
    ];
    for does in not_a_token {
        let api = Api::start(move |_, _, _| does());
        let error = api.client().send(&follower(), &hello()).await.unwrap_err();
        assert!(matches!(error, SendError::NotConnected(_)), "{error:?}");
        assert_eq!(api.count(SEND), 0);
    }
}

#[tokio::test]
async fn an_account_without_the_right_stops_asking() {
    let api = Api::sending(|_| Does::Answers(r#"{"errcode":48001,"errmsg":"api unauthorized"}"#));
    let client = api.client();
    assert!(client.can_push());
    for _ in 0..2 {
        let error = client.send(&follower(), &hello()).await.unwrap_err();
        assert!(
            matches!(error, SendError::Refused { code: 48001, .. }),
            "{error:?}"
        );
        assert!(!client.can_push());
    }
    assert_eq!(api.count(SEND), 1);
}

#[tokio::test]
async fn refusals_keep_the_rid_and_no_secret() {
    let api = Api::sending(|_| {
        Does::Answers(r#"{"errcode":45047,"errmsg":"out of T0 very-secret limit","rid":"6-1-2"}"#)
    });
    let error = api.client().send(&follower(), &hello()).await.unwrap_err();
    assert_eq!(
        error,
        refused(45047, "out of [redacted] [redacted] limit rid: 6-1-2")
    );

    let api = Api::start(|_, _, _| {
        Does::Answers(
            r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, not in whitelist rid: 6-1-3"}"#,
        )
    });
    let error = api.client().send(&follower(), &hello()).await.unwrap_err();
    assert!(
        matches!(error, SendError::Refused { code: 40164, .. }),
        "{error:?}"
    );
    assert!(!format!("{:?}", api.client()).contains(SECRET));
}

#[test]
fn every_kind_has_its_json() {
    let article = Article {
        title: "t".into(),
        description: "d".into(),
        pic_url: "p".into(),
        url: "u".into(),
    };
    let cases = [
        (
            Reply::Image {
                media_id: "M".into(),
            },
            json!({"msgtype":"image","image":{"media_id":"M"}}),
        ),
        (
            Reply::Voice {
                media_id: "M".into(),
            },
            json!({"msgtype":"voice","voice":{"media_id":"M"}}),
        ),
        (
            Reply::Video {
                media_id: "M".into(),
                title: "t".into(),
                description: "d".into(),
            },
            json!({"msgtype":"video","video":{"media_id":"M","title":"t","description":"d"}}),
        ),
        (
            Reply::Music {
                title: "t".into(),
                description: "d".into(),
                url: "u".into(),
                hq_url: "h".into(),
                thumb_media_id: "M".into(),
            },
            json!({"msgtype":"music","music":
                {"title":"t","description":"d","musicurl":"u","hqmusicurl":"h","thumb_media_id":"M"}}),
        ),
        (
            Reply::News(vec![article.clone(), article]),
            json!({"msgtype":"news","news":
                {"articles":[{"title":"t","description":"d","url":"u","picurl":"p"}]}}),
        ),
        (
            Reply::Menu {
                head: "满意吗?".into(),
                options: vec![
                    ("101".into(), "满意".into()),
                    ("102".into(), "不满意\u{1}".into()),
                ],
                tail: "谢谢".into(),
            },
            json!({"msgtype":"msgmenu","msgmenu":{"head_content":"满意吗?","list":[
                {"id":"101","content":"满意"},{"id":"102","content":"不满意"}],"tail_content":"谢谢"}}),
        ),
    ];
    for (reply, mut expected) in cases {
        expected["touser"] = json!("o1");
        assert_eq!(message(&follower(), &reply), Ok(expected));
    }
    let unsendable = [
        Reply::Text(" ".into()),
        Reply::News(Vec::new()),
        Reply::Transfer { agent: None },
        Reply::Local {
            kind: MediaKind::Image,
            hash: [1; 32],
        },
        Reply::Menu {
            head: "a".into(),
            options: Vec::new(),
            tail: "".into(),
        },
        Reply::Menu {
            head: "a".into(),
            options: vec![("1".into(), " ".into())],
            tail: "".into(),
        },
    ];
    for reply in unsendable {
        assert!(message(&follower(), &reply).is_err(), "{reply:?}");
    }
}

const UPLOAD: &str = "/cgi-bin/media/upload";
const UPLOADED: &str = r#"{"type":"image","media_id":"M1","created_at":1718200000}"#;

async fn upload(api: &Api, kind: MediaKind) -> Result<Arc<str>, SendError> {
    let bytes = bytes::Bytes::from_static(b"the bytes");
    api.client()
        .upload(kind, "map.png", "image/png", bytes)
        .await
}

#[tokio::test]
async fn an_upload_is_a_form_and_gives_the_media_id() {
    let api = Api::sending(|_| Does::Answers(UPLOADED));
    assert_eq!(upload(&api, MediaKind::Image).await, Ok("M1".into()));
    let asked = api.asked.lock().pop().unwrap();
    assert_eq!(asked.0, format!("{UPLOAD}?access_token=T0&type=image"));
    let form = "------wxreply0\r\nContent-Disposition: form-data; name=\"media\"; filename=\"map.png\"\r\n\
                Content-Type: image/png\r\n\r\nthe bytes\r\n------wxreply0--\r\n";
    assert_eq!(asked.1, form);
    let thumb = r#"{"type":"thumb","thumb_media_id":"T9","created_at":1718200000}"#;
    let api = Api::sending(move |_| Does::Answers(thumb));
    assert_eq!(upload(&api, MediaKind::Thumb).await, Ok("T9".into()));
}

#[tokio::test]
async fn an_upload_with_an_old_token_is_made_once_more_with_a_new_one() {
    let api = Api::sending(|before| Does::Answers(if before == 0 { EXPIRED } else { UPLOADED }));
    assert_eq!(upload(&api, MediaKind::Image).await, Ok("M1".into()));
    assert_eq!((api.count(UPLOAD), api.count(TOKEN)), (2, 2));
    let api = Api::sending(|_| Does::Answers(EXPIRED));
    let error = upload(&api, MediaKind::Image).await.unwrap_err();
    assert!(matches!(error, SendError::Refused { code: 42001, .. }));
    assert_eq!(api.count(UPLOAD), 2);
}

#[tokio::test]
async fn an_upload_that_goes_wrong_says_why_without_the_token() {
    let leak = r#"{"errcode":40005,"errmsg":"invalid file type T0 very-secret"}"#;
    for (does, expected) in [
        (Does::Answers(leak), "40005"),
        (Does::Answers(OK), "no media id"),
        (Does::Status(502, "<html>"), "502"),
        (Does::Redirects, "302"),
        (Does::Breaks, "clear answer"),
    ] {
        let does = Mutex::new(Some(does));
        let api = Api::sending(move |_| does.lock().take().unwrap());
        let error = upload(&api, MediaKind::Image).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected), "{shown}");
        for secret in [SECRET, "T0", "access_token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

/// Every name leads to this machine, at the stand-in's port.
#[derive(Debug)]
struct Here(std::net::SocketAddr);

impl ureq::unversioned::resolver::Resolver for Here {
    fn resolve(
        &self,
        _uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: ureq::unversioned::transport::NextTimeout,
    ) -> Result<ureq::unversioned::resolver::ResolvedSocketAddrs, ureq::Error> {
        let mut found = self.empty();
        found.push(self.0);
        Ok(found)
    }
}

/// Asks the stand-in, which plays the host of a picture.
async fn picture(
    url: &str,
    api_base: &str,
    does: impl Fn(usize) -> Does + Send + Sync + 'static,
) -> Result<Vec<u8>, SendError> {
    let api = Api::start(move |_, _, before| does(before));
    let here = Here(api.base.trim_start_matches("http://").parse().unwrap());
    let connector = ureq::unversioned::transport::DefaultConnector::new();
    let agent = ureq::Agent::with_parts(agent(CONNECT_WITHIN, ANSWER_WITHIN), connector, here);
    let settings = ClientSettings {
        api_base: api_base.to_owned(),
        ..api.settings()
    };
    let client = Client::with_agent(settings, agent, now(), Arc::new(|_| {}));
    let picture = client.picture(url, 20).await;
    let expected = usize::from(picture.is_ok() || !url.contains("evil") && api_base == REAL);
    assert_eq!(api.asked.lock().len(), expected, "{url}");
    assert!(
        api.asked
            .lock()
            .iter()
            .all(|(path, _)| !path.contains("token"))
    );
    picture
}

const REAL: &str = "https://api.weixin.qq.com";

#[tokio::test]
async fn a_picture_is_had_from_wechats_hosts_only_and_from_no_stand_in() {
    let url = "http://mmbiz.qpic.cn/mmbiz_png/a/0";
    let png = || Does::Answers("\u{89}PNG");
    assert_eq!(
        picture(url, REAL, move |_| png()).await.unwrap(),
        "\u{89}PNG".as_bytes()
    );
    let code = |result| match result {
        Err(SendError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    let evil = "http://evil.example/.qpic.cn/0";
    assert_eq!(code(picture(evil, REAL, move |_| png()).await), 40007);
    assert_eq!(
        code(picture(url, "http://127.0.0.1:9", move |_| png()).await),
        40007
    );
    assert_eq!(
        code(picture(url, REAL, |_| Does::Status(404, "")).await),
        40007
    );
    assert_eq!(code(picture(url, REAL, |_| Does::Redirects).await), 40007);
    assert_eq!(
        code(picture(url, REAL, |_| Does::Answers("more than twenty bytes")).await),
        45001
    );
    for unclear in [|_| Does::Status(502, ""), |_| Does::Breaks] {
        let error = picture(url, REAL, unclear).await.unwrap_err();
        assert!(matches!(error, SendError::Unclear(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_right_is_measured_by_calls_that_do_nothing() {
    let api = Api::start(|path, body, before| {
        let nobody = path.contains("wxreply-check") || body.contains("wxreply-check");
        match path.split('?').next().unwrap() {
            TOKEN => token(before),
            "/cgi-bin/message/custom/typing" if nobody => {
                Does::Answers(r#"{"errcode":40003,"errmsg":"invalid openid"}"#)
            }
            "/cgi-bin/media/get" if nobody => {
                Does::Answers(r#"{"errcode":40007,"errmsg":"invalid media_id"}"#)
            }
            "/cgi-bin/customservice/getonlinekflist" => Does::Answers(r#"{"kf_online_list":[]}"#),
            _ => Does::Answers(r#"{"errcode":48001,"errmsg":"api unauthorized"}"#),
        }
    });
    let client = api.client();
    let probed = client.probe().await;
    let codes: Vec<_> = probed
        .iter()
        .map(|one| (one.probe, one.code.unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ("token", 0),
            ("push", 40003),
            ("media", 40007),
            ("users", 48001),
            ("desk", 0)
        ]
    );
    let verdict = |ability| client.ability(ability).verdict;
    assert_eq!(
        [Ability::Push, Ability::Media, Ability::Users, Ability::Desk].map(verdict),
        [Verdict::Yes, Verdict::Yes, Verdict::No, Verdict::Yes]
    );
    assert_eq!(
        (client.known().last_error, client.known().trouble),
        (None, None)
    );
    assert_eq!(api.count(SEND), 0);
    // The token is asked for again, whatever is known.
    client.probe().await;
    assert_eq!(api.count(TOKEN), 2);
}

#[tokio::test]
async fn typing_that_comes_too_late_or_twice_is_no_error() {
    for (code, is_error) in [(0, false), (45080, false), (45081, false), (45015, true)] {
        let answer = format!(r#"{{"errcode":{code},"errmsg":"x"}}"#);
        let answer: &'static str = answer.leak();
        let api = Api::sending(move |_| Does::Answers(answer));
        let told = api.client().typing(&follower(), true).await;
        assert_eq!(told.is_err(), is_error, "{code}");
        let asked = api.asked.lock().pop().unwrap();
        let sent: Value = serde_json::from_str(&asked.1).unwrap();
        assert_eq!(sent, json!({ "touser": "o1", "command": "Typing" }));
    }
}
