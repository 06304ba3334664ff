//! Says what is wrong with the configuration: where, in one line for people, with a caret where there is a file.
//! Owns: how a problem looks. Uses: nothing. Never: shows a secret (only keys and harmless values are quoted).

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// Where a value came from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file.
    File(Mark),
    /// An environment variable, by its name.
    Variable(String),
    /// The file that an environment variable names.
    FileOfVariable(String),
}

/// A place in the file.
#[derive(Clone, Debug)]
pub struct Mark {
    source: Arc<Source>,
    span: Range<usize>,
    /// The text at the place must not be shown.
    is_secret: bool,
}

impl Mark {
    pub(super) fn new(source: &Arc<Source>, span: Range<usize>, is_secret: bool) -> Self {
        Self {
            source: Arc::clone(source),
            span,
            is_secret,
        }
    }

    /// Line and column, both from 1; columns count characters.
    fn position(&self) -> (usize, usize) {
        let before = self
            .source
            .text
            .get(..self.span.start)
            .unwrap_or(&self.source.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The line up to the end of the place, with everything in quotes blanked out but the place itself, and where the
    /// place stands in it. `None` when that cannot be done without risk for a secret.
    fn excerpt(&self) -> Option<(String, usize, usize)> {
        let text = &self.source.text;
        if text.contains("\"\"\"") || text.contains("'''") {
            return None;
        }
        let start = text
            .get(..self.span.start)?
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let line_end = text
            .get(self.span.start..)?
            .find('\n')
            .map_or(text.len(), |at| self.span.start + at);
        let end = self.span.end.clamp(self.span.start, line_end);
        let before = blanked(text.get(start..self.span.start)?);
        let place = text.get(self.span.start..end)?;
        let place = if self.is_secret {
            blanked(place)
        } else {
            place.trim_end().to_owned()
        };
        let more = if text.get(end..line_end)?.trim().is_empty() {
            ""
        } else {
            " …"
        };
        let at = width(&before);
        let long = width(&place).max(1);
        Some((format!("{before}{place}{more}"), at, long))
    }
}

/// The text with the inside of every string left out.
fn blanked(text: &str) -> String {
    let mut shown = String::new();
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            None => {
                shown.push(c);
                if c == '"' || c == '\'' {
                    quote = Some(c);
                    shown.push('…');
                }
            }
            Some(_) if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => {
                shown.push(c);
                quote = None;
            }
            Some(_) => {}
        }
    }
    shown
}

/// Columns of a terminal: two for everything that is not ASCII, which holds for Chinese; "…" is one.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if c.is_ascii() || c == '…' { 1 } else { 2 })
        .sum()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(mark) => {
                let (line, column) = mark.position();
                write!(f, "{}:{line}:{column}", mark.source.path.display())
            }
            Self::Variable(name) => write!(f, "${name}"),
            Self::FileOfVariable(name) => write!(f, "file of ${name}"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug)]
pub struct Problem {
    origin: Origin,
    zh: String,
    en: String,
}

impl Problem {
    pub(super) fn new(origin: &Origin, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            origin: origin.clone(),
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// A problem that belongs to no single place.
    pub(super) fn general(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            origin: Origin::Default,
            zh: zh.into(),
            en: en.into(),
        }
    }

    /// A file that cannot be read at all.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::general(
            format!("读不了 {}", path.display()),
            format!("cannot read {}: {error}", path.display()),
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, zh, en } = self;
        match origin {
            Origin::Default => write!(f, "配置错误 configuration error: {zh} | {en}"),
            Origin::File(mark) => {
                write!(f, "{origin}: 配置错误 configuration error: {zh} | {en}")?;
                let Some((line, at, long)) = mark.excerpt() else {
                    return Ok(());
                };
                let number = mark.position().0.to_string();
                let gutter = " ".repeat(number.len());
                write!(
                    f,
                    "\n{gutter} |\n{number} | {line}\n{gutter} | {}{}",
                    " ".repeat(at),
                    "^".repeat(long)
                )
            }
            Origin::Variable(_) | Origin::FileOfVariable(_) => {
                write!(f, "{origin}: 配置错误 configuration error: {zh} | {en}")
            }
        }
    }
}

/// The known name that looks most like a wrong one, if any comes close.
pub(super) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str, place: &str, is_secret: bool) -> Problem {
        let start = text.find(place).unwrap();
        let source = Arc::new(Source {
            path: "wxreply.toml".into(),
            text: text.to_owned(),
        });
        let mark = Mark::new(&source, start..start + place.len(), is_secret);
        Problem::new(&Origin::File(mark), "错", "wrong")
    }

    #[test]
    fn the_caret_stands_under_the_place_also_after_chinese() {
        let text = "a = 1\n\"键\" = 1 # x\n";
        assert_eq!(
            mark(text, "= 1 #", false).to_string(),
            "wxreply.toml:2:5: 配置错误 configuration error: 错 | wrong\n  |\n2 | \"…\" = 1 # …\n  |     ^^^^^"
        );
    }

    #[test]
    fn a_secret_beside_or_at_the_place_is_never_shown() {
        let text = "account.shop = { token = \"hush\\\"hush\", mood = \"plain\" }\n";
        for (place, is_secret) in [("mood", false), ("\"hush\\\"hush\"", true)] {
            let shown = mark(text, place, is_secret).to_string();
            assert!(!shown.contains("hush"), "{shown}");
            assert!(shown.contains("token = \"…\""), "{shown}");
        }
    }

    #[test]
    fn near_misses_are_named_and_far_ones_are_not() {
        assert_eq!(nearest("lisen", ["listen", "log"]), Some("listen"));
        assert_eq!(nearest("tokne", ["token", "mode"]), Some("token"));
        assert_eq!(nearest("zzzzzz", ["listen", "log"]), None);
    }
}
