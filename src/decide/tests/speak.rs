//! Lets rules speak: several replies, cooldowns, hand-overs, silence, beside people.

use super::*;
use crate::model::desk::DeskSettings;

#[test]
fn replies_rotate_per_follower_and_chance_is_the_same_for_every_repeat() {
    let mut talk = Talk::with(
        "[[rule]]\nid = \"a\"\nany = [\"笑话\"]\npick = \"rotate\"\nreplies = [{ text = \"一\" }, { text = \"二\" }]\n\
         [[rule]]\nid = \"b\"\nany = [\"抽签\"]\npick = \"random\"\nreplies = [{ text = \"上\" }, { text = \"中\" }, { text = \"下\" }]\n",
    );
    let told: Vec<String> = (0..3).map(|_| words(&talk.says("笑话"))).collect();
    assert_eq!(told, ["一", "二", "一"]);
    let drawn: Vec<String> = (0..40)
        .map(|_| {
            talk.wait(700);
            words(&talk.says("抽签"))
        })
        .collect();
    for each in ["上", "中", "下"] {
        assert!(drawn.iter().any(|drawn| drawn == each), "{each}: {drawn:?}");
    }
}

#[test]
fn all_replies_are_pushed_within_the_bots_share_or_joined() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"全部\"]\npick = \"all\"\n\
                replies = [{ text = \"一\" }, { text = \"二\" }, { text = \"三\" }, { text = \"四\" }]\n";
    let mut talk = Talk::with(text);
    let decided = talk.says("全部");
    let pushed: Vec<String> = decided
        .answer
        .more
        .iter()
        .map(|push| push.reply.shown())
        .collect();
    assert_eq!(
        (words(&decided), pushed),
        ("一\n\n二".into(), vec!["三".to_owned(), "四".to_owned()])
    );
    assert!(decided.answer.is_durable());
    let known = talk.known.as_ref().unwrap();
    assert_eq!(
        known.due(talk.now),
        None,
        "not before the answer is written"
    );
    let mut mute = Talk::with(text);
    mute.can_push = false;
    let decided = mute.says("全部");
    assert_eq!(
        (words(&decided), decided.answer.more.len()),
        ("一\n\n二\n\n三\n\n四".into(), 0)
    );
}

#[test]
fn a_cooldown_is_short_silent_passed_over_or_a_hand_over() {
    let rule = |then: &str| {
        format!(
            "[[rule]]\nid = \"a\"\nany = [\"地址\"]\nreply = \"人民路。\"\ncooldown = {{ every = \"10m\", {then} }}\n\
                 [[rule]]\nid = \"b\"\nany = [\"址\"]\nreply = \"别处。\"\n"
        )
    };
    for (then, first, again) in [
        (
            "then = \"short\", short = \"上面那条。\"",
            Outcome::Reply,
            "上面那条。",
        ),
        ("then = \"silent\"", Outcome::Silence, ""),
        ("then = \"next\"", Outcome::Reply, "别处。"),
        (
            "then = \"handoff\"",
            Outcome::Escalate,
            &DeskSettings::default().ack,
        ),
    ] {
        let mut talk = Talk::with(&rule(then));
        assert_eq!(words(&talk.says("地址")), "人民路。");
        talk.wait(599);
        let decided = talk.says("地址?");
        assert_eq!(
            (decided.outcome, words(&decided)),
            (first, again.to_owned()),
            "{then}"
        );
        talk.wait(2);
        assert_eq!(words(&talk.says("地址")), "人民路。", "{then}");
    }
}

#[test]
fn a_rule_may_call_a_person_and_an_event_may_only_that_way() {
    let mut talk = Talk::with(
        "[[rule]]\nid = \"help\"\nevent = \"menu\"\nmenu_key = \"HELP\"\nreply = \"马上来。\"\n\
         handoff = { priority = \"low\", reason = \"点了求助\" }\n",
    );
    let decided = talk.sends(event(EventKind::Click, "CLICK", Some("HELP")));
    assert_eq!(
        (decided.outcome, words(&decided)),
        (Outcome::Escalate, "马上来。".into())
    );
    let known = talk.known.as_ref().unwrap();
    assert_eq!(
        (known.state, known.priority),
        (State::Waiting, Priority::Low)
    );
    assert_eq!(known.reason_note.as_deref(), Some("点了求助"));
}

