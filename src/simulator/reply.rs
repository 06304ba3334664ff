//! Judges what a callback answered as WeChat does: nothing, a reply, or a reason for the fault notice.
//! Owns: what makes a passive reply valid. Uses: model, the seal, the XML tree. Never: repeats, windows, phones.

use std::fmt;
use std::sync::Arc;

use super::account::{AccountSettings, Mode};
use super::http::Answer;
use super::media::MediaKind;
use super::seal;
use super::xml::{self, Node};
use crate::model::Reply;
use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE, Article, TEXT_LIMIT};

/// A passive reply that WeChat takes.
#[derive(Clone, Debug, PartialEq)]
pub struct PassiveReply {
    /// What it says.
    pub content: Reply,
    /// Its `CreateTime`, Unix seconds.
    pub create_time: i64,
    /// The clear XML, decrypted if it was sealed.
    pub clear: String,
    /// Whether it came in an envelope.
    pub sealed: bool,
}

impl PassiveReply {
    /// The words, when it is a text.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Reply::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for PassiveReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Reply::Text(text) => f.write_str(text),
            other => write!(f, "[{}] {}", other.kind(), other.shown()),
        }
    }
}

/// What the reply answers.
pub(super) struct Asked<'a> {
    /// The push's `FromUserName`.
    pub(super) follower: &'a str,
    /// The push's `ToUserName`.
    pub(super) account: &'a str,
    pub(super) is_event: bool,
    /// Whether that media id can be shown as that kind.
    pub(super) has_media: &'a dyn Fn(&str, MediaKind) -> bool,
}

/// `Ok(None)` for `success` and for an empty body; else the reply, or why the follower sees the fault notice.
pub(super) fn judge(
    answer: &Answer,
    settings: &AccountSettings,
    asked: &Asked<'_>,
) -> Result<Option<PassiveReply>, String> {
    if answer.status != 200 {
        return Err(format!("HTTP status {}", answer.status));
    }
    if answer.body.is_empty() || answer.body == b"success" {
        return Ok(None);
    }
    let body = str::from_utf8(&answer.body).map_err(|_bad| "the body is not UTF-8".to_owned())?;
    let outer = xml::read(body)?;
    let sealed = outer.child("Encrypt").is_some();
    let (clear, tree) = if sealed {
        let clear = unseal(&outer, settings)?;
        let tree = xml::read(&clear)?;
        (clear, tree)
    } else if settings.mode == Mode::Secure {
        return Err("a clear reply in secure mode".to_owned());
    } else {
        (body.to_owned(), outer)
    };
    for (name, expected) in [
        ("ToUserName", asked.follower),
        ("FromUserName", asked.account),
    ] {
        if tree.word(name) != expected {
            return Err(format!("{name} is not {expected}"));
        }
    }
    let create_time = tree
        .word("CreateTime")
        .parse()
        .map_err(|_bad| "CreateTime is not a number".to_owned())?;
    Ok(Some(PassiveReply {
        content: content(&tree, asked)?,
        create_time,
        clear,
        sealed,
    }))
}

fn unseal(outer: &Node, settings: &AccountSettings) -> Result<String, String> {
    let key = match settings.mode {
        Mode::Plain => None,
        Mode::Compatible | Mode::Secure => settings.key(),
    };
    let key = key.ok_or("a sealed reply in plain mode")?;
    let sealed = outer.word("Encrypt");
    let (time, nonce) = (outer.word("TimeStamp"), outer.word("Nonce"));
    if time.is_empty() || nonce.is_empty() {
        return Err("TimeStamp or Nonce is missing".to_owned());
    }
    let signature = seal::signature(&[&settings.token, time, nonce, sealed]);
    if outer.word("MsgSignature") != signature {
        return Err("MsgSignature is wrong".to_owned());
    }
    Ok(seal::open(&key, &settings.app_id, sealed)?)
}

fn content(tree: &Node, asked: &Asked<'_>) -> Result<Reply, String> {
    let media = |name: &str, id: &str, kind: MediaKind| {
        let id = tree.child(name).map_or("", |part| part.word(id));
        if (asked.has_media)(id, kind) {
            Ok(Arc::from(id))
        } else {
            Err(format!(
                "{name}: the media id is missing, unknown or expired"
            ))
        }
    };
    let part = |name: &str, field: &str| -> Arc<str> {
        Arc::from(tree.child(name).map_or("", |part| part.text_of(field)))
    };
    match tree.word("MsgType") {
        "text" => text(tree.text_of("Content")),
        "image" => Ok(Reply::Image {
            media_id: media("Image", "MediaId", MediaKind::Image)?,
        }),
        "voice" => Ok(Reply::Voice {
            media_id: media("Voice", "MediaId", MediaKind::Voice)?,
        }),
        "video" => Ok(Reply::Video {
            media_id: media("Video", "MediaId", MediaKind::Video)?,
            title: part("Video", "Title"),
            description: part("Video", "Description"),
        }),
        "music" => Ok(Reply::Music {
            title: part("Music", "Title"),
            description: part("Music", "Description"),
            url: part("Music", "MusicUrl"),
            hq_url: part("Music", "HQMusicUrl"),
            thumb_media_id: media("Music", "ThumbMediaId", MediaKind::Thumb)?,
        }),
        "news" => news(tree, asked.is_event),
        "transfer_customer_service" if asked.is_event => {
            Err("an event cannot be transferred to customer service".to_owned())
        }
        "transfer_customer_service" => {
            let agent = tree.child("TransInfo").map(|to| to.word("KfAccount"));
            Ok(Reply::Transfer {
                agent: agent.filter(|agent| !agent.is_empty()).map(Arc::from),
            })
        }
        other => Err(format!("the MsgType {other:?}")),
    }
}

fn text(text: &str) -> Result<Reply, String> {
    match text.len() {
        0 => Err("an empty Content".to_owned()),
        length if length > TEXT_LIMIT => {
            Err(format!("{length} bytes of text, {TEXT_LIMIT} at most"))
        }
        _ => Ok(Reply::Text(Arc::from(text))),
    }
}

fn news(tree: &Node, is_event: bool) -> Result<Reply, String> {
    let items = tree.child("Articles").map(|list| &*list.children);
    let items = items.unwrap_or_default();
    let limit = if is_event {
        ARTICLES_FOR_EVENT
    } else {
        ARTICLES_FOR_MESSAGE
    };
    if items.is_empty() || items.len() > limit {
        return Err(format!("{} articles, 1 to {limit} here", items.len()));
    }
    if tree.word("ArticleCount").parse() != Ok(items.len()) {
        return Err("ArticleCount is not the number of articles".to_owned());
    }
    let articles = items.iter().map(|item| {
        let complete = ["Title", "Description", "PicUrl", "Url"]
            .iter()
            .all(|name| item.child(name).is_some());
        if item.name != "item" || !complete {
            return Err("an article lacks Title, Description, PicUrl or Url".to_owned());
        }
        Ok(Article {
            title: Arc::from(item.text_of("Title")),
            description: Arc::from(item.text_of("Description")),
            pic_url: Arc::from(item.text_of("PicUrl")),
            url: Arc::from(item.text_of("Url")),
        })
    });
    Ok(Reply::News(articles.collect::<Result<_, _>>()?))
}
