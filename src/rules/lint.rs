//! Checks what concerns rules together: the same trigger twice, too many regexes, tests that name others.
//! Owns: W202 (can never win), W203 (tie), E121. Uses: index, diagnostic. Never: history, accounts' capabilities.

use std::collections::HashMap;

use super::build::Ids;
use super::diagnostic::{Code, Diagnostic, PER_FILE, Place, Remarks, Words, did_you_mean};
use super::index::{Rule, RuleNumber, RuleSet};
use super::regexes;
use super::source::place_in;
use super::words::Word;
use crate::model::{AccountName, RuleFiles};

/// Among so many rules with the same trigger the better one is looked for.
const COMPARED: usize = 32;

/// A way to trigger a rule; equal ones compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trigger {
    /// The whole text.
    Exact(Word),
    /// A word in it.
    Any(Word),
    /// `all`, a regex, a message type or an event, numbered.
    Other(u32),
}

/// A trigger of a rule and where it stands in the rule's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) trigger: Trigger,
    pub(super) rule: RuleNumber,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Compares rules that share a trigger.
pub(super) fn check(mut spots: Vec<Spot>, set: &RuleSet, files: &RuleFiles, remarks: &mut Remarks) {
    spots.sort_unstable_by_key(|spot| {
        let priority = set.rule(spot.rule).map_or(0, |rule| rule.priority);
        (
            spot.trigger,
            std::cmp::Reverse(priority),
            spot.rule,
            spot.start,
        )
    });
    for rivals in spots.chunk_by(|a, b| a.trigger == b.trigger) {
        for (place, later) in rivals.iter().enumerate().skip(1) {
            let earlier = rivals.get(..place).unwrap_or_default();
            let found = earlier
                .iter()
                .take(COMPARED)
                .find_map(|earlier| compare(earlier, later, set));
            if let Some((code, earlier)) = found {
                remarks.push(remark(code, earlier, *later, set, files));
            }
        }
    }
}

fn compare(earlier: &Spot, later: &Spot, set: &RuleSet) -> Option<(Code, Spot)> {
    if earlier.rule == later.rule {
        return None;
    }
    let (first, second) = (set.rule(earlier.rule)?, set.rule(later.rule)?);
    if let Trigger::Exact(word) = earlier.trigger {
        let is_vetoed = set
            .group(first.none)
            .iter()
            .any(|none| set.words.text(word).contains(set.words.text(*none)));
        return (covers(first, second, set) && !is_vetoed).then_some((Code::NeverWins, *earlier));
    }
    let is_tie = first.priority == second.priority
        && first.reply != second.reply
        && overlap(first, second, set);
    is_tie.then_some((Code::Tie, *earlier))
}

/// Whether the first rule speaks wherever the second does.
fn covers(first: &Rule, second: &Rule, set: &RuleSet) -> bool {
    match (accounts(first, set), accounts(second, set)) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(first), Some(second)) => second.iter().all(|account| first.contains(account)),
    }
}

fn overlap(first: &Rule, second: &Rule, set: &RuleSet) -> bool {
    match (accounts(first, set), accounts(second, set)) {
        (Some(first), Some(second)) => second.iter().any(|account| first.contains(account)),
        _ => true,
    }
}

fn accounts<'s>(rule: &Rule, set: &'s RuleSet) -> Option<&'s [AccountName]> {
    let group = usize::try_from(rule.accounts?).ok()?;
    set.accounts.get(group).map(|group| &**group)
}

fn remark(code: Code, earlier: Spot, later: Spot, set: &RuleSet, files: &RuleFiles) -> Diagnostic {
    let id = |spot: Spot| set.rule(spot.rule).map_or("", |rule| rule.id.as_str());
    let (first, second) = (id(earlier), id(later));
    let (place, other) = (place(later, set, files), place(earlier, set, files));
    let words = if code == Code::NeverWins {
        Words::new(
            format!("规则 \"{second}\" 的这个说法永远轮不到:\"{first}\" 已经有了"),
            format!("this wording of rule \"{second}\" can never win: \"{first}\" has it already"),
        )
    } else {
        Words::new(
            format!("规则 \"{first}\" 和 \"{second}\" 触发条件一样、回复不同,只能按文件先后决定"),
            format!(
                "rules \"{first}\" and \"{second}\" have the same trigger and different replies; only their place decides"
            ),
        )
    };
    Diagnostic::new(code, place, words)
        .label(
            other,
            Words::new(
                format!("\"{first}\" 在这里"),
                format!("\"{first}\" is here"),
            ),
        )
        .help(Words::new(
            "去掉一个,合并,或给一条更高的 priority",
            "remove one, merge them, or give one a higher priority",
        ))
}

