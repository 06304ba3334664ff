//! Finds rules and wordings that can never win, rules that tie, and keywords inside longer ones of other rules.
//! Owns: W202, W203, W228, and the proof behind W202. Uses: index, words. Never: guesses; what is not proved is not said.
//!
//! A wording can never win when every text it matches is answered by one other rule that stands before it whatever else
//! the text contains. That is proved from what the wording itself contains, so conditions, regexes and similarity of the
//! other rule never count; only what it surely does.

use smallvec::SmallVec;

use super::super::diagnostic::{Code, Diagnostic, Remarks, Words};
use super::super::index::{Rule, RuleNumber, RuleSet, Use};
use super::super::mend;
use super::super::spec::Cooling;
use super::super::words::{Hits, Word, of_word};
use super::{Spot, Trigger, accounts, content, file_of, overlap, place};
use crate::model::RuleFiles;

/// Of the rules that share a word so many are looked at; more than that is a generated set.
const COMPARED: usize = 32;
/// Words inside longer wordings are not looked for, in bytes.
const LONGEST: usize = 512;

/// Compares rules whose triggers meet. `spots` are in the order of rules.
pub(in crate::rules) fn check(
    spots: &[Spot],
    set: &RuleSet,
    files: &RuleFiles,
    remarks: &mut Remarks,
) {
    let mut by_trigger = spots.to_vec();
    by_trigger.sort_unstable_by_key(|spot| {
        let priority = set.rule(spot.rule).map_or(0, |rule| rule.priority);
        (
            spot.trigger,
            std::cmp::Reverse(priority),
            spot.rule,
            spot.start,
        )
    });
    let rules = Shadows {
        set,
        spots,
        by_trigger,
    };
    let mut lost: Vec<Spot> = Vec::new();
    for own in spots.chunk_by(|a, b| a.rule == b.rule) {
        let beaten = rules.beaten(own);
        let is_whole = beaten.iter().all(Option::is_some) && !own.is_empty();
        for (spot, beater) in own.iter().zip(&beaten) {
            let Some(beater) = beater else { continue };
            lost.push(*spot);
            let is_first = own.first() == Some(spot);
            if !is_whole || is_first {
                let others = beaten.iter().flatten();
                let is_alone = others.clone().all(|other| other.rule == beater.rule);
                let claim = match (is_whole, is_alone) {
                    (false, _) => Claim::Wording,
                    (true, true) => Claim::Rule,
                    (true, false) => Claim::RuleByMany,
                };
                rules.report_loss(*spot, *beater, claim, files, remarks);
            }
        }
        if !is_whole {
            rules.report_contained(own, files, remarks);
        }
    }
    lost.sort_unstable();
    rules.report_ties(&lost, files, remarks);
}

/// How much of a rule can never win.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// One wording.
    Wording,
    /// All of it, because of one other rule.
    Rule,
    /// All of it, because of several.
    RuleByMany,
}

struct Shadows<'s> {
    set: &'s RuleSet,
    /// By rule.
    spots: &'s [Spot],
    /// By trigger, then the higher priority and the earlier rule.
    by_trigger: Vec<Spot>,
}

