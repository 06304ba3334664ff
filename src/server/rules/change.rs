//! Changes the rules on purpose: publishes drafts, edits single rules, brings revisions back.
//! Owns: the order check, write, keep, swap. Uses: judge, write, the store. Never: writes what was not judged good.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::judge::Judged;
use super::pin::Pin;
use super::refused::FileConflict;
use super::write::{self, Staged};
use super::{Keeper, Refused, Seen, Standing, State, away};
use crate::decide::ActiveRules;
use crate::model::{FileChanges, RuleFiles};
use crate::rules::difference::{ThreeWay, three_way, unified};
use crate::rules::edit::{self, Located};
use crate::rules::{Diagnostic, FileSummary, RuleSet};
use crate::server::clock;

/// Files to lay over the directory.
#[derive(Debug)]
pub(in crate::server) struct Draft {
    /// The content of the directory that the draft was made for; without it the draft wins over whatever is there.
    pub(in crate::server) made_for: Option<[u8; 32]>,
    /// What changes.
    pub(in crate::server) changes: FileChanges,
}

/// An edit of one rule. `hash` is the SHA-256 of the file that the caller looked at.
#[derive(Debug)]
pub(in crate::server) enum RuleEdit {
    /// Sets and removes keys.
    Change {
        id: String,
        hash: [u8; 32],
        set: Map<String, Value>,
        unset: Vec<String>,
    },
    /// Puts another text in its place.
    Replace {
        id: String,
        hash: [u8; 32],
        toml: String,
    },
    /// Adds it at the end of a file.
    Add { file: String, toml: String },
    /// Takes it out.
    Remove { id: String, hash: Option<[u8; 32]> },
}

/// What a change led to.
#[derive(Debug)]
pub(in crate::server) struct Published {
    /// What runs now.
    pub(in crate::server) revision: u64,
    /// The directory's content now.
    pub(in crate::server) digest: [u8; 32],
    /// Remarks that do not keep the rules from running.
    pub(in crate::server) diagnostics: Vec<Diagnostic>,
    /// Why the directory still holds something else.
    pub(in crate::server) pinned: Option<String>,
}

/// A rule set that is good, with its files.
struct Good {
    set: RuleSet,
    files: RuleFiles,
    summaries: Vec<FileSummary>,
    diagnostics: Vec<Diagnostic>,
}

impl Keeper {
    /// Lays a draft over the directory, if the whole is good. Not to be cancelled: spawn it.
    ///
    /// # Errors
    /// [`Refused`]; the directory is as it was then.
    pub(in crate::server) async fn publish(
        self: Arc<Self>,
        draft: Draft,
        author: String,
    ) -> Result<Published, Refused> {
        if let Some(path) = draft
            .changes
            .keys()
            .find(|path| !write::is_writable_path(path))
        {
            return Err(Refused::Path(path.clone()));
        }
        let _changing = self.changing.lock().await;
        let (files, digest) = self.files_now().await?;
        let Draft { made_for, changes } = draft;
        if let Some(made_for) = made_for.filter(|made_for| *made_for != digest) {
            let hash = hex(&made_for);
            let common = self.remembered(|revision, _| revision == hash).await?;
            return Err(conflicts(common.as_ref(), &files, digest, &changes));
        }
        self.write_and_run(&files, &changes, &author).await
    }

