//! Finds conversations for people who look through them.
//! Owns: the order and the bounds of a page. Uses: seats. Never: the disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::model::{Conversation, ConversationId, Time};
use crate::store::{Page, Query};

use super::seats::Seats;

/// See [`crate::store::Store::conversations`]. Looks at every conversation once and keeps only a page of them.
pub(super) fn page(seats: &Seats, query: &Query) -> Page {
    let wanted = query.limit.saturating_add(1);
    let mut newest: BinaryHeap<Reverse<ByTime>> = BinaryHeap::new();
    seats.each(|conversation| {
        let place = place(conversation);
        let is_newer = newest.len() < wanted
            || newest
                .peek()
                .is_some_and(|Reverse(oldest)| place > oldest.0);
        if is_newer && fits(query, conversation) {
            newest.push(Reverse(ByTime(place, Arc::clone(conversation))));
            if newest.len() > wanted {
                newest.pop();
            }
        }
    });
    // Ascending by `Reverse` is newest first.
    let newest = newest.into_sorted_vec();
    let more = newest.len() > query.limit;
    Page {
        conversations: newest
            .into_iter()
            .take(query.limit)
            .map(|Reverse(ByTime(_, conversation))| conversation)
            .collect(),
        more,
    }
}

type Place = (Time, ConversationId);

fn place(conversation: &Conversation) -> Place {
    (conversation.updated_at, conversation.id)
}

fn fits(query: &Query, conversation: &Conversation) -> bool {
    query.after.is_none_or(|after| place(conversation) < after)
        && (query.states.is_empty() || query.states.contains(&conversation.state))
        && (query.accounts.is_empty() || query.accounts.contains(&conversation.account))
        && query
            .follower
            .as_ref()
            .is_none_or(|follower| *follower == conversation.follower)
}

struct ByTime(Place, Arc<Conversation>);

impl PartialEq for ByTime {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ByTime {}

impl PartialOrd for ByTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
