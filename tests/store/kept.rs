//! What any store promises about what it shows of conversations, and about what it does not keep.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use wxreply::model::conversation::HELD_FOR;
use wxreply::model::entry::{Move, Priority, Reason};
use wxreply::model::{Act, Answer, Conversation, OpenId, Reply, State, Time};
use wxreply::store::{Missed, Order, Query, Search, Store};

use super::fixtures::*;
use super::suite::Home;

const DAY: u64 = 24 * 3600;

fn escalates(priority: Priority) -> Answer {
    Answer {
        moved: Some(Move::Escalate {
            reason: Reason::Handoff,
            priority,
            note: None,
        }),
        ..Answer::default()
    }
}

/// Asks with this priority; `n` is the second.
async fn asks(store: &dyn Store, from: &str, n: u64, priority: Priority) -> Arc<Conversation> {
    let name = format!("{from} {n}");
    let turn = turn(from, &name, words(&name), escalates(priority));
    take_turn(store, turn, at(n)).await.unwrap()
}

/// Asks what a rule answers.
async fn chats(store: &dyn Store, from: &str, n: u64) -> Arc<Conversation> {
    let name = format!("{from} {n}");
    let turn = turn(from, &name, words(&name), answered("好的"));
    take_turn(store, turn, at(n)).await.unwrap()
}

/// An answer that cannot be pushed.
fn kept_for_a_visit(text: &str) -> Act {
    Act::Reply {
        reply: Reply::Text(text.into()),
        key: None,
        last_seen: None,
        can_push: false,
        hold: false,
    }
}

async fn listed(store: &dyn Store, query: &Query) -> Vec<String> {
    let page = store.conversations(query).await.unwrap();
    let names = page.conversations.iter();
    names.map(|known| known.follower.to_string()).collect()
}

pub async fn every_change_is_told_once_to_whoever_follows(mut home: impl Home) {
    let store = home.store();
    let start = store.changes(None).await.place;
    assert!(store.changes(Some(start)).now_or_never().is_none());
    let li = asks(&*store, "li", 1, Priority::Normal).await;
    let wu = chats(&*store, "wu", 2).await;
    chats(&*store, "wu", 3).await;
    let changes = store.changes(Some(start)).await;
    let told: Vec<_> = changes
        .changed
        .iter()
        .map(|changed| (changed.conversation, changed.version))
        .collect();
    assert_eq!(told, [(li.id, 1), (wu.id, 2)]);
    assert_eq!(changes.missed, Missed::Nothing);
    assert!(store.changes(Some(changes.place)).now_or_never().is_none());
    store
        .act(li.id, Act::Claim, &agent("mei"), at(4), key("c"))
        .await
        .unwrap();
    store.erase(&shop(), &follower("wu")).await.unwrap();
    let later = store.changes(Some(changes.place)).await;
    let told: Vec<_> = later
        .changed
        .iter()
        .map(|changed| (changed.conversation, changed.version))
        .collect();
    assert_eq!(told, [(li.id, 2), (wu.id, 3)]);
    home.reopen().await;
    let missed = home.store().changes(Some(later.place + 7)).await.missed;
    assert_eq!(missed, Missed::OfPeople);
}

