//! Serves back-tests: what a draft would have made of the messages that followers sent.
//! Owns: which messages, and that one runs at a time. Uses: decide, the keeper of the rules, store. Never: changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::json_body_up_to;
use super::rule_shapes::described;
use super::shapes::ProblemShape;
use crate::decide::ActiveRules;
use crate::decide::backtest::{Backtest, Compared};
use crate::model::{FileChanges, Time};
use crate::server::Site;
use crate::server::access::{Caller, Operator};
use crate::server::error::{Code, Problem};
use crate::server::rules::{Draft, Refused};

/// The most a draft may have.
const LIMIT: usize = 16 << 20;
/// How far back unless the caller says.
const DAYS: u32 = 30;
/// The furthest back, in days.
const MOST_DAYS: u32 = 3650;
/// How many messages are decided before the threads behind the server may do something else: some milliseconds.
const AT_ONCE: usize = 500;

/// A draft to compare with what runs.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewBacktest)]
pub(super) struct NewBacktest {
    /// Files laid over those that run, by path.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Paths of files that run and are not in the draft.
    #[serde(default)]
    delete: Vec<String>,
    /// Whether `files` are everything: other rule files and tables do not count, those below `media/` do.
    #[serde(default)]
    replace: bool,
    /// How many days back, 30 unless said; at most 3650.
    days: Option<u32>,
}

/// What a back-test answers.
#[derive(Serialize)]
struct Report {
    since: Time,
    #[serde(flatten)]
    compared: Compared,
}

/// Decides every stored message with the rules that run and with a draft, each at its own time and as if it were its
/// follower's first, and shows the differences. Changes nothing. One runs at a time.
#[utoipa::path(
    post, path = "/rules/backtest", operation_id = "backtestRules",
    request_body = NewBacktest,
    responses(
        (status = 200, body = BacktestShape),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 409, body = ProblemShape),
        (status = 413, body = ProblemShape),
        (status = 422, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn backtest(
    Operator(caller): Operator,
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let wanted: NewBacktest = json_body_up_to(&request, payload, LIMIT).await?;
    let days = wanted.days.unwrap_or(DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        let detail = format!("`days` is from 1 to {MOST_DAYS}");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    let _alone = site
        .backtest
        .try_lock()
        .map_err(|_running| Problem::new(Code::Busy, "a back-test is running; try again later"))?;
    let since = site
        .clock
        .now()
        .minus(Duration::from_secs(u64::from(days) * 24 * 3600));
    let draft = draft(&site, wanted).await?;
    let test = Backtest::new(site.keeper.active(), Arc::new(draft));
    let compared = run(&site, &caller, since, test).await?;
    Ok(HttpResponse::Ok().json(Report { since, compared }))
}

/// The rules that run with the draft on top.
async fn draft(site: &Site, wanted: NewBacktest) -> Result<ActiveRules, Problem> {
    let mut changes: FileChanges = wanted.delete.into_iter().map(|path| (path, None)).collect();
    let files = wanted.files.into_iter();
    changes.extend(files.map(|(path, text)| (path, Some(text.into()))));
    let draft = Draft {
        made_for: None,
        changes,
        is_whole: wanted.replace,
    };
    let files = site.keeper.active_files().await?;
    let files = files.with(&draft.changes(&files));
    Ok(site.keeper.compiled(files).await?)
}

/// Takes what followers of the caller's accounts sent through the test, a part at a time and away from the threads that
/// serve.
async fn run(
    site: &Site,
    caller: &Caller,
    since: Time,
    mut test: Backtest,
) -> Result<Compared, Problem> {
    let mut after = None;
    loop {
        let past = site.store.past(since, after, AT_ONCE).await?;
        let mut messages = past.messages;
        messages.retain(|message| caller.reaches(&message.account));
        let decided = tokio::task::spawn_blocking(move || {
            for message in &messages {
                test.take(message.key, &message.account, &message.incoming, message.at);
            }
            test
        });
        test = decided.await.map_err(|_panicked| Refused::Panicked)?;
        after = past.next;
        if after.is_none() {
            return Ok(test.end());
        }
    }
}

described! {
    /// What two rule sets make of the same messages.
    BacktestShape as Backtest {
        /// From when on messages were taken.
        #[schema(value_type = String, format = "date-time")]
        since: Time,
        /// How many messages and events were decided.
        messages: u64,
        /// How many of them a rule covers.
        covered: BothShape,
        changes: ChangesShape,
        /// What is decided differently, what happened most often first; 200 at most.
        samples: Vec<SampleShape>,
        /// How often each rule decided, those whose count changed most first; 1000 at most.
        rules: Vec<OfRuleShape>,
    }
    /// A count with the rules that run and with the draft.
    BothShape as BacktestBoth {
        old: u64,
        new: u64,
    }
    /// How many messages are decided differently.
    ChangesShape as BacktestChanges {
        newly_covered: u64,
        no_longer_covered: u64,
        another_rule: u64,
        /// The same rule does or says something else.
        other_words: u64,
    }
    /// Messages of the same words that are decided differently in the same way.
    SampleShape as BacktestSample {
        /// `newly_covered`, `no_longer_covered`, `another_rule` or `other_words`.
        change: String,
        count: u64,
        /// When the last of them came.
        #[schema(value_type = String, format = "date-time")]
        last_at: Time,
        /// The account of the first.
        account: String,
        kind: String,
        /// What the follower said; 200 characters at most.
        text: String,
        old: LedShape,
        new: LedShape,
    }
    /// What a message leads to.
    LedShape as BacktestLed {
        /// As in a try.
        decision: String,
        #[schema(required)]
        rule: Option<String>,
        /// What the follower reads, each an object with the reply's kind as its only key.
        replies: Vec<Value>,
        /// What another system would be asked, when that decides.
        #[schema(nullable = false)]
        hook: Option<Value>,
    }
    /// How often a rule decided.
    OfRuleShape as BacktestRule {
        rule: String,
        old: u64,
        new: u64,
    }
}
