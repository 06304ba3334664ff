//! Describes the JSON about rules: their directory, revisions, differences, edits, and what a try shows.
//! Owns: field names and types of version 1. Uses: rules, model. Never: the rule format.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::model::Time;
use crate::rules::Diagnostic;

/// The rules directory, and what runs.
#[derive(Serialize, ToSchema)]
#[schema(as = Rules)]
pub(super) struct RulesShape {
    /// What runs.
    #[schema(required)]
    pub(super) revision: Option<u64>,
    /// Since when it runs.
    #[schema(value_type = String, format = "date-time")]
    pub(super) loaded_at: Time,
    /// `live`: the directory is what runs; `broken`: it has errors, an older revision runs; `pinned`: an older revision was
    /// brought back, and the directory could not be written.
    #[schema(value_type = String)]
    pub(super) state: &'static str,
    /// What the directory holds: the `base` of a draft. Equal to the `hash` of a revision with the same files.
    pub(super) directory_hash: String,
    /// Why the directory is not what runs.
    #[schema(required)]
    pub(super) problem: Option<String>,
    /// The directory's files, whether they run or not.
    pub(super) files: Vec<RuleFileShape>,
}

/// One file of the directory.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleFile)]
pub(super) struct RuleFileShape {
    /// Path under the rules directory.
    pub(super) path: String,
    /// How many rules are in it.
    pub(super) rules: usize,
    #[schema(value_type = Vec<DiagnosticShape>)]
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// All revisions that are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Revisions)]
pub(super) struct RevisionsShape {
    /// Newest first.
    pub(super) revisions: Vec<RevisionShape>,
}

/// One good state of the rules directory.
#[derive(Serialize, ToSchema)]
#[schema(as = Revision)]
pub(super) struct RevisionShape {
    pub(super) revision: u64,
    /// SHA-256 of the files.
    pub(super) hash: String,
    /// When it was first kept.
    #[schema(value_type = String, format = "date-time")]
    pub(super) at: Time,
    /// `directory` for an edit of the files, else who published it.
    pub(super) author: String,
    /// Whether it runs.
    pub(super) active: bool,
}

/// Which answers.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CannedQuery {
    /// Only those for this account.
    pub(super) account: Option<String>,
}

/// Answers that people use again and again.
#[derive(Serialize, ToSchema)]
#[schema(as = CannedAnswers)]
pub(super) struct CannedAnswersShape {
    /// In the order of `_canned.toml`.
    pub(super) canned: Vec<CannedShape>,
}

/// An answer that people use again and again.
#[derive(Serialize, ToSchema)]
#[schema(as = Canned)]
pub(super) struct CannedShape {
    pub(super) id: Box<str>,
    #[schema(required)]
    pub(super) title: Option<Box<str>>,
    /// As written: `{follower.remark}` and `{agent.name}` are filled in by whoever uses it, `{{` is a brace.
    pub(super) text: String,
    /// The accounts it is for; empty means all.
    pub(super) accounts: Vec<String>,
    /// Who looks after it.
    #[schema(required)]
    pub(super) owner: Option<Box<str>>,
    /// When somebody should look whether it is still right.
    #[schema(required, value_type = Option<String>, format = "date")]
    pub(super) review_by: Option<Date>,
}

/// A revision with its files.
#[derive(Serialize, ToSchema)]
#[schema(as = RevisionWithFiles)]
pub(super) struct RevisionFilesShape {
    #[serde(flatten)]
    pub(super) revision: RevisionShape,
    pub(super) files: Vec<KeptFileShape>,
}

/// One file of a revision.
#[derive(Serialize, ToSchema)]
#[schema(as = KeptFile)]
pub(super) struct KeptFileShape {
    pub(super) path: String,
    pub(super) bytes: usize,
    pub(super) sha256: String,
    /// What is in it; `null` where that is no UTF-8.
    #[schema(required)]
    pub(super) text: Option<String>,
}

