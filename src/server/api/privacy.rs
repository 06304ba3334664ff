//! Removes, and hands out, everything that is kept of one follower.
//! Owns: the form of an export, how much of it is in memory. Uses: store, privacy. Never: what is kept where.

use std::sync::Arc;

use actix_web::web::{Bytes, Data, Json, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::json_body;
use super::shapes::{
    ConversationShape, EraseFollower, ErasedShape, ExportQuery, ExportShape, MessageShape,
    ProblemShape,
};
use crate::model::audit::What;
use crate::model::{AccountName, Conversation, Message, OpenId};
use crate::server::Site;
use crate::server::access::{Admin, Caller};
use crate::server::error::{Code, Problem};
use crate::server::people::Did;
use crate::store::{self, Error};

/// Removes one follower everywhere: conversation, messages, what waits to be sent, tags, remark, files. Safe to repeat. Nothing
/// of the follower is readable on return; the store's files are rewritten in the minutes after that, and copies that an
/// upgrade left (`before-format-…`) are removed.
#[utoipa::path(
    post, path = "/followers/erase", operation_id = "eraseFollower",
    request_body = EraseFollower,
    responses(
        (status = 200, body = ErasedShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn erase(
    Admin(caller): Admin,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<ErasedShape>, Problem> {
    let EraseFollower { account, follower } = json_body(&request, payload).await?;
    let (account, follower) = follower_of(&caller, account, follower)?;
    let erased = site.privacy.erase(&account, &follower).await?;
    site.privacy.scrub_soon();
    let did = did(What::FollowerErased, &account, &follower);
    site.audit(&caller, &request, did).await?;
    Ok(Json(ErasedShape { erased }))
}

/// Hands out everything that is kept of one follower: the conversation with tags and remark, all messages and notes, newest
/// first, and files.
#[utoipa::path(
    get, path = "/followers/export", operation_id = "exportFollower",
    params(ExportQuery),
    responses(
        (status = 200, body = ExportShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 404, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn export(
    Admin(caller): Admin,
    site: Data<Site>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    // Read here: who may not ask at all hears that first.
    let query = Query::<ExportQuery>::from_query(request.query_string());
    let query = query.map_err(|error| Problem::new(Code::BadRequest, error.to_string()))?;
    let ExportQuery { account, follower } = query.into_inner();
    let (account, follower) = follower_of(&caller, account, follower)?;
    let Ok(room) = Arc::clone(&site.privacy.exports).try_acquire_owned() else {
        return Err(Problem::new(
            Code::Busy,
            "exports of other followers are running",
        ));
    };
    let known = store::Query {
        accounts: vec![account.clone()],
        follower: Some(follower.clone()),
        limit: 1,
        ..store::Query::default()
    };
    let page = site.store.conversations(&known).await?;
    let Some(conversation) = page.conversations.into_iter().next() else {
        return Err(Problem::new(Code::NotFound, "there is no such follower"));
    };
    let files = site.privacy.list(&account, &follower).await?;
    let pieces = site.store.history(conversation.id).await?;
    // On record before anything leaves.
    let did = did(What::FollowerExported, &account, &follower);
    site.audit(&caller, &request, did).await?;
    let export = Export {
        head: Some(head(&site, &conversation, &files)),
        pieces,
        is_first: true,
        is_done: false,
        _room: room,
    };
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .streaming(stream::unfold(export, Export::next)))
}

/// The account and follower that are meant. An account that is not configured any more may still have followers here.
fn follower_of(
    caller: &Caller,
    account: String,
    follower: String,
) -> Result<(AccountName, OpenId), Problem> {
    let bad = |error: &dyn std::fmt::Display| Problem::new(Code::BadRequest, error.to_string());
    let account = AccountName::parse(account).map_err(|error| bad(&error))?;
    let follower = OpenId::parse(follower).map_err(|error| bad(&error))?;
    if !caller.reaches(&account) {
        return Err(Problem::new(
            Code::Forbidden,
            "the token does not reach this account",
        ));
    }
    Ok((account, follower))
}

/// What is on record: that it happened, and to whom only as far as logs may say.
fn did(what: What, account: &AccountName, follower: &OpenId) -> Did {
    Did::to(what, follower.short().to_string()).in_account(account)
}

/// Everything but the messages, up to where they begin.
fn head(site: &Site, conversation: &Conversation, files: &[Value]) -> String {
    let now = site.clock.now();
    let rules = site.keeper.active();
    let head = json!({
        "account": conversation.account,
        "follower": conversation.follower,
        "exported_at": now,
        "conversation": ConversationShape::new(conversation, rules.set.settings(), now),
        "media": files,
    });
    let mut text = head.to_string();
    text.pop();
    text.push_str(",\"messages\":[");
    text
}

/// An export on its way.
struct Export {
    head: Option<String>,
    pieces: mpsc::Receiver<Result<Vec<Message>, Error>>,
    is_first: bool,
    is_done: bool,
    _room: OwnedSemaphorePermit,
}

impl Export {
    /// The next piece of the text. An error breaks the answer off, so that nobody takes it for whole.
    async fn next(mut self) -> Option<(Result<Bytes, Error>, Self)> {
        if let Some(head) = self.head.take() {
            return Some((Ok(head.into()), self));
        }
        if self.is_done {
            return None;
        }
        match self.pieces.recv().await {
            Some(Ok(messages)) => {
                let mut text = String::new();
                for message in messages {
                    if !std::mem::take(&mut self.is_first) {
                        text.push(',');
                    }
                    // Made of plain values: writing it as JSON cannot fail.
                    let line = serde_json::to_string(&MessageShape::from(message));
                    text.push_str(&line.unwrap_or_default());
                }
                Some((Ok(text.into()), self))
            }
            Some(Err(error)) => {
                tracing::error!(%error, "an export breaks off");
                self.is_done = true;
                Some((Err(error), self))
            }
            None => {
                self.is_done = true;
                Some((Ok(Bytes::from_static(b"]}")), self))
            }
        }
    }
}
