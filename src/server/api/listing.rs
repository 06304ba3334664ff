//! Says which conversations a caller looks for, and in which order they come.
//! Owns: the search, what presses most, the cursor of each order. Uses: rules' normal form, store. Never: which accounts a caller reaches.

use std::sync::Arc;

use super::cursor;
use super::shapes::ListQuery;
use crate::desk::reopens;
use crate::model::desk::DeskSettings;
use crate::model::entry::Priority;
use crate::model::{AgentName, Conversation, Time};
use crate::rules::normalize;
use crate::server::error::{Code, Problem};
use crate::store::{Order, Query, Search};

/// The most characters that are looked for.
const LONGEST_SEARCH: usize = 100;
/// The words for the orders.
const BY_UPDATE: &str = "updated";
const BY_URGENCY: &str = "urgency";
/// The word for what cannot wait until people are back.
const BY_REOPENING: &str = "reopening";

/// What a list is narrowed to, and its order.
pub(super) struct Narrowed {
    owner: Option<AgentName>,
    priorities: Vec<Priority>,
    tag: Option<Box<str>>,
    closes_by: Option<Time>,
    missed: bool,
    search: Option<Search>,
    order: Order,
}

impl Narrowed {
    /// Reads the filters of a list.
    ///
    /// # Errors
    /// 400, naming the parameter that cannot be understood.
    pub(super) fn of(
        query: &ListQuery,
        settings: &DeskSettings,
        now: Time,
    ) -> Result<Self, Problem> {
        let bad = |what: &str| Problem::new(Code::BadRequest, what.to_owned());
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let owner = set(&query.owner)
            .map(AgentName::parse)
            .transpose()
            .map_err(|error| bad(&error.to_string()))?;
        let words = query.priority.as_deref().unwrap_or("").split(',');
        let priorities: Option<Vec<Priority>> = words
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(priority)
            .collect();
        let order = match query.sort.as_deref().unwrap_or("") {
            "" | BY_UPDATE => Order::Updated,
            BY_URGENCY => Order::Urgency,
            _ => return Err(bad("`sort` is `updated` or `urgency`")),
        };
        let wanted = set(&query.q).filter(|text| !text.trim().is_empty());
        if wanted
            .as_ref()
            .is_some_and(|text| text.chars().count() > LONGEST_SEARCH)
        {
            return Err(bad(&format!("`q` has at most {LONGEST_SEARCH} characters")));
        }
        let closes_by = match query.closing.as_deref().unwrap_or("") {
            "" => None,
            // People who are always there miss no window.
            BY_REOPENING => Some(reopens(settings, now).unwrap_or_default()),
            time => {
                let time: Option<jiff::Timestamp> = time.parse().ok();
                Some(
                    time.ok_or_else(|| bad("`closing` is `reopening` or a time"))?
                        .into(),
                )
            }
        };
        Ok(Self {
            closes_by,
            missed: query.missed,
            owner,
            priorities: priorities
                .ok_or_else(|| bad("`priority` has a word that is no priority"))?,
            tag: set(&query.tag).map(String::into_boxed_str),
            search: wanted.map(|text| search(&text)),
            order,
        })
    }

    /// The query narrowed like this.
    ///
    /// # Errors
    /// 400 when the cursor is of another order.
    pub(super) fn apply(self, query: Query) -> Result<Query, Problem> {
        let Self {
            owner,
            priorities,
            tag,
            closes_by,
            missed,
            search,
            order,
        } = self;
        let has_level = order == Order::Urgency;
        if query.after.is_some() && has_level != query.after_level.is_some() {
            return Err(Problem::new(
                Code::BadRequest,
                "`cursor` is of another `sort`",
            ));
        }
        Ok(Query {
            owner,
            priorities,
            tag,
            closes_by,
            missed,
            search,
            order,
            ..query
        })
    }
}

/// The cursor behind this conversation.
pub(super) fn cursor_after(query: &Query, last: &Conversation) -> String {
    match query.order {
        Order::Updated => cursor::write(None, last.updated_at, last.id),
        Order::Urgency => {
            let (level, time) = last.urgency();
            cursor::write(Some(level), time, last.id)
        }
    }
}

