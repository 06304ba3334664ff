//! Judges a set of rule files: compiled, and its own tests run.
//! Owns: what makes a set fit to run. Uses: rules, decide. Never: the disk, the store, what runs now.

use std::collections::BTreeSet;

use crate::decide::{ActiveRules, inline};
use crate::model::RuleFiles;
use crate::rules::{self, Compiled, Diagnostic, FileSummary, Options, RuleSet, Severity};

/// What rule files amount to.
#[derive(Default)]
pub(in crate::server) struct Judged {
    /// The rules; `None` when there is an error or a test beside a rule fails.
    pub(in crate::server) set: Option<RuleSet>,
    /// Everything that was noticed, failed tests included.
    pub(in crate::server) diagnostics: Vec<Diagnostic>,
    /// The files that were read.
    pub(in crate::server) files: Vec<FileSummary>,
}

impl Judged {
    /// The remarks that keep the set from running.
    pub(in crate::server) fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        let is_error = |remark: &&Diagnostic| remark.severity() == Severity::Error;
        self.diagnostics.iter().filter(is_error)
    }

    /// How many files have errors.
    pub(super) fn broken_files(&self) -> usize {
        let files: BTreeSet<&str> = self.errors().map(|error| &*error.place.file).collect();
        files.len()
    }
}

/// Compiles the files and runs the tests beside the rules. Takes as long as that takes: not for a thread that serves.
pub(in crate::server) fn judge(files: &RuleFiles, options: &Options) -> Judged {
    let Compiled {
        rules,
        mut diagnostics,
        files,
        ..
    } = rules::compile(files, options);
    let tried = rules.map(|set| ActiveRules {
        set,
        revision: None,
    });
    let failed = tried.as_ref().map(inline::run_tests).unwrap_or_default();
    let set = tried.filter(|_| failed.is_empty()).map(|tried| tried.set);
    diagnostics.extend(failed);
    Judged {
        set,
        diagnostics,
        files,
    }
}
