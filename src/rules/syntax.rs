//! Says in an operator's words what is wrong with a file that is not TOML.
//! Owns: remedies for common slips, full-width punctuation first. Uses: sheet, mend, toml. Never: works out a fix.

use std::ops::Range;

use toml_parser::lexer::TokenKind;

use super::diagnostic::{Code, Diagnostic, Words};
use super::mend::{self, FULL_WIDTH};
use super::sheet::Sheet;

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
        "unexpected key or value",
        "这一行多了东西",
        "一行写一个 字段 = 值;几个词写成列表 [\"…\", \"…\"]",
        "one key = value per line; several words make a list [\"…\", \"…\"]",
    ),
    (
        "extra comma",
        "多了一个逗号",
        "删掉一个逗号",
        "drop a comma",
    ),
    (
        "invalid inline table element",
        "大括号 { 没有关",
        "补上 }",
        "add }",
    ),
    (
        "cannot extend value",
        "这里的字段和前面的冲突",
        "看看前面是不是已经写过同名的字段",
        "see whether the same key was set before",
    ),
];

/// Reports what is wrong with a piece of the file: its first error, since one slip makes the parser stumble over what
/// follows.
pub(super) fn report(sheet: &mut Sheet<'_>, piece: &str, errors: &[toml::de::Error]) {
    let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let Some(error) = errors.iter().min_by_key(|error| start(error)) else {
        return;
    };
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let diagnostic = full_width(sheet, piece, &sheet.span(span.clone()))
        .or_else(|| unclosed(sheet, piece, span.start))
        .unwrap_or_else(|| {
            let at = span.start;
            let place = sheet.place(sheet.span(span));
            let remedy = REMEDIES
                .iter()
                .find(|(beginning, ..)| message.starts_with(beginning));
            match remedy {
                Some((beginning, zh, help_zh, help_en)) => Diagnostic::new(
                    Code::Syntax,
                    place,
                    Words::new(*zh, format!("not TOML: {message}")),
                )
                .help(Words::new(*help_zh, *help_en))
                .fix(match *beginning {
                    "missing escaped value" => {
                        mend::backslash(&sheet.source.name, piece, sheet.start, at)
                    }
                    "duplicate key" => mend::rule_headers(&sheet.source.name, piece, sheet.start),
                    _ => None,
                }),
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

/// A bracket or a long text that is still open where the next line plainly begins something new: the parser notices
/// only there, but the slip is where it was opened.
fn unclosed(sheet: &Sheet<'_>, piece: &str, at: usize) -> Option<Diagnostic> {
    let line_start = piece
        .get(..at)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = piece.get(line_start..)?.lines().next().unwrap_or_default();
    let mut open = Vec::new();
    for token in toml_parser::Source::new(piece).lex() {
        let span = token.span();
        match token.kind() {
            TokenKind::MlBasicString | TokenKind::MlLiteralString if span.end() >= at => {
                let is_open = span.start() < at && span.end() == piece.len();
                return is_open.then(|| opened(sheet, span.start(), 3, piece))?;
            }
            _ if span.start() >= line_start => break,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => open.push(span.start()),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => drop(open.pop()),
            _ => {}
        }
    }
    let begins_anew =
        line.starts_with("[[") || line.split_once('=').is_some_and(|(key, _)| is_key(key));
    let last = open.last().filter(|_| begins_anew)?;
    opened(sheet, *last, 1, piece)
}

fn is_key(text: &str) -> bool {
    let key = text.trim();
    !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn opened(sheet: &Sheet<'_>, at: usize, length: usize, piece: &str) -> Option<Diagnostic> {
    let mark = piece.get(at..at + length)?;
    let close = match mark {
        "[" => "]",
        "{" => "}",
        other => other,
    };
    let words = Words::new(
        format!("这里打开的 {mark} 没有关"),
        format!("this {mark} is never closed"),
    );
    let place = sheet.place(sheet.span(at..at + length));
    Some(
        Diagnostic::new(Code::Syntax, place, words)
            .help(Words::new(format!("补上 {close}"), format!("add {close}"))),
    )
}

/// Full-width punctuation on the line of an error, outside quotes and comments, is what is really wrong.
fn full_width(sheet: &Sheet<'_>, piece: &str, span: &Range<usize>) -> Option<Diagnostic> {
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
                    format!("全角标点「{c}」,这里要用半角的「{plain}」"),
                    format!("full-width {c} where TOML needs {plain}"),
                );
                let help = Words::new(
                    format!("换成「{plain}」(切到英文输入法再打)"),
                    format!("replace {c} by {plain}"),
                );
                return Some(
                    Diagnostic::new(Code::FullWidth, sheet.place(span), message)
                        .help(help)
                        .fix(mend::full_width(&sheet.source.name, piece, sheet.start)),
                );
            }
            (Some(_), _) => {}
        }
    }
    None
}
