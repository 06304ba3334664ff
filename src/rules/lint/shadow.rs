//! Finds rules and wordings that can never win, rules that tie, and keywords inside longer ones of other rules.
//! Owns: what is said about it: W202, W203, W228. Uses: proof. Never: says what is not proved.

use super::super::diagnostic::{Code, Diagnostic, Remarks, Words};
use super::super::index::{Rule, RuleSet, Use};
use super::super::mend;
use super::proof::{COMPARED, Shadows, is_steady};
use super::{Spot, Trigger, content, file_of, overlap, place};
use crate::model::RuleFiles;

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

impl Shadows<'_> {
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
        // Of `all` the place is its first word, of an event its name: without it more than this wording would change.
        let is_one_item = matches!(
            spot.trigger,
            Trigger::Exact(_) | Trigger::Any(_) | Trigger::Regex(_)
        );
        let fix = (claim == Claim::Wording && is_one_item)
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
