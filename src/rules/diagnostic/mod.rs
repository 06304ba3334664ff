//! Describes what is wrong with rule files: a code, a place, a sentence and a remedy, in Chinese and English.
//! Owns: the shape of a remark and the limit per file. Uses: nothing of ours. Never: finds what is wrong.

mod code;
mod explain;
mod fix;
mod render;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeStruct};

pub use code::{Code, Severity};
pub use explain::{explanation, list};
pub(super) use fix::to_utf8;
pub use fix::{Change, Edit, Fix, Mended, apply};
pub use render::{render, render_github};

/// At most so many remarks of one severity are kept per file.
pub const PER_FILE: usize = 100;

/// The language that people read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// 简体中文.
    #[default]
    Zh,
    /// English.
    En,
}

/// The same sentence in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Chinese.
    pub zh: Box<str>,
    /// English.
    pub en: Box<str>,
}

impl Words {
    /// Pairs two sentences that say the same.
    pub fn new(zh: impl Into<Box<str>>, en: impl Into<Box<str>>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// The sentence in one language.
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path under `rules/`.
    pub file: Arc<str>,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// A further place that belongs to a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// Why it matters.
    pub text: Words,
}

/// One remark about a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: Words,
    /// What stands at the caret.
    pub caret: Option<Words>,
    /// Further places.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<Words>,
    /// How a machine does it.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A remark without help.
    pub fn new(code: Code, place: Place, message: Words) -> Self {
        Self {
            code,
            place,
            message,
            caret: None,
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: Words) -> Self {
        self.help = Some(help);
        self
    }

    /// Adds how a machine mends it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Option<Fix>>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Adds what stands at the caret.
    #[must_use]
    pub fn caret(mut self, caret: Words) -> Self {
        self.caret = Some(caret);
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn label(mut self, place: Place, text: Words) -> Self {
        self.labels.push(Label { place, text });
        self
    }

    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    fn order(&self) -> (&str, u32, u32, Code) {
        (
            &self.place.file,
            self.place.line,
            self.place.column,
            self.code,
        )
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct FlatLabel<'a> {
            file: &'a str,
            line: u32,
            column: u32,
            text: &'a str,
            text_en: &'a str,
        }
        let labels: Vec<FlatLabel<'_>> = self
            .labels
            .iter()
            .map(|label| FlatLabel {
                file: &label.place.file,
                line: label.place.line,
                column: label.place.column,
                text: &label.text.zh,
                text_en: &label.text.en,
            })
            .collect();
        let mut fields = serializer.serialize_struct("Diagnostic", 12)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("severity", &self.severity())?;
        fields.serialize_field("file", &*self.place.file)?;
        fields.serialize_field("line", &self.place.line)?;
        fields.serialize_field("column", &self.place.column)?;
        fields.serialize_field("span", &[self.place.span.start, self.place.span.end])?;
        fields.serialize_field("message", &self.message.zh)?;
        fields.serialize_field("message_en", &self.message.en)?;
        fields.serialize_field("help", &self.help.as_ref().map(|help| &help.zh))?;
        fields.serialize_field("help_en", &self.help.as_ref().map(|help| &help.en))?;
        fields.serialize_field("labels", &labels)?;
        fields.serialize_field("fix", &self.fix)?;
        fields.end()
    }
}

/// Gathers remarks, at most [`PER_FILE`] of each severity for one file, so that many hints never hide an error.
#[derive(Debug, Default)]
pub struct Remarks {
    kept: Vec<Diagnostic>,
    counts: BTreeMap<(Arc<str>, Severity), usize>,
}

impl Remarks {
    /// Adds a remark, unless its file has enough of them.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let key = (Arc::clone(&diagnostic.place.file), diagnostic.severity());
        let count = self.counts.entry(key).or_default();
        *count += 1;
        if *count <= PER_FILE {
            self.kept.push(diagnostic);
        }
    }

    /// The file again, if it may have another remark of this code: finding the place of one takes time.
    pub fn room_in(&self, file: Arc<str>, code: Code) -> Option<Arc<str>> {
        let key = (file, code.severity());
        let is_full = self
            .counts
            .get(&key)
            .is_some_and(|count| *count >= PER_FILE);
        (!is_full).then_some(key.0)
    }

    /// How many errors there were, those over the limit included.
    pub fn errors(&self) -> usize {
        let errors = self
            .counts
            .iter()
            .filter(|((_, severity), _)| *severity == Severity::Error);
        errors.map(|(_, count)| count).sum()
    }

    /// The remarks by file, line and column.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by(|a, b| a.order().cmp(&b.order()));
        self.kept
    }
}

/// Finds which of the known words was probably meant.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    known
        .into_iter()
        .map(|word| {
            (
                strsim::damerau_levenshtein(&lower, &word.to_lowercase()),
                word,
            )
        })
        .filter(|(distance, word)| {
            let length = word.chars().count().min(wrong.chars().count());
            *distance <= length.div_ceil(3).min(3) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_different_word_is_not() {
        let known = ["reply", "replies", "regex", "exact", "id", "any", "all"];
        assert_eq!(did_you_mean("replay", known), Some("reply"));
        assert_eq!(did_you_mean("Exact", known), Some("exact"));
        assert_eq!(did_you_mean("ayn", known), Some("any"));
        assert_eq!(did_you_mean("color", known), None);
        assert_eq!(did_you_mean("x", known), None);
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.text()).collect();
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }
}
