//! Holds the layer and crate-home blocks of ARCHITECTURE.md against the source.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of the fenced block with this name in ARCHITECTURE.md.
fn block(name: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let fence = format!("```{name}");
    let lines: Vec<String> = page
        .lines()
        .skip_while(|line| **line != *fence)
        .skip(1)
        .take_while(|line| *line != "```")
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "ARCHITECTURE.md has no block {name}");
    lines
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A source file under `src/`, as `store/sled/mod.rs`, with its text.
fn sources() -> Vec<(String, String)> {
    let source = root().join("src");
    rust_files(&source)
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&source)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The module at the top of a file's path: `store` for `store/sled/mod.rs`.
fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

fn layers() -> BTreeMap<String, u32> {
    block("layers")
        .iter()
        .flat_map(|line| {
            let mut words = line.split_whitespace();
            let layer: u32 = words.next().unwrap().parse().unwrap();
            words
                .map(move |module| (module.to_owned(), layer))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Every name that stands behind `crate::` in a line.
fn crate_uses(line: &str) -> Vec<String> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|name: &String| !name.is_empty())
        .collect()
}

#[test]
fn every_module_uses_only_layers_below_it() {
    let layers = layers();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let here = module(&file);
        if here == "lib" || here == "main" {
            continue;
        }
        let layer = layers
            .get(here)
            .unwrap_or_else(|| panic!("src/{file}: {here} is on no layer"));
        for (number, line) in text.lines().enumerate() {
            for used in crate_uses(line).iter().filter(|used| *used != here) {
                if layers.get(used).is_some_and(|below| below >= layer) {
                    wrong.push(format!(
                        "src/{file}:{}: {here} uses {used}, which is not below it",
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_re_export_hides_an_edge() {
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let place = format!("src/{file}:{}", number + 1);
            assert!(
                !line.contains("super::super::super"),
                "{place}: name the module instead"
            );
            assert!(
                !line.trim_start().starts_with("pub use crate::"),
                "{place}: hides an edge"
            );
        }
    }
}

#[test]
fn third_party_crates_stay_at_home() {
    let mut wrong = Vec::new();
    for line in block("homes") {
        let (crates, homes) = line.split_once("  ").unwrap();
        let homes: Vec<&str> = homes.trim().split(", ").collect();
        for name in crates.split(", ") {
            let names = [
                format!("use {name}::"),
                format!("use {name};"),
                format!("{name}::"),
            ];
            for (file, text) in sources() {
                let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
                let at_home = homes.iter().any(|home| {
                    stem == *home
                        || stem.starts_with(&format!("{home}/"))
                        || stem == "main" && *home == "cli"
                });
                if at_home {
                    continue;
                }
                for (number, line) in text.lines().enumerate() {
                    let code = line.split("//").next().unwrap();
                    if names.iter().any(|used| is_use(code, used)) {
                        wrong.push(format!(
                            "src/{file}:{}: {name} does not live in {stem}",
                            number + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `used` stands in the line as a path of its own, not as the tail of a longer one.
fn is_use(code: &str, used: &str) -> bool {
    code.match_indices(used).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn every_file_says_what_it_does() {
    for (file, text) in sources() {
        assert!(
            text.starts_with("//! "),
            "src/{file} does not say what it does"
        );
    }
    for path in rust_files(&root().join("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not say what it tests",
            path.display()
        );
    }
}

#[test]
fn every_test_file_runs() {
    let main = fs::read_to_string(root().join("tests/main.rs")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("mod.rs").exists();
        if is_module && stem != "main" {
            assert!(
                main.contains(&format!("mod {stem};")),
                "tests/main.rs does not name {stem}"
            );
        }
    }
}
