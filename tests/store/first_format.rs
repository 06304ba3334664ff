//! Opens a store that was written in format 1, and works on with it.
//!
//! `fixtures/store-1/values.txt` is what version 0.1 wrote: its maps by key, in hex, and its spill file, copied while entries
//! stood in the spill file only and a push was being sent. `expected.txt` is what that version read back.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wxreply::model::{Act, Delivery, Reply};
use wxreply::store::sled::SledStore;
use wxreply::store::{Error, Query, Store};

use super::fixtures::*;
use super::sled::{copy, open, settings};

const VALUES: &str = include_str!("../fixtures/store-1/values.txt");
const EXPECTED: &str = include_str!("../fixtures/store-1/expected.txt");
const COPY: &str = "before-format-3";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

/// The directory as an older version left it.
pub fn left(values: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let database = sled::open(dir.path().join("sled")).unwrap();
    for line in values.lines() {
        let [map, key, value] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        match map {
            "spill" => {
                let mut spill = bytes(value);
                spill.resize(64 << 10, 0);
                fs::write(dir.path().join("spill"), spill).unwrap();
            }
            _ => drop(
                database
                    .open_tree(map)
                    .unwrap()
                    .insert(bytes(key), bytes(value))
                    .unwrap(),
            ),
        }
    }
    database.flush().unwrap();
    dir
}

/// Every conversation with the newest part of its history, as the fixture was written down.
pub async fn told(store: &dyn Store) -> String {
    let query = Query {
        limit: 99,
        ..Query::default()
    };
    let mut known = store.conversations(&query).await.unwrap().conversations;
    known.sort_by(|a, b| a.follower.cmp(&b.follower));
    let mut text = String::new();
    for known in known {
        let owner = known.owner.as_ref().map(ToString::to_string);
        let until = known.external_until.map(|until| until.to_string());
        let pushes: Vec<_> = known
            .pushes
            .iter()
            .map(|push| {
                let words = push.reply.shown();
                format!("{words} {:?} {}", push.state, push.attempts)
            })
            .collect();
        writeln!(
            text,
            "{} {} v{} unread {} {:?} {:?} {owner:?} {:?} keys {} until {until:?} pushes {pushes:?}",
            known.follower,
            known.state.word(),
            known.version,
            known.unread,
            known.priority,
            known.reason,
            known.outcome,
            known.keys.len(),
        )
        .unwrap();
        for line in store.messages(known.id, None, 16).await.unwrap() {
            let words: String = line.text.chars().take(12).collect();
            writeln!(
                text,
                "  {} {:?} {words} {} {:?} {:?} {:?}",
                line.at,
                line.by,
                line.text.len(),
                line.delivery,
                line.revision,
                line.error.map(|error| error.code)
            )
            .unwrap();
        }
    }
    text
}

#[tokio::test]
async fn what_the_first_format_kept_is_all_there() {
    let dir = left(VALUES);
    for _ in 0..2 {
        let store = open(dir.path()).await;
        assert_same(&told(&*store).await, EXPECTED);
        let passive = repeat(&*store, "wang", "w1").await;
        assert_eq!(passive, Some(Reply::Text("九点".into())));
        for (from, name) in [
            ("li", "l1"),
            ("qian", "qian 50"),
            ("zhou", "zhou 121"),
            ("sun", "sun 60"),
        ] {
            assert_eq!(repeat(&*store, from, name).await, None);
        }
        for n in 0..260 {
            let passive = repeat(&*store, "many", &format!("m{n}")).await;
            assert_eq!(passive, Some(Reply::Text("在".into())));
        }
        let revisions = store.revisions().await.unwrap();
        let kept: Vec<_> = revisions
            .iter()
            .map(|kept| (kept.revision, kept.author.as_str(), kept.active))
            .collect();
        assert_eq!(kept, [(2, "lili", true), (1, "disk", false)]);
        let files = store.revision_files(1).await.unwrap().unwrap();
        assert_eq!(files.0[0].1, "[[rule]]\nid = \"hours\"");
        assert_eq!(files.0[1].1, "长".repeat(3000));
        let tokens = store.tokens().await.unwrap();
        assert_eq!((&*tokens[0].name, tokens.len()), ("kasse", 1));
        store.close().await;
    }
}

pub fn assert_same(found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[tokio::test]
async fn a_store_of_the_first_format_goes_on_in_the_second() {
    let dir = left(VALUES);
    let store = open(dir.path()).await;
    let wang = ask(&*store, "wang", 200).await;
    let lili = agent("lili");
    let tags = Act::Tag {
        tags: vec!["vip".into()],
    };
    let tagged = store
        .act(wang.id, tags, &lili, at(201), key("tag"))
        .await
        .unwrap();
    // An erasure overwrites records in values that hold others of the first format.
    assert!(store.erase(&shop(), &follower("li")).await.unwrap());
    let lines = history(&*store, &wang).await;
    assert_eq!(lines.len(), 10);
    let found = copy(dir.path());
    store.close().await;
    for directory in [found.path(), dir.path()] {
        let store = open(directory).await;
        let now = store.conversation(wang.id).await.unwrap();
        assert_eq!(now.as_ref(), Some(&tagged.conversation));
        assert_eq!(history(&*store, &wang).await, lines);
        assert_eq!(repeat(&*store, "li", "l2").await, None, "erased");
        let known = told(&*store).await;
        assert!(!known.contains("还有吗") && known.contains("人工"));
        store.close().await;
    }
}

#[tokio::test]
async fn the_store_is_copied_once_before_it_is_changed() {
    let dir = left(VALUES);
    let before = fs::read(dir.path().join("spill")).unwrap();
    let store = open(dir.path()).await;
    store.close().await;
    let kept = dir.path().join(COPY);
    assert_eq!(fs::read(kept.join("spill")).unwrap(), before);
    let format = |dir: &Path| {
        let catalog = sled::open(dir.join("sled")).unwrap().open_tree("catalog");
        catalog.unwrap().get("format").unwrap().unwrap().to_vec()
    };
    assert_eq!((format(&kept), format(dir.path())), (vec![1], vec![3]));
    fs::remove_dir_all(&kept).unwrap();
    open(dir.path()).await.close().await;
    assert!(!kept.exists(), "of format 3 already");
}

#[tokio::test]
async fn a_store_that_cannot_be_copied_is_left_alone() {
    let dir = left(VALUES);
    fs::write(dir.path().join(format!("{COPY}.unfinished")), "in the way").unwrap();
    for _ in 0..2 {
        let opened = SledStore::open_with(dir.path(), settings(), START).await;
        let refused = opened.err().unwrap();
        assert!(
            matches!(&refused, Error::Unwritable(reason) if reason.contains("copy")),
            "{refused}"
        );
    }
    fs::remove_file(dir.path().join(format!("{COPY}.unfinished"))).unwrap();
    let store = open(dir.path()).await;
    let sun = store
        .conversations(&Query {
            follower: Some(follower("sun")),
            limit: 1,
            ..Query::default()
        })
        .await
        .unwrap();
    let lines = store
        .messages(sun.conversations[0].id, None, 9)
        .await
        .unwrap();
    assert_eq!(lines[1].delivery, Delivery::Unknown);
}
