//! Decides for every kind of message in every state of a conversation.

mod ack;
mod crisis;
mod form;
mod hook;
mod like;
mod people;
mod speak;

use super::*;
use crate::model::conversation::Act;
use crate::model::desk::{OnDuty, Present};
use crate::model::entry::{Change, Entry, Settled, Turn};
use crate::model::{
    Actor, AgentName, Content, ConversationId, Event, HookAnswer, HookCall, Incoming, RuleFiles,
};
use crate::rules::{Options, compile};

const START: Time = Time::from_millis(1_718_200_000_000);

fn rules() -> ActiveRules {
    let file = r#"
[[rule]]
id = "hours"
any = ["几点"]
reply = "十点开门。"
[[rule]]
id = "long"
exact = ["说来话长"]
reply = """LONG"""
[[rule]]
id = "map"
event = "menu"
menu_key = "MAP"
reply = "在人民路。"
[[rule]]
id = "voice"
message = "voice"
reply = "请打字。"
[[rule]]
id = "desk"
exact = ["转接"]
[[rule.replies]]
desk = {}
"#
    .replace("LONG", &"长".repeat(600));
    compiled(&file)
}

fn compiled(text: &str) -> ActiveRules {
    compiled_files(&[("10-a.toml", text)])
}

fn compiled_files(files: &[(&str, &str)]) -> ActiveRules {
    let files = files.iter().map(|(path, text)| {
        let bytes = text.as_bytes().to_vec();
        ((*path).to_owned(), bytes.into())
    });
    let files = RuleFiles(files.collect());
    let compiled = compile(&files, &Options::default());
    ActiveRules {
        set: compiled
            .rules
            .unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics)),
        revision: Some(3),
    }
}

fn shop() -> AccountName {
    AccountName::parse("shop").unwrap()
}

fn text(words: &str) -> Content {
    Content::Text {
        text: words.into(),
        menu_id: None,
    }
}

fn event(kind: EventKind, name: &str, key: Option<&str>) -> Content {
    Content::Event(Event {
        kind,
        name: name.into(),
        key: key.map(Into::into),
        fields: vec![],
    })
}

/// One follower, message after message.
struct Talk {
    rules: ActiveRules,
    known: Option<Conversation>,
    can_push: bool,
    on_duty: OnDuty,
    n: u64,
    now: Time,
    /// What other systems were asked.
    asked: Vec<HookCall>,
    /// What they answer.
    answer: HookAnswer,
}

impl Talk {
    fn new() -> Self {
        Self::by(rules())
    }

    /// A follower of an account with these rules.
    fn with(text: &str) -> Self {
        Self::by(compiled(text))
    }

    fn by(rules: ActiveRules) -> Self {
        Self {
            rules,
            known: None,
            can_push: true,
            on_duty: OnDuty::default(),
            n: 0,
            now: START,
            asked: Vec::new(),
            answer: HookAnswer::Missing,
        }
    }

    /// A follower of an account with these files.
    fn of(files: &[(&str, &str)]) -> Self {
        Self::by(compiled_files(files))
    }

    /// Goes to a moment in Shanghai.
    fn at(&mut self, local: &str) {
        let stamp: jiff::Timestamp = format!("{local}+08:00").parse().unwrap();
        self.now = stamp.into();
    }

