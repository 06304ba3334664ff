//! Describes what can be said to a follower, whichever way it travels.
//! Owns: the kinds of replies and WeChat's limits on them. Uses: media. Never: XML, JSON, where a reply came from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::media::{MediaKind, Sha256Hash, hex};

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
    /// Words with choices to tap; a tap comes back as a text with the choice's id. Only a push shows it so, see
    /// [`Reply::as_text`].
    Menu {
        /// Words above the choices, may be empty.
        head: Arc<str>,
        /// Id and words of each choice; at least one.
        options: Vec<(Arc<str>, Arc<str>)>,
        /// Words below, may be empty.
        tail: Arc<str>,
    },
    /// A file that lies here under its hash, and is brought to WeChat just before it is pushed.
    Local {
        /// As what it is sent.
        kind: MediaKind,
        /// What is in it.
        hash: Sha256Hash,
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
            Self::Text(_)
            | Self::News(_)
            | Self::Transfer { .. }
            | Self::Menu { .. }
            | Self::Local { .. } => None,
        }
    }

    /// Whether it can wait for the follower's next visit and go out passively then. A file of ours cannot: WeChat gets it
    /// just before a push only.
    pub const fn can_be_held(&self) -> bool {
        !matches!(self, Self::Local { .. })
    }

    /// A menu as words, its choices numbered: for the ways that take no menu. `None` for every other kind.
    pub fn as_text(&self) -> Option<Arc<str>> {
        let Self::Menu {
            head,
            options,
            tail,
        } = self
        else {
            return None;
        };
        let choices = options.iter().zip(1_usize..);
        let choices = choices.map(|((_, words), number)| format!("{number}. {words}"));
        let ends =
            [head, tail].map(|words| Some(words.to_string()).filter(|words| !words.is_empty()));
        let [head, tail] = ends;
        let lines: Vec<String> = head.into_iter().chain(choices).chain(tail).collect();
        Some(lines.join("\n").into())
    }

    /// The reply with this uploaded media in place of a file of ours; `None` for every other kind, and for a cover, which
    /// is never sent alone.
    pub fn uploaded(&self, media_id: Arc<str>) -> Option<Self> {
        match self {
            Self::Local {
                kind: MediaKind::Image,
                ..
            } => Some(Self::Image { media_id }),
            Self::Local {
                kind: MediaKind::Voice,
                ..
            } => Some(Self::Voice { media_id }),
            Self::Local {
                kind: MediaKind::Video,
                ..
            } => Some(Self::Video {
                media_id,
                title: Arc::default(),
                description: Arc::default(),
            }),
            _ => None,
        }
    }

    /// Names the uploaded media that it shows; does nothing to replies without any.
    pub fn set_media_id(&mut self, id: &Arc<str>) {
        match self {
            Self::Image { media_id } | Self::Voice { media_id } | Self::Video { media_id, .. } => {
                media_id.clone_from(id);
            }
            Self::Music { thumb_media_id, .. } => thumb_media_id.clone_from(id),
            Self::Text(_)
            | Self::News(_)
            | Self::Transfer { .. }
            | Self::Menu { .. }
            | Self::Local { .. } => {}
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
            Self::Menu {
                head,
                options,
                tail,
            } => {
                words(head);
                options.iter_mut().for_each(|(_, text)| words(text));
                words(tail);
            }
            Self::Image { .. }
            | Self::Voice { .. }
            | Self::Transfer { .. }
            | Self::Local { .. } => {}
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
            Self::Menu { .. } => "menu",
            Self::Local { kind, .. } => kind.word(),
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
            Self::Menu { .. } => self
                .as_text()
                .map_or_else(String::new, |text| text.to_string()),
            Self::Local { hash, .. } => hex(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_menu_is_words_where_it_cannot_be_a_menu() {
        let menu = |head: &str, tail: &str| Reply::Menu {
            head: head.into(),
            options: vec![("1".into(), "满意".into()), ("0".into(), "不满意".into())],
            tail: tail.into(),
        };
        let text = menu("帮到你了吗?", "谢谢").as_text();
        assert_eq!(
            text.as_deref(),
            Some("帮到你了吗?\n1. 满意\n2. 不满意\n谢谢")
        );
        assert_eq!(&*menu("", "").line(), "1. 满意\n2. 不满意");
        assert_eq!(Reply::Text("a".into()).as_text(), None);
        let mut shouted = menu("a", "b");
        shouted.change_texts(|_, text| format!("{text}!").into());
        assert_eq!(&*shouted.line(), "a!\n1. 满意!\n2. 不满意!\nb!");
    }

    #[test]
    fn a_file_of_ours_goes_out_as_what_it_is_and_cannot_wait() {
        let local = |kind| Reply::Local {
            kind,
            hash: [7; 32],
        };
        let image = local(MediaKind::Image);
        assert!(!image.can_be_held() && Reply::Text("a".into()).can_be_held());
        assert_eq!((image.kind(), image.shown()), ("image", "07".repeat(32)));
        let uploaded = image.uploaded("M".into());
        assert_eq!(
            uploaded,
            Some(Reply::Image {
                media_id: "M".into()
            })
        );
        assert_eq!(local(MediaKind::Thumb).uploaded("M".into()), None);
    }
}
