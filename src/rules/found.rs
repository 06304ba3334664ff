//! Finds the rules that might answer a question, puts them in their one order, and gives the winner's reply.
//! Owns: the order of candidates, what rules a candidate out. Uses: index, words, normalize, model. Never: the clock, I/O.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};

use smallvec::SmallVec;

use super::index::{EventRules, Rule, RuleNumber, RuleSet, Use, event_words};
use super::like::{MIN_SCORE, Similar, certain};
use super::normalize::normalize;
use super::say::Said;
use super::spec::Cooling;
use super::words::{Hit, Hits, Word, of_word};
use crate::model::{AccountName, Conversation, Event, Time};

/// At most so many candidates are kept.
pub const MOST_CANDIDATES: usize = 10;

/// So many rules are compared by likeness.
const MOST_ALIKE: usize = 5;
/// Rules less like the message than this are no candidates at all.
const WORTH_SHOWING: f32 = 0.2;

/// What is asked of the rules.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// Words, typed or heard.
    Words(&'a str),
    /// A message without words: its kind, as [`Content::kind`](crate::model::Content::kind) names it.
    Kind(&'a str),
    /// Something that happened.
    Event(&'a Event),
}

/// Who asks, and when: what the conditions of rules need to know.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// The account that is asked.
    pub account: &'a AccountName,
    /// When.
    pub now: Time,
    /// What is known of the follower.
    pub conversation: Option<&'a Conversation>,
    /// Whether it is the follower's first visit.
    pub is_first_visit: bool,
}

/// By which key a rule matched; the stronger first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchKind {
    /// The whole text is one of `exact`.
    Exact,
    /// A `regex` matched.
    Regex,
    /// All words of `all` are there.
    All,
    /// One of `any` is there.
    Any,
    /// One of `like` says much the same.
    Like,
    /// The type of message.
    Message,
    /// A scan, also one by which somebody followed the account.
    Scan,
    /// Any other event.
    Event,
}

impl MatchKind {
    /// The word the API uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Regex => "regex",
            Self::All => "all",
            Self::Any => "any",
            Self::Like => "like",
            Self::Message => "message",
            Self::Scan | Self::Event => "event",
        }
    }
}

/// Why one candidate stands before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Higher `priority`.
    Priority,
    /// A stronger kind of match.
    Kind,
    /// More of the text, or of the event's key, is covered.
    Coverage,
    /// A wording that is nearer.
    Likeness,
    /// A key without a star.
    Literal,
    /// File name and line.
    Place,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It answers; the edge is the one over the next candidate, if there is one.
    Won(Option<Edge>),
    /// The winner stands before it.
    Lost(Edge),
    /// A word of its `none` is there.
    Vetoed {
        /// Which word, as the rule set numbers it.
        word: u32,
    },
    /// One of its conditions does not hold.
    Unfit(Unfit),
    /// Its nearest wording is not like the message enough.
    Unlike {
        /// How much it would have to be.
        least: f32,
    },
    /// Another rule is as much like the message: neither answers.
    Close {
        /// Which.
        other: RuleNumber,
    },
}

/// Which condition of a rule does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// None of its `during` is open.
    NotDuring,
    /// One of its `outside` is open.
    NotOutside,
    /// It is not `between` its dates.
    NotBetween,
    /// The follower has none of its tags.
    Tag,
    /// It is for first visits only, or for later ones.
    Visit,
    /// What it captured does not stand in its table.
    NoRow,
    /// It has spoken to this follower a short while ago.
    Cooling {
        /// When it may again.
        until: Time,
    },
}

/// A rule that matched. [`RuleSet::explain`] puts it into words.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub(super) rule: RuleNumber,
    /// The strongest key that matched.
    pub kind: MatchKind,
    /// How many characters of the normalised text, or of the event's key, are covered.
    pub covered: u32,
    /// How much its nearest wording is like the message, 0 to 1; 0 where no wording was compared.
    pub likeness: f32,
    /// What became of it.
    pub verdict: Verdict,
    /// The nearest wording.
    pub(super) wording: u32,
    priority: i32,
    /// Whether the key matched without a star.
    is_literal: bool,
    pub(super) regex: Option<u32>,
    /// The row of its table.
    pub(super) row: Option<u32>,
}

