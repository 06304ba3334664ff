//! Reads `[[alert]]` of `_desk.toml`: who is told of what waits.
//! Owns: its keys, and that no secret stands in the file. Uses: sheet, address, hook, model. Never: opens a connection.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::super::address;
use super::super::diagnostic::{Code, Words};
use super::super::hook::{self, ENVIRONMENT};
use super::super::sheet::{Sheet, Text, Value};
use crate::model::alert::{AlertChannel, ChannelKind};

const ALERT: &[&str] = &[
    "name", "kind", "url", "secret", "tier", "night", "excerpt", "from", "to",
];
const KINDS: &[(&str, ChannelKind)] = &[
    ("webhook", ChannelKind::Webhook),
    ("wecom", ChannelKind::Wecom),
    ("dingtalk", ChannelKind::Dingtalk),
    ("feishu", ChannelKind::Feishu),
    ("slack", ChannelKind::Slack),
    ("email", ChannelKind::Email),
];
/// More channels than this are nobody's to look after.
const MOST_CHANNELS: usize = 20;
const MOST_RECEIVERS: usize = 20;
/// Who is on duty, the lead, the owner.
const TIERS: Range<i64> = 1..4;
/// A group is no place for whole messages.
const MOST_EXCERPT: i64 = 200;
/// Bytes of a name.
const NAME_LIMIT: usize = 64;

/// The channels of a file; what is wrong is reported and left out.
pub(super) fn read(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Vec<AlertChannel> {
    let span = sheet.span(value.span());
    let DeValue::Array(items) = value.get_ref() else {
        let expected = ("要写成 [[alert]]", "must be [[alert]]");
        sheet.wrong_type("alert", value.get_ref(), span, expected);
        return Vec::new();
    };
    if items.len() > MOST_CHANNELS {
        let words = Words::new(
            format!("最多 {MOST_CHANNELS} 个 [[alert]]"),
            format!("at most {MOST_CHANNELS} [[alert]]"),
        );
        sheet.report(Code::TooMany, span, words);
        return Vec::new();
    }
    let mut channels: Vec<AlertChannel> = Vec::with_capacity(items.len());
    for item in items {
        let span = sheet.span(item.span());
        let Some(table) = sheet.table("alert", item) else {
            continue;
        };
        let Some((channel, name)) = one(sheet, table, &span) else {
            continue;
        };
        if channels.iter().any(|known| known.name == channel.name) {
            let words = Words::new(
                format!("[[alert]] 的名字 \"{}\" 已经用过", channel.name),
                format!(
                    "the name \"{}\" of an [[alert]] is already used",
                    channel.name
                ),
            );
            sheet.report(Code::DuplicateId, name, words);
            continue;
        }
        channels.push(channel);
    }
    channels
}

/// One channel, and where its name stands.
fn one(
    sheet: &mut Sheet<'_>,
    table: &DeTable<'_>,
    span: &Range<usize>,
) -> Option<(AlertChannel, Range<usize>)> {
    let errors = sheet.remarks.errors();
    let owner = Words::new("[[alert]] ", "[[alert]]");
    let (mut name, mut kind, mut url, mut from) = (None, None, None, None);
    let (mut secret, mut tier, mut night, mut excerpt) = (None, 1, false, 0);
    let mut to = Vec::new();
    for (key, value) in table {
        if !sheet.knows(key, ALERT, &owner) {
            continue;
        }
        let key: &str = key.get_ref();
        match key {
            "name" => name = self::name(sheet, value),
            "kind" => kind = sheet.choice(key, value, KINDS),
            "url" => url = sheet.string(key, value),
            "secret" => secret = hook::secret(sheet, value),
            "tier" => tier = sheet.integer(key, value, TIERS).unwrap_or(1),
            "night" => night = sheet.boolean(key, value).unwrap_or(false),
            "excerpt" => {
                excerpt = sheet.integer(key, value, 0..MOST_EXCERPT + 1).unwrap_or(0);
            }
            "from" => from = sheet.string(key, value),
            _ => to = sheet.strings(key, value),
        }
    }
    for key in ["name", "kind", "url"] {
        if !table.contains_key(key) {
            missing(sheet, span, key);
        }
    }
    if let Some(kind) = kind {
        check_kind(sheet, table, kind, span);
        if let Some(url) = &url {
            check_url(sheet, url, kind);
        }
    }
    if to.len() > MOST_RECEIVERS {
        let words = Words::new(
            format!("`to` 最多 {MOST_RECEIVERS} 个地址"),
            format!("`to` has at most {MOST_RECEIVERS} addresses"),
        );
        sheet.report(Code::TooMany, span.clone(), words);
    }
    for text in from.iter().chain(&to) {
        check_mailbox(sheet, text);
    }
    let (name, kind, url) = (name?, kind?, url?);
    let shared = |text: Text<'_>| -> Arc<str> { text.text.into() };
    let place = name.span.clone();
    let channel = AlertChannel {
        name: shared(name),
        kind,
        url: shared(url),
        secret: secret.map(|variable| format!("{ENVIRONMENT}{variable}").into()),
        tier: u8::try_from(tier).unwrap_or(1),
        night,
        excerpt: u16::try_from(excerpt).unwrap_or(0),
        from: from.map(shared),
        to: to.into_iter().map(shared).collect(),
    };
    (sheet.remarks.errors() == errors).then_some((channel, place))
}

fn name<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Text<'t>> {
    let text = sheet.string("name", value)?;
    let is_good = !text.text.trim().is_empty()
        && text.text.len() <= NAME_LIMIT
        && !text.text.contains(char::is_control);
    if is_good {
        return Some(text);
    }
    let words = Words::new(
        format!("`name` 要有 1 到 {NAME_LIMIT} 字节,不能换行"),
        format!("`name` has 1 to {NAME_LIMIT} bytes on one line"),
    );
    sheet.report(Code::BadValue, text.span, words);
    None
}

