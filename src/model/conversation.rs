//! Decides what may happen to a conversation and what it is afterwards: every state follows from entries, in order.
//! Owns: its shape and what it answers. Uses: model only. Never: the clock, a store, HTTP.

mod act;
mod apply;
mod desk;
mod lines;
mod machine;
#[cfg(test)]
mod tests;
mod timers;
mod urgency;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::entry::{Outcome, Priority, Push, Reason};
use super::ids::{AccountName, AgentName, ConversationId, MessageId, OpenId};
use super::message::{Delivery, Message, PushError};
use super::remembered::{Form, Remembered};
use super::time::Time;
use super::window::Window;
pub use act::{Act, Acted, Actor, LONGEST_SNOOZE, Refusal};
pub use desk::{Desk, REMARK_LIMIT};
pub use lines::line;
pub use machine::{State, Trigger, next};
pub use timers::{REVIEW_AFTER, Timer, WINDOW_WARNINGS};

/// In this time identical questions count as repeats.
pub const REPEAT_WITHIN: Duration = Duration::from_secs(600);
/// How many recent questions are remembered for that.
const QUESTIONS_KEPT: usize = 16;
/// How many idempotency keys of agents' answers are remembered per conversation.
const KEYS_KEPT: usize = 64;
/// How long an answer waits for the follower's next visit.
pub const HELD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// One follower's conversation with one account: everything that deciding and the desk need to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The account.
    pub account: AccountName,
    /// The follower.
    pub follower: OpenId,
    /// Who speaks next.
    pub state: State,
    /// How urgent the open episode is.
    pub priority: Priority,
    /// Why the open episode was opened.
    pub reason: Option<Reason>,
    /// What the rule that handed over says about it.
    pub reason_note: Option<Arc<str>>,
    /// The agent who owns it.
    pub owner: Option<AgentName>,
    /// When the present episode, or the conversation, was opened.
    pub opened_at: Time,
    /// When anything last happened.
    pub updated_at: Time,
    /// Grows by one with every entry.
    pub version: u64,
    /// The follower's messages since a person last looked after it.
    pub unread: u32,
    /// What may still be pushed.
    pub window: Window,
    /// When the follower last read an ack.
    pub acked_at: Option<Time>,
    /// When a person's answer last reached the follower.
    pub answered_at: Option<Time>,
    /// When `external` ends by itself.
    pub external_until: Option<Time>,
    /// Digests and times of recent questions that rules answered.
    pub questions: SmallVec<[(u64, Time); 2]>,
    /// Pushes that are queued, being sent or held, oldest first.
    pub pushes: Vec<Push>,
    /// Idempotency keys of agents' answers.
    pub keys: Vec<(Box<str>, MessageId)>,
    /// The newest inbound message.
    pub last_inbound: Option<MessageId>,
    /// The newest line of the history.
    pub last_message: Option<Message>,
    /// How it ended, when it is closed.
    pub outcome: Option<Outcome>,
    /// What else is remembered of the follower; most have nothing.
    pub remembered: Option<Box<Remembered>>,
    /// What the desk remembers; most have nothing.
    pub desk: Option<Box<Desk>>,
}

impl Conversation {
    /// A conversation before its first entry.
    pub fn new(id: ConversationId, account: AccountName, follower: OpenId, at: Time) -> Self {
        Self {
            id,
            account,
            follower,
            state: State::Bot,
            priority: Priority::Normal,
            reason: None,
            reason_note: None,
            owner: None,
            opened_at: at,
            updated_at: at,
            version: 0,
            unread: 0,
            window: Window::default(),
            acked_at: None,
            answered_at: None,
            external_until: None,
            questions: SmallVec::new(),
            pushes: Vec::new(),
            keys: Vec::new(),
            last_inbound: None,
            last_message: None,
            outcome: None,
            remembered: None,
            desk: None,
        }
    }

    /// What the desk remembers.
    pub fn desk(&self) -> &Desk {
        self.desk.as_deref().unwrap_or(Desk::NOTHING)
    }

    /// Whether this is how the owner is called; false where nobody owns it.
    pub fn is_owned_by(&self, name: &AgentName) -> bool {
        self.owner.as_ref() == Some(name)
    }

    /// The form that is running at this time.
    pub fn form(&self, now: Time) -> Option<&Form> {
        let form = self.remembered.as_ref()?.form.as_ref()?;
        (now < form.until).then_some(form)
    }

    /// What people call this follower.
    pub fn tags(&self) -> &[Box<str>] {
        self.remembered.as_ref().map_or(&[], |known| &known.tags)
    }

    /// How often this question was answered by rules in the last ten minutes.
    pub fn asked(&self, question: u64, now: Time) -> usize {
        self.questions
            .iter()
            .filter(|(known, at)| *known == question && now.since(*at) <= REPEAT_WITHIN)
            .count()
    }

    /// Answers that wait for the follower's next visit, oldest first; those past their seven days are left out, and so is
    /// what can only be pushed.
    pub fn held(&self, now: Time) -> impl Iterator<Item = &Push> {
        self.pushes.iter().filter(move |push| {
            push.state == Delivery::Held
                && now.since(push.at) <= HELD_FOR
                && push.reply.can_be_held()
        })
    }

    /// The push that may be tried now: the oldest that is not held, unless it is being tried or waits for its time. Where
    /// there is none, what a form says when its time is over.
    pub fn due(&self, now: Time) -> Option<&Push> {
        self.first_push()
            .filter(|push| push.state == Delivery::Queued && push.not_before <= now)
    }

    /// The push that is tried next, now or later.
    pub fn first_push(&self) -> Option<&Push> {
        let queued = self.pushes.iter().find(|push| push.state != Delivery::Held);
        queued.or_else(|| self.remembered.as_ref()?.form.as_ref()?.on_timeout.as_ref())
    }

    /// Why an answer written now would wait for the follower instead of being pushed, if it would.
    pub fn why_held(&self, can_push: bool, now: Time) -> Option<PushError> {
        let held = |code, message: &str| {
            Some(PushError {
                code,
                message: message.into(),
            })
        };
        if !can_push {
            held(48001, "this account cannot push")
        } else if self.held(now).next().is_some() {
            held(0, "an earlier answer waits for the follower")
        } else if self.window.until(now).is_none() {
            held(45015, "the window is closed")
        } else if self.window.left(now) == 0 {
            held(45047, "the window's pushes are used up")
        } else {
            None
        }
    }
}
