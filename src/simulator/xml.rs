//! Writes pushes as WeChat writes them and reads replies as strictly as WeChat reads them.
//! Owns: the simulator's own XML tree. Uses: quick-xml. Never: what an element means.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// Deeper than any reply; a guard for the stack of whoever walks the tree.
const DEPTH: usize = 16;

/// An element: its own text, and the elements in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The element's name.
    pub(super) name: String,
    /// All text and CDATA directly in it, joined.
    pub(super) text: String,
    /// The elements in it, in order.
    pub(super) children: Vec<Self>,
}

impl Node {
    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name; empty when there is none, which WeChat takes for the same.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }

    /// As [`Node::text_of`], trimmed: for names and numbers.
    pub(super) fn word(&self, name: &str) -> &str {
        self.text_of(name).trim()
    }
}

/// Reads one document with the root `xml`.
pub(super) fn read(xml: &str) -> Result<Node, String> {
    if let Some(c) = xml.chars().find(|c| !is_legal(*c)) {
        return Err(format!("XML forbids U+{:04X}", u32::from(c)));
    }
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Node> = Vec::new();
    let mut root = None;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| format!("not XML: {error}"))?;
        match event {
            Event::Eof => break,
            Event::Start(_) | Event::Empty(_) if open.is_empty() && root.is_some() => {
                return Err("two roots".to_owned());
            }
            Event::Start(start) => {
                open.push(named(start.name().as_ref()));
                if open.len() > DEPTH {
                    return Err("nested too deeply".to_owned());
                }
            }
            Event::Empty(start) => close(&mut open, &mut root, named(start.name().as_ref())),
            Event::End(_) => {
                let node = open.pop().ok_or("an end without a start")?;
                close(&mut open, &mut root, node);
            }
            Event::DocType(_) => return Err("a document type".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Text(text) => push_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => push_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = resolve(&reference)?;
                push_text(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
        }
    }
    if !open.is_empty() {
        return Err("the document ends too early".to_owned());
    }
    root.filter(|root: &Node| root.name == "xml")
        .ok_or_else(|| "the root is not <xml>".to_owned())
}

fn named(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        ..Node::default()
    }
}

fn close(open: &mut [Node], root: &mut Option<Node>, mut node: Node) {
    // Line feeds between elements are layout, not text.
    if !node.children.is_empty() && node.text.trim().is_empty() {
        node.text.clear();
    }
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None => *root = Some(node),
    }
}

fn push_text(open: &mut [Node], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(node) => node.text.push_str(text),
        None if text
            .trim_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
            .is_empty() => {}
        None => return Err("text outside the root".to_owned()),
    }
    Ok(())
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, String> {
    let character = match reference.resolve_char_ref() {
        Ok(Some(character)) => character,
        Ok(None) => match &*reference.xml10_content() {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("the entity {other:?}")),
        },
        Err(error) => return Err(format!("a bad reference: {error}")),
    };
    if is_legal(character) {
        Ok(character)
    } else {
        Err("a reference to a character that XML forbids".to_owned())
    }
}

/// Whether XML 1.0 allows the character.
fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Builds a push: strings in CDATA, numbers bare, no white space, no declaration, as on the wire.
#[derive(Debug, Clone)]
pub(super) struct Writer(String);

impl Writer {
    /// Begins a document.
    pub(super) fn new() -> Self {
        Self("<xml>".to_owned())
    }

    /// Adds a string.
    #[must_use]
    pub(super) fn text(self, name: &str, text: &str) -> Self {
        let text = text.replace("]]>", "]]]]><![CDATA[>");
        self.bare(name, &format!("<![CDATA[{text}]]>"))
    }

    /// Adds a number, or markup.
    #[must_use]
    pub(super) fn bare(mut self, name: &str, markup: &str) -> Self {
        for part in ["<", name, ">", markup, "</", name, ">"] {
            self.0.push_str(part);
        }
        self
    }

    /// Adds an element that holds what `inside` writes.
    #[must_use]
    pub(super) fn within(self, name: &str, inside: impl FnOnce(Self) -> Self) -> Self {
        let markup = inside(Self(String::new())).0;
        self.bare(name, &markup)
    }

    /// Ends the document.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</xml>");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let xml = Writer::new()
            .text("Content", "a]]>b & <c>")
            .bare("CreateTime", "7")
            .within("Info", |info| info.text("A", "1").text("A", "2"))
            .finish();
        let node = read(&xml).unwrap();
        assert_eq!(node.text_of("Content"), "a]]>b & <c>");
        assert_eq!(node.word("CreateTime"), "7");
        assert_eq!(node.child("Info").unwrap().children.len(), 2);
    }

    #[test]
    fn references_resolve_and_everything_else_that_is_odd_is_refused() {
        let node = read("\u{feff}<xml>\n <a>1 &lt; &#x4f60;</a><b/></xml>\n").unwrap();
        assert_eq!(node.text_of("a"), "1 < 你");
        for bad in [
            "",
            "success",
            "<html></html>",
            "<xml>",
            "<xml></xml><xml></xml>",
            "<xml></xml>x",
            "<!DOCTYPE xml><xml></xml>",
            "<xml>&nbsp;</xml>",
            "<xml>&#0;</xml>",
            "<xml>\u{b}</xml>",
            "<xml><a></b></xml>",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        let deep = "<xml>".repeat(40) + &"</xml>".repeat(40);
        assert!(read(&deep).is_err());
    }
}
