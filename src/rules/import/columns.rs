//! Names the columns of a table of rules, in Chinese and English, and the words in them.
//! Owns: what export writes and import understands. Uses: rules. Never: reads or writes a table.

use crate::rules::diagnostic::Lang;

/// A column of a table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::rules) enum Column {
    File,
    Id,
    Title,
    Match,
    Keyword,
    Veto,
    Reply,
    Kind,
    Accounts,
    Priority,
    Enabled,
    Owner,
    More,
}

/// Every column in the order of an export, with its names: what export writes in Chinese and English, then others.
pub(in crate::rules) const COLUMNS: &[(Column, &[&str])] = &[
    (Column::File, &["文件", "file"]),
    (Column::Id, &["编号", "id"]),
    (
        Column::Title,
        &["名称", "title", "规则名", "规则名称", "标题", "name"],
    ),
    (Column::Match, &["匹配", "match", "匹配方式", "match_mode"]),
    (
        Column::Keyword,
        &["关键词", "keyword", "关键字", "keywords"],
    ),
    (Column::Veto, &["不含", "none", "不包含"]),
    (
        Column::Reply,
        &["回复", "reply", "回复内容", "answer", "答案"],
    ),
    (Column::Kind, &["类型", "kind"]),
    (
        Column::Accounts,
        &["账号", "accounts", "公众号", "帐号", "account"],
    ),
    (Column::Priority, &["优先级", "priority"]),
    (Column::Enabled, &["启用", "enabled"]),
    (Column::Owner, &["负责人", "owner"]),
    (Column::More, &["其他", "more"]),
];

/// How words are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Way {
    Exact,
    Any,
    All,
    /// By something that a table cannot hold.
    Other,
}

/// Every way with its words, as [`COLUMNS`].
pub(in crate::rules) const WAYS: &[(Way, &[&str])] = &[
    (
        Way::Exact,
        &["等于", "exact", "equal", "完全匹配", "全匹配"],
    ),
    (Way::Any, &["包含", "any", "contain", "模糊匹配", "半匹配"]),
    (Way::All, &["全包含", "all", "同时包含"]),
    (Way::Other, &["正则", "regex"]),
    (Way::Other, &["相似", "like"]),
    (Way::Other, &["事件", "event"]),
    (Way::Other, &["消息", "message"]),
];

/// Every kind of reply: what export writes in Chinese and English; the last ones are no key of an entry.
pub(in crate::rules) const KINDS: &[[&str; 2]] = &[
    ["文字", "text"],
    ["图片", "image"],
    ["语音", "voice"],
    ["视频", "video"],
    ["音乐", "music"],
    ["图文", "news"],
    ["转客服", "desk"],
    ["带变量的文字", "template"],
    ["多条", "several"],
    ["其他", "other"],
];

/// Yes and no, as [`COLUMNS`].
pub(in crate::rules) const SWITCH: &[(bool, &[&str])] = &[
    (true, &["是", "yes", "true", "1", "开", "on", "启用"]),
    (false, &["否", "no", "false", "0", "关", "off", "停用"]),
];

/// The value that a word of a table names, whatever its case.
pub(in crate::rules) fn named<T: Copy>(table: &[(T, &[&str])], word: &str) -> Option<T> {
    let word = word.trim();
    let is_named =
        |names: &&(T, &[&str])| names.1.iter().any(|name| name.eq_ignore_ascii_case(word));
    table.iter().find(is_named).map(|(value, _)| *value)
}

/// The first two names of an entry by language.
pub(in crate::rules) fn in_lang<'n>(names: &[&'n str], lang: Lang) -> &'n str {
    let place = match lang {
        Lang::Zh => 0,
        Lang::En => 1,
    };
    names.get(place).copied().unwrap_or_default()
}

/// What stands between the keywords of a cell.
pub(in crate::rules) const SEPARATORS: &[char] =
    &['、', '\u{FF0C}', ',', '\u{FF1B}', ';', '|', '\n', '\r'];
/// With it before it a separator is part of a keyword.
pub(in crate::rules) const ESCAPE: char = '\\';

/// Takes the keywords of a cell apart. Empty ones are left out.
pub(in crate::rules) fn split(cell: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = cell.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped =
            chars.next_if(|next| c == ESCAPE && (SEPARATORS.contains(next) || *next == ESCAPE));
        if escaped.is_none() && SEPARATORS.contains(&c) {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(escaped.unwrap_or(c));
        }
    }
    words.retain(|word| !word.trim().is_empty());
    words
}

/// Puts keywords into one cell, so that [`split`] gives them back.
pub(in crate::rules) fn join(words: &[String], lang: Lang) -> String {
    let escaped = words.iter().map(|word| {
        let mut text = String::with_capacity(word.len());
        for c in word.chars() {
            if c == ESCAPE || SEPARATORS.contains(&c) {
                text.push(ESCAPE);
            }
            text.push(c);
        }
        text
    });
    let between = match lang {
        Lang::Zh => "、",
        Lang::En => ", ",
    };
    escaped.collect::<Vec<_>>().join(between)
}

/// What makes a spreadsheet take a cell for a formula when it stands first, full-width forms included.
const FORMULA: &[char] = &[
    '=', '+', '-', '@', '\t', '\r', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}',
];

/// A cell that no spreadsheet takes for a formula.
pub fn guarded(cell: &str) -> String {
    if cell.trim_start_matches('\'').starts_with(FORMULA) {
        return format!("'{cell}");
    }
    cell.to_owned()
}

/// The cell as it was before [`guarded`].
pub(in crate::rules) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(FORMULA) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keywords_part_at_any_separator() {
        assert_eq!(
            split("退款、退货\u{FF0C}退钱\u{FF1B}a|b\nc,d;"),
            ["退款", "退货", "退钱", "a", "b", "c", "d"]
        );
        assert_eq!(split("a\\,b, c:\\d"), ["a,b", " c:\\d"]);
        assert!(split("、 ,").is_empty());
    }

    #[test]
    fn formulas_are_guarded_and_plain_cells_left_alone() {
        for (cell, expected) in [
            ("=1", "'=1"),
            ("'=1", "''=1"),
            ("营业", "营业"),
            ("'好'", "'好'"),
            ("-", "'-"),
        ] {
            assert_eq!(guarded(cell), expected);
        }
    }

    proptest! {
        #[test]
        fn a_cell_leads_back_to_its_words(words in prop::collection::vec("[a,;|\\\\、=' -]{0,6}x", 0..5)) {
            let joined = join(&words, Lang::Zh);
            prop_assert_eq!(split(&joined), words);
        }

        #[test]
        fn guarding_leads_back(cell in "['=+@\t\r\na-]{0,6}") {
            let guarded = guarded(&cell);
            prop_assert_eq!(unguarded(&guarded), cell);
        }
    }
}
