//! Asks every message of the corpora and counts right and wrong answers.
//! Owns: the measuring protocol, its figures and targets. Uses: corpus, the index. Never: reads a file.

use std::fmt;

use wxreply::rules::like::{LikeIndex, MIN_SCORE, certain};

use crate::corpus::{Corpus, Line};

pub(crate) const TARGETS: &str = "top-1 ≥ 0.84, top-3 ≥ 0.94, cov95-far ≥ 0.60, cov98-far ≥ 0.45; at the shipped threshold precision ≥ 0.97, coverage ≥ 0.50, near answered ≤ 0.05";

/// What one set of rules does.
pub(crate) struct Figures {
    rules: usize,
    wordings: u32,
    /// Messages whose best rule is right, and those with the right one among the best three.
    first: f64,
    among_three: f64,
    /// The share of messages answered rightly at the lowest threshold at which 95 % or 98 % of answers are right. `far`: in
    /// a mix with as many messages of noise; `all`: and those that lie near the rules.
    far_95: f64,
    far_98: f64,
    all_95: f64,
    /// With the shipped threshold: right among answers in the mix with noise, right among messages, and what was answered
    /// of the messages that none should answer.
    precision: f64,
    coverage: f64,
    near: f64,
    noise: f64,
}

/// What became of one message.
struct Asked {
    /// Of the best rule; 0 of none.
    score: f32,
    is_certain: bool,
    /// The place of the right rule among the best three.
    place: Option<usize>,
}

impl Asked {
    const fn is_right(&self) -> bool {
        matches!(self.place, Some(0))
    }
}

struct Rules<'a> {
    intents: Vec<&'a str>,
    index: LikeIndex,
}

impl<'a> Rules<'a> {
    fn new(lines: &[&'a Line], wordings: u32) -> Self {
        let mut intents: Vec<&str> = lines.iter().map(|line| line.intent.as_str()).collect();
        intents.sort_unstable();
        intents.dedup();
        let given = lines
            .iter()
            .filter(|line| line.rank.is_some_and(|rank| rank <= wordings));
        let given = given.map(|line| (number(&intents, &line.intent), line.text.as_str()));
        let index = LikeIndex::build(given);
        Self { intents, index }
    }

    fn ask(&self, text: &str, intent: Option<&str>) -> Asked {
        let found = self.index.search(text, 3, &|_| true);
        let right = intent.map(|intent| number(&self.intents, intent));
        Asked {
            score: found.first().map_or(0.0, |best| best.score),
            is_certain: certain(&found, MIN_SCORE).is_some(),
            place: found.iter().position(|similar| Some(similar.rule) == right),
        }
    }
}

fn number(intents: &[&str], intent: &str) -> u32 {
    intents
        .binary_search(&intent)
        .expect("an intent of the rules") as u32
}

fn share(all: &[Asked], is_counted: impl Fn(&Asked) -> bool) -> f64 {
    all.iter().filter(|asked| is_counted(asked)).count() as f64 / all.len().max(1) as f64
}

impl Figures {
    pub(crate) fn measure(corpus: &Corpus, wordings: u32, is_small: bool) -> Self {
        let lines = corpus
            .lines
            .iter()
            .filter(|line| line.is_covered && (line.is_small || !is_small));
        let lines: Vec<&Line> = lines.collect();
        let rules = Rules::new(&lines, wordings);
        let messages = lines.iter().filter(|line| line.rank.is_none());
        let covered: Vec<Asked> = messages
            .map(|line| rules.ask(&line.text, Some(&line.intent)))
            .collect();
        let near = corpus
            .lines
            .iter()
            .filter(|line| !line.is_covered && line.rank.is_none());
        let near: Vec<Asked> = near.map(|line| rules.ask(&line.text, None)).collect();
        let noise: Vec<Asked> = corpus
            .noise
            .iter()
            .map(|text| rules.ask(text, None))
            .collect();

        // All noise is asked and counts as if it were as many messages as the covered ones.
        let weight = covered.len() as f64 / noise.len() as f64;
        let answered =
            share(&covered, |asked| asked.is_certain) + share(&noise, |asked| asked.is_certain);
        let coverage = share(&covered, |asked| asked.is_certain && asked.is_right());
        let far = |least| best_coverage(least, &[(&covered, 1.0), (&noise, weight)]);
        Self {
            rules: rules.intents.len(),
            wordings,
            first: share(&covered, Asked::is_right),
            among_three: share(&covered, |asked| asked.place.is_some()),
            far_95: far(0.95),
            far_98: far(0.98),
            all_95: best_coverage(0.95, &[(&covered, 1.0), (&noise, weight), (&near, 1.0)]),
            precision: coverage / answered,
            coverage,
            near: share(&near, |asked| asked.is_certain),
            noise: share(&noise, |asked| asked.is_certain),
        }
    }
}

/// The share of the first group answered rightly at the lowest threshold at which `least` of all answers are right.
fn best_coverage(least: f64, groups: &[(&[Asked], f64)]) -> f64 {
    let mut all: Vec<(f32, f64, bool)> = Vec::new();
    for (asked, weight) in groups {
        all.extend(
            asked
                .iter()
                .map(|asked| (asked.score, *weight, asked.is_right())),
        );
    }
    all.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
    let (mut right, mut answers, mut best) = (0.0, 0.0, 0.0);
    for same in all.chunk_by(|one, other| one.0.to_bits() == other.0.to_bits()) {
        for (_, weight, is_right) in same {
            answers += weight;
            right += if *is_right { 1.0 } else { 0.0 };
        }
        if same[0].0 > 0.0 && right / answers >= least {
            best = right;
        }
    }
    best / groups[0].0.len() as f64
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | 1 + {} ", self.rules, self.wordings)?;
        for share in [
            self.first,
            self.among_three,
            self.far_95,
            self.far_98,
            self.all_95,
            self.precision,
            self.coverage,
            self.near,
            self.noise,
        ] {
            write!(f, "| {share:.3} ")?;
        }
        write!(f, "|")
    }
}

/// For sanity: pairs of texts, one as the only wording of the only rule, the other as the message.
pub(crate) fn paraphrases(corpus: &Corpus) -> String {
    let mut scores: [Vec<f32>; 2] = [Vec::new(), Vec::new()];
    for (is_same, wording, message) in &corpus.pairs {
        let found = LikeIndex::build([(0, wording.as_str())]).search(message, 1, &|_| true);
        scores[usize::from(*is_same)].push(found.first().map_or(0.0, |best| best.score));
    }
    let [different, same] = scores;
    let above = |scores: &[f32]| {
        scores.iter().filter(|score| **score >= MIN_SCORE).count() as f64
            / scores.len().max(1) as f64
    };
    format!(
        "Pairs of texts, one rule with one wording: {:.3} of those that mean the same are answered, {:.3} of the others.",
        above(&same),
        above(&different)
    )
}