impl<'s> Shadows<'s> {
    /// For each trigger of one rule the trigger that always beats it, if there is one.
    fn beaten(&self, own: &[Spot]) -> Vec<Option<Spot>> {
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
    fn inside(&self, spot: Spot, rule: &Rule) -> Hits {
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

    fn spot_of(&self, rule: RuleNumber, is_meant: impl Fn(Trigger) -> bool) -> Option<Spot> {
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

    fn report_loss(
        &self,
        spot: Spot,
        beater: Spot,
        claim: Claim,
        files: &RuleFiles,
        remarks: &mut Remarks,
    ) {
        let Some(file) = remarks.room_in(file_of(spot, self.set), Code::NeverWins) else {
            return;
        };
        let (first, second) = (self.id(beater), self.id(spot));
        let why = self.why(beater, spot);
        let words = match claim {
            Claim::Wording => Words::new(
                format!("规则 \"{second}\" 的这个说法永远轮不到:\"{first}\" 先答"),
                format!(
                    "this wording of rule \"{second}\" can never win: \"{first}\" answers first"
                ),
            ),
            Claim::Rule => Words::new(
                format!("规则 \"{second}\" 永远轮不到:\"{first}\" 先答"),
                format!("rule \"{second}\" can never win: \"{first}\" answers first"),
            ),
            Claim::RuleByMany => Words::new(
                format!("规则 \"{second}\" 永远轮不到:\"{first}\" 和别的规则先答"),
                format!("rule \"{second}\" can never win: \"{first}\" and others answer first"),
            ),
        };
        let fix = (claim == Claim::Wording)
            .then(|| std::str::from_utf8(content(files, &file)).ok())
            .flatten()
            .and_then(|text| mend::remove_item((&file, text), spot.span()));
        let diagnostic = Diagnostic::new(Code::NeverWins, place(spot, self.set, files), words)
            .caret(why)
            .label(place(beater, self.set, files), here(first))
            .help(remedy())
            .fix(fix);
        remarks.push(diagnostic);
    }

    /// By which step of the order the first trigger stands before the second.
    fn why(&self, first: Spot, second: Spot) -> Words {
        let priority = |spot: Spot| self.set.rule(spot.rule).map_or(0, |rule| rule.priority);
        let (high, low) = (priority(first), priority(second));
        let (strong, weak) = (first.trigger.kind().word(), second.trigger.kind().word());
        if high > low {
            Words::new(
                format!("priority {high} 高于 {low}"),
                format!("priority {high} over {low}"),
            )
        } else if strong == weak {
            Words::new("同样的触发,排在前面的先答", "same kind, earlier place")
        } else {
            Words::new(
                format!("{strong} 先于 {weak}"),
                format!("{strong} before {weak}"),
            )
        }
    }

    /// Same trigger, same priority, different replies: only the place in the files decides.
    fn report_ties(&self, lost: &[Spot], files: &RuleFiles, remarks: &mut Remarks) {
        for rivals in self.by_trigger.chunk_by(|a, b| a.trigger == b.trigger) {
            for (at, later) in rivals.iter().enumerate().skip(1) {
                if lost.binary_search(later).is_ok() || matches!(later.trigger, Trigger::Exact(_)) {
                    continue;
                }
                let earlier = rivals.get(..at).unwrap_or_default();
                let tied = earlier.iter().rev().take(COMPARED);
                let Some(earlier) = tied.copied().find(|earlier| self.is_tie(*earlier, *later))
                else {
                    continue;
                };
                if remarks
                    .room_in(file_of(*later, self.set), Code::Tie)
                    .is_none()
                {
                    continue;
                }
                let (first, second) = (self.id(earlier), self.id(*later));
                let words = Words::new(
                    format!(
                        "规则 \"{first}\" 和 \"{second}\" 触发条件一样、回复不同,只能按文件先后决定"
                    ),
                    format!(
                        "rules \"{first}\" and \"{second}\" have the same trigger and different replies; only their place decides"
                    ),
                );
                let diagnostic = Diagnostic::new(Code::Tie, place(*later, self.set, files), words)
                    .label(place(earlier, self.set, files), here(first))
                    .help(remedy());
                remarks.push(diagnostic);
            }
        }
    }

    fn is_tie(&self, earlier: Spot, later: Spot) -> bool {
        earlier.rule != later.rule
            && self.pair(earlier, later).is_some_and(|(first, second)| {
                first.priority == second.priority && self.are_rivals(first, second)
            })
    }

    fn pair(&self, first: Spot, second: Spot) -> Option<(&Rule, &Rule)> {
        Some((self.set.rule(first.rule)?, self.set.rule(second.rule)?))
    }

    /// Whether both speak at the same time and on the same account, and say different things.
    fn are_rivals(&self, first: &Rule, second: &Rule) -> bool {
        is_steady(first)
            && is_steady(second)
            && !says_the_same(first, second)
            && overlap(first, second, self.set)
    }

    /// A keyword of another rule inside a keyword of this one: the longer one wins, which is often meant, and not always.
    fn report_contained(&self, own: &[Spot], files: &RuleFiles, remarks: &mut Remarks) {
        for spot in own {
            let Trigger::Any(word) = spot.trigger else {
                continue;
            };
            let Some(rule) = self.set.rule(spot.rule) else {
                continue;
            };
            let shorter = self.inside(*spot, rule).into_iter().find_map(|hit| {
                let uses = self.set.uses.of(hit.word).iter().take(COMPARED);
                let mut others = uses.filter_map(|role| match role {
                    Use::Any(other) if *other != spot.rule && hit.word != word => {
                        self.spot_of(*other, |own| own == Trigger::Any(hit.word))
                    }
                    _ => None,
                });
                let other = others.find(|other| {
                    self.pair(*other, *spot).is_some_and(|(first, second)| {
                        first.priority == second.priority && self.are_rivals(first, second)
                    })
                });
                other.map(|other| (hit.word, other))
            });
            let Some((short, other)) = shorter else {
                continue;
            };
            if remarks
                .room_in(file_of(*spot, self.set), Code::Contained)
                .is_none()
            {
                return;
            }
            let (short, long) = (self.set.words.text(short), self.set.words.text(word));
            let (first, second) = (self.id(other), self.id(*spot));
            let words = Words::new(
                format!(
                    "「{long}」里有 \"{first}\" 的「{short}」,两条规则回答不同:长的先答,由 \"{second}\" 回"
                ),
                format!(
                    "\"{long}\" contains \"{short}\" of \"{first}\", which answers differently: the longer one wins, \"{second}\" answers"
                ),
            );
            let diagnostic = Diagnostic::new(Code::Contained, place(*spot, self.set, files), words)
                .label(place(other, self.set, files), here(first));
            remarks.push(diagnostic);
        }
    }

    fn id(&self, spot: Spot) -> &str {
        self.set.rule(spot.rule).map_or("", |rule| rule.id.as_str())
    }
}

/// Whether a rule answers whenever its words are there, at any time and to anybody.
fn is_steady(rule: &Rule) -> bool {
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

fn says_the_same(first: &Rule, second: &Rule) -> bool {
    match (&first.extra, &second.extra) {
        (None, None) => first.reply == second.reply,
        _ => false,
    }
}

fn here(id: &str) -> Words {
    Words::new(format!("\"{id}\" 在这里"), format!("\"{id}\" is here"))
}

fn remedy() -> Words {
    Words::new(
        "去掉一个,合并,或给一条更高的 priority",
        "remove one, merge them, or give one a higher priority",
    )
}
