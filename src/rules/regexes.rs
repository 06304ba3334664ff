//! Compiles an operator's regex within bounds and finds words that every match of it contains.
//! Owns: the limits of regexes, the words for what is wrong with one. Uses: regex, normalize. Never: knows a rule.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::diagnostic::Words;
use super::normalize::normalize;

/// An account may have at most so many.
pub(super) const PER_ACCOUNT: usize = 2_000;
/// Bytes that one compiled regex, and its cache of states, may take.
const SIZE_LIMIT: usize = 1 << 20;
/// Groups may be nested so deep.
const NEST_LIMIT: u32 = 64;
/// More words than this in a prefilter cost more than they save.
const MOST_WORDS: usize = 64;

/// A compiled regex.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) regex: Regex,
    /// Every match contains one of these words, in normal form; empty when there are no such words.
    pub(super) words: Vec<String>,
    /// A word of it that normalised text never contains, and what it becomes.
    pub(super) unreachable: Option<(String, String)>,
}

/// What is wrong with a regex, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// Bytes of the pattern.
    pub(super) span: Range<usize>,
    pub(super) message: Words,
}

/// Compiles a regex. It will be matched against normalised text.
pub(super) fn compile(pattern: &str) -> Result<Compiled, Fault> {
    let hir = parse(pattern)?;
    if hir.properties().minimum_len().unwrap_or(0) == 0 {
        return Err(Fault {
            span: 0..pattern.len(),
            message: Words::new(
                "这个正则连空话也匹配,什么消息都会被它接走",
                "this regex matches empty text, so it matches everything",
            ),
        });
    }
    let regex = build(pattern)?;
    let words = required_words(&hir).unwrap_or_default();
    let unreachable = unreachable_word(&hir);
    Ok(Compiled {
        regex,
        words,
        unreachable,
    })
}

/// Compiles a regex that an answer must match, which is never empty.
pub(super) fn check(pattern: &str) -> Result<Regex, Fault> {
    parse(pattern)?;
    build(pattern)
}

fn parse(pattern: &str) -> Result<Hir, Fault> {
    regex_syntax::ParserBuilder::new()
        .nest_limit(NEST_LIMIT)
        .build()
        .parse(pattern)
        .map_err(|error| syntax_fault(pattern, &error))
}

fn build(pattern: &str) -> Result<Regex, Fault> {
    RegexBuilder::new(pattern)
        .nest_limit(NEST_LIMIT)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| Fault {
            span: 0..pattern.len(),
            message: match error {
                regex::Error::CompiledTooBig(_) => Words::new(
                    "这个正则太大(重复次数太多?)",
                    "this regex is too big (large repetition counts?)",
                ),
                other => Words::new(format!("正则不对:{other}"), format!("bad regex: {other}")),
            },
        })
}

fn syntax_fault(pattern: &str, error: &regex_syntax::Error) -> Fault {
    let at = |span: &ast::Span| span.start.offset..span.end.offset.max(span.start.offset);
    match error {
        regex_syntax::Error::Parse(error) => Fault {
            span: at(error.span()),
            message: explain(error.kind()),
        },
        regex_syntax::Error::Translate(error) => Fault {
            span: at(error.span()),
            message: Words::new(
                format!("正则不对:{}", error.kind()),
                format!("regex: {}", error.kind()),
            ),
        },
        other => Fault {
            span: 0..pattern.len(),
            message: Words::new(format!("正则不对:{other}"), format!("regex: {other}")),
        },
    }
}

fn explain(kind: &ast::ErrorKind) -> Words {
    use ast::ErrorKind as Kind;
    let zh = match kind {
        Kind::GroupUnclosed => "缺少 `)`,这里打开的括号没有关",
        Kind::GroupUnopened => "多了一个 `)`,前面没有对应的 `(`",
        Kind::ClassUnclosed => "缺少 `]`,这里打开的方括号没有关",
        Kind::RepetitionMissing => "`*`、`+`、`?`、`{}` 前面要有东西可以重复",
        Kind::RepetitionCountInvalid => "重复次数写反了:前面的要小于后面的",
        Kind::RepetitionCountUnclosed => "缺少 `}`,重复次数没有写完",
        Kind::EscapeUnrecognized | Kind::EscapeUnexpectedEof => "反斜杠后面的写法不认识",
        Kind::UnsupportedLookAround => "不支持前后断言 `(?=…)` `(?!…)`",
        Kind::UnsupportedBackreference => "不支持反向引用 `\\1`",
        Kind::GroupNameDuplicate { .. } => "两个捕获组同名",
        Kind::GroupNameInvalid => "捕获组的名字只能用字母、数字和 `_`",
        Kind::NestLimitExceeded(_) => "括号嵌套太深",
        _ => return Words::new(format!("正则不对:{kind}"), format!("regex: {kind}")),
    };
    Words::new(format!("正则:{zh}"), format!("regex: {kind}"))
}

