//! Compares the index with a slow search, and throws anything at the compiler.

use proptest::prelude::*;
use wxreply::decide::{ActiveRules, inline};
use wxreply::model::RuleFiles;
use wxreply::rules::diagnostic::{Lang, render};
use wxreply::rules::{Options, Question, RuleSet, compile, normalize, read_directory};

use super::{NOW, files, find, rule, rules, says};

/// A rule over a small alphabet, so that words meet, overlap and repeat.
#[derive(Clone, Debug)]
pub(super) struct Small {
    pub(super) exact: Vec<String>,
    pub(super) all: Vec<String>,
    pub(super) any: Vec<String>,
    pub(super) none: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) priority: i8,
}

pub(super) fn small() -> impl Strategy<Value = Small> {
    let word = "[ab退]{1,3}";
    let words = move |most| prop::collection::vec(word, 0..most);
    (
        words(3),
        words(3),
        words(3),
        words(2),
        prop::option::of("[ab退]{1,2}[.]?[ab]"),
        -1..2_i8,
    )
        .prop_filter("a trigger", |(exact, all, any, _, regex, _)| {
            !(exact.is_empty() && all.is_empty() && any.is_empty() && regex.is_none())
        })
        .prop_map(|(exact, all, any, none, regex, priority)| Small {
            exact,
            all,
            any,
            none,
            regex,
            priority,
        })
}

impl Small {
    pub(super) fn written(&self, id: usize) -> String {
        let list = |key: &str, words: &[String]| {
            if words.is_empty() {
                String::new()
            } else {
                format!("{key} = {words:?}\n")
            }
        };
        let regex = self
            .regex
            .iter()
            .map(|regex| format!("regex = '{regex}'\n"))
            .collect::<String>();
        format!(
            "[[rule]]\nid = \"{id}\"\nreply = \"r\"\npriority = {}\n{}{}{}{}{regex}",
            self.priority,
            list("exact", &self.exact),
            list("all", &self.all),
            list("any", &self.any),
            list("none", &self.none),
        )
    }

    /// Kind (stronger is less) and coverage, found the slow way.
    fn matches(&self, text: &str) -> Option<(u8, usize)> {
        if self.none.iter().any(|word| text.contains(word.as_str())) || text.is_empty() {
            return None;
        }
        let covered = |words: &[String]| {
            let chars: Vec<char> = text.chars().collect();
            let mut is_covered = vec![false; chars.len()];
            for word in words.iter().map(|word| word.chars().collect::<Vec<_>>()) {
                for at in 0..chars.len() {
                    if chars[at..].starts_with(&word) {
                        is_covered[at..at + word.len()].fill(true);
                    }
                }
            }
            is_covered.into_iter().filter(|covered| *covered).count()
        };
        if self.exact.iter().any(|word| word == text) {
            return Some((0, text.chars().count()));
        }
        if let Some(found) = self
            .regex
            .as_ref()
            .and_then(|regex| regex::Regex::new(regex).unwrap().find(text))
        {
            return Some((1, found.as_str().chars().count()));
        }
        if !self.all.is_empty() && self.all.iter().all(|word| text.contains(word.as_str())) {
            return Some((2, covered(&self.all)));
        }
        self.any
            .iter()
            .any(|word| text.contains(word.as_str()))
            .then(|| (3, covered(&self.any)))
    }
}

/// What decides, but for the place.
type Strength = (i8, u8, usize);

fn slow_winner(rules: &[Small], text: &str) -> Option<(usize, Strength)> {
    let matching = rules.iter().enumerate().filter_map(|(id, rule)| {
        rule.matches(text)
            .map(|(kind, covered)| (id, (rule.priority, kind, covered)))
    });
    matching.min_by_key(|(id, (priority, kind, covered))| {
        (-i32::from(*priority), *kind, usize::MAX - covered, *id)
    })
}

fn fast_winner(rules: &RuleSet, text: &str) -> Option<usize> {
    says(rules, text).map(|id| id.parse().unwrap())
}

/// What is put into good files.
const DAMAGE: [&str; 16] = [
    "",
    "\n",
    "\"",
    "=",
    "[",
    "{",
    "}",
    "5",
    "true",
    "\"\"",
    "{}",
    "[]",
    "{x",
    "2026-01-01",
    "-",
    "\"\\u0000\"",
];