pub async fn lists_are_narrowed_searched_and_ordered(mut home: impl Home) {
    let store = home.store();
    asks(&*store, "a", 1, Priority::Low).await;
    asks(&*store, "b", 2, Priority::Urgent).await;
    let c = asks(&*store, "c", 3, Priority::High).await;
    asks(&*store, "d", 4, Priority::Urgent).await;
    chats(&*store, "e", 5).await;
    let mei = agent("mei");
    store
        .act(c.id, Act::Claim, &mei, at(6), key("c"))
        .await
        .unwrap();
    let tags = vec!["vip".into()];
    store
        .act(c.id, Act::Tag { tags }, &mei, at(7), key("t"))
        .await
        .unwrap();
    for _ in 0..2 {
        let store = home.store();
        let of = |query: Query| {
            let store = Arc::clone(&store);
            async move { listed(&*store, &Query { limit: 9, ..query }).await }
        };
        let open = || vec![State::Waiting, State::Assigned];
        let waiting = Query {
            states: open(),
            ..Query::default()
        };
        assert_eq!(of(waiting.clone()).await, ["oc", "od", "ob", "oa"]);
        assert_eq!(of(Query::default()).await, ["oc", "oe", "od", "ob", "oa"]);
        let owned = Query {
            owner: Some(mei.name.clone()),
            ..Query::default()
        };
        assert_eq!(of(owned).await, ["oc"]);
        let tagged = Query {
            tag: Some("vip".into()),
            ..waiting.clone()
        };
        assert_eq!(of(tagged).await, ["oc"]);
        let urgent = Query {
            priorities: vec![Priority::Urgent, Priority::Low],
            ..waiting.clone()
        };
        assert_eq!(of(urgent).await, ["od", "ob", "oa"]);
        store.set_words(Arc::new(|known| {
            let last = known.last_message.as_ref();
            last.map_or_else(Arc::default, |last| Arc::clone(&last.text))
        }));
        let search = |words: &str, openid: Option<&str>| Query {
            search: Some(Search {
                words: words.into(),
                openid: openid.map(Into::into),
                alias: None,
            }),
            ..Query::default()
        };
        let waiting_for = |words: &str, openid| Query {
            states: open(),
            ..search(words, openid)
        };
        // Lists and what rules answer are searched in different ways.
        assert_eq!(of(waiting_for("d 4", Some("oa"))).await, ["od", "oa"]);
        assert_eq!(of(search("d 4", Some("oa"))).await, ["od", "oa"]);
        assert_eq!(of(search("好", None)).await, ["oe"]);
        let pressing = Query {
            order: Order::Urgency,
            ..waiting_for(" ", None)
        };
        assert_eq!(of(pressing).await, ["ob", "od", "oc", "oa"]);
        assert!(of(waiting_for("", None)).await.is_empty());
        let mut ranked = Query {
            order: Order::Urgency,
            limit: 2,
            ..waiting.clone()
        };
        let mut seen = Vec::new();
        loop {
            let page = store.conversations(&ranked).await.unwrap();
            let last = page.conversations.last().unwrap();
            let (level, time) = last.urgency();
            (ranked.after, ranked.after_level) = (Some((time, last.id)), Some(level));
            let names = page.conversations.iter();
            seen.extend(names.map(|known| known.follower.to_string()));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, ["ob", "od", "oc", "oa"]);
        home.reopen().await;
    }
}

pub async fn the_desk_is_counted_without_looking_at_everybody(mut home: impl Home) {
    let store = home.store();
    asks(&*store, "a", 10, Priority::Normal).await;
    asks(&*store, "b", 20, Priority::Normal).await;
    let c = asks(&*store, "c", 30, Priority::High).await;
    chats(&*store, "d", 40).await;
    let mei = agent("mei");
    store
        .act(c.id, Act::Claim, &mei, at(50), key("c"))
        .await
        .unwrap();
    let held = kept_for_a_visit("稍等");
    store.act(c.id, held, &mei, at(60), key("r")).await.unwrap();
    for _ in 0..2 {
        let store = home.store();
        let figures = store.desk(at(70));
        assert_eq!(figures.len(), 1);
        assert_eq!(figures[0].account, shop());
        assert_eq!(
            figures[0].counts,
            [
                (State::Bot, Priority::Normal, 1),
                (State::Waiting, Priority::Normal, 2),
                (State::Held, Priority::High, 1),
            ]
        );
        assert_eq!(figures[0].oldest_waiting, [(Priority::Normal, at(10))]);
        assert_eq!(
            (figures[0].windows_closing, figures[0].held_answers),
            (0, 1)
        );
        // The windows of a and b shut 48 hours, less five minutes, after they wrote.
        let closing = |n| store.desk(at(n))[0].windows_closing;
        assert_eq!([DAY, 2 * DAY - 3600, 2 * DAY].map(closing), [0, 2, 0]);
        let held = |n| store.desk(at(n))[0].held_answers;
        assert_eq!([7 * DAY, 9 * DAY].map(held), [1, 0]);
        home.reopen().await;
    }
    let store = home.store();
    store.erase(&shop(), &follower("a")).await.unwrap();
    store.erase(&shop(), &follower("c")).await.unwrap();
    let figures = &store.desk(at(70))[0];
    assert_eq!(figures.oldest_waiting, [(Priority::Normal, at(20))]);
    assert_eq!(figures.held_answers, 0);
}

