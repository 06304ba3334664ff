//! Serves single rules to those who edit them.
//! Owns: parameters and their limits. Uses: the keeper of the rules. Never: writes a file; decides what is good.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload, Query};

use super::json_body_up_to;
use super::rule_shapes::{ChangeRule, NewRule, PublishedShape, RemoveQuery, RuleTextShape};
use super::rules::{author, digest, recorded};
use super::shapes::ProblemShape;
use crate::model::audit::What;
use crate::model::media::hex;
use crate::server::access::{Operator, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::server::rules::{Keeper, Published, Refused, RuleEdit};
use crate::server::{Site, body};

/// The most an edit may have.
const EDIT_LIMIT: usize = 1 << 20;

/// Shows a rule's own text as it stands in the directory. A rule that is called like another path here (`publish`) has none.
#[utoipa::path(
    get, path = "/rules/{id}", operation_id = "showRule",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = RuleTextShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn show(
    Viewer(_): Viewer,
    site: Data<Site>,
    id: Path<String>,
) -> Result<Json<RuleTextShape>, Problem> {
    let (file, hash, rule) = site.keeper.find_rule(id.into_inner()).await?;
    Ok(Json(RuleTextShape {
        file,
        line: rule.line,
        hash: hex(&hash),
        toml: rule.toml,
    }))
}

/// Adds a rule at the end of a file, if the whole is good with it.
#[utoipa::path(
    post, path = "/rules", operation_id = "addRule",
    request_body = NewRule,
    responses(
        (status = 200, body = PublishedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn add(
    Operator(caller): Operator,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<PublishedShape>, Problem> {
    let NewRule {
        file,
        toml,
        author: by,
    } = json_body_up_to(&request, payload, EDIT_LIMIT).await?;
    let by = author(&caller, by.as_deref())?;
    let did = Did::to(What::RuleAdded, &*file);
    let done = edited(&site, RuleEdit::Add { file, toml }, by).await?;
    recorded(&site, &caller, &request, did, done).await
}

/// Edits a rule and leaves every other byte of its file, if the whole is good afterwards.
#[utoipa::path(
    patch, path = "/rules/{id}", operation_id = "changeRule",
    params(("id" = String, Path)),
    request_body = ChangeRule,
    responses(
        (status = 200, body = PublishedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn change(
    Operator(caller): Operator,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<PublishedShape>, Problem> {
    let ChangeRule {
        hash,
        set,
        unset,
        toml,
        author: by,
    } = json_body_up_to(&request, payload, EDIT_LIMIT).await?;
    let (id, hash) = (id.into_inner(), digest("hash", &hash)?);
    let did = Did::to(What::RuleChanged, &*id);
    let edit = match toml {
        Some(_) if !(set.is_empty() && unset.is_empty()) => {
            let detail = "give `set` and `unset`, or `toml`, not both";
            return Err(Problem::new(Code::BadRequest, detail));
        }
        Some(toml) => RuleEdit::Replace { id, hash, toml },
        None => RuleEdit::Change {
            id,
            hash,
            set,
            unset,
        },
    };
    let done = edited(&site, edit, author(&caller, by.as_deref())?).await?;
    recorded(&site, &caller, &request, did, done).await
}

/// Removes a rule with the comment directly above it, if the whole is good without it.
#[utoipa::path(
    delete, path = "/rules/{id}", operation_id = "removeRule",
    params(("id" = String, Path), RemoveQuery),
    responses(
        (status = 200, body = PublishedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn remove(
    Operator(caller): Operator,
    site: Data<Site>,
    id: Path<String>,
    query: Query<RemoveQuery>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<PublishedShape>, Problem> {
    body::discard(&mut payload).await;
    let hash = query.hash.as_deref().map(|hash| digest("hash", hash));
    let did = Did::to(What::RuleRemoved, &**id);
    let edit = RuleEdit::Remove {
        id: id.into_inner(),
        hash: hash.transpose()?,
    };
    let done = edited(&site, edit, author(&caller, None)?).await?;
    recorded(&site, &caller, &request, did, done).await
}

async fn edited(site: &Site, edit: RuleEdit, by: String) -> Result<Published, Refused> {
    let change = |keeper: Arc<Keeper>, turn| keeper.edit(turn, edit, by);
    site.keeper.in_turn(change).await
}
