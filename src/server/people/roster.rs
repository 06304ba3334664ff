//! Knows who is there to answer now, for turns that must not wait for the store.
//! Owns: the list in memory. Uses: store, model. Never: decides who gets a conversation.
//!
//! The truth is in the store: [`User::is_on_duty`] since [`User::duty_since`]. The list is made anew at the start and after each
//! change of a user. Whoever looks after conversations hears of each coming and going through [`Moved`], and finds in the store
//! what a crash kept from being heard.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::model::desk::{OnDuty, Present};
use crate::model::{AgentName, User};
use crate::store::{Error, Store};

/// How many conversations somebody has now. Asked at each turn: it must neither wait nor block.
pub(in crate::server) type Load = Arc<dyn Fn(&AgentName) -> usize + Send + Sync>;
/// Hears that somebody came or went, once that is durable. Must neither wait nor block.
pub(in crate::server) type Moved = Arc<dyn Fn(&AgentName, Whereabouts) + Send + Sync>;

/// Where somebody is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Whereabouts {
    /// They came on duty.
    OnDuty,
    /// They went, or were sent, off duty.
    OffDuty,
    /// They may not log in any more.
    Disabled,
}

/// Who is there.
pub(in crate::server) struct Roster {
    store: Arc<dyn Store>,
    load: Load,
    moved: Moved,
    list: ArcSwap<OnDuty>,
    /// Held while the list is made: an older look at the store never replaces a newer one.
    making: tokio::sync::Mutex<()>,
}

impl Roster {
    /// Whoever was on duty when the server ended still is.
    pub(in crate::server) async fn open(
        store: Arc<dyn Store>,
        load: Load,
        moved: Moved,
    ) -> Result<Arc<Self>, Error> {
        let roster = Self {
            store,
            load,
            moved,
            list: ArcSwap::default(),
            making: tokio::sync::Mutex::default(),
        };
        roster.renew().await?;
        Ok(Arc::new(roster))
    }

    /// Everybody on duty, with how much they have to do now.
    pub(in crate::server) fn now(&self) -> Arc<OnDuty> {
        let list = self.list.load_full();
        let is_old = |who: &Present| who.load != (self.load)(&who.name);
        if !list.people.iter().any(is_old) {
            return list;
        }
        let mut people = list.people.clone();
        for who in &mut people {
            who.load = (self.load)(&who.name);
        }
        let fresh = Arc::new(OnDuty { people });
        // Only in place of what it was made of.
        self.list.compare_and_swap(&list, Arc::clone(&fresh));
        fresh
    }

    /// A user changed: makes the list anew and tells who has to know.
    ///
    /// # Errors
    /// When the store cannot be read; the list is as it was then.
    pub(in crate::server) async fn changed(
        &self,
        before: &User,
        after: &User,
    ) -> Result<(), Error> {
        self.renew().await?;
        if !before.is_disabled && after.is_disabled {
            (self.moved)(&after.name, Whereabouts::Disabled);
        } else if before.is_on_duty && !after.is_on_duty {
            (self.moved)(&after.name, Whereabouts::OffDuty);
        } else if !before.is_on_duty && after.is_on_duty {
            (self.moved)(&after.name, Whereabouts::OnDuty);
        }
        Ok(())
    }

    async fn renew(&self) -> Result<(), Error> {
        let _making = self.making.lock().await;
        let users = self.store.users().await?;
        let on_duty = users.into_iter().filter(|user| user.is_on_duty);
        let people = on_duty.map(|user| Present {
            load: (self.load)(&user.name),
            name: user.name,
            shown: user.shown.into(),
            accounts: user.accounts,
        });
        let people = people.collect();
        self.list.store(Arc::new(OnDuty { people }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::model::people::tests::user;
    use crate::model::{AccountName, Role, Time, UserChange, UserEdit};
    use crate::store::sled::SledStore;

    const NOW: Time = Time::from_seconds(1_780_000_000);

    #[tokio::test]
    async fn the_list_follows_the_users_and_their_load() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = SledStore::open(directory.path(), NOW).await.unwrap();
        for name in ["mei", "jun"] {
            store.add_user(user(name, Role::Agent)).await.unwrap();
        }
        let busy = Arc::new(AtomicUsize::new(0));
        let load = Arc::clone(&busy);
        let load: Load = Arc::new(move |name| {
            usize::from(name.as_str() == "jun") * load.load(Ordering::Relaxed)
        });
        let gone = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&gone);
        let moved: Moved = Arc::new(move |name, why| heard.lock().push((name.clone(), why)));
        let roster = Roster::open(Arc::clone(&store), Arc::clone(&load), Arc::clone(&moved));
        let roster = roster.await.unwrap();
        assert_eq!(*roster.now(), OnDuty::default());

        let change = async |name: &str, change: UserChange| {
            let name = AgentName::parse(name).unwrap();
            let changed = store.change_user(&name, change, NOW).await.unwrap();
            roster
                .changed(&changed.before, &changed.after)
                .await
                .unwrap();
        };
        for name in ["mei", "jun"] {
            change(name, UserChange::Duty { on: true }).await;
        }
        let shop = AccountName::parse("shop").unwrap();
        let least = |list: &OnDuty| list.least_loaded(&shop).map(ToString::to_string);
        let first = roster.now();
        assert_eq!(least(&first).as_deref(), Some("jun"));
        assert!(Arc::ptr_eq(&first, &roster.now()), "nothing changed");
        busy.store(3, Ordering::Relaxed);
        assert_eq!(least(&roster.now()).as_deref(), Some("mei"));
        assert_eq!(roster.now().people[0].load, 3);

        let again = Roster::open(Arc::clone(&store), load, moved).await.unwrap();
        assert_eq!(again.now(), roster.now(), "after a restart");

        change("mei", UserChange::Duty { on: false }).await;
        change("mei", UserChange::Duty { on: false }).await;
        let disabled = UserEdit {
            is_disabled: Some(true),
            ..UserEdit::default()
        };
        for name in ["mei", "jun"] {
            change(name, UserChange::Edit(disabled.clone())).await;
        }
        assert_eq!(*roster.now(), OnDuty::default());
        let names: Vec<(String, Whereabouts)> = gone
            .lock()
            .iter()
            .map(|(name, why)| (name.to_string(), *why))
            .collect();
        let was = |name: &str, why| (name.to_owned(), why);
        assert_eq!(
            names,
            [
                was("mei", Whereabouts::OnDuty),
                was("jun", Whereabouts::OnDuty),
                was("mei", Whereabouts::OffDuty),
                was("mei", Whereabouts::Disabled),
                was("jun", Whereabouts::Disabled)
            ]
        );
        store.close().await;
    }
}
