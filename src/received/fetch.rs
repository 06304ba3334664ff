//! Fetches one follower's file, and says what a failure means.
//! Owns: which way is tried, back-off, which refusals are final. Uses: wechat, model. Never: the clock, where a file is kept.

use std::time::Duration;

use crate::model::received::FILE_LIMIT;
use crate::model::{MediaSource, Time};
use crate::wechat::client::{Client, SendError};

/// WeChat keeps what followers sent for three days.
pub(super) const KEPT_BY_WECHAT: Duration = Duration::from_secs(72 * 3600);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Quotas, rates, addresses and secrets: an operator or midnight mends them.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// Why a file is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It may come later, but not before this pause is over.
    Later(Duration),
    /// It will not come.
    Never {
        /// WeChat's `errcode`, 0 where it gave none.
        code: i64,
        /// Why.
        reason: String,
    },
}

/// Fetches a file by its media id; a picture that cannot be had that way from where WeChat shows it.
pub(super) async fn fetch(
    client: Option<&Client>,
    source: &MediaSource,
    tries: u8,
) -> Result<Vec<u8>, Missed> {
    let no_client = || SendError::Refused {
        code: 48001,
        message: "the account has no secret".to_owned(),
    };
    let by_id = match client {
        Some(client) if !source.media_id.is_empty() => {
            client.download(&source.media_id, FILE_LIMIT).await
        }
        _ => Err(no_client()),
    };
    let error = match by_id.and_then(not_empty) {
        Ok(bytes) => return Ok(bytes),
        Err(error) => error,
    };
    let missed = meaning(&error, tries);
    match (client, &missed) {
        (Some(client), Missed::Never { code, .. })
            if has_another_way(*code) && !source.pic_url.is_empty() =>
        {
            let shown = client.picture(&source.pic_url, FILE_LIMIT).await;
            shown
                .and_then(not_empty)
                .map_err(|error| meaning(&error, tries))
        }
        _ => Err(missed),
    }
}

/// A picture that the API does not give may be shown all the same; one that is too large is too large either way.
const fn has_another_way(code: i64) -> bool {
    matches!(code, 40007 | 48001 | 48004)
}

fn not_empty(bytes: Vec<u8>) -> Result<Vec<u8>, SendError> {
    if bytes.is_empty() {
        Err(SendError::Unclear("nothing came".to_owned()))
    } else {
        Ok(bytes)
    }
}

fn meaning(error: &SendError, tries: u8) -> Missed {
    let (code, message) = match error {
        // Fetching changes nothing: what did not come clearly may be asked for again.
        SendError::NotConnected(_) | SendError::Unclear(_) => return Missed::Later(pause(tries)),
        SendError::Refused { code, message } => (*code, message),
    };
    match code {
        -1 => Missed::Later(pause(tries)),
        40001 | 40013 | 40014 | 40125 | 40164 | 40243 | 42001 | 45009 | 45011 | 50002 | 89501
        | 89503 | 89506 | 89507 => Missed::Later(LONG_PAUSE.max(pause(tries))),
        _ => Missed::Never {
            code,
            reason: message.clone(),
        },
    }
}

/// 5, 10, 20 … seconds, at most an hour.
fn pause(tries: u8) -> Duration {
    Duration::from_secs(5_u64 << tries.min(12)).min(LONGEST_PAUSE)
}

/// Whether WeChat still has what came at `at` once the pause is over.
pub(super) fn is_there(at: Time, then: Time) -> bool {
    then.since(at) < KEPT_BY_WECHAT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64) -> SendError {
        SendError::Refused {
            code,
            message: "no".to_owned(),
        }
    }

    #[test]
    fn what_may_mend_itself_is_tried_again_and_the_rest_is_given_up() {
        let seconds = |error: &SendError, tries| match meaning(error, tries) {
            Missed::Later(pause) => Some(pause.as_secs()),
            Missed::Never { .. } => None,
        };
        let unclear = SendError::Unclear("half".to_owned());
        assert_eq!(
            [0, 1, 2, 9, 200].map(|tries| seconds(&unclear, tries)),
            [5, 10, 20, 2560, 3600].map(Some)
        );
        assert_eq!(seconds(&refused(-1), 0), Some(5));
        assert_eq!(seconds(&refused(45009), 0), Some(600));
        assert_eq!(seconds(&refused(40164), 20), Some(3600));
        for never in [40007, 48001, 45001, 99999] {
            assert_eq!(seconds(&refused(never), 0), None, "{never}");
        }
        assert!(has_another_way(48001) && !has_another_way(45001));
    }
}
