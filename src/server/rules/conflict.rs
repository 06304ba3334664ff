//! Shows two changes of the same files beside each other.
//! Owns: what a refused caller is shown. Uses: rules. Never: decides who is refused.

use std::collections::BTreeSet;
use std::str::Utf8Error;

use bytes::Bytes;

use super::Refused;
use super::refused::FileConflict;
use super::rule_edit::RuleEdit;
use crate::model::{FileChanges, RuleFiles};
use crate::rules::difference::{ThreeWay, three_way, unified};

/// The refusal of an edit: what it would have done to the file the caller looked at, beside what became of that file.
pub(super) fn stale(
    edit: &RuleEdit,
    common: Option<&RuleFiles>,
    now: &RuleFiles,
    digest: [u8; 32],
) -> Refused {
    let yours = edit.changes(common.unwrap_or(now));
    let yours = match (yours, common) {
        (Ok(yours), _) => yours,
        (Err(_not_there_any_more), None) => FileChanges::new(),
        (Err(refused), Some(_)) => return refused,
    };
    let is_touched = |(path, _): &&(String, Bytes)| yours.contains_key(path);
    let now = RuleFiles(now.0.iter().filter(is_touched).cloned().collect());
    conflicts(common, &now, digest, &yours)
}

/// Both sides' changes of every file that differs.
pub(super) fn conflicts(
    common: Option<&RuleFiles>,
    now: &RuleFiles,
    digest: [u8; 32],
    yours: &FileChanges,
) -> Refused {
    let mut touched: BTreeSet<String> = yours.keys().cloned().collect();
    if let Some(common) = common {
        touched.extend(common.changes_to(now).into_keys());
    }
    let files = touched.into_iter().map(|path| {
        let mine = |before: Option<&Bytes>| match yours.get(&path) {
            Some(bytes) => bytes.clone(),
            None => before.cloned(),
        };
        let before = common.map(|common| common.find(&path));
        let theirs = now.find(&path);
        let yours = mine(before.unwrap_or(theirs));
        let sides = (
            before.map(text).transpose(),
            text(theirs),
            text(yours.as_ref()),
        );
        match sides {
            (Ok(Some(common)), Ok(theirs), Ok(yours)) => both(path, common, theirs, yours),
            (Ok(None), Ok(theirs), Ok(yours)) => FileConflict {
                theirs: None,
                yours: unified(&path, theirs, yours),
                merged: None,
                conflicts: 0,
                path,
            },
            _ => FileConflict {
                theirs: None,
                yours: format!("{path} is no text, and different\n"),
                merged: None,
                conflicts: 1,
                path,
            },
        }
    });
    Refused::Changed {
        digest,
        files: files.collect(),
    }
}

/// A file's text; a file that is not there has none.
fn text(bytes: Option<&Bytes>) -> Result<&str, Utf8Error> {
    std::str::from_utf8(bytes.map_or(&[], |bytes| &bytes[..]))
}

fn both(path: String, common: &str, theirs: &str, yours: &str) -> FileConflict {
    let ThreeWay {
        theirs,
        yours,
        merged,
        conflicts,
    } = three_way(&path, common, theirs, yours);
    FileConflict {
        path,
        theirs: Some(theirs),
        yours,
        merged: Some(merged),
        conflicts,
    }
}
