//! Reads the replies that are no text: pictures, sound, video, music, cards, WeChat's own desk.
//! Owns: their keys and WeChat's limits on them. Uses: sheet, model. Never: knows when a rule speaks.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::address;
use super::diagnostic::{Code, Words};
use super::media::{self, Medium};
use super::reply::{Answers, Gaps};
use super::sheet::{Sheet, Value};
use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE};
use crate::model::{Article, MediaKind, Picture, Reply};

const VIDEO: &[&str] = &["file", "title", "description"];
const MUSIC: &[&str] = &["title", "description", "url", "hq_url", "cover"];
const NEWS: &[&str] = &["title", "description", "image", "url"];
const DESK: &[&str] = &["agent"];

/// What is sent from WeChat's store: `media_id:…`, or a file.
pub(super) fn media(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    kind: MediaKind,
) -> Option<Medium> {
    let text = sheet.string(key, value)?;
    media::medium(sheet, key, &text, kind)
}

/// A text; one with placeholders is noted to be checked when the rule's names are known.
fn gapped<'t>(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    let shared = text.text.into();
    if text.text.contains('{') {
        gaps.push(text);
    }
    Some(shared)
}

fn link<'t>(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    if !address::is_good(sheet, key, &text) {
        return None;
    }
    gapped(sheet, key, value, gaps)
}

fn missing(sheet: &mut Sheet<'_>, span: Range<usize>, kind: &str, key: &str) {
    let words = Words::new(
        format!("`{kind}` 缺少 `{key}`"),
        format!("`{kind}` needs `{key}`"),
    );
    sheet.report(Code::BadReply, span, words);
}

/// Reads a video: uploaded, with title and description if wanted.
pub(super) fn video<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<(Reply, Medium)> {
    let span = sheet.span(value.span());
    let owner = Words::new("video ", "video");
    let (mut file, mut title, mut description) = (None, Arc::from(""), Arc::from(""));
    for (key, value) in sheet.table("video", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, VIDEO, &owner), name) {
            (true, "file") => file = Some(media(sheet, name, value, MediaKind::Video)?),
            (true, "title") => title = gapped(sheet, name, value, gaps)?,
            (true, _) => description = gapped(sheet, name, value, gaps)?,
            (false, _) => return None,
        }
    }
    if file.is_none() {
        missing(sheet, span, "video", "file");
    }
    let file = file?;
    let reply = Reply::Video {
        media_id: file.id(),
        title,
        description,
    };
    Some((reply, file))
}

/// Reads a piece of music: where it plays from, and an uploaded cover.
pub(super) fn music<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<(Reply, Medium)> {
    let span = sheet.span(value.span());
    let owner = Words::new("music ", "music");
    let empty = || Arc::from("");
    let (mut title, mut description, mut hq_url) = (empty(), empty(), None);
    let (mut url, mut cover) = (None, None);
    for (key, value) in sheet.table("music", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, MUSIC, &owner), name) {
            (true, "title") => title = gapped(sheet, name, value, gaps)?,
            (true, "description") => description = gapped(sheet, name, value, gaps)?,
            (true, "url") => url = Some(link(sheet, name, value, gaps)?),
            (true, "hq_url") => hq_url = Some(link(sheet, name, value, gaps)?),
            (true, _) => cover = Some(media(sheet, name, value, MediaKind::Thumb)?),
            (false, _) => return None,
        }
    }
    for (key, is_missing) in [("url", url.is_none()), ("cover", cover.is_none())] {
        if is_missing {
            missing(sheet, span.clone(), "music", key);
        }
    }
    let url = url?;
    let hq_url = hq_url.unwrap_or_else(|| Arc::clone(&url));
    let cover = cover?;
    let reply = Reply::Music {
        title,
        description,
        url,
        hq_url,
        thumb_media_id: cover.id(),
    };
    Some((reply, cover))
}

