//! Keeps what an account's calls have shown of its way to WeChat: rights, token, trouble, the address to allow.
//! Owns: what one answer changes of that. Uses: model. Never: calls, reads the clock.

use std::net::IpAddr;
use std::sync::Arc;

use super::SendError;
use crate::model::{Ability, Measured, Time, Verdict};

/// A kind of call, for counters and for what its answer teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its name in metrics and in the accounts of the API.
    pub name: &'static str,
    /// Which right it needs; `None` where any account may call it.
    pub ability: Option<Ability>,
    /// Whether it only looks: it names a follower or a file that does not exist.
    pub is_probe: bool,
}

impl Api {
    pub(super) const TOKEN: Self = Self::open("token");
    pub(super) const CUSTOM_SEND: Self = Self::needing("custom_send", Ability::Push);
    pub(super) const TYPING: Self = Self::needing("typing", Ability::Push);
    pub(super) const MEDIA_UPLOAD: Self = Self::needing("media_upload", Ability::Media);
    pub(super) const MEDIA_GET: Self = Self::needing("media_get", Ability::Media);
    pub(super) const USER_INFO: Self = Self::needing("user_info", Ability::Users);
    pub(super) const DESK: Self = Self::needing("desk", Ability::Desk);
    pub(super) const AUTOREPLY_INFO: Self = Self::open("autoreply_info");
    /// Not an API of the account: the address at which WeChat shows a picture.
    pub(super) const PICTURE: Self = Self::open("picture");

    const fn open(name: &'static str) -> Self {
        Self {
            name,
            ability: None,
            is_probe: false,
        }
    }

    const fn needing(name: &'static str, ability: Ability) -> Self {
        Self {
            ability: Some(ability),
            ..Self::open(name)
        }
    }

    pub(super) const fn as_probe(self) -> Self {
        Self {
            is_probe: true,
            ..self
        }
    }
}

/// A call that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Time,
    /// Which call.
    pub api: &'static str,
    /// WeChat's `errcode`; 0 where it did not say anything clear.
    pub code: i64,
    /// What went wrong, without secrets or addresses of ours.
    pub message: Arc<str>,
}

/// What is known of an account's way to WeChat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// One for each of [`Ability::ALL`], in that order.
    abilities: [Measured; 4],
    /// The last call that went wrong.
    pub last_error: Option<Failure>,
    /// Why nothing gets through now: the last call failed in a way that concerns every call.
    pub trouble: Option<Failure>,
    /// The address under which WeChat sees this machine, while it refuses it (40164).
    pub ip_to_allow: Option<IpAddr>,
}

impl Known {
    /// What is known of an ability.
    pub fn ability(&self, ability: Ability) -> Measured {
        let mut known = Ability::ALL.iter().zip(&self.abilities);
        known
            .find(|((of, _), _)| *of == ability)
            .map_or_else(Measured::default, |(_, measured)| *measured)
    }

    /// What an earlier run, or an answer, showed.
    pub fn learn(&mut self, ability: Ability, measured: Measured) {
        let mut known = Ability::ALL.iter().zip(&mut self.abilities);
        if let Some((_, place)) = known.find(|((of, _), _)| *of == ability) {
            *place = measured;
        }
    }

    /// What the end of a call shows.
    pub(super) fn note(&mut self, api: Api, ended: Result<(), &SendError>, now: Time) {
        let (code, message) = match ended {
            Ok(()) => (Some(0), ""),
            Err(SendError::Refused { code, message }) => (Some(*code), message.as_str()),
            Err(SendError::NotConnected(message) | SendError::Unclear(message)) => {
                (None, message.as_str())
            }
        };
        if let (Some(ability), Some(code)) = (api.ability, code)
            && let Some(verdict) = Verdict::shown_by(ability, code, api.is_probe)
        {
            self.learn(
                ability,
                Measured {
                    verdict,
                    at: now,
                    code,
                },
            );
        }
        // The place where WeChat shows pictures says nothing of its API.
        if api == Api::PICTURE {
            return;
        }
        let concerns_all = code.is_none_or(concerns_every_call);
        let expected = api.is_probe && code.is_some() && !concerns_all;
        if ended.is_ok() || expected {
            (self.trouble, self.ip_to_allow) = (None, None);
            return;
        }
        let failure = Failure {
            at: now,
            api: api.name,
            code: code.unwrap_or(0),
            message: message.into(),
        };
        self.last_error = Some(failure.clone());
        if code == Some(BUSY) {
            return;
        }
        self.ip_to_allow = match code {
            Some(ADDRESS_REFUSED) => address_in(message).or(self.ip_to_allow),
            // Whoever is told anything else is let in.
            Some(_) => None,
            None => self.ip_to_allow,
        };
        self.trouble = concerns_all.then_some(failure);
    }
}

