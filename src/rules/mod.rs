//! Understands rule files: compiles them, finds the rule that answers, and explains why.
//! Owns: the rule format, normalised text, matching, order, remarks. Uses: model. Never: I/O beyond `read_directory`, async, WeChat's XML.
//!
//! [`read_directory`] → [`compile`] → [`RuleSet::find`] → [`RuleSet::course`] and [`RuleSet::explain`].

mod address;
mod allow;
mod audience;
mod build;
mod calendar_file;
mod canned;
mod checked;
mod compile;
mod condition;
mod cooldown;
mod course;
mod crisis;
mod crisis_file;
mod desk_file;
pub mod diagnostic;
pub mod difference;
mod directory;
pub mod edit;
mod explain;
pub mod export;
mod extra;
mod fields;
mod form;
mod found;
mod gaps;
mod handoff;
mod hook;
pub mod import;
mod index;
mod inline_tests;
pub mod like;
mod line;
mod lint;
mod lookup;
mod media;
mod media_use;
mod mend;
mod moment;
mod normalize;
mod pattern;
mod regexes;
mod reply;
mod reply_kinds;
mod resolve;
mod rule;
mod say;
mod script;
mod sheet;
mod source;
mod spec;
mod syntax;
mod table;
mod template;
mod wording;
mod words;

pub use canned::Canned;
pub use compile::{Compiled, FileSummary, Options, compile};
pub use course::{Course, Place};
pub use crisis::{Alarm, Crisis};
pub use diagnostic::{Code, Diagnostic, Lang, Severity};
pub use directory::{Error, read_directory};
pub use explain::{Explained, Matched};
pub use found::{
    Asking, Candidate, Edge, Found, MOST_CANDIDATES, MatchKind, Question, Unfit, Verdict,
};
pub use index::{DeskLines, RuleSet};
pub use inline_tests::{Asked, InlineTest};
pub use line::Line;
pub use media_use::MediaUse;
pub use normalize::{Normalized, normalize, normalize_with_origins};
pub use say::{Gapped, NotUploaded, Said, Shaped, Values};
pub use script::{Script, ScriptTurn};
pub use spec::{
    AfterTries, Cooldown, Cooling, Extra, FormPlan, Handoff, Hook, Pick, Step, Wording,
};
pub use table::Table;
pub use template::Template;
