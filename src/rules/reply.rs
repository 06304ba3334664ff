//! Reads what a rule says: `reply` and `[[rule.replies]]`, every kind of reply.
//! Owns: the keys of replies and WeChat's limits on them. Uses: sheet, model. Never: knows when a rule speaks.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Code, Words};
use super::sheet::{Key, Sheet, Text, Value, keys};
use super::template::{Written, pieces};
use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE, TEXT_LIMIT};
use crate::model::{Article, Reply};

/// How media uploaded to WeChat are named in rule files.
const MEDIA_ID: &str = "media_id:";

const ENTRY: &[Key] =
    keys!(["text", "image", "voice", "video", "music", "news", "desk", "fallback"], not_yet []);
const VIDEO: &[Key] = keys!(["file", "title", "description"], not_yet []);
const MUSIC: &[Key] = keys!(["title", "description", "url", "hq_url", "cover"], not_yet []);
const NEWS: &[Key] = keys!(["title", "description", "image", "url"], not_yet []);
const DESK: &[Key] = keys!(["agent"], not_yet []);

/// What a rule answers; some replies are for messages only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    pub(super) messages: bool,
    pub(super) events: bool,
}

/// A reply as read. A text may have placeholders.
pub(super) enum Draft<'t> {
    Text(Text<'t>),
    Other(Box<Reply>),
}

/// Reads `reply = "…"`.
pub(super) fn read_short<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Draft<'t>> {
    let span = sheet.span(value.span());
    match value.get_ref() {
        DeValue::String(text) => spoken(sheet, Text { text, span }).map(Draft::Text),
        other => {
            sheet.wrong_type(
                "reply",
                other,
                span,
                (
                    "要写成带引号的文字;别的回复写成 [[rule.replies]]",
                    "must be text in quotes; other replies go into [[rule.replies]]",
                ),
            );
            None
        }
    }
}

/// Reads `[[rule.replies]]`: exactly one entry in this version.
pub(super) fn read_entries<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    answers: Answers,
) -> Option<Draft<'t>> {
    let span = sheet.span(value.span());
    let DeValue::Array(entries) = value.get_ref() else {
        let expected = ("要写成 [[rule.replies]]", "must be [[rule.replies]]");
        sheet.wrong_type("replies", value.get_ref(), span, expected);
        return None;
    };
    match &entries[..] {
        [entry] => {
            let table = sheet.table("replies", entry)?;
            let span = sheet.span(entry.span());
            read_entry(sheet, table, span, answers)
        }
        [] => {
            sheet.report(
                Code::NoReply,
                span,
                Words::new("`replies` 是空的", "`replies` is empty"),
            );
            None
        }
        [_, second, ..] => {
            let span = sheet.span(second.span());
            sheet.report_with_help(
                Code::NotYet,
                span,
                Words::new(
                    "一条规则写了几个回复,要用 `pick` 选,这个版本还没有",
                    "several replies need `pick`, which this version does not have yet",
                ),
                Words::new("只留一个回复", "keep one reply"),
            );
            None
        }
    }
}

fn read_entry<'t>(
    sheet: &mut Sheet<'_>,
    table: &'t DeTable<'_>,
    span: Range<usize>,
    answers: Answers,
) -> Option<Draft<'t>> {
    let owner = Words::new("回复", "a reply");
    let mut kinds = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, ENTRY, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        if name == "fallback" {
            let text = sheet.string(name, value)?;
            spoken(sheet, text)?;
        } else {
            kinds.push((name, value, sheet.span(key.span())));
        }
    }
    let (kind, value) = match kinds[..] {
        [(kind, value, _)] => (kind, value),
        [] => {
            let known = "text、image、voice、video、music、news、desk";
            sheet.report(
                Code::BadReply,
                span,
                Words::new(
                    format!("这条回复没说是哪种:要有 {known} 之一"),
                    format!("a reply needs one of {known}"),
                ),
            );
            return None;
        }
        [(first, ..), (second, _, ref span), ..] => {
            sheet.report_with_help(
                Code::BadReply,
                span.clone(),
                Words::new(
                    format!("一条回复只能有一种:已经有 `{first}`,又有 `{second}`"),
                    format!("a reply is of one kind: there is `{first}` and `{second}`"),
                ),
                Words::new("拆成两条规则,或去掉一个", "make it two rules, or drop one"),
            );
            return None;
        }
    };
    let reply = match kind {
        "text" => {
            let text = sheet.string(kind, value)?;
            return spoken(sheet, text).map(Draft::Text);
        }
        "image" => Reply::Image {
            media_id: media(sheet, kind, value)?,
        },
        "voice" => Reply::Voice {
            media_id: media(sheet, kind, value)?,
        },
        "video" => video(sheet, value)?,
        "music" => music(sheet, value)?,
        "news" => Reply::News(news(sheet, value, answers)?),
        _ => desk(sheet, value, answers)?,
    };
    Some(Draft::Other(Box::new(reply)))
}

/// Checks a text that is sent.
fn spoken<'t>(sheet: &mut Sheet<'_>, text: Text<'t>) -> Option<Text<'t>> {
    if text.text.trim().is_empty() {
        sheet.report(
            Code::NoReply,
            text.span,
            Words::new("回复是空的", "the reply is empty"),
        );
        return None;
    }
    if text.text.len() > TEXT_LIMIT {
        too_long(sheet, &text);
        return None;
    }
    Some(text)
}

/// Reports a text that WeChat would not take.
pub(super) fn too_long(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let (bytes, over) = (text.text.len(), text.text.len() - TEXT_LIMIT);
    let (chars, fits) = (over.div_ceil(3), TEXT_LIMIT / 3);
    let diagnostic = super::diagnostic::Diagnostic::new(
        Code::TooLong,
        sheet.place(text.span.clone()),
        Words::new(
            format!("文字太长:{bytes} 字节,微信一条最多 {TEXT_LIMIT} 字节(约 {fits} 个汉字)"),
            format!(
                "text too long: {bytes} bytes, WeChat takes at most {TEXT_LIMIT} (about {fits} Chinese characters)"
            ),
        ),
    );
    let diagnostic = diagnostic
        .caret(Words::new(
            format!("从这里开始,多出 {over} 字节,约 {chars} 个汉字"),
            format!("begins here; {over} bytes too many, about {chars} Chinese characters"),
        ))
        .help(Words::new(
            "写短些,或改成图文",
            "shorten it, or make it a news reply",
        ));
    sheet.remarks.push(diagnostic);
}

/// A `media_id:…`.
fn media(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
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

fn video(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Reply> {
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

fn music(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Reply> {
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

fn news(sheet: &mut Sheet<'_>, value: &Value<'_>, answers: Answers) -> Option<Vec<Article>> {
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

fn desk(sheet: &mut Sheet<'_>, value: &Value<'_>, answers: Answers) -> Option<Reply> {
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
