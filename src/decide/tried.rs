//! Says what a decision is and how it came about, in the form that `try` and `POST /try` print.
//! Owns: the JSON form of a decision. Uses: rules, model. Never: decides.

use serde::Serialize;
use serde_json::{Value, json};

use super::Decision;
use crate::model::{By, Content, Incoming, Reply};
use crate::rules::{Explained, Question, RuleSet};

/// A decision with its explanation.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The decision in one word.
    pub decision: &'static str,
    /// The rule that answers.
    pub rule: Option<String>,
    /// What the follower reads at once, each an object with the reply's kind as its only key.
    pub replies: Vec<Value>,
    /// The text as it was compared.
    pub normalized: String,
    /// Who was considered, best first.
    pub candidates: Vec<Explained>,
}

/// Explains the decision on a message.
pub fn tried(decision: &Decision, message: &Incoming, rules: &RuleSet) -> Tried {
    let own = decision.answer.own.as_ref();
    let found = decision.found.as_ref();
    let by_rule = own.filter(|own| own.by == By::Rule);
    let given = decision
        .answer
        .joined
        .as_ref()
        .or(own.map(|own| &own.reply));
    let question = question(&message.content);
    Tried {
        decision: decision.outcome.word(),
        rule: by_rule
            .and_then(|own| own.rule.as_ref())
            .map(|rule| rule.as_str().to_owned()),
        replies: given.map(reply).into_iter().collect(),
        normalized: found.map_or("", |found| found.normalized()).to_owned(),
        candidates: found
            .map(|found| rules.explain(found, &question))
            .unwrap_or_default(),
    }
}

/// The question that a message puts to the rules first.
pub fn question(content: &Content) -> Question<'_> {
    match content {
        Content::Event(event) => Question::Event(event),
        content => content
            .words()
            .map_or(Question::Kind(content.kind()), Question::Words),
    }
}

/// A reply in the shape of rule files.
fn reply(reply: &Reply) -> Value {
    let media = |id: &str| format!("media_id:{id}");
    match reply {
        Reply::Text(text) => json!({ "text": &**text }),
        Reply::Image { media_id } => json!({ "image": media(media_id) }),
        Reply::Voice { media_id } => json!({ "voice": media(media_id) }),
        Reply::Video {
            media_id,
            title,
            description,
        } => {
            json!({ "video": { "file": media(media_id), "title": &**title, "description": &**description } })
        }
        Reply::Music {
            title,
            description,
            url,
            hq_url,
            thumb_media_id,
        } => json!({ "music": {
            "title": &**title,
            "description": &**description,
            "url": &**url,
            "hq_url": &**hq_url,
            "cover": media(thumb_media_id),
        } }),
        Reply::News(articles) => {
            let article = |article: &crate::model::Article| {
                json!({
                    "title": &*article.title,
                    "description": &*article.description,
                    "image": &*article.pic_url,
                    "url": &*article.url,
                })
            };
            json!({ "news": articles.iter().map(article).collect::<Vec<_>>() })
        }
        Reply::Transfer { agent: None } => json!({ "desk": {} }),
        Reply::Transfer { agent: Some(agent) } => json!({ "desk": { "agent": &**agent } }),
    }
}
