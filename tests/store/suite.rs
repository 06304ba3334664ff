//! What any store promises, verb by verb.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use wxreply::model::audit::AUDIT_LASTS;
use wxreply::model::conversation::Refusal;
use wxreply::model::entry::{Move, Priority, Settled};
use wxreply::model::message::PushError;
use wxreply::model::notice::{ChannelRecord, DeadNotice, Notice, SettledNotice};
use wxreply::model::people::{Password, PasswordHash, SESSION_IDLE, SESSIONS_EACH};
use wxreply::model::{
    Ability, AccountName, Act, AgentMedia, Alert, AlertKind, Answer, ApiToken, AuditPage,
    AuditQuery, AuditRecord, Capability, Content, Conversation, Delivery, Event, EventKind,
    Fetched, Measured, MediaKind, MediaSource, MessageId, Noted, ReceivedMedia, Reply, Role,
    RuleFiles, Session, SessionId, State, Time, UploadedMedia, User, UserChange, UserEdit,
    UserRefusal, Verdict,
};
use wxreply::store::{
    ActError, Claim, DEAD_KEPT, Error, Health, Pin, Query, REVISIONS_KEPT, Store, UserError,
};

use super::fixtures::*;
pub use super::kept::*;

/// Somewhere a store lives, so that it can be opened again.
#[async_trait]
pub trait Home: Sized + Send + Sync {
    async fn new() -> Self;
    fn store(&self) -> Arc<dyn Store>;
    /// Closes the store and opens it again.
    async fn reopen(&mut self);
    /// Opens the store as it would be found if the process had died now.
    async fn crash(&mut self);
}

/// Runs the whole suite for a home, one test a case.
macro_rules! suite {
    ($home:ty: $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                use crate::store::suite::Home as _;
                crate::store::suite::$case(<$home>::new().await).await;
            }
        )+
    };
    ($home:ty) => {
        suite! { $home:
            every_change_is_told_once_to_whoever_follows
            lists_are_narrowed_searched_and_ordered
            the_desk_is_counted_without_looking_at_everybody
            a_whole_history_comes_in_pieces
            what_is_too_old_is_forgotten_and_nothing_else
            what_was_erased_is_scrubbed_and_everything_else_goes_on
            a_turn_is_answered_once_and_repeated_for_ever
            a_turn_that_was_given_up_leaves_nothing
            turns_of_one_follower_wait_for_each_other_and_no_others
            a_repeat_of_a_running_turn_waits_for_it
            a_claim_that_nobody_waits_for_holds_nobody_up
            of_racing_claims_of_a_turn_one_is_first
            of_racing_agents_one_wins
            the_same_answer_twice_is_one_answer
            an_act_on_nothing_finds_nothing
            history_shows_how_every_message_fared
            history_comes_in_pages
            a_late_answer_takes_the_place_of_the_turns_own
            pushes_go_one_at_a_time_oldest_first
            a_push_to_be_tried_again_waits_for_its_time
            a_push_that_was_being_sent_is_unknown_after_a_crash
            further_replies_stand_behind_the_first_and_go_out_in_order
            a_form_ends_with_its_last_words_once
            a_form_that_went_on_or_was_taken_over_says_nothing
            whoever_waits_for_pushes_is_woken
            pages_of_conversations_show_each_once
            counts_follow_the_states
            revisions_are_kept_and_can_be_brought_back
            revisions_that_nothing_names_go_in_time
            a_pin_is_kept_until_it_is_taken_out
            uploads_are_kept_until_they_are_forgotten
            rights_are_kept_as_they_were_last_shown
            followers_files_are_known_until_they_are_forgotten
            agents_pictures_are_known_until_they_are_forgotten
            pushes_of_one_account_do_not_wait_behind_another
            what_followers_sent_comes_back_in_order
            tokens_are_kept_until_they_are_revoked
            users_change_one_after_another
            sessions_end_with_their_users
            acts_stay_on_record
            alerts_are_raised_once_and_seen_to_their_end
            what_was_to_be_told_of_an_erased_follower_is_gone
            an_erased_follower_is_gone_and_nobody_else
            a_megabyte_is_kept_whole
            a_closed_store_refuses
        }
    };
}

fn text(reply: Option<Reply>) -> Option<String> {
    reply.map(|reply| reply.shown())
}

pub async fn a_turn_is_answered_once_and_repeated_for_ever(mut home: impl Home) {
    let store = home.store();
    let (ticket, before) = first(&*store, "xiaowang", "1").await;
    assert_eq!(before, None);
    let kept = turn("xiaowang", "1", words("几点开门"), answered("九点"));
    let conversation = store.commit_turn(ticket, kept, at(1)).await.unwrap();
    assert_eq!((conversation.version, conversation.state), (1, State::Bot));
    let waiting = ask(&*store, "xiaowang", 2).await;
    assert_eq!((waiting.id, waiting.version), (conversation.id, 2));

    for round in 0..3 {
        let store = home.store();
        assert_eq!(
            text(repeat(&*store, "xiaowang", "1").await).as_deref(),
            Some("九点")
        );
        assert_eq!(repeat(&*store, "xiaowang", "xiaowang 2").await, None);
        let now = store.conversation(waiting.id).await.unwrap();
        assert_eq!(now.as_ref(), Some(&waiting), "round {round}");
        let (_, known) = first(&*store, "xiaowang", "3").await;
        assert_eq!(known, Some(Arc::clone(&waiting)));
        match round {
            0 => home.crash().await,
            _ => home.reopen().await,
        }
    }
}

