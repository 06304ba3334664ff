//! Compiles an operator's regex within bounds and finds words that every match of it contains.
//! Owns: the limits of regexes, the words for what is wrong with one. Uses: regex, normalize. Never: knows a rule.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast;
use regex_syntax::hir::{Class, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

use super::diagnostic::{Code, Words};
use super::normalize::normalize;

/// An account may have at most so many.
pub(super) const PER_ACCOUNT: usize = 2_000;
/// Bytes of a pattern.
const LONGEST: usize = 4096;
/// Bytes that the states of one regex may take.
const SIZE_LIMIT: usize = 1 << 20;
/// Bytes that its cache may take, which grows with use.
const CACHE_LIMIT: usize = 256 << 10;
/// MiB that all regexes of a rule set may take together, by [`estimate`]: enough for 2,000 of `订单\d{12}`.
const TOTAL: usize = 128;
/// A refused regex uses up no more bytes than this, so that a few of them do not hide what is wrong with others.
const MOST_REFUSED: usize = 8 << 20;
/// Bytes that each byte of a pattern may have cost when it cannot be parsed: large classes may stand before the fault.
const UNPARSED: usize = 1024;
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
    pub(super) code: Code,
    /// Bytes of the pattern.
    pub(super) span: Range<usize>,
    pub(super) message: Words,
}

impl Fault {
    /// What is wrong with a pattern as a whole.
    fn whole(pattern: &str, message: Words) -> Self {
        Self {
            code: Code::Regex,
            span: 0..pattern.len(),
            message,
        }
    }
}

/// The memory that the regexes of a rule set may still take.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes by [`estimate`]; `None` when there was no room for one.
    left: Option<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: Some(TOTAL << 20),
        }
    }
}

impl Budget {
    /// Compiles a regex. It will be matched against normalised text. `Err(None)`: there is no room, which was said before.
    pub(super) fn compile(&mut self, pattern: &str) -> Result<Compiled, Option<Fault>> {
        self.within(pattern, compile)
    }

    /// Compiles a regex that an answer must match, which is never empty; otherwise like [`Budget::compile`].
    pub(super) fn check(&mut self, pattern: &str) -> Result<Regex, Option<Fault>> {
        self.within(pattern, |pattern, _hir| build(pattern))
    }

    /// Compiles until there is no room; what is refused was work, and takes some too.
    fn within<T>(
        &mut self,
        pattern: &str,
        compile: impl FnOnce(&str, &Hir) -> Result<T, Fault>,
    ) -> Result<T, Option<Fault>> {
        let left = self.left.ok_or(None)?;
        let (cost, compiled) = match parse(pattern) {
            Ok(hir) => (estimate(&hir), compile(pattern, &hir)),
            Err(fault) => (pattern.len().saturating_mul(UNPARSED), Err(fault)),
        };
        let cost = match &compiled {
            Ok(_) => cost,
            Err(_) => cost.min(MOST_REFUSED),
        };
        self.left = left.checked_sub(cost);
        match self.left {
            Some(_) => compiled.map_err(Some),
            None => Err(Some(no_room(pattern))),
        }
    }
}

fn no_room(pattern: &str) -> Fault {
    let words = Words::new(
        format!("所有正则加起来太大,超过 {TOTAL} MiB:从这一条起都没有看"),
        format!(
            "all regexes together take more than {TOTAL} MiB: from this one on they were not looked at"
        ),
    );
    Fault {
        code: Code::TooMany,
        ..Fault::whole(pattern, words)
    }
}

