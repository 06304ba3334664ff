//! Compares what two rule sets make of past messages, each decided at its own time as if it were the follower's first.
//! Owns: what counts as a difference, and how many are shown. Uses: decide, model. Never: where messages come from.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{ActiveRules, Memory, Step, decide, tried};
use crate::model::{AccountName, Content, HookCall, Incoming, Reply, RuleId, Time, TurnKey};

/// The most differences that are shown.
pub const MOST_SAMPLES: usize = 200;
/// The most rules whose counts are shown.
pub const MOST_RULES: usize = 1000;
/// How many different differences are told apart; those that come later are only counted.
const MOST_GROUPS: usize = 2000;
/// The most characters of a message that are shown; messages that begin alike so far count as one.
const TEXT_SHOWN: usize = 200;

/// Two rule sets and what came of comparing them so far.
pub struct Backtest {
    old: Arc<ActiveRules>,
    new: Arc<ActiveRules>,
    compared: Compared,
    groups: HashMap<Group, Sample>,
    rules: HashMap<RuleId, (u64, u64)>,
}

/// What two rule sets make of the same messages.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compared {
    /// How many messages and events were decided.
    pub messages: u64,
    /// How many of them a rule of each set covers.
    pub covered: Both<u64>,
    /// How many are decided differently.
    pub changes: Changes,
    /// What is decided differently, what happened most often first; at most [`MOST_SAMPLES`].
    pub samples: Vec<Sample>,
    /// How often each rule decided, those whose count changed most first; at most [`MOST_RULES`].
    pub rules: Vec<OfRule>,
}

/// The same of the set that runs and of the draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Both<T> {
    /// What runs.
    pub old: T,
    /// The draft.
    pub new: T,
}

/// How many messages are decided differently, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// No rule covered it, one does now.
    pub newly_covered: u64,
    /// A rule covered it, none does now.
    pub no_longer_covered: u64,
    /// Another rule covers it.
    pub another_rule: u64,
    /// The same rule does or says something else.
    pub other_words: u64,
}

/// How a message is decided differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// See [`Changes::newly_covered`].
    NewlyCovered,
    /// See [`Changes::no_longer_covered`].
    NoLongerCovered,
    /// See [`Changes::another_rule`].
    AnotherRule,
    /// See [`Changes::other_words`].
    OtherWords,
}

/// Messages of the same words that are decided differently in the same way.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// How.
    pub change: Change,
    /// How many.
    pub count: u64,
    /// When the last of them came.
    pub last_at: Time,
    /// The account of the first.
    pub account: AccountName,
    /// `text`, `image`, … or `event`.
    pub kind: &'static str,
    /// What the follower said, as people read it.
    pub text: String,
    /// What the first of them leads to.
    pub old: Led,
    /// The same with the draft.
    pub new: Led,
}

/// What a message leads to.
#[derive(Clone, Debug, Serialize)]
pub struct Led {
    /// The decision in one word.
    pub decision: &'static str,
    /// The rule that decides.
    pub rule: Option<RuleId>,
    /// What the follower reads, each an object with the reply's kind as its only key.
    pub replies: Vec<Value>,
    /// What another system would be asked, when that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Value>,
}

/// How often a rule decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfRule {
    /// Which.
    pub rule: RuleId,
    /// With what runs.
    pub old: u64,
    /// With the draft.
    pub new: u64,
}

#[derive(PartialEq, Eq, Hash)]
struct Group {
    change: Change,
    kind: &'static str,
    text: String,
    old: Option<RuleId>,
    new: Option<RuleId>,
}

impl Backtest {
    /// A comparison of what runs with a draft.
    pub fn new(old: Arc<ActiveRules>, new: Arc<ActiveRules>) -> Self {
        Self {
            old,
            new,
            compared: Compared::default(),
            groups: HashMap::new(),
            rules: HashMap::new(),
        }
    }

