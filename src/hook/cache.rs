//! Remembers answers for a minute, so that the same question is not asked again and again.
//! Owns: how many, how long, which goes first. Uses: model. Never: keeps a failure, reads the clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;

use crate::model::hook::HOOK_CACHED_FOR;
use crate::model::{AccountName, HookAnswer, HookCall, Time};

/// The most answers that are kept.
const MOST: usize = 1000;

/// What was asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Question {
    account: AccountName,
    url: Box<str>,
    fields: Vec<(Box<str>, Box<str>)>,
}

impl Question {
    fn of(call: &HookCall) -> Self {
        Self {
            account: call.account.clone(),
            url: call.url.clone(),
            fields: call.fields.clone(),
        }
    }
}

/// Answers of the last minute.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: HashMap<Arc<Question>, (Time, HookAnswer), RandomState>,
    /// In the order of keeping; a question that was kept again stands here twice.
    order: VecDeque<(Time, Arc<Question>)>,
}

impl Cache {
    /// The answer to this question, if it was given within the last minute.
    pub(super) fn fresh(&self, call: &HookCall, now: Time) -> Option<HookAnswer> {
        let (at, answer) = self.kept.get(&Question::of(call))?;
        (now.since(*at) < HOOK_CACHED_FOR).then(|| answer.clone())
    }

    /// Keeps an answer; a failure is none.
    pub(super) fn keep(&mut self, call: &HookCall, answer: &HookAnswer, now: Time) {
        if matches!(answer, HookAnswer::Failed(_)) {
            return;
        }
        let question = Arc::new(Question::of(call));
        self.kept
            .insert(Arc::clone(&question), (now, answer.clone()));
        self.order.push_back((now, question));
        while let Some((at, _)) = self.order.front() {
            if self.order.len() <= MOST && now.since(*at) < HOOK_CACHED_FOR {
                break;
            }
            if let Some((at, question)) = self.order.pop_front() {
                self.drop_kept_at(at, &question);
            }
        }
    }

    /// Drops an answer unless it was kept again since.
    fn drop_kept_at(&mut self, at: Time, question: &Question) {
        if self.kept.get(question).is_some_and(|(kept, _)| *kept == at) {
            self.kept.remove(question);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{HookFault, RuleId, TurnKey};

    fn question(order: &str) -> HookCall {
        HookCall {
            account: AccountName::parse("shop").unwrap(),
            rule: RuleId::parse("order".to_owned()).unwrap(),
            key: TurnKey::of_text(order),
            url: "https://erp.example.com/".into(),
            fields: vec![("order".into(), order.into())],
            secret: None,
            timeout: Duration::from_secs(3),
        }
    }

    fn found(state: &str) -> HookAnswer {
        HookAnswer::Found(vec![("state".into(), state.into())])
    }

    const START: Time = Time::from_seconds(1_000);

    #[test]
    fn an_answer_is_good_for_a_minute_and_a_failure_not_at_all() {
        let mut cache = Cache::default();
        cache.keep(&question("1"), &found("a"), START);
        cache.keep(&question("2"), &HookAnswer::Missing, START);
        let fault = HookAnswer::Failed(HookFault::Timeout);
        cache.keep(&question("3"), &fault, START);
        let almost = START.plus(HOOK_CACHED_FOR - Duration::from_millis(1));
        assert_eq!(cache.fresh(&question("1"), almost), Some(found("a")));
        assert_eq!(
            cache.fresh(&question("2"), almost),
            Some(HookAnswer::Missing)
        );
        assert_eq!(cache.fresh(&question("3"), almost), None);
        let over = START.plus(HOOK_CACHED_FOR);
        assert_eq!(cache.fresh(&question("1"), over), None);
        let mut other = question("1");
        other.account = AccountName::parse("other").unwrap();
        assert_eq!(cache.fresh(&other, START), None);
    }

    #[test]
    fn the_oldest_answer_makes_room_and_the_old_ones_go() {
        let mut cache = Cache::default();
        for n in 0..=MOST {
            cache.keep(&question(&n.to_string()), &found("a"), START);
        }
        assert_eq!(cache.kept.len(), MOST);
        assert_eq!(cache.fresh(&question("0"), START), None);
        assert_eq!(cache.fresh(&question("1"), START), Some(found("a")));
        let later = START.plus(Duration::from_secs(30));
        cache.keep(&question("1"), &found("b"), later);
        let latest = later.plus(Duration::from_secs(31));
        cache.keep(&question("x"), &found("c"), latest);
        assert_eq!(cache.fresh(&question("1"), latest), Some(found("b")));
        assert_eq!((cache.kept.len(), cache.order.len()), (2, 2));
    }
}
