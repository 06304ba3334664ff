//! Brings the server up in order: store, rules, tokens, address.
//! Owns: that order. Uses: store::sled, rules, wechat, turn, delivery. Never: the configuration file.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use ahash::AHashMap;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::api::{Events, words};
use super::media::{BROUGHT, Media, RECEIVED, UPLOADS};
use super::metrics::Metrics;
use super::people::{Load, Moved, People, Roster};
use super::presence::Presence;
use super::privacy::{Elsewhere, Privacy};
use super::remote::Proxies;
use super::rules::{Keeper, OpeningError};
use super::webhook::Door;
use super::{Application, Settings, Site, bind};
use crate::alert::{AlertSettings, Alerts, Surroundings};
use crate::clock::Clock;
use crate::delivery::{Bring, Delivery, Renew};
use crate::desk::{self, Desk};
use crate::files::Cache;
use crate::hook::HookCaller;
use crate::model::media::hex;
use crate::model::{
    AccountName, AuditRecord, Conversation, Fetched, OpenId, State, Time, Timer, What,
};
use crate::received::Received;
use crate::rights::Rights;
use crate::rules;
use crate::store::sled::{Settings as StoreSettings, SledStore};
use crate::store::{self, Query, Store};
use crate::turn::{self, AskHook, CanPush, Turns, WhoIsOnDuty, World};
use crate::upload::Uploader;
use crate::wechat::Client;
use crate::wechat::client::Observe;

/// The file in the data directory that holds the address the running server listens on.
pub const ADDRESS_FILE: &str = "address";

/// The least time for which answers are kept for WeChat's repeats.
const LEDGER_FOR: Duration = Duration::from_secs(24 * 3600);

/// In how many of the newest conversations the last message is looked for: an agent's act is no message.
const NEWEST: usize = 20;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("数据目录 {path} 用不了 | cannot use the data directory {path}: {error}", path = path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Another process uses the store.
    #[error("数据目录 {path} 正被另一个 wxreply 使用 | another wxreply already uses the data directory {path}", path = path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The store does not open.
    #[error("存储打不开 | the store does not open: {0}")]
    Store(#[source] store::Error),
    /// The rules directory is bad and no good revision is stored; the text holds the diagnostics.
    #[error(
        "{0}\n规则目录不能用,也没有存下来的好版本 | the rules cannot be used and no good revision is stored"
    )]
    Rules(String),
    /// The address cannot be bound.
    #[error("不能监听 {0} | cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[source] prometheus::Error),
}

impl From<OpeningError> for StartError {
    fn from(error: OpeningError) -> Self {
        match error {
            OpeningError::Store(error) => Self::Store(error),
            OpeningError::Bad(diagnostics) => Self::Rules(diagnostics),
        }
    }
}

/// Brings everything up.
pub(super) async fn build(settings: Settings) -> Result<Application, StartError> {
    let data = |error| StartError::Data {
        path: settings.data.clone(),
        error,
    };
    std::fs::create_dir_all(&settings.data).map_err(data)?;
    let store = open_store(&settings).await?;
    match assemble(&settings, Arc::clone(&store)).await {
        Ok(application) => Ok(application),
        Err(error) => {
            store.close().await;
            Err(error)
        }
    }
}

async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    let remembered = StoreSettings {
        // A repeat with a fresh enough time stamp must find its answer.
        ledger_for: LEDGER_FOR.max(settings.max_skew.saturating_mul(2)),
        ..StoreSettings::default()
    };
    match SledStore::open_with(&settings.data, remembered, settings.clock.now()).await {
        Ok(store) => Ok(store),
        Err(store::Error::Locked(_)) => Err(StartError::Locked {
            path: settings.data.clone(),
        }),
        Err(error) => Err(StartError::Store(error)),
    }
}