    /// Decides one message with both sets.
    pub fn take(&mut self, key: TurnKey, account: &AccountName, message: &Incoming, at: Time) {
        let memory = Memory::empty(account.clone(), key);
        let old = Verdict::of(decide(message, &memory, &self.old, at));
        let new = Verdict::of(decide(message, &memory, &self.new, at));
        self.compared.messages += 1;
        if let Some(rule) = &old.rule {
            self.compared.covered.old += 1;
            self.of_rule(rule).0 += 1;
        }
        if let Some(rule) = &new.rule {
            self.compared.covered.new += 1;
            self.of_rule(rule).1 += 1;
        }
        if let Some(change) = change(&old, &new) {
            self.compared.changes.count(change);
            self.show(change, account, &message.content, at, (&old, &new));
        }
    }

    /// What came of it.
    pub fn end(self) -> Compared {
        let mut samples: Vec<Sample> = self.groups.into_values().collect();
        samples.sort_by(|a, b| {
            let place = |sample: &Sample| (Reverse(sample.count), Reverse(sample.last_at));
            place(a).cmp(&place(b)).then_with(|| a.text.cmp(&b.text))
        });
        samples.truncate(MOST_SAMPLES);
        let rules = self.rules.into_iter();
        let mut rules: Vec<OfRule> = rules
            .map(|(rule, (old, new))| OfRule { rule, old, new })
            .collect();
        rules.sort_by(|a, b| {
            let place = |of: &OfRule| (Reverse(of.old.abs_diff(of.new)), Reverse(of.old));
            place(a).cmp(&place(b)).then_with(|| a.rule.cmp(&b.rule))
        });
        rules.truncate(MOST_RULES);
        Compared {
            samples,
            rules,
            ..self.compared
        }
    }

    fn of_rule(&mut self, rule: &RuleId) -> &mut (u64, u64) {
        self.rules.entry(rule.clone()).or_default()
    }

    fn show(
        &mut self,
        change: Change,
        account: &AccountName,
        content: &Content,
        at: Time,
        (old, new): (&Verdict, &Verdict),
    ) {
        let group = Group {
            change,
            kind: content.kind(),
            text: content.shown().chars().take(TEXT_SHOWN).collect(),
            old: old.rule.clone(),
            new: new.rule.clone(),
        };
        if let Some(sample) = self.groups.get_mut(&group) {
            sample.count += 1;
            sample.last_at = sample.last_at.max(at);
        } else if self.groups.len() < MOST_GROUPS {
            let sample = Sample {
                change,
                count: 1,
                last_at: at,
                account: account.clone(),
                kind: group.kind,
                text: group.text.clone(),
                old: old.led(),
                new: new.led(),
            };
            self.groups.insert(group, sample);
        }
    }
}

impl Changes {
    const fn count(&mut self, change: Change) {
        let count = match change {
            Change::NewlyCovered => &mut self.newly_covered,
            Change::NoLongerCovered => &mut self.no_longer_covered,
            Change::AnotherRule => &mut self.another_rule,
            Change::OtherWords => &mut self.other_words,
        };
        *count += 1;
    }
}

/// Where no rule decides, it is the same: people, and lines of the desk's own.
fn change(old: &Verdict, new: &Verdict) -> Option<Change> {
    match (&old.rule, &new.rule) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::NewlyCovered),
        (Some(_), None) => Some(Change::NoLongerCovered),
        (Some(before), Some(after)) if before != after => Some(Change::AnotherRule),
        _ => (old != new).then_some(Change::OtherWords),
    }
}

/// What one set decides.
#[derive(PartialEq, Eq)]
struct Verdict {
    decision: &'static str,
    rule: Option<RuleId>,
    replies: Vec<Reply>,
    call: Option<HookCall>,
}

impl Verdict {
    fn of(step: Step) -> Self {
        match step {
            Step::Done(decision) => Self {
                decision: decision.outcome.word(),
                replies: tried::replies(&decision).cloned().collect(),
                rule: decision.rule,
                call: None,
            },
            Step::Ask(asked) => Self {
                decision: "hook",
                rule: Some(asked.call.rule.clone()),
                replies: Vec::new(),
                call: Some(asked.call),
            },
        }
    }

