//! Names what can be wrong with an XML document.
//! Owns: the words for logs. Uses: nothing. Never: shows the document.

/// Why a document is not a push of WeChat's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A NUL byte, or a reference to a character that XML forbids.
    #[error("a character that XML forbids")]
    ForbiddenCharacter,
    /// Not well-formed, or not XML at all (JSON).
    #[error("not well-formed XML")]
    IllFormed,
    /// A document type declaration.
    #[error("a document type declaration")]
    Doctype,
    /// A reference to an entity that XML does not predefine.
    #[error("a reference to an unknown entity")]
    Entity,
    /// Deeper than 16 elements, more than 1000, or more than 16 attributes on one.
    #[error("too deep or too many elements")]
    TooLarge,
    /// A field without which nothing can be done is absent or empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is longer than an id may be.
    #[error("{0} is too long")]
    TooLong(&'static str),
}

impl XmlError {
    /// The word for logs and metrics.
    pub const fn step(self) -> &'static str {
        match self {
            Self::NotUtf8 => "xml_utf8",
            Self::ForbiddenCharacter => "xml_character",
            Self::IllFormed => "xml",
            Self::Doctype => "xml_doctype",
            Self::Entity => "xml_entity",
            Self::TooLarge => "xml_size",
            Self::Missing(_) | Self::TooLong(_) => "xml_field",
        }
    }
}
