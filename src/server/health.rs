//! Says how the server is: alive, ready, and in figures.
//! Owns: what makes it unready, who may read reasons. Uses: store, delivery, wechat's client. Never: tells a stranger why.

use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::Site;
use super::api::{guarded, resource};
use super::error::{Code, Problem};
use super::rules::State;
use crate::store::Health;

/// How the server is, in one word; the reasons are for insiders.
#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// The routes, mounted under this prefix.
pub(super) fn routes(prefix: &str) -> impl Fn(&mut web::ServiceConfig) + use<> {
    let prefix = prefix.to_owned();
    move |config| {
        let at = |path: &str| format!("{prefix}{path}");
        config
            .service(
                resource(&at("/healthz"), "GET")
                    .route(web::get().to(healthz))
                    .wrap(guarded()),
            )
            .service(
                resource(&at("/readyz"), "GET")
                    .route(web::get().to(readyz))
                    .wrap(guarded()),
            )
            .service(
                resource(&at("/metrics"), "GET")
                    .route(web::get().to(metrics))
                    .wrap(guarded()),
            );
    }
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// 503 when messages cannot be kept; an older rule set that runs because the directory is bad is `degraded`, and so are a
/// WeChat that cannot be asked and an alert channel that fails.
async fn readyz(request: HttpRequest, site: Data<Site>) -> HttpResponse {
    let store = match site.store.health() {
        Health::Good => None,
        Health::Spilling(reason) => Some(format!(
            "store: the database refuses, messages go to the spill file: {reason}"
        )),
        Health::Failed(reason) => Some(format!("store: nothing can be written: {reason}")),
    };
    // A revision that somebody brought back runs because it was meant to.
    let standing = site.keeper.standing();
    let rules = standing
        .problem
        .as_ref()
        .filter(|_| standing.state == State::Broken)
        .map(|problem| format!("rules: {problem}"));
    let failing = site.alerts.standing().into_iter();
    let failing = failing.filter(|channel| channel.failing_since.is_some());
    let alerts = failing.map(|channel| {
        let failure = channel.failure.as_deref().unwrap_or_default();
        format!("alerts: the channel {} fails: {failure}", channel.name)
    });
    let beside: Vec<String> = troubles(&site).into_iter().chain(alerts).collect();
    let status = match (&store, &rules, &*beside) {
        (Some(_), ..) => "unavailable",
        (None, None, []) => "ready",
        _ => "degraded",
    };
    let reasons = if site.access.is_insider(&request).await {
        let reasons = store.iter().chain(&rules).chain(&beside);
        reasons.cloned().collect()
    } else {
        Vec::new()
    };
    let mut response = if store.is_some() {
        HttpResponse::ServiceUnavailable()
    } else {
        HttpResponse::Ok()
    };
    response.json(Readiness { status, reasons })
}

/// What keeps accounts from calling WeChat, by account.
fn troubles(site: &Site) -> Vec<String> {
    let mut troubles: Vec<String> = site
        .clients
        .iter()
        .filter_map(|(account, client)| {
            let known = client.known();
            if let Some(address) = known.ip_to_allow {
                let allow = format!("add {address} to the account's IP whitelist (40164)");
                return Some(format!("wechat: {account}: {allow}"));
            }
            let pause = site.delivery.pause(account);
            let pause = pause.map(|pause| {
                let (until, code, message) = (pause.until, pause.code, pause.message);
                format!("nothing is pushed until {until}: {message} ({code})")
            });
            let trouble = known.trouble;
            let trouble = trouble.map(|trouble| {
                let (api, code, message) = (trouble.api, trouble.code, trouble.message);
                format!("{api}: {message} ({code})")
            });
            Some(format!("wechat: {account}: {}", pause.or(trouble)?))
        })
        .collect();
    troubles.sort_unstable();
    troubles
}

async fn metrics(request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    if !site.access.is_insider(&request).await {
        return Err(Problem::new(
            Code::Unauthorized,
            "metrics are for this machine, or a token",
        ));
    }
    for (account, client) in &site.clients {
        let until = client.lease().map(|lease| lease.until);
        site.metrics.token(account, until);
    }
    let now = site.clock.now();
    site.metrics.next_timer(site.store.next_alarm_at());
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(site.metrics.text(&site.store.desk(now), now)))
}
