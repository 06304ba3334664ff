//! Stops the disk in the middle of a turn, to see who waits for it and who does not.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use tempfile::TempDir;
use tokio::time::Instant;
use wxreply::decide::{ActiveRules, Outcome};
use wxreply::model::{
    AccountName, Content, Delivery, Incoming, Message, OpenId, Reply, RuleFiles, Time, TurnKey,
};
use wxreply::rules;
use wxreply::store::sled::{Settings, SledStore};
use wxreply::store::{Query, Store};
use wxreply::turn::{Answered, Course, Received, Turns, World};

use super::{LI, RULES};

const START: Time = Time::from_seconds(1_718_200_000);

/// Soon over, where a test does not put it off.
const DEADLINE: Duration = Duration::from_millis(30);

/// Lets writing through or holds it up.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn shut(&self, is_shut: bool) {
        *self.0.lock().unwrap() = is_shut;
        self.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.0.lock().unwrap();
        drop(self.1.wait_while(shut, |is_shut| *is_shut).unwrap());
    }
}

struct Desk {
    _dir: TempDir,
    gate: Arc<Gate>,
    store: Arc<dyn Store>,
    turns: Arc<Turns>,
}

impl Desk {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate::default());
        let at_gate = Arc::clone(&gate);
        let settings = Settings {
            spill_bytes: 64 << 10,
            before_io: Some(Arc::new(move |_| {
                at_gate.pass();
                Ok(())
            })),
            ..Settings::default()
        };
        let store = SledStore::open_with(dir.path(), settings, START)
            .await
            .unwrap();
        let files = RuleFiles(vec![("10-rules.toml".into(), RULES.into())]);
        let set = rules::compile(&files, &rules::Options::default())
            .rules
            .unwrap();
        let active = ActiveRules {
            set,
            revision: None,
        };
        let rules = Arc::new(ArcSwap::from_pointee(active));
        let store: Arc<dyn Store> = store;
        let turns = Turns::new(Arc::clone(&store), rules, World::empty(), DEADLINE);
        Self {
            _dir: dir,
            gate,
            turns: Arc::new(turns),
            store,
        }
    }

    /// A message arrives and is waited for; `n` is its id.
    async fn answer(&self, from: &str, n: u32, text: &str) -> Answered {
        let received = message(from, n, text, START);
        self.turns.answer(patient(received)).await
    }

    /// The same message comes again, four seconds later.
    async fn repeat(&self, from: &str, n: u32, text: &str) -> Answered {
        let later = START.plus(Duration::from_secs(4));
        let received = message(from, n, text, later);
        self.turns.answer(patient(received)).await
    }

    /// A message arrives, and the deadline is what it is.
    async fn answer_hastily(&self, from: &str, n: u32, text: &str) -> Answered {
        self.turns.answer(message(from, n, text, START)).await
    }

    async fn lines(&self) -> Vec<Message> {
        let query = Query {
            follower: Some(OpenId::parse(LI).unwrap()),
            limit: 10,
            ..Query::default()
        };
        let page = self.store.conversations(&query).await.unwrap();
        assert_eq!(page.conversations.len(), 1);
        let id = page.conversations[0].id;
        self.store.messages(id, None, 100).await.unwrap()
    }

    async fn texts(&self) -> Vec<String> {
        let lines = self.lines().await;
        lines.iter().map(|line| line.text.to_string()).collect()
    }
}

fn message(from: &str, n: u32, text: &str, at: Time) -> Received {
    let account = AccountName::parse("shop").unwrap();
    let incoming = Incoming {
        to: "gh_7c1e40b95a2d".into(),
        from: OpenId::parse(from).unwrap(),
        create_time: START.seconds(),
        msg_id: Some(n.to_string().into()),
        content: Content::Text {
            text: text.into(),
            menu_id: None,
        },
    };
    Received {
        key: TurnKey::of(&account, &incoming, b""),
        account,
        incoming,
        first_byte: Instant::now(),
        at,
    }
}

/// Its first byte will only come: its deadline is far away.
fn patient(received: Received) -> Received {
    Received {
        first_byte: received.first_byte + Duration::from_secs(60),
        ..received
    }
}