pub async fn a_turn_that_was_given_up_leaves_nothing(mut home: impl Home) {
    let store = home.store();
    for _ in 0..2 {
        drop(first(&*store, "xiaowang", "1").await);
    }
    assert_eq!(store.counts(), []);
    let page = store
        .conversations(&Query {
            limit: 9,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(page.conversations, []);
    home.reopen().await;
    drop(first(&*home.store(), "xiaowang", "1").await);
}

pub async fn turns_of_one_follower_wait_for_each_other_and_no_others(home: impl Home) {
    let store = home.store();
    let (ticket, _) = first(&*store, "xiaowang", "1").await;
    let mut second = Box::pin(first(&*store, "xiaowang", "2"));
    let mut third = Box::pin(first(&*store, "xiaowang", "3"));
    assert!((&mut second).now_or_never().is_none());
    assert!((&mut third).now_or_never().is_none());
    drop(first(&*store, "xiaoli", "other").await);

    let kept = turn("xiaowang", "1", words("一"), escalated());
    let conversation = store.commit_turn(ticket, kept, at(1)).await.unwrap();
    let (ticket, seen) = second.await;
    assert_eq!(seen, Some(conversation));
    assert!((&mut third).now_or_never().is_none());
    drop(ticket);
    let (ticket, _) = third.await;
    drop(ticket);
}

pub async fn a_repeat_of_a_running_turn_waits_for_it(home: impl Home) {
    let store = home.store();
    let (ticket, _) = first(&*store, "xiaowang", "1").await;
    let mut behind = Box::pin(first(&*store, "xiaowang", "2"));
    let mut again = Box::pin(repeat(&*store, "xiaowang", "1"));
    assert!((&mut behind).now_or_never().is_none());
    assert!((&mut again).now_or_never().is_none());
    let kept = turn("xiaowang", "1", words("几点"), answered("九点"));
    store.commit_turn(ticket, kept, at(1)).await.unwrap();
    // It waits for its own turn only, not for the one that runs now.
    assert_eq!(text(again.await).as_deref(), Some("九点"));
    let (running, _) = behind.await;
    assert_eq!(
        text(repeat(&*store, "xiaowang", "1").await).as_deref(),
        Some("九点")
    );

    let taken_over = first(&*store, "xiaowang", "2");
    let mut taken_over = Box::pin(taken_over);
    assert!((&mut taken_over).now_or_never().is_none());
    drop(running);
    drop(taken_over.await);
}

pub async fn a_claim_that_nobody_waits_for_holds_nobody_up(home: impl Home) {
    let store = home.store();
    let (ticket, _) = first(&*store, "xiaowang", "1").await;
    let mut gone = Box::pin(first(&*store, "xiaowang", "2"));
    let mut gone_later = Box::pin(first(&*store, "xiaowang", "3"));
    let mut stays = Box::pin(first(&*store, "xiaowang", "4"));
    assert!((&mut gone).now_or_never().is_none());
    assert!((&mut gone_later).now_or_never().is_none());
    assert!((&mut stays).now_or_never().is_none());
    drop(gone);
    // By now the turn belongs to the next one, who does not know it yet and leaves.
    drop(ticket);
    drop(gone_later);
    drop(stays.await);

    // Whoever stops waiting for a commit does not stop the commit.
    let (ticket, _) = first(&*store, "xiaowang", "5").await;
    let kept = turn("xiaowang", "5", words("投诉"), escalated());
    let commit = store.commit_turn(ticket, kept, at(5));
    drop(commit.now_or_never());
    assert_eq!(repeat(&*store, "xiaowang", "5").await, None);
}

pub async fn of_racing_claims_of_a_turn_one_is_first(home: impl Home) {
    for round in 0..20 {
        let name = format!("race {round}");
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (store, name) = (home.store(), name.clone());
            tasks.push(tokio::spawn(async move {
                let (account, from) = (shop(), follower("xiaowang"));
                let claim = store.claim_turn(&account, &from, key(&name), START);
                match claim.await.unwrap() {
                    Claim::First { ticket, .. } => {
                        let kept = turn("xiaowang", &name, words(&name), escalated());
                        store.commit_turn(ticket, kept, START).await.unwrap();
                        1
                    }
                    Claim::Repeat { .. } => 0,
                }
            }));
        }
        let mut firsts = 0;
        for task in tasks {
            firsts += task.await.unwrap();
        }
        assert_eq!(firsts, 1);
    }
    let page = home
        .store()
        .conversations(&Query {
            limit: 9,
            ..Query::default()
        })
        .await
        .unwrap();
    assert_eq!(page.conversations.len(), 1);
    assert_eq!(page.conversations[0].version, 20);
}

pub async fn of_racing_agents_one_wins(mut home: impl Home) {
    for round in 0..20_u64 {
        let id = ask(&*home.store(), &format!("f{round}"), round).await.id;
        let act = if round % 2 == 0 {
            Act::Claim
        } else {
            reply("来了", None)
        };
        let mut tasks = Vec::new();
        for name in ["lili", "xiaoli"] {
            let (store, act) = (home.store(), act.clone());
            let seed = key(&format!("{name} {round}"));
            tasks.push(tokio::spawn(async move {
                store.act(id, act, &agent(name), at(50), seed).await
            }));
        }
        let mut winner = None;
        let mut refused = None;
        for task in tasks {
            match task.await.unwrap() {
                Ok(acted) => assert!(winner.replace(acted.conversation).is_none(), "two won"),
                Err(ActError::Refused(Refusal::OwnedBy(owner), _)) => refused = Some(owner),
                Err(other) => panic!("{other}"),
            }
        }
        let winner = winner.unwrap();
        assert_eq!(winner.owner, refused);
        if round == 19 {
            home.crash().await;
            let now = home.store().conversation(id).await.unwrap();
            assert_eq!(now, Some(winner));
        }
    }
}

pub async fn the_same_answer_twice_is_one_answer(mut home: impl Home) {
    let asked = ask(&*home.store(), "xiaowang", 1).await;
    let mut made = Vec::new();
    for round in 0..4 {
        let store = home.store();
        let act = reply("您好", Some("click"));
        let acted = store
            .act(asked.id, act, &agent("lili"), at(2 + round), key("seed"))
            .await
            .unwrap();
        assert_eq!(acted.already, round > 0);
        made.push(acted.message.unwrap());
        match round {
            1 => home.crash().await,
            2 => home.reopen().await,
            _ => {}
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(
        history(&*home.store(), &asked).await,
        ["xiaowang 1 Received", "您好 Queued"]
    );
}

pub async fn an_act_on_nothing_finds_nothing(home: impl Home) {
    let store = home.store();
    let nobody = wxreply::model::ConversationId::at(START, 0, key("nobody"));
    let acted = store
        .act(nobody, Act::Claim, &agent("lili"), START, key("seed"))
        .await;
    assert!(matches!(acted, Err(ActError::NotFound)));
    assert_eq!(store.conversation(nobody).await.unwrap(), None);
    assert_eq!(store.messages(nobody, None, 10).await.unwrap(), []);
    store
        .answer_late(nobody, key("1"), late_push("1", "迟", 1), START)
        .await
        .unwrap();
    let push = MessageId::at(START, 0, key("push"));
    store
        .settle_push(nobody, push, Settled::Sent, START)
        .await
        .unwrap();
    assert!(store.take_push(&shop(), START).await.unwrap().is_none());
}

fn error(code: i64) -> PushError {
    PushError {
        code,
        message: "no".into(),
    }
}

/// Sends what is due at this second with this result; returns what was sent.
async fn send(store: &dyn Store, n: u64, result: Settled) -> String {
    let taken = store.take_push(&shop(), at(n)).await.unwrap().unwrap();
    assert_eq!(taken.push.state, Delivery::Sending);
    store
        .settle_push(taken.conversation, taken.push.id, result, at(n))
        .await
        .unwrap();
    taken.push.reply.shown()
}

pub async fn history_shows_how_every_message_fared(mut home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "xiaowang", 1).await;
    let lili = agent("lili");
    let note = Act::Note {
        text: "老客户".into(),
    };
    store
        .act(asked.id, note, &lili, at(2), key("note"))
        .await
        .unwrap();
    for (n, text) in [(3, "甲"), (4, "乙"), (5, "丙"), (6, "丁")] {
        store
            .act(asked.id, reply(text, None), &lili, at(n), key(text))
            .await
            .unwrap();
    }
    assert_eq!(send(&*store, 7, Settled::Sent).await, "甲");
    assert_eq!(
        send(
            &*store,
            8,
            Settled::Failed {
                error: error(40003)
            }
        )
        .await,
        "乙"
    );
    assert_eq!(
        send(&*store, 9, Settled::Unknown { error: error(0) }).await,
        "丙"
    );
    assert_eq!(
        send(
            &*store,
            10,
            Settled::Held {
                error: error(45047)
            }
        )
        .await,
        "丁"
    );
    let lines = [
        "xiaowang 1 Received",
        "老客户 Received",
        "甲 Sent",
        "乙 Failed",
        "丙 Unknown",
        "丁 Held",
    ];
    assert_eq!(history(&*store, &asked).await, lines);
    home.crash().await;
    let store = home.store();
    assert_eq!(history(&*store, &asked).await, lines);

    let held = store.conversation(asked.id).await.unwrap().unwrap().pushes[0].id;
    let view = Content::Event(Event {
        kind: EventKind::View,
        name: "VIEW".into(),
        key: None,
        fields: Vec::new(),
    });
    take_turn(
        &*store,
        turn("xiaowang", "view", view, Answer::default()),
        at(11),
    )
    .await
    .unwrap();
    let handed = Answer {
        given: [held].into_iter().collect(),
        moved: Some(Move::Follower),
        joined: Some(Reply::Text("丁".into())),
        ..Answer::default()
    };
    take_turn(
        &*store,
        turn("xiaowang", "back", words("在吗"), handed),
        at(12),
    )
    .await
    .unwrap();
    let now = history(&*store, &asked).await;
    assert_eq!(now[5..], ["丁 Passive", "在吗 Received"]);
    assert_eq!(
        text(repeat(&*store, "xiaowang", "back").await).as_deref(),
        Some("丁")
    );
    home.reopen().await;
    assert_eq!(history(&*home.store(), &asked).await, now);
}

pub async fn history_comes_in_pages(mut home: impl Home) {
    let store = home.store();
    let mut asked = ask(&*store, "xiaowang", 0).await;
    for n in 1..40 {
        ask(&*store, "xiaoli", n).await;
        let name = n.to_string();
        let turn = turn("xiaowang", &name, words(&name), answered("好"));
        asked = take_turn(&*store, turn, at(n)).await.unwrap();
    }
    let all = store.messages(asked.id, None, 1000).await.unwrap();
    assert_eq!(all.len(), 79);
    assert!(all.iter().map(|line| line.id).is_sorted());
    home.reopen().await;
    let store = home.store();
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let mut page = store.messages(asked.id, before, 7).await.unwrap();
        let Some(oldest) = page.first() else { break };
        before = Some(oldest.id);
        page.extend(pages);
        pages = page;
    }
    assert_eq!(pages, all);
    let unknown = MessageId::at(START, 9, key("unknown"));
    assert_eq!(
        store.messages(asked.id, Some(unknown), 7).await.unwrap(),
        []
    );
    assert_eq!(store.messages(asked.id, None, 0).await.unwrap(), []);
}

pub async fn a_late_answer_takes_the_place_of_the_turns_own(mut home: impl Home) {
    let store = home.store();
    let asked = take_turn(
        &*store,
        turn("xiaowang", "1", words("几点"), answered("九点")),
        at(1),
    )
    .await;
    let asked = asked.unwrap();
    store
        .answer_late(asked.id, key("1"), late_push("1", "九点", 1), at(6))
        .await
        .unwrap();
    assert_eq!(
        history(&*store, &asked).await,
        ["几点 Received", "九点 Queued"]
    );
    assert_eq!(repeat(&*store, "xiaowang", "1").await, None);
    home.crash().await;
    let store = home.store();
    assert_eq!(repeat(&*store, "xiaowang", "1").await, None);
    assert_eq!(send(&*store, 7, Settled::Sent).await, "九点");
    assert_eq!(
        history(&*store, &asked).await,
        ["几点 Received", "九点 Sent"]
    );
}

pub async fn pushes_go_one_at_a_time_oldest_first(home: impl Home) {
    let store = home.store();
    let lili = agent("lili");
    let (wang, li) = (ask(&*store, "wang", 1).await, ask(&*store, "li", 2).await);
    for (conversation, n, text) in [(&wang, 3, "甲"), (&wang, 4, "乙"), (&li, 5, "丙")] {
        store
            .act(conversation.id, reply(text, None), &lili, at(n), key(text))
            .await
            .unwrap();
    }
    assert!(
        store.take_push(&shop(), at(2)).await.unwrap().is_none(),
        "not due yet"
    );
    let first = store.take_push(&shop(), at(9)).await.unwrap().unwrap();
    assert_eq!(
        (first.push.reply.shown().as_str(), first.push.attempts),
        ("甲", 1)
    );
    assert_eq!(
        (&first.follower, &first.account),
        (&follower("wang"), &shop())
    );
    let second = store.take_push(&shop(), at(9)).await.unwrap().unwrap();
    assert_eq!(
        second.push.reply.shown(),
        "丙",
        "one at a time per follower"
    );
    assert!(store.take_push(&shop(), at(9)).await.unwrap().is_none());
    store
        .settle_push(first.conversation, first.push.id, Settled::Sent, at(9))
        .await
        .unwrap();
    // Ended once; a second word on it changes nothing.
    let failed = Settled::Failed { error: error(1) };
    store
        .settle_push(first.conversation, first.push.id, failed, at(9))
        .await
        .unwrap();
    assert_eq!(history(&*store, &wang).await[1..], ["甲 Sent", "乙 Queued"]);

    let mut takers = Vec::new();
    for _ in 0..4 {
        let store = home.store();
        takers.push(tokio::spawn(async move {
            store.take_push(&shop(), at(9)).await.unwrap()
        }));
    }
    let mut taken = 0;
    for taker in takers {
        taken += usize::from(taker.await.unwrap().is_some());
    }
    assert_eq!(taken, 1);
}

pub async fn a_push_to_be_tried_again_waits_for_its_time(mut home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "wang", 1).await;
    store
        .act(
            asked.id,
            reply("甲", None),
            &agent("lili"),
            at(2),
            key("甲"),
        )
        .await
        .unwrap();
    assert_eq!(store.next_push_at(&shop()).await, Some(at(2)));
    let again = Settled::Again {
        not_before: at(60),
        error: error(-1),
    };
    send(&*store, 3, again).await;
    home.crash().await;
    let store = home.store();
    assert_eq!(store.next_push_at(&shop()).await, Some(at(60)));
    assert!(store.take_push(&shop(), at(59)).await.unwrap().is_none());
    let taken = store.take_push(&shop(), at(60)).await.unwrap().unwrap();
    assert_eq!(
        (taken.push.attempts, taken.push.error),
        (2, Some(error(-1)))
    );
    assert_eq!(store.next_push_at(&shop()).await, None);
}

