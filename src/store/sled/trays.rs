//! Says which push of an account is due next: one schedule an account, so that none waits behind another's.
//! Owns: the accounts' schedules. Uses: schedule. Never: a push's own state.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{AccountName, Time};

use super::schedule::{Due, Schedule};
use super::seats::Seat;

/// Conversations with a push to try, account by account.
#[derive(Default)]
pub(super) struct Trays(Mutex<HashMap<AccountName, Arc<Schedule<Due>>>>);

impl Trays {
    fn of(&self, account: &AccountName) -> Arc<Schedule<Due>> {
        let mut trays = self.0.lock();
        let known = trays.get(account).map(Arc::clone);
        known.unwrap_or_else(|| Arc::clone(trays.entry(account.clone()).or_default()))
    }

    /// What is due of one seat has changed; the seat is locked by the caller.
    pub(super) fn replace(&self, old: Option<Due>, new: Option<Due>, seat: &Arc<Seat>) {
        self.of(&seat.account).replace(old, new, seat);
    }

    /// The account's seat whose push has been due the longest.
    pub(super) fn first(&self, account: &AccountName, now: Time) -> Option<Arc<Seat>> {
        self.of(account).first(now)
    }

    /// When the account's first push becomes due.
    pub(super) fn next_at(&self, account: &AccountName) -> Option<Time> {
        self.of(account).next_at()
    }

    /// How many conversations of the account have a push to try.
    pub(super) fn count(&self, account: &AccountName) -> usize {
        self.of(account).count()
    }

    /// Waits for a change since the last call.
    pub(super) async fn changed(&self, account: &AccountName) {
        self.of(account).changed().await;
    }
}