async fn assemble(settings: &Settings, store: Arc<dyn Store>) -> Result<Application, StartError> {
    let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
    let called = Arc::new(Notify::new());
    let clients = clients(settings, &metrics, &called);
    let uploader = uploader(settings, &store, &clients).await?;
    let data = |error| StartError::Data {
        path: settings.data.clone(),
        error,
    };
    let media = Media::open(
        &settings.data,
        Arc::clone(&store),
        Arc::clone(&uploader),
        settings.clock.clone(),
    );
    let media = Arc::new(media.map_err(data)?);
    let opened = Keeper::open(
        settings.rules.clone(),
        options(settings),
        Arc::clone(&store),
        Arc::clone(&metrics),
        Arc::clone(&media),
    );
    let (keeper, notice) = opened.await?;
    let alerts = alerts(settings, &store, &keeper, &metrics).await?;
    store.set_words(Arc::new(words));
    let presence = Arc::<Presence>::default();
    let cache = |path: &str| Cache::open(&settings.data.join(path)).map_err(data);
    let received = Arc::new(Received::new(
        Arc::clone(&store),
        cache(RECEIVED)?,
        cache(BROUGHT)?,
        clients.clone(),
        settings.clock.clone(),
    ));
    let privacy = Arc::new(Privacy::new(
        Arc::clone(&store),
        settings.clock.clone(),
        settings.timezone.clone(),
        settings.keep_messages,
        vec![followers_files(&received)],
    ));
    let people_moved = Arc::<Notify>::default();
    let moved: Moved = {
        let people_moved = Arc::clone(&people_moved);
        Arc::new(move |_name, _where| people_moved.notify_one())
    };
    let roster = Roster::open(Arc::clone(&store), load(&store), moved);
    let roster = roster.await.map_err(StartError::Store)?;
    let world = desk::World {
        rules: keeper.shared(),
        rules_changed: keeper.went_live(),
        people_moved,
        clock: settings.clock.clone(),
        tell: tell(&alerts),
        last_look: last_look(&presence),
        can_push: can_push(&clients),
        on_duty: on_duty(&roster),
        observe: elapsed(&metrics),
    };
    let desk = Arc::new(Desk::new(Arc::clone(&store), world));
    let can_push = clients.iter().map(|(name, client)| {
        let client = Arc::clone(client);
        let can: CanPush = Arc::new(move || client.can_push());
        (name.clone(), can)
    });
    let people = People::open(&store, Arc::clone(&roster), settings.clock.now());
    let people = people.await.map_err(StartError::Store)?;
    let world = World {
        can_push: can_push.collect(),
        ask_hook: ask_hook(settings, &metrics),
        media: ids_of(&uploader),
        erased: {
            let (privacy, store) = (Arc::clone(&privacy), Arc::clone(&store));
            let clock = settings.clock.clone();
            Arc::new(move |account: AccountName, follower: OpenId| {
                let privacy = Arc::clone(&privacy);
                let (store, at) = (Arc::clone(&store), clock.now());
                Box::pin(async move {
                    privacy.erase_elsewhere(&account, &follower).await?;
                    store
                        .audit(asked_to_be_forgotten(account, &follower, at))
                        .await?;
                    Ok(())
                })
            })
        },
        hear: {
            let desk = Arc::clone(&desk);
            Arc::new(move |known, incoming, moved, now| desk.hear(known, incoming, moved, now))
        },
        first_answer: first_answer(&metrics),
        on_duty: on_duty(&roster),
    };
    let turns = Arc::new(Turns::new(
        Arc::clone(&store),
        keeper.shared(),
        world,
        settings.deadline,
    ));
    let counted = Arc::clone(&metrics);
    let delivery = Delivery::new(
        Arc::clone(&store),
        &clients,
        settings.clock.clone(),
        Arc::new(move |taken, result| counted.pushed(taken, result)),
    )
    .with_accounts(settings.accounts.iter().map(|of| of.account.name.clone()))
    .renewing(renew(&uploader))
    .bringing(bring(&uploader))
    .showing(first_answer(&metrics));
    let delivery = Arc::new(delivery);
    let measured = {
        let (delivery, uploader) = (Arc::clone(&delivery), Arc::clone(&uploader));
        let clients = clients.clone();
        Arc::new(move |account: &AccountName| {
            uploader.rights_changed(account);
            let client = clients.get(account);
            if client.is_some_and(|client| client.known().trouble.is_none()) {
                delivery.resume(account);
            }
        })
    };
    let rights = Rights::open(
        Arc::clone(&store),
        clients.clone(),
        settings.clock.clone(),
        called,
        measured,
    );
    let rights = Arc::new(rights.await.map_err(StartError::Store)?);
    let access = Access::new(
        Arc::clone(&store),
        settings.clock.clone(),
        settings.api_token.as_ref(),
        &settings.data,
    )
    .map_err(data)?;
    let mut doors = AHashMap::new();
    for of in &settings.accounts {
        let last = last_inbound(&*store, &of.account.name).await;
        doors.extend([door(of, &metrics, last)]);
    }
    let stopping = CancellationToken::new();
    let site = Site {
        events: Events::new(stopping.clone()),
        privacy: Arc::clone(&privacy),
        doors,
        store: Arc::clone(&store),
        clients,
        delivery: Arc::clone(&delivery),
        rights: Arc::clone(&rights),
        received: Arc::clone(&received),
        proxies: Proxies::new(settings.trusted_proxies.clone()),
        max_skew: settings.max_skew,
        clock: settings.clock.clone(),
        presence: Arc::clone(&presence),
        alerts: Arc::clone(&alerts),
        turns,
        keeper: Arc::clone(&keeper),
        backtest: tokio::sync::Mutex::default(),
        access,
        people,
        media,
        metrics,
    };
    let listen = settings.listen;
    let (server, address) = bind(site, settings.public_url.prefix(), listen)
        .map_err(|error| StartError::Listen(listen, error))?;
    std::fs::write(settings.data.join(ADDRESS_FILE), format!("{address}\n")).map_err(data)?;
    tracing::info!(%address, accounts = settings.accounts.len(), "listening");
    Ok(Application {
        server,
        address,
        store,
        delivery,
        desk,
        alerts,
        uploader,
        rights,
        received,
        keeper,
        privacy,
        stopping,
        notice,
    })
}

