//! Holds a line of the desk's or crisis file: a text whose empty placeholders leave no gap behind.
//! Owns: which punctuation mark an empty placeholder takes with it. Uses: template, say. Never: knows where values come from.

use std::sync::Arc;

use super::say::{Gapped, Values};
use super::template::{Template, Written, pieces};

/// Stands where a placeholder without a value was; WeChat lets nobody send it.
const EMPTY: char = '\0';

/// A line that is said for people: what no rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(Gapped);

impl Line {
    /// A line as written. Placeholders that are not known, and braces that nothing closes, stand for themselves.
    pub(super) fn new(text: &str, is_known: impl Fn(&str) -> bool) -> Self {
        let written = |range: &std::ops::Range<usize>| text.get(range.clone()).unwrap_or_default();
        let mut has_gaps = false;
        let parts: Vec<Written<'_>> = pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Written::Gap(name, range) if !is_known(name) => Written::Text(written(&range)),
                Written::Open(range) => Written::Text(written(&range)),
                piece => {
                    has_gaps |= matches!(piece, Written::Gap(..));
                    piece
                }
            })
            .collect();
        let template = Template::new(&parts);
        Self(if has_gaps {
            Gapped::Gaps(Box::new(template))
        } else {
            Gapped::Plain(template.fill(&|_| None).into())
        })
    }

    /// The line with its placeholders filled; empty where nothing is to be said.
    pub fn fill(&self, values: &Values<'_>) -> Arc<str> {
        match &self.0 {
            Gapped::Plain(text) => Arc::clone(text),
            Gapped::Gaps(template) => {
                let filled = template.fill(&|name| {
                    let value = values(name).filter(|value| !value.is_empty());
                    Some(value.unwrap_or_else(|| EMPTY.to_string().into()))
                });
                without_gaps(&filled).into()
            }
        }
    }

    /// Whether it has this placeholder.
    pub fn names(&self, name: &str) -> bool {
        match &self.0 {
            Gapped::Plain(_) => false,
            Gapped::Gaps(template) => template.names(name),
        }
    }
}

/// Closes the gaps that empty placeholders leave: of the two punctuation marks around one, the second stays; of two
/// spaces, the first.
fn without_gaps(line: &str) -> String {
    let is_mark = |c: char| ",，、;；。.!！?？".contains(c);
    let mut parts = line.split(EMPTY);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if part.starts_with(is_mark) {
            whole.truncate(whole.trim_end_matches(is_mark).len());
        }
        let is_edge = whole.is_empty() || whole.ends_with(char::is_whitespace);
        let part = if is_edge { part.trim_start() } else { part };
        let part = if whole.is_empty() {
            part.trim_start_matches(is_mark)
        } else {
            part
        };
        whole.push_str(part);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(line: &str, values: &[(&str, &str)]) -> String {
        let known = |name: &str| matches!(name, "topic" | "promise");
        let line = Line::new(line, known);
        line.fill(&|name| {
            let value = values.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| Box::from(*value))
        })
        .to_string()
    }

    #[test]
    fn an_empty_placeholder_takes_one_of_its_punctuation_marks_with_it() {
        for (line, closed) in [
            (
                "收到,{topic}我请同事来回答,{promise}。",
                "收到,我请同事来回答。",
            ),
            ("{topic}收到", "收到"),
            ("{topic},收到", "收到"),
            ("收到。", "收到。"),
            ("收到。{promise}", "收到。"),
            ("好的 {topic} 收到", "好的 收到"),
            ("{topic}{promise}", ""),
        ] {
            assert_eq!(filled(line, &[]), closed, "{line}");
            assert_eq!(filled(line, &[("topic", ""), ("promise", "")]), closed);
        }
    }

    #[test]
    fn values_are_put_in_and_what_is_unknown_stands_as_written() {
        assert_eq!(
            filled(
                "收到,{topic}我请同事来回答,{promise}。",
                &[("topic", "「少送」"), ("promise", "今天 18:00 前回你")]
            ),
            "收到,「少送」我请同事来回答,今天 18:00 前回你。"
        );
        assert_eq!(filled("{{a}} {x} {", &[]), "{a}} {x} {");
    }
}
