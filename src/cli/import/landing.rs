//! Puts a new rule file, and media beside it, into a rules directory, whole or not at all.
//! Owns: the place of the file, and what is taken away again when it is not written. Uses: rules, tempfile.
//! Never: writes over a file without being told.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::cli::{check, print};
use crate::model::media::hex;
use crate::model::{MediaFormat, MediaKind, RuleFiles};
use crate::rules::export;
use crate::rules::import::Names;

/// Where media go, under the rules directory.
const MEDIA: &str = "media";
/// So much of a file's hash stands in its name.
const HASH_DIGITS: usize = 12;

/// The place where a rule file is to be. Media that were saved go away with it, unless the file is written.
pub(super) struct Landing {
    /// `None`: standard output.
    place: Option<Place>,
    is_forced: bool,
    /// Paths of new files under the directory.
    saved: Vec<String>,
}

struct Place {
    directory: PathBuf,
    name: String,
}

/// What was written.
pub(super) struct Landed {
    /// The rule file; `None`: standard output.
    pub(super) file: Option<PathBuf>,
    /// Paths of new media under the directory.
    pub(super) media: Vec<String>,
}

impl Landing {
    /// Looks whether a file may be written there.
    pub(super) fn find(out: &Path, is_forced: bool) -> anyhow::Result<Self> {
        let place = if out == Path::new("-") {
            None
        } else {
            Some(Place::of(out)?)
        };
        if let Some(place) = &place
            && !is_forced
            && place.file().exists()
        {
            bail!(
                "{} 已经有了,加 --force 才覆盖 | is there already; --force writes over it",
                out.display()
            );
        }
        Ok(Self {
            place,
            is_forced,
            saved: Vec::new(),
        })
    }

    /// The directory; `None` when there is none, or none yet.
    pub(super) fn directory(&self) -> Option<&Path> {
        let directory = self.place.as_ref().map(|place| place.directory.as_path());
        directory.filter(|directory| directory.is_dir())
    }

    /// What stands before the name of a file in remarks.
    pub(super) fn root(&self) -> String {
        let place = self.place.as_ref();
        place
            .map(|place| check::root(&place.directory))
            .unwrap_or_default()
    }

    /// The files of the directory with this text in place of the file.
    pub(super) fn files_with(&self, text: String) -> anyhow::Result<RuleFiles> {
        let mut files = self.others()?;
        let name = self.place.as_ref().map_or("-.toml", |place| &place.name);
        files.0.push((name.to_owned(), Bytes::from(text)));
        files.0.sort();
        Ok(files)
    }

    /// The ids that the other files have.
    pub(super) fn names(&self) -> Names {
        // What is wrong with the other files is said when all of them are checked.
        let others = self.others().unwrap_or_default();
        let rows = export::rows(&others).unwrap_or_default();
        Names::taken(rows.into_iter().map(|row| row.id))
    }

    fn others(&self) -> anyhow::Result<RuleFiles> {
        let Some(directory) = self.directory() else {
            return Ok(RuleFiles::default());
        };
        let mut files = check::read(directory)?;
        let name = self.place.as_ref().map(|place| &place.name);
        files.0.retain(|(path, _)| Some(path) != name);
        Ok(files)
    }

    /// Saves a picture or voice message. Gives its path under the directory; `None` when there is no directory, or the
    /// bytes are no format that WeChat takes.
    pub(super) fn save(&mut self, kind: MediaKind, bytes: &[u8]) -> anyhow::Result<Option<String>> {
        let format = MediaFormat::of(bytes).filter(|format| kind.takes(*format));
        let (Some(place), Some(format)) = (&self.place, format) else {
            return Ok(None);
        };
        let hash = hex(&Sha256::digest(bytes).into());
        let hash = hash.get(..HASH_DIGITS).unwrap_or(&hash);
        let path = format!("{MEDIA}/native-{hash}.{}", format.extension());
        let target = place.directory.join(&path);
        if !target.exists() {
            put(&target, bytes, false)?;
            self.saved.push(path.clone());
        }
        Ok(Some(path))
    }

    /// Whether there is a directory for media.
    pub(super) const fn has_directory(&self) -> bool {
        self.place.is_some()
    }

    /// Writes the rule file, and keeps the media.
    pub(super) fn write(mut self, text: &str) -> anyhow::Result<Landed> {
        let file = match &self.place {
            Some(place) => {
                let file = place.file();
                put(&file, text.as_bytes(), self.is_forced)?;
                Some(file)
            }
            None => {
                print(text)?;
                None
            }
        };
        Ok(Landed {
            file,
            media: std::mem::take(&mut self.saved),
        })
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let Some(place) = &self.place else {
            return;
        };
        for path in &self.saved {
            // What cannot be removed is named by no rule and does no harm.
            let _ = std::fs::remove_file(place.directory.join(path));
        }
    }
}

impl Place {
    fn of(out: &Path) -> anyhow::Result<Self> {
        let name = out
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !name.ends_with(".toml") || name.starts_with(['_', '.']) {
            bail!(
                "--out 要写成 规则目录/名字.toml,名字不以 _ 或 . 开头 | --out is DIRECTORY/NAME.toml, NAME begins with neither _ nor ."
            );
        }
        let parent = out.parent().filter(|parent| *parent != Path::new(""));
        Ok(Self {
            directory: parent.unwrap_or(Path::new(".")).to_owned(),
            name: name.to_owned(),
        })
    }

    fn file(&self) -> PathBuf {
        self.directory.join(&self.name)
    }
}

/// Writes a file as a whole or not at all; one that is there stays, unless it may be replaced.
fn put(file: &Path, bytes: &[u8], replaces: bool) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        let mut new = new_file(directory)?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        if replaces {
            new.persist(file)?;
        } else {
            new.persist_noclobber(file)?;
        }
        Ok(())
    };
    written().with_context(|| file.display().to_string())
}

/// A hidden file that everybody may read, as rule files are.
fn new_file(directory: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".import-");
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_media_go_away_when_no_rule_file_is_written() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("rules/90-native.toml");
        let mut landing = Landing::find(&out, false).unwrap();
        let path = landing
            .save(MediaKind::Image, b"\xff\xd8\xff")
            .unwrap()
            .unwrap();
        let saved = home.path().join("rules").join(&path);
        assert!(saved.exists(), "{path}");
        assert_eq!(landing.save(MediaKind::Voice, b"GIF89a").unwrap(), None);
        drop(landing);
        assert!(!saved.exists());
        let mut landing = Landing::find(&out, false).unwrap();
        landing.save(MediaKind::Image, b"\xff\xd8\xff").unwrap();
        assert_eq!(landing.write("").unwrap().media, [path]);
        assert!(saved.exists() && out.exists());
        assert!(Landing::find(&out, false).is_err());
        assert!(Landing::find(&out, true).is_ok());
    }

    #[test]
    fn a_name_that_the_server_would_not_read_is_refused() {
        for name in ["_desk.toml", ".a.toml", "a.txt", "rules/", ""] {
            assert!(Place::of(Path::new(name)).is_err(), "{name}");
        }
        assert_eq!(
            Place::of(Path::new("a.toml")).unwrap().directory,
            Path::new(".")
        );
    }
}
