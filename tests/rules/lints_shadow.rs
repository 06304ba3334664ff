//! Holds what is said about rules that can never win against every short text.

use proptest::prelude::*;
use wxreply::rules::{Code, Compiled, MatchKind, Options, Question, RuleSet, compile};

use super::properties::{Small, small};
use super::{account, codes, files, find, rule};

/// Every text over the alphabet of [`small`] with up to so many characters.
const LONGEST: usize = 6;

fn texts() -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..LONGEST {
        last = last
            .iter()
            .flat_map(|text| ["a", "b", "退"].map(|next| format!("{text}{next}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all.retain(|text| !text.is_empty());
    all
}

/// A remark that something can never win: the rule, and the key and word if it is about one wording only.
struct Claim {
    rule: String,
    wording: Option<(String, String)>,
}

fn claims(text: &str, compiled: &Compiled) -> Vec<Claim> {
    let remarks = compiled.diagnostics.iter();
    remarks
        .filter(|one| one.code == Code::NeverWins)
        .map(|one| {
            let rule = one.message.en.split('"').nth(1).unwrap().to_owned();
            let line = usize::try_from(one.place.line).unwrap();
            let line = text.lines().nth(line - 1).unwrap();
            let key = line.split('=').next().unwrap().trim().to_owned();
            let word = text[one.place.span.clone()].trim_matches('"').to_owned();
            let is_whole = one.message.en.starts_with("rule ");
            Claim {
                rule,
                wording: (!is_whole).then_some((key, word)),
            }
        })
        .collect()
}

/// The rule that answers, and the kind by which it matched.
fn winner(set: &RuleSet, text: &str) -> Option<(String, MatchKind)> {
    let found = find(set, "shop", &Question::Words(text));
    let kind = found.winner()?.kind;
    let course = set.course(&found, &account("shop"))?;
    Some((course.rule.to_string(), kind))
}

fn compiled(text: &str) -> Compiled {
    compile(&files(&[("a.toml", text)]), &Options::default())
}

fn written(rules: &[Small]) -> String {
    let rules = rules.iter().enumerate();
    rules.map(|(id, rule)| rule.written(id)).collect()
}

/// A rule with one wording, where everything can be proved.
fn plain() -> impl Strategy<Value = Small> {
    ("[ab退]{1,3}", any::<bool>(), -1..2_i8).prop_map(|(word, is_exact, priority)| {
        let (exact, any) = if is_exact {
            (vec![word], Vec::new())
        } else {
            (Vec::new(), vec![word])
        };
        Small {
            exact,
            any,
            all: Vec::new(),
            none: Vec::new(),
            regex: None,
            priority,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_said_never_to_win_never_wins(rules in prop::collection::vec(small(), 2..7)) {
        let text = written(&rules);
        let compiled = compiled(&text);
        let claims = claims(&text, &compiled);
        let set = compiled.rules.unwrap();
        if claims.is_empty() {
            return Ok(());
        }
        for said in texts() {
            let Some((won, kind)) = winner(&set, &said) else { continue };
            for claim in claims.iter().filter(|claim| claim.rule == won) {
                let is_refuted = match &claim.wording {
                    None => true,
                    Some((key, word)) => {
                        *key == kind.word() && if key == "exact" { *word == said } else { said.contains(word) }
                            && key != "all" && key != "regex"
                    }
                };
                prop_assert!(!is_refuted, "{said} is answered by {won}\n{text}");
            }
        }
    }

    #[test]
    fn a_plain_rule_that_never_wins_is_always_found(rules in prop::collection::vec(plain(), 2..7)) {
        let text = written(&rules);
        let compiled = compiled(&text);
        let lost: Vec<String> = claims(&text, &compiled).into_iter().map(|claim| claim.rule).collect();
        let set = compiled.rules.unwrap();
        let winners: Vec<String> = texts().iter().filter_map(|said| Some(winner(&set, said)?.0)).collect();
        for id in 0..rules.len() {
            let id = id.to_string();
            prop_assert_ne!(winners.contains(&id), lost.contains(&id), "{}\n{}", id, text);
        }
    }
}

fn said_of(rules: &[String]) -> Vec<&'static str> {
    codes(&compiled(&rules.concat()))
}

#[test]
fn accounts_priority_kind_and_vetoes_count_in_the_proof() {
    let short = |rest: &str| rule("short", &format!("any = [\"发票\"]\n{rest}"));
    let long = |rest: &str| rule("long", &format!("any = [\"发票抬头\"]\n{rest}"));
    assert_eq!(said_of(&[short("priority = 1"), long("")]), ["W202"]);
    assert_eq!(said_of(&[short(""), long("")]), ["W228"]);
    assert_eq!(
        said_of(&[short("priority = 1\naccounts = [\"a\"]"), long("")]),
        [""; 0]
    );
    assert_eq!(
        said_of(&[
            short("priority = 1\naccounts = [\"a\", \"b\"]"),
            long("accounts = [\"b\"]")
        ]),
        ["W202"]
    );
    assert_eq!(
        said_of(&[short("priority = 1\nnone = [\"纸\"]"), long("")]),
        [""; 0]
    );
    assert_eq!(
        said_of(&[
            short("priority = 1\nnone = [\"纸质\"]"),
            long("none = [\"纸\"]")
        ]),
        ["W202"]
    );
    let both = rule("both", "all = [\"发票\", \"抬头\"]");
    assert_eq!(
        said_of(&[long(""), both.clone()]),
        ["W202"],
        "all before any"
    );
    let parts = rule("parts", "any = [\"发票\", \"抬头\"]");
    assert_eq!(
        said_of(&[parts.clone(), long("")]),
        ["W202"],
        "covered, and earlier"
    );
    assert_eq!(said_of(&[long(""), parts]), ["W228"]);
}

#[test]
fn one_wording_is_told_from_the_whole_rule() {
    let text = [
        rule("a", "exact = [\"几点关门\"]"),
        rule("b", "exact = [\"幾點關門?\", \"打烊\"]"),
    ]
    .concat();
    let compiled = compiled(&text);
    let claims = claims(&text, &compiled);
    assert_eq!(claims.len(), 1);
    assert_eq!(
        claims[0].wording,
        Some(("exact".into(), "幾點關門?".into()))
    );
}
