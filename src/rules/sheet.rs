//! Reads typed values out of a parsed piece of a rule file, reporting what does not fit at its exact place.
//! Owns: how a wrong value is described. Uses: diagnostic, source, toml. Never: knows what a key means.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::diagnostic::{Code, Diagnostic, Place, Remarks, Words, did_you_mean};
use super::media::Library;
use super::mend;
use super::source::Source;

/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A text with its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    pub(super) span: Range<usize>,
}

/// One piece of a file, being read.
pub(super) struct Sheet<'s> {
    pub(super) source: &'s Source<'s>,
    /// Where the piece begins in the file; spans of values count from there.
    pub(super) start: usize,
    /// The files that replies may send.
    pub(super) library: &'s Library<'s>,
    pub(super) remarks: &'s mut Remarks,
}

impl<'s> Sheet<'s> {
    /// A span of the piece as a span of the file.
    pub(super) fn span(&self, span: Range<usize>) -> Range<usize> {
        span.start + self.start..span.end + self.start
    }

    /// The file's name and text.
    pub(super) fn written(&self) -> (&Arc<str>, &str) {
        (&self.source.name, self.source.text)
    }

    /// A span of the file as a place.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        self.source.place(span)
    }

    /// Reports a remark at a span of the file.
    pub(super) fn report(&mut self, code: Code, span: Range<usize>, message: Words) {
        let diagnostic = Diagnostic::new(code, self.place(span), message);
        self.remarks.push(diagnostic);
    }

    /// Reports a remark with a remedy.
    pub(super) fn report_with_help(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: Words,
        help: Words,
    ) {
        let diagnostic = Diagnostic::new(code, self.place(span), message).help(help);
        self.remarks.push(diagnostic);
    }

    /// Whether a table may have the key; reports it if not. `owner` names the table: `规则 "hours"`.
    pub(super) fn knows(
        &mut self,
        key: &Spanned<DeString<'_>>,
        keys: &[&str],
        owner: &Words,
    ) -> bool {
        let name: &str = key.get_ref();
        if keys.contains(&name) {
            return true;
        }
        let span = self.span(key.span());
        let fix = |meant: &str| mend::rename_key(self.written(), span.clone(), (name, meant));
        let place = self.place(span.clone());
        let message = Words::new(
            format!("{}里没有 `{name}` 这个字段", owner.zh),
            format!("unknown field `{name}` in {}", owner.en),
        );
        let diagnostic = Diagnostic::new(Code::UnknownField, place, message);
        self.remarks
            .push(match did_you_mean(name, keys.iter().copied()) {
                Some(meant) => diagnostic
                    .caret(Words::new(
                        format!("是不是 `{meant}`?"),
                        format!("did you mean `{meant}`?"),
                    ))
                    .fix(fix(meant)),
                None => {
                    let known = keys.join("、");
                    diagnostic.help(Words::new(
                        format!("可以用:{known}"),
                        format!("known here: {known}"),
                    ))
                }
            });
        false
    }

    /// A text.
    pub(super) fn string<'t>(&mut self, key: &str, value: &'t Value<'_>) -> Option<Text<'t>> {
        let span = self.span(value.span());
        match value.get_ref() {
            DeValue::String(text) => Some(Text { text, span }),
            other => {
                self.wrong_type(
                    key,
                    other,
                    span,
                    ("要写成带引号的文字", "must be text in quotes"),
                );
                None
            }
        }
    }

    /// A text, or a list of them.
    pub(super) fn strings<'t>(&mut self, key: &str, value: &'t Value<'_>) -> Vec<Text<'t>> {
        match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .filter_map(|item| self.string(key, item))
                .collect(),
            DeValue::String(_) => self.string(key, value).into_iter().collect(),
            other => {
                let span = self.span(value.span());
                let expected = (
                    "要写成带引号的文字,或这样的一列",
                    "must be text in quotes, or a list of such",
                );
                self.wrong_type(key, other, span, expected);
                Vec::new()
            }
        }
    }

    /// A whole number in a range.
    pub(super) fn integer(
        &mut self,
        key: &str,
        value: &Value<'_>,
        range: Range<i64>,
    ) -> Option<i64> {
        let span = self.span(value.span());
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(
                key,
                value.get_ref(),
                span,
                (
                    "要写成整数,不带引号",
                    "must be a whole number, without quotes",
                ),
            );
            return None;
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if let Some(number) = parsed.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (low, high) = (range.start, range.end - 1);
        self.report(
            Code::BadValue,
            span,
            Words::new(
                format!("`{key}` 要在 {low} 到 {high} 之间"),
                format!("`{key}` must be between {low} and {high}"),
            ),
        );
        None
    }

    /// A number, whole or not, in a range.
    pub(super) fn number(
        &mut self,
        key: &str,
        value: &Value<'_>,
        range: RangeInclusive<f32>,
    ) -> Option<f32> {
        let span = self.span(value.span());
        let written = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            other => {
                let expected = ("要写成数字,不带引号", "must be a number, without quotes");
                self.wrong_type(key, other, span, expected);
                return None;
            }
        };
        let parsed = written.parse().ok();
        if let Some(number) = parsed.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (low, high) = (range.start(), range.end());
        self.report(
            Code::BadValue,
            span,
            Words::new(
                format!("`{key}` 要在 {low} 到 {high} 之间"),
                format!("`{key}` must be between {low} and {high}"),
            ),
        );
        None
    }

    /// One of a few words, and what it stands for.
    pub(super) fn choice<T: Clone>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(key, value)?;
        self.choice_of(key, &text, choices)
    }

    /// One of a few words as written, and what it stands for.
    pub(super) fn choice_of<T: Clone>(
        &mut self,
        key: &str,
        text: &Text<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, meant)) = choices.iter().find(|(word, _)| *word == text.text) {
            return Some(meant.clone());
        }
        let words = || choices.iter().map(|(word, _)| *word);
        let known = words().collect::<Vec<_>>().join("、");
        let message = Words::new(
            format!("`{key}` 没有 \"{}\" 这个写法", text.text),
            format!("`{key}` cannot be \"{}\"", text.text),
        );
        let help = match did_you_mean(text.text, words()) {
            Some(meant) => Words::new(
                format!("是不是 \"{meant}\"?"),
                format!("did you mean \"{meant}\"?"),
            ),
            None => Words::new(format!("可以用:{known}"), format!("known: {known}")),
        };
        self.report_with_help(Code::BadValue, text.span.clone(), message, help);
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        if let DeValue::Boolean(value) = value.get_ref() {
            return Some(*value);
        }
        let span = self.span(value.span());
        self.wrong_type(
            key,
            value.get_ref(),
            span,
            ("要写成 true 或 false", "must be true or false"),
        );
        None
    }

    /// A table.
    pub(super) fn table<'t, 'i>(
        &mut self,
        key: &str,
        value: &'t Value<'i>,
    ) -> Option<&'t DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        let span = self.span(value.span());
        self.wrong_type(
            key,
            value.get_ref(),
            span,
            ("要写成 { … }", "must be a table, { … }"),
        );
        None
    }

    /// Reports that a value has the wrong type.
    pub(super) fn wrong_type(
        &mut self,
        key: &str,
        value: &DeValue<'_>,
        span: Range<usize>,
        (zh, en): (&str, &str),
    ) {
        let (is_zh, is_en) = match value {
            DeValue::String(_) => ("文字", "text"),
            DeValue::Integer(_) | DeValue::Float(_) => ("数字", "a number"),
            DeValue::Boolean(_) => ("true/false", "true/false"),
            DeValue::Datetime(_) => ("日期", "a date"),
            DeValue::Array(_) => ("列表", "a list"),
            DeValue::Table(_) => ("表", "a table"),
        };
        self.report(
            Code::WrongType,
            span,
            Words::new(
                format!("`{key}` {zh},这里是{is_zh}"),
                format!("`{key}` {en}, this is {is_en}"),
            ),
        );
    }

    /// The part of the file in which a part of a text stands; the whole text where that cannot be told.
    pub(super) fn inside(&self, text: &Text<'_>, part: Range<usize>) -> Range<usize> {
        let whole = text.span.clone();
        let Some(written) = self.source.text.get(whole.clone()) else {
            return whole;
        };
        for quote in ["\"\"\"", "'''", "\"", "'"] {
            let Some(inner) = written
                .strip_prefix(quote)
                .and_then(|rest| rest.strip_suffix(quote))
            else {
                continue;
            };
            let newline = if quote.len() == 3 {
                inner.len() - inner.trim_start_matches(['\r', '\n']).len()
            } else {
                0
            };
            let newline = newline.min(if inner.starts_with("\r\n") { 2 } else { 1 });
            let start = whole.start + quote.len() + newline;
            if inner.get(newline..) == Some(text.text) {
                return start + part.start..start + part.end;
            }
            if quote.starts_with('"') {
                let raw = inner.get(newline..).unwrap_or_default();
                let place = |at| escaped_place(raw, at).map(|at| at + start);
                if let (Some(from), Some(to)) = (place(part.start), place(part.end)) {
                    return from..to;
                }
            }
            break;
        }
        whole
    }
}

