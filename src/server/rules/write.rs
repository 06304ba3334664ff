//! Writes rule files so that each is the old or the new one at every moment, also over a crash.
//! Owns: which paths may be written, temporary names, fsync. Uses: std. Never: decides what is written.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::model::FileChanges;

/// What a file is called while it is being written: hidden, so that nobody reads it.
const UNFINISHED: &str = ".wxreply-new";
/// What the file before it is called until all are in their places.
const SPARE: &str = ".wxreply-old";
/// The longest name of a file, in bytes; with what is added above it stays below what file systems take.
const NAME_LENGTH: usize = 200;

/// Changes that are on disk under temporary names. Dropping them takes them away again.
pub(super) struct Staged {
    steps: Vec<Step>,
}

/// Changes that are in their places, and can still be undone. Dropping them takes away what undoing needs.
pub(super) struct Placed(Staged);

struct Step {
    temporary: PathBuf,
    target: PathBuf,
    /// The file that is there now under a second name, if one is there and is to be replaced.
    spare: Option<PathBuf>,
    is_removal: bool,
}

/// Whether people may write this path: `NAME.toml`, or `tables/NAME.csv`.
pub(super) fn is_writable_path(path: &str) -> bool {
    let (name, ending) = match path.strip_prefix("tables/") {
        Some(name) => (name, ".csv"),
        None => (path, ".toml"),
    };
    let is_plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    name.strip_suffix(ending)
        .is_some_and(|stem| !stem.is_empty())
        && !name.starts_with('.')
        && name.len() <= NAME_LENGTH
        && name.chars().all(is_plain)
}

/// Writes all changes under temporary names and makes them durable: after this the disk has room for them, and the
/// directory takes them. Nothing that counts has changed yet.
///
/// # Errors
/// When a file cannot be written; nothing is left behind then.
pub(super) fn stage(root: &Path, changes: &FileChanges) -> io::Result<Staged> {
    let mut staged = Staged { steps: Vec::new() };
    for (path, bytes) in changes {
        let target = target(root, path, bytes.is_none())?;
        if staged.steps.iter().any(|step| step.target == target) {
            return Err(refusal(path, "and another path lead to one file"));
        }
        let is_replaced = bytes.is_some() && target.exists();
        let step = Step {
            temporary: hidden(&target, UNFINISHED)?,
            spare: is_replaced.then(|| hidden(&target, SPARE)).transpose()?,
            target,
            is_removal: bytes.is_none(),
        };
        let Step {
            temporary,
            target,
            spare,
            ..
        } = staged.steps.push_mut(step);
        clear(temporary)?;
        if let Some(spare) = spare {
            clear(spare)?;
            // Not every file system has second names.
            fs::hard_link(&*target, &*spare)
                .or_else(|_none| fs::copy(&*target, &*spare).map(drop))?;
        }
        // For a removal, too: only so it is known beforehand that the directory can be changed.
        fill(temporary, target, bytes.as_ref().unwrap_or(&Bytes::new()))?;
    }
    Ok(staged)
}

impl Staged {
    /// Puts every file in its place, one after another, each as a whole. Durable on return.
    ///
    /// # Errors
    /// When the file system refuses; every file is as it was then, unless the error says that this was refused, too.
    pub(super) fn place(self) -> io::Result<Placed> {
        let mut begun = 0;
        let placed = self.steps.iter().try_for_each(|step| {
            step.place()?;
            begun += 1;
            Ok(())
        });
        match placed.and_then(|()| self.sync()) {
            Ok(()) => Ok(Placed(self)),
            Err(error) => Err(match self.put_back(begun) {
                Ok(()) => error,
                Err(worse) => io::Error::other(format!("{error}; and some stay changed: {worse}")),
            }),
        }
    }

    /// Undoes the first steps. Goes on after an error, so that as much as possible is as it was.
    fn put_back(&self, steps: usize) -> io::Result<()> {
        let undone = self.steps.iter().take(steps).rev().map(Step::undo);
        let undone = undone.fold(Ok(()), io::Result::and);
        undone.and(self.sync())
    }

