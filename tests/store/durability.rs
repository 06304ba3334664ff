//! Lets the disk fail under sled: what the spill file carries, what is taken back, what is found afterwards.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use wxreply::model::{Act, Content, Reply, State, Turn};
use wxreply::store::sled::{Io, Settings, SledStore};
use wxreply::store::{Claim, Error, Health, Store};

use super::fixtures::*;
use super::sled::{copy, open, settings};

/// Which steps fail now.
#[derive(Default)]
struct Faults {
    database: AtomicBool,
    spill: AtomicBool,
}

impl Faults {
    fn set(&self, database: bool, spill: bool) {
        self.database.store(database, Ordering::SeqCst);
        self.spill.store(spill, Ordering::SeqCst);
    }
}

async fn open_with(dir: &Path, faults: &Arc<Faults>) -> Arc<SledStore> {
    let faults = Arc::clone(faults);
    let settings = Settings {
        retry_after: Duration::from_millis(1),
        before_io: Some(Arc::new(move |io| {
            let fails = match io {
                Io::Spill => &faults.spill,
                Io::Write | Io::Sync | Io::Reopen => &faults.database,
            };
            match fails.load(Ordering::SeqCst) {
                true => Err(std::io::Error::other("rehearsed")),
                false => Ok(()),
            }
        })),
        ..settings()
    };
    SledStore::open_with(dir, settings, START).await.unwrap()
}

fn question(from: &str, n: u64) -> Turn {
    let name = format!("{from} {n}");
    turn(from, &name, words(&name), escalated())
}

/// Asks until the store is good again; every question is kept.
async fn ask_until_good(store: &SledStore, from: &str, mut n: u64) -> u64 {
    while store.health() != Health::Good {
        ask(store, from, n).await;
        n += 1;
        assert!(n < 10_000, "the store does not recover");
    }
    n
}

#[tokio::test]
async fn what_the_database_refuses_is_kept_in_the_spill_file_and_goes_back_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::default();
    let store = open_with(dir.path(), &faults).await;
    ask(&*store, "wang", 1).await;
    faults.set(true, false);
    let spilled = ask(&*store, "wang", 2).await;
    ask(&*store, "li", 3).await;
    assert!(matches!(store.health(), Health::Spilling(_)));
    assert_eq!(repeat(&*store, "wang", "wang 2").await, None);
    assert_eq!(history(&*store, &spilled).await.len(), 2);

    let found = copy(dir.path());
    let other = open(found.path()).await;
    assert_eq!(
        other.conversation(spilled.id).await.unwrap(),
        Some(Arc::clone(&spilled))
    );
    assert_eq!(repeat(&*other, "li", "li 3").await, None);
    other.close().await;

    faults.set(false, false);
    let end = ask_until_good(&store, "wang", 4).await;
    let last = ask(&*store, "wang", end).await;
    let lines = history(&*store, &last).await;
    assert_eq!(lines.len(), usize::try_from(last.version).unwrap());
    let spill = std::fs::read(dir.path().join("spill")).unwrap();
    assert!(
        spill.iter().all(|byte| *byte == 0),
        "the spill file was emptied"
    );
    for directory in [copy(dir.path()).path(), dir.path()] {
        if directory == dir.path() {
            store.close().await;
        }
        let again = open(directory).await;
        assert_eq!(history(&*again, &last).await, lines);
        again.close().await;
    }
}

