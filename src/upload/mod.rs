//! Brings the files that rules send to WeChat, account by account, and renews them before WeChat forgets them.
//! Owns: which id a file has now, and why it has none. Uses: store, wechat, rules, model. Never: decides what is sent, reads the rules directory.

mod cache;
mod remarks;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use cache::Cache;

use crate::model::media::hex;
use crate::model::{AccountName, MediaFormat, MediaIds, Time, UploadedMedia};
use crate::rules::{MediaUse, RuleSet};
use crate::store::{Error, Store};
use crate::wechat::client::{Client, SendError};
use shelf::{Key, Meaning, Refusal, Shelf, Step, Upload};

/// The clock is looked at again after this time, however far away the next upload is.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Reads the clock; injected so that tests own time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Told of every upload: the account, and whether WeChat took it. For counters.
pub type Observe = Arc<dyn Fn(&AccountName, bool) + Send + Sync>;

/// The worker that brings files to WeChat.
pub struct Uploader {
    store: Arc<dyn Store>,
    cache: Cache,
    clock: Clock,
    observe: Observe,
    accounts: Vec<AccountName>,
    /// Accounts that have an AppSecret; the others cannot upload.
    docks: HashMap<AccountName, Dock>,
    /// What the active rules send.
    uses: ArcSwap<Vec<MediaUse>>,
    nothing: Arc<MediaIds>,
}

/// One account's side.
struct Dock {
    client: Arc<Client>,
    shelf: Mutex<Shelf>,
    /// What turns see.
    ids: ArcSwap<MediaIds>,
    changed: Notify,
    /// Held while a file is under way: one at a time.
    crane: tokio::sync::Mutex<()>,
}

