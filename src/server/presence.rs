//! Knows who looks at which conversation right now, and who is typing.
//! Owns: that for some seconds, in memory only. Uses: model. Never: the store; what a look leads to.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{AgentName, ConversationId, Time};

/// Whoever gave no sign for so long has gone; browsers give one every three seconds.
const LOOKS_FOR: Duration = Duration::from_secs(10);
/// For so long the last sign of somebody is known, for those who ask whether an owner is still there.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// At most so many people at one conversation are remembered.
const MOST_PEOPLE: usize = 16;
/// At most so many conversations are remembered.
const MOST_CONVERSATIONS: usize = 10_000;

/// Somebody who looks at a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looking {
    pub(super) name: AgentName,
    pub(super) is_typing: bool,
    pub(super) at: Time,
}

/// Who looks where.
#[derive(Default)]
pub(super) struct Presence(Mutex<HashMap<ConversationId, Vec<Looking>>>);

impl Presence {
    /// Somebody looks at a conversation. Says whether that is news to others.
    pub(super) fn look(&self, id: ConversationId, looking: Looking) -> bool {
        let now = looking.at;
        let mut all = self.0.lock();
        if all.len() >= MOST_CONVERSATIONS && !all.contains_key(&id) {
            let is_fresh = |known: &Looking| now.since(known.at) < REMEMBERED;
            all.retain(|_, people| people.iter().any(is_fresh));
            if all.len() >= MOST_CONVERSATIONS {
                return false;
            }
        }
        let people = all.entry(id).or_default();
        people.retain(|known| now.since(known.at) < REMEMBERED);
        if let Some(known) = people.iter_mut().find(|known| known.name == looking.name) {
            let is_news = known.is_typing != looking.is_typing || !is_there(known, now);
            *known = looking;
            return is_news;
        }
        let has_room = people.len() < MOST_PEOPLE;
        if has_room {
            people.push(looking);
        }
        has_room
    }

    /// Who looks at a conversation now.
    pub(super) fn of(&self, id: ConversationId, now: Time) -> Vec<Looking> {
        let all = self.0.lock();
        let people = all.get(&id).into_iter().flatten();
        people
            .filter(|known| is_there(known, now))
            .cloned()
            .collect()
    }

    /// When this person last looked at a conversation, if that is remembered.
    pub(super) fn seen(&self, id: ConversationId, name: &AgentName) -> Option<Time> {
        let all = self.0.lock();
        let known = all.get(&id)?.iter().find(|known| known.name == *name)?;
        Some(known.at)
    }
}

fn is_there(known: &Looking, now: Time) -> bool {
    now.since(known.at) < LOOKS_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnKey;

    #[test]
    fn whoever_gives_no_sign_for_ten_seconds_has_gone() {
        let id = ConversationId::at(Time::from_seconds(1), 0, TurnKey::of_text("a"));
        let presence = Presence::default();
        let look = |name: &str, second, is_typing| {
            let name = AgentName::parse(name).unwrap();
            let at = Time::from_seconds(second);
            presence.look(
                id,
                Looking {
                    name,
                    is_typing,
                    at,
                },
            )
        };
        assert!(look("lili", 100, false));
        assert!(!look("lili", 103, false));
        assert!(look("lili", 104, true));
        assert!(look("wang", 109, false));
        assert_eq!(presence.of(id, Time::from_seconds(113)).len(), 2);
        assert_eq!(presence.of(id, Time::from_seconds(114)).len(), 1);
        let lili = AgentName::parse("lili").unwrap();
        assert_eq!(presence.seen(id, &lili), Some(Time::from_seconds(104)));
    }
}
