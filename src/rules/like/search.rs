//! Scores the rules nearest to a message.
//! Owns: points, score, certainty, their constants. Uses: the index. Never: scores a rule that cannot be among the best.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use smallvec::SmallVec;

use super::build::absence;
use super::symbols::{grams, size};
use super::{LikeIndex, MARGIN, Rule, Wording, part};

/// How much of an unknown gram's weight a message is longer by.
pub(super) const UNKNOWN: f32 = 0.75;
/// Evidence is divided by the message's size to this power: grams of one message repeat each other.
const SIZE_POWER: f32 = 0.4;
/// Points for a likeness of 1.
const LIKENESS: f32 = 25.0;
/// A message smaller than this, counted in symbols, earns a smaller part of them: one character looks like much.
const WHOLE: f32 = 3.0;
/// What the likeness to the nearest wording counts beside that to all wordings together.
const NEAREST: f32 = 0.9;
/// How much of the runner-up's points is taken off.
const DAMPING: f32 = 0.4;
/// Points that score one half, and how many more make the odds e times as good.
const EVEN: f32 = 14.5;
const STEP: f32 = 4.0;
/// Points of a wording that says the same: more than any other can have.
const IDENTICAL: f32 = 1e6;
/// What sums of floats may be off by.
const ROUNDING: f32 = 1e-4;

/// A rule that is like a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The rule.
    pub rule: u32,
    /// How certain it is that the rule is meant, 0 to 1; 1 where a wording says the same as the message.
    pub score: f32,
    /// The place of the nearest wording, in the order they were given.
    pub wording: u32,
    /// How much that wording looks like the message, 0 to 1.
    pub likeness: f32,
}

/// The first of `found`, which are in order, where it is certain: its score is `min_score` or more, and far enough ahead
/// of the next rule.
pub fn certain(found: &[Similar], min_score: f32) -> Option<&Similar> {
    let best = found.first()?;
    let next = found.get(1).map_or(0.0, |next| next.score);
    (best.score >= min_score && best.score - next >= MARGIN).then_some(best)
}

/// A message's grams.
struct Message {
    /// Those that wordings have, in order, and their weights.
    known: Vec<(u32, f32)>,
    /// The length of its vector.
    length: f32,
    /// By what evidence is divided.
    divisor: f32,
    /// The points for a likeness of 1.
    likeness: f32,
    /// The evidence that all known grams are against a rule without them, by [`Rule::class`].
    absent: SmallVec<[f32; 8]>,
}

/// What the message's grams add up to for one rule.
#[derive(Clone, Copy, Default)]
struct Sums {
    evidence: f32,
    likeness: f32,
    reach: f32,
}

/// A rule before its wordings are looked at.
struct Hopeful {
    /// More points than this it cannot have.
    bound: f32,
    rule: usize,
}

/// A rule and its points.
struct Scored {
    points: f32,
    rule: u32,
    wording: u32,
    likeness: f32,
}

impl LikeIndex {
    /// The rules most like a normalised message, best first, at most `most`. Rules that are not eligible neither answer
    /// nor make another less certain.
    pub fn search(
        &self,
        message: &str,
        most: usize,
        is_eligible: &dyn Fn(u32) -> bool,
    ) -> SmallVec<[Similar; 4]> {
        if most == 0 || self.is_empty() {
            return SmallVec::new();
        }
        let message = self.message(message);
        let sums = self.add_up(&message);
        let mut hopefuls = self.hopefuls(&message, &sums);
        let mut best: SmallVec<[Scored; 5]> = SmallVec::new();
        while let Some(hopeful) = hopefuls.pop() {
            // One more than is asked for: the first has a runner-up even where only one is asked for.
            if best.len() > most && best.last().is_some_and(|last| last.points > hopeful.bound) {
                break;
            }
            let (Some(rule), Some(sums)) = (self.rules.get(hopeful.rule), sums.get(hopeful.rule))
            else {
                continue;
            };
            if is_eligible(rule.number) {
                best.push(self.score(&message, rule, *sums));
                best.sort_by(order);
                best.truncate(most.saturating_add(1));
            }
        }
        let first = best.first().map_or(0.0, |first| first.points);
        let second = best.get(1).map_or(0.0, |second| second.points);
        best.truncate(most);
        best.iter()
            .zip(std::iter::once(second).chain(std::iter::repeat(first)))
            .map(|(scored, other)| scored.similar(other))
            .collect()
    }

