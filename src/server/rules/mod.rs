//! Keeps the rules that run: takes them from their directory, watches it, publishes drafts, brings revisions back.
//! Owns: when a rule set goes live, what the directory is said to be. Uses: rules, decide, store. Never: HTTP; compiles on a thread that serves.
//!
//! Only what [`judge`] finds good ever runs. A change is one swap of the active set: turns that have begun finish on the
//! set they began with.

mod change;
mod conflict;
mod judge;
mod opening;
mod refused;
mod rule_edit;
mod scan;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::media::Media;
use super::metrics::Metrics;
use crate::decide::ActiveRules;
use crate::model::{RuleFiles, Time};
use crate::rules::{Compiled, Diagnostic, FileSummary, Options, compile};
use crate::store::{self, Store};
use judge::{Judged, broken_files, errors, judge};
use scan::Seen;

pub(super) use change::{Draft, Published};
pub(super) use opening::OpeningError;
pub(super) use refused::{FileConflict, Refused};
pub(super) use rule_edit::RuleEdit;
pub(super) use watch::watch;

/// The rules that run, and what is known of their directory.
pub(super) struct Keeper {
    directory: PathBuf,
    options: Options,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    media: Arc<Media>,
    active: Arc<ArcSwap<ActiveRules>>,
    /// Notified when other rules run.
    went_live: Arc<Notify>,
    standing: ArcSwap<Standing>,
    /// The files of the revision that a draft was last laid over: reading them takes a while.
    files: ArcSwap<Option<(u64, RuleFiles)>>,
    /// Held while the rules or their directory change: one change at a time.
    changing: Arc<Mutex<()>>,
}

/// The right to change the rules or their directory. Nobody else has it.
pub(super) struct Turn {
    _held: OwnedMutexGuard<()>,
}

/// How the directory stands to what runs.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// In one word.
    pub(super) state: State,
    /// When what runs began to run.
    pub(super) loaded_at: Time,
    /// The directory's content; equal to a revision's hash where it is that revision.
    pub(super) digest: [u8; 32],
    /// The directory's files.
    pub(super) files: Vec<FileSummary>,
    /// What was noticed about them.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Why the directory is not what runs, in one line.
    pub(super) problem: Option<String>,
}

/// What runs, as seen from the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The directory is what runs.
    Live,
    /// The directory is bad; an older revision runs.
    Broken,
    /// An older revision was brought back and the directory could not be written.
    Pinned,
}

impl Keeper {
    /// How the directory stands now.
    pub(super) fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// What runs now.
    pub(super) fn active(&self) -> Arc<ActiveRules> {
        self.active.load_full()
    }

    /// The set that every turn reads, and sees replaced.
    pub(super) fn shared(&self) -> Arc<ArcSwap<ActiveRules>> {
        Arc::clone(&self.active)
    }

    /// Notified when other rules run; for one listener.
    pub(super) fn went_live(&self) -> Arc<Notify> {
        Arc::clone(&self.went_live)
    }

    /// The files of what runs.
    ///
    /// # Errors
    /// When the store cannot read them.
    pub(super) async fn active_files(&self) -> Result<RuleFiles, store::Error> {
        let Some(revision) = self.active.load().revision else {
            return Ok(RuleFiles::default());
        };
        if let Some((known, files)) = &**self.files.load()
            && *known == revision
        {
            return Ok(files.clone());
        }
        let files = self.store.revision_files(revision).await?;
        let files = files.unwrap_or_default();
        self.files.store(Arc::new(Some((revision, files.clone()))));
        Ok(files)
    }

    /// The files of the directory as they are now, or why they cannot be read.
    ///
    /// # Errors
    /// When reading them panicked.
    pub(super) async fn directory_files(&self) -> Result<Result<RuleFiles, String>, Refused> {
        Ok(self.look().await?.files)
    }

    /// Compiles files and runs their tests, away from the threads that serve.
    ///
    /// # Errors
    /// When that panicked.
    pub(super) async fn judge(&self, files: RuleFiles) -> Result<Judged, Refused> {
        let options = self.options.clone();
        away(move || judge(&files, &options)).await
    }

    /// Compiles a draft that is only to be tried: tests beside rules are not run.
    ///
    /// # Errors
    /// [`Refused::Bad`]; [`Refused::Panicked`].
    pub(super) async fn compiled(&self, files: RuleFiles) -> Result<ActiveRules, Refused> {
        let options = self.options.clone();
        let Compiled {
            rules, diagnostics, ..
        } = away(move || compile(&files, &options)).await?;
        let set = rules.ok_or_else(|| Refused::bad(diagnostics))?;
        Ok(ActiveRules {
            set,
            revision: None,
        })
    }

