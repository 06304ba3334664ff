//! Serves conversations to the people who answer them: list, show, and what may be done with one.
//! Owns: parameters and their limits. Uses: store, turn, model. Never: decides who wins a race (the conversation does).

use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::listing::{Narrowed, cursor_after};
use super::new_reply::NewReply;
use super::shapes::{
    AsLead, Close, ConversationShape, ConversationWithMessages, ConversationsShape, ListQuery,
    MessageShape, Note, PresenceShape, ProblemShape, RepliedShape, ShowQuery, Tags,
};
use super::{cursor, json_body};
use crate::model::audit::What;
use crate::model::{
    AccountName, Act, Actor, Conversation, ConversationId, Direction, MessageId, OpenId, Refusal,
    State,
};
use crate::server::access::{Agent, Caller, Viewer};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::server::{Site, body, chance};
use crate::store::{self, ActError};

/// How many conversations a page has unless the caller says.
const PAGE: usize = 50;
/// The most a page has; more is clamped.
const LARGEST_PAGE: usize = 200;
/// How much history an answer carries.
const HISTORY: usize = 200;
/// The longest idempotency key.
const KEY_LENGTH: usize = 128;

/// Lists conversations, newest `updated_at` first.
#[utoipa::path(
    get, path = "/conversations", operation_id = "listConversations",
    params(ListQuery),
    responses(
        (status = 200, body = ConversationsShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Viewer(caller): Viewer,
    site: Data<Site>,
    query: Query<ListQuery>,
) -> Result<Json<ConversationsShape>, Problem> {
    let wanted = query.into_inner();
    let (now, rules) = (site.clock.now(), site.keeper.active());
    let narrowed = Narrowed::of(&wanted, rules.set.settings(), now)?;
    let query = narrowed.apply(store_query(wanted, &caller)?)?;
    let page = site.store.conversations(&query).await?;
    let next = page
        .conversations
        .last()
        .filter(|_| page.more)
        .map(|last| cursor_after(&query, last));
    let conversations = page
        .conversations
        .iter()
        .map(|conversation| ConversationShape::new(conversation, rules.set.settings(), now))
        .collect();
    Ok(Json(ConversationsShape {
        conversations,
        next,
    }))
}

/// Shows a conversation with the newest part of its history.
#[utoipa::path(
    get, path = "/conversations/{id}", operation_id = "showConversation",
    params(("id" = String, Path), ShowQuery),
    responses(
        (status = 200, body = ConversationWithMessages),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn show(
    Viewer(caller): Viewer,
    site: Data<Site>,
    id: Path<String>,
    query: Query<ShowQuery>,
) -> Result<Json<ConversationWithMessages>, Problem> {
    let before = query
        .before
        .as_deref()
        .map(|text| message_id("before", text))
        .transpose()?;
    let conversation = reached(&site, &caller, &id).await?;
    let messages = site
        .store
        .messages(conversation.id, before, HISTORY)
        .await?;
    let looking = site.presence.of(conversation.id, site.clock.now());
    let presence = looking.into_iter().map(|one| PresenceShape {
        name: one.name,
        typing: one.is_typing,
    });
    Ok(Json(
        shape(&site, &conversation).with(messages, presence.collect()),
    ))
}

/// Takes a conversation. The loser of a race gets 409.
#[utoipa::path(
    post, path = "/conversations/{id}/claim", operation_id = "claimConversation",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = ConversationShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn claim(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    body::discard(&mut payload).await;
    act((&site, &caller, &request), &id, Act::Claim).await
}

/// Gives a conversation back to the queue.
#[utoipa::path(
    post, path = "/conversations/{id}/release", operation_id = "releaseConversation",
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
pub(super) async fn release(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    lead: Query<AsLead>,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    body::discard(&mut payload).await;
    act_over((&site, &caller, &request), &id, Act::Release, &lead).await
}

/// Ends the episode.
#[utoipa::path(
    post, path = "/conversations/{id}/close", operation_id = "closeConversation",
    params(("id" = String, Path), AsLead), request_body = Close,
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
pub(super) async fn close(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    lead: Query<AsLead>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Close { outcome } = json_body(&request, payload).await?;
    act_over(
        (&site, &caller, &request),
        &id,
        Act::Close { outcome },
        &lead,
    )
    .await
}

/// Writes a note to colleagues; nobody need own the conversation.
#[utoipa::path(
    post, path = "/conversations/{id}/notes", operation_id = "addNote",
    params(("id" = String, Path)), request_body = Note,
    responses(
        (status = 200, body = ConversationShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn note(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Note { text } = json_body(&request, payload).await?;
    act((&site, &caller, &request), &id, Act::Note { text }).await
}

/// Says what the follower is called, in place of what was said before; nobody need own the conversation.
#[utoipa::path(
    post, path = "/conversations/{id}/tags", operation_id = "setTags",
    params(("id" = String, Path)), request_body = Tags,
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
pub(super) async fn tag(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ConversationShape>, Problem> {
    let Tags { tags } = json_body(&request, payload).await?;
    act((&site, &caller, &request), &id, Act::Tag { tags }).await
}

/// Answers the follower. Claims an unclaimed conversation.
#[utoipa::path(
    post, path = "/conversations/{id}/replies", operation_id = "reply",
    params(("id" = String, Path)), request_body = NewReply,
    responses(
        (status = 201, body = RepliedShape),
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
pub(super) async fn reply(
    Agent(caller): Agent,
    site: Data<Site>,
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let wanted: NewReply = json_body(&request, payload).await?;
    let (key, hold) = (wanted.idempotency_key.clone(), wanted.hold);
    if key
        .as_ref()
        .is_some_and(|key| key.is_empty() || key.len() > KEY_LENGTH)
    {
        return Err(Problem::new(
            Code::BadRequest,
            format!("`idempotency_key` has 1 to {KEY_LENGTH} bytes"),
        ));
    }
    let last_seen = wanted
        .last_seen
        .as_deref()
        .map(|text| message_id("last_seen", text))
        .transpose()?;
    let conversation = reached(&site, &caller, &id).await?;
    let can_push = site.turns.can_push(&conversation.account);
    let act = Act::Reply {
        reply: wanted.reply(&site, &conversation.account).await?,
        key,
        last_seen,
        can_push,
        hold,
    };
    let acted = acted(
        (&site, &caller, &request),
        &caller.actor(false),
        &conversation,
        act,
        last_seen,
    )
    .await?;
    let message = acted
        .message
        .ok_or_else(|| Problem::new(Code::Internal, "the answer has no message"))?;
    let message = written(&site, &acted.conversation, message).await?;
    Ok(HttpResponse::Created().json(RepliedShape { message }))
}

/// Does something that answers with the conversation.
pub(super) async fn act(
    asked: Asked<'_>,
    id: &str,
    act: Act,
) -> Result<Json<ConversationShape>, Problem> {
    act_over(asked, id, act, &AsLead::default()).await
}

/// Where something is asked, by whom, and how.
pub(super) type Asked<'a> = (&'a Site, &'a Caller, &'a HttpRequest);

/// The same, over the owner's head where a lead says so.
pub(super) async fn act_over(
    asked @ (site, caller, _): Asked<'_>,
    id: &str,
    act: Act,
    lead: &AsLead,
) -> Result<Json<ConversationShape>, Problem> {
    let conversation = reached(site, caller, id).await?;
    // Taking a conversation over is said by its own word, with a reason.
    let as_lead = lead.as_lead || matches!(act, Act::Assign { .. });
    let actor = caller.actor(as_lead);
    let acted = acted(asked, &actor, &conversation, act, None).await?;
    Ok(Json(shape(site, &acted.conversation)))
}

/// A conversation as it stands now.
fn shape(site: &Site, conversation: &Conversation) -> ConversationShape {
    let rules = site.keeper.active();
    ConversationShape::new(conversation, rules.set.settings(), site.clock.now())
}

async fn acted(
    (site, caller, request): Asked<'_>,
    actor: &Actor,
    before: &Conversation,
    act: Act,
    last_seen: Option<MessageId>,
) -> Result<store::Acted, Problem> {
    let id = before.id;
    let what = what(&act);
    match site
        .store
        .act(id, act, actor, site.clock.now(), chance::seed())
        .await
    {
        Ok(acted) => {
            if let Some(what) = what.filter(|_| !acted.already) {
                let did = Did::to(what, id.to_string())
                    .in_account(&before.account)
                    .before(standing(before))
                    .after(standing(&acted.conversation));
                // The journal has it as well: who acted is told that it was done.
                if let Err(error) = site.audit(caller, request, did).await {
                    tracing::error!(%error, conversation = %id, "an act is not on record");
                }
            }
            Ok(acted)
        }
        Err(ActError::NotFound) => Err(no_conversation()),
        Err(ActError::Refused(refusal, _)) => {
            let problem = Problem::from(&refusal);
            match (refusal, last_seen) {
                (Refusal::Arrived, Some(seen)) => {
                    Ok(Err(problem.with("arrived", &since(site, id, seen).await?))?)
                }
                _ => Err(problem),
            }
        }
        Err(ActError::Store(error)) => Err(error.into()),
    }
}

/// How an act is called on record; what only keeps a conversation with its owner is none.
const fn what(act: &Act) -> Option<What> {
    Some(match act {
        Act::Claim => What::Claimed,
        Act::Assign { .. } => What::Assigned,
        Act::Release => What::Released,
        Act::HandBack => What::HandedBack,
        Act::Close { .. } => What::Closed,
        Act::Snooze { .. } => What::Snoozed,
        Act::Prioritise { .. } => What::Prioritised,
        Act::Note { .. } => What::Noted,
        Act::Tag { .. } => What::Tagged,
        Act::Remark { .. } => What::Remarked,
        Act::Reply { .. } => What::Replied,
        Act::Elsewhere { .. } => What::AnsweredElsewhere,
        Act::ToDesk { .. } => What::SentToDesk,
        Act::Acknowledge => What::Acknowledged,
        Act::Seen | Act::Leave { .. } | Act::Elapsed { .. } => return None,
    })
}

/// What of a conversation is on record: nothing that a follower or an agent wrote.
pub(in crate::server) fn standing(conversation: &Conversation) -> Value {
    json!({
        "state": conversation.state.word(),
        "owner": conversation.owner,
        "priority": conversation.priority,
        "outcome": conversation.outcome,
        "version": conversation.version,
    })
}

/// The follower's messages after the one that was seen.
async fn since(
    site: &Site,
    id: ConversationId,
    seen: MessageId,
) -> Result<Vec<MessageShape>, Problem> {
    let messages = site.store.messages(id, None, HISTORY).await?;
    let arrived = messages
        .into_iter()
        .filter(|message| message.id > seen && message.direction == Direction::In);
    Ok(arrived.map(MessageShape::from).collect())
}

/// A message as it stands now.
async fn written(
    site: &Site,
    conversation: &Conversation,
    id: MessageId,
) -> Result<MessageShape, Problem> {
    if let Some(push) = conversation.pushes.iter().find(|push| push.id == id) {
        return Ok(push.message().into());
    }
    let mut before = None;
    loop {
        // A key that comes again may name a message far back.
        let messages = site
            .store
            .messages(conversation.id, before, HISTORY)
            .await?;
        before = messages.first().map(|oldest| oldest.id);
        if let Some(found) = messages.into_iter().find(|message| message.id == id) {
            return Ok(found.into());
        }
        if before.is_none() {
            let gone = "the message is no longer there";
            return Err(Problem::new(Code::NotFound, gone));
        }
    }
}

/// The conversation with this id, if the caller reaches its account.
pub(super) async fn reached(
    site: &Site,
    caller: &Caller,
    id: &str,
) -> Result<std::sync::Arc<Conversation>, Problem> {
    let id = ConversationId::parse(id).ok_or_else(no_conversation)?;
    let conversation = site.store.conversation(id).await?;
    conversation
        .filter(|conversation| caller.reaches(&conversation.account))
        .ok_or_else(no_conversation)
}

fn no_conversation() -> Problem {
    Problem::new(Code::NotFound, "there is no such conversation")
}

fn message_id(name: &str, text: &str) -> Result<MessageId, Problem> {
    MessageId::parse(text)
        .ok_or_else(|| Problem::new(Code::BadRequest, format!("`{name}` is no message id")))
}

fn store_query(query: ListQuery, caller: &Caller) -> Result<store::Query, Problem> {
    let bad = |what: &str| Problem::new(Code::BadRequest, what.to_owned());
    let accounts = match query.account.filter(|account| !account.is_empty()) {
        None => caller.accounts.clone(),
        Some(account) => {
            let account = AccountName::parse(account).map_err(|error| bad(&error.to_string()))?;
            if !caller.reaches(&account) {
                return Err(Problem::new(
                    Code::Forbidden,
                    "the token does not reach this account",
                ));
            }
            vec![account]
        }
    };
    let states = query
        .state
        .as_deref()
        .unwrap_or("")
        .split(',')
        .filter(|word| !word.is_empty());
    let states: Result<Vec<State>, Problem> = states
        .map(|word| {
            State::named(word.trim()).ok_or_else(|| bad("`state` has a word that is no state"))
        })
        .collect();
    let follower = query.follower.filter(|follower| !follower.is_empty());
    let follower = follower
        .map(OpenId::parse)
        .transpose()
        .map_err(|error| bad(&error.to_string()))?;
    let after = query.cursor.filter(|cursor| !cursor.is_empty());
    let after = after
        .map(|text| cursor::read(&text).ok_or_else(|| bad("`cursor` is not one of ours")))
        .transpose()?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    Ok(store::Query {
        accounts,
        states: states?,
        follower,
        after: after.map(|(_, time, id)| (time, id)),
        after_level: after.and_then(|(level, ..)| level),
        limit,
        ..store::Query::default()
    })
}
