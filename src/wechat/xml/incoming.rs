//! Turns a clear push into the model's message or event.
//! Owns: which field means what, which are trimmed, which must be there. Uses: model. Never: refuses what is merely unknown.

use super::elements::Elements;
use super::error::XmlError;
use super::tree;
use crate::model::OpenId;
use crate::model::incoming::{Content, Event, EventKind, Field, Incoming};

/// The longest openid or `gh_` id, in bytes.
const ID_LIMIT: usize = 128;
/// Fields that every push may have and that [`Incoming`] keeps elsewhere.
const HEADER: &[&str] = &[
    "ToUserName",
    "FromUserName",
    "CreateTime",
    "MsgType",
    "MsgId",
    "MsgID",
];

/// Reads a clear push.
///
/// # Errors
/// [`XmlError`] when it is not well-formed, bounded and harmless, or lacks sender, receiver, type or, for an event, its
/// name. Types, events and fields that are not known are kept.
pub fn read(clear: &[u8]) -> Result<Incoming, XmlError> {
    let push = Push(Elements::read(clear)?);
    let to = push.id("ToUserName")?;
    let Ok(from) = OpenId::parse(push.id("FromUserName")?) else {
        return Err(XmlError::TooLong("FromUserName"));
    };
    let content = push.content()?;
    let (first, second) = match content {
        Content::Event(_) => ("MsgID", "MsgId"),
        _ => ("MsgId", "MsgID"),
    };
    Ok(Incoming {
        to: to.into(),
        from,
        create_time: push.trimmed("CreateTime").parse().unwrap_or(0),
        msg_id: push.optional(first).or_else(|| push.optional(second)),
        content,
    })
}

struct Push<'a>(Elements<'a>);