/// Words of which every match contains at least one: the longest such set that a part of the pattern gives.
fn required_words(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            // Trimmed, it is still in every match; changed otherwise, it is in none.
            let word = normalize(text);
            (!word.is_empty() && text.contains(&word)).then(|| vec![word])
        }
        HirKind::Capture(capture) => required_words(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required_words(&repetition.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .filter_map(required_words)
            .max_by_key(|words| worth(words)),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(required_words(part)?);
            }
            (all.len() <= MOST_WORDS).then_some(all)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) | HirKind::Repetition(_) => None,
    }
}

/// Long words are rarer than short ones, few are cheaper than many.
fn worth(words: &[String]) -> (usize, usize) {
    let shortest = words
        .iter()
        .map(|word| word.chars().count())
        .min()
        .unwrap_or(0);
    (shortest, MOST_WORDS.saturating_sub(words.len()))
}

/// A literal character that normalising changes can never be met in normalised text.
fn unreachable_word(hir: &Hir) -> Option<(String, String)> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            // Between two letters, so that punctuation and space are not taken for outer ones.
            let inner = |text: &str| {
                let framed = normalize(&format!("x{text}x"));
                framed
                    .strip_prefix('x')
                    .and_then(|rest| rest.strip_suffix('x'))
                    .map(str::to_owned)
            };
            let normal = inner(text)?;
            (normal != text).then(|| (text.to_owned(), normal))
        }
        HirKind::Capture(capture) => unreachable_word(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => unreachable_word(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().find_map(unreachable_word),
        HirKind::Alternation(_) | HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => {
            None
        }
        HirKind::Class(Class::Unicode(_) | Class::Bytes(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(pattern: &str) -> Vec<String> {
        compile(pattern).unwrap().words
    }

    #[test]
    fn words_that_every_match_contains_are_found() {
        assert_eq!(
            words(r"^(?<city>\p{Han}{2,5}?)市?的?(门店|分店)(在哪|地址)?$"),
            ["门店", "分店"]
        );
        assert_eq!(words(r"订单(号|编号)?\d+"), ["订单"]);
        assert!(words(r"\d{12}").is_empty());
        assert!(words(r"(门店|\d+)").is_empty());
    }

    #[test]
    fn faults_point_into_the_pattern() {
        let fault = compile("门店(在哪|地址").unwrap_err();
        assert_eq!(
            (fault.span.start, &*fault.message.zh),
            (6, "正则:缺少 `)`,这里打开的括号没有关")
        );
        assert!(
            compile("a*")
                .unwrap_err()
                .message
                .en
                .contains("matches everything")
        );
        assert!(
            compile(r"(\p{L}{1,1000}){1,1000}")
                .unwrap_err()
                .message
                .en
                .contains("too big")
        );
        assert!(compile(&"(".repeat(10_000)).is_err());
    }

    #[test]
    fn a_word_that_cannot_occur_in_normalised_text_is_noticed() {
        assert_eq!(
            compile("WiFi密码").unwrap().unreachable,
            Some(("WiFi密码".into(), "wifi密码".into()))
        );
        assert_eq!(compile("退款|WiFi").unwrap().unreachable, None);
        assert_eq!(compile("wifi, 密码").unwrap().unreachable, None);
    }

    proptest! {
        #[test]
        fn every_match_contains_a_required_word(pattern in "([ab]|\\(a\\|b\\)|\\(?:ab\\)[+?]|a[*]|[.]|ba){1,6}", text in "[ab]{0,8}") {
            if let Ok(compiled) = compile(&pattern)
                && !compiled.words.is_empty()
                && compiled.regex.is_match(&text)
            {
                prop_assert!(compiled.words.iter().any(|word| text.contains(word.as_str())), "{:?}", compiled.words);
            }
        }

        #[test]
        fn any_pattern_and_text_leave_us_standing(pattern in any::<String>(), text in any::<String>()) {
            if let Ok(compiled) = compile(&pattern) {
                compiled.regex.is_match(&text);
            }
        }
    }
}
