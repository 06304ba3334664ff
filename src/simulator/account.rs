//! Describes an official account as WeChat's console does: identity, callback, mode, rights, agents.
//! Owns: its settings and what WeChat remembers of its followers. Uses: model. Never: HTTP.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::media::Shelf;
use super::phone::{KEPT, Pushed, Shown, Sight};
use super::quota::Quota;
use super::refusal::Refusal;
use super::seal::Key;
use super::token::Tokens;
use super::window::Window;
use crate::model::Time;

/// How long a session with one of Tencent's agents lasts without a word (客服消息: 30 minutes).
const SESSION: Duration = Duration::from_secs(30 * 60);

/// How pushes are protected (消息加解密方式).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 明文模式.
    Plain,
    /// 兼容模式: clear fields and `Encrypt` side by side.
    Compatible,
    /// 安全模式.
    Secure,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "plain" => Ok(Self::Plain),
            "compatible" => Ok(Self::Compatible),
            "secure" => Ok(Self::Secure),
            _ => Err("the mode is plain, compatible or secure"),
        }
    }
}

/// What the account may call (接口权限). Token, address lists and console settings are open to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Customer-service messages and typing.
    pub custom_send: bool,
    /// Upload and download of media.
    pub media: bool,
    /// The `msgmenu` message.
    pub msgmenu: bool,
    /// User list and user information.
    pub users: bool,
    /// Tencent's own agents and sessions.
    pub agents: bool,
}

impl Rights {
    /// Of a verified account.
    pub const VERIFIED: Self = Self {
        custom_send: true,
        media: true,
        msgmenu: true,
        users: true,
        agents: true,
    };
    /// Of an unverified or personal subscription account: passive replies only.
    pub const UNVERIFIED: Self = Self {
        custom_send: false,
        media: false,
        msgmenu: false,
        users: false,
        agents: false,
    };
}

/// One of Tencent's own agents (客服帐号).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// `name@account`.
    pub account: String,
    /// The name that followers see.
    pub nick: String,
    /// Whether the agent is there now.
    pub online: bool,
}

/// Everything an operator could set for the account. The secrets are made up, so they may be printed.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// How tests and the transcript call it.
    pub name: String,
    /// 原始ID: `gh_` and twelve hex digits.
    pub gh_id: String,
    /// AppID.
    pub app_id: String,
    /// AppSecret; empty: no token is ever given.
    pub secret: String,
    /// Token of the callback.
    pub token: String,
    /// EncodingAESKey, 43 characters; needed but in plain mode.
    pub aes_key: Option<String>,
    /// How pushes are protected.
    pub mode: Mode,
    /// Where pushes go, with whatever query it has; empty: nowhere.
    pub callback: String,
    /// What may be called.
    pub rights: Rights,
    /// Tencent's agents of this account.
    pub agents: Vec<Agent>,
    /// IP whitelist of the token endpoints; empty: any address.
    pub allowed_ips: Vec<IpAddr>,
    /// Takes every media id for good: for a callback whose material was never uploaded here.
    pub any_media: bool,
    /// The answer of `get_current_autoreply_info`.
    pub autoreply: Value,
    /// The answer of `get_current_selfmenu_info`.
    pub selfmenu: Value,
}

impl AccountSettings {
    /// A verified account in plain mode, with everything but its callback made up of its name.
    pub fn plain(name: &str, callback: &str) -> Self {
        let digits = super::seal::signature(&[name]);
        let first = |count| digits.chars().take(count).collect::<String>();
        Self {
            name: name.to_owned(),
            gh_id: format!("gh_{}", first(12)),
            app_id: format!("wx{}", first(16)),
            secret: first(32),
            token: format!("token{}", first(16)),
            aes_key: None,
            mode: Mode::Plain,
            callback: callback.to_owned(),
            rights: Rights::VERIFIED,
            agents: Vec::new(),
            allowed_ips: Vec::new(),
            any_media: false,
            autoreply: json!({"is_add_friend_reply_open": 0, "is_autoreply_open": 0}),
            selfmenu: json!({"is_menu_open": 0, "selfmenu_info": {"button": []}}),
        }
    }

    /// The same account in secure mode.
    pub fn secure(name: &str, callback: &str) -> Self {
        let digits = super::seal::signature(&[name, "key"]);
        Self {
            // 40 hex digits and three letters; the last one's spare bits are not zero, as in WeChat's own keys.
            aes_key: Some(format!("{digits}keJ")),
            mode: Mode::Secure,
            ..Self::plain(name, callback)
        }
    }

    /// Whether there is an `EncodingAESKey` that decodes.
    pub fn has_key(&self) -> bool {
        self.key().is_some()
    }

    pub(super) fn key(&self) -> Option<Key> {
        Key::parse(self.aes_key.as_deref()?)
    }
}

/// What WeChat remembers of one follower.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) following: bool,
    pub(super) followed_at: Time,
    /// The scene of the QR code through which they came.
    pub(super) scene: String,
    pub(super) window: Window,
    pub(super) acted_at: Option<Time>,
    pub(super) typing_until: Time,
    pub(super) refuses: bool,
    pub(super) blacklisted: bool,
    pub(super) desk: Desk,
    pub(super) phone: VecDeque<Shown>,
}

/// Where the follower stands with Tencent's own agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Desk {
    #[default]
    None,
    Waiting {
        since: Time,
    },
    With {
        agent: String,
        created: Time,
        last: Time,
    },
}

impl Person {
    /// The agent who has the follower, unless 30 minutes passed without a word.
    pub(super) fn agent(&self, now: Time) -> Option<&str> {
        match &self.desk {
            Desk::With { agent, last, .. } if now.since(*last) < SESSION => Some(agent),
            _ => None,
        }
    }
}

/// What WeChat remembers of one account.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) people: BTreeMap<String, Person>,
    pub(super) tokens: Tokens,
    pub(super) quota: Quota,
    pub(super) shelf: Shelf,
    pub(super) pushed: VecDeque<Pushed>,
}

/// One account on the platform.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) settings: ArcSwap<AccountSettings>,
    pub(super) memory: Mutex<Memory>,
}

impl Memory {
    /// The follower, who follows from now on if never seen before.
    pub(super) fn follower(&mut self, openid: &str, now: Time) -> &mut Person {
        self.people
            .entry(openid.to_owned())
            .or_insert_with(|| Person {
                following: true,
                followed_at: now,
                ..Person::default()
            })
    }

    /// The person of that openid; 40003 when the account has none, 41009 when it is empty.
    pub(super) fn person(&mut self, openid: &str) -> Result<&mut Person, Refusal> {
        if openid.is_empty() {
            return Err(Refusal::new(41009));
        }
        self.people.get_mut(openid).ok_or(Refusal::new(40003))
    }

    /// Puts a line on the follower's phone.
    pub(super) fn show(&mut self, openid: &str, at: Time, sight: Sight) -> Shown {
        let shown = Shown { at, sight };
        let phone = &mut self.follower(openid, at).phone;
        if phone.len() == KEPT {
            phone.pop_front();
        }
        phone.push_back(shown.clone());
        shown
    }
}
