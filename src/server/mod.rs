//! Serves HTTP: WeChat's callback, the JSON API, health and metrics.
//! Owns: routes, start and stop. Uses: turn, delivery, store, rules, wechat. Never: matching, XML, which store it is.

mod access;
mod api;
mod body;
mod chance;
mod error;
mod health;
mod media;
mod metrics;
mod people;
mod presence;
mod privacy;
mod remote;
mod rules;
mod settings;
mod start;
mod webhook;

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use ahash::AHashMap;
use tokio_util::sync::CancellationToken;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::desk::Desk;
use crate::model::AccountName;
use crate::received::Received;
use crate::rights::Rights;
use crate::store::Store;
use crate::turn::Turns;
use crate::upload::Uploader;
use crate::wechat::Client;
use access::Access;
use error::{Code, Problem};
use media::Media;
use metrics::Metrics;
use people::People;
use presence::Presence;
use privacy::Privacy;
use remote::Proxies;
use rules::Keeper;
use webhook::Door;

pub use access::CLI_TOKEN_FILE;
pub use settings::{AccountSettings, PublicUrl, Settings};
pub use start::{ADDRESS_FILE, StartError};

/// How long turns and connections may take to end once the server is told to stop, in seconds.
const LAST_MOMENTS: u64 = 5;
/// How many connections a worker serves at once; each may hold a body of 1 MiB.
const CONNECTIONS: usize = 1024;
/// How long a connection may stay open without a request.
const IDLE: Duration = Duration::from_secs(75);

/// What the routes share.
struct Site {
    store: Arc<dyn Store>,
    turns: Arc<Turns>,
    alerts: Arc<Alerts>,
    keeper: Arc<Keeper>,
    /// Held while a back-test runs.
    backtest: tokio::sync::Mutex<()>,
    doors: AHashMap<String, Door>,
    /// Accounts that have an AppSecret.
    clients: HashMap<AccountName, Arc<Client>>,
    delivery: Arc<Delivery>,
    rights: Arc<Rights>,
    received: Arc<Received>,
    proxies: Proxies,
    access: Access,
    people: People,
    events: api::Events,
    privacy: Arc<Privacy>,
    media: Arc<Media>,
    metrics: Arc<Metrics>,
    max_skew: Duration,
    clock: Clock,
    presence: Arc<Presence>,
}

impl Site {
    /// The configured account with this name.
    fn known(&self, name: &str) -> Result<AccountName, Problem> {
        let door = self.doors.get(name).map(|door| door.account.name.clone());
        door.ok_or_else(|| Problem::new(Code::BadRequest, "there is no account of that name"))
    }
}

/// A server that is bound to its address and about to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    store: Arc<dyn Store>,
    delivery: Arc<Delivery>,
    desk: Arc<Desk>,
    alerts: Arc<Alerts>,
    uploader: Arc<Uploader>,
    rights: Arc<Rights>,
    received: Arc<Received>,
    keeper: Arc<Keeper>,
    privacy: Arc<Privacy>,
    /// Ends what would not end by itself.
    stopping: CancellationToken,
    notice: Option<String>,
}

impl Application {
    /// Opens the store, compiles the rules and binds the address: after this the server answers as soon as it is run.
    ///
    /// # Errors
    /// [`StartError`], one clear message for each reason.
    pub async fn build(settings: Settings) -> Result<Self, StartError> {
        start::build(settings).await
    }

    /// Where it listens: the real port when 0 was asked for.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the operator should read: the diagnostics of a rules directory that is not what runs.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Serves until `stop` is ready, then finishes what has begun and closes the store.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let Self {
            server,
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
            ..
        } = self;
        let handle: ServerHandle = server.handle();
        let quiet = CancellationToken::new();
        // Told to stop last: it writes down what the others' last calls showed.
        let last = CancellationToken::new();
        let measuring = tokio::spawn(rights.run(last.clone()));
        let workers = [
            ("delivery", tokio::spawn(delivery.run(quiet.clone()))),
            ("desk", tokio::spawn(desk.run(quiet.clone()))),
            ("alerts", tokio::spawn(alerts.run(quiet.clone()))),
            ("uploader", tokio::spawn(uploader.run(quiet.clone()))),
            ("privacy", tokio::spawn(privacy.run(quiet.clone()))),
            (
                "fetcher of followers' files",
                tokio::spawn(received.run(quiet.clone())),
            ),
            (
                "watcher of the rules",
                tokio::spawn(rules::watch(keeper, quiet.clone())),
            ),
        ];
        let mut serving = tokio::spawn(server);
        let served = tokio::select! {
            served = &mut serving => served,
            () = stop => {
                tracing::info!("stopping");
                stopping.cancel();
                handle.stop(true).await;
                serving.await
            }
        };
        quiet.cancel();
        for (worker, ended) in workers {
            if let Err(error) = ended.await {
                tracing::error!(%error, worker, "a worker ended badly");
            }
        }
        last.cancel();
        if let Err(error) = measuring.await {
            tracing::error!(%error, "the keeper of rights ended badly");
        }
        store.close().await;
        tracing::info!("stopped");
        served.map_err(std::io::Error::other)?
    }
}

/// Binds the address and mounts every route under the prefix.
fn bind(site: Site, prefix: &str, listen: SocketAddr) -> std::io::Result<(Server, SocketAddr)> {
    let site = Data::new(site);
    let prefix = prefix.to_owned();
    let app = move || {
        // A literal path for each account: the pattern behind them costs a regular expression, and only strangers pay it.
        let doors = site.doors.keys().fold(App::new(), |app, name| {
            app.service(web::resource(format!("{prefix}/wx/{name}")).to(webhook::callback))
        });
        let app = doors
            .app_data(Data::clone(&site))
            .service(web::resource(format!("{prefix}/wx/{{account}}")).to(webhook::callback))
            .service(media::route(&prefix))
            .configure(health::routes(&prefix))
            .service(api::routes(&prefix));
        let app = if prefix.is_empty() {
            app
        } else {
            app.configure(health::routes(""))
        };
        app.default_service(web::to(api::not_found))
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let server = HttpServer::new(app)
        .workers(workers)
        .keep_alive(IDLE)
        .max_connections(CONNECTIONS)
        .disable_signals()
        .shutdown_timeout(LAST_MOMENTS)
        .bind(listen)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), address))
}
