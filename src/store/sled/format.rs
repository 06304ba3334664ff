//! Says in which format a stored value is, and what its bytes mean.
//! Owns: the formats that are known. Uses: postcard, the shapes of older formats. Never: where a value is stored.
//!
//! The first byte of every value is its format. New values have the newest one; older ones stay as they are and are read as
//! what they were. Keys of turns, rule files, revisions and tokens look the same in all formats.

use crate::model::{Conversation, Entry};
use crate::store::Error;

use super::{first_format, second_format};

/// The format of everything that is written.
pub(super) const FORMAT: u8 = Format::Third.byte();

/// How entries and conversations are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Without forms, tags and further replies.
    First,
    /// Without what the desk remembers of a conversation.
    Second,
    /// As the model has them now.
    #[default]
    Third,
}

impl Format {
    /// The byte that stands for it.
    pub(super) const fn byte(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
            Self::Third => 3,
        }
    }

    /// The entry that these bytes are.
    pub(super) fn entry(self, bytes: &[u8], number: u64) -> Result<Entry, Error> {
        let what = || format!("entry {number}");
        match self {
            Self::First => decode::<first_format::Entry>(bytes, what).map(Entry::from),
            Self::Second | Self::Third => decode(bytes, what),
        }
    }

    /// The conversation at the beginning of these bytes, with the number of the last entry that it includes; and the rest.
    pub(super) fn conversation(
        self,
        bytes: &[u8],
    ) -> Result<((u64, Conversation), &[u8]), postcard::Error> {
        match self {
            Self::First => {
                let ((last, known), rest): ((u64, first_format::Conversation), _) =
                    postcard::take_from_bytes(bytes)?;
                Ok(((last, known.into()), rest))
            }
            Self::Second => {
                let ((last, known), rest): ((u64, second_format::Conversation), _) =
                    postcard::take_from_bytes(bytes)?;
                Ok(((last, known.into()), rest))
            }
            Self::Third => postcard::take_from_bytes(bytes),
        }
    }
}

/// Bytes of a value, without its format byte.
pub(super) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    encode_into(value, Vec::new())
}

/// Appends the bytes of a value.
pub(super) fn encode_into<T: serde::Serialize>(value: &T, to: Vec<u8>) -> Result<Vec<u8>, Error> {
    postcard::to_extend(value, to)
        .map_err(|error| Error::Unwritable(format!("cannot be encoded: {error}").into()))
}

/// The value of these bytes.
pub(super) fn decode<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|error| unreadable(&what(), &error))
}

/// Takes the format byte off a value that looks the same in every format.
pub(super) fn opened<'a>(value: &'a [u8], what: &str) -> Result<&'a [u8], Error> {
    opened_as(value, what).map(|(_, rest)| rest)
}

/// Takes the format byte off a value.
pub(super) fn opened_as<'a>(value: &'a [u8], what: &str) -> Result<(Format, &'a [u8]), Error> {
    match value.split_first() {
        Some((1, rest)) => Ok((Format::First, rest)),
        Some((2, rest)) => Ok((Format::Second, rest)),
        Some((3, rest)) => Ok((Format::Third, rest)),
        Some((&found, _)) if found > FORMAT => Err(Error::Newer {
            found,
            known: FORMAT,
        }),
        _ => Err(unreadable(what, &"no format")),
    }
}

pub(super) fn unreadable(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::Unreadable(format!("{what}: {why}").into())
}