/// What differs between two revisions, or a revision and the directory.
#[derive(Serialize, ToSchema)]
#[schema(as = Difference)]
pub(super) struct DifferenceShape {
    /// The files that differ.
    pub(super) files: Vec<ChangedFileShape>,
}

/// One file that differs.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedFile)]
pub(super) struct ChangedFileShape {
    pub(super) path: String,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    pub(super) change: &'static str,
    /// Lines that are new.
    pub(super) added: usize,
    /// Lines that are gone.
    pub(super) removed: usize,
    /// A unified diff; `null` where a side is no UTF-8.
    #[schema(required)]
    pub(super) diff: Option<String>,
}

/// Which revision to bring back.
#[derive(Deserialize, ToSchema)]
pub(super) struct Rollback {
    pub(super) revision: u64,
}

/// Files to lay over the directory.
#[derive(Deserialize, ToSchema)]
pub(super) struct Publish {
    /// New text by path: `NAME.toml` or `tables/NAME.csv`.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// Paths of files that go.
    #[serde(default)]
    pub(super) delete: Vec<String>,
    /// Whether `files` are everything: other rule files and tables go, too; what is below `media/` stays.
    #[serde(default)]
    pub(super) replace: bool,
    /// The `directory_hash` that the draft was made for; if the directory changed since, it is refused.
    pub(super) base: Option<String>,
    /// Whose change this is; the token's name is noted beside it.
    pub(super) author: Option<String>,
}

/// What a change of the rules led to.
#[derive(Serialize, ToSchema)]
#[schema(as = Published)]
pub(super) struct PublishedShape {
    /// What runs now.
    pub(super) revision: u64,
    pub(super) directory_hash: String,
    /// Whether the directory still holds something else, because it cannot be written.
    pub(super) pinned: bool,
    /// Why.
    #[schema(required)]
    pub(super) problem: Option<String>,
    /// Remarks that do not keep the rules from running.
    #[schema(value_type = Vec<DiagnosticShape>)]
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A rule as it stands in its file.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleText)]
pub(super) struct RuleTextShape {
    pub(super) file: String,
    /// The line of its header, from 1.
    pub(super) line: usize,
    /// SHA-256 of the file: an edit names it, and is refused when the file changed since.
    pub(super) hash: String,
    /// Its own text, comments included.
    pub(super) toml: String,
}

/// A rule to add.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewRule {
    /// `NAME.toml`; made if it is not there.
    pub(super) file: String,
    /// One `[[rule]]`.
    pub(super) toml: String,
    pub(super) author: Option<String>,
}

/// An edit of a rule: `set` and `unset`, or `toml`.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeRule {
    /// The file's hash, from when it was read.
    pub(super) hash: String,
    /// Values by key; what is not named stays.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) set: Map<String, Value>,
    /// Keys that go.
    #[serde(default)]
    pub(super) unset: Vec<String>,
    /// The whole rule anew.
    pub(super) toml: Option<String>,
    pub(super) author: Option<String>,
}

/// How a rule is removed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RemoveQuery {
    /// The file's hash, from when it was read; without it the rule goes whatever else changed.
    pub(super) hash: Option<String>,
}

/// A message to try: `text`, or `event` with its `key`, or `message`, the type of a message without words.
#[derive(Deserialize, ToSchema)]
pub(super) struct Try {
    pub(super) account: String,
    pub(super) text: Option<String>,
    /// As rules name it: `subscribe`, `scan`, `menu`, …
    pub(super) event: Option<String>,
    /// Scene or menu key.
    pub(super) key: Option<String>,
    /// `image`, `voice`, `location`, …
    pub(super) message: Option<String>,
    /// Whose message; what is remembered of a known follower counts, and is not changed.
    pub(super) follower: Option<String>,
    /// When; now unless said.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub(super) at: Option<Time>,
    /// Files laid over those that run, by path.
    #[serde(default)]
    pub(super) draft: BTreeMap<String, String>,
}

