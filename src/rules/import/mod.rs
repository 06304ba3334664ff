//! Makes rule files of what other tools hold: WeChat's own editor, a spreadsheet.
//! Owns: what carries over, and how a rule file is written. Uses: toml_edit, csv, encoding_rs. Never: I/O, the clock, matching.
//!
//! [`native::Console::read`] or [`table::read`] → [`Draft`] → [`Draft::to_toml`] and [`Draft::report`].

mod cells;
pub(in crate::rules) mod columns;
mod draft;
mod names;
pub mod native;
mod report;
pub mod table;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use draft::{Aside, Draft, DraftRule, Pace, Says, Spot};
pub use names::Names;
pub use report::{Entry, Fate, Report, Totals};

/// The largest input that is read, in bytes.
pub const INPUT_LIMIT: usize = 16 << 20;
