//! Finds the rules whose wordings say what a message says, without a model.
//! Owns: the index of wordings, the score, when it is certain. Uses: nothing. Never: reads rules, or knows another key.
//!
//! Each rule that shares a gram with the message gets points: for what the grams say for it and against it beside the
//! other rules (evidence), and for how much its wordings look like the message (likeness: the cosine with their common
//! direction, or with the nearest one). Points become a score that falls with the runner-up's points.

mod build;
mod search;
mod symbols;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;

use ahash::RandomState;

pub use search::{Similar, certain};

/// The least score that answers where a rule does not set its own.
pub const MIN_SCORE: f32 = 0.7;

/// How far the best rule's score must be ahead of another rule's.
pub const MARGIN: f32 = 0.05;

/// Wordings, indexed so that the rules nearest to a message are found without looking at all of them.
///
/// Built once, never changed, shared by threads. Scores depend on which wordings there are, not on their order.
#[derive(Default)]
pub struct LikeIndex {
    /// What the wordings are made of.
    numbers: HashMap<symbols::Gram, u32, RandomState>,
    terms: Vec<Term>,
    /// Term by term; within a term in order of rules.
    postings: Vec<Posting>,
    rules: Vec<Rule>,
    /// Rule by rule.
    wordings: Vec<Wording>,
    /// Wording by wording, sorted.
    wording_terms: Vec<u32>,
    /// The different numbers of wordings that rules have.
    counts: Vec<usize>,
    /// The weight of a symbol that no wording has.
    unknown: f32,
    /// All wordings in the order they were given, one after another, and where each ends.
    text: String,
    ends: Vec<u32>,
}

/// A gram that wordings have.
struct Term {
    /// Its size by its rarity.
    weight: f32,
    /// The share of rules that have it.
    share: f32,
    postings: Range<u32>,
}

/// What a term says about one rule.
struct Posting {
    /// In [`LikeIndex::rules`].
    rule: u32,
    /// For the rule, above what the term says for rules without it.
    evidence: f32,
    /// Its part in the direction of the rule's wordings.
    likeness: f32,
    /// The most that it is in one of them.
    reach: f32,
}

/// A rule with wordings.
struct Rule {
    /// As its user calls it.
    number: u32,
    /// In [`LikeIndex::counts`].
    class: usize,
    wordings: Range<u32>,
}

/// A wording; of those of one rule with the same text, the first.
struct Wording {
    /// Its place in the order they were given.
    place: u32,
    /// The length of its vector.
    length: f32,
    terms: Range<u32>,
}

impl LikeIndex {
    /// Whether nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The text of a wording, by its place in the order they were given.
    pub fn wording(&self, place: u32) -> &str {
        let end = |at: Option<usize>| {
            at.and_then(|at| self.ends.get(at))
                .map_or(0, |end| widen(*end))
        };
        let at = widen(place);
        self.text
            .get(end(at.checked_sub(1))..end(Some(at)))
            .unwrap_or_default()
    }

    /// What a message has in common with a wording: byte ranges of the message, in order, joined where they touch. A
    /// single symbol that most sentences have is left out.
    pub fn shared(&self, message: &str, wording: u32) -> Vec<Range<usize>> {
        let wanted = symbols::grams(self.wording(wording));
        symbols::places(message, |gram| {
            !symbols::is_common(gram) && wanted.binary_search(&gram).is_ok()
        })
    }
}

fn part<'a, T>(all: &'a [T], range: &Range<u32>) -> &'a [T] {
    all.get(widen(range.start)..widen(range.end))
        .unwrap_or_default()
}

fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
