//! Takes an XML document apart into its elements, in order, borrowing from it.
//! Owns: what is well-formed and harmless enough, the bounds. Uses: quick-xml. Never: knows a field's meaning.

use std::borrow::Cow;

use memchr::memchr;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use smallvec::SmallVec;

use super::error::XmlError;
use super::flat;
use crate::wechat::text::is_forbidden;

const DEPTH_LIMIT: usize = 16;
const ELEMENT_LIMIT: usize = 1000;
const ATTRIBUTE_LIMIT: usize = 16;

/// One element.
#[derive(Debug, Default)]
pub(crate) struct Element<'a> {
    pub(crate) name: &'a str,
    /// The root is 0, a message's fields are 1.
    pub(crate) depth: usize,
    /// Its text and CDATA joined; meaningless when it has children.
    pub(super) text: Cow<'a, str>,
    pub(super) has_cdata: bool,
    pub(crate) has_children: bool,
}

impl Element<'_> {
    /// Its text; blanks alone count only in CDATA.
    pub(crate) fn text(&self) -> &str {
        if self.has_children || (!self.has_cdata && is_blank(&self.text)) {
            ""
        } else {
            &self.text
        }
    }
}

/// All elements of a document, parents before children.
#[derive(Debug)]
pub(crate) struct Elements<'a>(SmallVec<[Element<'a>; 16]>);

impl<'a> Elements<'a> {
    /// Reads a whole document.
    ///
    /// # Errors
    /// [`XmlError`] for whatever is not well-formed, not bounded or not harmless.
    pub(crate) fn read(document: &'a [u8]) -> Result<Self, XmlError> {
        let Ok(document) = str::from_utf8(document) else {
            return Err(XmlError::NotUtf8);
        };
        if memchr(0, document.as_bytes()).is_some() {
            return Err(XmlError::ForbiddenCharacter);
        }
        let document = document.strip_prefix('\u{feff}').unwrap_or(document);
        match flat::read(document) {
            Some(elements) => Ok(Self(elements)),
            None => Self::read_any(document),
        }
    }

    /// Reads a document of any shape.
    fn read_any(document: &'a str) -> Result<Self, XmlError> {
        let mut building = Building::new();
        let mut reader = Reader::from_str(document);
        loop {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            let Ok(event) = reader.read_event() else {
                return Err(XmlError::IllFormed);
            };
            match event {
                Event::Start(start) => building.open(name_at(document, at, &start)?)?,
                Event::Empty(start) => {
                    building.open(name_at(document, at, &start)?)?;
                    building.close();
                }
                Event::End(_) => building.close(),
                Event::Text(text) => building.text(text.xml10_content(), false)?,
                Event::CData(text) => building.text(text.xml10_content(), true)?,
                Event::GeneralRef(reference) => building.character(resolve(&reference)?)?,
                Event::Comment(_) | Event::PI(_) => {}
                Event::Decl(_) if building.elements.is_empty() => {}
                Event::Decl(_) => return Err(XmlError::IllFormed),
                Event::DocType(_) => return Err(XmlError::Doctype),
                Event::Eof => break,
            }
        }
        if building.elements.is_empty() || !building.open.is_empty() {
            return Err(XmlError::IllFormed);
        }
        Ok(Self(building.elements))
    }

    /// All elements, the root first.
    pub(crate) fn all(&self) -> &[Element<'a>] {
        &self.0
    }

    /// The text of the first field of this name; empty when there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields(name).next().map_or("", Element::text)
    }

    /// The fields of this name: children of the root only.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &Element<'a>> {
        self.0
            .iter()
            .filter(move |element| element.depth == 1 && element.name == name)
    }
}

struct Building<'a> {
    elements: SmallVec<[Element<'a>; 16]>,
    /// The places of the elements that are still open.
    open: SmallVec<[usize; DEPTH_LIMIT]>,
}

impl<'a> Building<'a> {
    fn new() -> Self {
        Self {
            elements: SmallVec::new(),
            open: SmallVec::new(),
        }
    }

    fn open(&mut self, name: &'a str) -> Result<(), XmlError> {
        let depth = self.open.len();
        if depth == 0 && !self.elements.is_empty() {
            return Err(XmlError::IllFormed);
        }
        if depth == DEPTH_LIMIT || self.elements.len() == ELEMENT_LIMIT {
            return Err(XmlError::TooLarge);
        }
        if let Some(parent) = self.current() {
            parent.has_children = true;
        }
        self.open.push(self.elements.len());
        self.elements.push(Element {
            name,
            depth,
            ..Element::default()
        });
        Ok(())
    }

    fn close(&mut self) {
        self.open.pop();
    }

