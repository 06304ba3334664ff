//! Proves which triggers can never win.
//! Owns: the proof. Uses: index, words. Never: guesses; what is not proved is not said.
//!
//! A wording can never win when every text it matches is answered by one other rule that stands before it whatever else
//! the text contains. That is proved from what the wording itself contains, so conditions, regexes and similarity of the
//! other rule never count; only what it surely does.

use smallvec::SmallVec;

use super::super::index::{Rule, RuleNumber, RuleSet, Use};
use super::super::spec::Cooling;
use super::super::words::{Hits, Word, of_word};
use super::{Spot, Trigger, accounts};

/// Of the rules that share a word so many are looked at; more than that is a generated set.
pub(super) const COMPARED: usize = 32;
/// Words inside longer wordings are not looked for, in bytes.
const LONGEST: usize = 512;

/// Rules and their triggers.
pub(super) struct Shadows<'s> {
    pub(super) set: &'s RuleSet,
    /// By rule.
    pub(super) spots: &'s [Spot],
    /// By trigger, then the higher priority and the earlier rule.
    pub(super) by_trigger: Vec<Spot>,
}

impl<'s> Shadows<'s> {
    /// For each trigger of one rule the trigger that always beats it, if there is one.
    pub(super) fn beaten(&self, own: &[Spot]) -> Vec<Option<Spot>> {
        let Some(loser) = own.first().and_then(|spot| self.set.rule(spot.rule)) else {
            return vec![None; own.len()];
        };
        let hits: Vec<Hits> = own.iter().map(|spot| self.inside(*spot, loser)).collect();
        let beaten = own.iter().zip(&hits).map(|(spot, inner)| {
            let mut beaters: SmallVec<[(RuleNumber, Spot); 4]> = SmallVec::new();
            for rival in self.rivals(*spot, inner) {
                let winner = rival.rule;
                if winner != spot.rule && self.beats(rival, *spot, loser, own, &hits) {
                    beaters.push((winner, rival));
                }
            }
            self.covers_accounts(&beaters, loser)
                .then(|| beaters.first().map(|(_, rival)| *rival))?
        });
        beaten.collect()
    }

    /// The keywords that are in every text this trigger matches.
    pub(super) fn inside(&self, spot: Spot, rule: &Rule) -> Hits {
        let inside = |word: Word| {
            let text = self.set.words.text(word);
            if text.len() > LONGEST {
                Hits::new()
            } else {
                self.set.words.inside(text)
            }
        };
        match spot.trigger {
            Trigger::Exact(word) | Trigger::Any(word) => inside(word),
            Trigger::All(_) => {
                let all = self.set.group(rule.all).iter().copied();
                let mut hits: Hits = all.flat_map(inside).collect();
                hits.sort_unstable();
                hits
            }
            Trigger::Regex(_) | Trigger::Other(_) | Trigger::Like(_) => Hits::new(),
        }
    }

    /// Triggers of other rules that match wherever this one does.
    fn rivals(&self, spot: Spot, inner: &Hits) -> SmallVec<[Spot; 8]> {
        let mut rivals: SmallVec<[Spot; 8]> = SmallVec::new();
        if let Trigger::Exact(word) = spot.trigger {
            let same = self.set.exact.of(word).iter().take(COMPARED);
            rivals.extend(same.filter_map(|rule| self.spot_of(*rule, |own| own == spot.trigger)));
        }
        for of_one in inner.chunk_by(|a, b| a.word == b.word) {
            let Some(first) = of_one.first() else {
                continue;
            };
            for role in self.set.uses.of(first.word).iter().take(COMPARED) {
                let rival = match role {
                    Use::Any(rule) => self.spot_of(*rule, |own| own == Trigger::Any(first.word)),
                    Use::All(rule) if self.has_all(*rule, inner) => {
                        self.spot_of(*rule, |own| matches!(own, Trigger::All(_)))
                    }
                    Use::All(_) | Use::Regex(_) => None,
                };
                rivals.extend(rival);
            }
        }
        if matches!(spot.trigger, Trigger::Regex(_) | Trigger::Other(_)) {
            rivals.extend(self.same_trigger(spot).iter().copied().take(COMPARED));
        }
        rivals
    }

    fn has_all(&self, rule: RuleNumber, hits: &Hits) -> bool {
        self.set.rule(rule).is_some_and(|rule| {
            let mut words = self.set.group(rule.all).iter();
            words.all(|word| !of_word(hits, *word).is_empty())
        })
    }

