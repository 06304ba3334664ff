//! Reads `_crisis.toml`: words of danger, what is excepted, what the follower reads at once.
//! Owns: its keys. Uses: sheet, desk_file, crisis, model. Never: rules.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::build::Build;
use super::crisis::{Crisis, CrisisWords};
use super::desk_file;
use super::diagnostic::{Code, Words};
use super::handoff::PRIORITIES;
use super::line::Line;
use super::lint;
use super::normalize::normalize;
use super::script;
use super::sheet::{Sheet, Text, Value};

const TOP: &[&str] = &["crisis", "insults", "test"];
const CRISIS: &[&str] = &["tier", "name", "words", "except", "reply"];
/// More entries than this nobody can keep in view.
const MOST_ENTRIES: usize = 200;
/// Words and excepted phrases of one entry.
const MOST_WORDS: usize = 2000;
/// Bytes of a name: followers may read it in the ack.
const NAME_LIMIT: usize = 60;

/// Adds what the file says to the set.
pub(super) fn read(sheet: &mut Sheet<'_>, table: &DeTable<'_>, build: &mut Build<'_>) {
    let owner = Words::new("_crisis.toml ", "_crisis.toml");
    let mut found = CrisisWords::none();
    for (key, value) in table {
        if !sheet.knows(key, TOP, &owner) {
            continue;
        }
        let name: &str = key.get_ref();
        if name == "insults" {
            for (word, _) in words(sheet, name, value, true) {
                found.add_insult(&word);
            }
            continue;
        }
        let DeValue::Array(items) = value.get_ref() else {
            let span = sheet.span(value.span());
            let (zh, en) = (format!("要写成 [[{name}]]"), format!("must be [[{name}]]"));
            sheet.wrong_type(name, value.get_ref(), span, (&zh, &en));
            continue;
        };
        if name == "crisis" && items.len() > MOST_ENTRIES {
            let span = sheet.span(value.span());
            let words = Words::new(
                format!("最多 {MOST_ENTRIES} 个 [[crisis]]"),
                format!("at most {MOST_ENTRIES} [[crisis]]"),
            );
            sheet.report(Code::TooMany, span, words);
            continue;
        }
        for item in items {
            if name == "crisis" {
                entry(sheet, item, build, &mut found);
            } else if let Some(written) = script::read(sheet, item, &build.options.timezone) {
                build.test(sheet, None, &written);
            }
        }
    }
    found.build();
    *build.set.crisis = found;
}

