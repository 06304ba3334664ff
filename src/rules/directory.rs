//! Reads a rules directory into memory.
//! Owns: which files belong to a rule set, and that links stay inside. Uses: std. Never: looks into a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::source::FILE_LIMIT;
use super::table;
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
    /// A file is too large to be what its place says.
    #[error("{path} has {bytes} bytes, at most {limit} are read")]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most of its kind.
        limit: u64,
    },
    /// All media together are too large.
    #[error("with {path} the media have more than {ALL_MEDIA_LIMIT} bytes together")]
    TooMuch {
        /// The file that is too much.
        path: PathBuf,
    },
    /// A file's name is not UTF-8.
    #[error("the name of {path} is not UTF-8")]
    Name {
        /// Which, as well as it can be shown.
        path: PathBuf,
    },
}

/// Media of at most so many bytes are read: WeChat takes no larger ones.
const MEDIA_LIMIT: u64 = 10 << 20;
/// All media together.
const ALL_MEDIA_LIMIT: u64 = 512 << 20;
/// Directories under `tables` and `media` may be nested so deep.
const DEPTH: usize = 8;

/// Reads a rules directory: every `*.toml` directly in it, `tables/**.csv` and `media/**`, in the order of paths. Hidden
/// files and directories are left out, and so are other files.
///
/// # Errors
/// [`Error`] for the first file that cannot be taken.
pub fn read_directory(directory: &Path) -> Result<RuleFiles, Error> {
    let root = directory.canonicalize().map_err(unreadable(directory))?;
    let mut reading = Reading {
        root,
        files: Vec::new(),
        media: 0,
    };
    for (name, path) in entries(directory)? {
        let target = || reading.target(&path);
        match &*name {
            _ if name.ends_with(".toml") => {
                let target = target()?;
                reading.rule_file(name, &path, &target)?;
            }
            "tables" | "media" => {
                let target = target()?;
                if target.is_dir() {
                    reading.below(&name, &path, DEPTH)?;
                }
            }
            _ => {}
        }
    }
    reading.files.sort();
    Ok(RuleFiles(reading.files))
}

/// A directory that is being read.
struct Reading {
    root: PathBuf,
    files: Vec<(String, Bytes)>,
    /// Bytes of media so far.
    media: u64,
}

impl Reading {
    /// Where a path leads; only inside of the directory.
    fn target(&self, path: &Path) -> Result<PathBuf, Error> {
        let target = path.canonicalize().map_err(unreadable(path))?;
        if target.starts_with(&self.root) {
            return Ok(target);
        }
        let path = path.to_path_buf();
        Err(Error::Outside { path })
    }

    fn rule_file(&mut self, name: String, path: &Path, target: &Path) -> Result<(), Error> {
        let limit = u64::try_from(FILE_LIMIT).unwrap_or(u64::MAX);
        self.take(name, path, target, limit)
    }

    /// Reads tables or media, and directories of them.
    fn below(&mut self, above: &str, directory: &Path, depth: usize) -> Result<(), Error> {
        let here = self.target(directory)?;
        for (name, path) in entries(directory)? {
            let target = self.target(&path)?;
            let name = format!("{above}/{name}");
            if target.is_dir() {
                // A link to a directory above would be followed for ever.
                let is_loop = here.starts_with(&target);
                if let Some(depth) = depth.checked_sub(1).filter(|_| !is_loop) {
                    self.below(&name, &path, depth)?;
                }
            } else if name.starts_with("media/") {
                self.medium(name, &path, &target)?;
            } else if name.ends_with(".csv") {
                let limit = u64::try_from(table::MOST_BYTES).unwrap_or(u64::MAX);
                self.take(name, &path, &target, limit)?;
            }
        }
        Ok(())
    }

    fn medium(&mut self, name: String, path: &Path, target: &Path) -> Result<(), Error> {
        let before = self.files.len();
        self.take(name, path, target, MEDIA_LIMIT)?;
        let read = self.files.get(before).map_or(0, |(_, bytes)| bytes.len());
        self.media += u64::try_from(read).unwrap_or(u64::MAX);
        if self.media <= ALL_MEDIA_LIMIT {
            return Ok(());
        }
        Err(Error::TooMuch {
            path: path.to_path_buf(),
        })
    }

    /// Reads a regular file; anything else is left out.
    fn take(&mut self, name: String, path: &Path, target: &Path, limit: u64) -> Result<(), Error> {
        let meta = fs::metadata(target).map_err(unreadable(path))?;
        if !meta.is_file() {
            return Ok(());
        }
        if meta.len() > limit {
            return Err(Error::TooLarge {
                path: path.to_path_buf(),
                bytes: meta.len(),
                limit,
            });
        }
        let bytes = fs::read(target).map_err(unreadable(path))?;
        self.files.push((name, Bytes::from(bytes)));
        Ok(())
    }
}

/// What is in a directory and not hidden, by name.
fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match name.to_str() {
            Some(name) => entries.push((name.to_owned(), path)),
            None if is_read(&path) => return Err(Error::Name { path }),
            None => {}
        }
    }
    Ok(entries)
}

/// Whether a file would be read if its name could be written in a rule.
fn is_read(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|extension| extension == "toml" || extension == "csv")
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Unreadable { path, source }
}
