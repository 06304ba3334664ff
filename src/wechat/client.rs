//! Calls WeChat's API for one account: sends what is pushed to followers, uploads what rules show.
//! Owns: the JSON of a push, what an answer or its absence means, the retry with a new token. Uses: model, ureq.
//! Never: retries anything else, follows a redirect, reads a proxy from the environment, puts a secret or an address into an error.

mod console;
mod known;
mod picture;
mod probe;
mod upload;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::text::{clean, fit};
use super::token::{Issued, Lease, TokenCache};
use crate::model::reply::{ARTICLES_FOR_MESSAGE, TEXT_LIMIT};
use crate::model::{Ability, Capability, Measured, OpenId, Reply, Time, Verdict};
pub use known::{Api, Failure, Known};
pub use probe::Probed;

/// WeChat answers in well under a second; a connection that takes longer than this will not come.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 64 * 1024;
/// How much of WeChat's own words is kept, in characters.
const MESSAGE_LIMIT: usize = 300;
/// "System busy".
const BUSY: i64 = -1;
/// This account may not push at all.
const NOT_AUTHORISED: i64 = 48001;
/// What WeChat says to a kind of message that it does not know, and to one without articles or words.
const BAD_KIND: i64 = 40008;
const NO_ARTICLES: i64 = 44003;
const NO_WORDS: i64 = 44004;
/// Somebody types already, or the follower did nothing for 30 seconds: nothing to worry about.
const TYPING_TOO_LATE: i64 = 45080;
const TYPING_ALREADY: i64 = 45081;

/// Where and as whom an account calls.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `https://api.weixin.qq.com`, or a stand-in.
    pub api_base: String,
    /// The account's AppID.
    pub app_id: String,
    /// The account's AppSecret.
    pub secret: SecretString,
}

/// Why a push did not arrive, or may not have. No message holds a secret or an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: it may be tried again.
    #[error("WeChat cannot be reached: {0}")]
    NotConnected(String),
    /// It may have arrived: it must not be tried again by itself.
    #[error("WeChat gave no clear answer: {0}")]
    Unclear(String),
    /// WeChat said no, or would have.
    #[error("WeChat refused with {code}: {message}")]
    Refused {
        /// `errcode`.
        code: i64,
        /// `errmsg`, with the `rid` that WeChat's support asks for.
        message: String,
    },
}

/// Reads the clock; injected so that tests own time.
pub type Now = Arc<dyn Fn() -> Time + Send + Sync>;

/// Told of every call that WeChat was asked for, once it has ended. For counters, and for those who keep what it showed.
pub type Observe = Arc<dyn Fn(&Ended<'_>) + Send + Sync>;

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Which call.
    pub api: Api,
    /// How long it took.
    pub took: Duration,
    /// Why it went wrong, if it did.
    pub error: Option<&'a SendError>,
}

/// One account's client. Cheap to clone; clones share the token and what is known.
#[derive(Clone, Debug)]
pub struct Client(Arc<Calls>);

impl Client {
    /// A client that has not called yet.
    pub fn new(settings: ClientSettings, now: Now) -> Self {
        Self::observed(settings, now, Arc::new(|_| {}))
    }

    /// A client that tells of its calls.
    pub fn observed(settings: ClientSettings, now: Now, observe: Observe) -> Self {
        let agent = agent(CONNECT_WITHIN, ANSWER_WITHIN).new_agent();
        Self::with_agent(settings, agent, now, observe)
    }

    fn with_agent(
        settings: ClientSettings,
        agent: ureq::Agent,
        now: Now,
        observe: Observe,
    ) -> Self {
        Self(Arc::new(Calls {
            agent,
            settings,
            tokens: TokenCache::default(),
            known: Mutex::default(),
            now,
            observe,
        }))
    }

    /// Sends one message to a follower. Tried once; with a token that WeChat no longer takes once more. Runs to its end
    /// also when the returned future is dropped.
    ///
    /// # Errors
    /// [`SendError`]; while the account is known not to have the right, every call is refused without asking WeChat.
    pub async fn send(&self, to: &OpenId, reply: &Reply) -> Result<(), SendError> {
        let body = message(to, reply)?.to_string();
        self.blocking(move |calls| {
            calls.push(Api::CUSTOM_SEND, "/cgi-bin/message/custom/send", &body)
        })
        .await
    }

