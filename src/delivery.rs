//! Sends what waits in the outbox through WeChat's customer-service API, and writes down what came of it.
//! Owns: which failure leads to which state, retry and back-off. Uses: store, wechat, model. Never: who wrote a push or why.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::model::entry::Settled;
use crate::model::message::PushError;
use crate::model::{AccountName, Reply, Time};
use crate::store::{Error, Store, Taken};
use crate::wechat::client::{Client, SendError};

/// How many pushes may be under way at once, over all accounts.
const AT_ONCE: usize = 16;
/// How often "system busy" (−1) is tried again.
const BUSY_RETRIES: u8 = 2;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The pause after an answer that time alone will not mend: a quota, a rate, an address or a secret.
const LONG_PAUSE: Duration = Duration::from_secs(60);
/// WeChat does not know the media id, or not any more.
const STALE_MEDIA: i64 = 40007;

/// A form's last words are not said later than this after its time: the follower has gone on.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(60);

/// Reads the clock; injected so that tests own time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// The worker that empties the outbox.
pub struct Delivery {
    store: Arc<dyn Store>,
    clients: HashMap<AccountName, Arc<Client>>,
    clock: Clock,
    renew: Option<Renew>,
    observe: Observe,
}

/// Gives the id to send instead of a media id that WeChat does not know any more, or `None`.
pub type Renew =
    Arc<dyn Fn(AccountName, Arc<str>) -> BoxFuture<'static, Option<Arc<str>>> + Send + Sync>;

/// Told of every attempt: what was sent from where, and how it ended. For counters.
pub type Observe = Arc<dyn Fn(&Taken, &Settled) + Send + Sync>;

impl Delivery {
    /// A worker on this store; accounts absent from `clients` cannot push.
    pub fn new(
        store: Arc<dyn Store>,
        clients: HashMap<AccountName, Arc<Client>>,
        clock: Clock,
        observe: Observe,
    ) -> Self {
        Self {
            store,
            clients,
            clock,
            renew: None,
            observe,
        }
    }

    /// Sends a push whose media id WeChat does not know any more (40007) once more with a new one.
    #[must_use]
    pub fn renewing(self, renew: Renew) -> Self {
        Self {
            renew: Some(renew),
            ..self
        }
    }

    /// Works until told to stop; attempts under way are finished.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        while !stop.is_cancelled() {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let now = (self.clock)();
            match self.store.take_push(now).await {
                Ok(Some(taken)) => {
                    let (delivery, stop) = (Arc::clone(&self), stop.clone());
                    tokio::spawn(async move {
                        delivery.deliver(taken, &stop).await;
                        drop(place);
                    });
                }
                Ok(None) => {
                    drop(place);
                    let wait = match self.store.next_push_at().await {
                        Some(at) => at.since(now).max(Duration::from_millis(20)),
                        None => LONGEST_PAUSE,
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.store.push_queued() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Err(error) => {
                    drop(place);
                    tracing::warn!(%error, "the outbox cannot be read");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
            }
        }
        // All places back: nothing is under way any more.
        let _all = places
            .acquire_many(u32::try_from(AT_ONCE).unwrap_or(1))
            .await;
    }

    /// Makes one attempt and writes down how it ended.
    async fn deliver(&self, taken: Taken, stop: &CancellationToken) {
        let mut result = self.attempt(&taken).await;
        if taken.is_last_words {
            result = now_or_never(result);
        }
        (self.observe)(&taken, &result);
        tracing::info!(account = %taken.account, follower = %taken.follower.short(), push = %taken.push.id,
            result = result_word(&result), "push attempted");
        self.keep(&taken, &result, stop).await;
    }

    /// Writes down how an attempt ended, as soon as the store can: until then nothing else goes to this follower.
    async fn keep(&self, taken: &Taken, result: &Settled, stop: &CancellationToken) {
        let push = taken.push.id;
        let mut failures: u8 = 0;
        loop {
            let settled =
                self.store
                    .settle_push(taken.conversation, push, result.clone(), (self.clock)());
            let Err(error) = settled.await else { return };
            // Given up, it is found as `sending` at the next start and becomes `unknown`.
            tracing::error!(%error, push = %push, "the end of a push could not be kept");
            if matches!(error, Error::Closed) {
                return;
            }
            failures = failures.saturating_add(1);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause(failures)) => {}
            }
        }
    }

    /// The push with its media uploaded again.
    async fn renewed(&self, taken: &Taken) -> Option<Reply> {
        let renew = self.renew.as_ref()?;
        let mut reply = taken.push.reply.clone();
        let stale = Arc::clone(reply.media_id()?);
        let id = renew(taken.account.clone(), stale).await?;
        reply.set_media_id(&id);
        Some(reply)
    }

    async fn attempt(&self, taken: &Taken) -> Settled {
        let held = |code, message: &str| Settled::Held {
            error: PushError {
                code,
                message: message.into(),
            },
        };
        let Some(client) = self.clients.get(&taken.account) else {
            return held(48001, "this account cannot push");
        };
        let now = (self.clock)();
        let conversation = match self.store.conversation(taken.conversation).await {
            Ok(Some(conversation)) => conversation,
            // Erased meanwhile: there is nothing left to settle.
            Ok(None) => return held(0, "the conversation is gone"),
            Err(_) => {
                let error = PushError {
                    code: 0,
                    message: "the conversation cannot be read".into(),
                };
                let not_before = now.plus(pause(taken.push.attempts));
                return Settled::Again { not_before, error };
            }
        };
        if taken.is_last_words && now.since(taken.push.not_before) > LAST_WORDS_WITHIN {
            return held(0, "the form's time is long over");
        }
        if let Some(error) = conversation.why_held(client.can_push(), now) {
            return Settled::Held { error };
        }
        let mut sent = client.send(&taken.follower, &taken.push.reply).await;
        if matches!(
            sent,
            Err(SendError::Refused {
                code: STALE_MEDIA,
                ..
            })
        ) && let Some(reply) = self.renewed(taken).await
        {
            sent = client.send(&taken.follower, &reply).await;
        }
        match sent {
            Ok(()) => Settled::Sent,
            Err(error) => settle(error, taken.push.attempts, now),
        }
    }
}

