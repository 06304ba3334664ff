//! Keeps the forecast of how many pushes WeChat still allows to one follower, and until when.
//! Owns: the numbers of the 48-hour window and the one-minute taps. Uses: time. Never: calls WeChat; WeChat's own refusal overrides it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Time;

/// How long a message lets us push (客服消息介绍, in force since 2023), less five minutes for clocks and queues.
pub const MESSAGE_WINDOW: Duration = Duration::from_secs(48 * 3600 - 300);
/// How many pushes a message allows.
pub const MESSAGE_PUSHES: u8 = 5;
/// How long a menu tap, a follow or a scan lets us push.
pub const TAP_WINDOW: Duration = Duration::from_secs(60);
/// How many pushes a tap allows.
pub const TAP_PUSHES: u8 = 3;

/// What one follower's actions opened and what was spent of it. Allowances do not add up: an action refills its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    message: Allowance,
    tap: Allowance,
}

/// What opened a window, and what was sent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// `message`, or `tap` for a menu tap, a follow or a scan.
    pub by: &'static str,
    /// When.
    pub at: Time,
    /// How many pushes went out since, or were used up as far as WeChat says.
    pub sent: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Allowance {
    until: Time,
    left: u8,
}

impl Allowance {
    fn is_open(self, now: Time) -> bool {
        self.left > 0 && now < self.until
    }
}

impl Window {
    /// A message came: five pushes for 48 hours.
    pub fn message(&mut self, now: Time) {
        self.message = Allowance {
            until: now.plus(MESSAGE_WINDOW),
            left: MESSAGE_PUSHES,
        };
    }

    /// A tap, follow or scan came: three pushes for one minute.
    pub fn tap(&mut self, now: Time) {
        self.tap = Allowance {
            until: now.plus(TAP_WINDOW),
            left: TAP_PUSHES,
        };
    }

    /// WeChat said 45015, or the follower left.
    pub fn close(&mut self) {
        *self = Self::default();
    }

    /// WeChat said 45047: nothing is left until the follower acts again.
    pub fn exhaust(&mut self) {
        self.message.left = 0;
        self.tap.left = 0;
    }

    /// A push went out, or may have: counts against every open allowance, because WeChat's quotas do not add up.
    pub fn spend(&mut self, now: Time) {
        for allowance in [&mut self.message, &mut self.tap] {
            if allowance.is_open(now) {
                allowance.left -= 1;
            }
        }
    }

    /// When the window that a message opened shuts, open or not; `None` when there was none, or WeChat closed it.
    pub fn closes_at(&self) -> Option<Time> {
        (self.message.until != Time::default()).then_some(self.message.until)
    }

    /// What opened the allowance that counts now, when, and how many pushes were sent of it.
    pub fn opened(&self, now: Time) -> Option<Opened> {
        let of = |allowance: Allowance, by, all: u8, lasts| {
            (now < allowance.until).then(|| Opened {
                by,
                at: allowance.until.minus(lasts),
                sent: all.saturating_sub(allowance.left),
            })
        };
        let message = of(self.message, "message", MESSAGE_PUSHES, MESSAGE_WINDOW);
        message.or_else(|| of(self.tap, "tap", TAP_PUSHES, TAP_WINDOW))
    }

    /// How many pushes are left now.
    pub fn left(&self, now: Time) -> u8 {
        let open = |allowance: Allowance| {
            if allowance.is_open(now) {
                allowance.left
            } else {
                0
            }
        };
        open(self.message).max(open(self.tap))
    }

    /// When the last open allowance ends; `None` when none is open in time.
    pub fn until(&self, now: Time) -> Option<Time> {
        let until = self.message.until.max(self.tap.until);
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_allows_five_for_two_days_and_a_tap_three_for_a_minute() {
        let start = Time::from_seconds(1_000_000);
        let mut window = Window::default();
        assert_eq!((window.left(start), window.until(start)), (0, None));
        window.tap(start);
        assert_eq!(window.left(start), 3);
        window.message(start);
        assert_eq!(window.left(start), 5);
        let later = start.plus(Duration::from_secs(61));
        for expected in [4, 3, 2, 1, 0, 0] {
            window.spend(later);
            assert_eq!(window.left(later), expected);
        }
        assert!(window.until(later).is_some());
        assert_eq!(window.until(start.plus(MESSAGE_WINDOW)), None);
    }
}