    fn led(&self) -> Led {
        Led {
            decision: self.decision,
            rule: self.rule.clone(),
            replies: self.replies.iter().map(tried::reply).collect(),
            hook: self.call.as_ref().map(tried::hook),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OpenId, RuleFiles};
    use crate::rules::{Asked, Options, compile};

    fn set(text: &str) -> Arc<ActiveRules> {
        let files = RuleFiles(vec![("10.toml".to_owned(), text.to_owned().into())]);
        let set = compile(&files, &Options::default()).rules;
        Arc::new(ActiveRules {
            set: set.expect("the rules are good"),
            revision: None,
        })
    }

    fn rule(id: &str, any: &str, reply: &str) -> String {
        format!("[[rule]]\nid = \"{id}\"\nany = [\"{any}\"]\nreply = \"{reply}\"\n")
    }

    fn compared(old: &str, new: &str, said: &[&str]) -> Compared {
        let mut test = Backtest::new(set(old), set(new));
        let follower = OpenId::parse("oLi").unwrap();
        let account = AccountName::parse("shop").unwrap();
        for (n, text) in (0..).zip(said) {
            let message = super::super::inline::incoming(&Asked::Say(text), &follower);
            let key = TurnKey::of_text(&n.to_string());
            test.take(key, &account, &message, Time::from_seconds(n));
        }
        test.end()
    }

    #[test]
    fn each_kind_of_difference_is_counted_and_shown_with_both_answers() {
        let old = [
            rule("hours", "几点", "九点"),
            rule("gone", "退货", "七天"),
            rule("price", "多少钱", "十元"),
            rule("same", "地址", "人民路"),
        ]
        .concat();
        let new = [
            rule("hours", "几点", "八点"),
            rule("fresh", "发票", "可以开"),
            rule("cost", "多少钱", "十元"),
            rule("same", "地址", "人民路"),
        ]
        .concat();
        let said = ["几点", "几点", "退货", "多少钱", "地址", "发票", "天气"];
        let compared = compared(&old, &new, &said);
        assert_eq!(compared.messages, 7);
        assert_eq!(compared.covered, Both { old: 5, new: 5 });
        let changes = Changes {
            newly_covered: 1,
            no_longer_covered: 1,
            another_rule: 1,
            other_words: 2,
        };
        assert_eq!(compared.changes, changes);
        let first = compared.samples.first().unwrap();
        assert_eq!((first.change, first.count), (Change::OtherWords, 2));
        assert_eq!((first.text.as_str(), first.last_at.seconds()), ("几点", 1));
        assert_eq!(first.old.replies, [serde_json::json!({"text": "九点"})]);
        assert_eq!(first.new.replies, [serde_json::json!({"text": "八点"})]);
        let gone = compared.samples.iter().find(|sample| sample.text == "退货");
        let gone = gone.unwrap();
        assert_eq!(gone.new.rule, None);
        assert_eq!(
            (gone.old.decision, gone.new.decision),
            ("reply", "escalate")
        );
        let counts: Vec<_> = compared
            .rules
            .iter()
            .map(|of| (of.rule.as_str(), of.old, of.new))
            .collect();
        assert_eq!(
            counts,
            [
                ("gone", 1, 0),
                ("price", 1, 0),
                ("cost", 0, 1),
                ("fresh", 0, 1),
                ("hours", 2, 2),
                ("same", 1, 1)
            ]
        );
    }

    #[test]
    fn everything_is_counted_but_only_so_much_is_shown() {
        let new = rule("all", "号", "好");
        let said: Vec<String> = (0..MOST_GROUPS + 50).map(|n| format!("{n}号")).collect();
        let said: Vec<&str> = said.iter().map(String::as_str).chain(["7号"]).collect();
        let compared = compared(&rule("none", "无", "无"), &new, &said);
        let count = u64::try_from(said.len()).unwrap();
        assert_eq!(compared.changes.newly_covered, count);
        assert_eq!(compared.samples.len(), MOST_SAMPLES);
        let first = compared.samples.first().unwrap();
        assert_eq!((first.text.as_str(), first.count), ("7号", 2));
    }
}
