//! Checks the placeholders of a rule's texts: each must have a value whichever way the rule was triggered.
//! Owns: which names a rule knows, and what to say of others. Uses: template, say. Never: knows a value.

use std::ops::Range;

use super::condition::Calendars;
use super::desk_file::lone_brace;
use super::diagnostic::{Code, Diagnostic, Words, did_you_mean};
use super::mend;
use super::regexes::Compiled;
use super::reply::Draft;
use super::rule::Written;
use super::say::{Gapped, Said, Shaped};
use super::sheet::{Sheet, Text};
use super::template::{Template, Written as Piece, pieces};

/// What every rule knows.
const EVERYWHERE: [&str; 5] = ["follower.id", "queue.ahead", "queue.eta", "today", "now"];

/// The names that a rule's texts may use.
#[derive(Clone, Default)]
pub(super) struct Names {
    /// What each way to trigger the rule gives.
    alternatives: Vec<Vec<String>>,
    /// What is there in any case.
    given: Vec<String>,
    /// Beginnings of names that are always there, however they go on.
    given_all: Vec<&'static str>,
    /// Whether it is not known what is known.
    is_open: bool,
    /// Whether what is known everywhere is not known here.
    is_closed: bool,
    /// Every name that a text used since the last time it was asked.
    used: Vec<Box<str>>,
    wants_queue: bool,
}

impl Names {
    /// What triggers give to a rule, and what is known everywhere.
    pub(super) fn of(
        written: &Written<'_>,
        regexes: &[(Compiled, Range<usize>)],
        calendars: impl Iterator<Item = String>,
    ) -> Self {
        Self {
            alternatives: alternatives(written, regexes),
            given: calendars.collect(),
            ..Self::default()
        }
    }

    /// What is known everywhere, and when calendars open.
    pub(super) fn with_calendars(calendars: &Calendars) -> Self {
        let named = calendars.iter().filter_map(|(name, _)| name.as_deref());
        Self {
            given: named
                .map(|name| format!("calendar.{name}.next_open"))
                .collect(),
            ..Self::default()
        }
    }

    /// These names and no others.
    pub(super) fn only(names: &[&str]) -> Self {
        Self {
            given: names.iter().map(|name| (*name).to_owned()).collect(),
            is_closed: true,
            ..Self::default()
        }
    }

    /// Takes every name: what the rule knows cannot be told.
    pub(super) fn anything() -> Self {
        Self {
            is_open: true,
            ..Self::default()
        }
    }

    /// Adds a name that is always there.
    pub(super) fn give(&mut self, name: String) {
        self.given.push(name);
    }

    /// Adds every name that begins so: fields of an answer that nobody has seen.
    pub(super) fn give_all(&mut self, beginning: &'static str) {
        self.given_all.push(beginning);
    }

    /// Whether a text said how long the queue is.
    pub(super) const fn wants_queue(&self) -> bool {
        self.wants_queue
    }

    /// Whether a name has a value in any case.
    pub(super) fn has(&self, name: &str) -> bool {
        let in_all = |lists: &[Vec<String>]| {
            !lists.is_empty()
                && lists
                    .iter()
                    .all(|names| names.iter().any(|known| known == name))
        };
        !self.is_closed && EVERYWHERE.contains(&name)
            || self.given.iter().any(|known| known == name)
            || self.begins_given(name)
            || in_all(&self.alternatives)
            || self.is_open
    }

    fn begins_given(&self, name: &str) -> bool {
        let mut beginnings = self.given_all.iter();
        beginnings.any(|beginning| name.len() > beginning.len() && name.starts_with(beginning))
    }

    fn note(&mut self, name: &str) {
        self.wants_queue |= name.starts_with("queue.");
        self.used.push(name.into());
    }

    /// Takes the names that were used since the last time.
    pub(super) fn take_used(&mut self) -> Box<[Box<str>]> {
        std::mem::take(&mut self.used).into()
    }

    /// Its own names first, each once.
    fn known(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self
            .alternatives
            .iter()
            .flatten()
            .chain(&self.given)
            .map(String::as_str)
            .collect();
        known.sort_unstable();
        known.dedup();
        if !self.is_closed {
            known.extend(EVERYWHERE);
        }
        known
    }
}

