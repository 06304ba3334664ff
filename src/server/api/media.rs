//! Serves the files that followers sent, and takes the pictures that agents want to send.
//! Owns: how a stranger's bytes are served without harm. Uses: received, model. Never: believes what a file says it is.

use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::web::{Bytes, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shapes::ProblemShape;
use crate::model::media::{from_hex, hex};
use crate::model::received::FILE_LIMIT;
use crate::model::{AccountName, Fetched, MessageId, Served};
use crate::received::NotTaken;
use crate::server::access::{Agent, Caller};
use crate::server::error::{Code, Problem};
use crate::server::{Site, body};

/// For which account.
#[derive(Deserialize)]
pub(super) struct MediaQuery {
    /// The account that an agent's picture was brought for; not needed for a follower's file.
    account: Option<String>,
}

/// A picture that can be sent now.
#[derive(Serialize, ToSchema)]
#[schema(as = BroughtMedia)]
pub(super) struct BroughtShape {
    /// SHA-256 of the picture, hex: names it in a reply.
    hash: String,
    /// As what it is sent: `image`.
    kind: String,
    /// How long it is.
    bytes: u64,
}

/// A file that a follower sent, by the id of its message, or a picture that an agent brought, by its hash. The type is what
/// the first bytes show; anything but a PNG, JPEG or GIF is served to be saved. 404 says in its detail when the file is yet
/// to be fetched, or why it will not come.
#[utoipa::path(
    get, path = "/media/{id}", operation_id = "showMedia",
    params(("id" = String, Path), ("account" = Option<String>, Query)),
    responses(
        (status = 200, content_type = "application/octet-stream"),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn show(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    query: Query<MediaQuery>,
) -> Result<HttpResponse, Problem> {
    let none = || Problem::new(Code::NotFound, "there is no such file");
    if let Some(hash) = from_hex(&id) {
        let account = account(&site, &caller, query.account.as_deref())?;
        let brought = site.received.find_brought(&account, hash).await?;
        return Ok(served(&id, &brought.ok_or_else(none)?));
    }
    let message = MessageId::parse(&id).ok_or_else(none)?;
    let found = site.received.find(message).await?;
    let (media, bytes) = found
        .filter(|(media, _)| caller.reaches(&media.account))
        .ok_or_else(none)?;
    match (bytes, media.fetched) {
        (Some(bytes), _) => Ok(served(&message.to_string(), &bytes)),
        (None, Fetched::Waiting { not_before, .. }) => Err(Problem::new(
            Code::NotFound,
            format!("the file is yet to be fetched; tried next at {not_before}"),
        )),
        (None, Fetched::Failed { code, reason, .. }) => Err(Problem::new(
            Code::NotFound,
            format!("the file will not come: {reason} ({code})"),
        )),
        (None, Fetched::Kept { .. }) => Err(none()),
    }
}

/// Bytes of a stranger: of the type that they show, never run, shown only where they are a picture.
fn served(name: &str, bytes: &Bytes) -> HttpResponse {
    let Served {
        content_type,
        extension,
        is_inline,
    } = Served::of(bytes);
    let how = if is_inline { "inline" } else { "attachment" };
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox"),
        ))
        // An id or a hash: neither quotes nor anything else that would need care.
        .insert_header((
            CONTENT_DISPOSITION,
            format!("{how}; filename=\"{name}.{extension}\""),
        ))
        .body(bytes.clone())
}

/// Takes in a picture to send, for one account: the body is the file, a PNG or a JPEG of 10 MiB at most. It is brought to
/// WeChat when it is sent.
#[utoipa::path(
    post, path = "/media", operation_id = "bringMedia",
    params(("account" = String, Query)), request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 201, body = BroughtShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn bring(
    Agent(caller): Agent,
    site: Data<Site>,
    query: Query<MediaQuery>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, Problem> {
    let account = match account(&site, &caller, query.account.as_deref()) {
        Ok(account) => account,
        Err(problem) => {
            body::discard(&mut payload).await;
            return Err(problem);
        }
    };
    let limit = usize::try_from(FILE_LIMIT).unwrap_or(usize::MAX);
    let bytes = body::read(&request, &mut payload, limit).await?;
    let brought = site.received.bring(&account, &caller.name, bytes).await;
    let (kind, media) = brought.map_err(|error| match error {
        NotTaken::Bad(why) => Problem::new(Code::BadMedia, why),
        NotTaken::Store(error) => error.into(),
        NotTaken::Disk(error) => {
            tracing::error!(%error, "a picture cannot be kept");
            Problem::new(Code::Unavailable, "the picture cannot be kept now")
        }
    })?;
    tracing::info!(%account, by = %caller.name, bytes = media.bytes, "a picture was brought");
    Ok(HttpResponse::Created().json(BroughtShape {
        hash: hex(&media.hash),
        kind: kind.word().to_owned(),
        bytes: media.bytes,
    }))
}

fn account(site: &Site, caller: &Caller, name: Option<&str>) -> Result<AccountName, Problem> {
    let name = name.ok_or_else(|| Problem::new(Code::BadRequest, "`account` is missing"))?;
    let account = site.known(name)?;
    if !caller.reaches(&account) {
        return Err(Problem::new(
            Code::Forbidden,
            "the token does not reach this account",
        ));
    }
    Ok(account)
}
