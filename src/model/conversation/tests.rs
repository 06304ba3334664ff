//! Walks conversations through acts, turns and pushes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::Reply;
use crate::model::desk::DeskSettings;
use crate::model::entry::{Answer, Change, Entry, Move, Settled, Spoken, Turn};
use crate::model::{
    AlertChannel, By, ChannelKind, Content, Event, EventKind, Incoming, MediaKind, TurnKey,
};

const START: Time = Time::from_millis(1_718_200_000_000);

fn agent(name: &str) -> AgentName {
    AgentName::parse(name).unwrap()
}

fn fresh() -> Conversation {
    let key = TurnKey::of_text("conversation");
    let account = AccountName::parse("shop").unwrap();
    Conversation::new(
        ConversationId::at(START, 0, key),
        account,
        OpenId::parse("oFollower").unwrap(),
        START,
    )
}

fn turn_entry(conversation: &Conversation, n: u64, content: Content, answer: Answer) -> Entry {
    let incoming = Incoming {
        to: "gh_1".into(),
        from: conversation.follower.clone(),
        create_time: START.seconds(),
        msg_id: Some(n.to_string().into()),
        content,
    };
    let key = TurnKey::of_text(&n.to_string());
    let account = conversation.account.clone();
    Entry {
        at: START.plus(Duration::from_secs(n)),
        conversation: conversation.id,
        change: Change::Turn(Box::new(Turn {
            key,
            account,
            incoming,
            answer,
        })),
    }
}

fn text(words: &str) -> Content {
    Content::Text {
        text: words.into(),
        menu_id: None,
    }
}

fn escalated() -> Answer {
    let moved = Some(Move::Escalate {
        reason: Reason::Unmatched,
        priority: Priority::Normal,
        note: None,
    });
    Answer {
        moved,
        ..Answer::default()
    }
}

fn waiting() -> Conversation {
    let mut conversation = fresh();
    let entry = turn_entry(&conversation, 1, text("吃出异物"), escalated());
    conversation.apply(&entry);
    conversation
}

fn reply(words: &str) -> Act {
    Act::Reply {
        reply: Reply::Text(words.into()),
        key: None,
        last_seen: None,
        can_push: true,
        hold: false,
    }
}

/// Acts and applies at once, `n` seconds after the start.
fn act(conversation: &mut Conversation, n: u64, by: &str, act: &Act) -> Result<Acted, Refusal> {
    let at = START.plus(Duration::from_secs(n));
    let acted = conversation.act(
        act,
        &Actor::agent(agent(by)),
        at,
        TurnKey::of_text(&format!("act {n}")),
    )?;
    if let Acted::Change(change) = &acted {
        conversation.apply(&Entry {
            at,
            conversation: conversation.id,
            change: Change::clone(change),
        });
    }
    Ok(acted)
}

fn settle(conversation: &mut Conversation, n: u64, result: Settled) {
    let at = START.plus(Duration::from_secs(n));
    let push = conversation.due(at).expect("a due push").id;
    for change in [Change::Sending { push }, Change::Settled { push, result }] {
        conversation.apply(&Entry {
            at,
            conversation: conversation.id,
            change,
        });
    }
}

#[test]
fn an_unmatched_message_waits_and_counts_as_unread() {
    let conversation = waiting();
    assert_eq!(conversation.state, State::Waiting);
    assert_eq!(
        (conversation.unread, conversation.reason),
        (1, Some(Reason::Unmatched))
    );
    assert_eq!(conversation.last_message.unwrap().text.as_ref(), "吃出异物");
}

#[test]
fn of_two_claims_one_wins_and_claiming_twice_is_no_error() {
    let mut conversation = waiting();
    assert!(matches!(
        act(&mut conversation, 2, "lili", &Act::Claim),
        Ok(Acted::Change(_))
    ));
    assert_eq!(
        act(&mut conversation, 3, "xiaoli", &Act::Claim),
        Err(Refusal::OwnedBy(agent("lili")))
    );
    assert_eq!(
        act(&mut conversation, 3, "lili", &Act::Claim),
        Ok(Acted::Already(None))
    );
    assert_eq!(
        act(&mut conversation, 4, "xiaoli", &reply("x")),
        Err(Refusal::OwnedBy(agent("lili")))
    );
    act(&mut conversation, 5, "lili", &Act::Release).unwrap();
    assert_eq!(
        (conversation.state, conversation.owner.clone()),
        (State::Waiting, None)
    );
    assert!(act(&mut conversation, 6, "xiaoli", &Act::Claim).is_ok());
}