pub async fn a_push_that_was_being_sent_is_unknown_after_a_crash(mut home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "wang", 1).await;
    for text in ["甲", "乙"] {
        store
            .act(
                asked.id,
                reply(text, None),
                &agent("lili"),
                at(2),
                key(text),
            )
            .await
            .unwrap();
    }
    store.take_push(&shop(), at(3)).await.unwrap().unwrap();
    for _ in 0..2 {
        home.crash().await;
        let now = history(&*home.store(), &asked).await;
        assert_eq!(now[1..], ["甲 Unknown", "乙 Queued"]);
    }
    assert_eq!(send(&*home.store(), 4, Settled::Sent).await, "乙");
}

pub async fn further_replies_stand_behind_the_first_and_go_out_in_order(mut home: impl Home) {
    let store = home.store();
    let more = [(2, "二"), (3, "三"), (4, "四")];
    let answer = Answer {
        more: more
            .map(|(n, text)| push_of("1", text, n, at(1)))
            .into_iter()
            .collect(),
        ..answered("一")
    };
    let turn = turn("wang", "1", words("菜单"), answer);
    let known = take_turn(&*store, turn, at(1)).await.unwrap();
    assert_eq!(
        history(&*store, &known).await,
        [
            "菜单 Received",
            "一 Passive",
            "二 Queued",
            "三 Queued",
            "四 Queued"
        ]
    );
    assert_eq!(send(&*store, 2, Settled::Sent).await, "二");
    home.crash().await;
    let store = home.store();
    let failed = Settled::Failed {
        error: error(40003),
    };
    assert_eq!(send(&*store, 3, failed).await, "三");
    let held = Settled::Held {
        error: error(45047),
    };
    assert_eq!(send(&*store, 4, held).await, "四");
    let lines = [
        "菜单 Received",
        "一 Passive",
        "二 Sent",
        "三 Failed",
        "四 Held",
    ];
    assert_eq!(history(&*store, &known).await, lines);
    let all = store.messages(known.id, None, 9).await.unwrap();
    assert!(all.iter().map(|line| line.id).is_sorted());
    let tail = store.messages(known.id, Some(all[3].id), 2).await.unwrap();
    assert_eq!(tail, all[1..3]);
    home.reopen().await;
    assert_eq!(history(&*home.store(), &known).await, lines);
    assert_eq!(
        text(repeat(&*home.store(), "wang", "1").await).as_deref(),
        Some("一")
    );
}

/// A form's question at this second, with last words at `until`.
async fn begin_form(store: &dyn Store, from: &str, n: u64, until: u64) -> Arc<Conversation> {
    let name = format!("{from} {n}");
    let form = form(&name, at(n), at(until), Some("还在吗"));
    let answer = Answer {
        noted: vec![Noted::Form(Box::new(form))],
        ..answered("几位")
    };
    let turn = turn(from, &name, words("订座"), answer);
    take_turn(store, turn, at(n)).await.unwrap()
}

