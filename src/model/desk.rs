//! Holds what the operator set about people's work: the fixed lines, how long things last, who is told; and who is there now.
//! Owns: the settings' meaning and defaults. Uses: calendar, alert, entry. Never: TOML, the clock.

use std::sync::Arc;
use std::time::Duration;

use super::alert::AlertChannel;
use super::calendar::Calendar;
use super::entry::Priority;
use super::ids::{AccountName, AgentName};
use super::time::Time;

/// Nobody is given more conversations than this without asking.
pub const MOST_GIVEN: usize = 5;

const MINUTE: Duration = Duration::from_secs(60);

/// The settings of the desk: `[desk]` of the configuration, overridden by `rules/_desk.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskSettings {
    /// What a follower reads when a message goes to a person; `{topic}` and `{promise}` are filled in. Empty: silence.
    pub ack: Arc<str>,
    /// The same while nobody is at work, or where `ack` names somebody on duty and nobody is; `None`: `ack`.
    pub ack_off: Option<Arc<str>>,
    /// At most one ack per follower in this time.
    pub ack_every: Duration,
    /// What a follower reads when a message could not be kept.
    pub sorry: Arc<str>,
    /// What a follower reads after something WeChat cannot forward.
    pub unsupported: Arc<str>,
    /// Pushes of a window that only people may use.
    pub human_reserve: u8,
    /// How long after an agent's answer the rules stay silent.
    pub quiet_after: Duration,
    /// At most so many of the closest rules are offered for a number when none is certain; 0 turns it off.
    pub offer: u8,
    /// What stands above them.
    pub offer_text: Arc<str>,
    /// How long a person needs for one conversation, as `{queue.eta}` reckons.
    pub answer_takes: Duration,
    /// After this time without a sign of the agent, a claimed conversation goes back to the queue.
    pub claim_timeout: Duration,
    /// When people are at work; `None`: always.
    pub calendar: Option<Arc<Calendar>>,
    /// 08:00 to 23:00 in the configured zone: the day of `clock = "daytime"` and of channels that are silent at night.
    pub daytime: Option<Arc<Calendar>>,
    /// What is promised for each priority, from urgent to low.
    pub sla: [Sla; 4],
    /// Who is told.
    pub alerts: Vec<AlertChannel>,
    /// Whether a new conversation is given to somebody at once.
    pub assign: Assign,
    /// In this time an unmatched message goes back to the agent who answered last, if on duty.
    pub same_agent_within: Duration,
    /// Whole messages that ask for a person, as written.
    pub ask_person: Vec<Box<str>>,
    /// Whole messages that take that back while nobody has taken the conversation, as written.
    pub cancel_person: Vec<Box<str>>,
    /// What a follower reads who took it back.
    pub cancelled: Arc<str>,
}

/// Who gets a new conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assign {
    /// Whoever claims it.
    #[default]
    Manual,
    /// Whoever is on duty and has the fewest.
    LeastLoaded,
}

/// What is promised for one priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sla {
    /// From the message to the first answer of a person.
    pub first: Duration,
    /// To each further one.
    pub next: Duration,
    /// When the clock runs.
    pub clock: SlaClock,
    /// When people are told until somebody claims, counted from the escalation; the last gap repeats. Empty: never.
    pub repeat: Vec<Duration>,
    /// From when on tiers 1, 2 and 3 are told.
    pub tiers: Vec<Duration>,
}

/// When the clock of a promise runs. WeChat's window never stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlaClock {
    /// Day and night.
    Always,
    /// From 08:00 to 23:00.
    Daytime,
    /// While the desk's calendar is open.
    Business,
}

