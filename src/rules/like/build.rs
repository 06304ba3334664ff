//! Weighs what wordings are made of and lays the index out.
//! Owns: rarity, evidence for and against a rule, their constants. Uses: symbols. Never: looks at a message.
//!
//! Nothing here depends on the order of rules and wordings: grams are numbered in their own order, sums over rules are
//! sums of integers.

use super::symbols::{Gram, grams, is_common, size};
use super::{LikeIndex, Posting, Rule, Term, Wording, part, widen};

/// Counted for a gram in a rule beside its wordings: that none has it may be chance.
const DOUBT: f32 = 0.1;
/// Rules that nobody wrote, about anything: how rare a gram is must not follow from three rules alone.
const UNWRITTEN: f32 = 20.0;
/// The share of unwritten rules that have a common symbol, and any other gram.
const COMMON_SHARE: f32 = 0.05;
const OTHER_SHARE: f32 = 0.0025;
/// The most that one gram says for a rule, as a natural logarithm of odds.
const MOST_EVIDENCE: f32 = 6.0;
/// How much heavier evidence against a rule weighs.
const AGAINST: f32 = 1.5;
/// Rules with more wordings than this weigh absence as if they had this many.
const MOST_COUNTED: usize = 32;
/// Shares of rules are added up in this unit.
const UNIT: usize = 4096;

/// A wording on its way into the index.
struct Draft<'a> {
    rule: u32,
    place: u32,
    text: &'a str,
    grams: Vec<Gram>,
}