pub async fn a_form_ends_with_its_last_words_once(mut home: impl Home) {
    let asked = begin_form(&*home.store(), "wang", 1, 600).await;
    let until = |known: &Conversation| known.form(at(2)).map(|form| form.until);
    assert_eq!(until(&asked), Some(at(600)));
    for round in 0..2 {
        let store = home.store();
        assert_eq!(store.next_push_at(&shop()).await, Some(at(600)));
        assert!(store.take_push(&shop(), at(599)).await.unwrap().is_none());
        assert_eq!(
            history(&*store, &asked).await,
            ["订座 Received", "几位 Passive"],
            "round {round}"
        );
        home.crash().await;
    }
    let store = home.store();
    let taken = store.take_push(&shop(), at(600)).await.unwrap().unwrap();
    assert!(taken.is_last_words);
    assert!(store.take_push(&shop(), at(700)).await.unwrap().is_none());
    let known = store.conversation(asked.id).await.unwrap().unwrap();
    assert_eq!(until(&known), None);
    let said = |state: &str| {
        [
            "订座 Received".to_owned(),
            "几位 Passive".to_owned(),
            format!("还在吗 {state}"),
        ]
    };
    assert_eq!(history(&*store, &asked).await, said("Sending"));
    store
        .settle_push(asked.id, taken.push.id, Settled::Sent, at(601))
        .await
        .unwrap();
    for _ in 0..2 {
        let store = home.store();
        assert_eq!(history(&*store, &asked).await, said("Sent"));
        let lines = store.messages(asked.id, None, 1).await.unwrap();
        assert_eq!(lines[0].at, at(600), "when it was said");
        assert!(store.take_push(&shop(), at(9000)).await.unwrap().is_none());
        home.crash().await;
    }
    // An attempt that a crash ended is not made again.
    begin_form(&*home.store(), "wang", 1000, 1600).await;
    let taken = home.store().take_push(&shop(), at(1600)).await.unwrap();
    assert!(taken.is_some());
    home.crash().await;
    let store = home.store();
    assert!(store.take_push(&shop(), at(9000)).await.unwrap().is_none());
    assert_eq!(history(&*store, &asked).await[5], "还在吗 Unknown");
}

pub async fn a_form_that_went_on_or_was_taken_over_says_nothing(mut home: impl Home) {
    let store = home.store();
    let on = begin_form(&*store, "wang", 1, 600).await;
    begin_form(&*store, "wang", 2, 700).await;
    assert_eq!(store.next_push_at(&shop()).await, Some(at(700)));
    let ended = Answer {
        noted: vec![Noted::FormEnded],
        ..answered("订好了")
    };
    let turn = turn("wang", "end", words("两位"), ended);
    take_turn(&*store, turn, at(3)).await.unwrap();
    let claimed = begin_form(&*store, "li", 4, 800).await;
    store
        .act(claimed.id, Act::Claim, &agent("lili"), at(5), key("claim"))
        .await
        .unwrap();
    begin_form(&*store, "zhao", 6, 900).await;
    assert!(store.erase(&shop(), &follower("zhao")).await.unwrap());
    for _ in 0..2 {
        let store = home.store();
        assert_eq!(store.next_push_at(&shop()).await, None);
        assert!(store.take_push(&shop(), at(9000)).await.unwrap().is_none());
        let lines = history(&*store, &on).await;
        assert_eq!(lines.len(), 6);
        assert!(!lines.iter().any(|line| line.starts_with("还在吗")));
        home.crash().await;
    }
}

pub async fn whoever_waits_for_pushes_is_woken(home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "wang", 1).await;
    let waiting = tokio::spawn({
        let store = home.store();
        async move {
            loop {
                if let Some(taken) = store.take_push(&shop(), at(9)).await.unwrap() {
                    return taken;
                }
                store.push_queued(&shop()).await;
            }
        }
    });
    store
        .act(
            asked.id,
            reply("甲", None),
            &agent("lili"),
            at(2),
            key("甲"),
        )
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().push.reply.shown(), "甲");
}

pub async fn pages_of_conversations_show_each_once(mut home: impl Home) {
    let mut known: Vec<Arc<Conversation>> = Vec::new();
    for n in 0..30 {
        // Five share each moment.
        let turn = turn(&format!("f{n}"), &n.to_string(), words("你好"), escalated());
        known.push(take_turn(&*home.store(), turn, at(n / 5)).await.unwrap());
    }
    home.reopen().await;
    let store = home.store();
    known.sort_by_key(|conversation| (conversation.updated_at, conversation.id));
    known.reverse();
    let mut seen = Vec::new();
    let mut query = Query {
        states: vec![State::Waiting],
        limit: 7,
        ..Query::default()
    };
    loop {
        let page = store.conversations(&query).await.unwrap();
        query.after = page
            .conversations
            .last()
            .map(|last| (last.updated_at, last.id));
        seen.extend(page.conversations);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, known);
    let all = Query {
        limit: 100,
        ..Query::default()
    };
    let other = AccountName::parse("other").unwrap();
    let mut counts = Vec::new();
    for query in [
        Query {
            accounts: vec![shop()],
            ..all.clone()
        },
        Query {
            accounts: vec![other],
            ..all.clone()
        },
        Query {
            follower: Some(follower("f7")),
            ..all.clone()
        },
        Query {
            states: vec![State::Bot, State::Held],
            ..all.clone()
        },
        Query { limit: 0, ..all },
    ] {
        counts.push(
            store
                .conversations(&query)
                .await
                .unwrap()
                .conversations
                .len(),
        );
    }
    assert_eq!(counts, [30, 0, 1, 0, 0]);
}

pub async fn counts_follow_the_states(mut home: impl Home) {
    let store = home.store();
    let wang = ask(&*store, "wang", 1).await;
    ask(&*store, "li", 1).await;
    take_turn(
        &*store,
        turn("zhao", "z", words("几点"), answered("九点")),
        at(1),
    )
    .await
    .unwrap();
    store
        .act(wang.id, Act::Claim, &agent("lili"), at(2), key("claim"))
        .await
        .unwrap();
    let expected = [
        (shop(), State::Bot, 1),
        (shop(), State::Waiting, 1),
        (shop(), State::Assigned, 1),
    ];
    assert_eq!(store.counts(), expected);
    home.reopen().await;
    assert_eq!(home.store().counts(), expected);
}

fn files(files: &[(&str, &str)]) -> RuleFiles {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), Bytes::from((*text).to_owned()));
    RuleFiles(files.iter().map(file).collect())
}

