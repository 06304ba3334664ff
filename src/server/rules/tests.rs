//! Tests what callers of the server cannot time: changes that wait for each other, edits in the middle of a change.
//! Owns: nothing. Uses: the keeper over a store of its own. Never: HTTP.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::*;
use crate::clock::Clock;
use crate::files::Cache;
use crate::model::FileChanges;
use crate::store::sled::SledStore;
use crate::upload::Uploader;

const FILE: &str = "10.toml";

fn rule(reply: &str) -> String {
    format!("[[rule]]\nid = \"hours\"\nany = [\"营业时间\"]\nreply = \"{reply}\"\n")
}

fn change(reply: &str) -> FileChanges {
    FileChanges::from([(FILE.to_owned(), Some(rule(reply).into()))])
}

async fn keeper(root: &Path) -> Arc<Keeper> {
    let clock = Clock::system();
    let (rules, data) = (root.join("rules"), root.join("data"));
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join(FILE), rule("十点")).unwrap();
    let store: Arc<dyn Store> = SledStore::open(&data, clock.now()).await.unwrap();
    let clients = HashMap::new();
    let uploader = Uploader::open(
        Arc::clone(&store),
        Cache::open(&data.join("uploads")).unwrap(),
        Cache::open(&data.join("agents")).unwrap(),
        Vec::new(),
        &clients,
        clock.clone(),
    );
    let uploader = Arc::new(uploader.await.unwrap());
    let media = Media::open(&data, Arc::clone(&store), uploader, clock.clone()).unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let opened = Keeper::open(rules, Options::default(), store, metrics, Arc::new(media)).await;
    opened.unwrap().0
}

#[test]
fn changes_that_wait_for_their_turn_do_not_stop_the_one_whose_turn_it_is() {
    let root = TempDir::new().unwrap();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    let done = runtime.block_on(async {
        let keeper = keeper(root.path()).await;
        let changes = (0..5).map(|n| {
            let draft = Draft {
                made_for: None,
                changes: change(&format!("{n}点")),
                is_whole: false,
            };
            keeper.in_turn(|keeper, turn| keeper.publish(turn, draft, "li".to_owned()))
        });
        let done = timeout(Duration::from_secs(30), join_all(changes)).await;
        keeper.store.close().await;
        done
    });
    runtime.shutdown_background();
    let done = done.expect("the changes wait for each other");
    assert!(done.iter().all(Result::is_ok), "{done:?}");
}

#[tokio::test]
async fn an_edit_in_the_middle_of_a_change_is_not_overwritten() {
    let root = TempDir::new().unwrap();
    let keeper = keeper(root.path()).await;
    let seen = keeper.look().await.unwrap();
    let path = root.path().join("rules").join(FILE);
    fs::write(&path, rule("九点")).unwrap();
    let refused = keeper.place(&seen, change("八点")).await.err();
    let Some(Refused::Changed { files, .. }) = refused else {
        panic!("not refused for the edit: {refused:?}");
    };
    assert_eq!(files.len(), 1);
    assert_eq!(fs::read_to_string(&path).unwrap(), rule("九点"));
    keeper.store.close().await;
}
