//! Describes a file that a follower sent, and a picture that an agent wants to send: what of it is kept, and since when.
//! Owns: what is known of such a file. Uses: ids, incoming, media, time. Never: the bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AccountName, AgentName, MessageId, OpenId};
use super::incoming::Content;
use super::media::{MediaFormat, Sha256Hash};
use super::time::Time;

/// The most bytes of a follower's file, and of an agent's picture.
pub const FILE_LIMIT: u64 = 10 << 20;

/// A file that came with a follower's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedMedia {
    /// The message it came with.
    pub message: MessageId,
    /// The account it came to.
    pub account: AccountName,
    /// Who sent it.
    pub follower: OpenId,
    /// When it came: WeChat keeps it for three days.
    pub at: Time,
    /// Where it can be had.
    pub source: MediaSource,
    /// What became of it.
    pub fetched: Fetched,
}

/// Where WeChat has a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaSource {
    /// For `media/get`; empty where only the picture's address is known.
    pub media_id: Box<str>,
    /// Where WeChat shows a picture; empty for everything else.
    pub pic_url: Box<str>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fetched {
    /// It is yet to be fetched.
    Waiting {
        /// How often that was tried.
        tries: u8,
        /// Not before.
        not_before: Time,
    },
    /// It is here.
    Kept {
        /// What is in it.
        hash: Sha256Hash,
        /// How long it is.
        bytes: u64,
        /// When it was fetched.
        at: Time,
    },
    /// It will not come.
    Failed {
        /// When that became clear.
        at: Time,
        /// WeChat's `errcode`; 0 where the time was over before anything clear was said.
        code: i64,
        /// Why, without secrets or addresses.
        reason: Arc<str>,
    },
}

impl MediaSource {
    /// What a message carries that can be fetched: a picture, a voice message, the still of a video or of a card. Videos
    /// themselves and files have no way through the API.
    pub fn of(content: &Content) -> Option<Self> {
        let (media_id, pic_url) = match content {
            Content::Image { pic_url, media_id } => (media_id, pic_url.clone()),
            Content::Voice { media_id, .. } => (media_id, Box::default()),
            Content::Video { thumb_media_id, .. }
            | Content::ShortVideo { thumb_media_id, .. }
            | Content::MiniProgramPage { thumb_media_id, .. } => (thumb_media_id, Box::default()),
            Content::Text { .. }
            | Content::Location { .. }
            | Content::Link { .. }
            | Content::File { .. }
            | Content::Event(_)
            | Content::Unknown { .. } => return None,
        };
        (!media_id.is_empty() || !pic_url.is_empty()).then(|| Self {
            media_id: media_id.clone(),
            pic_url,
        })
    }
}

/// A picture that an agent brought, to be sent to followers of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentMedia {
    /// The account.
    pub account: AccountName,
    /// What is in it.
    pub hash: Sha256Hash,
    /// How long it is.
    pub bytes: u64,
    /// Who brought it last.
    pub by: AgentName,
    /// When.
    pub at: Time,
}

/// How a file whose bytes are known may be served to people: a browser shows pictures, everything else is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// How its name ends.
    pub extension: &'static str,
    /// Whether a browser may show it.
    pub is_inline: bool,
}

impl Served {
    /// Goes by the first bytes only: what a file claims to be counts for nothing.
    pub fn of(bytes: &[u8]) -> Self {
        let Some(format) = MediaFormat::of(bytes) else {
            return Self {
                content_type: "application/octet-stream",
                extension: "bin",
                is_inline: false,
            };
        };
        Self {
            content_type: format.content_type(),
            extension: format.extension(),
            is_inline: matches!(
                format,
                MediaFormat::Png | MediaFormat::Jpeg | MediaFormat::Gif
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_shown_and_pages_are_bytes() {
        let shown = |bytes: &[u8]| {
            let served = Served::of(bytes);
            (served.content_type, served.is_inline)
        };
        assert_eq!(shown(b"\x89PNG\r\n\x1a\n"), ("image/png", true));
        assert_eq!(shown(b"#!AMR\n"), ("audio/amr", false));
        for page in [&b"<html><script>"[..], b"<svg xmlns=", b"%PDF-1.7", b""] {
            assert_eq!(shown(page), ("application/octet-stream", false));
        }
    }

    #[test]
    fn a_message_says_what_can_be_fetched_of_it() {
        let image = Content::Image {
            pic_url: "http://mmbiz.qpic.cn/a/0".into(),
            media_id: "M".into(),
        };
        let source = MediaSource::of(&image).unwrap();
        assert_eq!(
            (&*source.media_id, &*source.pic_url),
            ("M", "http://mmbiz.qpic.cn/a/0")
        );
        let video = Content::Video {
            media_id: "V".into(),
            thumb_media_id: "T".into(),
        };
        assert_eq!(&*MediaSource::of(&video).unwrap().media_id, "T");
        let nothing = Content::Voice {
            media_id: "".into(),
            format: "amr".into(),
            media_id_16k: None,
            recognition: None,
        };
        assert_eq!(MediaSource::of(&nothing), None);
        let text = Content::Text {
            text: "a".into(),
            menu_id: None,
        };
        assert_eq!(MediaSource::of(&text), None);
    }
}