pub async fn revisions_are_kept_and_can_be_brought_back(mut home: impl Home) {
    let long = "长".repeat(400_000);
    let old = files(&[("10.toml", "a"), ("media/map.png", &long)]);
    let new = files(&[
        ("10.toml", "b"),
        ("empty.toml", ""),
        ("media/map.png", &long),
    ]);
    let store = home.store();
    assert_eq!(store.revisions().await.unwrap(), []);
    assert_eq!(
        store
            .publish_revision(old.clone(), "lili", at(1))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store
            .publish_revision(new.clone(), "disk", at(2))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        store
            .publish_revision(old.clone(), "xiaoli", at(3))
            .await
            .unwrap(),
        1
    );
    home.crash().await;
    let store = home.store();
    let revisions = store.revisions().await.unwrap();
    let kept: Vec<_> = revisions
        .iter()
        .map(|kept| {
            (
                kept.revision,
                kept.author.as_str(),
                kept.at,
                kept.active,
                kept.hash.len(),
            )
        })
        .collect();
    assert_eq!(
        kept,
        [(2, "disk", at(2), false, 64), (1, "lili", at(1), true, 64)]
    );
    assert_ne!(revisions[0].hash, revisions[1].hash);
    assert_eq!(store.revision_files(1).await.unwrap(), Some(old));
    assert_eq!(store.revision_files(2).await.unwrap(), Some(new));
    assert_eq!(store.revision_files(3).await.unwrap(), None);

    let mut tasks = Vec::new();
    for name in ["lili", "xiaoli"] {
        let store = home.store();
        tasks.push(tokio::spawn(async move {
            store
                .publish_revision(files(&[("10.toml", "c")]), name, at(4))
                .await
                .unwrap()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 3);
    }
    assert_eq!(home.store().revisions().await.unwrap().len(), 3);
}

pub async fn revisions_that_nothing_names_go_in_time(mut home: impl Home) {
    let draft = |n: usize| {
        let same = "媒".repeat(5000);
        files(&[
            ("10.toml", &format!("draft {n}")),
            ("media/same.txt", &same),
        ])
    };
    let store = home.store();
    for n in 1..=REVISIONS_KEPT + 5 {
        let number = store.publish_revision(draft(n), "disk", at(1)).await;
        assert_eq!(number.unwrap(), u64::try_from(n).unwrap());
        if n == 3 {
            // Its rule's answer names revision 3.
            let answer = answered("九点");
            let turn = turn("wang", "1", words("几点"), answer);
            take_turn(&*store, turn, at(2)).await.unwrap();
        }
        if n == 4 {
            let over = [9; 32];
            store.pin(Some(Pin { revision: 4, over })).await.unwrap();
        }
    }
    let newest = |count: u64| 6..6 + count;
    let expected: Vec<u64> = [3, 4].into_iter().chain(newest(200)).collect();
    let gone = async {
        loop {
            let kept = store.revisions().await.unwrap();
            let kept: Vec<_> = kept.iter().rev().map(|kept| kept.revision).collect();
            if kept == expected {
                return;
            }
            // Whoever publishes lets the next removal begin.
            let last = draft(REVISIONS_KEPT + 5);
            store.publish_revision(last, "disk", at(1)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone)
        .await
        .expect("what nothing names goes");
    home.crash().await;
    let store = home.store();
    assert_eq!(store.revisions().await.unwrap().len(), expected.len());
    assert_eq!(store.revision_files(1).await.unwrap(), None);
    for n in [3, 4, 6, 205] {
        let kept = store.revision_files(n).await.unwrap();
        assert_eq!(kept, Some(draft(n.try_into().unwrap())), "{n}");
    }
    // What was removed can come again, under a new number.
    let again = store.publish_revision(draft(1), "lili", at(3)).await;
    assert_eq!(again.unwrap(), 206);
    assert_eq!(store.revision_files(206).await.unwrap(), Some(draft(1)));
}

pub async fn a_pin_is_kept_until_it_is_taken_out(mut home: impl Home) {
    let store = home.store();
    assert_eq!(store.pinned().await.unwrap(), None);
    store.pin(None).await.unwrap();
    let pin = |revision| Pin {
        revision,
        over: [u8::try_from(revision).unwrap(); 32],
    };
    store.pin(Some(pin(3))).await.unwrap();
    store.pin(Some(pin(2))).await.unwrap();
    home.crash().await;
    assert_eq!(home.store().pinned().await.unwrap(), Some(pin(2)));
    home.store().pin(None).await.unwrap();
    home.reopen().await;
    assert_eq!(home.store().pinned().await.unwrap(), None);
}

pub async fn uploads_are_kept_until_they_are_forgotten(mut home: impl Home) {
    let upload = |account: &str, kind, hash: u8, media_id: &str| UploadedMedia {
        account: AccountName::parse(account).unwrap(),
        kind,
        hash: [hash; 32],
        media_id: media_id.into(),
        at: at(u64::from(hash)),
    };
    let store = home.store();
    assert_eq!(store.media().await.unwrap(), []);
    let (image, voice) = (MediaKind::Image, MediaKind::Voice);
    let map = upload("shop", image, 1, "map");
    let newer = upload("shop", image, 1, "newer map");
    let heard = upload("shop", voice, 1, "heard");
    let other = upload("shop-2", image, 1, "other");
    for media in [&map, &heard, &other, &newer] {
        store.keep_media(media.clone()).await.unwrap();
    }
    home.crash().await;
    let store = home.store();
    assert_eq!(
        store.media().await.unwrap(),
        [other.clone(), newer.clone(), heard]
    );
    for _ in 0..2 {
        store.forget_media(&shop(), voice, &[1; 32]).await.unwrap();
    }
    home.reopen().await;
    assert_eq!(home.store().media().await.unwrap(), [other, newer]);
}

pub async fn rights_are_kept_as_they_were_last_shown(mut home: impl Home) {
    let capability = |account: &str, ability, verdict, n| Capability {
        account: AccountName::parse(account).unwrap(),
        ability,
        measured: Measured {
            verdict,
            at: at(n),
            code: 0,
        },
    };
    let old = capability("shop", Ability::Push, Verdict::Yes, 1);
    let new = capability("shop", Ability::Push, Verdict::No, 2);
    let media = capability("shop", Ability::Media, Verdict::Yes, 1);
    let other = capability("other", Ability::Push, Verdict::Yes, 1);
    for kept in [&old, &media, &other, &new] {
        home.store().keep_capability(kept.clone()).await.unwrap();
    }
    for _ in 0..2 {
        let mut known = home.store().capabilities().await.unwrap();
        known.sort_unstable_by_key(|one| (one.account.clone(), one.ability));
        assert_eq!(known, [other.clone(), new.clone(), media.clone()]);
        home.crash().await;
    }
}

pub async fn followers_files_are_known_until_they_are_forgotten(mut home: impl Home) {
    let media = |n: u64| ReceivedMedia {
        message: MessageId::at(at(n), 0, key("file")),
        account: shop(),
        follower: follower("wang"),
        at: at(n),
        source: MediaSource {
            media_id: "M".into(),
            pic_url: "".into(),
        },
        fetched: Fetched::Waiting {
            tries: 0,
            not_before: at(n),
        },
    };
    let here = |n: u64| ReceivedMedia {
        fetched: Fetched::Kept {
            hash: [7; 32],
            bytes: 9,
            at: at(n + 1),
        },
        ..media(n)
    };
    let store = home.store();
    assert_eq!(store.received_until().await.unwrap(), None);
    for n in 1..=4 {
        store.keep_received(media(n)).await.unwrap();
    }
    for n in [3, 1, 2] {
        store.keep_received(here(n)).await.unwrap();
    }
    store.note_received_until(at(9)).await.unwrap();
    for _ in 0..2 {
        let store = home.store();
        assert_eq!(store.to_fetch().await.unwrap(), [media(4)]);
        let first = store.all_received(None, 2).await.unwrap();
        assert_eq!(first, [here(1), here(2)]);
        let rest = store.all_received(Some(here(2).message), 2).await.unwrap();
        assert_eq!(rest, [here(3)]);
        assert_eq!(
            store.received(media(4).message).await.unwrap(),
            Some(media(4))
        );
        assert_eq!(
            store.received(here(1).message).await.unwrap(),
            Some(here(1))
        );
        assert_eq!(store.received_until().await.unwrap(), Some(at(9)));
        home.crash().await;
    }
    let gone = vec![here(1).message, media(4).message, media(7).message];
    home.store().forget_received(gone).await.unwrap();
    home.reopen().await;
    let store = home.store();
    assert_eq!(store.to_fetch().await.unwrap(), []);
    assert_eq!(
        store.all_received(None, 9).await.unwrap(),
        [here(2), here(3)]
    );
    assert_eq!(store.received(here(1).message).await.unwrap(), None);
}

pub async fn agents_pictures_are_known_until_they_are_forgotten(mut home: impl Home) {
    let media = |hash: u8, n| AgentMedia {
        account: shop(),
        hash: [hash; 32],
        bytes: 9,
        by: agent("lili").name,
        at: at(n),
    };
    for brought in [media(1, 1), media(2, 1), media(1, 2)] {
        home.store().keep_agent_media(brought).await.unwrap();
    }
    home.crash().await;
    let store = home.store();
    assert_eq!(
        store.all_agent_media().await.unwrap(),
        [media(1, 2), media(2, 1)]
    );
    let found = store.agent_media(&shop(), &[1; 32]).await.unwrap();
    assert_eq!(found, Some(media(1, 2)));
    let other = AccountName::parse("other").unwrap();
    assert_eq!(store.agent_media(&other, &[1; 32]).await.unwrap(), None);
    for _ in 0..2 {
        store.forget_agent_media(&shop(), &[1; 32]).await.unwrap();
    }
    home.reopen().await;
    assert_eq!(home.store().all_agent_media().await.unwrap(), [media(2, 1)]);
}

pub async fn pushes_of_one_account_do_not_wait_behind_another(home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "wang", 1).await;
    let act = reply("甲", None);
    store
        .act(asked.id, act, &agent("lili"), at(2), key("甲"))
        .await
        .unwrap();
    let other = AccountName::parse("other").unwrap();
    assert_eq!(store.next_push_at(&shop()).await, Some(at(2)));
    assert_eq!(store.next_push_at(&other).await, None);
    assert_eq!(
        (store.pushes_waiting(&shop()), store.pushes_waiting(&other)),
        (1, 0)
    );
    assert!(store.take_push(&other, at(9)).await.unwrap().is_none());
    let taken = store.take_push(&shop(), at(9)).await.unwrap().unwrap();
    assert_eq!(taken.account, shop());
    assert_eq!(store.pushes_waiting(&shop()), 0);
}

pub async fn what_followers_sent_comes_back_in_order(mut home: impl Home) {
    let store = home.store();
    let none = store.past(START, None, 10).await.unwrap();
    assert!(none.messages.is_empty() && none.next.is_none());
    for n in 0..60 {
        let from = ["wang", "li", "zhao"][n % 3];
        let name = n.to_string();
        let kept = turn(from, &name, words(&name), answered("好"));
        let n = u64::try_from(n).unwrap();
        let known = take_turn(&*store, kept, at(n * 600)).await.unwrap();
        let note = Act::Note { text: "注".into() };
        let seed = key(&format!("note {n}"));
        let lili = agent("lili");
        store
            .act(known.id, note, &lili, at(n * 600), seed)
            .await
            .unwrap();
    }
    assert!(store.erase(&shop(), &follower("li")).await.unwrap());
    for round in 0..2 {
        let store = home.store();
        for (since, first) in [(at(0), 0), (at(600 * 30), 30), (at(600 * 30 + 1), 31)] {
            for limit in [1, 7, 1000] {
                let mut seen = Vec::new();
                let mut after = None;
                loop {
                    let past = store.past(since, after, limit).await.unwrap();
                    assert!(past.messages.len() <= limit);
                    for message in past.messages {
                        assert_eq!(message.account, shop());
                        let name = message.incoming.msg_id.unwrap();
                        assert_eq!(message.key, key(&name));
                        seen.push((name.parse::<u64>().unwrap(), message.at));
                    }
                    after = past.next;
                    if after.is_none() {
                        break;
                    }
                }
                let stay = (first..60).filter(|n| n % 3 != 1);
                let expected: Vec<_> = stay.map(|n| (n, at(n * 600))).collect();
                assert_eq!(seen, expected, "round {round}");
            }
        }
        let later = store.past(at(600 * 60), None, 9).await.unwrap();
        assert!(later.messages.is_empty());
        home.crash().await;
    }
}

pub async fn tokens_are_kept_until_they_are_revoked(mut home: impl Home) {
    let token = |name: &str, role| ApiToken {
        name: name.into(),
        role,
        accounts: vec![shop()],
        sha256: [7; 32],
        created_at: at(1),
    };
    let store = home.store();
    let mut tasks = Vec::new();
    for role in [Role::Viewer, Role::Admin] {
        let (store, token) = (home.store(), token("kasse", role));
        tasks.push(tokio::spawn(async move {
            store.add_token(token).await.unwrap()
        }));
    }
    let mut added = 0;
    for task in tasks {
        added += usize::from(task.await.unwrap());
    }
    assert_eq!(added, 1, "of two of one name one is kept");
    assert!(store.add_token(token("app", Role::Agent)).await.unwrap());
    home.crash().await;
    let store = home.store();
    let names: Vec<_> = store
        .tokens()
        .await
        .unwrap()
        .into_iter()
        .map(|token| token.name)
        .collect();
    assert_eq!(names, ["app".into(), "kasse".into()]);
    assert!(store.revoke_token("kasse").await.unwrap());
    assert!(!store.revoke_token("kasse").await.unwrap());
    home.reopen().await;
    assert_eq!(
        home.store().tokens().await.unwrap(),
        [token("app", Role::Agent)]
    );
}

fn user(name: &str, role: Role) -> User {
    User {
        name: person(name),
        shown: name.into(),
        role,
        is_lead: false,
        accounts: Vec::new(),
        is_disabled: false,
        is_on_duty: false,
        duty_since: at(0),
        created_at: at(0),
        password: password(1),
        epoch: 0,
    }
}

fn password(n: u8) -> Password {
    let hash = PasswordHash {
        memory: 8,
        passes: 1,
        lanes: 1,
        salt: [n; 16],
        hash: [n; 32],
    };
    Password {
        hash,
        at: at(0),
        is_initial: false,
    }
}

fn disabled(is_disabled: bool) -> UserChange {
    UserChange::Edit(UserEdit {
        is_disabled: Some(is_disabled),
        ..UserEdit::default()
    })
}

pub async fn users_change_one_after_another(mut home: impl Home) {
    let store = home.store();
    let (boss, other) = (user("boss", Role::Admin), user("Other", Role::Admin));
    assert!(store.add_user(boss.clone()).await.unwrap());
    assert!(store.add_user(other.clone()).await.unwrap());
    assert!(!store.add_user(user("OTHER", Role::Agent)).await.unwrap());
    assert_eq!(store.user(&person("oTHER")).await.unwrap(), Some(other));
    assert_eq!(store.user(&person("nobody")).await.unwrap(), None);
    let missing = store
        .change_user(&person("nobody"), disabled(true), at(1))
        .await;
    assert!(matches!(missing, Err(UserError::NotFound)));

    // Two that race for the last place: one of them stays.
    let both = [person("boss"), person("other")].map(|name| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            store
                .change_user(&name, disabled(true), at(2))
                .await
                .is_ok()
        })
    });
    let mut done = Vec::new();
    for one in both {
        done.push(one.await.unwrap());
    }
    done.sort_unstable();
    assert_eq!(done, [false, true]);
    let users = store.users().await.unwrap();
    home.crash().await;
    assert_eq!(home.store().users().await.unwrap(), users);
    let left = users.iter().find(|user| !user.is_disabled).unwrap();
    let refused = home
        .store()
        .change_user(&left.name, disabled(true), at(3))
        .await;
    assert!(matches!(
        refused,
        Err(UserError::Refused(UserRefusal::LastAdmin))
    ));
    let same = UserChange::Duty { on: false };
    let changed = home.store().change_user(&left.name, same, at(4)).await;
    let changed = changed.unwrap();
    assert_eq!(changed.before, changed.after);
    home.reopen().await;
    assert_eq!(home.store().users().await.unwrap(), users);
}