impl Candidate {
    fn new(rule_set: &RuleSet, rule: RuleNumber, kind: MatchKind) -> Self {
        Self {
            rule,
            kind,
            covered: 0,
            likeness: 0.0,
            wording: 0,
            verdict: Verdict::Won(None),
            priority: rule_set.rule(rule).map_or(0, |rule| rule.priority),
            is_literal: false,
            regex: None,
            row: None,
        }
    }

    /// The order of candidates: total, and independent of everything but the rules themselves and the last step.
    fn compare(&self, other: &Self) -> (Ordering, Edge) {
        let steps = [
            (other.priority.cmp(&self.priority), Edge::Priority),
            (self.kind.cmp(&other.kind), Edge::Kind),
            (other.covered.cmp(&self.covered), Edge::Coverage),
            (other.likeness.total_cmp(&self.likeness), Edge::Likeness),
            (other.is_literal.cmp(&self.is_literal), Edge::Literal),
        ];
        let decisive = steps.into_iter().find(|(order, _)| order.is_ne());
        decisive.unwrap_or((self.rule.cmp(&other.rule), Edge::Place))
    }

    /// Whether it cannot answer, whatever the others are.
    fn is_out(&self) -> bool {
        !matches!(self.verdict, Verdict::Won(_) | Verdict::Lost(_))
    }
}

/// What the rules found, and why: the one value that `try`, console, API and log explain.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub(super) normalized: String,
    /// Best first, at most [`MOST_CANDIDATES`]; those that cannot answer last.
    pub candidates: SmallVec<[Candidate; 2]>,
    /// What the winner took out of the question, for placeholders.
    captured: Captured,
}

/// What a rule took out of a question.
#[derive(Clone, Debug, Default)]
pub(super) enum Captured {
    #[default]
    Nothing,
    /// By name: groups of a regex.
    Named(Box<[(Box<str>, Box<str>)]>),
    /// What the stars of a pattern took, in order.
    Stars(Box<[Box<str>]>),
}

impl Found {
    /// The text as it was compared; empty for questions without words.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// What stands for a placeholder that the winner's match fills: `city`, `scene.1`.
    pub fn value(&self, name: &str) -> Option<&str> {
        match &self.captured {
            Captured::Nothing => None,
            Captured::Named(named) => {
                let known = named.iter().find(|(known, _)| **known == *name);
                known.map(|(_, value)| &**value)
            }
            Captured::Stars(taken) => {
                let (_, number) = name.rsplit_once('.')?;
                let place = number.parse::<usize>().ok()?.checked_sub(1)?;
                taken.get(place).map(|taken| &**taken)
            }
        }
    }

    /// Everything that was captured by name.
    pub fn named(&self) -> &[(Box<str>, Box<str>)] {
        match &self.captured {
            Captured::Named(named) => named,
            Captured::Nothing | Captured::Stars(_) => &[],
        }
    }

    /// The candidate that answers.
    pub fn winner(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|first| !first.is_out())
    }
}

impl RuleSet {
    /// Finds who answers a question, and who else might have.
    ///
    /// One pass over the text; the time does not depend on the number of rules, except for regexes that contain no word.
    pub fn find(&self, asking: &Asking<'_>, question: &Question<'_>) -> Found {
        let mut found = Found::default();
        match question {
            Question::Words(text) => {
                found.normalized = normalize(text);
                self.find_words(asking.account, &mut found);
            }
            Question::Kind(kind) => {
                let rules = self.messages.iter().filter(|(known, _)| **known == **kind);
                let candidates =
                    rules.map(|(_, rule)| Candidate::new(self, *rule, MatchKind::Message));
                found.candidates.extend(candidates);
                self.keep_for(asking.account, &mut found);
            }
            Question::Event(event) => self.find_event(asking.account, event, &mut found),
        }
        for candidate in &mut found.candidates {
            if !candidate.is_out()
                && let Some(unfit) = self.unfit(candidate.rule, asking)
            {
                candidate.verdict = Verdict::Unfit(unfit);
            }
        }
        if let Question::Words(_) = question {
            self.find_alike(asking, &mut found);
        }
        self.judge(&mut found);
        self.capture(question, &mut found);
        found
    }

