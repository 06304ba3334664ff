//! Checks the values of a rule one by one: accounts, events, message types, patterns, regexes.
//! Owns: which values are legal and what to say if not. Uses: sheet, regexes. Never: the set as a whole.

use super::diagnostic::{Code, Diagnostic, Words, did_you_mean};
use super::pattern::Pattern;
use super::regexes::{Budget, Compiled};
use super::rule::{EventKey, Written};
use super::sheet::{Sheet, Text};
use crate::model::{AccountName, EventKind};

/// The message types that a rule can name: all but text, which keywords are for.
const MESSAGES: &[&str] = &[
    "image",
    "voice",
    "video",
    "shortvideo",
    "location",
    "link",
    "file",
    "miniprogrampage",
];
/// The events that rules call by a name of their own.
const EVENTS: &[&str] = &[
    "subscribe",
    "unsubscribe",
    "scan",
    "menu",
    "view",
    "location",
];

/// An account's name.
pub(super) fn account(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    known: Option<&[AccountName]>,
) -> Option<AccountName> {
    let Ok(name) = AccountName::parse(text.text) else {
        let words = Words::new(
            format!(
                "公众号的名字只用小写字母、数字和 -,字母开头,不是 \"{}\"",
                text.text
            ),
            format!(
                "an account's name has lower-case letters, digits and -, not \"{}\"",
                text.text
            ),
        );
        sheet.report(Code::BadValue, text.span.clone(), words);
        return None;
    };
    let Some(known) = known.filter(|known| !known.contains(&name)) else {
        return Some(name);
    };
    let words = Words::new(
        format!("wxreply.toml 里没有公众号 \"{name}\""),
        format!("there is no account \"{name}\" in wxreply.toml"),
    );
    let mut diagnostic =
        Diagnostic::new(Code::UnknownAccount, sheet.place(text.span.clone()), words);
    diagnostic = match did_you_mean(text.text, known.iter().map(AccountName::as_str)) {
        Some(meant) => diagnostic.caret(Words::new(
            format!("是不是 \"{meant}\"?"),
            format!("did you mean \"{meant}\"?"),
        )),
        None => {
            let names: Vec<&str> = known.iter().map(AccountName::as_str).collect();
            let names = names.join("、");
            diagnostic.help(Words::new(
                format!("有这些:{names}"),
                format!("there are: {names}"),
            ))
        }
    };
    sheet.remarks.push(diagnostic);
    None
}

/// A regex, compiled.
pub(super) fn regex(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    budget: &mut Budget,
) -> Option<Compiled> {
    match budget.compile(text.text) {
        Ok(compiled) => {
            if let Some((word, normal)) = &compiled.unreachable {
                let words = Words::new(
                    format!("这个正则永远匹配不到:消息先变成小写、简体、半角,不会有「{word}」"),
                    format!(
                        "this regex never matches: messages are made lower case, simplified and half-width first, \"{word}\" is never there"
                    ),
                );
                let help = Words::new(format!("写成「{normal}」"), format!("write \"{normal}\""));
                sheet.report_with_help(Code::NeverMatches, text.span.clone(), words, help);
            }
            Some(compiled)
        }
        Err(fault) => {
            let fault = fault?;
            let span = sheet.inside(text, fault.span);
            let help = Words::new(
                "不熟悉正则的话,用 any = [\"…\"] 列出关键词就好",
                "without regexes: list keywords in any = [\"…\"]",
            );
            sheet.report_with_help(fault.code, span, fault.message, help);
            None
        }
    }
}

/// A message type.
pub(super) fn message(sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<&'static str> {
    if let Some(known) = MESSAGES.iter().find(|known| **known == text.text) {
        return Some(known);
    }
    let known = MESSAGES.join("、");
    let (words, help) = if text.text == "text" {
        (
            Words::new(
                "文字消息用 exact、any、all、regex 来写;没有规则回答的文字要转给人",
                "text is for exact, any, all and regex; text that no rule covers goes to people",
            ),
            None,
        )
    } else {
        let words = Words::new(
            format!("不认识的消息类型 \"{}\"", text.text),
            format!("unknown message type \"{}\"", text.text),
        );
        let help = match did_you_mean(text.text, MESSAGES.iter().copied()) {
            Some(meant) => Words::new(
                format!("是不是 \"{meant}\"?"),
                format!("did you mean \"{meant}\"?"),
            ),
            None => Words::new(format!("可以用:{known}"), format!("known: {known}")),
        };
        (words, Some(help))
    };
    let diagnostic = Diagnostic::new(Code::BadValue, sheet.place(text.span.clone()), words);
    sheet.remarks.push(match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    });
    None
}