fn session(user: &str, n: u8, seconds: u64) -> Session {
    Session {
        id: SessionId::at(at(seconds), n, key(user)),
        token: [n; 32],
        user: person(user),
        epoch: 0,
        created_at: at(seconds),
        fresh_at: at(seconds),
        seen_at: at(seconds),
        address: Some([192, 0, 2, n].into()),
        client: "test".into(),
    }
}

pub async fn sessions_end_with_their_users(mut home: impl Home) {
    let store = home.store();
    for name in ["mei", "jun"] {
        assert!(store.add_user(user(name, Role::Agent)).await.unwrap());
    }
    assert!(!store.open_session(session("nobody", 9, 0)).await.unwrap());
    for (name, n) in [("mei", 1), ("mei", 2), ("jun", 3)] {
        assert!(store.open_session(session(name, n, 0)).await.unwrap());
    }
    home.crash().await;
    let store = home.store();
    let found = store.session(&[1; 32], at(1)).await.unwrap().unwrap();
    assert_eq!(found, (session("mei", 1, 0), user("mei", Role::Agent)));
    assert_eq!(store.session(&[7; 32], at(1)).await.unwrap(), None);
    let late = START.plus(SESSION_IDLE);
    assert_eq!(store.session(&[1; 32], late).await.unwrap(), None);
    store.see_session(&[1; 32], at(60)).await.unwrap();
    store.see_session(&[7; 32], at(60)).await.unwrap();
    let (seen, _) = store.session(&[1; 32], late).await.unwrap().unwrap();
    assert_eq!((seen.seen_at, seen.created_at), (at(60), at(0)));
    let count = |sessions: Vec<Session>| sessions.len();
    assert_eq!(count(store.sessions(at(1)).await.unwrap()), 3);
    assert_eq!(count(store.sessions(late).await.unwrap()), 1);

    assert!(store.end_session(session("jun", 3, 0).id).await.unwrap());
    assert!(!store.end_session(session("jun", 3, 0).id).await.unwrap());
    let change = UserChange::Password(password(2));
    let changed = store.change_user(&person("mei"), change, at(61)).await;
    assert_eq!(changed.unwrap().after.epoch, 1);
    assert_eq!(store.sessions(at(61)).await.unwrap(), []);
    store.see_session(&[1; 32], at(62)).await.unwrap();
    assert_eq!(store.session(&[1; 32], at(62)).await.unwrap(), None);
    let stale = session("mei", 4, 62);
    assert!(
        !store.open_session(stale.clone()).await.unwrap(),
        "a login that was overtaken"
    );
    let fresh = Session { epoch: 1, ..stale };
    assert!(store.open_session(fresh.clone()).await.unwrap());
    home.crash().await;
    assert_eq!(home.store().sessions(at(63)).await.unwrap(), [fresh]);

    let store = home.store();
    for n in 10..10 + u8::try_from(SESSIONS_EACH).unwrap() {
        let next = session("jun", n, u64::from(n) + 100);
        assert!(store.open_session(next).await.unwrap());
    }
    let next = session("jun", 99, 200);
    assert!(store.open_session(next).await.unwrap());
    let sessions = store.sessions(at(201)).await.unwrap();
    let tokens: Vec<u8> = sessions.iter().map(|session| session.token[0]).collect();
    assert_eq!(tokens.len(), SESSIONS_EACH + 1);
    assert!(
        tokens[0] == 99 && !tokens.contains(&10),
        "the most silent one went"
    );
    assert_eq!(
        store.end_sessions_of(&person("jun")).await.unwrap(),
        SESSIONS_EACH
    );
    assert_eq!(store.end_sessions_of(&person("jun")).await.unwrap(), 0);
    home.reopen().await;
    assert_eq!(home.store().sessions(at(201)).await.unwrap().len(), 1);
}

