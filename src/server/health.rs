//! Says how the server is: alive, ready, and in figures.
//! Owns: what makes it unready, who may read reasons. Uses: store. Never: tells a stranger why.

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

/// 503 when messages cannot be kept; an older rule set that runs because the directory is bad is `degraded`.
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
    let status = match (&store, &rules) {
        (Some(_), _) => "unavailable",
        (None, Some(_)) => "degraded",
        (None, None) => "ready",
    };
    let reasons = if site.access.is_insider(&request).await {
        store.iter().chain(&rules).cloned().collect()
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

async fn metrics(request: HttpRequest, site: Data<Site>) -> Result<HttpResponse, Problem> {
    if !site.access.is_insider(&request).await {
        return Err(Problem::new(
            Code::Unauthorized,
            "metrics are for this machine, or a token",
        ));
    }
    let now = site.clock.now();
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(site.metrics.text(&site.store.desk(now), now)))
}
