//! Tries a message on the rules that run, or on a draft over them: what would be answered, and why.
//! Owns: what is asked. Uses: decide, rules, the keeper of the rules, store. Never: changes anything.

use std::sync::Arc;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::json_body_up_to;
use super::rule_shapes::{TriedShape, Try};
use super::shapes::ProblemShape;
use crate::decide::tried::{Tried, tried};
use crate::decide::{ActiveRules, Memory, decide, inline};
use crate::model::{AccountName, Conversation, FileChanges, Incoming, OpenId, Time, TurnKey};
use crate::rules::Asked;
use crate::server::Site;
use crate::server::access::{Agent, Caller};
use crate::server::error::{Code, Problem};
use crate::server::rules::Refused;
use crate::store::Query;

/// The most a question may have, its draft included.
const LIMIT: usize = 1 << 20;
/// Who asks when nobody is named, as on the command line.
const NOBODY: &str = "try";

/// Says what would be answered, and why. Changes nothing.
#[utoipa::path(
    post, path = "/try", operation_id = "tryMessage",
    request_body = Try,
    responses(
        (status = 200, body = TriedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn try_out(
    Agent(caller): Agent,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let wanted: Try = json_body_up_to(&request, payload, LIMIT).await?;
    let account = site.known(&wanted.account)?;
    let asked = asked(&wanted)?;
    let follower = OpenId::parse(wanted.follower.as_deref().unwrap_or(NOBODY))
        .map_err(|error| Problem::new(Code::BadRequest, format!("`follower`: {error}")))?;
    let message = inline::incoming(&asked, &follower);
    // What is random depends on the text and the follower alone, so that a try can be repeated.
    let key = TurnKey::of_text(&format!("{follower}\n{asked}"));
    let memory = Memory {
        conversation: remembered(&site, &caller, &account, &wanted).await?,
        can_push: site.turns.can_push(&account),
        ..Memory::empty(account, key)
    };
    let at = wanted.at.unwrap_or_else(|| site.clock.now());
    let rules = if wanted.draft.is_empty() {
        site.keeper.active()
    } else {
        with_draft(&site, &wanted).await?
    };
    let answer = tokio::task::spawn_blocking(move || decided(&message, &memory, &rules, at)).await;
    Ok(HttpResponse::Ok().json(answer.map_err(|_panicked| Refused::Panicked)?))
}

fn asked(wanted: &Try) -> Result<Asked<'_>, Problem> {
    match (&wanted.text, &wanted.event, &wanted.message) {
        (Some(text), None, None) => Ok(Asked::Say(text)),
        (None, Some(name), None) => Ok(Asked::Event {
            name,
            key: wanted.key.as_deref(),
        }),
        (None, None, Some(kind)) => Ok(Asked::Message(kind)),
        _ => Err(Problem::new(
            Code::BadRequest,
            "give one of `text`, `event` and `message`",
        )),
    }
}

/// What is known of the follower. Only who reaches the account may make use of that.
async fn remembered(
    site: &Site,
    caller: &Caller,
    account: &AccountName,
    wanted: &Try,
) -> Result<Option<Arc<Conversation>>, Problem> {
    let Some(follower) = &wanted.follower else {
        return Ok(None);
    };
    if !caller.reaches(account) {
        return Err(Problem::new(
            Code::Forbidden,
            "the token does not reach this account, so it may not ask as one of its followers",
        ));
    }
    let query = Query {
        accounts: vec![account.clone()],
        follower: OpenId::parse(follower.as_str()).ok(),
        limit: 1,
        ..Query::default()
    };
    let page = site.store.conversations(&query).await?;
    Ok(page.conversations.into_iter().next())
}

/// The rules that run with the draft on top, compiled on the spot; tests beside rules are not run.
async fn with_draft(site: &Site, wanted: &Try) -> Result<Arc<ActiveRules>, Problem> {
    let changes: FileChanges = wanted
        .draft
        .iter()
        .map(|(path, text)| (path.clone(), Some(text.clone().into())))
        .collect();
    let files = site.keeper.active_files().await?.with(&changes);
    Ok(Arc::new(site.keeper.compiled(files).await?))
}

/// The one place here that decides.
fn decided(message: &Incoming, memory: &Memory, rules: &ActiveRules, at: Time) -> Tried {
    let step = decide(message, memory, rules, at);
    tried(&step, message, &rules.set, at)
}
