//! Asks other systems: what is asked, and what each answer leads to.

use super::*;
use crate::model::HookFault;

const ORDER: &str = r#"
[[rule]]
id    = "order"
regex = '^查(?<order>\d+)$'
[rule.hook]
url     = "https://erp.example.com/wx?no={order}&who={follower.id}"
body    = { order = "{order}", follower = "{follower.id}" }
secret  = "env:ORDER_HOOK_SECRET"
timeout = "2s"
reply   = "{order}:{hook.state},{hook.eta} 到。"
missing = "没查到 {order}。"
error   = { reply = "系统在忙,我请同事查。", handoff = "high" }
[[rule]]
id    = "points"
any   = ["积分"]
reply = "你有 {hook.points} 分。"
[rule.hook]
url   = "https://erp.example.com/points"
"#;

fn fields(fields: &[(&str, &str)]) -> HookAnswer {
    let pair = |(name, value): &(&str, &str)| (Box::from(*name), Box::from(*value));
    HookAnswer::Found(fields.iter().map(pair).collect())
}

#[test]
fn what_is_asked_carries_the_captured_words_escaped() {
    let mut talk = Talk::with(ORDER);
    talk.answer = fields(&[("state", "已发货"), ("eta", "明天")]);
    let decided = talk.says("查42");
    assert_eq!(words(&decided), "42:已发货,明天 到。");
    assert_eq!(decided.outcome, Outcome::Reply);
    assert!(decided.answer.is_durable());
    let call = &talk.asked[0];
    assert_eq!(&*call.url, "https://erp.example.com/wx?no=42&who=oFollower");
    assert_eq!(call.fields[0], ("order".into(), "42".into()));
    assert_eq!(call.secret.as_deref(), Some("ORDER_HOOK_SECRET"));
    assert_eq!(call.timeout, Duration::from_secs(2));
}

#[test]
fn nothing_known_and_no_answer_have_words_of_their_own() {
    let mut talk = Talk::with(ORDER);
    assert_eq!(words(&talk.says("查42")), "没查到 42。");
    talk.answer = HookAnswer::Failed(HookFault::Timeout);
    let failed = talk.says("查42");
    assert_eq!(
        (failed.outcome, words(&failed)),
        (Outcome::Escalate, "系统在忙,我请同事查。".into())
    );
    assert!(matches!(
        failed.answer.moved,
        Some(Move::Escalate {
            reason: Reason::Hook,
            priority: Priority::High,
            ..
        })
    ));
}

#[test]
fn without_words_for_it_a_person_answers() {
    let mut talk = Talk::with(ORDER);
    talk.answer = fields(&[("points", "7")]);
    assert_eq!(words(&talk.says("积分")), "你有 7 分。");
    for answer in [HookAnswer::Missing, HookAnswer::Failed(HookFault::Busy)] {
        let mut talk = Talk::with(ORDER);
        talk.answer = answer;
        let decided = talk.says("积分");
        assert_eq!(decided.outcome, Outcome::Escalate);
        assert_eq!(decided.rule.unwrap().as_str(), "points");
    }
}

#[test]
fn who_takes_the_conversation_while_the_hook_is_asked_keeps_it() {
    let mut talk = Talk::with(ORDER);
    talk.says("你好");
    let message = Incoming {
        to: "gh_1".into(),
        from: OpenId::parse("oFollower").unwrap(),
        create_time: talk.now.seconds(),
        msg_id: Some("m".into()),
        content: text("积分"),
    };
    let key = TurnKey::of_text("m");
    let mut memory = Memory {
        conversation: talk.known.clone().map(Arc::new),
        ..Memory::empty(shop(), key)
    };
    let Step::Ask(asked) = decide(&message, &memory, &talk.rules, talk.now) else {
        panic!("nothing was asked");
    };
    talk.agent(&Act::Claim);
    memory.conversation = talk.known.clone().map(Arc::new);
    for answer in [
        fields(&[("points", "7")]),
        HookAnswer::Failed(HookFault::Timeout),
    ] {
        let continuation = asked.continuation.clone();
        let decided = continuation.resume(&answer, &message, &memory, &talk.rules, talk.now);
        assert_eq!(decided.outcome, Outcome::Silence);
        assert_eq!(decided.answer.moved, Some(Move::Owner));
    }
    // Even a turn that was decided before the claim does not take it away.
    let mut known = talk.known.clone().unwrap();
    let moved = Some(Move::Escalate {
        reason: Reason::Hook,
        priority: Priority::High,
        note: None,
    });
    known.apply(&Entry {
        at: talk.now,
        conversation: known.id,
        change: Change::Turn(Box::new(Turn {
            key,
            account: shop(),
            incoming: message,
            answer: Answer {
                moved,
                ..Answer::default()
            },
        })),
    });
    assert_eq!(known.state, State::Assigned);
    assert_eq!(known.owner.unwrap().as_str(), "lili");
}