fn entry(
    sheet: &mut Sheet<'_>,
    value: &Value<'_>,
    build: &mut Build<'_>,
    found: &mut CrisisWords,
) -> Option<()> {
    let owner = Words::new("[[crisis]] ", "[[crisis]]");
    let span = sheet.span(value.span());
    let table = sheet.table("crisis", value)?;
    let (mut tier, mut name, mut reply) = (None, None, None);
    let (mut dangers, mut excepts) = (Vec::new(), Vec::new());
    let calendars = &build.set.calendars;
    let mut names = desk_file::line_names(calendars);
    for (key, value) in table {
        if !sheet.knows(key, CRISIS, &owner) {
            continue;
        }
        let key: &str = key.get_ref();
        match key {
            "tier" => tier = sheet.choice(key, value, PRIORITIES),
            "name" => name = self::name(sheet, value),
            "words" => dangers = words(sheet, key, value, true),
            "except" => excepts = words(sheet, key, value, false),
            _ => reply = desk_file::with_gaps(sheet, key, value, &mut names),
        }
    }
    if !table.contains_key("tier") {
        let words = Words::new("[[crisis]] 缺少 `tier`", "[[crisis]] needs `tier`");
        let help = Words::new(
            "写 tier = \"urgent\"(有人可能受伤)或 \"high\"(投诉)",
            "write tier = \"urgent\" (somebody may be hurt) or \"high\" (a complaint)",
        );
        sheet.report_with_help(Code::BadValue, span.clone(), words, help);
    }
    let is_listless = match table.get("words") {
        None => true,
        Some(list) => list
            .get_ref()
            .as_array()
            .is_some_and(|list| list.is_empty()),
    };
    if is_listless {
        let words = Words::new(
            "[[crisis]] 没有 `words`,什么话都不会触发",
            "[[crisis]] has no `words`; nothing triggers it",
        );
        sheet.report(Code::NoTrigger, span, words);
    }
    let tier = tier?;
    if let Some(text) = &reply {
        lint::check_promise(sheet, text, &build.set.settings, tier);
    }
    idle_excepts(sheet, &dangers, &excepts);
    let is_known = desk_file::is_known(calendars);
    let crisis = Crisis {
        tier,
        name: name.map(|name: Text<'_>| name.text.into()),
        reply: reply
            .filter(|text| !text.text.is_empty())
            .map(|text| Line::new(text.text, is_known)),
    };
    let only = |list: &[(String, Range<usize>)]| -> Vec<String> {
        list.iter().map(|(word, _)| word.clone()).collect()
    };
    found.add(crisis, &only(&dangers), &only(&excepts));
    build.set.wants_queue |= names.wants_queue();
    Some(())
}

fn name<'t>(sheet: &mut Sheet<'_>, value: &'t Value<'_>) -> Option<Text<'t>> {
    let text = sheet.string("name", value)?;
    let is_good = !text.text.trim().is_empty()
        && text.text.len() <= NAME_LIMIT
        && !text.text.contains(char::is_control);
    if is_good {
        return Some(text);
    }
    let words = Words::new(
        format!("`name` 要有 1 到 {NAME_LIMIT} 字节,不能换行"),
        format!("`name` has 1 to {NAME_LIMIT} bytes on one line"),
    );
    sheet.report(Code::BadValue, text.span, words);
    None
}

/// Words in normal form with their places. Words that are looked for everywhere should not be single characters.
fn words(
    sheet: &mut Sheet<'_>,
    key: &str,
    value: &Value<'_>,
    is_looked_for: bool,
) -> Vec<(String, Range<usize>)> {
    let texts = sheet.strings(key, value);
    if texts.len() > MOST_WORDS {
        let span = sheet.span(value.span());
        let words = Words::new(
            format!("`{key}` 最多 {MOST_WORDS} 个词"),
            format!("`{key}` has at most {MOST_WORDS} words"),
        );
        sheet.report(Code::TooMany, span, words);
        return Vec::new();
    }
    let mut words = Vec::with_capacity(texts.len());
    for text in texts {
        let word = normalize(text.text);
        if word.is_empty() {
            let message = Words::new(
                format!("`{key}` 里「{}」去掉标点和空格就没有了", text.text),
                format!(
                    "nothing is left of \"{}\" in `{key}` without punctuation and space",
                    text.text
                ),
            );
            sheet.report(Code::EmptyKeyword, text.span, message);
            continue;
        }
        if is_looked_for {
            lint::check_short(sheet, &word, &text.span);
        }
        words.push((word, text.span));
    }
    words
}

/// Reports excepted phrases that have none of the words in them.
fn idle_excepts(
    sheet: &mut Sheet<'_>,
    dangers: &[(String, Range<usize>)],
    excepts: &[(String, Range<usize>)],
) {
    for (phrase, span) in excepts {
        if dangers.iter().any(|(word, _)| phrase.contains(&**word)) {
            continue;
        }
        let words = Words::new(
            format!("「{phrase}」里没有 `words` 里的词,写了也不起作用"),
            format!("\"{phrase}\" has none of `words` in it, so it excepts nothing"),
        );
        let help = Words::new(
            "写整个说法,像 except = [\"投诉电话是多少\"]",
            "write the whole phrase, such as except = [\"投诉电话是多少\"]",
        );
        sheet.report_with_help(Code::Idle, span.clone(), words, help);
    }
}
