//! Remembers everything in one directory on one machine, with sled and a spill file.
//! Owns: opening and closing, the verbs' way to their files. Uses: model, sled. Never: shows a type of the database.
//!
//! The truth is a journal of entries. Verbs apply an entry in memory ([`seats`]) and put it into a [`queue`]; one thread (the
//! [`writer`]) brings whole groups of them to the [`disk`] and tells those who wait. What is needed for a quick start is written
//! beside the journal: keys of answered turns ([`ledger`]) and conversations ([`shelves`]). When sled refuses, the [`spill`] file
//! takes over.

mod acts;
mod alerts;
mod browse;
mod catalog;
mod desk;
mod disk;
mod feed;
mod files;
mod first_format;
mod forgetting;
mod format;
mod history;
mod incidents;
mod journal;
mod lanes;
mod ledger;
mod opening;
mod past;
mod people;
mod pruning;
mod queue;
mod revisions;
mod schedule;
mod seats;
mod second_format;
mod settings;
mod shared;
mod shelves;
mod spill;
mod trays;
mod turns;
mod upgrade;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use self::shared::{Shared, blocking, durable, on_disk, written};
use crate::model::alert::Alert;
use crate::model::entry::{Push, Settled};
use crate::model::incident::{Incident, IncidentEdit};
use crate::model::media::Sha256Hash;
use crate::model::notice::{ChannelRecord, DeadNotice, Notice, Raised, SettledNotice};
use crate::model::{
    AccountName, Act, Actor, AgentMedia, AgentName, ApiToken, AuditPage, AuditQuery, AuditRecord,
    Capability, Conversation, ConversationId, MediaKind, Message, MessageId, OpenId, ReceivedMedia,
    RuleFiles, Session, SessionId, State, Time, Turn, TurnKey, UploadedMedia, User, UserChange,
};
use crate::store::{
    ActError, Acted, AlarmOf, ChangedUser, Changes, Claim, DeskFigures, Error, Health, Page, Past,
    Pieces, Pin, Query, Revision, Store, Taken, Ticket, UserError, WordsOf,
};

pub use self::settings::{BeforeIo, Io, Settings};

/// The store in a directory. One process at a time has it open.
pub struct SledStore {
    shared: Arc<Shared>,
    /// Resolves when the writing thread has ended.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
    dir: PathBuf,
    /// Held while the database is rewritten.
    scrubbing: tokio::sync::Mutex<()>,
}

impl SledStore {
    /// Opens or makes the store in this directory. Pushes that were being sent when it was last open become `unknown`.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it, [`Error::Newer`], [`Error::Unreadable`] when it is damaged,
    /// [`Error::Unwritable`] when the disk is full or read-only.
    pub async fn open(dir: &Path, now: Time) -> Result<Arc<Self>, Error> {
        Self::open_with(dir, Settings::default(), now).await
    }

    /// The same with settings.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub async fn open_with(dir: &Path, settings: Settings, now: Time) -> Result<Arc<Self>, Error> {
        let (own, span) = (dir.to_owned(), Span::current());
        let opened = tokio::task::spawn_blocking(move || {
            span.in_scope(|| opening::open(&own, &settings, now))
        });
        let (writer, lock) = opened
            .await
            .unwrap_or_else(|error| Err(Error::Unreadable(error.to_string().into())))?;
        let shared = Arc::clone(&writer.shared);
        let store = Arc::new(Self {
            shared: Arc::clone(&shared),
            ended: Mutex::new(Some(start(writer, lock)?)),
            dir: dir.to_owned(),
            scrubbing: tokio::sync::Mutex::default(),
        });
        for told in opening::settle_unknown(&shared, now)? {
            durable(Some(told)).await?;
        }
        Ok(store)
    }
}

fn start(writer: writer::Writer, lock: File) -> Result<oneshot::Receiver<()>, Error> {
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || {
            writer.run();
            drop(lock);
            // Nobody has to wait for the end.
            let _gone = end.send(());
        })
        .map_err(|error| Error::Unwritable(error.to_string().into()))?;
    Ok(ended)
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.queue.stop();
    }
}

