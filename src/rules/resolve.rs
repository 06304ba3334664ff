//! Settles what rules and tests say of other rules, when all have been read.
//! Owns: `use_reply_of`, the rules that tests name, tests without a time. Uses: index, gaps, script. Never: reads TOML.

use std::collections::{HashMap, HashSet};

use super::build::Ids;
use super::diagnostic::{Code, Diagnostic, PER_FILE, Place, Remarks, Words, did_you_mean};
use super::extra::Pointed;
use super::index::{Rule, RuleNumber, RuleSet};
use super::script::{Script, ScriptTurn, Written};
use super::spec::Extra;
use crate::model::{AccountName, Time};

/// What waits until all rules are known.
#[derive(Default)]
pub(super) struct Pending {
    pointed: Vec<(RuleNumber, Pointed)>,
    /// Placeholders of rules' replies, of those that have any.
    used: HashMap<RuleNumber, Box<[Box<str>]>>,
    scripts: Vec<PendingScript>,
}

struct PendingScript {
    rule: Option<RuleNumber>,
    account: Option<AccountName>,
    name: Box<str>,
    place: Place,
    at: Option<Time>,
    tags: Box<[Box<str>]>,
    turns: Box<[ScriptTurn]>,
}

impl Pending {
    /// Notes what a rule says of another, and what its replies want to know.
    pub(super) fn note(
        &mut self,
        rule: RuleNumber,
        pointed: Option<Pointed>,
        used: Box<[Box<str>]>,
    ) {
        self.pointed.extend(pointed.map(|pointed| (rule, pointed)));
        if !used.is_empty() {
            self.used.insert(rule, used);
        }
    }

    /// Notes a test that is a conversation; `rule` is the one it stands beside.
    pub(super) fn script(
        &mut self,
        rule: Option<RuleNumber>,
        account: Option<AccountName>,
        place: Place,
        test: &Written<'_>,
    ) {
        let (name, turns) = test.script(&place);
        self.scripts.push(PendingScript {
            rule,
            account,
            name,
            place,
            at: test.at,
            tags: test.tags.clone().into(),
            turns,
        });
    }

    /// How many conversations there are.
    pub(super) const fn scripts(&self) -> usize {
        self.scripts.len()
    }

    /// Puts everything into the set, reporting what cannot be.
    pub(super) fn finish(self, set: &mut RuleSet, ids: &Ids, remarks: &mut Remarks) {
        point(set, ids, self.pointed, &self.used, remarks);
        let scripts = self.scripts.into_iter();
        set.scripts = scripts.map(|script| script.settled(set)).collect();
        check_scripts(set, ids, remarks);
        check_times(set, remarks);
    }
}

impl PendingScript {
    fn settled(self, set: &RuleSet) -> Script {
        let rule = self.rule.and_then(|rule| set.rule(rule));
        let group = rule.and_then(|rule| usize::try_from(rule.accounts?).ok());
        let first = group.and_then(|group| set.accounts.get(group)?.first().cloned());
        Script {
            name: self.name,
            place: self.place,
            account: self
                .account
                .or(first)
                .unwrap_or_else(|| set.usual_account()),
            at: self.at,
            tags: self.tags,
            turns: self.turns,
        }
    }
}

/// Lets rules say what others say.
fn point(
    set: &mut RuleSet,
    ids: &Ids,
    pointed: Vec<(RuleNumber, Pointed)>,
    used: &HashMap<RuleNumber, Box<[Box<str>]>>,
    remarks: &mut Remarks,
) {
    if pointed.is_empty() {
        return;
    }
    let numbered = set.rules.iter().zip(0..);
    let wanted: HashSet<&str> = pointed.iter().map(|(_, pointed)| &*pointed.id).collect();
    let targets: HashMap<Box<str>, RuleNumber> = numbered
        .filter(|(rule, _)| wanted.contains(rule.id.as_str()))
        .map(|(rule, number)| (rule.id.as_str().into(), number))
        .collect();
    let pointing: HashSet<RuleNumber> = pointed.iter().map(|(rule, _)| *rule).collect();
    for (rule, pointed) in pointed {
        let Some(target) = targets.get(&pointed.id).copied() else {
            if let Some(diagnostic) = absent(&pointed, ids, remarks) {
                remarks.push(diagnostic);
            }
            continue;
        };
        if let Some(words) = unfit(set, rule, target, &pointing) {
            remarks.push(Diagnostic::new(Code::UnknownRule, pointed.place, words));
            continue;
        }
        let wanted = used.get(&target).into_iter().flatten();
        for name in wanted.filter(|name| !pointed.names.has(name)) {
            let words = Words::new(
                format!(
                    "\"{}\" 的回复要用 {{{name}}},这条规则没有这个变量",
                    pointed.id
                ),
                format!(
                    "the reply of \"{}\" needs {{{name}}}, which this rule does not give",
                    pointed.id
                ),
            );
            let place = pointed.place.clone();
            remarks.push(Diagnostic::new(Code::UnknownPlaceholder, place, words));
        }
        let place = usize::try_from(rule).unwrap_or(usize::MAX);
        let extra = set
            .rules
            .get_mut(place)
            .and_then(|rule| rule.extra.as_mut());
        if let Some(extra) = extra {
            extra.replies_of = Some(target);
        }
    }
}

