//! Does what the desk does by itself: timers of conversations, alerts, what happens when somebody comes or goes.
//! Owns: that each happens once, also over a restart, and who is told. Uses: store, rules, model, clock. Never: when a timer is due (the conversation says), how people are told.

mod occasion;
mod surge;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::decide::ActiveRules;
use crate::model::audit::{AuditRecord, What};
use crate::model::conversation::Refusal;
use crate::model::desk::{Assign, DeskSettings, MOST_GIVEN, OnDuty};
use crate::model::entry::{Left, Move, Priority, Reason};
use crate::model::{
    AccountName, Act, Actor, AgentName, Alert, AlertKind, Conversation, ConversationId, Direction,
    Incident, Incoming, State, Time, Timer, TurnKey,
};
use crate::store::{ActError, Order, Query, Store};
use surge::{Pieces, Surge, Surges, Topic};

/// So many conversations are looked at before the clock is asked again.
const AT_ONCE: usize = 256;
/// A timer that is later than this is told as late: the server did not run, or the store refused.
const LATE_AFTER: Duration = Duration::from_secs(60);
/// How much of the history is searched for the follower's last words.
const LOOK_BACK: usize = 20;
/// Characters of them that an alert carries at most; channels show less.
const EXCERPT: usize = 200;
/// How many conversations a page has when all are looked through.
const PAGE: usize = 500;
/// When the store refuses, what is due is tried again after this time.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Tells people, of all or of nothing; durable when it returns, and the same alert twice is told once.
pub type Tell =
    Arc<dyn Fn(Vec<Alert>) -> BoxFuture<'static, Result<(), crate::store::Error>> + Send + Sync>;
/// Says when somebody last looked at a conversation.
pub type LastLook = Arc<dyn Fn(ConversationId, &AgentName) -> Option<Time> + Send + Sync>;
/// Says whether an account can push now.
pub type CanPush = Arc<dyn Fn(&AccountName) -> bool + Send + Sync>;
/// Says who is there.
pub type WhoIsOnDuty = Arc<dyn Fn() -> Arc<OnDuty> + Send + Sync>;
/// Told of what happened by itself, after it is on disk: before, after, which timer.
pub type Observe = Arc<dyn Fn(&Conversation, &Conversation, Timer) + Send + Sync>;

/// What the desk asks of the world.
pub struct World {
    /// The rules that run, with the desk's settings.
    pub rules: Arc<ArcSwap<ActiveRules>>,
    /// Notified when they change.
    pub rules_changed: Arc<Notify>,
    /// Notified when somebody comes or goes.
    pub people_moved: Arc<Notify>,
    /// What time it is.
    pub clock: Clock,
    /// The way to people.
    pub tell: Tell,
    /// Who looks where.
    pub last_look: LastLook,
    /// Which accounts can push.
    pub can_push: CanPush,
    /// Who is there.
    pub on_duty: WhoIsOnDuty,
    /// For counters and the audit.
    pub observe: Observe,
}

/// The worker.
pub struct Desk {
    store: Arc<dyn Store>,
    world: World,
    surges: Mutex<Surges>,
    /// Surges that are to be kept and told.
    heard: Mutex<Vec<(Incident, Alert)>>,
    has_heard: Notify,
}

impl Desk {
    /// A worker on this store. From now on the store knows when something is due.
    pub fn new(store: Arc<dyn Store>, world: World) -> Self {
        let desk = Self {
            store,
            world,
            surges: Mutex::default(),
            heard: Mutex::default(),
            has_heard: Notify::new(),
        };
        desk.set_alarms();
        desk
    }

