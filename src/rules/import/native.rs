//! Reads the replies that were set in WeChat's own editor (`get_current_autoreply_info`).
//! Owns: what each of their kinds becomes here. Uses: cells, draft, serde_json. Never: calls WeChat, opens a file.
//!
//! WeChat's answer, in part: `keyword_autoreply_info.list[] { rule_name, reply_mode: reply_all | random_one,
//! keyword_list_info[] { match_mode: contain | equal, content }, reply_list_info[] { type, content, news_info.list[] } }`,
//! `add_friend_autoreply_info` and `message_default_autoreply_info` `{ type, content }`, two switches of 0 or 1.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cells;
use super::draft::{Aside, Draft, DraftRule, Pace, Says};
use super::names::Names;
use crate::model::MediaKind;
use crate::rules::diagnostic::Words;

/// WeChat itself takes 200 rules.
const MOST_RULES: usize = 10_000;
/// As many replies a rule file takes for one rule.
const MOST_REPLIES: usize = 20;

/// Why an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not JSON.
    #[error("不是 JSON | not JSON: {0}")]
    NotJson(String),
    /// It is WeChat's refusal.
    #[error("这是微信的错误答复 | this is an error of WeChat: {code} {message}")]
    Refusal {
        /// `errcode`.
        code: i64,
        /// `errmsg`.
        message: String,
    },
    /// It has more rules than anybody would set by hand.
    #[error("超过 {MOST_RULES} 条规则 | more than {MOST_RULES} rules")]
    TooMany,
    /// It is some other JSON.
    #[error("不是 get_current_autoreply_info 的答复 | not an answer of get_current_autoreply_info")]
    Other,
}

/// WeChat's answer, not yet understood.
#[derive(Clone, Debug)]
pub struct Console(Value);

/// A picture or voice message that a reply names by a passing id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Its media id: WeChat forgets it after three days.
    pub media_id: String,
    /// As what it is sent.
    pub kind: MediaKind,
}

/// What became of media, by id: the path under `rules/` where each was saved, or why it was not.
pub type Hosted = BTreeMap<String, Result<String, Words>>;