    fn sync(&self) -> io::Result<()> {
        let parents = self.steps.iter().filter_map(|step| step.target.parent());
        let directories: BTreeSet<&Path> = parents.collect();
        let mut directories = directories.into_iter();
        directories.try_for_each(|directory| File::open(directory)?.sync_all())
    }
}

impl Placed {
    /// Puts every file back as it was before.
    ///
    /// # Errors
    /// When the file system refuses; some files stay changed then.
    pub(super) fn put_back(self) -> io::Result<()> {
        self.0.put_back(self.0.steps.len())
    }
}

impl Step {
    /// What is removed is renamed first: so it can come back.
    fn place(&self) -> io::Result<()> {
        match self.is_removal {
            true => fs::rename(&self.target, &self.temporary),
            false => fs::rename(&self.temporary, &self.target),
        }
    }

    fn undo(&self) -> io::Result<()> {
        match (&self.spare, self.is_removal) {
            (Some(spare), _) => fs::rename(spare, &self.target),
            (None, true) => fs::rename(&self.temporary, &self.target),
            (None, false) => fs::remove_file(&self.target),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for step in &self.steps {
            for hidden in step.spare.iter().chain([&step.temporary]) {
                // What stays is hidden and goes with the next start.
                let _ = fs::remove_file(hidden);
            }
        }
    }
}

/// Removes what a crash left unfinished.
pub(super) fn sweep(root: &Path) {
    for directory in [root.to_path_buf(), root.join("tables"), root.join("media")] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_ours = name.ends_with(UNFINISHED) || name.ends_with(SPARE);
            if name.starts_with('.') && is_ours {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The file behind a path: where links inside the directory lead to, never outside. What is removed is the link itself.
fn target(root: &Path, path: &str, is_removal: bool) -> io::Result<PathBuf> {
    let root = root.canonicalize()?;
    let inside = |found: PathBuf| match found.starts_with(&root) {
        true => Ok(found),
        false => Err(refusal(path, "leads out of the rules directory")),
    };
    let plain = root.join(path);
    let (Some(parent), Some(name)) = (plain.parent(), plain.file_name()) else {
        return Err(refusal(path, "is no file"));
    };
    // Before a directory is made: one above it may be a link.
    let there = parent.ancestors().find(|above| above.exists());
    inside(there.unwrap_or(&root).canonicalize()?)?;
    if !is_removal {
        fs::create_dir_all(parent)?;
    }
    let beside = parent.canonicalize()?.join(name);
    let found = inside(match !is_removal && beside.is_symlink() {
        true => beside.canonicalize()?,
        false => beside,
    })?;
    match found.is_dir() && !found.is_symlink() {
        true => Err(refusal(path, "is a directory")),
        false => Ok(found),
    }
}

fn refusal(path: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{path} {why}"))
}

fn hidden(target: &Path, ending: &str) -> io::Result<PathBuf> {
    let name = target.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidInput)?;
    Ok(target.with_file_name(format!(".{name}{ending}")))
}

fn clear(temporary: &Path) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fill(temporary: &Path, target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(temporary)?;
    file.write_all(bytes)?;
    if let Ok(meta) = fs::metadata(target) {
        file.set_permissions(meta.permissions())?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn text(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_rule_files_and_tables_may_be_written() {
        for good in [
            "10-basics.toml",
            "_desk.toml",
            "常见 问题.toml",
            "tables/cities.csv",
        ] {
            assert!(is_writable_path(good), "{good}");
        }
        for bad in [
            "",
            ".toml",
            ".hidden.toml",
            "a.txt",
            "a.toml.bak",
            "../a.toml",
            "/etc/a.toml",
            "sub/a.toml",
            "tables/../a.csv",
            "tables/a.toml",
            "tables/.a.csv",
            "a.csv",
            "media/map.png",
            "a\\b.toml",
            "a\n.toml",
            &format!("{}.toml", "x".repeat(200)),
        ] {
            assert!(!is_writable_path(bad), "{bad}");
        }
    }

    #[test]
    fn nothing_changes_until_it_is_placed_and_nothing_is_left_behind() {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        fs::write(root.join("a.toml"), "old").unwrap();
        fs::write(root.join("b.toml"), "old").unwrap();
        let changes = FileChanges::from([
            ("a.toml".to_owned(), text("new")),
            ("b.toml".to_owned(), None),
            ("tables/c.csv".to_owned(), text("x,y")),
        ]);
        drop(stage(root, &changes).unwrap());
        assert_eq!(fs::read_to_string(root.join("a.toml")).unwrap(), "old");
        assert_eq!(names(root), ["a.toml", "b.toml", "tables"]);
        stage(root, &changes).unwrap().place().unwrap();
        assert_eq!(fs::read_to_string(root.join("a.toml")).unwrap(), "new");
        assert_eq!(names(root), ["a.toml", "tables"]);
        assert_eq!(names(&root.join("tables")), ["c.csv"]);
    }

    #[test]
    fn what_is_refused_in_the_middle_changes_no_file() {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        for name in ["a.toml", "b.toml", "d.toml"] {
            fs::write(root.join(name), "old").unwrap();
        }
        let changes = FileChanges::from([
            ("a.toml".to_owned(), text("new")),
            ("b.toml".to_owned(), None),
            ("c.toml".to_owned(), text("new")),
            ("d.toml".to_owned(), text("new")),
        ]);
        let staged = stage(root, &changes).unwrap();
        fs::remove_file(root.join("d.toml")).unwrap();
        fs::create_dir(root.join("d.toml")).unwrap();
        assert!(staged.place().is_err());
        assert_eq!(names(root), ["a.toml", "b.toml", "d.toml"]);

        fs::remove_dir(root.join("d.toml")).unwrap();
        let placed = stage(root, &changes).unwrap().place().unwrap();
        placed.put_back().unwrap();
        assert_eq!(names(root), ["a.toml", "b.toml"]);
        for name in ["a.toml", "b.toml"] {
            assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "old");
        }
    }

    #[test]
    fn links_are_followed_inside_and_refused_outside() {
        let (directory, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let root = directory.path();
        fs::write(root.join("real.toml"), "old").unwrap();
        fs::write(elsewhere.path().join("theirs.toml"), "old").unwrap();
        std::os::unix::fs::symlink(root.join("real.toml"), root.join("link.toml")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("theirs.toml"), root.join("out.toml"))
            .unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.join("tables")).unwrap();
        let change = |path: &str| FileChanges::from([(path.to_owned(), text("new"))]);
        stage(root, &change("link.toml")).unwrap().place().unwrap();
        assert!(root.join("link.toml").is_symlink());
        assert_eq!(fs::read_to_string(root.join("real.toml")).unwrap(), "new");
        for path in ["out.toml", "tables/new.csv", "tables/a/b.csv"] {
            assert!(stage(root, &change(path)).is_err(), "{path}");
        }
        assert_eq!(names(elsewhere.path()), ["theirs.toml"]);
        let twice = ["link.toml", "real.toml"].map(|path| (path.to_owned(), text("two")));
        assert!(stage(root, &twice.into()).is_err());
        assert_eq!(fs::read_to_string(root.join("real.toml")).unwrap(), "new");
        assert_eq!(
            fs::read_to_string(elsewhere.path().join("theirs.toml")).unwrap(),
            "old"
        );
    }

    #[test]
    fn what_a_crash_left_is_swept_away() {
        let directory = TempDir::new().unwrap();
        let root = directory.path();
        fs::write(root.join(".a.toml.wxreply-new"), "half").unwrap();
        fs::write(root.join(".a.toml.wxreply-old"), "old").unwrap();
        fs::write(root.join(".gitignore"), "").unwrap();
        sweep(root);
        assert_eq!(names(root), [".gitignore"]);
    }
}
