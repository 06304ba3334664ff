//! Looks for danger before everything: in every state, beside people, in forms, behind held answers.

use super::*;
use crate::model::Noted;

const CRISIS: &str = r#"
insults = ["骗子"]
[[crisis]]
tier   = "high"
words  = ["投诉"]
except = ["投诉电话"]
reply  = "店长来处理,{promise}。"
[[crisis]]
tier   = "urgent"
name   = "食品安全"
words  = ["异物", "中毒"]
reply  = "人有没有不舒服?"
[[crisis]]
tier   = "high"
words  = ["律师"]
"#;
const RULES: &str = r#"
[[rule]]
id = "hours"
any = ["几点"]
reply = "十点开门。"
[[rule]]
id = "phone"
any = ["电话"]
reply = "400。"
[[rule]]
id = "book"
any = ["订位"]
form = { timeout = "5m" }
reply = "{who},记下了。"
[[rule.step]]
ask = "贵姓?"
save = "who"
"#;

fn talk() -> Talk {
    Talk::of(&[("10-a.toml", RULES), ("_crisis.toml", CRISIS)])
}

fn raised(decision: &Decision) -> Option<(Priority, String)> {
    match &decision.answer.moved {
        Some(
            Move::Raise {
                reason: Reason::Crisis,
                priority,
                note,
            }
            | Move::Requeue {
                reason: Reason::Crisis,
                priority,
                note,
            },
        ) => Some((*priority, note.as_deref().unwrap_or_default().to_owned())),
        _ => None,
    }
}

#[test]
fn words_of_danger_win_over_a_rule_and_call_people() {
    let mut talk = talk();
    let decided = talk.says("几點吃出異物了");
    assert_eq!(
        (decided.outcome, decided.stage, words(&decided).as_str()),
        (Outcome::Crisis, Stage::Crisis, "人有没有不舒服?")
    );
    assert_eq!(decided.answer.own.as_ref().unwrap().by, By::Crisis);
    assert_eq!(
        raised(&decided),
        Some((Priority::Urgent, "食品安全:異物".into()))
    );
    let alarm = decided.alarm.as_ref().unwrap();
    let matched = alarm.matched.first().unwrap();
    assert_eq!(
        (matched.start, matched.end, matched.text.as_str()),
        (4, 6, "異物"),
        "places are those of the typed text"
    );
    assert!(decided.answer.is_durable());
    let known = talk.known.as_ref().unwrap();
    assert_eq!(
        (known.state, known.priority, known.reason),
        (State::Waiting, Priority::Urgent, Some(Reason::Crisis))
    );
}

#[test]
fn an_excepted_phrase_is_no_danger_and_the_most_urgent_speaks() {
    let mut talk = talk();
    assert_eq!(words(&talk.says("投诉电话是多少")), "400。");
    let both = talk.says("我要投诉,吃了异物");
    assert_eq!(words(&both), "人有没有不舒服?");
}

#[test]
fn its_line_is_read_once_in_a_while_and_counts_as_an_ack() {
    let mut talk = talk();
    assert!(said(&talk.says("中毒了")).is_some());
    talk.wait(60);
    let again = talk.says("异物!");
    assert_eq!(
        (again.outcome, said(&again), again.silence),
        (Outcome::Crisis, None, Some(Silence::AckedBefore))
    );
    assert!(raised(&again).is_some(), "people hear of it all the same");
    assert_eq!(said(&talk.says("有人吗")), None, "no ack behind it");
    assert_eq!(words(&talk.says("几点关门")), "十点开门。");
    talk.wait(600);
    assert_eq!(words(&talk.says("异物!")), "人有没有不舒服?");
}

#[test]
fn an_ack_before_it_does_not_keep_it_back() {
    let mut talk = talk();
    assert!(said(&talk.says("有人吗")).is_some());
    assert_eq!(words(&talk.says("中毒了")), "人有没有不舒服?");
}

#[test]
fn without_words_of_its_own_the_ack_is_said() {
    let mut talk = talk();
    let decided = talk.says("叫律师");
    assert_eq!(decided.outcome, Outcome::Crisis);
    assert_eq!(decided.answer.own.as_ref().unwrap().by, By::Ack);
}

#[test]
fn beside_a_person_it_is_said_and_the_owner_keeps_the_conversation() {
    let mut talk = talk();
    talk.says("有人吗");
    talk.agent(&Act::Claim);
    let decided = talk.says("吃了中毒");
    assert_eq!(words(&decided), "人有没有不舒服?");
    assert_eq!(raised(&decided).unwrap().0, Priority::Urgent);
    let known = talk.known.as_ref().unwrap();
    assert_eq!(
        (known.state, known.priority, known.owner.is_some()),
        (State::Assigned, Priority::Urgent, true)
    );
}

#[test]
fn it_ends_a_form_and_follows_what_was_held() {
    let mut talk = talk();
    assert_eq!(words(&talk.says("订位")), "贵姓?");
    let decided = talk.says("异物");
    assert!(decided.answer.noted.contains(&Noted::FormEnded));
    assert_eq!(words(&talk.says("几点")), "十点开门。", "the form is over");

    let mut mute = self::talk();
    mute.can_push = false;
    mute.says("有人吗");
    mute.agent(&Act::Claim);
    mute.agent_answers("来了。");
    let decided = mute.says("异物!");
    assert_eq!(words(&decided), "来了。\n————\n人有没有不舒服?");
    assert_eq!(
        (decided.outcome, decided.answer.given.len()),
        (Outcome::Crisis, 1)
    );
    assert_eq!(raised(&decided).unwrap().0, Priority::Urgent);
}

#[test]
fn heard_words_count_and_events_do_not() {
    let mut talk = talk();
    let voice = Content::Voice {
        media_id: "m".into(),
        format: "amr".into(),
        media_id_16k: None,
        recognition: Some("吃出异物".into()),
    };
    assert_eq!(talk.sends(voice).outcome, Outcome::Crisis);
    let tapped = talk.sends(event(EventKind::Click, "CLICK", Some("异物")));
    assert_ne!(tapped.outcome, Outcome::Crisis);
}
