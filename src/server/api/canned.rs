//! Serves the answers that people use again and again, as the rules that run have them.
//! Owns: who sees which. Uses: the keeper of the rules, rules. Never: fills a placeholder, sends anything.

use actix_web::web::{Data, Json, Query};

use super::rule_shapes::{CannedAnswersShape, CannedQuery, CannedShape};
use super::shapes::ProblemShape;
use crate::rules::Canned;
use crate::server::Site;
use crate::server::access::Viewer;
use crate::server::error::{Code, Problem};

/// Lists the answers of `_canned.toml`, of the rules that run. A token that reaches some accounts only sees theirs.
#[utoipa::path(
    get, path = "/canned", operation_id = "listCanned",
    params(CannedQuery),
    responses(
        (status = 200, body = CannedAnswersShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Viewer(caller): Viewer,
    site: Data<Site>,
    query: Query<CannedQuery>,
) -> Result<Json<CannedAnswersShape>, Problem> {
    let account = match &query.account {
        Some(name) => Some(site.known(name)?),
        None => None,
    };
    if account.as_ref().is_some_and(|name| !caller.reaches(name)) {
        return Err(Problem::new(
            Code::Forbidden,
            "the token does not reach this account",
        ));
    }
    let is_seen = |canned: &&Canned| match &account {
        Some(account) => canned.is_for(account),
        None => {
            canned.accounts.is_empty()
                || canned
                    .accounts
                    .iter()
                    .any(|account| caller.reaches(account))
        }
    };
    let rules = site.keeper.active();
    let canned = rules.set.canned().iter().filter(is_seen).map(shape);
    Ok(Json(CannedAnswersShape {
        canned: canned.collect(),
    }))
}

fn shape(canned: &Canned) -> CannedShape {
    let Canned {
        id,
        title,
        text,
        accounts,
        owner,
        review_by,
    } = canned;
    CannedShape {
        id: id.clone(),
        title: title.clone(),
        text: text.to_string(),
        accounts: accounts.iter().map(ToString::to_string).collect(),
        owner: owner.clone(),
        review_by: *review_by,
    }
}
