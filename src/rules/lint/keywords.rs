//! Looks at the keywords and regexes of one rule.
//! Owns: W201, W213 for keywords, W215, W216, W217. Uses: checked, mend. Never: other rules.

use std::collections::HashMap;
use std::ops::Range;

use super::super::checked::Checked;
use super::super::diagnostic::{Code, Diagnostic, Fix, Words};
use super::super::mend;
use super::super::rule::Written;
use super::super::sheet::{Sheet, Text};
use super::super::words::{Word, Words as Keywords};

/// Short texts that have nothing in common; a regex that matches all of them matches nearly everything.
const UNRELATED: &[&str] = &[
    "几点关门",
    "退款怎么还没到",
    "你好",
    "我想订下周六的位子",
    "发票抬头写错了",
    "谢谢",
    "有没有停车场",
    "孩子吃了过敏怎么办",
];
/// What people put between several words when they write them as one.
const SEPARATORS: &[char] = &['|', '、', ';', '；', '｜'];
/// What only a regex has.
const REGEX_MARKS: &[&str] = &[".*", "\\d", ".+", "(?", "\\w"];

/// Looks at what one rule listens to.
pub(in crate::rules) fn check(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    checked: &Checked,
    words: &Keywords,
) {
    for (key, texts, found) in [
        ("exact", &written.exact, &checked.exact),
        ("any", &written.any, &checked.any),
        ("all", &written.all, &checked.all),
        ("none", &written.none, &checked.none),
    ] {
        repeated(sheet, found);
        if key != "exact" {
            texts.iter().for_each(|text| joined(sheet, key, text));
        }
    }
    for (word, span) in &checked.any {
        check_short(sheet, words.text(*word), span);
    }
    vetoed(sheet, checked, words);
    for (compiled, span) in &checked.regexes {
        if UNRELATED.iter().all(|text| compiled.regex.is_match(text)) {
            too_broad(sheet, span);
        }
    }
}

/// The same wording twice in one list, also where only normalising makes it the same.
fn repeated(sheet: &mut Sheet<'_>, found: &[(Word, Range<usize>)]) {
    let mut first: HashMap<Word, &Range<usize>> = HashMap::new();
    for (word, span) in found {
        let Some(earlier) = first.get(word) else {
            first.insert(*word, span);
            continue;
        };
        let words = Words::new(
            "这个说法前面已经有了(大小写、繁简、标点不计较)",
            "this wording is there already (case, script and punctuation do not count)",
        );
        let fix = mend::remove_item(sheet.written(), span.clone());
        let diagnostic = Diagnostic::new(Code::Repeated, sheet.place(span.clone()), words)
            .label(
                sheet.place((*earlier).clone()),
                Words::new("第一次在这里", "first here"),
            )
            .fix(fix);
        sheet.remarks.push(diagnostic);
    }
}

/// Several words between one pair of quotes, or a regex where words are wanted.
fn joined(sheet: &mut Sheet<'_>, key: &str, text: &Text<'_>) {
    if let Some(mark) = REGEX_MARKS.iter().find(|mark| text.text.contains(**mark)) {
        let words = Words::new(
            format!("`{key}` 里写的是词,不是正则:「{mark}」会照原样去找"),
            format!("`{key}` has words, no regexes: \"{mark}\" is looked for as it stands"),
        );
        let help = Words::new(
            "只写词;真要用正则就写 regex = '…'",
            "write the words only, or use regex = '…'",
        );
        sheet.report_with_help(Code::Joined, text.span.clone(), words, help);
        return;
    }
    let parts: Vec<&str> = text.text.split(SEPARATORS).map(str::trim).collect();
    if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
        return;
    }
    let words = Words::new(
        format!("`{key}` 的一对引号里只能有一个词,这样写要整句都出现才算"),
        format!("one pair of quotes in `{key}` holds one word; like this all of it must occur"),
    );
    let split = parts
        .iter()
        .map(|part| format!("\"{part}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let help = Words::new(format!("拆开写:{split}"), format!("write {split}"));
    let (file, source) = sheet.written();
    let whole = source.get(text.span.clone()).unwrap_or_default();
    let is_in_list = source
        .get(..text.span.start)
        .is_some_and(|before| before.trim_end().ends_with(['[', ',']));
    let is_plain = whole == format!("\"{}\"", text.text) && !text.text.contains(['\\', '"']);
    let title = Words::new("拆成几个词", "make it several words");
    let fix = (is_in_list && is_plain).then(|| Fix::replace(file, text.span.clone(), split, title));
    let diagnostic = Diagnostic::new(Code::Joined, sheet.place(text.span.clone()), words);
    sheet.remarks.push(diagnostic.help(help).fix(fix));
}

/// Reports a word of one character that is looked for anywhere in a message.
pub(in crate::rules) fn check_short(sheet: &mut Sheet<'_>, word: &str, span: &Range<usize>) {
    if word.chars().count() != 1 {
        return;
    }
    let words = Words::new(
        format!("「{word}」只有一个字:凡是有这个字的话都会被接走"),
        format!("\"{word}\" is one character: every message that has it anywhere is caught"),
    );
    let help = Words::new(
        "写长一点;只想认单独一个字,就放进 exact",
        "make it longer; for this character alone use exact",
    );
    sheet.report_with_help(Code::ShortKeyword, span.clone(), words, help);
}

/// A wording that contains a word of `none` of its own rule vetoes itself.
fn vetoed(sheet: &mut Sheet<'_>, checked: &Checked, words: &Keywords) {
    let wordings = checked.exact.iter().chain(&checked.any).chain(&checked.all);
    for (word, span) in wordings {
        let text = words.text(*word);
        let veto = checked
            .none
            .iter()
            .find(|(none, _)| text.contains(words.text(*none)));
        let Some((none, place)) = veto else { continue };
        let none = words.text(*none);
        let message = Words::new(
            format!("「{text}」永远匹配不到:`none` 里的「{none}」把它排除了"),
            format!("\"{text}\" can never match: \"{none}\" of `none` excludes it"),
        );
        let diagnostic = Diagnostic::new(Code::NeverMatches, sheet.place(span.clone()), message)
            .label(
                sheet.place(place.clone()),
                Words::new("排除它的词在这里", "this word excludes it"),
            )
            .help(Words::new(
                "去掉一个,或把 none 里的词写长一点",
                "drop one of them, or make the word of `none` longer",
            ));
        sheet.remarks.push(diagnostic);
    }
}

fn too_broad(sheet: &mut Sheet<'_>, span: &Range<usize>) {
    let words = Words::new(
        "这个正则几乎什么话都匹配:没有关系的话也会被它接走",
        "this regex matches nearly everything, whatever it is about",
    );
    let help = Words::new(
        "写上一定会出现的词;答不了的话留给人,不用写规则",
        "put in words that must occur; what no rule covers goes to people by itself",
    );
    sheet.report_with_help(Code::TooBroad, span.clone(), words, help);
}