/// What to say of a rule that is not in force. Nothing where it is there and has errors of its own.
fn absent(pointed: &Pointed, ids: &Ids, remarks: &Remarks) -> Option<Diagnostic> {
    if !ids.contains_key(&*pointed.id) {
        return Some(unknown_rule(
            &pointed.id,
            pointed.place.clone(),
            ids,
            remarks,
        ));
    }
    let words = Words::new(
        format!("规则 \"{}\" 停用了,没有回复可用", pointed.id),
        format!(
            "rule \"{}\" is switched off; it has no replies to use",
            pointed.id
        ),
    );
    let diagnostic = Diagnostic::new(Code::UnknownRule, pointed.place.clone(), words);
    (remarks.errors() == 0).then_some(diagnostic)
}

/// Why a rule cannot use the replies of another.
fn unfit(
    set: &RuleSet,
    rule: RuleNumber,
    target: RuleNumber,
    pointing: &HashSet<RuleNumber>,
) -> Option<Words> {
    if rule == target {
        return Some(Words::new(
            "不能用自己的回复",
            "a rule cannot use its own replies",
        ));
    }
    if pointing.contains(&target) {
        return Some(Words::new(
            "那条规则自己也是用别人的回复,直接写最后那条",
            "that rule uses another's replies itself; name the last one",
        ));
    }
    let target = set.rule(target)?;
    if !says_something(target) {
        return Some(Words::new(
            "那条规则自己没有回复",
            "that rule has no replies of its own",
        ));
    }
    let rule = set.rule(rule)?;
    (!is_heard_everywhere(set, rule, target)).then(|| {
        Words::new(
            "那条规则只在几个公众号上有回复,这条在别的公众号上就没有话说",
            "that rule has replies on some accounts only; on others this one has nothing to say",
        )
    })
}

/// Whether a rule with the replies of another does something on every account on which it listens.
fn is_heard_everywhere(set: &RuleSet, rule: &Rule, target: &Rule) -> bool {
    let acts = |extra: &Extra| {
        let has_answer = extra.hook.as_ref().is_some_and(|hook| hook.reply.is_some());
        extra.handoff.is_some() || has_answer
    };
    let own = rule.extra.as_deref();
    let lent = target.extra.as_deref();
    if own.is_some_and(acts)
        || target.reply.is_some()
        || lent.is_some_and(|lent| lent.wording.is_some())
    {
        return true;
    }
    let group = rule.accounts.and_then(|group| usize::try_from(group).ok());
    let Some(accounts) = group.and_then(|group| set.accounts.get(group)) else {
        return false;
    };
    let wordings = [own, lent].into_iter().flatten();
    let named: Vec<&AccountName> = wordings
        .flat_map(|extra| &extra.per_account)
        .map(|(name, _)| name)
        .collect();
    accounts.iter().all(|account| named.contains(&account))
}

fn says_something(rule: &Rule) -> bool {
    let extra = rule.extra.as_deref();
    rule.reply.is_some()
        || extra.is_some_and(|extra| extra.wording.is_some() || !extra.per_account.is_empty())
}

fn unknown_rule(id: &str, place: Place, ids: &Ids, remarks: &Remarks) -> Diagnostic {
    let words = Words::new(
        format!("没有规则 \"{id}\""),
        format!("there is no rule \"{id}\""),
    );
    let diagnostic = Diagnostic::new(Code::UnknownRule, place, words);
    // In a set of a hundred thousand the search is worth it for the few that are shown only.
    if remarks.errors() >= PER_FILE {
        return diagnostic;
    }
    match did_you_mean(id, ids.keys().map(|id| &**id)) {
        Some(meant) => diagnostic.help(Words::new(
            format!("是不是 \"{meant}\"?"),
            format!("did you mean \"{meant}\"?"),
        )),
        None => diagnostic,
    }
}

/// Tests may expect rules that are further down, so names are checked at the end.
fn check_scripts(set: &RuleSet, ids: &Ids, remarks: &mut Remarks) {
    let turns = set.scripts.iter().flat_map(|script| &script.turns);
    for turn in turns {
        for id in [&turn.expect, &turn.expect_not].into_iter().flatten() {
            if !id.is_empty() && !ids.contains_key(&**id) {
                let diagnostic = unknown_rule(id, turn.place.clone(), ids, remarks);
                remarks.push(diagnostic);
            }
        }
    }
}

/// What depends on the time can only be tested at one.
fn check_times(set: &RuleSet, remarks: &mut Remarks) {
    let is_timed = |rule: &&Rule| {
        let extra = rule.extra.as_deref();
        extra.is_some_and(|extra| extra.conditions.are_timed())
    };
    let timed: HashSet<&str> = set
        .rules
        .iter()
        .filter(is_timed)
        .map(|rule| rule.id.as_str())
        .collect();
    if timed.is_empty() {
        return;
    }
    for test in set.inline_tests().filter(|test| test.at.is_none()) {
        let mut named = [Some(test.rule.as_str()), test.expect, test.expect_not].into_iter();
        if let Some(id) = named.find_map(|id| id.filter(|id| timed.contains(id))) {
            remarks.push(without_time(id, test.place));
        }
    }
    for script in set.scripts.iter().filter(|script| script.at.is_none()) {
        let mut named = script
            .turns
            .iter()
            .flat_map(|turn| [&turn.expect, &turn.expect_not])
            .flatten();
        if let Some(id) = named.find(|id| timed.contains(&***id)) {
            remarks.push(without_time(id, script.place.clone()));
        }
    }
}

fn without_time(id: &str, place: Place) -> Diagnostic {
    let words = Words::new(
        format!("规则 \"{id}\" 看时间,测试要写 `at`"),
        format!("rule \"{id}\" depends on the time, so the test needs `at`"),
    );
    Diagnostic::new(Code::BadValue, place, words).help(Words::new(
        "像 at = \"2026-11-20T20:30\"",
        "such as at = \"2026-11-20T20:30\"",
    ))
}
