//! Serves version 1 of the JSON API.
//! Owns: its routes and its document. Uses: store, turn, model. Never: cookies; WeChat's callback.

mod accounts;
mod acts;
mod alerts;
mod audit;
mod backtest;
mod canned;
mod conversations;
mod cursor;
mod duty;
mod events;
mod incidents;
mod listing;
mod media;
mod new_reply;
mod people_shapes;
mod privacy;
mod rule_shapes;
mod rules;
mod sessions;
mod shapes;
mod single_rule;
mod tokens;
mod try_out;
mod users;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Payload};
use actix_web::{HttpRequest, HttpResponse, Resource};
use serde::de::DeserializeOwned;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::server::Server;

pub(super) use self::events::Events;
pub(super) use self::listing::words;
use super::body;
use super::error::{Code, Problem};

/// The most a JSON body may have, unless it carries rules.
const BODY_LIMIT: usize = 64 << 10;

/// The API's routes, mounted under `{prefix}/api/v1`.
pub(super) fn routes(prefix: &str) -> impl HttpServiceFactory + 'static {
    let document = web::Bytes::from(document(prefix));
    let published = move || {
        let document = document.clone();
        async move {
            HttpResponse::Ok()
                .content_type("application/json")
                .body(document)
        }
    };
    let unread = web::QueryConfig::default()
        .error_handler(|error, _| Problem::new(Code::BadRequest, error.to_string()).into());
    let lost = web::PathConfig::default().error_handler(|_error, _| Problem::not_found().into());
    web::scope(&format!("{prefix}/api/v1"))
        .app_data(unread)
        .app_data(lost)
        .service(resource("/openapi.json", "GET").route(web::get().to(published)))
        .service(resource("/conversations", "GET").route(web::get().to(conversations::list)))
        .service(resource("/conversations/{id}", "GET").route(web::get().to(conversations::show)))
        .service(
            resource("/conversations/{id}/claim", "POST")
                .route(web::post().to(conversations::claim)),
        )
        .service(
            resource("/conversations/{id}/release", "POST")
                .route(web::post().to(conversations::release)),
        )
        .service(
            resource("/conversations/{id}/close", "POST")
                .route(web::post().to(conversations::close)),
        )
        .service(
            resource("/conversations/{id}/notes", "POST")
                .route(web::post().to(conversations::note)),
        )
        .service(
            resource("/conversations/{id}/replies", "POST")
                .route(web::post().to(conversations::reply)),
        )
        .service(
            resource("/conversations/{id}/tags", "POST").route(web::post().to(conversations::tag)),
        )
        .service(resource("/accounts", "GET").route(web::get().to(accounts::list)))
        .service(resource("/accounts/{name}/check", "POST").route(web::post().to(accounts::check)))
        .service(resource("/media", "POST").route(web::post().to(media::bring)))
        .service(resource("/media/{id}", "GET").route(web::get().to(media::show)))
        .service(resource("/conversations/{id}/assign", "POST").route(web::post().to(acts::assign)))
        .service(
            resource("/conversations/{id}/handback", "POST").route(web::post().to(acts::hand_back)),
        )
        .service(resource("/conversations/{id}/snooze", "POST").route(web::post().to(acts::snooze)))
        .service(
            resource("/conversations/{id}/priority", "POST")
                .route(web::post().to(acts::prioritise)),
        )
        .service(resource("/conversations/{id}/remark", "POST").route(web::post().to(acts::remark)))
        .service(
            resource("/conversations/{id}/acknowledge", "POST")
                .route(web::post().to(acts::acknowledge)),
        )
        .service(
            resource("/conversations/{id}/elsewhere", "POST")
                .route(web::post().to(acts::elsewhere)),
        )
        .service(resource("/conversations/{id}/desk", "POST").route(web::post().to(acts::to_desk)))
        .service(resource("/conversations/{id}/presence", "POST").route(web::post().to(acts::look)))
        .service(resource("/me", "GET").route(web::get().to(users::me)))
        .service(
            resource("/users", "GET, POST")
                .route(web::get().to(users::list))
                .route(web::post().to(users::add)),
        )
        .service(
            resource("/users/{name}", "GET, PATCH, DELETE")
                .route(web::get().to(users::show))
                .route(web::patch().to(users::change))
                .route(web::delete().to(users::disable)),
        )
        .service(
            resource("/users/{name}/password", "POST").route(web::post().to(users::set_password)),
        )
        .service(
            resource("/sessions", "GET, POST, DELETE")
                .route(web::get().to(sessions::list))
                .route(web::post().to(sessions::log_in))
                .route(web::delete().to(sessions::end_all)),
        )
        .service(resource("/sessions/{id}", "DELETE").route(web::delete().to(sessions::end)))
        .service(
            resource("/duty", "GET, POST")
                .route(web::get().to(duty::list))
                .route(web::post().to(duty::set)),
        )
        .service(resource("/audit", "GET").route(web::get().to(audit::list)))
        .service(resource("/followers/erase", "POST").route(web::post().to(privacy::erase)))
        .service(resource("/followers/export", "GET").route(web::get().to(privacy::export)))
        .service(resource("/events", "GET").route(web::get().to(events::follow)))
        .service(
            resource("/tokens", "GET, POST")
                .route(web::get().to(tokens::list))
                .route(web::post().to(tokens::add)),
        )
        .service(resource("/tokens/{name}", "DELETE").route(web::delete().to(tokens::revoke)))
        .service(
            resource("/rules", "GET, POST")
                .route(web::get().to(rules::show))
                .route(web::post().to(single_rule::add)),
        )
        .service(resource("/rules/revisions", "GET").route(web::get().to(rules::revisions)))
        .service(
            resource("/rules/revisions/{revision}", "GET").route(web::get().to(rules::revision)),
        )
        .service(
            resource("/rules/revisions/{from}/diff/{to}", "GET")
                .route(web::get().to(rules::difference)),
        )
        .service(resource("/rules/rollback", "POST").route(web::post().to(rules::roll_back)))
        .service(resource("/rules/publish", "POST").route(web::post().to(rules::publish)))
        .service(resource("/rules/backtest", "POST").route(web::post().to(backtest::backtest)))
        .service(
            resource("/rules/{id}", "GET, PATCH, DELETE")
                .route(web::get().to(single_rule::show))
                .route(web::patch().to(single_rule::change))
                .route(web::delete().to(single_rule::remove)),
        )
        .service(resource("/incidents", "GET").route(web::get().to(incidents::list)))
        .service(resource("/incidents/{id}", "PATCH").route(web::patch().to(incidents::edit)))
        .service(resource("/canned", "GET").route(web::get().to(canned::list)))
        .service(resource("/alerts/channels", "GET").route(web::get().to(alerts::channels)))
        .service(
            resource("/alerts/channels/{name}/test", "POST").route(web::post().to(alerts::test)),
        )
        .service(resource("/alerts/dead", "GET").route(web::get().to(alerts::dead)))
        .service(resource("/alerts/dead/{id}/resend", "POST").route(web::post().to(alerts::resend)))
        .service(resource("/try", "POST").route(web::post().to(try_out::try_out)))
        .default_service(web::to(not_found))
        .wrap(guarded())
}

