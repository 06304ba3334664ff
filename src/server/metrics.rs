//! Counts what happens, under the names that operators' dashboards know.
//! Owns: metric names, labels and their bounds. Uses: prometheus, model. Never: a label with a follower, a text or an address.

use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use parking_lot::RwLock;
use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::decide::Outcome;
use crate::model::entry::{Move, Priority, Reason, Settled};
use crate::model::{AccountName, By, Content, EventKind, Reply, RuleId, Time};
use crate::store::{DeskFigures, Taken};
use crate::turn::{Answered, Course};
use crate::wechat::client::{Ended, SendError};

/// How many rules have a label of their own; hits of further ones count as `other`.
const RULES: usize = 500;
/// How many alert channels have a label of their own.
const CHANNELS: usize = 50;
/// Upper bounds of the passive reply's histogram, seconds.
const SECONDS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0];
/// Upper bounds of the hooks' histogram, seconds.
const HOOK_SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0];
/// Upper bounds of the first response's histogram, seconds: a minute to two days.
const RESPONSE_SECONDS: [f64; 11] = [
    60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0, 172_800.0,
];
/// WeChat's error codes that have a label of their own.
const CODES: [i64; 16] = [
    -1, 40001, 40003, 40007, 40013, 40014, 40125, 40164, 42001, 43004, 45009, 45011, 45015, 45047,
    48001, 48002,
];
/// Upper bounds of the histogram of calls to WeChat, seconds.
const API_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Every metric of the process.
pub(super) struct Metrics {
    registry: Registry,
    inbound: IntCounterVec,
    duplicates: IntCounterVec,
    refused: IntCounterVec,
    replies: IntCounterVec,
    seconds: HistogramVec,
    hits: IntCounterVec,
    unmatched: IntCounterVec,
    escalations: IntCounterVec,
    conversations: IntGaugeVec,
    api: IntCounterVec,
    api_seconds: HistogramVec,
    token_expires: IntGaugeVec,
    hooks: HistogramVec,
    /// Rules with a label of their own in `hooks`.
    hook_rules: RwLock<AHashSet<RuleId>>,
    notifications: IntCounterVec,
    /// Channels with a label of their own in `notifications`.
    channels: RwLock<AHashSet<String>>,
    rules_loaded: IntGauge,
    rules_broken: IntGauge,
    rules_reloaded: IntGauge,
    sse_clients: IntGauge,
    oldest_waiting: IntGaugeVec,
    windows_closing: IntGaugeVec,
    /// Without labels; a vector, so that there can be none.
    next_timer: GaugeVec,
    held_answers: IntGaugeVec,
    first_response: HistogramVec,
    breaches: IntCounterVec,
    windows_missed: IntCounterVec,
    crisis_hits: IntCounterVec,
}

