//! Holds one push as WeChat composed it, and what it means for the follower who caused it.
//! Owns: which acts open windows, whose failures show, the signed request. Uses: the seal, the XML tree. Never: the network.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::account::{AccountSettings, Mode};
use super::seal::{self, Key};
use super::window::Opens;
use super::xml::{self, Node, Writer};

const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A way to spoil a push, to see that the callback refuses it. Everything after the spoilt step is made to fit, so that
/// exactly one check can notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// `signature` is another.
    WrongSignature,
    /// `msg_signature` is another.
    WrongMessageSignature,
    /// That query parameter is missing.
    Without(&'static str),
    /// That query parameter comes twice.
    Twice(&'static str),
    /// Sealed for another AppID.
    OtherAppId,
    /// Sealed with another key.
    OtherKey,
    /// `Encrypt` is not base64.
    NotBase64,
    /// `Encrypt` is not a whole number of blocks.
    OddLength,
    /// The padding says nonsense.
    BadPadding,
    /// The frame is shorter than it says.
    Truncated,
    /// The message is not UTF-8.
    NotUtf8,
    /// Clear and without the parameters of a sealed push, whatever the mode.
    Downgraded,
    /// Another body under the same query.
    Body(Vec<u8>),
}

/// One push, the same for all its deliveries.
#[derive(Debug)]
pub(super) struct Letter {
    /// The query's `openid`, and whose phone it concerns.
    pub(super) openid: String,
    /// The reply's expected sender: `ToUserName`.
    pub(super) account: String,
    /// The reply's expected recipient: `FromUserName`.
    pub(super) follower: String,
    pub(super) clear: String,
    pub(super) kind: Kind,
    /// What the follower's own phone shows of it.
    pub(super) own: Option<String>,
    /// The act was counted: windows open once, however often a push is delivered.
    pub(super) acted: AtomicBool,
    /// A reply was shown: the phone shows one per push.
    pub(super) answered: AtomicBool,
}

/// What happened, as far as WeChat cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An ordinary message, or a tap on a menu message.
    Message { menu: bool },
    /// An event, in lower case, and its key.
    Event { name: String, key: String },
}

impl Letter {
    /// Reads what a push is from its XML. What cannot be read counts as a message from `openid`.
    pub(super) fn new(openid: &str, gh_id: &str, clear: String) -> Self {
        let tree = xml::read(&clear).unwrap_or_default();
        let or = |name: &str, otherwise: &str| match tree.word(name) {
            "" => otherwise.to_owned(),
            word => word.to_owned(),
        };
        Self {
            openid: openid.to_owned(),
            account: or("ToUserName", gh_id),
            follower: or("FromUserName", openid),
            kind: Kind::of(&tree),
            own: own_line(&tree),
            clear,
            acted: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }
}

impl Kind {
    fn of(tree: &Node) -> Self {
        if tree.word("MsgType") == "event" {
            Self::Event {
                name: tree.word("Event").to_ascii_lowercase(),
                key: tree.word("EventKey").to_owned(),
            }
        } else {
            let menu = !tree.word("bizmsgmenuid").is_empty();
            Self::Message { menu }
        }
    }

    pub(super) const fn is_event(&self) -> bool {
        matches!(self, Self::Event { .. })
    }

    /// The window that it opens, if any (客服消息介绍).
    pub(super) fn opens(&self) -> Option<Opens> {
        match self {
            Self::Message { menu: false } => Some(Opens::Message),
            Self::Message { menu: true } => Some(Opens::Tap),
            Self::Event { name, .. } => matches!(
                name.as_str(),
                "subscribe" | "scan" | "click" | "scancode_push" | "scancode_waitmsg"
            )
            .then_some(Opens::Tap),
        }
    }

    /// Whether the follower waits for an answer and is told when none comes: messages and menu taps.
    pub(super) fn shows_failure(&self) -> bool {
        match self {
            Self::Message { .. } => true,
            Self::Event { name, .. } => matches!(name.as_str(), "click" | "scancode_waitmsg"),
        }
    }

    /// Whether a reply reaches the phone: not to somebody who left, or who is looking at a page.
    pub(super) fn shows_reply(&self) -> bool {
        match self {
            Self::Message { .. } => true,
            Self::Event { name, .. } => {
                !matches!(name.as_str(), "unsubscribe" | "view" | "view_miniprogram")
            }
        }
    }
}

fn own_line(tree: &Node) -> Option<String> {
    let with =
        |what: &str, field: &str| format!("{what} {}", tree.text_of(field)).trim().to_owned();
    let line = match tree.word("MsgType") {
        "text" => tree.text_of("Content").to_owned(),
        "image" => "[图片]".to_owned(),
        "voice" => with("[语音]", "Recognition"),
        "video" | "shortvideo" => "[视频]".to_owned(),
        "location" => with("[位置]", "Label"),
        "link" => with("[链接]", "Title"),
        "file" => with("[文件]", "Title"),
        "miniprogrampage" => with("[小程序]", "Title"),
        "event" => match tree.word("Event").to_ascii_lowercase().as_str() {
            "subscribe" => "(关注了公众号)".to_owned(),
            "unsubscribe" => "(取消了关注)".to_owned(),
            "scan" => with("(扫码)", "EventKey"),
            "click" => with("(点菜单)", "EventKey"),
            "view" | "view_miniprogram" => with("(打开页面)", "EventKey"),
            "scancode_push" | "scancode_waitmsg" => with("(菜单扫码)", "EventKey"),
            _ => return None,
        },
        _ => return None,
    };
    Some(line)
}

/// The changing parts of a delivery.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) timestamp: String,
    pub(super) nonce: String,
}

