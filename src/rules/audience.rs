//! Reads to whom a rule speaks: `followers`, and the tags that people give to followers.
//! Owns: what a tag may look like. Uses: sheet. Never: knows a follower.

use super::diagnostic::{Code, Words};
use super::sheet::{Sheet, Text, Value};
use super::spec::Conditions;
use crate::model::remembered::MOST_TAGS;

const FOLLOWERS: &[&str] = &["tag", "first_visit"];
/// Characters of a tag.
const TAG_LENGTH: usize = 32;

/// Reads `followers = { tag, first_visit }`.
pub(super) fn followers(sheet: &mut Sheet<'_>, value: &Value<'_>, conditions: &mut Conditions) {
    let span = sheet.span(value.span());
    let Some(table) = sheet.table("followers", value) else {
        return;
    };
    if table.is_empty() {
        let words = Words::new(
            "`followers` 是空的:写 tag 或 first_visit",
            "`followers` is empty: write tag or first_visit",
        );
        sheet.report(Code::BadValue, span, words);
    }
    let owner = Words::new("`followers` ", "`followers`");
    for (key, value) in table {
        if !sheet.knows(key, FOLLOWERS, &owner) {
            continue;
        }
        match &**key.get_ref() {
            "tag" => {
                conditions.tags = tags(sheet, "tag", value).unwrap_or_default().into();
            }
            key => conditions.first_visit = sheet.boolean(key, value),
        }
    }
}

/// Reads a tag or a list of them, at least one; `None` when one is wrong.
pub(super) fn tags(sheet: &mut Sheet<'_>, key: &str, value: &Value<'_>) -> Option<Vec<Box<str>>> {
    let span = sheet.span(value.span());
    let errors = sheet.remarks.errors();
    let texts = sheet.strings(key, value);
    if sheet.remarks.errors() > errors {
        return None;
    }
    if texts.is_empty() || texts.len() > MOST_TAGS {
        let words = Words::new(
            format!("`{key}` 要有 1 到 {MOST_TAGS} 个标签"),
            format!("`{key}` has 1 to {MOST_TAGS} tags"),
        );
        sheet.report(Code::BadValue, span, words);
        return None;
    }
    texts.iter().map(|text| tag(sheet, text)).collect()
}

fn tag(sheet: &mut Sheet<'_>, text: &Text<'_>) -> Option<Box<str>> {
    let name = text.text.trim();
    let is_good =
        !name.is_empty() && name.chars().count() <= TAG_LENGTH && !name.contains(char::is_control);
    if !is_good {
        let words = Words::new(
            format!("标签要有 1 到 {TAG_LENGTH} 个字"),
            format!("a tag has 1 to {TAG_LENGTH} characters"),
        );
        sheet.report(Code::BadValue, text.span.clone(), words);
    }
    is_good.then(|| name.into())
}
