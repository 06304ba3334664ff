//! Holds in memory what waits on each channel and how it fares; the store holds the same on disk.
//! Owns: the bounds of what waits, one attempt at a time per channel, when a failure begins and ends. Uses: model, plan. Never: I/O.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::failure::Failure;
use super::next;
use super::plan::{MOST_POSTS, Next};
use crate::model::alert::{AlertChannel, ChannelKind};
use crate::model::calendar::Calendar;
use crate::model::entry::Priority;
use crate::model::notice::{ChannelRecord, DeadNotice, Notice, SettledNotice};
use crate::model::{Time, TurnKey};

/// How many notices wait on a channel at most; further ones are only counted. What is urgent may fill as many again.
const MOST_WAITING: usize = 2000;
/// How many alerts that the store did not take are known by their id.
const MOST_UNKEPT: usize = 1000;

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStanding {
    /// Its name.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub kind: ChannelKind,
    /// Which tier it tells.
    pub tier: u8,
    /// Whether it is told at night of what is not urgent.
    pub night: bool,
    /// When it last took something.
    pub told_at: Option<Time>,
    /// Since when nothing gets through; `None` while it works.
    pub failing_since: Option<Time>,
    /// Why the last attempt failed, for people.
    pub failure: Option<Arc<str>>,
    /// How many notices wait.
    pub waiting: usize,
    /// How many were given up.
    pub dead: usize,
}

/// What a channel is to do.
pub(super) enum Taken {
    /// Tell these; so many more were not kept.
    Tell {
        notices: Vec<Notice>,
        unlisted: usize,
    },
    Wait(Time),
    Rest,
}

#[derive(Default)]
struct Line {
    waiting: Vec<Notice>,
    record: ChannelRecord,
    /// When messages were sent, the last ones.
    posted: VecDeque<Time>,
    /// What did not fit in.
    unlisted: usize,
    dead: usize,
    /// Being told now.
    is_busy: bool,
}

/// All channels.
#[derive(Default)]
pub(super) struct Lines {
    lines: BTreeMap<Arc<str>, Line>,
    unkept: VecDeque<TurnKey>,
    /// The day whose heartbeat was raised, by its end.
    pub(super) beaten: Option<Time>,
}

impl Lines {
    pub(super) fn new(
        records: Vec<(String, ChannelRecord)>,
        waiting: Vec<Notice>,
        dead: &[DeadNotice],
    ) -> Self {
        let mut lines = Self::default();
        for (name, record) in records {
            lines.line(&name.into()).record = record;
        }
        lines.add(waiting);
        lines.count_dead(dead);
        lines
    }

    fn line(&mut self, name: &Arc<str>) -> &mut Line {
        self.lines.entry(Arc::clone(name)).or_default()
    }

