//! Makes changes of files out of edits of single rules.
//! Owns: which file an edit means. Uses: rules. Never: the disk.

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::Refused;
use crate::model::{FileChanges, RuleFiles};
use crate::rules::edit::{self, EditError, Located};

/// An edit of one rule. `hash` is the SHA-256 of the file that the caller looked at.
#[derive(Debug)]
pub(in crate::server) enum RuleEdit {
    /// Sets and removes keys.
    Change {
        id: String,
        hash: [u8; 32],
        set: Map<String, Value>,
        unset: Vec<String>,
    },
    /// Puts another text in its place.
    Replace {
        id: String,
        hash: [u8; 32],
        toml: String,
    },
    /// Adds it at the end of a file.
    Add { file: String, toml: String },
    /// Takes it out.
    Remove { id: String, hash: Option<[u8; 32]> },
}

/// What an edit makes of the files that are there.
pub(super) enum Applied {
    Done(FileChanges),
    /// The caller looked at a file with this hash, and there is none.
    Stale([u8; 32]),
    Refused(Refused),
}

impl RuleEdit {
    fn hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::Change { hash, .. } | Self::Replace { hash, .. } => Some(*hash),
            Self::Remove { hash, .. } => *hash,
            Self::Add { .. } => None,
        }
    }

    pub(super) fn apply(&self, files: &RuleFiles) -> Applied {
        match self.hash() {
            Some(hash) if with_hash(files, &hash).is_none() => Applied::Stale(hash),
            _ => self
                .changes(files)
                .map_or_else(Applied::Refused, Applied::Done),
        }
    }

    pub(super) fn changes(&self, files: &RuleFiles) -> Result<FileChanges, Refused> {
        let (path, new) = match self {
            Self::Add { file, toml } => {
                let bytes = files.find(file).cloned().unwrap_or_default();
                (file.clone(), edit::append(text(&bytes, file)?, toml)?)
            }
            Self::Change { id, set, unset, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::change(text(&bytes, &path)?, &rule, set, unset)?;
                (path, new)
            }
            Self::Replace { id, toml, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::replace(text(&bytes, &path)?, &rule, toml)?;
                (path, new)
            }
            Self::Remove { id, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::remove(text(&bytes, &path)?, &rule);
                (path, new)
            }
        };
        Ok(FileChanges::from([(path, Some(new.into()))]))
    }
}

/// The one file with this SHA-256, as a set of its own.
pub(super) fn with_hash(files: &RuleFiles, hash: &[u8; 32]) -> Option<RuleFiles> {
    let found = files
        .0
        .iter()
        .find(|(_, bytes)| Sha256::digest(bytes)[..] == hash[..]);
    found.map(|file| RuleFiles(vec![file.clone()]))
}

fn text<'b>(bytes: &'b Bytes, path: &str) -> Result<&'b str, Refused> {
    std::str::from_utf8(bytes)
        .map_err(|_not_utf8| Refused::Unreadable(format!("{path} is not UTF-8")))
}

/// The file that has this rule, and where.
pub(super) fn locate(files: &RuleFiles, id: &str) -> Result<(String, Bytes, Located), Refused> {
    let mut found = None;
    for (path, bytes) in &files.0 {
        let is_rules = path.ends_with(".toml") && !path.starts_with('_');
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| is_rules) else {
            continue;
        };
        let located = edit::find(text, id).map_err(|error| match error {
            EditError::Syntax(why) => EditError::Syntax(format!("{path}: {why}")),
            other => other,
        })?;
        if let Some(located) = located {
            if found.is_some() {
                return Err(EditError::Twice.into());
            }
            found = Some((path.clone(), bytes.clone(), located));
        }
    }
    found.ok_or_else(|| Refused::NoRule(id.to_owned()))
}