    /// A message went to people: many alike are a surge. Quick: called behind every answer.
    pub fn hear(&self, known: &Conversation, incoming: &Incoming, moved: &Move, now: Time) {
        let topic = match moved {
            Move::Raise {
                note: Some(note),
                reason: Reason::Crisis,
                ..
            }
            | Move::Requeue {
                note: Some(note),
                reason: Reason::Crisis,
                ..
            } => {
                // The same danger in other words is the same: 「食品安全:异物」.
                let name = note.split_once(':').map_or(&**note, |(name, _)| name);
                Topic::Crisis(name.into())
            }
            Move::Escalate {
                reason: Reason::Unmatched,
                ..
            }
            | Move::Assign {
                reason: Reason::Unmatched,
                ..
            }
            | Move::Requeue {
                reason: Reason::Unmatched,
                ..
            } => {
                let words = incoming.content.words().and_then(Pieces::of);
                let Some(words) = words else { return };
                Topic::Words(words)
            }
            _ => return,
        };
        let surge = self.surges.lock().hear(now, known, topic.clone());
        if let Some(surge) = surge {
            let heard = incident(known, &topic, surge, now);
            self.heard.lock().push(heard);
            self.has_heard.notify_one();
        }
    }

    /// Works until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Somebody may have gone while the server did not run.
        self.look_who_left().await;
        let mut rules = self.world.rules.load_full();
        // At the start it is looked whether a closing time was missed.
        let mut closing = Some(Time::default());
        while !stop.is_cancelled() {
            let active = self.world.rules.load_full();
            if !Arc::ptr_eq(&rules, &active) {
                rules = active;
                self.set_alarms();
                closing = Some(Time::default());
            }
            let now = self.world.clock.now();
            let is_busy = self.elapse(now).await;
            let is_untold = !self.tell_of_surges().await;
            self.give(now).await;
            if closing.is_some_and(|at| at <= now) {
                closing = self.closing(&rules, now).await;
            }
            if is_busy == Elapsed::More {
                tokio::task::yield_now().await;
                continue;
            }
            let is_refused = is_busy == Elapsed::Refused || is_untold;
            let again = is_refused.then(|| now.plus(TRY_AGAIN));
            let alarm = self.store.next_alarm_at().filter(|_| again.is_none());
            let next = [alarm, again, closing].into_iter().flatten().min();
            let due = async {
                match next {
                    Some(at) => self.world.clock.reach(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.store.alarms_changed() => {}
                () = self.world.rules_changed.notified() => {}
                () = self.has_heard.notified() => {}
                () = self.world.people_moved.notified() => self.look_who_left().await,
                () = due => {}
            }
        }
    }

    fn set_alarms(&self) {
        let rules = Arc::clone(&self.world.rules);
        self.store.set_alarms(Arc::new(move |conversation| {
            let rules = rules.load();
            // Which of several is due does not depend on the time, only how much of it was missed.
            let next = conversation.next_timer(rules.set.settings(), Time::default());
            next.map(|(at, _)| at)
        }));
    }

    /// Does what is due.
    async fn elapse(&self, now: Time) -> Elapsed {
        let rules = self.world.rules.load_full();
        let settings = rules.set.settings();
        let due = self.store.due(now, AT_ONCE);
        let due = due.iter().filter_map(|known| {
            let (at, timer) = known.next_timer(settings, now)?;
            (at <= now).then_some((known, at, timer))
        });
        let due: Vec<_> = due.collect();
        if due.is_empty() {
            return Elapsed::Nothing;
        }
        let alerts = due.iter().map(|(known, at, timer)| async move {
            if self.is_seen(known, *timer, settings, now) {
                return None;
            }
            self.alert(known, settings, *timer, *at, now).await
        });
        let alerts: Vec<Option<Alert>> = join_all(alerts).await;
        let told: Vec<Alert> = alerts.iter().flatten().cloned().collect();
        let mut elapsed = Elapsed::More;
        // Told first: a crash in between tells it again, and the same alert twice is told once.
        if !told.is_empty()
            && let Err(error) = (self.world.tell)(told).await
        {
            tracing::error!(%error, "people cannot be told");
            elapsed = Elapsed::Refused;
        }
        // What nobody is told of happens all the same.
        let is_told = elapsed != Elapsed::Refused;
        let due = due.into_iter().zip(alerts);
        let due = due.filter(|(_, alert)| is_told || alert.is_none());
        let due: Vec<_> = due.map(|(due, _)| due).collect();
        // Together, so that they share a flush.
        let acts = due.iter().map(|(known, _, timer)| {
            let owner = known.owner.as_ref();
            let seen = owner.filter(|_| self.is_seen(known, *timer, settings, now));
            async move {
                match (seen, self.absent_owner(known, *timer)) {
                    (Some(owner), _) => self.act(known, Act::Seen, owner, now).await,
                    // Then it wakes to the queue.
                    (None, Some(owner)) => {
                        let act = Act::Leave {
                            who: owner.clone(),
                            why: Left::OffDuty,
                        };
                        self.act(known, act, owner, now).await
                    }
                    (None, None) => {
                        let act = Act::Elapsed {
                            timer: *timer,
                            version: known.version,
                        };
                        self.act(known, act, &system(), now).await
                    }
                }
            }
        });
        let mut records = Vec::new();
        for ((known, ..), ended) in due.iter().zip(join_all(acts).await) {
            match ended {
                Ok(record) => records.extend(record),
                Err(error) => {
                    tracing::error!(%error, conversation = %known.id, "a timer could not be kept");
                    elapsed = Elapsed::Refused;
                }
            }
        }
        self.record(records).await;
        elapsed
    }

    /// The owner to whom a conversation would wake, and who is not there.
    fn absent_owner<'a>(&self, known: &'a Conversation, timer: Timer) -> Option<&'a AgentName> {
        let owner = known.owner.as_ref().filter(|_| timer == Timer::Snooze)?;
        let is_there = (self.world.on_duty)().can_take(owner, &known.account);
        (!is_there).then_some(owner)
    }

    /// Whether the owner whose time is over has looked at the conversation meanwhile.
    fn is_seen(
        &self,
        known: &Conversation,
        timer: Timer,
        settings: &DeskSettings,
        now: Time,
    ) -> bool {
        let last_look = |owner| (self.world.last_look)(known.id, owner);
        timer == Timer::ClaimTimeout
            && known
                .owner
                .as_ref()
                .and_then(last_look)
                .is_some_and(|look| now.since(look) < settings.claim_timeout)
    }

    /// Does it, unless somebody was faster. Says what is to be on record of it.
    async fn act(
        &self,
        known: &Arc<Conversation>,
        act: Act,
        by: &AgentName,
        now: Time,
    ) -> Result<Option<AuditRecord>, ActError> {
        let timer = match &act {
            Act::Elapsed { timer, .. } => Some(*timer),
            _ => None,
        };
        let what = match &act {
            Act::Elapsed { timer, .. } => Some(What::Elapsed).filter(|_| is_on_record(*timer)),
            Act::Assign { .. } => Some(What::Assigned),
            Act::Leave { .. } => Some(What::Released),
            _ => None,
        };
        let seed = TurnKey::of_text(&format!("{} {} {act:?}", known.id, known.version));
        let by = Actor::lead(by.clone());
        match self.store.act(known.id, act, &by, now, seed).await {
            Ok(acted) => {
                if let Some(timer) = timer {
                    tracing::info!(conversation = %known.id, timer = timer.word(), "timer elapsed");
                    (self.world.observe)(known, &acted.conversation, timer);
                }
                let what = what.filter(|_| !acted.already);
                Ok(what.map(|what| record(what, known, &acted.conversation, timer, now)))
            }
            // Somebody was faster, or the follower is forgotten: what is due now is seen next time.
            Err(
                ActError::Refused(Refusal::Changed | Refusal::OwnedBy(_), _) | ActError::NotFound,
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts on record what the desk did. The journal has it as well: records that the store refuses are only logged.
    async fn record(&self, records: Vec<AuditRecord>) {
        if records.is_empty() {
            return;
        }
        if let Err(error) = self.store.audit_all(records).await {
            tracing::error!(%error, "what the desk did is not on record");
        }
    }

    /// What people are told when this timer elapses.
    async fn alert(
        &self,
        known: &Conversation,
        settings: &DeskSettings,
        timer: Timer,
        due: Time,
        now: Time,
    ) -> Option<Alert> {
        let reason = reason_in_words(known);
        let (kind, reason, tier, to) = match timer {
            Timer::Alert { .. } => {
                let kind = if known.desk().alerts == 0 {
                    AlertKind::Escalated
                } else {
                    AlertKind::Realert
                };
                let tier = known.tier(settings, now);
                (kind, reason, tier, known.owner.clone())
            }
            Timer::Breach => {
                let reason = format!("过了答应的时间还没回:{reason}").into();
                let tier = known.tier(settings, now).max(2);
                (AlertKind::Breach, reason, tier, known.owner.clone())
            }
            Timer::Window { warned } if (self.world.can_push)(&known.account) => {
                let left = match warned {
                    1 => "不到 6 小时",
                    2 => "不到 1 小时",
                    _ => "不到 15 分钟",
                };
                let reason = format!("微信的回复时限还剩{left}:{reason}").into();
                (AlertKind::Window, reason, 1, known.owner.clone())
            }
            Timer::Missed => {
                let reason = format!("48 小时内没有人回,已经错过:{reason}").into();
                (AlertKind::Window, reason, 2, known.owner.clone())
            }
            Timer::Review => {
                let reason = "两天前写的留言还没被取走,请看看是不是还对".into();
                (
                    AlertKind::Window,
                    reason,
                    1,
                    known.desk().last_agent.clone(),
                )
            }
            _ => return None,
        };
        let reason = late(reason, due, now);
        let shows_words = settings.alerts.iter().any(|channel| channel.excerpt > 0);
        Some(Alert {
            id: occasion::of(known, timer),
            kind,
            account: Some(known.account.clone()),
            conversation: Some(known.id),
            priority: known.priority,
            reason,
            waiting: now.since(known.waits_since()),
            at: now,
            tier,
            to,
            excerpt: if shows_words {
                self.last_words(known.id).await
            } else {
                Arc::from("")
            },
        })
    }

    /// What the follower wrote last.
    async fn last_words(&self, id: ConversationId) -> Arc<str> {
        let lines = self.store.messages(id, None, LOOK_BACK).await;
        let lines = lines.unwrap_or_default();
        let last = lines
            .iter()
            .rfind(|line| line.direction == Direction::In && line.kind != "event");
        let words: String = last
            .map(|line| line.text.chars().take(EXCERPT).collect())
            .unwrap_or_default();
        words.into()
    }

    /// Says whether nothing is left to tell.
    async fn tell_of_surges(&self) -> bool {
        loop {
            let Some((incident, alert)) = self.heard.lock().first().cloned() else {
                return true;
            };
            let kept = self.store.keep_incident(incident).await;
            let told = match kept {
                Ok(()) => (self.world.tell)(vec![alert]).await,
                refused => refused,
            };
            if let Err(error) = told {
                tracing::error!(%error, "a surge could not be told");
                return false;
            }
            self.heard.lock().remove(0);
        }
    }

    /// Whoever is gone has nothing any more, and whoever is there gets what waits. What the store says counts, so a going that
    /// a crash kept from being heard is seen at the next start.
    async fn look_who_left(&self) {
        let now = self.world.clock.now();
        let users = match self.store.users().await {
            Ok(users) => users,
            Err(error) => {
                tracing::error!(%error, "who is there cannot be read");
                return;
            }
        };
        let gone = |known: &Conversation| {
            let owner = known.owner.as_ref()?;
            let user = users.iter().find(|user| user.name == *owner)?;
            if user.is_disabled {
                return Some((owner.clone(), Left::Disabled));
            }
            // Who comes back tomorrow keeps what only waits for the follower, and who took it while off duty keeps it.
            let is_gone = known.state == State::Assigned
                && !user.is_on_duty
                && known.desk().seen_at < user.duty_since;
            is_gone.then(|| (owner.clone(), Left::OffDuty))
        };
        let owned = vec![
            State::Assigned,
            State::Follower,
            State::Held,
            State::Snoozed,
        ];
        for known in self.all(owned, |known| gone(known).is_some()).await {
            let Some((who, why)) = gone(&known) else {
                continue;
            };
            let act = Act::Leave {
                who: who.clone(),
                why,
            };
            match self.act(&known, act, &who, now).await {
                Ok(record) => self.record(record.into_iter().collect()).await,
                Err(error) => {
                    tracing::error!(%error, conversation = %known.id, "a conversation could not be taken from who left");
                }
            }
        }
    }

    /// Gives those who are there what waits, the most urgent and the oldest first, a few each.
    async fn give(&self, now: Time) {
        let rules = self.world.rules.load_full();
        if rules.set.settings().assign != Assign::LeastLoaded {
            return;
        }
        let load = |name: &AgentName| self.store.load(name);
        let people = (self.world.on_duty)();
        let free = people.people.iter();
        let free = free.map(|who| MOST_GIVEN.saturating_sub(load(&who.name)));
        let query = Query {
            states: vec![State::Waiting],
            order: Order::Urgency,
            limit: free.sum(),
            ..Query::default()
        };
        if query.limit == 0 {
            return;
        }
        let waiting = match self.store.conversations(&query).await {
            Ok(page) => page.conversations,
            Err(error) => {
                tracing::error!(%error, "what waits cannot be listed");
                return;
            }
        };
        for known in waiting {
            let free = people
                .of(&known.account)
                .map(|who| (load(&who.name), &who.name))
                .filter(|(load, _)| *load < MOST_GIVEN)
                .min();
            let Some((_, to)) = free else { continue };
            let act = Act::Assign {
                to: to.clone(),
                reason: "".into(),
            };
            match self.act(&known, act, &system(), now).await {
                Ok(record) => self.record(record.into_iter().collect()).await,
                Err(error) => {
                    tracing::warn!(%error, conversation = %known.id, "a conversation could not be given to somebody");
                }
            }
        }
    }

    /// Every conversation in these states for which this holds.
    async fn all(
        &self,
        states: Vec<State>,
        holds: impl Fn(&Conversation) -> bool,
    ) -> Vec<Arc<Conversation>> {
        let mut query = Query {
            states,
            limit: PAGE,
            ..Query::default()
        };
        let mut found = Vec::new();
        loop {
            let page = match self.store.conversations(&query).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "conversations cannot be listed");
                    return found;
                }
            };
            let last = page.conversations.last();
            query.after = last.map(|last| (last.updated_at, last.id));
            found.extend(page.conversations.into_iter().filter(|known| holds(known)));
            if !page.more {
                return found;
            }
        }
    }

    /// At closing time, tells whoever is on duty what cannot be answered by a push tomorrow. Says when to look again.
    async fn closing(&self, rules: &ActiveRules, now: Time) -> Option<Time> {
        const MARK: &str = "closing";
        let settings = rules.set.settings();
        let hours = settings.calendar.as_deref()?;
        let last = match self.store.marked(MARK).await {
            Ok(last) => last,
            Err(error) => {
                tracing::warn!(%error, "the last closing time cannot be read");
                return Some(now.plus(TRY_AGAIN));
            }
        };
        let from = last.unwrap_or(now);
        let close = hours.next_close(hours.next_open(from)?)?;
        if close > now {
            if last.is_none()
                && let Err(error) = self.store.mark(MARK, now).await
            {
                tracing::warn!(%error, "the closing time cannot be noted");
            }
            return Some(close);
        }
        let reopens = hours.next_open(now)?;
        let lost = self
            .all(vec![State::Waiting, State::Assigned], |known| {
                known.closes_by(reopens) && (self.world.can_push)(&known.account)
            })
            .await;
        if !lost.is_empty() {
            let count = lost.len();
            let urgent = lost.iter().map(|known| known.priority).min();
            let waiting = lost
                .iter()
                .map(|known| now.since(known.waits_since()))
                .max();
            let alert = Alert {
                id: TurnKey::of_text(&format!("closing {close}")),
                kind: AlertKind::Window,
                account: None,
                conversation: None,
                priority: urgent.unwrap_or(Priority::Normal),
                reason: late(
                    format!("{count} 个会话的回复时限在下次上班前就到了").into(),
                    close,
                    now,
                ),
                waiting: waiting.unwrap_or_default(),
                at: now,
                tier: 1,
                to: None,
                excerpt: "".into(),
            };
            if let Err(error) = (self.world.tell)(vec![alert]).await {
                tracing::error!(%error, "what closes before we reopen could not be told");
                return Some(now.plus(TRY_AGAIN));
            }
        }
        if let Err(error) = self.store.mark(MARK, now).await {
            tracing::warn!(%error, "the closing time cannot be noted");
            return Some(now.plus(TRY_AGAIN));
        }
        hours.next_close(hours.next_open(now)?)
    }
}

