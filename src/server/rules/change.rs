//! Changes the rules on purpose: publishes drafts, edits single rules, brings revisions back.
//! Owns: the order check, write, keep, swap. Uses: judge, write, the store. Never: writes what was not judged good.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::conflict::{conflicts, stale};
use super::judge::Judged;
use super::rule_edit::{Applied, RuleEdit, locate, with_hash};
use super::write::{self, Placed};
use super::{Keeper, Refused, Seen, Standing, State, Turn, away, is_pinned};
use crate::decide::ActiveRules;
use crate::model::media::hex;
use crate::model::{FileChanges, RuleFiles};
use crate::rules::edit::Located;
use crate::rules::{Diagnostic, FileSummary, RuleSet};
use crate::store::Pin;

/// Where the directory keeps pictures, sounds and videos.
const MEDIA: &str = "media/";

/// Files to lay over the directory.
#[derive(Debug)]
pub(in crate::server) struct Draft {
    /// The content of the directory that the draft was made for; without it the draft wins over whatever is there.
    pub(in crate::server) made_for: Option<[u8; 32]>,
    /// What changes.
    pub(in crate::server) changes: FileChanges,
    /// Whether the draft is everything: other rule files and tables go.
    pub(in crate::server) is_whole: bool,
}

impl Draft {
    /// What changes in these files. Pictures, sounds and videos do not travel in a draft, and stay.
    pub(in crate::server) fn changes(&self, files: &RuleFiles) -> FileChanges {
        let mut changes = self.changes.clone();
        if self.is_whole {
            let paths = files.0.iter().map(|(path, _)| path);
            for path in paths.filter(|path| write::is_writable_path(path)) {
                changes.entry(path.clone()).or_default();
            }
        }
        changes
    }
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
    /// Lays a draft over the directory, if the whole is good. Not to be cancelled, and hard work: for [`Keeper::in_turn`].
    ///
    /// # Errors
    /// [`Refused`]; the directory is as it was then.
    pub(in crate::server) async fn publish(
        self: Arc<Self>,
        _turn: Turn,
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
        let seen = self.look().await?;
        let files = seen.files.clone().map_err(Refused::Unreadable)?;
        let changes = draft.changes(&files);
        if let Some(made_for) = draft.made_for.filter(|made_for| *made_for != seen.digest) {
            let common = self.with_digest(&made_for).await?;
            return Err(conflicts(common.as_ref(), &files, seen.digest, &changes));
        }
        self.write_and_run(&seen, &changes, &author).await
    }

    /// Edits one rule, if the whole is good afterwards. Not to be cancelled, and hard work: for [`Keeper::in_turn`].
    ///
    /// # Errors
    /// [`Refused`]; the directory is as it was then.
    pub(in crate::server) async fn edit(
        self: Arc<Self>,
        _turn: Turn,
        edit: RuleEdit,
        author: String,
    ) -> Result<Published, Refused> {
        if let RuleEdit::Add { file, .. } = &edit
            && !(write::is_writable_path(file) && file.ends_with(".toml"))
        {
            return Err(Refused::Path(file.clone()));
        }
        let seen = self.look().await?;
        let files = seen.files.clone().map_err(Refused::Unreadable)?;
        let (known, edit) = (files.clone(), Arc::new(edit));
        let asked = Arc::clone(&edit);
        match away(move || asked.apply(&known)).await? {
            Applied::Done(changes) => self.write_and_run(&seen, &changes, &author).await,
            Applied::Refused(refused) => Err(refused),
            Applied::Stale(hash) => {
                let common = self.with_file(&hash).await?;
                Err(stale(&edit, common.as_ref(), &files, seen.digest))
            }
        }
    }

    /// Brings a revision back: writes its files, removes other rule files and tables, and runs it; where the directory cannot be written, pins it until the
    /// directory's content changes. Not to be cancelled, and hard work: for [`Keeper::in_turn`].
    ///
    /// # Errors
    /// [`Refused`]; what ran runs on then.
    pub(in crate::server) async fn roll_back(
        self: Arc<Self>,
        _turn: Turn,
        revision: u64,
        author: String,
    ) -> Result<Published, Refused> {
        let goal = self.store.revision_files(revision).await?;
        let goal = goal.ok_or(Refused::NoRevision(revision))?;
        let seen = self.look().await?;
        let old = seen.files.clone().unwrap_or_default();
        let mut changes = old.changes_to(&goal);
        // Pictures harm nobody, and may be in no revision yet.
        changes.retain(|path, bytes| bytes.is_some() || !path.starts_with(MEDIA));
        let good = self.good(old.with(&changes)).await?;
        match self.place(&seen, changes).await {
            Ok(placed) => self.run_placed(good, placed, &author).await,
            Err(Refused::Unwritable(reason)) => {
                // A disk that refuses in the middle may also refuse to take the old files back.
                let over = self.look().await?;
                self.run_pinned(good, over, &author, reason).await
            }
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
        let files = self.look().await?.files.map_err(Refused::Unreadable)?;
        away(move || {
            let (path, bytes, located) = locate(&files, &id)?;
            Ok((path, Sha256::digest(&bytes).into(), located))
        })
        .await?
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
            None => Err(Refused::bad(diagnostics)),
        }
    }

