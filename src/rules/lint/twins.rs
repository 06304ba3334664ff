//! Finds rules that say the same, and event keys that differ in case only.
//! Owns: W223, W227. Uses: index. Never: what a rule listens to in words.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use super::super::diagnostic::{Code, Diagnostic, Remarks, Words};
use super::super::index::{RuleNumber, RuleSet};
use super::super::say::Said;
use super::{Spot, file_of, place};
use crate::model::RuleFiles;

/// Shorter replies («好的») are the same by chance, in characters.
const SHORTEST: usize = 10;

/// Compares rules. `spots` are in the order of rules.
pub(in crate::rules) fn check(
    spots: &[Spot],
    set: &RuleSet,
    files: &RuleFiles,
    remarks: &mut Remarks,
) {
    let twins = Twins { spots, set, files };
    twins.same_replies(remarks);
    twins.keys_by_case(remarks);
}

struct Twins<'s> {
    spots: &'s [Spot],
    set: &'s RuleSet,
    files: &'s RuleFiles,
}

impl Twins<'_> {
    /// Two rules that say the same word for word under the same conditions could be one.
    fn same_replies(&self, remarks: &mut Remarks) {
        let mut first: HashMap<(&str, i32, Option<u32>), RuleNumber> = HashMap::new();
        for (number, rule) in (0..).zip(&self.set.rules) {
            let Some(Said::Text(text)) = &rule.reply else {
                continue;
            };
            let is_plain = rule.extra.is_none() && self.set.group(rule.none).is_empty();
            if !is_plain || text.chars().take(SHORTEST).count() < SHORTEST {
                continue;
            }
            match first.entry((text, rule.priority, rule.accounts)) {
                Entry::Vacant(entry) => drop(entry.insert(number)),
                Entry::Occupied(entry) => self.report(
                    (Code::SameReply, *entry.get(), number),
                    |first, second| {
                        Words::new(
                            format!("规则 \"{second}\" 和 \"{first}\" 的回复一字不差,可以合成一条"),
                            format!("rule \"{second}\" says word for word what \"{first}\" says; they could be one"),
                        )
                    },
                    remarks,
                ),
            }
        }
    }

    /// Keys of menus and codes are compared letter by letter; two that differ in case only are seldom both meant.
    fn keys_by_case(&self, remarks: &mut Remarks) {
        for rules in self.set.events.values() {
            let mut by_letters: BTreeMap<String, Vec<(&str, RuleNumber)>> = BTreeMap::new();
            for (key, numbers) in &rules.literal {
                if let Some(number) = numbers.first() {
                    let group = by_letters.entry(key.to_lowercase()).or_default();
                    group.push((key, *number));
                }
            }
            for mut group in by_letters.into_values() {
                group.sort_by_key(|(_, number)| *number);
                let [(one, first), (other, second), ..] = group[..] else {
                    continue;
                };
                if first == second {
                    continue;
                }
                self.report(
                    (Code::CaseOnly, first, second),
                    |first, _| {
                        Words::new(
                            format!("\"{other}\" 和 \"{first}\" 的 \"{one}\" 只有大小写不同,微信分大小写"),
                            format!("\"{other}\" differs from \"{one}\" of \"{first}\" in case only; WeChat tells them apart"),
                        )
                    },
                    remarks,
                );
            }
        }
    }

    fn report(
        &self,
        (code, first, second): (Code, RuleNumber, RuleNumber),
        words: impl Fn(&str, &str) -> Words,
        remarks: &mut Remarks,
    ) {
        let (Some(here), Some(there)) = (self.spot(second), self.spot(first)) else {
            return;
        };
        if remarks.room_in(file_of(here, self.set), code).is_none() {
            return;
        }
        let id = |number| self.set.rule(number).map_or("", |rule| rule.id.as_str());
        let label = Words::new(
            format!("\"{}\" 在这里", id(first)),
            format!("\"{}\" is here", id(first)),
        );
        let diagnostic = Diagnostic::new(
            code,
            place(here, self.set, self.files),
            words(id(first), id(second)),
        );
        remarks.push(diagnostic.label(place(there, self.set, self.files), label));
    }

    fn spot(&self, rule: RuleNumber) -> Option<Spot> {
        let at = self.spots.partition_point(|spot| spot.rule < rule);
        self.spots.get(at).filter(|spot| spot.rule == rule).copied()
    }
}