/// What people are told, and that it was due long before, where it was.
fn late(reason: Arc<str>, due: Time, now: Time) -> Arc<str> {
    if now.since(due) > LATE_AFTER {
        format!("{reason}(迟到的提醒)").into()
    } else {
        reason
    }
}

/// What is on record of something that the desk did.
fn record(
    what: What,
    before: &Conversation,
    after: &Conversation,
    timer: Option<Timer>,
    at: Time,
) -> AuditRecord {
    let words = |known: &Conversation| {
        let (state, owner) = (known.state.word(), known.owner.as_ref());
        json!({ "state": state, "owner": owner, "version": known.version })
    };
    let mut then = words(after);
    if let (Some(timer), Some(then)) = (timer, then.as_object_mut()) {
        then.insert("timer".to_owned(), json!(timer.word()));
    }
    AuditRecord {
        seq: 0,
        at,
        by: Some(system()),
        what: what.word().into(),
        target: before.id.to_string().into(),
        before: Some(words(before).to_string().into()),
        after: Some(then.to_string().into()),
        address: None,
        account: Some(before.account.clone()),
    }
}

/// Whether it is on record that this timer elapsed: what people were told, and what took a conversation from somebody.
const fn is_on_record(timer: Timer) -> bool {
    !matches!(timer, Timer::Quiet | Timer::Snooze | Timer::External)
}

