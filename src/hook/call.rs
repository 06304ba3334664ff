//! Writes one call and reads its answer: a signed POST with the turn's key.
//! Owns: the headers, which status means what. Uses: outbound, answer. Never: whether the host may be asked.

use std::time::Instant;

use secrecy::SecretString;
use serde::{Serialize, Serializer};

use super::answer;
use crate::model::hook::HOOK_ANSWER_LIMIT;
use crate::model::{HookAnswer, HookCall, HookFault, Time};
use crate::outbound::{Exchange, Fault, Post, sign};

/// Prepares a call.
///
/// # Errors
/// [`HookFault::Forbidden`] when its host is not listed, or its URL cannot be understood.
pub(super) fn write(
    exchange: &Exchange,
    call: &HookCall,
    secret: Option<&SecretString>,
    now: Time,
) -> Result<Post, HookFault> {
    let to = exchange.checked(&call.url, &[]).map_err(hook_fault)?;
    let body = serde_json::to_string(&Texts(&call.fields))
        .map_err(|_not_possible| HookFault::Unreadable)?;
    let mut headers = vec![
        ("Idempotency-Key", call.key.to_string()),
        ("X-Wxreply-Account", call.account.to_string()),
    ];
    if let Some(secret) = secret {
        let timestamp = now.seconds().to_string();
        headers.push(("X-Wxreply-Signature", sign(secret, &timestamp, &body)));
        headers.push(("X-Wxreply-Timestamp", timestamp));
    }
    Ok(Post {
        to,
        content_type: "application/json",
        headers,
        body,
    })
}

/// Makes the call; blocks until it has ended. A name that is looked up past `until` is asked nothing any more.
///
/// # Errors
/// Why there is no answer.
pub(super) fn make(
    exchange: &Exchange,
    post: Post,
    until: Instant,
) -> Result<HookAnswer, HookFault> {
    let answer = exchange.post(post, until).map_err(hook_fault)?;
    match answer.status() {
        204 | 404 => return Ok(HookAnswer::Missing),
        200..300 => {}
        _ => return Err(HookFault::Status),
    }
    answer::read(&answer.body(HOOK_ANSWER_LIMIT).map_err(hook_fault)?)
}

const fn hook_fault(fault: Fault) -> HookFault {
    match fault {
        Fault::Forbidden => HookFault::Forbidden,
        Fault::Timeout => HookFault::Timeout,
        Fault::Unreachable => HookFault::Unreachable,
        Fault::Unreadable => HookFault::Unreadable,
    }
}

/// Fields as a JSON object, in their order.
struct Texts<'f>(&'f [(Box<str>, Box<str>)]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, &**value)))
    }
}
