//! Gives every identity its own type, so that one can never stand where another is meant.
//! Owns: what a legal name is, how our own ids are made. Uses: uuid, sha2. Never: randomness (ids come from a digest and a time).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::incoming::{Content, Incoming};
use super::time::Time;

/// Why a text is not the name it was offered as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}, not {text:?}")]
pub struct BadName {
    what: &'static str,
    rule: &'static str,
    text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $legal:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Arc<str>", into = "Arc<str>")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks the text and makes it this name: the only way in.
            ///
            /// # Errors
            /// [`BadName`] when the text breaks the rule that the error states.
            pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, BadName> {
                let text = text.into();
                let legal: fn(&str) -> bool = $legal;
                if legal(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { what: $what, rule: $rule, text: text.chars().take(140).collect() })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<Arc<str>> for $type {
            type Error = BadName;
            fn try_from(text: Arc<str>) -> Result<Self, BadName> {
                Self::parse(text)
            }
        }

        impl From<$type> for Arc<str> {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An account's name in the configuration and in its callback URL.
    AccountName, "an account name", "a lower-case letter, then letters, digits or '-' (64 at most)",
    |text| text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);
name!(
    /// A follower's id inside one account; opaque, as WeChat sends it.
    OpenId, "an openid", "1 to 128 bytes",
    |text| (1..=128).contains(&text.len())
);
name!(
    /// A rule's id: what the operator wrote as `id`.
    RuleId, "a rule id", "1 to 128 bytes",
    |text| (1..=128).contains(&text.len())
);
name!(
    /// Who acts on conversations: an agent, or `token:NAME` for an API token.
    AgentName, "an agent's name", "1 to 128 bytes",
    |text| (1..=128).contains(&text.len())
);

impl OpenId {
    /// The form in which logs may show it: the first six characters.
    pub fn short(&self) -> impl fmt::Display + '_ {
        struct Short<'a>(&'a str);
        impl fmt::Display for Short<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for c in self.0.chars().take(6) {
                    fmt::Write::write_char(f, c)?;
                }
                f.write_str("…")
            }
        }
        Short(&self.0)
    }

    /// What people call a follower without a name: `粉丝 7F3A`, always the same. Not unique.
    pub fn alias(&self) -> String {
        format!("粉丝 {:04X}", self.alias_number())
    }

    /// The number in the alias: the FNV-1a hash of the id, folded.
    pub fn alias_number(&self) -> u16 {
        let hash = self.0.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let [a, b, c, d] = hash.to_be_bytes();
        u16::from_be_bytes([a ^ c, b ^ d])
    }
}

/// Identifies one inbound push for ever: WeChat's repeats of it have the same key (ARCHITECTURE.md, step 4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TurnKey([u8; 16]);

impl TurnKey {
    /// The key of a message: account, sender and `MsgId`; for an event account, sender, `CreateTime`, event, event key
    /// and `MsgID` if any; for a message without `MsgId` the hash of its clear body.
    pub fn of(account: &AccountName, incoming: &Incoming, clear_body: &[u8]) -> Self {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(bytes);
        };
        part(account.as_str().as_bytes());
        part(incoming.from.as_str().as_bytes());
        match (&incoming.content, &incoming.msg_id) {
            (Content::Event(event), id) => {
                part(b"event");
                part(&incoming.create_time.to_be_bytes());
                part(event.name.as_bytes());
                part(event.key.as_deref().unwrap_or("").as_bytes());
                part(id.as_deref().unwrap_or("").as_bytes());
            }
            (_, Some(id)) => {
                part(b"message");
                part(id.as_bytes());
            }
            (_, None) => {
                part(b"body");
                part(clear_body);
            }
        }
        Self::from_digest(&digest.finalize())
    }

    fn from_digest(digest: &[u8]) -> Self {
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest) {
            *to = *from;
        }
        Self(key)
    }

    /// The key's 16 bytes, uniformly distributed: a hash table may use them as they are.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A number that depends on nothing but the key: the only randomness that deciding knows.
    pub const fn seed(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// A key for tests and for `try`, made of any text.
    pub fn of_text(text: &str) -> Self {
        Self::from_digest(&Sha256::digest(text.as_bytes()))
    }
}

impl fmt::Display for TurnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TurnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnKey({self})")
    }
}

/// A UUIDv7 (RFC 9562) of a time and ten bytes that stand where random ones usually do. `n` orders ids of one moment.
fn uuid_at(at: Time, n: u8, seed: &[u8; 16]) -> uuid::Uuid {
    let [a, b, c, d, e, f, g, h, ..] = *seed;
    let millis = u64::try_from(at.millis()).unwrap_or(0);
    // `rand_a` (the first twelve bits) carries n, so ids of one turn sort in the order in which they happened.
    uuid::Builder::from_unix_timestamp_millis(millis, &[n >> 4, n << 4, a, b, c, d, e, f, g, h])
        .into_uuid()
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(uuid::Uuid);

        impl $type {
            /// The id of the `n`th thing that the turn or act with this seed made at this time.
            pub fn at(at: Time, n: u8, seed: TurnKey) -> Self {
                Self(uuid_at(at, n, seed.bytes()))
            }

            /// Reads the usual text form.
            pub fn parse(text: &str) -> Option<Self> {
                uuid::Uuid::try_parse(text).ok().map(Self)
            }

            /// The time in it: when what it names was made, to the millisecond.
            pub fn time(&self) -> Time {
                let millis = self.0.as_u128() >> 80;
                Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
            }

            /// The id's sixteen bytes; their order is the order in time.
            pub const fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id of these sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// One follower's conversation with one account, for ever.
    ConversationId
);
uuid_id!(
    /// One message of a conversation, in either direction, or a note. A push keeps the id of its message.
    MessageId
);
uuid_id!(
    /// One login of a user; no secret.
    SessionId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_follow_the_callback_urls_alphabet() {
        for good in ["shop", "a", "shop-2"] {
            assert_eq!(AccountName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Shop", "2shop", "-a", "shop_1", "店"] {
            assert!(AccountName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_time_then_by_place_in_the_turn() {
        let seed = TurnKey::of_text("x");
        let ids = [
            MessageId::at(Time::from_millis(1000), 0, seed),
            MessageId::at(Time::from_millis(1000), 1, seed),
            MessageId::at(Time::from_millis(1001), 0, seed),
        ];
        assert!(ids.is_sorted());
        assert_eq!(ids[0].to_string().as_bytes()[14], b'7');
        assert_eq!(MessageId::parse(&ids[1].to_string()), Some(ids[1]));
        assert_eq!(ids[2].time(), Time::from_millis(1001));
    }

    #[test]
    fn logs_see_only_the_head_of_an_openid() {
        let id = OpenId::parse("orsRcgT0iw2kOI8rlnJACDdyB7vN").unwrap();
        assert_eq!(id.short().to_string(), "orsRcg…");
    }
}
