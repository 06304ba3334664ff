//! Runs the suite for sled.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;
use wxreply::store::sled::{Settings, SledStore};
use wxreply::store::{Error, Store};

use super::fixtures::*;
use super::suite::Home;

/// A small spill file, since the default takes 16 MiB to write, and checkpoints all the time.
pub fn settings() -> Settings {
    Settings {
        spill_bytes: 64 << 10,
        checkpoint_after: 5,
        ..Settings::default()
    }
}

pub async fn open(dir: &Path) -> Arc<SledStore> {
    SledStore::open_with(dir, settings(), START).await.unwrap()
}

/// What is on disk now, somewhere else: what a process finds that starts after this one died.
pub fn copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(dir, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

struct Directory {
    dir: TempDir,
    store: Arc<SledStore>,
}

#[async_trait]
impl Home for Directory {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).await;
        Self { dir, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::<SledStore>::clone(&self.store)
    }

    async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(self.dir.path()).await;
    }

    async fn crash(&mut self) {
        // A durable write takes everything before it along.
        let nothing = self.store.revoke_token("nothing").await.unwrap();
        assert!(!nothing);
        self.dir = copy(self.dir.path());
        self.store = open(self.dir.path()).await;
    }
}

suite!(Directory);

#[tokio::test]
async fn a_second_process_is_told_which_directory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let second = SledStore::open_with(dir.path(), settings(), START)
        .await
        .err()
        .unwrap();
    assert!(matches!(&second, Error::Locked(name) if *name == dir.path().display().to_string()));
    store.close().await;
    open(dir.path()).await;
}
