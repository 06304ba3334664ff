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