fn record(n: u64, time: Time) -> AuditRecord {
    AuditRecord {
        seq: 0,
        at: time,
        by: Some(person("boss")),
        what: "user.change".into(),
        target: format!("t{n}").into(),
        before: None,
        after: Some("{}".into()),
        address: None,
        account: None,
    }
}

pub async fn acts_stay_on_record(mut home: impl Home) {
    let store = home.store();
    let all = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    assert_eq!(store.audit_page(&all).await.unwrap(), AuditPage::default());
    for n in 1..=20 {
        assert_eq!(store.audit(record(n, at(n))).await.unwrap(), n);
    }
    let racing = [21, 22].map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.audit(record(n, at(n))).await.unwrap() })
    });
    let mut numbers = Vec::new();
    for one in racing {
        numbers.push(one.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [21, 22]);
    home.crash().await;
    let store = home.store();
    let page = store.audit_page(&all).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!((seqs, page.next), ((1..=22).rev().collect(), None));
    let some = AuditQuery {
        since: Some(at(3)),
        until: Some(at(9)),
        limit: 4,
        ..AuditQuery::default()
    };
    let page = store.audit_page(&some).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!((seqs, page.next), (vec![8, 7, 6, 5], Some(5)));
    let rest = AuditQuery {
        after: page.next,
        ..some
    };
    let page = store.audit_page(&rest).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!((seqs, page.next), (vec![4, 3], None));

    // Two years later the old ones go, a few with each new one; numbers go on.
    let later = at(30).plus(AUDIT_LASTS);
    for n in 23..=26 {
        assert_eq!(store.audit(record(n, later)).await.unwrap(), n);
    }
    home.reopen().await;
    let page = home.store().audit_page(&all).await.unwrap();
    let seqs: Vec<u64> = page.records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [26, 25, 24, 23]);
}

fn alert(name: &str, priority: Priority) -> Alert {
    Alert {
        id: key(name),
        kind: AlertKind::Escalated,
        account: Some(shop()),
        conversation: None,
        priority,
        reason: name.into(),
        waiting: Duration::ZERO,
        at: at(0),
        tier: 1,
        to: None,
        excerpt: "吃出头发了".into(),
    }
}

fn noticed(alert: &Alert, channels: &[&str]) -> (Alert, Vec<Notice>) {
    let notices = channels
        .iter()
        .map(|name| Notice::new(alert, &(*name).into(), 2, at(0)));
    (alert.clone(), notices.collect())
}