impl Default for DeskSettings {
    fn default() -> Self {
        let minutes =
            |list: &[u32]| -> Vec<Duration> { list.iter().map(|n| MINUTE * *n).collect() };
        let sla = |first, next, clock, repeat: &[u32], tiers: &[u32]| Sla {
            first: MINUTE * first,
            next: MINUTE * next,
            clock,
            repeat: minutes(repeat),
            tiers: minutes(tiers),
        };
        let words = |list: &[&str]| list.iter().map(|word| Box::from(*word)).collect();
        Self {
            ack: "收到,这个问题我请同事来回答。".into(),
            ack_off: None,
            ack_every: Duration::from_secs(600),
            sorry: "系统忙,这条没收到,请稍后再发。".into(),
            unsupported: "这种消息我看不到,用文字说说好吗?".into(),
            human_reserve: 3,
            quiet_after: Duration::from_secs(1800),
            offer: 0,
            offer_text: "你是想问:".into(),
            answer_takes: Duration::from_secs(180),
            claim_timeout: MINUTE * 10,
            calendar: None,
            daytime: None,
            sla: [
                sla(5, 10, SlaClock::Always, &[0, 2, 5, 10, 20], &[0, 5, 15]),
                sla(30, 60, SlaClock::Daytime, &[0, 15, 30, 60], &[0, 30]),
                sla(120, 120, SlaClock::Business, &[0], &[0]),
                sla(480, 480, SlaClock::Business, &[], &[]),
            ],
            alerts: Vec::new(),
            assign: Assign::Manual,
            same_agent_within: Duration::from_secs(24 * 3600),
            ask_person: words(&["人工", "转人工", "找人", "客服"]),
            cancel_person: words(&["取消人工", "不用了"]),
            cancelled: "好,先不找人了。有事随时说。".into(),
        }
    }
}

impl DeskSettings {
    /// What is promised for a priority.
    pub const fn sla_of(&self, priority: Priority) -> &Sla {
        let [urgent, high, normal, low] = &self.sla;
        match priority {
            Priority::Urgent => urgent,
            Priority::High => high,
            Priority::Normal => normal,
            Priority::Low => low,
        }
    }

    /// The calendar by which a clock runs; `None` is day and night.
    pub fn hours(&self, clock: SlaClock) -> Option<&Calendar> {
        match clock {
            SlaClock::Always => None,
            SlaClock::Daytime => self.daytime.as_deref(),
            SlaClock::Business => self.calendar.as_deref(),
        }
    }

    /// When a promise made at `from` falls due.
    pub fn due(&self, clock: SlaClock, from: Time, within: Duration) -> Time {
        match self.hours(clock) {
            Some(hours) => hours.after_open(from, within),
            None => from.plus(within),
        }
    }

    /// Whether people are at work.
    pub fn is_open(&self, now: Time) -> bool {
        self.calendar
            .as_ref()
            .is_none_or(|hours| hours.is_open(now))
    }
}

/// Who is there to answer now. Bounded by the number of people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnDuty {
    /// Everybody on duty, by name.
    pub people: Vec<Present>,
}

/// Somebody on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Who.
    pub name: AgentName,
    /// What `{duty.name}` says.
    pub shown: Arc<str>,
    /// The accounts this person answers for; empty means all.
    pub accounts: Vec<AccountName>,
    /// How many conversations this person has.
    pub load: usize,
}

impl OnDuty {
    /// Those who answer for this account.
    pub fn of<'a>(&'a self, account: &'a AccountName) -> impl Iterator<Item = &'a Present> {
        let reaches = |who: &&Present| who.accounts.is_empty() || who.accounts.contains(account);
        self.people.iter().filter(reaches)
    }

    /// Whether a message can go to this person now: on duty, or a program, which is always there.
    pub fn can_take(&self, name: &AgentName, account: &AccountName) -> bool {
        name.as_str().starts_with("token:") || self.has(name, account)
    }

    /// Whether this person is on duty for this account.
    pub fn has(&self, name: &AgentName, account: &AccountName) -> bool {
        self.of(account).any(|who| who.name == *name)
    }

    /// Who has the fewest conversations, and fewer than [`MOST_GIVEN`]; of equals the first by name.
    pub fn least_loaded<'a>(&'a self, account: &'a AccountName) -> Option<&'a AgentName> {
        let least = self
            .of(account)
            .filter(|who| who.load < MOST_GIVEN)
            .min_by(|a, b| (a.load, &a.name).cmp(&(b.load, &b.name)));
        least.map(|who| &who.name)
    }
}
