//! Holds rules on their way from another tool into a rule file, with what was lost on it.
//! Owns: the shape both kinds of import share. Uses: rules. Never: knows where a rule came from.

use crate::rules::diagnostic::Words;

/// Everything one import brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The rules, in the order of the source. Those without a reply are reported and not written.
    pub rules: Vec<DraftRule>,
    /// What belongs to no rule: a default reply, a switch.
    pub asides: Vec<Aside>,
    /// The accounts that all rules are for; empty: all.
    pub accounts: Vec<String>,
    /// Where it comes from, with the date: the `source` of each rule.
    pub source: String,
}

/// A rule that is being brought over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftRule {
    /// Legal and unique.
    pub id: String,
    /// What the source calls it; may be empty.
    pub title: String,
    /// Whole messages that trigger it.
    pub exact: Vec<String>,
    /// Words that trigger it wherever they stand.
    pub any: Vec<String>,
    /// Words that trigger it together.
    pub all: Vec<String>,
    /// Words that veto it.
    pub none: Vec<String>,
    /// The event that triggers it.
    pub event: Option<&'static str>,
    /// Its accounts, where they differ from the draft's.
    pub accounts: Vec<String>,
    /// The higher one wins.
    pub priority: i64,
    /// Who looks after it; may be empty.
    pub owner: String,
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// What it answers.
    pub says: Vec<Says>,
    /// How several replies are given.
    pub pace: Pace,
    /// What the source calls the question that it certainly answers: a test of it.
    pub proof: Option<String>,
    /// What did not carry over, or differs.
    pub losses: Vec<Words>,
    /// Where it stands in a table.
    pub spot: Option<Spot>,
}

/// A reply that is being brought over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Words, to be sent as they stand.
    Text(String),
    /// A picture by its path under `rules/`.
    Image(String),
    /// A voice message by its path under `rules/`.
    Voice(String),
    /// A card.
    News {
        /// Its title.
        title: String,
        /// Its summary; may be empty.
        description: String,
        /// The address of its picture; may be empty.
        image: String,
        /// Where it leads.
        url: String,
    },
}

/// How several replies are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One of them, by chance.
    Random,
    /// All of them, in order.
    All,
}

/// Something that is no rule here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// What it was.
    pub what: Words,
    /// Why it is no rule, and what to do.
    pub why: Words,
    /// Lines for another file that do what it did; may be empty.
    pub suggestion: String,
}

/// A cell of a table, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line of the file in which its row begins.
    pub line: u64,
    /// Its column.
    pub column: usize,
}

impl DraftRule {
    /// A rule that hears and says nothing yet.
    pub fn new(id: String, title: &str) -> Self {
        Self {
            id,
            title: title.to_owned(),
            exact: Vec::new(),
            any: Vec::new(),
            all: Vec::new(),
            none: Vec::new(),
            event: None,
            accounts: Vec::new(),
            priority: 0,
            owner: String::new(),
            is_enabled: true,
            says: Vec::new(),
            pace: Pace::All,
            proof: None,
            losses: Vec::new(),
            spot: None,
        }
    }

    /// Whether enough came over for a rule.
    pub fn is_written(&self) -> bool {
        let is_heard = self.event.is_some()
            || ![&self.exact, &self.any, &self.all]
                .into_iter()
                .all(Vec::is_empty);
        is_heard && !self.says.is_empty()
    }

    /// The messages of which each alone triggers it.
    pub fn questions(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().chain(&self.any).map(String::as_str)
    }
}
