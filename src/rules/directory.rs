//! Reads a rules directory into memory.
//! Owns: which files belong to a rule set, and that links stay inside. Uses: std. Never: looks into a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::source::FILE_LIMIT;
use crate::model::RuleFiles;

/// Why a rules directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory or a file in it is not readable.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link leads out of the directory.
    #[error("{path} leads out of the rules directory")]
    Outside {
        /// The link.
        path: PathBuf,
    },
    /// A file is too large to be a rule file.
    #[error("{path} has {bytes} bytes, at most {FILE_LIMIT} are read")]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file's name is not UTF-8.
    #[error("the name of {path} is not UTF-8")]
    Name {
        /// Which, as well as it can be shown.
        path: PathBuf,
    },
}

/// Reads every `*.toml` file directly in a directory, in the order of names. Hidden files are left out.
///
/// # Errors
/// [`Error`] for the first file that cannot be taken.
pub fn read_directory(directory: &Path) -> Result<RuleFiles, Error> {
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::Unreadable { path, source }
    };
    let root = directory.canonicalize().map_err(unreadable(directory))?;
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return Err(Error::Name { path });
        };
        if name.starts_with('.') {
            continue;
        }
        let target = path.canonicalize().map_err(unreadable(&path))?;
        if !target.starts_with(&root) {
            return Err(Error::Outside { path });
        }
        let meta = fs::metadata(&target).map_err(unreadable(&path))?;
        if !meta.is_file() {
            continue;
        }
        if usize::try_from(meta.len()).map_or(true, |length| length > FILE_LIMIT) {
            return Err(Error::TooLarge {
                path,
                bytes: meta.len(),
            });
        }
        let bytes = fs::read(&target).map_err(unreadable(&path))?;
        files.push((name.to_owned(), Bytes::from(bytes)));
    }
    files.sort();
    Ok(RuleFiles(files))
}