/// Counts what happened by itself.
fn elapsed(metrics: &Arc<Metrics>) -> desk::Observe {
    let metrics = Arc::clone(metrics);
    let counted = Arc::clone(&metrics);
    let breached = move |before: &Conversation| {
        let is_next = before.desk().first_answer_at.is_some();
        let word = if is_next { "next" } else { "first" };
        counted.breached(&before.account, before.priority, word);
    };
    Arc::new(move |before, _after, timer| match timer {
        Timer::Breach => breached(before),
        Timer::Missed => {
            metrics.window_missed(&before.account);
            // The promise ended with the window at the latest.
            if !before.desk().is_breached {
                breached(before);
            }
        }
        _ => {}
    })
}

/// Counts how long the first answer took that has just arrived, if one has.
fn first_answer(metrics: &Arc<Metrics>) -> turn::FirstAnswer {
    let metrics = Arc::clone(metrics);
    Arc::new(move |known, now| {
        // Where nobody asked, nobody has waited: a person came by, perhaps after an episode that was missed.
        if known.desk().first_answer_at == Some(now) && known.reason.is_some() {
            let took = now.since(known.opened_at);
            metrics.first_response(&known.account, known.priority, took);
        }
    })
}

/// What followers sent besides words.
fn followers_files(received: &Arc<Received>) -> Elsewhere {
    let (sweeping, erasing, listing) = (
        Arc::clone(received),
        Arc::clone(received),
        Arc::clone(received),
    );
    Elsewhere {
        sweep: Box::new(move |before| {
            let received = Arc::clone(&sweeping);
            Box::pin(async move { received.sweep(before).await.map(drop) })
        }),
        erase: Box::new(move |account, follower| {
            let received = Arc::clone(&erasing);
            Box::pin(async move { received.forget(&account, &follower).await.map(drop) })
        }),
        list: Box::new(move |account, follower| {
            let received = Arc::clone(&listing);
            Box::pin(async move {
                let all = received.of(&account, &follower).await?;
                let shown = all.into_iter().map(|media| {
                    let fetched = match media.fetched {
                        Fetched::Kept { hash, bytes, .. } => {
                            json!({ "sha256": hex(&hash), "bytes": bytes })
                        }
                        Fetched::Waiting { .. } => json!("waiting"),
                        Fetched::Failed { reason, .. } => json!({ "failed": reason }),
                    };
                    json!({ "message": media.message, "at": media.at, "file": fetched })
                });
                Ok(shown.collect())
            })
        }),
    }
}