    /// Lets these wait.
    pub(super) fn add(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            self.line(&Arc::clone(&notice.channel)).waiting.push(notice);
        }
    }

    /// Lets one wait that was given up.
    pub(super) fn revive(&mut self, notice: Notice) {
        let line = self.line(&notice.channel);
        line.dead = line.dead.saturating_sub(1);
        line.waiting.push(notice);
    }

    /// Whether this alert could not be kept before, and waits in memory already.
    pub(super) fn was_unkept(&self, id: TurnKey) -> bool {
        self.unkept.contains(&id)
    }

    /// Whether an alert that could not be kept is a new one.
    pub(super) fn is_first(&mut self, id: TurnKey) -> bool {
        if self.unkept.contains(&id) {
            return false;
        }
        if self.unkept.len() >= MOST_UNKEPT {
            self.unkept.pop_front();
        }
        self.unkept.push_back(id);
        true
    }

    /// Takes out what no longer fits in, and says on which channels that was.
    pub(super) fn leave_out(
        &mut self,
        notices: &mut Vec<Notice>,
        priority: Priority,
    ) -> Vec<Arc<str>> {
        let most = match priority {
            Priority::Urgent => 2 * MOST_WAITING,
            _ => MOST_WAITING,
        };
        let mut dropped = Vec::new();
        notices.retain(|notice| {
            let line = self.line(&notice.channel);
            let fits = line.waiting.len() < most;
            if !fits {
                line.unlisted += 1;
                dropped.push(Arc::clone(&notice.channel));
            }
            fits
        });
        dropped
    }

    /// What this channel is to do now. While it does, nothing else is.
    pub(super) fn take(
        &mut self,
        channel: &AlertChannel,
        daytime: Option<&Calendar>,
        now: Time,
    ) -> Taken {
        let line = self.line(&channel.name);
        if line.is_busy {
            return Taken::Rest;
        }
        let posted = line.posted.make_contiguous();
        match next(channel, &line.record, posted, daytime, &line.waiting, now) {
            Next::Rest => Taken::Rest,
            Next::Wait(at) => Taken::Wait(at),
            Next::Tell(ids) => {
                line.is_busy = true;
                let found = |id: &TurnKey| line.waiting.iter().find(|one| one.id == *id).cloned();
                Taken::Tell {
                    notices: ids.iter().filter_map(found).collect(),
                    unlisted: std::mem::take(&mut line.unlisted),
                }
            }
        }
    }

    /// Notes that a message leaves.
    pub(super) fn begin(&mut self, name: &Arc<str>, now: Time) {
        let line = self.line(name);
        if line.posted.len() >= MOST_POSTS {
            line.posted.pop_front();
        }
        line.posted.push_back(now);
    }

    /// What was not listed is to be said with the next message.
    pub(super) fn unlisted_again(&mut self, name: &Arc<str>, unlisted: usize) {
        self.line(name).unlisted += unlisted;
    }

    /// Notes how an attempt ended.
    pub(super) fn note(
        &mut self,
        name: &Arc<str>,
        told: Result<(), Failure>,
        is_digest: bool,
        now: Time,
    ) -> ChannelRecord {
        let record = &mut self.line(name).record;
        match told {
            Ok(()) => {
                *record = ChannelRecord {
                    told_at: Some(now),
                    digest_at: if is_digest {
                        Some(now)
                    } else {
                        record.digest_at
                    },
                    ..ChannelRecord::default()
                };
            }
            Err(failure) => {
                record.failing_since = record.failing_since.or(Some(now));
                record.failures = record.failures.saturating_add(1);
                record.failure = Some(failure.to_string().into());
            }
        }
        record.clone()
    }

    /// Notes that others were told of this failure.
    pub(super) fn reported(&mut self, name: &Arc<str>) -> ChannelRecord {
        let record = &mut self.line(name).record;
        record.is_reported = record.failing_since.is_some();
        record.clone()
    }

    /// This channel may tell something again.
    pub(super) fn free(&mut self, name: &Arc<str>) {
        self.line(name).is_busy = false;
    }

    /// Notes what became of notices that were being told.
    pub(super) fn settle(&mut self, name: &Arc<str>, settled: &[SettledNotice]) -> ChannelRecord {
        let line = self.line(name);
        for one in settled {
            match one {
                SettledNotice::Done(id) => line.waiting.retain(|waiting| waiting.id != *id),
                SettledNotice::Again(notice) => {
                    let place = line.waiting.iter_mut().find(|one| one.id == notice.id);
                    if let Some(place) = place {
                        *place = notice.clone();
                    }
                }
                SettledNotice::Dead(dead) => {
                    line.waiting.retain(|waiting| waiting.id != dead.notice.id);
                    line.dead += 1;
                }
            }
        }
        line.record.clone()
    }

    /// Takes out what waits for channels that are not among these.
    pub(super) fn take_gone(
        &mut self,
        channels: &[AlertChannel],
    ) -> Vec<(Arc<str>, ChannelRecord, Vec<Notice>)> {
        let is_gone = |name: &Arc<str>| !channels.iter().any(|channel| channel.name == *name);
        let mut gone = Vec::new();
        for (name, line) in &mut self.lines {
            if is_gone(name) && !line.is_busy && !line.waiting.is_empty() {
                let notices = std::mem::take(&mut line.waiting);
                line.dead += notices.len();
                gone.push((Arc::clone(name), line.record.clone(), notices));
            }
        }
        gone
    }

    /// Counts what was given up.
    pub(super) fn count_dead(&mut self, dead: &[DeadNotice]) {
        for line in self.lines.values_mut() {
            line.dead = 0;
        }
        for dead in dead {
            self.line(&dead.notice.channel).dead += 1;
        }
    }

    pub(super) fn standing(&self, channel: &AlertChannel) -> ChannelStanding {
        let line = self.lines.get(&channel.name);
        let record = line.map(|line| line.record.clone()).unwrap_or_default();
        ChannelStanding {
            name: Arc::clone(&channel.name),
            kind: channel.kind,
            tier: channel.tier,
            night: channel.night,
            told_at: record.told_at,
            failing_since: record.failing_since,
            failure: record.failure,
            waiting: line.map_or(0, |line| line.waiting.len()),
            dead: line.map_or(0, |line| line.dead),
        }
    }
}
