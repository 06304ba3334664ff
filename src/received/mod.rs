//! Fetches what followers send, in the background, and keeps it under the hash of what is in it.
//! Owns: what is to be fetched and when, what is thrown away. Uses: store, wechat, files, model, clock. Never: serves anything, reads what is in a file.

mod fetch;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::files::Cache;
use crate::model::media::{Sha256Hash, hex};
use crate::model::received::FILE_LIMIT;
use crate::model::{
    AccountName, AgentMedia, AgentName, Fetched, MediaFormat, MediaKind, MediaSource, MessageId,
    OpenId, ReceivedMedia, Time,
};
use crate::store::{Error, Store};
use crate::wechat::client::Client;
use fetch::{Missed, fetch, is_there};

/// How many files are fetched at once.
const AT_ONCE: usize = 4;
/// How many files may wait in memory; those beyond wait in the store until the next start.
const WAITING: usize = 100_000;
/// How often it is noted up to when everything is known.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How much before that a start looks again: what was noted just before a crash may not have been.
const LOOK_BACK: Duration = Duration::from_secs(600);
/// How many messages, or known files, are read at once.
const PAGE: usize = 1000;

/// The worker that fetches followers' files, and the place where they and agents' pictures lie.
pub struct Received {
    store: Arc<dyn Store>,
    files: Cache,
    agents: Cache,
    clients: HashMap<AccountName, Arc<Client>>,
    clock: Clock,
    queue: Mutex<Queue>,
    changed: Notify,
    /// Held while files are thrown away or put where one may be thrown away.
    tidying: tokio::sync::Mutex<()>,
}

/// What waits to be fetched.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<(Time, MessageId), ReceivedMedia>,
    /// The accounts of those, and of the ones under way.
    known: HashMap<MessageId, AccountName>,
    /// Not yet written down as waiting.
    unwritten: Vec<ReceivedMedia>,
}

