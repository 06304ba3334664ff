//! Sends what waits in the outbox through WeChat's customer-service API, and writes down what came of it.
//! Owns: one account's loop beside the others, pace and places. Uses: store, wechat, model, clock. Never: who wrote a push or why.

mod meaning;
mod pace;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::entry::Settled;
use crate::model::media::Sha256Hash;
use crate::model::message::PushError;
use crate::model::{AccountName, Conversation, MediaKind, OpenId, Reply, Time};
use crate::store::{Error, Store, Taken};
use crate::wechat::client::{Client, SendError};
use meaning::{now_or_never, pause, result_word, settle, settle_upload};
use pace::Pace;
pub use pace::Pause;

/// How many pushes may be under way at once, over all accounts.
const AT_ONCE: usize = 16;
/// How many of them may be one account's: one that WeChat answers slowly leaves room for the others.
const AT_ONCE_OF_ONE: usize = 8;
/// How many pushes an account sends in a second, on average.
pub const PER_SECOND: u32 = 5;
/// How long after the outbox could not be read it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// WeChat does not know the media id, or not any more.
const STALE_MEDIA: i64 = 40007;
/// This account may not send menus.
const NO_MENUS: i64 = 40200;

/// A form's last words are not said later than this after its time: the follower has gone on.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(60);

/// The worker that empties the outbox.
pub struct Delivery {
    store: Arc<dyn Store>,
    lanes: HashMap<AccountName, Lane>,
    clock: Clock,
    renew: Option<Renew>,
    bring: Option<Bring>,
    observe: Observe,
    settled: SettledAt,
}

/// One account's way out.
struct Lane {
    /// `None`: it cannot push.
    client: Option<Arc<Client>>,
    pace: Mutex<Pace>,
    /// A pause has ended before its time.
    resumed: Notify,
    places: Arc<Semaphore>,
}

/// Gives the id to send instead of a media id that WeChat does not know any more, or `None`.
pub type Renew =
    Arc<dyn Fn(AccountName, Arc<str>) -> BoxFuture<'static, Option<Arc<str>>> + Send + Sync>;

/// Gives the id under which an account can send a file of ours now, uploading it if need be.
pub type Bring = Arc<
    dyn Fn(AccountName, MediaKind, Sha256Hash) -> BoxFuture<'static, Result<Arc<str>, SendError>>
        + Send
        + Sync,
>;

/// Shown a conversation after an attempt was settled, and when that was.
pub type SettledAt = Arc<dyn Fn(&Conversation, Time) + Send + Sync>;

/// Told of every attempt: what was sent from where, and how it ended. For counters.
pub type Observe = Arc<dyn Fn(&Taken, &Settled) + Send + Sync>;

impl Delivery {
    /// A worker on this store; accounts absent from `clients` cannot push. What waits for an account that is in neither
    /// list is looked after as well: it is held.
    pub fn new(
        store: Arc<dyn Store>,
        clients: &HashMap<AccountName, Arc<Client>>,
        clock: Clock,
        observe: Observe,
    ) -> Self {
        // An account that was taken out of the configuration may have something waiting.
        let known = store.counts().into_iter().map(|(account, ..)| account);
        let accounts: BTreeSet<AccountName> = known.chain(clients.keys().cloned()).collect();
        let lane = |account: AccountName| {
            let lane = Lane::new(clients.get(&account).cloned());
            (account, lane)
        };
        Self {
            lanes: accounts.into_iter().map(lane).collect(),
            store,
            clock,
            renew: None,
            bring: None,
            observe,
            settled: Arc::new(|_, _| {}),
        }
    }

    /// Looks after these accounts, too, which have no client.
    #[must_use]
    pub fn with_accounts(mut self, accounts: impl Iterator<Item = AccountName>) -> Self {
        for account in accounts {
            self.lanes.entry(account).or_insert_with(|| Lane::new(None));
        }
        self
    }

    /// Sends a push whose media id WeChat does not know any more (40007) once more with a new one.
    #[must_use]
    pub fn renewing(self, renew: Renew) -> Self {
        Self {
            renew: Some(renew),
            ..self
        }
    }

    /// Sends files of ours, brought to WeChat just before.
    #[must_use]
    pub fn bringing(self, bring: Bring) -> Self {
        Self {
            bring: Some(bring),
            ..self
        }
    }

    /// Why, and until when, an account pushes nothing now.
    pub fn pause(&self, account: &AccountName) -> Option<Pause> {
        let lane = self.lanes.get(account)?;
        lane.pace.lock().pause(self.clock.now()).cloned()
    }

