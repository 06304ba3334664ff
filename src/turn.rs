//! Takes one message through its turn: claim, decide, commit, answer. Read this first.
//! Owns: the order of the steps and the deadline. Uses: store, decide, model. Never: HTTP, XML, TOML, which store it is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::decide::{ActiveRules, Asked, Decision, Memory, Outcome, PASSIVE_WRITTEN, Step, decide};
use crate::model::desk::OnDuty;
use crate::model::entry::{Move, Push, Spoken};
use crate::model::message::PushError;
use crate::model::{
    AccountName, By, Content, Conversation, HookAnswer, HookCall, HookFault, Incoming, MediaIds,
    OpenId, Reply, State, Time, Turn, TurnKey,
};
use crate::store::{Claim, Error, Store};

/// Says whether an account can push now.
pub type CanPush = Arc<dyn Fn() -> bool + Send + Sync>;
/// Says which files of rules an account can send now.
pub type Media = Arc<dyn Fn(&AccountName) -> Arc<MediaIds> + Send + Sync>;
/// Asks another system; always ends, within [`HOOK_WITHIN`](crate::model::hook::HOOK_WITHIN).
pub type AskHook = Arc<dyn Fn(HookCall) -> BoxFuture<'static, HookAnswer> + Send + Sync>;

/// Says who is there to answer now.
pub type WhoIsOnDuty = Arc<dyn Fn() -> Arc<OnDuty> + Send + Sync>;

/// Shown a conversation that has just got a person's first answer.
pub type FirstAnswer = Arc<dyn Fn(&Conversation, Time) + Send + Sync>;
/// Hears of a message that went to people.
pub type Hear = Arc<dyn Fn(&Conversation, &Incoming, &Move, Time) + Send + Sync>;

/// Erases elsewhere whom the store has erased.
pub type Erased =
    Arc<dyn Fn(AccountName, OpenId) -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// What a turn asks of the world besides the store and the rules.
#[derive(Clone)]
pub struct World {
    /// Accounts absent from it cannot push.
    pub can_push: HashMap<AccountName, CanPush>,
    /// Uploaded files.
    pub media: Media,
    /// Other systems.
    pub ask_hook: AskHook,
    /// Who is there to answer.
    pub on_duty: WhoIsOnDuty,
    /// Told of what went to people, once it is kept.
    pub hear: Hear,
    /// Shown a conversation in which a person's first answer was just handed out.
    pub first_answer: FirstAnswer,
    /// Told of who took their consent back.
    pub erased: Erased,
}

impl World {
    /// Nothing can be pushed, nothing was uploaded, nobody answers.
    pub fn empty() -> Self {
        Self {
            can_push: HashMap::new(),
            on_duty: Arc::new(Arc::<OnDuty>::default),
            hear: Arc::new(|_, _, _, _| {}),
            first_answer: Arc::new(|_, _| {}),
            erased: Arc::new(|_, _| Box::pin(std::future::ready(Ok(())))),
            media: Arc::new(|_| Arc::new(MediaIds::none())),
            ask_hook: Arc::new(|_| {
                Box::pin(std::future::ready(HookAnswer::Failed(HookFault::Offline)))
            }),
        }
    }
}

/// Everything a turn needs; one value for the whole server.
pub struct Turns {
    store: Arc<dyn Store>,
    rules: Arc<ArcSwap<ActiveRules>>,
    world: World,
    deadline: Duration,
    late: LateTurns,
}

/// One verified message.
#[derive(Debug)]
pub struct Received {
    /// The account it came to.
    pub account: AccountName,
    /// Its identity over repeats.
    pub key: TurnKey,
    /// What came.
    pub incoming: Incoming,
    /// When its first byte was read: the deadline counts from here.
    pub first_byte: Instant,
    /// The same moment on the wall clock.
    pub at: Time,
}

/// What goes back to WeChat.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The clear passive reply; `None` is `success`.
    pub reply: Option<Reply>,
    /// Its `CreateTime`.
    pub at: Time,
    /// How it came about.
    pub course: Course,
    /// Who speaks, and which rule.
    pub own: Option<Spoken>,
    /// Where the conversation went.
    pub moved: Option<Move>,
}

/// How an answer came about, for counters and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It was decided now.
    Decided(Outcome),
    /// It was decided before: WeChat repeats itself.
    Repeated,
    /// The deadline passed; the turn goes on behind `success`.
    Late,
    /// The message could not be kept.
    Unkept,
}

impl Answered {
    fn bare(reply: Option<Reply>, at: Time, course: Course) -> Self {
        Self {
            reply,
            at,
            course,
            own: None,
            moved: None,
        }
    }
}

impl Turns {
    /// Turns on this store, with the rules that are active at each moment.
    pub fn new(
        store: Arc<dyn Store>,
        rules: Arc<ArcSwap<ActiveRules>>,
        world: World,
        deadline: Duration,
    ) -> Self {
        Self {
            store,
            rules,
            world,
            deadline,
            late: LateTurns::default(),
        }
    }

