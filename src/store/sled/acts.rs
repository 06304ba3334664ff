//! Lets people act on conversations and pushes go out, each step as one entry.
//! Owns: the check and the change under one lock. Uses: shared. Never: decides what an act leads to.

use std::sync::Arc;

use crate::model::conversation::Acted as Outcome;
use crate::model::entry::{Change, Push, Settled};
use crate::model::{
    AccountName, Act, Actor, Conversation, ConversationId, Delivery, Entry, MessageId, OpenId,
    Time, TurnKey,
};
use crate::store::{ActError, Acted, Error, Taken};

use super::queue::Told;
use super::shared::{Shared, durable, written};
use super::turns::append_if;

/// See [`crate::store::Store::act`].
pub(super) async fn act(
    shared: &Shared,
    conversation: ConversationId,
    act: &Act,
    by: &Actor,
    now: Time,
    seed: TurnKey,
) -> Result<Acted, ActError> {
    let mut is_sure = false;
    loop {
        match begin(shared, conversation, act, by, now, seed)? {
            Begun::Change(acted, told) => {
                durable(told).await?;
                return Ok(acted);
            }
            Begun::Already(acted, last) => {
                // What it relies on may not be durable yet, and may still be taken back.
                if is_sure || shared.queue.record(last).is_none() {
                    return Ok(acted);
                }
                written(shared).await?;
                is_sure = true;
            }
        }
    }
}

enum Begun {
    Change(Acted, Option<Told>),
    Already(Acted, u64),
}

fn begin(
    shared: &Shared,
    conversation: ConversationId,
    act: &Act,
    by: &Actor,
    now: Time,
    seed: TurnKey,
) -> Result<Begun, ActError> {
    shared.open()?;
    let seat = shared.seats.of(conversation).ok_or(ActError::NotFound)?;
    let mut live = seat.live.lock();
    let known = live.conversation.clone();
    let known = known.filter(|known| known.id == conversation);
    let known = known.ok_or(ActError::NotFound)?;
    let change = match known.act(act, by, now, seed) {
        Err(refusal) => return Err(ActError::Refused(refusal, known)),
        Ok(Outcome::Already(message)) => {
            let acted = Acted {
                conversation: known,
                message,
                already: true,
            };
            return Ok(Begun::Already(acted, live.last));
        }
        Ok(Outcome::Change(change)) => *change,
    };
    let message = match &change {
        Change::Noted { id, .. } => Some(*id),
        Change::Replied { push, .. } => Some(push.id),
        Change::Elsewhere { id, .. } => Some(*id),
        _ => None,
    };
    let entry = Entry {
        at: now,
        conversation,
        change,
    };
    let (conversation, told) = shared.append(&seat, &mut live, &entry, true)?;
    let acted = Acted {
        conversation,
        message,
        already: false,
    };
    Ok(Begun::Change(acted, told))
}

/// See [`crate::store::Store::take_push`].
pub(super) async fn take_push(
    shared: &Shared,
    account: &AccountName,
    now: Time,
) -> Result<Option<Taken>, Error> {
    let (taken, told) = loop {
        shared.open()?;
        let Some(seat) = shared.seats.outbox.first(account, now) else {
            return Ok(None);
        };
        let mut live = seat.live.lock();
        // Somebody may have been faster; the outbox knows by now.
        let Some(known) = live.conversation.clone() else {
            continue;
        };
        let Some(push) = known.due(now).map(|push| push.id) else {
            continue;
        };
        let entry = Entry {
            at: now,
            conversation: known.id,
            change: Change::Sending { push },
        };
        let is_last_words = known.pushes.iter().all(|queued| queued.id != push);
        let (after, told) = shared.append(&seat, &mut live, &entry, true)?;
        let sending = after.pushes.iter().find(|sending| sending.id == push);
        if let Some(push) = sending.cloned() {
            let taken = Taken {
                conversation: after.id,
                account: after.account.clone(),
                follower: after.follower.clone(),
                push,
                is_last_words,
            };
            break (taken, told);
        }
    };
    durable(told).await?;
    Ok(Some(taken))
}

/// See [`crate::store::Store::settle_push`].
pub(super) async fn settle_push(
    shared: &Shared,
    conversation: ConversationId,
    push: MessageId,
    result: Settled,
    now: Time,
) -> Result<Option<Arc<Conversation>>, Error> {
    let appended = append_if(shared, conversation, now, |known| {
        let is_sending = |known: &Push| known.id == push && known.state == Delivery::Sending;
        let change = Change::Settled { push, result };
        known.pushes.iter().any(is_sending).then_some(change)
    })?;
    let Some((conversation, told)) = appended else {
        return Ok(None);
    };
    durable(told).await?;
    Ok(Some(conversation))
}

/// See [`crate::store::Store::erase`].
pub(super) async fn erase(
    shared: &Shared,
    account: &AccountName,
    follower: &OpenId,
) -> Result<bool, Error> {
    shared.open()?;
    let Some(seat) = shared.seats.find(account, follower) else {
        return Ok(false);
    };
    let told = {
        let mut live = seat.live.lock();
        shared.leave(&seat, &mut live)?
    };
    if told.is_none() {
        return Ok(false);
    }
    durable(told).await?;
    Ok(true)
}
