//! Makes, lists and revokes API tokens.
//! Owns: what a token may be called. Uses: store, model. Never: shows a token's text again.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::ExposeSecret as _;

use super::json_body;
use super::shapes::{MadeTokenShape, NewToken, ProblemShape, TokenShape, TokensShape};
use crate::model::{AccountName, ApiToken};
use crate::server::Site;
use crate::server::access::{Admin, Caller, RESERVED, digest, new_token};
use crate::server::error::{Code, Problem};

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
    unbounded(&caller)?;
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
    unbounded(&caller)?;
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
    tracing::info!(token.name = %name, by = %caller.name, "token made");
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
) -> Result<HttpResponse, Problem> {
    unbounded(&caller)?;
    if !site.store.revoke_token(&name).await? {
        return Err(Problem::new(Code::NotFound, "there is no such token"));
    }
    tracing::info!(token.name = %name, by = %caller.name, "token revoked");
    Ok(HttpResponse::NoContent().finish())
}

/// Tokens reach every account, so only a caller who does may touch them.
fn unbounded(caller: &Caller) -> Result<(), Problem> {
    if caller.accounts.is_empty() {
        Ok(())
    } else {
        Err(Problem::new(
            Code::Forbidden,
            "the token reaches some accounts only",
        ))
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}
