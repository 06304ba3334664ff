//! Checks the words and texts that are brought over before they reach a rule file.
//! Owns: why a word or a text cannot be taken. Uses: normalize, model. Never: knows where they came from.

use crate::model::reply::TEXT_LIMIT;
use crate::rules::diagnostic::Words;
use crate::rules::normalize::normalize;

/// As much of a word or text as a remark shows, in characters.
const SHOWN: usize = 24;

/// As many keywords one rule takes: fifty times as many as WeChat's own editor.
pub(super) const MOST_WORDS: usize = 500;

/// A keyword without space around it.
///
/// # Errors
/// Why it can never match.
pub(super) fn keyword(text: &str) -> Result<String, Words> {
    let word = text.trim();
    if !normalize(word).is_empty() {
        return Ok(word.to_owned());
    }
    Err(if word.is_empty() {
        Words::new("关键词是空的", "an empty keyword")
    } else {
        let word = shown(word);
        Words::new(
            format!("关键词「{word}」去掉标点和空格就没有了,没有写进去"),
            format!(
                "nothing is left of the keyword \"{word}\" without punctuation and space; left out"
            ),
        )
    })
}

/// A reply with line ends as WeChat shows them.
///
/// # Errors
/// Why WeChat would not take it.
pub(super) fn reply(text: &str) -> Result<String, Words> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.trim().is_empty() {
        return Err(Words::new("回复是空的", "the reply is empty"));
    }
    // The rule file doubles braces.
    let bytes = text.len() + text.matches('{').count();
    if bytes > TEXT_LIMIT {
        let start = shown(&text);
        return Err(Words::new(
            format!(
                "回复太长:{bytes} 字节,微信一条最多 {TEXT_LIMIT} 字节(约 {} 个汉字):「{start}」",
                TEXT_LIMIT / 3
            ),
            format!("the reply has {bytes} bytes, WeChat takes at most {TEXT_LIMIT}: \"{start}\""),
        ));
    }
    Ok(text)
}

/// The beginning of a text, on one line.
pub(super) fn shown(text: &str) -> String {
    let mut chars = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    let mut start: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() {
        start.push('…');
    }
    start
}

/// Whether a rule file takes it as an address.
pub(super) fn is_address(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#', '\\']).next());
    host.is_some_and(|host| !host.is_empty() && !host.contains(['@', '{']))
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
