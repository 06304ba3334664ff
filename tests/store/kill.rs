//! Kills a process that keeps messages, again and again, and looks for every message it said it had kept.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use wxreply::store::{Query, Store};

use super::fixtures::*;
use super::sled::open;

/// Names the directory in which the child keeps messages.
const DIRECTORY: &str = "WXREPLY_TEST_KILL";
const FOLLOWERS: u64 = 8;
const ROUNDS: u64 = 10;

fn name(round: u64, from: u64, n: u64) -> String {
    format!("{round}-{from}-{n}")
}

/// Not a test but the child of the one below: keeps messages and says so, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(orders) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let orders = orders.into_string().unwrap();
    let (round, dir) = orders.split_once(':').unwrap();
    let round: u64 = round.parse().unwrap();
    let store = open(Path::new(dir)).await;
    let mut followers = Vec::new();
    for from in 0..FOLLOWERS {
        let store = Arc::clone(&store);
        followers.push(tokio::spawn(async move {
            for n in 0.. {
                let name = name(round, from, n);
                // A rule's answer alone might be lost; with the next one behind it, it may not.
                let quick = turn(
                    &from.to_string(),
                    &format!("quick {name}"),
                    words(&name),
                    answered("好"),
                );
                take_turn(&*store, quick, at(n)).await.unwrap();
                let kept = turn(&from.to_string(), &name, words(&name), escalated());
                take_turn(&*store, kept, at(n)).await.unwrap();
                println!("kept {name}");
            }
        }));
    }
    for follower in followers {
        follower.await.unwrap();
    }
}

/// Starts the child and kills it once it has kept `enough`; returns what it said it had kept.
fn keep_and_die(dir: &Path, round: u64, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::kill::child", "--nocapture"])
        .env(DIRECTORY, format!("{round}:{}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut kept = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The first line may share its line with what the test harness prints.
        let line = line.unwrap();
        let Some((_, name)) = line.split_once("kept ") else {
            continue;
        };
        kept.push(name.to_owned());
        if kept.len() == enough {
            // What it says after this is still read: it was kept before the end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    kept
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_said_it_had_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        let enough = usize::try_from(1 + round * round * 7 % 200).unwrap();
        let said = keep_and_die(dir.path(), round, enough);
        assert!(said.len() >= enough, "the child died by itself: {said:?}");
        kept.extend(said);
    }
    let store = open(dir.path()).await;
    let page = store
        .conversations(&Query {
            limit: 99,
            ..Query::default()
        })
        .await
        .unwrap();
    let mut lines = Vec::new();
    for conversation in &page.conversations {
        let messages = store
            .messages(conversation.id, None, 100_000)
            .await
            .unwrap();
        lines.extend(messages.into_iter().map(|line| line.text.to_string()));
    }
    lines.retain(|line| line != "好");
    lines.sort_unstable();
    for name in kept {
        let from = name.split('-').nth(1).unwrap().to_owned();
        assert_eq!(repeat(&*store, &from, &name).await, None);
        // Once for itself, and once for the answered turn before it: what comes before something durable is durable.
        let first = lines.partition_point(|line| *line < name);
        let times = lines[first..]
            .iter()
            .take_while(|line| **line == name)
            .count();
        assert!(times == 2, "{name} is there {times} times");
    }
}