/// Why a picture is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// WeChat would not take it.
    #[error("{0}")]
    Bad(&'static str),
    /// It could not be written.
    #[error("the picture cannot be written: {0}")]
    Disk(#[source] std::io::Error),
    /// It could not be noted.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Received {
    /// A worker that has done nothing yet. `files` holds what followers sent, `agents` what people brought; accounts absent
    /// from `clients` can fetch nothing.
    pub fn new(
        store: Arc<dyn Store>,
        files: Cache,
        agents: Cache,
        clients: HashMap<AccountName, Arc<Client>>,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            files,
            agents,
            clients,
            clock,
            queue: Mutex::default(),
            changed: Notify::new(),
            tidying: tokio::sync::Mutex::default(),
        }
    }

    /// A message came that was written down: whatever it carries is fetched soon. Returns at once.
    pub fn arrived(
        &self,
        account: &AccountName,
        follower: &OpenId,
        message: MessageId,
        source: MediaSource,
        at: Time,
    ) {
        let media = waiting(account, follower, message, source, at);
        if self.queue.lock().add(media) {
            self.changed.notify_one();
        }
    }

    /// How many files of an account are yet to be fetched.
    pub fn waiting(&self, account: &AccountName) -> usize {
        let queue = self.queue.lock();
        queue.known.values().filter(|of| *of == account).count()
    }

    /// What is known of the file that came with a message, and its bytes where it is here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find(
        &self,
        message: MessageId,
    ) -> Result<Option<(ReceivedMedia, Option<Bytes>)>, Error> {
        let known = self.store.received(message).await?;
        let Some(media) = known.or_else(|| self.queue.lock().find(message)) else {
            return Ok(None);
        };
        let bytes = match media.fetched {
            Fetched::Kept { hash, .. } => self.read(&self.files, hash).await,
            Fetched::Waiting { .. } | Fetched::Failed { .. } => None,
        };
        Ok(Some((media, bytes)))
    }

    /// The picture with this content that an agent brought for the account.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn find_brought(
        &self,
        account: &AccountName,
        hash: Sha256Hash,
    ) -> Result<Option<Bytes>, Error> {
        match self.store.agent_media(account, &hash).await? {
            Some(_) => Ok(self.read(&self.agents, hash).await),
            None => Ok(None),
        }
    }

    async fn read(&self, files: &Cache, hash: Sha256Hash) -> Option<Bytes> {
        let files = files.clone();
        let read = tokio::task::spawn_blocking(move || files.read(&hash)).await;
        match read {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) | Err(_) => {
                tracing::error!(file = hex(&hash), "a file cannot be read");
                None
            }
        }
    }

    /// Takes in a picture that an agent wants to send from an account; as what it is sent, and what is in it. Durable on
    /// return.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn bring(
        &self,
        account: &AccountName,
        by: &AgentName,
        bytes: Bytes,
    ) -> Result<(MediaKind, AgentMedia), NotTaken> {
        let kind = MediaKind::Image;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let format = MediaFormat::of(&bytes);
        if !format.is_some_and(|format| kind.takes(format)) {
            return Err(NotTaken::Bad(
                "a PNG or a JPEG is needed, by its first bytes",
            ));
        }
        if length > kind.limit().min(FILE_LIMIT) {
            return Err(NotTaken::Bad("a picture has 10 MiB at most"));
        }
        let hash = digest(&bytes);
        let media = AgentMedia {
            account: account.clone(),
            hash,
            bytes: length,
            by: by.clone(),
            at: self.clock.now(),
        };
        let _alone = self.tidying.lock().await;
        let agents = self.agents.clone();
        let kept = tokio::task::spawn_blocking(move || agents.keep(&hash, &bytes)).await;
        kept.map_err(std::io::Error::other)
            .and_then(|kept| kept)
            .map_err(NotTaken::Disk)?;
        self.store.keep_agent_media(media.clone()).await?;
        Ok((kind, media))
    }

    /// Works until told to stop. Files under way are fetched again after the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.work() => {}
        }
        // Nothing that came while the server was stopping is lost: a start looks back.
    }

    async fn work(&self) {
        let mut found = self.find_again().await;
        let mut noted = self.clock.now();
        let mut under_way = FuturesUnordered::new();
        loop {
            let is_written = self.write_waiting().await;
            let now = self.clock.now();
            if !found {
                found = self.find_again().await;
            } else if is_written && now.since(noted) >= NOTE_EVERY {
                noted = now;
                self.note(now).await;
            }
            while under_way.len() < AT_ONCE
                && let Some(media) = self.queue.lock().take(now)
            {
                under_way.push(self.fetch_one(media));
            }
            let next = if under_way.len() < AT_ONCE {
                self.queue.lock().next_at()
            } else {
                None
            };
            let until = next.map_or(now.plus(NOTE_EVERY), |next| next.min(now.plus(NOTE_EVERY)));
            tokio::select! {
                () = self.changed.notified() => {}
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = self.clock.reach(until) => {}
            }
        }
    }

    async fn note(&self, until: Time) {
        if let Err(error) = self.store.note_received_until(until).await {
            tracing::warn!(%error, "it could not be noted which files are known");
        }
    }

    /// Takes up what an earlier run did not finish: what it knew of, and what it may not have heard of any more. `false`
    /// when the store did not say.
    async fn find_again(&self) -> bool {
        match self.look_again().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "it is not known which files are to be fetched");
                false
            }
        }
    }

    async fn look_again(&self) -> Result<(), Error> {
        for media in self.store.to_fetch().await? {
            self.queue.lock().put(media);
        }
        let now = self.clock.now();
        let until = self.store.received_until().await?;
        let oldest = now.minus(fetch::KEPT_BY_WECHAT);
        let since = until.map_or(oldest, |until| until.minus(LOOK_BACK).max(oldest));
        let mut after = None;
        loop {
            let past = self.store.past(since, after, PAGE).await?;
            for message in past.messages {
                let Some(source) = MediaSource::of(&message.incoming.content) else {
                    continue;
                };
                let id = MessageId::at(message.at, 0, message.key);
                if self.store.received(id).await?.is_none() {
                    let from = &message.incoming.from;
                    self.arrived(&message.account, from, id, source, message.at);
                }
            }
            after = past.next;
            if after.is_none() {
                break;
            }
        }
        if self.write_waiting().await {
            self.note(now).await;
        }
        Ok(())
    }

    /// Writes down what waits and is not written yet; `false` if something could not be.
    async fn write_waiting(&self) -> bool {
        loop {
            let Some(media) = self.queue.lock().unwritten.pop() else {
                return true;
            };
            if let Err(error) = self.store.keep_received(media.clone()).await {
                tracing::warn!(%error, "a file to fetch could not be noted");
                self.queue.lock().unwritten.push(media);
                return false;
            }
        }
    }

    async fn fetch_one(&self, media: ReceivedMedia) {
        let Fetched::Waiting { tries, .. } = media.fetched else {
            return;
        };
        let now = self.clock.now();
        let fetched = if is_there(media.at, now) {
            let client = self.clients.get(&media.account);
            fetch(client.map(|client| &**client), &media.source, tries).await
        } else {
            Err(Missed::Later(Duration::ZERO))
        };
        // What is thrown away meanwhile, and the file that nothing names yet, stay where they are until this is over.
        let alone = self.tidying.lock().await;
        if !self.queue.lock().known.contains_key(&media.message) {
            return;
        }
        let ended = self.ended(&media, tries, fetched).await;
        let (account, message) = (&media.account, media.message);
        match &ended {
            Fetched::Kept { bytes, .. } => {
                tracing::info!(%account, %message, bytes, "a follower's file is here");
            }
            Fetched::Failed { code, reason, .. } => {
                tracing::warn!(%account, %message, code, %reason, "a follower's file will not come");
            }
            Fetched::Waiting { not_before, .. } => {
                tracing::info!(%account, %message, again = %not_before, "a follower's file did not come yet");
            }
        }
        let media = ReceivedMedia {
            fetched: ended,
            ..media
        };
        match self.store.keep_received(media.clone()).await {
            Ok(()) if matches!(media.fetched, Fetched::Waiting { .. }) => {
                self.queue.lock().put_back(media);
            }
            Ok(()) => {
                self.queue.lock().known.remove(&media.message);
            }
            Err(error) => {
                tracing::warn!(%error, "what became of a follower's file could not be noted");
                let again = ReceivedMedia {
                    fetched: Fetched::Waiting {
                        tries: tries.saturating_add(1),
                        not_before: self.clock.now().plus(NOTE_EVERY),
                    },
                    ..media
                };
                self.queue.lock().put_back(again);
            }
        }
        drop(alone);
    }

    async fn ended(
        &self,
        media: &ReceivedMedia,
        tries: u8,
        fetched: Result<Vec<u8>, Missed>,
    ) -> Fetched {
        let pause = match fetched {
            Ok(bytes) => {
                let hash = digest(&bytes);
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                let files = self.files.clone();
                let kept = tokio::task::spawn_blocking(move || files.keep(&hash, &bytes)).await;
                match kept.map_err(std::io::Error::other).and_then(|kept| kept) {
                    Ok(()) => {
                        return Fetched::Kept {
                            hash,
                            bytes: length,
                            at: self.clock.now(),
                        };
                    }
                    Err(error) => {
                        tracing::error!(%error, "a follower's file cannot be written");
                        NOTE_EVERY
                    }
                }
            }
            Err(Missed::Later(pause)) => pause,
            Err(Missed::Never { code, reason }) => {
                return Fetched::Failed {
                    at: self.clock.now(),
                    code,
                    reason: reason.into(),
                };
            }
        };
        let not_before = self.clock.now().plus(pause);
        if is_there(media.at, not_before) {
            Fetched::Waiting {
                tries: tries.saturating_add(1),
                not_before,
            }
        } else {
            Fetched::Failed {
                at: self.clock.now(),
                code: 0,
                reason: "WeChat has thrown it away: three days are over".into(),
            }
        }
    }

    /// What is known of every file that a follower sent to an account.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn of(
        &self,
        account: &AccountName,
        follower: &OpenId,
    ) -> Result<Vec<ReceivedMedia>, Error> {
        let is_theirs =
            |media: &ReceivedMedia| media.account == *account && media.follower == *follower;
        let mut found = self.store.to_fetch().await?;
        found.retain(is_theirs);
        self.each_known(|media| {
            if is_theirs(media) {
                found.push(media.clone());
            }
        })
        .await?;
        found.sort_by_key(|media| media.message);
        found.dedup_by_key(|media| media.message);
        Ok(found)
    }

    /// Forgets every file that a follower sent to an account; how many there were. Files that nobody else sent are gone from
    /// the disk.
    ///
    /// # Errors
    /// When the store refuses; then nothing, or a part, is forgotten, and it may be asked for again.
    pub async fn forget(&self, account: &AccountName, follower: &OpenId) -> Result<usize, Error> {
        self.throw_away(|media| media.account == *account && media.follower == *follower)
            .await
    }

    /// Forgets every file that came, and every agent's picture that was brought, before this time; how many there were.
    ///
    /// # Errors
    /// As [`Received::forget`].
    pub async fn sweep(&self, before: Time) -> Result<usize, Error> {
        let mut count = self.throw_away(|media| media.at < before).await?;
        for media in self.store.all_agent_media().await? {
            if media.at < before {
                self.store
                    .forget_agent_media(&media.account, &media.hash)
                    .await?;
                count += 1;
            }
        }
        self.tidy().await;
        Ok(count)
    }

    async fn throw_away(&self, is_wanted: impl Fn(&ReceivedMedia) -> bool) -> Result<usize, Error> {
        let alone = self.tidying.lock().await;
        let mut gone: Vec<MessageId> = self.queue.lock().drop_where(&is_wanted);
        let to_fetch = self.store.to_fetch().await?;
        gone.extend(
            to_fetch
                .iter()
                .filter(|media| is_wanted(media))
                .map(|media| media.message),
        );
        self.each_known(|media| {
            if is_wanted(media) {
                gone.push(media.message);
            }
        })
        .await?;
        gone.sort_unstable();
        gone.dedup();
        {
            // Those under way end without a trace.
            let mut queue = self.queue.lock();
            for message in &gone {
                queue.known.remove(message);
            }
        }
        for some in gone.chunks(PAGE) {
            self.store.forget_received(some.to_vec()).await?;
        }
        drop(alone);
        if !gone.is_empty() {
            self.tidy().await;
        }
        Ok(gone.len())
    }

    async fn each_known(&self, mut each: impl FnMut(&ReceivedMedia)) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.store.all_received(after, PAGE).await?;
            page.iter().for_each(&mut each);
            after = page.last().map(|media| media.message);
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Removes the files that nothing names any more.
    async fn tidy(&self) {
        let _alone = self.tidying.lock().await;
        if let Err(error) = self.remove_unnamed().await {
            tracing::warn!(%error, "files that nobody needs stay for now");
        }
    }

    async fn remove_unnamed(&self) -> Result<(), Error> {
        let mut named = HashSet::new();
        self.each_known(|media| {
            if let Fetched::Kept { hash, .. } = media.fetched {
                named.insert(hash);
            }
        })
        .await?;
        let brought = self.store.all_agent_media().await?;
        let brought: HashSet<_> = brought.into_iter().map(|media| media.hash).collect();
        for (files, named) in [(&self.files, named), (&self.agents, brought)] {
            let files = files.clone();
            let removed = tokio::task::spawn_blocking(move || {
                for hash in files.list()? {
                    if !named.contains(&hash) {
                        files.remove(&hash)?;
                    }
                }
                std::io::Result::Ok(())
            });
            match removed.await.map_err(std::io::Error::other) {
                Ok(Ok(())) => {}
                Ok(Err(error)) | Err(error) => {
                    tracing::warn!(%error, "a file that nobody needs cannot be removed");
                }
            }
        }
        Ok(())
    }
}

