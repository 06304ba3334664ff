//! Holds a rules directory as bytes, between the disk, the store and the compiler.
//! Owns: the order of files, what makes two sets the same. Uses: sha2. Never: reads a file or knows what is in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// The files of a rule set: path under `rules/` with `/`, and bytes; sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFiles(pub Vec<(String, Bytes)>);

/// What becomes of single files: the new bytes, or `None` where a file goes.
pub type FileChanges = BTreeMap<String, Option<Bytes>>;

impl RuleFiles {
    /// SHA-256 over every path and the SHA-256 of its bytes: the hash of a revision.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (path, bytes) in &self.0 {
            digest.update(u64::try_from(path.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(path);
            digest.update(Sha256::digest(bytes));
        }
        digest.finalize().into()
    }

    /// The bytes of one file.
    pub fn find(&self, path: &str) -> Option<&Bytes> {
        let at = self
            .0
            .binary_search_by(|(known, _)| known.as_str().cmp(path));
        at.ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, bytes)| bytes)
    }

    /// The same files with changes on top.
    #[must_use]
    pub fn with(&self, changes: &FileChanges) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(path, _)| !changes.contains_key(path));
        let new = changes
            .iter()
            .filter_map(|(path, bytes)| Some((path.clone(), bytes.clone()?)));
        let mut files: Vec<_> = kept.cloned().chain(new).collect();
        files.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(files)
    }

    /// What must change in these files so that they become `goal`.
    pub fn changes_to(&self, goal: &Self) -> FileChanges {
        let gone = self.0.iter().filter(|(path, _)| goal.find(path).is_none());
        let new = goal
            .0
            .iter()
            .filter(|(path, bytes)| self.find(path) != Some(bytes));
        gone.map(|(path, _)| (path.clone(), None))
            .chain(new.map(|(path, bytes)| (path.clone(), Some(bytes.clone()))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> RuleFiles {
        let own = |(path, text): &(&str, &str)| {
            ((*path).to_owned(), Bytes::copy_from_slice(text.as_bytes()))
        };
        RuleFiles(of.iter().map(own).collect())
    }

    #[test]
    fn changes_lead_from_one_set_to_the_other() {
        let old = files(&[("a.toml", "1"), ("b.toml", "2"), ("c.toml", "3")]);
        let new = files(&[("a.toml", "1"), ("b.toml", "two"), ("d.toml", "4")]);
        let changes = old.changes_to(&new);
        assert_eq!(
            changes.keys().collect::<Vec<_>>(),
            ["b.toml", "c.toml", "d.toml"]
        );
        assert_eq!(old.with(&changes), new);
        assert_eq!(old.with(&changes).digest(), new.digest());
        assert_ne!(old.digest(), new.digest());
        assert!(new.changes_to(&new).is_empty());
    }

    #[test]
    fn where_one_path_ends_and_the_next_begins_counts() {
        assert_ne!(
            files(&[("ab", "c")]).digest(),
            files(&[("a", "bc")]).digest()
        );
    }
}