/// What is on record of a follower who asked WeChat to be forgotten.
fn asked_to_be_forgotten(account: AccountName, follower: &OpenId, at: Time) -> AuditRecord {
    AuditRecord {
        seq: 0,
        at,
        by: None,
        what: What::FollowerErased.word().into(),
        target: follower.short().to_string().into(),
        before: None,
        after: None,
        address: None,
        account: Some(account),
    }
}

/// The way to people who do not look.
fn tell(alerts: &Arc<Alerts>) -> desk::Tell {
    let alerts = Arc::clone(alerts);
    Arc::new(move |told| {
        let alerts = Arc::clone(&alerts);
        Box::pin(async move { alerts.raise_all(told).await })
    })
}

/// When somebody last looked at a conversation.
fn last_look(presence: &Arc<Presence>) -> desk::LastLook {
    let presence = Arc::clone(presence);
    Arc::new(move |id, name| presence.seen(id, name))
}

/// Which accounts can push now.
fn can_push(clients: &HashMap<AccountName, Arc<Client>>) -> desk::CanPush {
    let clients = clients.clone();
    Arc::new(move |account| clients.get(account).is_some_and(|client| client.can_push()))
}

/// How many conversations somebody has to answer.
fn load(store: &Arc<dyn Store>) -> Load {
    let store = Arc::clone(store);
    Arc::new(move |name| store.load(name))
}

/// Whom turns take for being there.
fn on_duty(roster: &Arc<Roster>) -> WhoIsOnDuty {
    let roster = Arc::clone(roster);
    Arc::new(move || roster.now())
}

