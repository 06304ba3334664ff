//! Opens a rule file's text: encoding, lines, and where it can be cut into pieces that parse alone.
//! Owns: the limits on size and nesting. Uses: diagnostic, the TOML lexer. Never: knows a key.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use toml_parser::lexer::TokenKind;

use super::diagnostic::{Change, Code, Diagnostic, Fix, Place, Remarks, Words, to_utf8};

/// A file may have at most so many bytes.
pub(super) const FILE_LIMIT: usize = 64 * 1024 * 1024;
/// Brackets, braces and dotted keys may be nested so deep.
const NESTING_LIMIT: usize = 64;
/// Pieces are parsed one after another, so that a large file needs little memory.
const PIECE: usize = 64 * 1024;
/// The header at which a file can be cut.
const RULE_HEADER: &str = "[[rule]]";

/// A rule file as text.
pub(super) struct Source<'a> {
    pub(super) name: Arc<str>,
    pub(super) text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Checks size and encoding; what is no text is reported and left out.
    pub(super) fn open(name: &str, bytes: &'a Bytes, remarks: &mut Remarks) -> Option<Self> {
        let name: Arc<str> = name.into();
        if bytes.len() > FILE_LIMIT {
            let words = Words::new(
                format!("文件有 {} 字节,最多 {FILE_LIMIT} 字节", bytes.len()),
                format!(
                    "the file has {} bytes, at most {FILE_LIMIT} are read",
                    bytes.len()
                ),
            );
            let place = Place {
                file: name,
                span: 0..0,
                line: 1,
                column: 1,
            };
            remarks.push(Diagnostic::new(Code::TooBig, place, words));
            return None;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let newlines = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
                let lines = std::iter::once(0).chain(newlines).collect();
                let source = Self { name, text, lines };
                if text.starts_with('\u{FEFF}') {
                    remarks.push(byte_order_mark(source.place(0..3)));
                }
                if let Some(at) = memchr::memmem::find(bytes, b"\r\n") {
                    remarks.push(line_ends(&source, at, bytes));
                }
                Some(source)
            }
            Err(error) => {
                remarks.push(not_utf8(&name, bytes, error.valid_up_to()));
                None
            }
        }
    }

    /// A span of bytes as a place that people find.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let line = self
            .lines
            .partition_point(|start| *start <= span.start)
            .max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self
            .text
            .get(start..span.start)
            .map_or(0, |head| head.chars().count())
            + 1;
        Place {
            file: Arc::clone(&self.name),
            span,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

/// The place of a span in a file whose lines are not at hand any more.
pub(super) fn place_in(name: &Arc<str>, bytes: &[u8], span: Range<usize>) -> Place {
    let head = bytes.get(..span.start).unwrap_or(bytes);
    let start = memchr::memrchr(b'\n', head).map_or(0, |newline| newline + 1);
    let line = memchr::memchr_iter(b'\n', head).count() + 1;
    let column = String::from_utf8_lossy(head.get(start..).unwrap_or_default())
        .chars()
        .count()
        + 1;
    Place {
        file: Arc::clone(name),
        span,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(column).unwrap_or(u32::MAX),
    }
}

fn byte_order_mark(place: Place) -> Diagnostic {
    let message = Words::new(
        "文件开头有 BOM(看不见的标记),要存成不带 BOM 的 UTF-8",
        "the file begins with a byte order mark; it must be plain UTF-8",
    );
    let title = Words::new("去掉 BOM", "remove the byte order mark");
    let fix = Fix::replace(&place.file, place.span.clone(), "", title);
    Diagnostic::new(Code::Encoding, place, message)
        .help(Words::new(
            "在编辑器里「另存为」,编码选「UTF-8」(不是「带 BOM 的 UTF-8」)",
            "save it as UTF-8 without a byte order mark",
        ))
        .fix(fix)
}

/// Windows line ends work, but two kinds in one file make every comparison of versions unreadable.
fn line_ends(source: &Source<'_>, at: usize, bytes: &[u8]) -> Diagnostic {
    let windows = memchr::memmem::find_iter(bytes, b"\r\n").count();
    let all = memchr::memchr_iter(b'\n', bytes).count();
    let message = if windows == all {
        Words::new(
            "文件用的是 Windows 换行(CRLF),能用",
            "the file has Windows line ends (CRLF); that works",
        )
    } else {
        Words::new(
            format!(
                "文件里混着两种换行:{windows} 行是 Windows 的,{} 行不是",
                all - windows
            ),
            format!(
                "the file mixes line ends: {windows} of Windows, {} others",
                all - windows
            ),
        )
    };
    Diagnostic::new(Code::LineEnds, source.place(at..at + 2), message).fix(Fix {
        title: Words::new("统一成 LF 换行", "end every line with LF"),
        change: Change::LineFeeds,
    })
}

fn not_utf8(name: &Arc<str>, bytes: &[u8], at: usize) -> Diagnostic {
    let is_utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    let place = place_in(name, bytes, at..at + 1);
    let message = if is_utf16 {
        Words::new("文件是 UTF-16,不是 UTF-8", "the file is UTF-16, not UTF-8")
    } else if to_utf8(bytes).is_none() {
        Words::new(
            "这里的字节不是 UTF-8,文件可能坏了",
            "these bytes are not UTF-8; the file may be damaged",
        )
    } else {
        Words::new(
            "文件不是 UTF-8(多半是 GBK):从这里起读不懂",
            "the file is not UTF-8 (probably GBK): unreadable from here on",
        )
    };
    let fix = to_utf8(bytes).map(|_| Fix {
        title: Words::new(
            "转成 UTF-8(旧文件留一份)",
            "convert to UTF-8 (a copy is kept)",
        ),
        change: Change::ToUtf8,
    });
    Diagnostic::new(Code::Encoding, place, message)
        .help(Words::new(
            "在编辑器里「另存为」,编码选 UTF-8",
            "save it as UTF-8",
        ))
        .fix(fix)
}

/// How a file falls into pieces.
pub(super) struct Cuts {
    /// Where each `[[rule]]` begins.
    rules: Vec<usize>,
    length: usize,
}

impl Cuts {
    /// Finds the cuts, or the place where the file is nested too deep: beyond it parsing would need unbounded stack.
    pub(super) fn find(text: &str) -> Result<Self, usize> {
        let mut rules = Vec::new();
        let (mut depth, mut dots) = (0_usize, 0_usize);
        let mut is_line_start = true;
        for token in toml_parser::Source::new(text).lex() {
            let at = token.span().start();
            match token.kind() {
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                    let is_header = text
                        .get(at..)
                        .is_some_and(|rest| rest.starts_with(RULE_HEADER));
                    if is_line_start && depth == 0 && is_header {
                        rules.push(at);
                    }
                    depth += 1;
                }
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Dot => dots += 1,
                TokenKind::Newline | TokenKind::Equals | TokenKind::Comma => dots = 0,
                _ => {}
            }
            if depth > NESTING_LIMIT || dots > NESTING_LIMIT {
                return Err(at);
            }
            is_line_start = match token.kind() {
                TokenKind::Newline => true,
                TokenKind::Whitespace => is_line_start,
                _ => false,
            };
        }
        Ok(Self {
            rules,
            length: text.len(),
        })
    }

    /// Pieces of a useful size, each beginning at a rule but the first.
    pub(super) fn pieces(&self) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in &self.rules {
            if cut - start >= PIECE {
                pieces.push(start..*cut);
                start = *cut;
            }
        }
        pieces.push(start..self.length);
        pieces
    }

    /// One piece per rule inside `piece`, so that an unreadable rule leaves its neighbours readable.
    pub(super) fn single(&self, piece: Range<usize>) -> Vec<Range<usize>> {
        let first = self.rules.partition_point(|cut| *cut <= piece.start);
        let inner = self.rules.get(first..).unwrap_or_default();
        let ends = inner
            .iter()
            .copied()
            .take_while(|cut| *cut < piece.end)
            .chain([piece.end]);
        let mut start = piece.start;
        ends.map(|end| std::mem::replace(&mut start, end)..end)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_found_outside_strings_and_lists_only() {
        let text = "a = '''\n[[rule]]\n'''\n[[rule]]\nb = [\n[[rule]]\n]\n[[rule]]\n";
        let cuts = Cuts::find(text).unwrap();
        assert_eq!(cuts.rules, [21, 47]);
        assert_eq!(cuts.pieces().first(), Some(&(0..text.len())));
        assert_eq!(cuts.single(0..text.len()), [0..21, 21..47, 47..text.len()]);
    }

    #[test]
    fn nesting_is_bounded_before_anything_recurses() {
        assert!(Cuts::find(&"[".repeat(100_000)).is_err());
        assert!(Cuts::find(&"a.".repeat(100_000)).is_err());
        assert!(Cuts::find(&format!("a = {}1{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }
}
