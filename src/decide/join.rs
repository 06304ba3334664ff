//! Joins answers that waited, and a rule's own answer behind them, into one passive reply.
//! Owns: what fits into one text. Uses: model. Never: decides whether anything is handed out.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::entry::Push;
use crate::model::reply::TEXT_LIMIT;
use crate::model::{MessageId, Reply};

/// Between two answers of people.
const BETWEEN: &str = "\n\n";
/// Between people's answers and a rule's.
const BEFORE_RULE: &str = "\n————\n";

/// What goes out together.
pub(super) struct Joined {
    /// The answers handed out.
    pub(super) given: SmallVec<[MessageId; 2]>,
    /// The passive reply.
    pub(super) reply: Reply,
    /// Whether `own` is in it.
    pub(super) own_fits: bool,
}

/// Joins held texts, oldest first, up to the byte limit; what is no text goes alone. The rest stays held, and then
/// `own` has to wait as well.
///
/// At least one answer must be held.
pub(super) fn join<'a>(held: impl Iterator<Item = &'a Push>, own: Option<&Reply>) -> Joined {
    let mut given = SmallVec::new();
    let mut text = String::new();
    let mut is_whole = true;
    for push in held {
        match &push.reply {
            Reply::Text(more) if fits(&text, BETWEEN, more) => add(&mut text, BETWEEN, more),
            other if given.is_empty() => {
                given.push(push.id);
                return Joined {
                    given,
                    reply: other.clone(),
                    own_fits: false,
                };
            }
            _ => {
                is_whole = false;
                break;
            }
        }
        given.push(push.id);
    }
    let own_fits = match own {
        Some(Reply::Text(more)) if is_whole && fits(&text, BEFORE_RULE, more) => {
            add(&mut text, BEFORE_RULE, more);
            true
        }
        _ => false,
    };
    Joined {
        given,
        reply: Reply::Text(Arc::from(text)),
        own_fits,
    }
}

/// Two texts of one rule as one, where they fit.
pub(super) fn both(first: &str, second: &str) -> Option<Arc<str>> {
    fits(first, BETWEEN, second).then(|| [first, BETWEEN, second].concat().into())
}

fn fits(text: &str, between: &str, more: &str) -> bool {
    text.is_empty() && more.len() <= TEXT_LIMIT
        || text.len() + between.len() + more.len() <= TEXT_LIMIT
}

fn add(text: &mut String, between: &str, more: &str) {
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}
