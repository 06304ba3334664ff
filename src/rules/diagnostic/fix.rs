//! Describes how a machine mends what a remark is about, and mends rule files in memory.
//! Owns: what a fix may be, which fixes go together. Uses: encoding_rs. Never: I/O, finds what is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use encoding_rs::{Encoding, GBK, UTF_16BE, UTF_16LE};
use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Diagnostic, Words};
use crate::model::RuleFiles;

/// A change that mends what a remark is about and changes nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does.
    pub title: Words,
    /// How.
    pub change: Change,
}

/// How a fix changes files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Parts of files are replaced, all of them or none.
    Edits(Vec<Edit>),
    /// The whole file of the remark is written anew as UTF-8; its letters stay the same.
    ToUtf8,
    /// Every line of the remark's file ends with a line feed only.
    LineFeeds,
}

/// One part of a file, replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Path under `rules/`.
    pub file: Arc<str>,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub text: Box<str>,
}

impl Fix {
    /// A fix that replaces one part of a file.
    pub fn replace(
        file: &Arc<str>,
        span: Range<usize>,
        text: impl Into<Box<str>>,
        title: Words,
    ) -> Self {
        let edit = Edit {
            file: Arc::clone(file),
            span,
            text: text.into(),
        };
        Self {
            title,
            change: Change::Edits(vec![edit]),
        }
    }
}

/// A file that fixes changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// Path under `rules/`.
    pub file: String,
    /// What it contains now.
    pub bytes: Bytes,
    /// Whether the old bytes should be kept beside it, since letters were read anew.
    pub is_recoded: bool,
}

/// Applies every fix that touches no place another one has touched already. Returns the changed files, and the remarks
/// whose fixes were applied. What could not be applied now can be once the files were compiled again.
pub fn apply<'d>(
    files: &RuleFiles,
    diagnostics: &'d [Diagnostic],
) -> (Vec<Mended>, Vec<&'d Diagnostic>) {
    let mut plans: BTreeMap<&str, Plan<'_>> = BTreeMap::new();
    let mut applied = Vec::new();
    for diagnostic in diagnostics {
        let Some(fix) = &diagnostic.fix else { continue };
        let file = &*diagnostic.place.file;
        let is_taken = match &fix.change {
            Change::Edits(edits) => take_edits(&mut plans, edits, files),
            Change::ToUtf8 => content(files, file)
                .and_then(|bytes| to_utf8(bytes))
                .is_some_and(|text| take_whole(&mut plans, file, text, true)),
            Change::LineFeeds => content(files, file)
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .is_some_and(|text| {
                    take_whole(&mut plans, file, text.replace("\r\n", "\n"), false)
                }),
        };
        if is_taken {
            applied.push(diagnostic);
        }
    }
    let mended = plans.into_iter().filter_map(|(file, plan)| {
        let bytes = content(files, file)?;
        let (changed, is_recoded) = match plan {
            Plan::Whole { text, is_recoded } => (text.into_bytes(), is_recoded),
            Plan::Edits(edits) => (spliced(bytes, &edits), false),
        };
        (changed != **bytes).then(|| Mended {
            file: file.to_owned(),
            bytes: changed.into(),
            is_recoded,
        })
    });
    (mended.collect(), applied)
}

/// What happens to one file.
enum Plan<'d> {
    Whole { text: String, is_recoded: bool },
    Edits(Vec<&'d Edit>),
}

fn content<'f>(files: &'f RuleFiles, file: &str) -> Option<&'f Bytes> {
    let found = files.0.iter().find(|(path, _)| *path == file);
    found.map(|(_, bytes)| bytes)
}

fn take_whole<'d>(
    plans: &mut BTreeMap<&'d str, Plan<'d>>,
    file: &'d str,
    text: String,
    is_recoded: bool,
) -> bool {
    let is_free = !plans.contains_key(file);
    if is_free {
        plans.insert(file, Plan::Whole { text, is_recoded });
    }
    is_free
}

fn take_edits<'d>(
    plans: &mut BTreeMap<&'d str, Plan<'d>>,
    edits: &'d [Edit],
    files: &RuleFiles,
) -> bool {
    let is_free = |edit: &Edit| {
        let fits = content(files, &edit.file)
            .and_then(|bytes| bytes.get(edit.span.clone()))
            .is_some();
        let is_clear = match plans.get(&*edit.file) {
            None => true,
            Some(Plan::Whole { .. }) => false,
            Some(Plan::Edits(taken)) => taken.iter().all(|other| are_apart(edit, other)),
        };
        fits && is_clear
    };
    let are_consistent = edits.iter().enumerate().all(|(at, edit)| {
        let earlier = edits.get(..at).unwrap_or_default();
        earlier
            .iter()
            .all(|other| edit.file != other.file || are_apart(edit, other))
    });
    if edits.is_empty() || !are_consistent || !edits.iter().all(is_free) {
        return false;
    }
    for edit in edits {
        let plan = plans
            .entry(&edit.file)
            .or_insert_with(|| Plan::Edits(Vec::new()));
        if let Plan::Edits(taken) = plan {
            taken.push(edit);
        }
    }
    true
}

