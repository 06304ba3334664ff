//! Calls people: who gets a conversation, how urgent it is, who asks for one and takes it back.

use super::*;

const RULES: &str = r#"
[[rule]]
id = "person"
any = ["找客服"]
handoff = { priority = "low", reason = "要人工" }
reply = "好,叫同事来。"
"#;

fn talk(desk: &str) -> Talk {
    Talk::of(&[
        ("10-a.toml", RULES),
        ("_crisis.toml", "insults = [\"骗子\"]\n"),
        ("_desk.toml", desk),
    ])
}

fn called(decision: &Decision) -> (Reason, Priority, Option<String>) {
    match &decision.answer.moved {
        Some(
            Move::Escalate {
                reason, priority, ..
            }
            | Move::Requeue {
                reason, priority, ..
            },
        ) => (*reason, *priority, None),
        Some(Move::Assign {
            reason,
            priority,
            to,
            ..
        }) => (*reason, *priority, Some(to.to_string())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn asking_for_a_person_is_a_reason_of_its_own_and_rules_win_over_it() {
    for asks in ["人工", "轉人工!", " 客服 "] {
        let mut talk = talk("ack = \"{topic}叫人来。\"\n");
        let decided = talk.says(asks);
        assert_eq!(called(&decided).0, Reason::Asked, "{asks}");
        assert_eq!(
            (words(&decided).as_str(), decided.stage),
            ("叫人来。", Stage::Escalate),
            "「人工」 is no topic"
        );
    }
    assert_eq!(called(&talk("").says("人工费多少")).0, Reason::Unmatched);
    let decided = talk("ask_person = [\"找客服\"]\n").says("找客服");
    assert_eq!(
        (called(&decided), words(&decided)),
        (
            (Reason::Handoff, Priority::Low, None),
            "好,叫同事来。".into()
        )
    );
    assert_eq!(
        called(&talk("ask_person = []\n").says("人工")).0,
        Reason::Unmatched
    );
}

#[test]
fn asking_for_a_person_leads_out_of_a_form() {
    let rules = "[[rule]]\nid = \"book\"\nany = [\"订位\"]\nform = { timeout = \"5m\" }\nreply = \"{who}\"\n\
                 [[rule.step]]\nask = \"几位?\"\nsave = \"who\"\ncheck = '^\\d+$'\n";
    let mut talk = Talk::with(rules);
    assert_eq!(words(&talk.says("订位")), "几位?");
    assert_eq!(called(&talk.says("人工")).0, Reason::Asked);
    assert_eq!(
        called(&talk.says("3")).0,
        Reason::Unmatched,
        "the form is over"
    );
}

#[test]
fn who_waits_may_take_it_back_until_somebody_has_claimed() {
    let mut talk = talk("cancelled = \"好,不找了。\"\n");
    assert_eq!(
        called(&talk.says("不用了")).0,
        Reason::Unmatched,
        "nobody waits"
    );
    let decided = talk.says("不用了");
    assert_eq!(
        (words(&decided).as_str(), decided.stage, talk.state()),
        ("好,不找了。", Stage::Fixed, State::Bot)
    );
    talk.says("人工");
    talk.agent(&Act::Claim);
    talk.says("取消人工");
    assert_eq!(talk.state(), State::Assigned, "it is a person's now");
}

#[test]
fn danger_is_not_taken_back() {
    let crisis = "[[crisis]]\ntier = \"urgent\"\nwords = [\"中毒\"]\nreply = \"别急。\"\n";
    let mut talk = Talk::of(&[("10-a.toml", RULES), ("_crisis.toml", crisis)]);
    talk.says("中毒了");
    talk.says("不用了");
    assert_eq!(talk.state(), State::Waiting);
}

#[test]
fn insults_vips_and_many_messages_make_it_more_urgent_by_one_step() {
    let mut talk = talk("");
    assert_eq!(called(&talk.says("骗子!退钱")).1, Priority::High);
    assert_eq!(
        called(&self::talk("").says("你们骗子,找客服")).1,
        Priority::Normal
    );

    let mut vip = self::talk("");
    vip.says("在吗");
    vip.agent(&Act::Tag {
        tags: vec!["vip".into()],
    });
    assert_eq!(called(&vip.says("在不在")).1, Priority::High);

    let mut many = self::talk("");
    let priorities = ["一", "二", "三"].map(|words| {
        many.wait(60);
        called(&many.says(words)).1
    });
    assert_eq!(
        priorities,
        [Priority::Normal, Priority::Normal, Priority::High]
    );
    assert_eq!(many.known.as_ref().unwrap().priority, Priority::High);
    let mut slow = self::talk("");
    for words in ["一", "二", "三"] {
        assert_eq!(called(&slow.says(words)).1, Priority::Normal);
        slow.wait(400);
    }
}

#[test]
fn who_was_missed_before_is_looked_after_first() {
    let mut talk = talk("");
    talk.says("在吗");
    let known = talk.known.as_mut().unwrap();
    known.state = State::Closed;
    let desk = known.desk.get_or_insert_default();
    desk.unanswered.clear();
    desk.missed = 1;
    assert_eq!(called(&talk.says("还在吗")).1, Priority::High);
    talk.agent_answers("对不起,来晚了。");
    talk.wechat_takes_it();
    talk.wait(3600);
    assert_eq!(
        called(&talk.says("谢谢")).1,
        Priority::Normal,
        "made up for"
    );
}

#[test]
fn an_insult_to_a_person_raises_once_and_leaves_the_owner() {
    let mut talk = talk("");
    talk.says("在吗");
    talk.agent(&Act::Claim);
    for first in [true, false] {
        let decided = talk.says("骗子");
        let is_raise = matches!(decided.answer.moved, Some(Move::Raise { .. }));
        assert_eq!((is_raise, decided.stage), (first, Stage::Person));
        let known = talk.known.as_ref().unwrap();
        assert_eq!(
            (known.state, known.priority),
            (State::Assigned, Priority::High)
        );
    }
}

#[test]
fn least_loaded_gives_it_to_who_has_the_fewest_and_manual_to_the_queue() {
    for (assign, to) in [("manual", None), ("least-loaded", Some("li"))] {
        let mut talk = talk(&format!("assign = \"{assign}\"\n"));
        talk.is_on_duty("wang", "小王", 2);
        talk.is_on_duty("li", "小李", 1);
        assert_eq!(called(&talk.says("在吗")).2.as_deref(), to);
        // Rules that call people do so the same way.
        talk.known = None;
        assert_eq!(called(&talk.says("找客服")).2.as_deref(), to);
    }
    assert_eq!(
        called(&talk("assign = \"least-loaded\"\n").says("在吗")).2,
        None
    );
}

#[test]
fn who_answered_last_gets_it_again_if_on_duty() {
    for (waits, is_there, to) in [
        (3600, true, Some("lili")),
        (3600, false, None),
        (25 * 3600, true, None),
    ] {
        let mut talk = talk("");
        if is_there {
            talk.is_on_duty("lili", "丽丽", 9);
            talk.is_on_duty("li", "小李", 0);
        }
        talk.says("在吗");
        talk.agent_answers("在。");
        talk.wechat_takes_it();
        talk.wait(waits);
        assert_eq!(called(&talk.says("还有件事")).2.as_deref(), to);
    }
}
