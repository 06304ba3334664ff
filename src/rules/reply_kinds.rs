//! Reads the replies that are no text: pictures, sound, video, music, cards, WeChat's own desk.
//! Owns: their keys and WeChat's limits on them. Uses: sheet, model. Never: knows when a rule speaks.

use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::diagnostic::{Code, Words};
use super::reply::Answers;
use super::sheet::{Key, Sheet, Value, keys};
use super::template::{Written, pieces};
use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE};
use crate::model::{Article, Reply};

/// How media uploaded to WeChat are named in rule files.
const MEDIA_ID: &str = "media_id:";

const VIDEO: &[Key] = keys!(["file", "title", "description"], not_yet []);
const MUSIC: &[Key] = keys!(["title", "description", "url", "hq_url", "cover"], not_yet []);
const NEWS: &[Key] = keys!(["title", "description", "image", "url"], not_yet []);
const DESK: &[Key] = keys!(["agent"], not_yet []);

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

/// A text that is sent as it stands: placeholders are for `text` only.
fn plain(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    let gap = pieces(text.text).into_iter().find_map(|piece| match piece {
        Written::Gap(name, range) => Some((name.to_owned(), range)),
        _ => None,
    });
    if let Some((name, range)) = gap {
        let span = sheet.inside(&text, range);
        sheet.report(
            Code::NotYet,
            span,
            Words::new(
                format!("这个版本的变量 {{{name}}} 只能写在文字回复里"),
                format!("in this version a placeholder like {{{name}}} works in text replies only"),
            ),
        );
        return None;
    }
    Some(text.text.into())
}

fn link(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string(key, value)?;
    let rest = text
        .text
        .strip_prefix("https://")
        .or_else(|| text.text.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !text.text.contains(char::is_whitespace)) {
        return Some(text.text.into());
    }
    sheet.report(
        Code::BadValue,
        text.span,
        Words::new(
            format!("`{key}` 要写成 https:// 开头的网址"),
            format!("`{key}` must be an address that begins with https://"),
        ),
    );
    None
}

fn missing(sheet: &mut Sheet<'_>, span: Range<usize>, kind: &str, key: &str) {
    let words = Words::new(
        format!("`{kind}` 缺少 `{key}`"),
        format!("`{kind}` needs `{key}`"),
    );
    sheet.report(Code::BadReply, span, words);
}

/// Reads a video: uploaded, with title and description if wanted.
pub(super) fn video(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Reply> {
    let span = sheet.span(value.span());
    let owner = Words::new("video ", "video");
    let (mut media_id, mut title, mut description) = (None, Arc::from(""), Arc::from(""));
    for (key, value) in sheet.table("video", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, VIDEO, &owner), name) {
            (true, "file") => media_id = Some(media(sheet, name, value)?),
            (true, "title") => title = plain(sheet, name, value)?,
            (true, _) => description = plain(sheet, name, value)?,
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
pub(super) fn music(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Reply> {
    let span = sheet.span(value.span());
    let owner = Words::new("music ", "music");
    let empty = || Arc::from("");
    let (mut title, mut description, mut hq_url) = (empty(), empty(), None);
    let (mut url, mut cover) = (None, None);
    for (key, value) in sheet.table("music", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, MUSIC, &owner), name) {
            (true, "title") => title = plain(sheet, name, value)?,
            (true, "description") => description = plain(sheet, name, value)?,
            (true, "url") => url = Some(link(sheet, name, value)?),
            (true, "hq_url") => hq_url = Some(link(sheet, name, value)?),
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
pub(super) fn news(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    answers: Answers,
) -> Option<Vec<Article>> {
    let span = sheet.span(value.span());
    let DeValue::Array(articles) = value.get_ref() else {
        return Some(vec![article(sheet, value)?]);
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
    articles.iter().map(|value| article(sheet, value)).collect()
}

fn article(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Article> {
    let span = sheet.span(value.span());
    let owner = Words::new("news ", "news");
    let mut article = Article::default();
    for (key, value) in sheet.table("news", value)? {
        let name: &str = key.get_ref();
        match (sheet.knows(key, NEWS, &owner), name) {
            (true, "title") => article.title = plain(sheet, name, value)?,
            (true, "description") => article.description = plain(sheet, name, value)?,
            (true, "image") => article.pic_url = picture(sheet, value)?,
            (true, _) => article.url = link(sheet, name, value)?,
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
fn picture(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Arc<str>> {
    let text = sheet.string("image", value)?;
    if text.text.contains("://") {
        return link(sheet, "image", value);
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
    if answers.events {
        sheet.report(
            Code::BadReply,
            span,
            Words::new(
                "`desk`(转到微信客服)只能回复消息,不能回复事件",
                "`desk` (to WeChat's own desk) can answer messages only, not events",
            ),
        );
        return None;
    }
    Some(Reply::Transfer { agent })
}