fn are_apart(a: &Edit, b: &Edit) -> bool {
    a.span.start != b.span.start && (a.span.end <= b.span.start || b.span.end <= a.span.start)
}

fn spliced(bytes: &[u8], edits: &[&Edit]) -> Vec<u8> {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| edit.span.start);
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(bytes.get(from..edit.span.start).unwrap_or_default());
        out.extend_from_slice(edit.text.as_bytes());
        from = edit.span.end;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

/// The text of a file that is not UTF-8, if there is no doubt about it: UTF-16 with its mark, or GBK throughout.
pub(crate) fn to_utf8(bytes: &[u8]) -> Option<String> {
    let strict = |encoding: &'static Encoding, bytes| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        let is_plain = |c: char| {
            !matches!(c, '\u{E000}'..='\u{F8FF}' | '\0') && (!c.is_control() || c.is_whitespace())
        };
        text.chars().all(is_plain).then(|| text.into_owned())
    };
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return strict(UTF_16LE, rest);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return strict(UTF_16BE, rest);
    }
    // A damaged UTF-8 file often passes for GBK and would become gibberish: most of it is whole Chinese letters.
    let (mut letters, mut faults) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        letters += chunk.valid().chars().filter(|c| *c >= '\u{800}').count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    if letters >= faults {
        return None;
    }
    strict(GBK, bytes)
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            file: &'a str,
            start: usize,
            end: usize,
            text: &'a str,
        }
        let (edits, convert): (&[Edit], _) = match &self.change {
            Change::Edits(edits) => (edits, None),
            Change::ToUtf8 => (&[], Some("utf-8")),
            Change::LineFeeds => (&[], Some("lf")),
        };
        let edits: Vec<Flat<'_>> = edits
            .iter()
            .map(|edit| Flat {
                file: &edit.file,
                start: edit.span.start,
                end: edit.span.end,
                text: &edit.text,
            })
            .collect();
        let mut fields = serializer.serialize_struct("Fix", 4)?;
        fields.serialize_field("title", &self.title.zh)?;
        fields.serialize_field("title_en", &self.title.en)?;
        fields.serialize_field("edits", &edits)?;
        fields.serialize_field("convert", &convert)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Place};
    use super::*;

    fn remark(file: &str, change: Change) -> Diagnostic {
        let place = Place {
            file: file.into(),
            span: 0..0,
            line: 1,
            column: 1,
        };
        let words = || Words::new("", "");
        Diagnostic::new(Code::Syntax, place, words()).fix(Fix {
            title: words(),
            change,
        })
    }

    fn edit(file: &str, span: Range<usize>, text: &str) -> Edit {
        Edit {
            file: file.into(),
            span,
            text: text.into(),
        }
    }

    #[test]
    fn fixes_that_meet_wait_for_the_next_round_and_half_a_fix_is_never_applied() {
        let files = RuleFiles(vec![
            ("a".to_owned(), Bytes::from_static(b"0123456789")),
            ("b".to_owned(), Bytes::from_static(b"xyz")),
        ]);
        let remarks = [
            remark("a", Change::Edits(vec![edit("a", 6..8, "-")])),
            remark(
                "a",
                Change::Edits(vec![edit("a", 1..2, "one"), edit("b", 0..1, "")]),
            ),
            remark(
                "a",
                Change::Edits(vec![edit("a", 0..1, "!"), edit("a", 7..9, "!")]),
            ),
            remark("a", Change::Edits(vec![edit("a", 10..11, "outside")])),
            remark("a", Change::LineFeeds),
        ];
        let (mended, applied) = apply(&files, &remarks);
        assert_eq!(applied.len(), 2);
        let texts: Vec<&[u8]> = mended.iter().map(|file| &*file.bytes).collect();
        assert_eq!(texts, [&b"0one2345-89"[..], b"yz"]);
    }

    #[test]
    fn only_what_is_surely_gbk_or_utf16_is_read_anew() {
        let (gbk, _, _) = GBK.encode("id = \"营业\" # 联通");
        assert_eq!(to_utf8(&gbk).as_deref(), Some("id = \"营业\" # 联通"));
        assert_eq!(to_utf8(b"\xFF\xFEa\0").as_deref(), Some("a"));
        assert_eq!(to_utf8(b"\xFE\xFF\0a").as_deref(), Some("a"));
        let mut damaged = "每天十点开门,晚上十点关门。".to_owned().into_bytes();
        damaged.remove(3);
        assert_eq!(to_utf8(&damaged), None);
        assert_eq!(to_utf8(b"\x80\x81\xFF\xFF"), None);
    }
}
