//! Says what a rule does beyond answering words with one reply: conditions, several replies, hand-over, form, hook.
//! Owns: the compiled meaning of the rarer keys. Uses: model, template. Never: reads TOML, decides.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use unicode_normalization::UnicodeNormalization as _;

use super::say::{Gapped, Said};
use crate::model::entry::Priority;
use crate::model::{AccountName, Time};

/// The rarer keys of a rule; most rules have none of them.
#[derive(Debug, Default)]
pub struct Extra {
    /// When it speaks, and to whom.
    pub(super) conditions: Conditions,
    /// What it says when that is not one reply for all accounts.
    pub(super) wording: Option<Wording>,
    /// What it says instead on some accounts, `[rule.account.NAME]`.
    pub(super) per_account: Box<[(AccountName, Wording)]>,
    /// The rule whose replies it uses, as its place in the set.
    pub(super) replies_of: Option<u32>,
    /// `silent`: the message is recorded, nothing is said, nobody is called.
    pub is_silent: bool,
    /// `always`: it speaks while a person owns the conversation too.
    pub is_always: bool,
    /// A person is called besides.
    pub handoff: Option<Handoff>,
    /// How often it speaks to one follower.
    pub cooldown: Option<Cooldown>,
    /// The questions it asks first.
    pub form: Option<FormPlan>,
    /// The system it asks before it speaks.
    pub hook: Option<Hook>,
    /// The table in which what was captured must stand.
    pub(super) table: Option<Lookup>,
    /// The least similarity to one of `like`, 0 to 1; without it the usual one.
    pub(super) min_score: Option<f32>,
}

/// When a rule speaks, and to whom: all of it must hold.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// One of these is open.
    pub(super) during: Box<[u16]>,
    /// None of these is open.
    pub(super) outside: Box<[u16]>,
    /// From the first moment to the second, exclusive.
    pub(super) between: Option<(Time, Time)>,
    /// The follower has one of these tags.
    pub(super) tags: Box<[Box<str>]>,
    /// `Some(true)`: only on a first visit; `Some(false)`: only later.
    pub(super) first_visit: Option<bool>,
}

impl Conditions {
    /// Whether anything is asked.
    pub(super) const fn is_empty(&self) -> bool {
        self.during.is_empty()
            && self.outside.is_empty()
            && self.between.is_none()
            && self.tags.is_empty()
            && self.first_visit.is_none()
    }

    /// Whether the time matters.
    pub(super) const fn are_timed(&self) -> bool {
        !self.during.is_empty() || !self.outside.is_empty() || self.between.is_some()
    }
}

/// What a rule says, and which of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// At least one.
    pub says: Box<[Said]>,
    /// Which of them.
    pub pick: Pick,
}

/// Which of several replies is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// One, by chance.
    #[default]
    Random,
    /// All, in order: the first in answer, the others pushed.
    All,
    /// One after another, each time the next.
    Rotate,
}

/// A rule calls a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// How urgent.
    pub priority: Priority,
    /// What the person reads about it; may be empty.
    pub reason: Arc<str>,
}

/// How often a rule speaks to one follower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cooldown {
    /// At most once in this time.
    pub every: Duration,
    /// What happens in between.
    pub then: Cooling,
}

/// What happens when a rule matches before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cooling {
    /// The rule is passed over: another answers, or a person.
    Next,
    /// Nothing is said.
    Silent,
    /// It says this instead.
    Short(Said),
    /// A person is called.
    Handoff,
}

/// Questions that are asked one after another before the rule speaks.
#[derive(Debug)]
pub struct FormPlan {
    /// At least one, at most 20.
    pub steps: Box<[Step]>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// Texts that end it, normalised.
    pub(super) cancel: Box<[Box<str>]>,
    /// What is said then.
    pub on_cancel: Option<Said>,
    /// What is pushed when the time is over.
    pub on_timeout: Option<Said>,
}

impl FormPlan {
    /// Whether these normalised words end the form.
    pub fn is_cancelled_by(&self, normalized: &str) -> bool {
        self.cancel.iter().any(|word| **word == *normalized)
    }
}

/// One question of a form.
#[derive(Debug)]
pub struct Step {
    /// The question.
    pub ask: Said,
    /// Under which name the answer is kept.
    pub save: Box<str>,
    /// What the answer must look like.
    pub(super) check: Option<Regex>,
    /// What is said to an answer that does not; the question again if absent.
    pub retry: Option<Said>,
    /// How often an answer is taken, at least once.
    pub tries: u8,
    /// What happens after the last one.
    pub then: AfterTries,
}

impl Step {
    /// What is kept of these words as an answer: half-width and trimmed; without the mark at the end of the sentence, which
    /// speech recognition adds, where it does not fit with it. `None`: they are no answer to the question.
    pub fn answer(&self, words: &str) -> Option<Box<str>> {
        let answer: String = words.nfkc().collect();
        let whole = answer.trim();
        let bare = whole.trim_end_matches(['。', '.', '!', '?']).trim_end();
        let fits = |answer: &&str| {
            let check = self.check.as_ref();
            !answer.is_empty() && check.is_none_or(|check| check.is_match(answer))
        };
        [whole, bare].into_iter().find(fits).map(Box::from)
    }
}

/// What happens when a form gets no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterTries {
    /// A person takes over.
    Handoff,
    /// The form ends with the words of a cancelled one.
    Cancel,
    /// The form ends with these words.
    Say(Said),
}

/// Another system that is asked before the rule speaks.
#[derive(Debug)]
pub struct Hook {
    /// Where; values are escaped for a URL.
    pub url: Gapped,
    /// What is sent, by name.
    pub fields: Box<[(Box<str>, Gapped)]>,
    /// The environment variable that holds the secret for the signature.
    pub secret: Option<Box<str>>,
    /// How long to wait.
    pub timeout: Duration,
    /// What is said with the answer; without it the rule's own replies.
    pub reply: Option<Said>,
    /// What is said when nothing is known there; without it a person is called.
    pub missing: Option<Said>,
    /// What is said when there is no answer.
    pub error_reply: Option<Said>,
    /// Whom an error calls; a person in any case when nothing is said.
    pub error_handoff: Option<Handoff>,
}

/// A table in which what was captured must stand.
#[derive(Debug)]
pub(super) struct Lookup {
    /// Its place in the set.
    pub(super) table: u16,
    /// The capture that is looked up.
    pub(super) key: Box<str>,
}
