//! Delivers a push to the account's callback: the time limit, the repeats, and what the follower sees of the outcome.
//! Owns: one delivery from the first attempt to the phone. Uses: letter, reply, http, account. Never: the API.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::account::{AccountSettings, Desk, Office};
use super::http::{Address, Answer};
use super::letter::{Kind, Letter, Stamp, Tampering, request};
use super::phone::Sight;
use super::platform::Platform;
use super::reply::{Asked, PassiveReply, judge};
use super::xml::Writer;
use crate::model::{Reply, Time};

/// What became of one push.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// How often it was sent; 0 when one of Tencent's agents took it.
    pub attempts: u32,
    /// The HTTP status of the last answer, if one came.
    pub status: Option<u16>,
    /// The body of the last answer, as it came.
    pub body: Vec<u8>,
    /// The passive reply, decrypted and found valid. `None` with no fault means `success`.
    pub reply: Option<PassiveReply>,
    /// Why WeChat rejects the answer, or that none came in time.
    pub fault: Option<String>,
    /// Whether the follower saw the fault notice.
    pub notice: bool,
    /// How long the last attempt took.
    pub elapsed: Duration,
    /// The agent who took the message instead of the callback (会话 of Tencent's own desk).
    pub agent: Option<String>,
    /// The clear XML that was pushed.
    pub clear: String,
    pub(super) letter: Arc<Letter>,
}

impl Delivered {
    /// The words of the passive reply, when it is a text.
    pub fn text(&self) -> Option<&str> {
        self.reply.as_ref()?.text()
    }

    /// Whether the answer was the bare `success` (or nothing at all): valid, and nothing to show.
    pub fn is_silent(&self) -> bool {
        self.fault.is_none() && self.reply.is_none()
    }

    pub(super) fn not_sent(letter: Arc<Letter>) -> Self {
        Self {
            attempts: 0,
            status: None,
            body: Vec::new(),
            reply: None,
            fault: None,
            notice: false,
            elapsed: Duration::ZERO,
            agent: None,
            clear: letter.clear.clone(),
            letter,
        }
    }

    pub(super) fn stopped(letter: Arc<Letter>) -> Self {
        Self {
            fault: Some("the pretend WeChat has been stopped".to_owned()),
            ..Self::not_sent(letter)
        }
    }
}

/// How one push is to be delivered.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    pub(super) attempts: u32,
    pub(super) limit: Duration,
    pub(super) timestamp: Option<Time>,
    pub(super) nonce: Option<String>,
    pub(super) spoilt: Vec<Tampering>,
}

/// Delivers it, and puts on the phone what the follower sees.
pub(super) async fn deliver(
    platform: Arc<Platform>,
    office: Arc<Office>,
    letter: Arc<Letter>,
    manner: Manner,
) -> Delivered {
    let mut delivered = Delivered::not_sent(Arc::clone(&letter));
    if let Some(agent) = act(&platform, &office, &letter) {
        delivered.agent = Some(agent);
        return delivered;
    }
    let settings = office.settings.load_full();
    let answer = attempt_all(&platform, &settings, &manner, &mut delivered).await;
    let judged = answer.and_then(|answer| {
        let now = platform.clock.now();
        let asked = Asked {
            follower: &letter.follower,
            account: &letter.account,
            is_event: letter.kind.is_event(),
            has_media: &|id, kind| {
                let is_good = || office.memory.lock().shelf.is_good(id, kind, now);
                !id.is_empty() && (settings.any_media || is_good())
            },
        };
        let judged = judge(&answer, &settings, &asked);
        delivered.status = Some(answer.status);
        delivered.body = answer.body;
        judged
    });
    match judged {
        Ok(reply) => delivered.reply = reply,
        Err(fault) => delivered.fault = Some(fault),
    }
    conclude(&platform, &office, &mut delivered);
    delivered
}

/// What the follower did takes effect, whether or not the callback hears of it. Gives the agent who has the follower.
fn act(platform: &Platform, office: &Office, letter: &Letter) -> Option<String> {
    let now = platform.clock.now();
    let first = !letter.acted.swap(true, Ordering::Relaxed);
    let mut memory = office.memory.lock();
    let person = memory.follower(&letter.openid, now);
    if first {
        person.acted_at = Some(now);
        if let Some(how) = letter.kind.opens() {
            person.window.open(how, now);
        }
        match &letter.kind {
            Kind::Event { name, key } if name == "subscribe" => {
                person.following = true;
                person.followed_at = now;
                person.scene = key.strip_prefix("qrscene_").unwrap_or_default().to_owned();
            }
            Kind::Event { name, .. } if name == "unsubscribe" => {
                person.following = false;
                person.window.close();
            }
            Kind::Event { .. } | Kind::Message { .. } => {}
        }
    }
    let is_message = !letter.kind.is_event();
    let agent = person.agent(now).filter(|_| is_message).map(str::to_owned);
    if let (Some(_), Desk::With { last, .. }) = (&agent, &mut person.desk) {
        *last = now;
    }
    drop(memory);
    if first && let Some(own) = &letter.own {
        platform.show(office, &letter.openid, Sight::Own(own.clone()));
    }
    agent
}

