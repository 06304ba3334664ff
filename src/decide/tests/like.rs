//! Answers what is alike: certain, too far, too close to two, offered for a number.

use super::*;

const VISIT: &str = r#"
[[rule]]
id    = "parking"
like  = ["停车方便吗", "有没有停车场", "开车来停哪里"]
reply = "地下有停车场。"
[[rule]]
id    = "hours"
like  = ["几点开门", "几点关门", "营业到几点"]
reply = "十点到十点。"
[[rule]]
id    = "dogs"
like  = ["可以带狗吗", "能带宠物进去吗"]
reply = "小狗可以。"
"#;

/// Rules that only identical wordings make certain; the closest are offered otherwise.
fn offering(text: &str) -> Talk {
    let text = text.replace("reply", "min_score = 1.0\nreply");
    let files = RuleFiles(vec![
        ("10-a.toml".to_owned(), text.into_bytes().into()),
        ("_desk.toml".to_owned(), b"offer = 3\n".to_vec().into()),
    ]);
    let compiled = compile(&files, &Options::default());
    Talk::by(ActiveRules {
        set: compiled.rules.expect("the rules are good"),
        revision: None,
    })
}

#[test]
fn what_is_alike_is_answered_and_what_is_not_goes_to_a_person() {
    for (asked, answer) in [
        ("停车方便吗?", "地下有停车场。"),
        ("请问有没有停车场呀", "地下有停车场。"),
        ("你们几点开门", "十点到十点。"),
    ] {
        assert_eq!(words(&Talk::with(VISIT).says(asked)), answer, "{asked}");
    }
    let decided = Talk::with(VISIT).says("发票怎么开");
    assert_eq!(decided.outcome, Outcome::Escalate);
}

#[test]
fn two_rules_that_are_as_alike_are_no_match() {
    let twice =
        format!("{VISIT}[[rule]]\nid = \"again\"\nlike = [\"停车方便吗\"]\nreply = \"别处。\"\n");
    let mut talk = Talk::with(&twice);
    let decided = talk.says("停车方便吗");
    assert_eq!(decided.outcome, Outcome::Escalate);
    let found = decided.found.unwrap();
    let explained =
        talk.rules
            .set
            .explain(&found, &crate::rules::Question::Words("停车方便吗"), START);
    assert!(
        explained[0].verdict.zh.starts_with("拿不准"),
        "{explained:?}"
    );
    assert_eq!(explained[0].nearest.as_deref(), Some("停车方便吗"));
}

#[test]
fn the_closest_are_offered_once_and_a_number_chooses() {
    let vague = "停车场几点开门";
    let mut talk = offering(VISIT);
    let offered = talk.says(vague);
    assert_eq!(offered.outcome, Outcome::Reply);
    assert!(
        words(&offered).starts_with("你是想问:\n"),
        "{}",
        words(&offered)
    );
    assert_eq!(offered.rule, None);
    let chosen = talk.says("１");
    assert!(chosen.rule.is_some(), "{chosen:?}");
    assert_eq!(talk.state(), State::Bot);

    talk.says(vague);
    assert_eq!(
        talk.says(vague).outcome,
        Outcome::Escalate,
        "not offered twice"
    );
    let mut talk = offering(VISIT);
    talk.says(vague);
    assert_eq!(talk.says("0").outcome, Outcome::Escalate);
    assert_eq!(
        offering(VISIT).says("1").outcome,
        Outcome::Escalate,
        "nothing was offered"
    );
}

#[test]
fn nothing_is_offered_behind_a_persons_answer() {
    let mut talk = offering(VISIT);
    talk.can_push = false;
    talk.says("没有规则管的话");
    talk.agent_answers("同事的回答");
    talk.agent(&Act::Release);
    let decided = talk.says("停车场几点开门");
    assert_eq!(words(&decided), "同事的回答");
    assert_eq!(talk.state(), State::Waiting);
}
