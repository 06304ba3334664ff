//! Serves WeChat's API: finds the call, checks the token, counts the quota, breaks on demand, words the answer.
//! Owns: the table of calls and what all of them share. Uses: actix-web, everything of the platform. Never: the callback.

mod agents;
mod media;
mod message;
mod network;
mod people;
mod request;
mod token;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::stream;
use serde_json::{Value, json};

use super::account::{AccountSettings, Office, Rights};
use super::fault::Fault;
use super::platform::{self, Platform};
use super::refusal::Refusal;
use crate::model::Time;
use request::Request;

/// Larger than the largest upload that WeChat judges by its own limits.
const BODY_LIMIT: usize = 16 << 20;

/// A call by an account that showed a good token and has the right.
struct Call<'a> {
    platform: &'a Arc<Platform>,
    office: &'a Arc<Office>,
    settings: Arc<AccountSettings>,
    request: &'a Request,
}

/// What a call gives when all is well.
enum Answer {
    Json(Value),
    File {
        content_type: &'static str,
        name: String,
        bytes: Vec<u8>,
    },
}

impl Answer {
    fn ok() -> Self {
        Self::Json(json!({"errcode": 0, "errmsg": "ok"}))
    }
}

type Outcome = Result<Answer, Refusal>;

/// How a call is authorised and carried out.
enum Work {
    /// By AppID and AppSecret.
    Open(fn(&Arc<Platform>, &Request) -> Outcome),
    /// By access token.
    Known(fn(&Call<'_>) -> Outcome),
}

/// One row of the table of calls.
struct Endpoint {
    path: &'static str,
    is_post: bool,
    /// The usual daily quota.
    daily: u64,
    right: fn(Rights) -> bool,
    work: Work,
}

const fn get(path: &'static str, work: fn(&Call<'_>) -> Outcome) -> Endpoint {
    Endpoint {
        path,
        is_post: false,
        daily: 5_000_000,
        right: |_| true,
        work: Work::Known(work),
    }
}

const fn post(path: &'static str, work: fn(&Call<'_>) -> Outcome) -> Endpoint {
    Endpoint {
        is_post: true,
        ..get(path, work)
    }
}

impl Endpoint {
    const fn needs(self, right: fn(Rights) -> bool) -> Self {
        Self { right, ..self }
    }

    const fn daily(self, daily: u64) -> Self {
        Self { daily, ..self }
    }
}

const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/cgi-bin/token",
        is_post: false,
        daily: 2000,
        right: |_| true,
        work: Work::Open(token::classic),
    },
    Endpoint {
        path: "/cgi-bin/stable_token",
        is_post: true,
        daily: 500_000,
        right: |_| true,
        work: Work::Open(token::stable),
    },
    post("/cgi-bin/message/custom/send", message::send)
        .needs(|rights| rights.custom_send)
        .daily(500_000),
    post("/cgi-bin/message/custom/typing", message::typing).needs(|rights| rights.custom_send),
    post("/cgi-bin/media/upload", media::upload)
        .needs(|rights| rights.media)
        .daily(100_000),
    get("/cgi-bin/media/get", media::download).needs(|rights| rights.media),
    get("/cgi-bin/user/info", people::one).needs(|rights| rights.users),
    get("/cgi-bin/user/get", people::list).needs(|rights| rights.users),
    get("/cgi-bin/get_current_autoreply_info", network::autoreply),
    get("/cgi-bin/get_current_selfmenu_info", network::selfmenu),
    get("/cgi-bin/getcallbackip", network::addresses),
    get("/cgi-bin/get_api_domain_ip", network::addresses),
    post("/cgi-bin/callback/check", network::check),
    post("/cgi-bin/clear_quota", network::clear_quota),
    post("/cgi-bin/openapi/quota/get", network::quota),
    get("/cgi-bin/customservice/getkflist", agents::list).needs(|rights| rights.agents),
    get("/cgi-bin/customservice/getonlinekflist", agents::online).needs(|rights| rights.agents),
    post("/customservice/kfsession/create", agents::create).needs(|rights| rights.agents),
    post("/customservice/kfsession/close", agents::close).needs(|rights| rights.agents),
    get("/customservice/kfsession/getsession", agents::session).needs(|rights| rights.agents),
    get("/customservice/kfsession/getsessionlist", agents::sessions).needs(|rights| rights.agents),
    get("/customservice/kfsession/getwaitcase", agents::waiting).needs(|rights| rights.agents),
];

/// Serves the API on a listener, on threads of its own, until the handle stops it.
pub(super) fn start(listener: TcpListener, platform: &Arc<Platform>) -> io::Result<ServerHandle> {
    let shared = web::Data::new(Arc::clone(platform));
    let _runtime = platform.runtime.enter();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::clone(&shared))
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .default_service(web::to(answer))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(0)
    .listen(listener)?
    .run();
    let handle = server.handle();
    platform.runtime.spawn(server);
    Ok(handle)
}

