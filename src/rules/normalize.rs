//! Turns what people type into the form in which keywords and messages are compared.
//! Owns: the normal form and the way back to the typed text. Uses: Unicode tables. Never: knows a rule.
//!
//! NFKC, lower case, traditional → simplified character by character; outer punctuation and space are trimmed (emoji are
//! not), inner runs of space become one. Normalising twice is normalising once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use smallvec::SmallVec;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char as unicode, is_nfkc_quick};

/// Asks for the picture form of the character before it.
const EMOJI_FORM: char = '\u{FE0F}';
/// Draws a key around the character before it.
const KEYCAP: char = '\u{20E3}';

/// A normalised text that remembers where each of its characters came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The normal form.
    pub text: String,
    origins: Vec<(u32, u32)>,
}

impl Normalized {
    /// The part of the typed text, counted in characters, from which these bytes of the normal form came.
    pub fn origin(&self, bytes: Range<usize>) -> Range<usize> {
        let count = |to: usize| self.text.get(..to).map_or(0, |head| head.chars().count());
        let (first, last) = (count(bytes.start), count(bytes.end));
        let part = self.origins.get(first..last).unwrap_or_default();
        match (part.first(), part.last()) {
            (Some((start, _)), Some((_, end))) => widen(*start)..widen(*end),
            _ => 0..0,
        }
    }
}

/// Normalises a text.
pub fn normalize(text: &str) -> String {
    let mut fold = Fold {
        text: String::with_capacity(text.len() + 4),
        origins: None,
        ..Fold::default()
    };
    fold.all(text);
    fold.finish().text
}

/// Normalises a text and keeps the way back. Gives the same text as [`normalize`].
pub fn normalize_with_origins(text: &str) -> Normalized {
    let mut fold = Fold {
        origins: Some(Vec::with_capacity(text.len() / 2)),
        ..Fold::default()
    };
    fold.all(text);
    fold.finish()
}

/// Whether a character is left out at the edges of a text.
fn is_outer(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '~' || tables().is_punctuation(c)
}

#[derive(Default)]
struct Fold {
    text: String,
    origins: Option<Vec<(u32, u32)>>,
    /// A space that is written once something follows it.
    space: Option<(u32, u32)>,
    /// The last character left out at the beginning, in case it turns out to be part of an emoji.
    left_out: Option<(char, (u32, u32))>,
}

impl Fold {
    fn all(&mut self, text: &str) {
        let tables = tables();
        let mut rest = text.chars();
        let mut place = 0;
        let mut here = rest.next().map(|c| (c, tables.simple(c)));
        while let Some((c, folded)) = here {
            let next = rest.next().map(|c| (c, tables.simple(c)));
            match (folded, next) {
                (Some(folded), None | Some((_, Some(_)))) => self.push(folded, (place, place + 1)),
                (Some(folded), Some((next, None))) if begins(next) => {
                    self.push(folded, (place, place + 1));
                }
                _ => {
                    let mut segment: SmallVec<[char; 8]> = SmallVec::from_slice(&[c]);
                    let mut after = next;
                    while let Some((c, None)) = after
                        && !begins(c)
                    {
                        segment.push(c);
                        after = rest.next().map(|c| (c, tables.simple(c)));
                    }
                    let end = place + narrow(segment.len());
                    let lower = segment.into_iter().nfkc().flat_map(char::to_lowercase);
                    for folded in lower.nfkc() {
                        self.push(tables.simplified(folded), (place, end));
                    }
                    place = end;
                    here = after;
                    continue;
                }
            }
            place += 1;
            here = next;
        }
    }

    fn push(&mut self, c: char, origin: (u32, u32)) {
        if self.text.is_empty() {
            if is_outer(c) {
                self.left_out = Some((c, origin));
                return;
            }
            if matches!(c, EMOJI_FORM | KEYCAP)
                && let Some((symbol, from)) =
                    self.left_out.take().filter(|(c, _)| !c.is_whitespace())
            {
                self.write(symbol, from);
            }
        } else if c.is_whitespace() {
            self.space.get_or_insert(origin);
            return;
        } else if let Some(origin) = self.space.take() {
            self.write(' ', origin);
        }
        self.write(c, origin);
    }

