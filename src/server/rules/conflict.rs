//! Shows two changes of the same files beside each other.
//! Owns: what a refused caller is shown. Uses: rules. Never: decides who is refused.

use std::collections::BTreeSet;

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
    let shown = |bytes: Option<&Bytes>| {
        bytes.map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    let files = touched.into_iter().map(|path| {
        let theirs = shown(now.find(&path));
        let mine = |common: &str| match yours.get(&path) {
            Some(bytes) => shown(bytes.as_ref()),
            None => common.to_owned(),
        };
        match common.map(|common| shown(common.find(&path))) {
            Some(common) => {
                let ThreeWay {
                    theirs,
                    yours,
                    merged,
                    conflicts,
                } = three_way(&path, &common, &theirs, &mine(&common));
                FileConflict {
                    path,
                    theirs: Some(theirs),
                    yours,
                    merged: Some(merged),
                    conflicts,
                }
            }
            None => FileConflict {
                theirs: None,
                yours: unified(&path, &theirs, &mine(&theirs)),
                merged: None,
                conflicts: 0,
                path,
            },
        }
    });
    Refused::Changed {
        digest,
        files: files.collect(),
    }
}