    /// Lets somebody be on duty for every account.
    fn is_on_duty(&mut self, name: &str, shown: &str, load: usize) {
        self.on_duty.people.push(Present {
            name: AgentName::parse(name).unwrap(),
            shown: shown.into(),
            accounts: Vec::new(),
            load,
        });
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    fn sends(&mut self, content: Content) -> Decision {
        self.n += 1;
        let key = TurnKey::of_text(&self.n.to_string());
        let incoming = Incoming {
            to: "gh_1".into(),
            from: OpenId::parse("oFollower").unwrap(),
            create_time: self.now.seconds(),
            msg_id: Some(self.n.to_string().into()),
            content,
        };
        let memory = Memory {
            account: shop(),
            key,
            conversation: self.known.clone().map(Arc::new),
            can_push: self.can_push,
            on_duty: Arc::new(self.on_duty.clone()),
            ..Memory::empty(shop(), key)
        };
        let decision = match decide(&incoming, &memory, &self.rules, self.now) {
            Step::Done(decision) => decision,
            Step::Ask(asked) => {
                self.asked.push(asked.call);
                let answer = &self.answer;
                asked
                    .continuation
                    .resume(answer, &incoming, &memory, &self.rules, self.now)
            }
        };
        if decision.is_kept {
            let known = self.known.get_or_insert_with(|| {
                Conversation::new(
                    ConversationId::at(self.now, 0, key),
                    shop(),
                    incoming.from.clone(),
                    self.now,
                )
            });
            let turn = Turn {
                key,
                account: shop(),
                incoming,
                answer: decision.answer.clone(),
            };
            let change = Change::Turn(Box::new(turn));
            known.apply(&Entry {
                at: self.now,
                conversation: known.id,
                change,
            });
        }
        decision
    }

    fn says(&mut self, words: &str) -> Decision {
        self.sends(text(words))
    }

    fn agent(&mut self, act: &Act) {
        self.n += 1;
        let known = self.known.as_mut().expect("a conversation");
        let by = Actor::agent(AgentName::parse("lili").unwrap());
        let seed = TurnKey::of_text(&self.n.to_string());
        let acted = known.act(act, &by, self.now, seed).expect("allowed");
        if let crate::model::conversation::Acted::Change(change) = acted {
            known.apply(&Entry {
                at: self.now,
                conversation: known.id,
                change: *change,
            });
        }
    }

    fn agent_answers(&mut self, words: &str) {
        let reply = Reply::Text(words.into());
        self.agent(&Act::Reply {
            reply,
            key: None,
            last_seen: None,
            can_push: self.can_push,
            hold: false,
        });
    }

    /// The oldest push reaches the follower.
    fn wechat_takes_it(&mut self) {
        let known = self.known.as_mut().expect("a conversation");
        let push = known.pushes.first().expect("a push").id;
        let result = Settled::Sent;
        for change in [Change::Sending { push }, Change::Settled { push, result }] {
            known.apply(&Entry {
                at: self.now,
                conversation: known.id,
                change,
            });
        }
    }

    fn state(&self) -> State {
        self.known.as_ref().map_or(State::Bot, |known| known.state)
    }
}

/// What the follower reads, if anything.
fn words(decision: &Decision) -> String {
    said(decision).unwrap_or_default()
}

fn said(decision: &Decision) -> Option<String> {
    decision.answer.passive().map(Reply::shown)
}

#[test]
fn a_rule_answers_and_nothing_else_changes() {
    let mut talk = Talk::new();
    let decision = talk.says("几点开门?");
    assert_eq!(
        (decision.outcome, said(&decision).as_deref()),
        (Outcome::Reply, Some("十点开门。"))
    );
    let own = decision.answer.own.clone().unwrap();
    assert_eq!(
        (own.rule.unwrap().as_str(), own.revision),
        ("hours", Some(3))
    );
    assert!(!decision.answer.is_durable());
    assert_eq!(talk.state(), State::Bot);
}

#[test]
fn what_no_rule_covers_waits_for_a_person_and_is_acked_once_in_ten_minutes() {
    let mut talk = Talk::new();
    let first = talk.says("吃出异物");
    assert_eq!(
        (first.outcome, first.answer.is_durable()),
        (Outcome::Escalate, true)
    );
    assert_eq!(
        said(&first).as_deref(),
        Some("收到,这个问题我请同事来回答。")
    );
    talk.wait(599);
    let second = talk.says("在吗");
    assert_eq!(
        (said(&second), second.silence),
        (None, Some(Silence::AckedBefore))
    );
    let rule = talk.says("几点关门");
    assert_eq!(
        (said(&rule).as_deref(), talk.state()),
        (Some("十点开门。"), State::Waiting)
    );
    talk.wait(1);
    assert!(
        said(&talk.says("还在吗")).is_some(),
        "rule replies do not reset the ack"
    );
}

#[test]
fn every_kind_of_message_escalates_and_unknown_ones_without_an_ack() {
    let image = Content::Image {
        pic_url: "u".into(),
        media_id: "m".into(),
    };
    let unknown = Content::Unknown {
        msg_type: "hologram".into(),
        fields: vec![],
    };
    for (content, acked) in [(image, true), (unknown, false)] {
        let decision = Talk::new().sends(content);
        assert_eq!(
            (decision.outcome, said(&decision).is_some()),
            (Outcome::Escalate, acked)
        );
    }
}

#[test]
fn a_voice_is_matched_by_what_was_heard() {
    let voice = |heard: Option<&str>| Content::Voice {
        media_id: "m".into(),
        format: "amr".into(),
        media_id_16k: None,
        recognition: heard.map(Into::into),
    };
    assert_eq!(
        Talk::new().sends(voice(Some("几点开门"))).outcome,
        Outcome::Reply
    );
    assert_eq!(
        said(&Talk::new().sends(voice(Some("听不清")))).as_deref(),
        Some("请打字。")
    );
    let mut talk = Talk::new();
    for heard in ["一", "二", "三"] {
        assert_eq!(talk.sends(voice(Some(heard))).outcome, Outcome::Reply);
    }
    assert_eq!(
        talk.state(),
        State::Bot,
        "three different voices are no repeated question"
    );
}

#[test]
fn what_wechat_cannot_forward_gets_a_fixed_line_and_nobody_is_bothered() {
    for words in ["", "  ", "【收到不支持的消息类型，暂无法显示】"] {
        let mut talk = Talk::new();
        let decision = talk.says(words);
        assert_eq!(
            said(&decision).as_deref(),
            Some("这种消息我看不到,用文字说说好吗?")
        );
        assert_eq!(
            (decision.outcome, talk.state()),
            (Outcome::Reply, State::Bot)
        );
    }
}

#[test]
fn events_never_escalate_and_some_are_only_counted() {
    let mut talk = Talk::new();
    let click = talk.sends(event(EventKind::Click, "CLICK", Some("MAP")));
    assert_eq!(said(&click).as_deref(), Some("在人民路。"));
    let other = talk.sends(event(EventKind::Click, "CLICK", Some("NOPE")));
    assert_eq!((other.outcome, other.is_kept), (Outcome::Silence, true));
    let view = talk.sends(event(EventKind::View, "VIEW", Some("https://example.com")));
    assert_eq!((view.outcome, view.is_kept), (Outcome::Silence, false));
    assert_eq!(talk.state(), State::Bot);
}

#[test]
fn rules_are_silent_while_a_person_owns_the_conversation() {
    let mut talk = Talk::new();
    talk.says("吃出异物");
    talk.agent(&Act::Claim);
    let decision = talk.says("几点开门");
    assert_eq!(
        (decision.outcome, decision.silence),
        (Outcome::Silence, Some(Silence::PersonSpeaks))
    );
    assert!(
        decision.answer.is_durable(),
        "every message while a person owns it is durable"
    );
    let click = talk.sends(event(EventKind::Click, "CLICK", Some("MAP")));
    assert_eq!(click.silence, Some(Silence::PersonSpeaks));
}

#[test]
fn rules_speak_again_thirty_minutes_after_the_agents_answer() {
    for (minutes, speaks) in [(29, false), (30, true)] {
        let mut talk = Talk::new();
        talk.is_on_duty("lili", "丽丽", 0);
        talk.says("吃出异物");
        talk.agent_answers("马上看");
        talk.wechat_takes_it();
        assert_eq!(talk.state(), State::Follower);
        talk.wait(minutes * 60);
        let decision = talk.says("几点开门");
        assert_eq!(decision.outcome == Outcome::Reply, speaks, "{minutes}");
        assert_eq!(
            talk.state(),
            if speaks { State::Bot } else { State::Assigned }
        );
    }
}

#[test]
fn who_went_off_duty_does_not_get_what_comes_after_the_answer() {
    let mut talk = Talk::new();
    talk.says("吃出异物");
    talk.agent_answers("马上看");
    talk.wechat_takes_it();
    talk.says("还在吗");
    let known = talk.known.as_ref().unwrap();
    assert_eq!((known.state, &known.owner), (State::Waiting, &None));
}

#[test]
fn a_held_answer_comes_first_and_the_rules_own_behind_it() {
    let mut talk = Talk::new();
    talk.can_push = false;
    talk.says("吃出异物");
    talk.agent_answers("非常抱歉,经理马上联系你。");
    assert_eq!(talk.state(), State::Held);
    let view = talk.sends(event(EventKind::View, "VIEW", None));
    assert!(view.answer.given.is_empty(), "not on VIEW");
    let decision = talk.says("几点开门");
    assert_eq!(decision.outcome, Outcome::Held);
    assert_eq!(
        said(&decision).as_deref(),
        Some("非常抱歉,经理马上联系你。\n————\n十点开门。")
    );
    assert_eq!(talk.state(), State::Follower);
}

#[test]
fn a_held_answer_is_collected_by_a_tap_and_by_an_uncovered_word() {
    for (content, after) in [
        (
            event(EventKind::Click, "CLICK", Some("NOPE")),
            State::Follower,
        ),
        (text("在吗"), State::Assigned),
    ] {
        let mut talk = Talk::new();
        talk.can_push = false;
        talk.is_on_duty("lili", "丽丽", 0);
        talk.says("吃出异物");
        talk.agent_answers("一");
        talk.agent_answers("二");
        let decision = talk.sends(content);
        assert_eq!(said(&decision).as_deref(), Some("一\n\n二"));
        assert!(decision.answer.is_durable());
        assert_eq!(talk.state(), after);
    }
}

#[test]
fn what_a_held_answer_did_not_settle_goes_to_the_queue_where_its_author_is_gone() {
    let mut talk = Talk::new();
    talk.can_push = false;
    talk.says("吃出异物");
    talk.agent_answers("一");
    let decision = talk.says("在吗");
    assert_eq!(said(&decision).as_deref(), Some("一"));
    assert!(
        matches!(decision.answer.moved, Some(Move::Requeue { .. })),
        "{:?}",
        decision.answer.moved
    );
    let known = talk.known.as_ref().unwrap();
    assert_eq!((known.state, &known.owner), (State::Waiting, &None));
}

#[test]
fn what_does_not_fit_behind_a_held_answer_is_pushed_or_dropped() {
    for (can_push, pushed) in [(true, true), (false, false)] {
        let mut talk = Talk::new();
        talk.can_push = false;
        talk.says("吃出异物");
        talk.agent_answers(&"歉".repeat(300));
        talk.can_push = can_push;
        let decision = talk.says("说来话长");
        assert_eq!(said(&decision), Some("歉".repeat(300)));
        assert_eq!(decision.answer.push.is_some(), pushed);
        assert_eq!(
            decision.answer.own.is_some(),
            pushed,
            "dropped answers are not in the history"
        );
    }
}

#[test]
fn held_texts_beyond_the_limit_stay_for_the_next_visit() {
    let mut talk = Talk::new();
    talk.can_push = false;
    talk.says("吃出异物");
    talk.agent_answers(&"一".repeat(400));
    talk.agent_answers(&"二".repeat(400));
    assert_eq!(
        said(&talk.says("几点开门")),
        Some("一".repeat(400)),
        "the rule waits its turn, too"
    );
    assert_eq!(talk.state(), State::Held);
    assert_eq!(
        said(&talk.sends(event(EventKind::Click, "CLICK", Some("NOPE")))),
        Some("二".repeat(400))
    );
}

#[test]
fn the_third_identical_question_in_ten_minutes_goes_to_a_person_as_well() {
    let mut talk = Talk::new();
    talk.says("几点开门");
    talk.says("几点 开门!");
    talk.says("几点开门");
    assert_eq!(
        talk.state(),
        State::Bot,
        "the second one differs in its middle"
    );
    let third = talk.says("几点开门?");
    assert_eq!(
        (third.outcome, talk.state()),
        (Outcome::Reply, State::Waiting)
    );
    assert_eq!(talk.known.unwrap().reason, Some(Reason::Repeated));
}

#[test]
fn tencents_desk_takes_a_follower_and_gives_back_only_what_it_had() {
    let desk = |kind, name| event(kind, name, None);
    let create = || desk(EventKind::KfCreateSession, "kf_create_session");
    let close = || desk(EventKind::KfCloseSession, "kf_close_session");
    let mut talk = Talk::new();
    talk.sends(create());
    assert_eq!(talk.state(), State::External);
    let until = talk.known.as_ref().unwrap().external_until;
    talk.wait(60);
    talk.sends(desk(EventKind::KfSwitchSession, "kf_switch_session"));
    assert!(talk.known.as_ref().unwrap().external_until > until);
    let ended = talk.sends(close());
    assert_eq!((ended.answer.own, talk.state()), (None, State::Bot));
    assert_eq!(talk.says("几点开门").outcome, Outcome::Reply);
    // The end of a session that somebody waits behind takes nothing from our queue.
    talk.says("吃出头发了");
    talk.sends(close());
    assert_eq!(talk.state(), State::Waiting);
}

#[test]
fn the_desk_takes_messages_and_rules_are_silent_for_half_an_hour() {
    let mut talk = Talk::new();
    assert_eq!(talk.says("转接").outcome, Outcome::Desk);
    assert_eq!(talk.state(), State::External);
    assert_eq!(talk.says("几点开门").silence, Some(Silence::PersonSpeaks));
    talk.wait(1800);
    assert_eq!(talk.says("几点开门").outcome, Outcome::Reply);
    assert_eq!(talk.state(), State::Bot);
}

#[test]
fn leaving_and_asking_to_be_forgotten_are_answered_with_silence() {
    let mut talk = Talk::new();
    let left = talk.sends(event(EventKind::Unsubscribe, "unsubscribe", None));
    assert_eq!(
        (left.is_kept, left.silence),
        (false, Some(Silence::Unsubscribed))
    );
    let mut cancel = event(
        EventKind::UserAuthorizationCancellation,
        "user_authorization_cancellation",
        None,
    );
    if let Content::Event(event) = &mut cancel {
        event.fields.push(crate::model::Field {
            name: "OpenID".into(),
            value: crate::model::incoming::FieldValue::Text("oSomebody".into()),
        });
    }
    assert_eq!(talk.sends(cancel).erase.unwrap().as_str(), "oSomebody");
}

#[test]
fn an_answer_of_a_closed_episode_opens_none_and_a_new_question_opens_its_own() {
    for (words, after) in [("几点开门", State::Closed), ("又吃出异物", State::Waiting)] {
        let mut talk = Talk::new();
        talk.can_push = false;
        talk.says("吃出异物");
        talk.agent_answers("抱歉");
        talk.agent(&Act::Close {
            outcome: crate::model::entry::Outcome::Solved,
        });
        talk.wait(60);
        let decision = talk.says(words);
        assert!(said(&decision).unwrap().starts_with("抱歉"));
        assert_eq!(talk.state(), after);
        let known = talk.known.as_ref().unwrap();
        assert_eq!(known.outcome.is_some(), after == State::Closed);
        assert_eq!(known.opened_at == talk.now, after == State::Waiting);
    }
}

#[test]
fn a_rules_own_late_answer_is_handed_out_and_rules_go_on_speaking() {
    let mut talk = Talk::new();
    talk.says("几点开门");
    let own = fixed(By::Rule, &Arc::from("在人民路。"));
    let error = crate::model::message::PushError {
        code: 48001,
        message: "x".into(),
    };
    let key = TurnKey::of_text("late");
    let push = crate::model::entry::Push::of_turn(&own, key, talk.now, talk.now, Some(error));
    let known = talk.known.as_mut().unwrap();
    let change = Change::Late { turn: key, push };
    known.apply(&Entry {
        at: talk.now,
        conversation: known.id,
        change,
    });
    let decision = talk.says("几点关门");
    assert_eq!(
        said(&decision).as_deref(),
        Some("在人民路。\n————\n十点开门。")
    );
    assert_eq!(talk.state(), State::Bot);
    assert_eq!(talk.says("几点关门").outcome, Outcome::Reply);
}

#[test]
fn messages_at_tencents_desk_are_durable_and_leave_it_there() {
    let mut talk = Talk::new();
    talk.says("转接");
    let decision = talk.says("几点开门");
    assert!(decision.answer.is_durable());
    assert_eq!(talk.state(), State::External);
}