fn missing(sheet: &mut Sheet<'_>, span: &Range<usize>, key: &str) {
    let words = Words::new(
        format!("[[alert]] 缺少 `{key}`"),
        format!("[[alert]] needs `{key}`"),
    );
    sheet.report(Code::BadValue, span.clone(), words);
}

/// E-mail needs to know from whom and to whom; nothing else does.
fn check_kind(sheet: &mut Sheet<'_>, table: &DeTable<'_>, kind: ChannelKind, span: &Range<usize>) {
    let is_email = kind == ChannelKind::Email;
    for key in ["from", "to"] {
        match table.get(key) {
            None if is_email => missing(sheet, span, key),
            Some(value) if !is_email => {
                let span = sheet.span(value.span());
                let words = Words::new(
                    format!("`{key}` 只对 kind = \"email\" 有用"),
                    format!("`{key}` is for kind = \"email\" only"),
                );
                sheet.report(Code::Idle, span, words);
            }
            _ => {}
        }
    }
}

/// An address, or the variable that holds one.
fn check_url(sheet: &mut Sheet<'_>, url: &Text<'_>, kind: ChannelKind) {
    if let Some(variable) = url.text.strip_prefix(ENVIRONMENT) {
        hook::is_variable(sheet, "url", url, variable);
        return;
    }
    if kind != ChannelKind::Email {
        if address::is_good(sheet, "url", url) && holds_a_key(kind, url.text) {
            let help = Words::new(
                "机器人的地址就是密钥:放进环境变量,这里写 url = \"env:HOOK_…\";写出来过的要换掉",
                "a robot's address is its secret: put it into the environment and write url = \"env:HOOK_…\"; replace the one that stood here",
            );
            address::secret(sheet, "url", url.span.clone(), help);
        }
        return;
    }
    let rest = ["smtp://", "smtps://"]
        .iter()
        .find_map(|scheme| url.text.strip_prefix(scheme));
    let is_whole = |rest: &str| {
        !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    match rest {
        // What stands before the host is user and password.
        Some(rest) if rest.contains('@') => {
            let help = Words::new(
                "整个地址放进环境变量,这里写 url = \"env:HOOK_…\";写出来过的密码要换掉",
                "put the whole address into the environment and write url = \"env:HOOK_…\"; replace the password that stood here",
            );
            address::secret(sheet, "url", url.span.clone(), help);
        }
        Some(rest) if is_whole(rest) => {}
        _ => {
            let words = Words::new(
                "邮件的 `url` 要写成 smtp:// 或 smtps:// 开头的地址,或 env:HOOK_…",
                "the `url` of e-mail begins with smtp:// or smtps://, or is env:HOOK_…",
            );
            sheet.report(Code::BadValue, url.span.clone(), words);
        }
    }
}

/// Whether an address is one that the robot's makers hand out, with its key in it.
fn holds_a_key(kind: ChannelKind, url: &str) -> bool {
    let signs: &[&str] = match kind {
        ChannelKind::Wecom => &["qyapi.weixin.qq.com/"],
        ChannelKind::Dingtalk => &["oapi.dingtalk.com/"],
        ChannelKind::Feishu => &["open.feishu.cn/", "open.larksuite.com/"],
        ChannelKind::Slack => &["hooks.slack.com/"],
        ChannelKind::Webhook | ChannelKind::Email => &[],
    };
    let url = url.to_ascii_lowercase();
    signs.iter().any(|sign| url.contains(sign))
}

fn check_mailbox(sheet: &mut Sheet<'_>, text: &Text<'_>) {
    let is_good =
        text.text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        }) && !text.text.contains(char::is_control);
    if !is_good {
        let words = Words::new(
            format!("\"{}\" 不是邮件地址", text.text),
            format!("\"{}\" is no e-mail address", text.text),
        );
        sheet.report(Code::BadValue, text.span.clone(), words);
    }
}
