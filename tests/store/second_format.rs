//! Opens a store that was written in format 2, and works on with it.
//!
//! `fixtures/store-2/` is what a version without a desk wrote, in the form of the fixture of format 1, copied while a push was
//! being sent; its `expected.txt` is what that version read back.

use std::fs;
use std::time::Duration;

use wxreply::model::desk::DeskSettings;
use wxreply::model::{Act, AlertChannel, ChannelKind, Conversation, Reply, State, Timer};
use wxreply::store::{Query, Store};

use super::first_format::{assert_same, left, told};
use super::fixtures::*;
use super::sled::{copy, open};

const VALUES: &str = include_str!("../fixtures/store-2/values.txt");
const EXPECTED: &str = include_str!("../fixtures/store-2/expected.txt");

async fn known(store: &dyn Store, name: &str) -> Conversation {
    let query = Query {
        follower: Some(follower(name)),
        limit: 1,
        ..Query::default()
    };
    let page = store.conversations(&query).await.unwrap();
    Conversation::clone(&page.conversations[0])
}

#[tokio::test]
async fn what_the_second_format_kept_is_all_there() {
    let dir = left(VALUES);
    for _ in 0..2 {
        let store = open(dir.path()).await;
        assert_same(&told(&*store).await, EXPECTED);
        assert_eq!(
            repeat(&*store, "qian", "q1").await,
            Some(Reply::Text("第一条".into()))
        );
        let zheng = known(&*store, "zheng").await;
        assert!(zheng.form(at(61)).is_some());
        assert_eq!(known(&*store, "wang").await.tags(), ["vip".into()]);
        store.close().await;
        assert!(dir.path().join("before-format-3/sled").is_dir());
    }
}

#[tokio::test]
async fn the_clocks_of_the_desk_begin_with_the_last_thing_that_happened() {
    let dir = left(VALUES);
    let store = open(dir.path()).await;
    let channel = AlertChannel {
        name: "duty".into(),
        kind: ChannelKind::Webhook,
        url: "https://ops.example.com".into(),
        secret: None,
        tier: 1,
        night: false,
        excerpt: 0,
        from: None,
        to: Vec::new(),
    };
    let settings = DeskSettings {
        alerts: vec![channel],
        ..DeskSettings::default()
    };
    let next = |known: &Conversation| {
        let (due, timer) = known.next_timer(&settings, at(100)).unwrap();
        (due.since(known.updated_at), timer)
    };
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let sun = known(&*store, "sun").await;
    assert_eq!(next(&sun), (minutes(0), Timer::Alert { count: 1 }));
    let li = known(&*store, "li").await;
    assert_eq!(next(&li), (minutes(10), Timer::ClaimTimeout));
    let wu = known(&*store, "wu").await;
    assert_eq!(wu.next_timer(&settings, at(100)), None, "it is over");
    // What happens by itself works on from there.
    let elapsed = Act::Elapsed {
        timer: Timer::ClaimTimeout,
        version: li.version,
    };
    store
        .act(li.id, elapsed, &agent("system"), at(700), key("timer"))
        .await
        .unwrap();
    let found = copy(dir.path());
    store.close().await;
    let store = open(found.path()).await;
    assert_eq!(known(&*store, "li").await.state, State::Waiting);
    store.close().await;
    fs::remove_dir_all(dir.path()).unwrap();
}
