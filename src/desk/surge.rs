//! Notices when many followers say the same at about the same time. Pure: remembers what it was told, and answers.
//! Owns: what "the same" is, how many are many. Uses: model. Never: the clock, alerts.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::model::incident::CONVERSATIONS_NAMED;
use crate::model::{AccountName, Conversation, ConversationId, OpenId, Time};

/// So many different followers are many.
const MANY: usize = 5;
/// In this time.
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// A surge is over when nobody said it for so long; then the same words can be news again.
const OVER_AFTER: Duration = Duration::from_secs(60 * 60);
/// At most so many recent messages are compared; with more, the oldest are forgotten.
const REMEMBERED: usize = 2_000;
/// Two messages that share so much of their two-character pieces say the same (in hundredths of all their pieces).
const SAME: usize = 60;
/// Characters of a message that are compared.
const COMPARED: usize = 60;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Words of a crisis, by their name.
    Crisis(Box<str>),
    /// Words that no rule covers: their two-character pieces, digits masked.
    Words(Pieces),
}

/// The two-character pieces of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces(BTreeSet<(char, char)>);

impl Pieces {
    /// The pieces of a message; nothing where it has less than four characters to compare.
    pub(super) fn of(text: &str) -> Option<Self> {
        let masked: Vec<char> = text
            .chars()
            .filter(|c| c.is_alphanumeric())
            .map(|c| if c.is_numeric() { '0' } else { c })
            .take(COMPARED)
            .collect();
        let pieces: BTreeSet<_> = masked
            .windows(2)
            .filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)))
            .collect();
        (masked.len() >= 4).then_some(Self(pieces))
    }

    fn is_like(&self, other: &Self) -> bool {
        let shared = self.0.intersection(&other.0).count();
        let all = self.0.len() + other.0.len() - shared;
        shared * 100 >= all * SAME
    }
}

impl Topic {
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Crisis(a), Self::Crisis(b)) => a == b,
            (Self::Words(a), Self::Words(b)) => a.is_like(b),
            _ => false,
        }
    }
}

struct Heard {
    at: Time,
    account: AccountName,
    follower: OpenId,
    conversation: ConversationId,
    topic: Topic,
}

/// What many followers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surge {
    /// How many.
    pub(super) followers: usize,
    pub(super) accounts: Vec<AccountName>,
    /// Some of their conversations.
    pub(super) conversations: Vec<ConversationId>,
}

/// What was heard lately.
#[derive(Default)]
pub(super) struct Surges {
    heard: VecDeque<Heard>,
    /// Surges that people know of, and when they were last heard.
    open: Vec<(Topic, Time)>,
}

impl Surges {
    /// A follower said something that goes to people. Says who has said it, when that has just become many.
    pub(super) fn hear(
        &mut self,
        now: Time,
        conversation: &Conversation,
        topic: Topic,
    ) -> Option<Surge> {
        self.open.retain(|(_, last)| now.since(*last) < OVER_AFTER);
        if let Some((_, last)) = self
            .open
            .iter_mut()
            .find(|(known, _)| known.is_like(&topic))
        {
            *last = now;
            return None;
        }
        while self.heard.len() >= REMEMBERED
            || self
                .heard
                .front()
                .is_some_and(|heard| now.since(heard.at) > WITHIN)
        {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard {
            at: now,
            account: conversation.account.clone(),
            follower: conversation.follower.clone(),
            conversation: conversation.id,
            topic: topic.clone(),
        });
        let alike: Vec<&Heard> = self
            .heard
            .iter()
            .filter(|heard| heard.topic.is_like(&topic))
            .collect();
        let followers: BTreeSet<_> = alike
            .iter()
            .map(|heard| (&heard.account, &heard.follower))
            .collect();
        if followers.len() < MANY {
            return None;
        }
        let accounts: BTreeSet<_> = alike.iter().map(|heard| &heard.account).collect();
        let conversations: BTreeSet<_> = alike.iter().map(|heard| heard.conversation).collect();
        let surge = Surge {
            followers: followers.len(),
            accounts: accounts.into_iter().cloned().collect(),
            conversations: conversations
                .into_iter()
                .take(CONVERSATIONS_NAMED)
                .collect(),
        };
        self.open.push((topic, now));
        Some(surge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TurnKey;

    fn hear(surges: &mut Surges, minute: i64, follower: &str, text: &str) -> Option<usize> {
        let now = Time::from_seconds(minute * 60);
        let id = ConversationId::at(now, 0, TurnKey::of_text(follower));
        let account = AccountName::parse("shop").unwrap();
        let follower = OpenId::parse(follower).unwrap();
        let known = Conversation::new(id, account, follower, now);
        let topic = Topic::Words(Pieces::of(text)?);
        let surge = surges.hear(now, &known, topic)?;
        assert!(surge.conversations.len() >= surge.followers);
        Some(surge.followers)
    }

    #[test]
    fn five_followers_in_a_quarter_of_an_hour_are_one_surge() {
        let mut surges = Surges::default();
        for n in 0..4 {
            let text = format!("外卖订单{n}{n}一直没送到");
            assert_eq!(hear(&mut surges, n, &format!("o{n}"), &text), None);
        }
        assert_eq!(
            hear(&mut surges, 4, "o3", "外卖订单99一直没送到"),
            None,
            "the same person"
        );
        assert_eq!(
            hear(&mut surges, 5, "o5", "外卖订单77一直没送到啊"),
            Some(5)
        );
        assert_eq!(
            hear(&mut surges, 6, "o6", "外卖订单78一直没送到"),
            None,
            "known already"
        );
        assert_eq!(hear(&mut surges, 6, "o7", "能带狗进店里吗"), None);
    }

    #[test]
    fn what_is_said_slowly_is_no_surge_and_an_old_one_is_forgotten() {
        let mut surges = Surges::default();
        for n in 0..9 {
            assert_eq!(
                hear(&mut surges, n * 5, &format!("o{n}"), "今天停水了吗"),
                None
            );
        }
        for n in 0..9 {
            let is_fifth = n == 4;
            let heard = hear(&mut surges, 1000 + n, &format!("o{n}"), "今天停水了吗");
            assert_eq!(heard.is_some(), is_fifth, "{n}");
        }
        let again: Vec<_> = (0..5)
            .filter_map(|n| hear(&mut surges, 1100 + n, &format!("o{n}"), "今天停水了吗"))
            .collect();
        assert_eq!(again, [5]);
    }
}