    /// Shows the follower that somebody types, for 15 seconds, or takes that back. A hint that comes too late or twice is
    /// no error.
    ///
    /// # Errors
    /// [`SendError`], as [`Client::send`].
    pub async fn typing(&self, to: &OpenId, is_typing: bool) -> Result<(), SendError> {
        let command = if is_typing { "Typing" } else { "CancelTyping" };
        let body = json!({ "touser": to.as_str(), "command": command }).to_string();
        let path = "/cgi-bin/message/custom/typing";
        let told = self
            .blocking(move |calls| calls.push(Api::TYPING, path, &body))
            .await;
        match told {
            Err(SendError::Refused {
                code: TYPING_TOO_LATE | TYPING_ALREADY,
                ..
            }) => Ok(()),
            told => told,
        }
    }

    /// Whether the account may push, as far as is known: false once WeChat has said 48001, until it says otherwise.
    pub fn can_push(&self) -> bool {
        self.ability(Ability::Push).verdict != Verdict::No
    }

    /// What is known of one right.
    pub fn ability(&self, ability: Ability) -> Measured {
        self.0.known.lock().ability(ability)
    }

    /// Everything that calls have shown so far.
    pub fn known(&self) -> Known {
        self.0.known.lock().clone()
    }

    /// Takes over what an earlier run found out.
    pub fn recall(&self, capability: &Capability) {
        let Capability {
            ability, measured, ..
        } = capability;
        self.0.known.lock().learn(*ability, *measured);
    }

    /// The access token's times, while there is one.
    pub fn lease(&self) -> Option<Lease> {
        self.0.tokens.lease()
    }

    /// Does something that blocks, to its end also when the returned future is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Calls) -> Result<T, SendError> + Send + 'static,
    ) -> Result<T, SendError> {
        let calls = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&calls))
            .await
            .unwrap_or_else(|_| Err(SendError::Unclear("the call broke off".to_owned())))
    }
}

/// How WeChat is called.
fn agent(connect: Duration, answer: Duration) -> ureq::config::Config {
    ureq::Agent::config_builder()
        .timeout_connect(Some(connect))
        .timeout_resolve(Some(connect))
        .timeout_global(Some(answer))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        // A connection that WeChat closed while it was idle fails in a way that does not tell whether a push arrived.
        .max_idle_connections(0)
        .user_agent(concat!("wxreply/", env!("CARGO_PKG_VERSION")))
        .build()
}

struct Calls {
    agent: ureq::Agent,
    settings: ClientSettings,
    tokens: TokenCache<SendError>,
    known: Mutex<Known>,
    now: Now,
    observe: Observe,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Calls")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What WeChat answers to either call. `errcode` may be absent when all is well.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errcode: i64,
    #[serde(default)]
    errmsg: String,
    rid: Option<String>,
    access_token: Option<String>,
    #[serde(default)]
    expires_in: u64,
    media_id: Option<String>,
    thumb_media_id: Option<String>,
}

/// What is asked of WeChat.
struct Request<'r> {
    api: Api,
    path: &'static str,
    /// Besides the token.
    query: Option<(&'static str, &'static str)>,
    content_type: &'r str,
    body: &'r [u8],
    /// How long it may take; `None` as long as everything.
    within: Option<Duration>,
}

impl<'r> Request<'r> {
    const fn json(api: Api, path: &'static str, body: &'r str) -> Self {
        Self {
            api,
            path,
            query: None,
            content_type: "application/json",
            body: body.as_bytes(),
            within: None,
        }
    }
}

impl Calls {
    fn push(&self, api: Api, path: &'static str, body: &str) -> Result<(), SendError> {
        if self.known.lock().ability(Ability::Push).verdict == Verdict::No {
            return Err(refused(NOT_AUTHORISED, "this account may not push"));
        }
        self.call_as_account(&Request::json(api, path, body))
            .map(drop)
    }