    /// Ends an account's pause: what caused it is mended.
    pub fn resume(&self, account: &AccountName) {
        if let Some(lane) = self.lanes.get(account) {
            lane.pace.lock().resume();
            lane.resumed.notify_one();
        }
    }

    /// Shows a follower that somebody types, or takes that back, as well as may be: an account that cannot push or pauses
    /// says nothing, and a refusal is no matter.
    pub async fn typing(&self, account: &AccountName, follower: &OpenId, is_typing: bool) {
        let client = self.lanes.get(account).and_then(|lane| lane.client.clone());
        let Some(client) = client.filter(|client| client.can_push()) else {
            return;
        };
        if self.pause(account).is_some() {
            return;
        }
        if let Err(error) = client.typing(follower, is_typing).await {
            tracing::debug!(%account, follower = %follower.short(), %error, "typing could not be shown");
        }
    }

    /// Shows each conversation after an attempt was settled.
    #[must_use]
    pub fn showing(self, settled: SettledAt) -> Self {
        Self { settled, ..self }
    }

    /// Works until told to stop; attempts under way are finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let work = self.lanes.keys().map(|account| {
            let (delivery, account) = (Arc::clone(&self), account.clone());
            let (places, stop) = (Arc::clone(&places), stop.clone());
            tokio::spawn(async move { delivery.serve(&account, &places, &stop).await })
        });
        join_all(work.collect::<Vec<_>>()).await;
        // All places back: nothing is under way any more.
        let _all = places
            .acquire_many(u32::try_from(AT_ONCE).unwrap_or(1))
            .await;
    }

    /// Sends one account's pushes as they become due, no faster than its pace.
    async fn serve(
        self: &Arc<Self>,
        account: &AccountName,
        places: &Arc<Semaphore>,
        stop: &CancellationToken,
    ) {
        let Some(lane) = self.lanes.get(account) else {
            return;
        };
        while !stop.is_cancelled() {
            let now = self.clock.now();
            let due = match self.store.next_push_at(account).await {
                Some(due) => due.max(lane.ready_at(now)),
                None => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.store.push_queued(account) => {}
                    }
                    continue;
                }
            };
            if due > now {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.store.push_queued(account) => {}
                    () = lane.resumed.notified() => {}
                    () = self.clock.reach(due) => {}
                }
                continue;
            }
            let place = tokio::select! {
                () = stop.cancelled() => return,
                place = lane.place(places) => place,
            };
            let Some(place) = place else { return };
            // Waiting for the place took time: a pause may have begun.
            if lane.ready_at(self.clock.now()) > self.clock.now() {
                continue;
            }
            match self.store.take_push(account, self.clock.now()).await {
                Ok(Some(taken)) => {
                    lane.pace.lock().take(self.clock.now());
                    let (delivery, stop) = (Arc::clone(self), stop.clone());
                    tokio::spawn(async move {
                        delivery.deliver(taken, &stop).await;
                        drop(place);
                    });
                }
                Ok(None) => {}
                Err(error) => {
                    drop(place);
                    tracing::warn!(%error, "the outbox cannot be read");
                    let again = self.clock.now().plus(LOOK_AGAIN);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.clock.reach(again) => {}
                    }
                }
            }
        }
    }

    /// Makes one attempt and writes down how it ended.
    async fn deliver(&self, taken: Taken, stop: &CancellationToken) {
        let mut result = self.attempt(&taken).await;
        if taken.is_last_words {
            result = now_or_never(result);
        }
        (self.observe)(&taken, &result);
        tracing::info!(account = %taken.account, follower = %taken.follower.short(), push = %taken.push.id,
            result = result_word(&result), "push attempted");
        self.keep(&taken, &result, stop).await;
    }

    /// Writes down how an attempt ended, as soon as the store can: until then nothing else goes to this follower.
    async fn keep(&self, taken: &Taken, result: &Settled, stop: &CancellationToken) {
        let push = taken.push.id;
        let mut failures: u8 = 0;
        loop {
            let now = self.clock.now();
            let settled = self
                .store
                .settle_push(taken.conversation, push, result.clone(), now);
            let error = match settled.await {
                Ok(known) => {
                    if let Some(known) = known {
                        (self.settled)(&known, now);
                    }
                    return;
                }
                Err(error) => error,
            };
            // Given up, it is found as `sending` at the next start and becomes `unknown`.
            tracing::error!(%error, push = %push, "the end of a push could not be kept");
            if matches!(error, Error::Closed) {
                return;
            }
            failures = failures.saturating_add(1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.reach(now.plus(pause(failures))) => {}
            }
        }
    }

    /// The reply with its media uploaded again.
    async fn renewed(&self, account: &AccountName, reply: &Reply) -> Option<Reply> {
        let renew = self.renew.as_ref()?;
        let mut reply = reply.clone();
        let stale = Arc::clone(reply.media_id()?);
        let id = renew(account.clone(), stale).await?;
        reply.set_media_id(&id);
        Some(reply)
    }

    async fn attempt(&self, taken: &Taken) -> Settled {
        let held = |code, message: &str| Settled::Held {
            error: PushError {
                code,
                message: message.into(),
            },
        };
        let lane = self.lanes.get(&taken.account);
        let Some((lane, client)) = lane.and_then(|lane| Some((lane, lane.client.as_ref()?))) else {
            return held(48001, "this account cannot push");
        };
        let now = self.clock.now();
        let conversation = match self.store.conversation(taken.conversation).await {
            Ok(Some(conversation)) => conversation,
            // Erased meanwhile: there is nothing left to settle.
            Ok(None) => return held(0, "the conversation is gone"),
            Err(_) => {
                let error = PushError {
                    code: 0,
                    message: "the conversation cannot be read".into(),
                };
                let not_before = now.plus(pause(taken.push.attempts));
                return Settled::Again { not_before, error };
            }
        };
        if taken.is_last_words && now.since(taken.push.not_before) > LAST_WORDS_WITHIN {
            return held(0, "the form's time is long over");
        }
        if let Some(error) = conversation.why_held(client.can_push(), now) {
            return Settled::Held { error };
        }
        let attempts = taken.push.attempts;
        let reply = match self.sendable(taken).await {
            Ok(reply) => reply,
            Err(error) => {
                if !matches!(error, SendError::Refused { .. }) {
                    lane.note(&taken.account, Err(&error), self.clock.now());
                }
                return settle_upload(error, attempts, self.clock.now());
            }
        };
        let sent = self.send(client, taken, reply).await;
        let now = self.clock.now();
        lane.note(&taken.account, sent.as_ref().copied(), now);
        match sent {
            Ok(()) => Settled::Sent,
            Err(error) => settle(error, attempts, now),
        }
    }

    /// What is to be sent: a file of ours as the media that it was uploaded as.
    async fn sendable(&self, taken: &Taken) -> Result<Reply, SendError> {
        let reply = &taken.push.reply;
        let Reply::Local { kind, hash } = reply else {
            return Ok(reply.clone());
        };
        let gone = || SendError::Refused {
            code: STALE_MEDIA,
            message: "the file cannot be sent".to_owned(),
        };
        let bring = self.bring.as_ref().ok_or_else(gone)?;
        let media_id = bring(taken.account.clone(), *kind, *hash).await?;
        reply.uploaded(media_id).ok_or_else(gone)
    }

    /// Sends it, and once more in another shape where WeChat took nothing because of the shape.
    async fn send(&self, client: &Client, taken: &Taken, reply: Reply) -> Result<(), SendError> {
        let sent = client.send(&taken.follower, &reply).await;
        let code = match &sent {
            Err(SendError::Refused { code, .. }) => *code,
            _ => return sent,
        };
        let instead = match code {
            STALE_MEDIA => self.renewed(&taken.account, &reply).await,
            NO_MENUS => reply.as_text().map(Reply::Text),
            _ => None,
        };
        match instead {
            Some(reply) => client.send(&taken.follower, &reply).await,
            None => sent,
        }
    }
}

impl Lane {
    fn new(client: Option<Arc<Client>>) -> Self {
        Self {
            client,
            pace: Mutex::new(Pace::new(PER_SECOND)),
            resumed: Notify::new(),
            places: Arc::new(Semaphore::new(AT_ONCE_OF_ONE)),
        }
    }

    /// When the next push may go out. Without a client none goes out: it is only put where it waits.
    fn ready_at(&self, now: Time) -> Time {
        match self.client {
            Some(_) => self.pace.lock().ready_at(now),
            None => now,
        }
    }

    /// A place among the account's own and among all; `None` once there are none to be had.
    async fn place(
        &self,
        all: &Arc<Semaphore>,
    ) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let one = Arc::clone(all).acquire_owned().await.ok()?;
        Some((own, one))
    }

    fn note(&self, account: &AccountName, ended: Result<(), &SendError>, now: Time) {
        let mut pace = self.pace.lock();
        if pace.note(ended, now)
            && let Some(pause) = pace.pause(now)
        {
            tracing::warn!(%account, code = pause.code, until = %pause.until, reason = %pause.message,
                "the account pushes nothing for a while");
        }
    }
}