    fn of_rule(&self, rule: RuleNumber) -> &'s [Spot] {
        let start = self.spots.partition_point(|spot| spot.rule < rule);
        let end = self.spots.partition_point(|spot| spot.rule <= rule);
        self.spots.get(start..end).unwrap_or_default()
    }

    pub(super) fn spot_of(
        &self,
        rule: RuleNumber,
        is_meant: impl Fn(Trigger) -> bool,
    ) -> Option<Spot> {
        let mut own = self.of_rule(rule).iter().copied();
        own.find(|spot| is_meant(spot.trigger))
    }

    fn same_trigger(&self, spot: Spot) -> &[Spot] {
        let start = self
            .by_trigger
            .partition_point(|other| other.trigger < spot.trigger);
        let end = self
            .by_trigger
            .partition_point(|other| other.trigger <= spot.trigger);
        self.by_trigger.get(start..end).unwrap_or_default()
    }

    /// Whether `rival` answers whatever `spot` matches. Texts that a stronger trigger of the same rule matches too are
    /// that trigger's to prove.
    fn beats(&self, rival: Spot, spot: Spot, loser: &Rule, own: &[Spot], inner: &[Hits]) -> bool {
        let Some(winner) = self.set.rule(rival.rule) else {
            return false;
        };
        if !is_steady(winner)
            || is_always(loser) && !is_always(winner)
            || !self.is_vetoed_only_with(winner, loser, spot)
            || winner.priority < loser.priority
        {
            return false;
        }
        let (ours, theirs) = (rival.trigger.kind(), spot.trigger.kind());
        if winner.priority > loser.priority || ours < theirs {
            return true;
        }
        let covers_as_much = match (rival.trigger, spot.trigger) {
            (Trigger::Any(_), Trigger::Any(_)) => own.iter().zip(inner).all(|(own, hits)| {
                let Trigger::Any(word) = own.trigger else {
                    return true;
                };
                let its = |word: Word| {
                    let uses = self.set.uses.of(word);
                    uses.binary_search(&Use::Any(rival.rule)).is_ok()
                };
                self.covers(word, hits, its)
            }),
            (Trigger::All(_), Trigger::All(_)) => {
                let words = self.set.group(loser.all).iter();
                let its = |word: Word| self.set.group(winner.all).binary_search(&word).is_ok();
                words.copied().all(|word| {
                    let hits = self.set.words.inside(self.set.words.text(word));
                    self.covers(word, &hits, its)
                })
            }
            (Trigger::Regex(_), Trigger::Regex(_)) => {
                let is_regex = |own: &&Spot| matches!(own.trigger, Trigger::Regex(_));
                own.iter().filter(is_regex).count() == 1
            }
            _ => true,
        };
        ours == theirs && rival.rule < spot.rule && covers_as_much
    }

    /// Whether the hits that are `its` leave no part of the word uncovered.
    fn covers(&self, word: Word, hits: &Hits, its: impl Fn(Word) -> bool) -> bool {
        let mut places: SmallVec<[(u32, u32); 8]> = hits
            .iter()
            .filter(|hit| its(hit.word))
            .map(|hit| (hit.start, hit.end))
            .collect();
        places.sort_unstable();
        let mut reached = 0;
        for (start, end) in places {
            if start > reached {
                return false;
            }
            reached = reached.max(end);
        }
        usize::try_from(reached).is_ok_and(|reached| reached == self.set.words.text(word).len())
    }

    /// Whether every text that `spot` matches and that the winner's `none` vetoes is vetoed for the loser too.
    fn is_vetoed_only_with(&self, winner: &Rule, loser: &Rule, spot: Spot) -> bool {
        let text = |word: &Word| self.set.words.text(*word);
        self.set.group(winner.none).iter().all(|veto| {
            let veto = text(veto);
            let is_shared = || {
                let theirs = self.set.group(loser.none).iter();
                theirs.map(text).any(|none| veto.contains(none))
            };
            match spot.trigger {
                Trigger::Exact(word) => !text(&word).contains(veto) || is_shared(),
                Trigger::Other(_) => true,
                Trigger::Any(_) | Trigger::All(_) | Trigger::Regex(_) | Trigger::Like(_) => {
                    is_shared()
                }
            }
        })
    }

    fn covers_accounts(&self, beaters: &[(RuleNumber, Spot)], loser: &Rule) -> bool {
        let mut rules = beaters
            .iter()
            .filter_map(|(number, _)| self.set.rule(*number));
        match accounts(loser, self.set) {
            None => rules.any(|rule| rule.accounts.is_none()),
            Some(names) => {
                let rules: SmallVec<[&Rule; 4]> = rules.collect();
                names
                    .iter()
                    .all(|name| rules.iter().any(|rule| self.set.is_for(rule, name)))
            }
        }
    }
}

/// Whether a rule answers whenever its words are there, at any time and to anybody.
pub(super) fn is_steady(rule: &Rule) -> bool {
    rule.extra.as_ref().is_none_or(|extra| {
        let is_passed_over = extra
            .cooldown
            .as_ref()
            .is_some_and(|cooldown| cooldown.then == Cooling::Next);
        extra.conditions.is_empty() && extra.table.is_none() && !is_passed_over
    })
}

fn is_always(rule: &Rule) -> bool {
    rule.extra.as_ref().is_some_and(|extra| extra.is_always)
}