    /// Compares wordings, unless a rule that knows the whole text is not to be beaten by them.
    fn find_alike(&self, asking: &Asking<'_>, found: &mut Found) {
        let is_settled = |known: &Candidate| {
            known.kind == MatchKind::Exact
                && !known.is_out()
                && known.priority >= self.like_priority
        };
        if self.like.is_empty() || found.candidates.iter().any(is_settled) {
            return;
        }
        let text = &*found.normalized;
        let hits = self.words.inside(text);
        let barred: RefCell<SmallVec<[(RuleNumber, Verdict); 2]>> = RefCell::default();
        let is_eligible = |number: RuleNumber| {
            let Some(rule) = self.rule(number) else {
                return false;
            };
            if !self.is_for(rule, asking.account) {
                return false;
            }
            let vetoed = self.veto(rule, &hits);
            let bar = vetoed.or_else(|| self.unfit(number, asking).map(Verdict::Unfit));
            barred.borrow_mut().extend(bar.map(|bar| (number, bar)));
            bar.is_none()
        };
        let alike = self.like.search(text, MOST_ALIKE, &is_eligible);
        let kept_out = self.kept_out(text, &barred.into_inner());
        let least = |rule: RuleNumber| {
            let extra = self.rule(rule).and_then(|rule| rule.extra.as_ref());
            extra.and_then(|extra| extra.min_score).unwrap_or(MIN_SCORE)
        };
        let best = alike.first().map(|best| best.rule);
        let is_certain = best.is_some_and(|best| certain(&alike, least(best)).is_some());
        for (place, similar) in alike.iter().enumerate() {
            let least = least(similar.rule);
            let rival = alike.get(usize::from(place == 0)).map(|rival| rival.rule);
            let verdict = match rival {
                _ if similar.score < least => Verdict::Unlike { least },
                Some(other) if !is_certain => Verdict::Close { other },
                _ => Verdict::Won(None),
            };
            self.add_alike(found, similar, verdict);
        }
        let is_known = |known: &Found, rule| known.candidates.iter().any(|one| one.rule == rule);
        for (similar, bar) in kept_out {
            if !is_known(found, similar.rule) {
                self.add_alike(found, &similar, bar);
            }
        }
    }

    /// Those of the rules that may not answer which are like the message: only to be explained.
    fn kept_out(
        &self,
        text: &str,
        barred: &[(RuleNumber, Verdict)],
    ) -> SmallVec<[(Similar, Verdict); 2]> {
        if barred.is_empty() {
            return SmallVec::new();
        }
        let bar_of = |rule| barred.iter().find(|(barred, _)| *barred == rule);
        let alike = self
            .like
            .search(text, MOST_ALIKE, &|rule| bar_of(rule).is_some());
        let with_bar = alike.iter().filter_map(|similar| {
            let (_, bar) = bar_of(similar.rule)?;
            Some((*similar, *bar))
        });
        with_bar.collect()
    }

    /// Adds a rule that is like the message, unless it is a candidate for a better reason.
    fn add_alike(&self, found: &mut Found, similar: &Similar, verdict: Verdict) {
        let is_known = |known: &Candidate| known.rule == similar.rule && !known.is_out();
        if similar.score >= WORTH_SHOWING && !found.candidates.iter().any(is_known) {
            found.candidates.push(Candidate {
                likeness: similar.score,
                wording: similar.wording,
                verdict,
                ..Candidate::new(self, similar.rule, MatchKind::Like)
            });
        }
    }

    /// That a word of the rule's `none` is there, if one is.
    fn veto(&self, rule: &Rule, hits: &Hits) -> Option<Verdict> {
        let none = self.group(rule.none).iter().copied();
        let mut there = none.filter(|word| !of_word(hits, *word).is_empty());
        there.next().map(|word| Verdict::Vetoed { word })
    }

    /// Which condition of a rule does not hold, if any.
    fn unfit(&self, rule: RuleNumber, asking: &Asking<'_>) -> Option<Unfit> {
        let rule = self.rule(rule)?;
        let extra = rule.extra.as_ref()?;
        let known = asking
            .conversation
            .and_then(|known| known.remembered.as_deref());
        if !extra.conditions.is_empty()
            && let Some(unfit) = self.unmet(&extra.conditions, asking)
        {
            return Some(unfit);
        }
        let cooldown = extra.cooldown.as_ref()?;
        if cooldown.then != Cooling::Next {
            return None;
        }
        let until = known?.spoke_at(&rule.id)?.plus(cooldown.every);
        (asking.now < until).then_some(Unfit::Cooling { until })
    }

