//! Runs the example of every page in `docs/lints`: its code is said of the example, and nothing of the mended one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use encoding_rs::GBK;
use wxreply::decide::{ActiveRules, inline};
use wxreply::model::{RuleFiles, Time};
use wxreply::rules::diagnostic::{apply, explanation};
use wxreply::rules::{Code, Diagnostic, Lang, Options, compile};

use super::{account, rule};

/// 22 November 2026.
const TODAY: Time = Time::from_seconds(1_795_305_600);
/// The file of an example that names none.
const FILE: &str = "10-basics.toml";

fn options() -> Options {
    Options {
        accounts: Some(vec![account("flagship"), account("service")]),
        today: Some(TODAY),
        ..Options::default()
    }
}

fn one_file(bytes: impl Into<Vec<u8>>) -> RuleFiles {
    RuleFiles(vec![(FILE.to_owned(), bytes.into().into())])
}

/// A rule that sends `media/map.png`.
fn picture(bytes: Vec<u8>) -> RuleFiles {
    let rule = rule("map", "exact = [\"地图\"]").replace(
        "reply = \"map!\"",
        "replies = [{ image = \"media/map.png\" }]",
    );
    RuleFiles(vec![
        (FILE.to_owned(), rule.into_bytes().into()),
        ("media/map.png".to_owned(), bytes.into()),
    ])
}

/// What `check` says: the compiler and the tests beside rules.
fn checked(files: &RuleFiles) -> Vec<Diagnostic> {
    let compiled = compile(files, &options());
    let mut said = compiled.diagnostics;
    if let Some(set) = compiled.rules {
        let rules = ActiveRules {
            set,
            revision: None,
        };
        said.extend(inline::run_tests(&rules));
    }
    said
}

/// The codes, each once; without the hints on care, except where the page is about them.
fn codes_beside(files: &RuleFiles, page: Code) -> BTreeSet<&'static str> {
    let said = checked(files);
    let counts =
        |one: &&Diagnostic| one.code == page || !matches!(one.code, Code::NoTest | Code::NoOwner);
    said.iter()
        .filter(counts)
        .map(|one| one.code.text())
        .collect()
}

/// The first code block after a heading, if it is TOML.
fn block(page: &str, heading: &str) -> Option<String> {
    let (_, after) = page
        .split_once(&format!("## {heading}"))
        .unwrap_or_else(|| panic!("no {heading} in\n{page}"));
    let (_, block) = after.split_once("```").unwrap();
    let (kind, block) = block.split_once('\n').unwrap();
    let (block, _) = block.split_once("```").unwrap();
    (kind == "toml").then(|| block.to_owned())
}

/// Lines like `# rules/NAME.toml` begin the files of an example.
fn split(block: &str) -> RuleFiles {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        if let Some(name) = line.strip_prefix("# rules/") {
            files.push((name.to_owned(), String::new()));
            continue;
        }
        if files.is_empty() {
            files.push((FILE.to_owned(), String::new()));
        }
        let (_, text) = files.last_mut().unwrap();
        text.push_str(line);
        text.push('\n');
    }
    let files = files.into_iter();
    RuleFiles(files.map(|(name, text)| (name, text.into())).collect())
}

/// What a page can only describe: the bad files and the good ones.
fn described(code: Code) -> (RuleFiles, RuleFiles) {
    let good = rule("hours", "exact = [\"营业时间\"]");
    let png = |length: usize| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(length, 0);
        bytes
    };
    match code {
        Code::MediaSize => return (picture(png(11 << 20)), picture(png(100))),
        Code::MediaType => return (picture(b"<html>".to_vec()), picture(png(100))),
        _ => {}
    }
    let said = |length: usize| {
        let text = "话".repeat(length);
        one_file(good.replace("hours!", &text))
    };
    let bad = match code {
        Code::Encoding => one_file(GBK.encode(&good).0.into_owned()),
        Code::TooBig => one_file(vec![b'#'; 64 * 1024 * 1024 + 1]),
        Code::TooDeep => one_file(format!(
            "{good}note = {}{}",
            "[".repeat(100),
            "]".repeat(100)
        )),
        Code::TooLong => said(700),
        Code::LongReply => said(450),
        Code::LineEnds => one_file(good.replace('\n', "\r\n")),
        Code::TooMany => {
            let rules = (0..2001).map(|n| rule(&format!("r{n}"), &format!("regex = '第{n}号'")));
            one_file(rules.collect::<String>())
        }
        other => panic!("{other:?}: the page has no example"),
    };
    (bad, one_file(good))
}

#[test]
fn every_page_has_an_example_that_its_code_is_about_and_a_clean_one() {
    let mut wrong = Vec::new();
    // Only a server knows what WeChat has of a file.
    let offline = |code: &Code| *code != Code::NotUploaded;
    for code in Code::ALL.iter().copied().filter(offline) {
        let page = explanation(code, Lang::Zh);
        let (bad, good) = match (block(&page, "例子"), block(&page, "改法")) {
            (Some(bad), Some(good)) => (split(&bad), split(&good)),
            _ => described(code),
        };
        let text = code.text();
        let said = codes_beside(&bad, code);
        if said != BTreeSet::from([text]) {
            wrong.push(format!("{text}: of the example is said {said:?}"));
        }
        let said = codes_beside(&good, code);
        if !said.is_empty() {
            wrong.push(format!("{text}: of the mended one is said {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fix_leaves_nothing_of_its_code_and_nothing_worse() {
    let mut fixed = Vec::new();
    for code in Code::ALL.iter().copied() {
        let page = explanation(code, Lang::Zh);
        let Some(mut files) = block(&page, "例子")
            .map(|bad| split(&bad))
            .or_else(|| matches!(code, Code::Encoding | Code::LineEnds).then(|| described(code).0))
        else {
            continue;
        };
        let said = checked(&files);
        if !said.iter().any(|one| one.code == code && one.fix.is_some()) {
            continue;
        }
        fixed.push(code.text());
        let (mended, _) = apply(&files, &said);
        for one in mended {
            let old = files.0.iter_mut().find(|(name, _)| *name == one.file);
            old.unwrap().1 = one.bytes;
        }
        let said = codes_beside(&files, code);
        assert!(said.is_empty(), "{}: {said:?}", code.text());
    }
    assert_eq!(
        fixed,
        [
            "E001", "E002", "E101", "E102", "E106", "W202", "W216", "W217", "W225", "W229"
        ]
    );
}

#[test]
fn pages_and_codes_are_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lints");
    let pages: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let codes = Code::ALL.iter().map(|code| format!("{}.md", code.text()));
    assert_eq!(pages, codes.collect());
    for code in Code::ALL.iter().copied() {
        let (zh, en) = code.title();
        for (lang, title, parts) in [
            (Lang::Zh, zh, ["是什么", "为什么", "例子", "改法"]),
            (Lang::En, en, ["What", "Why", "Example", "Fix"]),
        ] {
            let page = explanation(code, lang);
            let first = format!("# {} {title}\n", code.text());
            assert!(page.starts_with(&first), "{page}");
            for part in parts {
                let (_, after) = page.split_once(&format!("## {part}\n\n")).unwrap();
                let paragraph = after.lines().next().unwrap();
                assert!(
                    !paragraph.is_empty() && !paragraph.starts_with('#'),
                    "{page}"
                );
            }
        }
    }
}
