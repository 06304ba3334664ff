//! Holds one message with everything that deciding may know of it, and asks the rules about it.
//! Owns: what a first visit is, which question a message puts first. Uses: rules, model. Never: says anything.

use super::{ActiveRules, Memory};
use crate::model::conversation::{Conversation, State};
use crate::model::entry::Push;
use crate::model::window::Window;
use crate::model::{Content, Delivery, Incoming, Remembered, Reply, Time};
use crate::rules::{Alarm, Asking, Found, Question};

/// One message and what is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) message: &'a Incoming,
    pub(super) memory: &'a Memory,
    pub(super) rules: &'a ActiveRules,
    pub(super) now: Time,
}

impl<'a> Case<'a> {
    /// The follower's conversation, if there is one.
    pub(super) fn conversation(&self) -> Option<&'a Conversation> {
        self.memory.conversation.as_deref()
    }

    /// What else is remembered of the follower.
    pub(super) fn remembered(&self) -> Option<&'a Remembered> {
        self.conversation()?.remembered.as_deref()
    }

    /// Where it stands; `bot` before the first message.
    pub(super) fn state(&self) -> State {
        self.conversation().map_or(State::Bot, |known| known.state)
    }

    /// Whether a person speaks with the follower now.
    pub(super) fn is_for_person(&self) -> bool {
        let known = self.conversation();
        known.is_some_and(|known| super::person_speaks(known, self.rules, self.now))
    }

    /// Whether something happened, rather than somebody wrote.
    pub(super) const fn is_event(&self) -> bool {
        matches!(self.message.content, Content::Event(_))
    }

    /// What may be pushed behind this message.
    pub(super) fn window(&self) -> Window {
        let mut window = self
            .conversation()
            .map(|known| known.window)
            .unwrap_or_default();
        match &self.message.content {
            Content::Event(event) if event.kind.opens_tap_window() => window.tap(self.now),
            Content::Event(_) => {}
            Content::Text {
                menu_id: Some(_), ..
            } => window.tap(self.now),
            _ => window.message(self.now),
        }
        window
    }

    /// The words of danger in this message, if there are any.
    pub(super) fn alarm(&self) -> Option<Alarm> {
        self.rules.set.alarm(self.message.content.words()?)
    }

    /// How many pushes the bot may send behind the answer to this message: people keep the rest.
    pub(super) fn pushes_left(&self) -> u8 {
        if !self.memory.can_push {
            return 0;
        }
        let reserve = self.rules.set.settings().human_reserve;
        let queued = self.conversation().map_or(0, |known| {
            let going = |push: &&Push| push.state != Delivery::Held;
            known.pushes.iter().filter(going).count()
        });
        let queued = u8::try_from(queued).unwrap_or(u8::MAX);
        self.window()
            .left(self.now)
            .saturating_sub(reserve)
            .saturating_sub(queued)
    }

    /// Asks the rules: for words first, then for the kind of message.
    pub(super) fn find(&self) -> Found {
        let content = &self.message.content;
        if let Content::Event(event) = content {
            return self.ask(&Question::Event(event));
        }
        if let Some(words) = content.words() {
            let found = self.ask(&Question::Words(words));
            if found.winner().is_some() || matches!(content, Content::Text { .. }) {
                return found;
            }
        }
        self.ask(&Question::Kind(content.kind()))
    }

    fn ask(&self, question: &Question<'_>) -> Found {
        let conversation = self.conversation();
        let asking = Asking {
            account: &self.memory.account,
            now: self.now,
            conversation,
            is_first_visit: match &self.message.content {
                Content::Event(_) => conversation.is_none(),
                _ => conversation.is_none_or(|known| known.last_inbound.is_none()),
            },
        };
        self.rules.set.find(&asking, question)
    }

    /// Whether a reply can be an answer to this message: the desk takes messages only (WeChat: 将消息转发到客服).
    pub(super) const fn takes(&self, reply: &Reply) -> bool {
        !(self.is_event() && matches!(reply, Reply::Transfer { .. }))
    }
}
