//! Describes local files that rules send, and under which ids WeChat knows them.
//! Owns: the kinds of media, and WeChat's limits on them. Uses: ids, time. Never: reads a file, uploads one.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::AccountName;
use super::time::Time;

/// What WeChat takes a file for (临时素材, 新增临时素材).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A voice message.
    Voice,
    /// A video.
    Video,
    /// The cover of a piece of music.
    Thumb,
}

impl MediaKind {
    /// WeChat's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::Thumb => "thumb",
        }
    }

    /// The most bytes WeChat takes.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Image | Self::Video => 10 << 20,
            Self::Voice => 2 << 20,
            Self::Thumb => 64 << 10,
        }
    }
}

impl MediaKind {
    /// Whether WeChat takes such a file for this. A GIF can be uploaded, but not be sent as a reply.
    pub const fn takes(self, format: MediaFormat) -> bool {
        use MediaFormat::{Amr, Gif, Jpeg, Mp3, Mp4, Png};
        match (self, format) {
            (Self::Image, Png | Jpeg)
            | (Self::Voice, Amr | Mp3)
            | (Self::Video, Mp4)
            | (Self::Thumb, Jpeg) => true,
            (_, Png | Jpeg | Gif | Amr | Mp3 | Mp4) => false,
        }
    }

    /// What it takes, for people.
    pub const fn formats(self) -> &'static str {
        match self {
            Self::Image => "PNG / JPEG",
            Self::Voice => "AMR / MP3",
            Self::Video => "MP4",
            Self::Thumb => "JPEG",
        }
    }
}

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaFormat {
    /// A picture.
    Png,
    /// A picture.
    Jpeg,
    /// A picture, perhaps a moving one.
    Gif,
    /// Sound.
    Amr,
    /// Sound.
    Mp3,
    /// A video.
    Mp4,
}

impl MediaFormat {
    /// Looks at the first bytes; `None` for anything that WeChat does not know.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| bytes.starts_with(magic);
        match bytes {
            _ if begins(b"\x89PNG\r\n\x1a\n") => Some(Self::Png),
            _ if begins(b"\xff\xd8\xff") => Some(Self::Jpeg),
            _ if begins(b"GIF87a") || begins(b"GIF89a") => Some(Self::Gif),
            _ if begins(b"#!AMR") => Some(Self::Amr),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::Mp4),
            _ if begins(b"ID3") => Some(Self::Mp3),
            // A frame of layer III: eleven bits of sync, a version that is not reserved, layer 01.
            [0xff, second, ..] if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 => Some(Self::Mp3),
            _ => None,
        }
    }

    /// How such files are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::Amr => "AMR",
            Self::Mp3 => "MP3",
            Self::Mp4 => "MP4",
        }
    }

    /// How their names end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Amr => "amr",
            Self::Mp3 => "mp3",
            Self::Mp4 => "mp4",
        }
    }

    /// Their `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Amr => "audio/amr",
            Self::Mp3 => "audio/mpeg",
            Self::Mp4 => "video/mp4",
        }
    }
}

/// SHA-256 of a file.
pub type Sha256Hash = [u8; 32];

/// A file that a rule sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaFile {
    /// As what it is sent.
    pub kind: MediaKind,
    /// What is in it.
    pub hash: Sha256Hash,
    /// Its path under `rules/`, for people.
    pub path: Arc<str>,
}

/// A local picture that news replies show; WeChat fetches it from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// What is in it.
    pub hash: Sha256Hash,
    /// A PNG or a JPEG.
    pub format: MediaFormat,
    /// Its path under `rules/`.
    pub path: Arc<str>,
}

impl Picture {
    /// The name under which it is served: its hash, and what it is.
    pub fn served_as(&self) -> String {
        format!("{}.{}", hex(&self.hash), self.format.extension())
    }
}

/// A hash as people and names of files write it: lower-case hexadecimal.
pub fn hex(hash: &Sha256Hash) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(digit).collect()
}

/// Reads what [`hex`] writes, and nothing else.
pub fn from_hex(text: &str) -> Option<Sha256Hash> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes
        .filter(|_| rest.is_empty())
        .and_then(|bytes| bytes.try_into().ok())
}

/// A file that was uploaded for an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedMedia {
    /// The account.
    pub account: AccountName,
    /// As what it was uploaded.
    pub kind: MediaKind,
    /// What is in it.
    pub hash: Sha256Hash,
    /// WeChat's id for it.
    pub media_id: Arc<str>,
    /// When it was uploaded; WeChat keeps it for three days.
    pub at: Time,
}

/// Under which ids WeChat knows an account's files now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaIds {
    /// Nobody asks WeChat: every file passes, under its path. For `try`, inline tests and back-tests.
    Assumed,
    /// What was uploaded and has not expired.
    Known(HashMap<(MediaKind, Sha256Hash), Arc<str>>),
}

impl MediaIds {
    /// Nothing was uploaded.
    pub fn none() -> Self {
        Self::Known(HashMap::new())
    }

    /// The id of a file; `None` when it cannot be sent now.
    pub fn of(&self, file: &MediaFile) -> Option<Arc<str>> {
        match self {
            Self::Assumed => Some(Arc::clone(&file.path)),
            Self::Known(ids) => ids.get(&(file.kind, file.hash)).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_first_bytes() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], Some(MediaFormat::Png)),
            (b"\xff\xd8\xff\xe0", Some(MediaFormat::Jpeg)),
            (b"GIF89a", Some(MediaFormat::Gif)),
            (b"#!AMR\n", Some(MediaFormat::Amr)),
            (b"#!AMR-WB\n", Some(MediaFormat::Amr)),
            (b"ID3\x04", Some(MediaFormat::Mp3)),
            (b"\xff\xfb\x90", Some(MediaFormat::Mp3)),
            (b"\xff\xf3\x90", Some(MediaFormat::Mp3)),
            (b"\xff\xe2\x90", Some(MediaFormat::Mp3)),
            // A reserved version, and layer II.
            (b"\xff\xea\x90", None),
            (b"\xff\xfd\x90", None),
            (b"\0\0\0\x18ftypmp42", Some(MediaFormat::Mp4)),
            (b"\xff\xfe", None),
            (b"\xff", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(MediaFormat::of(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_not_otherwise() {
        let hash: Sha256Hash = std::array::from_fn(|at| u8::try_from(at * 8 % 256).unwrap());
        let text = hex(&hash);
        assert_eq!(from_hex(&text), Some(hash));
        for wrong in [
            text.trim_start_matches('0'),
            &format!("{text}0"),
            &format!("{text}00"),
            &text.to_uppercase(),
            "",
            "../../etc/passwd",
        ] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