#[test]
fn an_answer_claims_travels_and_waits_for_the_follower() {
    let mut conversation = waiting();
    act(&mut conversation, 2, "lili", &reply("马上看")).unwrap();
    assert_eq!(
        (conversation.state, conversation.owner.clone()),
        (State::Assigned, Some(agent("lili")))
    );
    settle(&mut conversation, 3, Settled::Sent);
    assert_eq!(conversation.state, State::Follower);
    assert_eq!(
        conversation.window.left(START.plus(Duration::from_secs(3))),
        4
    );
    assert_eq!(
        conversation.last_message.clone().unwrap().delivery,
        Delivery::Sent
    );
    assert!(conversation.pushes.is_empty());
}

#[test]
fn the_same_key_is_the_same_answer() {
    let mut conversation = waiting();
    let keyed = Act::Reply {
        reply: Reply::Text("好".into()),
        key: Some("k1".into()),
        last_seen: None,
        can_push: true,
        hold: false,
    };
    act(&mut conversation, 2, "lili", &keyed).unwrap();
    let made = conversation.pushes[0].id;
    assert_eq!(
        act(&mut conversation, 9, "lili", &keyed),
        Ok(Acted::Already(Some(made)))
    );
    assert_eq!(conversation.pushes.len(), 1);
}

#[test]
fn an_answer_written_before_the_last_word_is_refused() {
    let mut conversation = waiting();
    let seen = conversation.last_inbound;
    let entry = turn_entry(&conversation, 5, text("不用了"), escalated());
    conversation.apply(&entry);
    let stale = Act::Reply {
        reply: Reply::Text("好".into()),
        key: None,
        last_seen: seen,
        can_push: true,
        hold: false,
    };
    assert_eq!(
        act(&mut conversation, 6, "lili", &stale),
        Err(Refusal::Arrived)
    );
    let fresh = Act::Reply {
        reply: Reply::Text("好".into()),
        key: None,
        last_seen: conversation.last_inbound,
        can_push: true,
        hold: false,
    };
    assert!(act(&mut conversation, 6, "lili", &fresh).is_ok());
}

#[test]
fn too_long_and_empty_answers_are_refused() {
    let mut conversation = waiting();
    assert!(act(&mut conversation, 2, "lili", &reply(&"a".repeat(2047))).is_ok());
    assert_eq!(
        act(&mut conversation, 3, "lili", &reply(&"好".repeat(683))),
        Err(Refusal::TooLong { bytes: 2049 })
    );
    assert_eq!(
        act(&mut conversation, 3, "lili", &reply(" \n")),
        Err(Refusal::Empty)
    );
}

#[test]
fn what_cannot_be_pushed_is_held_and_what_follows_it_too() {
    let mut conversation = waiting();
    act(&mut conversation, 2, "lili", &reply("一")).unwrap();
    act(&mut conversation, 3, "lili", &reply("二")).unwrap();
    settle(
        &mut conversation,
        4,
        Settled::Held {
            error: PushError {
                code: 45047,
                message: "x".into(),
            },
        },
    );
    assert_eq!(conversation.state, State::Held);
    assert_eq!(
        conversation
            .held(START.plus(Duration::from_secs(5)))
            .count(),
        2
    );
    act(&mut conversation, 6, "lili", &reply("三")).unwrap();
    let later = START.plus(Duration::from_secs(7));
    let held: Vec<String> = conversation
        .held(later)
        .map(|push| push.reply.shown())
        .collect();
    assert_eq!(held, ["一", "二", "三"]);

    let given = conversation.held(later).map(|push| push.id).collect();
    let answer = Answer {
        given,
        joined: Some(Reply::Text("一\n\n二\n\n三".into())),
        moved: Some(Move::Follower),
        ..Answer::default()
    };
    let entry = turn_entry(&conversation, 8, text("?"), answer);
    conversation.apply(&entry);
    assert_eq!(conversation.state, State::Follower);
    assert!(conversation.pushes.is_empty());
}

#[test]
fn what_can_only_be_pushed_goes_out_once_the_follower_is_back() {
    let mut conversation = waiting();
    let picture = Act::Reply {
        reply: Reply::Local {
            kind: MediaKind::Image,
            hash: [7; 32],
        },
        key: None,
        last_seen: None,
        can_push: true,
        hold: false,
    };
    act(&mut conversation, 2, "lili", &picture).unwrap();
    let error = PushError {
        code: 45047,
        message: "x".into(),
    };
    settle(&mut conversation, 3, Settled::Held { error });
    let later = START.plus(Duration::from_secs(4));
    // It waits, but neither for a passive reply nor in the way of one.
    assert_eq!(
        (conversation.state, conversation.held(later).count()),
        (State::Held, 0)
    );
    assert_eq!(conversation.due(later), None);
    let entry = turn_entry(&conversation, 5, text("?"), escalated());
    conversation.apply(&entry);
    let written = START.plus(Duration::from_secs(10));
    assert_eq!(
        conversation.due(written.minus(Duration::from_secs(1))),
        None
    );
    assert_eq!(
        conversation.due(written).map(|push| push.reply.kind()),
        Some("image")
    );
}

