//! Looks at what a rule asks followers for, promises them, and takes out of their words.
//! Owns: W209, W212 of rules, W218. Uses: sheet. Never: other rules.

use toml::de::DeValue;

use super::super::checked::Checked;
use super::super::diagnostic::{Code, Words};
use super::super::reply::Draft;
use super::super::rule::Written;
use super::super::sheet::{Sheet, Text};
use super::super::spec::Handoff;
use super::check_promise;
use crate::model::desk::DeskSettings;

/// What a question asks for when it asks for personal data.
const PERSONAL: &[&str] = &[
    "身份证",
    "手机号",
    "手机号码",
    "电话号码",
    "银行卡",
    "护照号",
    "家庭住址",
];
/// What a check looks like that takes a number of an ID card or a mobile phone.
const CHECKS: &[&str] = &["1[3-9]\\d{9}", "\\d{17}", "1\\d{10}"];

/// Looks at one rule.
pub(in crate::rules) fn check(
    sheet: &mut Sheet<'_>,
    written: &Written<'_>,
    checked: &Checked,
    (handoff, settings): (Option<&Handoff>, &DeskSettings),
) {
    personal(sheet, written);
    if let Some(handoff) = handoff {
        for draft in &written.says.drafts {
            if let Draft::Text(text) = draft {
                check_promise(sheet, text, settings, handoff.priority);
            }
        }
    }
    // Another rule's replies may use what this one takes.
    if written.rare("use_reply_of").is_none() {
        unused_captures(sheet, written, checked);
    }
}

fn personal(sheet: &mut Sheet<'_>, written: &Written<'_>) {
    let Some(DeValue::Array(steps)) = written.rare("step").map(|steps| steps.value.get_ref())
    else {
        return;
    };
    for step in steps.iter().filter_map(|step| step.get_ref().as_table()) {
        let found = [("ask", PERSONAL), ("check", CHECKS)]
            .into_iter()
            .find_map(|(key, signs)| {
                let value = step.get(key)?;
                let text = value.get_ref().as_str()?;
                let sign = signs.iter().find(|sign| text.contains(**sign))?;
                let at = text.find(sign)?;
                let span = sheet.span(value.span());
                Some(sheet.inside(&Text { text, span }, at..at + sign.len()))
            });
        let Some(span) = found else { continue };
        let words = Words::new(
            "这里问的是个人信息(证件、手机号、银行卡……),会留在聊天记录里",
            "this asks for personal data (ID card, phone, bank card …), which stays in the history",
        );
        let help = Words::new(
            "不用就别问;要用就只问后四位,或请粉丝在小程序里填",
            "do not ask unless needed; the last four digits may do, or a form of your own",
        );
        sheet.report_with_help(Code::PersonalData, span, words, help);
    }
}

/// A capture with a name that nothing uses.
fn unused_captures(sheet: &mut Sheet<'_>, written: &Written<'_>, checked: &Checked) {
    let source = sheet.source.text;
    let rest = source.get(written.head.end..).unwrap_or_default();
    let end = rest.find("\n[[rule]]").unwrap_or(rest.len());
    let rule = rest.get(..end).unwrap_or_default();
    for (compiled, span) in &checked.regexes {
        for name in compiled.regex.capture_names().flatten() {
            let uses = [
                format!("{{{name}}}"),
                format!("｛{name}｝"),
                format!("\"{name}\""),
                format!("'{name}'"),
            ];
            if uses.iter().any(|used| rule.contains(used.as_str())) {
                continue;
            }
            let words = Words::new(
                format!("记下了 {name},却没有用到"),
                format!("{name} is captured and never used"),
            );
            let help = Words::new(
                format!("在回复里用 {{{name}}},或把 (?<{name}>…) 改成 (…)"),
                format!("use {{{name}}} in the reply, or write (…) for (?<{name}>…)"),
            );
            sheet.report_with_help(Code::UnusedCapture, span.clone(), words, help);
        }
    }
}
