//! Cuts a text into the symbols and grams by which wordings are compared.
//! Owns: what counts as one symbol, which question words mean the same. Uses: nothing. Never: weighs, or knows a rule.
//!
//! A symbol is one character, one run of Latin letters or of digits, or one of [`SAME`]'s groups. A gram is one symbol or
//! two neighbours; punctuation and space part neighbours.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use ahash::RandomState;
use smallvec::SmallVec;

/// How many symbols of a text take part; what stands behind them is not compared. WeChat's texts have up to 2048 bytes.
const MOST_SYMBOLS: usize = 1024;

/// Words of asking that mean the same, and two spellings of one word. A word alone on its line only keeps a shorter one
/// from being seen in it.
const SAME: &[&[&str]] = &[
    &[
        "怎么",
        "如何",
        "怎样",
        "怎么样",
        "咋",
        "咋样",
        "怎么弄",
        "怎么搞",
        "怎么办",
    ],
    &[
        "为什么",
        "为啥",
        "为何",
        "怎么回事",
        "咋回事",
        "什么原因",
        "啥原因",
    ],
    &["什么", "啥"],
    &["哪里", "哪儿", "在哪", "在哪里", "哪", "何处"],
    &["多少", "几"],
    &["什么时候", "何时", "啥时候", "几时"],
    &["多久", "多长时间", "多少时间", "几天"],
    &[
        "可以",
        "能",
        "能不能",
        "能否",
        "可不可以",
        "可否",
        "是否可以",
        "是否能",
        "是否能够",
        "能够",
        "可以吗",
        "能吗",
    ],
    &["不能", "不可以", "无法", "没法", "不了", "没办法", "不行"],
    &["是否", "是不是", "有没有"],
    &["登录", "登陆", "登入"],
    &["账", "帐"],
    &["哪个"],
    &["哪些"],
    &["几个"],
    &["行不行"],
];

/// Characters that stand in every second sentence whatever it is about: pronouns, particles, auxiliaries, politeness,
/// counting. How few rules use one says little while there are few rules.
const COMMON: &str = "的了是我你他她它们这那个有没不在就都也还要会能可以吗呢吧啊呀哦嗯什么怎样为哪里几多少谁和跟把被给让从到对说看想去来上下里中大小好请问帮一二两时候间天年月日号";

/// A symbol: a character's code; above those, a group of [`SAME`]; with [`RUN`]'s bit, a hash of a run. 32
/// bits.
type Symbol = u64;
const FIRST_GROUP: Symbol = 0x11_0000;
/// So many of the first groups are words of asking.
const ASKING_GROUPS: Symbol = 10;
const RUN: Symbol = 0x8000_0000;

/// One symbol (the lower half is 0) or two neighbours.
pub(super) type Gram = u64;

/// What two neighbours weigh beside a symbol, which weighs 1: they repeat what their symbols said.
const PAIR: f32 = 0.5;
/// What a word of asking weighs: often it alone tells two questions about one thing apart.
const ASKING: f32 = 1.3;

/// How much a gram weighs before its rarity is known.
pub(super) const fn size(gram: Gram) -> f32 {
    if is_pair(gram) {
        PAIR
    } else if is_asking(gram) {
        ASKING
    } else {
        1.0
    }
}

const fn is_pair(gram: Gram) -> bool {
    gram.trailing_zeros() < 32
}

/// Whether a gram is one of the groups of words of asking.
const fn is_asking(gram: Gram) -> bool {
    let symbol = gram >> 32;
    !is_pair(gram) && symbol >= FIRST_GROUP && symbol < FIRST_GROUP + ASKING_GROUPS
}

/// Whether a gram is a single symbol that every second sentence has.
pub(super) fn is_common(gram: Gram) -> bool {
    static CHARACTERS: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let mut sorted: Vec<u64> = COMMON.chars().map(u64::from).collect();
        sorted.sort_unstable();
        sorted
    });
    is_asking(gram) || (!is_pair(gram) && CHARACTERS.binary_search(&(gram >> 32)).is_ok())
}