/// What doing what is due came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elapsed {
    Nothing,
    /// There may be more.
    More,
    /// The store refused.
    Refused,
}

/// When people are back after the next closing time; `None` where they are always there.
pub fn reopens(settings: &DeskSettings, now: Time) -> Option<Time> {
    let hours = settings.calendar.as_deref()?;
    hours.next_open(hours.next_close(now)?)
}

/// Why a conversation waits, for people.
pub fn reason_in_words(known: &Conversation) -> Arc<str> {
    if let Some(note) = known.reason_note.as_ref().filter(|note| !note.is_empty()) {
        return Arc::clone(note);
    }
    let words = match known.reason {
        Some(Reason::Unmatched) => "没有规则回答",
        Some(Reason::Repeated) => "同一个问题问了几遍",
        Some(Reason::Handoff) => "规则转人工",
        Some(Reason::Form) => "表单没填成",
        Some(Reason::Hook) => "查询没有结果",
        Some(Reason::Unsendable) => "规则的内容发不出去",
        Some(Reason::Asked) => "要找人",
        Some(Reason::Crisis) => "危机词",
        Some(Reason::Pressing) => "比较急",
        None => "等人回答",
    };
    words.into()
}

/// What people are told of a surge, and what they find when they look.
fn incident(known: &Conversation, topic: &Topic, surge: Surge, now: Time) -> (Incident, Alert) {
    let (priority, name) = match topic {
        Topic::Crisis(name) => (Priority::Urgent, Some(name)),
        Topic::Words(_) => (Priority::High, None),
    };
    let about = name.map_or_else(|| "差不多的事".to_owned(), |name| format!("「{name}」"));
    let id = TurnKey::of_text(&format!("surge {} {}", known.id, known.version));
    let alert = Alert {
        id,
        kind: AlertKind::Surge,
        account: Some(known.account.clone()),
        conversation: None,
        priority,
        reason: format!("15 分钟里 {} 位粉丝说{about}", surge.followers).into(),
        waiting: Duration::ZERO,
        at: now,
        tier: 2,
        to: None,
        // Of several followers: erasing one would not find it.
        excerpt: "".into(),
    };
    let incident = Incident {
        id,
        at: now,
        priority,
        about: name.map(|name| Arc::from(&**name)),
        followers: u32::try_from(surge.followers).unwrap_or(u32::MAX),
        accounts: surge.accounts,
        conversations: surge.conversations,
        note: "".into(),
        answer: "".into(),
        written: None,
        closed: None,
    };
    (incident, alert)
}

/// The name under which the desk itself acts.
fn system() -> AgentName {
    AgentName::parse("system").expect("it is short and not empty")
}
