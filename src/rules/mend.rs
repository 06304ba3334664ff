//! Works out how a slip in the text of a rule file can be mended without changing anything else.
//! Owns: which slips a machine may mend. Uses: diagnostic, the TOML lexer. Never: finds what is wrong, I/O.

use std::ops::Range;
use std::sync::Arc;

use toml_parser::lexer::TokenKind;

use super::diagnostic::{Change, Edit, Fix, Words};

/// Full-width punctuation that Chinese keyboards give, and what TOML wants.
pub(super) const FULL_WIDTH: &[(char, &str)] = &[
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
/// Keys whose text is a regex: a backslash in it is meant for the regex.
const REGEX_KEYS: &[&str] = &["regex", "check"];

/// A fix that writes something else for a part of the file, where exactly `old` stands there.
pub(super) fn replace(
    (name, text): (&Arc<str>, &str),
    span: Range<usize>,
    (old, new): (&str, &str),
) -> Option<Fix> {
    let is_there = text.get(span.clone()) == Some(old);
    let title = Words::new(format!("改成 {new}"), format!("write {new}"));
    is_there.then(|| Fix::replace(name, span, new, title))
}

/// A fix that gives a key its right name, unless its table has that already.
pub(super) fn rename_key(
    (name, text): (&Arc<str>, &str),
    key: Range<usize>,
    (old, meant): (&str, &str),
) -> Option<Fix> {
    let before = text.get(..key.start)?;
    let after = text.get(key.end..)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let neighbours = if before.get(line_start..)?.trim().is_empty() {
        let from = before.rfind("\n[").map_or(0, |header| header + 1);
        let to = after
            .find("\n[")
            .map_or(text.len(), |header| key.end + header);
        text.get(from..to)?
    } else {
        let from = before.rfind('{').unwrap_or(0);
        let to = after.find('}').map_or(text.len(), |close| key.end + close);
        text.get(from..to)?
    };
    let is_taken = neighbours.match_indices(meant).any(|(at, _)| {
        let before = neighbours.get(..at).unwrap_or_default();
        let behind = neighbours.get(at + meant.len()..).unwrap_or_default();
        before
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || matches!(c, '{' | ','))
            && behind.trim_start().starts_with('=')
    });
    replace((name, text), key, (old, meant)).filter(|_| !is_taken)
}

/// A fix that takes one text out of a list that has others.
pub(super) fn remove_item((name, text): (&Arc<str>, &str), item: Range<usize>) -> Option<Fix> {
    let after = text.get(item.end..)?;
    let before = text.get(..item.start)?;
    let blank = |c: char| c == ' ' || c == '\t';
    let behind = after.trim_start();
    let front = before.trim_end();
    let span = if let Some(rest) = behind.strip_prefix(',')
        && (front.ends_with('[') || front.ends_with(','))
        && !(front.ends_with('[') && rest.trim_start().starts_with(']'))
    {
        let rest = rest.trim_start_matches(blank);
        item.start..text.len() - rest.len()
    } else if behind.starts_with(']') && front.ends_with(',') {
        front.len() - 1..item.end
    } else {
        return None;
    };
    let written = text.get(item)?;
    let title = Words::new(format!("去掉 {written}"), format!("remove {written}"));
    Some(Fix::replace(name, span, "", title))
}

/// A fix that writes half-width punctuation wherever TOML needs it in a piece of a file that begins at `start`.
pub(super) fn full_width(name: &Arc<str>, piece: &str, start: usize) -> Option<Fix> {
    let mut edits = Vec::new();
    let mut rest = piece;
    while let Some(first) = rest.chars().next() {
        let at = piece.len() - rest.len();
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => quoted(rest, first),
            _ => match wide(first) {
                Some("#") => {
                    edits.push((at..at + first.len_utf8(), "#"));
                    rest.find('\n').unwrap_or(rest.len())
                }
                Some(mark @ ("\"" | "'")) => {
                    let inner = rest.get(first.len_utf8()..)?;
                    let close = inner
                        .find(|c| c == '\n' || wide(c).unwrap_or(narrow_quote(c)) == mark)
                        .unwrap_or(inner.len());
                    let closing = inner.get(close..)?.chars().next()?;
                    let quote = quote_for(inner.get(..close)?, mark)?;
                    if closing == '\n' {
                        return None;
                    }
                    let end = first.len_utf8() + close;
                    edits.push((at..at + first.len_utf8(), quote));
                    edits.push((at + end..at + end + closing.len_utf8(), quote));
                    end + closing.len_utf8()
                }
                Some(plain) => {
                    edits.push((at..at + first.len_utf8(), plain));
                    first.len_utf8()
                }
                None => first.len_utf8(),
            },
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    let edit = |(span, text): (Range<usize>, &str)| Edit {
        file: Arc::clone(name),
        span: span.start + start..span.end + start,
        text: text.into(),
    };
    let edits: Vec<Edit> = edits.into_iter().map(edit).collect();
    (!edits.is_empty()).then(|| Fix {
        title: Words::new("全角标点换成半角", "write half-width punctuation"),
        change: Change::Edits(edits),
    })
}

fn wide(c: char) -> Option<&'static str> {
    let found = FULL_WIDTH.iter().find(|(wide, _)| *wide == c);
    found.map(|(_, plain)| *plain)
}

