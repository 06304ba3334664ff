//! States what must be remembered and how surely, in the words of the domain.
//! Owns: the [`Store`] trait, its promises and errors. Uses: model. Never: why a record changes; no type of a database leaves its file.
//!
//! Every verb is atomic: it happens as a whole or not at all, also over a crash. A verb that promises durability returns
//! only when a `kill -9`, and a power failure on a disk that honours fsync, can no longer undo it.

pub mod sled;

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::Alert;
use crate::model::conversation::Refusal;
use crate::model::entry::{Priority, Push, Settled};
use crate::model::incident::{Incident, IncidentEdit};
use crate::model::media::Sha256Hash;
use crate::model::notice::{ChannelRecord, DeadNotice, Notice, Raised, SettledNotice};
use crate::model::{
    AccountName, Act, Actor, AgentMedia, AgentName, ApiToken, AuditPage, AuditQuery, AuditRecord,
    Capability, Conversation, ConversationId, Incoming, MediaKind, Message, MessageId, OpenId,
    ReceivedMedia, Reply, RuleFiles, Session, SessionId, State, Time, Turn, TurnKey, UploadedMedia,
    User, UserChange, UserRefusal,
};
use async_trait::async_trait;
use tokio::sync::mpsc;

/// How many revisions stay although no stored reply names them.
pub const REVISIONS_KEPT: usize = 200;
/// How many notices that were given up stay.
pub const DEAD_KEPT: usize = 1000;

