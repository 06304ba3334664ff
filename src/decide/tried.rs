//! Says what a decision is and how it came about, in the form that `try` and `POST /try` print.
//! Owns: the JSON form of a decision. Uses: rules, model. Never: decides.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Decision, Step};
use crate::model::{Content, HookCall, Incoming, Reply, Time};
use crate::rules::{Explained, Found, Matched, Question, RuleSet, normalize};

/// A decision with its explanation.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The decision in one word.
    pub decision: &'static str,
    /// The step that decided, in one word.
    pub step: &'static str,
    /// The words of danger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crisis: Option<CrisisFound>,
    /// The rule that answers.
    pub rule: Option<String>,
    /// What the follower reads, at once and pushed behind it, each an object with the reply's kind as its only key.
    pub replies: Vec<Value>,
    /// The text as it was compared.
    pub normalized: String,
    /// Who was considered, best first.
    pub candidates: Vec<Explained>,
    /// What another system would be asked, when that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Value>,
}

/// Words of danger that were found.
#[derive(Clone, Debug, Serialize)]
pub struct CrisisFound {
    /// How urgent that is.
    pub tier: &'static str,
    /// What people call it.
    pub name: Option<String>,
    /// Which words, and where.
    pub matched: Vec<Matched>,
}

/// Explains what a message leads to.
pub fn tried(step: &Step, message: &Incoming, rules: &RuleSet, now: Time) -> Tried {
    let question = question(&message.content);
    let explained = |found: Option<&Found>| {
        let candidates = found.map(|found| rules.explain(found, &question, now));
        let normalized = found.map_or("", Found::normalized).to_owned();
        (normalized, candidates.unwrap_or_default())
    };
    match step {
        Step::Done(decision) => {
            let (mut normalized, candidates) = explained(decision.found.as_ref());
            if let (true, Question::Words(typed)) = (normalized.is_empty(), &question) {
                normalized = normalize(typed);
            }
            let rule = decision.rule.as_ref();
            Tried {
                decision: decision.outcome.word(),
                step: decision.stage.word(),
                crisis: decision.alarm.as_ref().map(|alarm| CrisisFound {
                    tier: alarm.tier_word(),
                    name: alarm.name.as_deref().map(str::to_owned),
                    matched: alarm.matched.clone(),
                }),
                rule: rule.map(|rule| rule.as_str().to_owned()),
                replies: replies(decision).map(reply).collect(),
                normalized,
                candidates,
                hook: None,
            }
        }
        Step::Ask(asked) => {
            let (normalized, candidates) = explained(asked.continuation.found());
            let call = &asked.call;
            Tried {
                decision: "hook",
                step: asked.continuation.stage().word(),
                crisis: None,
                rule: Some(call.rule.as_str().to_owned()),
                replies: Vec::new(),
                normalized,
                candidates,
                hook: Some(hook(call)),
            }
        }
    }
}

/// What the follower reads, at once and pushed behind it.
pub(super) fn replies(decision: &Decision) -> impl Iterator<Item = &Reply> {
    let answer = &decision.answer;
    let own = answer.own.as_ref().map(|own| &own.reply);
    let pushed = answer.more.iter().map(|push| &push.reply);
    answer.joined.as_ref().or(own).into_iter().chain(pushed)
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

/// What another system would be asked.
pub(super) fn hook(call: &HookCall) -> Value {
    let fields = call.fields.iter();
    let fields = fields.map(|(name, text)| (name.to_string(), Value::from(&**text)));
    json!({ "url": &*call.url, "body": Value::Object(fields.collect()) })
}

/// A reply in the shape of rule files.
pub(super) fn reply(reply: &Reply) -> Value {
    // Where nobody asks WeChat, a file stands under its path (`MediaIds::Assumed`); no id of WeChat's has a slash.
    let media = |id: &str| match id.contains('/') {
        true => id.to_owned(),
        false => format!("media_id:{id}"),
    };
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
        Reply::Menu {
            head,
            options,
            tail,
        } => {
            let options = options.iter();
            let options = options.map(|(id, text)| json!({ "id": &**id, "text": &**text }));
            json!({ "menu": { "head": &**head, "options": options.collect::<Vec<_>>(), "tail": &**tail } })
        }
        // Rules do not send these.
        Reply::Local { kind, hash } => {
            json!({ "local": { "kind": kind.word(), "sha256": crate::model::media::hex(hash) } })
        }
    }
}