/// Describes JSON that another module writes.
macro_rules! described {
    ($($(#[$doc:meta])* $shape:ident as $name:ident { $($(#[$of:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        #[schema(as = $name)]
        #[expect(dead_code, reason = "stands in the document for a type below, which knows no schemas")]
        pub(super) struct $shape { $($(#[$of])* $field: $type,)+ }
    )+};
}
pub(super) use described;

described! {
    /// A remark about a rule file.
    DiagnosticShape as Diagnostic {
        /// `E…`, `W…`: `wxreply explain CODE` says more.
        code: String,
        /// `error`, `warning` or `hint`.
        severity: String,
        file: String,
        /// From 1.
        line: u32,
        /// In characters, from 1.
        column: u32,
        /// Start and end in bytes of the file.
        span: Vec<usize>,
        /// Chinese.
        message: String,
        message_en: String,
        #[schema(required)]
        help: Option<String>,
        #[schema(required)]
        help_en: Option<String>,
        /// Further places.
        labels: Vec<LabelShape>,
        /// How a machine would mend it, where that is safe.
        #[schema(required)]
        fix: Option<FixShape>,
    }
    /// A change that mends what a remark is about.
    FixShape as DiagnosticFix {
        /// Chinese.
        title: String,
        title_en: String,
        /// All of them or none.
        edits: Vec<EditShape>,
        /// `utf8` or `lf` where the whole file is written anew instead.
        #[schema(required)]
        convert: Option<String>,
    }
    /// A part of a file, replaced.
    EditShape as DiagnosticEdit {
        /// Path under `rules/`.
        file: String,
        /// In bytes.
        start: usize,
        /// Likewise, exclusive.
        end: usize,
        /// What stands there afterwards.
        text: String,
    }
    /// A further place that belongs to a remark.
    LabelShape as DiagnosticLabel {
        file: String,
        line: u32,
        column: u32,
        text: String,
        text_en: String,
    }
    /// A decision and how it came about.
    TriedShape as Tried {
        /// `reply`, `silence`, `form`, `escalate`, `held`, `crisis`, `desk` or `hook`.
        decision: String,
        /// The step that decided: `crisis`, `held`, `person`, `fixed`, `form`, `offer`, `rules` or `escalate`.
        step: String,
        /// The words of danger, if there are any.
        crisis: Option<CrisisShape>,
        /// The rule that answers.
        #[schema(required)]
        rule: Option<String>,
        /// What the follower reads, each an object with the reply's kind as its only key.
        replies: Vec<Value>,
        /// The text as it was compared.
        normalized: String,
        /// Who was considered, best first, 10 at most.
        candidates: Vec<CandidateShape>,
    }
    /// Words of danger.
    CrisisShape as Crisis {
        /// How urgent that is: `urgent`, `high`, `normal` or `low`.
        tier: String,
        /// What people call it.
        #[schema(required)]
        name: Option<String>,
        matched: Vec<MatchedShape>,
    }
    /// A rule that was considered.
    CandidateShape as Candidate {
        rule: String,
        /// By which key it matched.
        kind: String,
        /// The share of the text that it covers, 0 to 1.
        score: f64,
        matched: Vec<MatchedShape>,
        /// What became of it.
        verdict: String,
    }
    /// A part of the text, in Unicode scalar values.
    MatchedShape as Matched {
        start: usize,
        /// Exclusive.
        end: usize,
        text: String,
    }
    /// A file that two people changed.
    FileConflictShape as FileConflict {
        path: String,
        /// What became of it since the caller looked, as a unified diff; `null` where that state is not known any more.
        #[schema(required)]
        theirs: Option<String>,
        /// What the refused change would do to the state the caller looked at, or where that is not known, to what is there.
        yours: String,
        /// Both together; where both changed the same lines, all versions between `<<<<<<<` and `>>>>>>>`.
        #[schema(required)]
        merged: Option<String>,
        /// How many such places there are.
        conflicts: usize,
    }
}