#[async_trait]
impl Store for SledStore {
    async fn claim_turn(
        &self,
        account: &AccountName,
        follower: &OpenId,
        key: TurnKey,
        _now: Time,
    ) -> Result<Claim, Error> {
        turns::claim(&self.shared, account, follower, key).await
    }

    async fn commit_turn(
        &self,
        ticket: Ticket,
        turn: Turn,
        at: Time,
    ) -> Result<Arc<Conversation>, Error> {
        let (conversation, told) = turns::commit(&self.shared, ticket, turn, at)?;
        durable(told).await?;
        Ok(conversation)
    }

    async fn answer_late(
        &self,
        conversation: ConversationId,
        turn: TurnKey,
        push: Push,
        at: Time,
    ) -> Result<(), Error> {
        turns::answer_late(&self.shared, conversation, turn, push, at).await
    }

    async fn act(
        &self,
        conversation: ConversationId,
        act: Act,
        by: &Actor,
        now: Time,
        seed: TurnKey,
    ) -> Result<Acted, ActError> {
        acts::act(&self.shared, conversation, &act, by, now, seed).await
    }

    async fn conversation(&self, id: ConversationId) -> Result<Option<Arc<Conversation>>, Error> {
        self.shared.open()?;
        let seat = self.shared.seats.of(id);
        let known = seat.and_then(|seat| seat.live.lock().conversation.clone());
        Ok(known.filter(|known| known.id == id))
    }

    async fn conversations(&self, query: &Query) -> Result<Page, Error> {
        self.shared.open()?;
        let query = query.clone();
        blocking(&self.shared, move |shared| {
            Ok(browse::page(&shared.seats, &query))
        })
        .await
    }

    async fn messages(
        &self,
        id: ConversationId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.shared.open()?;
        blocking(&self.shared, move |shared| {
            history::messages(shared, id, before, limit)
        })
        .await
    }

    async fn history(&self, id: ConversationId) -> Result<Pieces, Error> {
        self.shared.open()?;
        let (tell, told) = mpsc::channel(1);
        let (shared, span) = (Arc::clone(&self.shared), Span::current());
        tokio::task::spawn_blocking(move || {
            span.in_scope(|| {
                if let Err(error) = history::pieces(&shared, id, &tell) {
                    // Nobody may read any more.
                    let _gone = tell.blocking_send(Err(error));
                }
            });
        });
        Ok(told)
    }

    async fn take_push(&self, account: &AccountName, now: Time) -> Result<Option<Taken>, Error> {
        acts::take_push(&self.shared, account, now).await
    }

    async fn settle_push(
        &self,
        conversation: ConversationId,
        push: MessageId,
        result: Settled,
        now: Time,
    ) -> Result<Option<Arc<Conversation>>, Error> {
        acts::settle_push(&self.shared, conversation, push, result, now).await
    }

    async fn push_queued(&self, account: &AccountName) {
        self.shared.seats.outbox.changed(account).await;
    }

    async fn next_push_at(&self, account: &AccountName) -> Option<Time> {
        self.shared.seats.outbox.next_at(account)
    }

    fn pushes_waiting(&self, account: &AccountName) -> usize {
        self.shared.seats.outbox.count(account)
    }