    /// Sees a change to its end on a thread where no other request waits, also when the caller goes away in the middle. Only
    /// a change whose turn it is takes a thread: else those that wait would keep all threads from the one they wait for.
    ///
    /// # Errors
    /// Those of the change; [`Refused::Panicked`].
    pub(super) async fn in_turn<T, F>(
        self: &Arc<Self>,
        change: impl FnOnce(Arc<Self>, Turn) -> F,
    ) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refused>> + Send + 'static,
    {
        let change = change(Arc::clone(self), self.turn().await);
        let runtime = Handle::current();
        away(move || runtime.block_on(change)).await?
    }

    async fn turn(&self) -> Turn {
        let held = Arc::clone(&self.changing).lock_owned().await;
        Turn { _held: held }
    }

    async fn look(&self) -> Result<Seen, Refused> {
        let directory = self.directory.clone();
        away(move || scan::read(&directory)).await
    }

    /// Takes what the directory was seen to hold, unless something else changed the rules since `before`. What is good goes
    /// live; what is bad is shown, and what runs stays.
    async fn take(&self, seen: Seen, before: &Arc<Standing>) -> Result<(), Refused> {
        let _turn = self.turn().await;
        if !Arc::ptr_eq(before, &self.standing.load()) {
            return Ok(());
        }
        match self.store.pinned().await? {
            Some(pin) if pin.over == seen.digest => return Ok(()),
            Some(_) => self.store.pin(None).await?,
            None => {}
        }
        let files = match seen.files {
            Ok(files) => files,
            Err(reason) => {
                self.stays(seen.digest, Vec::new(), Vec::new(), Some(&reason));
                return Ok(());
            }
        };
        let Judged {
            set,
            diagnostics,
            files: summaries,
        } = self.judge(files.clone()).await?;
        let Some(set) = set else {
            self.stays(seen.digest, summaries, diagnostics, None);
            return Ok(());
        };
        let revision = self
            .store
            .publish_revision(files, "directory", self.media.clock.now())
            .await?;
        self.goes_live(
            ActiveRules {
                set,
                revision: Some(revision),
            },
            Standing::live(self.media.clock.now(), seen.digest, summaries, diagnostics),
        )
        .await;
        Ok(())
    }

    /// The directory is bad: what runs goes on, visibly.
    fn stays(
        &self,
        digest: [u8; 32],
        files: Vec<FileSummary>,
        diagnostics: Vec<Diagnostic>,
        reason: Option<&str>,
    ) {
        let active = self.active.load();
        let problem = match reason {
            Some(reason) => format!("{}: {reason}", runs_instead(active.revision)),
            None => runs_instead(active.revision),
        };
        for error in errors(&diagnostics) {
            tracing::warn!(
                rules.code = error.code.text(),
                rules.file = %error.place.file,
                rules.line = error.place.line,
                "rule file has an error"
            );
        }
        tracing::error!(
            rules.revision = active.revision,
            rules.broken_files = broken_files(&diagnostics),
            reason,
            "the rules directory is bad, the last good revision goes on"
        );
        // A directory that cannot be read at all is one broken thing.
        let broken = broken_files(&diagnostics).max(usize::from(reason.is_some()));
        self.metrics.rules(active.set.len(), broken);
        self.standing.store(Arc::new(Standing {
            state: State::Broken,
            loaded_at: self.standing.load().loaded_at,
            digest,
            files,
            diagnostics,
            problem: Some(problem),
        }));
    }

    /// The one place where a rule set goes live.
    async fn goes_live(&self, active: ActiveRules, standing: Standing) {
        self.media.take(&active).await;
        announce(&active, &standing, &self.metrics);
        self.active.store(Arc::new(active));
        self.standing.store(Arc::new(standing));
        self.went_live.notify_one();
    }
}

impl Standing {
    /// The directory is what runs, from now on.
    fn live(
        now: Time,
        digest: [u8; 32],
        files: Vec<FileSummary>,
        diagnostics: Vec<Diagnostic>,
    ) -> Self {
        Self {
            state: State::Live,
            loaded_at: now,
            digest,
            files,
            diagnostics,
            problem: None,
        }
    }
}

/// Says in the log and in figures what runs now.
fn announce(active: &ActiveRules, standing: &Standing, metrics: &Metrics) {
    metrics.rules(active.set.len(), broken_files(&standing.diagnostics));
    metrics.reloaded(standing.loaded_at);
    tracing::info!(
        rules.revision = active.revision,
        rules.count = active.set.len(),
        rules.remarks = standing.diagnostics.len(),
        "rules loaded"
    );
}

/// What is said of a directory that does not count.
fn is_pinned(revision: u64) -> String {
    format!("revision {revision} is pinned until the content of the rules directory changes")
}

/// What is said of a bad directory.
fn runs_instead(revision: Option<u64>) -> String {
    match revision {
        Some(revision) => format!("the rules directory is bad, revision {revision} runs"),
        None => "the rules directory is bad, an older set runs".to_owned(),
    }
}

/// Does slow work on a thread where nobody waits for the next request.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on the rules ended badly");
        Refused::Panicked
    })
}