impl Stamp {
    /// That second, with a nonce of ten digits.
    pub(super) fn at(seconds: i64) -> Self {
        let number = u64::from_be_bytes(seal::random()) % 9_000_000_000 + 1_000_000_000;
        Self {
            timestamp: seconds.to_string(),
            nonce: number.to_string(),
        }
    }
}

/// A signed request: the query to add to the callback's URL, and the body.
pub(super) struct Request {
    pub(super) query: String,
    pub(super) body: Vec<u8>,
}

/// Signs and, by the account's mode, seals one delivery.
///
/// # Errors
/// When the mode needs a key and the account has none.
pub(super) fn request(
    letter: &Letter,
    settings: &AccountSettings,
    stamp: &Stamp,
    spoilt: &[Tampering],
) -> Result<Request, String> {
    let has = |tampering| spoilt.contains(&tampering);
    let (time, nonce) = (stamp.timestamp.as_str(), stamp.nonce.as_str());
    let mut query = vec![
        (
            "signature",
            seal::signature(&[&settings.token, time, nonce]),
        ),
        ("timestamp", time.to_owned()),
        ("nonce", nonce.to_owned()),
        ("openid", letter.openid.clone()),
    ];
    let mut body = letter.clear.clone().into_bytes();
    if settings.mode != Mode::Plain && !has(Tampering::Downgraded) {
        let key = settings
            .key()
            .ok_or("the account has no good EncodingAESKey")?;
        let sealed = seal_letter(letter, settings, &key, spoilt);
        let signature = seal::signature(&[&settings.token, time, nonce, &sealed]);
        query.push(("encrypt_type", "aes".to_owned()));
        query.push(("msg_signature", signature));
        body = if settings.mode == Mode::Secure {
            Writer::new()
                .text("ToUserName", &letter.account)
                .text("Encrypt", &sealed)
                .finish()
        } else {
            let clear = letter.clear.trim_end();
            let inside = clear.strip_suffix("</xml>").unwrap_or(clear);
            format!("{inside}<Encrypt><![CDATA[{sealed}]]></Encrypt></xml>")
        }
        .into_bytes();
    }
    for tampering in spoilt {
        match tampering {
            Tampering::WrongSignature => spoil(&mut query, "signature"),
            Tampering::WrongMessageSignature => spoil(&mut query, "msg_signature"),
            Tampering::Without(name) => query.retain(|(known, _)| known != name),
            Tampering::Twice(name) => {
                let again = query.iter().find(|(known, _)| known == name).cloned();
                query.extend(again);
            }
            Tampering::Body(other) => body.clone_from(other),
            _ => {}
        }
    }
    Ok(Request {
        query: encode(&query),
        body,
    })
}

/// Writes a query string.
pub(super) fn encode(query: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in query {
        let joint = if text.is_empty() { "" } else { "&" };
        let value = utf8_percent_encode(value, QUERY);
        write!(text, "{joint}{name}={value}").expect("a String takes everything");
    }
    text
}

fn seal_letter(
    letter: &Letter,
    settings: &AccountSettings,
    key: &Key,
    spoilt: &[Tampering],
) -> String {
    let has = |tampering| spoilt.contains(&tampering);
    if has(Tampering::NotBase64) {
        return "这不是 base64".to_owned();
    }
    if has(Tampering::OddLength) {
        return "AAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
    }
    let app_id = if has(Tampering::OtherAppId) {
        "wx0000000000000000"
    } else {
        &settings.app_id
    };
    let mut clear = letter.clear.clone().into_bytes();
    if has(Tampering::NotUtf8) {
        clear.push(0xff);
    }
    let mut frame = seal::frame(seal::random(), &clear, app_id);
    if has(Tampering::Truncated) {
        frame.truncate(20 + clear.len() / 2);
    }
    let mut padded = seal::pad(frame);
    if has(Tampering::BadPadding) {
        padded.extend_from_slice(&[0; 32]);
    }
    let other = Key::parse(&"A".repeat(43)).filter(|_| has(Tampering::OtherKey));
    seal::encrypt(other.as_ref().unwrap_or(key), padded)
}

/// Turns the first hex digit of a signature into another.
fn spoil(query: &mut [(&str, String)], name: &str) {
    for (_, value) in query.iter_mut().filter(|(known, _)| *known == name) {
        let digit = if value.starts_with('0') { "1" } else { "0" };
        value.replace_range(..1, digit);
    }
}
