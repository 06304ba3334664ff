//! Describes what can be said to a follower, whichever way it travels.
//! Owns: the kinds of replies and WeChat's limits on them. Uses: nothing. Never: XML, JSON, where a reply came from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most UTF-8 bytes a text may have (measured by developers, not in WeChat's pages).
pub const TEXT_LIMIT: usize = 2047;
/// The most articles in answer to a message, since 12 October 2018.
pub const ARTICLES_FOR_MESSAGE: usize = 1;
/// The most articles in answer to an event.
pub const ARTICLES_FOR_EVENT: usize = 8;

/// One thing said to a follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Words.
    Text(Arc<str>),
    /// A picture.
    Image {
        /// Uploaded media.
        media_id: Arc<str>,
    },
    /// A voice message.
    Voice {
        /// Uploaded media.
        media_id: Arc<str>,
    },
    /// A video.
    Video {
        /// Uploaded media.
        media_id: Arc<str>,
        /// Headline, may be empty.
        title: Arc<str>,
        /// Summary, may be empty.
        description: Arc<str>,
    },
    /// A piece of music.
    Music {
        /// Headline, may be empty.
        title: Arc<str>,
        /// Summary, may be empty.
        description: Arc<str>,
        /// Where it plays from.
        url: Arc<str>,
        /// The same in high quality, for Wi-Fi.
        hq_url: Arc<str>,
        /// Uploaded cover.
        thumb_media_id: Arc<str>,
    },
    /// Cards that open pages.
    News(Vec<Article>),
    /// Hands the message to Tencent's own desk.
    Transfer {
        /// One agent of that desk, or its pool.
        agent: Option<Arc<str>>,
    },
}

/// One card of a news reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// Headline.
    pub title: Arc<str>,
    /// Summary.
    pub description: Arc<str>,
    /// JPG or PNG, about 360×200.
    pub pic_url: Arc<str>,
    /// The page it opens.
    pub url: Arc<str>,
}

/// What a text of a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// Something people read.
    Words,
    /// An address.
    Url,
}

impl Reply {
    /// The uploaded media that it shows.
    pub const fn media_id(&self) -> Option<&Arc<str>> {
        match self {
            Self::Image { media_id } | Self::Voice { media_id } | Self::Video { media_id, .. } => {
                Some(media_id)
            }
            Self::Music { thumb_media_id, .. } => Some(thumb_media_id),
            Self::Text(_) | Self::News(_) | Self::Transfer { .. } => None,
        }
    }

    /// Names the uploaded media that it shows; does nothing to replies without any.
    pub fn set_media_id(&mut self, id: &Arc<str>) {
        match self {
            Self::Image { media_id } | Self::Voice { media_id } | Self::Video { media_id, .. } => {
                media_id.clone_from(id);
            }
            Self::Music { thumb_media_id, .. } => thumb_media_id.clone_from(id),
            Self::Text(_) | Self::News(_) | Self::Transfer { .. } => {}
        }
    }

    /// Replaces every text that people read or open; media ids and the desk's agents stay.
    pub fn change_texts(&mut self, change: impl Fn(TextField, &str) -> Arc<str>) {
        let words = |text: &mut Arc<str>| *text = change(TextField::Words, text);
        let url = |text: &mut Arc<str>| *text = change(TextField::Url, text);
        match self {
            Self::Text(text) => words(text),
            Self::Video {
                title, description, ..
            } => {
                words(title);
                words(description);
            }
            Self::Music {
                title,
                description,
                url: address,
                hq_url,
                ..
            } => {
                words(title);
                words(description);
                url(address);
                url(hq_url);
            }
            Self::News(articles) => {
                for article in articles {
                    words(&mut article.title);
                    words(&mut article.description);
                    url(&mut article.pic_url);
                    url(&mut article.url);
                }
            }
            Self::Image { .. } | Self::Voice { .. } | Self::Transfer { .. } => {}
        }
    }

    /// The word the API and the metrics use for this kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Image { .. } => "image",
            Self::Voice { .. } => "voice",
            Self::Video { .. } => "video",
            Self::Music { .. } => "music",
            Self::News(_) => "news",
            Self::Transfer { .. } => "desk",
        }
    }

    /// [`Reply::shown`] to keep: a text is shared, not copied.
    pub fn line(&self) -> Arc<str> {
        match self {
            Self::Text(text) => Arc::clone(text),
            other => other.shown().into(),
        }
    }

    /// What a person reading the history sees in its place.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Image { media_id } | Self::Voice { media_id } => media_id.to_string(),
            Self::Video { title, .. } | Self::Music { title, .. } => title.to_string(),
            Self::News(articles) => articles
                .iter()
                .map(|article| &*article.title)
                .collect::<Vec<_>>()
                .join("\n"),
            Self::Transfer { agent } => agent.as_deref().unwrap_or("").to_owned(),
        }
    }
}