pub async fn alerts_are_raised_once_and_seen_to_their_end(mut home: impl Home) {
    let store = home.store();
    let (one, two) = (
        alert("one", Priority::Urgent),
        alert("two", Priority::Normal),
    );
    let (first, second) = (noticed(&one, &["duty", "lead"]), noticed(&two, &["duty"]));
    let both = vec![first.clone(), second.clone(), first.clone()];
    let kept = store.raise_alerts(both, at(1)).await.unwrap();
    assert_eq!(kept, [true, true, false]);
    let racing = (0..8).map(|_| {
        let (store, three) = (home.store(), alert("three", Priority::High));
        tokio::spawn(async move {
            let raised = vec![noticed(&three, &["duty"])];
            store.raise_alerts(raised, at(2)).await.unwrap()
        })
    });
    let mut winners = 0;
    for raised in racing.collect::<Vec<_>>() {
        winners += usize::from(raised.await.unwrap() == [true]);
    }
    assert_eq!(winners, 1);

    home.crash().await;
    let store = home.store();
    let again = store
        .raise_alerts(vec![first.clone()], at(3))
        .await
        .unwrap();
    assert_eq!(again, [false]);
    assert_eq!(store.notices().await.unwrap().len(), 4);
    let record = ChannelRecord {
        told_at: Some(at(3)),
        failures: 1,
        ..ChannelRecord::default()
    };
    let later = Notice {
        attempts: 1,
        not_before: at(60),
        ..second.1[0].clone()
    };
    let dead = DeadNotice {
        notice: first.1[1].clone(),
        at: at(4),
        failure: "连不上".into(),
    };
    let settled = vec![
        SettledNotice::Done(first.1[0].id),
        SettledNotice::Again(later.clone()),
        SettledNotice::Dead(dead.clone()),
    ];
    store
        .settle_notices("duty", record.clone(), settled)
        .await
        .unwrap();

    home.crash().await;
    let store = home.store();
    let records = store.channel_records().await.unwrap();
    assert_eq!(records, [("duty".to_owned(), record)]);
    let mut waiting = store.notices().await.unwrap();
    waiting.retain(|notice| notice.alert.id != key("three"));
    assert_eq!(waiting, [later]);
    let given_up = store.dead_notices().await.unwrap();
    assert_eq!(given_up, std::slice::from_ref(&dead));
    assert_eq!(store.raised_alerts(at(1)).await.unwrap().len(), 3);
    let since = store.raised_alerts(at(2)).await.unwrap();
    assert_eq!((since.len(), since[0].priority), (1, Priority::High));

    assert_eq!(
        store.revive_notice(key("nobody"), at(5)).await.unwrap(),
        None
    );
    let revived = store.revive_notice(dead.notice.id, at(5)).await.unwrap();
    let revived = revived.unwrap();
    assert_eq!((revived.since, revived.attempts), (at(5), 0));
    assert_eq!(
        store.revive_notice(dead.notice.id, at(5)).await.unwrap(),
        None
    );
    home.reopen().await;
    let store = home.store();
    assert_eq!(store.dead_notices().await.unwrap(), []);
    assert!(store.notices().await.unwrap().contains(&revived));

    // Only so many that were given up stay, the newest.
    let most = u64::try_from(DEAD_KEPT).unwrap();
    let many = (0..most + 3).map(|n| {
        SettledNotice::Dead(DeadNotice {
            notice: Notice {
                id: key(&n.to_string()),
                ..revived.clone()
            },
            at: at(n),
            failure: "连不上".into(),
        })
    });
    let record = ChannelRecord::default();
    store
        .settle_notices("lead", record, many.collect())
        .await
        .unwrap();
    let dead = store.dead_notices().await.unwrap();
    assert_eq!((dead.len(), dead[0].at), (DEAD_KEPT, at(most + 2)));
    store.forget_alerts(at(2)).await.unwrap();
    assert_eq!(store.raised_alerts(at(0)).await.unwrap().len(), 1);
    let raised = store.raise_alerts(vec![first], at(9)).await.unwrap();
    assert_eq!(raised, [true], "it is forgotten");
}

pub async fn what_was_to_be_told_of_an_erased_follower_is_gone(mut home: impl Home) {
    let store = home.store();
    let wang = ask(&*store, "wang", 1).await;
    let li = ask(&*store, "li", 2).await;
    let about = |name: &str, id| Alert {
        conversation: Some(id),
        ..alert(name, Priority::High)
    };
    let (first, second, third) = (
        noticed(&about("wang", wang.id), &["duty"]),
        noticed(&about("wang again", wang.id), &["duty"]),
        noticed(&about("li", li.id), &["duty"]),
    );
    let all = vec![first.clone(), second, third.clone()];
    store.raise_alerts(all, at(3)).await.unwrap();
    assert_eq!(&*first.1[0].alert.excerpt, "吃出", "no more than is shown");
    let dead = DeadNotice {
        notice: first.1[0].clone(),
        at: at(4),
        failure: "连不上".into(),
    };
    let settled = vec![SettledNotice::Dead(dead)];
    let record = ChannelRecord::default();
    store.settle_notices("duty", record, settled).await.unwrap();
    assert!(store.erase(&shop(), &follower("wang")).await.unwrap());
    home.crash().await;
    let store = home.store();
    assert_eq!(store.notices().await.unwrap(), third.1);
    assert_eq!(store.dead_notices().await.unwrap(), []);
}

pub async fn an_erased_follower_is_gone_and_nobody_else(mut home: impl Home) {
    let store = home.store();
    let mut wang = ask(&*store, "wang", 1).await;
    for n in 2..20 {
        let name = n.to_string();
        take_turn(
            &*store,
            turn("li", &format!("li {n}"), words(&name), answered("好")),
            at(n),
        )
        .await
        .unwrap();
        let kept = turn("wang", &name, words(&name), answered("好"));
        wang = take_turn(&*store, kept, at(n)).await.unwrap();
    }
    let li = ask(&*store, "li", 20).await;
    store
        .act(
            wang.id,
            reply("甲", None),
            &agent("lili"),
            at(21),
            key("甲"),
        )
        .await
        .unwrap();
    let others = store.messages(li.id, None, 100).await.unwrap();
    assert_eq!(others.len(), 37);
    assert!(store.erase(&shop(), &follower("wang")).await.unwrap());
    assert!(!store.erase(&shop(), &follower("wang")).await.unwrap());
    assert!(!store.erase(&shop(), &follower("nobody")).await.unwrap());
    for round in 0..3 {
        let store = home.store();
        assert_eq!(store.conversation(wang.id).await.unwrap(), None);
        assert_eq!(store.messages(wang.id, None, 10).await.unwrap(), []);
        assert!(store.take_push(&shop(), at(99)).await.unwrap().is_none());
        assert_eq!(store.counts(), [(shop(), State::Waiting, 1)]);
        assert_eq!(
            repeat(&*store, "wang", "7").await,
            None,
            "a repeat stays a repeat"
        );
        assert_eq!(store.messages(li.id, None, 100).await.unwrap(), others);
        match round {
            0 => home.crash().await,
            _ => home.reopen().await,
        }
    }
    let store = home.store();
    let back = ask(&*store, "wang", 30).await;
    assert_eq!((back.version, back.id == wang.id), (1, false));
    home.reopen().await;
    assert_eq!(history(&*home.store(), &back).await, ["wang 30 Received"]);
}

pub async fn a_megabyte_is_kept_whole(mut home: impl Home) {
    let long = "信".repeat((1 << 20) / 3);
    let store = home.store();
    let asked = take_turn(&*store, turn("wang", "1", words(&long), escalated()), at(1))
        .await
        .unwrap();
    ask(&*store, "wang", 2).await;
    take_turn(
        &*store,
        turn("li", "3", words("短"), answered(&long)),
        at(3),
    )
    .await
    .unwrap();
    for round in 0..3 {
        let store = home.store();
        let lines = store.messages(asked.id, None, 10).await.unwrap();
        assert_eq!(lines.len(), 2);
        assert!(*lines[0].text == *long, "round {round}");
        assert_eq!(
            text(repeat(&*store, "li", "3").await).map(|text| text.len()),
            Some(long.len())
        );
        match round {
            0 => home.crash().await,
            _ => home.reopen().await,
        }
    }
    assert!(
        home.store()
            .erase(&shop(), &follower("wang"))
            .await
            .unwrap()
    );
    home.crash().await;
    assert_eq!(repeat(&*home.store(), "wang", "1").await, None);
}

pub async fn a_closed_store_refuses(home: impl Home) {
    let store = home.store();
    let asked = ask(&*store, "wang", 1).await;
    assert_eq!(store.health(), Health::Good);
    let (ticket, _) = first(&*store, "li", "2").await;
    store.close().await;
    store.close().await;
    let closed = |error: Error| assert!(matches!(error, Error::Closed), "{error}");
    let kept = turn("li", "2", words("二"), escalated());
    closed(store.commit_turn(ticket, kept, at(2)).await.unwrap_err());
    closed(
        store
            .claim_turn(&shop(), &follower("wang"), key("3"), at(3))
            .await
            .unwrap_err(),
    );
    closed(store.conversation(asked.id).await.unwrap_err());
    closed(store.messages(asked.id, None, 1).await.unwrap_err());
    closed(store.tokens().await.unwrap_err());
    closed(store.revoke_token("x").await.unwrap_err());
    closed(store.erase(&shop(), &follower("wang")).await.unwrap_err());
    let acted = store
        .act(asked.id, Act::Claim, &agent("lili"), at(4), key("x"))
        .await;
    assert!(matches!(acted, Err(ActError::Store(Error::Closed))));
}
