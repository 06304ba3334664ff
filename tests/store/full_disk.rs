//! Fills a real disk, as far as a process without rights can: a limit on the size of its files.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use wxreply::store::sled::{Settings, SledStore};
use wxreply::store::{Error, Health, Store as _};

use super::fixtures::*;
use super::sled::open;

/// Names the directory whose disk the child finds full.
const DIRECTORY: &str = "WXREPLY_TEST_FULL_DISK";
const SPILL: u64 = 100 << 10;

fn big(n: u64) -> wxreply::model::Turn {
    let name = n.to_string();
    turn("wang", &name, words(&name.repeat(500)), escalated())
}

/// Not a test but the child of the one below: its files may not grow beyond two MiB.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let settings = Settings {
        spill_bytes: SPILL,
        retry_after: Duration::from_millis(1),
        ..Settings::default()
    };
    let store = SledStore::open_with(Path::new(&dir), settings, START)
        .await
        .unwrap();
    let mut spilled = 0;
    for n in 0.. {
        match take_turn(&*store, big(n), at(n)).await {
            Ok(_) if store.health() == Health::Good => {}
            Ok(_) => {
                assert!(matches!(store.health(), Health::Spilling(_)));
                spilled += 1;
            }
            Err(error) => {
                assert!(matches!(&error, Error::Unwritable(_)), "{error}");
                assert!(matches!(store.health(), Health::Failed(_)));
                println!("kept {n} spilled {spilled}");
                break;
            }
        }
    }
    // It goes on answering, and says no again.
    for n in 1_000_000..1_000_010 {
        assert!(take_turn(&*store, big(n), at(n)).await.is_err());
    }
    assert_eq!(repeat(&*store, "wang", "0").await, None);
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    // In units of 512 bytes; without the trap the first write beyond would end the process.
    let limited = r#"trap '' XFSZ; ulimit -f 4096; exec "$0" "$@""#;
    let child = Command::new("sh")
        .args(["-c", limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "store::full_disk::child", "--nocapture"])
        .env(DIRECTORY, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let numbers: Vec<u64> = said
        .lines()
        .find_map(|line| line.split_once("kept "))
        .unwrap()
        .1
        .split(" spilled ")
        .map(|number| number.parse().unwrap())
        .collect();
    let [kept, spilled] = numbers[..] else {
        panic!("{said}")
    };
    assert!(kept > 100 && spilled > 10, "{said}");

    let store = open(dir.path()).await;
    for n in 0..kept {
        assert_eq!(
            repeat(&*store, "wang", &n.to_string()).await,
            None,
            "{n} of {kept}"
        );
    }
    drop(first(&*store, "wang", &kept.to_string()).await);
    let now = ask(&*store, "wang", 2_000_000).await;
    assert_eq!(now.version, kept + 1);
    assert_eq!(store.health(), Health::Good);
}