impl Queue {
    /// Adds what was not known; whether it was not.
    fn add(&mut self, media: ReceivedMedia) -> bool {
        if self.known.len() >= WAITING || self.known.contains_key(&media.message) {
            return false;
        }
        self.unwritten.push(media.clone());
        self.put(media);
        true
    }

    fn put(&mut self, media: ReceivedMedia) {
        if let Entry::Vacant(place) = self.known.entry(media.message) {
            place.insert(media.account.clone());
            self.put_back(media);
        }
    }

    fn put_back(&mut self, media: ReceivedMedia) {
        if let Fetched::Waiting { not_before, .. } = media.fetched {
            self.waiting.insert((not_before, media.message), media);
        }
    }

    /// The next one that is due.
    fn take(&mut self, now: Time) -> Option<ReceivedMedia> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn next_at(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    fn find(&self, message: MessageId) -> Option<ReceivedMedia> {
        let mut waiting = self.waiting.values();
        waiting.find(|media| media.message == message).cloned()
    }

    /// Drops what waits and is like this, under way or not.
    fn drop_where(&mut self, is_wanted: impl Fn(&ReceivedMedia) -> bool) -> Vec<MessageId> {
        let dropped: Vec<MessageId> = self
            .waiting
            .values()
            .chain(&self.unwritten)
            .filter(|media| is_wanted(media))
            .map(|media| media.message)
            .collect();
        self.waiting.retain(|_, media| !is_wanted(media));
        self.unwritten.retain(|media| !is_wanted(media));
        for message in &dropped {
            self.known.remove(message);
        }
        dropped
    }
}

fn waiting(
    account: &AccountName,
    follower: &OpenId,
    message: MessageId,
    source: MediaSource,
    at: Time,
) -> ReceivedMedia {
    ReceivedMedia {
        message,
        account: account.clone(),
        follower: follower.clone(),
        at,
        source,
        fetched: Fetched::Waiting {
            tries: 0,
            not_before: at,
        },
    }
}

fn digest(bytes: &[u8]) -> Sha256Hash {
    Sha256::digest(bytes).into()
}
