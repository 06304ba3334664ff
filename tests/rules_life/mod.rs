//! Follows a rule set through its life in the running server: edited, published, broken, brought back.

mod command;
mod editing;
mod history;
mod killed;
mod publishing;
mod single;
mod storm;
mod trying;

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Setup, World};

pub const LI: &str = "oFollowerLi000000000000001";
/// The file that every world begins with.
pub const FILE: &str = "10-basics.toml";

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A rule that answers one word.
pub fn rule(id: &str, word: &str, reply: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nany = [\"{word}\"]\nreply = \"{reply}\"\n")
}

/// A world with one rule, `hours`, that answers 营业时间.
pub fn world() -> World {
    setup().start()
}

pub fn setup() -> Setup {
    let mut setup = Setup::default();
    setup
        .rules
        .insert(FILE.to_owned(), rule("hours", "营业时间", "十点"));
    setup
}

pub fn write(world: &World, file: &str, text: &str) {
    fs::write(world.path().join("rules").join(file), text).unwrap();
}

pub fn read(world: &World, file: &str) -> String {
    fs::read_to_string(world.path().join("rules").join(file)).unwrap()
}

/// What `GET /rules` says.
pub fn directory(world: &World) -> Value {
    world.api("GET", "/rules", None).json()
}

/// Lets a moment pass between two looks.
pub fn breathe() {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(Duration::from_millis(10));
}

/// Looks until `wanted` holds of what `GET /rules` says.
pub fn until(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let rules = directory(world);
        if wanted(&rules) {
            return rules;
        }
        assert!(begun.elapsed() < PATIENCE, "it stays at {rules:#}");
        breathe();
    }
}

/// Looks until this revision runs and the directory is what runs.
pub fn until_live(world: &World, revision: u64) -> Value {
    until(world, |rules| {
        rules["state"] == "live" && rules["revision"] == revision
    })
}

/// What a follower reads in answer to a word.
pub fn answer(world: &World, word: &str) -> String {
    world.says("plain", LI, word).text().to_owned()
}

/// The codes of all remarks in what `GET /rules` says, hints left out.
pub fn codes(rules: &Value) -> Vec<String> {
    let files = rules["files"].as_array().unwrap();
    let remarks = files
        .iter()
        .flat_map(|file| file["diagnostics"].as_array().unwrap())
        .filter(|remark| remark["severity"] != "hint");
    remarks
        .map(|remark| remark["code"].as_str().unwrap().to_owned())
        .collect()
}

/// The numbers of all revisions, newest first, and the one that runs.
pub fn revisions(world: &World) -> (Vec<u64>, Option<u64>) {
    let listed = world.api("GET", "/rules/revisions", None).json();
    let all = listed["revisions"].as_array().unwrap().clone();
    let number = |revision: &Value| revision["revision"].as_u64().unwrap();
    let active = all.iter().find(|revision| revision["active"] == true);
    (all.iter().map(number).collect(), active.map(number))
}
