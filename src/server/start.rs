//! Brings the server up in order: store, rules, tokens, address.
//! Owns: that order. Uses: store::sled, rules, wechat, turn, delivery. Never: the configuration file.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::api::{Events, words};
use super::media::{Media, UPLOADS};
use super::metrics::Metrics;
use super::presence::Presence;
use super::privacy::Privacy;
use super::remote::Proxies;
use super::rules::{Keeper, OpeningError};
use super::webhook::Door;
use super::{Application, Settings, Site, bind};
use crate::clock::Clock;
use crate::delivery::{Delivery, Renew};
use crate::desk::{self, Desk};
use crate::hook::HookCaller;
use crate::model::desk::OnDuty;
use crate::model::{AccountName, Time};
use crate::rules;
use crate::store::sled::{Settings as StoreSettings, SledStore};
use crate::store::{self, Store};
use crate::turn::{self, AskHook, CanPush, Turns, World};
use crate::upload::{Cache, Uploader};
use crate::wechat::Client;

/// The file in the data directory that holds the address the running server listens on.
pub const ADDRESS_FILE: &str = "address";

/// The least time for which answers are kept for WeChat's repeats.
const LEDGER_FOR: Duration = Duration::from_secs(24 * 3600);

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
    let clients = clients(settings);
    let uploader = uploader(settings, &store, &clients, &metrics).await?;
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
    store.set_words(Arc::new(words));
    let presence = Arc::<Presence>::default();
    let privacy = Arc::new(Privacy::new(
        Arc::clone(&store),
        settings.clock.clone(),
        settings.timezone.clone(),
        settings.keep_messages,
        Vec::new(),
    ));
    let desk = Arc::new(desk(settings, &store, &keeper, &clients, &presence));
    let can_push = clients.iter().map(|(name, client)| {
        let client = Arc::clone(client);
        let can: CanPush = Arc::new(move || client.can_push());
        (name.clone(), can)
    });
    let world = World {
        can_push: can_push.collect(),
        ask_hook: ask_hook(settings, &metrics),
        media: ids_of(&uploader),
        on_duty: Arc::new(Arc::<OnDuty>::default),
        erased: {
            let privacy = Arc::clone(&privacy);
            Arc::new(move |account, follower| {
                let privacy = Arc::clone(&privacy);
                Box::pin(async move { privacy.erase_elsewhere(&account, &follower).await })
            })
        },
        hear: {
            let desk = Arc::clone(&desk);
            Arc::new(move |account, incoming, moved, now| desk.hear(account, incoming, moved, now))
        },
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
        clients,
        now_of(&settings.clock),
        Arc::new(move |taken, result| counted.pushed(taken, result)),
    )
    .renewing(renew(&uploader));
    let access = Access::new(
        Arc::clone(&store),
        settings.api_token.as_ref(),
        &settings.data,
    )
    .map_err(data)?;
    let stopping = CancellationToken::new();
    let site = Site {
        events: Events::new(stopping.clone()),
        privacy: Arc::clone(&privacy),
        doors: settings
            .accounts
            .iter()
            .map(|of| door(of, &metrics))
            .collect(),
        store: Arc::clone(&store),
        proxies: Proxies::new(settings.trusted_proxies.clone()),
        max_skew: settings.max_skew,
        clock: settings.clock.clone(),
        presence: Arc::clone(&presence),
        desk: Arc::clone(&desk),
        turns,
        keeper: Arc::clone(&keeper),
        backtest: tokio::sync::Mutex::default(),
        access,
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
        delivery: Arc::new(delivery),
        desk,
        uploader,
        keeper,
        privacy,
        stopping,
        notice,
    })
}

/// What the desk does by itself.
fn desk(
    settings: &Settings,
    store: &Arc<dyn Store>,
    keeper: &Arc<Keeper>,
    clients: &HashMap<AccountName, Arc<Client>>,
    presence: &Arc<Presence>,
) -> Desk {
    let (clients, presence) = (clients.clone(), Arc::clone(presence));
    let world = desk::World {
        rules: keeper.shared(),
        rules_changed: keeper.went_live(),
        clock: settings.clock.clone(),
        tell: Arc::new(|_alert| Box::pin(std::future::ready(Ok(())))),
        last_look: Arc::new(move |id, name| presence.seen(id, name)),
        can_push: Arc::new(move |account| {
            clients.get(account).is_some_and(|client| client.can_push())
        }),
        on_duty: Arc::new(Arc::<OnDuty>::default),
        observe: Arc::new(|_before, _after, _timer| {}),
    };
    Desk::new(Arc::clone(store), world)
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

fn door(of: &super::AccountSettings, metrics: &Metrics) -> (String, Door) {
    let account = Arc::clone(&of.account);
    let metrics = metrics.account(&account.name);
    (account.name.as_str().to_owned(), Door { account, metrics })
}

fn clients(settings: &Settings) -> HashMap<AccountName, Arc<Client>> {
    let with_client = settings
        .accounts
        .iter()
        .filter_map(|of| Some((of.account.name.clone(), of.client.clone()?)));
    with_client
        .map(|(name, client)| (name, Arc::new(Client::new(client))))
        .collect()
}

async fn uploader(
    settings: &Settings,
    store: &Arc<dyn Store>,
    clients: &HashMap<AccountName, Arc<Client>>,
    metrics: &Arc<Metrics>,
) -> Result<Arc<Uploader>, StartError> {
    let cache = Cache::open(&settings.data.join(UPLOADS)).map_err(|error| StartError::Data {
        path: settings.data.clone(),
        error,
    })?;
    let names = settings.accounts.iter().map(|of| of.account.name.clone());
    let counted = Arc::clone(metrics);
    let uploader = Uploader::open(
        Arc::clone(store),
        cache,
        names.collect(),
        clients,
        now_of(&settings.clock),
        Arc::new(move |account, failure| counted.uploaded(account, failure)),
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
