//! Holds the page on rules against the reader: every block compiles, every key is explained, tried, checked and run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wxreply::rules::diagnostic::{Lang, Severity, render};
use wxreply::rules::{Options, compile};

use super::files;

const PAGE: &str = "docs/rules.zh-CN.md";
const STORES: &str = "city,address,phone\n北京,王府井 1 号,010-1\n";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// All files of a kind below a directory.
fn files_below(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path, ending),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

fn text_below(directory: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let files = files_below(&directory, "rs").into_iter();
    files
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn every_block_of_the_page_is_a_set_of_rules_without_errors() {
    let page = read(PAGE);
    let blocks: Vec<&str> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(blocks.len() >= 8, "{}", blocks.len());
    for block in blocks {
        let greeting =
            "[[rule]]\nid = \"x-greeting\"\nexact = \"早\"\nduring = \"shop\"\nreply = \"早\"\n";
        let calendar = "[calendar.shop]\nweekly = { mon-fri = \"09:00-18:00\" }\n";
        let named = block
            .strip_prefix("# rules/")
            .map(|rest| rest.lines().next().unwrap());
        let mut list = vec![
            ("10.toml", named.map_or(block, |_| greeting)),
            ("tables/stores.csv", STORES),
        ];
        if named != Some("_calendar.toml") && named.is_some() {
            list.push(("_calendar.toml", calendar));
        }
        list.extend(named.map(|name| (name, block)));
        let files = files(&list);
        let mut compiled = compile(&files, &Options::default());
        let errors = |one: &wxreply::rules::Diagnostic| one.severity() == Severity::Error;
        compiled.diagnostics.retain(errors);
        let shown = render(&compiled.diagnostics, &files, "", Lang::Zh, false);
        assert!(shown.is_empty(), "{block}\n{shown}");
        let active = wxreply::decide::ActiveRules {
            set: compiled.rules.unwrap(),
            revision: None,
        };
        let failed = wxreply::decide::inline::run_tests(&active);
        let shown = render(&failed, &files, "", Lang::Zh, false);
        assert!(failed.is_empty(), "{block}\n{shown}");
    }
}

/// The strings of a list in Rust.
fn strings(list: &str) -> impl Iterator<Item = &str> {
    list.split('"').skip(1).step_by(2)
}

/// The lists of keys in a source file of the reader: `known` is what it hands to `Sheet::knows`.
fn known(source: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for call in source
        .split("sheet.knows(key, ")
        .chain(source.split("sheet.knows(name, "))
    {
        let name: String = call.chars().take_while(char::is_ascii_uppercase).collect();
        let start = format!("const {name}: &[&str] = &[");
        if let Some((_, rest)) = source.split_once(&start).filter(|_| !name.is_empty()) {
            let list = rest.split(']').next().unwrap();
            keys.extend(strings(list).map(str::to_owned));
        }
    }
    keys
}

fn all_known() -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let files = files_below(&directory, "rs").into_iter();
    files
        .flat_map(|path| known(&fs::read_to_string(path).unwrap()))
        .collect()
}

/// Whether a text has a key, as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_inside) && !after.is_some_and(is_inside)
    })
}

/// Whether a text sets a key: `key =`, or `[rule.key]`.
fn sets(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + key.len()..].trim_start_matches(' ');
        let is_own = !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        is_own && (after.starts_with('=') || after.starts_with(']') || after.starts_with('.'))
    })
}

#[test]
fn the_lists_of_keys_are_found_in_the_source() {
    let keys = all_known();
    for key in [
        "exact",
        "min_score",
        "cooldown",
        "tag",
        "every",
        "on_timeout",
        "retry",
        "missing",
        "handoff",
        "agent",
        "hq_url",
        "fallback",
        "file",
        "weekly",
        "ack_every",
        "expect_not",
        "turns",
        "defaults",
    ] {
        assert!(keys.contains(key), "{key} is not among {keys:?}");
    }
}

#[test]
fn every_key_that_the_reader_knows_is_on_the_page() {
    let page = read(PAGE);
    let absent: Vec<_> = all_known()
        .into_iter()
        .filter(|key| !has_word(&page, key))
        .collect();
    assert!(absent.is_empty(), "{PAGE} says nothing of {absent:?}");
}

#[test]
fn every_key_of_a_rule_is_checked_tried_and_run() {
    let (good, bad) = super::keys::fixtures();
    let tried: Vec<_> = super::tried::all().map(|trial| trial.rules).collect();
    let run = text_below("tests/keys");
    let keys = known(&read("src/rules/rule.rs"));
    assert!(keys.len() > 35, "{keys:?}");
    for (what, text) in [
        ("a good fixture", good.join("\n")),
        ("a bad fixture", bad.join("\n")),
        ("a trial", tried.join("\n")),
        ("a story through the server", run),
    ] {
        let absent: Vec<_> = keys.iter().filter(|key| !sets(&text, key)).collect();
        assert!(absent.is_empty(), "{what} is missing for {absent:?}");
    }
}