    fn write(&mut self, c: char, origin: (u32, u32)) {
        self.text.push(c);
        if let Some(origins) = &mut self.origins {
            origins.push(origin);
        }
    }

    fn finish(mut self) -> Normalized {
        let kept = self.text.trim_end_matches(is_outer).len();
        let cut = self.text.get(kept..).map_or(0, |tail| tail.chars().count());
        self.text.truncate(kept);
        let mut origins = self.origins.unwrap_or_default();
        origins.truncate(origins.len().saturating_sub(cut));
        Normalized {
            text: self.text,
            origins,
        }
    }
}

/// The normal form of a character that stands for itself: most of what is typed.
fn simple(c: char, simplified: impl Fn(char) -> char) -> Option<char> {
    match c {
        '\0'..='\x7f' => Some(c.to_ascii_lowercase()),
        '\u{3400}'..='\u{9FFF}' => Some(simplified(c)),
        // Full-width ASCII, 0xFEE0 above the plain one.
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(c) - 0xFEE0).map(|c| c.to_ascii_lowercase())
        }
        '\u{3000}' => Some(' '),
        '\u{3001}'..='\u{3029}' | '“' | '”' | '‘' | '’' | '—' | EMOJI_FORM => Some(c),
        _ => None,
    }
}

/// Whether nothing before this character, which is no [`simple`] one, can combine with it, so that a text may be cut in
/// front of it.
fn begins(c: char) -> bool {
    let mut first = None;
    unicode::decompose_compatible(c, |part| {
        first.get_or_insert(part);
    });
    let combines = |c| {
        unicode::canonical_combining_class(c) != 0
            || is_nfkc_quick(std::iter::once(c)) == IsNormalized::Maybe
    };
    !combines(c) && !first.is_some_and(combines)
}

/// What is looked up per character, built at first use.
struct Tables {
    /// For each character of the Basic Multilingual Plane its [`simple`] form; 0 for those that have none, and for NUL.
    simple: Box<[u16]>,
    /// One bit for each character of that plane.
    punctuation: Box<[u64]>,
}

impl Tables {
    fn simple(&self, c: char) -> Option<char> {
        match self.simple.get(widen(u32::from(c))) {
            Some(0) => (c == '\0').then_some(c),
            Some(form) => char::from_u32(u32::from(*form)),
            None => matches!(c, '\u{1F300}'..='\u{1FAFF}').then_some(c),
        }
    }

    /// The simplified form of a character; itself where there is none.
    fn simplified(&self, c: char) -> char {
        match c {
            '\u{3400}'..='\u{9FFF}' => self.simple(c).unwrap_or(c),
            _ => c,
        }
    }

    fn is_punctuation(&self, c: char) -> bool {
        let place = widen(u32::from(c));
        let bits = self.punctuation.get(place / 64);
        bits.is_some_and(|bits| bits >> (place % 64) & 1 == 1)
    }
}

fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
        simple: simple_forms(),
        punctuation: punctuation(),
    });
    &TABLES
}

/// Common traditional characters, each followed by its simplified form, that fast2s leaves alone or maps elsewhere.
const ALSO_TRADITIONAL: &str =
    "瀋沈疊叠睏困冑胄嚐尝囌苏彆别慼戚裊袅諮咨颺飏騖骛鼕冬賻赙慾欲祕秘羣群糉粽";
/// Simplified characters that fast2s changes all the same.
const SIMPLIFIED_ALREADY: &str = "呱呵彷捍煅磐祗薰阪黏仝疋";

/// Character by character: what a phrase would want does not matter, because keywords and messages take the same way.
fn simplified_forms() -> HashMap<char, char> {
    let mut forms = HashMap::new();
    for c in '\u{3400}'..='\u{9FFF}' {
        let form = fast2s::convert(c.encode_utf8(&mut [0; 4])).chars().next();
        if let Some(form) = form.filter(|form| *form != c && !SIMPLIFIED_ALREADY.contains(c)) {
            forms.insert(c, form);
        }
    }
    let mut also = ALSO_TRADITIONAL.chars();
    while let (Some(traditional), Some(form)) = (also.next(), also.next()) {
        forms.insert(traditional, form);
    }
    forms
}

