//! Says why the rules were not changed.
//! Owns: the reasons. Uses: rules, store. Never: a status code.

use serde::Serialize;

use crate::rules::Diagnostic;
use crate::rules::edit::EditError;
use crate::store;

/// Why the rules were not changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum Refused {
    /// What would run has errors, or tests beside its rules fail.
    #[error("the rules have errors, or tests beside them fail")]
    Bad(Vec<Diagnostic>),
    /// The files changed since the caller looked.
    #[error("the files changed in the meantime")]
    Changed {
        /// The directory's content now.
        digest: [u8; 32],
        /// Each file that differs, both ways.
        files: Vec<FileConflict>,
    },
    /// Nobody may write this path.
    #[error("{0:?} is not the path of a rule file: NAME.toml, or tables/NAME.csv")]
    Path(String),
    /// No such revision is kept.
    #[error("there is no revision {0}")]
    NoRevision(u64),
    /// No file of the directory has this rule.
    #[error("there is no rule {0:?} in the directory")]
    NoRule(String),
    /// The edit cannot be made.
    #[error("{0}")]
    Edit(#[from] EditError),
    /// The directory cannot be read.
    #[error("the rules directory cannot be read: {0}")]
    Unreadable(String),
    /// The directory cannot be written.
    #[error("the rules directory cannot be written: {0}")]
    Unwritable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A bug of ours.
    #[error("the rules could not be worked on")]
    Panicked,
}

/// One file that two people changed.
#[derive(Clone, Debug, Serialize)]
pub(in crate::server) struct FileConflict {
    /// Path under `rules/`.
    pub(in crate::server) path: String,
    /// What became of it since the caller looked, as a unified diff; `None` where that state is not known any more.
    pub(in crate::server) theirs: Option<String>,
    /// What the caller would do: to the state the caller looked at, or where that is not known, to what is there now.
    pub(in crate::server) yours: String,
    /// Both together, conflicting places marked.
    pub(in crate::server) merged: Option<String>,
    /// How many places conflict.
    pub(in crate::server) conflicts: usize,
}