/// What the server remembers. One implementation per database.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Claims a turn for its follower: turns of one follower are handed out one after another, different followers never
    /// wait for each other. Waits while another turn of this follower runs, and while a turn with this key runs; if that
    /// one is abandoned, this caller gets it as [`Claim::First`]. Nothing is written.
    ///
    /// # Errors
    /// [`Error`] when a stored answer cannot be read.
    async fn claim_turn(
        &self,
        account: &AccountName,
        follower: &OpenId,
        key: TurnKey,
        now: Time,
    ) -> Result<Claim, Error>;

    /// Writes a turn down and ends its claim; repeats of its key find its answer from now on. Durable on return when
    /// [`Answer::is_durable`](crate::model::Answer::is_durable), else within 500 ms. Cancelling the returned future does
    /// not cancel the commit.
    ///
    /// # Errors
    /// [`Error`] when neither the database nor the spill file took it: the turn is as if it had never been claimed.
    async fn commit_turn(
        &self,
        ticket: Ticket,
        turn: Turn,
        at: Time,
    ) -> Result<Arc<Conversation>, Error>;

    /// Replaces a turn's passive answer, that came too late, by a push. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn answer_late(
        &self,
        conversation: ConversationId,
        turn: TurnKey,
        push: Push,
        at: Time,
    ) -> Result<(), Error>;

    /// Does what a person asks, if [`Conversation::act`] allows it; of two that race exactly one wins. Durable on return.
    ///
    /// # Errors
    /// [`ActError::Refused`] with the conversation as it is; [`ActError::NotFound`]; [`ActError::Store`].
    async fn act(
        &self,
        conversation: ConversationId,
        act: Act,
        by: &Actor,
        now: Time,
        seed: TurnKey,
    ) -> Result<Acted, ActError>;

    /// A conversation as it is now.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn conversation(&self, id: ConversationId) -> Result<Option<Arc<Conversation>>, Error>;

    /// Conversations that fit the query, newest `updated_at` first unless it wants another order. Ones that change meanwhile
    /// may stand on no page, or on two.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn conversations(&self, query: &Query) -> Result<Page, Error>;

    /// The newest `limit` lines of a conversation's history, older than `before` if given; oldest first. Deliveries are as
    /// they are now. What a form says when its time is over stands behind its question, once it was tried.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn messages(
        &self,
        id: ConversationId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<Message>, Error>;

    /// The whole history of a conversation, newest first, in pieces; a piece is read once the one before was taken. An error
    /// ends it. Deliveries as in [`Store::messages`].
    ///
    /// # Errors
    /// [`Error::Closed`].
    async fn history(&self, id: ConversationId) -> Result<Pieces, Error>;

    /// Takes the account's next push that is due, oldest first, one at a time per follower, and notes that its attempt begins.
    /// Durable on return: after a crash the push is found as `unknown`, never sent again.
    ///
    /// # Errors
    /// [`Error`] when the beginning could not be written; nothing is to be sent then.
    async fn take_push(&self, account: &AccountName, now: Time) -> Result<Option<Taken>, Error>;

    /// Notes how an attempt ended; the conversation afterwards, `None` where it no longer matters. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn settle_push(
        &self,
        conversation: ConversationId,
        push: MessageId,
        result: Settled,
        now: Time,
    ) -> Result<Option<Arc<Conversation>>, Error>;

    /// Waits until a push of the account may have become ready since the last call returned; may return early, never late.
    /// One caller at a time is woken.
    async fn push_queued(&self, account: &AccountName);

    /// When the account's first queued push is due; that may be past.
    async fn next_push_at(&self, account: &AccountName) -> Option<Time>;

    /// How many followers of the account have a push waiting to be tried.
    fn pushes_waiting(&self, account: &AccountName) -> usize;

    /// Keeps a rule set and makes it the active one. The same content again keeps its number. Durable on return. The newest
    /// [`REVISIONS_KEPT`] stay, and every one that a stored reply names; the others go some time after this returned.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn publish_revision(
        &self,
        files: RuleFiles,
        author: &str,
        now: Time,
    ) -> Result<u64, Error>;

    /// All kept revisions, newest first, without their files.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn revisions(&self) -> Result<Vec<Revision>, Error>;

    /// The files of a revision.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn revision_files(&self, revision: u64) -> Result<Option<RuleFiles>, Error>;

    /// Notes which revision runs whatever the rules directory holds, or that the directory counts again. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn pin(&self, pin: Option<Pin>) -> Result<(), Error>;

    /// What was noted last.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn pinned(&self) -> Result<Option<Pin>, Error>;

    /// Every upload that was kept and not forgotten, whether WeChat still has it or not.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn media(&self) -> Result<Vec<UploadedMedia>, Error>;

    /// Keeps an upload, in place of an earlier one of the same account, kind and hash. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn keep_media(&self, media: UploadedMedia) -> Result<(), Error>;

    /// Forgets an upload; nothing happens when none was kept. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn forget_media(
        &self,
        account: &AccountName,
        kind: MediaKind,
        hash: &Sha256Hash,
    ) -> Result<(), Error>;

    /// Keeps what is known of a right of an account, in place of what was known. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn keep_capability(&self, capability: Capability) -> Result<(), Error>;

    /// What is known of the rights of all accounts.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn capabilities(&self) -> Result<Vec<Capability>, Error>;

    /// Keeps what is known of a follower's file, in place of what was known. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn keep_received(&self, media: ReceivedMedia) -> Result<(), Error>;

    /// What is known of the file that came with a message.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn received(&self, message: MessageId) -> Result<Option<ReceivedMedia>, Error>;

    /// Every file that is yet to be fetched.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn to_fetch(&self) -> Result<Vec<ReceivedMedia>, Error>;

    /// At most `limit` files that were fetched or will not come, oldest message first, behind the message `after`.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn all_received(
        &self,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<ReceivedMedia>, Error>;

    /// Forgets what is known of these messages' files, of all or of none. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn forget_received(&self, messages: Vec<MessageId>) -> Result<(), Error>;

    /// Notes that the files of everything that came before this time are known. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn note_received_until(&self, until: Time) -> Result<(), Error>;

    /// What was noted last.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn received_until(&self) -> Result<Option<Time>, Error>;

    /// Keeps that an agent brought a picture for an account, in place of an earlier one with the same content. Durable on
    /// return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn keep_agent_media(&self, media: AgentMedia) -> Result<(), Error>;

    /// The picture with this content that an agent brought for the account.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn agent_media(
        &self,
        account: &AccountName,
        hash: &Sha256Hash,
    ) -> Result<Option<AgentMedia>, Error>;

    /// Every picture that agents brought.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn all_agent_media(&self) -> Result<Vec<AgentMedia>, Error>;

    /// Forgets an agent's picture; nothing happens when none was kept. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn forget_agent_media(
        &self,
        account: &AccountName,
        hash: &Sha256Hash,
    ) -> Result<(), Error>;

    /// At most `limit` messages and events that followers sent at `since` or later, oldest first: those behind the place
    /// `after`, or from the beginning. Erased followers' are gone. While the database refuses, what is in the spill file only
    /// is left out.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn past(&self, since: Time, after: Option<u64>, limit: usize) -> Result<Past, Error>;

    /// Keeps an API token; `false` when the name is taken. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn add_token(&self, token: ApiToken) -> Result<bool, Error>;

    /// All API tokens, by name.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn tokens(&self) -> Result<Vec<ApiToken>, Error>;

    /// Forgets an API token; `false` when there is none of this name. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn revoke_token(&self, name: &str) -> Result<bool, Error>;

    /// Keeps alerts with their notices, except those whose alert's id was kept before; says for each whether it was new. All
    /// in one step. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when they could not be written.
    async fn raise_alerts(
        &self,
        raised: Vec<(Alert, Vec<Notice>)>,
        now: Time,
    ) -> Result<Vec<bool>, Error>;

    /// Every notice that waits, in no order.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn notices(&self) -> Result<Vec<Notice>, Error>;

    /// Notes how an attempt on a channel ended for its notices, and how the channel fares, in one step. The newest
    /// [`DEAD_KEPT`] that were given up stay. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn settle_notices(
        &self,
        channel: &str,
        record: ChannelRecord,
        settled: Vec<SettledNotice>,
    ) -> Result<(), Error>;

    /// How each channel fared that was ever tried, by name.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn channel_records(&self) -> Result<Vec<(String, ChannelRecord)>, Error>;

    /// The notices that were given up, newest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn dead_notices(&self) -> Result<Vec<DeadNotice>, Error>;

    /// Lets a notice that was given up wait again, as if new; `None` when there is none of this id. Of two that race one
    /// gets it. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn revive_notice(&self, id: TurnKey, now: Time) -> Result<Option<Notice>, Error>;

    /// The alerts that were raised at `since` or later and are not forgotten, in no order.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn raised_alerts(&self, since: Time) -> Result<Vec<Raised>, Error>;

    /// Forgets which alerts were raised before this time, and what was given up before it. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn forget_alerts(&self, before: Time) -> Result<(), Error>;

    /// Keeps a new user; `false` when the name is taken, whatever its case. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn add_user(&self, user: User) -> Result<bool, Error>;

    /// The user with this name, whatever its case.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn user(&self, name: &AgentName) -> Result<Option<User>, Error>;

    /// All users, disabled ones too, by name.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn users(&self) -> Result<Vec<User>, Error>;

    /// Changes a user, if [`User::changed`] allows it with all users as they are then; with the change, sessions end that do
    /// not outlive it. Durable on return.
    ///
    /// # Errors
    /// [`UserError::Refused`]; [`UserError::NotFound`]; [`UserError::Store`].
    async fn change_user(
        &self,
        name: &AgentName,
        change: UserChange,
        now: Time,
    ) -> Result<ChangedUser, UserError>;

    /// Keeps a session that begins; `false` when the user cannot have it any more: disabled, or changed since the epoch in
    /// it. Sessions that are over go, and the user's most silent one when there are too many. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn open_session(&self, session: Session) -> Result<bool, Error>;

    /// The session with this token and its user, if it is good now.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn session(
        &self,
        token: &Sha256Hash,
        now: Time,
    ) -> Result<Option<(Session, User)>, Error>;

    /// Notes that a session was used; one that has ended stays ended. Durable with whatever is written next: a crash may
    /// lose it.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn see_session(&self, token: &Sha256Hash, now: Time) -> Result<(), Error>;

    /// All sessions that are good now, the last used first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn sessions(&self, now: Time) -> Result<Vec<Session>, Error>;

    /// Ends a session; `false` when there is none with this id. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn end_session(&self, id: SessionId) -> Result<bool, Error>;

    /// Ends all sessions of a user; says how many. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn end_sessions_of(&self, user: &AgentName) -> Result<usize, Error>;

    /// Writes an act down under the next number, which it returns. No verb changes or removes a record; those older than
    /// [`AUDIT_LASTS`](crate::model::audit::AUDIT_LASTS) go in time. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn audit(&self, record: AuditRecord) -> Result<u64, Error>;

    /// The same with several, in their order and with one flush.
    ///
    /// # Errors
    /// As [`Store::audit`].
    async fn audit_all(&self, records: Vec<AuditRecord>) -> Result<(), Error>;

    /// Records that fit the query, newest first. A page may have fewer than asked for and still go on.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn audit_page(&self, query: &AuditQuery) -> Result<AuditPage, Error>;

    /// Removes one follower everywhere: conversation, messages, answers kept for repeats. Durable on return; `false` when
    /// nothing was known. Traces may stay in the files until [`Store::scrub`].
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn erase(&self, account: &AccountName, follower: &OpenId) -> Result<bool, Error>;

    /// Says when something happens to a conversation by itself, from now on; looks at every conversation once. The
    /// function is asked after every change of a conversation and must be quick.
    fn set_alarms(&self, alarm: AlarmOf);

    /// Says by which words conversations are found, from now on; looks at every one that people take care of once. The
    /// function is asked after every change of one of these and must be quick. Without it nothing is found by words.
    fn set_words(&self, words: WordsOf);

    /// The conversations to which something is due by now, longest overdue first, at most `limit`.
    fn due(&self, now: Time, limit: usize) -> Vec<Arc<Conversation>>;

    /// When something is due next.
    fn next_alarm_at(&self) -> Option<Time>;

    /// Waits until something may be due earlier than before; may return early, never late.
    async fn alarms_changed(&self);

    /// How many conversations this person has to answer.
    fn load(&self, agent: &AgentName) -> usize;

    /// Keeps an incident; one that is known already stays as it is. The oldest go beyond
    /// [`INCIDENTS_KEPT`](crate::model::incident::INCIDENTS_KEPT). Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn keep_incident(&self, incident: Incident) -> Result<(), Error>;

    /// Changes an incident; how it was and is, `None` when there is none of this id. Durable on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn edit_incident(
        &self,
        id: TurnKey,
        edit: IncidentEdit,
        by: &AgentName,
        now: Time,
    ) -> Result<Option<(Incident, Incident)>, Error>;

    /// Every incident that is kept, the newest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    async fn incidents(&self) -> Result<Vec<Incident>, Error>;

    /// Notes when something that has a name happened last: what happens once a day happens once over a restart too. Durable
    /// on return.
    ///
    /// # Errors
    /// [`Error`] when it could not be written.
    async fn mark(&self, name: &str, at: Time) -> Result<(), Error>;

    /// What was noted last under this name.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn marked(&self, name: &str) -> Result<Option<Time>, Error>;
    /// Overwrites what was said before this time, but not who said it when, nor answers that a follower may still get: in
    /// conversations and in their histories, oldest first. In small steps, other verbs go on meanwhile; broken off in the
    /// middle, by a crash too, it goes on there the next time. Durable on return. `before` is at least
    /// [`HELD_FOR`](crate::model::conversation::HELD_FOR) before `now`.
    ///
    /// # Errors
    /// [`Error`] when something could not be read or written.
    async fn forget(&self, before: Time, now: Time) -> Result<(), Error>;

    /// Makes sure that nothing that was erased or forgotten can be found in any file of the store: `true` when there was
    /// something and files were written anew. Takes long, and for that time twice the room; other verbs go on meanwhile, but
    /// wait for a moment at the end. Copies that an upgrade made before `copies_before` are removed. One at a time, others
    /// wait. Broken off, it is done the next time.
    ///
    /// # Errors
    /// [`Error`] when it could not be done; nothing is lost, and the next call tries again.
    async fn scrub(&self, copies_before: Time) -> Result<bool, Error>;

    /// How the store is.
    fn health(&self) -> Health;

    /// How many conversations are in each state, per account.
    fn counts(&self) -> Vec<(AccountName, State, usize)>;

    /// What operators should see of the desk, per account, without a look at every conversation.
    fn desk(&self, now: Time) -> Vec<DeskFigures>;

    /// Waits until a conversation changes behind this place, a change by an entry that is not on disk yet included, and
    /// says which did. `None`: the present place, at once. Places count from the store's start; at least the last 1,000
    /// changes of conversations with people, and of the others, are known.
    async fn changes(&self, after: Option<u64>) -> Changes;

    /// Writes everything down and lets go of the files. Verbs after this fail.
    async fn close(&self);
}