async fn alerts(
    settings: &Settings,
    store: &Arc<dyn Store>,
    keeper: &Keeper,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Alerts>, StartError> {
    let (active, counted, waiting) = (keeper.shared(), Arc::clone(metrics), Arc::clone(store));
    let desk = Arc::new(move || Arc::new(active.load().set.settings().clone()));
    let world = Surroundings {
        count_waiting: Arc::new(move || {
            let counts = waiting.counts().into_iter();
            let counts = counts.filter(|(_, state, _)| *state == State::Waiting);
            counts.map(|(.., count)| count).sum()
        }),
        observe: Arc::new(move |channel, result| counted.notified(channel, result)),
        ..Surroundings::new(Arc::clone(store), settings.clock.clone(), desk)
    };
    let settings = AlertSettings {
        allowed: [settings.alerts.clone(), settings.hooks.allowed.clone()].concat(),
        secrets: settings.hooks.secrets.clone(),
        public_url: settings.public_url.pages(),
    };
    let alerts = Alerts::open(settings, world).await;
    alerts.map(Arc::new).map_err(StartError::Store)
}

fn ask_hook(settings: &Settings, metrics: &Arc<Metrics>) -> AskHook {
    let counted = Arc::clone(metrics);
    let caller = Arc::new(HookCaller::new(
        settings.hooks.clone(),
        now_of(&settings.clock),
        Arc::new(move |call, result, took| counted.asked(&call.rule, result, took)),
    ));
    Arc::new(move |call| Box::pin(Arc::clone(&caller).ask(call)))
}

fn door(of: &super::AccountSettings, metrics: &Metrics, last: Option<Time>) -> (String, Door) {
    let account = Arc::clone(&of.account);
    let metrics = metrics.account(&account.name);
    let last_inbound = AtomicI64::new(last.map_or(0, Time::millis));
    let name = account.name.as_str().to_owned();
    let door = Door {
        account,
        metrics,
        last_inbound,
    };
    (name, door)
}

/// When something last came for an account, as its newest conversations show.
async fn last_inbound(store: &dyn Store, account: &AccountName) -> Option<Time> {
    let query = Query {
        accounts: vec![account.clone()],
        limit: NEWEST,
        ..Query::default()
    };
    let newest = store.conversations(&query).await.ok()?;
    let came = newest.conversations.iter();
    came.filter_map(|one| one.last_inbound.map(|message| message.time()))
        .max()
}

fn clients(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    called: &Arc<Notify>,
) -> HashMap<AccountName, Arc<Client>> {
    let with_client = settings
        .accounts
        .iter()
        .filter_map(|of| Some((of.account.name.clone(), of.client.clone()?)));
    with_client
        .map(|(name, client)| {
            let (account, metrics, called) =
                (name.clone(), Arc::clone(metrics), Arc::clone(called));
            let observe: Observe = Arc::new(move |ended| {
                metrics.called(&account, ended);
                called.notify_one();
            });
            let client = Client::observed(client, now_of(&settings.clock), observe);
            (name, Arc::new(client))
        })
        .collect()
}

async fn uploader(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clients: &HashMap<AccountName, Arc<Client>>,
) -> Result<Arc<Uploader>, StartError> {
    let cache = |path: &str| {
        Cache::open(&settings.data.join(path)).map_err(|error| StartError::Data {
            path: settings.data.clone(),
            error,
        })
    };
    let names = settings.accounts.iter().map(|of| of.account.name.clone());
    let uploader = Uploader::open(
        Arc::clone(store),
        cache(UPLOADS)?,
        cache(BROUGHT)?,
        names.collect(),
        clients,
        settings.clock.clone(),
    );
    uploader.await.map(Arc::new).map_err(StartError::Store)
}

/// What turns ask for.
fn ids_of(uploader: &Arc<Uploader>) -> turn::Media {
    let uploader = Arc::clone(uploader);
    Arc::new(move |account| uploader.media(account))
}

/// What the outbox asks for.
fn renew(uploader: &Arc<Uploader>) -> Renew {
    let uploader = Arc::clone(uploader);
    Arc::new(move |account, stale| {
        let uploader = Arc::clone(&uploader);
        Box::pin(async move { uploader.renewed(&account, &stale).await })
    })
}

/// What the outbox asks for where a person sends a picture.
fn bring(uploader: &Arc<Uploader>) -> Bring {
    let uploader = Arc::clone(uploader);
    Arc::new(move |account, kind, hash| {
        let uploader = Arc::clone(&uploader);
        Box::pin(async move { uploader.bring(&account, kind, hash).await })
    })
}

fn options(settings: &Settings) -> rules::Options {
    let accounts = settings
        .accounts
        .iter()
        .map(|of| of.account.name.clone())
        .collect();
    rules::Options {
        accounts: Some(accounts),
        desk: settings.desk.clone(),
        timezone: settings.timezone.clone(),
        media_url: settings.public_url.media_url(),
        today: None,
    }
}

/// The time now, for those who only ask.
fn now_of(clock: &Clock) -> Arc<dyn Fn() -> Time + Send + Sync> {
    let clock = clock.clone();
    Arc::new(move || clock.now())
}
