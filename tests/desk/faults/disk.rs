//! Fails the disk in the middle of what the desk does: a timer is tried again and never lost, an act is done or refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wxreply::clock::Clock;
use wxreply::decide::ActiveRules;
use wxreply::desk::{Desk, World};
use wxreply::model::entry::Outcome;
use wxreply::model::{
    Act, Alert, AlertKind, Conversation, ConversationId, Delivery, RuleFiles, State, TurnKey,
};
use wxreply::rules;
use wxreply::store::sled::{Settings, SledStore};
use wxreply::store::{ActError, Health, Store};

use crate::desk::MINUTE;
use crate::store::fixtures::{
    START, agent, ask, at, escalated, person, reply, take_turn, turn, words,
};

const DESK: &str = "claim_timeout = \"10m\"\n[sla.normal]\nfirst = \"5m\"\nrepeat = [\"0s\"]\n";
const SECOND: Duration = Duration::from_secs(1);

/// The desk's worker on a store whose disk fails when told to.
struct Room {
    store: Arc<dyn Store>,
    clock: Clock,
    /// Everything that people were told, told twice or not.
    told: Arc<Mutex<Vec<Alert>>>,
    /// Timers that were noted.
    elapsed: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    /// So many writes are refused.
    refused: Arc<AtomicUsize>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Room {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (fails, refused) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (failing, counted) = (Arc::clone(&fails), Arc::clone(&refused));
        let settings = Settings {
            spill_bytes: 64 << 10,
            retry_after: Duration::from_millis(1),
            before_io: Some(Arc::new(move |_| match failing.load(Ordering::SeqCst) {
                true => {
                    counted.fetch_add(1, Ordering::SeqCst);
                    Err(std::io::ErrorKind::StorageFull.into())
                }
                false => Ok(()),
            })),
            ..Settings::default()
        };
        let store = SledStore::open_with(dir.path(), settings, START)
            .await
            .unwrap();
        let store: Arc<dyn Store> = store;
        let files = RuleFiles(vec![
            ("10-rules.toml".into(), crate::desk::HOURS.into()),
            ("_desk.toml".into(), DESK.into()),
        ]);
        let set = rules::compile(&files, &rules::Options::default())
            .rules
            .unwrap();
        let active = ActiveRules {
            set,
            revision: None,
        };
        let clock = Clock::stopped_at(START);
        let told = Arc::<Mutex<Vec<Alert>>>::default();
        let elapsed = Arc::<AtomicUsize>::default();
        let (hear, count) = (Arc::clone(&told), Arc::clone(&elapsed));
        let world = World {
            rules: Arc::new(ArcSwap::from_pointee(active)),
            rules_changed: Arc::<Notify>::default(),
            people_moved: Arc::<Notify>::default(),
            clock: clock.clone(),
            tell: Arc::new(move |alerts| {
                hear.lock().unwrap().extend(alerts);
                Box::pin(async { Ok(()) })
            }),
            last_look: Arc::new(|_, _| None),
            can_push: Arc::new(|_| true),
            on_duty: Arc::new(Arc::default),
            observe: Arc::new(move |_, _, _| {
                count.fetch_add(1, Ordering::SeqCst);
            }),
        };
        let desk = Arc::new(Desk::new(Arc::clone(&store), world));
        let stop = CancellationToken::new();
        let running = tokio::spawn(desk.run(stop.clone()));
        Self {
            store,
            clock,
            told,
            elapsed,
            fails,
            refused,
            stop,
            running,
            _dir: dir,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
        self.store.close().await;
    }

    async fn known(&self, id: ConversationId) -> Arc<Conversation> {
        self.store.conversation(id).await.unwrap().unwrap()
    }

    /// Waits until a conversation is so: what is being written shows, and is taken back when the disk refuses.
    async fn is_as(&self, id: ConversationId, what: &str, is_so: impl Fn(&Conversation) -> bool) {
        let waits = async {
            while !is_so(&*self.known(id).await) {
                tokio::task::yield_now().await;
            }
        };
        let within = tokio::time::timeout(crate::desk::PATIENCE, waits).await;
        assert!(
            within.is_ok(),
            "never as {what}: {:?}",
            self.known(id).await
        );
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let waits = async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        };
        let within = tokio::time::timeout(crate::desk::PATIENCE, waits).await;
        assert!(within.is_ok(), "never came: {what}");
    }

    /// The disk takes everything again.
    async fn mends(&self) {
        self.fails.store(false, Ordering::SeqCst);
        self.until("a good disk", || self.store.health() == Health::Good)
            .await;
    }

    async fn act(
        &self,
        id: ConversationId,
        what: Act,
        by: &str,
        seed: &str,
    ) -> Result<(), ActError> {
        let now = self.clock.now();
        let seed = TurnKey::of_text(seed);
        self.store
            .act(id, what, &agent(by), now, seed)
            .await
            .map(drop)
    }

