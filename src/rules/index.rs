//! Holds a compiled rule set: the rules in order and, for everything that can be asked, who might answer.
//! Owns: the layout that makes finding independent of the number of rules. Uses: words, model. Never: text of rule files.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ahash::RandomState;
use jiff::tz::TimeZone;
use regex::Regex;

use super::canned::Canned;
use super::condition::Calendars;
use super::crisis::CrisisWords;
use super::desk_file;
use super::inline_tests::InlineTests;
use super::like::LikeIndex;
use super::line::Line;
use super::media_use::MediaUse;
use super::normalize::normalize;
use super::pattern::Pattern;
use super::say::Said;
use super::script::Script;
use super::spec::Extra;
use super::table::Table;
use super::words::{Word, Words};
use crate::model::desk::DeskSettings;
use crate::model::{AccountName, Calendar, EventKind, Picture, RuleId};

/// A rule's place in the order of file and line.
pub(super) type RuleNumber = u32;

/// Everything that rules say, compiled; the files are not needed any more.
pub struct RuleSet {
    pub(super) settings: Box<DeskSettings>,
    pub(super) rules: Vec<Rule>,
    pub(super) files: Vec<Arc<str>>,
    /// Groups of accounts; a rule names one by its place.
    pub(super) accounts: Vec<Box<[AccountName]>>,
    pub(super) words: Words,
    /// Which rules a whole text answers.
    pub(super) exact: Lists<RuleNumber>,
    /// What a word inside a text means.
    pub(super) uses: Lists<Use>,
    /// `all` and `none` of rules, one after another; each sorted.
    pub(super) groups: Vec<Word>,
    pub(super) regexes: Vec<RegexRule>,
    /// Regexes without a word that every match contains: they always run.
    pub(super) always: Vec<u32>,
    pub(super) events: HashMap<Box<str>, EventRules, RandomState>,
    /// Rules for message types.
    pub(super) messages: Vec<(Box<str>, RuleNumber)>,
    /// The zone of times that people read.
    pub(super) timezone: TimeZone,
    /// Whether a rule speaks beside people.
    pub(super) has_always: bool,
    /// Whether a reply says how long the queue is.
    pub(super) wants_queue: bool,
    /// Rules that go on over several messages, by id.
    pub(super) named: HashMap<Box<str>, RuleNumber, RandomState>,
    /// Wordings of `like`.
    pub(super) like: LikeIndex,
    /// The highest priority among rules with wordings.
    pub(super) like_priority: i32,
    pub(super) tables: Vec<Table>,
    /// The files that replies send.
    pub(super) media: Vec<MediaUse>,
    /// The local pictures that cards show, each once.
    pub(super) pictures: Vec<Picture>,
    pub(super) tests: InlineTests,
    pub(super) scripts: Vec<Script>,
    /// What is said around people's work.
    pub(super) lines: Box<DeskLines>,
    /// Words of danger.
    pub(super) crisis: Box<CrisisWords>,
    /// Answers that people use again and again.
    pub(super) canned: Vec<Canned>,
    /// Those of `_calendar.toml` with their names first, then hours that rules write out.
    pub(super) calendars: Calendars,
}

/// What is said around people's work, ready to be filled, and the words about it.
#[derive(Clone, Debug)]
pub struct DeskLines {
    /// What a follower reads when a message goes to a person.
    pub ack: Line,
    /// The same when nobody is at work.
    pub ack_off: Option<Line>,
    /// Whole messages that ask for a person, in normal form.
    pub(super) ask_person: Vec<String>,
    /// Whole messages that take it back, likewise.
    pub(super) cancel_person: Vec<String>,
}

impl DeskLines {
    pub(super) fn of(settings: &DeskSettings, calendars: &Calendars) -> Self {
        let is_known = desk_file::is_known(calendars);
        let normal = |list: &[Box<str>]| list.iter().map(|text| normalize(text)).collect();
        Self {
            ack: Line::new(&settings.ack, &is_known),
            ack_off: settings
                .ack_off
                .as_deref()
                .map(|text| Line::new(text, &is_known)),
            ask_person: normal(&settings.ask_person),
            cancel_person: normal(&settings.cancel_person),
        }
    }

    /// Whether one of them says how long the queue is.
    pub(super) fn want_queue(&self) -> bool {
        let mut lines = std::iter::once(&self.ack).chain(&self.ack_off);
        lines.any(|line| line.names("queue.ahead") || line.names("queue.eta"))
    }

    /// Whether a message asks for a person and says nothing else.
    pub fn asks_for_a_person(&self, typed: &str) -> bool {
        is_one_of(typed, &self.ask_person)
    }

    /// Whether a message takes that back and says nothing else.
    pub fn wants_no_person(&self, typed: &str) -> bool {
        is_one_of(typed, &self.cancel_person)
    }
}

fn is_one_of(typed: &str, wordings: &[String]) -> bool {
    !wordings.is_empty() && wordings.contains(&normalize(typed))
}

/// One rule.
pub(super) struct Rule {
    pub(super) id: RuleId,
    /// What it says on every account, where that is one reply.
    pub(super) reply: Option<Said>,
    /// Its rarer keys.
    pub(super) extra: Option<Box<Extra>>,
    pub(super) priority: i32,
    /// Its group in [`RuleSet::accounts`]; `None` for all accounts.
    pub(super) accounts: Option<u32>,
    /// Its file in [`RuleSet::files`].
    pub(super) file: u32,
    pub(super) line: u32,
    /// Its `all` in [`RuleSet::groups`].
    pub(super) all: Group,
    /// Its `none` in [`RuleSet::groups`].
    pub(super) none: Group,
}

