//! Holds a rules directory as bytes, between the disk, the store and the compiler.
//! Owns: the order of files. Uses: nothing. Never: reads a file or knows what is in it.

use bytes::Bytes;

/// The files of a rule set: path under `rules/` with `/`, and bytes; sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFiles(pub Vec<(String, Bytes)>);
