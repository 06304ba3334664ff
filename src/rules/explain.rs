//! Puts what was found into words: matched parts of the typed text, verdicts, values for placeholders.
//! Owns: the explanation's text and JSON. Uses: found, index, normalize. Never: decides; it repeats what was decided.

use serde::Serialize;

use super::diagnostic::Words;
use super::found::{
    Candidate, Captured, Edge, Found, MatchKind, Question, Unfit, Verdict, event_key,
};
use super::index::{RuleNumber, RuleSet};
use super::normalize::{Normalized, normalize_with_origins};
use crate::model::Time;

/// A part of the typed text that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// In Unicode scalar values.
    pub start: usize,
    /// Likewise, exclusive.
    pub end: usize,
    /// The part as typed.
    pub text: String,
}

impl Matched {
    /// A part of a typed text, in Unicode scalar values.
    pub(super) fn new(typed: &str, origin: std::ops::Range<usize>) -> Self {
        let part = typed.chars().skip(origin.start).take(origin.len());
        Self {
            start: origin.start,
            end: origin.end,
            text: part.collect(),
        }
    }
}

/// A candidate in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The rule's id.
    pub rule: String,
    /// File and line of the rule.
    pub origin: (String, u32),
    /// By which key it matched.
    pub kind: &'static str,
    /// The share of the normalised text, or of the event's key, that it covers, or how like its nearest wording is, 0 to 1.
    pub score: f64,
    /// Which words matched.
    pub matched: Vec<Matched>,
    /// The wording that is nearest, where wordings were compared.
    pub nearest: Option<String>,
    /// Whether it answers.
    pub has_won: bool,
    /// What became of it.
    pub verdict: Words,
}

impl Serialize for Explained {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Candidate", 6)?;
        fields.serialize_field("rule", &self.rule)?;
        fields.serialize_field("kind", self.kind)?;
        fields.serialize_field("score", &self.score)?;
        fields.serialize_field("matched", &self.matched)?;
        if let Some(nearest) = &self.nearest {
            fields.serialize_field("nearest", nearest)?;
        }
        fields.serialize_field("verdict", &self.verdict.en)?;
        fields.end()
    }
}

impl RuleSet {
    /// Explains what was found for this question at this time, best candidate first.
    pub fn explain(&self, found: &Found, question: &Question<'_>, now: Time) -> Vec<Explained> {
        let (typed, whole) = match question {
            Question::Words(text) => (*text, found.normalized.chars().count()),
            Question::Event(event) => ("", event_key(event).map_or(0, |key| key.chars().count())),
            Question::Kind(_) => ("", 0),
        };
        let normal = normalize_with_origins(typed);
        let winner = found.winner();
        let explained = found.candidates.iter().map(|candidate| {
            let (file, line) = self.origin(candidate.rule);
            Explained {
                rule: self.rule_id(candidate.rule),
                origin: (file.to_owned(), line),
                kind: candidate.kind.word(),
                score: match candidate.kind {
                    MatchKind::Like => rounded(candidate.likeness.into()),
                    _ => share(candidate.covered, whole),
                },
                nearest: (candidate.kind == MatchKind::Like)
                    .then(|| self.like.wording(candidate.wording).to_owned()),
                matched: self.matched(candidate, &normal, typed),
                has_won: matches!(candidate.verdict, Verdict::Won(_)),
                verdict: self.verdict(candidate, winner, found, now),
            }
        });
        explained.collect()
    }

    fn rule_id(&self, rule: RuleNumber) -> String {
        self.rule(rule)
            .map_or_else(String::new, |rule| rule.id.as_str().to_owned())
    }

    fn matched(&self, candidate: &Candidate, normal: &Normalized, typed: &str) -> Vec<Matched> {
        let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let places = match candidate.kind {
            MatchKind::Exact => std::iter::once(0..normal.text.len()).collect(),
            MatchKind::Regex => {
                let regex = candidate
                    .regex
                    .and_then(|number| self.regexes.get(widen(number)));
                regex
                    .and_then(|regex| regex.regex.find(&normal.text))
                    .map(|found| found.range())
                    .into_iter()
                    .collect()
            }
            MatchKind::All | MatchKind::Any => {
                let hits = self.words.inside(&normal.text);
                let rule = self.rule(candidate.rule);
                let places = rule
                    .map(|rule| self.places(candidate, rule, &hits))
                    .unwrap_or_default();
                places
                    .into_iter()
                    .map(|(start, end)| widen(start)..widen(end))
                    .collect()
            }
            MatchKind::Like => self.like.shared(&normal.text, candidate.wording),
            MatchKind::Message | MatchKind::Scan | MatchKind::Event => Vec::new(),
        };
        let origins = places.into_iter().map(|place| normal.origin(place));
        origins.map(|origin| Matched::new(typed, origin)).collect()
    }

