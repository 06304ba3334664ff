//! Keeps the tests that stand beside rules, compactly: a set may have a hundred thousand of them.
//! Owns: what a test asks and expects. Uses: model. Never: runs one.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::Place;
use super::index::{RuleNumber, RuleSet};
use crate::model::{AccountName, RuleId, Time};

/// A test beside a rule.
#[derive(Clone, Debug)]
pub struct InlineTest<'a> {
    /// The rule it stands beside.
    pub rule: &'a RuleId,
    /// Where it stands.
    pub place: Place,
    /// The account it is asked on.
    pub account: AccountName,
    /// Whether the test itself names the account.
    pub is_account_named: bool,
    /// When it is asked; without it at the usual time of tests.
    pub at: Option<Time>,
    /// What people call the follower.
    pub tags: &'a [Box<str>],
    /// What is asked.
    pub asked: Asked<'a>,
    /// The rule that must answer; empty when none may.
    pub expect: Option<&'a str>,
    /// The rule that must not answer; empty when some rule must.
    pub expect_not: Option<&'a str>,
    /// What the reply must contain.
    pub has: Option<&'a str>,
}

/// What a test, or `try`, asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Words.
    Say(&'a str),
    /// An event by the name that rules use, or WeChat's own, and its key.
    Event {
        /// `subscribe`, `scan`, …
        name: &'a str,
        /// Scene or menu key.
        key: Option<&'a str>,
    },
    /// A message of this type, without words.
    Message(&'a str),
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say(text) | Self::Message(text) => f.write_str(text),
            Self::Event { name, key: None } => f.write_str(name),
            Self::Event {
                name,
                key: Some(key),
            } => write!(f, "{name} {key}"),
        }
    }
}

/// A test as read; every text may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draft<'t> {
    pub(super) say: Option<&'t str>,
    pub(super) event: Option<&'t str>,
    pub(super) key: Option<&'t str>,
    pub(super) message: Option<&'t str>,
    pub(super) account: Option<&'t str>,
    pub(super) expect: Option<&'t str>,
    pub(super) expect_not: Option<&'t str>,
    pub(super) has: Option<&'t str>,
}

const TEXTS: usize = 8;

/// The tests of a rule set.
#[derive(Default)]
pub(super) struct InlineTests {
    text: String,
    tests: Vec<Stored>,
    /// Of the few tests that say more, by their place in `tests`, in order.
    more: Vec<(u32, More)>,
}

/// What few tests say.
#[derive(Default)]
struct More {
    at: Option<Time>,
    tags: Box<[Box<str>]>,
}

struct Stored {
    rule: RuleNumber,
    line: u32,
    column: u32,
    start: u32,
    end: u32,
    /// Ends of the texts in the common text, in the order of [`Draft`]; the first begins at `from`.
    from: u32,
    ends: [u32; TEXTS],
    /// A bit for each text that is there.
    present: u8,
}

impl InlineTests {
    pub(super) fn push(&mut self, rule: RuleNumber, place: &Place, draft: &Draft<'_>) {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let from = narrow(self.text.len());
        let Draft {
            say,
            event,
            key,
            message,
            account,
            expect,
            expect_not,
            has,
        } = *draft;
        let mut ends = [from; TEXTS];
        let mut present = 0;
        let texts = [say, event, key, message, account, expect, expect_not, has];
        for (bit, (text, end)) in texts.into_iter().zip(&mut ends).enumerate() {
            if let Some(text) = text {
                self.text.push_str(text);
                present |= 1 << bit;
            }
            *end = narrow(self.text.len());
        }
        self.tests.push(Stored {
            rule,
            line: place.line,
            column: place.column,
            start: narrow(place.span.start),
            end: narrow(place.span.end),
            from,
            ends,
            present,
        });
    }

    /// Adds to the test that was pushed last when it is asked, and by whom.
    pub(super) fn push_more(&mut self, at: Option<Time>, tags: Vec<Box<str>>) {
        let last = u32::try_from(self.tests.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if at.is_some() || !tags.is_empty() {
            let tags = tags.into();
            self.more.push((last, More { at, tags }));
        }
    }

    fn more(&self, place: usize) -> Option<&More> {
        let found = self
            .more
            .binary_search_by_key(&place, |(at, _)| usize::try_from(*at).unwrap_or(usize::MAX));
        self.more.get(found.ok()?).map(|(_, more)| more)
    }

    pub(super) fn len(&self) -> usize {
        self.tests.len()
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.tests.shrink_to_fit();
    }

    fn draft(&self, test: &Stored) -> Draft<'_> {
        let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let mut start = widen(test.from);
        let mut texts = [None; TEXTS];
        for (bit, (text, end)) in texts.iter_mut().zip(&test.ends).enumerate() {
            let range: Range<usize> = start..widen(*end);
            start = range.end;
            if test.present >> bit & 1 == 1 {
                *text = self.text.get(range);
            }
        }
        let [say, event, key, message, account, expect, expect_not, has] = texts;
        Draft {
            say,
            event,
            key,
            message,
            account,
            expect,
            expect_not,
            has,
        }
    }
}

impl RuleSet {
    /// The tests beside rules, in the order of the files.
    pub fn inline_tests(&self) -> impl Iterator<Item = InlineTest<'_>> {
        self.tests
            .tests
            .iter()
            .enumerate()
            .filter_map(|(at, test)| {
                let more = self.tests.more(at);
                let draft = self.tests.draft(test);
                let rule = self.rule(test.rule)?;
                let widen = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
                let file: &Arc<str> = self.files.get(widen(rule.file))?;
                let asked = match (draft.say, draft.event, draft.message) {
                    (Some(say), _, _) => Asked::Say(say),
                    (_, Some(name), _) => Asked::Event {
                        name,
                        key: draft.key,
                    },
                    (_, _, Some(kind)) => Asked::Message(kind),
                    _ => return None,
                };
                let named = draft.account.and_then(|name| AccountName::parse(name).ok());
                let is_account_named = named.is_some();
                let group = rule
                    .accounts
                    .and_then(|group| self.accounts.get(widen(group)));
                let account = named.or_else(|| group.and_then(|group| group.first().cloned()));
                Some(InlineTest {
                    rule: &rule.id,
                    place: Place {
                        file: Arc::clone(file),
                        span: widen(test.start)..widen(test.end),
                        line: test.line,
                        column: test.column,
                    },
                    account: account.unwrap_or_else(|| self.usual_account()),
                    is_account_named,
                    at: more.and_then(|more| more.at),
                    tags: more.map_or(&[], |more| &more.tags),
                    asked,
                    expect: draft.expect,
                    expect_not: draft.expect_not,
                    has: draft.has,
                })
            })
    }
}