    async fn write_and_run(
        &self,
        seen: &Seen,
        changes: &FileChanges,
        author: &str,
    ) -> Result<Published, Refused> {
        let old = seen.files.clone().map_err(Refused::Unreadable)?;
        let good = self.good(old.with(changes)).await?;
        let changes = old.changes_to(&good.files);
        let placed = self.place(seen, changes).await?;
        self.run_placed(good, placed, author).await
    }

    /// Writes changes, unless the directory holds something else than was seen.
    pub(super) async fn place(&self, seen: &Seen, changes: FileChanges) -> Result<Placed, Refused> {
        let (root, staging) = (self.directory.clone(), changes.clone());
        let staged = away(move || write::stage(&root, &staging)).await?;
        // Compiling took its time; whoever wrote meanwhile is not overwritten unseen.
        let now = self.look().await?;
        if now.digest != seen.digest {
            let files = now.files.map_err(Refused::Unreadable)?;
            let common = seen.files.as_ref().ok();
            return Err(conflicts(common, &files, now.digest, &changes));
        }
        let placed = away(move || staged?.place()).await?;
        placed.map_err(|error| Refused::Unwritable(error.to_string()))
    }

    /// Keeps what is in the directory as a revision, and runs it. Only what is in the directory is kept: a revision that
    /// was refused must not be what a later start falls back to.
    async fn run_placed(
        &self,
        good: Good,
        placed: Placed,
        author: &str,
    ) -> Result<Published, Refused> {
        match self.keep(&good, author).await {
            Ok(revision) => self.runs(good, revision).await,
            Err(refused) => {
                if let Err(error) = away(move || placed.put_back()).await? {
                    tracing::error!(%error, "the rule files of before could not be put back");
                }
                Err(refused)
            }
        }
    }

    async fn keep(&self, good: &Good, author: &str) -> Result<u64, Refused> {
        let files = good.files.clone();
        let revision = self
            .store
            .publish_revision(files, author, self.media.clock.now())
            .await?;
        tracing::info!(rules.revision = revision, by = author, "rules published");
        Ok(revision)
    }

    /// What is good and in the directory goes live.
    async fn runs(&self, good: Good, revision: u64) -> Result<Published, Refused> {
        if self.store.pinned().await?.is_some() {
            self.store.pin(None).await?;
        }
        let digest = good.files.digest();
        let diagnostics = good.diagnostics.clone();
        self.goes_live(
            ActiveRules {
                set: good.set,
                revision: Some(revision),
            },
            Standing::live(
                self.media.clock.now(),
                digest,
                good.summaries,
                good.diagnostics,
            ),
        )
        .await;
        Ok(Published {
            revision,
            digest,
            diagnostics,
            pinned: None,
        })
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
        let pin = Pin {
            revision,
            over: over.digest,
        };
        self.store.pin(Some(pin)).await?;
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
                problem: Some(is_pinned(revision)),
                ..Standing::live(
                    self.media.clock.now(),
                    over.digest,
                    below.files,
                    below.diagnostics,
                )
            },
        )
        .await;
        Ok(Published {
            revision,
            digest: over.digest,
            diagnostics: good.diagnostics,
            pinned: Some(reason),
        })
    }

    /// The files of the revision with this hash.
    async fn with_digest(&self, digest: &[u8; 32]) -> Result<Option<RuleFiles>, Refused> {
        let hash = hex(digest);
        let all = self.store.revisions().await?;
        match all.into_iter().find(|revision| revision.hash == hash) {
            Some(found) => Ok(self.store.revision_files(found.revision).await?),
            None => Ok(None),
        }
    }

    /// The file with this SHA-256, as a set of its own, from the newest revision that has it.
    async fn with_file(&self, hash: &[u8; 32]) -> Result<Option<RuleFiles>, Refused> {
        for revision in self.store.revisions().await? {
            let files = self.store.revision_files(revision.revision).await?;
            let found = files.and_then(|files| with_hash(&files, hash));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