/// A whole number as a float; exact up to 2²⁴.
pub(super) fn float(n: usize) -> f32 {
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    let half = |n: u32| f32::from(u16::try_from(n & 0xFFFF).unwrap_or(u16::MAX));
    half(n >> 16).mul_add(65536.0, half(n))
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// How rare a gram is that `of` of `rules` rules have.
fn rarity(of: usize, rules: usize) -> f32 {
    let (of, rules) = (float(of), float(rules));
    (1.0 + (rules - of + 0.5) / (of + 0.5)).ln().sqrt()
}

/// What a gram says for a rule, or against it.
fn weighed(odds: f32) -> f32 {
    if odds < 0.0 {
        odds * AGAINST
    } else {
        odds.min(MOST_EVIDENCE)
    }
}

/// What it says against a rule with so many wordings that none of them has a gram which `share` of all rules have.
pub(super) fn absence(wordings: usize, share: f32) -> f32 {
    let chance = DOUBT / 2.0_f32.mul_add(DOUBT, float(wordings));
    weighed((chance / share).ln().min(0.0))
}

impl LikeIndex {
    /// Builds the index of normalised wordings, each with the number of its rule.
    pub fn build<'a>(wordings: impl IntoIterator<Item = (u32, &'a str)>) -> Self {
        let mut drafts: Vec<Draft<'a>> = Vec::new();
        for (place, (rule, text)) in (0..).zip(wordings) {
            drafts.push(Draft {
                rule,
                place,
                text,
                grams: grams(text),
            });
        }
        let mut index = Self::default();
        for draft in &drafts {
            index.text.push_str(draft.text);
            index.ends.push(narrow(index.text.len()));
        }
        drafts.retain(|draft| !draft.grams.is_empty());
        drafts.sort_unstable_by(|a, b| (a.rule, a.text, a.place).cmp(&(b.rule, b.text, b.place)));
        drafts.dedup_by(|later, first| (later.rule, later.text) == (first.rule, first.text));
        index.unknown = rarity(0, drafts.chunk_by(|a, b| a.rule == b.rule).count());
        index.number_rules(&drafts);
        index.number_terms(&drafts);
        index.weigh_wordings(&drafts);
        index.weigh_rules();
        index
    }

    fn number_rules(&mut self, drafts: &[Draft<'_>]) {
        let mut counts: Vec<usize> = Vec::new();
        let mut start = 0;
        for wordings in drafts.chunk_by(|a, b| a.rule == b.rule) {
            let count = wordings.len().min(MOST_COUNTED);
            let class = counts.iter().position(|known| *known == count);
            let class = class.unwrap_or_else(|| {
                counts.push(count);
                counts.len() - 1
            });
            let number = wordings.first().map_or(0, |draft| draft.rule);
            let end = start + narrow(wordings.len());
            self.rules.push(Rule {
                number,
                class,
                wordings: start..end,
            });
            start = end;
        }
        self.counts = counts;
    }

    /// Numbers the grams in their own order, and says which rules have each and how often.
    fn number_terms(&mut self, drafts: &[Draft<'_>]) {
        let mut uses: Vec<(Gram, u32)> = Vec::new();
        for (rule, wordings) in (0..).zip(drafts.chunk_by(|a, b| a.rule == b.rule)) {
            let grams = wordings.iter().flat_map(|draft| &draft.grams);
            uses.extend(grams.map(|gram| (*gram, rule)));
        }
        uses.sort_unstable();
        let rules = self.rules.len();
        let all = float(rules) - 1.0 + UNWRITTEN;
        for uses in uses.chunk_by(|a, b| a.0 == b.0) {
            let Some((gram, _)) = uses.first() else {
                continue;
            };
            let per_rule = || uses.chunk_by(|a, b| a.1 == b.1);
            let shares: usize = per_rule()
                .filter_map(|uses| Some(self.share(uses.first()?.1, uses.len())))
                .sum();
            let unwritten = UNWRITTEN
                * if is_common(*gram) {
                    COMMON_SHARE
                } else {
                    OTHER_SHARE
                };
            let among = |shares: usize| (float(shares) / float(UNIT) + unwritten) / all;
            let share = among(shares);
            let start = narrow(self.postings.len());
            for uses in per_rule() {
                let Some((_, rule)) = uses.first() else {
                    continue;
                };
                let wordings = self.wordings_of(*rule);
                let others = among(shares.saturating_sub(self.share(*rule, uses.len())));
                let chance = (float(uses.len()) + DOUBT) / 2.0_f32.mul_add(DOUBT, float(wordings));
                let absent = absence(wordings.min(MOST_COUNTED), share);
                let evidence = weighed((chance / others).ln()) - absent;
                self.postings.push(Posting {
                    rule: *rule,
                    evidence: evidence * size(*gram),
                    likeness: 0.0,
                    reach: 0.0,
                });
            }
            self.numbers.insert(*gram, narrow(self.terms.len()));
            self.terms.push(Term {
                weight: size(*gram) * rarity(per_rule().count(), rules),
                share,
                postings: start..narrow(self.postings.len()),
            });
        }
    }

    fn wordings_of(&self, rule: u32) -> usize {
        self.rules
            .get(widen(rule))
            .map_or(1, |rule| rule.wordings.len().max(1))
    }

    /// The share of a rule's wordings that `count` are, in [`UNIT`]s.
    fn share(&self, rule: u32, count: usize) -> usize {
        count * UNIT / self.wordings_of(rule)
    }

    fn weigh_wordings(&mut self, drafts: &[Draft<'_>]) {
        for draft in drafts {
            let terms = || draft.grams.iter().filter_map(|gram| self.numbers.get(gram));
            let weights = terms().filter_map(|term| self.terms.get(widen(*term)));
            let length = weights
                .map(|term| term.weight * term.weight)
                .sum::<f32>()
                .sqrt();
            let start = narrow(self.wording_terms.len());
            self.wording_terms.extend(terms());
            self.wordings.push(Wording {
                place: draft.place,
                length,
                terms: start..narrow(self.wording_terms.len()),
            });
        }
    }

    /// Gives each rule the direction in which its wordings point together.
    fn weigh_rules(&mut self) {
        let mut parts: Vec<(u32, f32)> = Vec::new();
        for (number, rule) in (0..).zip(&self.rules) {
            parts.clear();
            for wording in part(&self.wordings, &rule.wordings) {
                let terms = part(&self.wording_terms, &wording.terms);
                let weight =
                    |term: u32| self.terms.get(widen(term)).map_or(0.0, |term| term.weight);
                parts.extend(
                    terms
                        .iter()
                        .map(|term| (*term, weight(*term) / wording.length)),
                );
            }
            parts.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let sums = || {
                parts.chunk_by(|a, b| a.0 == b.0).filter_map(|parts| {
                    let sum: f32 = parts.iter().map(|(_, weight)| weight).sum();
                    parts.last().map(|(term, most)| (*term, sum, *most))
                })
            };
            let length = sums().map(|(_, sum, _)| sum * sum).sum::<f32>().sqrt();
            for (term, sum, most) in sums() {
                let postings = self
                    .terms
                    .get(widen(term))
                    .map_or(0..0, |term| term.postings.clone());
                let postings = self
                    .postings
                    .get_mut(widen(postings.start)..widen(postings.end))
                    .unwrap_or_default();
                let at = postings.binary_search_by_key(&number, |posting| posting.rule);
                if let Some(posting) = at.ok().and_then(|at| postings.get_mut(at)) {
                    posting.likeness = sum / length;
                    posting.reach = most;
                }
            }
        }
    }
}
