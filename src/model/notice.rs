//! Describes an alert on its way to one channel, and how that channel fares.
//! Owns: what is kept of it. Uses: alert, ids, time. Never: when it is told, or how.
//!
//! Stored with postcard behind a version byte: a change of any type here needs a new version in the store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertKind};
use super::entry::Priority;
use super::ids::TurnKey;
use super::time::Time;

/// One alert for one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its identity: follows from the alert and the channel.
    pub id: TurnKey,
    /// The channel's name.
    pub channel: Arc<str>,
    /// What is told. Its excerpt is no longer than the channel may show.
    pub alert: Alert,
    /// Since when it waits.
    pub since: Time,
    /// How often it was tried without success.
    pub attempts: u8,
    /// Not tried before.
    pub not_before: Time,
}

impl Notice {
    /// A new notice of an alert, waiting since now.
    pub fn new(alert: &Alert, channel: &Arc<str>, excerpt: u16, now: Time) -> Self {
        let mut alert = alert.clone();
        let shown: String = alert.excerpt.chars().take(usize::from(excerpt)).collect();
        alert.excerpt = shown.into();
        Self {
            id: TurnKey::of_text(&format!("notice/{}/{channel}", alert.id)),
            channel: Arc::clone(channel),
            alert,
            since: now,
            attempts: 0,
            not_before: now,
        }
    }
}

/// A notice that was given up. It stays until somebody has it sent again, or it is too old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadNotice {
    /// What was to be told.
    pub notice: Notice,
    /// When it was given up.
    pub at: Time,
    /// Why, for people.
    pub failure: Arc<str>,
}

/// How an attempt ended for one notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettledNotice {
    /// It was told, or need not be told any more.
    Done(TurnKey),
    /// It waits again.
    Again(Notice),
    /// It was given up.
    Dead(DeadNotice),
}

/// How a channel fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// When something was last told.
    pub told_at: Option<Time>,
    /// When the last digest of what is not urgent was told.
    pub digest_at: Option<Time>,
    /// Since when every attempt failed; `None` while it works.
    pub failing_since: Option<Time>,
    /// How many attempts in a row failed.
    pub failures: u32,
    /// How the last attempt failed, for people; stays until one succeeds.
    pub failure: Option<Arc<str>>,
    /// Whether others were told of this failure.
    pub is_reported: bool,
}

/// That an alert was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// When.
    pub at: Time,
    /// Why.
    pub kind: AlertKind,
    /// How urgent.
    pub priority: Priority,
}