/// An event's name, in lower case.
pub(super) fn event(
    sheet: &mut Sheet<'_>,
    text: &Text<'_>,
    key: Option<&EventKey<'_>>,
) -> Option<Box<str>> {
    let name = text.text.to_ascii_lowercase();
    if name.trim().is_empty() {
        let words = Words::new("`event` 是空的", "`event` is empty");
        sheet.report(Code::BadValue, text.span.clone(), words);
        return None;
    }
    let raw = EventKind::ALL.iter().map(|(_, raw)| *raw);
    let is_known = EVENTS.contains(&&*name) || EventKind::named(&name) != EventKind::Other;
    if !is_known {
        let words = Words::new(
            format!("不认识的事件 \"{}\"", text.text),
            format!("unknown event \"{}\"", text.text),
        );
        if let Some(meant) = did_you_mean(&name, EVENTS.iter().copied().chain(raw)) {
            let help = Words::new(
                format!("是不是 \"{meant}\"?"),
                format!("did you mean \"{meant}\"?"),
            );
            sheet.report_with_help(Code::BadValue, text.span.clone(), words, help);
            return None;
        }
        sheet.report_with_help(
            Code::NeverMatches,
            text.span.clone(),
            words,
            Words::new(
                "微信发来同名的事件时才起作用",
                "it matters only if WeChat sends an event of this name",
            ),
        );
    }
    if name == "unsubscribe" {
        let words = Words::new(
            "取消关注以后什么也发不出去,这条回复没人收得到",
            "nothing can be sent to somebody who has left; nobody will get this reply",
        );
        sheet.report(Code::NeverSent, text.span.clone(), words);
    }
    let wanted = key.and_then(|key| match key.name {
        "scene" => Some(("scene", ["scan", "subscribe"])),
        "menu_key" => Some(("menu_key", ["menu", "click"])),
        _ => None,
    });
    if let Some((key, events)) = wanted.filter(|(_, events)| !events.contains(&&*name)) {
        let wanted = events.join("、");
        let words = Words::new(
            format!("`{key}` 只能和 event = {wanted} 一起用"),
            format!("`{key}` goes with event = {wanted} only"),
        );
        let help = Words::new("别的事件用 key", "use key for other events");
        sheet.report_with_help(Code::Together, text.span.clone(), words, help);
        return None;
    }
    Some(name.into())
}

/// A pattern of an event's key.
pub(super) fn pattern(sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<Pattern> {
    let parsed = Pattern::parse(text.text).filter(|_| !text.text.is_empty());
    if parsed.is_none() {
        let words = Words::new(
            "这里要写场景值或菜单 KEY,`*` 代表任意一段,不能两个 `*` 连写",
            "a scene or menu key is wanted here; `*` stands for any run, two `*` side by side are too many",
        );
        sheet.report(Code::BadValue, text.span.clone(), words);
    }
    parsed
}

/// Reports keys that make no sense without, or beside, others.
pub(super) fn check_together(sheet: &mut Sheet<'_>, written: &Written<'_>) {
    let answers = written.answers();
    if !answers.messages && !answers.events && written.is_understood {
        let id = written.id.as_ref().map_or("?", |id| id.text);
        let words = Words::new(
            format!("规则 \"{id}\" 没有触发条件"),
            format!("nothing triggers rule \"{id}\""),
        );
        let help = Words::new(
            "加 exact、any、all、regex、like、message、event 中的一个",
            "add one of exact, any, all, regex, like, message, event",
        );
        sheet.report_with_help(Code::NoTrigger, written.head.clone(), words, help);
    }
    if let Some(key) = written.key.as_ref().filter(|_| !answers.events) {
        let words = Words::new(
            format!("`{}` 要和 `event` 一起用", key.name),
            format!("`{}` goes with `event`", key.name),
        );
        sheet.report(Code::Together, key.span.clone(), words);
    }
    if let Some(word) = written.none.first().filter(|_| !written.hears_words()) {
        let words = Words::new(
            "`none` 只对文字起作用,要和 exact、any、all、regex 一起用",
            "`none` concerns words only; it goes with exact, any, all or regex",
        );
        sheet.report(Code::Together, word.span.clone(), words);
    }
}
