//! Proves imported rules before they are written: they compile with the rest, and answer what they should.
//! Owns: which rule gets a test, and what is said of words that another rule answers. Uses: rules, decide. Never: writes.

use anyhow::Context as _;

use super::landing::Landing;
use crate::cli::check;
use crate::decide::tried::tried;
use crate::decide::{ActiveRules, Memory, decide, inline};
use crate::model::{AccountName, OpenId, RuleFiles, TurnKey};
use crate::rules::diagnostic::{Words, render};
use crate::rules::import::{Draft, DraftRule};
use crate::rules::{Asked, Code, Compiled, Diagnostic, Lang, Options, Severity, compile};

/// Compiles the draft with the rules that are there, gives each rule that answers one of its own words a test, and says
/// which words another rule answers. Gives what is wrong, ready to print, when the file must not be written.
pub(super) fn prove(
    draft: &mut Draft,
    landing: &Landing,
    lang: Lang,
) -> anyhow::Result<Result<(), String>> {
    let options = landing.directory().map(check::known).transpose()?;
    let options = options.unwrap_or_default();
    let (files, set) = match tested(draft, landing, &options)? {
        Ok(good) => good,
        Err((files, errors)) => return Ok(Err(in_words(&files, &errors, landing, lang))),
    };
    // Without any rule in force there is nothing to ask.
    let Some(set) = set else {
        return Ok(Ok(()));
    };
    drop(files);
    let rules = ActiveRules {
        set,
        revision: None,
    };
    let usual = rules.set.usual_account();
    // A test is asked on the first of a rule's accounts.
    let shared = draft.accounts.iter().min().cloned();
    for rule in draft
        .rules
        .iter_mut()
        .filter(|rule| rule.is_written() && rule.is_enabled)
    {
        let named = rule.accounts.iter().min().or(shared.as_ref());
        let account = named
            .map(|name| AccountName::parse(name.as_str()))
            .transpose()?;
        question(rule, &account.unwrap_or_else(|| usual.clone()), &rules)?;
    }
    Ok(match tested(draft, landing, &options)? {
        Ok(_) => Ok(()),
        Err((files, errors)) => Err(in_words(&files, &errors, landing, lang)),
    })
}

/// The files with the draft among them, and the set they make; or what is wrong with it.
type Tested = Result<(RuleFiles, Option<crate::rules::RuleSet>), (RuleFiles, Vec<Diagnostic>)>;

fn tested(draft: &Draft, landing: &Landing, options: &Options) -> anyhow::Result<Tested> {
    let files = landing.files_with(draft.to_toml())?;
    let Compiled {
        rules, diagnostics, ..
    } = compile(&files, options);
    let mut errors: Vec<Diagnostic> = diagnostics.into_iter().filter(is_error).collect();
    // Rules that are all switched off are a matter of the whole directory, not of this file.
    if errors.iter().all(|error| error.code == Code::NoRules) && rules.is_none() {
        return Ok(Ok((files, None)));
    }
    let set = rules.map(|set| ActiveRules {
        set,
        revision: None,
    });
    if let Some(rules) = &set {
        errors.extend(inline::run_tests(rules).into_iter().filter(is_error));
    }
    Ok(if errors.is_empty() {
        Ok((files, set.map(|rules| rules.set)))
    } else {
        Err((files, errors))
    })
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity() == Severity::Error
}

fn in_words(files: &RuleFiles, errors: &[Diagnostic], landing: &Landing, lang: Lang) -> String {
    render(errors, files, &landing.root(), lang, false)
        .trim_end()
        .to_owned()
}

/// Asks every word of a rule; the first that the rule answers becomes its test.
fn question(
    rule: &mut DraftRule,
    account: &AccountName,
    rules: &ActiveRules,
) -> anyhow::Result<()> {
    let follower = OpenId::parse("import").context("a legal openid")?;
    let asked: Vec<Asked<'_>> = match rule.event {
        Some(name) => vec![Asked::Event { name, key: None }],
        None => rule.questions().map(Asked::Say).collect(),
    };
    // As tests beside rules are.
    let when = rules.set.test_time();
    let mut proof = None;
    let mut lost = Vec::new();
    for asked in &asked {
        let message = inline::incoming(asked, &follower);
        let memory = Memory::empty(account.clone(), TurnKey::of_text(&asked.to_string()));
        let step = decide(&message, &memory, rules, when);
        let winner = tried(&step, &message, &rules.set, when).rule;
        let words = match asked {
            Asked::Say(words) => words,
            Asked::Event { name, .. } => name,
            Asked::Message(kind) => kind,
        };
        if winner.as_deref() == Some(&*rule.id) {
            proof.get_or_insert_with(|| (*words).to_owned());
        } else {
            lost.push(Words::new(
                format!(
                    "「{words}」会由规则 {} 回答",
                    winner.as_deref().unwrap_or("(没有)")
                ),
                format!(
                    "\"{words}\" is answered by rule {}",
                    winner.as_deref().unwrap_or("(none)")
                ),
            ));
        }
    }
    rule.proof = proof;
    rule.losses.extend(lost);
    Ok(())
}
