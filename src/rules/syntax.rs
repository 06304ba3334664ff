//! Says in an operator's words what is wrong with a file that is not TOML.
//! Owns: remedies for common slips, full-width punctuation first. Uses: sheet, toml. Never: repairs anything.

use std::ops::Range;

use super::diagnostic::{Code, Diagnostic, Words};
use super::sheet::Sheet;

/// Full-width punctuation that Chinese keyboards give, and what TOML wants.
const FULL_WIDTH: &[(char, &str)] = &[
    ('“', "\""),
    ('”', "\""),
    ('＂', "\""),
    ('‘', "'"),
    ('’', "'"),
    ('＇', "'"),
    ('「', "\""),
    ('」', "\""),
    ('＝', "="),
    ('，', ","),
    ('、', ","),
    ('【', "["),
    ('】', "]"),
    ('［', "["),
    ('］', "]"),
    ('｛', "{"),
    ('｝', "}"),
    ('＃', "#"),
    ('：', "="),
    ('\u{3000}', " "),
];

/// What the parser says, in Chinese, and what to do. The first entry whose beginning fits is taken.
const REMEDIES: &[(&str, &str, &str, &str)] = &[
    (
        "duplicate key",
        "这个字段写了两次",
        "删掉一个;规则要用两层方括号 [[rule]]",
        "drop one; a rule's header has two brackets, [[rule]]",
    ),
    (
        "missing assignment",
        "缺少等号",
        "写成 字段 = 值",
        "write key = value",
    ),
    (
        "key with no value",
        "只有字段名,没有 = 和值",
        "写成 字段 = 值",
        "write key = value",
    ),
    (
        "missing value",
        "等号后面没有值",
        "补上值,文字要带引号",
        "add a value; text needs quotes",
    ),
    (
        "string values must be quoted",
        "文字要带引号",
        "写成 \"…\"",
        "write \"…\"",
    ),
    (
        "invalid unquoted key",
        "字段名不对",
        "字段名只用字母、数字、- 和 _",
        "keys have letters, digits, - and _",
    ),
    ("unclosed array", "方括号 [ 没有关", "补上 ]", "add ]"),
    (
        "missing comma between array",
        "列表里缺少逗号",
        "每两项之间加 ,",
        "put , between entries",
    ),
    (
        "missing comma between key",
        "缺少逗号",
        "每两项之间加 ,",
        "put , between entries",
    ),
    (
        "unclosed inline table",
        "大括号 { 没有关",
        "补上 }",
        "add }",
    ),
    (
        "unclosed",
        "方括号没有关",
        "标题写成 [[rule]]",
        "write the header as [[rule]]",
    ),
    (
        "invalid basic string",
        "引号里的文字没有写完,或有不认识的反斜杠",
        "补上右引号;要写反斜杠就写 \\\\,或用单引号 '…'",
        "close the quote; write \\\\ for a backslash, or use '…'",
    ),
    (
        "invalid multi-line basic string",
        "三个引号的文字没有写完,或有不认识的反斜杠",
        "补上 \"\"\";要写反斜杠就写 \\\\",
        "add \"\"\"; write \\\\ for a backslash",
    ),
    (
        "invalid literal string",
        "单引号里的文字没有写完",
        "补上右引号 '",
        "close the quote",
    ),
    (
        "missing escaped value",
        "反斜杠后面的写法不认识",
        "要写反斜杠就写 \\\\,或用单引号 '…'",
        "write \\\\ for a backslash, or use '…'",
    ),
    (
        "cannot extend value",
        "这里的字段和前面的冲突",
        "看看前面是不是已经写过同名的字段",
        "see whether the same key was set before",
    ),
];

/// Reports the errors of one piece: one per line, since one slip makes the parser stumble more than once.
pub(super) fn report(sheet: &mut Sheet<'_>, errors: &[toml::de::Error]) {
    let mut lines = Vec::new();
    for error in errors {
        let span = sheet.span(error.span().unwrap_or(0..0));
        let place = sheet.place(span.clone());
        if lines.contains(&place.line) {
            continue;
        }
        lines.push(place.line);
        let diagnostic = full_width(sheet, &span).unwrap_or_else(|| {
            let message = error.message();
            let remedy = REMEDIES
                .iter()
                .find(|(beginning, ..)| message.starts_with(beginning));
            match remedy {
                Some((_, zh, help_zh, help_en)) => Diagnostic::new(
                    Code::Syntax,
                    place,
                    Words::new(*zh, format!("not TOML: {message}")),
                )
                .help(Words::new(*help_zh, *help_en)),
                None => Diagnostic::new(
                    Code::Syntax,
                    place,
                    Words::new(
                        format!("TOML 写法不对:{message}"),
                        format!("not TOML: {message}"),
                    ),
                ),
            }
        });
        sheet.remarks.push(diagnostic);
    }
}

/// Full-width punctuation on the line of an error, outside quotes and comments, is what is really wrong.
fn full_width(sheet: &Sheet<'_>, span: &Range<usize>) -> Option<Diagnostic> {
    let text = sheet.source.text;
    let start = text
        .get(..span.start)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?;
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '#') => return None,
            (None, _) => {
                let Some((_, plain)) = FULL_WIDTH.iter().find(|(wide, _)| *wide == c) else {
                    continue;
                };
                let span = start + at..start + at + c.len_utf8();
                let message = Words::new(
                    format!("全角标点 {c},这里要用半角的 {plain}"),
                    format!("full-width {c} where TOML needs {plain}"),
                );
                let help = Words::new(
                    format!("把 {c} 换成 {plain}(切到英文输入法)"),
                    format!("replace {c} by {plain}"),
                );
                return Some(
                    Diagnostic::new(Code::FullWidth, sheet.place(span), message).help(help),
                );
            }
            (Some(_), _) => {}
        }
    }
    None
}
