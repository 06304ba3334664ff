//! Understands rule files: compiles them, finds the rule that answers, and explains why.
//! Owns: the rule format, normalised text, matching, order, remarks. Uses: model. Never: I/O beyond `read_directory`, async, WeChat's XML.
//!
//! [`read_directory`] → [`compile`] → [`RuleSet::find`] → [`RuleSet::answer`] and [`RuleSet::explain`].

mod build;
mod checked;
mod compile;
mod desk_file;
pub mod diagnostic;
mod directory;
mod explain;
mod fields;
mod found;
mod index;
mod inline_tests;
mod lint;
mod mend;
mod normalize;
mod pattern;
mod regexes;
mod reply;
mod reply_kinds;
mod rule;
mod say;
mod sheet;
mod source;
mod spec;
mod syntax;
mod template;
mod words;

pub use compile::{Compiled, FileSummary, Options, compile};
pub use diagnostic::{Code, Diagnostic, Lang, Severity};
pub use directory::{Error, read_directory};
pub use explain::{Explained, Matched};
pub use found::{Answered, Candidate, Edge, Found, MOST_CANDIDATES, MatchKind, Question, Verdict};
pub use index::RuleSet;
pub use inline_tests::{Asked, InlineTest};
pub use normalize::{Normalized, normalize, normalize_with_origins};
pub use say::{Gapped, NotUploaded, Said, Shaped, Values};
pub use spec::{
    AfterTries, Cooldown, Cooling, Extra, FormPlan, Handoff, Hook, Pick, Step, Wording,
};
pub use template::Template;
