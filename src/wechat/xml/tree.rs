//! Reads any document into a tree of names and texts, for those who must see all of it.
//! Owns: the normal form of `inbound.json`. Uses: model. Never: trims.

use super::elements::{Element, Elements};
use super::error::XmlError;
use crate::model::Field;
use crate::model::incoming::FieldValue;

/// A document: its root's name and its fields in order, repeated ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// `xml` in everything that WeChat sends or takes.
    pub root: Box<str>,
    /// The root's children.
    pub fields: Vec<Field>,
}

impl Tree {
    /// The text at the end of this path of names, taking the first of each name: `text(&["Image", "MediaId"])`.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let (last, containers) = path.split_last()?;
        let mut fields = &self.fields;
        for name in containers {
            fields = fields.iter().find_map(|field| match &field.value {
                FieldValue::Fields(fields) if &*field.name == *name => Some(fields),
                _ => None,
            })?;
        }
        fields.iter().find_map(|field| match &field.value {
            FieldValue::Text(text) if &*field.name == *last => Some(&**text),
            _ => None,
        })
    }
}

/// Reads a document into a tree.
///
/// # Errors
/// [`XmlError`] when it is not well-formed, bounded and harmless; no field is required.
pub fn read_tree(document: &[u8]) -> Result<Tree, XmlError> {
    let elements = Elements::read(document)?;
    let (root, rest) = elements.all().split_first().ok_or(XmlError::IllFormed)?;
    Ok(Tree {
        root: root.name.into(),
        fields: fields(rest),
    })
}

/// The fields that these elements make: each with whatever stands below it.
pub(super) fn fields(mut elements: &[Element<'_>]) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some((first, rest)) = elements.split_first() {
        let inside = rest
            .iter()
            .position(|element| element.depth <= first.depth)
            .unwrap_or(rest.len());
        let (children, after) = rest.split_at_checked(inside).unwrap_or((rest, &[]));
        fields.push(field(first, children));
        elements = after;
    }
    fields
}

fn field(element: &Element<'_>, children: &[Element<'_>]) -> Field {
    Field {
        name: element.name.into(),
        value: if element.has_children {
            FieldValue::Fields(fields(children))
        } else {
            FieldValue::Text(element.text().into())
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_a_text() {
        let tree = read_tree(b"<xml><I><M>1</M><M>2</M></I><J><M>3</M></J><K/></xml>").unwrap();
        assert_eq!(&*tree.root, "xml");
        assert_eq!(tree.fields.len(), 3);
        assert_eq!(tree.text(&["I", "M"]), Some("1"));
        assert_eq!(tree.text(&["J", "M"]), Some("3"));
        assert_eq!(tree.text(&["K"]), Some(""));
        for nowhere in [&["I"][..], &["M"], &["K", "M"], &[]] {
            assert_eq!(tree.text(nowhere), None);
        }
    }
}