    fn message(&self, text: &str) -> Message {
        let grams = grams(text);
        let mut known = Vec::with_capacity(grams.len());
        let (mut square, mut all) = (0.0, 0.0);
        let mut absent: SmallVec<[f32; 8]> = SmallVec::from_elem(0.0, self.counts.len());
        for gram in grams {
            let size = size(gram);
            all += size;
            let number = self.numbers.get(&gram);
            let Some((number, term)) =
                number.and_then(|n| Some((*n, self.terms.get(super::widen(*n))?)))
            else {
                square += (size * self.unknown * UNKNOWN).powi(2);
                continue;
            };
            square += term.weight.powi(2);
            known.push((number, term.weight));
            for (sum, wordings) in absent.iter_mut().zip(&self.counts) {
                *sum += size * absence(*wordings, term.share);
            }
        }
        Message {
            known,
            length: square.sqrt(),
            divisor: all.max(1.0).powf(SIZE_POWER),
            likeness: LIKENESS * (all / WHOLE).min(1.0),
            absent,
        }
    }

    fn add_up(&self, message: &Message) -> Vec<Sums> {
        let mut sums = vec![Sums::default(); self.rules.len()];
        for (term, weight) in &message.known {
            let Some(term) = self.terms.get(super::widen(*term)) else {
                continue;
            };
            for posting in part(&self.postings, &term.postings) {
                if let Some(sums) = sums.get_mut(super::widen(posting.rule)) {
                    sums.evidence += posting.evidence;
                    sums.likeness += weight * posting.likeness;
                    sums.reach += weight * posting.reach;
                }
            }
        }
        sums
    }

    fn hopefuls(&self, message: &Message, sums: &[Sums]) -> BinaryHeap<Hopeful> {
        let touched = self.rules.iter().zip(sums).enumerate();
        let touched = touched.filter(|(_, (_, sums))| sums.likeness > 0.0);
        let hopefuls = touched.map(|(place, (rule, sums))| {
            let nearest = (sums.reach / message.length + ROUNDING).min(1.0);
            Hopeful {
                bound: message.points(rule, *sums, nearest) + ROUNDING,
                rule: place,
            }
        });
        hopefuls.collect()
    }

    fn score(&self, message: &Message, rule: &Rule, sums: Sums) -> Scored {
        let mut nearest: Option<(f32, u32)> = None;
        for wording in part(&self.wordings, &rule.wordings) {
            let likeness = self.likeness(message, wording);
            if nearest.is_none_or(|(most, place)| {
                likeness > most || (likeness >= most && wording.place < place)
            }) {
                nearest = Some((likeness, wording.place));
            }
        }
        let (likeness, wording) = nearest.unwrap_or_default();
        Scored {
            points: message.points(rule, sums, likeness),
            rule: rule.number,
            wording,
            likeness,
        }
    }

    /// The cosine of a message and a wording.
    fn likeness(&self, message: &Message, wording: &Wording) -> f32 {
        let mut known = message.known.iter().peekable();
        let mut sum = 0.0;
        for term in part(&self.wording_terms, &wording.terms) {
            while known.next_if(|(other, _)| other < term).is_some() {}
            if let Some((_, weight)) = known.next_if(|(other, _)| other == term) {
                sum += weight * weight;
            }
        }
        (sum / (message.length * wording.length)).clamp(0.0, 1.0)
    }
}

impl Message {
    fn points(&self, rule: &Rule, sums: Sums, nearest: f32) -> f32 {
        if nearest > 1.0 - ROUNDING {
            return IDENTICAL;
        }
        let absent = self.absent.get(rule.class).copied().unwrap_or_default();
        let together = sums.likeness / self.length;
        (absent + sums.evidence) / self.divisor + self.likeness * together.max(NEAREST * nearest)
    }
}

impl Scored {
    fn similar(&self, other: f32) -> Similar {
        let points = DAMPING.mul_add(-other.max(0.0), self.points);
        let score = if self.points >= IDENTICAL {
            1.0
        } else {
            1.0 / (1.0 + ((EVEN - points) / STEP).exp())
        };
        Similar {
            rule: self.rule,
            score,
            wording: self.wording,
            likeness: self.likeness,
        }
    }
}

/// More points first, then the earlier rule.
fn order(one: &Scored, other: &Scored) -> Ordering {
    other
        .points
        .total_cmp(&one.points)
        .then(one.rule.cmp(&other.rule))
}

impl PartialEq for Hopeful {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Hopeful {}

impl PartialOrd for Hopeful {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hopeful {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bound
            .total_cmp(&other.bound)
            .then(other.rule.cmp(&self.rule))
    }
}