#[tokio::test]
async fn what_nothing_takes_never_happened() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::default();
    let store = open_with(dir.path(), &faults).await;
    let wang = ask(&*store, "wang", 1).await;
    let claimed = store
        .act(wang.id, Act::Claim, &agent("lili"), at(2), key("claim"))
        .await
        .unwrap();
    faults.set(true, true);
    for _ in 0..3 {
        let refused = take_turn(&*store, question("wang", 3), at(3)).await;
        assert!(matches!(refused, Err(Error::Unwritable(_))));
        let refused = take_turn(&*store, question("li", 4), at(4)).await;
        assert!(matches!(refused, Err(Error::Unwritable(_))));
    }
    assert!(matches!(store.health(), Health::Failed(_)));
    let acted = store
        .act(
            wang.id,
            reply("甲", Some("k")),
            &agent("lili"),
            at(5),
            key("甲"),
        )
        .await;
    assert!(acted.is_err());
    assert!(store.erase(&shop(), &follower("wang")).await.is_err());
    let token = store.revoke_token("x").await;
    assert!(matches!(token, Err(Error::Unwritable(_))));
    assert_eq!(
        store.conversation(wang.id).await.unwrap(),
        Some(claimed.conversation)
    );
    assert_eq!(store.counts(), [(shop(), State::Assigned, 1)]);
    assert!(store.take_push(at(99)).await.unwrap().is_none());
    drop(first(&*store, "li", "li 4").await);

    faults.set(false, false);
    let end = ask_until_good(&store, "li", 10).await;
    let now = ask(&*store, "wang", end).await;
    assert_eq!(now.version, 3);
    let found = copy(dir.path());
    let again = open(found.path()).await;
    assert_eq!(history(&*again, &now).await.len(), 2);
    drop(first(&*again, "li", "li 4").await);
}

#[tokio::test]
async fn a_full_spill_file_refuses_and_keeps_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::default();
    let store = open_with(dir.path(), &faults).await;
    ask(&*store, "wang", 0).await;
    faults.set(true, false);
    let mut kept = 0;
    for n in 1.. {
        match take_turn(&*store, question("wang", n), at(n)).await {
            Ok(_) => kept = n,
            Err(error) => {
                assert!(error.to_string().contains("full"), "{error}");
                break;
            }
        }
    }
    assert!(kept > 100, "{kept}");
    assert!(matches!(store.health(), Health::Failed(_)));
    let found = copy(dir.path());
    let again = open(found.path()).await;
    for n in 1..=kept {
        assert_eq!(repeat(&*again, "wang", &format!("wang {n}")).await, None);
    }
    drop(first(&*again, "wang", &format!("wang {}", kept + 1)).await);
}

#[tokio::test]
async fn an_erased_follower_leaves_the_spill_file_and_the_journal_when_the_database_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::default();
    let store = open_with(dir.path(), &faults).await;
    let wang = ask(&*store, "wang", 1).await;
    faults.set(true, false);
    ask(&*store, "wang", 2).await;
    assert!(store.erase(&shop(), &follower("wang")).await.unwrap());
    let found = copy(dir.path());
    let other = open(found.path()).await;
    assert_eq!(other.conversation(wang.id).await.unwrap(), None);
    assert_eq!(repeat(&*other, "wang", "wang 2").await, None);
    other.close().await;
    faults.set(false, false);
    ask_until_good(&store, "li", 10).await;
    store.close().await;
    for _ in 0..2 {
        let again = open(dir.path()).await;
        assert_eq!(again.conversation(wang.id).await.unwrap(), None);
        assert_eq!(repeat(&*again, "wang", "wang 1").await, None);
        again.close().await;
    }
}

/// Holds the writing thread before its first sync until told to go on.
struct Gate {
    arrived: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

async fn open_gated(dir: &Path) -> (Arc<SledStore>, Arc<AtomicBool>, Gate) {
    let is_shut = Arc::new(AtomicBool::new(false));
    let (arrive, arrived) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    let gone = Mutex::new(gone);
    let shut = Arc::clone(&is_shut);
    let settings = Settings {
        before_io: Some(Arc::new(move |io| {
            if io == Io::Sync && shut.swap(false, Ordering::SeqCst) {
                arrive.send(()).unwrap();
                gone.lock().recv().unwrap();
            }
            Ok(())
        })),
        ..settings()
    };
    let store = SledStore::open_with(dir, settings, START).await.unwrap();
    (store, is_shut, Gate { arrived, go })
}

#[tokio::test]
async fn nobody_hears_of_a_turn_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (store, is_shut, gate) = open_gated(dir.path()).await;
    let (ticket, _) = first(&*store, "wang", "wang 1").await;
    is_shut.store(true, Ordering::SeqCst);
    let mut commit = store.commit_turn(ticket, question("wang", 1), at(1));
    assert!((&mut commit).now_or_never().is_none());
    gate.arrived.recv().unwrap();
    let (account, wang) = (shop(), follower("wang"));
    let mut again = store.claim_turn(&account, &wang, key("wang 1"), START);
    let mut next = store.claim_turn(&account, &wang, key("wang 2"), START);
    assert!((&mut commit).now_or_never().is_none());
    assert!((&mut again).now_or_never().is_none());
    assert!((&mut next).now_or_never().is_none());
    gate.go.send(()).unwrap();
    commit.await.unwrap();
    assert!(matches!(
        again.await.unwrap(),
        Claim::Repeat { passive: None, .. }
    ));
    assert!(matches!(next.await.unwrap(), Claim::First { .. }));
}