    fn verdict(
        &self,
        candidate: &Candidate,
        winner: Option<&Candidate>,
        found: &Found,
        now: Time,
    ) -> Words {
        match candidate.verdict {
            Verdict::Won(None) => Words::new("胜出", "won"),
            Verdict::Won(Some(edge)) => {
                let next = found.candidates.get(1).unwrap_or(candidate);
                let why = self.edge(edge, candidate, next);
                Words::new(format!("胜出:{}", why.zh), format!("won: {}", why.en))
            }
            Verdict::Lost(edge) => {
                let why = self.edge(edge, winner.unwrap_or(candidate), candidate);
                Words::new(format!("没选上:{}", why.zh), format!("lost: {}", why.en))
            }
            Verdict::Vetoed { word } => {
                let word = self.words.text(word);
                Words::new(
                    format!("排除:有「{word}」(none)"),
                    format!("vetoed: contains \"{word}\" (none)"),
                )
            }
            Verdict::Unfit(unfit) => Self::unfit_in_words(unfit, now),
            Verdict::Unlike { least } => {
                let score = rounded(candidate.likeness.into());
                let nearest = self.like.wording(candidate.wording);
                Words::new(
                    format!("不够像:和「{nearest}」是 {score:.2},要 {least:.2}"),
                    format!("not alike enough: {score:.2} to \"{nearest}\", {least:.2} is wanted"),
                )
            }
            Verdict::Close { other } => {
                let other = self.rule_id(other);
                Words::new(
                    format!("拿不准:和 \"{other}\" 差不多像"),
                    format!("not certain: about as alike as \"{other}\""),
                )
            }
        }
    }

    fn unfit_in_words(unfit: Unfit, now: Time) -> Words {
        match unfit {
            Unfit::NotDuring => Words::new(
                "跳过:不在它的时间里(during)",
                "skipped: not during its hours",
            ),
            Unfit::NotOutside => Words::new(
                "跳过:在它避开的时间里(outside)",
                "skipped: inside the hours it avoids",
            ),
            Unfit::NotBetween => Words::new(
                "跳过:不在它的日期里(between)",
                "skipped: not between its dates",
            ),
            Unfit::Tag => Words::new(
                "跳过:粉丝没有它要的标签(followers)",
                "skipped: the follower lacks its tag",
            ),
            Unfit::Visit => Words::new(
                "跳过:第一次来与否不符(followers)",
                "skipped: first visit or not does not fit",
            ),
            Unfit::NoRow => Words::new(
                "跳过:表格里没有这一行(table)",
                "skipped: no such row in its table",
            ),
            Unfit::Cooling { until } => {
                let left = until.since(now).as_secs().div_ceil(60);
                Words::new(
                    format!("跳过:刚说过,还要等 {left} 分钟(cooldown)"),
                    format!("skipped: cooldown, {left} min left"),
                )
            }
        }
    }