impl Push<'_> {
    /// A content field, as it is.
    fn kept(&self, name: &str) -> Box<str> {
        self.0.text(name).into()
    }

    /// An identifier field, without blanks around it.
    fn trimmed(&self, name: &str) -> &str {
        self.0.text(name).trim()
    }

    fn word(&self, name: &str) -> Box<str> {
        self.trimmed(name).into()
    }

    /// An identifier field that may be absent, which is the same as empty.
    fn optional(&self, name: &str) -> Option<Box<str>> {
        Some(self.trimmed(name))
            .filter(|text| !text.is_empty())
            .map(Box::from)
    }

    fn required(&self, name: &'static str) -> Result<&str, XmlError> {
        Some(self.trimmed(name))
            .filter(|text| !text.is_empty())
            .ok_or(XmlError::Missing(name))
    }

    fn id(&self, name: &'static str) -> Result<&str, XmlError> {
        let id = self.required(name)?;
        if id.len() > ID_LIMIT {
            return Err(XmlError::TooLong(name));
        }
        Ok(id)
    }

    fn content(&self) -> Result<Content, XmlError> {
        Ok(match self.required("MsgType")? {
            "text" => Content::Text {
                text: self.kept("Content"),
                menu_id: self.optional("bizmsgmenuid"),
            },
            "image" => Content::Image {
                pic_url: self.word("PicUrl"),
                media_id: self.word("MediaId"),
            },
            "voice" => Content::Voice {
                media_id: self.word("MediaId"),
                format: self.word("Format"),
                media_id_16k: self.optional("MediaId16K"),
                recognition: Some(self.kept("Recognition")).filter(|heard| !heard.is_empty()),
            },
            "video" => Content::Video {
                media_id: self.word("MediaId"),
                thumb_media_id: self.word("ThumbMediaId"),
            },
            "shortvideo" => Content::ShortVideo {
                media_id: self.word("MediaId"),
                thumb_media_id: self.word("ThumbMediaId"),
            },
            "location" => Content::Location {
                latitude: self.word("Location_X"),
                longitude: self.word("Location_Y"),
                scale: self.word("Scale"),
                label: self.kept("Label"),
            },
            "link" => Content::Link {
                title: self.kept("Title"),
                description: self.kept("Description"),
                url: self.kept("Url"),
            },
            "file" => Content::File {
                title: self.kept("Title"),
                description: self.kept("Description"),
                key: self.word("FileKey"),
                md5: self.word("FileMd5"),
                size: self.word("FileTotalLen"),
            },
            "miniprogrampage" => Content::MiniProgramPage {
                title: self.kept("Title"),
                app_id: self.word("AppId"),
                page_path: self.kept("PagePath"),
                thumb_url: self.word("ThumbUrl"),
                thumb_media_id: self.word("ThumbMediaId"),
            },
            "event" => Content::Event(self.event()?),
            unknown => Content::Unknown {
                msg_type: unknown.into(),
                fields: self.rest(&[]),
            },
        })
    }

    fn event(&self) -> Result<Event, XmlError> {
        let name = self.required("Event")?;
        Ok(Event {
            kind: EventKind::named(name),
            name: name.into(),
            key: self.optional("EventKey"),
            fields: self.rest(&["Event", "EventKey"]),
        })
    }

    /// Every field but the header and these.
    fn rest(&self, but: &[&str]) -> Vec<Field> {
        let fields = self
            .0
            .all()
            .split_first()
            .map_or(&[][..], |(_, fields)| fields);
        let mut fields = tree::fields(fields);
        fields.retain(|field| !HEADER.contains(&&*field.name) && !but.contains(&&*field.name));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(rest: &str) -> String {
        format!("<xml><ToUserName> gh_1\n</ToUserName><FromUserName>o1</FromUserName>{rest}</xml>")
    }

    #[test]
    fn identifiers_are_trimmed_and_content_is_kept() {
        let document = push(
            "<CreateTime> 17 </CreateTime><MsgType> text </MsgType><Content> a </Content><MsgId> 9 </MsgId>",
        );
        let incoming = read(document.as_bytes()).unwrap();
        assert_eq!(&*incoming.to, "gh_1");
        assert_eq!(incoming.create_time, 17);
        assert_eq!(incoming.msg_id.as_deref(), Some("9"));
        let text = Content::Text {
            text: " a ".into(),
            menu_id: None,
        };
        assert_eq!(incoming.content, text);
    }

    #[test]
    fn an_event_keeps_every_field_but_the_header() {
        let document = push(
            "<MsgType>event</MsgType><Event>sCaN</Event><EventKey> </EventKey><MsgID>7</MsgID><T>x</T><P><Q>1</Q></P>",
        );
        let incoming = read(document.as_bytes()).unwrap();
        assert_eq!(incoming.msg_id.as_deref(), Some("7"));
        let Content::Event(event) = incoming.content else {
            panic!("not an event");
        };
        assert_eq!(
            (event.kind, &*event.name, event.key.as_deref()),
            (EventKind::Scan, "sCaN", None)
        );
        assert_eq!(event.field("T"), Some("x"));
        assert_eq!(event.fields.len(), 2);
    }

    #[test]
    fn nothing_is_done_without_sender_receiver_type_and_event() {
        for (document, missing) in [
            (
                "<xml><FromUserName>o</FromUserName><MsgType>text</MsgType></xml>",
                "ToUserName",
            ),
            (
                "<xml><ToUserName>g</ToUserName><MsgType>text</MsgType></xml>",
                "FromUserName",
            ),
            (&*push(""), "MsgType"),
            (&*push("<MsgType> </MsgType>"), "MsgType"),
            (&*push("<MsgType>event</MsgType>"), "Event"),
        ] {
            assert_eq!(
                read(document.as_bytes()),
                Err(XmlError::Missing(missing)),
                "{document}"
            );
        }
    }

    #[test]
    fn ids_have_a_length() {
        let document = |length: usize| {
            let id = "o".repeat(length);
            format!(
                "<xml><ToUserName>g</ToUserName><FromUserName>{id}</FromUserName><MsgType>x</MsgType></xml>"
            )
        };
        assert!(read(document(128).as_bytes()).is_ok());
        assert_eq!(
            read(document(129).as_bytes()),
            Err(XmlError::TooLong("FromUserName"))
        );
    }
}
