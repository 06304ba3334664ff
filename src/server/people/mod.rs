//! Knows the people behind the desk while the server runs: their passwords, their tries, who is there, what they did.
//! Owns: what a login must pass. Uses: store, model. Never: routes; a password's text in a log, an answer or the store.

mod password;
mod roster;
mod throttle;
mod trail;

use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;

pub(super) use password::{Passwords, made_up};
pub(super) use roster::{Load, Moved, Roster};
pub(super) use throttle::Throttle;
pub(super) use trail::{Did, Trail};

use crate::model::people::{Password, PasswordHash, folded, user_name};
use crate::model::{AgentName, Time, User, UserChange};
use crate::server::error::{Code, Problem};
use crate::store::{Error, Store};

/// What routes need to know of people.
pub(super) struct People {
    /// Who is there.
    pub(super) roster: Arc<Roster>,
    /// Computes and compares hashes of passwords.
    pub(super) passwords: Passwords,
    /// Counts tries.
    pub(super) throttle: Throttle,
    /// Where acts are written down.
    pub(super) trail: Trail,
    store: Arc<dyn Store>,
}

impl People {
    /// Addresses from which people are logged in are known from the start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn open(
        store: &Arc<dyn Store>,
        roster: Arc<Roster>,
        now: Time,
    ) -> Result<Self, Error> {
        let throttle = Throttle::default();
        for session in store.sessions(now).await? {
            let name = folded(session.user.as_str());
            throttle.succeed(&name, session.address, session.seen_at);
        }
        Ok(Self {
            roster,
            passwords: Passwords::default(),
            throttle,
            trail: Trail::new(Arc::clone(store)),
            store: Arc::clone(store),
        })
    }

    /// The user whose name and password these are. A name that nobody has costs as much time as a wrong password.
    ///
    /// # Errors
    /// 401 when it is neither, or the user is disabled, or the password was an initial one that is over; 429 after too many
    /// tries; 503 when the store cannot say. With the first comes the user whose name it was, if it was one.
    pub(super) async fn proven(
        &self,
        name: &str,
        password: SecretString,
        address: Option<IpAddr>,
        now: Time,
    ) -> Result<User, (Problem, Option<User>)> {
        let name = user_name(name);
        // What cannot be a name counts as one, and takes no more room than that.
        let key = folded(name.as_ref().map_or("", AgentName::as_str));
        self.throttle
            .begin(&key, address, now)
            .map_err(|wait| (Problem::throttled(wait), None))?;
        let known = match name {
            Some(name) => self.store.user(&name).await,
            None => Ok(None),
        };
        let known = known.map_err(|error| {
            self.throttle.forgive(&key, address);
            (error.into(), None)
        })?;
        let hash = known.as_ref().map(|user| user.password.hash.clone());
        let checked = self.passwords.check(hash, password).await;
        let checked = checked.map_err(|busy| {
            self.throttle.forgive(&key, address);
            (busy, None)
        })?;
        let Some(user) = known else {
            return Err((wrong(), None));
        };
        if !checked.is_right || user.is_disabled {
            return Err((wrong(), Some(user)));
        }
        self.throttle.succeed(&key, address, now);
        if user.password.is_over(now) {
            let over = "this initial password is over; have another one made";
            return Err((Problem::new(Code::InitialOver, over), Some(user)));
        }
        if let Some(better) = checked.better {
            self.rehash(&user, better, now).await;
        }
        Ok(user)
    }

    /// Keeps a hash that took more effort. The login does not depend on it.
    async fn rehash(&self, user: &User, to: PasswordHash, now: Time) {
        let from = user.password.hash.clone();
        let change = UserChange::Rehash { from, to };
        if let Err(error) = self.store.change_user(&user.name, change, now).await {
            tracing::warn!(%error, "a better hash of a password could not be kept");
        }
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// 422 when it is too easy to guess; 429 when too many are waiting.
    pub(super) async fn password(
        &self,
        name: &str,
        text: &SecretString,
        is_initial: bool,
        now: Time,
    ) -> Result<Password, Problem> {
        password::judge(name, text)
            .map_err(|weak| Problem::new(Code::WeakPassword, weak.to_string()))?;
        Ok(Password {
            hash: self.passwords.hash(text.clone()).await?,
            at: now,
            is_initial,
        })
    }
}

fn wrong() -> Problem {
    Problem::new(Code::BadLogin, "no enabled user has this name and password")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;
    use crate::model::people::tests::user;
    use crate::store::sled::SledStore;

    #[tokio::test]
    async fn a_login_brings_an_old_hash_up_to_date_and_ends_nothing() {
        let now = Time::from_seconds(1_780_000_000);
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = SledStore::open(directory.path(), now).await.unwrap();
        let mut mei = user("mei", Role::Agent);
        mei.password.hash = password::of_old_times("long ago and far away");
        store.add_user(mei.clone()).await.unwrap();
        let (load, left): (Load, Moved) = (Arc::new(|_| 0), Arc::new(|_, _| ()));
        let roster = Roster::open(Arc::clone(&store), load, left).await.unwrap();
        let people = People::open(&store, roster, now).await.unwrap();
        let log_in = |text: &str| people.proven("Mei", text.to_owned().into(), None, now);
        assert!(log_in("something else").await.is_err());
        let kept = store.user(&mei.name).await.unwrap().unwrap();
        assert_eq!(kept, mei, "not for a wrong one");
        assert!(log_in("long ago and far away").await.is_ok());
        let kept = store.user(&mei.name).await.unwrap().unwrap();
        assert!(kept.password.hash.memory > 64 && kept.epoch == mei.epoch);
        assert!(log_in("long ago and far away").await.is_ok());
        let again = store.user(&mei.name).await.unwrap().unwrap();
        assert_eq!(kept, again, "once");
        store.close().await;
    }
}