/// When something happens to a conversation by itself next, if ever.
pub type AlarmOf = Arc<dyn Fn(&Conversation) -> Option<Time> + Send + Sync>;

/// A history in pieces.
pub type Pieces = mpsc::Receiver<Result<Vec<Message>, Error>>;

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// Nobody had this turn before.
    First {
        /// The right to commit it; dropping it abandons the turn.
        ticket: Ticket,
        /// What is known of the follower.
        conversation: Option<Arc<Conversation>>,
    },
    /// It was answered before.
    Repeat {
        /// The clear passive reply that was given; `None` is `success`.
        passive: Option<Reply>,
        /// Its `CreateTime`.
        at: Time,
    },
}

/// The right to commit one claimed turn. Dropping it lets the next turn of the follower, or a repeat of this one, begin.
pub struct Ticket {
    /// The account.
    pub account: AccountName,
    /// The follower.
    pub follower: OpenId,
    /// The turn.
    pub key: TurnKey,
    lanes: Option<Arc<dyn Lanes>>,
}

/// Where tickets come from and go back to.
pub trait Lanes: Send + Sync {
    /// Ends the claim of a turn that was not committed.
    fn abandon(&self, account: &AccountName, follower: &OpenId, key: TurnKey);
}

impl Ticket {
    /// Hands out the right to a turn; the store's side only.
    pub fn new(
        lanes: Arc<dyn Lanes>,
        account: AccountName,
        follower: OpenId,
        key: TurnKey,
    ) -> Self {
        Self {
            account,
            follower,
            key,
            lanes: Some(lanes),
        }
    }

