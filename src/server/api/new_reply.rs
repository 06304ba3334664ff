//! Reads what an agent wants to say: words, a picture, a card or a menu.
//! Owns: that it is exactly one of them, and its limits. Uses: model, received. Never: how it travels.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::model::media::from_hex;
use crate::model::{AccountName, Article, MediaKind, Reply};
use crate::server::Site;
use crate::server::error::{Code, Problem};
use crate::wechat::text::clean;

/// The most choices of a menu: more are not read on a phone.
const MOST_OPTIONS: usize = 20;
/// The longest words of a card, an address or a choice, in bytes.
const WORDS_LIMIT: usize = 1024;

/// Something to write to the follower: `text`, `image`, `news` or `menu`, exactly one of them.
#[derive(Deserialize, ToSchema)]
pub(super) struct NewReply {
    /// At most 2047 bytes of UTF-8.
    #[schema(value_type = Option<String>)]
    pub(super) text: Option<Arc<str>>,
    /// A picture that was uploaded for the account (`POST /media`): its SHA-256. It can only be pushed, not held.
    pub(super) image: Option<String>,
    /// A card that opens a page.
    pub(super) news: Option<Card>,
    /// Words with choices to tap.
    pub(super) menu: Option<Menu>,
    /// The same key again gives the same message; at most 128 bytes.
    pub(super) idempotency_key: Option<Box<str>>,
    /// Whether it waits for the follower's next visit although it could be pushed.
    #[serde(default)]
    pub(super) hold: bool,
    /// The newest message seen; if the follower wrote since, the answer is refused.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub(super) last_seen: Option<String>,
}

/// A card.
#[derive(Deserialize, ToSchema)]
pub(super) struct Card {
    #[schema(value_type = String)]
    title: Arc<str>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Arc<str>,
    /// Where the picture is, `http` or `https`; none for a card without one.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    picture: Arc<str>,
    /// The page it opens, `http` or `https`.
    #[schema(value_type = String)]
    url: Arc<str>,
}

/// A menu.
#[derive(Deserialize, ToSchema)]
pub(super) struct Menu {
    /// Words above the choices.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    head: Arc<str>,
    /// 1 to 20.
    options: Vec<Choice>,
    /// Words below them.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tail: Arc<str>,
}

/// A choice of a menu.
#[derive(Deserialize, ToSchema)]
pub(super) struct Choice {
    /// What comes back with a tap, beside the words.
    #[schema(value_type = String)]
    id: Arc<str>,
    #[schema(value_type = String)]
    text: Arc<str>,
}

impl NewReply {
    /// What is to be said.
    ///
    /// # Errors
    /// 400 when it is nothing, or several things; 422 when a picture is not known, or words are missing or too long.
    pub(super) async fn reply(&self, site: &Site, account: &AccountName) -> Result<Reply, Problem> {
        match (&self.text, &self.image, &self.news, &self.menu) {
            (Some(text), None, None, None) => Ok(Reply::Text(clean(text).into())),
            (None, Some(image), None, None) => picture(site, account, image).await,
            (None, None, Some(card), None) => card.reply(),
            (None, None, None, Some(menu)) => menu.reply(),
            _ => Err(Problem::new(
                Code::BadRequest,
                "an answer has `text`, `image`, `news` or `menu`, exactly one of them",
            )),
        }
    }
}

async fn picture(site: &Site, account: &AccountName, image: &str) -> Result<Reply, Problem> {
    let unknown = || {
        Problem::new(
            Code::Empty,
            "no picture with this SHA-256 was uploaded for the account",
        )
    };
    let hash = from_hex(image).ok_or_else(unknown)?;
    let known = site.received.find_brought(account, hash).await?;
    known
        .map(|_| Reply::Local {
            kind: MediaKind::Image,
            hash,
        })
        .ok_or_else(unknown)
}

impl Card {
    fn reply(&self) -> Result<Reply, Problem> {
        needed("title", &self.title)?;
        bounded("description", &self.description)?;
        let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        bounded("url", &self.url)?;
        bounded("picture", &self.picture)?;
        if !is_address(&self.url) || !(self.picture.is_empty() || is_address(&self.picture)) {
            return Err(Problem::new(
                Code::BadRequest,
                "a card's `url` and `picture` begin with https:// or http://",
            ));
        }
        Ok(Reply::News(vec![Article {
            title: clean(&self.title).into(),
            description: clean(&self.description).into(),
            pic_url: Arc::clone(&self.picture),
            url: Arc::clone(&self.url),
        }]))
    }
}

impl Menu {
    fn reply(&self) -> Result<Reply, Problem> {
        if !(1..=MOST_OPTIONS).contains(&self.options.len()) {
            return Err(Problem::new(
                Code::BadRequest,
                format!("a menu has 1 to {MOST_OPTIONS} choices"),
            ));
        }
        for choice in &self.options {
            needed("id", &choice.id)?;
            needed("text", &choice.text)?;
        }
        let options = self.options.iter();
        let options = options.map(|choice| (clean(&choice.id).into(), clean(&choice.text).into()));
        Ok(Reply::Menu {
            head: clean(&self.head).into(),
            options: options.collect(),
            tail: clean(&self.tail).into(),
        })
    }
}

fn needed(name: &str, words: &str) -> Result<(), Problem> {
    if words.trim().is_empty() {
        return Err(Problem::new(Code::Empty, format!("`{name}` needs words")));
    }
    bounded(name, words)
}

fn bounded(name: &str, words: &str) -> Result<(), Problem> {
    if words.len() > WORDS_LIMIT {
        let detail = format!("`{name}` has at most {WORDS_LIMIT} bytes");
        return Err(Problem::new(Code::BadRequest, detail));
    }
    Ok(())
}