/// The counters of one account's callback, found once.
pub(super) struct AccountMetrics {
    account: AccountName,
    texts: IntCounter,
    inbound: IntCounterVec,
    duplicates: IntCounter,
    refused: IntCounterVec,
    by_rule: IntCounter,
    replies: IntCounterVec,
    seconds: Histogram,
    rules: RwLock<AHashMap<RuleId, IntCounter>>,
    hits: IntCounterVec,
    other_hits: IntCounter,
    acks: IntCounter,
    unmatched: IntCounter,
    escalations: IntCounterVec,
    crisis_hits: IntCounterVec,
    /// Of the usual reason and priority.
    escalated: IntCounter,
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Errors
    /// When two metrics had the same name.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let counters =
                    IntCounterVec::new(Opts::new(format!("wxreply_{name}"), help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
        let gauges =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
                let gauges = IntGaugeVec::new(Opts::new(format!("wxreply_{name}"), help), labels)?;
                registry.register(Box::new(gauges.clone()))?;
                Ok(gauges)
            };
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "wxreply_passive_reply_seconds",
                "From the request's head to the answer's body.",
            )
            .buckets(SECONDS.to_vec()),
            &["account"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let hooks = HistogramVec::new(
            HistogramOpts::new(
                "wxreply_hook_seconds",
                "Questions of rules to other systems, by how they ended.",
            )
            .buckets(HOOK_SECONDS.to_vec()),
            &["hook", "result"],
        )?;
        registry.register(Box::new(hooks.clone()))?;
        let api_seconds = HistogramVec::new(
            HistogramOpts::new(
                "wxreply_wechat_api_seconds",
                "How long calls of WeChat's API took.",
            )
            .buckets(API_SECONDS.to_vec()),
            &["account", "api"],
        )?;
        registry.register(Box::new(api_seconds.clone()))?;
        let next_timer = GaugeVec::new(
            Opts::new(
                "wxreply_next_timer_timestamp_seconds",
                "When something is to happen to a conversation by itself; long past: the desk is stuck.",
            ),
            &[],
        )?;
        registry.register(Box::new(next_timer.clone()))?;
        let first_response = HistogramVec::new(
            HistogramOpts::new(
                "wxreply_first_response_seconds",
                "From a message that needs a person to the first answer of one that arrived.",
            )
            .buckets(RESPONSE_SECONDS.to_vec()),
            &["account", "priority"],
        )?;
        registry.register(Box::new(first_response.clone()))?;
        gauges("build_info", "The version that runs.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let unlabelled = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(format!("wxreply_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            inbound: counters(
                "inbound_total",
                "Verified messages and events, repeats included.",
                &["account", "kind"],
            )?,
            duplicates: counters(
                "duplicate_deliveries_total",
                "Repeats by WeChat.",
                &["account"],
            )?,
            refused: counters(
                "signature_failures_total",
                "Refused callbacks, by the step that failed.",
                &["account", "step"],
            )?,
            replies: counters(
                "replies_total",
                "Answers, by the way they took.",
                &["account", "route", "by", "result"],
            )?,
            hits: counters(
                "rule_hits_total",
                "Messages that a rule answered.",
                &["account", "rule"],
            )?,
            unmatched: counters(
                "unmatched_total",
                "Messages that no rule covers.",
                &["account"],
            )?,
            escalations: counters(
                "escalations_total",
                "Messages that went to a person.",
                &["account", "reason", "priority"],
            )?,
            conversations: gauges(
                "conversations",
                "Conversations in each state, by priority.",
                &["account", "state", "priority"],
            )?,
            api: counters(
                "wechat_api_total",
                "Calls of WeChat's API, by its answer.",
                &["account", "api", "code"],
            )?,
            token_expires: gauges(
                "token_expires_timestamp_seconds",
                "When WeChat stops taking the access token that is in use.",
                &["account"],
            )?,
            notifications: counters(
                "notifications_total",
                "Attempts to alert people, by how they ended; dead, dropped and stale count alerts.",
                &["channel", "result"],
            )?,
            channels: RwLock::default(),
            rules_loaded: unlabelled("rules_loaded", "Rules in the set that runs.")?,
            rules_broken: unlabelled(
                "rules_broken_files",
                "Rule files with errors in the directory.",
            )?,
            rules_reloaded: unlabelled(
                "rules_reload_success_timestamp_seconds",
                "When the rules that run were taken up.",
            )?,
            oldest_waiting: gauges(
                "oldest_waiting_seconds",
                "How long the oldest unclaimed episode has waited.",
                &["account", "priority"],
            )?,
            windows_closing: gauges(
                "windows_closing",
                "Unanswered conversations whose window ends within three hours.",
                &["account"],
            )?,
            held_answers: gauges(
                "held_answers",
                "Answers that wait for a follower's next visit.",
                &["account"],
            )?,
            next_timer,
            first_response,
            breaches: counters(
                "sla_breaches_total",
                "Promised times that passed.",
                &["account", "priority", "timer"],
            )?,
            windows_missed: counters(
                "windows_missed_total",
                "Windows that ended without a person's answer.",
                &["account"],
            )?,
            crisis_hits: counters(
                "crisis_hits_total",
                "Messages with words of _crisis.toml.",
                &["account", "tier"],
            )?,
            sse_clients: unlabelled("sse_clients", "Who follows the events now.")?,
            seconds,
            api_seconds,
            hooks,
            hook_rules: RwLock::default(),
            registry,
        })
    }

    /// The counters of one account.
    pub(super) fn account(&self, account: &AccountName) -> AccountMetrics {
        let name = account.as_str();
        AccountMetrics {
            account: account.clone(),
            texts: self.inbound.with_label_values(&[name, "text"]),
            inbound: self.inbound.clone(),
            duplicates: self.duplicates.with_label_values(&[name]),
            refused: self.refused.clone(),
            by_rule: self
                .replies
                .with_label_values(&[name, "passive", "rule", "ok"]),
            replies: self.replies.clone(),
            seconds: self.seconds.with_label_values(&[name]),
            rules: RwLock::default(),
            hits: self.hits.clone(),
            other_hits: self.hits.with_label_values(&[name, "other"]),
            acks: self
                .replies
                .with_label_values(&[name, "passive", "ack", "ok"]),
            unmatched: self.unmatched.with_label_values(&[name]),
            escalations: self.escalations.clone(),
            crisis_hits: self.crisis_hits.clone(),
            escalated: self.escalations.with_label_values(&[
                name,
                Reason::Unmatched.word(),
                priority_word(Priority::Normal),
            ]),
        }
    }

    /// Notes an attempt to push.
    pub(super) fn pushed(&self, taken: &Taken, result: &Settled) {
        let word = match result {
            Settled::Sent => "sent",
            Settled::Again { .. } => return,
            Settled::Held { .. } => "held",
            Settled::Failed { .. } => "failed",
            Settled::Unknown { .. } => "unknown",
        };
        let by = if taken.push.by == By::Agent {
            "agent"
        } else {
            "rule"
        };
        let labels = [taken.account.as_str(), "push", by, word];
        self.replies.with_label_values(&labels).inc();
    }

    /// Notes a call of WeChat's API.
    pub(super) fn called(&self, account: &AccountName, ended: &Ended<'_>) {
        let code = match ended.error {
            None => "ok".to_owned(),
            Some(SendError::Refused { code: refused, .. }) => code(*refused),
            Some(SendError::NotConnected(_) | SendError::Unclear(_)) => code(0),
        };
        let (account, api) = (account.as_str(), ended.api.name);
        self.api.with_label_values(&[account, api, &code]).inc();
        self.api_seconds
            .with_label_values(&[account, api])
            .observe(ended.took.as_secs_f64());
    }

    /// Notes when an account's token ends; without one there is nothing to show.
    pub(super) fn token(&self, account: &AccountName, until: Option<Time>) {
        let labels = [account.as_str()];
        match until {
            Some(until) => self
                .token_expires
                .with_label_values(&labels)
                .set(until.seconds()),
            // It may never have been shown.
            None => drop(self.token_expires.remove_label_values(&labels)),
        }
    }

    /// Notes when the next timer of a conversation is due; without one there is nothing to show.
    pub(super) fn next_timer(&self, at: Option<Time>) {
        match at {
            Some(at) => self
                .next_timer
                .with_label_values::<&str>(&[])
                .set(Duration::from_millis(at.millis().unsigned_abs()).as_secs_f64()),
            // It may never have been shown.
            None => drop(self.next_timer.remove_label_values::<&str>(&[])),
        }
    }

    /// Notes a question of a rule to another system.
    pub(super) fn asked(&self, rule: &RuleId, result: &str, took: Duration) {
        let is_known = self.hook_rules.read().contains(rule);
        let has_label = is_known || {
            let mut rules = self.hook_rules.write();
            rules.len() < RULES && rules.insert(rule.clone()) || rules.contains(rule)
        };
        let hook = if has_label { rule.as_str() } else { "other" };
        self.hooks
            .with_label_values(&[hook, result])
            .observe(took.as_secs_f64());
    }

    /// Notes an attempt on an alert channel.
    pub(super) fn notified(&self, channel: &str, result: &str) {
        let is_known = self.channels.read().contains(channel);
        let has_label = is_known || {
            let mut channels = self.channels.write();
            channels.contains(channel)
                || channels.len() < CHANNELS && channels.insert(channel.to_owned())
        };
        let channel = if has_label { channel } else { "other" };
        self.notifications
            .with_label_values(&[channel, result])
            .inc();
    }

    /// Notes the rules that run, and how many files of the directory are broken.
    pub(super) fn rules(&self, loaded: usize, broken_files: usize) {
        self.rules_loaded
            .set(i64::try_from(loaded).unwrap_or(i64::MAX));
        self.rules_broken
            .set(i64::try_from(broken_files).unwrap_or(i64::MAX));
    }

    /// Notes when rules were taken up.
    pub(super) fn reloaded(&self, at: Time) {
        self.rules_reloaded.set(at.seconds());
    }

    /// Counts somebody who follows the events.
    pub(super) fn sse_client(&self) -> SseClient {
        self.sse_clients.inc();
        SseClient(self.sse_clients.clone())
    }

    /// Notes that a person's first answer of an episode arrived, so long after it was opened.
    pub(super) fn first_response(&self, account: &AccountName, priority: Priority, took: Duration) {
        self.first_response
            .with_label_values(&[account.as_str(), priority_word(priority)])
            .observe(took.as_secs_f64());
    }

    /// Notes that a promised time passed; `timer` is one of a few words: `first`, `next`.
    pub(super) fn breached(&self, account: &AccountName, priority: Priority, timer: &'static str) {
        self.breaches
            .with_label_values(&[account.as_str(), priority_word(priority), timer])
            .inc();
    }

    /// Notes that a window ended without a person's answer.
    pub(super) fn window_missed(&self, account: &AccountName) {
        self.windows_missed
            .with_label_values(&[account.as_str()])
            .inc();
    }

    /// Everything in Prometheus' text form, with the desk as it is now.
    pub(super) fn text(&self, desk: &[DeskFigures], now: Time) -> Vec<u8> {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.conversations.reset();
        self.oldest_waiting.reset();
        for figures in desk {
            let account = figures.account.as_str();
            for (state, priority, count) in &figures.counts {
                self.conversations
                    .with_label_values(&[account, state.word(), priority_word(*priority)])
                    .set(number(*count));
            }
            for (priority, since) in &figures.oldest_waiting {
                let waited = now.since(*since).as_secs();
                self.oldest_waiting
                    .with_label_values(&[account, priority_word(*priority)])
                    .set(i64::try_from(waited).unwrap_or(i64::MAX));
            }
            self.windows_closing
                .with_label_values(&[account])
                .set(number(figures.windows_closing));
            self.held_answers
                .with_label_values(&[account])
                .set(number(figures.held_answers));
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

/// Is counted until it is dropped.
pub(super) struct SseClient(IntGauge);

impl Drop for SseClient {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl AccountMetrics {
    /// Notes a verified message.
    pub(super) fn received(&self, content: &Content) {
        match content {
            Content::Text { .. } => self.texts.inc(),
            Content::Event(event) => self.of_kind(event_label(event.kind)),
            other => self.of_kind(other.kind()),
        }
    }

    fn of_kind(&self, kind: &str) {
        self.inbound
            .with_label_values(&[self.account.as_str(), kind])
            .inc();
    }

    /// Notes a refused callback.
    pub(super) fn refused(&self, step: &str) {
        self.refused
            .with_label_values(&[self.account.as_str(), step])
            .inc();
    }

    /// Notes an answer and the time it took.
    pub(super) fn answered(&self, answered: &Answered, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        let outcome = match answered.course {
            Course::Decided(outcome) => outcome,
            Course::Repeated => return self.duplicates.inc(),
            Course::Late => return self.route("passive", "rule", "late"),
            Course::Unkept => return self.route("passive", "system", "unkept"),
        };
        if let Some(own) = &answered.own {
            if let Some(rule) = &own.rule {
                self.hit(rule);
            }
            match own.by {
                By::Rule if matches!(own.reply, Reply::Transfer { .. }) => {
                    self.route("desk", "rule", "ok")
                }
                By::Rule => self.by_rule.inc(),
                By::Form => self.route("passive", "form", "ok"),
                By::Ack => self.acks.inc(),
                By::System => self.route("passive", "system", "ok"),
                By::Crisis => self.route("passive", "crisis", "ok"),
                By::Agent | By::Follower => {}
            }
        }
        if outcome == Outcome::Held {
            self.route("held", "agent", "ok");
        }
        if let Some(
            Move::Escalate {
                reason, priority, ..
            }
            | Move::Assign {
                reason, priority, ..
            }
            | Move::Raise {
                reason, priority, ..
            }
            | Move::Requeue {
                reason, priority, ..
            },
        ) = &answered.moved
        {
            if *reason == Reason::Unmatched {
                self.unmatched.inc();
                if *priority == Priority::Normal {
                    return self.escalated.inc();
                }
            }
            if *reason == Reason::Crisis {
                self.crisis_hits
                    .with_label_values(&[self.account.as_str(), priority_word(*priority)])
                    .inc();
            }
            self.escalations
                .with_label_values(&[
                    self.account.as_str(),
                    reason.word(),
                    priority_word(*priority),
                ])
                .inc();
        }
    }

    fn route(&self, route: &str, by: &str, result: &str) {
        self.replies
            .with_label_values(&[self.account.as_str(), route, by, result])
            .inc();
    }

    fn hit(&self, rule: &RuleId) {
        let rules = self.rules.read();
        match rules.get(rule) {
            Some(counter) => return counter.inc(),
            None if rules.len() >= RULES => return self.other_hits.inc(),
            None => drop(rules),
        }
        let mut rules = self.rules.write();
        if rules.len() >= RULES {
            return self.other_hits.inc();
        }
        let counter = || {
            self.hits
                .with_label_values(&[self.account.as_str(), rule.as_str()])
        };
        rules.entry(rule.clone()).or_insert_with(counter).inc();
    }
}

fn code(code: i64) -> String {
    match code {
        0 => "net".to_owned(),
        known if CODES.contains(&known) => known.to_string(),
        _ => "other".to_owned(),
    }
}

fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::Urgent => "urgent",
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
    }
}

/// The label of an event; the rarer ones share one, so that labels stay few.
fn event_label(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Subscribe => "event_subscribe",
        EventKind::Unsubscribe => "event_unsubscribe",
        EventKind::Scan => "event_scan",
        EventKind::Location => "event_location",
        EventKind::Click => "event_click",
        EventKind::View => "event_view",
        _ => "event_other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn only_so_many_rules_have_a_label() {
        let metrics = Metrics::new().unwrap();
        let account = metrics.account(&AccountName::parse("shop").unwrap());
        for n in 0..RULES + 3 {
            account.hit(&RuleId::parse(format!("r{n}")).unwrap());
        }
        account.hit(&RuleId::parse("r0").unwrap());
        let text = String::from_utf8(metrics.text(&[], Time::default())).unwrap();
        assert_eq!(text.matches("wxreply_rule_hits_total{").count(), RULES + 1);
        assert!(
            text.contains(r#"wxreply_rule_hits_total{account="shop",rule="r0"} 2"#),
            "{text}"
        );
        assert!(text.contains(r#"wxreply_rule_hits_total{account="shop",rule="other"} 3"#));
    }

    #[test]
    fn only_so_many_hooks_have_a_label() {
        let metrics = Metrics::new().unwrap();
        for n in (0..RULES + 3).chain([0]) {
            let rule = RuleId::parse(format!("r{n}")).unwrap();
            metrics.asked(&rule, "found", Duration::from_millis(20));
        }
        let text = String::from_utf8(metrics.text(&[], Time::default())).unwrap();
        let count = "wxreply_hook_seconds_count{";
        assert_eq!(text.matches(count).count(), RULES + 1);
        assert!(text.contains(r#"wxreply_hook_seconds_count{hook="r0",result="found"} 2"#));
        assert!(text.contains(r#"wxreply_hook_seconds_count{hook="other",result="found"} 3"#));
    }

    #[test]
    fn the_desk_is_shown_as_it_is_now_and_nothing_stays_of_before() {
        let metrics = Metrics::new().unwrap();
        let shop = AccountName::parse("shop").unwrap();
        let now = Time::from_seconds(1_000);
        let figures = DeskFigures {
            account: shop.clone(),
            counts: vec![(State::Waiting, Priority::High, 3)],
            oldest_waiting: vec![(Priority::High, Time::from_seconds(910))],
            windows_closing: 2,
            held_answers: 1,
        };
        let text = String::from_utf8(metrics.text(std::slice::from_ref(&figures), now)).unwrap();
        for line in [
            r#"wxreply_conversations{account="shop",priority="high",state="waiting"} 3"#,
            r#"wxreply_oldest_waiting_seconds{account="shop",priority="high"} 90"#,
            r#"wxreply_windows_closing{account="shop"} 2"#,
            r#"wxreply_held_answers{account="shop"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let nobody = DeskFigures {
            counts: Vec::new(),
            oldest_waiting: Vec::new(),
            ..figures
        };
        let text = String::from_utf8(metrics.text(&[nobody], now)).unwrap();
        assert!(!text.contains("wxreply_oldest_waiting_seconds{"));
        metrics.first_response(&shop, Priority::High, Duration::from_secs(61));
        metrics.breached(&shop, Priority::High, "first");
        metrics.window_missed(&shop);
        let text = String::from_utf8(metrics.text(&[], now)).unwrap();
        for line in [
            r#"wxreply_first_response_seconds_bucket{account="shop",priority="high",le="120"} 1"#,
            r#"wxreply_sla_breaches_total{account="shop",priority="high",timer="first"} 1"#,
            r#"wxreply_windows_missed_total{account="shop"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_next_timer_is_shown_to_the_millisecond_while_there_is_one() {
        let metrics = Metrics::new().unwrap();
        let text = || String::from_utf8(metrics.text(&[], Time::default())).unwrap();
        metrics.next_timer(None);
        assert!(!text().contains("next_timer_timestamp"));
        metrics.next_timer(Some(Time::from_millis(1_780_450_200_001)));
        let line = "\nwxreply_next_timer_timestamp_seconds 1780450200.001\n";
        assert!(text().contains(line), "{}", text());
        metrics.next_timer(None);
        assert!(!text().contains("next_timer_timestamp"));
    }

    #[test]
    fn codes_outside_the_list_share_a_label() {
        assert_eq!([0, 45015, 99999].map(code), ["net", "45015", "other"]);
    }
}
