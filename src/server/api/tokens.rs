//! Makes, lists and revokes API tokens.
//! Owns: what a token may be called. Uses: store, model. Never: shows a token's text again.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::json_body;
use super::shapes::{MadeTokenShape, NewToken, ProblemShape, TokenShape, TokensShape};
use crate::model::audit::What;
use crate::model::{AccountName, ApiToken};
use crate::server::access::{Admin, RESERVED, digest, new_token};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::server::{Site, body};

/// The longest name.
const NAME_LENGTH: usize = 64;

/// Lists all tokens, by name.
#[utoipa::path(
    get, path = "/tokens", operation_id = "listTokens",
    responses(
        (status = 200, body = TokensShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Admin(caller): Admin,
    site: Data<Site>,
) -> Result<Json<TokensShape>, Problem> {
    caller.must_reach_all()?;
    let tokens = site
        .store
        .tokens()
        .await?
        .into_iter()
        .map(TokenShape::from)
        .collect();
    Ok(Json(TokensShape { tokens }))
}

/// Makes a token and shows its text, this once.
#[utoipa::path(
    post, path = "/tokens", operation_id = "addToken",
    request_body = NewToken,
    responses(
        (status = 201, body = MadeTokenShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn add(
    Admin(caller): Admin,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    caller.must_reach_all()?;
    let NewToken {
        name,
        role,
        accounts,
    } = json_body(&request, payload).await?;
    if !is_name(&name) {
        return Err(Problem::new(
            Code::BadRequest,
            format!("a token's name has letters, digits, `-`, `_` and `.`, {NAME_LENGTH} at most"),
        ));
    }
    let accounts: Result<Vec<AccountName>, Problem> = accounts
        .into_iter()
        .map(|account| site.known(&account))
        .collect();
    let secret = new_token();
    let token = ApiToken {
        name: name.as_str().into(),
        role,
        accounts: accounts?,
        sha256: digest(secret.expose_secret()),
        created_at: site.clock.now(),
    };
    if RESERVED.contains(&name.as_str()) || !site.store.add_token(token.clone()).await? {
        return Err(Problem::new(
            Code::Taken,
            format!("there is a token {name} already"),
        ));
    }
    let after = json!({"role": token.role, "accounts": token.accounts});
    let did = Did::to(What::TokenAdded, name).after(after);
    site.audit(&caller, &request, did).await?;
    Ok(HttpResponse::Created().json(MadeTokenShape {
        secret: secret.expose_secret().to_owned(),
        token: token.into(),
    }))
}

/// Revokes a token: calls with it fail from now on.
#[utoipa::path(
    delete, path = "/tokens/{name}", operation_id = "revokeToken",
    params(("name" = String, Path)),
    responses(
        (status = 204),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn revoke(
    Admin(caller): Admin,
    site: Data<Site>,
    name: Path<String>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<HttpResponse, Problem> {
    caller.must_reach_all()?;
    body::discard(&mut payload).await;
    if !site.store.revoke_token(&name).await? {
        return Err(Problem::new(Code::NotFound, "there is no such token"));
    }
    let did = Did::to(What::TokenRevoked, name.into_inner());
    site.audit(&caller, &request, did).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