/// Headers of everything that is not WeChat's: never cached, never taken for a page.
pub(super) fn guarded() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("x-content-type-options", "nosniff"))
        .add(("cache-control", "no-store"))
        .add((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
}

/// Says that nothing is here.
pub(super) async fn not_found(mut payload: Payload) -> Result<HttpResponse, Problem> {
    body::discard(&mut payload).await;
    Err(Problem::not_found())
}

/// A path that says which methods it has, to whoever tries another.
pub(super) fn resource(path: &str, allowed: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |mut payload: Payload| async move {
        body::discard(&mut payload).await;
        Err::<HttpResponse, Problem>(Problem::method_not_allowed(allowed))
    }))
}

/// Reads a bounded JSON body.
async fn json_body<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Problem> {
    json_body_up_to(request, payload, BODY_LIMIT).await
}

/// Reads a JSON body of at most `limit` bytes.
async fn json_body_up_to<T: DeserializeOwned>(
    request: &HttpRequest,
    mut payload: Payload,
    limit: usize,
) -> Result<T, Problem> {
    let body = body::read(request, &mut payload, limit).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(Code::BadRequest, format!("the body: {error}")))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "wxreply",
        description = "People behind the auto-replies of WeChat official accounts."
    ),
    paths(
        conversations::list,
        conversations::show,
        conversations::claim,
        conversations::release,
        conversations::close,
        conversations::note,
        conversations::reply,
        conversations::tag,
        accounts::list,
        accounts::check,
        media::bring,
        media::show,
        acts::assign,
        acts::hand_back,
        acts::snooze,
        acts::prioritise,
        acts::remark,
        acts::acknowledge,
        acts::elsewhere,
        acts::to_desk,
        acts::look,
        users::me,
        users::list,
        users::add,
        users::show,
        users::change,
        users::disable,
        users::set_password,
        sessions::list,
        sessions::log_in,
        sessions::end_all,
        sessions::end,
        duty::list,
        duty::set,
        audit::list,
        events::follow,
        privacy::erase,
        privacy::export,
        tokens::list,
        tokens::add,
        tokens::revoke,
        rules::show,
        single_rule::add,
        rules::revisions,
        rules::revision,
        rules::difference,
        rules::roll_back,
        rules::publish,
        single_rule::show,
        single_rule::change,
        single_rule::remove,
        alerts::channels,
        alerts::test,
        alerts::dead,
        alerts::resend,
        try_out::try_out,
        canned::list,
        incidents::list,
        incidents::edit,
        backtest::backtest,
    )
)]
struct Document;

/// The OpenAPI document, with the address under which the API is mounted.
fn document(prefix: &str) -> String {
    let mut document = Document::openapi();
    document.servers = Some(vec![Server::new(format!("{prefix}/api/v1"))]);
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
    );
    document.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(
        "token",
        [],
    )]);
    // Made of plain values: writing it as JSON cannot fail.
    document.to_json().unwrap_or_default()
}