/// "System busy": says nothing of the next call.
const BUSY: i64 = -1;
/// The caller's address is not on the account's list.
const ADDRESS_REFUSED: i64 = 40164;

/// Whether a refusal is about the account, the machine or the quota, so that the next call fares no better (全局返回码).
const fn concerns_every_call(code: i64) -> bool {
    matches!(
        code,
        // Token, AppID, secret; quota and rate; address; restricted, banned.
        40001
            | 40013
            | 40014
            | 40125
            | 40164
            | 40243
            | 42001
            | 45009
            | 45011
            | 50002
            | 89501
            | 89503
            | 89506
            | 89507
    )
}

/// The address that WeChat saw: `invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: …`.
fn address_in(message: &str) -> Option<IpAddr> {
    let words = message.split([' ', ',', ';', '[', ']', '(', ')']);
    let mut addresses = words.filter_map(|word| word.parse::<IpAddr>().ok());
    addresses.next().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time::from_seconds(1_718_200_000);

    fn refused(code: i64, message: &str) -> SendError {
        SendError::Refused {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_refused_address_is_named_until_wechat_lets_it_in() {
        let mut known = Known::default();
        let error = refused(
            40164,
            "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6-1-3",
        );
        known.note(Api::TOKEN, Err(&error), NOW);
        assert_eq!(known.ip_to_allow, Some([203, 0, 113, 7].into()));
        assert_eq!(
            known.trouble.as_ref().map(|trouble| trouble.code),
            Some(40164)
        );
        // A lost connection takes nothing back.
        let lost = SendError::NotConnected("no connection".to_owned());
        known.note(Api::TOKEN, Err(&lost), NOW);
        assert_eq!(known.ip_to_allow, Some([203, 0, 113, 7].into()));
        known.note(Api::TOKEN, Ok(()), NOW);
        assert_eq!((known.ip_to_allow, known.trouble), (None, None));
        assert_eq!(known.last_error.unwrap().code, 0);
    }

    #[test]
    fn addresses_are_found_however_wechat_words_them() {
        for (message, expected) in [
            ("invalid ip 1.2.3.4, not in whitelist", Some("1.2.3.4")),
            ("invalid ip ::ffff:1.2.3.4 ipv6", Some("1.2.3.4")),
            (
                "invalid ip [2400:3200::1] rid: 64a774ce-020c072d-6c820ec0",
                Some("2400:3200::1"),
            ),
            ("not in whitelist rid: 64a774ce-020c072d-6c820ec0", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(address_in(message), expected, "{message}");
        }
    }

    #[test]
    fn only_what_concerns_every_call_is_trouble() {
        let mut known = Known::default();
        known.note(Api::CUSTOM_SEND, Err(&refused(45009, "quota")), NOW);
        assert!(known.trouble.is_some());
        known.note(Api::CUSTOM_SEND, Err(&refused(-1, "busy")), NOW);
        assert!(known.trouble.is_some());
        known.note(Api::CUSTOM_SEND, Err(&refused(45015, "late")), NOW);
        assert_eq!(known.trouble, None);
        assert_eq!(
            known.last_error.as_ref().map(|error| error.code),
            Some(45015)
        );
        known.note(Api::TYPING.as_probe(), Err(&refused(40003, "who")), NOW);
        assert_eq!(
            known.last_error.as_ref().map(|error| error.code),
            Some(45015)
        );
        assert_eq!(known.ability(Ability::Push).verdict, Verdict::Yes);
        known.note(Api::TYPING, Err(&refused(48001, "no")), NOW);
        let push = known.ability(Ability::Push);
        assert_eq!(
            (push.verdict, push.code, push.at),
            (Verdict::No, 48001, NOW)
        );
        assert_eq!(known.ability(Ability::Media), Measured::default());
    }

    proptest! {
        #[test]
        fn any_words_of_wechat_are_read(message in ".{0,80}") {
            let _maybe = address_in(&message);
        }

        #[test]
        fn an_address_is_found_among_words(parts in any::<[u8; 4]>(), before in "[a-z ]{0,9}") {
            let address = IpAddr::from(parts);
            prop_assert_eq!(address_in(&format!("{before} {address}, no")), Some(address));
        }
    }
}