impl Uploader {
    /// A worker that knows what earlier runs uploaded. Accounts absent from `clients` cannot upload; `cache` holds the
    /// files.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        cache: Cache,
        accounts: Vec<AccountName>,
        clients: &HashMap<AccountName, Arc<Client>>,
        clock: Clock,
        observe: Observe,
    ) -> Result<Self, Error> {
        let now = clock();
        let mut shelves: HashMap<AccountName, Shelf> = HashMap::new();
        for known in store.media().await? {
            let upload = Upload {
                media_id: known.media_id,
                at: known.at,
            };
            let shelf = shelves.entry(known.account).or_default();
            shelf.enter((known.kind, known.hash), upload);
        }
        let dock = |name: &AccountName, client: &Arc<Client>| {
            let shelf = shelves.remove(name).unwrap_or_default();
            Dock {
                client: Arc::clone(client),
                ids: ArcSwap::from_pointee(shelf.ids(now)),
                shelf: Mutex::new(shelf),
                changed: Notify::new(),
                crane: tokio::sync::Mutex::default(),
            }
        };
        let mut dock = dock;
        let docks = clients
            .iter()
            .map(|(name, client)| (name.clone(), dock(name, client)))
            .collect();
        Ok(Self {
            store,
            cache,
            clock,
            observe,
            accounts,
            docks,
            uses: ArcSwap::default(),
            nothing: Arc::new(MediaIds::none()),
        })
    }

    /// Keeps the files of a set that is about to be active, and has them uploaded. `bytes` gives a file by its path.
    ///
    /// # Errors
    /// When a file cannot be kept; it cannot be uploaded then.
    pub fn rules_changed<'f>(
        &self,
        set: &RuleSet,
        bytes: impl Fn(&str) -> Option<&'f [u8]>,
    ) -> std::io::Result<()> {
        let mut kept = Ok(());
        for used in set.media() {
            let Some(bytes) = bytes(&used.file.path) else {
                continue;
            };
            if let Err(error) = self.cache.keep(&used.file.hash, bytes) {
                kept = Err(error);
            }
        }
        self.uses.store(Arc::new(set.media().to_vec()));
        for dock in self.docks.values() {
            dock.changed.notify_one();
        }
        kept
    }

    /// Which files an account can send now.
    pub fn media(&self, account: &AccountName) -> Arc<MediaIds> {
        let dock = self.docks.get(account);
        dock.map_or_else(|| Arc::clone(&self.nothing), |dock| dock.ids.load_full())
    }

    /// Works until told to stop; an upload under way is finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        self.sweep();
        join_all(
            self.docks
                .iter()
                .map(|(name, dock)| self.work(name, dock, &stop)),
        )
        .await;
    }

    async fn work(&self, account: &AccountName, dock: &Dock, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let now = (self.clock)();
            self.expire(account, dock, now).await;
            let wanted = self.wanted(account);
            let step = dock.shelf.lock().step(&wanted, now);
            match step {
                Step::Upload(_) => {
                    let _alone = dock.crane.lock().await;
                    // A push may have had it renewed meanwhile.
                    if dock.shelf.lock().step(&wanted, now) == step
                        && let Step::Upload(key) = step
                    {
                        let _id = self.upload(account, dock, key).await;
                    }
                }
                Step::Wait(until) => {
                    let wait = until.map_or(LONGEST_WAIT, |until| until.since(now));
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = dock.changed.notified() => {}
                        () = tokio::time::sleep(wait.min(LONGEST_WAIT)) => {}
                    }
                }
            }
        }
    }

    /// What the active rules send on an account, each file once.
    fn wanted(&self, account: &AccountName) -> Vec<Key> {
        let mut wanted = Vec::new();
        for used in self.uses.load().iter().filter(|used| used.is_for(account)) {
            let key = (used.file.kind, used.file.hash);
            if !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        wanted
    }

    /// Uploads one file; its new id.
    async fn upload(&self, account: &AccountName, dock: &Dock, key: Key) -> Option<Arc<str>> {
        let (kind, hash) = key;
        let at = (self.clock)();
        let cache = self.cache.clone();
        let read = tokio::task::spawn_blocking(move || cache.read(&hash)).await;
        let bytes = read.ok().and_then(Result::ok).flatten();
        let Some((format, bytes)) = bytes.and_then(recognised) else {
            tracing::warn!(%account, file = hex(&hash), "a file to upload cannot be read");
            let trouble = Refusal {
                code: 0,
                message: "the file is not in the cache".into(),
            };
            dock.shelf.lock().later(key, trouble, at);
            return None;
        };
        let name = format!("{}.{}", hex(&hash), format.extension());
        let uploaded = dock
            .client
            .upload(kind, &name, format.content_type(), bytes)
            .await;
        (self.observe)(account, uploaded.is_ok());
        match uploaded {
            Ok(media_id) => {
                tracing::info!(%account, kind = kind.word(), file = hex(&hash), "uploaded");
                let upload = Upload {
                    media_id: Arc::clone(&media_id),
                    at,
                };
                dock.shelf.lock().uploaded(key, upload);
                dock.publish(at);
                self.keep(account, key, &media_id, at).await;
                Some(media_id)
            }
            Err(error) => {
                self.failed(account, dock, key, &error, at);
                None
            }
        }
    }

    fn failed(&self, account: &AccountName, dock: &Dock, key: Key, error: &SendError, at: Time) {
        let file = hex(&key.1);
        match dock.shelf.lock().failed(key, error, at) {
            Meaning::Denied => {
                tracing::error!(%account, %error, "the account may not upload, until a restart");
            }
            Meaning::Refused => {
                tracing::error!(%account, file, %error, "WeChat does not take a file");
            }
            Meaning::Later => tracing::warn!(%account, file, %error, "an upload failed"),
        }
    }

    async fn keep(&self, account: &AccountName, (kind, hash): Key, media_id: &Arc<str>, at: Time) {
        let media = UploadedMedia {
            account: account.clone(),
            kind,
            hash,
            media_id: Arc::clone(media_id),
            at,
        };
        // What could not be kept is uploaded again after a restart.
        if let Err(error) = self.store.keep_media(media).await {
            tracing::warn!(%account, %error, "an upload could not be kept");
        }
    }

    /// Forgets uploads that are past their time.
    async fn expire(&self, account: &AccountName, dock: &Dock, now: Time) {
        let expired = dock.shelf.lock().expire(now);
        if !expired.is_empty() {
            dock.publish(now);
        }
        for key in expired {
            self.forget(account, key).await;
        }
    }

    async fn forget(&self, account: &AccountName, (kind, hash): Key) {
        if let Err(error) = self.store.forget_media(account, kind, &hash).await {
            tracing::warn!(%account, %error, "an old upload could not be forgotten");
        }
    }

    /// The id to send instead of one that WeChat does not know any more (40007): of the same file, uploaded again if
    /// nobody has done so. `None` when the id is none of ours, or the upload fails.
    pub async fn renewed(&self, account: &AccountName, stale: &str) -> Option<Arc<str>> {
        let dock = self.docks.get(account)?;
        let _alone = dock.crane.lock().await;
        let now = (self.clock)();
        let key = {
            let mut shelf = dock.shelf.lock();
            let key = shelf.behind(stale)?;
            match shelf.id(&key, now) {
                Some(id) if **id != *stale => return Some(Arc::clone(id)),
                _ => shelf.withdraw(key, now),
            }
            key
        };
        dock.publish(now);
        self.forget(account, key).await;
        self.upload(account, dock, key).await
    }

    /// Throws away cached files that neither the rules nor an upload needs.
    fn sweep(&self) {
        let uses = self.uses.load();
        let is_used = |hash| uses.iter().any(|used| used.file.hash == hash);
        let is_uploaded = |hash| self.docks.values().any(|dock| dock.shelf.lock().has(&hash));
        for hash in self.cache.list().unwrap_or_default() {
            if !is_used(hash) && !is_uploaded(hash) {
                // A file that stays is only space on the disk.
                let _removed = self.cache.remove(&hash);
            }
        }
    }
}

impl Dock {
    /// Lets turns see what can be sent now.
    fn publish(&self, now: Time) {
        let ids = self.shelf.lock().ids(now);
        self.ids.store(Arc::new(ids));
    }
}

fn recognised(bytes: Bytes) -> Option<(MediaFormat, Bytes)> {
    MediaFormat::of(&bytes).map(|format| (format, bytes))
}
