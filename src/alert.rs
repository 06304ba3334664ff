//! Tells people who do not look: raises alerts, and sees each of them to its channels or to the list of what was given up.
//! Owns: who is told, what waits, how each channel fares, the daily heartbeat. Uses: store, outbound, clock, model. Never: why an
//! alert is raised; a message text, a secret or an address in a log.
//!
//! [`plan`] decides what a channel tells and when, [`wording`] says it, [`post`] makes the attempt. What follows from it is
//! here: a notice is done, tried again, or given up, and a channel that fails is reported by another one, once.

mod email;
mod failure;
mod plan;
mod post;
mod robots;
mod state;
mod webhook;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::alert::{Alert, AlertChannel, AlertKind};
use crate::model::desk::DeskSettings;
use crate::model::entry::Priority;
use crate::model::notice::{ChannelRecord, DeadNotice, Notice, Raised, SettledNotice};
use crate::model::{Calendar, State as Stage, Time, TurnKey};
use crate::outbound::{AllowedHost, Exchange, Lookup, Secrets, system_lookup};
use crate::store::{Error, Store};
pub use failure::Failure;
use plan::{Next, Situation};
use post::{Postman, Telling};
pub use state::ChannelStanding;
use state::{Lines, Taken};

/// How long a raised alert is known by its id, and how long what was given up stays.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A notice that waited longer is looked at once more: somebody may have taken the conversation meanwhile.
const FRESH: Duration = Duration::from_secs(30);
/// The tier that reaches every channel.
const EVERYBODY: u8 = u8::MAX;
/// From so many failures in a row on, a failure that time may mend is reported.
const REPORTED_AFTER: u32 = 2;
/// The pause after the store refused.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The settings of the desk as they are now: a reload is seen.
pub type Desk = Arc<dyn Fn() -> Arc<DeskSettings> + Send + Sync>;

/// How many conversations wait for a person now.
pub type CountWaiting = Arc<dyn Fn() -> usize + Send + Sync>;

/// Told of every attempt on a channel, and of notices that were given up or left out: `ok`, `failed`, `dead`, `dropped`,
/// `stale`; once what follows from it is written down. For counters.
pub type Observe = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// Whom alerts may reach, and with which secrets.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// `[alerts] allow` and `[hooks] allow`. Robots' own hosts need not be listed.
    pub allowed: Vec<AllowedHost>,
    /// The variables that `env:NAME` may name.
    pub secrets: Secrets,
    /// Where the server is seen from outside, without a slash at its end; links begin with it.
    pub public_url: Option<String>,
}

/// What alerts know of the world.
pub struct Surroundings {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// The channels, and what is night.
    pub desk: Desk,
    /// For the heartbeat.
    pub count_waiting: CountWaiting,
    /// For counters.
    pub observe: Observe,
    /// Looks names up; [`system_lookup`] but in tests.
    pub lookup: Lookup,
}

impl Surroundings {
    /// The surroundings of a server whose desk is this.
    pub fn new(store: Arc<dyn Store>, clock: Clock, desk: Desk) -> Self {
        Self {
            store,
            clock,
            desk,
            count_waiting: Arc::new(|| 0),
            observe: Arc::new(|_, _| ()),
            lookup: system_lookup(),
        }
    }
}

/// Everything that is to be told; one value for the whole server.
pub struct Alerts {
    world: Surroundings,
    postman: Arc<Postman>,
    lines: Mutex<Lines>,
    wake: Notify,
}

/// Why a channel could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no such channel.
    #[error("there is no channel of that name")]
    NotFound,
    /// It did not take the message.
    #[error(transparent)]
    Failed(Failure),
}