    /// Takes the right back without abandoning the turn; the store's side only, at commit.
    pub fn redeem(mut self) {
        self.lanes = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(lanes) = self.lanes.take() {
            lanes.abandon(&self.account, &self.follower, self.key);
        }
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({})", self.key)
    }
}

/// What an act led to.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The conversation afterwards.
    pub conversation: Arc<Conversation>,
    /// The message or note that the act made, or had made when its key came before.
    pub message: Option<MessageId>,
    /// Whether it was so already: nothing was written.
    pub already: bool,
}

/// Why an act did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is no such conversation.
    #[error("no such conversation")]
    NotFound,
    /// The conversation does not allow it.
    #[error("{0}")]
    Refused(Refusal, Arc<Conversation>),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] Error),
}

/// A user before and after a change; the same twice when it was so already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedUser {
    /// Before.
    pub before: User,
    /// After.
    pub after: User,
}

/// Why a change of a user did not happen.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("no such user")]
    NotFound,
    /// It is not legal.
    #[error(transparent)]
    Refused(#[from] UserRefusal),
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Which conversations.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of these accounts; empty means all.
    pub accounts: Vec<AccountName>,
    /// In one of these states; empty means all.
    pub states: Vec<State>,
    /// Of this follower.
    pub follower: Option<OpenId>,
    /// Owned by this agent.
    pub owner: Option<AgentName>,
    /// Of one of these priorities; empty means all.
    pub priorities: Vec<Priority>,
    /// Called this by people.
    pub tag: Option<Box<str>>,
    /// With an answer owed and a window that ends by this time.
    pub closes_by: Option<Time>,
    /// Ended without an answer, and nobody has looked at that.
    pub missed: bool,
    /// Looked for.
    pub search: Option<Search>,
    /// In this order.
    pub order: Order,
    /// Behind this place: `updated_at`, or the time of its urgency, and id of the last one seen.
    pub after: Option<(Time, ConversationId)>,
    /// The level of that place, where conversations come by urgency.
    pub after_level: Option<u8>,
    /// At most so many.
    pub limit: usize,
}