/// About how many bytes a regex takes when compiled, before its cache; measured with regex-automata 0.4.
fn estimate(hir: &Hir) -> usize {
    /// A regex without states of its own.
    const ALONE: usize = 2048;
    fn states(hir: &Hir) -> usize {
        /// A byte of a literal, a branch, a group.
        const STATE: usize = 60;
        /// A class with nothing in it.
        const CLASS: usize = 400;
        /// A byte of the sequences that spell its characters; many share states.
        const SPELLED: usize = 20;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => STATE,
            HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
            HirKind::Class(Class::Unicode(class)) => {
                let ranges = class.ranges().iter();
                let spelled =
                    ranges.flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
                let bytes: usize = spelled.map(|sequence| sequence.len()).sum();
                bytes.saturating_mul(SPELLED).saturating_add(CLASS)
            }
            HirKind::Class(Class::Bytes(class)) => {
                let ranges = class.ranges().len();
                ranges.saturating_mul(SPELLED).saturating_add(CLASS)
            }
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(repetition.min).max(1);
                let times = usize::try_from(times).unwrap_or(usize::MAX);
                let once = states(&repetition.sub).saturating_add(STATE);
                once.saturating_mul(times)
            }
            HirKind::Capture(capture) => states(&capture.sub).saturating_add(STATE),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                let parts = parts.iter().map(states);
                parts.fold(STATE, usize::saturating_add)
            }
        }
    }
    states(hir).saturating_add(ALONE)
}

fn compile(pattern: &str, hir: &Hir) -> Result<Compiled, Fault> {
    if hir.properties().minimum_len().unwrap_or(0) == 0 {
        let words = Words::new(
            "这个正则连空话也匹配,什么消息都会被它接走",
            "this regex matches empty text, so it matches everything",
        );
        return Err(Fault::whole(pattern, words));
    }
    let regex = build(pattern)?;
    let words = required_words(hir).unwrap_or_default();
    let unreachable = unreachable_word(hir);
    Ok(Compiled {
        regex,
        words,
        unreachable,
    })
}

fn parse(pattern: &str) -> Result<Hir, Fault> {
    if pattern.len() > LONGEST {
        let words = Words::new(
            format!("这个正则太长,超过 {LONGEST} 字节"),
            format!("this regex is too long: more than {LONGEST} bytes"),
        );
        return Err(Fault::whole(pattern, words));
    }
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
        .dfa_size_limit(CACHE_LIMIT)
        .build()
        .map_err(|error| {
            let words = match error {
                regex::Error::CompiledTooBig(_) => Words::new(
                    "这个正则太大(重复次数太多?)",
                    "this regex is too big (large repetition counts?)",
                ),
                other => Words::new(format!("正则不对:{other}"), format!("bad regex: {other}")),
            };
            Fault::whole(pattern, words)
        })
}

fn syntax_fault(pattern: &str, error: &regex_syntax::Error) -> Fault {
    let at = |span: &ast::Span| span.start.offset..span.end.offset.max(span.start.offset);
    let (span, message) = match error {
        regex_syntax::Error::Parse(error) => (at(error.span()), explain(error.kind())),
        regex_syntax::Error::Translate(error) => {
            let kind = error.kind();
            let words = Words::new(format!("正则不对:{kind}"), format!("regex: {kind}"));
            (at(error.span()), words)
        }
        other => {
            let words = Words::new(format!("正则不对:{other}"), format!("regex: {other}"));
            (0..pattern.len(), words)
        }
    };
    Fault {
        code: Code::Regex,
        span,
        message,
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

    fn compile(pattern: &str) -> Result<Compiled, Fault> {
        let compiled = Budget::default().compile(pattern);
        compiled.map_err(|fault| fault.expect("there is room for one"))
    }

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
    fn two_thousand_long_numbers_have_room_and_what_is_refused_takes_some() {
        let cost = estimate(&parse(r"订单\d{12}").unwrap());
        assert!(2000 * cost <= TOTAL << 20, "{cost}");
        let mut budget = Budget::default();
        let mut refuse = |pattern: &str| {
            let mut faults = std::iter::from_fn(|| budget.compile(pattern).unwrap_err());
            faults.find(|fault| fault.code == Code::TooMany).is_some()
        };
        assert!(refuse(&format!("{}(", r"\p{L}".repeat(800))));
        // It was said once.
        assert!(!refuse("订单"));
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