/// Where the byte `at` of a text stands in the text as written, with its escapes.
fn escaped_place(raw: &str, at: usize) -> Option<usize> {
    let mut decoded = 0;
    let mut from = 0;
    while decoded < at {
        let rest = raw.get(from..)?;
        let mut chars = rest.chars();
        let first = chars.next()?;
        let (written, meant) = match (first, chars.next()) {
            ('\\', Some(kind @ ('x' | 'u' | 'U'))) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
                (2 + digits, char::from_u32(code)?.len_utf8())
            }
            ('\\', Some(c)) if c.is_whitespace() => {
                let behind = rest.get(1..)?;
                (rest.len() - behind.trim_start().len(), 0)
            }
            ('\\', Some(_)) => (2, 1),
            _ => (first.len_utf8(), first.len_utf8()),
        };
        from += written;
        decoded += meant;
    }
    (decoded == at).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_behind_escapes() {
        let raw = r#"a\\b\u9000c\
            退\"z"#;
        let text = "a\\b退c退\"z";
        for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphabetic()) {
            let place = escaped_place(raw, at).unwrap();
            let written = raw.get(place..).unwrap();
            assert!(
                written.starts_with(c)
                    || written.starts_with("\\u9000")
                    || written.trim_start_matches('\\').trim_start().starts_with(c),
                "{at}: {written}"
            );
        }
        assert_eq!(escaped_place(raw, text.len()), Some(raw.len()));
        assert_eq!(escaped_place(raw, text.len() + 1), None);
    }
}
