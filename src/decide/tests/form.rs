//! Fills in forms: every way through one, and out of it.

use super::*;
use crate::model::Form;

const ORDER: &str = r#"
[[rule]]
id   = "order"
any  = ["查订单"]
form = { timeout = "5m", cancel = ["取消", "算了"], on_cancel = "好,不查了。", on_timeout = "先放着。" }
reply = "{order}({phone})查到了。"
[[rule.step]]
ask   = "把订单号发我。"
save  = "order"
check = '^\d{4}$'
retry = "订单号是 4 位数字。"
tries = 2
[[rule.step]]
ask   = "{order} 的手机尾号?"
save  = "phone"
[[rule]]
id      = "person"
any     = ["人工"]
handoff = { priority = "high", reason = "要人工" }
reply   = "好,我叫同事来。"
[[rule]]
id    = "hours"
any   = ["几点"]
reply = "十点。"
"#;

fn form(talk: &Talk) -> Option<Form> {
    talk.known.as_ref()?.remembered.as_ref()?.form.clone()
}

#[test]
fn answers_are_gathered_and_used_in_what_follows() {
    let mut talk = Talk::with(ORDER);
    let first = talk.says("查订单");
    assert_eq!(
        (first.outcome, words(&first)),
        (Outcome::Form, "把订单号发我。".into())
    );
    assert!(first.answer.is_durable());
    let second = talk.says(" １２３４ ");
    assert_eq!(words(&second), "1234 的手机尾号?");
    let last = talk.says("5678");
    assert_eq!(
        (last.outcome, words(&last)),
        (Outcome::Reply, "1234(5678)查到了。".into())
    );
    assert_eq!(form(&talk), None);
    assert_eq!(words(&talk.says("几点")), "十点。");
}

#[test]
fn a_wrong_answer_is_asked_for_again_and_then_a_person_takes_over() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    assert_eq!(words(&talk.says("几点")), "订单号是 4 位数字。");
    let given_up = talk.says("不知道");
    assert_eq!(given_up.outcome, Outcome::Escalate);
    assert!(matches!(
        given_up.answer.moved,
        Some(Move::Escalate {
            reason: Reason::Form,
            ..
        })
    ));
    assert_eq!(given_up.rule.unwrap().as_str(), "order");
    assert_eq!(form(&talk), None);
}

#[test]
fn a_form_is_cancelled_by_its_words_and_left_for_a_person() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    let cancelled = talk.says("算了!");
    assert_eq!(
        (cancelled.outcome, words(&cancelled)),
        (Outcome::Reply, "好,不查了。".into())
    );
    assert_eq!(form(&talk), None);

    talk.says("查订单");
    let person = talk.says("人工");
    assert_eq!(
        (person.outcome, words(&person)),
        (Outcome::Escalate, "好,我叫同事来。".into())
    );
    assert_eq!(form(&talk), None);
}

#[test]
fn a_form_ends_with_its_time_and_says_so_where_it_may_push() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    let known = talk.known.clone().unwrap();
    let last_words = known.first_push().unwrap();
    assert_eq!(last_words.reply, Reply::Text("先放着。".into()));
    assert_eq!(known.due(talk.now), None);
    talk.wait(300);
    assert_eq!(known.due(talk.now).unwrap().id, last_words.id);
    let decided = talk.says("1234");
    assert_eq!(decided.outcome, Outcome::Escalate, "the form is over");

    let mut mute = Talk::with(ORDER);
    mute.can_push = false;
    mute.says("查订单");
    assert_eq!(mute.known.as_ref().unwrap().first_push(), None);
}

#[test]
fn an_answer_in_time_moves_the_end_of_the_form() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    talk.wait(290);
    talk.says("1234");
    talk.wait(290);
    assert_eq!(talk.says("5678").outcome, Outcome::Reply);
    assert_eq!(talk.known.as_ref().unwrap().first_push(), None);
}

#[test]
fn an_event_leaves_a_form_alone_and_a_picture_is_no_answer() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    talk.sends(event(EventKind::Click, "CLICK", Some("MENU")));
    assert!(form(&talk).is_some());
    let picture = talk.sends(Content::Image {
        pic_url: "".into(),
        media_id: "m".into(),
    });
    assert_eq!(words(&picture), "订单号是 4 位数字。");
}

#[test]
fn a_person_who_speaks_ends_the_form() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    talk.agent(&Act::Claim);
    assert_eq!(form(&talk), None);
    assert_eq!(talk.says("1234").outcome, Outcome::Silence);
}

#[test]
fn a_form_whose_rule_is_gone_is_over() {
    let mut talk = Talk::with(ORDER);
    talk.says("查订单");
    talk.rules = compiled("[[rule]]\nid = \"hours\"\nany = [\"几点\"]\nreply = \"十点。\"\n");
    assert_eq!(words(&talk.says("几点")), "十点。");
    assert_eq!(form(&talk), None);
}
