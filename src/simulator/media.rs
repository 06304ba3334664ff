//! Keeps pictures, voices and videos for three days, as WeChat keeps temporary material, and permanent ones for ever.
//! Owns: media ids, formats, size limits. Uses: model. Never: HTTP.

use std::collections::HashMap;
use std::time::Duration;

use super::refusal::Refusal;
use super::seal;
use crate::model::Time;

/// How long temporary material is kept.
const KEPT: Duration = Duration::from_secs(3 * 86_400);

/// The four kinds of material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// PNG, JPEG or GIF, up to 10 MB.
    Image,
    /// AMR or MP3, up to 2 MB.
    Voice,
    /// MP4, up to 10 MB.
    Video,
    /// JPEG, up to 64 KB.
    Thumb,
}

impl MediaKind {
    /// The kind of that name in `type=`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "image" => Some(Self::Image),
            "voice" => Some(Self::Voice),
            "video" => Some(Self::Video),
            "thumb" => Some(Self::Thumb),
            _ => None,
        }
    }

    /// The word in `type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::Thumb => "thumb",
        }
    }

    /// The most bytes, and the code of a larger file.
    const fn limit(self) -> (usize, i64) {
        match self {
            Self::Image => (10 << 20, 40009),
            Self::Voice => (2 << 20, 40010),
            Self::Video => (10 << 20, 40011),
            Self::Thumb => (64 << 10, 40012),
        }
    }

    /// The `Content-Type` of bytes that are of this kind.
    fn content_type(self, bytes: &[u8]) -> Option<&'static str> {
        let begins = |magic: &[u8]| bytes.starts_with(magic);
        match self {
            Self::Image if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
            Self::Image if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
            Self::Image | Self::Thumb if begins(b"\xff\xd8\xff") => Some("image/jpeg"),
            Self::Voice if begins(b"#!AMR") => Some("audio/amr"),
            Self::Voice if begins(b"ID3") || begins(b"\xff\xfb") || begins(b"\xff\xf3") => {
                Some("audio/mpeg")
            }
            Self::Video if bytes.get(4..8) == Some(&b"ftyp"[..]) => Some("video/mp4"),
            _ => None,
        }
    }
}

/// One piece of material.
#[derive(Clone, Debug)]
pub(super) struct Media {
    pub(super) kind: MediaKind,
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
    /// `None`: permanent.
    until: Option<Time>,
}

/// Everything one account has.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    media: HashMap<String, Media>,
}

impl Shelf {
    /// Takes an upload by WeChat's limits and gives it an id.
    pub(super) fn upload(
        &mut self,
        kind: MediaKind,
        bytes: Vec<u8>,
        now: Time,
    ) -> Result<String, Refusal> {
        let (limit, too_large) = kind.limit();
        if bytes.is_empty() {
            return Err(Refusal::new(44001));
        }
        if bytes.len() > limit {
            return Err(Refusal::new(too_large));
        }
        let content_type = kind.content_type(&bytes).ok_or(Refusal::new(40005))?;
        Ok(self.take(kind, content_type, bytes, now))
    }

    /// Takes what a phone sent, of whatever size and whatever it is, and gives it an id.
    pub(super) fn take(
        &mut self,
        kind: MediaKind,
        content_type: &'static str,
        bytes: Vec<u8>,
        now: Time,
    ) -> String {
        let id = seal::word(64);
        let media = Media {
            kind,
            content_type,
            bytes,
            until: Some(now.plus(KEPT)),
        };
        self.media.insert(id.clone(), media);
        id
    }

    /// Makes an id known as permanent material, without bytes.
    pub(super) fn keep(&mut self, kind: MediaKind, id: &str) {
        let media = Media {
            kind,
            content_type: "application/octet-stream",
            bytes: Vec::new(),
            until: None,
        };
        self.media.insert(id.to_owned(), media);
    }

    /// The material of that id, while it is kept; 40007 else.
    pub(super) fn find(&self, id: &str, now: Time) -> Result<&Media, Refusal> {
        self.media
            .get(id)
            .filter(|media| media.until.is_none_or(|until| now < until))
            .ok_or(Refusal::new(40007))
    }

    /// Whether the id is good as that kind; an image also stands for a thumb.
    pub(super) fn is_good(&self, id: &str, kind: MediaKind, now: Time) -> bool {
        let fits = |media: &Media| {
            media.kind == kind || (kind == MediaKind::Thumb && media.kind == MediaKind::Image)
        };
        self.find(id, now).is_ok_and(fits)
    }
}

/// A picture of one white point: something real to send.
pub const POINT_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\x1b\xb6\xeeV\0\0\0\0IEND\xaeB`\x82";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_formats_and_ages_are_judged_as_documented() {
        let now = Time::from_seconds(1_718_200_000);
        let mut shelf = Shelf::default();
        let sized = |magic: &[u8], length: usize| {
            let mut bytes = magic.to_vec();
            bytes.resize(length, 0);
            bytes
        };
        let cases = [
            (MediaKind::Image, sized(POINT_PNG, 10 << 20), Ok(())),
            (
                MediaKind::Image,
                sized(POINT_PNG, (10 << 20) + 1),
                Err(40009),
            ),
            (
                MediaKind::Voice,
                sized(b"#!AMR\n", (2 << 20) + 1),
                Err(40010),
            ),
            (MediaKind::Voice, sized(b"#!AMR\n", 9), Ok(())),
            (
                MediaKind::Video,
                sized(b"\0\0\0\x18ftypmp42", (10 << 20) + 1),
                Err(40011),
            ),
            (
                MediaKind::Thumb,
                sized(b"\xff\xd8\xff", (64 << 10) + 1),
                Err(40012),
            ),
            (MediaKind::Thumb, sized(POINT_PNG, 100), Err(40005)),
            (MediaKind::Image, Vec::new(), Err(44001)),
        ];
        for (kind, bytes, expected) in cases {
            let result = shelf
                .upload(kind, bytes, now)
                .map(|_| ())
                .map_err(|r| r.code);
            assert_eq!(result, expected, "{kind:?}");
        }
        let id = shelf
            .upload(MediaKind::Image, POINT_PNG.to_vec(), now)
            .unwrap();
        shelf.keep(MediaKind::Voice, "forever");
        let later = now.plus(KEPT);
        assert!(
            shelf.is_good(&id, MediaKind::Image, now) && !shelf.is_good(&id, MediaKind::Voice, now)
        );
        assert!(!shelf.is_good(&id, MediaKind::Image, later));
        assert!(shelf.is_good("forever", MediaKind::Voice, later));
    }
}