    fn call_as_account(&self, request: &Request<'_>) -> Result<Answer, SendError> {
        self.as_account(|token| self.call(request, Some(token)))
    }

    /// Calls with the account's token, and once more with a new one when WeChat no longer takes it.
    fn as_account<T>(
        &self,
        call: impl Fn(&SecretString) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let token = self.token()?;
        match call(&token) {
            Err(SendError::Refused {
                code: 40001 | 40014 | 42001,
                ..
            }) => {
                self.tokens.forget(&token);
                call(&self.token()?)
            }
            called => called,
        }
    }

    fn token(&self) -> Result<SecretString, SendError> {
        self.tokens.fresh((self.now)(), || self.fetch_token())
    }

    /// Asks for the stable token in normal mode: the present one comes back, none is made invalid.
    fn fetch_token(&self) -> Result<Issued, SendError> {
        let body = json!({
            "grant_type": "client_credential",
            "appid": self.settings.app_id,
            "secret": self.settings.secret.expose_secret(),
            "force_refresh": false,
        });
        let answer = self
            .call(
                &Request::json(Api::TOKEN, "/cgi-bin/stable_token", &body.to_string()),
                None,
            )
            .map_err(|error| match error {
                // A token may be asked for as often as one likes.
                SendError::Unclear(why) => SendError::NotConnected(why),
                SendError::Refused {
                    code: BUSY,
                    message,
                } => SendError::NotConnected(message),
                other => other,
            })?;
        match answer.access_token {
            Some(token) if !token.is_empty() => Ok(Issued {
                token: token.into(),
                expires_in: Duration::from_secs(answer.expires_in),
            }),
            _ => Err(SendError::NotConnected("no token came back".to_owned())),
        }
    }

    /// Makes a call, and notes how it ended.
    fn timed<T>(
        &self,
        api: Api,
        call: impl FnOnce() -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let start = Instant::now();
        let called = call();
        let error = called.as_ref().err();
        let ended = error.map_or(Ok(()), Err);
        self.known.lock().note(api, ended, (self.now)());
        (self.observe)(&Ended {
            api,
            took: start.elapsed(),
            error,
        });
        called
    }