/// In which order conversations are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that changed last comes first.
    #[default]
    Updated,
    /// The one that presses most comes first: [`Conversation::urgency`].
    Urgency,
}

/// Says by which words a conversation is found, in the form in which [`Search::words`] are.
pub type WordsOf = Arc<dyn Fn(&Conversation) -> Arc<str> + Send + Sync>;

/// What is looked for: any of these will do.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Among the words of the conversation; empty for nothing.
    pub words: Box<str>,
    /// At the beginning of the follower's id.
    pub openid: Option<Box<str>>,
    /// In the follower's alias.
    pub alias: Option<u16>,
}

/// Unanswered conversations whose window ends within this time are counted as closing.
pub const WINDOW_CLOSING: Duration = Duration::from_secs(3 * 3600);

/// What operators should see of one account's desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskFigures {
    /// The account.
    pub account: AccountName,
    /// How many conversations are in each state, by priority.
    pub counts: Vec<(State, Priority, usize)>,
    /// Since when the follower waits who waits the longest and whom nobody has claimed, by priority.
    pub oldest_waiting: Vec<(Priority, Time)>,
    /// Conversations in which an answer is owed while their window ends within [`WINDOW_CLOSING`]; to the minute.
    pub windows_closing: usize,
    /// Answers that wait for a follower's next visit; to the hour.
    pub held_answers: usize,
}