#[test]
fn a_silent_rule_is_recorded_and_calls_nobody() {
    let mut talk = Talk::with("[[rule]]\nid = \"thanks\"\nexact = [\"谢谢\"]\nsilent = true\n");
    let decided = talk.says("谢谢");
    assert_eq!(
        (decided.outcome, decided.silence),
        (Outcome::Silence, Some(Silence::Rule))
    );
    assert!(decided.is_kept && !decided.answer.is_durable());
    assert_eq!(talk.known.as_ref().unwrap().state, State::Bot);
}

#[test]
fn a_rule_that_always_speaks_does_so_beside_a_person() {
    let mut talk = Talk::with(
        "[[rule]]\nid = \"number\"\nany = [\"电话\"]\nreply = \"400-000-0000\"\nalways = true\n\
         [[rule]]\nid = \"hours\"\nany = [\"几点\"]\nreply = \"十点。\"\n",
    );
    talk.says("在吗");
    talk.agent(&Act::Claim);
    let decided = talk.says("电话多少");
    assert_eq!(
        (decided.outcome, words(&decided)),
        (Outcome::Reply, "400-000-0000".into())
    );
    assert_eq!(
        decided.answer.moved,
        Some(Move::Owner),
        "the person reads it too"
    );
    assert_eq!(talk.says("几点").outcome, Outcome::Silence);
}

#[test]
fn the_words_of_another_rule_and_of_another_account() {
    let talk = |text: &str| words(&Talk::with(text).says("开门"));
    let hours = "[[rule]]\nid = \"hours\"\nexact = [\"营业时间\"]\nreply = \"十点。\"\n";
    assert_eq!(
        talk(&format!(
            "{hours}[[rule]]\nid = \"open\"\nany = [\"开门\"]\nuse_reply_of = \"hours\"\n"
        )),
        "十点。"
    );
    let own = "[[rule]]\nid = \"open\"\nany = [\"开门\"]\nreply = \"十点。\"\n[rule.account.shop]\nreply = \"本店九点。\"\n[rule.account.cafe]\nreply = \"八点。\"\n";
    assert_eq!(talk(own), "本店九点。");
}

#[test]
fn tags_and_first_visits_choose_among_rules() {
    let mut talk = Talk::with(
        "[[rule]]\nid = \"vip\"\nany = [\"你好\"]\nfollowers = { tag = \"vip\" }\nreply = \"老朋友好。\"\npriority = 2\n\
         [[rule]]\nid = \"new\"\nany = [\"你好\"]\nfollowers = { first_visit = true }\nreply = \"初次见面。\"\npriority = 1\n\
         [[rule]]\nid = \"all\"\nany = [\"你好\"]\nreply = \"你好。\"\n",
    );
    talk.sends(event(EventKind::Subscribe, "subscribe", None));
    assert_eq!(words(&talk.says("你好")), "初次见面。");
    assert_eq!(words(&talk.says("你好")), "你好。");
    talk.agent(&Act::Tag {
        tags: vec!["vip".into()],
    });
    assert_eq!(words(&talk.says("你好")), "老朋友好。");
}

#[test]
fn what_is_queued_counts_against_the_bots_share() {
    let mut talk = Talk::with(
        "[[rule]]\nid = \"a\"\nany = [\"全部\"]\npick = \"all\"\n\
         replies = [{ text = \"一\" }, { text = \"二\" }, { text = \"三\" }]\n",
    );
    assert_eq!(talk.says("全部").answer.more.len(), 2);
    let again = talk.says("全部再来");
    assert_eq!(
        (words(&again), again.answer.more.len()),
        ("一\n\n二\n\n三".into(), 0)
    );
}

/// A conversation with a person's answer that waits, and nobody who owns it.
fn with_held(mut talk: Talk) -> Talk {
    talk.can_push = false;
    talk.says("没有规则管的话");
    talk.agent_answers("同事的回答");
    talk.agent(&Act::Release);
    talk
}

#[test]
fn the_desk_behind_a_held_answer_is_our_own_people() {
    let mut talk = with_held(Talk::new());
    let decided = talk.says("转接");
    assert_eq!(words(&decided), "同事的回答");
    assert_eq!(talk.state(), State::Waiting, "WeChat's desk was never told");
}

#[test]
fn a_form_does_not_begin_behind_a_persons_answer() {
    let mut talk = with_held(Talk::with(
        "[[rule]]\nid = \"order\"\nany = [\"查订单\"]\nform = { on_timeout = \"先放着。\" }\nreply = \"好。\"\n\
         [[rule.step]]\nask = \"订单号?\"\nsave = \"order\"\n",
    ));
    let decided = talk.says("查订单");
    assert_eq!(words(&decided), "同事的回答");
    assert_eq!(talk.known.as_ref().unwrap().form(talk.now), None);
}