fn priority(word: &str) -> Option<Priority> {
    match word {
        "urgent" => Some(Priority::Urgent),
        "high" => Some(Priority::High),
        "normal" => Some(Priority::Normal),
        "low" => Some(Priority::Low),
        _ => None,
    }
}

/// Looks for a text: among the words of a conversation, at the beginning of the openid, and as the alias.
fn search(text: &str) -> Search {
    let text = text.trim();
    let words = normalize(text);
    Search {
        alias: alias_number(&words),
        // Openids are letters, digits, `-` and `_`.
        openid: text.is_ascii().then(|| text.into()),
        words: words.into(),
    }
}

/// By which words a conversation is found: what people call the follower, remark and tags, and the newest message, in their
/// normal form.
pub(in crate::server) fn words(conversation: &Conversation) -> Arc<str> {
    let remark = conversation.desk().remark.as_deref();
    let tags = conversation.tags().iter().map(|tag| &**tag);
    let last = conversation.last_message.as_ref().map(|last| &*last.text);
    let mut words = String::new();
    for text in remark.into_iter().chain(tags).chain(last) {
        words.push_str(&normalize(text));
        // Nothing is found that goes from one into the next.
        words.push('\n');
    }
    words.into()
}

/// The number in `粉丝 7F3A`, or alone; the text is in its normal form.
fn alias_number(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("粉丝").unwrap_or(text).trim_start();
    let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AccountName, ConversationId, Message, OpenId, Time, TurnKey};
    use crate::model::{By, Delivery, Direction, MessageId, Remembered};

    const NOW: Time = Time::from_millis(1_718_200_000_000);

    fn conversation(follower: &str) -> Conversation {
        let id = ConversationId::at(NOW, 0, TurnKey::of_text(follower));
        let account = AccountName::parse("shop").unwrap();
        Conversation::new(id, account, OpenId::parse(follower).unwrap(), NOW)
    }

    fn said(text: &str) -> Option<Message> {
        Some(Message {
            id: MessageId::at(NOW, 0, TurnKey::of_text(text)),
            at: NOW,
            direction: Direction::In,
            by: By::Follower,
            agent: None,
            rule: None,
            revision: None,
            kind: "text".into(),
            text: text.into(),
            delivery: Delivery::Received,
            error: None,
        })
    }

    #[test]
    fn a_search_looks_at_words_tags_the_openid_and_the_alias() {
        let mut li = conversation("oLiAbCdEf");
        li.last_message = said("請問 ＷｉＦｉ 密碼是多少?");
        li.remembered = Some(Box::new(Remembered {
            tags: vec!["VIP 客户".into()],
            ..Remembered::default()
        }));
        let is_found = |text: &str| {
            let Search {
                words: wanted,
                openid,
                alias,
            } = search(text);
            !wanted.is_empty() && words(&li).contains(&*wanted)
                || openid.is_some_and(|openid| li.follower.as_str().starts_with(&*openid))
                || alias == Some(li.follower.alias_number())
        };
        let alias = li.follower.alias();
        for found in [
            "密码",
            "wifi",
            "WIFI 密碼",
            "vip",
            "客戶",
            "oLiAb",
            " 密码 ",
            &alias,
            alias.trim_start_matches("粉丝 "),
            &alias.to_lowercase(),
        ] {
            assert!(is_found(found), "{found}");
        }
        for other in [
            "密码错",
            "oliab",
            "LiAb",
            "!",
            "粉丝",
            "粉丝 7F3",
            "客户 请问",
        ] {
            assert!(!is_found(other), "{other}");
        }
    }

    #[test]
    fn the_priority_presses_first_then_the_window_that_ends_first() {
        let (mut early, mut late, mut urgent) =
            (conversation("a"), conversation("b"), conversation("c"));
        early.window.message(NOW);
        late.window
            .message(NOW.plus(std::time::Duration::from_secs(60)));
        urgent
            .window
            .message(NOW.plus(std::time::Duration::from_secs(90)));
        urgent.priority = Priority::Urgent;
        let mut all = [late, early, urgent];
        all.sort_by_key(Conversation::urgency);
        let order = all.map(|conversation| conversation.follower.to_string());
        assert_eq!(order, ["c", "a", "b"]);
    }
}