/// Which conversations have changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The newest change of each, in order.
    pub changed: Vec<Changed>,
    /// The place behind them.
    pub place: u64,
    /// Whether there were more.
    pub missed: Missed,
}

/// A conversation that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The place behind it.
    pub place: u64,
    /// Which; it may have been erased.
    pub conversation: ConversationId,
    /// Its version then.
    pub version: u64,
    /// Its account.
    pub account: AccountName,
}

/// Which changes are not known any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// All are known.
    #[default]
    Nothing,
    /// Some of conversations that rules alone answer.
    OfRules,
    /// Any.
    OfPeople,
}

/// Some conversations.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The conversations, newest first.
    pub conversations: Vec<Arc<Conversation>>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A push taken to be sent.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account to send it from.
    pub account: AccountName,
    /// Who gets it.
    pub follower: OpenId,
    /// What.
    pub push: Push,
    /// Whether a form ends with it: to be said now or never.
    pub is_last_words: bool,
}

/// One kept state of the rules directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub revision: u64,
    /// SHA-256 of the files, hex.
    pub hash: String,
    /// When it was first kept.
    pub at: Time,
    /// Who made it.
    pub author: String,
    /// Whether it is the one that runs.
    pub active: bool,
}

/// A revision that runs whatever the rules directory holds: what bringing an older one back leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which.
    pub revision: u64,
    /// SHA-256 of what the directory held then: once it holds something else, the directory counts again.
    pub over: Sha256Hash,
}

/// Some of what followers sent.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Oldest first.
    pub messages: Vec<PastMessage>,
    /// The place to go on from, when there may be more.
    pub next: Option<u64>,
}

/// One message or event as it came.
#[derive(Clone, Debug)]
pub struct PastMessage {
    /// Its turn.
    pub key: TurnKey,
    /// When it came.
    pub at: Time,
    /// The account it came to.
    pub account: AccountName,
    /// What came, and from whom.
    pub incoming: Incoming,
}

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything is written where it belongs.
    Good,
    /// The database refuses; messages go to the spill file for now.
    Spilling(Arc<str>),
    /// Nothing can be written.
    Failed(Arc<str>),
}

/// Why the store could not do its work.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the directory.
    #[error("another wxreply already uses {0}")]
    Locked(String),
    /// The disk is full, or the database failed, and the spill file too.
    #[error("nothing can be written: {0}")]
    Unwritable(Arc<str>),
    /// What is stored cannot be read.
    #[error("stored data cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// The data was written by a newer version.
    #[error("the data has format {found}, this version knows {known}")]
    Newer {
        /// What was found.
        found: u8,
        /// The newest format this version knows.
        known: u8,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}
