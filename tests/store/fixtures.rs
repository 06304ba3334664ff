//! Makes the turns, acts and stores that the tests of the store are about.

use std::sync::Arc;
use std::time::Duration;

use wxreply::model::entry::{Move, Priority, Push, Reason, Spoken};
use wxreply::model::{
    AccountName, Act, Actor, AgentName, Answer, By, Content, Conversation, Delivery, Form,
    Incoming, MessageId, OpenId, Reply, RuleId, Time, Turn, TurnKey,
};
use wxreply::store::{Claim, Error, Store, Ticket};

pub const START: Time = Time::from_millis(1_718_200_000_000);

/// `n` seconds after the start.
pub fn at(n: u64) -> Time {
    START.plus(Duration::from_secs(n))
}

pub fn shop() -> AccountName {
    AccountName::parse("shop").unwrap()
}

pub fn follower(name: &str) -> OpenId {
    OpenId::parse(format!("o{name}")).unwrap()
}

pub fn agent(name: &str) -> Actor {
    Actor::agent(AgentName::parse(name).unwrap())
}

pub fn key(name: &str) -> TurnKey {
    TurnKey::of_text(name)
}

pub fn words(text: &str) -> Content {
    Content::Text {
        text: text.into(),
        menu_id: None,
    }
}

/// The turn of a follower that this name identifies: `key(name)`.
pub fn turn(from: &str, name: &str, content: Content, answer: Answer) -> Turn {
    Turn {
        key: key(name),
        account: shop(),
        incoming: Incoming {
            to: "gh_123456789abc".into(),
            from: follower(from),
            create_time: START.seconds(),
            msg_id: Some(name.into()),
            content,
        },
        answer,
    }
}

/// A rule's answer: nothing that must be durable.
pub fn answered(text: &str) -> Answer {
    Answer {
        own: Some(Spoken {
            by: By::Rule,
            rule: None,
            revision: Some(3),
            reply: Reply::Text(text.into()),
        }),
        ..Answer::default()
    }
}

/// No rule covers it: durable.
pub fn escalated() -> Answer {
    Answer {
        moved: Some(Move::Escalate {
            reason: Reason::Unmatched,
            priority: Priority::Normal,
            note: None,
        }),
        ..Answer::default()
    }
}

/// A follower's message that is to be answered by `answer`.
pub async fn first(
    store: &dyn Store,
    from: &str,
    name: &str,
) -> (Ticket, Option<Arc<Conversation>>) {
    match store
        .claim_turn(&shop(), &follower(from), key(name), START)
        .await
        .unwrap()
    {
        Claim::First {
            ticket,
            conversation,
        } => (ticket, conversation),
        Claim::Repeat { .. } => panic!("{name} of {from} was answered before"),
    }
}

/// The passive reply that a repeat of an answered turn gets.
pub async fn repeat(store: &dyn Store, from: &str, name: &str) -> Option<Reply> {
    match store
        .claim_turn(&shop(), &follower(from), key(name), START)
        .await
        .unwrap()
    {
        Claim::First { .. } => panic!("{name} of {from} was not answered"),
        Claim::Repeat { passive, .. } => passive,
    }
}

/// Takes a whole turn through the store.
pub async fn take_turn(
    store: &dyn Store,
    turn: Turn,
    at: Time,
) -> Result<Arc<Conversation>, Error> {
    let claim = store
        .claim_turn(&turn.account, &turn.incoming.from, turn.key, at)
        .await?;
    let Claim::First { ticket, .. } = claim else {
        panic!("{:?} was answered before", turn.key)
    };
    store.commit_turn(ticket, turn, at).await
}

/// A message that escalates; `n` is second and name.
pub async fn ask(store: &dyn Store, from: &str, n: u64) -> Arc<Conversation> {
    let name = format!("{from} {n}");
    let turn = turn(from, &name, words(&name), escalated());
    take_turn(store, turn, at(n)).await.unwrap()
}

pub fn reply(text: &str, key: Option<&str>) -> Act {
    Act::Reply {
        reply: Reply::Text(text.into()),
        key: key.map(Into::into),
        last_seen: None,
        can_push: true,
        hold: false,
    }
}

/// A push as a late answer of the turn with this name.
pub fn late_push(name: &str, text: &str, n: u64) -> Push {
    Push {
        id: MessageId::at(at(n), 1, key(name)),
        by: By::Rule,
        agent: None,
        rule: None,
        revision: Some(3),
        reply: Reply::Text(text.into()),
        at: at(n),
        state: Delivery::Queued,
        attempts: 0,
        not_before: at(n),
        error: None,
    }
}

/// The `n`th push of the turn with this name.
pub fn push_of(name: &str, text: &str, n: u8, at: Time) -> Push {
    Push {
        id: MessageId::at(at, n, key(name)),
        at,
        not_before: at,
        ..late_push(name, text, 0)
    }
}

/// A form's first question: it ends at `until`, with these words.
pub fn form(name: &str, now: Time, until: Time, words: Option<&str>) -> Form {
    Form {
        rule: RuleId::parse("book").unwrap(),
        step: 0,
        tries: 0,
        saved: vec![("name".into(), "王".into())],
        until,
        on_timeout: words.map(|text| Push {
            not_before: until,
            ..push_of(name, text, 15, now)
        }),
    }
}

/// The history as `text delivery` lines.
pub async fn history(store: &dyn Store, conversation: &Conversation) -> Vec<String> {
    let messages = store.messages(conversation.id, None, 1000).await.unwrap();
    messages
        .iter()
        .map(|line| format!("{} {:?}", line.text, line.delivery))
        .collect()
}