async fn answer(
    http: HttpRequest,
    body: Bytes,
    platform: web::Data<Arc<Platform>>,
) -> HttpResponse {
    let request = Request::read(&http, body, platform.clock.now());
    let fault = platform.faults.lock().strike(&request.path);
    if let Some(Fault::Status(status)) = fault {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return HttpResponse::build(status)
            .content_type("text/html")
            .body("<html><body>Bad Gateway</body></html>");
    }
    let (account, outcome) = match refused_by(fault.as_ref(), &request) {
        Some(refusal) => (None, Err(refusal)),
        None => carry_out(&platform, &request),
    };
    platform.log(platform::Call {
        at: request.now,
        method: if request.is_post { "POST" } else { "GET" }.to_owned(),
        path: request.path.clone(),
        account,
        body: String::from_utf8_lossy(&request.body).into_owned(),
        code: outcome.as_ref().map_or_else(|refusal| refusal.code, |_| 0),
    });
    spoil(word(outcome, request.now), fault).await
}

/// The refusal that a fault stands for, if that is what it is.
fn refused_by(fault: Option<&Fault>, request: &Request) -> Option<Refusal> {
    match fault {
        Some(Fault::Code(code)) => Some(Refusal::new(*code)),
        Some(Fault::NotInWhitelist) => Some(Refusal::not_in_whitelist(request.peer)),
        _ => None,
    }
}

/// Lets an answer go out as the fault has it.
async fn spoil(answer: Worded, fault: Option<Fault>) -> HttpResponse {
    match fault {
        Some(Fault::Slow(by)) => {
            tokio::time::sleep(by).await;
            answer.whole()
        }
        Some(Fault::BrokenJson) => HttpResponse::Ok()
            .content_type("text/plain")
            .body("{\"errcode\":0,\"errmsg\""),
        Some(Fault::HalfAnswer) => answer.cut(true),
        Some(Fault::NoAnswer) => answer.cut(false),
        Some(Fault::Status(_) | Fault::Code(_) | Fault::NotInWhitelist) | None => answer.whole(),
    }
}

/// Does what the call asks for. Also gives the account's name, once known.
fn carry_out(platform: &Arc<Platform>, request: &Request) -> (Option<String>, Outcome) {
    let Some(endpoint) = ENDPOINTS.iter().find(|row| row.path == request.path) else {
        return (None, Err(Refusal::new(40066)));
    };
    if endpoint.is_post != request.is_post {
        let code = if endpoint.is_post { 43002 } else { 43001 };
        return (None, Err(Refusal::new(code)));
    }
    let work = match endpoint.work {
        Work::Open(work) => return (None, work(platform, request)),
        Work::Known(work) => work,
    };
    let office = match authorised(platform, request) {
        Ok(office) => office,
        Err(refusal) => return (None, Err(refusal)),
    };
    let settings = office.settings.load_full();
    let name = Some(settings.name.clone());
    if !(endpoint.right)(settings.rights) {
        return (name, Err(Refusal::new(48001)));
    }
    let counted = office
        .memory
        .lock()
        .quota
        .count(endpoint.path, endpoint.daily, request.now);
    let call = Call {
        platform,
        office: &office,
        settings,
        request,
    };
    (name, counted.and_then(|()| work(&call)))
}

/// The account whose token it is.
fn authorised(platform: &Platform, request: &Request) -> Result<Arc<Office>, Refusal> {
    let token = request.query("access_token");
    if token.is_empty() {
        return Err(Refusal::new(41001));
    }
    let written = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if token.len() < 64 || !token.bytes().all(written) {
        return Err(Refusal::new(40014));
    }
    let offices = platform.offices.read();
    let owner = offices
        .iter()
        .find(|office| office.memory.lock().tokens.knows(token))
        .ok_or(Refusal::new(40001))?;
    owner.memory.lock().tokens.check(token, request.now)?;
    Ok(Arc::clone(owner))
}

/// An answer in bytes, so that it can be cut.
struct Worded {
    content_type: &'static str,
    file: Option<String>,
    bytes: Bytes,
}

fn word(outcome: Outcome, now: Time) -> Worded {
    let json = |value: Value| Worded {
        // WeChat's own answers often say text/plain: clients must not go by the type.
        content_type: "text/plain",
        file: None,
        bytes: Bytes::from(value.to_string()),
    };
    match outcome {
        Ok(Answer::Json(value)) => json(value),
        Ok(Answer::File {
            content_type,
            name,
            bytes,
        }) => Worded {
            content_type,
            file: Some(name),
            bytes: Bytes::from(bytes),
        },
        Err(refusal) => json(refusal.body(now)),
    }
}

impl Worded {
    fn whole(self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type(self.content_type);
        if let Some(name) = self.file {
            response.insert_header((
                "Content-disposition",
                format!("attachment; filename=\"{name}\""),
            ));
        }
        response.body(self.bytes)
    }

    /// Announces the whole and breaks off: after a half, or before the first byte leaves.
    fn cut(self, half: bool) -> HttpResponse {
        let length = self.bytes.len();
        let part = half.then(|| Ok(self.bytes.slice(..length / 2)));
        let broken = Err(io::Error::from(io::ErrorKind::ConnectionAborted));
        let parts = part.into_iter().chain([broken]);
        let size = u64::try_from(length).unwrap_or(u64::MAX);
        HttpResponse::Ok()
            .content_type(self.content_type)
            .body(SizedStream::new(size, stream::iter(parts)))
    }
}
