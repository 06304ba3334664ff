//! Reads documents in the one shape in which WeChat writes its pushes: fields under a root, text bare or in one CDATA section.
//! Owns: that shape, so that the usual push costs one pass. Uses: elements. Never: refuses; whatever looks otherwise is left
//! to the full reader, and what both read they read alike.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2};
use smallvec::{SmallVec, smallvec};

use super::elements::{Element, is_blank, is_name};

/// A message has about seven fields, an event a few more.
const FIELD_LIMIT: usize = 64;
const ROOT: &str = "xml";

/// The elements of a document of this shape, the root first; `None` for any other.
pub(super) fn read(document: &str) -> Option<SmallVec<[Element<'_>; 16]>> {
    let mut rest = past_blanks(document).strip_prefix("<xml>")?;
    let mut elements = smallvec![Element {
        name: ROOT,
        has_children: true,
        ..Element::default()
    }];
    loop {
        rest = past_blanks(rest);
        if let Some(after) = rest.strip_prefix("</xml>") {
            return (elements.len() > 1 && is_blank(after)).then_some(elements);
        }
        if elements.len() > FIELD_LIMIT {
            return None;
        }
        let (field, after) = field(rest)?;
        elements.push(field);
        rest = after;
    }
}

/// One field, and what follows it.
fn field(rest: &str) -> Option<(Element<'_>, &str)> {
    let rest = rest.strip_prefix('<')?;
    let (name, rest) = split(rest, memchr(b'>', rest.as_bytes())?)?;
    if !is_name(name) {
        return None;
    }
    let rest = rest.strip_prefix('>')?;
    let (text, rest, has_cdata) = match rest.strip_prefix("<![CDATA[") {
        Some(rest) => {
            let end = memchr_iter(b']', rest.as_bytes())
                .find(|end| rest.get(*end..).is_some_and(|rest| rest.starts_with("]]>")))?;
            let (text, rest) = split(rest, end)?;
            (text, rest.strip_prefix("]]>")?, true)
        }
        None => {
            let (text, rest) = split(rest, memchr2(b'<', b'&', rest.as_bytes())?)?;
            (text, rest, false)
        }
    };
    // Line ends become line feeds, and bare text must not have `]]>`: not here.
    if memchr2(b'\r', b']', text.as_bytes()).is_some_and(|at| {
        !has_cdata || memchr(b'\r', text.as_bytes().get(at..).unwrap_or_default()).is_some()
    }) {
        return None;
    }
    let rest = rest
        .strip_prefix("</")?
        .strip_prefix(name)?
        .strip_prefix('>')?;
    let field = Element {
        name,
        depth: 1,
        text: Cow::Borrowed(text),
        has_cdata,
        has_children: false,
    };
    Some((field, rest))
}

fn split(text: &str, at: usize) -> Option<(&str, &str)> {
    text.split_at_checked(at)
}

fn past_blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}