    fn keep_for(&self, account: &AccountName, found: &mut Found) {
        found.candidates.retain(|candidate| {
            self.rule(candidate.rule)
                .is_some_and(|rule| self.is_for(rule, account))
        });
    }

    fn find_words(&self, account: &AccountName, found: &mut Found) {
        let text = &*found.normalized;
        if text.is_empty() {
            return;
        }
        let hits = self.words.inside(text);
        let mut matches: SmallVec<[Candidate; 8]> = SmallVec::new();
        if let Some(word) = self.words.find(text) {
            let exact = self.exact.of(word).iter();
            matches.extend(exact.map(|rule| Candidate::new(self, *rule, MatchKind::Exact)));
        }
        let mut regexes: SmallVec<[u32; 8]> = SmallVec::from_slice(&self.always);
        for hits_of_word in hits.chunk_by(|a, b| a.word == b.word) {
            let Some(first) = hits_of_word.first() else {
                continue;
            };
            for role in self.uses.of(first.word) {
                match role {
                    Use::Any(rule) => matches.push(Candidate::new(self, *rule, MatchKind::Any)),
                    Use::All(rule) if self.has_all(*rule, &hits) => {
                        matches.push(Candidate::new(self, *rule, MatchKind::All));
                    }
                    Use::All(_) => {}
                    Use::Regex(regex) => regexes.push(*regex),
                }
            }
        }
        regexes.sort_unstable();
        regexes.dedup();
        matches.extend(
            regexes
                .into_iter()
                .filter_map(|regex| self.try_regex(regex, account, text)),
        );
        // The strongest key of each rule stays; of several regexes the one that covers most, then the first.
        matches.sort_by_key(|found| {
            let strength = (found.is_out(), found.kind, Reverse(found.covered));
            (found.rule, strength, found.regex)
        });
        matches.dedup_by_key(|found| found.rule);
        matches.retain(|candidate| {
            self.rule(candidate.rule)
                .is_some_and(|rule| self.is_for(rule, account))
        });
        for candidate in &mut matches {
            self.measure(candidate, text, &hits);
        }
        found.candidates.extend(matches);
    }

    fn has_all(&self, rule: RuleNumber, hits: &Hits) -> bool {
        self.rule(rule).is_some_and(|rule| {
            self.group(rule.all)
                .iter()
                .all(|word| !of_word(hits, *word).is_empty())
        })
    }

    fn try_regex(&self, number: u32, account: &AccountName, text: &str) -> Option<Candidate> {
        let regex = self.regexes.get(usize::try_from(number).ok()?)?;
        if !self.is_for(self.rule(regex.rule)?, account) {
            return None;
        }
        let matched = regex.regex.find(text)?;
        let mut candidate = Candidate::new(self, regex.rule, MatchKind::Regex);
        candidate.covered = count(matched.as_str());
        candidate.regex = Some(number);
        let extra = self.rule(regex.rule)?.extra.as_ref();
        if let Some(lookup) = extra.and_then(|extra| extra.table.as_ref()) {
            let key = regex.regex.captures(text)?.name(&lookup.key)?.as_str();
            let table = self.tables.get(usize::from(lookup.table))?;
            candidate.row = table.row(&normalize(key));
            if candidate.row.is_none() {
                candidate.verdict = Verdict::Unfit(Unfit::NoRow);
            }
        }
        Some(candidate)
    }

    /// Notes how much of the text a candidate covers, and whether one of its `none` is there.
    fn measure(&self, candidate: &mut Candidate, text: &str, hits: &Hits) {
        let Some(rule) = self.rule(candidate.rule) else {
            return;
        };
        match candidate.kind {
            MatchKind::Exact => candidate.covered = count(text),
            MatchKind::All | MatchKind::Any => {
                let places = self.places(candidate, rule, hits);
                candidate.covered = union(places, text);
            }
            MatchKind::Regex
            | MatchKind::Like
            | MatchKind::Message
            | MatchKind::Scan
            | MatchKind::Event => {}
        }
        if let Some(veto) = self.veto(rule, hits) {
            candidate.verdict = veto;
        }
    }

