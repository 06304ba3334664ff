//! Tells one occasion of a timer from the next, so that people hear of each once.
//! Owns: what makes it another one. Uses: model. Never: whether they are told, or how.

use crate::model::message::{By, Delivery};
use crate::model::{Conversation, Time, Timer, TurnKey};

/// The occasion of a timer that is due: the same until it is noted, whatever else happens to the conversation meanwhile. A
/// message that comes while people are being told makes no second one, nor does a crash behind it.
pub(super) fn of(known: &Conversation, timer: Timer) -> TurnKey {
    let (desk, since) = (known.desk(), known.waits_since().millis());
    let closes = known.window.closes_at().map(Time::millis);
    let which = match timer {
        // Not how many it counts: that grows while the server does not run.
        Timer::Alert { .. } => {
            let (state_since, told) = (desk.since.millis(), desk.alerts);
            let (priority, owner) = (known.priority, &known.owner);
            format!("{since} {state_since} {told} {priority:?} {owner:?}")
        }
        Timer::Window { .. } => format!("{closes:?} {}", desk.warned),
        Timer::Missed => format!("{closes:?}"),
        Timer::Review => {
            let mut pushes = known.pushes.iter();
            let held = pushes.find(|push| push.state == Delivery::Held && push.by == By::Agent);
            format!("{:?}", held.map(|push| push.id))
        }
        _ => format!("{since} {:?}", known.priority),
    };
    TurnKey::of_text(&format!("{} {} {which}", known.id, timer.word()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{Answer, Change, Entry, Move, Priority, Reason, Turn};
    use crate::model::{
        AccountName, AgentName, Content, ConversationId, Incoming, MessageId, OpenId,
    };

    const START: Time = Time::from_millis(1_718_200_000_000);

    fn at(minute: i64) -> Time {
        Time::from_millis(START.millis() + minute * 60_000)
    }

    fn apply(known: &mut Conversation, minute: i64, change: Change) {
        let (at, conversation) = (at(minute), known.id);
        known.apply(&Entry {
            at,
            conversation,
            change,
        });
    }

    fn asks(known: &mut Conversation, minute: i64) {
        let turn = Turn {
            key: TurnKey::of_text(&minute.to_string()),
            account: known.account.clone(),
            incoming: Incoming {
                to: "gh_1".into(),
                from: known.follower.clone(),
                create_time: at(minute).seconds(),
                msg_id: Some(minute.to_string().into()),
                content: Content::Text {
                    text: "能带狗吗".into(),
                    menu_id: None,
                },
            },
            answer: Answer {
                moved: Some(Move::Escalate {
                    reason: Reason::Unmatched,
                    priority: Priority::Normal,
                    note: None,
                }),
                ..Answer::default()
            },
        };
        apply(known, minute, Change::Turn(Box::new(turn)));
    }

    fn waiting() -> Conversation {
        let id = ConversationId::at(START, 0, TurnKey::of_text("conversation"));
        let account = AccountName::parse("shop").unwrap();
        let mut known = Conversation::new(id, account, OpenId::parse("oLi").unwrap(), START);
        asks(&mut known, 0);
        known
    }

    #[test]
    fn what_happens_while_people_are_told_makes_no_second_occasion() {
        let mut known = waiting();
        let timers = [Timer::Alert { count: 1 }, Timer::Breach, Timer::Missed];
        let before = timers.map(|timer| of(&known, timer));
        apply(
            &mut known,
            1,
            Change::Noted {
                id: MessageId::at(at(1), 0, TurnKey::of_text("note")),
                by: AgentName::parse("lili").unwrap(),
                text: "问过厨房".into(),
            },
        );
        assert_eq!(timers.map(|timer| of(&known, timer)), before);
        let first = of(&known, Timer::Alert { count: 1 });
        asks(&mut known, 2);
        assert_eq!(of(&known, Timer::Alert { count: 1 }), first);
        assert_eq!(of(&known, Timer::Alert { count: 3 }), first, "a late one");
    }

    #[test]
    fn what_people_should_hear_again_is_another_occasion() {
        let by = || AgentName::parse("lili").unwrap();
        let mut known = waiting();
        let alert = Timer::Alert { count: 1 };
        let mut heard = vec![of(&known, alert)];
        let changes = [
            Change::Elapsed { timer: alert },
            Change::Prioritised {
                by: by(),
                priority: Priority::High,
            },
            Change::Claimed { by: by() },
            Change::Released { by: by() },
        ];
        for (minute, change) in (1..).zip(changes) {
            let is_claim = matches!(change, Change::Claimed { .. });
            apply(&mut known, minute, change);
            if !is_claim {
                heard.push(of(&known, alert));
            }
        }
        let warning = Timer::Window { warned: 1 };
        heard.push(of(&known, warning));
        apply(&mut known, 9, Change::Elapsed { timer: warning });
        heard.push(of(&known, warning));
        let count = heard.len();
        heard.sort_unstable();
        heard.dedup();
        assert_eq!(heard.len(), count);
    }
}