    fn current(&mut self) -> Option<&mut Element<'a>> {
        self.open.last().and_then(|at| self.elements.get_mut(*at))
    }

    fn text(&mut self, text: Cow<'a, str>, is_cdata: bool) -> Result<(), XmlError> {
        match self.current() {
            Some(element) if element.has_children => {}
            Some(element) => {
                element.has_cdata |= is_cdata;
                if element.text.is_empty() {
                    element.text = text;
                } else {
                    element.text.to_mut().push_str(&text);
                }
            }
            None if !is_cdata && is_blank(&text) => {}
            None => return Err(XmlError::IllFormed),
        }
        Ok(())
    }

    fn character(&mut self, c: char) -> Result<(), XmlError> {
        let element = self.current().ok_or(XmlError::IllFormed)?;
        // A written-out blank is meant, like one in CDATA.
        element.has_cdata = true;
        element.text.to_mut().push(c);
        Ok(())
    }
}

/// The name of the element whose tag starts here, borrowed from the document, after a look at its attributes.
fn name_at<'a>(document: &'a str, at: usize, start: &BytesStart<'_>) -> Result<&'a str, XmlError> {
    let name = at
        .checked_add(1)
        .and_then(|from| document.get(from..from.checked_add(start.name().as_ref().len())?))
        .filter(|name| *name == start.name().as_ref() && is_name(name))
        .ok_or(XmlError::IllFormed)?;
    if !start.attributes_raw().is_empty() {
        check_attributes(start)?;
    }
    Ok(name)
}

/// WeChat sends no attributes; what comes must at least be XML.
fn check_attributes(start: &BytesStart<'_>) -> Result<(), XmlError> {
    for (n, attribute) in start.attributes().enumerate() {
        if n == ATTRIBUTE_LIMIT {
            return Err(XmlError::TooLarge);
        }
        let Ok(attribute) = attribute else {
            return Err(XmlError::IllFormed);
        };
        if !is_name(attribute.key.as_ref()) || attribute.value.contains('<') {
            return Err(XmlError::IllFormed);
        }
        for part in attribute.value.split('&').skip(1) {
            let (reference, _) = part.split_once(';').ok_or(XmlError::IllFormed)?;
            resolve(reference)?;
        }
    }
    Ok(())
}

