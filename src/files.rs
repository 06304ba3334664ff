//! Keeps files under the hash of what is in them, so that neither the rules directory nor the store is read for them.
//! Owns: one directory of such files. Uses: tempfile, model. Never: a name that is not a hash.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use crate::model::Time;
use crate::model::media::{Sha256Hash, from_hex, hex};

/// A directory of files that are named by their SHA-256.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    /// Opens a directory, making it if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self(directory.to_path_buf()))
    }

    /// Keeps a file; whoever reads it sees all of it or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, hash: &Sha256Hash, bytes: &[u8]) -> io::Result<()> {
        if self.has(hash) {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.path(hash))?;
        Ok(())
    }

    /// Whether a file is kept.
    pub fn has(&self, hash: &Sha256Hash) -> bool {
        self.path(hash).is_file()
    }

    /// A file, or `None` when it is not kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, hash: &Sha256Hash) -> io::Result<Option<Bytes>> {
        match fs::read(self.path(hash)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every file that is kept.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> io::Result<Vec<Sha256Hash>> {
        let mut hashes = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            hashes.extend(entry?.file_name().to_str().and_then(from_hex));
        }
        Ok(hashes)
    }

    /// Writes down, as the time of its last change, when a file was last wanted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&self, hash: &Sha256Hash, at: Time) -> io::Result<()> {
        let since_epoch = Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0));
        let file = fs::OpenOptions::new().append(true).open(self.path(hash))?;
        file.set_modified(UNIX_EPOCH + since_epoch)
    }

    /// When a file was last marked, or kept if it never was.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn marked(&self, hash: &Sha256Hash) -> io::Result<Time> {
        let modified = fs::metadata(self.path(hash))?.modified()?;
        let since_epoch = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Time::from_millis(0).plus(since_epoch))
    }

    /// Throws a file away; nothing happens when it is not kept.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, hash: &Sha256Hash) -> io::Result<()> {
        match fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, hash: &Sha256Hash) -> PathBuf {
        self.0.join(hex(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_listed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("media")).unwrap();
        let hash = [7; 32];
        assert_eq!(cache.read(&hash).unwrap(), None);
        cache.keep(&hash, b"abc").unwrap();
        cache.keep(&hash, b"abc").unwrap();
        assert!(cache.has(&hash));
        fs::write(cache.0.join("note.txt"), b"not ours").unwrap();
        assert_eq!(cache.read(&hash).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(cache.list().unwrap(), [hash]);
        let marked = Time::from_seconds(1_718_200_000);
        cache.mark(&hash, marked).unwrap();
        assert_eq!(cache.marked(&hash).unwrap(), marked);
        cache.remove(&hash).unwrap();
        cache.remove(&hash).unwrap();
        assert_eq!(cache.list().unwrap(), Vec::<Sha256Hash>::new());
    }
}
