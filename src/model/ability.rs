//! Describes what an account may ask of WeChat, as far as WeChat's own answers showed it.
//! Owns: the abilities, what is known of each, and what one answer teaches. Uses: ids, time. Never: infers an ability from the kind of account.

use serde::{Deserialize, Serialize};

use super::ids::AccountName;
use super::time::Time;

/// Something that WeChat lets some accounts do and others not (接口权限).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ability {
    /// Customer-service messages, and the hint that somebody types.
    Push,
    /// Uploading and fetching media.
    Media,
    /// Information about followers.
    Users,
    /// Tencent's own desk.
    Desk,
}

impl Ability {
    /// Every ability with the word the API uses.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Push, "push"),
        (Self::Media, "media"),
        (Self::Users, "users"),
        (Self::Desk, "desk"),
    ];

    /// The word the API uses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Media => "media",
            Self::Users => "users",
            Self::Desk => "desk",
        }
    }
}

/// What is known of an ability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// WeChat was not asked yet.
    #[default]
    Unknown,
    /// WeChat did it, or looked further than the right.
    Yes,
    /// WeChat said that the account may not.
    No,
}

/// What one answer of WeChat showed of an ability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Whether the account may.
    pub verdict: Verdict,
    /// When WeChat last showed it; meaningless while unknown.
    pub at: Time,
    /// The `errcode` that showed it; 0 where WeChat did what it was asked.
    pub code: i64,
}

/// The abilities of one account as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// Whose.
    pub account: AccountName,
    /// Which.
    pub ability: Ability,
    /// What is known of it.
    pub measured: Measured,
}

impl Verdict {
    /// What the answer to a call shows: `code` is WeChat's `errcode`, 0 when it did what it was asked. A probe names a
    /// follower or a file that does not exist: to be told so is to be let in. `None`: the answer shows nothing.
    pub const fn shown_by(ability: Ability, code: i64, is_probe: bool) -> Option<Self> {
        match code {
            0 => Some(Self::Yes),
            // Not authorised; banned for violations.
            48001 | 48004 => Some(Self::No),
            // The new desk was never switched on.
            65400 if matches!(ability, Ability::Desk) => Some(Self::No),
            // No such openid, window closed, no recent word, typing already, left; no such media.
            40003 | 40007 | 43004 | 45015 | 45047 | 45080 | 45081 if is_probe => Some(Self::Yes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_shows_what_the_account_may_or_nothing() {
        use Ability::{Desk, Push};
        let shown = Verdict::shown_by;
        assert_eq!(shown(Push, 0, false), Some(Verdict::Yes));
        assert_eq!(shown(Push, 48001, false), Some(Verdict::No));
        assert_eq!(shown(Push, 48004, true), Some(Verdict::No));
        // A follower who cannot be reached says nothing of the account, unless that follower was made up.
        assert_eq!(shown(Push, 40003, false), None);
        assert_eq!(shown(Push, 40003, true), Some(Verdict::Yes));
        assert_eq!(shown(Desk, 65400, true), Some(Verdict::No));
        assert_eq!(shown(Push, 65400, true), None);
        for nothing in [-1, 40001, 40164, 45009, 45011] {
            assert_eq!(shown(Push, nothing, true), None, "{nothing}");
        }
    }

    #[test]
    fn each_ability_has_its_word() {
        for (ability, word) in Ability::ALL {
            assert_eq!(ability.word(), word);
            assert_eq!(serde_json::to_value(ability).unwrap(), word);
        }
    }
}
