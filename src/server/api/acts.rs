//! Serves what people do with a conversation besides answering it: give it away, put it off, call it something.
//! Owns: the requests. Uses: store, model. Never: decides whether it is allowed (the conversation does).

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload, Query};

use super::conversations::{act, act_over, reached};
use super::json_body;
use super::shapes::{
    AsLead, Assign, ConversationShape, Elsewhere, Prioritise, ProblemShape, Remark, Seen, Snooze,
    ToDesk,
};
use crate::model::people::user_name;
use crate::model::{AccountName, Act, AgentName, Role};
use crate::server::access::{Agent, RESERVED};
use crate::server::error::{Code, Problem};
use crate::server::presence::Looking;
use crate::server::{Site, body};

/// Gives a conversation to somebody: an agent to themself, an owner to a colleague, a lead to anybody. Taking it from its
/// owner needs a reason. 400 where nobody of this name answers people of this account.
#[utoipa::path(
    post, path = "/conversations/{id}/assign", operation_id = "assignConversation",
    params(("id" = String, Path)), request_body = Assign,
    responses(
        (status = 200, body = ConversationShape),
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
pub(super) async fn assign(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Assign { agent, reason } = json_body(&request, payload).await?;
    let conversation = reached(&site, &caller, &id).await?;
    let to = assignee(&site, &agent, &conversation.account).await?;
    act(
        (&site, &caller, &request),
        &id,
        Act::Assign {
            to,
            reason: reason.unwrap_or_default(),
        },
    )
    .await
}

/// Who is meant, where that is somebody who can answer here: what goes to anybody else would lie there.
async fn assignee(site: &Site, name: &str, account: &AccountName) -> Result<AgentName, Problem> {
    let answers = |role: Role, accounts: &[AccountName]| {
        role >= Role::Agent && (accounts.is_empty() || accounts.contains(account))
    };
    let known = match name.strip_prefix("token:") {
        Some(token) if RESERVED.contains(&token) => AgentName::parse(name).ok(),
        Some(token) => {
            let tokens = site.store.tokens().await?;
            let mut tokens = tokens.iter().filter(|known| *known.name == *token);
            let is_good = tokens.any(|known| answers(known.role, &known.accounts));
            AgentName::parse(name).ok().filter(|_| is_good)
        }
        None => match user_name(name) {
            Some(name) => site.store.user(&name).await?,
            None => None,
        }
        .filter(|user| !user.is_disabled && answers(user.role, &user.accounts))
        .map(|user| user.name),
    };
    known.ok_or_else(|| {
        let detail = "nobody of this name answers people of this account";
        Problem::new(Code::BadRequest, detail)
    })
}

/// Gives a conversation back to the rules.
#[utoipa::path(
    post, path = "/conversations/{id}/handback", operation_id = "handBackConversation",
    params(("id" = String, Path), AsLead),
    responses(
        (status = 200, body = ConversationShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn hand_back(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    lead: Query<AsLead>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    body::discard(&mut payload).await;
    act_over((&site, &caller, &request), &id, Act::HandBack, &lead).await
}

/// Puts a conversation off until a time, at most 90 days, or until the follower writes.
#[utoipa::path(
    post, path = "/conversations/{id}/snooze", operation_id = "snoozeConversation",
    params(("id" = String, Path), AsLead), request_body = Snooze,
    responses(
        (status = 200, body = ConversationShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn snooze(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    lead: Query<AsLead>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Snooze { until } = json_body(&request, payload).await?;
    act_over(
        (&site, &caller, &request),
        &id,
        Act::Snooze { until },
        &lead,
    )
    .await
}

/// Says how urgent a conversation is; clocks and alerts begin anew. A crisis that is none is made `normal`, as a false alarm.
#[utoipa::path(
    post, path = "/conversations/{id}/priority", operation_id = "prioritiseConversation",
    params(("id" = String, Path), AsLead), request_body = Prioritise,
    responses(
        (status = 200, body = ConversationShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn prioritise(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    lead: Query<AsLead>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Prioritise { priority } = json_body(&request, payload).await?;
    act_over(
        (&site, &caller, &request),
        &id,
        Act::Prioritise { priority },
        &lead,
    )
    .await
}

/// Says what colleagues call the follower, in place of what was said before; nobody need own the conversation.
#[utoipa::path(
    post, path = "/conversations/{id}/remark", operation_id = "remarkConversation",
    params(("id" = String, Path)), request_body = Remark,
    responses(
        (status = 200, body = ConversationShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn remark(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Remark { remark } = json_body(&request, payload).await?;
    act((&site, &caller, &request), &id, Act::Remark { remark }).await
}

/// Says that somebody has seen an episode that ended without an answer.
#[utoipa::path(
    post, path = "/conversations/{id}/acknowledge", operation_id = "acknowledgeConversation",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = ConversationShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn acknowledge(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    body::discard(&mut payload).await;
    act((&site, &caller, &request), &id, Act::Acknowledge).await
}

/// Says that the follower was answered by another way, in WeChat's own console or by telephone. Claims an unclaimed
/// conversation.
#[utoipa::path(
    post, path = "/conversations/{id}/elsewhere", operation_id = "answeredElsewhere",
    params(("id" = String, Path)), request_body = Elsewhere,
    responses(
        (status = 200, body = ConversationShape),
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
pub(super) async fn elsewhere(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Elsewhere { text } = json_body(&request, payload).await?;
    act((&site, &caller, &request), &id, Act::Elsewhere { text }).await
}

/// Has the follower's next message handed to Tencent's own desk: that is possible in answer to a message only.
#[utoipa::path(
    post, path = "/conversations/{id}/desk", operation_id = "sendToDesk",
    params(("id" = String, Path)), request_body = ToDesk,
    responses(
        (status = 200, body = ConversationShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn to_desk(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let ToDesk { agent } = json_body(&request, payload).await?;
    act(
        (&site, &caller, &request),
        &id,
        Act::ToDesk {
            agent: agent.unwrap_or_default(),
        },
    )
    .await
}

/// Says that the caller looks at a conversation, and may be typing; to be said every three seconds. The conversation stays
/// with its owner as long as the owner looks.
#[utoipa::path(
    post, path = "/conversations/{id}/presence", operation_id = "lookAtConversation",
    params(("id" = String, Path)), request_body = Seen,
    responses(
        (status = 204),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn look(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<actix_web::HttpResponse, Problem> {
    let Seen { typing } = json_body(&request, payload).await?;
    let conversation = reached(&site, &caller, &id).await?;
    let name = caller.name;
    let looking = Looking {
        name: name.clone(),
        is_typing: typing,
        at: site.clock.now(),
    };
    let is_news = site.presence.look(conversation.id, looking);
    if is_news && (typing || conversation.is_owned_by(&name)) {
        let (delivery, account) = (Arc::clone(&site.delivery), conversation.account.clone());
        let follower = conversation.follower.clone();
        // As well as may be: the agent does not wait for WeChat.
        tokio::spawn(async move { delivery.typing(&account, &follower, typing).await });
    }
    Ok(actix_web::HttpResponse::NoContent().finish())
}