fn narrow_quote(c: char) -> &'static str {
    match c {
        '"' => "\"",
        '\'' => "'",
        _ => "",
    }
}

/// The quotes that may stand around a text without changing it.
fn quote_for(text: &str, wanted: &'static str) -> Option<&'static str> {
    match wanted {
        "\"" if !text.contains(['"', '\\']) => Some("\""),
        _ if !text.contains('\'') => Some("'"),
        _ => None,
    }
}

/// How long the quoted text at the beginning is; it ends with its line where nothing closes it.
fn quoted(text: &str, quote: char) -> usize {
    let long = if quote == '"' { "\"\"\"" } else { "'''" };
    if let Some(inner) = text.strip_prefix(long) {
        let end = inner.find(long).map(|end| end + 2 * long.len());
        return end.unwrap_or(text.len());
    }
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return at,
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A fix for a backslash that TOML does not know, at `at` in a piece that begins at `start`: a regex goes between single
/// quotes, in other texts the backslash is doubled.
pub(super) fn backslash(name: &Arc<str>, piece: &str, start: usize, at: usize) -> Option<Fix> {
    let mut tokens = toml_parser::Source::new(piece).lex();
    let token = tokens.find(|token| {
        token.kind() == TokenKind::BasicString
            && token.span().start() <= at
            && at < token.span().end()
    })?;
    let span = token.span().start()..token.span().end();
    let inner = piece
        .get(span.clone())?
        .strip_prefix('"')?
        .strip_suffix('"')?;
    let file_span = |span: Range<usize>| span.start + start..span.end + start;
    let line = piece.get(..span.start)?.lines().next_back()?;
    let key = line.split('=').next().unwrap_or_default().trim();
    if REGEX_KEYS.contains(&key) && !inner.contains(['\'', '"']) && !inner.contains("\\\\") {
        let title = Words::new("改用单引号", "use single quotes");
        return Some(Fix::replace(
            name,
            file_span(span),
            format!("'{inner}'"),
            title,
        ));
    }
    let mut edits = Vec::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        let next = inner.get(at + c.len_utf8()..)?.chars().next();
        if c == '\\' {
            let is_known = next.is_some_and(|next| "btnfreuUx\"\\".contains(next));
            if is_known {
                chars.next();
            } else {
                let place = span.start + 1 + at;
                edits.push(Edit {
                    file: Arc::clone(name),
                    span: file_span(place..place),
                    text: "\\".into(),
                });
            }
        }
    }
    (!edits.is_empty()).then(|| Fix {
        title: Words::new("反斜杠写两个", "double the backslash"),
        change: Change::Edits(edits),
    })
}

/// A fix that gives every `[rule]` of a piece that begins at `start` its second pair of brackets.
pub(super) fn rule_headers(name: &Arc<str>, piece: &str, start: usize) -> Option<Fix> {
    const SINGLE: &str = "[rule]";
    let mut edits = Vec::new();
    let mut is_line_start = true;
    let mut depth = 0_usize;
    for token in toml_parser::Source::new(piece).lex() {
        let at = token.span().start();
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                let is_single = piece.get(at..).is_some_and(|rest| rest.starts_with(SINGLE));
                if is_line_start && depth == 0 && is_single {
                    edits.push(Edit {
                        file: Arc::clone(name),
                        span: at + start..at + start + SINGLE.len(),
                        text: "[[rule]]".into(),
                    });
                }
                depth += 1;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        is_line_start = match token.kind() {
            TokenKind::Newline => true,
            TokenKind::Whitespace => is_line_start,
            _ => false,
        };
    }
    (!edits.is_empty()).then(|| Fix {
        title: Words::new("写成 [[rule]]", "write [[rule]]"),
        change: Change::Edits(edits),
    })
}