#[test]
fn an_account_that_cannot_push_holds_at_once() {
    let mut conversation = waiting();
    let held = Act::Reply {
        reply: Reply::Text("好".into()),
        key: None,
        last_seen: None,
        can_push: false,
        hold: false,
    };
    act(&mut conversation, 2, "lili", &held).unwrap();
    assert_eq!(conversation.state, State::Held);
    assert_eq!(conversation.pushes[0].error.as_ref().unwrap().code, 48001);
    let week_later = START.plus(Duration::from_secs(2)).plus(HELD_FOR);
    assert_eq!(conversation.held(week_later).count(), 1);
    assert_eq!(
        conversation
            .held(week_later.plus(Duration::from_secs(1)))
            .count(),
        0
    );
}

#[test]
fn leaving_turns_queued_pushes_into_held_ones() {
    let mut conversation = waiting();
    act(&mut conversation, 2, "lili", &reply("好")).unwrap();
    let left = Event {
        kind: EventKind::Unsubscribe,
        name: "unsubscribe".into(),
        key: None,
        fields: vec![],
    };
    let answer = Answer {
        moved: Some(Move::Unsubscribed),
        ..Answer::default()
    };
    let entry = turn_entry(&conversation, 3, Content::Event(left), answer);
    conversation.apply(&entry);
    let now = START.plus(Duration::from_secs(4));
    assert_eq!(
        (conversation.state, conversation.window.left(now)),
        (State::Held, 0)
    );
    assert!(conversation.due(now).is_none());
}

