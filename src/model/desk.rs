//! Holds what the operator set about people's work: the fixed lines and how long things last.
//! Owns: the settings' meaning and defaults. Uses: nothing. Never: TOML, the clock.

use std::sync::Arc;
use std::time::Duration;

/// The settings of the desk: `[desk]` of the configuration, overridden by `rules/_desk.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskSettings {
    /// What a follower reads when a message goes to a person. Empty: silence.
    pub ack: Arc<str>,
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
}

impl Default for DeskSettings {
    fn default() -> Self {
        Self {
            ack: "收到,这个问题我请同事来回答。".into(),
            ack_every: Duration::from_secs(600),
            sorry: "系统忙,这条没收到,请稍后再发。".into(),
            unsupported: "这种消息我看不到,用文字说说好吗?".into(),
            human_reserve: 3,
            quiet_after: Duration::from_secs(1800),
            offer: 0,
            offer_text: "你是想问:".into(),
            answer_takes: Duration::from_secs(180),
        }
    }
}
