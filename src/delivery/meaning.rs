//! Says what a failed attempt leads to (ARCHITECTURE.md, "The outbox").
//! Owns: which failure leads to which state, retry and back-off. Uses: wechat, model. Never: I/O, the clock.

use std::time::Duration;

use crate::model::Time;
use crate::model::entry::Settled;
use crate::model::message::PushError;
use crate::wechat::client::SendError;

/// How often "system busy" (−1) is tried again.
const BUSY_RETRIES: u8 = 2;
/// The longest pause between two attempts.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The pause after an answer that time alone will not mend: a quota, a rate, an address or a secret.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// A form's last words make sense at once only: what cannot be sent now is neither tried again nor kept for a next visit.
pub(super) fn now_or_never(result: Settled) -> Settled {
    match result {
        Settled::Again { error, .. } | Settled::Held { error } => Settled::Failed { error },
        ended => ended,
    }
}

/// What a failed attempt to push leads to. `attempts` counts this one.
pub(super) fn settle(error: SendError, attempts: u8, now: Time) -> Settled {
    match error {
        SendError::NotConnected(message) => Settled::Again {
            not_before: now.plus(pause(attempts)),
            error: PushError {
                code: 0,
                message: message.into(),
            },
        },
        SendError::Unclear(message) => Settled::Unknown {
            error: PushError {
                code: 0,
                message: message.into(),
            },
        },
        SendError::Refused { code, message } => {
            let error = PushError {
                code,
                message: message.into(),
            };
            match code {
                -1 if attempts <= BUSY_RETRIES => Settled::Again {
                    not_before: now.plus(pause(attempts)),
                    error,
                },
                45015 | 45047 | 48001 => Settled::Held { error },
                // Quota, rate, address, secret or token: an operator or midnight mends it. The window decides how long.
                45009 | 45011 | 40164 | 40001 | 40014 | 42001 | 40013 | 40125 | 40243 | 89501
                | 89503 => Settled::Again {
                    not_before: now.plus(LONG_PAUSE.max(pause(attempts))),
                    error,
                },
                _ => Settled::Failed { error },
            }
        }
    }
}

/// What a failed upload of the file of a push leads to. Nothing has reached the follower, so it may be made again; without
/// the right to upload there is no other way.
pub(super) fn settle_upload(error: SendError, attempts: u8, now: Time) -> Settled {
    let error = match error {
        SendError::Unclear(message) => SendError::NotConnected(message),
        other => other,
    };
    now_or_again(settle(error, attempts, now))
}

fn now_or_again(result: Settled) -> Settled {
    match result {
        Settled::Held { error } => Settled::Failed { error },
        other => other,
    }
}

/// 1, 2, 4 … seconds, at most five minutes.
pub(super) fn pause(attempts: u8) -> Duration {
    Duration::from_secs(1_u64 << attempts.saturating_sub(1).min(9)).min(LONGEST_PAUSE)
}

pub(super) const fn result_word(result: &Settled) -> &'static str {
    match result {
        Settled::Sent => "sent",
        Settled::Again { .. } => "again",
        Settled::Held { .. } => "held",
        Settled::Failed { .. } => "failed",
        Settled::Unknown { .. } => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_wechat_leads_where_the_design_says() {
        let now = Time::from_seconds(1_000);
        let word = |error, attempts| result_word(&settle(error, attempts, now));
        let refused = |code| SendError::Refused {
            code,
            message: "x".into(),
        };
        assert_eq!(word(SendError::NotConnected("x".into()), 1), "again");
        assert_eq!(word(SendError::Unclear("x".into()), 1), "unknown");
        for (code, expected) in [
            (45015, "held"),
            (45047, "held"),
            (48001, "held"),
            (45009, "again"),
            (45011, "again"),
            (40164, "again"),
            (40003, "failed"),
            (43004, "failed"),
            (43019, "failed"),
            (48002, "failed"),
            (50005, "failed"),
            (99999, "failed"),
        ] {
            assert_eq!(word(refused(code), 1), expected, "{code}");
        }
        assert_eq!(
            [1, 2, 3].map(|attempts| word(refused(-1), attempts)),
            ["again", "again", "failed"]
        );
    }

    #[test]
    fn last_words_are_said_now_or_never() {
        let now = Time::from_seconds(1_000);
        let refused = |code| {
            let message = "x".into();
            let error = SendError::Refused { code, message };
            result_word(&now_or_never(settle(error, 1, now)))
        };
        assert_eq!([-1, 45015, 45009, 40003].map(refused), ["failed"; 4]);
        let unclear = settle(SendError::Unclear("x".into()), 1, now);
        assert_eq!(result_word(&now_or_never(unclear)), "unknown");
        assert_eq!(now_or_never(Settled::Sent), Settled::Sent);
    }

    #[test]
    fn a_file_that_cannot_be_uploaded_is_tried_again_or_given_up_and_never_waits() {
        let now = Time::from_seconds(1_000);
        let word = |error| result_word(&settle_upload(error, 1, now));
        let refused = |code| SendError::Refused {
            code,
            message: "x".into(),
        };
        assert_eq!(word(SendError::Unclear("x".into())), "again");
        assert_eq!(word(SendError::NotConnected("x".into())), "again");
        assert_eq!(
            [45009, -1, 48001, 40006].map(|code| word(refused(code))),
            ["again", "again", "failed", "failed"]
        );
    }
}