/// The character that `&reference;` stands for.
fn resolve(reference: &str) -> Result<char, XmlError> {
    let Some(number) = reference.strip_prefix('#') else {
        return match reference {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "apos" => Ok('\''),
            "quot" => Ok('"'),
            _ => Err(XmlError::Entity),
        };
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` alone would take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(XmlError::IllFormed);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| !is_forbidden(*c))
        .ok_or(XmlError::ForbiddenCharacter)
}

/// Whether this is a name, as far as ASCII goes; beyond ASCII everything is taken.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':' || !c.is_ascii())
        && name.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':') || b >= 0x80
        })
}

pub(super) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(document: &str) -> Result<String, XmlError> {
        Elements::read(document.as_bytes()).map(|elements| elements.text("a").to_owned())
    }

    #[test]
    fn text_cdata_and_references_are_joined() {
        assert_eq!(
            text_of("<xml><a>1<![CDATA[<2>]]><!-- no -->&amp;&#51;&#x34;</a></xml>"),
            Ok("1<2>&34".to_owned())
        );
        assert_eq!(
            text_of("<xml><a><![CDATA[]]]]><![CDATA[>]]></a></xml>"),
            Ok("]]>".to_owned())
        );
        assert_eq!(
            text_of("<xml><a>1\r\n2\r3</a></xml>"),
            Ok("1\n2\n3".to_owned())
        );
    }

    #[test]
    fn blanks_alone_count_only_where_they_are_meant() {
        assert_eq!(text_of("<xml><a> \n </a></xml>"), Ok(String::new()));
        assert_eq!(
            text_of("<xml><a><![CDATA[ ]]></a></xml>"),
            Ok(" ".to_owned())
        );
        assert_eq!(text_of("<xml><a>&#32;</a></xml>"), Ok(" ".to_owned()));
        assert_eq!(text_of("<xml><a> 1 </a></xml>"), Ok(" 1 ".to_owned()));
    }

    #[test]
    fn byte_order_mark_declaration_attributes_and_empty_tags_are_taken() {
        let document = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x --><xml v='&lt;'><b/><a >1</a ></xml>\n";
        assert_eq!(text_of(document), Ok("1".to_owned()));
    }

    #[test]
    fn raw_control_characters_are_tolerated() {
        assert_eq!(
            text_of("<xml><a>\u{1}<![CDATA[\u{1f}]]></a></xml>"),
            Ok("\u{1}\u{1f}".to_owned())
        );
    }

    #[test]
    fn only_fields_are_fields() {
        let nested = "<xml><b><a>inner</a></b><a>outer</a></xml>";
        assert_eq!(text_of(nested), Ok("outer".to_owned()));
    }

    #[test]
    fn what_is_not_harmless_is_refused() {
        use XmlError::{Doctype, Entity, ForbiddenCharacter, IllFormed};
        for (document, error) in [
            ("", IllFormed),
            ("{\"a\":1}", IllFormed),
            ("<xml>", IllFormed),
            ("<xml></xm>", IllFormed),
            ("<xml></xml><xml></xml>", IllFormed),
            ("<xml></xml>x", IllFormed),
            ("x<xml></xml>", IllFormed),
            ("<xml></xml><![CDATA[ ]]>", IllFormed),
            ("<xml></xml><?xml version='1.0'?>", IllFormed),
            ("<xml><a>&</a></xml>", IllFormed),
            ("<xml><1a/></xml>", IllFormed),
            ("<xml><a<b></a<b></xml>", IllFormed),
            ("<xml a></xml>", IllFormed),
            ("<xml a='1' a='2'></xml>", IllFormed),
            ("<xml a='<'></xml>", IllFormed),
            ("<xml a='&'></xml>", IllFormed),
            ("<xml a='&x;'></xml>", Entity),
            ("<!DOCTYPE xml><xml></xml>", Doctype),
            ("<!DOCTYPE x [<!ENTITY a 'b'>]><xml>&a;</xml>", Doctype),
            ("<xml><a>&nbsp;</a></xml>", Entity),
            ("<xml><a>&#+9;</a></xml>", IllFormed),
            ("<xml><a>&#;</a></xml>", IllFormed),
            ("<xml><a>&#0;</a></xml>", ForbiddenCharacter),
            ("<xml><a>&#x1f;</a></xml>", ForbiddenCharacter),
            ("<xml><a>&#xD800;</a></xml>", ForbiddenCharacter),
            ("<xml><a>&#xFFFE;</a></xml>", ForbiddenCharacter),
            ("<xml><a>&#99999999999;</a></xml>", ForbiddenCharacter),
            ("<xml><a>\0</a></xml>", ForbiddenCharacter),
        ] {
            assert_eq!(text_of(document), Err(error), "{document}");
        }
        assert_eq!(
            Elements::read(b"<xml>\xff</xml>").unwrap_err(),
            XmlError::NotUtf8
        );
    }

    #[test]
    fn depth_and_number_of_elements_are_bounded() {
        let nested = |depth: usize| "<b>".repeat(depth) + &"</b>".repeat(depth);
        assert!(Elements::read(nested(DEPTH_LIMIT).as_bytes()).is_ok());
        assert_eq!(
            Elements::read(nested(DEPTH_LIMIT + 1).as_bytes()).unwrap_err(),
            XmlError::TooLarge
        );
        let wide = |count: usize| format!("<xml>{}</xml>", "<b/>".repeat(count - 1));
        assert!(Elements::read(wide(ELEMENT_LIMIT).as_bytes()).is_ok());
        assert_eq!(
            Elements::read(wide(ELEMENT_LIMIT + 1).as_bytes()).unwrap_err(),
            XmlError::TooLarge
        );
    }

    fn shown<'a>(elements: &'a Elements<'_>) -> Vec<(&'a str, usize, &'a str, bool)> {
        let all = elements.all().iter();
        all.map(|element| {
            (
                element.name,
                element.depth,
                element.text(),
                element.has_children,
            )
        })
        .collect()
    }

    #[test]
    fn a_push_as_wechat_writes_it_is_flat() {
        let push = "<xml><ToUserName><![CDATA[gh]]></ToUserName>\n<CreateTime>17</CreateTime>\n<Content><![CDATA[a]]b<&]]></Content>\n</xml>";
        let elements = flat::read(push).map(Elements).unwrap();
        assert_eq!(shown(&elements), shown(&Elements::read_any(push).unwrap()));
        assert_eq!(elements.text("Content"), "a]]b<&");
        for other in [
            "<xml></xml>",
            "<xml><a/></xml>",
            "<xml><a b='1'>1</a></xml>",
            "<xml><a>1</b></xml>",
            "<xml><a><b>1</b></a></xml>",
            "<xml><a>&lt;</a></xml>",
            "<xml><a>\r</a></xml>",
            "<xml><a>]]></a></xml>",
            "<xml><a><![CDATA[1]]>2</a></xml>",
            "<xml><!-- --><a>1</a></xml>",
            "<xml><a>1</a></xml>x",
        ] {
            assert!(flat::read(other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_flat_reads_as_the_full_reader_reads_it(
            document in "<xml>((<a>|<b>|</a>|</b>|<!\\[CDATA\\[|\\]\\]>|\\]|<|>|&|\r|\n| |1|好){0,4}(<a>([ -%'-;=-~好]|\n){0,3}</a>|<b><!\\[CDATA\\[([ -~好]|\r|\\]\\]){0,4}\\]\\]></b>|[ \n]){0,4}){0,2}</xml>[ \n]{0,2}"
        ) {
            if let Some(elements) = flat::read(&document).map(Elements) {
                let full = Elements::read_any(&document).unwrap();
                prop_assert_eq!(shown(&elements), shown(&full));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Elements::read(&bytes);
        }

        #[test]
        fn no_markup_panics(document in "(<xml>|</xml>|<a|>|/|&|;|#|x|<!\\[CDATA\\[|\\]\\]>|<!--|-->|<\\?|\\?>|[ -~好]|'|\"){0,40}") {
            let _ = Elements::read(document.as_bytes());
        }
    }
}
