//! Asks other systems what rules want to know: one signed POST to a listed host, answered within three seconds or not at all.
//! Owns: how many at once, what is sent, the cache of answers. Uses: model, outbound. Never: why it is asked, a secret, a URL or
//! an answer in a log.

mod answer;
mod cache;
mod call;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::model::hook::HOOK_WITHIN;
use crate::model::{HookAnswer, HookCall, HookFault, Time};
use crate::outbound::{AllowedHost, Exchange, Lookup, Secrets, system_lookup};
use cache::Cache;

/// How many calls may be under way at once, over all accounts: one more is refused, none waits.
const AT_ONCE: usize = 64;

/// Reads the clock; injected so that tests own time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Told of every call: what was asked, how it ended in one word, how long it took. For counters.
pub type Observe = Arc<dyn Fn(&HookCall, &'static str, Duration) + Send + Sync>;

/// Whom hooks may ask, and with which secrets.
#[derive(Clone, Debug, Default)]
pub struct HookSettings {
    /// `[hooks] allow`; nobody may be asked when it is empty.
    pub allowed: Vec<AllowedHost>,
    /// What calls are signed with.
    pub secrets: Secrets,
}

/// Asks other systems; one value for the whole server.
pub struct HookCaller {
    exchange: Arc<Exchange>,
    secrets: Secrets,
    places: Arc<Semaphore>,
    cache: Mutex<Cache>,
    clock: Clock,
    observe: Observe,
}

impl HookCaller {
    /// A caller that has not asked yet.
    pub fn new(settings: HookSettings, clock: Clock, observe: Observe) -> Self {
        Self::with_lookup(settings, clock, observe, system_lookup())
    }

    fn with_lookup(settings: HookSettings, clock: Clock, observe: Observe, lookup: Lookup) -> Self {
        Self {
            exchange: Arc::new(Exchange::new(settings.allowed, lookup)),
            secrets: settings.secrets,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            cache: Mutex::default(),
            clock,
            observe,
        }
    }

    /// Asks, or remembers what the same question was answered within the last minute. Always ends, within the call's own
    /// time or [`HOOK_WITHIN`], whichever is less. Nothing is tried twice.
    pub async fn ask(self: Arc<Self>, call: HookCall) -> HookAnswer {
        let began = Instant::now();
        let now = (self.clock)();
        let remembered = self.cache.lock().fresh(&call, now);
        let (answer, result) = match remembered {
            Some(answer) => (answer, "cached"),
            None => {
                let answer = match self.ask_afresh(&call, now).await {
                    Ok(answer) => answer,
                    Err(fault) => HookAnswer::Failed(fault),
                };
                let result = result_word(&answer);
                self.cache.lock().keep(&call, &answer, now);
                (answer, result)
            }
        };
        if let HookAnswer::Failed(fault) = answer {
            tracing::warn!(account = %call.account, rule = %call.rule, fault = fault.word(), "a hook gave no answer");
        }
        (self.observe)(&call, result, began.elapsed());
        answer
    }

    async fn ask_afresh(&self, call: &HookCall, now: Time) -> Result<HookAnswer, HookFault> {
        let secret = match &call.secret {
            Some(name) => Some(self.secrets.of(name).ok_or(HookFault::NoSecret)?),
            None => None,
        };
        let request = call::write(&self.exchange, call, secret, now)?;
        // Held until the thread is free again, even when nobody waits for it any more: the name service cannot be
        // interrupted.
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| HookFault::Busy)?;
        let within = call.timeout.min(HOOK_WITHIN);
        let exchange = Arc::clone(&self.exchange);
        let until = Instant::now() + within;
        let work = tokio::task::spawn_blocking(move || {
            let answer = call::make(&exchange, request, until);
            drop(place);
            answer
        });
        match timeout(within, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_broken_off)) => Err(HookFault::Unreadable),
            Err(_past_its_time) => Err(HookFault::Timeout),
        }
    }
}

const fn result_word(answer: &HookAnswer) -> &'static str {
    match answer {
        HookAnswer::Found(_) => "found",
        HookAnswer::Missing => "missing",
        HookAnswer::Failed(fault) => fault.word(),
    }
}