    /// Edits one rule, if the whole is good afterwards. Not to be cancelled: spawn it.
    ///
    /// # Errors
    /// [`Refused`]; the directory is as it was then.
    pub(in crate::server) async fn edit(
        self: Arc<Self>,
        edit: RuleEdit,
        author: String,
    ) -> Result<Published, Refused> {
        if let RuleEdit::Add { file, .. } = &edit
            && !(write::is_writable_path(file) && file.ends_with(".toml"))
        {
            return Err(Refused::Path(file.clone()));
        }
        let _changing = self.changing.lock().await;
        let (files, digest) = self.files_now().await?;
        let (known, edit) = (files.clone(), Arc::new(edit));
        let asked = Arc::clone(&edit);
        match away(move || asked.apply(&known)).await? {
            Applied::Done(changes) => self.write_and_run(&files, &changes, &author).await,
            Applied::Refused(refused) => Err(refused),
            Applied::Stale(hash) => {
                let has_it = |_: &str, files: &RuleFiles| with_hash(files, &hash).is_some();
                let common = self.remembered(has_it).await?;
                let common = common.as_ref().and_then(|files| with_hash(files, &hash));
                Err(stale(&edit, common, &files, digest))
            }
        }
    }

    /// Brings a revision back: writes its files and runs it; where the directory cannot be written, pins it until the
    /// directory's content changes. Not to be cancelled: spawn it.
    ///
    /// # Errors
    /// [`Refused`]; what ran runs on then.
    pub(in crate::server) async fn roll_back(
        self: Arc<Self>,
        revision: u64,
        author: String,
    ) -> Result<Published, Refused> {
        let _changing = self.changing.lock().await;
        let goal = self.store.revision_files(revision).await?;
        let good = self
            .good(goal.ok_or(Refused::NoRevision(revision))?)
            .await?;
        let seen = self.look().await?;
        let mut changes = seen
            .files
            .clone()
            .unwrap_or_default()
            .changes_to(&good.files);
        changes.retain(|path, bytes| bytes.is_some() || write::is_writable_path(path));
        match self.write(changes).await {
            Ok(()) => self.run(good, &author).await,
            Err(Refused::Unwritable(reason)) => self.run_pinned(good, seen, &author, reason).await,
            Err(other) => Err(other),
        }
    }

    /// A rule's own text, its file, and that file's hash, as the directory is now.
    ///
    /// # Errors
    /// [`Refused::NoRule`] and whatever keeps the directory from being read.
    pub(in crate::server) async fn find_rule(
        &self,
        id: String,
    ) -> Result<(String, [u8; 32], Located), Refused> {
        let (files, _) = self.files_now().await?;
        away(move || {
            let (path, bytes, located) = locate(&files, &id)?;
            Ok((path, Sha256::digest(&bytes).into(), located))
        })
        .await?
    }

    async fn files_now(&self) -> Result<(RuleFiles, [u8; 32]), Refused> {
        let seen = self.look().await?;
        Ok((seen.files.map_err(Refused::Unreadable)?, seen.digest))
    }

    async fn good(&self, files: RuleFiles) -> Result<Good, Refused> {
        let Judged {
            set,
            diagnostics,
            files: summaries,
        } = self.judge(files.clone()).await?;
        match set {
            Some(set) => Ok(Good {
                set,
                files,
                summaries,
                diagnostics,
            }),
            None => Err(Refused::Bad(diagnostics)),
        }
    }

    async fn write_and_run(
        &self,
        old: &RuleFiles,
        changes: &FileChanges,
        author: &str,
    ) -> Result<Published, Refused> {
        let good = self.good(old.with(changes)).await?;
        let changes = old.changes_to(&good.files);
        let staged = self.stage(changes.clone()).await?;
        // Compiling took its time; whoever wrote meanwhile is not overwritten unseen.
        let (now, digest) = self.files_now().await?;
        if digest != old.digest() {
            return Err(conflicts(Some(old), &now, digest, &changes));
        }
        // Kept before it is written: a crash in between leaves the old files and one revision that nobody heard of.
        let revision = self.keep(&good, author).await?;
        commit(staged).await?;
        Ok(self.runs(good, revision))
    }

    async fn stage(&self, changes: FileChanges) -> Result<Staged, Refused> {
        let root = self.directory.clone();
        let staged = away(move || write::stage(&root, &changes)).await?;
        staged.map_err(|error| Refused::Unwritable(error.to_string()))
    }