/// A run of words in [`RuleSet::groups`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What a word inside a text means to one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// One of its `any`.
    Any(RuleNumber),
    /// The longest of its `all`; the others are looked up then.
    All(RuleNumber),
    /// This regex can match.
    Regex(u32),
}

/// A regex and its rule.
pub(super) struct RegexRule {
    pub(super) regex: Regex,
    pub(super) rule: RuleNumber,
}

/// Rules for one event.
#[derive(Default)]
pub(super) struct EventRules {
    /// Whatever its key.
    pub(super) plain: Vec<RuleNumber>,
    /// For exactly this key.
    pub(super) literal: HashMap<Box<str>, Vec<RuleNumber>, RandomState>,
    /// For keys that match a pattern.
    pub(super) wild: Vec<(Pattern, RuleNumber)>,
}

/// A list for each word, all in one allocation.
pub(super) struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Ord> Lists<T> {
    /// Sorts pairs of a word and an item into lists. `count` is the number of words.
    pub(super) fn new(mut pairs: Vec<(Word, T)>, count: usize) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = Vec::with_capacity(count + 1);
        let mut items = Vec::with_capacity(pairs.len());
        for (word, item) in pairs {
            let length = u32::try_from(items.len()).unwrap_or(u32::MAX);
            while starts.len() <= usize::try_from(word).unwrap_or(usize::MAX) {
                starts.push(length);
            }
            items.push(item);
        }
        starts.resize(count + 1, u32::try_from(items.len()).unwrap_or(u32::MAX));
        Self { starts, items }
    }

    /// The list of a word.
    pub(super) fn of(&self, word: Word) -> &[T] {
        let at = usize::try_from(word).unwrap_or(usize::MAX);
        let place = |at: usize| {
            self.starts
                .get(at)
                .map_or(0, |start| usize::try_from(*start).unwrap_or(0))
        };
        self.items
            .get(place(at)..place(at.saturating_add(1)))
            .unwrap_or_default()
    }
}

impl RuleSet {
    /// The settings of the desk: those given, as `_desk.toml` changed them.
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// What is said around people's work.
    pub fn lines(&self) -> &DeskLines {
        &self.lines
    }

    /// Answers that people use again and again, in the order of `_canned.toml`.
    pub fn canned(&self) -> &[Canned] {
        &self.canned
    }

    /// Tests that are conversations, in the order of the files.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter()
    }

    /// Whether a rule speaks while a person owns the conversation.
    pub const fn has_always(&self) -> bool {
        self.has_always
    }

    /// Whether a reply says how long the queue is.
    pub const fn wants_queue(&self) -> bool {
        self.wants_queue
    }

    /// How many rules are in force.
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether no rule is in force.
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// A calendar of `_calendar.toml`.
    pub fn calendar(&self, name: &str) -> Option<&Arc<Calendar>> {
        let mut named = self.calendars.iter();
        let found = named.find(|(known, _)| known.as_deref() == Some(name));
        found.map(|(_, calendar)| calendar)
    }

    /// The account that `try` and tests stand for when none is given: the first that a rule is limited to. With none,
    /// rules are the same for every account.
    pub fn usual_account(&self) -> AccountName {
        let first = self.accounts.iter().flat_map(|group| group.iter()).min();
        first
            .cloned()
            .unwrap_or_else(|| AccountName::parse("demo").expect("a legal name"))
    }

    /// A rule's file and line.
    pub(super) fn origin(&self, rule: RuleNumber) -> (&str, u32) {
        let Some(rule) = self.rule(rule) else {
            return ("", 0);
        };
        let file = usize::try_from(rule.file)
            .ok()
            .and_then(|file| self.files.get(file));
        (file.map_or("", |file| file), rule.line)
    }

    pub(super) fn rule(&self, rule: RuleNumber) -> Option<&Rule> {
        self.rules.get(usize::try_from(rule).ok()?)
    }

    pub(super) fn group(&self, group: Group) -> &[Word] {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        self.groups
            .get(place(group.start)..place(group.end))
            .unwrap_or_default()
    }

    /// Whether a rule speaks on this account.
    pub(super) fn is_for(&self, rule: &Rule, account: &AccountName) -> bool {
        rule.accounts.is_none_or(|group| {
            let group = usize::try_from(group)
                .ok()
                .and_then(|group| self.accounts.get(group));
            group.is_some_and(|group| group.contains(account))
        })
    }
}

/// The words by which rules may call an event of this kind, besides WeChat's own name; the stronger one first.
pub(super) fn event_words(kind: EventKind, has_scene: bool) -> &'static [&'static str] {
    match kind {
        EventKind::Subscribe if has_scene => &["scan", "subscribe"],
        EventKind::Subscribe => &["subscribe"],
        EventKind::Click
        | EventKind::ScancodePush
        | EventKind::ScancodeWaitmsg
        | EventKind::PicSysphoto
        | EventKind::PicPhotoOrAlbum
        | EventKind::PicWeixin
        | EventKind::LocationSelect => &["menu"],
        _ => &[],
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet")
            .field("rules", &self.rules.len())
            .field("words", &self.words.len())
            .field("regexes", &self.regexes.len())
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}
