//! Checks what a rule listens to and turns it into what the index holds.
//! Owns: which triggers of a rule are good. Uses: fields, words, normalize. Never: other rules.

use std::ops::Range;

use super::diagnostic::{Code, Words};
use super::fields;
use super::normalize::normalize;
use super::pattern::Pattern;
use super::regexes::{Budget, Compiled};
use super::rule::Written;
use super::sheet::{Sheet, Text};
use super::words::{Word, Words as Keywords};

/// What a rule listens to, checked.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) exact: Vec<(Word, Range<usize>)>,
    pub(super) all: Vec<(Word, Range<usize>)>,
    pub(super) any: Vec<(Word, Range<usize>)>,
    pub(super) none: Vec<(Word, Range<usize>)>,
    /// Wordings in normal form.
    pub(super) like: Vec<(Box<str>, Range<usize>)>,
    pub(super) regexes: Vec<(Compiled, Range<usize>)>,
    pub(super) messages: Vec<(&'static str, Range<usize>)>,
    pub(super) events: Vec<(Box<str>, Range<usize>)>,
    pub(super) patterns: Vec<(Pattern, Box<str>)>,
    /// Whether everything it says was understood.
    pub(super) is_whole: bool,
}

/// Checks what a rule listens to; what is wrong is reported and left out.
pub(super) fn check(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    words: &mut Keywords,
    budget: &mut Budget,
) -> Checked {
    let mut checked = Checked {
        is_whole: true,
        ..Checked::default()
    };
    let whole = &mut checked.is_whole;
    checked.exact = keywords(sheet, words, ("exact", &written.exact), whole);
    checked.all = keywords(sheet, words, ("all", &written.all), whole);
    checked.any = keywords(sheet, words, ("any", &written.any), whole);
    checked.none = keywords(sheet, words, ("none", &written.none), whole);
    for text in &written.like {
        match keyword(sheet, "like", text) {
            Some(normal) => checked.like.push((normal.into(), text.span.clone())),
            None => *whole = false,
        }
    }
    for text in &written.regex {
        match fields::regex(sheet, text, budget) {
            Some(compiled) => checked.regexes.push((compiled, text.span.clone())),
            None => *whole = false,
        }
    }
    for text in &written.message {
        match fields::message(sheet, text) {
            Some(kind) => checked.messages.push((kind, text.span.clone())),
            None => *whole = false,
        }
    }
    for text in &written.event {
        match fields::event(sheet, text, written.key.as_ref()) {
            Some(name) => checked.events.push((name, text.span.clone())),
            None => *whole = false,
        }
    }
    for text in written.key.iter().flat_map(|key| &key.patterns) {
        match fields::pattern(sheet, text) {
            Some(pattern) => checked.patterns.push((pattern, text.text.into())),
            None => *whole = false,
        }
    }
    checked
}

fn keywords(
    sheet: &mut Sheet<'_>,
    words: &mut Keywords,
    (key, texts): (&str, &[Text<'_>]),
    is_whole: &mut bool,
) -> Vec<(Word, Range<usize>)> {
    let mut numbers = Vec::with_capacity(texts.len());
    for text in texts {
        match keyword(sheet, key, text) {
            Some(normal) => numbers.push((words.intern(&normal), text.span.clone())),
            None => *is_whole = false,
        }
    }
    numbers
}

/// A keyword in normal form; reports one of which nothing is left.
fn keyword(sheet: &mut Sheet<'_>, key: &str, text: &Text<'_>) -> Option<String> {
    let normal = normalize(text.text);
    if !normal.is_empty() {
        return Some(normal);
    }
    let message = if text.text.is_empty() {
        Words::new(
            format!("`{key}` 里有空的关键词"),
            format!("an empty keyword in `{key}`"),
        )
    } else {
        Words::new(
            format!("关键词「{}」去掉标点和空格就没有了", text.text),
            format!(
                "nothing is left of \"{}\" without punctuation and space",
                text.text
            ),
        )
    };
    sheet.report(Code::EmptyKeyword, text.span.clone(), message);
    None
}