fn simple_forms() -> Box<[u16]> {
    let simplified = simplified_forms();
    let form = |c: u16| {
        let c = char::from_u32(u32::from(c))?;
        let form = simple(c, |c| simplified.get(&c).copied().unwrap_or(c))?;
        u16::try_from(u32::from(form)).ok()
    };
    (0..=u16::MAX).map(|c| form(c).unwrap_or(0)).collect()
}

/// Unicode's general category P, from the tables that come with the regex parser.
fn punctuation() -> Box<[u64]> {
    let mut bits = vec![0_u64; 0x1_0000 / 64].into_boxed_slice();
    let hir = regex_syntax::parse(r"\p{P}").expect("a constant pattern, tested");
    if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) = hir.kind()
    {
        for range in class.ranges() {
            for c in range.start()..=range.end() {
                let place = widen(u32::from(c));
                if let Some(word) = bits.get_mut(place / 64) {
                    *word |= 1 << (place % 64);
                }
            }
        }
    }
    bits
}

fn widen(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_that_mean_the_same_become_the_same() {
        for (typed, normal) in [
            ("营业时间?", "营业时间"),
            ("  營業時間!! ", "营业时间"),
            ("ＷｉＦｉ　密码", "wifi 密码"),
            ("「几点  关门」～", "几点 关门"),
            ("瀋陽門店在哪", "沈阳门店在哪"),
            ("呵呵，頂呱呱", "呵呵,顶呱呱"),
            ("Ⅷ①㎏", "viii1kg"),
            ("İstanbul J\u{30C}", "i̇stanbul ǰ"),
            ("好的👌", "好的👌"),
            ("👌!", "👌"),
            ("#️⃣", "#️⃣"),
            ("……", ""),
            ("50%", "50"),
        ] {
            assert_eq!(normalize(typed), normal, "{typed}");
        }
    }

    #[test]
    fn every_simplified_form_stays_as_it_is() {
        for c in '\u{3400}'..='\u{9FFF}' {
            let form = tables().simplified(c);
            assert_eq!(tables().simplified(form), form, "{c}");
        }
    }

    #[test]
    fn the_way_back_leads_to_what_was_typed() {
        let typed = "  請問ＷｉＦｉ…密碼？";
        let normal = normalize_with_origins(typed);
        assert_eq!(normal.text, "请问wifi...密码");
        let at = normal.text.find("密码").unwrap();
        let origin = normal.origin(at..at + "密码".len());
        assert_eq!(
            typed
                .chars()
                .skip(origin.start)
                .take(origin.len())
                .collect::<String>(),
            "密碼"
        );
        let at = normal.text.find("...").unwrap();
        assert_eq!(normal.origin(at..at + 3), 8..9);
    }

    fn typed() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            prop::sample::select(vec![
                " ", "\u{3000}", "!", "～", "營", "业", "Ａ", "İ", "J", "\u{30C}", "\u{301}", "か",
                "\u{3099}", "ﾊ", "ﾟ", "ᄀ", "ᅡ", "ᆨ", "가", "ﬁ", "㎏", "\u{FE0F}", "\u{20E3}", "#",
                "👍", "ς", "Σ", "\u{FDFA}", "…", "K",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(text in typed()) {
            let once = normalize(&text);
            prop_assert_eq!(normalize(&once), once);
        }

        #[test]
        fn both_ways_agree_and_origins_stay_in_order(text in typed()) {
            let normal = normalize_with_origins(&text);
            prop_assert_eq!(&normal.text, &normalize(&text));
            prop_assert_eq!(normal.origins.len(), normal.text.chars().count());
            let length = u32::try_from(text.chars().count()).unwrap();
            prop_assert!(normal.origins.iter().all(|(start, end)| start < end && *end <= length));
            prop_assert!(normal.origins.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
        }
    }
}