    /// How often this was told, and how many different alerts that were.
    fn told(&self, kind: AlertKind) -> (usize, usize) {
        let told = self.told.lock().unwrap();
        let mut ids: Vec<_> = told
            .iter()
            .filter(|alert| alert.kind == kind)
            .map(|alert| alert.id.to_string())
            .collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        (count, ids.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_that_the_disk_refused_are_tried_again_and_happen_once() {
    let room = Room::open().await;
    let mut all = Vec::new();
    for name in ["wang", "li", "zhao"] {
        all.push(ask(&*room.store, name, 0).await.id);
    }
    room.until("three alerts", || room.elapsed.load(Ordering::SeqCst) == 3)
        .await;
    for id in &all {
        room.act(*id, Act::Claim, "lili", "claim").await.unwrap();
    }
    room.fails.store(true, Ordering::SeqCst);
    // The promise and then the claim are over.
    room.clock.advance(MINUTE * 10);
    for _ in 0..5 {
        let before = room.refused.load(Ordering::SeqCst);
        room.until("a refusal", || room.refused.load(Ordering::SeqCst) > before)
            .await;
        for id in &all {
            room.is_as(*id, "before", |known| {
                let is_owned = known.is_owned_by(&person("lili"));
                known.state == State::Assigned && is_owned && !known.desk().is_breached
            })
            .await;
        }
        room.clock.advance(SECOND * 2);
    }
    assert_eq!(room.elapsed.load(Ordering::SeqCst), 3);
    room.mends().await;
    room.clock.advance(SECOND * 2);
    // A breach, the claim, and that it waits again, of each.
    room.until("all timers", || {
        room.elapsed.load(Ordering::SeqCst) == 3 + 9
    })
    .await;
    for id in &all {
        let known = room.known(*id).await;
        assert_eq!((known.state, &known.owner), (State::Waiting, &None));
        assert!(known.desk().is_breached);
    }
    let (times, alerts) = room.told(AlertKind::Breach);
    assert!(times > 3, "told before it was noted, and again: {times}");
    assert_eq!(alerts, 3, "as the same alert, which is told once");
    assert_eq!(room.told(AlertKind::Escalated).1, 6);
    room.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_the_disk_refused_has_not_happened_and_can_be_done_again() {
    let room = Room::open().await;
    let id = ask(&*room.store, "wang", 0).await.id;
    room.until("the alert", || room.elapsed.load(Ordering::SeqCst) == 1)
        .await;
    room.act(id, Act::Claim, "lili", "claim").await.unwrap();
    let before = room.known(id).await;
    let acts = [
        reply("好", Some("key")),
        Act::Note {
            text: "在查".into(),
        },
        Act::Release,
        Act::HandBack,
        Act::Snooze { until: at(3600) },
        Act::Close {
            outcome: Outcome::Solved,
        },
    ];
    room.fails.store(true, Ordering::SeqCst);
    for (n, what) in acts.iter().enumerate() {
        let refused = room.act(id, what.clone(), "lili", &n.to_string()).await;
        assert!(
            matches!(refused, Err(ActError::Store(_))),
            "{what:?}: {refused:?}"
        );
        assert_eq!(room.known(id).await, before, "{what:?}");
    }
    let lost = turn("new", "new 1", words("有人吗"), escalated());
    assert!(take_turn(&*room.store, lost.clone(), at(1)).await.is_err());
    room.mends().await;
    // The same again, the answer by its key.
    room.act(id, reply("好", Some("key")), "lili", "again")
        .await
        .unwrap();
    let known = room.known(id).await;
    assert_eq!(known.pushes.len(), 1);
    assert_eq!(known.pushes[0].state, Delivery::Queued);
    assert_eq!(known.version, before.version + 1);
    let taken = take_turn(&*room.store, lost, at(2)).await.unwrap();
    assert_eq!((taken.version, taken.state), (1, State::Waiting));
    room.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overdue_when_the_disk_is_good_again_happens_then_and_says_so() {
    let room = Room::open().await;
    let id = ask(&*room.store, "wang", 0).await.id;
    room.until("the alert", || room.elapsed.load(Ordering::SeqCst) == 1)
        .await;
    room.act(id, Act::Claim, "lili", "claim").await.unwrap();
    room.clock.advance(MINUTE * 9);
    room.fails.store(true, Ordering::SeqCst);
    // A timer that is far overdue when the disk is back happens then.
    room.clock.advance(MINUTE * 60);
    let before = room.refused.load(Ordering::SeqCst);
    room.until("a refusal", || room.refused.load(Ordering::SeqCst) > before)
        .await;
    room.mends().await;
    room.clock.advance(SECOND * 2);
    room.until("all timers", || {
        room.elapsed.load(Ordering::SeqCst) == 1 + 3
    })
    .await;
    let known = room.known(id).await;
    assert_eq!((known.state, &known.owner), (State::Waiting, &None));
    let told = room.told.lock().unwrap().clone();
    let breach = told
        .iter()
        .rfind(|alert| alert.kind == AlertKind::Breach)
        .unwrap();
    assert!(breach.reason.contains("迟到"), "{}", breach.reason);
    room.close().await;
}