    fn call(
        &self,
        request: &Request<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer, SendError> {
        self.timed(request.api, || self.exchange(request, token))
    }

    fn exchange(
        &self,
        request: &Request<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer, SendError> {
        let base = self.settings.api_base.trim_end_matches('/');
        let mut post = self
            .agent
            .post(format!("{base}{}", request.path))
            .content_type(request.content_type);
        if let Some(token) = token {
            post = post.query("access_token", token.expose_secret());
        }
        if let Some((name, value)) = request.query {
            post = post.query(name, value);
        }
        if let Some(within) = request.within {
            post = post.config().timeout_global(Some(within)).build();
        }
        let mut response = post.send(request.body).map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_vec()
            .map_err(|error| SendError::Unclear(cause(&error)))?;
        if status >= 500 {
            return Err(SendError::Unclear(format!("HTTP status {status}")));
        }
        let Ok(answer) = serde_json::from_slice::<Answer>(&body) else {
            let why = format!("HTTP status {status}, not WeChat's JSON");
            return Err(SendError::Unclear(why));
        };
        if answer.errcode == 0 {
            return Ok(answer);
        }
        Err(refused(answer.errcode, &self.words(&answer, token)))
    }

    /// WeChat's own words, without what it may have repeated of ours.
    fn words(&self, answer: &Answer, token: Option<&SecretString>) -> String {
        let mut words = answer.errmsg.clone();
        if let Some(rid) = answer.rid.as_deref().filter(|rid| !words.contains(*rid)) {
            words = format!("{words} rid: {rid}");
        }
        for secret in [Some(&self.settings.secret), token].into_iter().flatten() {
            if !secret.expose_secret().is_empty() {
                words = words.replace(secret.expose_secret(), "[redacted]");
            }
        }
        words.chars().take(MESSAGE_LIMIT).collect()
    }
}

/// The JSON of a push.
fn message(to: &OpenId, reply: &Reply) -> Result<Value, SendError> {
    let (kind, content) = match reply {
        Reply::Text(text) => {
            let text = clean(text);
            let text = fit(&text, TEXT_LIMIT);
            if text.trim().is_empty() {
                return Err(refused(NO_WORDS, "a text needs words"));
            }
            ("text", json!({ "content": text }))
        }
        Reply::Image { media_id } => ("image", json!({ "media_id": media_id })),
        Reply::Voice { media_id } => ("voice", json!({ "media_id": media_id })),
        Reply::Video {
            media_id,
            title,
            description,
        } => (
            "video",
            json!({ "media_id": media_id, "title": clean(title), "description": clean(description) }),
        ),
        Reply::Music {
            title,
            description,
            url,
            hq_url,
            thumb_media_id,
        } => (
            "music",
            json!({
                "title": clean(title), "description": clean(description),
                "musicurl": url, "hqmusicurl": hq_url, "thumb_media_id": thumb_media_id,
            }),
        ),
        Reply::News(articles) if articles.is_empty() => {
            return Err(refused(NO_ARTICLES, "news need an article"));
        }
        Reply::News(articles) => {
            let articles: Vec<Value> = articles
                .iter()
                .take(ARTICLES_FOR_MESSAGE)
                .map(|article| {
                    json!({
                        "title": clean(&article.title), "description": clean(&article.description),
                        "url": article.url, "picurl": article.pic_url,
                    })
                })
                .collect();
            ("news", json!({ "articles": articles }))
        }
        Reply::Menu {
            head,
            options,
            tail,
        } => {
            let is_empty = |text: &str| clean(text).trim().is_empty();
            if options.is_empty()
                || options
                    .iter()
                    .any(|(id, text)| id.is_empty() || is_empty(text))
            {
                return Err(refused(NO_WORDS, "a menu needs choices with words"));
            }
            let options = options.iter();
            let options = options.map(|(id, text)| json!({ "id": id, "content": clean(text) }));
            let list = options.collect::<Vec<_>>();
            let menu =
                json!({ "head_content": clean(head), "list": list, "tail_content": clean(tail) });
            ("msgmenu", menu)
        }
        Reply::Transfer { .. } => {
            return Err(refused(
                BAD_KIND,
                "a hand-over to WeChat's desk cannot be pushed",
            ));
        }
        Reply::Local { .. } => {
            return Err(refused(BAD_KIND, "the file has not been brought to WeChat"));
        }
    };
    Ok(json!({ "touser": to.as_str(), "msgtype": kind, kind: content }))
}

fn refused(code: i64, message: &str) -> SendError {
    SendError::Refused {
        code,
        message: message.to_owned(),
    }
}

/// What a failed exchange means: before the connection stood, nothing was sent; after that nobody knows.
fn trouble(error: &ureq::Error) -> SendError {
    use ureq::{Error, Timeout};
    let not_connected = match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::BadUri(_)
        | Error::Http(_)
        | Error::Tls(_)
        | Error::Rustls(_)
        | Error::TlsRequired
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
        Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::AddrNotAvailable
        ),
        _ => false,
    };
    if not_connected {
        SendError::NotConnected(cause(error))
    } else {
        SendError::Unclear(cause(error))
    }
}

/// The cause in words. The library's own may hold the URL, and so the token.
fn cause(error: &ureq::Error) -> String {
    use ureq::Error;
    match error {
        Error::Io(error) => error.kind().to_string(),
        Error::Timeout(timeout) => format!("time-out: {timeout}"),
        Error::HostNotFound => "the host name is not known".to_owned(),
        Error::ConnectionFailed => "no connection".to_owned(),
        Error::BadUri(_) | Error::Http(_) => "api_base is not a usable address".to_owned(),
        Error::Tls(_) | Error::Rustls(_) | Error::TlsRequired => "TLS failed".to_owned(),
        Error::BodyExceedsLimit(_) => "the answer is too long".to_owned(),
        _ => "the exchange broke off".to_owned(),
    }
}

#[cfg(test)]
mod tests;
