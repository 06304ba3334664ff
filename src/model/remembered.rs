//! Holds what is remembered of one follower beyond the conversation itself: a running form, an offer, when rules spoke.
//! Owns: what a turn may change of it, and the bounds. Uses: entry, ids, time. Never: what a rule means by it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::entry::Push;
use super::ids::RuleId;
use super::time::Time;

/// The most rules of which is remembered when they last spoke, or which reply comes next; the oldest is forgotten first.
pub const RULES_REMEMBERED: usize = 32;
/// The most tags a follower may have.
pub const MOST_TAGS: usize = 32;

/// What is remembered of a follower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The form that is running.
    pub form: Option<Form>,
    /// Rules that were offered for a number.
    pub offer: Option<Offer>,
    /// When rules with a cooldown last spoke, oldest first.
    pub spoke: Vec<(RuleId, Time)>,
    /// Which reply of a rule that rotates comes next, oldest change first.
    pub rotated: Vec<(RuleId, u16)>,
    /// What people call this follower: `vip`, …
    pub tags: Vec<Box<str>>,
}

/// A form that a follower is filling in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The rule it belongs to.
    pub rule: RuleId,
    /// Which question was asked last, from 0.
    pub step: u8,
    /// How many answers to it were refused.
    pub tries: u8,
    /// What is known so far, by name: captures of the words that began it, then answers.
    pub saved: Vec<(Box<str>, Box<str>)>,
    /// When it ends by itself.
    pub until: Time,
    /// What is pushed then, unless the follower or a person spoke before; its `not_before` is `until`.
    pub on_timeout: Option<Push>,
}

/// Rules that were offered: the follower chooses by number, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// In the order of their numbers.
    pub rules: SmallVec<[RuleId; 3]>,
    /// A number counts as a choice until then.
    pub until: Time,
}

/// What a turn changes of what is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noted {
    /// A rule with a cooldown spoke.
    Spoke {
        /// Which.
        rule: RuleId,
    },
    /// A rule that rotates used a reply.
    Rotated {
        /// Which rule.
        rule: RuleId,
        /// Which of its replies is next.
        next: u16,
    },
    /// A form began or went on.
    Form(Box<Form>),
    /// The form ended.
    FormEnded,
    /// Rules were offered.
    Offered(Offer),
    /// The offer was taken, or is out of date.
    OfferEnded,
    /// A hook was called for this rule.
    Called {
        /// Which.
        rule: RuleId,
    },
}

impl Noted {
    /// Whether the turn must be on disk before it is answered.
    pub const fn is_durable(&self) -> bool {
        matches!(self, Self::Form(_) | Self::FormEnded | Self::Called { .. })
    }
}

impl Remembered {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.form.is_none()
            && self.offer.is_none()
            && self.spoke.is_empty()
            && self.rotated.is_empty()
            && self.tags.is_empty()
    }

    /// When this rule last spoke to the follower, if that is remembered.
    pub fn spoke_at(&self, rule: &RuleId) -> Option<Time> {
        let of_rule = self.spoke.iter().find(|(known, _)| known == rule);
        of_rule.map(|(_, at)| *at)
    }

    /// Which reply of a rule that rotates comes next, from 0.
    pub fn next_reply(&self, rule: &RuleId) -> u16 {
        let of_rule = self.rotated.iter().find(|(known, _)| known == rule);
        of_rule.map_or(0, |(_, next)| *next)
    }

    /// Makes it what it is after a turn at this time.
    pub fn apply(&mut self, noted: &Noted, now: Time) {
        match noted {
            Noted::Spoke { rule } => remember(&mut self.spoke, rule, now),
            Noted::Rotated { rule, next } => remember(&mut self.rotated, rule, *next),
            Noted::Form(form) => self.form = Some((**form).clone()),
            Noted::FormEnded => self.form = None,
            Noted::Offered(offer) => self.offer = Some(offer.clone()),
            Noted::OfferEnded => self.offer = None,
            Noted::Called { .. } => {}
        }
    }
}

fn remember<T>(list: &mut Vec<(RuleId, T)>, rule: &RuleId, value: T) {
    list.retain(|(known, _)| known != rule);
    if list.len() >= RULES_REMEMBERED {
        list.remove(0);
    }
    list.push((rule.clone(), value));
}
