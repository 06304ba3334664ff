//! Remembers over restarts what WeChat lets each account do, and measures it anew.
//! Owns: when a right is written down, when a refused one is asked for again. Uses: store, wechat, model, clock. Never: what an answer shows (see model), sends anything to a follower.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::model::{Ability, AccountName, Capability, Measured, Time, Verdict};
use crate::store::{Error, Store};
use crate::wechat::client::{Client, Probed};

/// A right that was refused is asked for again after this time: accounts get verified.
const ASK_AGAIN: Duration = Duration::from_secs(24 * 3600);
/// What was seen again is written down again after this time, and not each time.
const WRITE_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Told when an account was measured.
pub type OnMeasured = Arc<dyn Fn(&AccountName) + Send + Sync>;

/// The rights of all accounts that have an AppSecret.
pub struct Rights {
    store: Arc<dyn Store>,
    clients: HashMap<AccountName, Arc<Client>>,
    clock: Clock,
    /// A call has ended: something may be known that was not.
    called: Arc<Notify>,
    on_measured: OnMeasured,
    /// What is written down.
    kept: Mutex<HashMap<(AccountName, Ability), Measured>>,
    /// Which addresses operators have read about.
    told: Mutex<HashMap<AccountName, Option<IpAddr>>>,
    /// Held while an account is measured: once at a time.
    measuring: tokio::sync::Mutex<()>,
}

impl Rights {
    /// Lets the clients know what earlier runs found out. `called` is to be notified after each of their calls.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        clients: HashMap<AccountName, Arc<Client>>,
        clock: Clock,
        called: Arc<Notify>,
        on_measured: OnMeasured,
    ) -> Result<Self, Error> {
        let mut kept = HashMap::new();
        for capability in store.capabilities().await? {
            if let Some(client) = clients.get(&capability.account) {
                client.recall(&capability);
            }
            let Capability {
                account,
                ability,
                measured,
            } = capability;
            kept.insert((account, ability), measured);
        }
        Ok(Self {
            store,
            clients,
            clock,
            called,
            on_measured,
            kept: Mutex::new(kept),
            told: Mutex::default(),
            measuring: tokio::sync::Mutex::default(),
        })
    }

    /// Asks WeChat what the account may do, now. Nothing reaches a follower. `None` when the account has no AppSecret.
    pub async fn check(&self, account: &AccountName) -> Option<Vec<Probed>> {
        let client = self.clients.get(account)?;
        let probed = {
            let _alone = self.measuring.lock().await;
            client.probe().await
        };
        self.keep().await;
        (self.on_measured)(account);
        Some(probed)
    }

    /// Works until told to stop, then writes down what is not yet.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.keep().await;
            self.tell();
            let again = self.next_question();
            let due = async {
                match again {
                    Some((at, _)) => self.clock.reach(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.called.notified() => {}
                () = due => {
                    if let Some((at, account)) = &again && *at <= self.clock.now() {
                        self.ask_again(account, &stop).await;
                    }
                }
            }
        }
        self.keep().await;
    }

    async fn ask_again(&self, account: &AccountName, stop: &CancellationToken) {
        let before = self.refused(account);
        tokio::select! {
            () = stop.cancelled() => return,
            _probed = self.check(account) => {}
        }
        let Some(client) = self.clients.get(account) else {
            return;
        };
        // What WeChat did not answer is not asked for all the time.
        let now = self.clock.now();
        for ability in before {
            let measured = client.ability(ability);
            if now.since(measured.at) >= ASK_AGAIN {
                client.recall(&Capability {
                    account: account.clone(),
                    ability,
                    measured: Measured {
                        at: now,
                        ..measured
                    },
                });
            }
        }
    }

    fn refused(&self, account: &AccountName) -> Vec<Ability> {
        let client = self.clients.get(account);
        let all = Ability::ALL.into_iter().map(|(ability, _)| ability);
        let is_refused = |ability: &Ability| {
            client.is_some_and(|client| client.ability(*ability).verdict == Verdict::No)
        };
        all.filter(is_refused).collect()
    }

    /// When which account's refused rights are asked for again.
    fn next_question(&self) -> Option<(Time, AccountName)> {
        let accounts = self.clients.iter();
        let refused = accounts.flat_map(|(account, client)| {
            self.refused(account).into_iter().map(|ability| {
                let at = client.ability(ability).at.plus(ASK_AGAIN);
                (at, account.clone())
            })
        });
        refused.min()
    }

    /// Writes down what changed.
    async fn keep(&self) {
        for (account, client) in &self.clients {
            for (ability, _) in Ability::ALL {
                let measured = client.ability(ability);
                let key = (account.clone(), ability);
                let before = self.kept.lock().get(&key).copied().unwrap_or_default();
                if !is_news(before, measured) {
                    continue;
                }
                if before.verdict != measured.verdict {
                    tracing::info!(%account, right = ability.word(), verdict = ?measured.verdict,
                        code = measured.code, "WeChat showed what the account may do");
                }
                let capability = Capability {
                    account: account.clone(),
                    ability,
                    measured,
                };
                match self.store.keep_capability(capability).await {
                    Ok(()) => {
                        self.kept.lock().insert(key, measured);
                    }
                    // Tried again after the next call.
                    Err(error) => {
                        tracing::warn!(%account, %error, "a right could not be kept");
                    }
                }
            }
        }
    }

    /// Says once which address an operator has to allow.
    fn tell(&self) {
        for (account, client) in &self.clients {
            let address = client.known().ip_to_allow;
            let before = self.told.lock().insert(account.clone(), address);
            if let Some(address) = address
                && before.flatten() != Some(address)
            {
                tracing::error!(%account, %address,
                    "WeChat refuses this machine (40164): add its address to the account's IP whitelist");
            }
        }
    }
}

fn is_news(before: Measured, now: Measured) -> bool {
    let is_other = before.verdict != now.verdict || before.code != now.code;
    let is_old = now.at.since(before.at) >= WRITE_AGAIN;
    now.verdict != Verdict::Unknown && (is_other || is_old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_again_is_written_once_a_day() {
        let measured = |verdict, seconds, code| Measured {
            verdict,
            at: Time::from_seconds(seconds),
            code,
        };
        let yes = measured(Verdict::Yes, 1_000, 0);
        assert!(is_news(Measured::default(), yes));
        assert!(!is_news(yes, measured(Verdict::Yes, 2_000, 0)));
        assert!(is_news(yes, measured(Verdict::Yes, 1_000 + 86_400, 0)));
        assert!(is_news(yes, measured(Verdict::No, 2_000, 48001)));
        assert!(!is_news(Measured::default(), Measured::default()));
    }
}
