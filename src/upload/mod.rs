//! Brings the files that rules and agents send to WeChat, account by account, and renews them before WeChat forgets them.
//! Owns: which id a file has now, and why it has none. Uses: store, wechat, rules, files, model, clock. Never: decides what is sent, reads the rules directory.

mod remarks;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::files::Cache;
use crate::model::media::{Sha256Hash, hex};
use crate::model::{
    Ability, AccountName, MediaFormat, MediaIds, MediaKind, Time, UploadedMedia, Verdict,
};
use crate::rules::{MediaUse, RuleSet};
use crate::store::{Error, Store};
use crate::wechat::client::{Client, SendError};
use shelf::{Key, Meaning, Refusal, Shelf, Step, Upload};

/// What WeChat says to a media id that it does not know.
const NO_SUCH_MEDIA: i64 = 40007;

/// The worker that brings files to WeChat.
pub struct Uploader {
    store: Arc<dyn Store>,
    cache: Cache,
    /// Pictures that agents brought; whoever took them in also throws them away.
    agents: Cache,
    clock: Clock,
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
    /// rules' files, `agents` those of people.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        cache: Cache,
        agents: Cache,
        accounts: Vec<AccountName>,
        clients: &HashMap<AccountName, Arc<Client>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let now = clock.now();
        let mut shelves: HashMap<AccountName, Shelf> = HashMap::new();
        for known in store.media().await? {
            let upload = Upload {
                media_id: known.media_id,
                at: known.at,
            };
            let shelf = shelves.entry(known.account).or_default();
            shelf.enter((known.kind, known.hash), upload);
        }
        let mut dock = |name: &AccountName, client: &Arc<Client>| {
            let shelf = shelves.remove(name).unwrap_or_default();
            Dock {
                client: Arc::clone(client),
                ids: ArcSwap::from_pointee(shelf.ids(now)),
                shelf: Mutex::new(shelf),
                changed: Notify::new(),
                crane: tokio::sync::Mutex::default(),
            }
        };
        let docks = clients
            .iter()
            .map(|(name, client)| (name.clone(), dock(name, client)))
            .collect();
        Ok(Self {
            store,
            cache,
            agents,
            clock,
            accounts,
            docks,
            uses: ArcSwap::default(),
            nothing: Arc::new(MediaIds::none()),
        })
    }

    /// Where the files lie that are to be uploaded, under their hashes.
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Has the files of a set that is about to be active uploaded; they are in the cache already. What neither this set
    /// nor an upload needs is thrown away.
    pub fn rules_changed(&self, set: &RuleSet) {
        self.uses.store(Arc::new(set.media().to_vec()));
        self.sweep();
        for dock in self.docks.values() {
            dock.changed.notify_one();
        }
    }

    /// Which files an account can send now.
    pub fn media(&self, account: &AccountName) -> Arc<MediaIds> {
        let dock = self.docks.get(account);
        dock.map_or_else(|| Arc::clone(&self.nothing), |dock| dock.ids.load_full())
    }

    /// Works until told to stop. Of an upload under way nobody hears then: it is made again after the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let docks = self.docks.iter();
        let work = join_all(docks.map(|(name, dock)| self.work(name, dock)));
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
    }

    async fn work(&self, account: &AccountName, dock: &Dock) {
        loop {
            let now = self.clock.now();
            let media = dock.client.ability(Ability::Media);
            dock.shelf.lock().heed(media);
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
                        // What went wrong is on the shelf.
                        let _id = self.upload(account, dock, key).await;
                    }
                }
                Step::Wait(None) => dock.changed.notified().await,
                Step::Wait(Some(until)) => {
                    tokio::select! {
                        () = dock.changed.notified() => {}
                        () = self.clock.reach(until) => {}
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
    async fn upload(
        &self,
        account: &AccountName,
        dock: &Dock,
        key: Key,
    ) -> Result<Arc<str>, SendError> {
        let (kind, hash) = key;
        let at = self.clock.now();
        let (cache, agents) = (self.cache.clone(), self.agents.clone());
        let read = move || match cache.read(&hash) {
            Ok(None) => agents.read(&hash),
            read => read,
        };
        let read = tokio::task::spawn_blocking(read).await;
        let bytes = read.ok().and_then(Result::ok).flatten();
        let Some((format, bytes)) = bytes.and_then(recognised) else {
            tracing::warn!(%account, file = hex(&hash), "a file to upload cannot be read");
            let message = "the file is not in the cache";
            let trouble = Refusal {
                code: 0,
                message: message.into(),
            };
            dock.shelf.lock().later(key, trouble, at);
            return Err(SendError::Refused {
                code: NO_SUCH_MEDIA,
                message: message.to_owned(),
            });
        };
        let name = format!("{}.{}", hex(&hash), format.extension());
        let uploaded = dock
            .client
            .upload(kind, &name, format.content_type(), bytes)
            .await;
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
                Ok(media_id)
            }
            Err(error) => {
                self.failed(account, dock, key, &error, at);
                Err(error)
            }
        }
    }

    /// The id under which an account can send a file now, uploaded if it has none: for what a person sends.
    ///
    /// # Errors
    /// Why there is none: 48001 where the account cannot upload, 40007 where the file is not here.
    pub async fn bring(
        &self,
        account: &AccountName,
        kind: MediaKind,
        hash: Sha256Hash,
    ) -> Result<Arc<str>, SendError> {
        let cannot = || SendError::Refused {
            code: 48001,
            message: "this account cannot upload".to_owned(),
        };
        let dock = self.docks.get(account).ok_or_else(cannot)?;
        if dock.client.ability(Ability::Media).verdict == Verdict::No {
            return Err(cannot());
        }
        let key = (kind, hash);
        let _alone = dock.crane.lock().await;
        let known = dock.shelf.lock().id(&key, self.clock.now()).map(Arc::clone);
        match known {
            Some(id) => Ok(id),
            None => self.upload(account, dock, key).await,
        }
    }

    /// Looks again at what an account may do: WeChat was asked.
    pub fn rights_changed(&self, account: &AccountName) {
        if let Some(dock) = self.docks.get(account) {
            dock.changed.notify_one();
        }
    }

    fn failed(&self, account: &AccountName, dock: &Dock, key: Key, error: &SendError, at: Time) {
        let file = hex(&key.1);
        match dock.shelf.lock().failed(key, error, at) {
            Meaning::Denied => {
                tracing::error!(%account, %error, "the account may not upload, until WeChat says otherwise");
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
        let now = self.clock.now();
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
        self.upload(account, dock, key).await.ok()
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