fn place(spot: Spot, set: &RuleSet, files: &RuleFiles) -> Place {
    let name = set
        .rule(spot.rule)
        .and_then(|rule| set.files.get(usize::try_from(rule.file).ok()?));
    let name = name.cloned().unwrap_or_default();
    let bytes = files
        .0
        .iter()
        .find(|(path, _)| **path == *name)
        .map(|(_, bytes)| &**bytes);
    let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    place_in(
        &name,
        bytes.unwrap_or_default(),
        widen(spot.start)..widen(spot.end),
    )
}

/// Regexes cost time one by one, so an account may have only so many.
pub(super) fn check_regex_count(set: &RuleSet, remarks: &mut Remarks) {
    if set.regexes.len() <= regexes::PER_ACCOUNT {
        return;
    }
    let (mut of_all, mut of_one): (usize, HashMap<&AccountName, usize>) = (0, HashMap::new());
    for regex in &set.regexes {
        let Some(rule) = set.rule(regex.rule) else {
            continue;
        };
        match rule.accounts.and_then(|group| {
            set.accounts
                .get(usize::try_from(group).unwrap_or(usize::MAX))
        }) {
            Some(accounts) => accounts
                .iter()
                .for_each(|account| *of_one.entry(account).or_default() += 1),
            None => of_all += 1,
        }
        let most = of_all + of_one.values().max().copied().unwrap_or(0);
        if most > regexes::PER_ACCOUNT {
            let (file, line) = set.origin(regex.rule);
            let place = Place {
                file: file.into(),
                span: 0..0,
                line,
                column: 1,
            };
            let limit = regexes::PER_ACCOUNT;
            let words = Words::new(
                format!("一个公众号最多 {limit} 条正则"),
                format!("an account may have at most {limit} regexes"),
            );
            let help = Words::new(
                "能用 any、all 的改用它们,又快又不限数量",
                "use any or all where they do; they are unlimited",
            );
            remarks.push(Diagnostic::new(Code::TooMany, place, words).help(help));
            return;
        }
    }
}

/// Tests may expect rules that are further down, so names are checked at the end.
pub(super) fn check_expectations(set: &RuleSet, ids: &Ids, remarks: &mut Remarks) {
    for test in set.inline_tests() {
        let named = [test.expect, test.expect_not].into_iter().flatten();
        for id in named.filter(|id| !id.is_empty() && !ids.contains_key(*id)) {
            let words = Words::new(
                format!("测试说到的规则 \"{id}\" 不存在"),
                format!("there is no rule \"{id}\""),
            );
            let mut diagnostic = Diagnostic::new(Code::BadValue, test.place.clone(), words);
            // In a set of a hundred thousand the search is worth it for the few that are shown only.
            if remarks.errors() < PER_FILE
                && let Some(meant) = did_you_mean(id, ids.keys().map(|id| &**id))
            {
                diagnostic = diagnostic.help(Words::new(
                    format!("是不是 \"{meant}\"?"),
                    format!("did you mean \"{meant}\"?"),
                ));
            }
            remarks.push(diagnostic);
        }
    }
}

/// Tests may name accounts that the configuration does not have.
pub(super) fn check_test_accounts(set: &RuleSet, known: &[AccountName], remarks: &mut Remarks) {
    let named = set.inline_tests().filter(|test| test.is_account_named);
    for test in named.filter(|test| !known.contains(&test.account)) {
        let account = &test.account;
        let words = Words::new(
            format!("没有公众号 \"{account}\""),
            format!("there is no account \"{account}\""),
        );
        remarks.push(Diagnostic::new(
            Code::UnknownAccount,
            test.place.clone(),
            words,
        ));
    }
}