/// All lines of a history, newest first.
async fn whole(store: &dyn Store, known: &Conversation) -> Vec<String> {
    let mut pieces = store.history(known.id).await.unwrap();
    let mut lines = Vec::new();
    while let Some(piece) = pieces.recv().await {
        lines.extend(piece.unwrap().into_iter().map(|line| line.text.to_string()));
    }
    lines
}

pub async fn a_whole_history_comes_in_pieces(home: impl Home) {
    let store = home.store();
    let mut known = chats(&*store, "li", 0).await;
    for n in 1..450 {
        known = chats(&*store, "li", n).await;
    }
    let mut expected = history(&*store, &known).await;
    expected.reverse();
    let lines = whole(&*store, &known).await;
    assert_eq!((lines.len(), expected.len()), (900, 900));
    assert!(
        lines
            .iter()
            .zip(&expected)
            .all(|(line, known)| known.starts_with(line))
    );
    // Nobody has to read it to its end.
    drop(store.history(known.id).await.unwrap().recv().await);
}

pub async fn what_is_too_old_is_forgotten_and_nothing_else(mut home: impl Home) {
    let store = home.store();
    let days = |n: u64| at(n * DAY);
    let old = chats(&*store, "old", 1).await;
    for n in 0..20 {
        chats(&*store, "old", 2 + n).await;
    }
    let both = asks(&*store, "both", 100, Priority::Normal).await;
    let now = days(200);
    let mei = agent("mei");
    // Held before the bound, but within its seven days.
    let late = days(194);
    let turn_late = turn("both", "late", words("late words"), escalated());
    take_turn(&*store, turn_late, late).await.unwrap();
    let held = kept_for_a_visit("held words");
    store
        .act(both.id, held, &mei, late, key("h"))
        .await
        .unwrap();
    let before = late.minus(Duration::from_secs(DAY));
    assert!(now.since(before) >= HELD_FOR);
    for round in 0..3 {
        let store = home.store();
        store
            .forget(before, now.plus(Duration::from_secs(round)))
            .await
            .unwrap();
        let kept = store.conversation(old.id).await.unwrap().unwrap();
        assert_eq!(kept.last_message, None, "{round}");
        assert_eq!((kept.updated_at, kept.opened_at), (at(21), at(1)));
        assert!(history(&*store, &old).await.is_empty());
        assert!(whole(&*store, &old).await.is_empty());
        assert_eq!(
            history(&*store, &both).await,
            ["late words Received", "held words Held"]
        );
        let past = store.past(Time::default(), None, 100).await.unwrap();
        assert_eq!(past.messages.len(), 1);
        // What was answered is known, though not how.
        assert!(repeat(&*store, "old", "old 1").await.is_none());
        if round == 0 {
            home.crash().await;
        } else {
            home.reopen().await;
        }
    }
    let store = home.store();
    let given = chats(&*store, "old", 200 * DAY).await;
    assert_eq!(history(&*store, &given).await.len(), 2);
    assert_eq!(given.id, old.id);
}

pub async fn what_was_erased_is_scrubbed_and_everything_else_goes_on(mut home: impl Home) {
    let store = home.store();
    for n in 0..40 {
        chats(&*store, &format!("f{}", n % 4), n).await;
    }
    assert!(!store.scrub(Time::default()).await.unwrap());
    assert!(store.erase(&shop(), &follower("f1")).await.unwrap());
    let running = tokio::spawn({
        let store = home.store();
        async move {
            for n in 100..400 {
                chats(&*store, &format!("f{}", 2 + n % 2), n).await;
                asks(&*store, "asks", n, Priority::Normal).await;
            }
        }
    });
    assert!(store.scrub(Time::default()).await.unwrap());
    running.await.unwrap();
    assert!(!store.scrub(Time::default()).await.unwrap());
    for _ in 0..2 {
        let store = home.store();
        let lines = async |name: &str| {
            let query = Query {
                follower: Some(OpenId::parse(format!("o{name}")).unwrap()),
                limit: 1,
                ..Query::default()
            };
            match store
                .conversations(&query)
                .await
                .unwrap()
                .conversations
                .first()
            {
                Some(known) => whole(&*store, known).await.len(),
                None => 0,
            }
        };
        let found = [
            lines("f0").await,
            lines("f1").await,
            lines("f2").await,
            lines("asks").await,
        ];
        assert_eq!(found, [20, 0, 320, 300]);
        assert!(repeat(&*store, "f2", "f2 100").await.is_some());
        home.crash().await;
    }
}