    fn edge(&self, edge: Edge, better: &Candidate, worse: &Candidate) -> Words {
        match edge {
            Edge::Priority => {
                let priority = |candidate: &Candidate| {
                    self.rule(candidate.rule).map_or(0, |rule| rule.priority)
                };
                let (high, low) = (priority(better), priority(worse));
                Words::new(
                    format!("优先级 {high} 高于 {low}"),
                    format!("priority {high} beats {low}"),
                )
            }
            Edge::Kind => {
                let (zh, en) = (kind_in_words(better.kind), kind_in_words(worse.kind));
                Words::new(
                    format!("{}先于{}", zh.0, en.0),
                    format!("{} beats {}", zh.1, en.1),
                )
            }
            Edge::Coverage => {
                let (more, less) = (better.covered, worse.covered);
                Words::new(
                    format!("对上 {more} 个字,多于 {less} 个"),
                    format!("covers {more} characters, more than {less}"),
                )
            }
            Edge::Likeness => {
                let (more, less) = (better.likeness, worse.likeness);
                Words::new(
                    format!("更像:{more:.2} 高于 {less:.2}"),
                    format!("more alike: {more:.2} beats {less:.2}"),
                )
            }
            Edge::Literal => Words::new("写明的先于带 * 的", "a key without * beats one with it"),
            Edge::Place => {
                let (file, line) = self.origin(better.rule);
                Words::new(
                    format!("不分胜负,文件靠前的({file}:{line})先"),
                    format!("a tie; the earlier one wins ({file}:{line})"),
                )
            }
        }
    }

    /// What the winner took out of the question, as typed; a group that took no part is empty.
    pub(super) fn captured(
        &self,
        winner: &Candidate,
        question: &Question<'_>,
        normalized: &str,
    ) -> Captured {
        match question {
            Question::Words(typed) => {
                let regex = winner
                    .regex
                    .and_then(|number| self.regexes.get(usize::try_from(number).ok()?));
                let Some((regex, captures)) =
                    regex.and_then(|regex| Some((regex, regex.regex.captures(normalized)?)))
                else {
                    return Captured::Nothing;
                };
                let normal = normalize_with_origins(typed);
                let as_typed = |name: &str| -> Box<str> {
                    let origin = captures
                        .name(name)
                        .map_or(0..0, |group| normal.origin(group.range()));
                    let typed = typed.chars().skip(origin.start).take(origin.len());
                    typed.collect::<String>().into()
                };
                let names = regex.regex.capture_names().flatten();
                let named = names.map(|name| (Box::from(name), as_typed(name)));
                Captured::Named(named.chain(self.looked_up(winner)).collect())
            }
            Question::Event(event) => {
                let key = event_key(event).unwrap_or_default();
                let taken = self.taken_by_stars(winner, key);
                Captured::Stars(taken.into_iter().map(Box::from).collect())
            }
            Question::Kind(_) => Captured::Nothing,
        }
    }

    /// The row of the winner's table, by the names under which replies use it.
    fn looked_up(&self, winner: &Candidate) -> Vec<(Box<str>, Box<str>)> {
        let rule = self.rule(winner.rule).and_then(|rule| rule.extra.as_ref());
        let lookup = rule.and_then(|extra| extra.table.as_ref());
        let table = lookup.and_then(|lookup| self.tables.get(usize::from(lookup.table)));
        let (Some(table), Some(row)) = (table, winner.row) else {
            return Vec::new();
        };
        let cell = |column: &str| {
            let cell = table.field(row, column).unwrap_or_default();
            (format!("table.{column}").into(), cell.into())
        };
        table.columns().map(cell).collect()
    }

    /// What the stars of the winner's pattern took: of several patterns that match, the one with most literal characters.
    fn taken_by_stars<'k>(&self, winner: &Candidate, key: &'k str) -> Vec<&'k str> {
        let wild = self.events.values().flat_map(|rules| &rules.wild);
        let own = wild
            .filter(|(pattern, rule)| *rule == winner.rule && pattern.literals() == winner.covered);
        own.filter_map(|(pattern, _)| pattern.captures(key))
            .next()
            .unwrap_or_default()
    }
}

fn share(covered: u32, whole: usize) -> f64 {
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    if whole == 0 {
        0.0
    } else {
        rounded(f64::from(covered) / f64::from(whole))
    }
}

fn rounded(score: f64) -> f64 {
    (score * 1000.0).round() / 1000.0
}

fn kind_in_words(kind: MatchKind) -> (&'static str, &'static str) {
    match kind {
        MatchKind::Exact => ("完全等于", "exact"),
        MatchKind::Regex => ("正则", "regex"),
        MatchKind::All => ("同时包含", "all"),
        MatchKind::Any => ("包含任一", "any"),
        MatchKind::Like => ("意思相近", "like"),
        MatchKind::Message => ("消息类型", "message type"),
        MatchKind::Scan => ("扫码", "scan"),
        MatchKind::Event => ("其他事件", "other event"),
    }
}
