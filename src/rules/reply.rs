//! Reads one reply of a rule: `reply` or an entry of `[[rule.replies]]`, every kind of reply.
//! Owns: the keys of replies and WeChat's limits on them. Uses: sheet, model. Never: knows when a rule speaks.

use std::ops::Range;

use smallvec::SmallVec;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Code, Words};
use super::lint;
use super::media::Medium;
use super::reply_kinds;
use super::sheet::{Sheet, Text, Value};
use crate::model::reply::TEXT_LIMIT;
use crate::model::{MediaFile, MediaKind, Picture, Reply};

/// A rule may have at most so many replies.
const MOST_REPLIES: usize = 20;
const ENTRY: &[&str] = &[
    "text", "image", "voice", "video", "music", "news", "desk", "fallback",
];

/// What a rule answers; some replies are for messages only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    pub(super) messages: bool,
    pub(super) events: bool,
}

/// Texts of one reply that have placeholders.
pub(super) type Gaps<'t> = Vec<Text<'t>>;

/// A reply as read. Its texts may have placeholders.
pub(super) enum Draft<'t> {
    Text(Text<'t>),
    Other(Box<Other<'t>>),
}

/// A reply as read that is more than words.
pub(super) struct Other<'t> {
    pub(super) reply: Reply,
    pub(super) gapped: Gaps<'t>,
    /// The file that must be uploaded.
    pub(super) file: Option<MediaFile>,
    /// Local pictures that it shows.
    pub(super) pictures: Vec<Picture>,
    /// What is said where it cannot be sent.
    pub(super) fallback: Option<Text<'t>>,
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

/// Reads `[[rule.replies]]`; entries that are wrong are reported and left out.
pub(super) fn read_entries<'t>(
    sheet: &mut Sheet<'_>,
    value: &'t Value<'_>,
    answers: Answers,
) -> SmallVec<[Draft<'t>; 1]> {
    let span = sheet.span(value.span());
    let DeValue::Array(entries) = value.get_ref() else {
        let expected = ("要写成 [[rule.replies]]", "must be [[rule.replies]]");
        sheet.wrong_type("replies", value.get_ref(), span, expected);
        return SmallVec::new();
    };
    if entries.is_empty() {
        let words = Words::new("`replies` 是空的", "`replies` is empty");
        sheet.report(Code::NoReply, span, words);
    } else if entries.len() > MOST_REPLIES {
        let words = Words::new(
            format!("一条规则最多 {MOST_REPLIES} 个回复"),
            format!("a rule may have at most {MOST_REPLIES} replies"),
        );
        sheet.report(Code::TooMany, span, words);
    }
    entries
        .iter()
        .filter_map(|entry| {
            let table = sheet.table("replies", entry)?;
            let span = sheet.span(entry.span());
            read_entry(sheet, table, span, answers)
        })
        .collect()
}

fn read_entry<'t>(
    sheet: &mut Sheet<'_>,
    table: &'t DeTable<'_>,
    span: Range<usize>,
    answers: Answers,
) -> Option<Draft<'t>> {
    let owner = Words::new("回复", "a reply");
    let mut kinds = Vec::new();
    let mut fallback = None;
    for (key, value) in table {
        if !sheet.knows(key, ENTRY, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        if name == "fallback" {
            let text = sheet.string(name, value)?;
            fallback = Some(spoken(sheet, text)?);
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
                Words::new("拆成两个 [[rule.replies]]", "make it two [[rule.replies]]"),
            );
            return None;
        }
    };
    let (mut gapped, mut pictures, mut file) = (Gaps::new(), Vec::new(), None);
    let mut shown = |medium: Medium| {
        let media_id = medium.id();
        file = medium.into_file();
        media_id
    };
    let reply = match kind {
        "text" => {
            let text = sheet.string(kind, value)?;
            return spoken(sheet, text).map(Draft::Text);
        }
        "image" => Reply::Image {
            media_id: shown(reply_kinds::media(sheet, kind, value, MediaKind::Image)?),
        },
        "voice" => Reply::Voice {
            media_id: shown(reply_kinds::media(sheet, kind, value, MediaKind::Voice)?),
        },
        "video" | "music" => {
            let (reply, medium) = if kind == "video" {
                reply_kinds::video(sheet, value, &mut gapped)?
            } else {
                reply_kinds::music(sheet, value, &mut gapped)?
            };
            shown(medium);
            reply
        }
        "news" => {
            let articles = reply_kinds::news(sheet, value, answers, &mut gapped, &mut pictures)?;
            Reply::News(articles)
        }
        _ => reply_kinds::desk(sheet, value, answers)?,
    };
    Some(Draft::Other(Box::new(Other {
        reply,
        gapped,
        file,
        pictures,
        fallback,
    })))
}

/// Reads a text that is sent.
pub(super) fn words<'t>(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &'t Value<'_>,
) -> Option<Text<'t>> {
    let text = sheet.string(key, value)?;
    spoken(sheet, text)
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
    lint::check_said(sheet, &text);
    Some(text)
}

/// Reports a text that WeChat would not take.
pub(super) fn too_long(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let start = text.span.start;
    let quote = sheet.source.text.get(start..).map_or(1, |rest| {
        if rest.starts_with("\"\"\"") || rest.starts_with("'''") {
            3
        } else {
            1
        }
    });
    let (bytes, over) = (text.text.len(), text.text.len() - TEXT_LIMIT);
    let (chars, fits) = (over.div_ceil(3), TEXT_LIMIT / 3);
    let diagnostic = super::diagnostic::Diagnostic::new(
        Code::TooLong,
        sheet.place(start..start + quote),
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