    async fn write(&self, changes: FileChanges) -> Result<(), Refused> {
        commit(self.stage(changes).await?).await
    }

    async fn keep(&self, good: &Good, author: &str) -> Result<u64, Refused> {
        let files = good.files.clone();
        let revision = self
            .store
            .publish_revision(files, author, clock::now())
            .await?;
        tracing::info!(rules.revision = revision, by = author, "rules published");
        Ok(revision)
    }

    async fn run(&self, good: Good, author: &str) -> Result<Published, Refused> {
        let revision = self.keep(&good, author).await?;
        Ok(self.runs(good, revision))
    }

    /// What is good and in the directory goes live.
    fn runs(&self, good: Good, revision: u64) -> Published {
        self.pin.write(None);
        let digest = good.files.digest();
        let diagnostics = good.diagnostics.clone();
        self.goes_live(
            ActiveRules {
                set: good.set,
                revision: Some(revision),
            },
            Standing::live(digest, good.summaries, good.diagnostics),
        );
        Published {
            revision,
            digest,
            diagnostics,
            pinned: None,
        }
    }

    /// What is good goes live over a directory that holds something else.
    async fn run_pinned(
        &self,
        good: Good,
        over: Seen,
        author: &str,
        reason: String,
    ) -> Result<Published, Refused> {
        let below = match over.files {
            Ok(files) => self.judge(files).await?,
            Err(_unreadable) => Judged::default(),
        };
        let revision = self.keep(&good, author).await?;
        self.pin.write(Some(Pin {
            revision,
            over: over.digest,
        }));
        let problem = format!(
            "revision {revision} is pinned, for the rules directory cannot be written: {reason}"
        );
        tracing::warn!(
            rules.revision = revision,
            reason,
            "the rules directory cannot be written, the revision is pinned"
        );
        self.goes_live(
            ActiveRules {
                set: good.set,
                revision: Some(revision),
            },
            Standing {
                state: State::Pinned,
                problem: Some(problem),
                ..Standing::live(over.digest, below.files, below.diagnostics)
            },
        );
        Ok(Published {
            revision,
            digest: over.digest,
            diagnostics: good.diagnostics,
            pinned: Some(reason),
        })
    }

    /// The newest revision whose hash and files are what is looked for.
    async fn remembered(
        &self,
        is_meant: impl Fn(&str, &RuleFiles) -> bool,
    ) -> Result<Option<RuleFiles>, Refused> {
        for revision in self.store.revisions().await? {
            let files = self.store.revision_files(revision.revision).await?;
            if let Some(files) = files.filter(|files| is_meant(&revision.hash, files)) {
                return Ok(Some(files));
            }
        }
        Ok(None)
    }
}

async fn commit(staged: Staged) -> Result<(), Refused> {
    let done = away(move || staged.commit()).await?;
    done.map_err(|error| Refused::Unwritable(error.to_string()))
}

/// Bytes as people write them.
pub(in crate::server) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an edit makes of the files that are there.
enum Applied {
    Done(FileChanges),
    /// The caller looked at a file with this hash, and there is none.
    Stale([u8; 32]),
    Refused(Refused),
}

impl RuleEdit {
    fn hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::Change { hash, .. } | Self::Replace { hash, .. } => Some(*hash),
            Self::Remove { hash, .. } => *hash,
            Self::Add { .. } => None,
        }
    }

    fn apply(&self, files: &RuleFiles) -> Applied {
        match self.hash() {
            Some(hash) if with_hash(files, &hash).is_none() => Applied::Stale(hash),
            _ => self
                .changes(files)
                .map_or_else(Applied::Refused, Applied::Done),
        }
    }

    fn changes(&self, files: &RuleFiles) -> Result<FileChanges, Refused> {
        let (path, new) = match self {
            Self::Add { file, toml } => {
                let bytes = files.find(file).cloned().unwrap_or_default();
                (file.clone(), edit::append(text(&bytes, file)?, toml)?)
            }
            Self::Change { id, set, unset, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::change(text(&bytes, &path)?, &rule, set, unset)?;
                (path, new)
            }
            Self::Replace { id, toml, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::replace(text(&bytes, &path)?, &rule, toml)?;
                (path, new)
            }
            Self::Remove { id, .. } => {
                let (path, bytes, rule) = locate(files, id)?;
                let new = edit::remove(text(&bytes, &path)?, &rule);
                (path, new)
            }
        };
        Ok(FileChanges::from([(path, Some(new.into()))]))
    }
}

