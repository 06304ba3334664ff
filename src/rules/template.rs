//! Reads the placeholders of a reply and fills them in.
//! Owns: `{name}`, `{{` and the length of a filled text. Uses: model. Never: knows where values come from.

use std::ops::Range;

use super::say::Values;
use crate::model::reply::TEXT_LIMIT;

/// A text with gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
    names: Box<[Box<str>]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Gap(usize),
}

/// A piece of a text as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written<'t> {
    Text(&'t str),
    /// A placeholder's name and the bytes of its braces.
    Gap(&'t str, Range<usize>),
    /// A brace that nothing closes.
    Open(Range<usize>),
}

/// Takes a text apart. `{{` is a literal brace; `}` alone is itself.
pub(super) fn pieces(text: &str) -> Vec<Written<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(open) = text
        .get(from..)
        .and_then(|rest| rest.find('{'))
        .map(|at| from + at)
    {
        let before = text.get(from..open).unwrap_or_default();
        if !before.is_empty() {
            pieces.push(Written::Text(before));
        }
        let rest = text.get(open + 1..).unwrap_or_default();
        if rest.starts_with('{') {
            pieces.push(Written::Text("{"));
            from = open + 2;
            continue;
        }
        match rest
            .find(['{', '}', '\n'])
            .filter(|end| rest.get(*end..).is_some_and(|tail| tail.starts_with('}')))
        {
            Some(length) => {
                let end = open + 1 + length;
                pieces.push(Written::Gap(
                    rest.get(..length).unwrap_or_default(),
                    open..end + 1,
                ));
                from = end + 1;
            }
            None => {
                pieces.push(Written::Open(open..open + 1));
                from = open + 1;
            }
        }
    }
    let tail = text.get(from..).unwrap_or_default();
    if !tail.is_empty() {
        pieces.push(Written::Text(tail));
    }
    pieces
}

impl Template {
    /// Puts pieces together. Open braces have been reported by then and are left out.
    pub(super) fn new(pieces: &[Written<'_>]) -> Self {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Written::Text(text) => parts.push(Part::Text((*text).into())),
                Written::Gap(name, _) => {
                    let place = names
                        .iter()
                        .position(|known| **known == **name)
                        .unwrap_or_else(|| {
                            names.push((*name).into());
                            names.len() - 1
                        });
                    parts.push(Part::Gap(place));
                }
                Written::Open(_) => {}
            }
        }
        Self {
            parts: parts.into(),
            names: names.into(),
        }
    }

    /// Whether it has this placeholder.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
    }

    /// Fills the gaps; cut to WeChat's limit where values are that long.
    pub(super) fn fill(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Gap(place) => {
                    let name = self.names.get(*place).map_or("", |name| name);
                    text.push_str(&values(name).unwrap_or_default());
                }
            }
        }
        if text.len() > TEXT_LIMIT {
            text.truncate(text.floor_char_boundary(TEXT_LIMIT - "…".len()));
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str, value: &str) -> String {
        Template::new(&pieces(text)).fill(&|_| Some(value.into()))
    }

    #[test]
    fn gaps_are_filled_and_doubled_braces_are_literal() {
        assert_eq!(fill("{city}的门店,{city}!", "北京"), "北京的门店,北京!");
        assert_eq!(fill("{{\"a\":1}", ""), "{\"a\":1}");
        assert_eq!(
            pieces("a{b"),
            [Written::Text("a"), Written::Open(1..2), Written::Text("b")]
        );
        assert_eq!(
            pieces("{x}{"),
            [Written::Gap("x", 0..3), Written::Open(3..4)]
        );
    }

    #[test]
    fn a_filled_text_never_exceeds_the_limit() {
        let filled = fill("{all}", &"话".repeat(1000));
        assert!(filled.len() <= TEXT_LIMIT && filled.ends_with("话…"));
    }
}