/// Sends it until an answer is complete: up to three times, each attempt beginning one time limit after the one before.
async fn attempt_all(
    platform: &Platform,
    settings: &AccountSettings,
    manner: &Manner,
    delivered: &mut Delivered,
) -> Result<Answer, String> {
    let callback = Address::parse(&settings.callback).map_err(|error| error.to_string())?;
    let letter = Arc::clone(&delivered.letter);
    let mut stamp = new_stamp(platform, manner);
    let mut failure = "no attempt was made".to_owned();
    for number in 1..=manner.attempts {
        if number > 1 && platform.settings.fresh_signature {
            stamp = new_stamp(platform, manner);
        }
        let request = request(&letter, settings, &stamp, &manner.spoilt)?;
        let to = callback.with_query(&request.query);
        let start = Instant::now();
        delivered.attempts = number;
        let call = platform.http.call(&to, Some(&request.body), manner.limit);
        let outcome = timeout(manner.limit, call).await;
        delivered.elapsed = start.elapsed();
        failure = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_late) => format!("no answer in {:?}", manner.limit),
        };
        if number < manner.attempts {
            sleep_until(start + manner.limit).await;
        }
    }
    Err(failure)
}

fn new_stamp(platform: &Platform, manner: &Manner) -> Stamp {
    let mut stamp = Stamp::at(manner.timestamp.unwrap_or(platform.clock.now()).seconds());
    if let Some(nonce) = &manner.nonce {
        stamp.nonce.clone_from(nonce);
    }
    stamp
}

/// Shows the reply or the notice, once for each push, and hands the follower to Tencent's desk if the reply says so.
fn conclude(platform: &Arc<Platform>, office: &Arc<Office>, delivered: &mut Delivered) {
    let letter = &delivered.letter;
    if delivered.fault.is_some() {
        delivered.notice = letter.kind.shows_failure();
        if delivered.notice && !letter.answered.load(Ordering::Relaxed) {
            platform.show(office, &letter.openid, Sight::FaultNotice);
        }
        return;
    }
    let Some(reply) = &delivered.reply else {
        return;
    };
    if letter.answered.swap(true, Ordering::Relaxed) {
        return;
    }
    match &reply.content {
        Reply::Transfer { agent } => {
            transfer(platform, office, &letter.openid, agent.as_deref());
        }
        _ if letter.kind.shows_reply() => {
            platform.show(office, &letter.openid, Sight::Reply(reply.clone()));
        }
        _ => {}
    }
}

/// `transfer_customer_service`: to that agent, even one who is away; to the queue without one.
fn transfer(platform: &Arc<Platform>, office: &Arc<Office>, openid: &str, agent: Option<&str>) {
    let now = platform.clock.now();
    let desk = match agent {
        Some(agent) => Desk::With {
            agent: agent.to_owned(),
            created: now,
            last: now,
        },
        None => Desk::Waiting { since: now },
    };
    office.memory.lock().follower(openid, now).desk = desk;
    if let Some(agent) = agent {
        announce(platform, office, openid, "kf_create_session", agent);
    }
}

/// Pushes an event about a session of Tencent's own desk; nobody waits for its outcome.
pub(super) fn announce(
    platform: &Arc<Platform>,
    office: &Arc<Office>,
    openid: &str,
    event: &str,
    agent: &str,
) {
    let gh_id = office.settings.load().gh_id.clone();
    let now = platform.clock.now();
    let clear = Writer::new()
        .text("ToUserName", &gh_id)
        .text("FromUserName", openid)
        .bare("CreateTime", &now.seconds().to_string())
        .text("MsgType", "event")
        .text("Event", event)
        .text("KfAccount", agent)
        .finish();
    let letter = Arc::new(Letter::new(openid, &gh_id, clear));
    let manner = platform.manner();
    platform.runtime.spawn(deliver(
        Arc::clone(platform),
        Arc::clone(office),
        letter,
        manner,
    ));
}
