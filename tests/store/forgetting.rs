//! Looks into sled's files for what must not be there any more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wxreply::model::Time;
use wxreply::store::Store;
use wxreply::store::sled::{Io, Settings, SledStore};

use super::fixtures::*;
use super::sled::{copy, open, settings};

const SECRET: &str = "只有我知道的一句话";

/// Whether any file below shows these bytes.
pub fn is_in_a_file(dir: &Path, wanted: &str) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            return is_in_a_file(&entry.path(), wanted);
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        bytes
            .windows(wanted.len())
            .any(|part| part == wanted.as_bytes())
    })
}

/// A store in which one of many has said something.
async fn told(dir: &Path) -> Arc<SledStore> {
    let store = open(dir).await;
    for n in 0..60 {
        ask(&*store, &format!("other{}", n % 7), n).await;
        let name = format!("secret {n}");
        let turn = turn("distinctive", &name, words(SECRET), escalated());
        take_turn(&*store, turn, at(n)).await.unwrap();
    }
    store
}

#[tokio::test]
async fn nothing_of_an_erased_follower_is_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = told(dir.path()).await;
    assert!(is_in_a_file(dir.path(), SECRET));
    assert!(is_in_a_file(dir.path(), "odistinctive"));
    store
        .erase(&shop(), &follower("distinctive"))
        .await
        .unwrap();
    // This is why the files are written anew.
    assert!(is_in_a_file(dir.path(), SECRET));
    assert!(store.scrub(Time::default()).await.unwrap());
    for place in [copy(dir.path()).path(), dir.path()] {
        assert!(!is_in_a_file(place, SECRET));
        assert!(!is_in_a_file(place, "odistinctive"));
        assert!(is_in_a_file(place, "oother3"));
        if place == dir.path() {
            store.close().await;
            assert!(!is_in_a_file(place, SECRET));
        }
    }
    let store = open(dir.path()).await;
    assert_eq!(ask(&*store, "other3", 99).await.version, 10);
    assert!(!dir.path().join("sled.old").exists() && !dir.path().join("sled.new").exists());
}

#[tokio::test]
async fn nothing_that_was_forgotten_is_in_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = told(dir.path()).await;
    let now = at(3600 * 24 * 200);
    let young = turn("distinctive", "young", words("还年轻的话"), escalated());
    take_turn(&*store, young, now).await.unwrap();
    store.forget(at(3600), now).await.unwrap();
    assert!(store.scrub(Time::default()).await.unwrap());
    store.close().await;
    assert!(!is_in_a_file(dir.path(), SECRET));
    assert!(is_in_a_file(dir.path(), "还年轻的话"));
    assert!(is_in_a_file(dir.path(), "odistinctive"));
}

#[tokio::test]
async fn an_exchange_that_was_broken_off_anywhere_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    told(dir.path()).await.close().await;
    let (sled, new, old) = ("sled", "sled.new", "sled.old");
    // What is there when it breaks off, and which of them must count.
    for (there, counts) in [
        (vec![sled], sled),
        (vec![sled, new], sled),
        (vec![new, old], new),
        (vec![sled, old], sled),
        (vec![old], old),
    ] {
        let home = tempfile::tempdir().unwrap();
        for name in &there {
            let place = copy(dir.path());
            let place = place.path().join(sled);
            if *name == counts {
                std::fs::rename(place, home.path().join(name)).unwrap();
            } else {
                // A database in its beginnings.
                std::fs::create_dir(home.path().join(name)).unwrap();
            }
        }
        let store = open(home.path()).await;
        assert_eq!(store.counts()[0].2, 8, "{there:?}");
        store.close().await;
        assert!(!home.path().join(new).exists() && !home.path().join(old).exists());
    }
}

#[tokio::test]
async fn a_disk_that_refuses_leaves_the_database_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    told(dir.path()).await.close().await;
    let refuses = Arc::new(AtomicBool::new(false));
    let settings = Settings {
        before_io: Some(Arc::new({
            let refuses = Arc::clone(&refuses);
            move |io| match io == Io::Reopen && refuses.load(Ordering::SeqCst) {
                true => Err(std::io::Error::other("rehearsed")),
                false => Ok(()),
            }
        })),
        ..settings()
    };
    let store = SledStore::open_with(dir.path(), settings, START)
        .await
        .unwrap();
    store
        .erase(&shop(), &follower("distinctive"))
        .await
        .unwrap();
    refuses.store(true, Ordering::SeqCst);
    store.scrub(Time::default()).await.unwrap_err();
    assert_eq!(ask(&*store, "other3", 99).await.version, 10);
    refuses.store(false, Ordering::SeqCst);
    assert!(store.scrub(Time::default()).await.unwrap());
    store.close().await;
    assert!(!is_in_a_file(dir.path(), SECRET));
    assert_eq!(open(dir.path()).await.counts()[0].2, 7);
}

#[tokio::test]
async fn old_copies_of_upgrades_go_and_young_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let copy = dir.path().join("before-format-2");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("spill"), SECRET).unwrap();
    // It was made now, whatever the tests' clock says.
    store.scrub(START).await.unwrap();
    assert!(copy.exists());
    store.scrub(Time::from_millis(i64::MAX)).await.unwrap();
    assert!(!copy.exists());
}