/// A form's last words make sense at once only: what cannot be sent now is neither tried again nor kept for a next visit.
fn now_or_never(result: Settled) -> Settled {
    match result {
        Settled::Again { error, .. } | Settled::Held { error } => Settled::Failed { error },
        ended => ended,
    }
}

/// What a failed attempt leads to (ARCHITECTURE.md, "The outbox"). `attempts` counts this one.
fn settle(error: SendError, attempts: u8, now: Time) -> Settled {
    match error {
        SendError::NotConnected(message) => Settled::Again {
            not_before: now.plus(pause(attempts)),
            error: PushError {
                code: 0,
                message: message.into(),
            },
        },
        SendError::Unclear(message) => Settled::Unknown {
            error: PushError {
                code: 0,
                message: message.into(),
            },
        },
        SendError::Refused { code, message } => {
            let error = PushError {
                code,
                message: message.into(),
            };
            match code {
                -1 if attempts <= BUSY_RETRIES => Settled::Again {
                    not_before: now.plus(pause(attempts)),
                    error,
                },
                45015 | 45047 | 48001 => Settled::Held { error },
                // Quota, rate, address, secret or token: an operator or midnight mends it. The window decides how long.
                45009 | 45011 | 40164 | 40001 | 40014 | 42001 | 40013 | 40125 | 40243 | 89501
                | 89503 => Settled::Again {
                    not_before: now.plus(LONG_PAUSE.max(pause(attempts))),
                    error,
                },
                _ => Settled::Failed { error },
            }
        }
    }
}

/// 1, 2, 4 … seconds, at most five minutes.
fn pause(attempts: u8) -> Duration {
    Duration::from_secs(1_u64 << attempts.saturating_sub(1).min(9)).min(LONGEST_PAUSE)
}

fn result_word(result: &Settled) -> &'static str {
    match result {
        Settled::Sent => "sent",
        Settled::Again { .. } => "again",
        Settled::Held { .. } => "held",
        Settled::Failed { .. } => "failed",
        Settled::Unknown { .. } => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_wechat_leads_where_the_design_says() {
        let now = Time::from_seconds(1_000);
        let word = |error, attempts| result_word(&settle(error, attempts, now));
        let refused = |code| SendError::Refused {
            code,
            message: "x".into(),
        };
        assert_eq!(word(SendError::NotConnected("x".into()), 1), "again");
        assert_eq!(word(SendError::Unclear("x".into()), 1), "unknown");
        for (code, expected) in [
            (45015, "held"),
            (45047, "held"),
            (48001, "held"),
            (45009, "again"),
            (45011, "again"),
            (40164, "again"),
            (40003, "failed"),
            (43004, "failed"),
            (43019, "failed"),
            (48002, "failed"),
            (50005, "failed"),
            (99999, "failed"),
        ] {
            assert_eq!(word(refused(code), 1), expected, "{code}");
        }
        assert_eq!(
            [1, 2, 3].map(|attempts| word(refused(-1), attempts)),
            ["again", "again", "failed"]
        );
    }

    #[test]
    fn last_words_are_said_now_or_never() {
        let now = Time::from_seconds(1_000);
        let refused = |code| {
            let message = "x".into();
            let error = SendError::Refused { code, message };
            result_word(&now_or_never(settle(error, 1, now)))
        };
        assert_eq!([-1, 45015, 45009, 40003].map(refused), ["failed"; 4]);
        let unclear = settle(SendError::Unclear("x".into()), 1, now);
        assert_eq!(result_word(&now_or_never(unclear)), "unknown");
        assert_eq!(now_or_never(Settled::Sent), Settled::Sent);
    }
}