/// The different grams of a text, sorted.
pub(super) fn grams(text: &str) -> Vec<Gram> {
    let mut grams: Vec<Gram> = Vec::with_capacity(text.len().min(MOST_SYMBOLS));
    visit(text, |gram, _| grams.push(gram));
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Where in a text its grams stand that `is_wanted`: byte ranges in order, those that touch joined.
pub(super) fn places(text: &str, is_wanted: impl Fn(Gram) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    visit(text, |gram, range| {
        if is_wanted(gram) {
            found.push(range);
        }
    });
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in found {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Calls `see` with each gram and its bytes.
fn visit(text: &str, mut see: impl FnMut(Gram, Range<usize>)) {
    let mut before: Option<(Symbol, usize)> = None;
    let mut at = 0;
    let mut left = MOST_SYMBOLS;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && left > 0) {
        let (symbol, length) = first(rest);
        let end = at + length;
        before = symbol.map(|symbol| {
            see(symbol << 32, at..end);
            if let Some((before, start)) = before {
                see(before << 32 | symbol, start..end);
            }
            left -= 1;
            (symbol, at)
        });
        at = end;
    }
}

/// The symbol at the beginning of a text, `None` where it begins with what parts symbols, and its bytes.
fn first(text: &str) -> (Option<Symbol>, usize) {
    let Some(c) = text.chars().next() else {
        return (None, 0);
    };
    if c.is_ascii() {
        let run = |is: fn(&u8) -> bool| text.bytes().take_while(is).count();
        let length = run(u8::is_ascii_digit).max(run(u8::is_ascii_alphabetic));
        return match text.get(..length) {
            Some(word) if length > 0 => (Some(RUN | hash(word)), length),
            _ => (None, 1),
        };
    }
    if let Some((word, symbol)) = groups()
        .get(&c)
        .and_then(|words| words.iter().find(|(word, _)| text.starts_with(word)))
    {
        return (Some(*symbol), word.len());
    }
    let is_symbol =
        c.is_alphanumeric() || matches!(c, '\u{2600}'..='\u{27BF}' | '\u{1F000}'..='\u{1FAFF}');
    (is_symbol.then_some(u64::from(c)), c.len_utf8())
}

/// FNV-1a, 31 bits: the same in every process, so that scores are too.
fn hash(word: &str) -> Symbol {
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    Symbol::from(word.bytes().fold(0x811C_9DC5, fold)) & (RUN - 1)
}

type Groups = HashMap<char, SmallVec<[(&'static str, Symbol); 4]>, RandomState>;

/// The words of [`SAME`] by their first character, longer ones first.
fn groups() -> &'static Groups {
    static GROUPS: LazyLock<Groups> = LazyLock::new(|| {
        let mut groups = Groups::default();
        for (symbol, words) in (FIRST_GROUP..).zip(SAME) {
            for word in *words {
                let first = word.chars().next().into_iter();
                first.for_each(|c| groups.entry(c).or_default().push((word, symbol)));
            }
        }
        for words in groups.values_mut() {
            words.sort_unstable_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        }
        groups
    });
    &GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_asking_and_spellings_are_one_symbol() {
        for (one, other) in [
            ("怎么登录", "如何登陆"),
            ("啥时候 到帐", "什么时候,到账"),
            ("能不能退", "可以退"),
        ] {
            assert_eq!(grams(one), grams(other), "{one} {other}");
        }
        assert_ne!(grams("能退"), grams("不能退"));
        assert_ne!(grams("哪个"), grams("哪"));
    }

    #[test]
    fn runs_are_one_symbol_and_punctuation_parts() {
        assert_eq!(grams("wifi 123").len(), 2);
        assert_eq!(grams("wifi123").len(), 3);
        assert_eq!(grams("停车").len(), 3);
        assert_eq!(grams("停。车").len(), 2);
        assert_eq!(grams("……\u{FE0F}").len(), 0);
        assert_eq!(grams("👌").len(), 1);
    }

    #[test]
    fn places_are_joined_bytes_of_the_text() {
        let wanted = grams("停车");
        let text = "能停车吗,停 车";
        let places = places(text, |gram| wanted.contains(&gram));
        let found: Vec<&str> = places
            .into_iter()
            .map(|range| text.get(range).unwrap())
            .collect();
        assert_eq!(found, ["停车", "停", "车"]);
    }

    #[test]
    fn a_huge_text_is_cut() {
        let text: String = ('\u{4E00}'..='\u{9FFF}').collect();
        assert_eq!(grams(&text).len(), 2 * MOST_SYMBOLS - 1);
    }
}