impl Alerts {
    /// Takes up what was waiting when the server stopped.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(settings: AlertSettings, world: Surroundings) -> Result<Self, Error> {
        let records = world.store.channel_records().await?;
        let waiting = world.store.notices().await?;
        let dead = world.store.dead_notices().await?;
        let postman = Postman {
            exchange: Exchange::new(settings.allowed, Arc::clone(&world.lookup)),
            secrets: settings.secrets,
            public_url: settings.public_url,
        };
        Ok(Self {
            lines: Mutex::new(Lines::new(records, waiting, &dead)),
            world,
            postman: Arc::new(postman),
            wake: Notify::new(),
        })
    }

    /// Raises an alert: every channel of its tier and below tells it in time. The same id again tells nothing. Durable on
    /// return; nothing is kept where no channel would tell it. One of a conversation that the store does not know, because
    /// its follower was erased, is not told.
    ///
    /// # Errors
    /// [`Error`] when it could not be kept. It is told all the same as long as the server runs, and may be raised again.
    pub async fn raise(&self, alert: Alert) -> Result<(), Error> {
        self.raise_all(vec![alert]).await
    }

    /// The same with several, in one step.
    ///
    /// # Errors
    /// As [`Alerts::raise`].
    pub async fn raise_all(&self, alerts: Vec<Alert>) -> Result<(), Error> {
        let desk = (self.world.desk)();
        let now = self.world.clock.now();
        let on = |alert: &Alert| -> Vec<Notice> {
            let told = desk.alerts.iter().filter(|one| one.tier <= alert.tier);
            told.map(|one| Notice::new(alert, &one.name, one.excerpt, now))
                .collect()
        };
        let raised = alerts.into_iter().map(|alert| {
            let notices = on(&alert);
            (alert, notices)
        });
        let raised = raised.filter(|(_, notices)| !notices.is_empty()).collect();
        self.keep(raised, now).await
    }

    async fn keep(&self, mut raised: Vec<(Alert, Vec<Notice>)>, now: Time) -> Result<(), Error> {
        if raised.is_empty() {
            return Ok(());
        }
        for (alert, notices) in &mut raised {
            let dropped = self.lines.lock().leave_out(notices, alert.priority);
            for channel in dropped {
                (self.world.observe)(&channel, "dropped");
            }
        }
        let stored = raised.iter().map(|(alert, notices)| {
            // What the follower wrote is kept with a notice only, as far as its channel may show it.
            let excerpt = "".into();
            let alert = Alert {
                excerpt,
                ..alert.clone()
            };
            (alert, notices.clone())
        });
        let kept = self.world.store.raise_alerts(stored.collect(), now).await;
        let mut lines = self.lines.lock();
        match &kept {
            Ok(are_new) => {
                for ((alert, notices), is_new) in raised.into_iter().zip(are_new) {
                    // Told from memory since the store refused it.
                    if *is_new && !lines.was_unkept(alert.id) {
                        lines.add(notices);
                    }
                }
            }
            Err(_) => {
                for (alert, notices) in raised {
                    if lines.is_first(alert.id) {
                        lines.add(notices);
                    }
                }
            }
        }
        drop(lines);
        self.wake.notify_one();
        kept.map(drop)
    }

    /// Sends a test on a channel now, past everything that waits.
    ///
    /// # Errors
    /// [`TrialError`].
    pub async fn test(&self, name: &str) -> Result<(), TrialError> {
        let desk = (self.world.desk)();
        let channel = desk.alerts.iter().find(|one| &*one.name == name);
        let channel = channel.cloned().ok_or(TrialError::NotFound)?;
        let told = self.attempt(&channel, Telling::Trial).await;
        let now = self.world.clock.now();
        let record = self.lines.lock().note(&channel.name, told, false, now);
        self.write_down(&channel.name, record, Vec::new()).await;
        (self.world.observe)(&channel.name, result_word(told));
        told.map_err(TrialError::Failed)
    }

    /// How each channel stands, in the rules' order.
    pub fn standing(&self) -> Vec<ChannelStanding> {
        let desk = (self.world.desk)();
        let lines = self.lines.lock();
        desk.alerts
            .iter()
            .map(|channel| lines.standing(channel))
            .collect()
    }

    /// What was given up, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn dead(&self) -> Result<Vec<DeadNotice>, Error> {
        self.world.store.dead_notices().await
    }

    /// Has something that was given up sent again, as if it were new; `false` when there is nothing of this id.
    ///
    /// # Errors
    /// When the store could not write it.
    pub async fn resend(&self, id: TurnKey) -> Result<bool, Error> {
        let now = self.world.clock.now();
        let Some(notice) = self.world.store.revive_notice(id, now).await? else {
            return Ok(false);
        };
        self.lines.lock().revive(notice);
        self.wake.notify_one();
        Ok(true)
    }

    /// Works until told to stop; attempts under way are finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let now = self.world.clock.now();
            let desk = (self.world.desk)();
            let mut until = self.beat(&desk, now).await;
            self.give_up_gone(&desk, now).await;
            for channel in &desk.alerts {
                let next = self
                    .lines
                    .lock()
                    .take(channel, desk.daytime.as_deref(), now);
                match next {
                    Taken::Tell { notices, unlisted } => {
                        let (alerts, channel) = (Arc::clone(&self), channel.clone());
                        under_way.spawn(async move {
                            alerts.tell(&channel, notices, unlisted).await;
                            alerts.lines.lock().free(&channel.name);
                            alerts.wake.notify_one();
                        });
                    }
                    Taken::Wait(at) => until = until.min(at),
                    Taken::Rest => {}
                }
            }
            while under_way.try_join_next().is_some() {}
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = self.world.clock.reach(until) => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Raises the day's heartbeat if it is day and nobody did, and says when to look again.
    async fn beat(&self, desk: &DeskSettings, now: Time) -> Time {
        // A day ends with its evening; where there is none, at 08:00 in Shanghai.
        let (is_day, until) = match &desk.daytime {
            None => (true, Some(next_day(now))),
            Some(daytime) if daytime.is_open(now) => (true, daytime.next_close(now)),
            Some(daytime) => (false, daytime.next_open(now)),
        };
        let until = until.unwrap_or(now.plus(DAY)).max(now.plus(STORE_PAUSE));
        if !is_day || desk.alerts.is_empty() || self.lines.lock().beaten == Some(until) {
            return until;
        }
        match self.raise_heartbeat(until, now).await {
            Ok(()) => {
                self.lines.lock().beaten = Some(until);
                until
            }
            Err(error) => {
                tracing::warn!(%error, "the heartbeat cannot be raised");
                now.plus(STORE_PAUSE)
            }
        }
    }

    async fn raise_heartbeat(&self, until: Time, now: Time) -> Result<(), Error> {
        let raised = self.world.store.raised_alerts(now.minus(DAY)).await?;
        let is_crisis =
            |one: &&Raised| one.priority == Priority::Urgent && one.kind == AlertKind::Escalated;
        let crises = raised.iter().filter(is_crisis).count();
        let waiting = (self.world.count_waiting)();
        let reason = format!("过去 24 小时 {crises} 起紧急,现在 {waiting} 人在等");
        self.raise(Alert {
            id: TurnKey::of_text(&format!("heartbeat/{}", until.millis())),
            kind: AlertKind::Heartbeat,
            account: None,
            conversation: None,
            priority: Priority::Low,
            reason: reason.into(),
            waiting: Duration::ZERO,
            at: now,
            tier: EVERYBODY,
            to: None,
            excerpt: "".into(),
        })
        .await?;
        self.world
            .store
            .forget_alerts(now.minus(REMEMBERED))
            .await?;
        let dead = self.world.store.dead_notices().await?;
        self.lines.lock().count_dead(&dead);
        Ok(())
    }

    /// Gives up what waits for channels that are not in the rules any more.
    async fn give_up_gone(&self, desk: &DeskSettings, now: Time) {
        let gone = self.lines.lock().take_gone(&desk.alerts);
        for (name, record, notices) in gone {
            let dead = notices.into_iter().map(|notice| {
                SettledNotice::Dead(DeadNotice {
                    notice,
                    at: now,
                    failure: "这个通道已经不在规则里".into(),
                })
            });
            let dead: Vec<SettledNotice> = dead.collect();
            self.write_down(&name, record, dead.clone()).await;
            self.observe_all(&name, &dead);
        }
    }

    /// Tells these on a channel, and settles what comes of it.
    async fn tell(&self, channel: &AlertChannel, notices: Vec<Notice>, unlisted: usize) {
        let (notices, stale) = self.still_true(notices).await;
        let mut settled: Vec<SettledNotice> = Vec::new();
        settled.extend(stale.iter().map(|notice| SettledNotice::Done(notice.id)));
        let Some(first) = notices.first() else {
            let record = {
                let mut lines = self.lines.lock();
                lines.unlisted_again(&channel.name, unlisted);
                lines.settle(&channel.name, &settled)
            };
            self.write_down(&channel.name, record, settled).await;
            stale
                .iter()
                .for_each(|_| (self.world.observe)(&channel.name, "stale"));
            return;
        };
        let urgency = first.alert.priority;
        let is_digest = notices
            .iter()
            .any(|notice| plan::is_of_digest(notice, channel.kind));
        let telling = Telling::Notices(notices.clone(), unlisted);
        let told = self.attempt(channel, telling).await;
        let now = self.world.clock.now();
        for notice in notices {
            settled.push(match told {
                Ok(()) => SettledNotice::Done(notice.id),
                Err(failure) => self.failed(channel, notice, failure, now),
            });
        }
        let record = {
            let mut lines = self.lines.lock();
            let record = lines.note(&channel.name, told, is_digest, now);
            if told.is_err() {
                lines.unlisted_again(&channel.name, unlisted);
            }
            lines.settle(&channel.name, &settled);
            record
        };
        let report = told.err().filter(|failure| {
            let is_certain = failure.is_lasting()
                || urgency == Priority::Urgent
                || record.failures >= REPORTED_AFTER;
            !record.is_reported && is_certain
        });
        self.write_down(&channel.name, record, settled.clone())
            .await;
        if let Some(failure) = report {
            self.report(channel, failure, urgency.min(Priority::High), now)
                .await;
        }
        stale
            .iter()
            .for_each(|_| (self.world.observe)(&channel.name, "stale"));
        (self.world.observe)(&channel.name, result_word(told));
        self.observe_all(&channel.name, &settled);
    }

    /// Counts those that were given up.
    fn observe_all(&self, channel: &str, settled: &[SettledNotice]) {
        let is_dead = |one: &&SettledNotice| matches!(one, SettledNotice::Dead(_));
        for _ in settled.iter().filter(is_dead) {
            (self.world.observe)(channel, "dead");
        }
    }

    /// Tries again later, or gives up.
    fn failed(
        &self,
        channel: &AlertChannel,
        mut notice: Notice,
        failure: Failure,
        now: Time,
    ) -> SettledNotice {
        notice.attempts = notice.attempts.saturating_add(1);
        match plan::again(&notice, notice.attempts, failure.pause(), now) {
            Some(at) => {
                notice.not_before = at;
                SettledNotice::Again(notice)
            }
            None => {
                tracing::error!(alert.channel = %channel.name, alert.kind = notice.alert.kind.word(), alert.notice = %notice.id,
                    "an alert could not be told and was given up");
                let failure = failure.to_string().into();
                SettledNotice::Dead(DeadNotice {
                    notice,
                    at: now,
                    failure,
                })
            }
        }
    }

    async fn attempt(&self, channel: &AlertChannel, telling: Telling) -> Result<(), Failure> {
        let began = self.world.clock.now();
        self.lines.lock().begin(&channel.name, began);
        let told = self.postman.tell(channel.clone(), telling, began).await;
        match told {
            Ok(()) => tracing::info!(alert.channel = %channel.name, "alert told"),
            Err(failure) => {
                tracing::warn!(alert.channel = %channel.name, %failure, "an alert was not taken");
            }
        }
        told
    }

    /// Tells others that a channel fails: those that work, of the lowest tier that has one. Nobody is told of the failure to
    /// tell this but by the next channel that works, so it ends.
    async fn report(
        &self,
        failing: &AlertChannel,
        failure: Failure,
        priority: Priority,
        now: Time,
    ) {
        let desk = (self.world.desk)();
        let others: Vec<&AlertChannel> = {
            let lines = self.lines.lock();
            let works = |one: &&AlertChannel| {
                one.name != failing.name && lines.standing(one).failing_since.is_none()
            };
            desk.alerts.iter().filter(works).collect()
        };
        let Some(tier) = others.iter().map(|one| one.tier).min() else {
            tracing::error!(alert.channel = %failing.name, "an alert channel fails and no other works");
            return;
        };
        let since = self.lines.lock().standing(failing).failing_since;
        let since = since.unwrap_or(now);
        let kind = wording::channel_word(failing.kind);
        let reason = format!("通道「{}」({kind}):{failure}", failing.name);
        let alert = Alert {
            id: TurnKey::of_text(&format!("channel_failed/{}/{since}", failing.name)),
            kind: AlertKind::ChannelFailed,
            account: None,
            conversation: None,
            priority,
            reason: reason.into(),
            waiting: Duration::ZERO,
            at: now,
            tier,
            to: None,
            excerpt: "".into(),
        };
        let notices = others.into_iter().filter(|one| one.tier == tier);
        let notices = notices.map(|one| Notice::new(&alert, &one.name, 0, now));
        let raised = vec![(alert.clone(), notices.collect())];
        if let Err(error) = self.keep(raised, now).await {
            tracing::warn!(%error, "the report of a failing channel could not be kept");
        }
        let record = self.lines.lock().reported(&failing.name);
        self.write_down(&failing.name, record, Vec::new()).await;
    }

    /// Parts what is still to be told from what is not: a conversation that was taken while its notice waited, or that was
    /// erased.
    async fn still_true(&self, notices: Vec<Notice>) -> (Vec<Notice>, Vec<Notice>) {
        let now = self.world.clock.now();
        let (mut fresh, mut stale) = (Vec::new(), Vec::new());
        for notice in notices {
            let alert = &notice.alert;
            let is_about_waiting = matches!(alert.kind, AlertKind::Escalated | AlertKind::Realert)
                && alert.to.is_none()
                && alert.priority != Priority::Urgent
                && now.since(notice.since) > FRESH;
            let is_over = match alert.conversation {
                Some(id) => match self.world.store.conversation(id).await {
                    Ok(Some(known)) => is_about_waiting && known.state != Stage::Waiting,
                    Ok(None) => true,
                    // Told once too often is better than not at all.
                    Err(_) => false,
                },
                None => false,
            };
            if is_over {
                stale.push(notice);
            } else {
                fresh.push(notice);
            }
        }
        (fresh, stale)
    }

    async fn write_down(&self, channel: &str, record: ChannelRecord, settled: Vec<SettledNotice>) {
        let store = &self.world.store;
        if let Err(error) = store.settle_notices(channel, record, settled).await {
            // After a restart it may be told once more.
            tracing::warn!(%error, alert.channel = channel, "how an alert fared could not be kept");
        }
    }
}

const fn result_word(told: Result<(), Failure>) -> &'static str {
    match told {
        Ok(()) => "ok",
        Err(_) => "failed",
    }
}

/// The next 08:00 in Shanghai: midnight in UTC.
fn next_day(now: Time) -> Time {
    let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
    Time::from_millis((now.millis().div_euclid(day) + 1).saturating_mul(day))
}

/// What a channel does next, for [`state`].
fn next(
    channel: &AlertChannel,
    record: &ChannelRecord,
    posted: &[Time],
    daytime: Option<&Calendar>,
    waiting: &[Notice],
    now: Time,
) -> Next {
    let situation = Situation {
        channel,
        digest_at: record.digest_at,
        posted,
        daytime,
    };
    plan::next(&situation, waiting, now)
}
