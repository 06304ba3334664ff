//! Answers the two token endpoints.
//! Owns: who may have a token. Uses: the token rules. Never: what a token is good for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::account::Office;
use super::super::platform::Platform;
use super::super::refusal::Refusal;
use super::super::token::Issued;
use super::{Answer, Outcome, Request};

/// `GET /cgi-bin/token`.
pub(super) fn classic(platform: &Arc<Platform>, request: &Request) -> Outcome {
    let office = credentials(
        platform,
        request,
        request.query("grant_type"),
        request.query("appid"),
        request.query("secret"),
    )?;
    let mut memory = office.memory.lock();
    memory.quota.count(&request.path, 2000, request.now)?;
    Ok(answer(&memory.tokens.classic(request.now)))
}

/// `POST /cgi-bin/stable_token`.
pub(super) fn stable(platform: &Arc<Platform>, request: &Request) -> Outcome {
    let asked = request.json()?;
    let field = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or("");
    let office = credentials(
        platform,
        request,
        field("grant_type"),
        field("appid"),
        field("secret"),
    )?;
    let force = asked.get("force_refresh").and_then(Value::as_bool);
    let mut memory = office.memory.lock();
    memory.quota.count(&request.path, 500_000, request.now)?;
    let issued = memory.tokens.stable(force.unwrap_or(false), request.now)?;
    Ok(answer(&issued))
}

fn answer(issued: &Issued) -> Answer {
    Answer::Json(json!({"access_token": issued.token, "expires_in": issued.expires_in}))
}

fn credentials(
    platform: &Platform,
    request: &Request,
    grant_type: &str,
    app_id: &str,
    secret: &str,
) -> Result<Arc<Office>, Refusal> {
    let code = match (grant_type, app_id, secret) {
        ("client_credential", id, key) if !id.is_empty() && !key.is_empty() => None,
        ("client_credential", "", _) => Some(41002),
        ("client_credential", ..) => Some(41004),
        _ => Some(40002),
    };
    if let Some(code) = code {
        return Err(Refusal::new(code));
    }
    let offices = platform.offices.read();
    let office = offices
        .iter()
        .find(|office| office.settings.load().app_id == app_id)
        .ok_or(Refusal::new(40013))?;
    let settings = office.settings.load();
    if settings.secret != secret {
        return Err(Refusal::new(40125));
    }
    if !settings.allowed_ips.is_empty() && !settings.allowed_ips.contains(&request.peer) {
        return Err(Refusal::not_in_whitelist(request.peer));
    }
    Ok(Arc::clone(office))
}
