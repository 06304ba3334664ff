//! Reads the replies that are no text: pictures, sound, video, music, cards, WeChat's own desk.
//! Owns: their keys and WeChat's limits on them. Uses: sheet, model. Never: knows when a rule speaks.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::address;
use super::diagnostic::{Code, Words};
use super::reply::{Answers, Gaps};
use super::sheet::{Sheet, Value};
use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE};
use crate::model::{Article, Reply};

/// How media uploaded to WeChat are named in rule files.
const MEDIA_ID: &str = "media_id:";

const VIDEO: &[&str] = &["file", "title", "description"];
const MUSIC: &[&str] = &["title", "description", "url", "hq_url", "cover"];
const NEWS: &[&str] = &["title", "description", "image", "url"];
const DESK: &[&str] = &["agent"];

/// A `media_id:…`.
pub(super) fn media(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    if let Some(id) = text.text.strip_prefix(MEDIA_ID).map(str::trim) {
        if id.is_empty() {
            sheet.report(
                Code::BadValue,
                text.span,
                Words::new(
                    "`media_id:` 后面要写素材的 id",
                    "the id is missing after `media_id:`",
                ),
            );
            return None;
        }
        return Some(id.into());
    }
    sheet.report_with_help(
        Code::NotYet,
        text.span,
        Words::new(
            format!("`{key}` 写的是文件路径,这个版本只认 `media_id:…`"),
            format!("`{key}` is a path; this version takes only `media_id:…`"),
        ),
        Words::new(
            "先在公众号后台上传素材,把它的 media_id 写成 \"media_id:XXXX\"",
            "upload it to WeChat first and write \"media_id:XXXX\"",
        ),
    );
    None
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
) -> Option<Reply> {
    let span = sheet.span(value.span());
    let owner = Words::new("video ", "video");
    let (mut media_id, mut title, mut description) = (None, Arc::from(""), Arc::from(""));
    for (key, value) in sheet.table("video", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, VIDEO, &owner), name) {
            (true, "file") => media_id = Some(media(sheet, name, value)?),
            (true, "title") => title = gapped(sheet, name, value, gaps)?,
            (true, _) => description = gapped(sheet, name, value, gaps)?,
            (false, _) => return None,
        }
    }
    if media_id.is_none() {
        missing(sheet, span, "video", "file");
    }
    Some(Reply::Video {
        media_id: media_id?,
        title,
        description,
    })
}

/// Reads a piece of music: where it plays from, and an uploaded cover.
pub(super) fn music<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<Reply> {
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
            (true, _) => cover = Some(media(sheet, name, value)?),
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
    Some(Reply::Music {
        title,
        description,
        url,
        hq_url,
        thumb_media_id: cover?,
    })
}

/// Reads one card or, in answer to events, several.
pub(super) fn news<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    answers: Answers,
    gaps: &mut Gaps<'t>,
) -> Option<Vec<Article>> {
    let span = sheet.span(value.span());
    let DeValue::Array(articles) = value.get_ref() else {
        return Some(vec![article(sheet, value, gaps)?]);
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
        .map(|value| article(sheet, value, gaps))
        .collect()
}

fn article<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<Article> {
    let span = sheet.span(value.span());
    let owner = Words::new("news ", "news");
    let mut article = Article::default();
    for (key, value) in sheet.table("news", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, NEWS, &owner), name) {
            (true, "title") => article.title = gapped(sheet, name, value, gaps)?,
            (true, "description") => article.description = gapped(sheet, name, value, gaps)?,
            (true, "image") => article.pic_url = picture(sheet, value, gaps)?,
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

/// The picture of a card: WeChat wants an address, not uploaded media.
fn picture<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    gaps: &mut Gaps<'t>,
) -> Option<Arc<str>> {
    let text = sheet.string("image", value)?;
    if text.text.contains("://") {
        return link(sheet, "image", value, gaps);
    }
    sheet.report_with_help(
        Code::NotYet,
        text.span,
        Words::new(
            "图文的 `image` 这个版本只认 https:// 开头的图片网址",
            "the `image` of news must be an address beginning with https:// in this version",
        ),
        Words::new(
            "把图片放到网上,写它的网址;或先不写 image",
            "put the picture on the web, or leave it out",
        ),
    );
    None
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
