//! Matches event keys such as scenes and menu keys against patterns with `*`.
//! Owns: what a star takes. Uses: nothing. Never: normalises; keys are compared as sent.

/// A pattern in which each `*` stands for any run of characters, also none. A star takes as little as it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Box<[Box<str>]>,
}

impl Pattern {
    /// Reads a pattern; `None` for two stars side by side, which say nothing that one does not.
    pub(super) fn parse(text: &str) -> Option<Self> {
        (!text.contains("**")).then(|| Self {
            parts: text.split('*').map(Box::from).collect(),
        })
    }

    /// How many characters are not stars.
    pub(super) fn literals(&self) -> u32 {
        let count = self
            .parts
            .iter()
            .map(|part| part.chars().count())
            .sum::<usize>();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// How many stars.
    pub(super) fn stars(&self) -> usize {
        self.parts.len().saturating_sub(1)
    }

    /// What each star took, or `None` when the key does not match.
    pub(super) fn captures<'k>(&self, key: &'k str) -> Option<Vec<&'k str>> {
        let (first, rest) = self.parts.split_first()?;
        let mut key = key.strip_prefix(&**first)?;
        let Some((last, middle)) = rest.split_last() else {
            return key.is_empty().then(Vec::new);
        };
        let mut taken = Vec::with_capacity(rest.len());
        for part in middle {
            let (before, after) = key.split_once(&**part)?;
            taken.push(before);
            key = after;
        }
        taken.push(key.strip_suffix(&**last)?);
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_as_little_as_they_can() {
        for (pattern, key, taken) in [
            ("table-*", "table-5", Some(vec!["5"])),
            ("table-*", "table-", Some(vec![""])),
            ("table-*", "Table-5", None),
            ("*", "", Some(vec![""])),
            ("a-*-*", "a-b-c-d", Some(vec!["b", "c-d"])),
            ("*-店", "1号-店", Some(vec!["1号"])),
            ("ab*ba", "aba", None),
            ("MAP", "MAP", Some(vec![])),
            ("MAP", "MAPS", None),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().captures(key),
                taken,
                "{pattern} {key}"
            );
        }
        assert_eq!(Pattern::parse("a**"), None);
    }
}
