//! Counts how many pushes a follower's actions allow, as WeChat has done since 2023.
//! Owns: the two allowances and which error a refused push gets. Uses: model. Never: what is pushed.

use std::time::Duration;

use crate::model::Time;

const MESSAGE: (u32, Duration) = (5, Duration::from_secs(48 * 3600));
const TAP: (u32, Duration) = (3, Duration::from_secs(60));

/// What opens a window (客服消息介绍: 「用户发送信息、点击自定义菜单、关注公众号、扫描二维码」).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    /// A message: five pushes for 48 hours.
    Message,
    /// A menu tap, a follow, a scan, a tap on a menu message: three pushes for one minute.
    Tap,
}

/// Why a push may not go out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// 45015: the follower did nothing lately.
    Closed,
    /// 45047: everything that was allowed is used up.
    UsedUp,
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    since: Time,
    valid: Duration,
    allowed: u32,
    sent: u32,
}

/// The allowances of one follower. They do not add up: a push counts in each one that is open, and goes out while one has room.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    message: Option<Allowance>,
    tap: Option<Allowance>,
}

impl Window {
    /// The follower acted: that allowance starts anew.
    pub(super) fn open(&mut self, how: Opens, now: Time) {
        let (slot, (allowed, valid)) = match how {
            Opens::Message => (&mut self.message, MESSAGE),
            Opens::Tap => (&mut self.tap, TAP),
        };
        *slot = Some(Allowance {
            since: now,
            valid,
            allowed,
            sent: 0,
        });
    }

    /// The follower left.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// Whether a push may go out; does not count it.
    pub(super) fn check(&self, now: Time) -> Result<(), Shut> {
        let mut open = self.allowances().filter(|a| a.is_open(now)).peekable();
        if open.peek().is_none() {
            Err(Shut::Closed)
        } else if open.any(|a| a.sent < a.allowed) {
            Ok(())
        } else {
            Err(Shut::UsedUp)
        }
    }

    /// A push went out.
    pub(super) fn spend(&mut self, now: Time) {
        for allowance in [&mut self.message, &mut self.tap].into_iter().flatten() {
            if allowance.is_open(now) {
                allowance.sent += 1;
            }
        }
    }

    /// How many pushes are left now.
    pub(super) fn left(&self, now: Time) -> u32 {
        let open = self.allowances().filter(|a| a.is_open(now));
        open.map(|a| a.allowed.saturating_sub(a.sent))
            .max()
            .unwrap_or(0)
    }

    fn allowances(&self) -> impl Iterator<Item = Allowance> {
        [self.message, self.tap].into_iter().flatten()
    }
}

impl Allowance {
    fn is_open(&self, now: Time) -> bool {
        now < self.since.plus(self.valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowances_are_counted_apart_and_do_not_add_up() {
        let start = Time::from_seconds(1_000);
        let mut window = Window::default();
        assert_eq!(window.check(start), Err(Shut::Closed));
        window.open(Opens::Message, start);
        window.open(Opens::Tap, start);
        for left in [4, 3, 2, 1, 0] {
            assert_eq!(window.check(start), Ok(()));
            window.spend(start);
            assert_eq!(window.left(start), left);
        }
        assert_eq!(window.check(start), Err(Shut::UsedUp));
        window.open(Opens::Tap, start);
        assert_eq!(window.left(start), 3);
        let minute_over = start.plus(Duration::from_secs(60));
        assert_eq!(window.check(minute_over), Err(Shut::UsedUp));
        assert_eq!(
            window.check(start.plus(Duration::from_secs(48 * 3600))),
            Err(Shut::Closed)
        );
    }
}
