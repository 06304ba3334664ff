//! Writes replies and their encrypted envelopes as XML.
//! Owns: the elements of each kind of reply, what a reply must have to be worth sending. Uses: model. Never: encrypts.

use std::fmt::Write;

use memchr::memchr;

use crate::model::reply::{ARTICLES_FOR_EVENT, ARTICLES_FOR_MESSAGE, Article, Reply, TEXT_LIMIT};
use crate::wechat::text::{clean, fit};

/// Writes a reply from the account (`from`) to the follower (`to`); `None` when nothing would be said that way: a text
/// without words, no article, no media, or a hand-over in answer to an event, which WeChat does not take. Texts and
/// articles beyond WeChat's limits are left out.
pub fn write(
    reply: &Reply,
    to: &str,
    from: &str,
    create_time: i64,
    answering_event: bool,
) -> Option<String> {
    let mut xml = Writer::open(to, from, create_time);
    match reply {
        Reply::Text(text) => xml.text_reply(text)?,
        Reply::Image { media_id } => xml.media("image", "Image", media_id)?,
        Reply::Voice { media_id } => xml.media("voice", "Voice", media_id)?,
        Reply::Video {
            media_id,
            title,
            description,
        } => {
            needed(media_id)?;
            xml.field("MsgType", "video");
            xml.tag("<Video>");
            xml.field("MediaId", media_id);
            xml.field("Title", title);
            xml.field("Description", description);
            xml.tag("</Video>");
        }
        Reply::Music {
            title,
            description,
            url,
            hq_url,
            thumb_media_id,
        } => {
            needed(thumb_media_id)?;
            xml.field("MsgType", "music");
            xml.tag("<Music>");
            xml.field("Title", title);
            xml.field("Description", description);
            xml.field("MusicUrl", url);
            xml.field("HQMusicUrl", hq_url);
            xml.field("ThumbMediaId", thumb_media_id);
            xml.tag("</Music>");
        }
        Reply::News(articles) => xml.news(articles, answering_event)?,
        // WeChat shows menus in pushes only; a file of ours has no id here.
        Reply::Menu { .. } => xml.text_reply(&reply.as_text()?)?,
        Reply::Local { .. } => return None,
        Reply::Transfer { .. } if answering_event => return None,
        Reply::Transfer { agent } => {
            xml.field("MsgType", "transfer_customer_service");
            if let Some(agent) = agent {
                xml.tag("<TransInfo>");
                xml.field("KfAccount", agent);
                xml.tag("</TransInfo>");
            }
        }
    }
    Some(xml.close())
}

/// Writes the envelope of an encrypted reply. All four parts are signed and come without markup.
pub fn write_envelope(
    encrypted: &str,
    msg_signature: &str,
    timestamp: &str,
    nonce: &str,
) -> String {
    let mut xml = Writer(String::with_capacity(encrypted.len() + 240));
    xml.tag("<xml>");
    xml.field("Encrypt", encrypted);
    xml.field("MsgSignature", msg_signature);
    xml.bare("TimeStamp", timestamp);
    xml.field("Nonce", nonce);
    xml.close()
}

fn needed(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.trim().is_empty())
}

struct Writer(String);

impl Writer {
    fn open(to: &str, from: &str, create_time: i64) -> Self {
        let mut xml = Self(String::with_capacity(512));
        xml.tag("<xml>");
        xml.field("ToUserName", to);
        xml.field("FromUserName", from);
        xml.bare("CreateTime", create_time);
        xml
    }

    fn close(mut self) -> String {
        self.tag("</xml>");
        self.0
    }

    fn tag(&mut self, tag: &str) {
        self.0.push_str(tag);
    }

    /// A field of a number or the like.
    fn bare(&mut self, name: &str, value: impl std::fmt::Display) {
        for part in ["<", name, ">"] {
            self.tag(part);
        }
        write!(self.0, "{value}").expect("a string takes everything");
        for part in ["</", name, ">"] {
            self.tag(part);
        }
    }

    /// A field of any text, in CDATA.
    fn field(&mut self, name: &str, text: &str) {
        for part in ["<", name, "><![CDATA["] {
            self.tag(part);
        }
        self.cdata(&clean(text));
        for part in ["]]></", name, ">"] {
            self.tag(part);
        }
    }

