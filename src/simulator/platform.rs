//! Starts and stops the pretend WeChat and holds what all its accounts share.
//! Owns: the runtime, the API's listener, ids, the log of calls. Uses: everything beside it. Never: the server under test.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use super::account::{AccountSettings, Office};
use super::api;
use super::delivery::Manner;
use super::fault::{Fault, Faults, Times};
use super::follower::Account;
use super::http::Client;
use super::pending::Pending;
use super::phone::{Shown, Sight};
use crate::clock::Clock;
use crate::model::Time;

/// The most calls that the log keeps; the oldest go first.
const CALLS: usize = 10_000;

/// Called with an openid and each new line of that follower's phone.
pub type Observer = Arc<dyn Fn(&str, &Shown) + Send + Sync>;

/// How the platform behaves.
#[derive(Clone)]
pub struct Settings {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Time for windows, tokens, media and `CreateTime`.
    pub clock: Clock,
    /// How long a callback has for its complete answer, and how far the beginnings of two attempts are apart: 5 s in life.
    pub limit: Duration,
    /// How often a push is sent in all: 3 in life.
    pub attempts: u32,
    /// Whether a repeat carries a new `timestamp` and `nonce`; it is not known what WeChat does.
    pub fresh_signature: bool,
    /// Told of everything that appears on a phone.
    pub observer: Option<Observer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clock: Clock::system(),
            limit: Duration::from_secs(5),
            attempts: 3,
            fresh_signature: true,
            observer: None,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("limit", &self.limit)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// One call of the API, as it came and as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it came.
    pub at: Time,
    /// GET or POST.
    pub method: String,
    /// The path without the query, which carries the token.
    pub path: String,
    /// The name of the account it was for, once that was known.
    pub account: Option<String>,
    /// The body.
    pub body: String,
    /// The `errcode` it was given, 0 for success. Faults of the transport leave the code of the work itself.
    pub code: i64,
}

/// What all parts share.
pub(super) struct Platform {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) offices: RwLock<Vec<Arc<Office>>>,
    pub(super) faults: Mutex<Faults>,
    pub(super) calls: Mutex<VecDeque<Call>>,
    pub(super) http: Client,
    pub(super) runtime: Handle,
    pub(super) address: SocketAddr,
    /// Bumped whenever any phone shows something new.
    pub(super) changed: watch::Sender<u64>,
    last_id: AtomicU64,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Where message ids begin: a platform that starts later, in another process too, never uses an id again.
fn first_id(now: Time) -> u64 {
    /// Of the order of WeChat's.
    const BEFORE: u64 = 24_000_000_000_000_000;
    /// So many messages a millisecond nobody sends.
    const A_MILLISECOND: u64 = 1_000;
    let since = u64::try_from(now.millis()).unwrap_or(0);
    BEFORE.saturating_add(since.saturating_mul(A_MILLISECOND))
}

impl Platform {
    /// The next message id: 64 bits, beyond what a float can hold.
    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The usual manner of delivery.
    pub(super) fn manner(&self) -> Manner {
        Manner {
            attempts: self.settings.attempts,
            limit: self.settings.limit,
            timestamp: None,
            nonce: None,
            spoilt: Vec::new(),
        }
    }

    /// Puts a line on a phone and tells whoever waits for it.
    pub(super) fn show(&self, office: &Office, openid: &str, sight: Sight) {
        let now = self.clock.now();
        let shown = office.memory.lock().show(openid, now, sight);
        self.changed.send_modify(|count| *count += 1);
        if let Some(observer) = &self.settings.observer {
            observer(openid, &shown);
        }
    }

    /// Adds a call to the log.
    pub(super) fn log(&self, call: Call) {
        let mut calls = self.calls.lock();
        if calls.len() == CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }
}

/// The pretend WeChat. Stops when dropped; what is under way then ends with a fault.
#[derive(Debug)]
pub struct Wechat {
    platform: Arc<Platform>,
    /// Taken on drop.
    runtime: Option<Runtime>,
    api: Mutex<Option<ServerHandle>>,
}

impl Wechat {
    /// Starts the platform on threads of its own; its API answers when this returns.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pretend-wechat")
            .enable_all()
            .build()?;
        let clock = settings.clock.clone();
        let first_id = first_id(clock.now());
        let platform = Arc::new(Platform {
            clock,
            settings,
            offices: RwLock::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            http: Client::default(),
            runtime: runtime.handle().clone(),
            address,
            changed: watch::Sender::new(0),
            last_id: AtomicU64::new(first_id),
        });
        let api = api::start(listener, &platform)?;
        Ok(Self {
            platform,
            runtime: Some(runtime),
            api: Mutex::new(Some(api)),
        })
    }

    /// The API's base URL, what `api_base` of an account under test should be.
    pub fn api_base(&self) -> String {
        format!("http://{}", self.platform.address)
    }

    /// The platform's clock.
    pub fn clock(&self) -> &Clock {
        &self.platform.clock
    }

    /// Adds an account. AppIDs must differ: the API knows accounts by them.
    pub fn account(&self, settings: AccountSettings) -> Account {
        let office = Arc::new(Office {
            settings: ArcSwap::from_pointee(settings),
            memory: Mutex::default(),
        });
        self.platform.offices.write().push(Arc::clone(&office));
        Account::new(Arc::clone(&self.platform), office)
    }

    /// Breaks calls of one path (such as `/cgi-bin/message/custom/send`), or of all when it is empty. Faults queue up.
    pub fn breaks(&self, path: &str, fault: Fault, times: Times) {
        self.platform.faults.lock().add(path, fault, times);
    }

    /// Ends all faults.
    pub fn heals(&self) {
        self.platform.faults.lock().clear();
    }

    /// The latest calls of the API, oldest first, at most 10,000.
    pub fn calls(&self) -> Vec<Call> {
        self.platform.calls.lock().iter().cloned().collect()
    }

    /// Stops listening: calls of the API are refused by the system until [`Wechat::comes_back`].
    pub fn goes_offline(&self) {
        if let Some(api) = self.api.lock().take() {
            Pending::start(&self.platform.runtime, api.stop(false), ()).wait();
        }
    }

    /// Listens again on the same address.
    ///
    /// # Errors
    /// When somebody else took the address meanwhile.
    pub fn comes_back(&self) -> io::Result<()> {
        let mut api = self.api.lock();
        if api.is_none() {
            let listener = TcpListener::bind(self.platform.address)?;
            *api = Some(api::start(listener, &self.platform)?);
        }
        Ok(())
    }
}

impl Drop for Wechat {
    fn drop(&mut self) {
        self.goes_offline();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
