//! Takes random turns, acts, pushes, erasures and crashes through sled and through a plain fold, and compares.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;
use wxreply::model::conversation::{Acted, line};
use wxreply::model::entry::{Change, Move, Outcome, Priority, Reason, Settled};
use wxreply::model::message::PushError;
use wxreply::model::{
    Act, Answer, Conversation, ConversationId, Delivery, Entry, Form, Message, Noted, Offer,
    OpenId, Reply, RuleId, State, Turn, TurnKey,
};
use wxreply::store::sled::SledStore;
use wxreply::store::{ActError, Query, Store};

use super::fixtures::*;
use super::sled::{copy, open};

const FOLLOWERS: u8 = 3;

#[derive(Clone, Debug)]
enum Step {
    Turn { from: u8, kind: u8, words: usize },
    Repeat { turn: usize },
    Act { from: u8, by: u8, kind: u8 },
    Take,
    Settle { kind: u8 },
    Late { turn: usize },
    Erase { from: u8 },
    Reopen,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let from = 0..FOLLOWERS;
    let step = prop_oneof![
        12 => (from.clone(), 0..10_u8, prop_oneof![20 => 1..80_usize, 1 => Just(30_000)])
            .prop_map(|(from, kind, words)| Step::Turn { from, kind, words }),
        4 => any::<prop::sample::Index>().prop_map(|at| Step::Repeat { turn: at.index(1 << 20) }),
        8 => (from.clone(), 0..2_u8, 0..19_u8).prop_map(|(from, by, kind)| Step::Act { from, by, kind }),
        3 => Just(Step::Take),
        3 => (0..5_u8).prop_map(|kind| Step::Settle { kind }),
        1 => any::<prop::sample::Index>().prop_map(|at| Step::Late { turn: at.index(1 << 20) }),
        1 => from.prop_map(|from| Step::Erase { from }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

/// A conversation as a fold over its entries, with its history line by line.
#[derive(Default)]
struct Fold {
    conversation: Option<Conversation>,
    lines: Vec<Message>,
}

impl Fold {
    fn apply(&mut self, entry: &Entry, follower: &OpenId) {
        let conversation = self.conversation.get_or_insert_with(|| {
            Conversation::new(entry.conversation, shop(), follower.clone(), entry.at)
        });
        if let Change::Sending { push } = &entry.change
            && let Some(form) = known_form(conversation)
            && let Some(words) = form.on_timeout.as_ref().filter(|words| words.id == *push)
        {
            let place = self.lines.partition_point(|line| line.id < words.id);
            let line = Message {
                at: words.not_before,
                ..words.message()
            };
            self.lines.insert(place, line);
        }
        conversation.apply(entry);
        match &entry.change {
            Change::Turn(turn) => {
                for line in &mut self.lines {
                    if turn.answer.given.contains(&line.id) {
                        (line.delivery, line.error) = (Delivery::Passive, None);
                    }
                }
                self.lines.push(turn.inbound(entry.at));
                self.lines.extend(turn.own(entry.at));
                self.lines.extend(
                    turn.answer
                        .more
                        .iter()
                        .map(wxreply::model::entry::Push::message),
                );
            }
            Change::Replied { push, .. } => self.lines.push(push.message()),
            Change::Late { push, .. } => {
                for line in self.lines.iter_mut().filter(|line| line.id == push.id) {
                    *line = push.message();
                }
            }
            Change::Settled { push, result } => {
                let (delivery, error) = match result {
                    Settled::Sent => (Delivery::Sent, None),
                    Settled::Failed { error } => (Delivery::Failed, Some(error.clone())),
                    Settled::Unknown { error } => (Delivery::Unknown, Some(error.clone())),
                    Settled::Again { error, .. } => (Delivery::Queued, Some(error.clone())),
                    Settled::Held { error } => (Delivery::Held, Some(error.clone())),
                };
                for line in self.lines.iter_mut().filter(|line| line.id == *push) {
                    (line.delivery, line.error) = (delivery, error.clone());
                }
            }
            _ => self.lines.extend(line(entry)),
        }
        for push in &conversation.pushes {
            for line in self.lines.iter_mut().filter(|line| line.id == push.id) {
                (line.delivery, line.error) = (push.state, push.error.clone());
            }
        }
    }
}

fn known_form(conversation: &Conversation) -> Option<&Form> {
    conversation.remembered.as_ref()?.form.as_ref()
}

#[derive(Default)]
struct Model {
    folds: BTreeMap<u8, Fold>,
    /// Every turn: who, its name, when, what a repeat gets.
    turns: Vec<(u8, String, u64, Option<Reply>)>,
    clock: u64,
}

impl Model {
    fn conversation(&self, from: u8) -> Option<&Conversation> {
        self.folds.get(&from)?.conversation.as_ref()
    }

    fn apply(&mut self, from: u8, conversation: ConversationId, change: Change) {
        let entry = Entry {
            at: at(self.clock),
            conversation,
            change,
        };
        let fold = self.folds.entry(from).or_default();
        fold.apply(&entry, &follower(&from.to_string()));
    }

    fn of(&self, id: ConversationId) -> u8 {
        (0..FOLLOWERS)
            .find(|from| self.conversation(*from).is_some_and(|known| known.id == id))
            .unwrap()
    }
}

fn answer(kind: u8, known: Option<&Conversation>, clock: u64, name: &str) -> Answer {
    let now = at(clock);
    match kind {
        0 | 1 => answered("好"),
        2 => escalated(),
        3 => Answer {
            given: known
                .iter()
                .flat_map(|known| known.held(now))
                .map(|push| push.id)
                .collect(),
            joined: Some(Reply::Text("留言".into())),
            moved: Some(Move::Follower),
            ..Answer::default()
        },
        4 => Answer {
            push: Some(late_push(name, "后答", clock)),
            ..answered("后答")
        },
        5 => Answer {
            moved: Some(Move::Unsubscribed),
            ..Answer::default()
        },
        6 => Answer {
            more: vec![push_of(name, "再答", 2, now), push_of(name, "三答", 3, now)],
            noted: vec![rotated(), spoke()],
            ..answered("先答")
        },
        7 => Answer {
            noted: vec![Noted::Form(Box::new(form(
                name,
                now,
                at(clock + 3),
                Some("还在吗"),
            )))],
            ..answered("几位")
        },
        8 => Answer {
            noted: vec![Noted::FormEnded, spoke()],
            moved: Some(Move::Escalate {
                reason: Reason::Form,
                priority: Priority::High,
                note: Some("没填完".into()),
            }),
            ..Answer::default()
        },
        _ => Answer {
            noted: vec![
                Noted::Form(Box::new(form(name, now, at(clock + 3), None))),
                Noted::Offered(Offer {
                    rules: [rule("book"), rule("price")].into_iter().collect(),
                    until: at(clock + 9),
                }),
            ],
            ..answered("哪一个")
        },
    }
}

fn rule(id: &str) -> RuleId {
    RuleId::parse(id).unwrap()
}

fn rotated() -> Noted {
    Noted::Rotated {
        rule: rule("greet"),
        next: 1,
    }
}

fn spoke() -> Noted {
    Noted::Spoke {
        rule: rule("greet"),
    }
}

fn act(kind: u8) -> Act {
    match kind {
        0 => Act::Claim,
        1 => Act::Release,
        2 => Act::Close {
            outcome: Outcome::Solved,
        },
        3 => Act::Note { text: "注".into() },
        4 => reply("", None),
        5 => reply("同一", Some("key")),
        6 => Act::Tag {
            tags: vec!["vip".into(), "老客户".into()],
        },
        7 => Act::Tag { tags: Vec::new() },
        8 => Act::Assign {
            to: agent("2").name,
            reason: "下班".into(),
        },
        9 => Act::HandBack,
        10 => Act::Snooze { until: at(9_999) },
        11 => Act::Prioritise {
            priority: Priority::High,
        },
        12 => Act::Remark {
            remark: "王太太".into(),
        },
        13 => Act::Elsewhere {
            text: "电话里说了".into(),
        },
        14 => Act::Seen,
        15 => Act::Acknowledge,
        _ => reply("答", None),
    }
}

fn error(code: i64) -> PushError {
    PushError {
        code,
        message: "no".into(),
    }
}

struct World {
    dir: TempDir,
    store: Arc<SledStore>,
    model: Model,
}

impl World {
    async fn step(&mut self, step: Step) {
        self.model.clock += 1;
        let clock = self.model.clock;
        let store = Arc::clone(&self.store);
        match step {
            Step::Turn { from, kind, words } => {
                let name = clock.to_string();
                let known = self.model.conversation(from);
                let text = super::fixtures::words(&"字".repeat(words));
                let answer = answer(kind, known, clock, &name);
                let turn = turn(&from.to_string(), &name, text, answer);
                self.turn(from, name, turn).await;
            }
            Step::Repeat { turn } => {
                let count = self.model.turns.len();
                if let Some((from, name, _, passive)) = self.model.turns.get(turn % count.max(1)) {
                    assert_eq!(repeat(&*store, &from.to_string(), name).await, *passive);
                }
            }
            Step::Act { from, by, kind } => self.act(from, by, act(kind)).await,
            Step::Take => self.take().await,
            Step::Settle { kind } => self.settle(kind).await,
            Step::Late { turn } => self.late(turn).await,
            Step::Erase { from } => {
                let account = shop();
                let was = store
                    .erase(&account, &follower(&from.to_string()))
                    .await
                    .unwrap();
                assert_eq!(was, self.model.folds.remove(&from).is_some());
                for (owner, .., passive) in &mut self.model.turns {
                    if *owner == from {
                        *passive = None;
                    }
                }
            }
            Step::Reopen => {
                store.close().await;
                self.store = open(self.dir.path()).await;
                self.settle_unknown();
            }
            Step::Crash => {
                // Takes everything before it along, being durable.
                store.revoke_token("nothing").await.unwrap();
                self.dir = copy(self.dir.path());
                self.store = open(self.dir.path()).await;
                self.settle_unknown();
            }
        }
    }

    async fn turn(&mut self, from: u8, name: String, turn: Turn) {
        let passive = turn.answer.passive().cloned();
        let after = take_turn(&*self.store, turn.clone(), at(self.model.clock))
            .await
            .unwrap();
        self.model
            .apply(from, after.id, Change::Turn(Box::new(turn)));
        assert_eq!(Some(&*after), self.model.conversation(from));
        self.model
            .turns
            .push((from, name, self.model.clock, passive));
    }

    async fn act(&mut self, from: u8, by: u8, act: Act) {
        let Some(known) = self.model.conversation(from) else {
            return;
        };
        let (id, by, now) = (known.id, agent(&by.to_string()), at(self.model.clock));
        let seed = TurnKey::of_text(&format!("act {}", self.model.clock));
        let expected = known.act(&act, &by, now, seed);
        let found = self.store.act(id, act, &by, now, seed).await;
        match (expected, found) {
            (Err(expected), Err(ActError::Refused(found, _))) => assert_eq!(expected, found),
            (Ok(Acted::Already(message)), Ok(found)) => {
                assert_eq!((found.already, found.message), (true, message));
            }
            (Ok(Acted::Change(change)), Ok(found)) => {
                self.model.apply(from, id, *change);
                assert_eq!(Some(&*found.conversation), self.model.conversation(from));
            }
            (expected, found) => panic!("{expected:?} but {found:?}"),
        }
    }

    async fn take(&mut self) {
        let now = at(self.model.clock);
        let due = |from: &u8| Some(self.model.conversation(*from)?.due(now)?.clone());
        let expected = (0..FOLLOWERS)
            .filter_map(|from| due(&from))
            .min_by_key(|push| (push.not_before, push.id));
        let taken = self.store.take_push(now).await.unwrap();
        assert_eq!(
            taken.as_ref().map(|taken| taken.push.id),
            expected.map(|push| push.id)
        );
        if let Some(taken) = taken {
            let from = self.model.of(taken.conversation);
            let push = taken.push.id;
            self.model
                .apply(from, taken.conversation, Change::Sending { push });
        }
    }

    async fn settle(&mut self, kind: u8) {
        let sending = |known: &Conversation| {
            let push = known
                .pushes
                .iter()
                .find(|push| push.state == Delivery::Sending)?;
            Some((known.id, push.id))
        };
        let found = (0..FOLLOWERS).find_map(|from| {
            let (id, push) = sending(self.model.conversation(from)?)?;
            Some((from, id, push))
        });
        let Some((from, id, push)) = found else {
            return;
        };
        let now = at(self.model.clock);
        let result = match kind {
            0 => Settled::Sent,
            1 => Settled::Again {
                not_before: at(self.model.clock + 5),
                error: error(-1),
            },
            2 => Settled::Held {
                error: error(45015),
            },
            3 => Settled::Failed {
                error: error(40003),
            },
            _ => Settled::Unknown { error: error(0) },
        };
        self.store
            .settle_push(id, push, result.clone(), now)
            .await
            .unwrap();
        self.model.apply(from, id, Change::Settled { push, result });
    }

    async fn late(&mut self, turn: usize) {
        let count = self.model.turns.len();
        let Some((from, name, when, passive)) = self.model.turns.get_mut(turn % count.max(1))
        else {
            return;
        };
        let is_own = matches!(passive, Some(Reply::Text(text)) if &**text == "好");
        let (from, push) = (*from, late_push(name, "好", *when));
        let Some(id) = self
            .model
            .folds
            .get(&from)
            .and_then(|fold| Some(fold.conversation.as_ref()?.id))
        else {
            return;
        };
        if !is_own {
            return;
        }
        let turn = key(name);
        *passive = None;
        self.store
            .answer_late(id, turn, push.clone(), at(self.model.clock))
            .await
            .unwrap();
        self.model.apply(from, id, Change::Late { turn, push });
    }

    /// What a start does to pushes that were being sent.
    fn settle_unknown(&mut self) {
        let clock = std::mem::replace(&mut self.model.clock, 0);
        for from in 0..FOLLOWERS {
            let Some(known) = self.model.conversation(from) else {
                continue;
            };
            let id = known.id;
            let sending = known
                .pushes
                .iter()
                .filter(|push| push.state == Delivery::Sending);
            for push in sending.map(|push| push.id).collect::<Vec<_>>() {
                let error = PushError {
                    code: 0,
                    message: "服务在发送途中重启,不知道是否送达".into(),
                };
                let result = Settled::Unknown { error };
                self.model.apply(from, id, Change::Settled { push, result });
            }
        }
        self.model.clock = clock;
    }

    async fn compare(&self) {
        let mut states = BTreeMap::new();
        for from in 0..FOLLOWERS {
            let Some(known) = self.model.conversation(from) else {
                continue;
            };
            *states.entry(known.state.word()).or_insert(0) += 1;
            let found = self.store.conversation(known.id).await.unwrap();
            assert_eq!(found.as_deref(), Some(known));
            let lines = self.store.messages(known.id, None, 1000).await.unwrap();
            assert_eq!(lines, self.model.folds[&from].lines);
        }
        let found: BTreeMap<_, _> = self
            .store
            .counts()
            .into_iter()
            .map(|(_, state, count): (_, State, usize)| (state.word(), count))
            .collect();
        assert_eq!(found, states);
        let page = self
            .store
            .conversations(&Query {
                limit: 9,
                ..Query::default()
            })
            .await
            .unwrap();
        assert_eq!(page.conversations.len(), states.values().sum::<usize>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_fold_over_its_entries(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path()).await;
            let mut world = World { dir, store, model: Model::default() };
            for step in steps {
                world.step(step).await;
            }
            world.compare().await;
            world.step(Step::Reopen).await;
            world.compare().await;
        });
    }
}
