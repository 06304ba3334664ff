//! Reads which system a rule asks before it speaks: `[rule.hook]`.
//! Owns: its keys, and that no secret stands in a rule file. Uses: address, gaps, moment. Never: opens a connection.

use std::time::Duration;

use super::address;
use super::diagnostic::{Code, Words};
use super::gaps::{self, Names};
use super::handoff;
use super::moment;
use super::reply;
use super::say::{Gapped, Said};
use super::sheet::{Sheet, Text, Value};
use super::spec::{Handoff, Hook};
use crate::model::hook::HOOK_WITHIN;

const HOOK: &[&str] = &[
    "url", "body", "secret", "timeout", "reply", "missing", "error",
];
const ERROR: &[&str] = &["reply", "handoff"];
const SHORTEST: Duration = Duration::from_millis(100);
/// How a variable of the environment is named.
pub(super) const ENVIRONMENT: &str = "env:";
/// A rule file may name only variables that say so: it must not get at others of the process.
const MARK: &str = "HOOK";
/// A call has at most so many fields.
const MOST_FIELDS: usize = 50;

/// Reads `hook`. `before` are the names that are known when it is asked, `after` those with its answer.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    before: &mut Names,
    after: &mut Names,
) -> Option<Hook> {
    let span = sheet.span(value.span());
    let table = sheet.table("hook", value)?;
    let owner = Words::new("`hook` ", "`hook`");
    let errors = sheet.remarks.errors();
    let mut url = None;
    let mut hook = Hook {
        url: Gapped::Plain("".into()),
        fields: Box::default(),
        secret: None,
        timeout: HOOK_WITHIN,
        reply: None,
        missing: None,
        error_reply: None,
        error_handoff: None,
    };
    for (key, value) in table {
        if !sheet.knows(key, HOOK, &owner) {
            continue;
        }
        match &**key.get_ref() {
            "url" => url = self::url(sheet, value, before),
            "body" => hook.fields = fields(sheet, value, before).unwrap_or_default().into(),
            "secret" => hook.secret = secret(sheet, value),
            "timeout" => {
                let timeout = moment::duration(sheet, "timeout", value, SHORTEST..=HOOK_WITHIN);
                hook.timeout = timeout.unwrap_or(HOOK_WITHIN);
            }
            key @ "reply" => hook.reply = line(sheet, key, value, after),
            key @ "missing" => hook.missing = line(sheet, key, value, after),
            _ => (hook.error_reply, hook.error_handoff) = error(sheet, value, after),
        }
    }
    if !table.contains_key("url") {
        let words = Words::new("`hook` 缺少 `url`", "`hook` needs `url`");
        sheet.report(Code::BadValue, span, words);
    }
    hook.url = url?;
    (sheet.remarks.errors() == errors).then_some(hook)
}

fn line(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>, names: &mut Names) -> Option<Said> {
    let text = reply::words(sheet, key, value)?;
    gaps::line(sheet, &text, names)
}

fn url(sheet: &mut Sheet<'_>, value: &Value<'_>, names: &mut Names) -> Option<Gapped> {
    let text = sheet.string("url", value)?;
    if !address::is_good(sheet, "url", &text) {
        return None;
    }
    gaps::gapped(sheet, &text, names)
}

fn fields(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    names: &mut Names,
) -> Option<Vec<(Box<str>, Gapped)>> {
    let span = sheet.span(value.span());
    let table = sheet.table("body", value)?;
    if table.len() > MOST_FIELDS {
        let words = Words::new(
            format!("`body` 最多 {MOST_FIELDS} 项"),
            format!("`body` has at most {MOST_FIELDS} fields"),
        );
        sheet.report(Code::TooMany, span, words);
        return None;
    }
    let mut fields = Vec::with_capacity(table.len());
    for (key, value) in table {
        let name: &str = key.get_ref();
        let text = sheet.string(name, value)?;
        fields.push((name.into(), gaps::gapped(sheet, &text, names)?));
    }
    Some(fields)
}

/// The variable of the environment that holds the secret.
pub(super) fn secret(sheet: &mut Sheet<'_>, value: &Value<'_>) -> Option<Box<str>> {
    let text = sheet.string("secret", value)?;
    let Some(name) = text.text.strip_prefix(ENVIRONMENT) else {
        let help = Words::new(
            "放进环境变量,这里写 secret = \"env:HOOK_…\";写出来过的密钥要换掉",
            "put it into the environment and write secret = \"env:HOOK_…\"; replace the one that stood here",
        );
        address::secret(sheet, "secret", text.span, help);
        return None;
    };
    is_variable(sheet, "secret", &text, name).then(|| name.into())
}

/// Whether a variable's name is one that rule files may use; reports it if not.
pub(super) fn is_variable(sheet: &mut Sheet<'_>, key: &str, text: &Text<'_>, name: &str) -> bool {
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let is_marked = name.split('_').any(|word| word == MARK);
    if is_name && is_marked {
        return true;
    }
    let words = Words::new(
        format!("`{key}` 的变量名要用大写字母、数字和 _,其中有 HOOK 一词"),
        format!("the variable of `{key}` has capitals, digits and _ only, HOOK among its words"),
    );
    let help = Words::new(
        "像 \"env:ORDER_HOOK_SECRET\";密钥本身不写在文件里",
        "such as \"env:ORDER_HOOK_SECRET\"; the secret itself stays out of the file",
    );
    sheet.report_with_help(Code::SecretInFile, text.span.clone(), words, help);
    false
}

/// `error = { reply, handoff }`.
fn error(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    names: &mut Names,
) -> (Option<Said>, Option<Handoff>) {
    let (mut said, mut called) = (None, None);
    let Some(table) = sheet.table("error", value) else {
        return (None, None);
    };
    let owner = Words::new("`error` ", "`error`");
    for (key, value) in table {
        if !sheet.knows(key, ERROR, &owner) {
            continue;
        }
        match &**key.get_ref() {
            key @ "reply" => said = line(sheet, key, value, names),
            _ => called = handoff::read_or_priority(sheet, value),
        }
    }
    (said, called)
}
