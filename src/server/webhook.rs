//! Answers WeChat's callback: bounds the body, opens the push, runs its turn, sends what it leads to.
//! Owns: the callback's status codes (ARCHITECTURE.md, "Status codes") and what is logged of a refusal. Uses: wechat, turn. Never: rules, the store, an error page.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::body::{self, Unread};
use super::metrics::AccountMetrics;
use super::{Site, chance};
use crate::model::{MediaSource, MessageId, Reply, Time};
use crate::turn::{Course, Received};
use crate::wechat::callback::{self, Opened, SUCCESS};
use crate::wechat::{Account, Refused, RefusedKind, Seal};

/// The most a body may have.
const BODY_LIMIT: usize = 1 << 20;

/// One account's door.
pub(super) struct Door {
    pub(super) account: Arc<Account>,
    pub(super) metrics: AccountMetrics,
    /// When WeChat last sent something, in milliseconds; 0 before that.
    pub(super) last_inbound: AtomicI64,
}

/// `GET` and `POST /wx/{account}`, and every other method.
pub(super) async fn callback(
    request: HttpRequest,
    mut payload: Payload,
    site: Data<Site>,
) -> HttpResponse {
    let first_byte = Instant::now();
    let is_post = request.method() == Method::POST;
    if !is_post && request.method() != Method::GET {
        body::discard(&mut payload).await;
        return HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, HeaderValue::from_static("GET, POST")))
            .finish();
    }
    let Some(door) = site.door(&request) else {
        body::discard(&mut payload).await;
        log_refusal(&site, &request, "", "account");
        return HttpResponse::NotFound().finish();
    };
    if !is_post {
        return echo(&site, door, &request);
    }
    let body = match body::read(&request, &mut payload, BODY_LIMIT).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => {
            return refuse(&site, door, &request, StatusCode::PAYLOAD_TOO_LARGE, "size");
        }
        Err(Unread::Broken) => {
            return refuse(&site, door, &request, StatusCode::BAD_REQUEST, "body");
        }
    };
    let at = site.clock.now();
    match callback::open(
        &door.account,
        request.query_string(),
        &body,
        at,
        site.max_skew,
    ) {
        Ok(opened) => answer(&site, door, opened, first_byte, at).await,
        Err(refused) => refuse(&site, door, &request, status(refused), refused.step),
    }
}

/// The answer to WeChat's check of the address.
fn echo(site: &Site, door: &Door, request: &HttpRequest) -> HttpResponse {
    match callback::verify_url(
        &door.account,
        request.query_string(),
        site.clock.now(),
        site.max_skew,
    ) {
        Ok(echo) => {
            tracing::info!(account = %door.account.name, "the callback's address was verified");
            text(Bytes::from(echo))
        }
        Err(refused) => refuse(site, door, request, status(refused), refused.step),
    }
}

/// From here on WeChat hears 200 whatever happens: anything else would show the follower its fault notice.
async fn answer(
    site: &Site,
    door: &Door,
    opened: Opened,
    first_byte: Instant,
    at: Time,
) -> HttpResponse {
    let Opened {
        incoming,
        key,
        seal,
    } = opened;
    door.metrics.received(&incoming.content);
    door.last_inbound.store(at.millis(), Ordering::Relaxed);
    let file = MediaSource::of(&incoming.content).map(|source| (incoming.from.clone(), source));
    let received = Received {
        account: door.account.name.clone(),
        key,
        incoming,
        first_byte,
        at,
    };
    let (reply, create_time) = match AssertUnwindSafe(site.turns.answer(received))
        .catch_unwind()
        .await
    {
        Ok(answered) => {
            door.metrics.answered(&answered, first_byte.elapsed());
            if let (Some((from, source)), Course::Decided(_) | Course::Late) =
                (file, answered.course)
            {
                let message = MessageId::at(at, 0, key);
                let account = &door.account.name;
                site.received.arrived(account, &from, message, source, at);
            }
            (answered.reply, answered.at)
        }
        Err(_panic) => {
            tracing::error!(account = %door.account.name, turn.key = %key, "a turn panicked");
            (site.sorry(&seal), at)
        }
    };
    let body = std::panic::catch_unwind(AssertUnwindSafe(|| {
        seal_reply(door, &seal, reply.as_ref(), create_time, site.clock.now())
    }));
    sealed(body.unwrap_or_else(|_| SUCCESS.to_vec()))
}

fn seal_reply(
    door: &Door,
    seal: &Seal,
    reply: Option<&Reply>,
    create_time: Time,
    now: Time,
) -> Vec<u8> {
    callback::answer(
        &door.account,
        seal,
        reply,
        create_time.seconds(),
        now,
        &mut chance::fill,
    )
}

impl Site {
    /// The door at which a request came: the last part of its path.
    fn door(&self, request: &HttpRequest) -> Option<&Door> {
        let (_, name) = request.match_info().as_str().rsplit_once('/')?;
        self.doors.get(name)
    }

    /// What a follower reads when a message could not be taken in; nothing in answer to an event.
    fn sorry(&self, seal: &Seal) -> Option<Reply> {
        (!seal.is_to_event())
            .then(|| Reply::Text(self.keeper.active().set.settings().sorry.clone()))
    }
}

const fn status(refused: Refused) -> StatusCode {
    match refused.kind {
        RefusedKind::BadRequest => StatusCode::BAD_REQUEST,
        RefusedKind::Forbidden => StatusCode::FORBIDDEN,
    }
}

fn refuse(
    site: &Site,
    door: &Door,
    request: &HttpRequest,
    status: StatusCode,
    step: &str,
) -> HttpResponse {
    door.metrics.refused(step);
    log_refusal(site, request, door.account.name.as_str(), step);
    HttpResponse::build(status).finish()
}

/// A refusal leaves a counter and this line, with no word of what was sent.
fn log_refusal(site: &Site, request: &HttpRequest, account: &str, step: &str) {
    let remote = site
        .proxies
        .client(request)
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    tracing::warn!(account, step, remote, "callback refused");
}

fn sealed(body: Vec<u8>) -> HttpResponse {
    if body == SUCCESS {
        return text(Bytes::from_static(SUCCESS));
    }
    let mut response = HttpResponse::new(StatusCode::OK)
        .set_body(actix_web::body::BoxBody::new(Bytes::from(body)));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/xml; charset=utf-8"),
    );
    response
}

fn text(body: Bytes) -> HttpResponse {
    let mut response =
        HttpResponse::new(StatusCode::OK).set_body(actix_web::body::BoxBody::new(body));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
