//! Removes revisions that nothing names any more, beside everything else that the store does.
//! Owns: that one removal runs at a time. Uses: revisions, shared. Never: which revisions go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::store::Error;

use super::revisions::{Named, remove_unnamed};
use super::shared::{Shared, blocking, on_disk, written};

/// Begins a removal, unless one is under way: the next publication brings the next.
pub(super) fn begin(shared: &Arc<Shared>, before: Option<u64>) {
    if shared.is_pruning.swap(true, Ordering::Relaxed) {
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        match prune(&shared, before).await {
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => tracing::warn!(%error, "old revisions of the rules cannot be removed"),
        }
        shared.is_pruning.store(false, Ordering::Relaxed);
    });
}

async fn prune(shared: &Arc<Shared>, before: Option<u64>) -> Result<(), Error> {
    written(shared).await?;
    let named = blocking(shared, |shared| Named::read(&shared.disk)).await?;
    on_disk(shared, move |disk| remove_unnamed(disk, named, before)).await
}