/// The sample rules.
fn samples() -> RuleFiles {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
    read_directory(&directory).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_index_finds_what_a_slow_search_finds(
        small in prop::collection::vec(small(), 1..12),
        texts in prop::collection::vec("[ab退 !]{0,7}", 1..12),
    ) {
        let text: String = small.iter().enumerate().map(|(id, rule)| rule.written(id)).collect();
        let set = rules(&text);
        for said in &texts {
            let slow = slow_winner(&small, &normalize(said));
            prop_assert_eq!(fast_winner(&set, said), slow.map(|(id, _)| id), "{}", said);
        }
    }

    #[test]
    fn only_ties_depend_on_how_rules_are_spread_over_files(
        small in prop::collection::vec(small(), 1..10),
        cut in 0..10_usize,
        said in "[ab退]{1,7}",
    ) {
        let written: Vec<String> = small.iter().enumerate().map(|(id, rule)| rule.written(id)).collect();
        let (first, second) = written.split_at(cut.min(written.len()));
        let spread = files(&[("a.toml", &second.concat()), ("b.toml", &first.concat())]);
        let spread = compile(&spread, &Options::default()).rules.unwrap();
        let strength = |winner: Option<usize>| {
            winner.map(|id| (small[id].priority, small[id].matches(&said).unwrap()))
        };
        let whole = rules(&written.concat());
        prop_assert_eq!(strength(fast_winner(&spread, &said)), strength(fast_winner(&whole, &said)));
    }

    #[test]
    fn any_bytes_leave_the_compiler_standing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let files = RuleFiles(vec![("a.toml".to_owned(), bytes.clone().into()), ("_desk.toml".to_owned(), bytes.into())]);
        let compiled = compile(&files, &Options::default());
        render(&compiled.diagnostics, &files, "", Lang::Zh, true);
    }

    #[test]
    fn any_mixture_of_rule_text_leaves_the_compiler_standing(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "[[rule]]\n", "[[rule.replies]]\n", "[rule]\n", "[defaults]\n", "id = ", "any = ", "all = ", "regex = ",
                "event = ", "scene = ", "reply = ", "replies = ", "news = ", "tests = ", "accounts = ", "\"a\"", "'(?<x>b)'",
                "\"{x}\"", "\"\"\"\n", "'''", "[", "]", "{", "}", ", ", "=", "\n", "\"退款\"", "“", "text = ", "say = ", "expect = ",
                "5", "true", "2026-01-01", "#", "\\", "\r\n", ".", "\"media_id:1\"", "image = ", "{ text = \"x\" }", "id = \"a\"\n",
                "any = [\"a\"]\n", "reply = \"r\"\n",
            ]),
            0..60,
        )
    ) {
        let text = parts.concat();
        let files = files(&[("_desk.toml", &text), ("a.toml", &text)]);
        let compiled = compile(&files, &Options::default());
        render(&compiled.diagnostics, &files, "", Lang::En, false);
        if let Some(set) = compiled.rules {
            inline::run_tests(&ActiveRules { set, revision: None });
        }
    }

    #[test]
    fn a_good_file_may_be_damaged_anywhere(
        file in 0..8_usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, 0..DAMAGE.len()), 1..4),
    ) {
        let mut set = samples();
        let texts: Vec<usize> = (0..set.0.len()).filter(|at| !set.0[*at].0.starts_with("tables")).collect();
        let (path, bytes) = &mut set.0[texts[file % texts.len()]];
        let mut text: Vec<char> = std::str::from_utf8(bytes).unwrap().chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, DAMAGE[put].chars());
        }
        let (path, length) = (path.clone(), text.iter().map(|c| c.len_utf8()).sum::<usize>());
        *bytes = text.into_iter().collect::<String>().into();
        let compiled = compile(&set, &Options::default());
        for one in compiled.diagnostics.iter().filter(|one| *one.place.file == *path) {
            let span = &one.place.span;
            prop_assert!(span.start <= span.end && span.end <= length, "{:?}", one);
        }
        render(&compiled.diagnostics, &set, "", Lang::En, false);
    }

    #[test]
    fn any_bytes_may_stand_in_a_table(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut set = samples();
        let table = set.0.iter_mut().find(|(path, _)| path.starts_with("tables")).unwrap();
        table.1 = bytes.into();
        let compiled = compile(&set, &Options::default());
        render(&compiled.diagnostics, &set, "", Lang::Zh, false);
    }

    #[test]
    fn any_text_leaves_the_rules_standing_and_spans_inside(said in any::<String>()) {
        let set = rules(&[
            rule("a", "any = [\"a\", \"退\", \"é\"]"),
            rule("b", "regex = '.b?'"),
            rule("c", "all = [\"a\", \"退\"]"),
        ].concat());
        let question = Question::Words(&said);
        let found = find(&set, "shop", &question);
        for one in set.explain(&found, &question, NOW) {
            for part in one.matched {
                prop_assert!(part.start < part.end && part.end <= said.chars().count());
            }
        }
    }
}