#[test]
fn identical_questions_are_counted_for_ten_minutes() {
    let mut conversation = fresh();
    for n in [0, 300, 600] {
        let answer = Answer {
            question: Some(7),
            ..Answer::default()
        };
        let entry = turn_entry(&conversation, n, text("几点关门"), answer);
        conversation.apply(&entry);
    }
    assert_eq!(
        conversation.asked(7, START.plus(Duration::from_secs(600))),
        3
    );
    assert_eq!(
        conversation.asked(7, START.plus(Duration::from_secs(901))),
        1
    );
    assert_eq!(conversation.asked(8, START), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Act(Act, bool),
    Message(Option<Move>),
    Push(Settled),
    /// So many minutes pass, and whatever is due happens.
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let error = || PushError {
        code: 45047,
        message: "x".into(),
    };
    let moves = prop_oneof![
        Just(None),
        Just(Some(Move::Escalate {
            reason: Reason::Unmatched,
            priority: Priority::High,
            note: None,
        })),
        Just(Some(Move::Owner)),
        Just(Some(Move::Follower)),
        Just(Some(Move::Bot)),
        Just(Some(Move::Unsubscribed)),
        Just(Some(Move::External {
            until: START.plus(Duration::from_secs(3600)),
        })),
        Just(Some(Move::Raise {
            reason: Reason::Crisis,
            priority: Priority::Urgent,
            note: Some("异物".into()),
        })),
        Just(Some(Move::Assign {
            to: agent("xiaoli"),
            reason: Reason::Unmatched,
            priority: Priority::Normal,
            note: None,
        })),
    ];
    let acts = prop_oneof![
        Just(Act::Claim),
        Just(Act::Release),
        Just(Act::Close {
            outcome: Outcome::Solved
        }),
        Just(Act::Note { text: "n".into() }),
        Just(reply("好")),
        Just(Act::Assign {
            to: agent("xiaoli"),
            reason: "忙".into(),
        }),
        Just(Act::HandBack),
        (1_u64..4000).prop_map(|minutes| Act::Snooze {
            until: START.plus(Duration::from_secs(minutes * 60)),
        }),
        Just(Act::Prioritise {
            priority: Priority::Low,
        }),
        Just(Act::Elsewhere {
            text: "电话".into()
        }),
        Just(Act::ToDesk { agent: "".into() }),
        Just(Act::Acknowledge),
        Just(Act::Seen),
    ];
    let results = prop_oneof![
        Just(Settled::Sent),
        Just(Settled::Held { error: error() }),
        Just(Settled::Failed { error: error() }),
        Just(Settled::Unknown { error: error() }),
        Just(Settled::Again {
            not_before: START,
            error: error()
        }),
    ];
    prop::collection::vec(
        prop_oneof![
            (acts, any::<bool>()).prop_map(|(act, first)| Step::Act(act, first)),
            moves.prop_map(Step::Message),
            results.prop_map(Step::Push),
            prop_oneof![1_u64..20, 20_u64..5_000].prop_map(Step::Wait),
        ],
        0..40,
    )
}

/// Lets everything happen that is due; says how much that was. Each timer fires once: firing it makes it go away.
fn elapse(conversation: &mut Conversation, n: u64) -> usize {
    let now = START.plus(Duration::from_secs(n));
    let channel = AlertChannel {
        name: "duty".into(),
        kind: ChannelKind::Webhook,
        url: "https://ops.example.com".into(),
        secret: None,
        tier: 1,
        night: false,
        excerpt: 0,
        from: None,
        to: Vec::new(),
    };
    let settings = DeskSettings {
        alerts: vec![channel],
        ..DeskSettings::default()
    };
    let mut fired = Vec::new();
    while let Some((due, timer)) = conversation.next_timer(&settings, now)
        && due <= now
    {
        let which = (conversation.desk().since, due, timer);
        assert!(!fired.contains(&which), "{which:?} again");
        fired.push(which);
        let elapsed = Act::Elapsed {
            timer,
            version: conversation.version,
        };
        let before = conversation.state;
        act(conversation, n, "system", &elapsed).unwrap();
        let is_legal = Trigger::ALL
            .iter()
            .any(|trigger| next(before, *trigger) == Some(conversation.state));
        assert!(is_legal || before == conversation.state);
    }
    fired.len()
}

proptest! {
    #[test]
    fn whatever_happens_owner_and_outbox_fit_the_state(steps in steps()) {
        let mut conversation = fresh();
        let mut n = 0;
        for step in steps {
            n += 1;
            let at = START.plus(Duration::from_secs(n));
            let version = conversation.version;
            match step {
                Step::Act(what, first) => {
                    let _refused_or_not = act(&mut conversation, n, if first { "lili" } else { "xiaoli" }, &what);
                }
                Step::Message(moved) => {
                    let entry = turn_entry(&conversation, n, text("x"), Answer { moved, ..Answer::default() });
                    conversation.apply(&entry);
                }
                Step::Push(result) if conversation.due(at).is_some() => settle(&mut conversation, n, result),
                Step::Push(_) => {}
                Step::Wait(minutes) => {
                    n += minutes * 60;
                    let fired = elapse(&mut conversation, n);
                    prop_assert!(fired < 12, "{fired} timers: {conversation:?}");
                }
            }
            prop_assert!(conversation.version >= version);
            let owes = matches!(conversation.state, State::Waiting | State::Assigned);
            prop_assert!(owes || conversation.asked_at().is_none() || matches!(conversation.state, State::Snoozed | State::Held));
            prop_assert!(
                !matches!(conversation.state, State::Waiting | State::Bot | State::Closed) || conversation.owner.is_none(),
                "{:?} owned by {:?}", conversation.state, conversation.owner
            );
            prop_assert!(conversation.state != State::Assigned || conversation.owner.is_some());
            let is_open = |push: &Push| matches!(push.state, Delivery::Queued | Delivery::Sending | Delivery::Held);
            prop_assert!(conversation.pushes.iter().all(is_open));
        }
    }
}

#[test]
fn spoken_lines_are_the_last_message() {
    let mut conversation = fresh();
    let own = Spoken {
        by: By::Ack,
        rule: None,
        revision: None,
        reply: Reply::Text("收到".into()),
    };
    let entry = turn_entry(
        &conversation,
        1,
        text("x"),
        Answer {
            own: Some(own),
            ..escalated()
        },
    );
    conversation.apply(&entry);
    assert_eq!(conversation.acked_at, Some(entry.at));
    assert_eq!(conversation.last_message.unwrap().by, By::Ack);
}

#[test]
fn an_answer_that_nobody_collected_in_time_holds_nothing_back() {
    let mut conversation = waiting();
    let held = Act::Reply {
        reply: Reply::Text("好".into()),
        key: None,
        last_seen: None,
        can_push: false,
        hold: false,
    };
    act(&mut conversation, 2, "lili", &held).unwrap();
    let eight_days = 8 * 24 * 3600;
    let entry = turn_entry(&conversation, eight_days, text("在吗"), escalated());
    conversation.apply(&entry);
    let now = START.plus(Duration::from_secs(eight_days));
    assert_eq!(conversation.why_held(true, now), None);
}
