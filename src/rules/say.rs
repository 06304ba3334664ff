//! Makes a rule's reply ready to send: fills placeholders, puts uploaded media in.
//! Owns: what can be sent now and what cannot. Uses: template, model. Never: knows where values come from.

use std::sync::Arc;

use super::template::{Template, pieces};
use crate::model::reply::{Reply, TextField};
use crate::model::{MediaFile, MediaIds, Picture};

/// Gives the value of a placeholder; `None` is an empty one.
pub type Values<'v> = dyn Fn(&str) -> Option<Box<str>> + 'v;

/// One reply of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Words without placeholders.
    Text(Arc<str>),
    /// Words with placeholders.
    Template(Box<Template>),
    /// Anything else.
    Other(Box<Shaped>),
}

/// A reply that is more than words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// The reply. Where `file` is set, the media id in it is replaced; where `has_gaps`, its texts are filled.
    pub(super) reply: Reply,
    /// Whether a text in it has placeholders.
    pub(super) has_gaps: bool,
    /// The file that must have been uploaded.
    pub(super) file: Option<MediaFile>,
    /// The local pictures that it shows.
    pub(super) pictures: Box<[Picture]>,
    /// What is said where it was not.
    pub(super) fallback: Option<Gapped>,
}

/// A text that may have placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gapped {
    /// It has none.
    Plain(Arc<str>),
    /// It has some.
    Gaps(Box<Template>),
}

impl Gapped {
    /// The text with its placeholders filled.
    pub fn fill(&self, values: &Values<'_>) -> Arc<str> {
        match self {
            Self::Plain(text) => Arc::clone(text),
            Self::Gaps(template) => template.fill(values).into(),
        }
    }

    /// The text with its placeholders filled by what is escaped for a URL's query or path.
    pub fn fill_url(&self, values: &Values<'_>) -> Arc<str> {
        self.fill(&|name| values(name).map(|value| escaped(&value)))
    }
}

/// A media file that cannot be sent now, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUploaded(pub Arc<str>);

impl Said {
    /// Whether it has placeholders.
    pub fn has_gaps(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Template(_) => true,
            Self::Other(shaped) => {
                shaped.has_gaps || matches!(shaped.fallback, Some(Gapped::Gaps(_)))
            }
        }
    }

    /// The reply to send.
    ///
    /// # Errors
    /// [`NotUploaded`] when WeChat does not have its file and there is no text instead.
    pub fn reply(&self, values: &Values<'_>, media: &MediaIds) -> Result<Reply, NotUploaded> {
        let shaped = match self {
            Self::Text(text) => return Ok(Reply::Text(Arc::clone(text))),
            Self::Template(template) => return Ok(Reply::Text(template.fill(values).into())),
            Self::Other(shaped) => shaped,
        };
        let mut reply = shaped.reply.clone();
        if let Some(file) = &shaped.file {
            match (media.of(file), &shaped.fallback) {
                (Some(id), _) => reply.set_media_id(&id),
                (None, Some(fallback)) => return Ok(Reply::Text(fallback.fill(values))),
                (None, None) => return Err(NotUploaded(Arc::clone(&file.path))),
            }
        }
        if shaped.has_gaps {
            reply.change_texts(|field, text| {
                let template = Template::new(&pieces(text));
                let filled = match field {
                    TextField::Words => template.fill(values),
                    TextField::Url => {
                        template.fill(&|name| values(name).map(|value| escaped(&value)))
                    }
                };
                filled.into()
            });
        }
        Ok(reply)
    }
}

/// A value as it may stand in a URL: everything but letters and digits is percent-encoded.
fn escaped(value: &str) -> Box<str> {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .into()
}
