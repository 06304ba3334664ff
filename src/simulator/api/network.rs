//! Answers the calls about the account itself: console settings, addresses, network check, quotas.
//! Owns: their shapes. Uses: the account's settings and quota. Never: followers.

use serde_json::{Map, Value, json};

use super::super::http::Address;
use super::super::refusal::Refusal;
use super::{Answer, Call, ENDPOINTS, Outcome};

/// `GET /cgi-bin/get_current_autoreply_info`.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn autoreply(call: &Call<'_>) -> Outcome {
    Ok(Answer::Json(call.settings.autoreply.clone()))
}

/// `GET /cgi-bin/get_current_selfmenu_info`.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn selfmenu(call: &Call<'_>) -> Outcome {
    Ok(Answer::Json(call.settings.selfmenu.clone()))
}

/// `GET /cgi-bin/getcallbackip` and `/cgi-bin/get_api_domain_ip`: here one machine is both.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of calls")]
pub(super) fn addresses(call: &Call<'_>) -> Outcome {
    let ip = call.platform.address.ip();
    Ok(Answer::Json(json!({"ip_list": [ip.to_string()]})))
}

/// `POST /cgi-bin/callback/check`.
pub(super) fn check(call: &Call<'_>) -> Outcome {
    let asked = call.request.json()?;
    let field = |name| asked.get(name).and_then(Value::as_str).unwrap_or("");
    let action = field("action");
    if !matches!(action, "dns" | "ping" | "all") {
        return Err(Refusal::new(40202));
    }
    let operator = field("check_operator");
    if !matches!(operator, "DEFAULT" | "CHINANET" | "UNICOM" | "CAP") {
        return Err(Refusal::new(40203));
    }
    let callback = Address::parse(&call.settings.callback);
    let callback = callback.map_err(|_no_callback| Refusal::new(40201))?;
    let mut answer = Map::new();
    if action != "ping" {
        let dns = json!([{"ip": callback.host(), "real_operator": operator}]);
        answer.insert("dns".to_owned(), dns);
    }
    if action != "dns" {
        let ping = json!([{
            "ip": callback.host(), "from_operator": operator, "package_loss": "0%", "time": "0.1ms",
        }]);
        answer.insert("ping".to_owned(), ping);
    }
    Ok(Answer::Json(Value::Object(answer)))
}

/// `POST /cgi-bin/clear_quota`.
pub(super) fn clear_quota(call: &Call<'_>) -> Outcome {
    let asked = call.request.json()?;
    match asked.get("appid").and_then(Value::as_str) {
        None | Some("") => return Err(Refusal::new(41002)),
        Some(id) if id == call.settings.app_id => {}
        Some(_other) => return Err(Refusal::new(40013)),
    }
    call.office.memory.lock().quota.clear(call.request.now)?;
    Ok(Answer::ok())
}

/// `POST /cgi-bin/openapi/quota/get`.
pub(super) fn quota(call: &Call<'_>) -> Outcome {
    let asked = call.request.json()?;
    let path = asked.get("cgi_path").and_then(Value::as_str);
    let endpoint = path.and_then(|path| ENDPOINTS.iter().find(|row| row.path == path));
    let endpoint = endpoint.ok_or(Refusal::new(76021))?;
    let mut memory = call.office.memory.lock();
    let (limit, used) = memory
        .quota
        .of(endpoint.path, endpoint.daily, call.request.now);
    Ok(Answer::Json(json!({
        "errcode": 0,
        "errmsg": "ok",
        "quota": {"daily_limit": limit, "used": used, "remain": limit.saturating_sub(used)},
        "rate_limit": {"call_count": 0, "refresh_second": 60},
        "component_rate_limit": {"call_count": 0, "refresh_second": 0},
    })))
}
