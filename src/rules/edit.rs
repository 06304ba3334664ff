//! Edits one rule of a rule file's text, and leaves every other byte as it is.
//! Owns: where a rule's text begins and ends, how values are written (TOML 1.0). Uses: the TOML lexer, toml_edit. Never: I/O; knows what a key means.
//!
//! A rule is cut out, changed with its comments and order kept, and put back. Comments and blank lines behind a rule belong
//! to what follows.

use std::ops::Range;

use serde_json::{Map, Value as Json};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};
use toml_parser::lexer::TokenKind;

/// The header of a rule.
const RULE: &str = "rule";

/// Why a rule cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The rule's text, or the given one, is not TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// Two rules have this id.
    #[error("two rules have this id")]
    Twice,
    /// What was given is not one `[[rule]]` and nothing else.
    #[error("give one [[rule]] and nothing else")]
    NotOneRule,
    /// A value that TOML cannot hold.
    #[error("`{0}` has a value that TOML cannot hold; to remove a key, name it in `unset`")]
    Value(String),
}

/// A rule's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where it stands, in bytes.
    pub span: Range<usize>,
    /// The line of its header, from 1.
    pub line: usize,
    /// The text from its header to its last value.
    pub toml: String,
}

/// Finds a rule by its id.
///
/// # Errors
/// [`EditError::Twice`], [`EditError::Syntax`] when what may be the rule cannot be read.
pub fn find(text: &str, id: &str) -> Result<Option<Located>, EditError> {
    let mut found = None;
    for span in rules(text) {
        let toml = text.get(span.clone()).unwrap_or_default();
        if toml.contains(id) && has_id(toml, id)? {
            if found.is_some() {
                return Err(EditError::Twice);
            }
            let before = text.get(..span.start).unwrap_or_default();
            found = Some(Located {
                line: memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1,
                toml: toml.to_owned(),
                span,
            });
        }
    }
    Ok(found)
}

/// Sets and removes keys of a rule.
///
/// # Errors
/// [`EditError`].
pub fn change(
    text: &str,
    rule: &Located,
    set: &Map<String, Json>,
    unset: &[String],
) -> Result<String, EditError> {
    let unix = rule.toml.replace("\r\n", "\n");
    let mut document = parse(&unix)?;
    let unchanged = document.to_string();
    let table = only_rule(&mut document)?;
    for key in unset {
        table.remove(key);
    }
    for (key, json) in set {
        let value = value(json).ok_or_else(|| EditError::Value(key.clone()))?;
        put(table, key, value);
    }
    let changed = document.to_string();
    if changed == unchanged {
        return Ok(text.to_owned());
    }
    // The last line's end is not part of a rule, but toml_edit writes one.
    let changed = changed.trim_end_matches('\n');
    let like = if rule.toml.contains('\n') {
        &rule.toml
    } else {
        text
    };
    let changed = in_lines_of(like, changed);
    Ok(spliced(text, &rule.span, &changed))
}

/// Puts another text in the place of a rule's.
///
/// # Errors
/// [`EditError`].
pub fn replace(text: &str, rule: &Located, with: &str) -> Result<String, EditError> {
    Ok(spliced(
        text,
        &rule.span,
        &in_lines_of(text, &one_rule(with)?),
    ))
}

/// Adds a rule at the end.
///
/// # Errors
/// [`EditError`].
pub fn append(text: &str, rule: &str) -> Result<String, EditError> {
    let rule = one_rule(rule)?;
    let gap = match text.trim_start_matches('\u{feff}') {
        "" => "",
        text if text.ends_with("\n\n") || text.ends_with("\n\r\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let end = text.len();
    let rule = in_lines_of(text, &format!("{gap}{rule}\n"));
    Ok(spliced(text, &(end..end), &rule))
}

/// Takes a rule out, with the comment that stands directly above it.
pub fn remove(text: &str, rule: &Located) -> String {
    let start = comment_above(text, rule.span.start);
    let behind = text.get(rule.span.end..).unwrap_or_default();
    // The blank lines behind it go too, so that the distance of its neighbours stays.
    let blank = behind.len() - behind.trim_start_matches(['\r', '\n']).len();
    let before = text.get(..start).unwrap_or_default();
    let rest = behind.get(blank..).unwrap_or_default();
    if rest.is_empty() {
        let mut kept = before.trim_end_matches(['\r', '\n']).to_owned();
        if !kept.is_empty() {
            kept.push_str(newline(text));
        }
        return kept;
    }
    format!("{before}{rest}")
}

/// Where the comment begins that stands directly above `at`; the first lines of a file are about the file.
fn comment_above(text: &str, at: usize) -> usize {
    let mut start = at;
    let before = text.get(..at).unwrap_or_default();
    for line in before.split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            return start;
        }
        start -= line.len();
    }
    at
}

