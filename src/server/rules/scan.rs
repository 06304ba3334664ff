//! Looks at the rules directory: cheaply whether something may have changed, and wholly what is in it.
//! Owns: what counts as the same. Uses: rules. Never: waits, or knows what a file means.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::model::RuleFiles;
use crate::rules;

/// Directories below the rules directory are looked into so deep: as deep as files are read.
const DEPTH: usize = 10;

/// What the file system says about every file, without reading one: equal when nothing was touched in between.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey(Vec<Stat>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stat {
    path: PathBuf,
    /// Device, file number, length, and the times of the last write and of the last change to anything; `None` when the
    /// file system does not say.
    facts: Option<[i128; 7]>,
}

/// What the directory holds.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Equal when the content is, or the reason why there is none.
    pub(super) digest: [u8; 32],
    /// The files, or why they cannot be read.
    pub(super) files: Result<RuleFiles, String>,
}

/// Asks the file system about every file. Hidden files do not count.
pub(super) fn survey(directory: &Path) -> Survey {
    let mut found = vec![stat(directory.to_path_buf())];
    descend(directory, DEPTH, &mut found);
    found.sort();
    Survey(found)
}

fn descend(directory: &Path, depth: usize, found: &mut Vec<Stat>) {
    // What cannot be listed shows when it is read.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && depth > 1 {
            descend(&path, depth - 1, found);
        }
        found.push(stat(path));
    }
}

fn stat(path: PathBuf) -> Stat {
    let facts = fs::metadata(&path).ok().map(|meta| {
        [
            meta.dev().into(),
            meta.ino().into(),
            meta.len().into(),
            meta.mtime().into(),
            meta.mtime_nsec().into(),
            meta.ctime().into(),
            meta.ctime_nsec().into(),
        ]
    });
    Stat { path, facts }
}

/// Reads every rule file.
pub(super) fn read(directory: &Path) -> Seen {
    match rules::read_directory(directory) {
        Ok(files) => Seen {
            digest: files.digest(),
            files: Ok(files),
        },
        Err(error) => {
            let reason = error.to_string();
            Seen {
                digest: Sha256::digest(&reason).into(),
                files: Err(reason),
            }
        }
    }
}
