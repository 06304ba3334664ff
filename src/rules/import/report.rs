//! Says what became of each rule that was to be brought over.
//! Owns: the report, as value and in words. Uses: draft. Never: judges.

use std::fmt::Write as _;

use serde::Serialize;

use super::draft::{Draft, DraftRule};
use crate::rules::diagnostic::{Lang, Words};

/// What became of an import.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every rule of the source, in its order.
    pub rules: Vec<Entry>,
    /// What is no rule here.
    pub asides: Vec<Note>,
    /// How many of which.
    pub totals: Totals,
}

/// What became of one rule.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// What the source calls it.
    pub title: String,
    /// Its id; `None` when it is not in the file.
    pub id: Option<String>,
    /// The line of a table, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What became of it.
    pub fate: Fate,
    /// Why it is not the same.
    pub why: Vec<Both>,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It means here what it meant there.
    Carried,
    /// It is here, with differences.
    Changed,
    /// It is not here.
    NotCarried,
}

/// How many rules met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Those that mean the same.
    pub carried: usize,
    /// Those with differences.
    pub changed: usize,
    /// Those that are not here.
    pub not_carried: usize,
}

/// What is no rule here.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// What it was.
    pub what: Both,
    /// Why it is no rule.
    pub why: Both,
    /// Lines for another file that do what it did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suggestion: String,
}

/// A sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Both {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl From<&Words> for Both {
    fn from(words: &Words) -> Self {
        Self {
            zh: words.zh.to_string(),
            en: words.en.to_string(),
        }
    }
}

impl Both {
    fn in_lang(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

impl Draft {
    /// What becomes of each rule.
    pub fn report(&self) -> Report {
        let rules: Vec<Entry> = self.rules.iter().map(Entry::from).collect();
        let mut totals = Totals::default();
        for rule in &rules {
            *match rule.fate {
                Fate::Carried => &mut totals.carried,
                Fate::Changed => &mut totals.changed,
                Fate::NotCarried => &mut totals.not_carried,
            } += 1;
        }
        let asides = self.asides.iter().map(|aside| Note {
            what: (&aside.what).into(),
            why: (&aside.why).into(),
            suggestion: aside.suggestion.clone(),
        });
        Report {
            rules,
            asides: asides.collect(),
            totals,
        }
    }
}

impl From<&DraftRule> for Entry {
    fn from(rule: &DraftRule) -> Self {
        let fate = match (rule.is_written(), rule.losses.is_empty()) {
            (true, true) => Fate::Carried,
            (true, false) => Fate::Changed,
            (false, _) => Fate::NotCarried,
        };
        let name = if rule.title.is_empty() {
            &rule.id
        } else {
            &rule.title
        };
        Self {
            title: name.clone(),
            id: rule.is_written().then(|| rule.id.clone()),
            line: rule.spot.map(|spot| spot.line),
            fate,
            why: rule.losses.iter().map(Both::from).collect(),
        }
    }
}

impl Report {
    /// The report for people: totals, then whatever is not the same.
    pub fn in_words(&self, lang: Lang) -> String {
        let Totals {
            carried,
            changed,
            not_carried,
        } = self.totals;
        let mut text = match lang {
            Lang::Zh => {
                format!("原样带过来 {carried} 条,有改动 {changed} 条,没带过来 {not_carried} 条\n")
            }
            Lang::En => {
                format!(
                    "{carried} carried over, {changed} changed, {not_carried} not carried over\n"
                )
            }
        };
        let mut line =
            |line: &str| writeln!(text, "{line}").expect("writing to a String cannot fail");
        for rule in &self.rules {
            let fate = match (rule.fate, lang) {
                (Fate::Carried, _) => continue,
                (Fate::Changed, Lang::Zh) => "改动",
                (Fate::Changed, Lang::En) => "changed",
                (Fate::NotCarried, Lang::Zh) => "没带",
                (Fate::NotCarried, Lang::En) => "not carried",
            };
            let id = rule.id.as_deref().filter(|id| **id != *rule.title);
            let id = id.map(|id| format!(" → {id}")).unwrap_or_default();
            let place = match (rule.line, lang) {
                (None, _) => String::new(),
                (Some(line), Lang::Zh) => format!("(第 {line} 行)"),
                (Some(line), Lang::En) => format!(" (line {line})"),
            };
            line(&format!("{fate}  {}{place}{id}", rule.title));
            for why in &rule.why {
                line(&format!("    {}", why.in_lang(lang)));
            }
        }
        for note in &self.asides {
            line(note.what.in_lang(lang));
            line(&format!("    {}", note.why.in_lang(lang)));
            for suggested in note.suggestion.lines() {
                line(&format!("    {suggested}"));
            }
        }
        text
    }
}