/// Where each rule begins and ends: from its header to the end of the line with its last value.
fn rules(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let (mut depth, mut is_line_start) = (0_usize, true);
    // What the header says that is being read: its keys, and how many brackets open it.
    let mut header: Option<Header> = None;
    // Whether the current line holds more than space and comments.
    let mut has_content = false;
    for token in toml_parser::Source::new(text).lex() {
        let span = token.span();
        let raw = text.get(span.start()..span.end()).unwrap_or_default();
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                if is_line_start && depth == 0 {
                    header = Some(Header::at(span.start()));
                }
                if let Some(header) = &mut header {
                    header.brackets += 1;
                }
                depth += 1;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
            }
            TokenKind::Newline | TokenKind::Eof => {
                if let Some(header) = header.take()
                    && !(open.is_some() && header.is_inside_rule())
                {
                    found.extend(open.take());
                    open = header.is_rule().then(|| header.start..span.start());
                }
                if has_content && let Some(open) = &mut open {
                    let is_crlf = text
                        .get(..span.start())
                        .is_some_and(|line| line.ends_with('\r'));
                    open.end = span.start() - usize::from(is_crlf);
                }
                has_content = false;
            }
            _ => {
                if let Some(header) = &mut header {
                    header.key(token.kind(), raw);
                }
            }
        }
        is_line_start = match token.kind() {
            TokenKind::Newline => true,
            TokenKind::Whitespace => is_line_start,
            _ => false,
        };
        has_content |= !matches!(
            token.kind(),
            TokenKind::Newline | TokenKind::Whitespace | TokenKind::Comment | TokenKind::Eof
        );
    }
    found.extend(open);
    found
}

/// A header, as far as it matters whose it is.
struct Header {
    start: usize,
    brackets: usize,
    /// Its first key, without quotes.
    first: String,
    /// Whether there are more.
    has_more: bool,
}

impl Header {
    const fn at(start: usize) -> Self {
        Self {
            start,
            brackets: 0,
            first: String::new(),
            has_more: false,
        }
    }

    fn key(&mut self, kind: TokenKind, raw: &str) {
        match kind {
            TokenKind::Dot => self.has_more = true,
            TokenKind::Whitespace | TokenKind::Comment => {}
            _ if !self.has_more => self.first.push_str(raw.trim_matches(['"', '\''])),
            _ => {}
        }
    }

    fn is_rule(&self) -> bool {
        self.first == RULE && !self.has_more && self.brackets == 2
    }

    fn is_inside_rule(&self) -> bool {
        self.first == RULE && self.has_more
    }
}

fn parse(toml: &str) -> Result<DocumentMut, EditError> {
    toml.parse::<DocumentMut>()
        .map_err(|error| EditError::Syntax(error.message().to_owned()))
}

/// The only rule of a document that has nothing else.
fn only_rule(document: &mut DocumentMut) -> Result<&mut Table, EditError> {
    if document.len() != 1 {
        return Err(EditError::NotOneRule);
    }
    let rules = document
        .get_mut(RULE)
        .and_then(Item::as_array_of_tables_mut)
        .filter(|rules| rules.len() == 1);
    rules
        .and_then(|rules| rules.get_mut(0))
        .ok_or(EditError::NotOneRule)
}

fn has_id(toml: &str, id: &str) -> Result<bool, EditError> {
    let mut document = parse(toml)?;
    let table = only_rule(&mut document)?;
    Ok(table.get("id").and_then(Item::as_str) == Some(id))
}

/// A given rule, checked to be one, without blank lines around it.
fn one_rule(toml: &str) -> Result<String, EditError> {
    let toml = toml
        .trim_start_matches('\u{feff}')
        .replace("\r\n", "\n")
        .trim_matches('\n')
        .to_owned();
    only_rule(&mut parse(&toml)?)?;
    Ok(toml)
}

/// The text with `new` in the place of a span.
fn spliced(text: &str, span: &Range<usize>, new: &str) -> String {
    let before = text.get(..span.start).unwrap_or_default();
    let behind = text.get(span.end..).unwrap_or_default();
    format!("{before}{new}{behind}")
}

/// What is new, with lines that end as those of the text do.
fn in_lines_of(text: &str, new: &str) -> String {
    new.replace('\n', newline(text))
}

/// How lines end in this text.
fn newline(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    }
}

/// Sets a key, keeping the look of what was there.
fn put(table: &mut Table, key: &str, mut new: Value) {
    match table.get_mut(key) {
        Some(Item::Value(old)) if is_same(old, &new) => {}
        Some(Item::Value(Value::Array(old))) if new.is_array() => {
            if let Value::Array(new) = new {
                refill(old, &new);
            }
        }
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        Some(_) => {
            table.remove(key);
            table.insert(key, Item::Value(new));
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
}

/// Gives an array new elements; those that stay keep their look, new ones get the look of a neighbour.
fn refill(array: &mut Array, new: &Array) {
    let look = array.iter().last().map(|last| last.decor().clone());
    let old: Vec<Value> = array.iter().cloned().collect();
    array.clear();
    for element in new {
        let known = old.iter().find(|known| is_same(known, element));
        let mut element = known.unwrap_or(element).clone();
        if known.is_none()
            && let Some(look) = &look
        {
            *element.decor_mut() = look.clone();
        }
        array.push_formatted(element);
    }
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.value() == b.value(),
        (Value::Integer(a), Value::Integer(b)) => a.value() == b.value(),
        (Value::Boolean(a), Value::Boolean(b)) => a.value() == b.value(),
        (Value::Float(a), Value::Float(b)) => a.value() == b.value(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::InlineTable(a), Value::InlineTable(b)) => {
            let has = |(key, value)| b.get(key).is_some_and(|other| is_same(value, other));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => false,
    }
}

fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(bool) => (*bool).into(),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        Json::Array(items) => {
            let items: Option<Array> = items.iter().map(value).collect();
            items?.into()
        }
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(key, json)| Some((key.as_str(), value(json)?)));
            let members: Option<InlineTable> = members.collect();
            members?.into()
        }
    })
}

#[cfg(test)]
mod tests;