impl Console {
    /// Reads an answer, live or saved.
    ///
    /// # Errors
    /// [`Unusable`]. Parts that are not as documented are no errors: they are reported by [`Console::draft`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let answer: Value =
            serde_json::from_slice(bytes).map_err(|error| Unusable::NotJson(error.to_string()))?;
        if let Some(code) = answer
            .get("errcode")
            .and_then(Value::as_i64)
            .filter(|code| *code != 0)
        {
            return Err(Unusable::Refusal {
                code,
                message: cells::shown(text(&answer, "errmsg")),
            });
        }
        let is_known = [
            "is_add_friend_reply_open",
            "is_autoreply_open",
            "add_friend_autoreply_info",
            "message_default_autoreply_info",
            "keyword_autoreply_info",
        ]
        .iter()
        .any(|key| answer.get(key).is_some());
        if !is_known {
            return Err(Unusable::Other);
        }
        let console = Self(answer);
        if console.rules().nth(MOST_RULES).is_some() {
            return Err(Unusable::TooMany);
        }
        Ok(console)
    }

    /// The media that rules would need, each once.
    pub fn media(&self) -> Vec<Wanted> {
        let follow = self.0.get("add_friend_autoreply_info");
        let replies = self.rules().flat_map(|rule| list(rule, "reply_list_info"));
        let mut wanted: Vec<Wanted> = follow
            .into_iter()
            .chain(replies)
            .filter_map(wanted)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Turns everything into rules. `source` names where it comes from, with the date.
    pub fn draft(&self, hosted: &Hosted, names: &mut Names, source: &str) -> Draft {
        let mut draft = Draft {
            source: source.to_owned(),
            ..Draft::default()
        };
        draft.rules.extend(self.follow(hosted, names));
        let is_open = is_on(&self.0, "is_autoreply_open");
        for rule in self.rules() {
            let mut rule = keyword_rule(rule, hosted, names);
            rule.is_enabled = is_open;
            draft.rules.push(rule);
        }
        if !is_open {
            draft.asides.push(Aside {
                what: Words::new("自动回复的总开关", "the switch of all auto-replies"),
                why: Words::new(
                    "在微信后台是关着的,所以关键词规则都写成 enabled = false",
                    "is off in WeChat's console, so keyword rules have enabled = false",
                ),
                suggestion: String::new(),
            });
        }
        draft.asides.extend(self.default_reply(is_open));
        draft
    }

    fn rules(&self) -> impl Iterator<Item = &Value> {
        let keywords = self.0.get("keyword_autoreply_info");
        keywords
            .into_iter()
            .flat_map(|keywords| list(keywords, "list"))
    }

    /// The reply to a new follower.
    fn follow(&self, hosted: &Hosted, names: &mut Names) -> Option<DraftRule> {
        let reply = self.0.get("add_friend_autoreply_info")?;
        let mut rule = DraftRule::new(names.give("关注后回复", ""), "关注后回复");
        rule.event = Some("subscribe");
        rule.is_enabled = is_on(&self.0, "is_add_friend_reply_open");
        add_reply(&mut rule, reply, hosted);
        Some(rule)
    }

    /// The reply to whatever no rule answers. As a rule it would keep every message from people.
    fn default_reply(&self, is_open: bool) -> Option<Aside> {
        let reply = self.0.get("message_default_autoreply_info")?;
        let what = Words::new("收到消息的默认回复", "the default reply");
        let kind = text(reply, "type");
        let said = (kind == "text")
            .then(|| cells::reply(text(reply, "content")).ok())
            .flatten();
        let Some(said) = said else {
            return Some(Aside {
                what,
                why: Words::new(
                    format!(
                        "没有做成规则:没有规则回答的消息在这里转给人,先回一句 _desk.toml 里的 ack;ack 只能是文字,这里是{}",
                        kind_zh(kind)
                    ),
                    format!(
                        "is no rule here: what no rule answers goes to a person, and the follower reads the `ack` of _desk.toml; that is text, this is \"{}\"",
                        cells::shown(kind)
                    ),
                ),
                suggestion: String::new(),
            });
        };
        let off = if is_open {
            ("", "")
        } else {
            ("(在微信后台是关着的)", " (it is off in WeChat's console)")
        };
        let mut line = toml_edit::DocumentMut::new();
        line.insert("ack", toml_edit::value(said.replace('{', "{{")));
        Some(Aside {
            what,
            why: Words::new(
                format!(
                    "没有做成规则:一条什么都答的规则会让人什么也收不到。没有规则回答的消息在这里转给人,粉丝先看到 ack;想用原来的话,把下面写进 _desk.toml{}",
                    off.0
                ),
                format!(
                    "is no rule here: a rule that answers everything would let nothing reach a person. What no rule answers goes to a person, and the follower reads `ack`; to keep the old words, put this into _desk.toml{}",
                    off.1
                ),
            ),
            suggestion: line.to_string().trim_end().to_owned(),
        })
    }
}