fn with_hash(files: &RuleFiles, hash: &[u8; 32]) -> Option<RuleFiles> {
    let found = files
        .0
        .iter()
        .find(|(_, bytes)| Sha256::digest(bytes)[..] == hash[..]);
    found.map(|file| RuleFiles(vec![file.clone()]))
}

/// The refusal of an edit: what it would have done to the file the caller looked at, beside what became of that file.
fn stale(edit: &RuleEdit, common: Option<RuleFiles>, now: &RuleFiles, digest: [u8; 32]) -> Refused {
    let yours = edit.changes(common.as_ref().unwrap_or(now));
    let yours = match (yours, &common) {
        (Ok(yours), _) => yours,
        (Err(_not_there_any_more), None) => FileChanges::new(),
        (Err(refused), Some(_)) => return refused,
    };
    let is_touched = |(path, _): &&(String, Bytes)| yours.contains_key(path);
    let now = RuleFiles(now.0.iter().filter(is_touched).cloned().collect());
    conflicts(common.as_ref(), &now, digest, &yours)
}

fn text<'b>(bytes: &'b Bytes, path: &str) -> Result<&'b str, Refused> {
    std::str::from_utf8(bytes)
        .map_err(|_not_utf8| Refused::Unreadable(format!("{path} is not UTF-8")))
}

/// The file that has this rule, and where.
fn locate(files: &RuleFiles, id: &str) -> Result<(String, Bytes, Located), Refused> {
    let mut found = None;
    for (path, bytes) in &files.0 {
        let is_rules = path.ends_with(".toml") && !path.starts_with('_');
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| is_rules) else {
            continue;
        };
        if let Some(located) = edit::find(text, id)? {
            if found.is_some() {
                return Err(edit::EditError::Twice.into());
            }
            found = Some((path.clone(), bytes.clone(), located));
        }
    }
    found.ok_or_else(|| Refused::NoRule(id.to_owned()))
}

/// Both sides' changes of every file that differs.
fn conflicts(
    common: Option<&RuleFiles>,
    now: &RuleFiles,
    digest: [u8; 32],
    yours: &FileChanges,
) -> Refused {
    let mut touched: BTreeSet<String> = yours.keys().cloned().collect();
    if let Some(common) = common {
        touched.extend(common.changes_to(now).into_keys());
    }
    let shown = |bytes: Option<&Bytes>| {
        bytes.map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    let files = touched.into_iter().map(|path| {
        let theirs = shown(now.find(&path));
        let mine = |common: &str| match yours.get(&path) {
            Some(bytes) => shown(bytes.as_ref()),
            None => common.to_owned(),
        };
        match common.map(|common| shown(common.find(&path))) {
            Some(common) => {
                let ThreeWay {
                    theirs,
                    yours,
                    merged,
                    conflicts,
                } = three_way(&path, &common, &theirs, &mine(&common));
                FileConflict {
                    path,
                    theirs: Some(theirs),
                    yours,
                    merged: Some(merged),
                    conflicts,
                }
            }
            None => FileConflict {
                theirs: None,
                yours: unified(&path, &theirs, &mine(&theirs)),
                merged: None,
                conflicts: 0,
                path,
            },
        }
    });
    Refused::Changed {
        digest,
        files: files.collect(),
    }
}
