//! Watches the rules directory: looks when the kernel reports a change, and every two seconds, for some mounts report none.
//! Owns: when a state of the directory counts. Uses: notify, scan. Never: decides what runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::scan::{Seen, Survey};
use super::{Keeper, Refused, away, scan};

/// How often the directory is looked at when nothing is reported.
const POLL: Duration = Duration::from_secs(2);
/// A state counts when two looks so far apart see the same: a file may be half written.
const APART: Duration = Duration::from_millis(200);
/// So many looks are taken at a directory that keeps changing before the watcher draws breath.
const LOOKS: usize = 5;
/// File systems tell times in steps. Only what was read so long after it was first seen to be so is known to be the whole
/// truth about an unchanged survey.
const STEP: Duration = Duration::from_secs(1);

/// Watches until told to stop.
pub(in crate::server) async fn watch(keeper: Arc<Keeper>, stop: CancellationToken) {
    let woken = Arc::new(Notify::new());
    let _alarm = alarm(&keeper.directory, Arc::clone(&woken));
    let mut eye = Eye::default();
    let watching = async {
        loop {
            if let Err(error) = eye.look(&keeper).await {
                tracing::error!(%error, "the rules directory could not be taken up");
            }
            tokio::select! {
                () = woken.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watching => {}
    }
}

/// Rings whenever the kernel reports that something changed. Without it there are still the regular looks.
fn alarm(directory: &Path, woken: Arc<Notify>) -> Option<RecommendedWatcher> {
    let ring = move |event: notify::Result<notify::Event>| {
        // Reading is reported, too, and the reader is us.
        let is_reading = event.is_ok_and(|event| {
            matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
        });
        if !is_reading {
            woken.notify_one();
        }
    };
    let watching = notify::recommended_watcher(ring).and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    watching
        .inspect_err(|error| {
            tracing::warn!(%error, "the kernel does not report changes of the rules directory");
        })
        .ok()
}

/// What the watcher has seen.
#[derive(Default)]
struct Eye {
    known: Option<Known>,
}

struct Known {
    survey: Survey,
    /// When the survey was first like this.
    since: Instant,
    /// Whether the content was read late enough to go by the survey alone.
    is_settled: bool,
}

impl Eye {
    /// Looks, and has the keeper take up what is new.
    async fn look(&mut self, keeper: &Keeper) -> Result<(), Refused> {
        let directory = keeper.directory.clone();
        let survey = away(move || scan::survey(&directory)).await?;
        let since = match self.known.take() {
            Some(known) if known.survey == survey => {
                if known.is_settled {
                    self.known = Some(known);
                    return Ok(());
                }
                known.since
            }
            _ => Instant::now(),
        };
        let is_settled = since.elapsed() >= STEP;
        let before = keeper.standing();
        let Some(seen) = at_rest(keeper).await? else {
            return Ok(());
        };
        if seen.digest != before.digest {
            keeper.take(seen, &before).await?;
        }
        self.known = Some(Known {
            survey,
            since,
            is_settled,
        });
        Ok(())
    }
}

/// What the directory holds when two looks agree; `None` while it keeps changing.
async fn at_rest(keeper: &Keeper) -> Result<Option<Seen>, Refused> {
    let mut last = keeper.look().await?.digest;
    for _ in 1..LOOKS {
        sleep(APART).await;
        let next = keeper.look().await?;
        if next.digest == last {
            return Ok(Some(next));
        }
        last = next.digest;
    }
    Ok(None)
}