fn keyword_rule(source: &Value, hosted: &Hosted, names: &mut Names) -> DraftRule {
    let name = text(source, "rule_name").trim();
    let mut rule = DraftRule::new(names.give(name, "native"), name);
    for keyword in list(source, "keyword_list_info") {
        if rule.questions().count() >= cells::MOST_WORDS {
            let most = cells::MOST_WORDS;
            rule.losses.push(Words::new(
                format!("一条规则最多 {most} 个关键词,多的没有写进去"),
                format!("a rule takes at most {most} keywords; the others are left out"),
            ));
            break;
        }
        let word = match cells::keyword(text(keyword, "content")) {
            Ok(word) => word,
            Err(why) => {
                rule.losses.push(why);
                continue;
            }
        };
        let words = match text(keyword, "match_mode") {
            "equal" => &mut rule.exact,
            "contain" => &mut rule.any,
            other => {
                rule.losses.push(Words::new(
                    format!(
                        "关键词「{}」的匹配方式「{}」不认识,没有写进去",
                        cells::shown(&word),
                        cells::shown(other)
                    ),
                    format!(
                        "the keyword \"{}\" is matched by \"{}\", which is not known; left out",
                        cells::shown(&word),
                        cells::shown(other)
                    ),
                ));
                continue;
            }
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    rule.pace = match text(source, "reply_mode") {
        "random_one" => Pace::Random,
        _ => Pace::All,
    };
    for reply in list(source, "reply_list_info") {
        add_reply(&mut rule, reply, hosted);
    }
    if !rule.is_written() && rule.losses.is_empty() {
        rule.losses.push(if rule.says.is_empty() {
            Words::new("没有回复", "it has no reply")
        } else {
            Words::new("没有关键词", "it has no keyword")
        });
    }
    rule
}

/// Adds one reply, or why it cannot be added.
fn add_reply(rule: &mut DraftRule, reply: &Value, hosted: &Hosted) {
    if rule.says.len() >= MOST_REPLIES {
        rule.losses.push(Words::new(
            format!("一条规则最多 {MOST_REPLIES} 个回复,多的没有写进去"),
            format!("a rule has at most {MOST_REPLIES} replies; the others are left out"),
        ));
        return;
    }
    let content = text(reply, "content");
    let said = match text(reply, "type") {
        "text" => cells::reply(content).map(Says::Text),
        "news" => news(reply, &mut rule.losses),
        kind @ ("img" | "voice") => saved(content, kind, hosted),
        "video" => Err(Words::new(
            format!(
                "视频微信只给一个会过期的下载地址:自己下载后放进 rules/media/,再写 video = {{ file = \"media/….mp4\" }}。地址:{content}"
            ),
            format!(
                "of a video WeChat gives only a passing address: download it into rules/media/ and write video = {{ file = \"media/….mp4\" }}. The address: {content}"
            ),
        )),
        kind => Err(Words::new(
            format!("回复的类型「{}」没有对应的写法", cells::shown(kind)),
            format!(
                "a reply of the type \"{}\" has no counterpart",
                cells::shown(kind)
            ),
        )),
    };
    match said {
        Ok(said) => rule.says.push(said),
        Err(why) => rule.losses.push(why),
    }
}

/// A picture or voice message that was saved.
fn saved(media_id: &str, kind: &str, hosted: &Hosted) -> Result<Says, Words> {
    let path = hosted.get(media_id).cloned().unwrap_or_else(|| {
        Err(Words::new(
            "没有下载:编号三天后失效,存下来的答复里没有文件本身。用 import native --account 在线导入就会下载",
            "not downloaded: its id is good for three days, and a saved answer does not hold the file. import native --account downloads it",
        ))
    });
    let kind_en = if kind == "img" {
        "picture"
    } else {
        "voice message"
    };
    match path {
        Ok(path) if kind == "img" => Ok(Says::Image(path)),
        Ok(path) => Ok(Says::Voice(path)),
        Err(why) => Err(Words::new(
            format!("{}({}){}", kind_zh(kind), cells::shown(media_id), why.zh),
            format!("{kind_en} ({}): {}", cells::shown(media_id), why.en),
        )),
    }
}

/// The first card of a news reply: WeChat shows one in answer to a message.
fn news(reply: &Value, losses: &mut Vec<Words>) -> Result<Says, Words> {
    let mut articles = reply
        .get("news_info")
        .into_iter()
        .flat_map(|news| list(news, "list"));
    let none = || Words::new("图文里没有文章", "a news reply without articles");
    let article = articles.next().ok_or_else(none)?;
    let title = text(article, "title").trim();
    let url = text(article, "content_url").trim();
    if title.is_empty() || !cells::is_address(url) {
        return Err(Words::new(
            format!("图文「{}」没有标题或网址", cells::shown(title)),
            format!(
                "the news \"{}\" has no title or no address",
                cells::shown(title)
            ),
        ));
    }
    let others: Vec<String> = articles
        .map(|other| cells::shown(text(other, "title")))
        .collect();
    if !others.is_empty() {
        losses.push(Words::new(
            format!(
                "图文只留第一篇(微信回复消息只显示一篇),没留:{}",
                others.join("、")
            ),
            format!(
                "of the news the first article stays, WeChat shows one in a reply; left out: {}",
                others.join(", ")
            ),
        ));
    }
    let image = text(article, "cover_url").trim();
    let image = if cells::is_address(image) { image } else { "" };
    Ok(Says::News {
        title: title.to_owned(),
        description: text(article, "digest").trim().to_owned(),
        image: image.to_owned(),
        url: url.to_owned(),
    })
}

fn wanted(reply: &Value) -> Option<Wanted> {
    let kind = match text(reply, "type") {
        "img" => MediaKind::Image,
        "voice" => MediaKind::Voice,
        _ => return None,
    };
    let media_id = text(reply, "content").to_owned();
    (!media_id.is_empty()).then_some(Wanted { media_id, kind })
}

fn kind_zh(kind: &str) -> String {
    match kind {
        "text" => "文字".to_owned(),
        "img" => "图片".to_owned(),
        "voice" => "语音".to_owned(),
        "video" => "视频".to_owned(),
        "news" => "图文".to_owned(),
        other => format!("「{}」", cells::shown(other)),
    }
}

/// A switch; one that is not there is on, as WeChat always gives it.
fn is_on(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_i64) != Some(0)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
