//! Works out what a history must say: the same pure deciding, folded over what came in.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use wxreply::decide::{ActiveRules, Decision, Memory, Outcome, Step, decide};
use wxreply::model::conversation::{Act, Acted};
use wxreply::model::entry::Settled;
use wxreply::model::message::PushError;
use wxreply::model::{
    AccountName, Actor, AgentName, By, Change, Conversation, ConversationId, Delivery, Direction,
    Entry, Incoming, MessageId, Reply, Time, Turn, TurnKey,
};

/// One line of a history as the API shows it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Line {
    pub id: String,
    pub at: Time,
    pub direction: Direction,
    pub by: By,
    pub agent: Option<String>,
    pub rule: Option<String>,
    pub kind: String,
    pub text: String,
    pub delivery: Delivery,
}

/// What one message led to.
#[derive(Debug)]
pub struct Turned {
    pub outcome: Outcome,
    pub passive: Option<Reply>,
    pub at: Time,
    pub is_durable: bool,
}

/// The crowd's rules ask no other systems.
fn decided(step: Step) -> Decision {
    match step {
        Step::Done(decision) => decision,
        Step::Ask(asked) => panic!("{:?}", asked.call),
    }
}

/// One conversation as it must be after what has happened so far.
pub struct Fold<'a> {
    pub rules: &'a ActiveRules,
    pub account: AccountName,
    pub can_push: bool,
    pub known: Option<Conversation>,
}

impl Fold<'_> {
    fn decides(&self, incoming: &Incoming, key: TurnKey, at: Time) -> Decision {
        let memory = Memory {
            account: self.account.clone(),
            key,
            conversation: self.known.clone().map(Arc::new),
            can_push: self.can_push,
            ..Memory::empty(self.account.clone(), key)
        };
        decided(decide(incoming, &memory, self.rules, at))
    }

    /// What a follower nobody knows yet reads in answer to this.
    pub fn alone(&self, incoming: &Incoming, key: TurnKey) -> Option<Reply> {
        let memory = Memory::empty(self.account.clone(), key);
        let answer = decided(decide(incoming, &memory, self.rules, Time::default())).answer;
        let own = answer.own.filter(|own| own.by == By::Rule);
        own.map(|own| own.reply)
    }

    /// A message came. Gives what it led to, and the line that answers it, if one does.
    pub fn hears(
        &mut self,
        incoming: &Incoming,
        key: TurnKey,
        line: &Line,
    ) -> (Turned, Option<Line>) {
        let decision = self.decides(incoming, key, line.at);
        let turn = Turn {
            key,
            account: self.account.clone(),
            incoming: incoming.clone(),
            answer: decision.answer,
        };
        let inbound = serde_json::to_value(turn.inbound(line.at)).unwrap();
        assert_eq!(*line, Line::deserialize(inbound).unwrap());
        let own = turn.own(line.at);
        let own = own.map(|own| Line::deserialize(serde_json::to_value(own).unwrap()).unwrap());
        let turned = Turned {
            outcome: decision.outcome,
            passive: turn.answer.passive().cloned(),
            at: line.at,
            is_durable: turn.answer.is_durable(),
        };
        if self.known.is_none() {
            self.known = Some(Conversation::new(
                ConversationId::at(line.at, 0, key),
                self.account.clone(),
                incoming.from.clone(),
                line.at,
            ));
        }
        self.change(line.at, Change::Turn(Box::new(turn)));
        (turned, own)
    }

    /// An agent answered; a push has gone its whole way.
    pub fn is_answered(&mut self, line: &Line) {
        let known = self.known.as_ref().expect("a conversation comes first");
        let by = AgentName::parse(line.agent.as_deref().unwrap()).unwrap();
        let act = Act::Reply {
            reply: Reply::Text(line.text.as_str().into()),
            key: None,
            last_seen: None,
            can_push: self.can_push,
            hold: false,
        };
        let acted = known.act(&act, &Actor::agent(by), line.at, TurnKey::of_text(&line.id));
        let Ok(Acted::Change(change)) = acted else {
            panic!("{acted:?} of {line:?}");
        };
        let Change::Replied { mut push, key } = *change else {
            panic!("{line:?}");
        };
        push.id = MessageId::parse(&line.id).unwrap();
        let (id, is_queued) = (push.id, push.state == Delivery::Queued);
        self.change(line.at, Change::Replied { push, key });
        if is_queued {
            let result = match line.delivery {
                Delivery::Sent => Settled::Sent,
                Delivery::Unknown => Settled::Unknown {
                    error: PushError {
                        code: 0,
                        message: "".into(),
                    },
                },
                other => panic!("a push ended as {other:?}"),
            };
            self.change(line.at, Change::Sending { push: id });
            self.change(line.at, Change::Settled { push: id, result });
        }
    }

    fn change(&mut self, at: Time, change: Change) {
        let known = self.known.as_mut().expect("a conversation comes first");
        let entry = Entry {
            at,
            conversation: known.id,
            change,
        };
        known.apply(&entry);
    }

    /// Compares everything that the API tells of a conversation beside its history. When nobody knows how a push ended, it
    /// may have ended later than here, and the conversation may be the agent's or the follower's.
    pub fn compare(&self, shown: &Value, is_unsure: bool) {
        let known = self.known.as_ref().expect("there is a history");
        let expected = serde_json::json!({
            "id": known.id.to_string(),
            "account": known.account.as_str(),
            "follower": known.follower.as_str(),
            "state": known.state.word(),
            "priority": known.priority,
            "reason": known.reason,
            "owner": known.owner,
            "opened_at": known.opened_at,
            "version": known.version,
            "unread": known.unread,
        });
        for (name, expected) in expected.as_object().unwrap() {
            let is_theirs = |state: &Value| *state == "assigned" || *state == "follower";
            if is_unsure && name == "state" && is_theirs(expected) && is_theirs(&shown[name]) {
                continue;
            }
            if name == "version" {
                // What happens by itself is no line of the history.
                assert!(
                    shown[name].as_u64() >= expected.as_u64(),
                    "{name} of {shown:#}"
                );
                continue;
            }
            assert_eq!(&shown[name], expected, "{name} of {shown:#}");
        }
    }
}