    /// Where the words by which a candidate matched stand.
    pub(super) fn places(
        &self,
        candidate: &Candidate,
        rule: &Rule,
        hits: &[Hit],
    ) -> SmallVec<[(u32, u32); 8]> {
        let is_its = |word: Word| match candidate.kind {
            MatchKind::All => self.group(rule.all).binary_search(&word).is_ok(),
            MatchKind::Any => self
                .uses
                .of(word)
                .binary_search(&Use::Any(candidate.rule))
                .is_ok(),
            _ => false,
        };
        let mut places: SmallVec<[(u32, u32); 8]> = SmallVec::new();
        for hits_of_word in hits.chunk_by(|a, b| a.word == b.word) {
            if hits_of_word.first().is_some_and(|first| is_its(first.word)) {
                places.extend(hits_of_word.iter().map(|hit| (hit.start, hit.end)));
            }
        }
        places.sort_unstable();
        places
    }

    fn find_event(&self, account: &AccountName, event: &Event, found: &mut Found) {
        let name = event.name.to_ascii_lowercase();
        let words = event_words(event.kind, event.scene().is_some());
        let names = words
            .iter()
            .copied()
            .chain([&*name].into_iter().filter(|name| !words.contains(name)));
        for name in names {
            let Some(rules) = self.events.get(name) else {
                continue;
            };
            let kind = if name == "scan" {
                MatchKind::Scan
            } else {
                MatchKind::Event
            };
            self.match_key(rules, kind, event_key(event), found);
        }
        self.keep_for(account, found);
        found
            .candidates
            .sort_by(|a, b| a.rule.cmp(&b.rule).then_with(|| a.compare(b).0));
        found.candidates.dedup_by_key(|candidate| candidate.rule);
    }

    fn match_key(&self, rules: &EventRules, kind: MatchKind, key: Option<&str>, found: &mut Found) {
        let candidate = |rule: &RuleNumber| Candidate::new(self, *rule, kind);
        found.candidates.extend(rules.plain.iter().map(candidate));
        let Some(key) = key else { return };
        let literal = rules.literal.get(key).into_iter().flatten();
        found.candidates.extend(literal.map(|rule| Candidate {
            covered: count(key),
            is_literal: true,
            ..candidate(rule)
        }));
        let wild = rules
            .wild
            .iter()
            .filter(|(pattern, _)| pattern.captures(key).is_some());
        found
            .candidates
            .extend(wild.map(|(pattern, rule)| Candidate {
                covered: pattern.literals(),
                ..candidate(rule)
            }));
    }

    /// Puts candidates in order and says what became of each.
    fn judge(&self, found: &mut Found) {
        let candidates = &mut found.candidates;
        candidates
            .sort_unstable_by(|a, b| a.is_out().cmp(&b.is_out()).then_with(|| a.compare(b).0));
        candidates.truncate(MOST_CANDIDATES);
        let Some((winner, others)) = candidates.split_first_mut() else {
            return;
        };
        if winner.is_out() {
            return;
        }
        for other in others.iter_mut().filter(|other| !other.is_out()) {
            other.verdict = Verdict::Lost(winner.compare(other).1);
        }
        if let Some(Candidate {
            verdict: Verdict::Lost(edge),
            ..
        }) = others.first()
        {
            winner.verdict = Verdict::Won(Some(*edge));
        }
    }

    /// Takes what the winner's placeholders may want out of what was asked.
    fn capture(&self, question: &Question<'_>, found: &mut Found) {
        let Some(winner) = found.winner() else { return };
        let Some(rule) = self.rule(winner.rule) else {
            return;
        };
        if rule.extra.is_some() || rule.reply.as_ref().is_some_and(Said::has_gaps) {
            found.captured = self.captured(winner, question, &found.normalized);
        }
    }
}

/// The key of an event as patterns see it: of a follow by QR code what follows `qrscene_`.
pub(super) fn event_key(event: &Event) -> Option<&str> {
    event.scene().or(event.key.as_deref())
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// How many characters the places, sorted by start, cover together.
fn union(places: SmallVec<[(u32, u32); 8]>, text: &str) -> u32 {
    let mut covered = 0;
    let mut reached = 0;
    for (start, end) in places {
        let start = start.max(reached);
        if start < end {
            let part = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
            covered += text.get(part).map_or(0, count);
            reached = end;
        }
    }
    covered
}