/// Reads one card or, in answer to events, several.
pub(super) fn news<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    answers: Answers,
    gaps: &mut Gaps<'t>,
    pictures: &mut Vec<Picture>,
) -> Option<Vec<Article>> {
    let span = sheet.span(value.span());
    let DeValue::Array(articles) = value.get_ref() else {
        return Some(vec![article(sheet, value, gaps, pictures)?]);
    };
    let most = if answers.messages {
        ARTICLES_FOR_MESSAGE
    } else {
        ARTICLES_FOR_EVENT
    };
    if articles.is_empty() || articles.len() > most {
        sheet.report(
            Code::BadReply,
            span,
            Words::new(
                format!("图文有 {} 篇;回复消息最多 {ARTICLES_FOR_MESSAGE} 篇,回复事件最多 {ARTICLES_FOR_EVENT} 篇", articles.len()),
                format!(
                    "{} articles; at most {ARTICLES_FOR_MESSAGE} in answer to a message, {ARTICLES_FOR_EVENT} to an event",
                    articles.len()
                ),
            ),
        );
        return None;
    }
    articles
        .iter()
        .map(|value| article(sheet, value, gaps, pictures))
        .collect()
}

fn article<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
    pictures: &mut Vec<Picture>,
) -> Option<Article> {
    let span = sheet.span(value.span());
    let owner = Words::new("news ", "news");
    let mut article = Article::default();
    for (key, value) in sheet.table("news", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, NEWS, &owner), name) {
            (true, "title") => article.title = gapped(sheet, name, value, gaps)?,
            (true, "description") => article.description = gapped(sheet, name, value, gaps)?,
            (true, "image") => article.pic_url = picture(sheet, value, gaps, pictures)?,
            (true, _) => article.url = link(sheet, name, value, gaps)?,
            (false, _) => return None,
        }
    }
    for (key, is_missing) in [
        ("title", article.title.is_empty()),
        ("url", article.url.is_empty()),
    ] {
        if is_missing {
            missing(sheet, span.clone(), "news", key);
            return None;
        }
    }
    Some(article)
}

/// The picture of a card: WeChat wants an address, and one of ours is made for a file.
fn picture<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
    pictures: &mut Vec<Picture>,
) -> Option<Arc<str>> {
    let text = sheet.string("image", value)?;
    if text.text.contains("://") {
        return link(sheet, "image", value, gaps);
    }
    let picture = media::picture(sheet, "image", &text)?;
    let address = sheet.library.address(&picture);
    pictures.push(picture);
    Some(address)
}

/// Reads the hand-over to WeChat's own desk.
pub(super) fn desk(sheet: &mut Sheet<'_>, value: &Value<'_>, answers: Answers) -> Option<Reply> {
    let span = sheet.span(value.span());
    let owner = Words::new("desk ", "desk");
    let mut agent = None;
    for (key, value) in sheet.table("desk", value)? {
        if !sheet.knows(key, DESK, &owner) {
            return None;
        }
        let text = sheet.string("agent", value)?;
        if !text.text.contains('@') {
            sheet.report(
                Code::BadValue,
                text.span,
                Words::new(
                    "`agent` 要写成完整的客服账号,像 kf2001@gh_xxx",
                    "`agent` must be a full account like kf2001@gh_xxx",
                ),
            );
            return None;
        }
        agent = Some(text.text.into());
    }
    is_message_only(sheet, span, answers).then_some(Reply::Transfer { agent })
}

/// Whether WeChat takes its own desk as an answer; reports it if not.
pub(super) fn is_message_only(sheet: &mut Sheet<'_>, span: Range<usize>, answers: Answers) -> bool {
    if answers.events {
        sheet.report(
            Code::BadReply,
            span,
            Words::new(
                "`desk`(转到微信客服)只能回复消息,不能回复事件",
                "`desk` (to WeChat's own desk) can answer messages only, not events",
            ),
        );
    }
    !answers.events
}