fn words(answered: &Answered) -> Option<&str> {
    match &answered.reply {
        Some(Reply::Text(text)) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn a_repeat_waits_for_the_running_turn_and_gets_its_answer() {
    let desk = Desk::open().await;
    desk.gate.shut(true);
    let mut first = Box::pin(desk.answer(LI, 1, "我的快递丢了"));
    assert!((&mut first).now_or_never().is_none());
    let mut repeat = Box::pin(desk.repeat(LI, 1, "我的快递丢了"));
    assert!((&mut repeat).now_or_never().is_none());
    desk.gate.shut(false);
    let (first, repeat) = (first.await, repeat.await);
    assert_eq!(first.course, Course::Decided(Outcome::Escalate));
    assert_eq!(repeat.course, Course::Repeated);
    assert_eq!((&repeat.reply, repeat.at), (&first.reply, first.at));
    assert!(words(&first).unwrap().contains("同事"));
    assert_eq!(desk.texts().await.len(), 2);
}

#[tokio::test]
async fn a_follower_waits_for_his_own_turn_and_nobody_else_does() {
    let desk = Desk::open().await;
    desk.gate.shut(true);
    let mut first = Box::pin(desk.answer(LI, 1, "我的快递丢了"));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(desk.answer(LI, 2, "几点开门"));
    assert!((&mut second).now_or_never().is_none());
    let mut other = Box::pin(desk.answer("oSomebodyElse", 3, "几点开门"));
    let other = (&mut other).now_or_never().expect("another follower waits");
    assert_eq!(words(&other), Some("十点开门。"));
    assert!((&mut second).now_or_never().is_none());
    desk.gate.shut(false);
    assert!(words(&first.await).unwrap().contains("同事"));
    assert_eq!(words(&second.await), Some("十点开门。"));
    let texts = desk.texts().await;
    assert_eq!(
        (texts[0].as_str(), texts[2].as_str()),
        ("我的快递丢了", "几点开门")
    );
}

#[tokio::test]
async fn at_the_deadline_first_and_repeat_hear_success_and_the_turn_goes_on() {
    let desk = Desk::open().await;
    desk.gate.shut(true);
    let (first, repeat, next) = tokio::join!(
        desk.answer_hastily(LI, 1, "我的快递丢了"),
        desk.answer_hastily(LI, 1, "我的快递丢了"),
        desk.answer_hastily(LI, 2, "几点开门")
    );
    for answered in [first, repeat, next] {
        assert_eq!((answered.reply, answered.course), (None, Course::Late));
    }
    desk.gate.shut(false);
    // This one queues behind all of them, and finds the late answer held.
    let third = desk.answer(LI, 3, "第7号").await;
    assert_eq!(words(&third), Some("十点开门。\n————\n7号收到。"));
    let texts = desk.texts().await;
    let asked = |text: &str| texts.iter().filter(|line| *line == text).count();
    assert_eq!(
        ["我的快递丢了", "几点开门", "十点开门。", "第7号"].map(asked),
        [1; 4],
        "{texts:?}"
    );
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_as_a_push_is_not_given_to_a_repeat_as_well() {
    let desk = Desk::open().await;
    for n in 1..=2 {
        assert_eq!(
            words(&desk.answer(LI, n, "几点开门").await),
            Some("十点开门。")
        );
    }
    // The third identical question goes to a person, so its answer waits for the disk.
    desk.gate.shut(true);
    let first = desk.answer_hastily(LI, 3, "几点开门").await;
    assert_eq!((first.reply, first.course), (None, Course::Late));
    let mut repeat = Box::pin(desk.repeat(LI, 3, "几点开门"));
    assert!((&mut repeat).now_or_never().is_none());
    desk.gate.shut(false);
    let repeat = repeat.await;
    assert_eq!((repeat.reply, repeat.course), (None, Course::Repeated));
    let lines = desk.lines().await;
    assert_eq!(lines.last().unwrap().delivery, Delivery::Held);
}

#[tokio::test]
async fn a_fixed_line_that_came_too_late_is_given_to_the_repeat() {
    let desk = Desk::open().await;
    desk.gate.shut(true);
    let first = desk.answer_hastily(LI, 1, "我的快递丢了").await;
    assert_eq!((first.reply, first.course), (None, Course::Late));
    let mut repeat = Box::pin(desk.repeat(LI, 1, "我的快递丢了"));
    assert!((&mut repeat).now_or_never().is_none());
    desk.gate.shut(false);
    assert!(words(&repeat.await).unwrap().contains("同事"));
}
