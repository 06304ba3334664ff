//! Serves sessions: logs people in and out, shows who is logged in where.
//! Owns: the way of a login. Uses: store, people. Never: cookies; says whether a name exists.

use actix_web::http::header::USER_AGENT;
use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::json_body;
use super::people_shapes::{LoggedInShape, NewSession, SessionShape, SessionsShape, UserShape};
use super::shapes::ProblemShape;
use crate::model::Role;
use crate::model::audit::What;
use crate::model::{Session, SessionId, User};
use crate::server::access::{Known, digest, new_session_token};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::server::{Site, body, chance};

/// How much is kept of what a client calls itself, in bytes.
const CLIENT: usize = 200;
/// What stands for a name that nobody has: what was typed there may be a password.
const UNKNOWN: &str = "(unknown)";

/// Logs somebody in: the answer's token is the caller from then on. It ends after 8 hours without a call, and after 7 days.
/// Too many tries have to wait (429).
#[utoipa::path(
    post, path = "/sessions", operation_id = "logIn", security(()),
    request_body = NewSession,
    responses(
        (status = 201, body = LoggedInShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 429, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn log_in(
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let NewSession { name, password } = json_body(&request, payload).await?;
    let user = proven(&site, &request, &name, password).await?;
    let (token, now) = (new_session_token(), site.clock.now());
    let session = Session {
        id: SessionId::at(now, 0, chance::seed()),
        token: digest(token.expose_secret()),
        user: user.name.clone(),
        epoch: user.epoch,
        created_at: now,
        fresh_at: now,
        seen_at: now,
        address: site.proxies.client(&request),
        client: client(&request).into(),
    };
    if !site.store.open_session(session.clone()).await? {
        return Err(Problem::new(Code::BadLogin, "the user changed meanwhile"));
    }
    let did = Did::to(What::LoggedIn, user.name.as_str());
    let did = did.after(json!({"session": session.id}));
    let (by, address) = (Some(user.name.clone()), session.address);
    site.people.trail.note(did, by, address, now).await?;
    Ok(HttpResponse::Created().json(LoggedInShape {
        token: token.expose_secret().to_owned(),
        expires_at: session.until(),
        session: session.into(),
        user: UserShape::new(user, &[]),
    }))
}

/// The user with this name and password. A failure is written down.
pub(super) async fn proven(
    site: &Site,
    request: &HttpRequest,
    name: &str,
    password: SecretString,
) -> Result<User, Problem> {
    let (address, now) = (site.proxies.client(request), site.clock.now());
    let proven = site.people.proven(name, password, address, now);
    let (problem, meant) = match proven.await {
        Ok(user) => return Ok(user),
        Err(failed) => failed,
    };
    if problem.is_refused_login()
        && let Some(left_out) = site.people.throttle.records(now)
    {
        let target = meant.as_ref().map_or(UNKNOWN, |user| user.name.as_str());
        let did = Did::to(What::LoginFailed, target);
        let did = match left_out {
            0 => did,
            _ => did.after(json!({"failures_not_recorded_before": left_out})),
        };
        site.people.trail.note(did, None, address, now).await?;
    }
    Err(problem)
}

/// Lists sessions: the caller's own, or as admin everybody's.
#[utoipa::path(
    get, path = "/sessions", operation_id = "listSessions",
    responses(
        (status = 200, body = SessionsShape),
        (status = 401, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Known(caller): Known,
    site: Data<Site>,
) -> Result<Json<SessionsShape>, Problem> {
    let sessions = site.store.sessions(site.clock.now()).await?.into_iter();
    let sessions = sessions
        .filter(|session| may_end(&caller, session))
        .map(SessionShape::from)
        .collect();
    Ok(Json(SessionsShape { sessions }))
}

/// Ends a session: the caller's own, or as admin anybody's.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "endSession",
    params(("id" = String, Path)),
    responses(
        (status = 204),
        (status = 401, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn end(
    Known(caller): Known,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, Problem> {
    body::discard(&mut payload).await;
    let sessions = site.store.sessions(site.clock.now()).await?;
    let session = SessionId::parse(&id)
        .and_then(|id| sessions.into_iter().find(|session| session.id == id))
        .filter(|session| may_end(&caller, session))
        .ok_or_else(no_session)?;
    if !site.store.end_session(session.id).await? {
        return Err(no_session());
    }
    let what = if session.user == caller.name {
        What::LoggedOut
    } else {
        What::SessionEnded
    };
    let did = Did::to(what, session.user.as_str()).before(json!({"session": session.id}));
    site.audit(&caller, &request, did).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends all sessions of the caller, this one too.
#[utoipa::path(
    delete, path = "/sessions", operation_id = "endSessions",
    responses(
        (status = 204),
        (status = 401, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn end_all(
    Known(caller): Known,
    site: Data<Site>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, Problem> {
    body::discard(&mut payload).await;
    let ended = site.store.end_sessions_of(&caller.name).await?;
    if ended > 0 {
        let did = Did::to(What::SessionEnded, caller.name.as_str());
        let did = did.before(json!({"sessions": ended}));
        site.audit(&caller, &request, did).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Whether the session is the caller's, or the caller manages everybody's.
fn may_end(caller: &crate::server::access::Caller, session: &Session) -> bool {
    let is_head = caller.role == Role::Admin && caller.accounts.is_empty();
    let has_own_password = caller.user().is_none_or(|user| !user.password.is_initial);
    session.user == caller.name || is_head && has_own_password
}

fn no_session() -> Problem {
    Problem::new(Code::NotFound, "there is no such session")
}

/// What the client calls itself.
fn client(request: &HttpRequest) -> &str {
    let header = request.headers().get(USER_AGENT);
    let text = header.and_then(|value| value.to_str().ok()).unwrap_or("");
    text.get(..text.floor_char_boundary(CLIENT)).unwrap_or(text)
}
