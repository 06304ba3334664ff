//! Looks at how attempts end that never reach WeChat: while the disk fails, and when they were to be made now or never.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wxreply::clock::Clock;
use wxreply::delivery::Delivery as Outbox;
use wxreply::model::{Act, Answer, Delivery, Noted, TurnKey};
use wxreply::store::Store as _;
use wxreply::store::sled::{Io, Settings, SledStore};

use super::fixtures::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_push_is_written_once_the_disk_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (fails, has_failed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (failing, failed) = (Arc::clone(&fails), Arc::clone(&has_failed));
    let settings = Settings {
        spill_bytes: 64 << 10,
        before_io: Some(Arc::new(move |io| {
            let is_refused = failing.load(Ordering::SeqCst);
            if is_refused && io == Io::Spill {
                // Neither database nor spill file took it; the next one goes through.
                failing.store(false, Ordering::SeqCst);
                failed.store(true, Ordering::SeqCst);
            }
            match is_refused {
                true => Err(std::io::Error::other("rehearsed")),
                false => Ok(()),
            }
        })),
        ..Settings::default()
    };
    let store = SledStore::open_with(dir.path(), settings, START)
        .await
        .unwrap();
    let known = ask(&*store, "wang", 1).await;
    let act = reply("好", None);
    let seed = TurnKey::of_text("reply");
    store
        .act(known.id, act, &agent("lili"), at(2), seed)
        .await
        .unwrap();

    // The account has no client, so the attempt ends without a network: held.
    let clock = Clock::stopped_at(at(3));
    let outbox = Outbox::new(
        Arc::<SledStore>::clone(&store),
        &HashMap::new(),
        clock.clone(),
        Arc::new(move |_, _| fails.store(true, Ordering::SeqCst)),
    );
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::new(outbox).run(stop.clone()));
    let settled = async {
        for n in 0.. {
            tokio::task::yield_now().await;
            if !has_failed.load(Ordering::SeqCst) {
                continue;
            }
            // It is tried again after a while.
            clock.advance(Duration::from_secs(1));
            // What stands before something durable is durable.
            let note = Act::Note {
                text: "在看".into(),
            };
            let seed = TurnKey::of_text(&n.to_string());
            let Ok(acted) = store.act(known.id, note, &agent("lili"), at(4), seed).await else {
                continue;
            };
            let pushes = &acted.conversation.pushes;
            if pushes.iter().all(|push| push.state == Delivery::Held) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled)
        .await
        .expect("the push is settled");
    stop.cancel();
    running.await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_form_would_have_said_at_its_end_is_not_kept_for_another_day() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::sled::open(dir.path()).await;
    let form = form("1", at(1), at(2), Some("还在吗"));
    let answer = Answer {
        noted: vec![Noted::Form(Box::new(form))],
        ..answered("几位")
    };
    let asked = turn("wang", "1", words("订座"), answer);
    let known = take_turn(&*store, asked, at(1)).await.unwrap();
    // The account has no client: an agent's answer would be held.
    let outbox = Outbox::new(
        Arc::<SledStore>::clone(&store),
        &HashMap::new(),
        Clock::stopped_at(at(3)),
        Arc::new(|_, _| {}),
    );
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::new(outbox).run(stop.clone()));
    let ended = async {
        while history(&*store, &known).await.last().map(String::as_str) != Some("还在吗 Failed")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("the attempt ends");
    let now = store.conversation(known.id).await.unwrap().unwrap();
    assert!(now.pushes.is_empty() && now.remembered.is_none());
    stop.cancel();
    running.await.unwrap();
    store.close().await;
}