    /// Whether this account can push now.
    pub fn can_push(&self, account: &AccountName) -> bool {
        self.world.can_push.get(account).is_some_and(|can| can())
    }

    /// Answers a message, always, and by the deadline. A turn that is not finished by then goes on by itself: its answer
    /// travels as a push.
    pub async fn answer(self: &Arc<Self>, received: Received) -> Answered {
        let (key, at) = (received.key, received.at);
        let until = received.first_byte + self.deadline;
        let mut work = Box::pin(Arc::clone(self).run(received));
        match timeout_at(until, &mut work).await {
            Ok(finished) => finished.answered,
            Err(_past_deadline) => {
                let turns = Arc::clone(self);
                self.late.begin(key);
                tokio::spawn(async move {
                    let _until_then = Lateness(&turns.late, key);
                    turns.deliver_late(work.await).await;
                });
                Answered::bare(None, at, Course::Late)
            }
        }
    }

    async fn run(self: Arc<Self>, received: Received) -> Finished {
        let Received {
            account,
            key,
            incoming,
            first_byte,
            at,
        } = received;
        let is_event = matches!(incoming.content, Content::Event(_));
        let until = first_byte + self.deadline;
        let claimed = self.claim(&account, &incoming.from, key, at, until).await;
        let (ticket, conversation) = match claimed {
            Ok(Claim::First {
                ticket,
                conversation,
            }) => (ticket, conversation),
            Ok(Claim::Repeat { passive, at }) => {
                return Finished::alone(key, Answered::bare(passive, at, Course::Repeated));
            }
            Err(error) => return self.unkept(key, at, is_event, None, &error),
        };
        let rules = self.rules.load();
        let mut memory = Memory {
            can_push: self.can_push(&account),
            media: (self.world.media)(&account),
            waiting: self.waiting(&account, conversation.as_deref(), &rules),
            on_duty: (self.world.on_duty)(),
            account,
            key,
            conversation,
        };
        let decision = match decide(&incoming, &memory, &rules, at) {
            Step::Done(decision) => decision,
            Step::Ask(asked) => {
                // The set that asked also answers, even if another has become active.
                let rules = Guard::into_inner(rules);
                let Asked { call, continuation } = *asked;
                let answer = (self.world.ask_hook)(call).await;
                // People may have taken the conversation meanwhile.
                if let Some(known) = &memory.conversation {
                    match self.store.conversation(known.id).await {
                        Ok(known) => memory.conversation = known,
                        Err(error) => return self.unkept(key, at, is_event, None, &error),
                    }
                }
                continuation.resume(&answer, &incoming, &memory, &rules, at)
            }
        };
        let Memory { account, .. } = memory;
        let Decision {
            outcome,
            mut answer,
            is_kept,
            erase,
            ..
        } = decision;
        let course = Course::Decided(outcome);
        if let Some(follower) = &erase {
            drop(ticket);
            let erased = match self.store.erase(&account, follower).await {
                Ok(_) => (self.world.erased)(account, follower.clone()).await,
                Err(error) => Err(error),
            };
            return match erased {
                Ok(()) => Finished::alone(key, Answered::bare(None, at, course)),
                Err(error) => self.unkept(key, at, is_event, None, &error),
            };
        }
        if !is_kept {
            return Finished::alone(key, Answered::bare(None, at, course));
        }
        let (reply, own, moved) = (
            answer.passive().cloned(),
            answer.own.clone(),
            answer.moved.clone(),
        );
        let answered = Answered {
            reply,
            at,
            course,
            own,
            moved,
        };
        if Instant::now() >= until {
            // What is said late is pushed itself; what follows it waits until it is on its way.
            let then = at.plus(first_byte.elapsed() + PASSIVE_WRITTEN);
            let behind = answer.push.iter_mut().chain(&mut answer.more);
            behind.for_each(|push| push.not_before = then);
        }
        let turn = Turn {
            key,
            account,
            incoming,
            answer,
        };
        let heard = answered.moved.as_ref().filter(|moved| moved.calls_people());
        let heard = heard.map(|moved| (turn.incoming.clone(), moved.clone()));
        match self.store.commit_turn(ticket, turn, at).await {
            Ok(conversation) => {
                if conversation.desk().first_answer_at == Some(at) {
                    (self.world.first_answer)(&conversation, at);
                }
                if let Some((incoming, moved)) = heard {
                    (self.world.hear)(&conversation, &incoming, &moved, at);
                }
                Finished {
                    answered,
                    key,
                    conversation: Some(conversation),
                }
            }
            Err(error) => self.unkept(key, at, is_event, answered.own, &error),
        }
    }

    /// How many other conversations of the account wait, where a reply says so.
    fn waiting(
        &self,
        account: &AccountName,
        own: Option<&Conversation>,
        rules: &ActiveRules,
    ) -> u32 {
        if !rules.set.wants_queue() {
            return 0;
        }
        let counts = self.store.counts().into_iter();
        let of_account = counts.filter(|(of, state, _)| of == account && *state == State::Waiting);
        let waiting: usize = of_account.map(|(_, _, count)| count).sum();
        let is_own = own.is_some_and(|own| own.state == State::Waiting);
        u32::try_from(waiting.saturating_sub(usize::from(is_own))).unwrap_or(u32::MAX)
    }