    /// What stands in CDATA: `]]>` would end it and is split over two sections.
    fn cdata(&mut self, text: &str) {
        if memchr(b']', text.as_bytes()).is_none() {
            return self.tag(text);
        }
        for (n, part) in text.split("]]>").enumerate() {
            if n > 0 {
                self.tag("]]]]><![CDATA[>");
            }
            self.tag(part);
        }
    }

    fn text_reply(&mut self, text: &str) -> Option<()> {
        let text = clean(text);
        let text = needed(fit(&text, TEXT_LIMIT))?;
        self.field("MsgType", "text");
        self.field("Content", text);
        Some(())
    }

    fn media(&mut self, msg_type: &str, element: &str, media_id: &str) -> Option<()> {
        needed(media_id)?;
        self.field("MsgType", msg_type);
        for part in ["<", element, ">"] {
            self.tag(part);
        }
        self.field("MediaId", media_id);
        for part in ["</", element, ">"] {
            self.tag(part);
        }
        Some(())
    }

    fn news(&mut self, articles: &[Article], answering_event: bool) -> Option<()> {
        let limit = if answering_event {
            ARTICLES_FOR_EVENT
        } else {
            ARTICLES_FOR_MESSAGE
        };
        let articles = articles.get(..limit).unwrap_or(articles);
        articles.first()?;
        self.field("MsgType", "news");
        self.bare("ArticleCount", articles.len());
        self.tag("<Articles>");
        for article in articles {
            self.tag("<item>");
            self.field("Title", &article.title);
            self.field("Description", &article.description);
            self.field("PicUrl", &article.pic_url);
            self.field("Url", &article.url);
            self.tag("</item>");
        }
        self.tag("</Articles>");
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wechat::xml::read_tree;

    #[test]
    fn what_says_nothing_is_not_written() {
        let nothing = [
            Reply::Text("".into()),
            Reply::Text(" \u{1}\n".into()),
            Reply::Image {
                media_id: "".into(),
            },
            Reply::News(Vec::new()),
            Reply::Local {
                kind: crate::model::MediaKind::Image,
                hash: [0; 32],
            },
        ];
        for reply in nothing {
            assert_eq!(write(&reply, "o", "gh", 1, false), None, "{reply:?}");
        }
        let transfer = Reply::Transfer { agent: None };
        assert_eq!(write(&transfer, "o", "gh", 1, true), None);
        assert!(write(&transfer, "o", "gh", 1, false).is_some());
    }

    #[test]
    fn the_limit_counts_what_is_sent_and_not_what_was_meant() {
        let text = format!("{}\u{1}{}", "好".repeat(682), "b");
        let xml = write(&Reply::Text(text.into()), "o", "gh", 1, false).unwrap();
        let tree = read_tree(xml.as_bytes()).unwrap();
        assert_eq!(tree.text(&["Content"]).unwrap().len(), TEXT_LIMIT);
    }

    #[test]
    fn a_menu_is_written_as_a_numbered_text() {
        let menu = Reply::Menu {
            head: "选一个".into(),
            options: vec![("a".into(), "退款".into()), ("b".into(), "换货".into())],
            tail: "".into(),
        };
        let xml = write(&menu, "o", "gh", 1, false).unwrap();
        let tree = read_tree(xml.as_bytes()).unwrap();
        assert_eq!(tree.text(&["MsgType"]), Some("text"));
        assert_eq!(tree.text(&["Content"]), Some("选一个\n1. 退款\n2. 换货"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            text in "(\\]\\]>|<!\\[CDATA\\[|&amp;|<|\r|\n|[^\0]|\\PC){0,60}",
            to in "\\PC{1,20}",
        ) {
            let Some(xml) = write(&Reply::Text(text.as_str().into()), &to, "gh", 5, false) else {
                prop_assert!(clean(&text).trim().is_empty());
                return Ok(());
            };
            let tree = read_tree(xml.as_bytes()).unwrap();
            prop_assert_eq!(tree.text(&["Content"]), Some(&*clean(&text)));
            prop_assert_eq!(tree.text(&["ToUserName"]), Some(&*clean(&to)));
            prop_assert_eq!(tree.text(&["CreateTime"]), Some("5"));
        }
    }
}