/// The placeholders that each way to trigger the rule gives.
fn alternatives(written: &Written<'_>, regexes: &[(Compiled, Range<usize>)]) -> Vec<Vec<String>> {
    let captures = |compiled: &Compiled| {
        let names = compiled.regex.capture_names().flatten();
        names.map(str::to_owned).collect()
    };
    let mut alternatives: Vec<Vec<String>> = regexes
        .iter()
        .map(|(compiled, _)| captures(compiled))
        .collect();
    let others = [
        &written.exact,
        &written.all,
        &written.any,
        &written.like,
        &written.message,
    ];
    if others.into_iter().any(|list| !list.is_empty()) {
        alternatives.push(Vec::new());
    }
    match &written.key {
        Some(key) => alternatives.extend(key.patterns.iter().map(|pattern| {
            let stars = pattern.text.matches('*').count();
            (1..=stars)
                .map(|star| format!("{}.{star}", key.name))
                .collect()
        })),
        None if !written.event.is_empty() => alternatives.push(Vec::new()),
        None => {}
    }
    alternatives
}

/// One reply with its placeholders checked.
pub(super) fn said(sheet: &mut Sheet<'_>, draft: &Draft<'_>, names: &mut Names) -> Option<Said> {
    match draft {
        Draft::Text(text) => line(sheet, text, names),
        Draft::Other(other) => {
            let mut is_whole = true;
            for text in &other.gapped {
                is_whole &= gapped(sheet, text, names).is_some();
            }
            let fallback = match &other.fallback {
                Some(text) => Some(gapped(sheet, text, names)?),
                None => None,
            };
            is_whole.then(|| {
                Said::Other(Box::new(Shaped {
                    reply: other.reply.clone(),
                    has_gaps: !other.gapped.is_empty(),
                    file: other.file.clone(),
                    pictures: other.pictures.as_slice().into(),
                    fallback,
                }))
            })
        }
    }
}

/// A text that is said, with its placeholders checked.
pub(super) fn line(sheet: &mut Sheet<'_>, text: &Text<'_>, names: &mut Names) -> Option<Said> {
    Some(match gapped(sheet, text, names)? {
        Gapped::Plain(text) => Said::Text(text),
        Gapped::Gaps(template) => Said::Template(template),
    })
}

/// A text with its placeholders checked.
pub(super) fn gapped(sheet: &mut Sheet<'_>, text: &Text<'_>, names: &mut Names) -> Option<Gapped> {
    if !text.text.contains('{') {
        return Some(Gapped::Plain(text.text.into()));
    }
    let parts = pieces(text.text);
    let mut is_whole = true;
    for part in &parts {
        match part {
            Piece::Text(_) => {}
            Piece::Open(range) => {
                let span = sheet.inside(text, range.clone());
                lone_brace(sheet, span);
                is_whole = false;
            }
            Piece::Gap(name, _) if names.has(name) => names.note(name),
            Piece::Gap(name, range) => {
                let span = sheet.inside(text, range.clone());
                unknown(sheet, name, span, names);
                is_whole = false;
            }
        }
    }
    if !is_whole {
        return None;
    }
    let literal: Option<String> = parts
        .iter()
        .map(|part| match part {
            Piece::Text(text) => Some(*text),
            Piece::Gap(..) | Piece::Open(_) => None,
        })
        .collect();
    Some(literal.map_or_else(
        || Gapped::Gaps(Box::new(Template::new(&parts))),
        |text| Gapped::Plain(text.into()),
    ))
}

/// Reports a placeholder that has no value, or not always.
pub(super) fn unknown(sheet: &mut Sheet<'_>, name: &str, span: Range<usize>, names: &Names) {
    let known = names.known();
    if known.contains(&name) {
        let words = Words::new(
            format!("变量 {{{name}}} 不是每种触发方式都有:这条规则还能由别的条件触发"),
            format!(
                "{{{name}}} is not always there: the rule has other triggers that do not give it"
            ),
        );
        let help = Words::new("拆成两条规则", "make it two rules");
        sheet.report_with_help(Code::UnknownPlaceholder, span, words, help);
        return;
    }
    let words = Words::new(
        format!("不认识的变量 {{{name}}}"),
        format!("unknown placeholder {{{name}}}"),
    );
    let help = match did_you_mean(name, known.iter().copied()) {
        Some(meant) => {
            let (old, meant) = (format!("{{{name}}}"), format!("{{{meant}}}"));
            let fix = mend::replace(sheet.written(), span.clone(), (&old, &meant));
            let help = Words::new(format!("是不是 {meant}?"), format!("did you mean {meant}?"));
            let diagnostic = Diagnostic::new(Code::UnknownPlaceholder, sheet.place(span), words);
            sheet.remarks.push(diagnostic.help(help).fix(fix));
            return;
        }
        None => {
            let mut known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
            known.extend(names.given_all.iter().map(|name| format!("{{{name}…}}")));
            let known = known.join("、");
            Words::new(
                format!("可以用:{known};要写大括号本身,就写两个 `{{{{`"),
                format!("known: {known}; write `{{{{` for a brace itself"),
            )
        }
    };
    sheet.report_with_help(Code::UnknownPlaceholder, span, words, help);
}