    /// Claims a turn. A repeat of a turn that was late hears of its answer only when it is settled whether that travels as
    /// a push: nothing is said twice.
    async fn claim(
        &self,
        account: &AccountName,
        follower: &OpenId,
        key: TurnKey,
        at: Time,
        until: Instant,
    ) -> Result<Claim, Error> {
        let claim = self.store.claim_turn(account, follower, key, at).await?;
        // Nobody waits any more for what comes after the deadline.
        let is_settled = || Instant::now() >= until || !self.late.has(key);
        if matches!(
            claim,
            Claim::First { .. } | Claim::Repeat { passive: None, .. }
        ) || is_settled()
        {
            return Ok(claim);
        }
        // Past its own deadline this delivery is a late one itself, and must not wait for its own end.
        let _settled_or_late = timeout_at(until, self.late.end_of(key)).await;
        self.store.claim_turn(account, follower, key, at).await
    }

    /// A push that could not be kept: what a rule or a fixed line says is given all the same; a message for a person is
    /// not taken in silence.
    fn unkept(
        &self,
        key: TurnKey,
        at: Time,
        is_event: bool,
        own: Option<Spoken>,
        error: &Error,
    ) -> Finished {
        tracing::error!(%error, turn.key = %key, "a message could not be kept");
        let own = own.filter(|own| !matches!(own.by, By::Ack | By::Crisis));
        let sorry = || Reply::Text(Arc::clone(&self.rules.load().set.settings().sorry));
        let reply = match &own {
            Some(own) => Some(own.reply.clone()),
            None => (!is_event).then(sorry),
        };
        Finished::alone(
            key,
            Answered {
                own,
                ..Answered::bare(reply, at, Course::Unkept)
            },
        )
    }

    /// Sends what was said too late, where the bot may still push; else it waits for the follower. Fixed lines that came
    /// too late are not worth a push.
    async fn deliver_late(&self, finished: Finished) {
        let Finished {
            answered,
            key,
            conversation: Some(conversation),
        } = finished
        else {
            return;
        };
        let Some(reply) = answered.reply else { return };
        if matches!(reply, Reply::Transfer { .. }) {
            return;
        }
        let own = match answered.own {
            Some(own) if own.by.is_rule() || own.by == By::Crisis => Spoken { reply, ..own },
            Some(_) => return,
            None => Spoken {
                by: By::Agent,
                rule: None,
                revision: None,
                reply,
            },
        };
        let at = answered.at.plus(self.deadline);
        let can_push = self.can_push(&conversation.account);
        let reserve = self.rules.load().set.settings().human_reserve;
        let why_held = conversation.why_held(can_push, at).or_else(|| {
            (own.by.is_rule() && conversation.window.left(at) <= reserve).then(reserved)
        });
        let push = Push::of_turn(&own, key, answered.at, at, why_held);
        if let Err(error) = self.store.answer_late(conversation.id, key, push, at).await {
            tracing::error!(%error, turn.key = %key, "a late answer could not be kept");
        }
    }
}

fn reserved() -> PushError {
    PushError {
        code: 0,
        message: "the window's last pushes are for people".into(),
    }
}

/// Turns that go on behind `success`, and how many deliveries of each.
#[derive(Default)]
struct LateTurns {
    keys: Mutex<HashMap<TurnKey, usize>>,
    ended: Notify,
}

impl LateTurns {
    fn begin(&self, key: TurnKey) {
        *self.keys.lock().entry(key).or_default() += 1;
    }

    fn has(&self, key: TurnKey) -> bool {
        self.keys.lock().contains_key(&key)
    }

    async fn end_of(&self, key: TurnKey) {
        loop {
            // Made before looking, so that no end is missed between.
            let ended = self.ended.notified();
            if !self.has(key) {
                return;
            }
            ended.await;
        }
    }
}

/// One delivery that is late, until its answer is on its way otherwise.
struct Lateness<'a>(&'a LateTurns, TurnKey);

impl Drop for Lateness<'_> {
    fn drop(&mut self) {
        let Self(late, key) = self;
        if let Entry::Occupied(mut left) = late.keys.lock().entry(*key) {
            *left.get_mut() -= 1;
            if *left.get() == 0 {
                left.remove();
            }
        }
        late.ended.notify_waiters();
    }
}

/// A turn that has run to its end.
struct Finished {
    answered: Answered,
    key: TurnKey,
    /// After the commit, where there was one.
    conversation: Option<Arc<Conversation>>,
}

impl Finished {
    /// A turn that wrote nothing.
    fn alone(key: TurnKey, answered: Answered) -> Self {
        Self {
            answered,
            key,
            conversation: None,
        }
    }
}
