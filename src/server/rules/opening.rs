//! Finds the rules to start with: a pinned revision, the directory, or the last good revision.
//! Owns: that order. Uses: judge, scan, store. Never: starts without rules.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::judge::{Judged, errors, judge};
use super::{
    Keeper, Refused, Standing, State, announce, away, is_pinned, runs_instead, scan, write,
};
use crate::clock::Clock;
use crate::decide::ActiveRules;
use crate::model::{RuleFiles, Time};
use crate::rules::diagnostic::render;
use crate::rules::{Diagnostic, Lang, Options};
use crate::server::media::Media;
use crate::server::metrics::Metrics;
use crate::store::{self, Store};

/// Why there are no rules to start with.
#[derive(Debug)]
pub(in crate::server) enum OpeningError {
    /// The store failed.
    Store(store::Error),
    /// The directory is bad and no good revision is stored; what is wrong, for people.
    Bad(String),
}

impl From<store::Error> for OpeningError {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Refused> for OpeningError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => Self::Store(error),
            other => Self::Bad(other.to_string()),
        }
    }
}

/// What is needed to judge and to keep rules.
struct Bench<'a> {
    clock: &'a Clock,
    directory: &'a std::path::Path,
    options: &'a Options,
    store: &'a dyn Store,
}

/// What to start with, and what the operator should read about the directory.
type Opened = (ActiveRules, Standing, Option<String>);

impl Keeper {
    /// Takes up the rules: those of the directory if they are good, else the last good revision. With it comes what the
    /// operator should read when the directory is not what runs.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub(in crate::server) async fn open(
        directory: std::path::PathBuf,
        options: Options,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        media: Arc<Media>,
    ) -> Result<(Arc<Self>, Option<String>), OpeningError> {
        let root = directory.clone();
        let seen = away(move || {
            write::sweep(&root);
            scan::read(&root)
        })
        .await?;
        let bench = Bench {
            clock: &media.clock,
            directory: &directory,
            options: &options,
            store: &*store,
        };
        let (active, standing, notice) = bench.begin(seen).await?;
        media.take(&active).await;
        announce(&active, &standing, &metrics);
        let keeper = Self {
            active: Arc::new(ArcSwap::from_pointee(active)),
            went_live: Arc::default(),
            standing: ArcSwap::from_pointee(standing),
            files: ArcSwap::from_pointee(None),
            changing: Arc::default(),
            directory,
            options,
            store,
            metrics,
            media,
        };
        Ok((Arc::new(keeper), notice))
    }
}

impl Bench<'_> {
    async fn judge(&self, files: &RuleFiles) -> Result<Judged, Refused> {
        let (files, options) = (files.clone(), self.options.clone());
        away(move || judge(&files, &options)).await
    }

    /// The revision that is pinned over what the directory holds, else the directory.
    async fn begin(&self, seen: scan::Seen) -> Result<Opened, OpeningError> {
        let Some(pin) = self.store.pinned().await? else {
            return self.judged_directory(seen).await;
        };
        let files = self.store.revision_files(pin.revision).await?;
        let pinned = match files.filter(|_| pin.over == seen.digest) {
            Some(files) => self.judge(&files).await?.set,
            None => None,
        };
        let Some(set) = pinned else {
            // Edited while nobody watched; or the accounts changed, and the revision is good no more.
            self.store.pin(None).await?;
            return self.judged_directory(seen).await;
        };
        let below = match &seen.files {
            Ok(files) => self.judge(files).await?,
            Err(_unreadable) => Judged::default(),
        };
        tracing::warn!(
            rules.revision = pin.revision,
            "the revision is still pinned"
        );
        let active = ActiveRules {
            set,
            revision: Some(pin.revision),
        };
        let standing = Standing {
            state: State::Pinned,
            problem: Some(is_pinned(pin.revision)),
            ..Standing::live(
                self.clock.now(),
                seen.digest,
                below.files,
                below.diagnostics,
            )
        };
        Ok((active, standing, None))
    }

    /// The rules of the directory, published as a revision; or the last good ones.
    async fn judged_directory(&self, seen: scan::Seen) -> Result<Opened, OpeningError> {
        let files = match seen.files {
            Ok(files) => files,
            Err(reason) => {
                let standing = bad(self.clock.now(), seen.digest, Judged::default());
                return self.last_good(standing, reason).await;
            }
        };
        let mut judged = self.judge(&files).await?;
        let Some(set) = judged.set.take() else {
            let errors: Vec<Diagnostic> = errors(&judged.diagnostics).cloned().collect();
            let root = format!("{}/", self.directory.display());
            let shown = render(&errors, &files, &root, Lang::Zh, false);
            return self
                .last_good(bad(self.clock.now(), seen.digest, judged), shown)
                .await;
        };
        let revision = self
            .store
            .publish_revision(files, "directory", self.clock.now())
            .await?;
        let active = ActiveRules {
            set,
            revision: Some(revision),
        };
        let standing = Standing::live(
            self.clock.now(),
            seen.digest,
            judged.files,
            judged.diagnostics,
        );
        Ok((active, standing, None))
    }

    /// The newest revision that is still good, the one that ran last before the others.
    async fn last_good(&self, standing: Standing, notice: String) -> Result<Opened, OpeningError> {
        let mut revisions = self.store.revisions().await?;
        revisions.sort_by_key(|revision| (!revision.active, std::cmp::Reverse(revision.revision)));
        for revision in revisions {
            let number = revision.revision;
            let Some(files) = self.store.revision_files(number).await? else {
                continue;
            };
            let Some(set) = self.judge(&files).await?.set else {
                continue;
            };
            tracing::error!(
                rules.revision = number,
                "the rules directory is bad, the last good revision runs"
            );
            let active = ActiveRules {
                set,
                revision: Some(number),
            };
            let standing = Standing {
                problem: Some(runs_instead(Some(number))),
                ..standing
            };
            return Ok((active, standing, Some(notice)));
        }
        Err(OpeningError::Bad(notice))
    }
}

fn bad(now: Time, digest: [u8; 32], judged: Judged) -> Standing {
    Standing {
        state: State::Broken,
        ..Standing::live(now, digest, judged.files, judged.diagnostics)
    }
}