#[tokio::test]
async fn what_is_not_written_yet_is_read_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (store, is_shut, gate) = open_gated(dir.path()).await;
    is_shut.store(true, Ordering::SeqCst);
    let commit = tokio::spawn({
        let store = Arc::clone(&store);
        async move { ask(&*store, "li", 1).await }
    });
    tokio::task::yield_now().await;
    gate.arrived.recv().unwrap();
    let quick = turn("wang", "1", words("几点"), answered("九点"));
    let wang = take_turn(&*store, quick, at(1)).await.unwrap();
    assert_eq!(
        repeat(&*store, "wang", "1").await,
        Some(Reply::Text("九点".into()))
    );
    assert_eq!(
        history(&*store, &wang).await,
        ["几点 Received", "九点 Passive"]
    );
    gate.go.send(()).unwrap();
    commit.await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_format_and_a_damaged_one_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.close().await;
    {
        let database = sled::open(dir.path().join("sled")).unwrap();
        let catalog = database.open_tree("catalog").unwrap();
        catalog.insert("format", vec![9]).unwrap();
        database.flush().unwrap();
    }
    let refused = SledStore::open_with(dir.path(), settings(), START)
        .await
        .err()
        .unwrap();
    assert!(
        matches!(refused, Error::Newer { found: 9, known: 3 }),
        "{refused}"
    );

    for (tree, key, value) in [
        ("catalog", vec![], vec![1]),
        (
            "journal",
            1_u64.to_be_bytes().to_vec(),
            vec![1, 0, 200, 0, 0],
        ),
        (
            "journal",
            1_u64.to_be_bytes().to_vec(),
            vec![1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77],
        ),
        ("journal", vec![1], vec![1]),
        ("ledger", vec![0; 8], vec![1, 5]),
        ("shelves", vec![0; 6], vec![1, 5, 6, 7]),
        ("shelves", vec![0; 3], vec![1]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).await.close().await;
        {
            let database = sled::open(dir.path().join("sled")).unwrap();
            database
                .open_tree(tree)
                .unwrap()
                .insert(&key, value)
                .unwrap();
            database.flush().unwrap();
        }
        let opened = SledStore::open_with(dir.path(), settings(), START).await;
        match opened {
            Err(Error::Unreadable(_)) => {}
            Err(other) => panic!("{tree}: {other}"),
            Ok(_) => assert_eq!(tree, "catalog", "an unknown key there is nobody's"),
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for n in 0..200 {
        let long = words(&"长".repeat(500));
        take_turn(
            &*store,
            turn("wang", &n.to_string(), long, escalated()),
            at(n),
        )
        .await
        .unwrap();
    }
    store.close().await;
    let path = dir.path().join("sled/db");
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(20_000).step_by(5000) {
        *byte ^= 0x55;
    }
    std::fs::write(&path, bytes).unwrap();
    // Whatever can be read of it: no panic leaves the store.
    match SledStore::open_with(dir.path(), settings(), START).await {
        Ok(store) => store.close().await,
        Err(error) => assert!(matches!(error, Error::Unreadable(_)), "{error}"),
    }
}

#[tokio::test]
async fn a_message_that_no_rule_covers_waits_for_the_sync_and_an_answered_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, is_shut, gate) = open_gated(dir.path()).await;
    is_shut.store(true, Ordering::SeqCst);
    let answered = turn(
        "wang",
        "1",
        Content::Text {
            text: "几点".into(),
            menu_id: None,
        },
        answered("九点"),
    );
    let (ticket, _) = first(&*store, "wang", "1").await;
    let commit = store.commit_turn(ticket, answered, at(1));
    assert!(commit.now_or_never().is_some());
    gate.arrived.recv().unwrap();
    gate.go.send(()).unwrap();
}