    async fn publish_revision(
        &self,
        files: RuleFiles,
        author: &str,
        now: Time,
    ) -> Result<u64, Error> {
        let author = author.to_owned();
        let prepared = blocking(&self.shared, |shared| {
            let set = revisions::Sealed::of(files)?;
            let missing = set.missing(&shared.disk)?;
            Ok((set, missing))
        });
        let (set, missing) = prepared.await?;
        // A few at a time: groups of turns go in between.
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            let parts: Vec<_> = missing.by_ref().take(revisions::PARTS_AT_ONCE).collect();
            on_disk(&self.shared, move |disk| revisions::write(disk, &parts)).await?;
        }
        let published = on_disk(&self.shared, move |disk| {
            revisions::publish(disk, &set, &author, now)
        })
        .await?;
        if published.is_crowded {
            pruning::begin(&self.shared, published.before);
        }
        Ok(published.revision)
    }

    async fn revisions(&self) -> Result<Vec<Revision>, Error> {
        blocking(&self.shared, |shared| revisions::revisions(&shared.disk)).await
    }

    async fn revision_files(&self, revision: u64) -> Result<Option<RuleFiles>, Error> {
        blocking(&self.shared, move |shared| {
            revisions::revision_files(&shared.disk, revision)
        })
        .await
    }

    async fn pin(&self, pin: Option<Pin>) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| catalog::pin(disk, pin)).await
    }

    async fn pinned(&self) -> Result<Option<Pin>, Error> {
        blocking(&self.shared, |shared| catalog::pinned(&shared.disk)).await
    }

    async fn media(&self) -> Result<Vec<UploadedMedia>, Error> {
        blocking(&self.shared, |shared| catalog::media(&shared.disk)).await
    }

    async fn keep_media(&self, media: UploadedMedia) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| catalog::keep_media(disk, &media)).await
    }

    async fn forget_media(
        &self,
        account: &AccountName,
        kind: MediaKind,
        hash: &Sha256Hash,
    ) -> Result<(), Error> {
        let (account, hash) = (account.clone(), *hash);
        on_disk(&self.shared, move |disk| {
            catalog::forget_media(disk, &account, kind, &hash)
        })
        .await
    }

    async fn keep_capability(&self, capability: Capability) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| {
            files::keep_capability(disk, &capability)
        })
        .await
    }

    async fn capabilities(&self) -> Result<Vec<Capability>, Error> {
        blocking(&self.shared, |shared| files::capabilities(&shared.disk)).await
    }

    async fn keep_received(&self, media: ReceivedMedia) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| files::keep_received(disk, &media)).await
    }

    async fn received(&self, message: MessageId) -> Result<Option<ReceivedMedia>, Error> {
        blocking(&self.shared, move |shared| {
            files::received(&shared.disk, message)
        })
        .await
    }

    async fn to_fetch(&self) -> Result<Vec<ReceivedMedia>, Error> {
        blocking(&self.shared, |shared| files::to_fetch(&shared.disk)).await
    }

    async fn all_received(
        &self,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<ReceivedMedia>, Error> {
        blocking(&self.shared, move |shared| {
            files::all_received(&shared.disk, after, limit)
        })
        .await
    }

    async fn forget_received(&self, messages: Vec<MessageId>) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| {
            files::forget_received(disk, &messages)
        })
        .await
    }

    async fn note_received_until(&self, until: Time) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| {
            files::note_received_until(disk, until)
        })
        .await
    }

    async fn received_until(&self) -> Result<Option<Time>, Error> {
        blocking(&self.shared, |shared| files::received_until(&shared.disk)).await
    }

    async fn keep_agent_media(&self, media: AgentMedia) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| {
            files::keep_agent_media(disk, &media)
        })
        .await
    }

    async fn agent_media(
        &self,
        account: &AccountName,
        hash: &Sha256Hash,
    ) -> Result<Option<AgentMedia>, Error> {
        let (account, hash) = (account.clone(), *hash);
        blocking(&self.shared, move |shared| {
            files::agent_media(&shared.disk, &account, &hash)
        })
        .await
    }

    async fn all_agent_media(&self) -> Result<Vec<AgentMedia>, Error> {
        blocking(&self.shared, |shared| files::all_agent_media(&shared.disk)).await
    }

    async fn forget_agent_media(
        &self,
        account: &AccountName,
        hash: &Sha256Hash,
    ) -> Result<(), Error> {
        let (account, hash) = (account.clone(), *hash);
        on_disk(&self.shared, move |disk| {
            files::forget_agent_media(disk, &account, &hash)
        })
        .await
    }

    async fn past(&self, since: Time, after: Option<u64>, limit: usize) -> Result<Past, Error> {
        self.shared.open()?;
        if after.is_none() {
            written(&self.shared).await?;
        }
        blocking(&self.shared, move |shared| {
            past::past(shared, since, after, limit)
        })
        .await
    }

    async fn add_token(&self, token: ApiToken) -> Result<bool, Error> {
        on_disk(&self.shared, move |disk| catalog::add_token(disk, &token)).await
    }

    async fn tokens(&self) -> Result<Vec<ApiToken>, Error> {
        blocking(&self.shared, |shared| catalog::tokens(&shared.disk)).await
    }

    async fn revoke_token(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        on_disk(&self.shared, move |disk| catalog::revoke_token(disk, &name)).await
    }

    async fn raise_alerts(
        &self,
        raised: Vec<(Alert, Vec<Notice>)>,
        now: Time,
    ) -> Result<Vec<bool>, Error> {
        on_disk(&self.shared, move |disk| alerts::raise(disk, &raised, now)).await
    }

    async fn notices(&self) -> Result<Vec<Notice>, Error> {
        blocking(&self.shared, |shared| alerts::notices(&shared.disk)).await
    }

    async fn settle_notices(
        &self,
        channel: &str,
        record: ChannelRecord,
        settled: Vec<SettledNotice>,
    ) -> Result<(), Error> {
        let channel = channel.to_owned();
        on_disk(&self.shared, move |disk| {
            alerts::settle(disk, &channel, &record, &settled)
        })
        .await
    }

    async fn channel_records(&self) -> Result<Vec<(String, ChannelRecord)>, Error> {
        blocking(&self.shared, |shared| alerts::channels(&shared.disk)).await
    }

    async fn dead_notices(&self) -> Result<Vec<DeadNotice>, Error> {
        blocking(&self.shared, |shared| alerts::dead(&shared.disk)).await
    }

    async fn revive_notice(&self, id: TurnKey, now: Time) -> Result<Option<Notice>, Error> {
        on_disk(&self.shared, move |disk| alerts::revive(disk, id, now)).await
    }

    async fn raised_alerts(&self, since: Time) -> Result<Vec<Raised>, Error> {
        blocking(&self.shared, move |shared| {
            alerts::raised(&shared.disk, since)
        })
        .await
    }

    async fn forget_alerts(&self, before: Time) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| alerts::forget(disk, before)).await
    }

    async fn add_user(&self, user: User) -> Result<bool, Error> {
        on_disk(&self.shared, move |disk| people::add_user(disk, &user)).await
    }

    async fn user(&self, name: &AgentName) -> Result<Option<User>, Error> {
        let name = name.clone();
        blocking(&self.shared, move |shared| {
            people::user(&shared.disk, &name)
        })
        .await
    }

    async fn users(&self) -> Result<Vec<User>, Error> {
        blocking(&self.shared, |shared| people::users(&shared.disk)).await
    }

    async fn change_user(
        &self,
        name: &AgentName,
        change: UserChange,
        now: Time,
    ) -> Result<ChangedUser, UserError> {
        let name = name.clone();
        on_disk(&self.shared, move |disk| {
            Ok(people::change_user(disk, &name, &change, now))
        })
        .await?
    }

    async fn open_session(&self, session: Session) -> Result<bool, Error> {
        on_disk(&self.shared, move |disk| {
            people::open_session(disk, &session)
        })
        .await
    }

    async fn session(
        &self,
        token: &Sha256Hash,
        now: Time,
    ) -> Result<Option<(Session, User)>, Error> {
        let token = *token;
        blocking(&self.shared, move |shared| {
            people::session(&shared.disk, &token, now)
        })
        .await
    }

    async fn see_session(&self, token: &Sha256Hash, now: Time) -> Result<(), Error> {
        let token = *token;
        on_disk(&self.shared, move |disk| {
            people::see_session(disk, &token, now)
        })
        .await
    }

    async fn sessions(&self, now: Time) -> Result<Vec<Session>, Error> {
        blocking(&self.shared, move |shared| {
            people::live_sessions(&shared.disk, now)
        })
        .await
    }

    async fn end_session(&self, id: SessionId) -> Result<bool, Error> {
        on_disk(&self.shared, move |disk| people::end_session(disk, id)).await
    }

    async fn end_sessions_of(&self, user: &AgentName) -> Result<usize, Error> {
        let user = user.clone();
        on_disk(&self.shared, move |disk| {
            people::end_sessions_of(disk, &user)
        })
        .await
    }

    async fn audit(&self, record: AuditRecord) -> Result<u64, Error> {
        on_disk(&self.shared, move |disk| people::audit(disk, vec![record])).await
    }

    async fn audit_all(&self, records: Vec<AuditRecord>) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| people::audit(disk, records))
            .await
            .map(drop)
    }

    async fn audit_page(&self, query: &AuditQuery) -> Result<AuditPage, Error> {
        let query = query.clone();
        blocking(&self.shared, move |shared| {
            people::audit_page(&shared.disk, &query)
        })
        .await
    }

    async fn erase(&self, account: &AccountName, follower: &OpenId) -> Result<bool, Error> {
        let seat = self.shared.seats.find(account, follower);
        let known = seat.and_then(|seat| seat.live.lock().conversation.clone());
        if let Some(known) = known {
            let id = known.id;
            let about = blocking(&self.shared, move |shared| alerts::about(&shared.disk, id));
            let about = about.await?;
            if !about.is_empty() {
                on_disk(&self.shared, move |disk| alerts::remove(disk, about)).await?;
            }
        }
        acts::erase(&self.shared, account, follower).await
    }

    fn set_alarms(&self, alarm: AlarmOf) {
        self.shared.seats.set_alarms(alarm);
    }

    fn set_words(&self, words: WordsOf) {
        self.shared.seats.set_words(words);
    }

    fn due(&self, now: Time, limit: usize) -> Vec<Arc<Conversation>> {
        self.shared.seats.alarmed(now, limit)
    }

    fn next_alarm_at(&self) -> Option<Time> {
        self.shared.seats.alarms.next_at()
    }

    async fn alarms_changed(&self) {
        self.shared.seats.alarms.changed().await;
    }

    fn load(&self, agent: &AgentName) -> usize {
        self.shared.seats.load(agent)
    }

    async fn keep_incident(&self, incident: Incident) -> Result<(), Error> {
        on_disk(&self.shared, move |disk| incidents::keep(disk, &incident)).await
    }

    async fn edit_incident(
        &self,
        id: TurnKey,
        edit: IncidentEdit,
        by: &AgentName,
        now: Time,
    ) -> Result<Option<(Incident, Incident)>, Error> {
        let by = by.clone();
        on_disk(&self.shared, move |disk| {
            incidents::edit(disk, id, &edit, &by, now)
        })
        .await
    }

    async fn incidents(&self) -> Result<Vec<Incident>, Error> {
        blocking(&self.shared, |shared| incidents::all(&shared.disk)).await
    }

    async fn mark(&self, name: &str, at: Time) -> Result<(), Error> {
        let name = name.to_owned();
        on_disk(&self.shared, move |disk| catalog::mark(disk, &name, at)).await
    }

    async fn marked(&self, name: &str) -> Result<Option<Time>, Error> {
        let name = name.to_owned();
        blocking(&self.shared, move |shared| {
            catalog::marked(&shared.disk, &name)
        })
        .await
    }

    async fn forget(&self, before: Time, now: Time) -> Result<(), Error> {
        self.shared.open()?;
        forgetting::forget(&self.shared, before, now).await
    }

    async fn scrub(&self, copies_before: Time) -> Result<bool, Error> {
        let _alone = self.scrubbing.lock().await;
        self.shared.open()?;
        forgetting::scrub(&self.shared, &self.dir, copies_before).await
    }

    fn health(&self) -> Health {
        self.shared.health.lock().clone()
    }

    fn counts(&self) -> Vec<(AccountName, State, usize)> {
        self.shared.seats.counts()
    }

    fn desk(&self, now: Time) -> Vec<DeskFigures> {
        self.shared.seats.figures(now)
    }

    async fn changes(&self, after: Option<u64>) -> Changes {
        self.shared.seats.feed.changes(after).await
    }

    async fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        self.shared.queue.stop();
        let ended = self.ended.lock().take();
        if let Some(ended) = ended {
            // The thread ends either way.
            let _ended = ended.await;
        }
    }
}
