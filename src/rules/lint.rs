//! Checks what concerns rules together: the same trigger twice, too many regexes, tests that name others.
//! Owns: E121, and what is under `lint/`: shadowing, texts, keywords. Uses: index, diagnostic. Never: history, accounts' capabilities.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::build::Ids;
use super::diagnostic::{Code, Diagnostic, PER_FILE, Place, Remarks, Words, did_you_mean};
use super::found::MatchKind;
use super::index::{Rule, RuleNumber, RuleSet};
use super::regexes;
use super::source::place_in;
use super::words::Word;
use crate::model::{AccountName, RuleFiles};

mod asked;
mod due;
mod keywords;
mod overruled;
mod proof;
mod said;
mod shadow;
mod twins;
mod unused;

pub(super) use asked::check as check_asked;
pub(super) use due::{check_closings, check_desk_hours, check_over, check_review};
pub(super) use keywords::{check as check_keywords, check_short};
pub(super) use overruled::check as check_overruled;
pub(super) use said::{check as check_said, check_promise};
pub(super) use shadow::check as check_shadows;
pub(super) use twins::check as check_twins;
pub(super) use unused::check as check_unused;

/// A way to trigger a rule; equal ones compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trigger {
    /// The whole text.
    Exact(Word),
    /// A word in it.
    Any(Word),
    /// All words of `all`, numbered.
    All(u32),
    /// A regex, numbered.
    Regex(u32),
    /// A message type or an event, numbered.
    Other(u32),
    /// `like`, numbered: what is similar cannot be proved.
    Like(u32),
}

impl Trigger {
    /// By which key it matches; message types and events only ever meet their own like.
    const fn kind(self) -> MatchKind {
        match self {
            Self::Exact(_) => MatchKind::Exact,
            Self::Regex(_) => MatchKind::Regex,
            Self::All(_) => MatchKind::All,
            Self::Any(_) => MatchKind::Any,
            Self::Other(_) | Self::Like(_) => MatchKind::Event,
        }
    }
}

/// Triggers that are compared by what they say as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Numbered {
    /// All words of `all`.
    All,
    /// A regex.
    Regex,
    /// A message type or an event.
    Other,
}

impl Numbered {
    /// The trigger with this number; equal ones have the same.
    pub(super) const fn trigger(self, number: u32) -> Trigger {
        match self {
            Self::All => Trigger::All(number),
            Self::Regex => Trigger::Regex(number),
            Self::Other => Trigger::Other(number),
        }
    }
}

/// A trigger of a rule and where it stands in the rule's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) trigger: Trigger,
    pub(super) rule: RuleNumber,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Spot {
    /// Bytes of the file.
    fn span(self) -> Range<usize> {
        let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        widen(self.start)..widen(self.end)
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

fn file_of(spot: Spot, set: &RuleSet) -> Arc<str> {
    let name = set
        .rule(spot.rule)
        .and_then(|rule| set.files.get(usize::try_from(rule.file).ok()?));
    name.cloned().unwrap_or_default()
}

fn content<'f>(files: &'f RuleFiles, name: &str) -> &'f [u8] {
    let found = files.0.iter().find(|(path, _)| **path == *name);
    found.map(|(_, bytes)| &**bytes).unwrap_or_default()
}

fn place(spot: Spot, set: &RuleSet, files: &RuleFiles) -> Place {
    let name = file_of(spot, set);
    place_in(&name, content(files, &name), spot.span())
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
